/* The calls that change names have their prototypes in pith/file_calls.h; this is the rest. */
#pragma once

#include "names.h"

void change_names_init(void);
