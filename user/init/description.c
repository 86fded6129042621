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

/* The entry's payload as a string. */
static char *take_string(uint8_t *payload, size_t size)
{
    char *string = (char *)payload - sizeof(struct host_run_entry);

    memmove(string, payload, size);
    string[size] = '\0';
    return string;
}

/* Numbers that come alone; the payload is as long as `size`. */
static void take_bytes(void *to, const uint8_t *payload, size_t size)
{
    memcpy(to, payload, size);
}

static void take_stream(struct description *description, const uint8_t *payload)
{
    uint32_t pair[2];

    memcpy(pair, payload, sizeof(pair));
    if (pair[0] < STREAMS)
        description->streams[pair[0]] = pair[1];
}

static void take_share(struct description *description, uint8_t *payload, size_t size)
{
    struct run_share *share = &description->shares[description->share_count++];

    memcpy(&share->share, payload, sizeof(share->share));
    share->path = take_string(payload + sizeof(share->share), size - sizeof(share->share));
}

/* What the next entry of each repeated type goes to. */
struct cursor {
    char **argument, **variable;
};

static const uint32_t least_size[] = {
    [HOST_RUN_USER] = 8,
    [HOST_RUN_GROUP] = 4,
    [HOST_RUN_UMASK] = 4,
    [HOST_RUN_LIMIT] = 24,
    [HOST_RUN_DATE] = 8,
    [HOST_RUN_STREAM] = 8,
    [HOST_RUN_WINDOW] = 4,
    [HOST_RUN_TERMINAL] = TERMIOS_BYTES,
    [HOST_RUN_SHARE] = sizeof(struct host_share),
    [HOST_RUN_OVERLAY_BYTES] = 8,
    [HOST_RUN_NICE] = 4,
    [HOST_RUN_IGNORED] = 8,
};

static void take_entry(struct description *description, struct cursor *cursor, uint32_t type,
                       uint8_t *payload, size_t size)
{
    uint16_t window[2];
    uint32_t ids[2];

    switch (type) {
    case HOST_RUN_PROGRAM:
        description->program = take_string(payload, size);
        break;
    case HOST_RUN_ARGUMENT:
        *cursor->argument++ = take_string(payload, size);
        break;
    case HOST_RUN_ENVIRONMENT:
        *cursor->variable++ = take_string(payload, size);
        break;
    case HOST_RUN_DIRECTORY:
        description->directory = take_string(payload, size);
        break;
    case HOST_RUN_HOSTNAME:
        description->hostname = take_string(payload, size);
        break;
    case HOST_RUN_USER:
        take_bytes(ids, payload, sizeof(ids));
        description->uid = ids[0];
        description->gid = ids[1];
        break;
    case HOST_RUN_GROUP:
        take_bytes(&description->groups[description->group_count++], payload, sizeof(uint32_t));
        break;
    case HOST_RUN_UMASK:
        take_bytes(&description->umask, payload, sizeof(description->umask));
        break;
    case HOST_RUN_NICE:
        take_bytes(&description->nice, payload, sizeof(description->nice));
        break;
    case HOST_RUN_IGNORED:
        take_bytes(&description->ignored_signals, payload, sizeof(description->ignored_signals));
        break;
    case HOST_RUN_LIMIT:
        take_bytes(&description->limits[description->limit_count++], payload,
                   sizeof(struct run_limit));
        break;
    case HOST_RUN_DATE:
        take_bytes(&description->date_ns, payload, sizeof(description->date_ns));
        break;
    case HOST_RUN_SEED:
        description->seed = payload;
        description->seed_size = size;
        break;
    case HOST_RUN_STREAM:
        take_stream(description, payload);
        break;
    case HOST_RUN_WINDOW:
        take_bytes(window, payload, sizeof(window));
        description->rows = window[0];
        description->columns = window[1];
        break;
    case HOST_RUN_TERMINAL:
        take_bytes(description->terminal, payload, TERMIOS_BYTES);
        description->has_terminal = true;
        break;
    case HOST_RUN_SHARE:
        take_share(description, payload, size);
        break;
    case HOST_RUN_OVERLAY_BYTES:
        take_bytes(&description->overlay_bytes, payload, sizeof(description->overlay_bytes));
        break;
    }
}

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

int description_parse(uint8_t *bytes, size_t size, uint32_t count, struct description *description)
{
    struct cursor cursor;
    size_t at = 0;
    int error;

    *description = (struct description){0};
    error = make_room(description, bytes, size);
    if (error)
        return error;
    cursor = (struct cursor){description->arguments, description->environment};
    for (uint32_t i = 0; i < count; i++) {
        struct host_run_entry entry;
        size_t padded;

        if (size - at < sizeof(entry))
            return -EINVAL;
        memcpy(&entry, bytes + at, sizeof(entry));
        at += sizeof(entry);
        padded = ((size_t)entry.size + ENTRY_ALIGNMENT - 1) / ENTRY_ALIGNMENT * ENTRY_ALIGNMENT;
        if (padded > size - at)
            return -EINVAL;
        if (entry.type < sizeof(least_size) / sizeof(*least_size) &&
            entry.size < least_size[entry.type])
            return -EINVAL;
        take_entry(description, &cursor, entry.type, bytes + at, entry.size);
        at += padded;
    }
    return description->program && description->arguments[0] ? 0 : -EINVAL;
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
}
