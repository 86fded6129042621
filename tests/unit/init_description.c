/*
 * init takes the description of the run apart, and refuses what is broken without reading beyond
 * it (the sanitizers watch).
 *
 * links: user/init/description.c
 */
#include "unit.h"

#include <errno.h>

#include "../../user/init/init.h"

#define BYTES_MOST 4096

struct bytes {
    uint8_t data[BYTES_MOST];
    size_t size;
    uint32_t count;
};

void fail(const char *what, const char *object, int error)
{
    unit_fail(__FILE__, __LINE__, "init failed: %s (%d)", what, error);
}

static void add(struct bytes *bytes, uint32_t type, const void *payload, uint32_t size)
{
    struct host_run_entry entry = {.type = type, .size = size};

    memcpy(bytes->data + bytes->size, &entry, sizeof(entry));
    memcpy(bytes->data + bytes->size + sizeof(entry), payload, size);
    bytes->size += sizeof(entry) + ((size + 7) & ~7u);
    bytes->count++;
}

static void add_text(struct bytes *bytes, uint32_t type, const char *string)
{
    add(bytes, type, string, strlen(string));
}

/* A small whole description. Padding is not 0, so that a missing final NUL would show. */
static void build(struct bytes *bytes)
{
    struct {
        struct host_share share;
        char path[8];
    } share = {{.index = 1, .flags = HOST_SHARE_WRITABLE}, "/shared!"};
    uint32_t user[2] = {1000, 100}, group = 27, stream[2] = {1, HOST_STREAM_TERMINAL};
    uint64_t limit[3] = {7, 1024, 4096};

    memset(bytes->data, 'x', sizeof(bytes->data));
    bytes->size = 0;
    bytes->count = 0;
    add_text(bytes, HOST_RUN_PROGRAM, "ls");
    add_text(bytes, HOST_RUN_ARGUMENT, "ls");
    add_text(bytes, HOST_RUN_ARGUMENT, "12345678");
    add_text(bytes, HOST_RUN_ARGUMENT, "");
    add_text(bytes, HOST_RUN_ENVIRONMENT, "A=1");
    add_text(bytes, 4711, "a type of the future");
    add(bytes, HOST_RUN_USER, user, sizeof(user));
    add(bytes, HOST_RUN_GROUP, &group, sizeof(group));
    add(bytes, HOST_RUN_STREAM, stream, sizeof(stream));
    add(bytes, HOST_RUN_LIMIT, limit, sizeof(limit));
    add(bytes, HOST_RUN_SHARE, &share, sizeof(share));
}

/* Parses a copy that ends where the heap's guard begins. */
static int parse(const struct bytes *bytes, size_t size, uint32_t count,
                 struct description *description, uint8_t **copy_out)
{
    *copy_out = malloc(size ? size : 1);
    memcpy(*copy_out, bytes->data, size);
    return description_parse(*copy_out, size, count, description);
}

static void release(struct description *description, uint8_t *copy)
{
    free(description->arguments);
    free(description->environment);
    free(description->groups);
    free(description->limits);
    free(description->shares);
    free(copy);
}

TEST(description_gives_what_was_put_in)
{
    struct description description;
    struct bytes bytes;
    uint8_t *copy;

    build(&bytes);
    CHECK_EQ(parse(&bytes, bytes.size, bytes.count, &description, &copy), 0);
    CHECK_STR_EQ(description.program, "ls");
    CHECK_STR_EQ(description.arguments[1], "12345678");
    CHECK_STR_EQ(description.arguments[2], "");
    CHECK_EQ(description.arguments[3] == NULL, 1);
    CHECK_STR_EQ(description.environment[0], "A=1");
    CHECK_EQ(description.uid, 1000);
    CHECK_EQ(description.gid, 100);
    CHECK_EQ(description.group_count, 1);
    CHECK_EQ(description.groups[0], 27);
    CHECK_EQ(description.streams[1], HOST_STREAM_TERMINAL);
    CHECK_EQ(description.limits[0].resource, 7);
    CHECK_EQ(description.limits[0].hard, 4096);
    CHECK_STR_EQ(description.shares[0].path, "/shared!");
    CHECK_EQ(description.shares[0].share.index, 1);
    release(&description, copy);
}

TEST(description_cut_short_anywhere_is_refused)
{
    struct description description;
    struct bytes bytes;
    uint8_t *copy;

    build(&bytes);
    for (size_t size = 0; size < bytes.size; size++) {
        CHECK_EQ(parse(&bytes, size, bytes.count, &description, &copy), -EINVAL);
        release(&description, copy);
    }
}

TEST(description_entry_smaller_than_its_type_is_refused)
{
    struct description description;
    struct bytes bytes;
    uint8_t *copy;

    build(&bytes);
    add(&bytes, HOST_RUN_LIMIT, "1234", 4);
    CHECK_EQ(parse(&bytes, bytes.size, bytes.count, &description, &copy), -EINVAL);
    release(&description, copy);
}

TEST(description_entry_with_an_absurd_size_is_refused)
{
    struct host_run_entry entry = {.type = HOST_RUN_PROGRAM, .size = UINT32_MAX};
    struct description description;
    struct bytes bytes;
    uint8_t *copy;

    build(&bytes);
    memcpy(bytes.data, &entry, sizeof(entry));
    CHECK_EQ(parse(&bytes, bytes.size, bytes.count, &description, &copy), -EINVAL);
    release(&description, copy);
}

TEST(description_without_a_program_is_refused)
{
    struct description description;
    struct bytes bytes = {0};
    uint8_t *copy;

    add_text(&bytes, HOST_RUN_ENVIRONMENT, "A=1");
    CHECK_EQ(parse(&bytes, bytes.size, bytes.count, &description, &copy), -EINVAL);
    release(&description, copy);
}
