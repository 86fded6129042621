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
