/*
 * The simulator's table as comma-separated values, a unit a line, for programs to read: time, each
 * process's state, the number of the process that each CPU runs (empty: idle), and the notes.
 */
#include "process_run.h"

#include <stdlib.h>

struct csv {
    struct watcher watcher;
    u32 processes;
    u32 cpus;
    u8 *states;   /* enum process_state, a process */
    u32 *running; /* the process, a CPU; NO_PROCESS: idle */
    struct note_list notes;
};

static const char *const state_words[PROCESS_STATES] = {
    [PROCESS_NEW] = "new",         [PROCESS_READY] = "ready", [PROCESS_RUNNING] = "running",
    [PROCESS_BLOCKED] = "blocked", [PROCESS_DONE] = "done",
};

static struct csv *csv_of(struct watcher *watcher)
{
    return container_of(watcher, struct csv, watcher);
}

static void csv_state(struct watcher *watcher, u32 process, enum process_state state)
{
    csv_of(watcher)->states[process] = (u8)state;
}

static void csv_cpu(struct watcher *watcher, u32 cpu, u32 process)
{
    csv_of(watcher)->running[cpu] = process;
}

static void csv_note(struct watcher *watcher, u32 process, enum note note, u32 detail)
{
    note_list_push(&csv_of(watcher)->notes, process, note, detail);
}

static void csv_advance(struct watcher *watcher, u64 until)
{
    struct csv *csv = csv_of(watcher);

    for (u64 unit = watcher->now; unit < until; unit++) {
        printf("%llu", (unsigned long long)unit + 1);
        for (u32 i = 0; i < csv->processes; i++)
            printf(",%s", state_words[csv->states[i]]);
        for (u32 i = 0; i < csv->cpus; i++) {
            putchar(',');
            if (csv->running[i] != NO_PROCESS)
                printf("%u", csv->running[i]);
        }
        fputs(",\"", stdout);
        note_list_print(&csv->notes);
        puts("\"");
    }
}

static void csv_finish(struct watcher *watcher)
{
    struct csv *csv = csv_of(watcher);

    note_list_fini(&csv->notes);
    free(csv->states);
    free(csv->running);
    free(csv);
}

static const struct watcher_operations csv_operations = {
    .state = csv_state,
    .cpu = csv_cpu,
    .note = csv_note,
    .advance = csv_advance,
    .finish = csv_finish,
};

struct watcher *csv_create(u32 processes, u32 cpus)
{
    struct csv *csv = array_alloc(1, sizeof(*csv));

    csv->watcher.operations = &csv_operations;
    csv->processes = processes;
    csv->cpus = cpus;
    csv->states = array_alloc(processes, sizeof(csv->states[0]));
    csv->running = array_alloc(cpus, sizeof(csv->running[0]));
    fputs("time", stdout);
    for (u32 i = 0; i < processes; i++)
        printf(",process%u", i);
    for (u32 i = 0; i < cpus; i++) {
        printf(",cpu%u", i);
        csv->running[i] = NO_PROCESS;
    }
    puts(",notes");
    return &csv->watcher;
}
