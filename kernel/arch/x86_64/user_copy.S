# Copies to and from user memory, and its atomic accesses.
#
# Each instruction that may fault on user memory stands in the table of fixups: where vm/ can mend
# the fault, the instruction runs again and the copy goes on, knowing nothing; else it continues at
# the fixup, which says how far it came.
#
#     fault -> entry_common -> page fault handler (vm/) --mended--> iretq to the same instruction
#                                   | cannot, or user_faults_fail
#                                   `-> fault_fixup: frame.rip = the fixup -> iretq
#
# Words first, then half a word and single bytes: when a word faults, the bytes in front of the bad
# page are still copied one by one, so the count is exact, as read(2) and write(2) need it.
#
# User memory is open (SMAP: stac) only inside these routines; every way out closes it, and an entry
# that interrupts one closes it too and gives it back by iretq's flags. They call nothing and use no
# stack, so a fault inside finds the frame that the fixups expect.
#
# Interrupts stay as they are. Registers: as a C function (psABI 3.2.3). The caller checked that the
# user's side is below USER_END: here nothing tells a program's address from the kernel's.

#include "user_access.inc"

#include <pith/abi/errno.h>

#define WORDS_FOR_STRING_COPY 16 /* below, a loop costs less than starting rep movsq */

    .text
# size_t user_copy(void *to, const void *from, size_t bytes): one of the two is user memory, and
# the caller checked that it lies below USER_END. Returns the bytes not copied.
    .balign 16
    .global user_copy
user_copy:
    USER_ACCESS_BEGIN
    movq %rdx, %rcx
    shrq $3, %rcx
    jz 3f
    cmpq $WORDS_FOR_STRING_COPY, %rcx
    jae 2f
    leaq (%rsi, %rcx, 8), %rsi /* rcx: the words that are left, less than 0, counts up to the end */
    leaq (%rdi, %rcx, 8), %rdi
    negq %rcx
    testb $1, %cl
    jz 1f
10: movq (%rsi, %rcx, 8), %rax
11: movq %rax, (%rdi, %rcx, 8)
    incq %rcx
    jz 3f
1:  movq (%rsi, %rcx, 8), %rax
13: movq 8(%rsi, %rcx, 8), %r8
14: movq %rax, (%rdi, %rcx, 8)
15: movq %r8, 8(%rdi, %rcx, 8)
    addq $2, %rcx
    jnz 1b
    jmp 3f
2:  rep movsq
3:  andl $7, %edx
    jz 5f
    cmpl $4, %edx
    jb 4f
31: movl (%rsi), %eax
32: movl %eax, (%rdi)
    addq $4, %rsi
    addq $4, %rdi
    subl $4, %edx
    jz 5f
4:  movb (%rsi), %al
41: movb %al, (%rdi)
    incq %rsi
    incq %rdi
    decl %edx
    jnz 4b
5:  USER_ACCESS_END
    xorl %eax, %eax
    ret
# A word, or one of two, faulted: rcx words and the odd bytes are left. Copy bytes until it faults again.
12: leaq (%rsi, %rcx, 8), %rsi
    leaq (%rdi, %rcx, 8), %rdi
    negq %rcx
6:  andl $7, %edx
    leaq (%rdx, %rcx, 8), %rcx
7:  movb (%rsi), %al
71: movb %al, (%rdi)
    incq %rsi
    incq %rdi
    decq %rcx
    jnz 7b
8:  USER_ACCESS_END
    movq %rcx, %rax
    ret
9:  USER_ACCESS_END
    movl %edx, %eax
    ret
    FIXUP 10b, 12b
    FIXUP 11b, 12b
    FIXUP 1b, 12b
    FIXUP 13b, 12b
    FIXUP 14b, 12b
    FIXUP 15b, 12b
    FIXUP 2b, 6b
    FIXUP 31b, 4b
    FIXUP 32b, 4b
    FIXUP 4b, 9b
    FIXUP 41b, 9b
    FIXUP 7b, 8b
    FIXUP 71b, 8b

# size_t user_clear(void *to, size_t bytes): returns the bytes not cleared.
    .balign 16
    .global user_clear
user_clear:
    USER_ACCESS_BEGIN
    xorl %eax, %eax
    movq %rsi, %rcx
    shrq $3, %rcx
1:  rep stosq
    andl $7, %esi
    movl %esi, %ecx
2:  rep stosb
    USER_ACCESS_END
    ret
3:  andl $7, %esi
    leaq (%rsi, %rcx, 8), %rcx
4:  rep stosb
5:  USER_ACCESS_END
    movq %rcx, %rax
    ret
    FIXUP 1b, 3b
    FIXUP 2b, 5b
    FIXUP 4b, 5b

# ssize_t user_copy_string(char *to, const char *from, size_t most): copies up to and with the NUL.
# Returns the length without it, `most` if there was none, -EFAULT. Words are read aligned, so one
# that holds the NUL never reaches into the next page.
    .balign 16
    .global user_copy_string
user_copy_string:
    USER_ACCESS_BEGIN
    movq %rdx, %rcx /* room left */
    movabsq $0x0101010101010101, %r8
    movabsq $0x8080808080808080, %r9
1:  testl $7, %esi
    jz 3f
2:  testq %rcx, %rcx
    jz 5f
21: movb (%rsi), %al
    movb %al, (%rdi)
    testb %al, %al
    jz 5f
    incq %rsi
    incq %rdi
    decq %rcx
    jmp 1b
3:  cmpq $8, %rcx
    jb 2b
31: movq (%rsi), %rax
    movq %rax, %r10
    movq %rax, %r11
    subq %r8, %r10
    notq %r11
    andq %r11, %r10
    testq %r9, %r10
    jnz 4f
    movq %rax, (%rdi)
    addq $8, %rsi
    addq $8, %rdi
    subq $8, %rcx
    jmp 3b
# The NUL is in this word.
4:  movb %al, (%rdi)
    testb %al, %al
    jz 5f
    shrq $8, %rax
    incq %rdi
    decq %rcx
    jmp 4b
5:  USER_ACCESS_END
    movq %rdx, %rax
    subq %rcx, %rax
    ret
6:  USER_ACCESS_END
    movq $-EFAULT, %rax
    ret
    FIXUP 21b, 6b
    FIXUP 31b, 6b

# int user_load_u32(const u32 *from, u32 *value_out)
    .balign 16
    .global user_load_u32
user_load_u32:
    USER_ACCESS_BEGIN
1:  movl (%rdi), %eax
    USER_ACCESS_END
    movl %eax, (%rsi)
    xorl %eax, %eax
    ret
    FIXUP 1b, user_access_failed

# int user_compare_exchange_u32(u32 *at, u32 expected, u32 value, u32 *old_out)
    .balign 16
    .global user_compare_exchange_u32
user_compare_exchange_u32:
    USER_ACCESS_BEGIN
    movl %esi, %eax
1:  lock cmpxchgl %edx, (%rdi)
    USER_ACCESS_END
    movl %eax, (%rcx)
    xorl %eax, %eax
    ret
    FIXUP 1b, user_access_failed

# int user_fpu_save(void *to, u64 components): as XSAVE writes them, aligned to 64 bytes.
    .balign 16
    .global user_fpu_save
user_fpu_save:
    USER_ACCESS_BEGIN
    movl %esi, %eax
    movq %rsi, %rdx
    shrq $32, %rdx
1:  xsave64 (%rdi)
    USER_ACCESS_END
    xorl %eax, %eax
    ret
    FIXUP 1b, user_access_failed

# int user_fpu_load(const void *from, u64 components): fails also where XRSTOR refuses what it finds.
    .balign 16
    .global user_fpu_load
user_fpu_load:
    USER_ACCESS_BEGIN
    movl %esi, %eax
    movq %rsi, %rdx
    shrq $32, %rdx
1:  xrstor64 (%rdi)
    USER_ACCESS_END
    xorl %eax, %eax
    ret
    FIXUP 1b, user_access_failed

user_access_failed:
    USER_ACCESS_END
    movl $-EFAULT, %eax
    ret
