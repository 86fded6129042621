# Rules for Pith's own programs that run in the guest: static, against musl.
#
# user/init/ is /init; each other user/NAME/ or user/NAME.c is /pith/bin/NAME.

GUEST_CC := musl-gcc
GUEST_CFLAGS := $(COMMON_CFLAGS) -Os -D_GNU_SOURCE -fno-pie -fno-asynchronous-unwind-tables \
	-ffunction-sections -fdata-sections -Ikernel/include
GUEST_LDFLAGS := -static -no-pie -s -Wl,--gc-sections -Wl,-z,noseparate-code -Wl,--build-id=none

INIT_SOURCES := $(wildcard user/init/*.c)
GUEST_NAMES := $(basename $(notdir $(wildcard user/*.c)))
GUEST_FOLDERS := $(filter-out init,$(patsubst user/%/,%,$(wildcard user/*/)))
GUEST_PROGRAMS := $(B)/guest/init $(GUEST_NAMES:%=$(B)/guest/bin/%) \
	$(GUEST_FOLDERS:%=$(B)/guest/bin/%)

all: $(GUEST_PROGRAMS)

$(B)/user/%.o: user/%.c
	@mkdir -p $(@D)
	$(GUEST_CC) $(GUEST_CFLAGS) -c -o $@ $<

$(B)/guest/init: $(INIT_SOURCES:%.c=$(B)/%.o)
	@mkdir -p $(@D)
	$(GUEST_CC) $(GUEST_LDFLAGS) -o $@ $^

$(GUEST_NAMES:%=$(B)/guest/bin/%): $(B)/guest/bin/%: $(B)/user/%.o
	@mkdir -p $(@D)
	$(GUEST_CC) $(GUEST_LDFLAGS) -o $@ $^

define GUEST_FOLDER_RULE
$(B)/guest/bin/$(1): $(patsubst %.c,$(B)/%.o,$(wildcard user/$(1)/*.c))
	@mkdir -p $$(@D)
	$$(GUEST_CC) $$(GUEST_LDFLAGS) -o $$@ $$^
endef
$(foreach folder,$(GUEST_FOLDERS),$(eval $(call GUEST_FOLDER_RULE,$(folder))))

-include $(shell find $(B)/user -name '*.d' 2>/dev/null)
