/* From boot_memory.c to frame.c. */
#pragma once

#include "buddy.h"
#include "ranges.h"

/* Makes the frame array; *ranges_out is what is left for the allocator. */
void boot_memory_finish(struct ranges *ranges_out);
/* A cleared page for a kernel page table, while boot_memory_finish runs. */
phys_addr boot_memory_table(void) must_check;
