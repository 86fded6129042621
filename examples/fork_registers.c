/*
 * How can fork return differently? Every register is copied but one.
 *
 * From CSCI3150, Lecture 3: Processes ("How can fork return differently?"): the kernel writes 0
 * into the saved return register of the child and the child's number into the parent's. To see:
 * stack pointer and kept registers agree; only rax, where a system call's result stands, differs.
 */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    RAX,
    RBX,
    RBP,
    RSP,
    R12,
    R13,
    R14,
    R15,
    REGISTERS
};

static const char *const names[] = {"rax", "rbx", "rbp", "rsp", "r12", "r13", "r14", "r15"};

struct registers {
    long value[REGISTERS];
};

/* fork by the bare instruction, and what the registers are right behind it. */
static __attribute__((__noinline__)) void fork_and_look(struct registers *out)
{
    __asm__ volatile("syscall\n\t"
                     "mov %%rax, 0(%[out])\n\t"
                     "mov %%rbx, 8(%[out])\n\t"
                     "mov %%rbp, 16(%[out])\n\t"
                     "mov %%rsp, 24(%[out])\n\t"
                     "mov %%r12, 32(%[out])\n\t"
                     "mov %%r13, 40(%[out])\n\t"
                     "mov %%r14, 48(%[out])\n\t"
                     "mov %%r15, 56(%[out])"
                     :
                     : "a"(SYS_fork), [out] "D"(out)
                     : "rcx", "r11", "memory", "cc");
}

int main(void)
{
    struct registers *seen_by_child = mmap(NULL, sizeof(*seen_by_child), PROT_READ | PROT_WRITE,
                                           MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct registers seen;

    fork_and_look(&seen);
    if (seen.value[RAX] == 0) {
        memcpy(seen_by_child, &seen, sizeof(seen));
        _exit(0);
    }
    waitpid((pid_t)seen.value[RAX], NULL, 0);
    for (int i = 0; i < REGISTERS; i++)
        printf("%s %s\n", names[i],
               seen.value[i] == seen_by_child->value[i] ? "the same in parent and child"
               : seen_by_child->value[i]                ? "differs"
                                                        : "the child's number, and 0 in the child");
    return 0;
}
