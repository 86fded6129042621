/* What core/ tells itself about a panic. */
#pragma once

#include <pith/types.h>

/* This CPU panics, and locks mean nothing any more. */
bool panic_is_under_way(void);
/* Another CPU panicked. */
bool panic_stops_this_cpu(void);
