# From the loader to C: 32-bit protected mode without paging to long mode at the kernel's addresses.
#
# A PVH loader (QEMU, Firecracker, Cloud Hypervisor) finds pvh_entry by the ELF note, a Multiboot2
# loader (GRUB) finds multiboot2_entry by the header at the start of the image. Both jump there with
# the physical address of their information in ebx, flat segments, interrupts off.
#
# The code is linked at the kernel's address and runs 2 GiB below it until the jump, so every symbol
# is PHYSICAL(). Long mode cannot be entered but with paging on, and paging not without the page
# that is executed just then being mapped where it is; so the boot tables map the first GiB three
# times, with large pages, through one table of pages:
#
#     root entry   0   --.
#     root entry 256   ---+-> boot_table_low [0]     --.    where it is (until the jump)
#                         |                            |    the direct map
#                                                      +--> boot_table_pages: 512 pages of 2 MiB
#     root entry 511   ------> boot_table_image [510] -'    KERNEL_IMAGE
#
# page_table.c replaces them on each CPU; other CPUs start on them again (trampoline.S).
#
# Registers kept to the end: ebp = the loader's mark, ebx = its information. No stack is there
# before long_mode_prepare's call, and no gate before descriptors_init: any fault here is a triple
# fault.

#include "constants.h"

#include <offsets.h>

#define PHYSICAL(symbol) ((symbol) - IMAGE_BASE)
#define NOTE_TYPE_PHYS32_ENTRY 18 /* XEN_ELFNOTE_PHYS32_ENTRY of the PVH boot protocol */

    .section .note.pvh, "a", @note
    .balign 4
    .long 4, 8, NOTE_TYPE_PHYS32_ENTRY
    .asciz "Xen"
    .quad PHYSICAL(pvh_entry)

    # Within the file's first 32 KiB, so first in the image (Multiboot2 3.1.1).
    .section .multiboot2, "ax"
    .balign 8
multiboot2_header:
    .long MULTIBOOT2_HEADER_MARK, 0, multiboot2_header_end - multiboot2_header
    .long -(MULTIBOOT2_HEADER_MARK + (multiboot2_header_end - multiboot2_header))
    .word MULTIBOOT2_TAG_ENTRY, 0
    .long 12, PHYSICAL(multiboot2_entry)
    .balign 8
    .word MULTIBOOT2_TAG_MODULE_ALIGN, 0
    .long 8
    .word 0, 0 /* the end */
    .long 8
multiboot2_header_end:

    .section .boot.tables, "aw"
    .balign 4096
    .global boot_table_root
boot_table_root:
    .quad PHYSICAL(boot_table_low) + BOOT_TABLE_FLAGS
    .fill 255, 8, 0
    .quad PHYSICAL(boot_table_low) + BOOT_TABLE_FLAGS /* DIRECT_MAP */
    .fill 254, 8, 0
    .quad PHYSICAL(boot_table_image) + BOOT_TABLE_FLAGS
boot_table_low:
    .quad PHYSICAL(boot_table_pages) + BOOT_TABLE_FLAGS
    .fill 511, 8, 0
boot_table_image:
    .fill 510, 8, 0
    .quad PHYSICAL(boot_table_pages) + BOOT_TABLE_FLAGS /* KERNEL_IMAGE */
    .quad 0
boot_table_pages:
    .set page, 0
    .rept 512
    .quad page + BOOT_PAGE_FLAGS
    .set page, page + 0x200000
    .endr

    .section .rodata
    .balign 8
boot_descriptors:
    .quad 0
    .quad DESCRIPTOR_KERNEL_CODE
    .quad DESCRIPTOR_DATA
boot_descriptors_end:
boot_descriptor_pointer:
    .word boot_descriptors_end - boot_descriptors - 1
    .long PHYSICAL(boot_descriptors)

    .section .bss.page_aligned, "aw", @nobits
    .balign 4096
    .global boot_stack, boot_stack_end
boot_stack:
    .skip BOOT_STACK_BYTES
boot_stack_end:

    .section .boot.text, "ax"
    .code32
    .global pvh_entry
pvh_entry:
    xorl %eax, %eax
multiboot2_entry:
    movl %eax, %ebp
    cld
    cli
    movl $PHYSICAL(boot_table_root), %edi
    movl $PHYSICAL(boot_stack_end), %esp
    call long_mode_prepare
    ljmp $KERNEL_CS, $PHYSICAL(boot_cpu_64)

# Turns paging on with the boot tables (root in edi). Keeps ebx, ebp; clobbers eax, ecx, edx, esi.
    .global long_mode_prepare
long_mode_prepare:
    # All of it, not only ours added: with LA57 left on by firmware the root would be one of five
    # levels, and it can be changed only outside of long mode (SDM 3A "CR4.LA57").
    movl $(CR4_PAE | CR4_PGE), %eax
    movl %eax, %cr4
    movl %edi, %cr3
    # Execution protection only where the CPU has it: the bit is reserved elsewhere.
    pushl %ebx
    movl $0x80000001, %eax
    cpuid
    popl %ebx
    movl $(EFER_LME | EFER_SCE), %esi
    testl $CPUID_80000001_EDX_NX, %edx
    jz 1f
    orl $EFER_NXE, %esi
1:  movl $MSR_EFER, %ecx
    movl %esi, %eax
    xorl %edx, %edx
    wrmsr
    movl $(CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_PG), %eax
    movl %eax, %cr0
    lgdt PHYSICAL(boot_descriptor_pointer)
    ret

    .code64
boot_cpu_64:
    movabsq $boot_cpu_high, %rax
    jmp *%rax
boot_cpu_high:
    movl $KERNEL_DS, %eax
    movl %eax, %ss
    xorl %eax, %eax # sysret leaves these four as they are: user mode finds them empty
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %fs
    movl %eax, %gs
    movq $boot_stack_end, %rsp
    movl %ebp, boot_loader_mark(%rip)
    movl %ebx, boot_loader_data(%rip)
    # C code finds its CPU, and the stack protector its guard value, by GS.
    movl $MSR_GS_BASE, %ecx
    movq $cpu_area, %rax
    movq %rax, %rdx
    shrq $32, %rdx
    wrmsr
    rdtsc
    shlq $32, %rdx
    orq %rdx, %rax
    movq %rax, boot_tsc(%rip)
    movq %rax, %rdi
    movl $1, %eax
    cpuid
    testl $CPUID_1_ECX_RDRAND, %ecx
    jz 1f
    rdrand %rax
    xorq %rax, %rdi
1:  movabsq $0x9e3779b97f4a7c15, %rax # the golden ratio: spreads the counter's low bits
    imulq %rax, %rdi
    xorb %dil, %dil # a NUL stops string overruns
    movq %rdi, %gs:CPU_STACK_GUARD
    # The stack ends on a frame that says so (backtrace.c).
    xorl %ebp, %ebp
    pushq $0
    pushq $0
    call kernel_main
1:  hlt
    jmp 1b
