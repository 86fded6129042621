/*
 * The local APIC: this CPU's interrupts, its timer, and messages to the other CPUs.
 *
 * Its registers are MSRs (x2APIC, where the CPU has it) or a page of memory; the table of register
 * numbers is the same. By MSR a message is one write; by memory two, the target and then the
 * command, between which no interrupt may send another: hence interrupts off there. Sending waits
 * at most for our own last message to have left, never for its target.
 *
 * Line 1 is the NMI of the machine (QEMU's `nmi` command); line 0, the PIC's, is masked, and the
 * PICs too. The priority register stays 0: all vectors may come, but none of the same or a lower
 * class before the one that is handled was acknowledged. That is done before deferred work runs
 * with interrupts on, so the work holds up none.
 *
 * Locking: each CPU has its own; interrupts off around a message by memory.
 */
#include "apic.h"

#include <pith/core.h>

#include "boot.h"
#include "constants.h"
#include "features.h"
#include "registers.h"

/* SDM 3A "Local APIC Register Address Map" */
enum apic_register {
    APIC_ID = 0x20,
    APIC_PRIORITY = 0x80,
    APIC_ACKNOWLEDGE = 0xb0,
    APIC_SPURIOUS = 0xf0,
    APIC_COMMAND = 0x300,
    APIC_COMMAND_TARGET = 0x310,
    APIC_TIMER = 0x320,
    APIC_LINE_0 = 0x350,
    APIC_LINE_1 = 0x360,
    APIC_ERROR = 0x370,
    APIC_TIMER_START = 0x380,
    APIC_TIMER_LEFT = 0x390,
    APIC_TIMER_DIVIDE = 0x3e0,
};

#define SPURIOUS_ENABLED  BIT(8)
#define MASKED            BIT(16)
#define MODE_NMI          (4u << 8)
#define MODE_INIT         (5u << 8)
#define MODE_STARTUP      (6u << 8)
#define COMMAND_PENDING   BIT(12)
#define COMMAND_ASSERT    BIT(14)
#define TIMER_DEADLINE    (2u << 17)
#define TIMER_DIVIDE_BY_1 0xb
#define APIC_BROADCAST    0xffu /* an id that means all */
#define X2APIC_BROADCAST  0xffffffffu
#define BASE_X2APIC       BIT(10)
#define BASE_ENABLED      BIT(11)
/* The two PICs of a PC: all their lines off. */
#define PIC_MASK_1      0x21
#define PIC_MASK_2      0xa1

#define MESSAGE_ADDRESS 0xfee00000ul

static volatile u32 *registers; /* [const] NULL: x2APIC */

static u32 apic_read(enum apic_register reg)
{
    if (cpu_has(FEATURE_X2APIC))
        return (u32)msr_read(MSR_X2APIC + reg / 16);
    return registers[reg / sizeof(u32)];
}

static void apic_write(enum apic_register reg, u32 value)
{
    if (cpu_has(FEATURE_X2APIC))
        msr_write(MSR_X2APIC + reg / 16, value);
    else
        registers[reg / sizeof(u32)] = value;
}

void apic_init(void)
{
    port_write_u8(PIC_MASK_1, 0xff);
    port_write_u8(PIC_MASK_2, 0xff);
    if (!cpu_has(FEATURE_X2APIC))
        registers = device_registers_map(msr_read(MSR_APIC_BASE) & PTE_ADDRESS, PAGE_SIZE);
}

/*
 * To the mode that we use from whichever the firmware left: from off there is no way to x2APIC but
 * by on, and from x2APIC none to on but by off (SDM 3A "x2APIC State Transitions").
 */
static void mode_set(void)
{
    u64 base = msr_read(MSR_APIC_BASE);

    if (cpu_has(FEATURE_X2APIC)) {
        msr_write(MSR_APIC_BASE, base | BASE_ENABLED);
        msr_write(MSR_APIC_BASE, base | BASE_ENABLED | BASE_X2APIC);
        return;
    }
    if (base & BASE_X2APIC) {
        base &= ~(BASE_ENABLED | BASE_X2APIC);
        msr_write(MSR_APIC_BASE, base);
    }
    msr_write(MSR_APIC_BASE, base | BASE_ENABLED);
}

void apic_init_cpu(void)
{
    mode_set();
    /* Errors first: to mask another line with a vector of 0 may be one. */
    apic_write(APIC_ERROR, MASKED);
    apic_write(APIC_SPURIOUS, SPURIOUS_ENABLED | VECTOR_SPURIOUS);
    apic_write(APIC_LINE_0, MASKED);
    apic_write(APIC_LINE_1, MODE_NMI);
    apic_write(APIC_TIMER_DIVIDE, TIMER_DIVIDE_BY_1);
    apic_write(APIC_TIMER, VECTOR_TIMER);
    /*
     * Last, behind the mask of line 0: with this write QEMU looks anew at what is pending, and
     * forgets what the firmware's timer raised by the PIC while our interrupts were off.
     */
    apic_write(APIC_PRIORITY, 0);
    cpu_current()->apic_id = apic_id();
}

u32 apic_id_most(void)
{
    return cpu_has(FEATURE_X2APIC) ? X2APIC_BROADCAST - 1 : APIC_BROADCAST - 1;
}

u32 apic_id(void)
{
    u32 id = apic_read(APIC_ID);

    return cpu_has(FEATURE_X2APIC) ? id : id >> 24;
}

void apic_acknowledge(void)
{
    apic_write(APIC_ACKNOWLEDGE, 0);
}

/* Never waits for the target. A message by memory waits until our last one was taken by the bus. */
static void apic_send(u32 target, u32 command)
{
    u64 flags;

    if (cpu_has(FEATURE_X2APIC)) {
        /* What we wrote for the other CPU must be seen before the message; this write is not
         * ordered behind it by itself (SDM 3A "MSR Access in x2APIC Mode"). */
        __asm__ volatile("mfence; lfence" : : : "memory");
        msr_write(MSR_X2APIC + APIC_COMMAND / 16, (u64)target << 32 | command);
        return;
    }
    flags = interrupts_save_disable();
    while (apic_read(APIC_COMMAND) & COMMAND_PENDING)
        cpu_relax();
    apic_write(APIC_COMMAND_TARGET, target << 24);
    apic_write(APIC_COMMAND, command);
    interrupts_restore(flags);
}

void apic_send_init(u32 target)
{
    apic_send(target, MODE_INIT | COMMAND_ASSERT);
}

void apic_send_startup(u32 target, u8 start_page)
{
    apic_send(target, MODE_STARTUP | COMMAND_ASSERT | start_page);
}

void cpu_send_interrupt(u32 cpu, u8 vector)
{
    apic_send(cpus[cpu]->apic_id, COMMAND_ASSERT | vector);
}

void cpu_send_nmi(u32 cpu)
{
    apic_send(cpus[cpu]->apic_id, COMMAND_ASSERT | MODE_NMI);
}

void apic_timer_start(u32 ticks)
{
    apic_write(APIC_TIMER_START, ticks);
}

u32 apic_timer_left(void)
{
    return apic_read(APIC_TIMER_LEFT);
}

void apic_timer_use_deadline(void)
{
    apic_write(APIC_TIMER, VECTOR_TIMER | TIMER_DEADLINE);
    /* Before any write of the deadline, to which a write to device memory is not ordered (SDM 3A
     * "TSC-Deadline Mode"). */
    __asm__ volatile("mfence" : : : "memory");
}

void apic_timer_deadline(u64 tsc)
{
    msr_write(MSR_TSC_DEADLINE, tsc);
}

/* Fixed delivery to one CPU by its physical id (SDM 3A "Message Address Register Format"). */
void irq_message(u32 cpu, u8 vector, u64 *address_out, u32 *data_out)
{
    /* There is room for 8 bits of the id: more would need remapped interrupts. */
    assert(cpus[cpu]->apic_id < APIC_BROADCAST);
    *address_out = MESSAGE_ADDRESS | (u64)cpus[cpu]->apic_id << 12;
    *data_out = vector;
}
