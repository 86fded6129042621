/*
 * I/O APICs: interrupt lines of devices, each routed to a vector of the boot CPU.
 *
 * Only what has no message-signalled interrupts comes here: virtio-mmio's devices, a serial port.
 * Lines are numbered through all I/O APICs ("global system interrupts" of ACPI), each of which has
 * a run from line_first on. Registers are reached through an index and a data word, so each access
 * is two, under the lock. A line is masked while its two words change, else an interrupt in between
 * would go by half of each.
 *
 * Locking: io_apic_lock, a leaf; the table of I/O APICs is written at boot.
 */
#include <pith/core.h>

#include "acpi.h"
#include "apic.h"
#include "boot.h"

#define IO_INDEX        0x00
#define IO_DATA         0x10
#define IO_WINDOW_BYTES 0x20
#define IO_VERSION      0x01
#define IO_LINES        0x10 /* two registers a line */
#define LINE_MASKED     BIT(16)
#define LINE_IS_LEVEL   BIT(15)
#define LINE_IS_LOW     BIT(13)

struct io_apic {
    volatile u32 *registers;
    u32 line_first, line_count;
};

static struct spinlock io_apic_lock = SPINLOCK_INIT(LOCK_LEAF);
static struct io_apic io_apics[IO_APICS_MAX];
static u32 io_apic_count;

static u32 io_read(struct io_apic *io_apic, u32 reg)
{
    io_apic->registers[IO_INDEX / sizeof(u32)] = reg;
    return io_apic->registers[IO_DATA / sizeof(u32)];
}

static void io_write(struct io_apic *io_apic, u32 reg, u32 value)
{
    io_apic->registers[IO_INDEX / sizeof(u32)] = reg;
    io_apic->registers[IO_DATA / sizeof(u32)] = value;
}

void io_apics_init(void)
{
    for (u32 i = 0; i < machine_facts.io_apic_count; i++) {
        struct io_apic *io_apic = &io_apics[io_apic_count++];

        io_apic->registers =
            device_registers_map(machine_facts.io_apics[i].address, IO_WINDOW_BYTES);
        io_apic->line_first = machine_facts.io_apics[i].line_first;
        io_apic->line_count = (io_read(io_apic, IO_VERSION) >> 16 & 0xff) + 1;
    }
}

bool irq_line_exists(u32 gsi)
{
    for (u32 i = 0; i < io_apic_count; i++) {
        if (gsi - io_apics[i].line_first < io_apics[i].line_count)
            return true;
    }
    return false;
}

/* Masked while its two words are written; the target first, so that it never goes to an old one. */
int irq_line_route(u32 gsi, u8 vector, u32 flags)
{
    u32 low = vector | (flags & IRQ_LINE_LEVEL ? LINE_IS_LEVEL : 0) |
              (flags & IRQ_LINE_LOW ? LINE_IS_LOW : 0);
    int error = -ENODEV;

    spin_lock(&io_apic_lock);
    for (u32 i = 0; i < io_apic_count; i++) {
        struct io_apic *io_apic = &io_apics[i];
        u32 line = gsi - io_apic->line_first;

        if (line >= io_apic->line_count)
            continue;
        io_write(io_apic, IO_LINES + 2 * line, LINE_MASKED);
        io_write(io_apic, IO_LINES + 2 * line + 1, cpus[0]->apic_id << 24);
        io_write(io_apic, IO_LINES + 2 * line, low);
        error = 0;
    }
    spin_unlock(&io_apic_lock);
    return error;
}
