# Rules for Pith's own programs that run in the guest: static, against musl.
#
# user/init/ is /init; each other user/NAME/ or user/NAME.c is /pith/bin/NAME.

USER_CC := musl-gcc
USER_CFLAGS := $(COMMON_CFLAGS) -Os -D_GNU_SOURCE -fno-pie -fno-asynchronous-unwind-tables \
	-ffunction-sections -fdata-sections -Ikernel/include
USER_LDFLAGS := -static -no-pie -s -Wl,--gc-sections -Wl,-z,noseparate-code -Wl,--build-id=none

INIT_SOURCES := $(wildcard user/init/*.c)
USER_NAMES := $(basename $(notdir $(wildcard user/*.c)))
USER_FOLDERS := $(filter-out init lib,$(patsubst user/%/,%,$(wildcard user/*/)))
USER_PROGRAMS := $(B)/guest/init $(USER_NAMES:%=$(B)/guest/bin/%) \
	$(USER_FOLDERS:%=$(B)/guest/bin/%)

all: $(USER_PROGRAMS)

$(B)/user/%.o: user/%.c
	@mkdir -p $(@D)
	$(USER_CC) $(USER_CFLAGS) -c -o $@ $<

$(B)/guest/init: $(INIT_SOURCES:%.c=$(B)/%.o)
	@mkdir -p $(@D)
	$(USER_CC) $(USER_LDFLAGS) -o $@ $^

$(USER_NAMES:%=$(B)/guest/bin/%): $(B)/guest/bin/%: $(B)/user/%.o
	@mkdir -p $(@D)
	$(USER_CC) $(USER_LDFLAGS) -o $@ $^

define USER_FOLDER_RULE
$(B)/guest/bin/$(1): $(patsubst %.c,$(B)/%.o,$(wildcard user/$(1)/*.c))
	@mkdir -p $$(@D)
	$$(USER_CC) $$(USER_LDFLAGS) -o $$@ $$^
endef
$(foreach folder,$(USER_FOLDERS),$(eval $(call USER_FOLDER_RULE,$(folder))))

-include $(shell find $(B)/user -name '*.d' 2>/dev/null)
