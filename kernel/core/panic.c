/*
 * Panic: the kernel found itself broken. It stops the other CPUs, says what it knows, and stays.
 *
 * The first CPU that panics wins; a second one only stops, and a panic inside the panic says so.
 * The text goes through the log, whose lock may be held by a CPU that was stopped, so from here on
 * the log takes no lock. Last, the hook (tty/), or before there is one the debug console, brings
 * the text to the host.
 *
 * Context: any, NMI included.
 */
#include "panic.h"

#include <pith/core.h>

#define TEXT_BYTES 384

static u32 panicking;       /* [atomic] the CPU's id + 1; 0: all is well */
static bool panicked_again; /* by the panicking CPU */
static void (*panic_hook)(void);
static void (*panic_describe)(void);

bool panic_is_under_way(void)
{
    return READ_ONCE(panicking) == cpu_current()->id + 1;
}

bool panic_stops_this_cpu(void)
{
    return READ_ONCE(panicking) && !panic_is_under_way();
}

void panic_hook_register(void (*hook)(void))
{
    panic_hook = hook;
}

void panic_describe_register(void (*describe)(void))
{
    panic_describe = describe;
}

static void print_caller(u64 return_address, void *argument)
{
    log_return_address(return_address);
}

static void print_registers(const struct trap_frame *frame)
{
    log_error("rip %016lx cs %04lx rflags %08lx rsp %016lx", frame->rip, frame->cs, frame->rflags,
              frame->rsp);
    log_error("rax %016lx rbx %016lx rcx %016lx rdx %016lx", frame->rax, frame->rbx, frame->rcx,
              frame->rdx);
    log_error("rsi %016lx rdi %016lx rbp %016lx r8  %016lx", frame->rsi, frame->rdi, frame->rbp,
              frame->r8);
    log_error("r9  %016lx r10 %016lx r11 %016lx r12 %016lx", frame->r9, frame->r10, frame->r11,
              frame->r12);
    log_error("r13 %016lx r14 %016lx r15 %016lx", frame->r13, frame->r14, frame->r15);
}

static void tell_host(void)
{
    if (panic_hook)
        panic_hook();
    else
        early_console_panic();
}

/* Returns on the first CPU that panics, the first time. */
static void panic_enter(const char *text)
{
    u32 before = 0, self = cpu_current()->id + 1;

    if (__atomic_compare_exchange_n(&panicking, &before, self, false, __ATOMIC_ACQ_REL,
                                    __ATOMIC_RELAXED))
        return;
    if (before == self && !panicked_again) {
        panicked_again = true;
        log_error("panic while panicking: %s", text);
        tell_host();
    }
    machine_halt_cpu();
}

static noreturn void panic_text(const struct trap_frame *frame, const char *text)
{
    u64 frame_pointer = (u64)__builtin_frame_address(0);

    interrupts_disable();
    panic_enter(text);
    machine_stop_others();
    log_error("panic: %s", text);
    log_error("cpu %u", cpu_current()->id);
    if (frame) {
        print_registers(frame);
        log_code_address(frame->rip);
        frame_pointer = frame->rbp;
    }
    /* Also where the stack pointer is broken: nothing is lost by a fault any more. */
    backtrace_walk(frame_pointer, frame_pointer, print_caller, NULL);
    if (panic_describe)
        panic_describe();
    tell_host();
    machine_halt_cpu();
}

static noreturn void panic_list(const struct trap_frame *frame, const char *format,
                                va_list arguments)
{
    char text[TEXT_BYTES];

    format_text_list(text, sizeof(text), format, arguments);
    panic_text(frame, text);
}

void panic(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    panic_list(NULL, format, arguments);
}

void panic_at(const struct trap_frame *frame, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    panic_list(frame, format, arguments);
}

void assert_failed(const char *condition, const char *file, int line, const char *function)
{
    panic("%s:%d: %s: not so: %s", file, line, function, condition);
}

void refcount_from_zero(void)
{
    panic("a reference was taken on an object that has none left");
}

void __stack_chk_fail(void);
void __stack_chk_fail(void)
{
    panic("a function's stack was overwritten");
}
