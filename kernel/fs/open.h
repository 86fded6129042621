/* What opening shares with the calls that make names. */
#pragma once

#include <pith/fs.h>

/* A mode from a call, without what umask forbids. */
u32 mode_for_creation(u32 mode);
/* O_PATH descriptors can do nothing but name their file. */
extern const struct file_operations path_only_operations;
