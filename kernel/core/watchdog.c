/*
 * The watchdog: notices a CPU that is stuck with its interrupts off.
 *
 * Every few seconds each CPU sends an interrupt to the next one and looks whether the one before
 * was answered. A CPU that has not answered in that time is reported, with all CPUs' stacks, by
 * NMI; once, until it answers again. The CPUs watch each other in a ring, so a single one that
 * hangs is always seen by another; if all hang, nobody is left to say so. On with SAN=1 or the word
 * `watchdog`.
 *
 * Context: a timer's function; the answer is a call interrupt that does nothing else.
 */
#include <pith/core.h>

#include "parts.h"

#define INTERVAL_NS (5 * NS_PER_SECOND)

struct watch {
    struct timer timer;
    u64 asked;     /* [cpu] how often this CPU asked the next one */
    u64 answered;  /* [atomic] how often this CPU answered */
    bool reported; /* [cpu] the next one's silence */
};

static DEFINE_PER_CPU(struct watch, watch);
static bool wanted = SAN;

PARAMETER(watchdog, "watchdog", "", "reports a CPU that is stuck, with all CPUs' stacks",
          .flag = &wanted);

static void answer(struct trap_frame *frame, u8 vector)
{
    __atomic_fetch_add(&this_cpu(watch)->answered, 1, __ATOMIC_RELAXED);
}

static u32 next_cpu(u32 id)
{
    u64 online = READ_ONCE(cpus_online), above = online & ~(BIT(id) | (BIT(id) - 1));

    return __builtin_ctzl(above ? above : online);
}

static void look(struct timer *timer)
{
    struct watch *own = container_of(timer, struct watch, timer);
    u32 next = next_cpu(cpu_current()->id);
    struct watch *other = of_cpu(watch, cpus[next]);

    if (own->asked && READ_ONCE(other->answered) == 0) {
        if (!own->reported) {
            log_error("watchdog: cpu %u has not taken an interrupt for %lu s", next,
                      INTERVAL_NS / NS_PER_SECOND);
            stacks_report_others();
        }
        own->reported = true;
    } else {
        own->reported = false;
    }
    own->asked = 1;
    __atomic_store_n(&other->answered, 0, __ATOMIC_RELAXED);
    if (next != cpu_current()->id)
        cpu_send_interrupt(next, VECTOR_WATCHDOG);
    timer_set(timer, clock_monotonic_ns() + INTERVAL_NS);
}

void watchdog_init_cpu(void)
{
    struct watch *own = this_cpu(watch);

    if (!wanted || cpu_count == 1)
        return;
    vector_register(VECTOR_WATCHDOG, answer);
    timer_init(&own->timer, look);
    timer_set(&own->timer, clock_monotonic_ns() + INTERVAL_NS);
}
