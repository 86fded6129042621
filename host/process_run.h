/*
 * process-run: what its parts share.
 *
 * The command line (options) and the process descriptions in it (program) become a list of
 * programs, an instruction a unit of time. Either the book's rules (original) or a scheduling
 * policy of the kernel's (simulate) plays them through. The original prints its own table. The
 * simulator tells what happens to its watchers: a table for reading (table), the same as
 * comma-separated values (csv), or a figure (svg). At the end stand the figures that one compares
 * policies by (summary).
 *
 * Everything runs in one thread and ends the program on the first error (fail).
 */
#pragma once

#include <stdio.h>

#include <pith/policy.h>

#define INSTRUCTIONS_MAX 20000000ull /* of all processes together */
#define PROCESSES_MAX    10000u
#define UNITS_MAX        100000000ull /* of time that a run may take */
#define CPUS_MAX         64u
#define NO_PROCESS       UINT32_MAX

enum exit_status {
    EXIT_DESCRIPTION = 1, /* a process that cannot be, or a run that went wrong */
    EXIT_USAGE = 2,
};

/* Prints one sentence to standard error and ends the program. */
noreturn void fail(enum exit_status status, const char *format, ...) printf_like(2, 3);

/* A part of what the user typed. */
struct text {
    const char *start;
    size_t length;
};

#define TEXT_FORMAT    "%.*s"
#define TEXT_ARG(text) (int)MIN((text).length, (size_t)60), (text).start

struct text text_of(const char *string);
/* Cuts the first of the items that `separator` separates off `rest`; false: none is left. */
bool text_next(struct text *rest, char separator, struct text *item_out);
/* A decimal number up to `limit`. -EINVAL: it is none; -ERANGE: it is larger. */
int text_to_number(struct text text, u64 limit, u64 *value_out) must_check;

#define MERSENNE_TWISTER_WORDS 624u

/* The generator of Python's `random` module. */
struct mersenne_twister {
    u32 state[MERSENNE_TWISTER_WORDS];
    u32 index;
};

/* As random.seed(n) with |n| == `seed`. */
void mersenne_twister_init(struct mersenne_twister *generator, u64 seed);
/* As random.random(): at least 0, below 1. */
double mersenne_twister_next(struct mersenne_twister *generator);

enum instruction {
    INSTRUCTION_CPU,
    INSTRUCTION_IO,      /* starts an input or output */
    INSTRUCTION_IO_DONE, /* handles its completion */
};

struct program {
    u8 *instructions; /* enum instruction */
    u32 count;
    u32 room;
};

struct program_list {
    struct program *programs;
    u32 count;
    u32 room;
    u64 instructions;
    u64 ios;
};

enum switch_behavior {
    SWITCH_ON_IO,
    SWITCH_ON_END
};
enum io_done_behavior {
    IO_RUN_LATER,
    IO_RUN_IMMEDIATE
};

/* A figure a process, from the command line. */
struct figure_list {
    u64 *figures; /* NULL: not given */
    u32 count;
};

struct options {
    u64 seed;
    const char *process_list; /* NULL: not given */
    const char *programs;     /* NULL: not given */
    u64 io_length;
    enum switch_behavior switch_behavior;
    enum io_done_behavior io_done_behavior;
    bool shows_table;
    bool shows_stats;
    bool shows_summary_only;

    const struct policy *policy; /* NULL: the original's rules */
    struct policy_parameters parameters;
    u32 cpus;
    struct figure_list arrivals; /* units of time */
    struct figure_list weights;
    const char *svg_path; /* NULL: no figure */
    bool is_csv;
};

void options_parse(struct options *options, int argc, char **argv);
void options_fini(struct options *options);

void programs_create(struct program_list *list, const struct options *options);
void programs_destroy(struct program_list *list);
const char *instruction_name(enum instruction instruction);

void original_run(const struct program_list *programs, const struct options *options);

enum process_state {
    PROCESS_NEW, /* it has not arrived */
    PROCESS_READY,
    PROCESS_RUNNING,
    PROCESS_BLOCKED,
    PROCESS_DONE,
    PROCESS_STATES,
};

/* What can be told of a unit of time beside the states. */
enum note {
    NOTE_ARRIVES,
    NOTE_IO_START,
    NOTE_IO_DONE,
    NOTE_TURN_OVER, /* it gives way to others */
    NOTE_MIGRATES,  /* to the CPU `detail` */
    NOTE_DONE,
};

/*
 * Who watches a simulation. What is told holds from the unit that begins at `now` on (a note: for
 * that unit), until something else is told; `advance` says that nothing changes before `until`.
 */
struct watcher;
struct watcher_operations {
    void (*state)(struct watcher *watcher, u32 process, enum process_state state);
    void (*cpu)(struct watcher *watcher, u32 cpu, u32 process); /* NO_PROCESS: idle */
    void (*note)(struct watcher *watcher, u32 process, enum note note, u32 detail);
    void (*advance)(struct watcher *watcher, u64 until);
    void (*finish)(struct watcher *watcher); /* the run is over; frees the watcher */
};
struct watcher {
    const struct watcher_operations *operations;
    u64 now;
    struct watcher *next;
};

/* The notes of the next unit. */
struct note_list {
    struct noted {
        u32 process;
        enum note note;
        u32 detail;
    } * notes;
    u32 count;
    u32 room;
};

void note_list_push(struct note_list *list, u32 process, enum note note, u32 detail);
/* Writes them in words: "Process1 moves to CPU2, Process0 now done"; the list is empty then. */
void note_list_print(struct note_list *list);
void note_list_fini(struct note_list *list);

/* `array` of elements of `size` bytes, enlarged until `needed` fit; `room` says how many do. */
void *array_grow(void *array, u32 *room, u64 needed, size_t size);
/* Zeroed memory, at least one element. */
void *array_alloc(u64 count, size_t size);

struct watcher *table_create(u32 processes, u32 cpus);
struct watcher *csv_create(u32 processes, u32 cpus);
struct watcher *svg_create(const char *path, const struct program_list *programs,
                           const struct options *options);
/* What became of a process; times are units, from 0. */
struct process_result {
    u64 weight;
    u64 arrival;
    u64 first_run;
    u64 end;
    u64 cpu;     /* time running */
    u64 waiting; /* time ready */
};

struct result {
    struct process_result *processes;
    u32 count;
    u32 cpus;
    u64 units;
    u64 cpu_busy;    /* of all CPUs together */
    u64 device_busy; /* units with an input or output under way */
    u64 switches;    /* a CPU took up another process than it ran last */
    u64 migrations;
};

/* Plays the programs through. `watchers` may be NULL; the result is the caller's to destroy. */
void simulate(const struct program_list *programs, const struct options *options,
              struct watcher *watchers, struct result *result_out);
void result_destroy(struct result *result);
void summary_print(const struct result *result, const struct options *options);
void summary_print_csv(const struct result *result);
