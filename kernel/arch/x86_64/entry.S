# The ways into the kernel and out again.
#
# Every entry leaves a struct trap_frame at the top of the thread's kernel stack (or, from kernel
# mode, on the current stack) and calls C with the kernel's GS base. There are three kinds:
#
#   syscall_entry    stack and GS are still the user's; the fast way in and out
#   entry_common     interrupts, traps and faults through the IDT: GS as the saved CS says
#   entry_paranoid   NMI, machine check, double fault, debug: they may strike where CS is the
#                    kernel's and GS still, or already, the user's, so the saved CS tells nothing
#
# These are the gaps where the kernel's code runs with the user's GS, so that %gs:0 is an address
# that the user chose:
#
#   syscall_entry: <gap> swapgs ... swapgs <gap> sysretq      user_restore_all: swapgs <gap> iretq
#
# No interrupt comes there (IF is off) and nothing faults there, which leaves those four. Each has a
# stack of its own, for in a gap rsp may be the user's too; at its top lies the address of the CPU's
# struct cpu. The GS base that it found is kept in registers that C preserves, and put back.
#
# On the way to user mode one word is tested: the thread's pending work, its first field. Who makes
# work pending for a thread that runs elsewhere sets the bit first and interrupts that CPU then; the
# way out keeps interrupts off from the test to the return. So no bit falls between the two:
#
#   the way out                                   another CPU
#   cli
#   pending_work is 0
#                                                 pending_work |= bit
#                                                 interrupt to this CPU, which waits: IF is off
#   sysretq turns IF on: the interrupt enters by entry_common, whose way out tests again
#
# While a system call leaves the word 0, nobody has touched the frame but rax, and the callee-saved
# registers still hold what the user had in them, so the fast exit restores only the others. Whoever
# changes more of the frame sets WORK_FRAME, and the frame then leaves by the full exit.
#
# sysretq and iretq must not fault: they would do so in the kernel, with the user's GS. rip is below
# USER_END, and the page after that is never mapped, so the address behind a syscall instruction is
# canonical too; cs, ss and flags are those that user_frame_check (trap.c) leaves.
#
# Interrupts: off on every entry; on during a system call; off at every label from user_return on.

#include "constants.h"
#include "user_access.inc"

#include <offsets.h>
#include <pith/abi/errno.h>

#define VECTOR_OF_NMI 2
#define ERRNO_MAX 4095 /* results from -ERRNO_MAX on are errors (syscall(2)) */

# The frame from rdi's place down. `rax` is what stands in that register's place.
.macro PUSH_REGISTERS_BELOW_RDI rax=%rax
    pushq %rsi
    pushq %rdx
    pushq %rcx
    pushq \rax
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
.endm

# Leaves rsp at the interrupt's own part of the frame: rip, cs, rflags, rsp, ss.
.macro POP_REGISTERS
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rax
    popq %rcx
    popq %rdx
    popq %rsi
    popq %rdi
    addq $8, %rsp /* original_rax */
.endm

    .section .text.entry, "ax"

# In:  rcx = return address, r11 = flags, rax = number, rdi rsi rdx r10 r8 r9 = arguments; rsp and GS
#      are the user's, interrupts off (MSR_SYSCALL_MASK). They stay off until the frame is whole, for
#      one that came earlier would be handled on the user's stack.
# Out: rax = result, rcx and r11 as sysretq wants them, all else as it was. The callee-saved registers
#      are never loaded from the frame: C gives them back.
    .balign 64
    .global syscall_entry
syscall_entry:
    swapgs
    movq %rsp, %gs:CPU_USER_STACK
    movq %gs:CPU_KERNEL_STACK_END, %rsp
    pushq $USER_DS
    pushq %gs:CPU_USER_STACK
    pushq %r11
    pushq $USER_CS
    pushq %rcx
    pushq %rax /* original_rax */
    pushq %rdi
    PUSH_REGISTERS_BELOW_RDI rax=$-ENOSYS /* what rax is until the handler returns */
    sti
    cmpq syscall_table + SYSCALL_TABLE_COUNT(%rip), %rax
    jae syscall_beyond
    movq %rsp, %rdi
    movq syscall_table + SYSCALL_TABLE_HANDLERS(%rip), %rcx
    call *(%rcx, %rax, 8)
syscall_called:
    cmpq $-ERRNO_MAX, %rax
    jae syscall_failed
syscall_done:
    movq %rax, FRAME_RAX(%rsp)
    # From here to user mode no interrupt may make new work pending unseen.
    cli
    movq %gs:CPU_THREAD, %rcx
    cmpq $0, THREAD_PENDING_WORK(%rcx)
    jne user_return
    movq FRAME_RFLAGS(%rsp), %r11
    # sysret would trap before the first user instruction, not after it.
    testl $(RFLAGS_TF | RFLAGS_RF), %r11d
    jne user_return
    # Below USER_END: no user page is executable at the end of the canonical half, so the address
    # after a syscall instruction is canonical and sysret cannot fault in kernel mode.
    movq FRAME_RIP(%rsp), %rcx
    movq FRAME_RDI(%rsp), %rdi
    movq FRAME_RSI(%rsp), %rsi
    movq FRAME_RDX(%rsp), %rdx
    movq FRAME_R8(%rsp), %r8
    movq FRAME_R9(%rsp), %r9
    movq FRAME_R10(%rsp), %r10
    movq FRAME_RSP(%rsp), %rsp
    swapgs
    sysretq

syscall_failed:
    movq %rsp, %rdi
    movq %rax, %rsi
    call *syscall_table + SYSCALL_TABLE_FAILED(%rip)
    jmp syscall_done
syscall_beyond:
    movq %rsp, %rdi
    call *syscall_table + SYSCALL_TABLE_BEYOND(%rip)
    jmp syscall_called

# All vectors' first instructions, VECTOR_ENTRY_BYTES each; gates_init (descriptors.c) points gate k
# at the k-th. The processor pushed an error code for some (SDM 3A "Error Code"); the others push -1
# in its place, so that all frames are alike. rdi, saved in its place, then carries the vector.
    .balign 16
    .global vector_entries
vector_entries:
    .set vector, 0
    .rept 256
    .balign 16
    .if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30)
    pushq $-1
    .endif
    pushq %rdi
    movl $vector, %edi
    .if vector == 1 || vector == VECTOR_OF_NMI || vector == 8 || vector == 18
    jmp entry_paranoid
    .else
    jmp entry_common
    .endif
    .set vector, vector + 1
    .endr

# Interrupts, traps and faults. The frame is built down to rdi: from user mode at the top of the
# thread's kernel stack (task_state.stacks[0]), else on the stack that was interrupted, whose code
# goes on with its own AC flag (iretq) if it was in the middle of a user access.
    .balign 64
entry_common:
    PUSH_REGISTERS_BELOW_RDI
    cld
    USER_ACCESS_END /* the interrupted code may have had AC set */
    movl %edi, %esi
    movq %rsp, %rdi
    testb $3, FRAME_CS(%rsp)
    jz from_kernel
    swapgs
from_user:
    xorl %ebp, %ebp /* backtraces end here */
    call trap_dispatch
# The frame is at rsp, interrupts are off, GS is the kernel's.
user_return:
    movq %gs:CPU_THREAD, %rax
    cmpq $0, THREAD_PENDING_WORK(%rax)
    je user_restore
    movq %rsp, %rdi
    call user_return_work
# The full exit: every register comes from the frame. By sysretq where it does the same as iretq, which
# is slower: if rcx and r11 are what it makes of them. The frame's cs and ss are the user's.
user_restore:
    movq FRAME_RIP(%rsp), %rcx
    cmpq %rcx, FRAME_RCX(%rsp)
    jne user_restore_all
    movq FRAME_RFLAGS(%rsp), %r11
    cmpq %r11, FRAME_R11(%rsp)
    jne user_restore_all
    testl $(RFLAGS_TF | RFLAGS_RF), %r11d
    jne user_restore_all
    # A user address here is below USER_END (user_frame_check), so canonical.
    movq FRAME_R15(%rsp), %r15
    movq FRAME_R14(%rsp), %r14
    movq FRAME_R13(%rsp), %r13
    movq FRAME_R12(%rsp), %r12
    movq FRAME_RBP(%rsp), %rbp
    movq FRAME_RBX(%rsp), %rbx
    movq FRAME_R10(%rsp), %r10
    movq FRAME_R9(%rsp), %r9
    movq FRAME_R8(%rsp), %r8
    movq FRAME_RAX(%rsp), %rax
    movq FRAME_RDX(%rsp), %rdx
    movq FRAME_RSI(%rsp), %rsi
    movq FRAME_RDI(%rsp), %rdi
    movq FRAME_RSP(%rsp), %rsp
    swapgs
    sysretq
user_restore_all:
    POP_REGISTERS
    swapgs
    iretq /* cannot fault: cs, ss and rip were checked where the frame was changed */

from_kernel:
    call trap_dispatch
    POP_REGISTERS
    iretq

# On a stack of its own; the address of this CPU's struct cpu lies just above the frame.
    .balign 64
entry_paranoid:
    PUSH_REGISTERS_BELOW_RDI
    cld
    USER_ACCESS_END
    testb $3, FRAME_CS(%rsp)
    jnz paranoid_from_user
    # Kernel code, but maybe with the user's GS: save whichever it is, in registers C preserves.
    movl $MSR_GS_BASE, %ecx
    rdmsr
    movl %eax, %r12d
    movl %edx, %r13d
    movq FRAME_BYTES(%rsp), %rax
    movq %rax, %rdx
    shrq $32, %rdx
    wrmsr
    movl %edi, %esi
    movq %rsp, %rdi
    call trap_dispatch
    movl $MSR_GS_BASE, %ecx
    movl %r12d, %eax
    movl %r13d, %edx
    wrmsr
    POP_REGISTERS
    iretq

# From user mode there is nothing special: go on on the thread's stack. But NMIs are blocked until
# the next iret (SDM 3A "Handling Multiple NMIs"), so theirs ends with one, and no thread switch nor
# sysret comes before it. Work that is pending has its own interrupt on the way.
paranoid_from_user:
    swapgs
    movl %edi, %eax
    movq %rsp, %rsi
    movq %gs:CPU_KERNEL_STACK_END, %rdi
    subq $FRAME_BYTES, %rdi
    movq %rdi, %rsp
    movl $(FRAME_BYTES / 8), %ecx
    rep movsq
    movl %eax, %esi
    movq %rsp, %rdi
    cmpl $VECTOR_OF_NMI, %esi
    jne from_user
    xorl %ebp, %ebp
    call trap_dispatch
    jmp user_restore_all

# void user_mode_enter(struct trap_frame *frame)
# A thread's first way to user mode. The frame is the top of this kernel stack: what lies below it,
# our callers, is given up. Does not return.
    .global user_mode_enter
user_mode_enter:
    cli
    movq %rdi, %rsp
    xorl %ebp, %ebp
    call user_frame_enter
    jmp user_restore

    .text
# void context_switch(struct context *from, struct context *to)
# Saves what a C callee must keep (psABI 3.2.1), changes stacks, and returns on the other thread's
# call. The address to return to is the last word above what is pushed, as context_init lays it out
# for a new thread. Interrupts are off. The rest of a user thread goes by user_context_switch.
    .balign 16
    .global context_switch
context_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, CONTEXT_STACK_POINTER(%rdi)
    movq CONTEXT_STACK_POINTER(%rsi), %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret

# Where a context of context_init begins: r12 = entry, r13 = its argument, rbp = 0. entry does not
# return.
    .global context_begin
context_begin:
    movq %r13, %rdi
    call *%r12
    ud2
