# Rules for the tests: unit (host), guest (Linux, then Pith), e2e.

# What the runners count goes through tests/summary, which prints the last line and the status.
TEST_TIMEOUT ?= 900

# ---- Unit tests: one program for each tests/unit/*.c, with the sources that it names ----

UNIT_TESTS := $(sort $(wildcard tests/unit/*.c))
UNIT_PROGRAMS := $(UNIT_TESTS:tests/unit/%.c=$(B)/tests/unit/%)
UNIT_CFLAGS := $(COMMON_CFLAGS) -O1 -fsanitize=address,undefined -fno-sanitize=object-size -fno-sanitize-recover=all \
	-fno-omit-frame-pointer -Wno-missing-prototypes -Wno-shadow -DSAN=0 -Ikernel/include -Ikernel -Ihost \
	-Itests/unit

# unit_links(test): the objects of the sources in its `links:` comment, else of the source that its
# name names: lib_tree.c tests kernel/lib/tree.c.
unit_named = $(shell sed -n '1,30s/.*links: *\([^*]*\).*/\1/p' $(1))
unit_default = $(wildcard $(shell echo $(notdir $(1)) | sed 's,\([^_]*\)_,kernel/\1/,'))
unit_links = $(patsubst %.c,$(B)/tests/unit/linked/%.o,$(or $(call unit_named,$(1)),$(call unit_default,$(1))))

define UNIT_RULE
$(B)/tests/unit/$(1): $(B)/tests/unit/$(1).o $(call unit_links,tests/unit/$(1).c)
	$$(CC) -fsanitize=address,undefined -o $$@ $$^
endef
$(foreach test,$(UNIT_TESTS),$(eval $(call UNIT_RULE,$(basename $(notdir $(test))))))

$(B)/tests/unit/%.o: tests/unit/%.c
	@mkdir -p $(@D)
	$(CC) $(UNIT_CFLAGS) -c -o $@ $<
$(B)/tests/unit/linked/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(UNIT_CFLAGS) -c -o $@ $<
.SECONDARY: $(UNIT_PROGRAMS:=.o)
-include $(shell find $(B)/tests -name '*.d' 2>/dev/null)

.PHONY: test-unit
test-unit: $(UNIT_PROGRAMS) ## runs the unit tests on the host
	@tests/run_unit $(UNIT_PROGRAMS)

# ---- Guest tests: tests/guest/test_AREA.c, static by musl; some also dynamic by glibc ----

GUEST_TESTS := $(sort $(wildcard tests/guest/test_*.c))
GUEST_DYNAMIC := threads signal fork memory
GUEST_PROGRAMS := $(GUEST_TESTS:tests/guest/%.c=$(B)/tests/guest/%) \
	$(patsubst %,$(B)/tests/guest/dynamic/test_%,$(GUEST_DYNAMIC))
GUEST_PROGRAMS := $(filter $(patsubst tests/guest/%.c,\%/%,$(GUEST_TESTS)),$(GUEST_PROGRAMS))
# The kernel's user headers come after musl's own.
GUEST_CFLAGS := -std=gnu17 -g -O1 -Wall -Wextra -Werror -Wno-sign-compare -Wno-unused-parameter -Wno-infinite-recursion \
	-fno-strict-aliasing -MMD -MP
GUEST_MUSL := musl-gcc -static -Ikernel/include -idirafter /usr/include -idirafter /usr/include/x86_64-linux-gnu

$(B)/tests/guest/%: tests/guest/%.c
	@mkdir -p $(@D)
	$(GUEST_MUSL) $(GUEST_CFLAGS) -MF $@.d -o $@ $< -lpthread
$(B)/tests/guest/dynamic/%: tests/guest/%.c
	@mkdir -p $(@D)
	gcc $(GUEST_CFLAGS) -MF $@.d -o $@ $< -lpthread

.PHONY: guest-programs test-guest test-guest-linux
guest-programs: $(GUEST_PROGRAMS) $(B)/tests/guest/run_all
test-guest-linux: guest-programs ## runs the guest tests on this machine's Linux only
	@tests/run_guest --linux-only $(GUEST_PROGRAMS)
test-guest: all guest-programs ## runs the guest tests on Linux, then in Pith
	@tests/run_guest --pith $(B)/pith --not-yet tests/guest/not-yet.txt $(GUEST_FLAGS) $(GUEST_PROGRAMS)

# ---- End-to-end tests: the pith command, and programs as a user runs them ----

# Those that need nothing but the initramfs, in Bochs.
BOCHS_TESTS := fork mapping memory pipe signal signal_frame threads timers wait
.PHONY: test-bochs
test-bochs: all guest-programs ## boots by GRUB in Bochs, on CPUs that QEMU does not emulate
	@tools/install-packages programs
	@/usr/bin/python3 tests/run_bochs $(BOCHS_FLAGS) --kernel $(B)/pith.elf \
		$(BOCHS_TESTS:%=$(B)/tests/guest/test_%)

PYTHON ?= /usr/bin/python3
PYTEST := PITH_BUILD=$(abspath $(B)) $(PYTHON) -m pytest -q -p no:cacheprovider --tb=short
# Without a machine's boot for each test: the command's own tests.
E2E_LIGHT := tests/e2e/test_pith_options.py tests/e2e/test_pith_protocol.py \
	tests/e2e/test_run_status.py tests/e2e/test_run_memory.py
E2E_PROGRAMS := $(filter-out $(E2E_LIGHT) tests/e2e/test_commands.py,$(wildcard tests/e2e/test_*.py))

.PHONY: test-e2e test-e2e-programs test-machine test-failures test-programs test-commands \
	test-libpython test packages-test
test-e2e: all ## the pith command and the machine's ends, as a user sees them
	@$(PYTEST) $(E2E_LIGHT)
# Ends of runs, streams, and of the shells' and programs' tests some of each kind.
E2E_MACHINE := tests/e2e/test_run_status.py tests/e2e/test_run_streams.py \
	tests/e2e/test_run_shell.py tests/e2e/test_run_programs.py
E2E_MACHINE_SOME := status or streams or pipeline or here_document or trap or background or job or \
	subshell or static or dynamic or python or perl or sed or tar
test-machine: all ## ends, streams and some programs, with PITH_RUN_FLAGS="--machine q35" or the like
	@PITH_RUN_FLAGS="$(PITH_RUN_FLAGS)" $(PYTEST) $(E2E_MACHINE) -k "$(E2E_MACHINE_SOME)"
test-failures: all ## with SAN=1: allocations fail one by one
	@$(PYTEST) tests/e2e/test_allocation_failure.py
test-programs: test-e2e-programs test-commands test-libpython test-bochs ## programs of the host in Pith; other processors
test-e2e-programs: all guest-programs
	@tools/install-packages programs
	@$(PYTEST) $(E2E_PROGRAMS)
test-commands: all ## every small program of Debian; COMMANDS_FLAGS="-k 'not one_cpu'" or the like
	@$(PYTEST) $(COMMANDS_FLAGS) tests/e2e/test_commands.py
test-libpython: all ## a part of Python's own tests in Pith, each as on Linux; LIBPYTHON_FLAGS
	@tools/install-packages programs
	@tests/programs/run_libpython --pith $(B)/pith $(or $(LIBPYTHON_FLAGS),--short)

packages-test:
	@tools/install-packages build test
test: packages-test ## installs what is missing, builds, runs all tests
	@tests/run_tests

# ---- What takes long ----

# The stress, in the build that $(B) is.
SOAK_SECONDS ?= 120
SOAK_CPUS ?= 4 8
STRESS := $(B)/tests/soak/stress

$(STRESS): tests/soak/stress.c
	@mkdir -p $(@D)
	$(GUEST_MUSL) $(GUEST_CFLAGS) -MF $@.d -o $@ $< -lpthread

RACES_SECONDS ?= 60
RACES := $(B)/tests/soak/races
LEAVES_NOTHING := $(B)/tests/soak/leaves_nothing

$(RACES): tests/soak/races.c
	@mkdir -p $(@D)
	$(GUEST_MUSL) $(GUEST_CFLAGS) -MF $@.d -o $@ $< -lpthread

$(LEAVES_NOTHING): tests/soak/leaves_nothing.c tests/fuzz/use.h
	@mkdir -p $(@D)
	$(GUEST_MUSL) $(GUEST_CFLAGS) -MF $@.d -o $@ $<

.PHONY: test-races test-stress soak-guest soak-san soak-commands soak-hostile soak-programs soak-libpython record-proc record-libpython
test-stress: all $(STRESS) ## threads, forks, signals and switches at once; SOAK_SECONDS, SOAK_CPUS
	@for cpus in $(SOAK_CPUS); do \
		echo "$$cpus CPUs:"; \
		$(B)/pith run -q --cpus $$cpus --root none --initramfs-file $(STRESS):/stress -- \
			/stress $(SOAK_SECONDS) || exit 1; \
	done
test-races: all $(RACES) $(LEAVES_NOTHING) ## threads of one process against each other; RACES_SECONDS
	@for cpus in 1 2 4 8; do \
		echo "$$cpus CPUs:"; \
		$(B)/pith run -q --cpus $$cpus --user 0:0 --cwd / -- $(abspath $(LEAVES_NOTHING)) 5 \
			"$(abspath $(RACES)) 1" "$(abspath $(RACES)) $(RACES_SECONDS)" || exit 1; \
	done
soak-guest: all guest-programs
	@tests/run_guest --pith $(B)/pith --not-yet tests/guest/not-yet.txt --pith-only --cpus 8 --jobs 1 $(GUEST_PROGRAMS)
	$(MAKE) test-machine PITH_RUN_FLAGS="--cpus 8"
soak-san:
	$(MAKE) SAN=1 test-stress test-races
	$(MAKE) SAN=1 test-e2e test-programs
soak-commands:
	PITH_SOAK=1 $(MAKE) test-commands
soak-programs: all ## programs whose compilers are large: Java, Go, Rust
	@tools/install-packages soak
	@$(PYTEST) tests/e2e/test_heavy_programs.py
soak-hostile: $(B)/tests/unit/dev_hostile_host $(B)/tests/unit/dev_hostile_link ## a million runs of a hostile host side
	for program in $^; do HOSTILE_RUNS=1000000 HOSTILE_SEED=7 $$program || exit 1; done
soak-libpython: all record-libpython ## all of Python's own tests that Pith can run, in both builds
	@for cpus in 1 2; do \
		tests/programs/run_libpython --pith $(B)/pith --cpus $$cpus --all || failed=1; \
	done; exit $$failed
	$(MAKE) SAN=1 test-libpython LIBPYTHON_FLAGS=--all
record-proc: all ## what /proc and its readers show in the referee, for the comparison with Pith
	@tools/install-packages programs
	@PITH_RECORD=1 PITH_REFEREE=linux61 $(PYTEST) tests/e2e/test_proc_formats.py
record-libpython: all ## Python's own tests in the referee, for the comparison with Pith
	@tools/install-packages programs
	@tests/programs/run_libpython --record $(or $(LIBPYTHON_FLAGS),--all)
soak: test-stress test-races soak-fuzz soak-guest soak-san soak-commands soak-programs soak-hostile soak-libpython soak-fs-fuzz soak-stress ## all that takes long: an hour
