/*
 * The table of options: what each is called, takes and does. Parsing, --help and the completion of
 * shells follow it (pith_options.c); nothing else knows an option's name.
 *
 * A value is checked as soon as it is read, by itself; what options mean together is checked when
 * all are there. What can never be valid is PITH_USAGE, what is valid but not possible on this host
 * PITH_FAILED; either with a sentence that says what to give instead.
 */
#include "pith_options.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int usage(const char *format, ...)
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

/* Bytes by units of 1024; without one MiB, as QEMU's -m has it. */
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

/* Fractions are welcome; rounded up to milliseconds, so that none is no limit. */
static int set_timeout(struct run_options *options, const char *value)
{
    char *end;
    double seconds = strtod(value, &end);

    if (end == value || *end || !isfinite(seconds) || seconds <= 0 || seconds > 1e9)
        return usage("--timeout %s: give a number of seconds", value);
    options->timeout_ms = (uint64_t)ceil(seconds * 1000);
    return 0;
}

/* An empty value sets the variable; there is no way to unset one of the caller's. */
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

/*
 * The path is made absolute and free of links now: what it names later cannot change what is
 * shared.
 */
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

/* Need not exist; so no links are resolved here. fs_hide.c hides the name and what it leads to. */
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

/* The index of `value` among the names; `count`: it is none of them. */
static unsigned choice_of(const char *value, const char *const *names, unsigned count)
{
    unsigned i = 0;

    while (i < count && strcmp(value, names[i]))
        i++;
    return i;
}

static int set_accelerator(struct run_options *options, const char *value)
{
    static const char *const names[] = {
        [ACCELERATOR_AUTO] = "auto", [ACCELERATOR_KVM] = "kvm", [ACCELERATOR_TCG] = "tcg"};
    unsigned choice = choice_of(value, names, ARRAY_SIZE(names));

    if (choice == ARRAY_SIZE(names))
        return usage("--accel %s: give auto, kvm or tcg", value);
    options->accelerator = choice;
    return 0;
}

static int set_machine(struct run_options *options, const char *value)
{
    static const char *const names[] = {[MACHINE_MICROVM] = "microvm", [MACHINE_Q35] = "q35"};
    unsigned choice = choice_of(value, names, ARRAY_SIZE(names));

    if (choice == ARRAY_SIZE(names))
        return usage("--machine %s: give microvm or q35", value);
    options->machine = choice;
    return 0;
}

static int set_cpu(struct run_options *options, const char *value)
{
    options->cpu = value;
    return 0;
}

/* Several add up. */
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

static int set_keep(struct run_options *options, const char *value)
{
    if (!*value)
        return usage("--keep needs the name of a directory");
    options->keep = value;
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

#define FLAG(field) .flag = offsetof(struct run_options, field)

const struct option_rule option_rules[] = {
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
    {"diff", 0, NULL, NULL, "list what the program changed, on standard error", FLAG(diff)},
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
    {"dry-run", 0, NULL, NULL, "print QEMU's command line and do nothing", FLAG(dry_run)},
    {"quiet", 'q', NULL, NULL, "no remarks on standard error", FLAG(quiet)},
    {"deterministic", 0, NULL, NULL, "the same run again, event for event", FLAG(deterministic)},
    {"boot-time", 0, NULL, NULL, "print where the time went", FLAG(boot_time)},
    {"missing", 0, NULL, NULL, "list what the program asked for and Pith lacks", FLAG(missing)},
    {"debug", 0, NULL, NULL, "the kernel's log on standard error", FLAG(debug)},
    {"gdb", 0, "PORT", set_gdb, "wait for a debugger at this port of localhost"},
    {"help", 'h', NULL, set_help, "this text"},
    {"version", 'V', NULL, set_version, "the version"},
};

const size_t option_rule_count = ARRAY_SIZE(option_rules);
_Static_assert(ARRAY_SIZE(option_rules) <= OPTIONS_MOST, "room for getopt's copy");
