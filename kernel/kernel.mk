# Rules for the kernel: every .c and .S below kernel/ is part of it.

KERNEL_OFFSETS_SOURCE := kernel/arch/x86_64/offsets.c
VDSO_SOURCE := kernel/arch/x86_64/vdso/vdso.c
KERNEL_SOURCES := $(filter-out $(KERNEL_OFFSETS_SOURCE) $(VDSO_SOURCE), \
	$(sort $(shell find kernel -name '*.c' -o -name '*.S')))
KERNEL_GENERATED := # objects from generated sources, added by fragments

KERNEL_CFLAGS := $(COMMON_CFLAGS) -ffreestanding -fbuiltin -fno-pic -fno-pie -mcmodel=kernel -mno-red-zone \
	-mgeneral-regs-only -fno-omit-frame-pointer -fno-asynchronous-unwind-tables \
	-fcf-protection=none -fno-builtin-printf -ffunction-sections -fdata-sections \
	-Ikernel/include -I$(B)/kernel/include -D__PITH_KERNEL__ \
	-fstack-protector-strong -mstack-protector-guard=tls -mstack-protector-guard-reg=gs \
	-mstack-protector-guard-offset=40

ifneq ($(filter clang%,$(notdir $(firstword $(CC)))),)
KERNEL_CFLAGS += -Wno-shadow # it sees a MIN inside a MIN; gcc finds the others
endif

ifeq ($(SAN),1)
# The sanitizers call into core/ for each access; stacks and globals are not instrumented.
KERNEL_CFLAGS += -DSAN=1
ifeq ($(findstring clang,$(CC)),)
KERNEL_SANITIZE := -fsanitize=kernel-address --param asan-instrumentation-with-call-threshold=0 \
	--param asan-stack=0 --param asan-globals=0 -fsanitize=bounds,shift,signed-integer-overflow,unreachable,integer-divide-by-zero,null,bool,enum,alignment
KERNEL_COVERAGE := -fsanitize-coverage=trace-pc
else
KERNEL_SANITIZE :=
endif
KERNEL_WRAP := --wrap=memcpy --wrap=memmove --wrap=memset
KERNEL_LEFT_OUT :=
else
KERNEL_CFLAGS += -DSAN=0
KERNEL_SANITIZE :=
KERNEL_WRAP :=
KERNEL_LEFT_OUT := kernel/core/sanitizer.c kernel/core/lock_check.c kernel/core/coverage.c
endif
KERNEL_OBJECTS := $(patsubst %,$(B)/%.o,$(filter-out $(KERNEL_LEFT_OUT),$(KERNEL_SOURCES)))

# Folders whose code runs before or below the sanitizer's shadow.
KERNEL_UNSANITIZED := kernel/arch/% kernel/core/sanitizer.c kernel/lib/string.c \
	kernel/mem/slab_layout.c

# Folders whose basic blocks are counted: not those that every call runs through.
KERNEL_COVERED := $(patsubst %,kernel/%/%,vm fs proc net tty dev abi)

KERNEL_ELF := $(B)/pith.elf
KERNEL_SCRIPT := kernel/arch/x86_64/kernel.ld
KERNEL_OFFSETS := $(B)/kernel/include/offsets.h

all: $(KERNEL_ELF)

# Linked twice: the second time with the names of the first one's functions, which lie behind all
# code, so that no function moves.
KERNEL_LINK = ld -static -nostdlib --gc-sections --build-id=none -z max-page-size=4096 \
	-z noexecstack --no-warn-rwx-segments $(KERNEL_WRAP) -T $(KERNEL_SCRIPT) $(KERNEL_OBJECTS) $(KERNEL_GENERATED)

$(KERNEL_ELF): $(KERNEL_OBJECTS) $(KERNEL_GENERATED) $(KERNEL_SCRIPT) tools/make-symbols
	$(KERNEL_LINK) -o $@.unnamed
	tools/make-symbols $@.unnamed >$@.symbols.s
	as -o $@.symbols.o $@.symbols.s
	$(KERNEL_LINK) -o $@ $@.symbols.o
	@rm -f $@.unnamed $@.symbols.s $@.symbols.o

# What assembly knows of C's structures.
$(KERNEL_OFFSETS): $(KERNEL_OFFSETS_SOURCE)
	@mkdir -p $(@D)
	$(CC) $(KERNEL_CFLAGS) -MF $@.d -MT $@ -S -o $@.s $<
	sed -n 's/^[[:space:]]*\(#define [A-Z_0-9]* \)\$$*/\1/p' $@.s >$@
-include $(KERNEL_OFFSETS).d

# The vDSO: a shared object for user mode, embedded in the kernel.
VDSO_SO := $(B)/kernel/arch/x86_64/vdso.so
VDSO_SCRIPT := kernel/arch/x86_64/vdso/vdso.ld
$(VDSO_SO): $(VDSO_SOURCE) $(VDSO_SCRIPT) kernel/include/pith/vdso.h
	@mkdir -p $(@D)
	$(CC) $(WARNINGS) -std=gnu17 -O2 -fPIC -ffreestanding -fno-stack-protector -fno-builtin \
		-fcf-protection=none -fno-asynchronous-unwind-tables -mgeneral-regs-only -Ikernel/include \
		-fvisibility=default -c -o $@.o $(VDSO_SOURCE)
	ld -shared -soname linux-vdso.so.1 --hash-style=both --build-id=sha1 -z max-page-size=4096 \
		-z noexecstack --no-warn-rwx-segments -s -T $(VDSO_SCRIPT) -o $@ $@.o
$(B)/kernel/arch/x86_64/vdso_image.S.o: $(VDSO_SO)
$(B)/kernel/arch/x86_64/vdso_image.S.o: KERNEL_CFLAGS += -DVDSO_SO='"$(VDSO_SO)"'

# The compiler would make calls of themselves from the loops in these.
$(B)/kernel/lib/string.c.o: KERNEL_CFLAGS += -fno-builtin \
	$(if $(filter clang%,$(notdir $(firstword $(CC)))),,-fno-tree-loop-distribute-patterns)

$(B)/kernel/%.c.o: kernel/%.c
	@mkdir -p $(@D)
	$(CC) $(KERNEL_CFLAGS) $(if $(filter $(KERNEL_UNSANITIZED),$<),,$(KERNEL_SANITIZE)) \
		$(if $(filter $(KERNEL_COVERED),$<),$(KERNEL_COVERAGE)) -c -o $@ $<

$(B)/kernel/%.S.o: kernel/%.S $(KERNEL_OFFSETS)
	@mkdir -p $(@D)
	$(CC) $(KERNEL_CFLAGS) -D__ASSEMBLY__ -Wa,--noexecstack -c -o $@ $<

-include $(KERNEL_OBJECTS:.o=.d)
