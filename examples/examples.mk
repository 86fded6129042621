# Rules for the examples: each examples/NAME.c is a program of its own, built as anybody builds one:
# dynamic, and placed at random. Those that start programs by spawn need its library, and are static.

EXAMPLES_SPAWN := fork_charges spawn_costs
EXAMPLES := $(patsubst examples/%.c,$(B)/examples/%,$(wildcard examples/*.c))

.PHONY: examples
all: examples
examples: $(EXAMPLES) ## the programs of the lectures

$(EXAMPLES_SPAWN:%=$(B)/examples/%): $(B)/examples/%: examples/%.c user/lib/spawn.c user/lib/spawn.h
	@mkdir -p $(@D)
	musl-gcc -static $(COMMON_CFLAGS) -D_GNU_SOURCE -Ikernel/include -MF $@.d -o $@ $< user/lib/spawn.c

$(B)/examples/%: examples/%.c
	@mkdir -p $(@D)
	gcc $(COMMON_CFLAGS) -MF $@.d -o $@ $<

-include $(wildcard $(B)/examples/*.d)
