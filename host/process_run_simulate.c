/*
 * The simulator: the kernel's scheduling policies, on CPUs that exist only here.
 *
 * Time goes in units, and each unit in four steps:
 *
 *     admit     who completed an input or output becomes READY, and who arrives now; each is put on
 *               a CPU's queue: where it ran last or on an idle CPU, else on the least loaded
 *     balance   an idle CPU takes from the longest queue; two that differ by two share
 *     dispatch  the policy is asked whether the running one gives way, and who is next
 *     execute   each CPU runs one instruction and charges it; who starts an input or output
 *               blocks, who has no more instructions ends
 *
 * This is the mechanism that sched/ is in the kernel, and it keeps the same contract
 * (pith/policy.h): a queue a CPU, time charged before any other call, should_preempt asked after a
 * push and when the time that slice_ns gave is over. Units in which all are blocked are skipped.
 *
 * All inputs and outputs take equally long, so they complete in the order of their start: a ring.
 */
#include "process_run.h"

#include <stdlib.h>
#include <string.h>

struct simulated_process {
    struct policy_thread thread;
    const struct program *program;
    u32 next; /* the index of the next instruction */
    u32 cpu;  /* whose queue it is on, or where it ran last */
    enum process_state state;
    u64 since;         /* when it came into the state */
    struct list ready; /* in its CPU's list */
};

struct simulated_cpu {
    struct policy_queue queue;
    struct list ready; /* who is in `queue`, in the order in which they came */
    struct simulated_process *running;
    struct simulated_process *last;
    bool ask;   /* something was pushed: ask should_preempt */
    u64 ask_at; /* when the slice is over; 0: never */
};

struct pending_io {
    struct simulated_process *process;
    u64 finish;
};

struct simulator {
    const struct options *options;
    struct watcher *watchers;
    struct result *result;
    struct simulated_process *processes;
    struct simulated_process **arrivals; /* by time, then by number */
    u32 count;
    u32 arrived;
    u32 done;
    struct simulated_cpu *cpus;
    struct pending_io *ring;
    u32 ring_first;
    u32 ring_count;
    u64 now;
};

static u32 number_of(const struct simulator *run, const struct simulated_process *process)
{
    return (u32)(process - run->processes);
}

static struct process_result *result_of(struct simulator *run,
                                        const struct simulated_process *process)
{
    return &run->result->processes[number_of(run, process)];
}

static u64 now_ns(const struct simulator *run)
{
    return run->now * POLICY_SIMULATED_UNIT_NS;
}

static void tell_note(struct simulator *run, const struct simulated_process *process,
                      enum note note, u32 detail)
{
    for (struct watcher *watcher = run->watchers; watcher; watcher = watcher->next)
        watcher->operations->note(watcher, number_of(run, process), note, detail);
}

static void tell_cpu(struct simulator *run, const struct simulated_cpu *cpu)
{
    u32 process = cpu->running ? number_of(run, cpu->running) : NO_PROCESS;

    for (struct watcher *watcher = run->watchers; watcher; watcher = watcher->next)
        watcher->operations->cpu(watcher, (u32)(cpu - run->cpus), process);
}

static void set_state(struct simulator *run, struct simulated_process *process,
                      enum process_state state)
{
    struct process_result *result = result_of(run, process);
    u64 spent = run->now - process->since;

    if (process->state == PROCESS_READY)
        result->waiting += spent;
    if (process->state == PROCESS_RUNNING)
        result->cpu += spent;
    process->state = state;
    process->since = run->now;
    for (struct watcher *watcher = run->watchers; watcher; watcher = watcher->next)
        watcher->operations->state(watcher, number_of(run, process), state);
}

/* Says that what the watchers know holds until `until`, and makes that the time. */
static void advance(struct simulator *run, u64 until)
{
    for (struct watcher *watcher = run->watchers; watcher; watcher = watcher->next) {
        watcher->operations->advance(watcher, until);
        watcher->now = until;
    }
    if (run->ring_count > 0)
        run->result->device_busy += until - run->now;
    run->now = until;
}

/* Instructions up to the one that starts an input or output, or to the end. */
static u64 next_burst_ns(const struct simulated_process *process)
{
    const struct program *program = process->program;
    u32 end = process->next;

    while (end < program->count && program->instructions[end] != INSTRUCTION_IO)
        end++;
    end += end < program->count;
    return (end - process->next) * POLICY_SIMULATED_UNIT_NS;
}

static void cpu_push(struct simulator *run, struct simulated_cpu *cpu,
                     struct simulated_process *process, enum policy_push why)
{
    process->cpu = (u32)(cpu - run->cpus);
    cpu->queue.policy->push(&cpu->queue, &process->thread, why, now_ns(run));
    list_push_back(&cpu->ready, &process->ready);
    cpu->ask = true;
}

static u32 load_of(const struct simulated_cpu *cpu)
{
    return cpu->queue.count + (cpu->running != NULL);
}

/* The least loaded CPU; among equals the process's last. */
static struct simulated_cpu *choose_cpu(struct simulator *run,
                                        const struct simulated_process *process)
{
    struct simulated_cpu *best = &run->cpus[process->cpu];

    for (u32 i = 0; i < run->options->cpus; i++)
        if (load_of(&run->cpus[i]) < load_of(best))
            best = &run->cpus[i];
    return best;
}

static void make_ready(struct simulator *run, struct simulated_process *process,
                       enum policy_push why)
{
    process->thread.expected_burst_ns = next_burst_ns(process);
    process->thread.remaining_burst_ns = process->thread.expected_burst_ns;
    set_state(run, process, PROCESS_READY);
    cpu_push(run, choose_cpu(run, process), process, why);
}

static void end_process(struct simulator *run, struct simulated_process *process)
{
    set_state(run, process, PROCESS_DONE);
    result_of(run, process)->end = run->now;
    run->done++;
}

static void admit_completed(struct simulator *run)
{
    while (run->ring_count > 0 && run->ring[run->ring_first].finish == run->now) {
        struct simulated_process *process = run->ring[run->ring_first].process;

        run->ring_first = (run->ring_first + 1) % run->count;
        run->ring_count--;
        tell_note(run, process, NOTE_IO_DONE, 0);
        make_ready(run, process, POLICY_PUSH_WOKEN);
    }
}

static void admit_arriving(struct simulator *run)
{
    while (run->arrived < run->count) {
        struct simulated_process *process = run->arrivals[run->arrived];

        if (result_of(run, process)->arrival != run->now)
            return;
        run->arrived++;
        tell_note(run, process, NOTE_ARRIVES, 0);
        result_of(run, process)->first_run = run->now;
        if (process->program->count == 0)
            end_process(run, process);
        else
            make_ready(run, process, POLICY_PUSH_NEW);
    }
}

/* Moves the one that came last to `from`, whose turn there is likely to be far. */
static void migrate(struct simulator *run, struct simulated_cpu *from, struct simulated_cpu *to)
{
    struct simulated_process *process =
        list_entry(list_last(&from->ready), struct simulated_process, ready);

    from->queue.policy->remove(&from->queue, &process->thread, now_ns(run));
    list_remove(&process->ready);
    cpu_push(run, to, process, POLICY_PUSH_MIGRATED);
    run->result->migrations++;
    tell_note(run, process, NOTE_MIGRATES, process->cpu);
}

/* After this no CPU is without work while another has a queue, and loads differ by one at most. */
static void balance(struct simulator *run)
{
    for (;;) {
        struct simulated_cpu *most = run->cpus, *least = run->cpus;

        for (u32 i = 1; i < run->options->cpus; i++) {
            struct simulated_cpu *cpu = &run->cpus[i];

            if (load_of(cpu) > load_of(most))
                most = cpu;
            if (load_of(cpu) < load_of(least))
                least = cpu;
        }
        if (load_of(most) < load_of(least) + 2)
            return;
        migrate(run, most, least);
    }
}

static void cpu_give_way(struct simulator *run, struct simulated_cpu *cpu)
{
    struct simulated_process *process = cpu->running;

    cpu->running = NULL;
    cpu_push(run, cpu, process, POLICY_PUSH_PREEMPTED);
}

static bool cpu_must_ask(const struct simulator *run, const struct simulated_cpu *cpu)
{
    return cpu->queue.count > 0 && (cpu->ask || (cpu->ask_at && cpu->ask_at <= run->now));
}

static void cpu_arm_slice(struct simulator *run, struct simulated_cpu *cpu)
{
    u64 slice_ns = 0;

    if (cpu->queue.count > 0)
        slice_ns = cpu->queue.policy->slice_ns(&cpu->queue, &cpu->running->thread, now_ns(run));
    cpu->ask = false;
    cpu->ask_at = slice_ns ? run->now + DIV_ROUND_UP(slice_ns, POLICY_SIMULATED_UNIT_NS) : 0;
}

static void cpu_pick(struct simulator *run, struct simulated_cpu *cpu)
{
    struct policy_thread *thread = cpu->queue.policy->pick(&cpu->queue, now_ns(run));

    cpu->running = list_entry(thread, struct simulated_process, thread);
    list_remove(&cpu->running->ready);
}

/* Makes the CPU's choice known. Who ran until now, and still could, is `before`; NULL: nobody. */
static void cpu_take_up(struct simulator *run, struct simulated_cpu *cpu,
                        struct simulated_process *before)
{
    struct simulated_process *process = cpu->running;

    if (process == before)
        return;
    if (before) {
        set_state(run, before, PROCESS_READY);
        tell_note(run, before, NOTE_TURN_OVER, 0);
    }
    if (process->next == 0)
        result_of(run, process)->first_run = run->now;
    set_state(run, process, PROCESS_RUNNING);
    run->result->switches += cpu->last && cpu->last != process;
    cpu->last = process;
    tell_cpu(run, cpu);
}

static void dispatch(struct simulator *run)
{
    for (u32 i = 0; i < run->options->cpus; i++) {
        struct simulated_cpu *cpu = &run->cpus[i];
        struct simulated_process *before = cpu->running;

        if (before && !cpu_must_ask(run, cpu))
            continue;
        if (before && cpu->queue.policy->should_preempt(&cpu->queue, &before->thread, now_ns(run)))
            cpu_give_way(run, cpu);
        if (!cpu->running && cpu->queue.count > 0)
            cpu_pick(run, cpu);
        if (!cpu->running)
            continue;
        cpu_arm_slice(run, cpu);
        cpu_take_up(run, cpu, before);
    }
}

static void cpu_block(struct simulator *run, struct simulated_cpu *cpu)
{
    cpu->queue.policy->block(&cpu->queue, &cpu->running->thread, now_ns(run));
    cpu->running = NULL;
    tell_cpu(run, cpu);
}

static void start_io(struct simulator *run, struct simulated_process *process)
{
    u32 last = (run->ring_first + run->ring_count++) % run->count;

    run->ring[last] = (struct pending_io){process, run->now + run->options->io_length};
    set_state(run, process, PROCESS_BLOCKED);
}

/* What follows from the instruction that `cpu` ran in the unit that is over. */
static void cpu_finish_unit(struct simulator *run, struct simulated_cpu *cpu)
{
    struct simulated_process *process = cpu->running;
    enum instruction instruction = process->program->instructions[process->next++];

    run->result->cpu_busy++;
    process->thread.remaining_burst_ns -= POLICY_SIMULATED_UNIT_NS;
    cpu->queue.policy->charge(&cpu->queue, &process->thread, POLICY_SIMULATED_UNIT_NS, now_ns(run));
    if (instruction == INSTRUCTION_IO) {
        cpu_block(run, cpu);
        start_io(run, process);
    } else if (process->next == process->program->count) {
        cpu_block(run, cpu);
        end_process(run, process);
    }
}

static void tell_instruction(struct simulator *run, const struct simulated_process *process)
{
    if (process->program->instructions[process->next] == INSTRUCTION_IO)
        tell_note(run, process, NOTE_IO_START, 0);
    else if (process->next + 1 == process->program->count)
        tell_note(run, process, NOTE_DONE, 0);
}

static void execute(struct simulator *run)
{
    if (run->watchers)
        for (u32 i = 0; i < run->options->cpus; i++)
            if (run->cpus[i].running)
                tell_instruction(run, run->cpus[i].running);
    advance(run, run->now + 1);
    for (u32 i = 0; i < run->options->cpus; i++)
        if (run->cpus[i].running)
            cpu_finish_unit(run, &run->cpus[i]);
}

static bool all_cpus_are_idle(const struct simulator *run)
{
    for (u32 i = 0; i < run->options->cpus; i++)
        if (run->cpus[i].running)
            return false;
    return true;
}

/* Goes to the next completion or arrival. */
static void skip_idle_units(struct simulator *run)
{
    u64 next = U64_MAX;

    if (run->ring_count > 0)
        next = run->ring[run->ring_first].finish;
    if (run->arrived < run->count)
        next = MIN(next, result_of(run, run->arrivals[run->arrived])->arrival);
    advance(run, next);
}

static void simulator_play(struct simulator *run)
{
    while (run->done < run->count) {
        admit_completed(run);
        admit_arriving(run);
        balance(run);
        dispatch(run);
        if (!all_cpus_are_idle(run))
            execute(run);
        else if (run->done < run->count)
            skip_idle_units(run);
    }
    run->result->units = run->now;
}

/* The figure of process `i`: from the list, which has one for each, or the default. */
static u64 figure_of(const struct figure_list *list, u32 i, u64 default_figure)
{
    return list->figures ? list->figures[i] : default_figure;
}

static int compare_arrivals(const void *a, const void *b)
{
    const struct simulated_process *left = *(struct simulated_process *const *)a;
    const struct simulated_process *right = *(struct simulated_process *const *)b;

    if (left->since != right->since)
        return left->since < right->since ? -1 : 1;
    return left < right ? -1 : left > right;
}

static void processes_init(struct simulator *run, const struct program_list *programs)
{
    for (u32 i = 0; i < run->count; i++) {
        struct simulated_process *process = &run->processes[i];
        struct process_result *result = &run->result->processes[i];

        result->arrival = figure_of(&run->options->arrivals, i, 0);
        result->weight = figure_of(&run->options->weights, i, POLICY_WEIGHT_DEFAULT);
        process->program = &programs->programs[i];
        process->state = PROCESS_NEW;
        process->since = result->arrival;
        process->thread.weight = (u32)result->weight;
        process->thread.priority = 1;
        run->arrivals[i] = process;
    }
    qsort(run->arrivals, run->count, sizeof(run->arrivals[0]), compare_arrivals);
}

static void cpus_init(struct simulator *run)
{
    for (u32 i = 0; i < run->options->cpus; i++) {
        struct simulated_cpu *cpu = &run->cpus[i];

        cpu->queue.policy = run->options->policy;
        cpu->queue.parameters = run->options->parameters;
        cpu->queue.parameters.seed += i;
        cpu->queue.policy->init(&cpu->queue);
        list_init(&cpu->ready);
    }
}

void simulate(const struct program_list *programs, const struct options *options,
              struct watcher *watchers, struct result *result_out)
{
    struct simulator run = {
        .options = options,
        .watchers = watchers,
        .result = result_out,
        .count = programs->count,
    };

    *result_out = (struct result){.count = run.count, .cpus = options->cpus};
    result_out->processes = array_alloc(run.count, sizeof(result_out->processes[0]));
    run.processes = array_alloc(run.count, sizeof(run.processes[0]));
    run.arrivals = array_alloc(run.count, sizeof(run.arrivals[0]));
    run.cpus = array_alloc(options->cpus, sizeof(run.cpus[0]));
    run.ring = array_alloc(run.count, sizeof(run.ring[0]));
    processes_init(&run, programs);
    cpus_init(&run);
    simulator_play(&run);
    free(run.processes);
    free(run.arrivals);
    free(run.cpus);
    free(run.ring);
}

void result_destroy(struct result *result)
{
    free(result->processes);
}
