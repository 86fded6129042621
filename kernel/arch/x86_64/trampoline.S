# Where another CPU begins: in real mode, at the page that the start-up message names.
#
#     trampoline_start   16 bits, at TRAMPOLINE_ADDRESS: the copy; to protected mode by its own table
#     cpu_start_32       32 bits, in the image: paging and long mode on the boot tables, as boot.S
#     cpu_start_64       64 bits, at the physical address still
#     cpu_start_high     at the kernel's address: GS, stack, and C (cpu_start in smp.c, which turns
#                        to the kernel's own page table)
#
# Only the first part is copied (a start-up message can name no address above 1 MiB). smp.c wrote
# the CPU's struct cpu and the end of its stack to the two words in .data before it sent the
# message; they are this CPU's alone until it is online, for one CPU starts at a time.
#
# Interrupts are off throughout, and any fault is a triple fault.

#include "constants.h"

#include <offsets.h>

#define PHYSICAL(symbol) ((symbol) - IMAGE_BASE)
#define COPIED(symbol)   ((symbol) - trampoline_start + TRAMPOLINE_ADDRESS)

    .section .rodata
    .balign 16
    .global trampoline_start, trampoline_end
    .code16
trampoline_start:
    cli
    cld
    xorw %ax, %ax
    movw %ax, %ds
    lgdtl COPIED(trampoline_descriptor_pointer)
    movl %cr0, %eax
    orl $CR0_PE, %eax
    movl %eax, %cr0
    ljmpl $TRAMPOLINE_CS_32, $PHYSICAL(cpu_start_32)
    .balign 8
trampoline_descriptors:
    .quad 0
    .quad DESCRIPTOR_KERNEL_CODE
    .quad DESCRIPTOR_DATA
    .quad DESCRIPTOR_CODE_32
trampoline_descriptor_pointer:
    .word . - trampoline_descriptors - 1
    .long COPIED(trampoline_descriptors)
trampoline_end:

    .data
    .global cpu_start_area, cpu_start_stack
cpu_start_area: /* struct cpu of the CPU that starts */
    .quad 0
cpu_start_stack: /* in the direct map, below 1 GiB */
    .quad 0

    .section .boot.text, "ax"
    .code32
cpu_start_32:
    movl $KERNEL_DS, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl PHYSICAL(cpu_start_stack), %esp /* the low half of a direct map address is physical */
    movl $PHYSICAL(boot_table_root), %edi
    call long_mode_prepare
    ljmp $KERNEL_CS, $PHYSICAL(cpu_start_64)

    .code64
cpu_start_64:
    movabsq $cpu_start_high, %rax
    jmp *%rax
cpu_start_high:
    movl $KERNEL_DS, %eax
    movl %eax, %ss
    xorl %eax, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %fs
    movl %eax, %gs
    movq cpu_start_stack(%rip), %rsp
    movl $MSR_GS_BASE, %ecx
    movq cpu_start_area(%rip), %rax
    movq %rax, %rdx
    shrq $32, %rdx
    wrmsr
    xorl %ebp, %ebp
    pushq $0
    pushq $0
    call cpu_start
1:  hlt
    jmp 1b
