/* What programs asked for and Pith lacks (missing.c). */
#pragma once

#include <pith/abi.h>

void missing_note_absent(u64 number);
/* A call that the table has as PARTIAL failed. */
void missing_note_refused(const struct syscall_args *args, u64 number, long error);
void missing_init(void);
