# Rules for the benchmarks against Linux.

.PHONY: bench bench-linux
bench: bench-process-run bench-linux ## prints the benchmarks' tables

BENCH_PROGRAMS := $(B)/bench/operations $(B)/bench/nothing

$(B)/bench/operations $(B)/bench/nothing: $(B)/bench/%: bench/%.c
	@mkdir -p $(@D)
	musl-gcc -static -O2 -g -Wall -Wextra -Werror -Wno-unused-parameter -idirafter /usr/include \
		-idirafter /usr/include/x86_64-linux-gnu -o $@ $< -lpthread

bench-linux: all $(BENCH_PROGRAMS) ## boot and operations, beside Debian's Linux in the same QEMU
	@tools/install-packages bench
	@bench/compare $(B)
