/*
 * /proc: text that is made when it is read. fs/ keeps the tree; whoever knows something registers
 * it.
 *
 * A directory is a const table of entries, then whatever its `lookup` and `next` add (process
 * numbers, descriptors). Both are called with the directory's object; an object is counted by the
 * `get` and `put` of its directory, and is NULL for directories that have no instance.
 */
#pragma once

#include <pith/inode.h>

struct text_sink; /* grows as needed */
void text_print(struct text_sink *sink, const char *format, ...) printf_like(2, 3);
void text_bytes(struct text_sink *sink, const void *bytes, size_t count);

struct proc_directory;

struct proc_entry {
    const char *name;
    u32 mode; /* with type: S_IFREG, S_IFDIR, S_IFLNK */
    /* A file: makes all of its text. 0 or an error, which read(2) then gives. May sleep. */
    int (*show)(struct text_sink *sink, void *object);
    /* A file that may be written: `text` is what one write(2) brought, with a NUL added. */
    int (*store)(void *object, const char *text, size_t bytes);
    /* A link: its text... */
    ssize_t (*readlink)(void *object, u64 key, char *buffer, size_t size);
    /* ... and where it leads without its text; NULL: by the text. */
    int (*follow)(void *object, u64 key, struct path *path_out);
    /* A file with operations of its own; file->inode's object: proc_inode_object. */
    const struct file_operations *operations;
    const struct proc_directory *directory; /* a directory: its content, of the same object */
};

struct proc_directory {
    const struct proc_entry *entries;
    u32 count;
    /* Owner of what is in it (fsuid's process); NULL: root. */
    void (*owner)(void *object, u32 *uid_out, u32 *gid_out);
    /*
     * An entry that is not in the table: sets *entry_out (a static one that describes its kind),
     * *object_out (with a reference, or the directory's own object) and *key_out, a number that
     * tells it from its siblings. -ENOENT.
     */
    int (*lookup)(void *object, const char *name, u32 bytes, const struct proc_entry **entry_out,
                  void **object_out, u64 *key_out);
    /* The first such entry whose key is at least *key: its name, its key in *key. False: no more.
     */
    bool (*next)(void *object, u64 *key, char *name, size_t size, u32 *type_out);
    /* Whether an object found earlier is still what its name says. NULL: yes. */
    bool (*is_valid)(void *object, u64 key);
    void (*get)(void *object);
    void (*put)(void *object);
};

/* What adds numbered directories to the root of /proc; proc/ registers its processes. */
void proc_root_register(const struct proc_directory *dynamic);
/* A file /proc/NAME (the name may have directories, which come into being). */
int proc_register(const char *name, u32 mode, int (*show)(struct text_sink *sink, void *argument),
                  void *argument) must_check;
/* The same for an entry of any kind; `entry` stays valid. */
int proc_register_entry(const char *directory, const struct proc_entry *entry, void *object)
    must_check;
/* The object and key of an open file's inode, for entries with operations of their own. */
void *proc_inode_object(const struct inode *inode);
u64 proc_inode_key(const struct inode *inode);
