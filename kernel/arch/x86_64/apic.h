/*
 * Local APICs and their timer; apic.c. What the rest of the kernel sends is in arch.h
 * (cpu_send_interrupt, cpu_send_nmi, irq_message).
 */
#pragma once

#include <pith/types.h>

void apic_init(void);     /* boot CPU: finds it */
void apic_init_cpu(void); /* each CPU */
u32 apic_id(void);
u32 apic_id_most(void); /* the highest that apic_send_* can name */
/* Ends the interrupt that is handled: the next of its priority may come. Interrupts are off. */
void apic_acknowledge(void);
/* Another CPU's INIT and start-up: it begins at page `start_page` in real mode. */
void apic_send_init(u32 apic_id);
void apic_send_startup(u32 apic_id, u8 start_page);

/* The timer's counter runs down at this rate on every machine that we know (QEMU, KVM). */
#define APIC_TIMER_HZ 1000000000ul
void apic_timer_start(u32 ticks); /* 0: stops it */
u32 apic_timer_left(void);
/* From here on, on this CPU, the timer rings at a moment of the TSC, and counts no more. */
void apic_timer_use_deadline(void);
void apic_timer_deadline(u64 tsc);

void io_apics_init(void);
