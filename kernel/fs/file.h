/* Making open files: for open.c, pipe.c and their like. */
#pragma once

#include <pith/fs.h>

/* What F_GETFL still shows: creation flags are gone. */
#define FILE_FLAGS_KEPT (~(u32)(O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC))

/* Not opened yet: `open` is the caller's to call. Takes its own references. NULL: no memory. */
struct file *file_alloc(const struct path *path, u32 flags) must_check;
/* Counts a writer of a regular file, until the file ends. -ETXTBSY: it runs as a program. */
int file_begin_writing(struct file *file) must_check;
/* An inode of the file system without names. NULL: no memory. */
struct inode *inode_create_anonymous(u32 mode) must_check;
struct mount *anonymous_mount(void); /* without a reference: it stays for ever */
void namespaces_init(void);          /* namespaces.c; after files_init */
void files_init(void);
void memfd_init(void); /* memfd.c */
/*
 * A regular file in memory without a name, open for both. operations NULL: tmpfs's, with which it
 * can be read and written. -ENOMEM, -ENOSPC.
 */
int file_create_unnamed(const char *name, u64 bytes, const struct file_operations *operations,
                        struct file **file_out) must_check;
