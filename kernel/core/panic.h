/* What core/ tells itself about a panic. */
#pragma once

#include <pith/types.h>

/* Locks are broken then: only the panicking CPU runs. */
bool panic_is_under_way(void);
