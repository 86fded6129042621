/*
 * open by the bare instruction: a trap hands control to the kernel and gets it back behind it.
 *
 * From CSC 374, Lecture 2 ("Trap Example") and L41, Lecture 3: The Process Model ("Traps and system
 * calls"). To see: number and arguments go in registers, the result comes in one, and the kernel
 * leaves in rcx where it returned to: the next instruction.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(void)
{
    const char *path = "/proc/version";
    long result, returned_to, next;

    __asm__ volatile("syscall\n"
                     "1:\n\t"
                     "lea 1b(%%rip), %[next]"
                     : "=a"(result), "=c"(returned_to), [next] "=&b"(next)
                     : "a"(SYS_open), "D"(path), "S"(O_RDONLY), "d"(0)
                     : "r11", "memory");
    printf("open gives %s, and control came back %s\n", result >= 3 ? "a descriptor" : "an error",
           returned_to == next ? "to the next instruction" : "elsewhere");
    result = close((int)result);
    printf("close gives %ld\n", result);
    return 0;
}
