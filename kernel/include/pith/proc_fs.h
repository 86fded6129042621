/*
 * /proc: text that is made when it is read. fs/ keeps the tree; whoever knows something registers
 * it.
 *
 *     root folder: version, meminfo, sys/ ... (proc_register)
 *        + dynamic directory: "1", "2", ...   (proc_root_register: lookup, next)
 *              entry {mode S_IFDIR, directory} of object 17
 *                 table: stat, status, maps, fd/ ... all of the same object
 *                    fd/: lookup, next: links with key 0, 1, ...
 *
 * A directory is a const table of entries, then whatever its `lookup` and `next` add (process
 * numbers, descriptors). All are called with the directory's object (a process), which is counted
 * by `get` and `put` of the directory: for a directory, its own; for others, the one they are in.
 */
/* folder: fs */
#pragma once

#include <pith/inode.h>

struct text_sink; /* grows as needed */
void text_print(struct text_sink *sink, const char *format, ...) printf_like(2, 3);
void text_bytes(struct text_sink *sink, const void *bytes, size_t count);
/* For `show_records`: a record ends. False: it is left out again, for the next call to print. */
bool text_end_record(struct text_sink *sink) must_check;
#define TEXT_END U64_MAX /* a cursor behind the last record */
/* A set of CPUs as "0-3,5", and the end of the line. */
void text_cpu_list(struct text_sink *sink, u64 set);

struct proc_directory;

/* Whom an entry asks its directory's `permits` about. */
enum proc_guard {
    PROC_OPEN_TO_ALL,
    /* -EACCES when it is opened, read as a link or followed; a directory: listed or searched */
    PROC_GUARD_OPEN,
    PROC_GUARD_READ, /* -EPERM when it is read or written: it may pass to who is asked anew */
};

/* What a name in /proc is. */
struct proc_entry {
    const char *name;
    u32 mode; /* with type: S_IFREG, S_IFDIR, S_IFLNK */
    enum proc_guard guard;
    /* A file: makes all of its text. 0 or an error, which read(2) then gives. May sleep. */
    int (*show)(struct text_sink *sink, void *object);
    /* The same, but it is made as the file is opened and stays as it was then. */
    int (*show_opened)(struct text_sink *sink, void *object);
    /* The same as `show` of a file that `lookup` found, by its key. */
    int (*show_keyed)(struct text_sink *sink, void *object, u64 key);
    /*
     * A file of so many records that it is not made whole: prints those from *cursor on, 0 at
     * first, until text_end_record says no, and leaves in *cursor where to go on, or TEXT_END.
     */
    int (*show_records)(struct text_sink *sink, void *object, u64 *cursor);
    /* A file that may be written: `text` is what one write(2) brought, with a NUL added. */
    int (*store)(void *object, const char *text, size_t bytes);
    /* A link: its text... */
    ssize_t (*readlink)(void *object, u64 key, char *buffer, size_t size);
    /* ... and where it leads without its text; NULL: by the text. */
    int (*follow)(void *object, u64 key, struct path *path_out);
    /* A file with operations of its own; its object: proc_inode_object(file->inode). */
    const struct file_operations *operations;
    const struct proc_directory *directory; /* a directory: its content, of the same object */
};

struct proc_directory {
    const struct proc_entry *entries;
    u32 count;
    /*
     * What it has besides: the entries of another directory, whose object is what `shared_object`
     * makes of this one's (NULL: the same), and what that shares. One of `entries` hides one of
     * that name.
     */
    const struct proc_directory *shared;
    void *(*shared_object)(void *object);
    /* Whose the names in it are, by their mode; NULL: root's. */
    void (*owner)(void *object, u32 mode, u32 *uid_out, u32 *gid_out);
    /* Whether the caller may use what is guarded. NULL: everybody may. */
    bool (*permits)(void *object);
    /*
     * Changes when what `permits` said does not hold any more, as when a process executes another
     * program: what was opened then (PROC_GUARD_OPEN) is empty. NULL: never.
     */
    u64 (*generation)(void *object);
    /*
     * An entry that is not in the table: sets *entry_out (a static one that describes its kind),
     * *object_out (with a reference) and *key_out, a number that tells it from its siblings.
     * -ENOENT. NULL: there are none.
     */
    int (*lookup)(void *object, const char *name, u32 bytes, const struct proc_entry **entry_out,
                  void **object_out, u64 *key_out);
    /*
     * The first such entry whose key is at least *key: its key, name and DT_* type. False: no
     * more. Keys stay below 2^62.
     */
    bool (*next)(void *object, u64 *key, char *name, size_t size, u32 *type_out);
    /* Whether what `lookup` found is still what its name says. NULL: yes. */
    bool (*is_valid)(void *object, u64 key);
    void (*get)(void *object); /* NULL: nothing is counted */
    void (*put)(void *object);
};

/* What adds numbered directories to the root of /proc; proc/ registers its processes. */
void proc_root_register(const struct proc_directory *dynamic);
/*
 * A file /proc/NAME; directories in the name come into being. Entries stay for ever.
 * -ENOMEM, -EEXIST.
 */
int proc_register(const char *name, u32 mode, int (*show)(struct text_sink *sink, void *argument),
                  void *argument) must_check;
/* The same for an entry of any kind, in a folder of that name ("": the root). `entry` stays. */
int proc_register_entry(const char *folder, const struct proc_entry *entry, void *object)
    must_check;
/*
 * A number that may be read and set: /proc/sys. All [const] but what `value` points at: [atomic].
 */
struct proc_setting {
    const char *name;
    s64 *value;
    s64 lowest, highest; /* -EINVAL for what is not between them */
};
/* A file for it in a folder. -ENOMEM, -EEXIST. */
int proc_register_setting(const char *folder, const struct proc_setting *setting) must_check;
/* What a `store` got, if it is a decimal number. -EINVAL. */
int proc_parse_number(const char *text, s64 *value_out) must_check;
/* The same as proc_register_entry in /sys, without an object. */
int sys_register_entry(const char *folder, const struct proc_entry *entry) must_check;
/*
 * `open` of an entry with operations of its own: -EACCES if it is guarded from the caller. Uses
 * private_data for what proc_file_is_current asks later: whether that still holds for what was
 * found of the object before the question.
 */
int proc_open_guarded(struct inode *inode, struct file *file) must_check;
bool proc_file_is_current(const struct file *file) must_check;
/* The object and key of an open file's inode, for entries with operations of their own. */
void *proc_inode_object(const struct inode *inode);
u64 proc_inode_key(const struct inode *inode);
/*
 * What a directory of /proc consists of; NULL: it is no directory, none of /proc or a plain folder.
 */
const struct proc_directory *proc_inode_directory(const struct inode *inode);

/*
 * The lines in /proc/PID/fdinfo of the locks that were taken through `file`: its own, and those of
 * the process that has these files. -ENOMEM.
 */
struct file_table;
int proc_show_file_locks(struct text_sink *sink, struct file *file, const struct file_table *files)
    must_check;

/* `show` functions for /proc/PID: as the calling thread's root sees the mounts. */
int proc_show_mounts(struct text_sink *sink, void *object);
int proc_show_mountinfo(struct text_sink *sink, void *object);
int proc_show_mountstats(struct text_sink *sink, void *object);
