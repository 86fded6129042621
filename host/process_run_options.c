/*
 * The command line: one table says each option's name, how its value is read, and where it goes.
 *
 * The original's options keep their letters. Those that it does not have are words; each of them
 * asks for the policy simulator, to which -S and -I mean nothing, so together they are an error.
 */
#include "process_run.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#define IO_LENGTH_DEFAULT 5
#define QUANTUM_MAX       10000ull /* units; with WEIGHT_MAX keeps policy_fair's sums in 64 bits */
#define WEIGHT_MAX        10000ull
#define ARRIVAL_MAX       10000000ull

/* getopt_long's values for options that have no letter. */
enum long_option {
    OPTION_SUMMARY = 256,
    OPTION_POLICY,
    OPTION_QUANTUM,
    OPTION_LEVELS,
    OPTION_BOOST,
    OPTION_MLFQ_ACCOUNT,
    OPTION_WEIGHTS,
    OPTION_CPUS,
    OPTION_ARRIVALS,
    OPTION_SVG,
    OPTION_CSV,
};

static const struct option long_options[] = {
    {"seed", required_argument, NULL, 's'},
    {"processlist", required_argument, NULL, 'l'},
    {"program", required_argument, NULL, 'P'},
    {"iolength", required_argument, NULL, 'L'},
    {"switch", required_argument, NULL, 'S'},
    {"iodone", required_argument, NULL, 'I'},
    {"compute", no_argument, NULL, 'c'},
    {"printstats", no_argument, NULL, 'p'},
    {"help", no_argument, NULL, 'h'},
    {"summary", no_argument, NULL, OPTION_SUMMARY},
    {"policy", required_argument, NULL, OPTION_POLICY},
    {"quantum", required_argument, NULL, OPTION_QUANTUM},
    {"levels", required_argument, NULL, OPTION_LEVELS},
    {"boost", required_argument, NULL, OPTION_BOOST},
    {"mlfq-account", required_argument, NULL, OPTION_MLFQ_ACCOUNT},
    {"weights", required_argument, NULL, OPTION_WEIGHTS},
    {"tickets", required_argument, NULL, OPTION_WEIGHTS},
    {"cpus", required_argument, NULL, OPTION_CPUS},
    {"arrivals", required_argument, NULL, OPTION_ARRIVALS},
    {"svg", required_argument, NULL, OPTION_SVG},
    {"csv", no_argument, NULL, OPTION_CSV},
    {NULL, 0, NULL, 0},
};

static const char *const switch_words[] = {
    [SWITCH_ON_IO] = "SWITCH_ON_IO",
    [SWITCH_ON_END] = "SWITCH_ON_END",
};
static const char *const io_done_words[] = {
    [IO_RUN_LATER] = "IO_RUN_LATER",
    [IO_RUN_IMMEDIATE] = "IO_RUN_IMMEDIATE",
};
static const char *const mlfq_account_words[] = {
    [POLICY_MLFQ_ACCOUNT_KEPT] = "kept",
    [POLICY_MLFQ_ACCOUNT_LOST] = "lost",
};

static const char help[] =
    "usage: process-run -l X:Y[,X:Y...] | -P PROGRAM[:PROGRAM...] [OPTION...]\n"
    "Shows how the states of processes change as they use the CPU and wait for devices.\n"
    "\n"
    "  -l, --processlist X:Y,...  processes of X instructions, each with Y percent chance on the\n"
    "                             CPU, else an input or output\n"
    "  -P, --program W,...:W,...  processes of words: cN computes for N units, i does an input or\n"
    "                             output\n"
    "  -s, --seed N               of the random numbers that -l and the lottery draw (0)\n"
    "  -L, --iolength N           units that an input or output takes (5)\n"
    "  -S, --switch WHEN          SWITCH_ON_IO (default) or SWITCH_ON_END\n"
    "  -I, --iodone WHAT          IO_RUN_LATER (default) or IO_RUN_IMMEDIATE\n"
    "  -c, --compute              show what happens, unit by unit\n"
    "  -p, --printstats           with -c: the figures at the end too\n"
    "      --summary              the figures only\n"
    "  -h, --help                 this text\n"
    "\n"
    "With the kernel's scheduling policies (not together with -S and -I):\n"
    "      --policy NAME          fair (default), fifo, rr, round_robin, sjf, stcf, mlfq, lottery\n"
    "                             or stride\n"
    "      --quantum N            units of a turn; mlfq: at the top (1)\n"
    "      --levels N             mlfq: queues (3)\n"
    "      --boost N              mlfq: units until all return to the top (100)\n"
    "      --mlfq-account HOW     kept (default), or lost when a process blocks\n"
    "      --weights N,...        fair, lottery, stride: a share or tickets for each process;\n"
    "      --tickets N,...        the same\n"
    "      --cpus N               CPUs (1)\n"
    "      --arrivals N,...       when each process arrives (0)\n"
    "      --svg FILE             draw what happens\n"
    "      --csv                  write tables as comma-separated values\n";

static u64 parse_number(const char *name, const char *value, u64 least, u64 limit)
{
    u64 number;

    if (text_to_number(text_of(value), limit, &number) || number < least)
        fail(EXIT_USAGE, "%s must be a number from %llu to %llu, not '%.60s'", name,
             (unsigned long long)least, (unsigned long long)limit, value);
    return number;
}

/* Python seeds its generator by the absolute value. */
static u64 parse_seed(const char *value)
{
    u64 seed;

    if (text_to_number(text_of(value[0] == '-' ? value + 1 : value), U64_MAX, &seed))
        fail(EXIT_USAGE, "-s must be a whole number of up to 64 bits, not '%.60s'", value);
    return seed;
}

static u32 parse_word(const char *name, const char *value, const char *const *words, u32 count)
{
    for (u32 i = 0; i < count; i++)
        if (strcmp(value, words[i]) == 0)
            return i;
    fail(EXIT_USAGE, "%s must be %s or %s, not '%.60s'", name, words[0], words[1], value);
}

static const struct policy *parse_policy(const char *value)
{
    for (u32 i = 0; policies[i]; i++)
        if (strcmp(value, policies[i]->name) == 0)
            return policies[i];
    fail(EXIT_USAGE, "--policy: there is no policy '%.60s' (see process-run --help)", value);
}

static void parse_figures(const char *name, const char *value, u64 least, u64 limit,
                          struct figure_list *list)
{
    struct text rest = text_of(value), item;

    free(list->figures);
    *list = (struct figure_list){array_alloc(PROCESSES_MAX, sizeof(u64)), 0};
    while (text_next(&rest, ',', &item)) {
        u64 number;

        if (list->count == PROCESSES_MAX)
            fail(EXIT_USAGE, "%s: more than %u numbers", name, PROCESSES_MAX);
        if (text_to_number(item, limit, &number) || number < least)
            fail(EXIT_USAGE, "%s must be numbers from %llu to %llu, not '" TEXT_FORMAT "'", name,
                 (unsigned long long)least, (unsigned long long)limit, TEXT_ARG(item));
        list->figures[list->count++] = number;
    }
}

static void parse_original_option(struct options *options, int option, const char *value)
{
    switch (option) {
    case 's':
        options->seed = parse_seed(value);
        break;
    case 'l':
        options->process_list = value;
        break;
    case 'P':
        options->programs = value;
        break;
    case 'L':
        options->io_length = parse_number("-L", value, 0, UNITS_MAX);
        break;
    case 'S':
        options->switch_behavior = parse_word("-S", value, switch_words, ARRAY_SIZE(switch_words));
        break;
    case 'I':
        options->io_done_behavior =
            parse_word("-I", value, io_done_words, ARRAY_SIZE(io_done_words));
        break;
    case 'c':
        options->shows_table = true;
        break;
    case 'p':
        options->shows_stats = true;
        break;
    case OPTION_SUMMARY:
        options->shows_summary_only = true;
        break;
    }
}

static void parse_policy_option(struct options *options, int option, const char *value)
{
    struct policy_parameters *parameters = &options->parameters;

    switch (option) {
    case OPTION_POLICY:
        options->policy = parse_policy(value);
        break;
    case OPTION_QUANTUM:
        parameters->quantum_ns =
            parse_number("--quantum", value, 1, QUANTUM_MAX) * POLICY_SIMULATED_UNIT_NS;
        break;
    case OPTION_LEVELS:
        parameters->levels = (u32)parse_number("--levels", value, 1, LEVEL_LISTS);
        break;
    case OPTION_BOOST:
        parameters->boost_interval_ns =
            parse_number("--boost", value, 1, UNITS_MAX) * POLICY_SIMULATED_UNIT_NS;
        break;
    case OPTION_MLFQ_ACCOUNT:
        parameters->mlfq_account =
            parse_word("--mlfq-account", value, mlfq_account_words, ARRAY_SIZE(mlfq_account_words));
        break;
    case OPTION_WEIGHTS:
        parse_figures("--weights", value, 1, WEIGHT_MAX, &options->weights);
        break;
    case OPTION_CPUS:
        options->cpus = (u32)parse_number("--cpus", value, 1, CPUS_MAX);
        break;
    case OPTION_ARRIVALS:
        parse_figures("--arrivals", value, 0, ARRIVAL_MAX, &options->arrivals);
        break;
    case OPTION_SVG:
        options->svg_path = value;
        break;
    case OPTION_CSV:
        options->is_csv = true;
        break;
    }
}

static noreturn void fail_unknown(const char *word, int option)
{
    if (option == ':')
        fail(EXIT_USAGE, "%.60s needs a value (see process-run --help)", word);
    fail(EXIT_USAGE, "there is no option '%.60s' (see process-run --help)", word);
}

/* What the original does without one has no process to do it with. */
static void check_processes(const struct options *options)
{
    const char *given = options->programs ? options->programs : options->process_list;

    if (!given)
        fail(EXIT_USAGE, "which processes? Give -l or -P (see process-run --help)");
    if (given[0] == '\0')
        fail(EXIT_DESCRIPTION, "the list of processes is empty");
}

void options_parse(struct options *options, int argc, char **argv)
{
    bool has_policy_option = false, has_original_option = false;
    int option;

    *options = (struct options){
        .io_length = IO_LENGTH_DEFAULT,
        .parameters = {.quantum_ns = POLICY_SIMULATED_UNIT_NS,
                       .boost_interval_ns = 100 * POLICY_SIMULATED_UNIT_NS},
        .cpus = 1,
    };
    opterr = 0;
    while ((option = getopt_long(argc, argv, ":s:l:P:L:S:I:cph", long_options, NULL)) != -1) {
        if (option == 'h') {
            fputs(help, stdout);
            exit(fflush(stdout) ? EXIT_DESCRIPTION : 0);
        }
        if (option == '?' || option == ':')
            fail_unknown(argv[optind - 1], option);
        has_original_option |= option == 'S' || option == 'I';
        has_policy_option |= option >= OPTION_POLICY;
        if (option >= OPTION_POLICY)
            parse_policy_option(options, option, optarg);
        else
            parse_original_option(options, option, optarg);
    }
    if (optind < argc)
        fail(EXIT_USAGE, "what is '%.60s'? All is said by options (see process-run --help)",
             argv[optind]);
    if (has_policy_option && has_original_option)
        fail(EXIT_USAGE, "-S and -I are the original's rules and go with no policy option");
    if (has_policy_option && !options->policy)
        options->policy = &policy_fair;
    options->parameters.seed = options->seed;
    check_processes(options);
}

void options_fini(struct options *options)
{
    free(options->arrivals.figures);
    free(options->weights.figures);
}
