# Rules for the examples: each examples/NAME.c is a program of its own, static by musl.

EXAMPLES := $(patsubst examples/%.c,$(B)/examples/%,$(wildcard examples/*.c))

.PHONY: examples
all examples: $(EXAMPLES)

$(B)/examples/%: examples/%.c user/lib/spawn.c user/lib/spawn.h
	@mkdir -p $(@D)
	musl-gcc -static $(COMMON_CFLAGS) -D_GNU_SOURCE -Ikernel/include -MF $@.d -o $@ $< user/lib/spawn.c

-include $(wildcard $(B)/examples/*.d)
