# Rules for the file server: a library that the `pith` command links, and `fs-serve`, which serves
# one socket by hand (for tests with other guests, and for looking at it under a debugger).

FS_SERVER_SOURCES := $(filter-out host/fs_serve_main.c,$(wildcard host/fs_*.c))
FS_SERVER_OBJECTS := $(FS_SERVER_SOURCES:%.c=$(B)/%.o)
FS_SERVER_LIBRARY := $(B)/host/fs_server.a
FS_SERVER_CFLAGS := $(COMMON_CFLAGS) -D_GNU_SOURCE -Ikernel/include

all: $(B)/host/fs-serve

$(FS_SERVER_OBJECTS) $(B)/host/fs_serve_main.o: $(B)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(FS_SERVER_CFLAGS) -c -o $@ $<

$(FS_SERVER_LIBRARY): $(FS_SERVER_OBJECTS)
	rm -f $@
	ar rcs $@ $^

$(B)/host/fs-serve: $(B)/host/fs_serve_main.o $(FS_SERVER_LIBRARY)
	$(CC) -o $@ $^

-include $(FS_SERVER_OBJECTS:.o=.d) $(B)/host/fs_serve_main.d

# The unit tests link the server's sources; what they need beyond the tests' own flags.
$(B)/tests/unit/linked/host/fs_%.o $(B)/tests/unit/host_fs_%.o: UNIT_CFLAGS += -D_GNU_SOURCE

FS_FUZZ := $(B)/tests/unit/host_fs_fuzz

.PHONY: test-fs-fuzz
test-fs-fuzz: $(FS_FUZZ) ## 20,000 hostile requests to the file server
	FS_FUZZ_REQUESTS=20000 FS_FUZZ_SEED=1 $(FS_FUZZ)

.PHONY: soak-fs-fuzz
soak-fs-fuzz: $(FS_FUZZ) ## a million hostile requests to the file server
	for seed in 1 2 3 4; do \
		FS_FUZZ_REQUESTS=250000 FS_FUZZ_SEED=$$seed $(FS_FUZZ) || exit 1; \
	done

.PHONY: test-fs-linux
test-fs-linux: $(B)/host/fs-serve ## the file server under a Linux guest, compared with the host
	PITH_BUILD=$(abspath $(B)) python3 -m pytest -q tests/e2e/test_file_server.py

$(B)/bench/file_server: bench/file_server.c $(FS_SERVER_LIBRARY)
	@mkdir -p $(@D)
	$(CC) $(FS_SERVER_CFLAGS) -Wno-missing-prototypes -Wno-shadow -Ihost -Itests/unit -o $@ $^

.PHONY: bench-file-server
bench-file-server: $(B)/bench/file_server ## what the file server costs a name, a request, a megabyte
	$<
