/* Kernel virtual memory inside mem/. */
#pragma once

#include <pith/arch.h>

/* The entry for a page of kernel virtual memory that is mapped; whoever mapped it may change it. */
pte *kernel_entry(u64 address);
