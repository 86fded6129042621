/* What core.c brings up. */
#pragma once

void deferred_init_cpu(void);
void timers_init_cpu(void);
void rcu_init_cpu(void);
void cpu_call_init(void);
void random_init(void);
void nmi_init(void);
void date_init(void);
void watchdog_init_cpu(void);

/* nmi.c: shows the stacks of all CPUs but this one. */
void stacks_report_others(void);
