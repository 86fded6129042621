/*
 * Parsing cpio archives of the format "newc" (cpio(5)).
 *
 *     "070701" 13 fields of 8 hexadecimal digits | name NUL | pad to 4 | data | pad to 4
 *
 * All lengths come from the archive and are checked against what is left of it.
 */
#include "cpio.h"

#include <pith/compiler.h>
#include <pith/string.h>

#define MAGIC_BYTES  6u
#define FIELD_BYTES  8u
#define HEADER_BYTES 110u
#define TRAILER      "TRAILER!!!"

enum field {
    FIELD_INODE,
    FIELD_MODE,
    FIELD_UID,
    FIELD_GID,
    FIELD_LINKS,
    FIELD_MODIFIED,
    FIELD_FILE_BYTES,
    FIELD_DEVICE_MAJOR,
    FIELD_DEVICE_MINOR,
    FIELD_RDEV_MAJOR,
    FIELD_RDEV_MINOR,
    FIELD_NAME_BYTES,
    FIELD_CHECK,
    FIELDS,
};
_Static_assert(MAGIC_BYTES + FIELDS * FIELD_BYTES == HEADER_BYTES, "cpio(5), New ASCII Format");

static bool field_parse(const u8 *text, u32 *value_out)
{
    u32 value = 0;

    for (u32 i = 0; i < FIELD_BYTES; i++) {
        u8 digit = text[i];

        if (digit >= '0' && digit <= '9')
            value = value << 4 | (u32)(digit - '0');
        else if ((digit | 0x20) >= 'a' && (digit | 0x20) <= 'f')
            value = value << 4 | (u32)((digit | 0x20) - 'a' + 10);
        else
            return false;
    }
    *value_out = value;
    return true;
}

static bool header_parse(const u8 *header, u32 *fields)
{
    if (memcmp(header, "070701", MAGIC_BYTES) && memcmp(header, "070702", MAGIC_BYTES))
        return false;
    for (u32 i = 0; i < FIELDS; i++)
        if (!field_parse(header + MAGIC_BYTES + i * FIELD_BYTES, &fields[i]))
            return false;
    return true;
}

/* One entry, a trailer included. */
static int entry_next(const u8 *archive, u64 bytes, u64 *offset, struct cpio_entry *entry_out)
{
    u64 at = *offset, name_at, data_at;
    u32 fields[FIELDS];

    /* Archives may be joined, with zeros between. */
    while (at < bytes && archive[at] == 0)
        at++;
    if (at >= bytes)
        return 0;
    if (bytes - at < HEADER_BYTES || !header_parse(archive + at, fields))
        return -1;
    name_at = at + HEADER_BYTES;
    if (!fields[FIELD_NAME_BYTES] || fields[FIELD_NAME_BYTES] > bytes - name_at ||
        archive[name_at + fields[FIELD_NAME_BYTES] - 1] != 0)
        return -1;
    data_at = ALIGN_UP(name_at + fields[FIELD_NAME_BYTES], 4ul);
    if (data_at > bytes || fields[FIELD_FILE_BYTES] > bytes - data_at)
        return -1;
    *entry_out = (struct cpio_entry){
        .name = (const char *)archive + name_at,
        .data = archive + data_at,
        .bytes = fields[FIELD_FILE_BYTES],
        .mode = fields[FIELD_MODE],
        .uid = fields[FIELD_UID],
        .gid = fields[FIELD_GID],
        .links = fields[FIELD_LINKS],
        .inode_number = fields[FIELD_INODE],
        .modified_seconds = fields[FIELD_MODIFIED],
        .device_major = fields[FIELD_RDEV_MAJOR],
        .device_minor = fields[FIELD_RDEV_MINOR],
    };
    *offset = ALIGN_UP(data_at + fields[FIELD_FILE_BYTES], 4ul);
    return 1;
}

int cpio_next(const u8 *archive, u64 bytes, u64 *offset, struct cpio_entry *entry_out)
{
    int result;

    do {
        result = entry_next(archive, bytes, offset, entry_out);
    } while (result == 1 && strcmp(entry_out->name, TRAILER) == 0);
    return result;
}
