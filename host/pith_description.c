/*
 * The description of the run (host_protocol.h): all that init needs to know about the caller.
 *
 *     struct host_run | entry: type, size | bytes, to 8 | entry ... |
 *
 * Nothing of it is read from a file in the guest, and the guest asks for nothing: one message has
 * the program, rights, files, streams and the date. It is built when the kernel has said HELLO, so
 * that the date in it is only as old as the way to init.
 *
 * What is the caller's is told as it is (limits, umask, ignored signals, nice value), so that a
 * program behaves in the machine as it would here. With --deterministic the date and the seed are
 * the same each time.
 */
#include "pith.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define ENTRY_ALIGNMENT 8
#define SEED_BYTES      32
#define SIGNALS_LAST    64
/* --deterministic: 2024-01-01, later than most files, so that they are not from the future. */
#define REPEATED_DATE_NS 1704067200000000000ull

extern char **environ;

/*
 * An entry, and in the header that there is one more. `description` begins with its header, and may
 * move.
 */
static void add(struct buffer *description, enum host_run_type type, const void *bytes, size_t size)
{
    struct host_run_entry entry = {.type = type, .size = size};
    struct host_run *header;

    buffer_append(description, &entry, sizeof(entry));
    buffer_append(description, bytes, size);
    buffer_append_zeros(description, -size & (ENTRY_ALIGNMENT - 1));
    header = (struct host_run *)description->data;
    header->count++;
    header->size = description->size - sizeof(*header);
}

static void add_string(struct buffer *description, enum host_run_type type, const char *string)
{
    add(description, type, string, strlen(string));
}

static void add_pair(struct buffer *description, enum host_run_type type, uint32_t first,
                     uint32_t second)
{
    uint32_t pair[2] = {first, second};

    add(description, type, pair, sizeof(pair));
}

/* Whether one of the NAME=VALUE has the name of `variable`: the last one wins, as in env(1). */
static bool is_set_again(const struct strings *variables, const char *variable)
{
    size_t size = strcspn(variable, "=") + 1;

    for (size_t i = 0; i < variables->count; i++) {
        if (!strncmp(variables->list[i], variable, size))
            return true;
    }
    return false;
}

static void add_program(struct buffer *description, const struct run_options *options)
{
    add_string(description, HOST_RUN_PROGRAM, options->program[0]);
    for (char **argument = options->program; *argument; argument++)
        add_string(description, HOST_RUN_ARGUMENT, *argument);
    for (char **variable = environ; *variable; variable++) {
        if (!is_set_again(&options->environment, *variable))
            add_string(description, HOST_RUN_ENVIRONMENT, *variable);
    }
    for (size_t i = 0; i < options->environment.count; i++) {
        struct strings later = {options->environment.list + i + 1,
                                options->environment.count - i - 1};

        if (!is_set_again(&later, options->environment.list[i]))
            add_string(description, HOST_RUN_ENVIRONMENT, options->environment.list[i]);
    }
}

/* The caller's directory means something only where the caller's root is the program's. */
static void add_directory(struct buffer *description, const struct run_options *options)
{
    bool is_shared = options->root && !strcmp(options->root, "/");
    const char *asked = options->directory;
    char current[PATH_MAX];

    if (!is_shared || !getcwd(current, sizeof(current)) || current[0] != '/')
        strcpy(current, "/");
    if (!asked)
        asked = current;
    if (*asked == '/') {
        add_string(description, HOST_RUN_DIRECTORY, asked);
    } else {
        char joined[2 * PATH_MAX];

        snprintf(joined, sizeof(joined), "%s/%s", current, asked);
        add_string(description, HOST_RUN_DIRECTORY, joined);
    }
}

static void add_ignored_signals(struct buffer *description)
{
    uint64_t ignored = 0;

    for (int number = 1; number <= SIGNALS_LAST; number++) {
        if (child_caller_ignores(number))
            ignored |= 1ull << (number - 1);
    }
    add(description, HOST_RUN_IGNORED, &ignored, sizeof(ignored));
}

/* umask(2) tells only what it replaces; this process makes no files in between. */
static void add_rights(struct buffer *description, const struct run_options *options,
                       const struct rlimit limits[CALLER_LIMITS])
{
    mode_t mask = umask(0);
    uint32_t mask_bits = mask;
    int32_t nice[2] = {getpriority(PRIO_PROCESS, 0), 0};

    umask(mask);
    add_pair(description, HOST_RUN_USER, options->uid, options->gid);
    for (size_t i = 0; i < options->group_count; i++)
        add(description, HOST_RUN_GROUP, &options->groups[i], sizeof(uint32_t));
    add(description, HOST_RUN_UMASK, &mask_bits, sizeof(mask_bits));
    add(description, HOST_RUN_NICE, nice, sizeof(nice));
    add_ignored_signals(description);
    for (uint32_t i = 0; i < CALLER_LIMITS; i++) {
        struct {
            uint32_t resource, reserved;
            uint64_t soft, hard;
        } limit = {i, 0, limits[i].rlim_cur, limits[i].rlim_max};

        add(description, HOST_RUN_LIMIT, &limit, sizeof(limit));
    }
}

static void add_share(struct buffer *description, uint32_t index, uint32_t flags, const char *path)
{
    struct host_share share = {.index = index, .flags = flags};
    struct buffer entry = {0};

    buffer_append(&entry, &share, sizeof(share));
    buffer_append(&entry, path, strlen(path));
    add(description, HOST_RUN_SHARE, entry.data, entry.size);
    buffer_free(&entry);
}

static void add_files(struct buffer *description, const struct run_options *options)
{
    uint64_t overlay_bytes = 0; /* half of the memory */

    if (!options->root)
        return;
    add(description, HOST_RUN_OVERLAY_BYTES, &overlay_bytes, sizeof(overlay_bytes));
    add_share(description, 0, 0, "/");
    for (size_t i = 0; i < options->share_count; i++)
        add_share(description, i + 1, options->shares[i].writable ? HOST_SHARE_WRITABLE : 0,
                  options->shares[i].path);
}

static void add_machine(struct buffer *description, const struct run_options *options)
{
    char name[HOST_NAME_MAX + 1] = "pith";
    uint8_t seed[SEED_BYTES] = {0};
    struct timespec now;
    uint64_t date;

    if (options->deterministic || getrandom(seed, sizeof(seed), 0) == sizeof(seed))
        add(description, HOST_RUN_SEED, seed, sizeof(seed));
    gethostname(name, sizeof(name) - 1);
    add_string(description, HOST_RUN_HOSTNAME, name);
    clock_gettime(CLOCK_REALTIME, &now);
    date = now.tv_sec * 1000000000ull + now.tv_nsec;
    if (options->deterministic)
        date = REPEATED_DATE_NS;
    add(description, HOST_RUN_DATE, &date, sizeof(date));
    if (report_wanted(options))
        add_pair(description, HOST_RUN_REPORT, report_wanted(options), 0);
}

static void add_streams(struct buffer *description, const struct stream streams[STREAMS],
                        const struct terminal *terminal)
{
    uint8_t settings[TERMIOS_BYTES];
    uint16_t window[4] = {0};

    for (uint32_t fd = 0; fd < STREAMS; fd++)
        add_pair(description, HOST_RUN_STREAM, fd, streams[fd].kind);
    if (!terminal)
        return;
    terminal_get_window(terminal, &window[0], &window[1]);
    add(description, HOST_RUN_WINDOW, window, sizeof(window));
    terminal_get_settings(terminal, settings);
    add(description, HOST_RUN_TERMINAL, settings, sizeof(settings));
}

void description_build_command(struct buffer *description, uint32_t session, uint32_t signal,
                               const uint16_t window[2])
{
    struct host_run header = {.magic = HOST_RUN_MAGIC};
    uint16_t size[4] = {window[0], window[1], 0, 0};

    buffer_append(description, &header, sizeof(header));
    add_pair(description, HOST_RUN_SESSION, session, 0);
    if (signal)
        add_pair(description, HOST_RUN_SIGNAL, signal, 0);
    else
        add(description, HOST_RUN_WINDOW, size, sizeof(size));
}

void description_build(struct buffer *description, const struct run_options *options,
                       const struct rlimit limits[CALLER_LIMITS],
                       const struct stream streams[STREAMS], const struct terminal *terminal)
{
    struct host_run header = {.magic = HOST_RUN_MAGIC};

    buffer_append(description, &header, sizeof(header));
    add_program(description, options);
    add_directory(description, options);
    add_rights(description, options, limits);
    add_files(description, options);
    add_streams(description, streams, terminal);
    add_machine(description, options);
}
