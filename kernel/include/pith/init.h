/* Where arch/'s first instructions lead; init/main.c. */
#pragma once

#include <pith/compiler.h>

/* On the boot CPU's stack, interrupts off, with the boot page tables. */
noreturn void kernel_main(void);
