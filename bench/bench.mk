# Rules for the benchmarks against Linux.

.PHONY: bench bench-linux bench-programs bench-doc
bench: bench-process-run bench-linux ## prints the benchmarks' tables

BENCH_CC := musl-gcc -static -O2 -g -Wall -Wextra -Werror -Wno-unused-parameter -MMD -MP \
	-idirafter /usr/include -idirafter /usr/include/x86_64-linux-gnu
BENCH_OPERATIONS := $(wildcard bench/operations*.c) bench/scaling.c
BENCH_PROGRAMS := $(B)/bench/operations $(B)/bench/nothing $(B)/bench/tsc_khz \
	$(B)/bench/instructions.so

# At an address of their own: the plugin knows the program by it.
BENCH_LINK := $(BENCH_CC) -no-pie -Wl,-Ttext-segment=0x20000000

$(B)/bench/%.o: bench/%.c
	@mkdir -p $(@D)
	$(BENCH_CC) -c -o $@ $<
$(B)/bench/operations: $(BENCH_OPERATIONS:%.c=$(B)/%.o)
	$(BENCH_LINK) -o $@ $^ -lpthread
$(B)/bench/nothing $(B)/bench/tsc_khz: %: %.o
	$(BENCH_LINK) -o $@ $^
$(B)/bench/instructions.so: bench/instructions.c
	@mkdir -p $(@D)
	$(CC) -O2 -Wall -Wextra -Werror -shared -fPIC -o $@ $<

bench-programs: all $(BENCH_PROGRAMS)
	@tools/install-packages bench
bench-linux: bench-programs ## boot, operations, scaling and files, beside Debian's Linux in the same QEMU
	@bench/compare $(B)
bench-doc: bench-programs ## makes the tables of docs/bench.md anew, from one run
	@bench/compare $(B) --write docs/bench.md
