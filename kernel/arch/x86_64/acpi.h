/* What the firmware's tables say of the machine; acpi.c, mp_table.c. */
#pragma once

#include <pith/cpu.h>

#define IO_APICS_MAX 4

struct io_apic_fact {
    phys_addr address;
    u32 line_first; /* the number of its first interrupt line */
};

struct machine_facts {
    u32 cpu_count;
    u32 apic_ids[CPUS_MAX]; /* in the tables' order */
    u32 io_apic_count;
    struct io_apic_fact io_apics[IO_APICS_MAX];
};
extern struct machine_facts machine_facts; /* [const] after machine_facts_init */

void machine_facts_init(void);
/* For the readers of tables. */
void cpu_found(u32 apic_id);
void io_apic_found(phys_addr address, u32 line_first);
void mp_table_read(void);

/* They return if the tables name no way. */
void acpi_power_off(void);
void acpi_restart(void);
