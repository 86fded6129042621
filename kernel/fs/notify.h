/*
 * What the calls on files say happened, for whoever watches (notify.c). Each costs one test of a
 * word while nobody in the machine watches anything. Callers may hold inode locks, no spinlock, and
 * call after the change: who reads of it finds it so. Masks are IN_*.
 */
#pragma once

#include <pith/abi/inotify.h>
#include <pith/fs.h>

#include "dentry.h"

/* An event beside inotify's, for dnotify.c: a name in the directory became another. */
#define NOTIFY_RENAMED BIT(12)

extern u32 notify_watches; /* [atomic] how many there are in the machine */

void notify_dentry_watched(const struct dentry *dentry, u32 mask);
void notify_inode_watched(struct inode *inode, u32 mask);
void notify_name_watched(struct inode *directory, const struct name *name, u32 mask, u32 cookie);
void notify_removed_watched(struct inode *inode);
void notify_unmounted_watched(struct file_system *file_system);
u32 notify_cookie(void);

static inline bool notify_is_on(void)
{
    return unlikely(READ_ONCE(notify_watches));
}

/* To a file, told to its watchers and to those of the directory where this name lies. */
static inline void notify_dentry(const struct dentry *dentry, u32 mask)
{
    if (notify_is_on())
        notify_dentry_watched(dentry, mask);
}

static inline void notify_file(const struct file *file, u32 mask)
{
    if (notify_is_on() && !(file->mode & FILE_PATH))
        notify_dentry_watched(file->path.dentry, mask);
}

/* Only to those who watch the file itself: its links changed, or it moved. */
static inline void notify_inode(struct inode *inode, u32 mask)
{
    if (notify_is_on())
        notify_inode_watched(inode, mask);
}

/* To a name in a directory: it came, went or moved. `inode`: what it names or named. */
static inline void notify_name(struct inode *directory, const struct name *name,
                               const struct inode *inode, u32 mask, u32 cookie)
{
    if (notify_is_on())
        notify_name_watched(directory, name, mask | (inode_is_directory(inode) ? IN_ISDIR : 0),
                            cookie);
}

/* The last name of a file is gone, and nobody has it open any more by that name. */
static inline void notify_removed(struct inode *inode)
{
    if (notify_is_on())
        notify_removed_watched(inode);
}

static inline void notify_unmounted(struct file_system *file_system)
{
    if (notify_is_on())
        notify_unmounted_watched(file_system);
}

/*
 * dnotify.c: a descriptor of a directory is closed, and what its process asked for by F_NOTIFY
 * ends; or (NULL) the open directory itself ends.
 */
void dnotify_end(struct file *file, const struct file_table *files);
extern s64 dnotify_is_on; /* [atomic] /proc/sys/fs/dir-notify-enable */
