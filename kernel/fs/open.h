/* What opening shares with the calls that make names. */
#pragma once

#include <pith/file_calls.h>

/* O_PATH descriptors can do nothing but name their file. */
extern const struct file_operations path_only_operations;
