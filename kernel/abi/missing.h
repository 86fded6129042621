/* What programs asked for and Pith lacks (missing.c). */
#pragma once

#include <pith/abi.h>

/* A call without a function was made. -ENOSYS is the dispatcher's; here it is only counted. */
void missing_note_absent(u64 number);
/*
 * A call that the table has as PARTIAL failed: counted if `error` is one by which a call says that
 * it does not know a flag, a command or a family.
 */
void missing_note_refused(const struct syscall_args *args, u64 number, long error);
void missing_init(void);
