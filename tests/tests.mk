# Rules for the tests: unit (host), guest (Linux, then Pith), e2e.

# What the runners count goes through tests/summary, which prints the last line and the status.
TEST_TIMEOUT ?= 900

# ---- Unit tests: one program for each tests/unit/*.c, with the sources that it names ----

UNIT_TESTS := $(sort $(wildcard tests/unit/*.c))
UNIT_PROGRAMS := $(UNIT_TESTS:tests/unit/%.c=$(B)/tests/unit/%)
UNIT_CFLAGS := $(COMMON_CFLAGS) -O1 -fsanitize=address,undefined -fno-sanitize-recover=all \
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
