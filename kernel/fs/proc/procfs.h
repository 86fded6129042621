/*
 * Between the files of /proc's tree (proc_fs.h has the model that the rest of the kernel sees).
 *
 *     registry.c     what was registered: folders, entries
 *     directory.c    names looked up and listed over that, tables, and what comes and goes
 *     procfs.c       inodes and links; the one instance
 *     text_file.c    files whose text is made when it is read
 */
#pragma once

#include <pith/fs.h>
#include <pith/proc_fs.h>

/* [owner] who prints */
struct text_sink {
    char *data;             /* kmalloc'ed; NULL: nothing was printed yet */
    size_t bytes, capacity; /* used; there */
    size_t whole_bytes;     /* of them in records that have ended: text_end_record */
    int error;              /* the first one: -ENOMEM */
};

/* A registered directory: grows, never shrinks. */
struct proc_folder {
    struct list children; /* of proc_registered; guarded by registry.lock */
    const char *name;     /* [const] */
};

/* What is registered in a folder: an entry, or a folder. [const] but the link */
struct proc_registered {
    struct list link; /* guarded by registry.lock */
    u64 position;     /* in its folder, ascending */
    const char *name;
    const struct proc_entry *entry; /* NULL: a folder */
    struct proc_folder *folder;     /* NULL: an entry */
    void *object;                   /* the entry's, given to its functions; not counted */
};

/* What /proc keeps of an inode. [const], but that the root gets its directory at boot */
struct proc_node {
    const struct proc_entry *entry; /* NULL: a folder */
    struct proc_folder *folder;
    const struct proc_directory *directory; /* the content of a directory, beside the folder's */
    const struct proc_directory *holder;    /* counts `object`; NULL: nobody does */
    void *object;
    u64 key;
};

/* registry.c */
extern struct proc_folder proc_root_folder;
struct proc_registered *proc_folder_find(struct proc_folder *folder, const char *name, u32 bytes);
/* The first whose position is at least `position`, or NULL. */
struct proc_registered *proc_folder_from(struct proc_folder *folder, u64 position);

static inline struct proc_node *proc_node_of(const struct inode *inode)
{
    return inode->private_data;
}

/* Whether the caller may pass a guard of that kind: 0, or what it says. */
int proc_node_permits(const struct proc_node *node, enum proc_guard guard) must_check;
/* To be asked before proc_node_permits, and after what it permits: the same, or it is void. */
u64 proc_node_generation(const struct proc_node *node) must_check;

extern const struct file_operations proc_text_operations;             /* text_file.c */
extern const struct inode_operations proc_directory_inode_operations; /* directory.c */
extern const struct file_operations proc_directory_operations;        /* directory.c */
/* procfs.c: an inode for a node; takes over the object's reference, also on failure. */
int proc_inode_create(struct file_system *file_system, const struct proc_node *node,
                      struct inode **inode_out) must_check;
void proc_fs_init(void);
/* At boot: an instance over a folder, which stays. */
struct file_system *proc_tree_create(const struct file_system_type *type, u64 magic,
                                     struct proc_folder *folder);
/* visibility.c: those that are not named stay as they are. -EINVAL: there is no such option. */
int proc_options_set(const char *options) must_check;
void proc_options_show(char *buffer, size_t size);
bool proc_hides(void);
/* Whether the caller sees the directory that a name which comes and goes leads to; NULL: none. */
bool proc_shows(const struct proc_directory *directory, void *object);
/*
 * Whether the caller may use what is in that directory. -EPERM; -ENOENT: as if it were not there.
 */
int proc_enter(const struct proc_directory *directory, void *object) must_check;
void mounts_text_init(void);     /* mounts_text.c */
void proc_values_init(void);     /* values.c */
void proc_memory_use_init(void); /* memory_use.c */
void proc_lock_waits_init(void); /* lock_waits.c */
void sys_fs_init(void);          /* sysfs.c */
void sys_machine_init(void);     /* sys_machine.c */
/* An empty folder, and those before it in its name. */
int proc_folder_make(struct proc_folder *root, const char *name) must_check;
/* As proc_register_entry, in a tree whose root is `root`. */
int proc_folder_register(struct proc_folder *root, const char *folder_name,
                         const struct proc_entry *entry, void *object) must_check;
