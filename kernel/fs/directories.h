/* Where the calling thread stands, for fs/ itself. */
#pragma once

#include <pith/file_calls.h>

/* Without references: only for a walk under RCU that checks namespace_sequence. */
void directories_peek(struct path *root_out, struct path *working_out);
/* The calling thread's; 0 of the kernel itself, at boot. */
u32 umask_current(void);
