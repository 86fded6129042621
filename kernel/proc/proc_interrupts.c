/*
 * /proc's files about interrupts: interrupts, softirqs, and stat's lines of them (proc(5)).
 *
 * A device's line bears its vector's number, which is all that tells devices apart here. What Linux
 * does in ten kinds of softirq is one kind of deferred work, which stands in the line of tasklets;
 * the other kinds never run.
 */
#include "proc_files.h"

static const struct {
    u8 vector;
    const char *name, *meaning;
} own_vectors[] = {
    {VECTOR_NMI, "NMI", "Non-maskable interrupts"},
    {VECTOR_TIMER, "LOC", "Local timer interrupts"},
    {VECTOR_SPURIOUS, "SPU", "Spurious interrupts"},
    {VECTOR_RESCHEDULE, "RES", "Rescheduling interrupts"},
    {VECTOR_CALL, "CAL", "Function call interrupts"},
    {VECTOR_MACHINE_CHECK, "MCE", "Machine check exceptions"},
};

static const char *const softirqs[] = {
    "HI", "TIMER", "NET_TX", "NET_RX", "BLOCK", "IRQ_POLL", "TASKLET", "SCHED", "HRTIMER", "RCU",
};
#define DEFERRED_WORK 6 /* TASKLET */

static u64 vector_sum(u8 vector)
{
    u64 sum = 0;
    u32 cpu;

    cpu_for_each_online (cpu)
        sum += vector_count(vector, cpu);
    return sum;
}

static u64 deferred_sum(void)
{
    u64 sum = 0;
    u32 cpu;

    cpu_for_each_online (cpu)
        sum += deferred_count_of(cpu);
    return sum;
}

/* "intr": all, then one number for each device line from 0 on. */
void proc_print_intr(struct text_sink *sink)
{
    u64 all = 0;

    for (u32 vector = VECTOR_DEVICE_FIRST; vector < VECTORS; vector++)
        all += vector_sum((u8)vector);
    text_print(sink, "intr %lu", all);
    for (u32 vector = 0; vector <= VECTOR_DEVICE_LAST; vector++)
        text_print(sink, " %lu", vector_device((u8)vector) ? vector_sum((u8)vector) : 0);
    text_print(sink, "\n");
}

/* Ten columns, as every reader expects; nine are 0. */
void proc_print_softirq(struct text_sink *sink)
{
    u64 all = deferred_sum();

    text_print(sink, "softirq %lu", all);
    for (u32 i = 0; i < ARRAY_SIZE(softirqs); i++)
        text_print(sink, " %lu", i == DEFERRED_WORK ? all : 0);
    text_print(sink, "\n");
}

static void print_counts(struct text_sink *sink, u8 vector)
{
    u32 cpu;

    cpu_for_each_online (cpu)
        text_print(sink, "%10lu ", vector_count(vector, cpu));
}

/* A column for each CPU, right of the names' `margin` characters. */
static void print_heading(struct text_sink *sink, int margin)
{
    u32 cpu;

    text_print(sink, "%*s", margin, "");
    cpu_for_each_online (cpu)
        text_print(sink, "CPU%-8u", cpu);
    text_print(sink, "\n");
}

static int show_interrupts(struct text_sink *sink, void *argument)
{
    print_heading(sink, 11);
    for (u32 vector = VECTOR_DEVICE_FIRST; vector <= VECTOR_DEVICE_LAST; vector++) {
        if (!vector_device((u8)vector))
            continue;
        text_print(sink, "%3u: ", vector);
        print_counts(sink, (u8)vector);
        text_print(sink, "  %s\n", vector_device((u8)vector));
    }
    for (size_t i = 0; i < ARRAY_SIZE(own_vectors); i++) {
        text_print(sink, "%3s: ", own_vectors[i].name);
        print_counts(sink, own_vectors[i].vector);
        text_print(sink, "  %s\n", own_vectors[i].meaning);
    }
    return 0;
}

static int show_softirqs(struct text_sink *sink, void *argument)
{
    u32 cpu;

    print_heading(sink, 20);
    for (u32 i = 0; i < ARRAY_SIZE(softirqs); i++) {
        text_print(sink, "%12s:", softirqs[i]);
        cpu_for_each_online (cpu)
            text_print(sink, " %10lu", i == DEFERRED_WORK ? deferred_count_of(cpu) : 0);
        text_print(sink, "\n");
    }
    return 0;
}

void proc_interrupts_init(void)
{
    if (proc_register("interrupts", 0444, show_interrupts, NULL) ||
        proc_register("softirqs", 0444, show_softirqs, NULL))
        panic("no memory for the names in /proc");
}
