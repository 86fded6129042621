/*
 * The MP table: CPUs and I/O APICs of a machine without ACPI (Intel's MultiProcessor Specification
 * 1.4, chapter 4), which microvm has with acpi=off.
 *
 * A pointer with the mark _MP_ lies somewhere on a boundary of 16 bytes in the BIOS area or in the
 * last KiB of base memory; the table that it names is a header and entries of one length a kind, so
 * an unknown kind ends the reading.
 *
 * Context: boot CPU, early; the direct map is extended over what is read.
 */
#include <pith/core.h>

#include "acpi.h"
#include "boot.h"

#define BIOS_START     0xf0000ul
#define BIOS_END       0x100000ul
#define BASE_LAST_KB   0x9fc00ul
#define KB             1024ul
#define POINTER_STEP   16
#define CPU_ENABLED    BIT(0)
#define IO_APIC_USABLE BIT(0)

struct packed mp_pointer {
    char signature[4]; /* "_MP_" */
    u32 table;
    u8 length, version, checksum, features[5];
};

struct packed mp_table {
    char signature[4]; /* "PCMP" */
    u16 bytes;
    u8 version, checksum;
    char names[20];
    u32 oem_table;
    u16 oem_bytes, entry_count;
    u32 apic_address;
    u16 extended_bytes;
    u8 extended_checksum, reserved;
};

enum mp_kind {
    MP_CPU = 0,
    MP_BUS,
    MP_IO_APIC,
    MP_INTERRUPT,
    MP_LOCAL_INTERRUPT,
    MP_KINDS
};

struct packed mp_entry {
    u8 kind, id, version, flags;
    u32 address;
};

static const u8 entry_bytes[MP_KINDS] = {
    [MP_CPU] = 20, [MP_BUS] = 8, [MP_IO_APIC] = 8, [MP_INTERRUPT] = 8, [MP_LOCAL_INTERRUPT] = 8,
};

static const struct mp_pointer *pointer_find(phys_addr start, phys_addr end)
{
    const char *memory = direct_map_include(start, end - start);

    for (u64 at = 0; at < end - start; at += POINTER_STEP) {
        if (!memcmp(memory + at, "_MP_", 4))
            return (const struct mp_pointer *)(memory + at);
    }
    return NULL;
}

static void entry_read(const struct mp_entry *entry)
{
    if (entry->kind == MP_CPU && entry->flags & CPU_ENABLED)
        cpu_found(entry->id);
    /* One I/O APIC, whose lines begin at 0, is all that such a machine has. */
    if (entry->kind == MP_IO_APIC && entry->flags & IO_APIC_USABLE &&
        machine_facts.io_apic_count == 0)
        io_apic_found(entry->address, 0);
}

void mp_table_read(void)
{
    const struct mp_pointer *pointer = pointer_find(BIOS_START, BIOS_END);
    const struct mp_table *table;
    const char *at, *end;

    if (!pointer)
        pointer = pointer_find(BASE_LAST_KB, BASE_LAST_KB + KB);
    if (!pointer || !pointer->table)
        return;
    table = direct_map_include(pointer->table, sizeof(*table));
    if (memcmp(table->signature, "PCMP", 4))
        return;
    direct_map_include(pointer->table, table->bytes);
    at = (const char *)(table + 1);
    end = (const char *)table + table->bytes;
    /* By the table's length: qboot, microvm's firmware without ACPI, leaves entry_count 0. */
    while (at < end) {
        const struct mp_entry *entry = (const struct mp_entry *)at;

        if (entry->kind >= MP_KINDS || at + entry_bytes[entry->kind] > end)
            return;
        entry_read(entry);
        at += entry_bytes[entry->kind];
    }
}
