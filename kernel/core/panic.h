/* What core/ tells itself about a panic. */
#pragma once

#include <pith/types.h>

/* This CPU panics, and locks mean nothing any more. */
bool panic_is_under_way(void);
/* Another CPU panicked. */
bool panic_stops_this_cpu(void);
/* Brings the log to the debug console, if it is not there, and says that this was a panic. */
void early_console_panic(void);
