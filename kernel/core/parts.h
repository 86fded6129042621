/* What core.c brings up. */
#pragma once

void deferred_init_cpu(void);
void timers_init_cpu(void);
void rcu_init_cpu(void);
void cpu_call_init(void);
void random_init(void);
