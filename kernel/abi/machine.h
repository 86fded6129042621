/* The machine's names: what abi_init calls of sys_machine.c. */
#pragma once

/* Shows them in /proc/sys/kernel. */
void machine_names_init(void);
