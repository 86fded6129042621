/*
 * process-run: how the states of processes change as they use the CPU and wait for devices.
 *
 * The simulator of the chapter on the process in "Operating Systems: Three Easy Pieces", and beyond
 * it the kernel's own scheduling policies on one or more CPUs. See process-run(1) and
 * docs/process-run.md.
 */
#include "process_run.h"

#include <errno.h>
#include <string.h>

#define OUTPUT_BUFFER_BYTES (256u * 1024)

static char output_buffer[OUTPUT_BUFFER_BYTES];

/* Instructions of a process, equal ones counted: "cpu x 3, io, io_done". */
static void program_describe(const struct program *program)
{
    u32 same;

    if (program->count == 0)
        printf("nothing");
    for (u32 i = 0; i < program->count; i += same) {
        enum instruction instruction = program->instructions[i];

        for (same = 1; i + same < program->count; same++)
            if (program->instructions[i + same] != instruction)
                break;
        printf("%s%s", i > 0 ? ", " : "", instruction_name(instruction));
        if (same > 1)
            printf(" x %u", same);
    }
    putchar('\n');
}

static void behaviors_describe(const struct options *options)
{
    if (options->switch_behavior == SWITCH_ON_IO)
        puts("The CPU goes to another process when one starts an I/O, or ends.");
    else
        puts("The CPU goes to another process only when one ends.");
    if (options->io_done_behavior == IO_RUN_IMMEDIATE)
        puts("When an I/O is done, its process runs at once.");
    else
        puts("When an I/O is done, its process runs when its turn comes.");
}

/* The question: what the processes do, and by which rules. */
static void question_print(const struct program_list *programs, const struct options *options)
{
    puts("What will happen, unit by unit, when these processes run? (-c shows it.)\n");
    for (u32 i = 0; i < programs->count; i++) {
        printf("Process %u: ", i);
        program_describe(&programs->programs[i]);
    }
    putchar('\n');
    if (options->policy)
        printf("The policy %s chooses who runs, on %u CPU%s.\n", options->policy->name,
               options->cpus, options->cpus == 1 ? "" : "s");
    else
        behaviors_describe(options);
    printf("An I/O takes %llu units.\n", (unsigned long long)options->io_length);
}

static struct watcher *watchers_create(const struct program_list *programs,
                                       const struct options *options)
{
    struct watcher *first = NULL;

    if (options->svg_path)
        first = svg_create(options->svg_path, programs, options);
    if (!options->shows_summary_only && (options->shows_table || options->is_csv)) {
        struct watcher *table = options->is_csv ? csv_create(programs->count, options->cpus)
                                                : table_create(programs->count, options->cpus);

        table->next = first;
        first = table;
    }
    return first;
}

static void watchers_finish(struct watcher *watcher)
{
    while (watcher) {
        struct watcher *next = watcher->next;

        watcher->operations->finish(watcher);
        watcher = next;
    }
}

static void policy_run(const struct program_list *programs, const struct options *options)
{
    struct watcher *watchers = watchers_create(programs, options);
    struct result result;

    simulate(programs, options, watchers, &result);
    watchers_finish(watchers);
    if (options->shows_stats && !options->shows_summary_only)
        putchar('\n');
    if (options->shows_summary_only || options->shows_stats) {
        if (options->is_csv)
            summary_print_csv(&result);
        else
            summary_print(&result, options);
    }
    result_destroy(&result);
}

/* Whether anything but the question is asked for. */
static bool is_to_run(const struct options *options)
{
    return options->shows_table || options->shows_summary_only || options->is_csv ||
           options->svg_path;
}

int main(int argc, char **argv)
{
    struct options options;
    struct program_list programs;

    setvbuf(stdout, output_buffer, _IOFBF, sizeof(output_buffer));
    options_parse(&options, argc, argv);
    programs_create(&programs, &options);
    if (!is_to_run(&options))
        question_print(&programs, &options);
    else if (options.policy)
        policy_run(&programs, &options);
    else
        original_run(&programs, &options);
    programs_destroy(&programs);
    options_fini(&options);
    if (fflush(stdout) || ferror(stdout))
        fail(EXIT_DESCRIPTION, "cannot write the output: %s", strerror(errno));
    return 0;
}
