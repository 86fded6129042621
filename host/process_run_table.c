/*
 * The simulator's table: Time, a column a process, a column a CPU, and notes, as in the book's
 * Figures 4.3 and 4.4.
 *
 * The row is kept as text; what is told changes its cells, and each unit that passes prints it.
 */
#include "process_run.h"

#include <stdlib.h>
#include <string.h>

#define PROCESS_WIDTH 12
#define CPU_WIDTH     7

struct table {
    struct watcher watcher;
    u32 processes;
    size_t row_length;
    char *row;
    struct note_list notes;
};

static const char *const state_words[PROCESS_STATES] = {
    [PROCESS_NEW] = "-",           [PROCESS_READY] = "Ready", [PROCESS_RUNNING] = "Running",
    [PROCESS_BLOCKED] = "Blocked", [PROCESS_DONE] = "-",
};

static struct table *table_of(struct watcher *watcher)
{
    return container_of(watcher, struct table, watcher);
}

/* Writes `text` at the right edge of the cell that begins at `cell`. */
static void cell_set(char *cell, size_t width, const char *text)
{
    size_t length = strlen(text);

    memset(cell, ' ', width);
    memcpy(cell + width - length, text, length);
}

static void table_state(struct watcher *watcher, u32 process, enum process_state state)
{
    struct table *table = table_of(watcher);

    cell_set(table->row + (size_t)process * PROCESS_WIDTH, PROCESS_WIDTH, state_words[state]);
}

static void table_cpu(struct watcher *watcher, u32 cpu, u32 process)
{
    struct table *table = table_of(watcher);
    char text[16] = "";

    if (process != NO_PROCESS)
        snprintf(text, sizeof(text), "%u", process);
    cell_set(table->row + (size_t)table->processes * PROCESS_WIDTH + (size_t)cpu * CPU_WIDTH,
             CPU_WIDTH, text);
}

static void table_note(struct watcher *watcher, u32 process, enum note note, u32 detail)
{
    note_list_push(&table_of(watcher)->notes, process, note, detail);
}

static void table_advance(struct watcher *watcher, u64 until)
{
    struct table *table = table_of(watcher);

    for (u64 unit = watcher->now; unit < until; unit++) {
        printf("%4llu", (unsigned long long)unit + 1);
        fwrite(table->row, 1, table->row_length, stdout);
        fputs("  ", stdout);
        note_list_print(&table->notes);
        putchar('\n');
    }
}

static void table_finish(struct watcher *watcher)
{
    struct table *table = table_of(watcher);

    note_list_fini(&table->notes);
    free(table->row);
    free(table);
}

static const struct watcher_operations table_operations = {
    .state = table_state,
    .cpu = table_cpu,
    .note = table_note,
    .advance = table_advance,
    .finish = table_finish,
};

static void header_print(u32 processes, u32 cpus)
{
    fputs("Time", stdout);
    for (u32 i = 0; i < processes; i++) {
        char name[24];

        snprintf(name, sizeof(name), "Process%u", i);
        printf("%*s", PROCESS_WIDTH, name);
    }
    for (u32 i = 0; i < cpus; i++) {
        char name[24];

        snprintf(name, sizeof(name), "CPU%u", i);
        printf("%*s", CPU_WIDTH, name);
    }
    puts("  Notes");
}

struct watcher *table_create(u32 processes, u32 cpus)
{
    struct table *table = array_alloc(1, sizeof(*table));

    table->watcher.operations = &table_operations;
    table->processes = processes;
    table->row_length = (size_t)processes * PROCESS_WIDTH + (size_t)cpus * CPU_WIDTH;
    table->row = array_alloc(table->row_length, 1);
    for (u32 i = 0; i < processes; i++)
        table_state(&table->watcher, i, PROCESS_NEW);
    for (u32 i = 0; i < cpus; i++)
        table_cpu(&table->watcher, i, NO_PROCESS);
    header_print(processes, cpus);
    return &table->watcher;
}
