/*
 * The command line: one table of options, which parsing, --help and the waiting options read.
 *
 * What can never be valid ends with PITH_USAGE, what is valid but not possible on this host with
 * PITH_FAILED; either with a sentence. Options end at the first word that is none, or at `--`.
 */
#include "pith.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HELP_COLUMN       28
#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/* An option. Without `set` it is known, and not available in this version. */
struct option_rule {
    const char *name;
    char letter;          /* 0: none */
    const char *argument; /* what --help calls it; NULL: takes none */
    int (*set)(struct run_options *options, const char *value);
    const char *help; /* lines; NULL: the same as the option before */
};

static int usage(const char *format, ...) printf_format(1, 2);
static int usage(const char *format, ...)
{
    va_list arguments;
    char sentence[512];

    va_start(arguments, format);
    vsnprintf(sentence, sizeof(sentence), format, arguments);
    va_end(arguments);
    say("%s; try 'pith --help'", sentence);
    return PITH_USAGE;
}

/* A whole number from `least` on. */
static int parse_number(const char *value, unsigned long least, unsigned long *number_out)
{
    char *end;

    errno = 0;
    *number_out = strtoul(value, &end, 10);
    return *value >= '0' && *value <= '9' && !*end && !errno && *number_out >= least ? 0 : -EINVAL;
}

static int set_cpus(struct run_options *options, const char *value)
{
    unsigned long cpus;

    if (parse_number(value, 1, &cpus))
        return usage("--cpus %s: give a number from 1 to %d", value, CPUS_MOST);
    if (cpus > CPUS_MOST) {
        say("--cpus %s: a machine has at most %d CPUs here", value, CPUS_MOST);
        return PITH_FAILED;
    }
    options->cpus = cpus;
    return 0;
}

static int set_memory(struct run_options *options, const char *value)
{
    static const char units[] = "KMGT";
    unsigned long long size;
    unsigned shift = 20;
    char *end;

    errno = 0;
    size = strtoull(value, &end, 10);
    if (end != value && *end) {
        const char *unit = strchr(units, *end & ~0x20);

        shift = unit ? 10 * (unit - units + 1) : 0;
        end++;
    }
    if (*value < '0' || *value > '9' || *end || errno || !shift || !size ||
        size > (UINT64_MAX >> shift))
        return usage("--mem %s: give a size such as 512M or 2G", value);
    options->memory_bytes = (uint64_t)size << shift;
    if (options->memory_bytes < MEMORY_BYTES_LEAST) {
        say("--mem %s is too little for a machine; give it at least %lluM", value,
            (unsigned long long)(MEMORY_BYTES_LEAST >> 20));
        return PITH_FAILED;
    }
    return 0;
}

static int set_timeout(struct run_options *options, const char *value)
{
    char *end;
    double seconds = strtod(value, &end);

    if (end == value || *end || !isfinite(seconds) || seconds <= 0 || seconds > 1e9)
        return usage("--timeout %s: give a number of seconds", value);
    options->timeout_ms = (uint64_t)ceil(seconds * 1000);
    return 0;
}

static int set_environment(struct run_options *options, const char *value)
{
    if (*value == '=' || !strchr(value, '='))
        return usage("--env %s: give NAME=VALUE", value);
    strings_add(&options->environment, value);
    return 0;
}

static int set_directory(struct run_options *options, const char *value)
{
    if (!*value)
        return usage("--cwd needs the name of a directory");
    options->directory = value;
    return 0;
}

/* The directory that `path` names, without symbolic links, or NULL after a sentence. */
static const char *find_directory(const char *option, const char *path)
{
    struct stat status;
    char *real = realpath(path, NULL);

    if (!real) {
        say("%s %s: %s", option, path, strerror(errno));
    } else if (stat(real, &status) || !S_ISDIR(status.st_mode)) {
        say("%s %s is not a directory; give one", option, path);
    } else if (access(real, R_OK | X_OK)) {
        say("%s %s: %s; you must be able to read and search it", option, path, strerror(errno));
    } else {
        return real;
    }
    free(real);
    return NULL;
}

static int set_root(struct run_options *options, const char *value)
{
    if (!*value)
        return usage("--root needs the name of a directory");
    if (!strcmp(value, "none")) {
        options->root = NULL;
        return 0;
    }
    options->root = find_directory("--root", value);
    return options->root ? 0 : PITH_FAILED;
}

static int set_share(struct run_options *options, const char *value)
{
    size_t size = strlen(value);
    bool writable = size > 3 && !strcmp(value + size - 3, ":rw");
    char *path = text("%.*s", (int)(writable ? size - 3 : size), value);
    struct share_option *share;

    if (!*path)
        return usage("--share needs the name of a directory");
    options->shares =
        realloc(options->shares, (options->share_count + 1) * sizeof(*options->shares));
    if (!options->shares)
        fail("this machine is out of memory");
    share = &options->shares[options->share_count++];
    share->writable = writable;
    share->path = find_directory("--share", path);
    free(path);
    return share->path ? 0 : PITH_FAILED;
}

static int set_hidden(struct run_options *options, const char *value)
{
    char directory[PATH_MAX];

    if (!*value)
        return usage("--hide needs a path");
    if (*value == '/') {
        strings_add(&options->hidden, value);
    } else if (getcwd(directory, sizeof(directory))) {
        strings_add(&options->hidden, text("%s/%s", directory, value));
    } else {
        say("--hide %s: the current directory has no name; give a path from /", value);
        return PITH_FAILED;
    }
    return 0;
}

static int set_user(struct run_options *options, const char *value)
{
    int status = caller_set_user(options, value);

    return status == PITH_USAGE ? usage("--user %s: give UID[:GID]", value) : status;
}

static int set_accelerator(struct run_options *options, const char *value)
{
    static const char *const names[] = {
        [ACCELERATOR_AUTO] = "auto", [ACCELERATOR_KVM] = "kvm", [ACCELERATOR_TCG] = "tcg"};

    for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
        if (!strcmp(value, names[i])) {
            options->accelerator = i;
            return 0;
        }
    }
    return usage("--accel %s: give auto, kvm or tcg", value);
}

static int set_machine(struct run_options *options, const char *value)
{
    static const char *const names[] = {[MACHINE_MICROVM] = "microvm", [MACHINE_Q35] = "q35"};

    for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
        if (!strcmp(value, names[i])) {
            options->machine = i;
            return 0;
        }
    }
    return usage("--machine %s: give microvm or q35", value);
}

static int set_cpu(struct run_options *options, const char *value)
{
    options->cpu = value;
    return 0;
}

static int set_append(struct run_options *options, const char *value)
{
    options->append = *options->append ? text("%s %s", options->append, value) : value;
    return 0;
}

static int set_qemu_argument(struct run_options *options, const char *value)
{
    strings_add(&options->qemu, value);
    return 0;
}

static int set_initramfs_file(struct run_options *options, const char *value)
{
    const char *colon = strrchr(value, ':');

    if (!colon || colon == value || colon[1] != '/')
        return usage("--initramfs-file %s: give HOSTFILE:/PATH", value);
    strings_add(&options->initramfs_files, value);
    return 0;
}

static int set_dry_run(struct run_options *options, const char *value)
{
    options->dry_run = true;
    return 0;
}

static int set_quiet(struct run_options *options, const char *value)
{
    options->quiet = true;
    return 0;
}

static int set_boot_time(struct run_options *options, const char *value)
{
    options->boot_time = true;
    return 0;
}

static int set_keep(struct run_options *options, const char *value)
{
    if (!*value)
        return usage("--keep needs the name of a directory");
    options->keep = value;
    return 0;
}

static int set_diff(struct run_options *options, const char *value)
{
    options->diff = true;
    return 0;
}

static int set_missing(struct run_options *options, const char *value)
{
    options->missing = true;
    return 0;
}

static int set_deterministic(struct run_options *options, const char *value)
{
    options->deterministic = true;
    return 0;
}

static int set_debug(struct run_options *options, const char *value)
{
    options->debug = true;
    return 0;
}

static int set_gdb(struct run_options *options, const char *value)
{
    unsigned long port;

    if (parse_number(value, 1, &port) || port > 65535)
        return usage("--gdb %s: give a port from 1 to 65535", value);
    options->gdb_port = port;
    return 0;
}

static int set_help(struct run_options *options, const char *value)
{
    options->command = COMMAND_HELP;
    return 0;
}

static int set_version(struct run_options *options, const char *value)
{
    options->command = COMMAND_VERSION;
    return 0;
}

static const struct option_rule rules[] = {
    {"cpus", 'c', "N", set_cpus, "CPUs of the machine, 1 (default) to 64"},
    {"mem", 'm', "SIZE", set_memory, "memory: 512M, 2G; default 1G, taken as it is touched"},
    {"timeout", 0, "SEC", set_timeout, "end the machine after so long, with status 124"},
    {"env", 'e', "K=V", set_environment, "set a variable in the program's environment"},
    {"cwd", 0, "DIR", set_directory, "the program's directory (default: yours)"},
    {"user", 0, "UID[:GID]", set_user, "the program's user and group (default: yours)"},
    {"root", 0, "DIR", set_root,
     "the directory that is / for the program (default: /);\n"
     "`none`: no files of the host, only /pith"},
    {"share", 0, "DIR[:rw]", set_share,
     "a directory that the program sees as it is and, with rw,\nmay change in place"},
    {"hide", 0, "PATH", set_hidden, "a path of the host that the program cannot see"},
    {"keep", 0, "DIR", set_keep, "copy what the program wrote to DIR at the end"},
    {"diff", 0, NULL, set_diff, "list what the program changed, on standard error"},
    {"swap", 0, "SIZE", NULL, "room for pages that memory does not hold"},
    {"timeline", 0, "FILE", NULL, "draw the states of all threads"},
    {"net", 0, NULL, NULL, "a network, without root"},
    {"publish", 'p', "HOST:GUEST", NULL, "a TCP port of the guest on the host"},
    {"accel", 0, "HOW", set_accelerator, "auto (default), kvm or tcg"},
    {"machine", 0, "TYPE", set_machine, "microvm (default) or q35"},
    {"cpu", 0, "MODEL", set_cpu, "QEMU's CPU model"},
    {"append", 0, "WORDS", set_append, "more words for the kernel"},
    {"qemu-arg", 0, "ARG", set_qemu_argument, "one more argument for QEMU"},
    {"initramfs-file", 0, "FILE:/PATH", set_initramfs_file,
     "put FILE into the first file system (for tests, with\n--root none)"},
    {"dry-run", 0, NULL, set_dry_run, "print QEMU's command line and do nothing"},
    {"quiet", 'q', NULL, set_quiet, "no remarks on standard error"},
    {"deterministic", 0, NULL, set_deterministic, "the same run again, event for event"},
    {"boot-time", 0, NULL, set_boot_time, "print where the time went"},
    {"missing", 0, NULL, set_missing, "list what the program asked for and Pith lacks"},
    {"debug", 0, NULL, set_debug, "the kernel's log on standard error"},
    {"gdb", 0, "PORT", set_gdb, "wait for a debugger at this port of localhost"},
    {"help", 'h', NULL, set_help, "this text"},
    {"version", 'V', NULL, set_version, "the version"},
};

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
               !end && !rule->set ? " (not available in this version)" : "");
        column = 0;
        line = end ? end + 1 : NULL;
    }
}

void options_print_help(void)
{
    fputs(usage_text, stdout);
    for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
        print_rule(&rules[i]);
}

static const struct option_rule *rule_find_letter(int letter)
{
    for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
        if (rules[i].letter == letter)
            return &rules[i];
    }
    return NULL;
}

/* The table as getopt_long wants it; a long option's value is its index + UCHAR_MAX + 1. */
static void build_getopt(struct option *longs, char *letters)
{
    *letters++ = '+';
    *letters++ = ':';
    for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
        longs[i] =
            (struct option){rules[i].name, rules[i].argument ? required_argument : no_argument,
                            NULL, (int)i + UCHAR_MAX + 1};
        if (!rules[i].letter)
            continue;
        *letters++ = rules[i].letter;
        if (rules[i].argument)
            *letters++ = ':';
    }
    *letters = '\0';
    longs[ARRAY_SIZE(rules)] = (struct option){0};
}

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
    if (rule->set)
        return rule->set(options, value);
    say("--%s is not available in this version", rule->name);
    return PITH_FAILED;
}

/* Reads options from argv[1] on; optind is left at the first word that is none. */
static int parse_options(int argc, char **argv, struct run_options *options)
{
    struct option longs[ARRAY_SIZE(rules) + 1];
    char letters[2 + 2 * ARRAY_SIZE(rules) + 1];
    int code, status = 0;

    build_getopt(longs, letters);
    opterr = 0;
    optind = 1;
    while (!status && (code = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
        if (code == '?' && optopt)
            status = optopt > UCHAR_MAX ? usage("option --%s takes no argument",
                                                rules[optopt - UCHAR_MAX - 1].name)
                                        : usage("unknown option -%c", optopt);
        else if (code == '?')
            status = usage("unknown or ambiguous option %s", argv[optind - 1]);
        else if (code == ':')
            status = usage("option %s needs an argument", argv[optind - 1]);
        else
            status =
                apply_rule(code > UCHAR_MAX ? &rules[code - UCHAR_MAX - 1] : rule_find_letter(code),
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
    return 0;
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
