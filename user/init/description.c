/*
 * The description of the run, read from the control device and taken apart.
 *
 * Nothing is copied: a string's final NUL, which the description does not have, gets room by moving
 * the string down over the header of its own entry. Unknown entries are skipped, sizes are checked.
 */
#include "init.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ENTRY_ALIGNMENT 8
#define SIZE_MOST       (64u << 20) /* far beyond any environment */

static size_t entry_padded(const struct host_run_entry *entry)
{
    return ((size_t)entry->size + ENTRY_ALIGNMENT - 1) / ENTRY_ALIGNMENT * ENTRY_ALIGNMENT;
}

/* How many entries of a type there are, to make room for them. */
static size_t count_entries(const uint8_t *bytes, size_t size, uint32_t type)
{
    struct host_run_entry entry;
    size_t count = 0;

    for (size_t at = 0; at + sizeof(entry) <= size;) {
        memcpy(&entry, bytes + at, sizeof(entry));
        count += entry.type == type;
        at += sizeof(entry) +
              ((size_t)entry.size + ENTRY_ALIGNMENT - 1) / ENTRY_ALIGNMENT * ENTRY_ALIGNMENT;
    }
    return count;
}

/* ---- What each type of entry does ---- */

struct entry_rule;
typedef void entry_take(struct description *description, const struct entry_rule *rule,
                        uint8_t *payload, size_t size);

struct entry_rule {
    entry_take *take; /* NULL: a type that is not known */
    size_t offset;    /* of the field in struct description, for those that fill one */
    uint32_t least;   /* bytes of payload */
};

/* The payload as a string: moved down over the entry's header, so that there is room for a NUL. */
static char *make_string(uint8_t *payload, size_t size)
{
    char *string = (char *)payload - sizeof(struct host_run_entry);

    memmove(string, payload, size);
    string[size] = '\0';
    return string;
}

static void take_numbers(struct description *description, const struct entry_rule *rule,
                         uint8_t *payload, size_t size)
{
    memcpy((uint8_t *)description + rule->offset, payload, rule->least);
}

static void take_string(struct description *description, const struct entry_rule *rule,
                        uint8_t *payload, size_t size)
{
    char *string = make_string(payload, size);

    memcpy((uint8_t *)description + rule->offset, &string, sizeof(string));
}

static void take_argument(struct description *description, const struct entry_rule *rule,
                          uint8_t *payload, size_t size)
{
    description->arguments[description->argument_count++] = make_string(payload, size);
}

static void take_variable(struct description *description, const struct entry_rule *rule,
                          uint8_t *payload, size_t size)
{
    description->environment[description->variable_count++] = make_string(payload, size);
}

static void take_group(struct description *description, const struct entry_rule *rule,
                       uint8_t *payload, size_t size)
{
    memcpy(&description->groups[description->group_count++], payload, rule->least);
}

static void take_limit(struct description *description, const struct entry_rule *rule,
                       uint8_t *payload, size_t size)
{
    memcpy(&description->limits[description->limit_count++], payload, rule->least);
}

static void take_seed(struct description *description, const struct entry_rule *rule,
                      uint8_t *payload, size_t size)
{
    description->seed = payload;
    description->seed_size = size;
}

static void take_stream(struct description *description, const struct entry_rule *rule,
                        uint8_t *payload, size_t size)
{
    uint32_t pair[2];

    memcpy(pair, payload, sizeof(pair));
    if (pair[0] < STREAMS)
        description->streams[pair[0]] = pair[1];
}

static void take_terminal(struct description *description, const struct entry_rule *rule,
                          uint8_t *payload, size_t size)
{
    memcpy(description->terminal, payload, TERMIOS_BYTES);
    description->has_terminal = true;
}

static void take_share(struct description *description, const struct entry_rule *rule,
                       uint8_t *payload, size_t size)
{
    struct run_share *share = &description->shares[description->share_count++];

    memcpy(&share->share, payload, sizeof(share->share));
    share->path = make_string(payload + sizeof(share->share), size - sizeof(share->share));
}

#define FIELD(name) offsetof(struct description, name)

static const struct entry_rule rules[] = {
    [HOST_RUN_PROGRAM] = {take_string, FIELD(program)},
    [HOST_RUN_ARGUMENT] = {take_argument},
    [HOST_RUN_ENVIRONMENT] = {take_variable},
    [HOST_RUN_DIRECTORY] = {take_string, FIELD(directory), 1},
    [HOST_RUN_USER] = {take_numbers, FIELD(uid), 8}, /* and gid */
    [HOST_RUN_GROUP] = {take_group, 0, 4},
    [HOST_RUN_UMASK] = {take_numbers, FIELD(umask), 4},
    [HOST_RUN_LIMIT] = {take_limit, 0, sizeof(struct run_limit)},
    [HOST_RUN_DATE] = {take_numbers, FIELD(date_ns), 8},
    [HOST_RUN_SEED] = {take_seed},
    [HOST_RUN_HOSTNAME] = {take_string, FIELD(hostname), 0},
    [HOST_RUN_STREAM] = {take_stream, 0, 8},
    [HOST_RUN_WINDOW] = {take_numbers, FIELD(rows), 4}, /* and columns */
    [HOST_RUN_TERMINAL] = {take_terminal, 0, TERMIOS_BYTES},
    [HOST_RUN_SHARE] = {take_share, 0, sizeof(struct host_share)},
    [HOST_RUN_OVERLAY_BYTES] = {take_numbers, FIELD(overlay_bytes), 8},
    [HOST_RUN_NICE] = {take_numbers, FIELD(nice), 4},
    [HOST_RUN_SESSION] = {take_numbers, FIELD(session), 4},
    [HOST_RUN_SIGNAL] = {take_numbers, FIELD(signal), 4},
    [HOST_RUN_REPORT] = {take_numbers, FIELD(report), 4},
    [HOST_RUN_IGNORED] = {take_numbers, FIELD(ignored_signals), 8},
};

/* Room for the repeated entries, zeroed: lists of strings end with NULL. */
static int make_room(struct description *description, const uint8_t *bytes, size_t size)
{
    description->arguments =
        calloc(count_entries(bytes, size, HOST_RUN_ARGUMENT) + 1, sizeof(char *));
    description->environment =
        calloc(count_entries(bytes, size, HOST_RUN_ENVIRONMENT) + 1, sizeof(char *));
    description->groups = calloc(count_entries(bytes, size, HOST_RUN_GROUP) + 1, sizeof(uint32_t));
    description->limits =
        calloc(count_entries(bytes, size, HOST_RUN_LIMIT) + 1, sizeof(struct run_limit));
    description->shares =
        calloc(count_entries(bytes, size, HOST_RUN_SHARE) + 1, sizeof(struct run_share));
    return description->arguments && description->environment && description->groups &&
                   description->limits && description->shares
               ? 0
               : -ENOMEM;
}

static int take_entry(struct description *description, uint32_t type, uint8_t *payload, size_t size)
{
    const struct entry_rule *rule;

    if (type >= sizeof(rules) / sizeof(*rules) || !rules[type].take)
        return 0;
    rule = &rules[type];
    if (size < rule->least)
        return -EINVAL;
    rule->take(description, rule, payload, size);
    return 0;
}

int description_parse(uint8_t *bytes, size_t size, uint32_t count, struct description *description)
{
    struct host_run_entry entry;
    size_t at = 0;
    int error;

    *description = (struct description){.terminal_path = "/dev/console"};
    error = make_room(description, bytes, size);
    for (uint32_t i = 0; i < count && !error; i++) {
        if (size - at < sizeof(entry))
            return -EINVAL;
        memcpy(&entry, bytes + at, sizeof(entry));
        at += sizeof(entry);
        if (entry_padded(&entry) > size - at)
            return -EINVAL;
        error = take_entry(description, entry.type, bytes + at, entry.size);
        at += entry_padded(&entry);
    }
    if (!error && !description->session && !description->program)
        error = -EINVAL;
    if (!error && description->program && !description->arguments[0])
        error = -EINVAL;
    return error;
}

static void read_all(int fd, void *to, size_t size)
{
    uint8_t *bytes = to;

    while (size) {
        ssize_t count = read(fd, bytes, size);

        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            fail("the description of the run cannot be read", NULL, count ? errno : EPIPE);
        bytes += count;
        size -= count;
    }
}

void description_read(int control_fd, struct description *description)
{
    struct host_run header;
    uint8_t *bytes;
    int error;

    read_all(control_fd, &header, sizeof(header));
    if (header.magic != HOST_RUN_MAGIC || header.size > SIZE_MOST)
        fail("the description of the run is none", NULL, EPROTO);
    bytes = malloc(header.size + 1);
    if (!bytes)
        fail("there is no memory for the description of the run", NULL, ENOMEM);
    read_all(control_fd, bytes, header.size);
    error = description_parse(bytes, header.size, header.count, description);
    if (error)
        fail("the description of the run is broken", NULL, -error);
    description->bytes = bytes;
}

void description_free(struct description *description)
{
    free(description->arguments);
    free(description->environment);
    free(description->groups);
    free(description->limits);
    free(description->shares);
    free(description->bytes);
}
