# Rules for Pith's own programs that run in the guest.
