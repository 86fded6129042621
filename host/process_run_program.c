/*
 * Programs: what processes are to do, an instruction a unit of time, from -l or -P.
 *
 * An input or output is two instructions, the one that starts it and the one that handles its
 * completion. The numbers of instructions and processes are limited, and so is the longest time
 * that a run can take: every unit an instruction runs, an input or output is under way, or a
 * process without instructions comes and goes.
 */
#include "process_run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *const instruction_names[] = {
    [INSTRUCTION_CPU] = "cpu",
    [INSTRUCTION_IO] = "io",
    [INSTRUCTION_IO_DONE] = "io_done",
};

const char *instruction_name(enum instruction instruction)
{
    return instruction_names[instruction];
}

static struct program *program_push(struct program_list *list)
{
    struct program *program;

    if (list->count == PROCESSES_MAX)
        fail(EXIT_DESCRIPTION, "more than %u processes", PROCESSES_MAX);
    list->programs =
        array_grow(list->programs, &list->room, (u64)list->count + 1, sizeof(list->programs[0]));
    program = &list->programs[list->count++];
    *program = (struct program){0};
    return program;
}

static void instruction_push(struct program_list *list, enum instruction instruction, u64 count)
{
    struct program *program = &list->programs[list->count - 1];

    if (count == 0)
        return;
    list->instructions += count;
    if (list->instructions > INSTRUCTIONS_MAX)
        fail(EXIT_DESCRIPTION, "more than %llu instructions", INSTRUCTIONS_MAX);
    program->instructions =
        array_grow(program->instructions, &program->room, program->count + count, sizeof(u8));
    memset(program->instructions + program->count, (int)instruction, count);
    program->count += (u32)count;
}

static void io_push(struct program_list *list)
{
    instruction_push(list, INSTRUCTION_IO, 1);
    instruction_push(list, INSTRUCTION_IO_DONE, 1);
    list->ios++;
}

/* A number of instructions, in a description that is shown if it is none. */
static u64 parse_count(struct text number, struct text description)
{
    u64 count;
    int error = text_to_number(number, INSTRUCTIONS_MAX, &count);

    if (error == -ERANGE)
        fail(EXIT_DESCRIPTION, "bad process '" TEXT_FORMAT "': more than %llu instructions",
             TEXT_ARG(description), INSTRUCTIONS_MAX);
    if (error)
        fail(EXIT_DESCRIPTION,
             "bad process '" TEXT_FORMAT "': '" TEXT_FORMAT "' is not a number of instructions",
             TEXT_ARG(description), TEXT_ARG(number));
    return count;
}

/* Digits with a point among, before or behind them, as Python's float() also reads them. */
static bool is_decimal(struct text text)
{
    u32 digits = 0, points = 0;

    for (size_t i = 0; i < text.length; i++) {
        digits += text.start[i] >= '0' && text.start[i] <= '9';
        points += text.start[i] == '.';
    }
    return digits > 0 && points <= 1 && digits + points == text.length;
}

static double parse_percent(struct text number, struct text description)
{
    double percent = -1;

    /* strtod stops at the end: a digit or point is followed by a comma or the end. */
    if (is_decimal(number))
        percent = strtod(number.start, NULL);
    if (!(percent >= 0 && percent <= 100))
        fail(EXIT_DESCRIPTION,
             "bad process '" TEXT_FORMAT "': '" TEXT_FORMAT "' is not a percentage from 0 to 100",
             TEXT_ARG(description), TEXT_ARG(number));
    return percent;
}

/* X:Y, X instructions, each with Y percent chance on the CPU. */
static void parse_random_process(struct program_list *list, struct text description,
                                 struct mersenne_twister *generator)
{
    struct text rest = description, count_text, percent_text, more;
    double chance;
    u64 count;

    text_next(&rest, ':', &count_text);
    if (!text_next(&rest, ':', &percent_text) || text_next(&rest, ':', &more))
        fail(EXIT_DESCRIPTION,
             "bad process '" TEXT_FORMAT "': it must be X:Y, a number of instructions and the "
             "percentage of them that use the CPU",
             TEXT_ARG(description));
    count = parse_count(count_text, description);
    chance = parse_percent(percent_text, description) / 100.0;
    program_push(list);
    for (u64 i = 0; i < count; i++) {
        if (mersenne_twister_next(generator) < chance)
            instruction_push(list, INSTRUCTION_CPU, 1);
        else
            io_push(list);
    }
}

/* c7,i,c1: seven units of CPU, an input or output, one more. */
static void parse_exact_process(struct program_list *list, struct text description)
{
    struct text rest = description, word;

    program_push(list);
    while (text_next(&rest, ',', &word)) {
        if (word.length == 1 && word.start[0] == 'i')
            io_push(list);
        else if (word.length > 1 && word.start[0] == 'c')
            instruction_push(
                list, INSTRUCTION_CPU,
                parse_count((struct text){word.start + 1, word.length - 1}, description));
        else
            fail(EXIT_DESCRIPTION,
                 "bad process '" TEXT_FORMAT "': '" TEXT_FORMAT
                 "' is neither i nor c and a number of instructions",
                 TEXT_ARG(description), TEXT_ARG(word));
    }
}

static void check_time(const struct program_list *list, const struct options *options)
{
    u64 longest = list->instructions + list->count + list->ios * options->io_length;
    u64 last_arrival = 0;

    for (u32 i = 0; i < options->arrivals.count; i++)
        last_arrival = MAX(last_arrival, options->arrivals.figures[i]);
    longest += last_arrival;
    if (longest > UNITS_MAX)
        fail(EXIT_DESCRIPTION, "this may take %llu units of time, and %llu is the limit",
             (unsigned long long)longest, UNITS_MAX);
}

static void check_figures(const struct figure_list *list, const char *name, u32 count)
{
    if (list->figures && list->count != count)
        fail(EXIT_USAGE, "%s gives %u numbers for %u processes", name, list->count, count);
}

void programs_create(struct program_list *list, const struct options *options)
{
    struct mersenne_twister generator;
    struct text rest, item;

    *list = (struct program_list){0};
    if (options->programs) {
        rest = text_of(options->programs);
        while (text_next(&rest, ':', &item))
            parse_exact_process(list, item);
    } else {
        mersenne_twister_init(&generator, options->seed);
        rest = text_of(options->process_list);
        while (text_next(&rest, ',', &item))
            parse_random_process(list, item, &generator);
    }
    check_figures(&options->arrivals, "--arrivals", list->count);
    check_figures(&options->weights, "--weights", list->count);
    check_time(list, options);
}

void programs_destroy(struct program_list *list)
{
    for (u32 i = 0; i < list->count; i++)
        free(list->programs[i].instructions);
    free(list->programs);
}
