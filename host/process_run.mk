# Rules for process-run. The policies are the kernel's own files, compiled for the host.

PROCESS_RUN_SOURCES := $(wildcard host/process_run*.c) $(wildcard kernel/sched/polic*.c) kernel/lib/tree.c
PROCESS_RUN_CFLAGS := $(COMMON_CFLAGS) -D_GNU_SOURCE -Ikernel/include
PROCESS_RUN_SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all
PROCESS_RUN := $(B)/process-run
PROCESS_RUN_CHECKED := $(B)/process-run-checked
PROCESS_RUN_OBJECTS := $(PROCESS_RUN_SOURCES:%=$(B)/process-run.o/%.o)
PROCESS_RUN_CHECKED_OBJECTS := $(PROCESS_RUN_SOURCES:%=$(B)/process-run-checked.o/%.o)

all: $(PROCESS_RUN)

$(PROCESS_RUN_OBJECTS): $(B)/process-run.o/%.o: %
	@mkdir -p $(@D)
	$(CC) $(PROCESS_RUN_CFLAGS) -c -o $@ $<

$(PROCESS_RUN): $(PROCESS_RUN_OBJECTS)
	$(CC) -o $@ $^

$(PROCESS_RUN_CHECKED_OBJECTS): $(B)/process-run-checked.o/%.o: %
	@mkdir -p $(@D)
	$(CC) $(PROCESS_RUN_CFLAGS) $(PROCESS_RUN_SANITIZE) -c -o $@ $<

$(PROCESS_RUN_CHECKED): $(PROCESS_RUN_CHECKED_OBJECTS)
	$(CC) $(PROCESS_RUN_SANITIZE) -o $@ $^

-include $(PROCESS_RUN_OBJECTS:.o=.d) $(PROCESS_RUN_CHECKED_OBJECTS:.o=.d)

# ---- Tests: CI's run takes a minute on two cores, the soak's fuzzing ten ----

.PHONY: test-process-run soak soak-process-run bench-process-run
test-process-run: $(PROCESS_RUN) $(PROCESS_RUN_CHECKED) ## runs the tests of process-run
	@tests/process_run/run_all $(PROCESS_RUN) $(PROCESS_RUN_CHECKED)
soak: soak-process-run
soak-process-run: $(PROCESS_RUN_CHECKED)
	tests/process_run/test_original $(PROCESS_RUN_CHECKED) 20000 2
	tests/process_run/test_policies $(PROCESS_RUN_CHECKED) 500 2
	tests/process_run/fuzz $(PROCESS_RUN_CHECKED) 100000 2
bench-process-run: $(PROCESS_RUN)
	@bench/process_run $(PROCESS_RUN)

# ---- The documents: their output and figures come from running the commands in them ----

.PHONY: docs-process-run
docs-process-run: $(PROCESS_RUN) ## makes the output and figures of docs/process-run.md
	PATH="$(CURDIR)/$(B):$$PATH" tools/refresh-doc docs/process-run.md
