# Fuzzing the kernel from inside: random system calls, mutated programs. Meant for SAN=1.

FUZZERS := $(B)/tests/fuzz/fuzz_calls $(B)/tests/fuzz/fuzz_exec
# Of each: what CI runs; `make soak-fuzz` runs many more.
FUZZ_SEED ?= 1
FUZZ_CALLS ?= 100000
FUZZ_FILES ?= 1000
FUZZ_RUN = $(B)/pith run -q --cpus 2 --mem 512M --user 0:0 --timeout $(FUZZ_TIMEOUT) --cwd / --
FUZZ_TIMEOUT ?= 500

$(B)/tests/fuzz/calls.h: tests/fuzz/make_calls kernel/abi/syscall_table.c
	@mkdir -p $(@D)
	tests/fuzz/make_calls kernel/abi/syscall_table.c >$@
$(B)/tests/fuzz/fuzz_calls: $(B)/tests/fuzz/calls.h
$(B)/tests/fuzz/%: tests/fuzz/%.c $(wildcard tests/fuzz/*.h)
	@mkdir -p $(@D)
	$(GUEST_MUSL) $(GUEST_CFLAGS) -I$(B)/tests/fuzz -MF $@.d -o $@ $< -lpthread

.PHONY: test-fuzz fuzz-calls fuzz-exec soak-fuzz
test-fuzz: fuzz-exec fuzz-calls ## random calls and broken programs by an unprivileged user (SAN=1)
fuzz-calls: all $(FUZZERS)
	@tests/fuzz/run calls $(FUZZ_RUN) $(abspath $(B))/tests/fuzz/fuzz_calls --seed $(FUZZ_SEED) \
		--calls $(FUZZ_CALLS)
fuzz-exec: all $(FUZZERS)
	@tests/fuzz/run exec $(FUZZ_RUN) $(abspath $(B))/tests/fuzz/fuzz_exec --seed $(FUZZ_SEED) \
		--files $(FUZZ_FILES)
soak-fuzz:
	$(MAKE) SAN=1 FUZZ_SEED=$$(date +%s) FUZZ_CALLS=1000000 FUZZ_FILES=10000 FUZZ_TIMEOUT=7200 test-fuzz
