/*
 * What the firmware's tables say: CPUs, I/O APICs, and how to power off.
 *
 * ACPI where there is a root pointer, else the older MP table (microvm with acpi=off). Only the
 * fixed tables are read; of the DSDT's byte code nothing but the package _S5_, found by its name.
 * Tables lie in reserved memory, which the direct map is extended over. A length that leads out of
 * its table ends the reading.
 *
 * Context: boot CPU, early; machine_power_off anywhere.
 */
#include "acpi.h"

#include <pith/core.h>

#include "boot.h"

#define TABLES_MAX 64

struct packed acpi_header {
    char signature[4];
    u32 bytes;
    u8 revision, checksum;
    char oem[26];
};

struct packed acpi_root {
    char signature[8]; /* "RSD PTR " */
    u8 checksum;
    char oem[6];
    u8 revision;
    u32 rsdt;
    u32 bytes; /* from revision 2 on */
    u64 xsdt;
};

/* ACPI 6.5, 5.2.3.2 "Generic Address Structure" */
struct packed acpi_address {
    u8 space; /* ACPI_SPACE_* */
    u8 bits, offset, access;
    u64 address;
};
#define ACPI_SPACE_MEMORY 0
#define ACPI_SPACE_PORT   1

/* ACPI 6.5, 5.2.9 "Fixed ACPI Description Table", what we use of it */
struct packed acpi_fixed {
    struct acpi_header header;
    u32 facs, dsdt;
    u8 reserved_1[12];
    u32 pm1a_event, pm1b_event, pm1a_control, pm1b_control;
    u8 reserved_2[40];
    u32 flags;
    struct acpi_address reset;
    u8 reset_value;
    u8 reserved_3[3];
    u64 facs_64, dsdt_64;
    u8 reserved_4[96];
    struct acpi_address sleep_control, sleep_status;
};
_Static_assert(__builtin_offsetof(struct acpi_fixed, sleep_control) == 244, "FADT");
#define FIXED_FLAG_RESET            BIT(10)
#define FIXED_FLAG_HARDWARE_REDUCED BIT(20)

/* ACPI 6.5, 5.2.12 "Multiple APIC Description Table": a header, then entries of these kinds */
struct packed madt {
    struct acpi_header header;
    u32 apic_address;
    u32 flags;
};
enum madt_kind {
    MADT_CPU = 0,
    MADT_IO_APIC = 1,
    MADT_CPU_X2 = 9,
};
struct packed madt_entry {
    u8 kind, bytes;
    union {
        struct packed {
            u8 acpi_id, apic_id;
            u32 flags;
        } cpu;
        struct packed {
            u8 id, reserved;
            u32 address, line_first;
        } io_apic;
        struct packed {
            u16 reserved;
            u32 apic_id, flags;
        } cpu_x2;
    };
};
#define MADT_CPU_ENABLED BIT(0)

struct machine_facts machine_facts;
static const struct acpi_fixed *fixed; /* [const] NULL: there is none */

void cpu_found(u32 apic_id)
{
    struct machine_facts *facts = &machine_facts;

    if (facts->cpu_count == CPUS_MAX) {
        log_warning("acpi: more than %d CPUs", CPUS_MAX);
        return;
    }
    facts->apic_ids[facts->cpu_count++] = apic_id;
}

void io_apic_found(phys_addr address, u32 line_first)
{
    struct machine_facts *facts = &machine_facts;

    if (facts->io_apic_count < IO_APICS_MAX)
        facts->io_apics[facts->io_apic_count++] = (struct io_apic_fact){address, line_first};
}

/*
 * CPUs that are not enabled are holes for hot plugging. Numbers above 254 come as x2APIC entries.
 */
static void madt_entry_read(const struct madt_entry *entry)
{
    switch (entry->kind) {
    case MADT_CPU:
        if (entry->cpu.flags & MADT_CPU_ENABLED)
            cpu_found(entry->cpu.apic_id);
        break;
    case MADT_CPU_X2:
        if (entry->cpu_x2.flags & MADT_CPU_ENABLED)
            cpu_found(entry->cpu_x2.apic_id);
        break;
    case MADT_IO_APIC:
        io_apic_found(entry->io_apic.address, entry->io_apic.line_first);
        break;
    }
}

static void madt_read(const struct madt *madt)
{
    const char *at = (const char *)(madt + 1), *end = (const char *)madt + madt->header.bytes;

    while (at + 2 <= end) {
        const struct madt_entry *entry = (const struct madt_entry *)at;

        if (entry->bytes < 2 || at + entry->bytes > end)
            return;
        madt_entry_read(entry);
        at += entry->bytes;
    }
}

/* A table is mapped twice: its header, to learn how long it is, then all of it. */
static const struct acpi_header *table_map(phys_addr address)
{
    const struct acpi_header *header = direct_map_include(address, sizeof(*header));

    return direct_map_include(address, header->bytes);
}

/* What follows the header; 0 where the length says less than a header. */
static u32 payload_bytes(const struct acpi_header *header)
{
    return header->bytes < sizeof(*header) ? 0 : header->bytes - sizeof(*header);
}

static void table_read(phys_addr address)
{
    const struct acpi_header *header = table_map(address);

    if (!memcmp(header->signature, "APIC", 4))
        madt_read((const struct madt *)header);
    else if (!memcmp(header->signature, "FACP", 4) && header->bytes >= 116)
        fixed = (const struct acpi_fixed *)header;
}

/*
 * The list of tables is of 64-bit addresses from revision 2 on (XSDT), else of 32-bit ones (RSDT).
 */
static void acpi_read(phys_addr address)
{
    const struct acpi_root *root = direct_map_include(address, sizeof(*root));
    bool wide = root->revision >= 2 && root->xsdt;
    const struct acpi_header *list;
    const char *entries;
    u32 count, entry_bytes = wide ? sizeof(u64) : sizeof(u32);

    if (memcmp(root->signature, "RSD PTR ", 8))
        return;
    list = table_map(wide ? root->xsdt : root->rsdt);
    entries = (const char *)(list + 1);
    count = MIN(payload_bytes(list) / entry_bytes, (u32)TABLES_MAX);
    for (u32 i = 0; i < count; i++) {
        u64 table = 0;

        memcpy(&table, entries + i * entry_bytes, entry_bytes);
        table_read(table);
    }
    if (fixed)
        table_map(fixed->dsdt);
}

void machine_facts_init(void)
{
    if (boot_info.acpi_root)
        acpi_read(boot_info.acpi_root);
    if (!machine_facts.cpu_count)
        mp_table_read();
}

/* Whether the FADT is long enough to hold this field. */
static bool fixed_holds(const void *field, size_t bytes)
{
    return (const char *)field + bytes <= (const char *)fixed + fixed->header.bytes;
}

/*
 * The sleep type of state S5: the first number of the package that the DSDT names _S5_
 * (ACPI 6.5, 7.4.2; 20.2.5.4 "Package").
 */
static u32 power_off_type(u32 otherwise)
{
    const struct acpi_header *dsdt = phys_to_virt(fixed->dsdt);
    const u8 *code = (const u8 *)(dsdt + 1);
    u64 bytes = payload_bytes(dsdt);

    for (u64 at = 0; at + 9 < bytes; at++) {
        const u8 *package = code + at + 4;

        if (memcmp(code + at, "_S5_", 4) || package[0] != 0x12)
            continue;
        /* The operator, its length of 1 to 4 bytes, the number of elements, the first element. */
        package += 2 + (package[1] >> 6) + 1;
        if (package[0] == 0x0a)
            return package[1];
        return package[0] <= 1 ? package[0] : otherwise;
    }
    return otherwise;
}

static void address_write(const struct acpi_address *to, u8 value)
{
    if (to->space == ACPI_SPACE_PORT)
        port_write_u8((u16)to->address, value);
    else if (to->space == ACPI_SPACE_MEMORY)
        *(volatile u8 *)device_registers_map(to->address, 1) = value;
}

/*
 * By the sleep registers of a machine without legacy hardware (microvm), else by PM1a's control.
 * Returns if there is neither.
 */
void acpi_power_off(void)
{
    if (!fixed)
        return;
    if (fixed_holds(&fixed->sleep_control, sizeof(fixed->sleep_control)) &&
        fixed->flags & FIXED_FLAG_HARDWARE_REDUCED && fixed->sleep_control.address)
        address_write(&fixed->sleep_control, power_off_type(5) << 2 | BIT(5));
    else if (fixed->pm1a_control)
        port_write_u16((u16)fixed->pm1a_control, power_off_type(0) << 10 | BIT(13));
}

void acpi_restart(void)
{
    if (fixed && fixed_holds(&fixed->reset_value, 1) && fixed->flags & FIXED_FLAG_RESET)
        address_write(&fixed->reset, fixed->reset_value);
}
