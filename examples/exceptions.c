/*
 * The kinds of exceptions, and what comes of each in a process.
 *
 * From CSC 374, Lecture 2 ("Exceptions", "Interrupt Vectors", "Synchronous Exceptions") and L41,
 * Lecture 3: The Process Model ("Traps and system calls"). To see: a trap is meant, a fault is not,
 * an interrupt comes from outside; the handler is told by signal and code which it was.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE 4096

static sigjmp_buf after;

static void on_signal(int number, siginfo_t *info, void *context)
{
    static const struct {
        int number, code;
        const char *name;
    } codes[] = {
        {SIGFPE, FPE_INTDIV, "FPE_INTDIV"},    {SIGILL, ILL_ILLOPN, "ILL_ILLOPN"},
        {SIGSEGV, SEGV_MAPERR, "SEGV_MAPERR"}, {SIGSEGV, SEGV_ACCERR, "SEGV_ACCERR"},
        {SIGTRAP, SI_KERNEL, "SI_KERNEL"},     {SIGALRM, SI_KERNEL, "SI_KERNEL"},
        {SIGSEGV, SI_KERNEL, "SI_KERNEL"},
    };
    const char *code = "another";

    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        if (codes[i].number == number && codes[i].code == info->si_code)
            code = codes[i].name;
    printf("SIG%s, %s\n", sigabbrev_np(number), code);
    siglongjmp(after, 1);
}

static void system_call(void)
{
    printf("%s\n", syscall(SYS_getpid) == getpid() ? "the kernel's answer" : "?");
}

static void breakpoint(void)
{
    __asm__ volatile("int3");
}

static void division(void)
{
    volatile int zero = 0;

    zero = 100 / zero;
}

static void no_instruction(void)
{
    __asm__ volatile("ud2");
}

static void no_page(void)
{
    *(volatile char *)NULL = 1;
}

static void read_only_page(void)
{
    char *page = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    *(volatile char *)page = 1;
}

static void privileged(void)
{
    __asm__ volatile("hlt");
}

static void kernel_address(void)
{
    *(volatile char *)-PAGE = 1;
}

static void timer(void)
{
    alarm(1);
    for (;;)
        ;
}

static const struct exception {
    const char *kind, *what;
    void (*cause)(void);
} exceptions[] = {
    {"trap", "a system call", system_call},
    {"trap", "a breakpoint", breakpoint},
    {"fault", "a division by zero", division},
    {"fault", "no instruction", no_instruction},
    {"fault", "a privileged instruction", privileged},
    {"fault", "a page that is not there", no_page},
    {"fault", "a page that may not be written", read_only_page},
    {"fault", "a page of the kernel's", kernel_address},
    {"interrupt", "of the timer, in an endless loop", timer},
};

int main(void)
{
    static const int signals[] = {SIGFPE, SIGILL, SIGSEGV, SIGTRAP, SIGALRM};
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};

    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        sigaction(signals[i], &action, NULL);
    for (volatile size_t i = 0; i < sizeof(exceptions) / sizeof(exceptions[0]); i++) {
        printf("%-9s  %-34s", exceptions[i].kind, exceptions[i].what);
        if (sigsetjmp(after, 1) == 0)
            exceptions[i].cause();
    }
    return 0;
}
