/* Making, removing and moving names: the calls' common part, by path or for the kernel itself. */
#pragma once

#include "names.h"

/* `start` NULL: the working directory. Modes come without what umask forbids. */
int name_mkdir(const struct path *start, const char *name, u32 mode) must_check;
int name_mknod(const struct path *start, const char *name, u32 mode, u64 rdev) must_check;
int name_symlink(const struct path *start, const char *name, const char *target) must_check;
int name_link(const struct path *target, const struct path *start, const char *name) must_check;
int name_unlink(const struct path *start, const char *name) must_check;
int name_rmdir(const struct path *start, const char *name) must_check;
int name_rename(const struct path *from_start, const char *from, const struct path *to_start,
                const char *to, u32 flags) must_check;
void change_names_init(void);
