/*
 * Running a function on other CPUs, and waiting until all have.
 *
 * Each CPU has one request, on which it waits; a bit in each target's word says from whom there is
 * one. The request's `pending` loses a bit when that CPU is done. The caller waits with interrupts
 * on, so two CPUs may call each other:
 *
 *     CPU 0: cpu_call({1})                          CPU 1: cpu_call({0})
 *     request 0 = f; calls_from[1] |= 1; interrupt  request 1 = g; calls_from[0] |= 2; interrupt
 *     waits for request 0 -- interrupt: runs g      waits for request 1 -- interrupt: runs f
 *
 * The interrupt is sent only by who sets the first bit; the handler takes all bits at once, so
 * whoever adds one to a word that is not 0 knows that a handler has yet to look.
 *
 * Locking: none: a request is written by its owner before the bits are set and while none is.
 * Context: threads, interrupts on and no spinlock held; the function runs with interrupts off.
 */
#include <pith/core.h>

#include "parts.h"

struct call {
    void (*function)(void *argument);
    void *argument;
    u64 pending; /* [atomic] */
};

static DEFINE_PER_CPU(struct call, call);
static DEFINE_PER_CPU(u64, calls_from); /* [atomic] */
static void (*started)(void);

static void call_interrupt(struct trap_frame *frame, u8 vector)
{
    /* Pairs with the release in cpu_call: the request is complete. */
    u64 from = __atomic_exchange_n(this_cpu(calls_from), 0, __ATOMIC_ACQUIRE);

    while (from) {
        u32 id = __builtin_ctzl(from);
        struct call *request = of_cpu(call, cpus[id]);

        from &= from - 1;
        request->function(request->argument);
        /* Pairs with the acquire in cpu_call: what the function did is seen by the caller. */
        __atomic_fetch_and(&request->pending, ~BIT(cpu_current()->id), __ATOMIC_RELEASE);
    }
}

static void call_here(void (*function)(void *argument), void *argument)
{
    u64 flags = interrupts_save_disable();

    function(argument);
    interrupts_restore(flags);
}

void cpu_call(u64 mask, void (*function)(void *argument), void *argument)
{
    struct cpu *self = cpu_current();
    struct call *request = this_cpu(call);
    u64 others = mask & READ_ONCE(cpus_online) & ~BIT(self->id);

    if (others) {
        assert(interrupts_are_enabled() && !self->spinlocks_held && !self->in_interrupt);
        *request = (struct call){function, argument, others};
        for (u64 left = others; left; left &= left - 1) {
            u32 id = __builtin_ctzl(left);

            if (!__atomic_fetch_or(of_cpu(calls_from, cpus[id]), BIT(self->id), __ATOMIC_RELEASE))
                cpu_send_interrupt(id, VECTOR_CALL);
        }
    }
    if (mask & BIT(self->id))
        call_here(function, argument);
    while (others && __atomic_load_n(&request->pending, __ATOMIC_ACQUIRE))
        cpu_relax();
}

void cpu_call_init(void)
{
    vector_register(VECTOR_CALL, call_interrupt);
}

void cpu_started_register(void (*function)(void))
{
    started = function;
}

noreturn void cpu_started(void)
{
    if (started)
        started();
    machine_halt_cpu();
}
