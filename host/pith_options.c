/*
 * The command line: a command, its options by the table (pith_option_table.c), and the words that
 * are left.
 *
 *     pith [run|shell|ps|attach|doctor|help] [OPTIONS] [--] [WORDS]
 *
 * Options end at the first word that is none, or at `--`, so that a program's own options need no
 * quoting. Without a command it is `shell`. What only the whole line shows (options that exclude
 * each other, a command that takes no words) is checked last.
 */
#include "pith_options.h"

#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HELP_COLUMN 28

/* What all but `run` and `shell` know of the options. */
static const char *const attach_options[] = {"env", "cwd", "user", "quiet", "help", "version"};

static const char usage_text[] =
    "usage: pith run [OPTIONS] [--] PROGRAM [ARGS...]   run a program in a fresh machine\n"
    "       pith shell [OPTIONS]                        a shell in a fresh machine\n"
    "       pith                                        the same\n"
    "       pith ps                                     the machines that run, with their ids\n"
    "       pith attach [ID] [-- PROGRAM [ARGS...]]     a program, or a shell, in one of them\n"
    "       pith doctor                                 what is missing on this machine\n"
    "\n"
    "The program sees your files below an overlay in memory: whatever it writes is gone with the\n"
    "machine. Its exit status is pith's (128 + N: ended by signal N; 126, 127: as in a shell;\n"
    "124: --timeout; 125: pith could not run it; 255: the kernel panicked).\n"
    "\n";

static bool is_available(const struct option_rule *rule)
{
    return rule->set || rule->flag;
}

static void print_rule(const struct option_rule *rule)
{
    char head[64], letter[5] = "    ";
    const char *line = rule->help;
    int column;

    if (rule->letter)
        snprintf(letter, sizeof(letter), "-%c, ", rule->letter);
    column = snprintf(head, sizeof(head), "  %s--%s%s%s", letter, rule->name,
                      rule->argument ? " " : "", rule->argument ? rule->argument : "");
    printf("%s", head);
    while (line) {
        const char *end = strchr(line, '\n');
        int size = end ? (int)(end - line) : (int)strlen(line);

        printf("%*s%.*s%s\n", column < HELP_COLUMN ? HELP_COLUMN - column : 1, "", size, line,
               !end && !is_available(rule) ? " (not available in this version)" : "");
        column = 0;
        line = end ? end + 1 : NULL;
    }
}

void options_print_help(void)
{
    fputs(usage_text, stdout);
    for (size_t i = 0; i < option_rule_count; i++)
        print_rule(&option_rules[i]);
}

static const struct option_rule *rule_find_letter(int letter)
{
    for (size_t i = 0; i < option_rule_count; i++) {
        if (option_rules[i].letter == letter)
            return &option_rules[i];
    }
    return NULL;
}

/* The table as getopt_long wants it; a long option's value is its index + UCHAR_MAX + 1. */
static void build_getopt(struct option *longs, char *letters)
{
    *letters++ = '+';
    *letters++ = ':';
    for (size_t i = 0; i < option_rule_count; i++) {
        longs[i] = (struct option){option_rules[i].name,
                                   option_rules[i].argument ? required_argument : no_argument, NULL,
                                   (int)i + UCHAR_MAX + 1};
        if (!option_rules[i].letter)
            continue;
        *letters++ = option_rules[i].letter;
        if (option_rules[i].argument)
            *letters++ = ':';
    }
    *letters = '\0';
    longs[option_rule_count] = (struct option){0};
}

/* `attach` and `ps` take what concerns the program, not the machine. */
static bool has_meaning(const struct option_rule *rule, enum pith_command command)
{
    if (command == COMMAND_RUN || command == COMMAND_SHELL)
        return true;
    for (size_t i = 0; i < ARRAY_SIZE(attach_options); i++) {
        if (!strcmp(rule->name, attach_options[i]))
            return true;
    }
    return false;
}

static int apply_rule(const struct option_rule *rule, struct run_options *options,
                      const char *value)
{
    if (!has_meaning(rule, options->command))
        return usage("--%s is for a machine that starts, not for one that runs", rule->name);
    if (!is_available(rule)) {
        say("--%s is not available in this version", rule->name);
        return PITH_FAILED;
    }
    if (rule->set)
        return rule->set(options, value);
    *(bool *)((char *)options + rule->flag) = true;
    return 0;
}

/* Reads options from argv[1] on; optind is left at the first word that is none. */
static int parse_options(int argc, char **argv, struct run_options *options)
{
    struct option longs[OPTIONS_MOST + 1];
    char letters[2 + 2 * OPTIONS_MOST + 1];
    int code, status = 0;

    build_getopt(longs, letters);
    opterr = 0;
    optind = 1;
    while (!status && (code = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
        if (code == '?' && optopt)
            status = optopt > UCHAR_MAX ? usage("option --%s takes no argument",
                                                option_rules[optopt - UCHAR_MAX - 1].name)
                                        : usage("unknown option -%c", optopt);
        else if (code == '?')
            status = usage("unknown or ambiguous option %s", argv[optind - 1]);
        else if (code == ':')
            status = usage("option %s needs an argument", argv[optind - 1]);
        else
            status = apply_rule(code > UCHAR_MAX ? &option_rules[code - UCHAR_MAX - 1]
                                                 : rule_find_letter(code),
                                options, optarg);
    }
    return status;
}

/* The program of `pith shell`: the caller's. */
static void set_shell(struct run_options *options)
{
    static char plain_shell[] = "/bin/sh";
    static char *shell[2];

    shell[0] = getenv("SHELL");
    if (!shell[0] || !*shell[0])
        shell[0] = plain_shell;
    options->program = shell;
}

/* What is shared as a whole cannot be hidden as a whole, nor can all there is. */
static int check_hidden(const struct run_options *options)
{
    for (size_t i = 0; i < options->hidden.count; i++) {
        char *target = realpath(options->hidden.list[i], NULL);
        bool is_shared = target && (!strcmp(target, "/") || !strcmp(target, options->root));

        for (size_t share = 0; target && share < options->share_count; share++)
            is_shared |= !strcmp(target, options->shares[share].path);
        free(target);
        if (is_shared) {
            say("--hide %s: the program is to see it; hide what is in it", options->hidden.list[i]);
            return PITH_FAILED;
        }
    }
    return 0;
}

/* Checks what only the whole command line shows. */
static int check_options(struct run_options *options, char **words)
{
    if (options->command == COMMAND_SHELL && *words)
        return usage("pith shell takes no program; use pith run -- %s", *words);
    if (options->command == COMMAND_RUN && !*words)
        return usage("give a program to run");
    if (options->command == COMMAND_RUN)
        options->program = words;
    else
        set_shell(options);
    if (!options->root && options->share_count)
        return usage("--share has no place to be with --root none");
    if (!options->root && (options->keep || options->diff))
        return usage("--root none has no overlay for --keep and --diff");
    if (options->deterministic && options->cpus > 1)
        return usage("--deterministic runs on one CPU, not %u", options->cpus);
    if (options->deterministic && options->accelerator == ACCELERATOR_KVM)
        return usage("--deterministic counts instructions, which KVM cannot");
    if (options->deterministic)
        options->accelerator = ACCELERATOR_TCG;
    return options->root ? check_hidden(options) : 0;
}

/* [ID] [-- PROGRAM...]; `is_program`: the -- was there already. */
static int check_attach(struct run_options *options, char **words, bool is_program)
{
    if (!is_program && *words) {
        options->machine_id = *words++;
        if (options->machine_id[strspn(options->machine_id, "0123456789")])
            return usage("'%s' is no id of a machine; use pith attach [ID] [-- PROGRAM]",
                         options->machine_id);
        if (*words && strcmp(*words, "--"))
            return usage("give -- before the program: pith attach %s -- %s", options->machine_id,
                         *words);
        if (*words && !*++words)
            return usage("give a program to run");
    }
    if (*words)
        options->program = words;
    else
        set_shell(options);
    return 0;
}

int options_parse(int argc, char **argv, struct run_options *options)
{
    static const struct {
        const char *word;
        enum pith_command command;
    } commands[] = {{"run", COMMAND_RUN},   {"shell", COMMAND_SHELL},
                    {"ps", COMMAND_PS},     {"attach", COMMAND_ATTACH},
                    {"help", COMMAND_HELP}, {"doctor", COMMAND_DOCTOR}};
    const char *command = argc > 1 && argv[1][0] != '-' ? argv[1] : NULL;
    bool is_known = !command;
    char **words;
    int status;

    *options = (struct run_options){.command = COMMAND_SHELL,
                                    .cpus = 1,
                                    .memory_bytes = MEMORY_BYTES_DEFAULT,
                                    .root = "/",
                                    .append = ""};
    for (size_t i = 0; command && i < ARRAY_SIZE(commands); i++) {
        if (!strcmp(command, commands[i].word)) {
            options->command = commands[i].command;
            is_known = true;
        }
    }
    if (!is_known)
        return usage("unknown command '%s'", command);
    caller_take(options);
    words = argv + (command != NULL);
    status = parse_options(argc - (command != NULL), words, options);
    if (status || options->command == COMMAND_HELP || options->command == COMMAND_VERSION)
        return status;
    if (options->command == COMMAND_ATTACH)
        return check_attach(options, words + optind, !strcmp(words[optind - 1], "--"));
    if ((options->command == COMMAND_PS || options->command == COMMAND_DOCTOR) && words[optind])
        return usage("pith %s takes no '%s'", command, words[optind]);
    return options->command == COMMAND_PS || options->command == COMMAND_DOCTOR
               ? 0
               : check_options(options, words + optind);
}
