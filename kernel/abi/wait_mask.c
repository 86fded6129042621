/*
 * The signal mask of a wait: ppoll(2), pselect(2), epoll_pwait(2), io_pgetevents(2).
 *
 * The caller's mask holds exactly while the call waits, so a signal that it lets in ends the wait
 * and one that came before ends it at once: what sigprocmask() around poll() cannot do. The mask in
 * place comes back with the call's result, or, if a signal ended the wait, after its handler, which
 * is to run under the mask of the wait.
 */
#include "wait_mask.h"

#include <pith/proc.h>

int wait_mask_begin(struct user_ptr at, u64 bytes)
{
    u64 mask;

    if (user_ptr_is_null(at))
        return 0;
    if (bytes != sizeof(mask))
        return -EINVAL;
    if (copy_in(&mask, at, sizeof(mask)))
        return -EFAULT;
    signal_mask_replace_temporarily(mask);
    return 0;
}

void wait_mask_end(struct user_ptr at, long result)
{
    if (!user_ptr_is_null(at) && result != -EINTR)
        signal_mask_restore();
}
