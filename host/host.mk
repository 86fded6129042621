# Rules for the programs of the user's machine: the `pith` command and process-run.
include host/fs_server.mk
include host/process_run.mk

PITH_SOURCES := $(wildcard host/pith*.c)
PITH_OBJECTS := $(PITH_SOURCES:%.c=$(B)/%.o)
PITH_CFLAGS := $(COMMON_CFLAGS) -D_GNU_SOURCE -Ikernel/include -Ihost

all: $(B)/pith

$(PITH_OBJECTS): $(B)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(PITH_CFLAGS) -c -o $@ $<

$(B)/pith: $(PITH_OBJECTS) $(FS_SERVER_LIBRARY)
	$(CC) -o $@ $^ -lm

-include $(PITH_OBJECTS:.o=.d)

# Their unit tests see the same C library.
$(B)/tests/unit/linked/host/pith_%.o $(B)/tests/unit/host_link.o: UNIT_CFLAGS += -D_GNU_SOURCE

# ---- To run it, and to install it ----

# What a machine needs to run: the command, the kernel and the guest's programs.
RUNNABLE := $(B)/pith $(KERNEL_ELF) $(USER_PROGRAMS)

.PHONY: run gdb install
run: ## boots to a shell; CMD="ls -l" runs one command instead
	@tools/install-packages build
	@$(MAKE) --no-print-directory -s $(RUNNABLE)
	@$(B)/pith $(if $(CMD),run -- $(CMD),shell)

gdb: $(RUNNABLE) ## debugs the kernel that runs CMD; `pith ps` and `pith stacks` list processes
	@command -v gdb >/dev/null || tools/install-packages debug
	@tools/run-gdb $(B) $(CMD)

install: $(RUNNABLE) $(B)/process-run ## installs below PREFIX (/usr/local)
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/pith/guest/bin \
		$(DESTDIR)$(PREFIX)/share/man/man1 \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions
	install $(B)/pith $(B)/process-run $(DESTDIR)$(PREFIX)/bin
	install -m 644 $(KERNEL_ELF) $(DESTDIR)$(PREFIX)/lib/pith
	install $(B)/guest/init $(DESTDIR)$(PREFIX)/lib/pith/guest
	install $(filter $(B)/guest/bin/%,$(USER_PROGRAMS)) $(DESTDIR)$(PREFIX)/lib/pith/guest/bin
	install -m 644 $(wildcard host/*.1) $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 644 host/completion/pith $(DESTDIR)$(PREFIX)/share/bash-completion/completions
