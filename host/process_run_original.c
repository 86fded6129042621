/*
 * The book's rules: one CPU, processes in a row, and four behaviours.
 *
 * The CPU goes on with the current process until it ends, or, with SWITCH_ON_IO, starts an input or
 * output. Then the next READY process in the row, counted round from the current one, takes over.
 * When an input or output completes, its process runs at once with IO_RUN_IMMEDIATE, or with
 * SWITCH_ON_END, where the CPU waited for it; else only if nobody else is there to run.
 *
 * An input or output that starts in unit t completes before unit t + length + 1. One CPU starts at
 * most one a unit and all take equally long, so they complete in the order of their start, one a
 * unit: a ring holds them. A set of bits finds the next READY process.
 *
 * The row of the table is kept as text. Each change of a state changes its cell, so a row costs a
 * copy, whatever the number of processes; trailing blanks are the original's.
 */
#include "process_run.h"

#include <stdlib.h>
#include <string.h>

#define CELL_WIDTH 14

/* An input or output under way. */
struct pending_io {
    u32 process;
    u64 finish; /* the unit before which it completes */
};

struct original {
    const struct program_list *programs;
    const struct options *options;
    u32 *next;   /* the index of each process's next instruction */
    u8 *states;  /* enum process_state */
    u64 *ready;  /* a bit for each process: it is READY */
    char *cells; /* the row; NULL: no table is printed */
    struct pending_io *ring;
    u32 ring_first;
    u32 ring_count;
    u32 current;
    u32 active;   /* processes that are not DONE */
    u32 runnable; /* READY or RUNNING */
    u64 now;
    u64 cpu_busy;
    u64 device_busy;
};

static const char *const state_names[PROCESS_STATES] = {
    [PROCESS_READY] = "READY",
    [PROCESS_RUNNING] = "RUNNING",
    [PROCESS_BLOCKED] = "BLOCKED",
    [PROCESS_DONE] = "DONE",
};

static void cell_set(struct original *run, u32 process, const char *prefix, const char *text)
{
    char *cell;
    size_t prefix_length = strlen(prefix), length = strlen(text);

    if (!run->cells)
        return;
    cell = run->cells + (size_t)process * CELL_WIDTH;
    memset(cell, ' ', CELL_WIDTH);
    memcpy(cell + CELL_WIDTH - length - prefix_length, prefix, prefix_length);
    memcpy(cell + CELL_WIDTH - length, text, length);
}

static bool state_is_runnable(enum process_state state)
{
    return state == PROCESS_READY || state == PROCESS_RUNNING;
}

static void set_state(struct original *run, u32 process, enum process_state state)
{
    u64 bit = BIT(process % 64);

    run->runnable -= state_is_runnable(run->states[process]);
    run->runnable += state_is_runnable(state);
    run->active -= state == PROCESS_DONE;
    if (state == PROCESS_READY)
        run->ready[process / 64] |= bit;
    else
        run->ready[process / 64] &= ~bit;
    run->states[process] = (u8)state;
    cell_set(run, process, "", state_names[state]);
}

static void run_process(struct original *run, u32 process)
{
    run->current = process;
    set_state(run, process, PROCESS_RUNNING);
}

/* The first READY process from `from` on; NO_PROCESS: there is none. */
static u32 find_ready_from(const struct original *run, u32 from)
{
    u32 words = DIV_ROUND_UP(run->programs->count, 64), word = from / 64;
    u64 bits;

    if (word >= words)
        return NO_PROCESS;
    bits = run->ready[word] & (~0ull << (from % 64));
    while (!bits) {
        if (++word == words)
            return NO_PROCESS;
        bits = run->ready[word];
    }
    return word * 64 + (u32)__builtin_ctzll(bits);
}

static void run_next(struct original *run)
{
    u32 process = find_ready_from(run, run->current + 1);

    if (process == NO_PROCESS)
        process = find_ready_from(run, 0);
    if (process != NO_PROCESS)
        run_process(run, process);
}

static bool current_is_running(const struct original *run)
{
    return run->states[run->current] == PROCESS_RUNNING;
}

static bool current_has_instructions(const struct original *run)
{
    return run->next[run->current] < run->programs->programs[run->current].count;
}

static void end_current_if_finished(struct original *run)
{
    if (!current_is_running(run) || current_has_instructions(run))
        return;
    set_state(run, run->current, PROCESS_DONE);
    run_next(run);
}

static void start_io(struct original *run)
{
    u32 last = (run->ring_first + run->ring_count++) % run->programs->count;

    run->ring[last] = (struct pending_io){run->current, run->now + run->options->io_length + 1};
    set_state(run, run->current, PROCESS_BLOCKED);
    if (run->options->switch_behavior == SWITCH_ON_IO)
        run_next(run);
}

/* Handles the completion that is due, if one is. */
static bool complete_io(struct original *run)
{
    struct pending_io *io = &run->ring[run->ring_first];

    if (run->ring_count == 0 || io->finish != run->now)
        return false;
    run->ring_first = (run->ring_first + 1) % run->programs->count;
    run->ring_count--;
    set_state(run, io->process, PROCESS_READY);
    if (run->options->io_done_behavior == IO_RUN_IMMEDIATE) {
        if (current_is_running(run))
            set_state(run, run->current, PROCESS_READY);
        run_process(run, io->process);
    } else if (run->options->switch_behavior == SWITCH_ON_END || run->runnable == 1) {
        run_process(run, io->process);
    }
    end_current_if_finished(run);
    return true;
}

static void print_header(const struct original *run)
{
    fputs("Time", stdout);
    for (u32 process = 0; process < run->programs->count; process++) {
        char name[CELL_WIDTH + 1];

        snprintf(name, sizeof(name), "PID:%2u", process);
        printf("%*s", CELL_WIDTH, name);
    }
    printf("%*s%*s\n", CELL_WIDTH, "CPU", CELL_WIDTH, "IOs");
}

static void print_row(const struct original *run, u64 time, char mark, const char *cpu)
{
    printf("%3llu%c", (unsigned long long)time, mark);
    fwrite(run->cells, CELL_WIDTH, run->programs->count, stdout);
    printf("%*s", CELL_WIDTH, cpu);
    if (run->ring_count > 0)
        printf("%*u\n", CELL_WIDTH, run->ring_count);
    else
        fputs("          \n", stdout);
}

/* Unit `now`: the current process's instruction, if it runs and has one. */
static void execute(struct original *run, bool io_completed)
{
    char mark = io_completed ? '*' : ' ';
    enum instruction instruction;

    run->device_busy += run->ring_count > 0;
    if (!current_is_running(run) || !current_has_instructions(run)) {
        if (run->cells)
            print_row(run, run->now, mark, " ");
        return;
    }
    instruction = run->programs->programs[run->current].instructions[run->next[run->current]++];
    run->cpu_busy++;
    if (run->cells) {
        cell_set(run, run->current, "RUN:", instruction_name(instruction));
        print_row(run, run->now, mark, "1");
        cell_set(run, run->current, "", state_names[PROCESS_RUNNING]);
    }
    if (instruction == INSTRUCTION_IO)
        start_io(run);
}

/* Passes the units in which all that is not DONE is BLOCKED. */
static void idle(struct original *run)
{
    u64 finish;

    if (run->runnable > 0 || run->active == 0)
        return;
    finish = run->ring[run->ring_first].finish;
    run->device_busy += finish - run->now - 1;
    while (++run->now < finish)
        if (run->cells)
            print_row(run, run->now, ' ', " ");
    run->now--;
}

static void original_init(struct original *run, const struct program_list *programs,
                          const struct options *options)
{
    u32 count = programs->count;

    *run = (struct original){.programs = programs, .options = options, .active = count};
    run->next = array_alloc(count, sizeof(run->next[0]));
    run->states = array_alloc(count, sizeof(run->states[0]));
    run->ready = array_alloc(DIV_ROUND_UP(count, 64), sizeof(run->ready[0]));
    run->ring = array_alloc(count, sizeof(run->ring[0]));
    if (options->shows_table)
        run->cells = array_alloc(count, CELL_WIDTH);
    for (u32 process = 0; process < count; process++)
        set_state(run, process, PROCESS_READY);
}

static void original_fini(struct original *run)
{
    free(run->next);
    free(run->states);
    free(run->ready);
    free(run->ring);
    free(run->cells);
}

/* The first unit always comes, so `now` is not 0. */
static void print_stats(const struct original *run)
{
    printf("Stats: Total Time %llu\n", (unsigned long long)run->now);
    printf("Stats: CPU Busy %llu (%.2f%%)\n", (unsigned long long)run->cpu_busy,
           100.0 * (double)run->cpu_busy / (double)run->now);
    printf("Stats: IO Busy  %llu (%.2f%%)\n", (unsigned long long)run->device_busy,
           100.0 * (double)run->device_busy / (double)run->now);
}

void original_run(const struct program_list *programs, const struct options *options)
{
    struct original run;

    original_init(&run, programs, options);
    if (run.cells)
        print_header(&run);
    run_process(&run, 0);
    while (run.active > 0) {
        bool io_completed;

        run.now++;
        io_completed = complete_io(&run);
        execute(&run, io_completed);
        end_current_if_finished(&run);
        idle(&run);
    }
    if (options->shows_stats && !options->shows_summary_only)
        putchar('\n');
    if (options->shows_stats || options->shows_summary_only)
        print_stats(&run);
    if (options->shows_stats && !options->shows_summary_only)
        putchar('\n');
    original_fini(&run);
}
