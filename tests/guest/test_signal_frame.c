/*
 * What a handler finds and leaves: siginfo of faults, the context's registers, the alternate
 * stack, and that sigreturn brings back every register.
 *
 * covers: rt_sigreturn sigaltstack
 */
#include "guest.h"

#include <cpuid.h>

#include <setjmp.h>
#include <ucontext.h>

static sigjmp_buf escape;
static siginfo_t last_info;
static ucontext_t last_context;

static void note_and_escape(int signal, siginfo_t *info, void *context)
{
    last_info = *info;
    last_context = *(ucontext_t *)context;
    last_signal = signal;
    siglongjmp(escape, 1);
}

static void handle_fault(int signal, void (*handler)(int, siginfo_t *, void *), int flags)
{
    struct sigaction action = {.sa_flags = SA_SIGINFO | flags};

    action.sa_sigaction = handler;
    sigemptyset(&action.sa_mask);
    CHECK_OK(sigaction(signal, &action, NULL));
}

/* Runs a statement that must end in `signal`. */
#define CHECK_FAULT(statement, signal)                                   \
    do {                                                                 \
        handle_fault(signal, note_and_escape, 0);                        \
        last_signal = 0;                                                 \
        if (sigsetjmp(escape, 1) == 0) {                                 \
            statement;                                                   \
            guest_fail(__FILE__, __LINE__, "%s: no signal", #statement); \
        }                                                                \
        CHECK_EQ(last_signal, signal);                                   \
    } while (0)

TEST(sigsegv_of_unmapped_address_has_segv_maperr)
{
    CHECK_FAULT(*(volatile char *)0x123000 = 1, SIGSEGV);
    CHECK_EQ(last_info.si_code, SEGV_MAPERR);
    CHECK_EQ(last_info.si_addr, 0x123000);
    CHECK_FAULT((void)*(volatile char *)8, SIGSEGV);
    CHECK_EQ(last_info.si_addr, 8);
}

TEST(sigsegv_of_forbidden_access_has_segv_accerr)
{
    char *page = bad_address();

    CHECK_FAULT(*(volatile char *)(page + 5) = 1, SIGSEGV);
    CHECK_EQ(last_info.si_code, SEGV_ACCERR);
    CHECK_EQ(last_info.si_addr, page + 5);
    CHECK_OK(mprotect(page, PAGE, PROT_READ));
    CHECK_FAULT(*(volatile char *)page = 2, SIGSEGV);
    CHECK_EQ(last_info.si_code, SEGV_ACCERR);
}

TEST(sigsegv_of_executing_data_has_segv_accerr)
{
    static char code[] = {(char)0xc3};

    CHECK_FAULT(((void (*)(void))(uintptr_t)code)(), SIGSEGV);
    CHECK_EQ(last_info.si_code, SEGV_ACCERR);
    CHECK_EQ(last_info.si_addr, code);
    CHECK_EQ(last_context.uc_mcontext.gregs[REG_RIP], code);
}

TEST(sigsegv_of_noncanonical_and_kernel_addresses)
{
    CHECK_FAULT(*(volatile char *)0x8000000000000000 = 1, SIGSEGV);
    CHECK_EQ(last_info.si_code, SI_KERNEL);
    CHECK_EQ(last_info.si_addr, 0);
    CHECK_FAULT((void)*(volatile char *)0xffffffff81000000, SIGSEGV);
    CHECK_EQ(last_info.si_code, SEGV_MAPERR);
}

TEST(sigsegv_of_privileged_instruction_has_si_kernel)
{
    CHECK_FAULT(__asm__ volatile("hlt"), SIGSEGV);
    CHECK_EQ(last_info.si_code, SI_KERNEL);
    CHECK_FAULT(__asm__ volatile("cli"), SIGSEGV);
    CHECK_FAULT(__asm__ volatile("outb %al, $0x80"), SIGSEGV);
}

TEST(sigsegv_context_has_trap_number_and_error_code)
{
    CHECK_FAULT(*(volatile char *)0x123000 = 1, SIGSEGV);
    CHECK_EQ(last_context.uc_mcontext.gregs[REG_TRAPNO], 14);
    CHECK_EQ(last_context.uc_mcontext.gregs[REG_ERR], 6); /* user, write, not present */
    CHECK_EQ(last_context.uc_mcontext.gregs[REG_CR2], 0x123000);
}

TEST(sigfpe_of_division_by_zero_has_fpe_intdiv)
{
    CHECK_FAULT(__asm__ volatile("xorl %%ecx, %%ecx; movl $1, %%eax; cltd; idivl %%ecx" ::
                                     : "eax", "ecx", "edx"),
                SIGFPE);
    CHECK_EQ(last_info.si_code, FPE_INTDIV);
    CHECK_EQ(last_info.si_addr, last_context.uc_mcontext.gregs[REG_RIP]);
}

/* Divides 1 by 0 with this mxcsr; returns mxcsr afterwards. */
static unsigned divide_by_zero(unsigned control)
{
    __asm__ volatile("ldmxcsr %0; xorps %%xmm0, %%xmm0; movss %1, %%xmm1;"
                     "divss %%xmm0, %%xmm1; stmxcsr %0"
                     : "+m"(control)
                     : "m"((float){1.0f})
                     : "xmm0", "xmm1");
    return control;
}

TEST(sigfpe_of_unmasked_sse_exception_has_fpe_fltdiv)
{
    handle_fault(SIGFPE, note_and_escape, 0);
    if (sigsetjmp(escape, 1) == 0) {
        CHECK_EQ(divide_by_zero(0x1f80 & ~0x200u) & 4, 4); /* not masked, and it happened */
        SKIP("this (emulated) CPU raises no SIMD exceptions");
    }
    CHECK_EQ(last_info.si_code, FPE_FLTDIV);
}

/* Divides by the x87 with these exceptions unmasked; fwait raises what is pending. */
static void x87_divide(double numerator, double denominator, unsigned short control)
{
    __asm__ volatile("fninit; fldcw %0; fldl %1; fdivl %2; fwait; fstp %%st(0); fninit"
                     :
                     : "m"(control), "m"(numerator), "m"(denominator));
}

TEST(sigfpe_of_unmasked_x87_exception_names_the_exception)
{
    static const struct {
        double numerator, denominator;
        unsigned short control;
        int code;
    } cases[] = {
        {0.0, 0.0, 0x37e, FPE_FLTINV},
        {1.0, 0.0, 0x37b, FPE_FLTDIV},
        {1.0, 3.0, 0x35f, FPE_FLTRES},
    };

    handle_fault(SIGFPE, note_and_escape, 0);
    for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        if (sigsetjmp(escape, 1) == 0) {
            x87_divide(cases[i].numerator, cases[i].denominator, cases[i].control);
            CHECK(!"reached: no exception came");
        }
        CHECK_EQ(last_info.si_code, cases[i].code);
    }
}

TEST(sigill_of_ud2_has_ill_illopn)
{
    CHECK_FAULT(__asm__ volatile("ud2"), SIGILL);
    CHECK_EQ(last_info.si_code, ILL_ILLOPN);
    CHECK_EQ(last_info.si_addr, last_context.uc_mcontext.gregs[REG_RIP]);
}

TEST(sigtrap_of_int3_has_si_kernel)
{
    CHECK_FAULT(__asm__ volatile("int3"), SIGTRAP);
    CHECK_EQ(last_info.si_code, SI_KERNEL);
}

TEST(sigtrap_of_single_step_has_trap_trace)
{
    CHECK_FAULT(__asm__ volatile("pushfq; orq $0x100, (%%rsp); popfq; nop; nop" ::
                                     : "memory", "cc"),
                SIGTRAP);
    CHECK_EQ(last_info.si_code, TRAP_TRACE);
}

TEST(sigbus_of_access_behind_the_files_end_has_bus_adrerr)
{
    char *memory;
    int fd;

    enter_empty_directory();
    write_file("file", "short");
    fd = CHECK_OK(open("file", O_RDWR));
    memory = (char *)CHECK_OK(mmap(NULL, 3 * PAGE, PROT_READ, MAP_SHARED, fd, 0));
    CHECK_EQ(memory[0], 's');
    CHECK_EQ(memory[PAGE - 1], 0);
    CHECK_FAULT((void)*(volatile char *)(memory + PAGE + 10), SIGBUS);
    CHECK_EQ(last_info.si_code, BUS_ADRERR);
    CHECK_EQ(last_info.si_addr, memory + PAGE + 10);
}

TEST(sigbus_after_the_file_was_truncated)
{
    char *memory;
    int fd;

    enter_empty_directory();
    fd = CHECK_OK(open("file", O_RDWR | O_CREAT, 0644));
    CHECK_OK(ftruncate(fd, 2 * PAGE));
    memory = (char *)CHECK_OK(mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    memory[PAGE] = 1;
    CHECK_OK(ftruncate(fd, PAGE));
    CHECK_FAULT(memory[PAGE] = 2, SIGBUS);
    memory[0] = 1;
}

TEST(fault_with_blocked_signal_kills)
{
    pid_t child = CHECK_OK(fork());
    sigset_t set;

    if (child == 0) {
        signal(SIGSEGV, SIG_IGN);
        sigfillset(&set);
        sigprocmask(SIG_SETMASK, &set, NULL);
        *(volatile char *)8 = 1;
        _exit(0);
    }
    CHECK_KILLED(child, SIGSEGV);
}

TEST(fault_in_a_handler_without_stack_kills)
{
    pid_t child = CHECK_OK(fork());

    if (child == 0) {
        handle_fault(SIGSEGV, note_and_escape, 0);
        __asm__ volatile("movq $0x1000, %rsp; pushq %rax");
        _exit(0);
    }
    CHECK_KILLED(child, SIGSEGV);
}

static void mend_page(int signal, siginfo_t *info, void *context)
{
    signals_counted++;
    mprotect((void *)((uintptr_t)info->si_addr & ~0xffful), PAGE, PROT_READ | PROT_WRITE);
}

TEST(rt_sigreturn_repeats_the_faulting_instruction)
{
    volatile char *page = bad_address();

    handle_fault(SIGSEGV, mend_page, 0);
    page[3] = 42;
    CHECK_EQ(page[3], 42);
    CHECK_EQ(signals_counted, 1);
}

static void skip_ud2(int signal, siginfo_t *info, void *context)
{
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;

    registers[REG_RIP] += 2;
    registers[REG_RBX] = registers[REG_RAX] + 1;
}

TEST(rt_sigreturn_takes_registers_that_the_handler_changed)
{
    unsigned long result = 0;

    handle_fault(SIGILL, skip_ud2, 0);
    __asm__ volatile("movq $41, %%rax; ud2; movq %%rbx, %0" : "=r"(result) : : "rax", "rbx");
    CHECK_EQ(result, 42);
}

static void spoil_registers(int signal, siginfo_t *info, void *context)
{
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] += 2;
    __asm__ volatile("movq $-1, %%rbx; movq $-1, %%r12; movq $-1, %%r13; movq $-1, %%r14;"
                     "movq $-1, %%r15; movq $-1, %%r8; movq $-1, %%rsi;"
                     "pcmpeqd %%xmm0, %%xmm0; pcmpeqd %%xmm7, %%xmm7; pcmpeqd %%xmm15, %%xmm15" ::
                         : "rbx", "r12", "r13", "r14", "r15", "r8", "rsi", "xmm0", "xmm7", "xmm15");
}

TEST(rt_sigreturn_restores_all_general_registers)
{
    unsigned long seen[14];

    handle_fault(SIGILL, spoil_registers, 0);
    __asm__ volatile("pushq %%rbp; pushq %0; movq $1, %%rax; movq $2, %%rbx; movq $3, %%rcx;"
                     "movq $4, %%rdx; movq $5, %%rsi; movq $6, %%rdi; movq $7, %%rbp;"
                     "movq $8, %%r8; movq $9, %%r9; movq $10, %%r10; movq $11, %%r11;"
                     "movq $12, %%r12; movq $13, %%r13; movq $14, %%r14; ud2;"
                     "popq %%r15;"
                     "movq %%rax, 0(%%r15); movq %%rbx, 8(%%r15); movq %%rcx, 16(%%r15);"
                     "movq %%rdx, 24(%%r15); movq %%rsi, 32(%%r15); movq %%rdi, 40(%%r15);"
                     "movq %%rbp, 48(%%r15); movq %%r8, 56(%%r15); movq %%r9, 64(%%r15);"
                     "movq %%r10, 72(%%r15); movq %%r11, 80(%%r15); movq %%r12, 88(%%r15);"
                     "movq %%r13, 96(%%r15); movq %%r14, 104(%%r15); popq %%rbp"
                     :
                     : "r"(seen)
                     : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12",
                       "r13", "r14", "r15", "memory", "cc");
    for (unsigned i = 0; i < 14; i++)
        CHECK_EQ(seen[i], i + 1);
}

TEST(rt_sigreturn_restores_flags_and_sse_registers)
{
    unsigned char out[16], in[16];
    unsigned long flags;

    for (int i = 0; i < 16; i++)
        in[i] = i * 3;
    handle_fault(SIGILL, spoil_registers, 0);
    __asm__ volatile("movdqu %2, %%xmm7; stc; std; ud2; pushfq; cld; popq %1; movdqu %%xmm7, %0"
                     : "=m"(out), "=r"(flags)
                     : "m"(in)
                     : "xmm0", "xmm7", "xmm15", "cc", "memory");
    CHECK_MEM_EQ(in, out, 16);
    CHECK_EQ(flags & 1, 1);
    CHECK_EQ(flags & 0x400, 0x400);
}

static void spoil_ymm(int signal, siginfo_t *info, void *context)
{
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] += 2;
    __asm__ volatile("vzeroall");
}

TEST(rt_sigreturn_restores_avx_registers)
{
    unsigned char out[32], in[32];

    if (!__builtin_cpu_supports("avx"))
        SKIP("the CPU has no AVX");
    for (int i = 0; i < 32; i++)
        in[i] = i * 5;
    handle_fault(SIGILL, spoil_ymm, 0);
    __asm__ volatile("vmovdqu %1, %%ymm3; ud2; vmovdqu %%ymm3, %0; vzeroupper"
                     : "=m"(out)
                     : "m"(in)
                     : "xmm3", "memory");
    CHECK_MEM_EQ(in, out, 32);
}

TEST(rt_sigreturn_restores_mxcsr)
{
    unsigned control = 0x5f80, seen = 0; /* rounding up */

    handle_fault(SIGILL, spoil_registers, 0);
    __asm__ volatile("ldmxcsr %1; ud2; stmxcsr %0"
                     : "=m"(seen)
                     : "m"(control)
                     : "xmm0", "xmm7", "xmm15", "memory");
    CHECK_EQ(seen & 0xff80, 0x5f80);
}

static volatile unsigned long handler_mxcsr, handler_rflags;
static volatile unsigned short handler_x87_control;
static void note_start_state(int signal, siginfo_t *info, void *context)
{
    unsigned control;

    /* First: what it pushes may overwrite what lies below the stack pointer. */
    __asm__ volatile("pushfq; popq %0" : "=r"(handler_rflags));
    __asm__ volatile("stmxcsr %0" : "=m"(control));
    __asm__ volatile("fnstcw %0" : "=m"(handler_x87_control));
    handler_mxcsr = control;
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] += 2;
}

TEST(signal_handler_starts_with_direction_flag_clear)
{
    handle_fault(SIGILL, note_start_state, 0);
    __asm__ volatile("std; ud2; cld" ::: "cc", "memory");
    CHECK_EQ(handler_rflags & 0x400, 0);
}

TEST(signal_handler_starts_with_the_fpu_as_a_program_does)
{
    unsigned control = 0x5f80, after;
    unsigned short x87_control = 0xf7f, x87_after;

    handle_fault(SIGILL, note_start_state, 0);
    __asm__ volatile("ldmxcsr %2; fldcw %3; ud2; stmxcsr %0; fnstcw %1; fninit; ldmxcsr %4"
                     : "=m"(after), "=m"(x87_after)
                     : "m"(control), "m"(x87_control), "m"((unsigned){0x1f80})
                     : "memory");
    CHECK_EQ(handler_mxcsr, 0x1f80);
    CHECK_EQ(handler_x87_control, 0x37f);
    CHECK_EQ(after & 0xff80, 0x5f80);
    CHECK_EQ(x87_after, 0xf7f);
}

static volatile uintptr_t handler_stack;
static void note_stack(int signal, siginfo_t *info, void *context)
{
    char here;

    handler_stack = (uintptr_t)&here;
    signals_counted++;
}

TEST(sigaltstack_is_used_with_sa_onstack_only)
{
    static char memory[65536];
    stack_t stack = {.ss_sp = memory, .ss_size = sizeof(memory)}, old;

    CHECK_OK(sigaltstack(&stack, &old));
    CHECK_EQ(old.ss_flags, SS_DISABLE);
    handle_fault(SIGUSR1, note_stack, SA_ONSTACK);
    raise(SIGUSR1);
    CHECK_GE(handler_stack, memory);
    CHECK_LT(handler_stack, memory + sizeof(memory));
    handle_fault(SIGUSR1, note_stack, 0);
    raise(SIGUSR1);
    CHECK(handler_stack < (uintptr_t)memory || handler_stack >= (uintptr_t)memory + sizeof(memory));
}

static stack_t stack_in_handler;
static int change_in_handler;
static void note_altstack(int signal, siginfo_t *info, void *context)
{
    stack_t other = {.ss_flags = SS_DISABLE};

    sigaltstack(NULL, &stack_in_handler);
    change_in_handler = sigaltstack(&other, NULL) == -1 ? errno : 0;
}

TEST(sigaltstack_in_use_says_so_and_cannot_change)
{
    static char memory[65536];
    stack_t stack = {.ss_sp = memory, .ss_size = sizeof(memory)};

    CHECK_OK(sigaltstack(&stack, NULL));
    handle_fault(SIGUSR1, note_altstack, SA_ONSTACK);
    raise(SIGUSR1);
    CHECK_EQ(stack_in_handler.ss_flags, SS_ONSTACK);
    CHECK_EQ(stack_in_handler.ss_sp, memory);
    CHECK_EQ(change_in_handler, EPERM);
    CHECK_OK(sigaltstack(NULL, &stack));
    CHECK_EQ(stack.ss_flags, 0);
}

TEST(sigaltstack_errors_are_as_documented)
{
    static char memory[65536];
    stack_t small = {.ss_sp = memory, .ss_size = 100};
    stack_t flags = {.ss_sp = memory, .ss_size = sizeof(memory), .ss_flags = 0x100};

    CHECK_ERRNO(syscall(SYS_sigaltstack, &small, NULL), ENOMEM);
    CHECK_ERRNO(syscall(SYS_sigaltstack, &flags, NULL), EINVAL);
    CHECK_ERRNO(syscall(SYS_sigaltstack, bad_address(), NULL), EFAULT);
    CHECK_ERRNO(syscall(SYS_sigaltstack, NULL, bad_address()), EFAULT);
}

static void overflow(volatile char *from_above)
{
    volatile char block[4096];

    block[0] = *from_above;
    overflow(block);
    *from_above = block[1];
}

static pid_t own_pid;
/* Takes no stack of its own: what lies below the alternate stack's end is not on it. */
static void raise_again(int signal)
{
    long result;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(SYS_kill), "D"(own_pid), "S"(signal)
                     : "rcx", "r11", "memory");
}

TEST(sigaltstack_that_is_full_ends_the_process)
{
    char *memory = (char *)CHECK_OK(
        mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    stack_t stack = {.ss_sp = memory + 48 * PAGE, .ss_size = 16 * PAGE};
    pid_t child = CHECK_OK(fork());

    if (child == 0) {
        own_pid = getpid();
        CHECK_OK(sigaltstack(&stack, NULL));
        handle_signal(SIGUSR1, raise_again, SA_ONSTACK | SA_NODEFER);
        raise(SIGUSR1);
        _exit(0);
    }
    CHECK_KILLED(child, SIGSEGV);
}

TEST(sigaltstack_catches_stack_overflow)
{
    static char memory[65536];
    stack_t stack = {.ss_sp = memory, .ss_size = sizeof(memory)};
    volatile char start = 0;

    CHECK_OK(sigaltstack(&stack, NULL));
    handle_fault(SIGSEGV, note_and_escape, SA_ONSTACK);
    if (sigsetjmp(escape, 1) == 0)
        overflow(&start);
    CHECK_EQ(last_signal, SIGSEGV);
    CHECK_EQ(last_info.si_code, SEGV_MAPERR);
}

/* ---- What a handler makes of the FPU state ---- */

#define FPU_MXCSR_AT   24
#define FPU_MAGIC1_AT  464
#define FPU_SIZE_AT    468 /* with the second magic number */
#define FPU_PRESENT_AT 512

static char state_elsewhere[16384] __attribute__((aligned(64)));
static void (*change)(ucontext_t *context, char *state);
static unsigned *word_at(char *state, unsigned offset)
{
    return (unsigned *)(state + offset);
}
static void change_state(int signal, siginfo_t *info, void *context)
{
    change(context, (char *)((ucontext_t *)context)->uc_mcontext.fpregs);
}
static void mxcsr_break(ucontext_t *context, char *state)
{
    *word_at(state, FPU_MXCSR_AT) = ~0u;
}
static void legacy_mxcsr_break(ucontext_t *context, char *state)
{
    *word_at(state, FPU_MAGIC1_AT) = 0;
    *word_at(state, FPU_MXCSR_AT) = ~0u;
}
static void components_break(ucontext_t *context, char *state)
{
    *word_at(state, FPU_PRESENT_AT + 4) |= 1u << 20;
}
static void header_break(ucontext_t *context, char *state)
{
    *word_at(state, FPU_PRESENT_AT + 16) = 1;
}
static void address_break(ucontext_t *context, char *state)
{
    context->uc_mcontext.fpregs = (void *)64;
}
/* Without XSAVE nothing is said of the size: it is FXSAVE's. */
static unsigned state_bytes(char *state)
{
    unsigned bytes = *word_at(state, FPU_SIZE_AT);

    return bytes ? bytes : 512;
}
static void state_misalign(ucontext_t *context, char *state)
{
    context->uc_mcontext.fpregs = memcpy(state_elsewhere + 8, state, state_bytes(state));
}
static void state_move(ucontext_t *context, char *state)
{
    *word_at(state, FPU_MXCSR_AT) = 0x3f80;
    context->uc_mcontext.fpregs = memcpy(state_elsewhere, state, state_bytes(state));
}

static int child_with(void (*what)(ucontext_t *, char *))
{
    int child = CHECK_OK(fork());

    if (child == 0) {
        unsigned control;

        change = what;
        handle_fault(SIGUSR1, change_state, 0);
        signal(SIGSEGV, SIG_DFL);
        raise(SIGUSR1);
        __asm__ volatile("stmxcsr %0" : "=m"(control));
        _exit(control >> 8);
    }
    return child;
}

TEST(rt_sigreturn_takes_an_fpu_state_from_elsewhere)
{
    CHECK_EXIT(child_with(state_move), 0x3f);
}

static int has_xsave(void)
{
    unsigned a, b, c, d;

    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_OSXSAVE);
}

/* An emulated one may load any. */
static int cpu_checks_mxcsr(void)
{
    int child = CHECK_OK(fork()), status;

    if (child == 0) {
        signal(SIGSEGV, SIG_DFL);
        __asm__ volatile("ldmxcsr %0" : : "m"((unsigned){~0u}));
        _exit(0);
    }
    CHECK_OK(waitpid(child, &status, 0));
    return WIFSIGNALED(status);
}

TEST(rt_sigreturn_kills_for_an_fpu_state_that_cannot_be_loaded)
{
    if (cpu_checks_mxcsr()) {
        CHECK_KILLED(child_with(mxcsr_break), SIGSEGV);
        CHECK_KILLED(child_with(legacy_mxcsr_break), SIGSEGV);
    }
    if (has_xsave()) {
        CHECK_KILLED(child_with(components_break), SIGSEGV);
        CHECK_KILLED(child_with(header_break), SIGSEGV);
    }
    CHECK_KILLED(child_with(address_break), SIGSEGV);
    CHECK_KILLED(child_with(state_misalign), SIGSEGV);
}

/* The frame's pages are not there yet when the state is written, nor all when it is read. */
TEST(fpu_state_is_kept_on_a_stack_that_was_never_touched)
{
    for (int round = 0; round < 8; round++) {
        char *memory =
            mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        stack_t stack = {.ss_sp = memory, .ss_size = 4096u * 3 - 256u * round};
        double before[2] = {1.5, -2.5}, after[2];

        CHECK_OK(sigaltstack(&stack, NULL));
        handle_fault(SIGILL, note_start_state, SA_ONSTACK);
        __asm__ volatile("movupd %1, %%xmm9; ud2; movupd %%xmm9, %0"
                         : "=m"(after)
                         : "m"(before)
                         : "xmm9", "memory");
        CHECK_MEM_EQ(before, after, sizeof(before));
        CHECK_OK(munmap(memory, 16384));
    }
}
