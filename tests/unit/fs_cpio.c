/* The cpio parser of the initramfs: what it reads, and what it refuses. */
#include "fs/cpio.h"

#include <pith/compiler.h>

#include "unit.h"

static u8 archive[4096];
static u64 archive_bytes;

static void append(const void *bytes, u64 count)
{
    memcpy(archive + archive_bytes, bytes, count);
    archive_bytes += count;
}

static void pad(void)
{
    while (archive_bytes % 4)
        append("", 1);
}

static void add(const char *name, u32 mode, const char *data, u32 links)
{
    char header[128];

    snprintf(header, sizeof(header), "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X",
             7, mode, 1, 2, links, 99, (unsigned)strlen(data), 0, 0, 5, 1,
             (unsigned)strlen(name) + 1, 0);
    append(header, 110);
    append(name, strlen(name) + 1);
    pad();
    append(data, strlen(data));
    pad();
}

static void begin(void)
{
    memset(archive, 0, sizeof(archive));
    archive_bytes = 0;
}

TEST(cpio_entries_come_in_order_with_their_data)
{
    struct cpio_entry entry;
    u64 offset = 0;

    begin();
    add("dir", 040755, "", 2);
    add("dir/file", 0100644, "hello", 1);
    add("TRAILER!!!", 0, "", 1);
    CHECK_EQ(cpio_next(archive, archive_bytes, &offset, &entry), 1);
    CHECK_STR_EQ(entry.name, "dir");
    CHECK_EQ(entry.mode, 040755);
    CHECK_EQ(cpio_next(archive, archive_bytes, &offset, &entry), 1);
    CHECK_STR_EQ(entry.name, "dir/file");
    CHECK_EQ(entry.bytes, 5);
    CHECK_EQ(memcmp(entry.data, "hello", 5), 0);
    CHECK_EQ(entry.uid, 1);
    CHECK_EQ(entry.gid, 2);
    CHECK_EQ(entry.modified_seconds, 99);
    CHECK_EQ(entry.device_major, 5);
    CHECK_EQ(entry.device_minor, 1);
    CHECK_EQ(cpio_next(archive, archive_bytes, &offset, &entry), 0);
}

TEST(cpio_archives_may_be_joined_with_zeros_between)
{
    struct cpio_entry entry;
    u64 offset = 0;

    begin();
    add("a", 0100644, "1", 1);
    add("TRAILER!!!", 0, "", 1);
    archive_bytes += 512;
    add("b", 0100644, "2", 1);
    CHECK_EQ(cpio_next(archive, archive_bytes, &offset, &entry), 1);
    CHECK_EQ(cpio_next(archive, archive_bytes, &offset, &entry), 1);
    CHECK_STR_EQ(entry.name, "b");
    CHECK_EQ(cpio_next(archive, archive_bytes, &offset, &entry), 0);
}

TEST(cpio_that_is_cut_anywhere_is_refused_or_ends)
{
    struct cpio_entry entry;

    begin();
    add("name", 0100644, "some data", 1);
    for (u64 bytes = 1; bytes < archive_bytes - 3; bytes++) {
        u64 offset = 0;

        CHECK_EQ(cpio_next(archive, bytes, &offset, &entry), -1);
    }
}

TEST(cpio_with_hostile_lengths_is_refused)
{
    struct cpio_entry entry;
    u64 offset = 0;

    begin();
    add("name", 0100644, "data", 1);
    memcpy(archive + 6 + 8 * 6, "FFFFFFFF", 8); /* the file's size */
    CHECK_EQ(cpio_next(archive, archive_bytes, &offset, &entry), -1);
    memcpy(archive + 6 + 8 * 6, "00000004", 8);
    memcpy(archive + 6 + 8 * 11, "FFFFFFFF", 8); /* the name's */
    CHECK_EQ(cpio_next(archive, archive_bytes, &offset, &entry), -1);
    memcpy(archive + 6 + 8 * 11, "00000000", 8);
    CHECK_EQ(cpio_next(archive, archive_bytes, &offset, &entry), -1);
    memcpy(archive + 6 + 8 * 11, "0000000X", 8);
    CHECK_EQ(cpio_next(archive, archive_bytes, &offset, &entry), -1);
}
