# Rules for the kernel: every .c and .S below kernel/ is part of it.

KERNEL_SOURCES := $(sort $(shell find kernel -name '*.c' -o -name '*.S'))
KERNEL_GENERATED := # objects from generated sources, added by fragments
KERNEL_OBJECTS := $(KERNEL_SOURCES:%=$(B)/%.o)

KERNEL_CFLAGS := $(COMMON_CFLAGS) -ffreestanding -fno-pic -fno-pie -mcmodel=kernel -mno-red-zone \
	-mgeneral-regs-only -fno-omit-frame-pointer -fno-asynchronous-unwind-tables \
	-fcf-protection=none -fno-builtin-printf -ffunction-sections -fdata-sections \
	-Ikernel/include -I$(B)/kernel/include -D__PITH_KERNEL__ \
	-fstack-protector-strong -mstack-protector-guard=tls -mstack-protector-guard-reg=gs \
	-mstack-protector-guard-offset=40

ifeq ($(SAN),1)
# The sanitizers call into core/ for each access; stacks and globals are not instrumented.
KERNEL_CFLAGS += -DSAN=1
ifeq ($(findstring clang,$(CC)),)
KERNEL_SANITIZE := -fsanitize=kernel-address --param asan-instrumentation-with-call-threshold=0 \
	--param asan-stack=0 --param asan-globals=0 -fsanitize=bounds,shift,signed-integer-overflow,unreachable,integer-divide-by-zero,null,bool,enum,alignment
else
KERNEL_SANITIZE :=
endif
else
KERNEL_CFLAGS += -DSAN=0
KERNEL_SANITIZE :=
endif
# Folders whose code runs before or below the sanitizer's shadow.
KERNEL_UNSANITIZED := kernel/arch/% kernel/core/sanitizer.c kernel/lib/string.c

KERNEL_ELF := $(B)/pith.elf

all: $(KERNEL_ELF)

$(B)/kernel/%.c.o: kernel/%.c
	@mkdir -p $(@D)
	$(CC) $(KERNEL_CFLAGS) $(if $(filter $(KERNEL_UNSANITIZED),$<),,$(KERNEL_SANITIZE)) -c -o $@ $<

$(B)/kernel/%.S.o: kernel/%.S
	@mkdir -p $(@D)
	$(CC) $(KERNEL_CFLAGS) -D__ASSEMBLY__ -c -o $@ $<

-include $(KERNEL_OBJECTS:.o=.d)
