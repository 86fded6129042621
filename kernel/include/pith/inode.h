/*
 * Inodes, and what a file system gives: the contract between fs/ and each file system.
 *
 * An inode is a file itself: attributes, data, and the tables of its operations. It lives while
 * somebody refers to it: an open file, or a name in the cache (a dentry; kernel/fs/dentry.h).
 * Rights are checked before a file system is asked (permission.c), except where its table has
 * `permission`; so is whether names exist, whether the mount may be written, and who may delete.
 *
 * What a file system may rely on: one thread at a time changes a directory or an inode's attributes
 * (inode.lock); a name that it is asked to make is not there by its own answer to `lookup`; what
 * it is asked to remove is there, of the kind that the call removes, and no mount lies on it. What
 * it must do: keep inode->links right, since the last link decides whether a file ends with its
 * last reference, and finish before it returns, since the name cache follows its answer.
 */
/* folder: fs */
#pragma once

#include <pith/abi/fcntl.h>
#include <pith/abi/mount.h>
#include <pith/abi/stat.h>
#include <pith/page_cache.h>

struct inode;
struct dentry;
struct mount;
struct file;
struct file_system;
struct file_operations;
struct pipe;
struct file_locks;
struct inotify_watch;
struct access_list;
struct path;

#define NAME_MAX_BYTES 255
#define PATH_MAX_BYTES 4096
#define SYMLINKS_MAX   40

/* ---- Attributes ---- */

/* What stat(2) says. Times in ns since 1970. */
struct attributes {
    u64 device, inode_number;
    u32 mode, links, uid, gid;
    u64 rdev;
    u64 size, blocks; /* blocks of 512 bytes */
    u32 block_bytes;
    s64 accessed_ns, modified_ns, changed_ns, born_ns; /* born_ns 0: not known */
    u64 mount_id;
    bool is_mount_root;
};

/* What is to change, and to what. changed_ns becomes the present time with any of them. */
struct attribute_change {
    u32 valid; /* CHANGE_* */
    u32 mode, uid, gid;
    u64 size;
    s64 accessed_ns, modified_ns, changed_ns;
};
#define CHANGE_MODE      BIT(0)
#define CHANGE_UID       BIT(1)
#define CHANGE_GID       BIT(2)
#define CHANGE_SIZE      BIT(3)
#define CHANGE_ACCESSED  BIT(4)
#define CHANGE_MODIFIED  BIT(5)
#define CHANGE_KILL_SUID BIT(6) /* set-ID bits go: a write or chown by who may not keep them */
#define CHANGE_OPEN      BIT(7) /* the size, by O_TRUNC */

/* ---- Directories ---- */

struct directory_entry {
    const char *name;
    u32 name_bytes;
    u32 type; /* DT_* */
    u64 inode_number;
    u64 next; /* the position of the entry after it */
};
/* What a directory's `iterate` calls for each entry. Returns false when there is no more room. */
struct directory_sink {
    bool (*add)(struct directory_sink *sink, const struct directory_entry *entry);
};

/* ---- Operations of inodes ---- */

/*
 * All may sleep. `directory` (and what is removed from or moved within it) is locked by its
 * inode.lock; `dentry` holds the name. Operations that make a file get a negative dentry and give
 * back the new inode with a reference, which the caller puts into the dentry; those that remove
 * one get a positive dentry, which the caller takes out of the cache afterwards. NULL: -EPERM for
 * operations on names, -EOPNOTSUPP for xattrs.
 */
struct inode_operations {
    /* Sets *inode_out to a reference, or to NULL: there is no such name (a negative dentry). */
    int (*lookup)(struct inode *directory, struct dentry *dentry, struct inode **inode_out);
    int (*mkdir)(struct inode *directory, struct dentry *dentry, u32 mode,
                 struct inode **inode_out);
    /* A regular file, device, FIFO or socket, by the type in `mode`. */
    int (*mknod)(struct inode *directory, struct dentry *dentry, u32 mode, u64 rdev,
                 struct inode **inode_out);
    int (*symlink)(struct inode *directory, struct dentry *dentry, const char *target,
                   struct inode **inode_out);
    /* `inode` is locked too; the caller's reference goes into the dentry. */
    int (*link)(struct inode *directory, struct dentry *dentry, struct inode *inode);
    int (*unlink)(struct inode *directory, struct dentry *dentry);
    int (*rmdir)(struct inode *directory, struct dentry *dentry);
    /*
     * Both directories are locked, and what `to` names, if anything. RENAME_NOREPLACE was checked
     * before. The caller moves the dentries afterwards.
     */
    int (*rename)(struct inode *from_directory, struct dentry *from, struct inode *to_directory,
                  struct dentry *to, u32 flags);
    int (*tmpfile)(struct inode *directory, u32 mode, struct inode **inode_out);
    /* Copies the target, without NUL; returns its length or an error. Nothing is locked. */
    ssize_t (*readlink)(struct inode *inode, char *buffer, size_t size);
    /* For links that are no text (/proc/self/fd/3): the path itself, with references. */
    int (*follow)(struct inode *inode, struct path *path_out);
    /* Fills in or refreshes what stat(2) says. NULL: inode_attributes() is right. */
    int (*get_attributes)(struct inode *inode, struct attributes *attributes_out);
    /*
     * `inode` is locked. Rights were checked. NULL: inode_set_attributes() is all there is to do;
     * others call it at their end, for the inode's fields and its page cache.
     */
    int (*set_attributes)(struct inode *inode, const struct attribute_change *change);
    int (*permission)(struct inode *inode, u32 wanted); /* MAY_*; NULL: by mode and ids */
    /* Length, or an error (-ENODATA, -ERANGE); with size 0 only the length. */
    ssize_t (*get_xattr)(struct inode *inode, const char *name, void *value, size_t size);
    int (*set_xattr)(struct inode *inode, const char *name, const void *value, size_t size,
                     int flags);
    ssize_t (*list_xattr)(struct inode *inode, char *list, size_t size);
    int (*remove_xattr)(struct inode *inode, const char *name);
    /*
     * Asked of the directory when dentry_set_valid_until's time has passed: 1 still right, 0 look
     * it up again, or an error. NULL: names are always right.
     */
    int (*revalidate)(struct inode *directory, struct dentry *dentry);
};

struct inode {
    /* What a path walk reads, together. All that does not say otherwise changes under `lock`. */
    struct refcount references;
    u32 mode; /* type [const] and permissions */
    u32 uid, gid;
    const struct inode_operations *operations; /* [const] not NULL; each may be */
    /*
     * A symbolic link's target, where it is in memory: link_text_create's, freed with the inode
     * (walks read it under RCU). `readlink` is not needed then. [const] once it can be found
     */
    const char *link_text;
    struct file_system *file_system;               /* [const] */
    const struct file_operations *file_operations; /* [const] */
    struct access_list *access_list; /* [rcu], changed under `lock`; NULL: the mode says it all */

    struct access_list *initial_list; /* guarded_by(&lock): what new files in a directory get */
    u32 links;
    u16 flags;      /* INODE_* */
    u16 write_hint; /* [atomic] RWH_*: how long its data will live, as F_SET_RW_HINT said */
    u64 number;     /* [const] */
    u64 rdev;       /* [const] */
    s64 accessed_ns, modified_ns, changed_ns, born_ns;
    u64 size;          /* [atomic] to read */
    struct mutex lock; /* LOCK_INODE; a directory's also guards its names */
    struct page_cache pages;
    struct list table_link;        /* for the file system's table of inodes */
    struct spinlock private_lock;  /* LOCK_LEAF: for the fields down to `writers` */
    struct pipe *pipe;             /* a FIFO that is open */
    struct file_locks *locks;      /* flock, POSIX; NULL: none ever */
    struct inotify_watch *watches; /* who watches it; guarded by inotify.c's lock */
    s32 writers;                   /* files open for writing; negative: executables that run */
    u32 seals;                     /* F_SEAL_* */
    void *private_data;            /* the file system's */
    struct rcu_head rcu;
};

#define INODE_LINKABLE BIT(0) /* made by O_TMPFILE: linkat may give it its first name */

static inline bool inode_is_directory(const struct inode *inode)
{
    return (inode->mode & S_IFMT) == S_IFDIR;
}
static inline bool inode_is_regular(const struct inode *inode)
{
    return (inode->mode & S_IFMT) == S_IFREG;
}
static inline bool inode_is_link(const struct inode *inode)
{
    return (inode->mode & S_IFMT) == S_IFLNK;
}

/* A fresh inode with one reference, links 1, its lock and page cache ready. NULL: no memory. */
struct inode *inode_alloc(struct file_system *file_system) must_check;
static inline void inode_get(struct inode *inode)
{
    refcount_inc(&inode->references);
}
/* For a file system's own table, under the table's lock: false if the inode is already going. */
static inline bool inode_get_if_alive(struct inode *inode)
{
    return refcount_inc_not_zero(&inode->references);
}
/* The last one ends it: `inode_release`, then its memory. Sleeps. */
void inode_put(struct inode *inode);
/* A copy of a link's target, for link_text. NULL: no memory. */
const char *link_text_create(const char *target, size_t bytes) must_check;
/* What the inode's fields say. */
void inode_attributes(struct inode *inode, struct attributes *attributes_out);
/* Puts a change into the fields; a new size cuts the page cache. inode->lock is held. */
void inode_set_attributes(struct inode *inode, const struct attribute_change *change);
/* Mode and owner of a new file in a directory; set-group-ID inherited. */
void inode_init_owner(struct inode *inode, const struct inode *directory, u32 mode);
/* For devices and FIFOs: what opens them. */
void inode_init_special(struct inode *inode, u32 mode, u64 rdev);
/* A file system's tables, by kind of file. */
struct inode_tables {
    const struct inode_operations *directory, *other;
    const struct file_operations *directory_file, *regular_file;
    const struct page_cache_operations *pages; /* of regular files */
};
/* Gives a new inode those of its kind; devices and FIFOs as inode_init_special. */
void inode_init_tables(struct inode *inode, const struct inode_tables *tables, u32 mode, u64 rdev);
/* The current time for an inode's fields. */
s64 inode_now_ns(void);
/* modified and changed are now; of directories whose names changed, and files that were written. */
void inode_touch(struct inode *inode);
/* A number that no other inode of this kernel's own file systems has. */
u64 inode_number_new(void);

/* ---- Dentries, as a file system sees them ---- */

/* Name and parent are stable while the parent directory is locked. */
const char *dentry_name(const struct dentry *dentry);
u32 dentry_name_bytes(const struct dentry *dentry);
struct inode *dentry_inode(const struct dentry *dentry); /* NULL: negative */
struct dentry *dentry_parent(const struct dentry *dentry);
/* The root dentry for a file system's root inode; takes over the reference. NULL: no memory. */
struct dentry *dentry_create_root(struct inode *inode) must_check;
/*
 * The cached child of that name with a reference, or NULL. For file systems that give attributes
 * with a directory's entries (READDIRPLUS); the directory is locked.
 */
struct dentry *dentry_find_child(struct dentry *parent, const char *name, u32 bytes) must_check;
/*
 * Caches a child that is not cached yet (NULL inode: negative); takes over the inode's reference
 * and gives one on the dentry. The directory is locked. -ENOMEM.
 */
int dentry_add_child(struct dentry *parent, const char *name, u32 bytes, struct inode *inode,
                     struct dentry **dentry_out) must_check;
/* Until then (clock_monotonic_ns) the name needs no `revalidate`; U64_MAX: never. */
void dentry_set_valid_until(struct dentry *dentry, u64 monotonic_ns);
/* For `lookup`: the name is not kept when nobody uses it. */
void dentry_set_fleeting(struct dentry *dentry);
/* Takes a name out of the cache: the next walk looks it up anew. */
void dentry_forget(struct dentry *dentry);
void dentry_get(struct dentry *dentry);
void dentry_put(struct dentry *dentry);

/* ---- File systems ---- */

struct statistics { /* statfs(2) */
    u64 type, block_bytes, blocks, blocks_free, blocks_available, files, files_free, name_max;
    u64 id;
};

struct mount_source {
    const char *source; /* mount(2)'s first argument; "" if it was NULL */
    u32 flags;          /* MS_* */
    const char *options;
};

struct file_system_type {
    const char *name;
    u32 flags; /* FILE_SYSTEM_NO_DEVICE: "nodev" in /proc/filesystems */
    /* The options that there are; others are -EINVAL. NULL: it looks at them itself, or has none.
     */
    const char *const *options;
    /* Gives an instance with a reference and its root dentry (a singleton: the same again). */
    int (*mount)(const struct file_system_type *type, const struct mount_source *source,
                 struct file_system **file_system_out);
    struct list link; /* guarded by file_system.c's lock */
};
#define FILE_SYSTEM_NO_DEVICE    BIT(0)
#define FILE_SYSTEM_ACCESS_LISTS BIT(1) /* its inodes are memory, and keep lists as they are */
/* file_system.flags, beside MS_RDONLY: its names stay when no mount is left (a singleton). */
#define FILE_SYSTEM_STAYS BIT(31)
#define FILE_SIZE_MAX     0x7fffffffffffffffl
void file_system_register(struct file_system_type *type);
/* The type of that name, or NULL. */
const struct file_system_type *file_system_type_find(const char *name) must_check;

struct file_system_operations {
    /* The last reference to an inode goes: frees private data; with links == 0, the file too. */
    void (*inode_release)(struct inode *inode);
    int (*statistics)(struct file_system *file_system, struct statistics *statistics_out);
    int (*sync)(struct file_system *file_system);
    /* mount(2) with MS_REMOUNT. NULL: options are ignored. */
    int (*remount)(struct file_system *file_system, const struct mount_source *source);
    /* Adds ",name=value" to its line of /proc/mounts. */
    void (*show_options)(struct file_system *file_system, char *buffer, size_t size);
    /* No inode is left. Frees private data. */
    void (*unmount)(struct file_system *file_system);
};

/* One instance of a file system (Linux's superblock). */
struct file_system {
    struct refcount references;
    u32 flags;                                       /* [atomic] MS_RDONLY */
    const struct file_system_type *type;             /* [const] */
    const struct file_system_operations *operations; /* [const] */
    struct dentry *root;                             /* [const] after mount */
    u64 device;                                      /* [const] st_dev */
    u64 magic;                                       /* [const] statfs(2)'s f_type */
    u32 mounts;                                      /* guarded_by(&inode_lock) */
    u64 size_max;                                    /* [const] of a file: -EFBIG beyond */
    struct spinlock inode_lock;                      /* LOCK_INODE_TABLE: the file system's own */
    void *private_data;                              /* [const] after mount */
};

/* With one reference and a device number of its own; `root` is the caller's to set. NULL: no
 * memory.
 */
struct file_system *file_system_alloc(const struct file_system_type *type,
                                      const struct file_system_operations *operations, u64 magic)
    must_check;
static inline void file_system_get(struct file_system *file_system)
{
    refcount_inc(&file_system->references);
}
/* The last one forgets all names, ends all inodes, and calls `unmount`. Sleeps. */
void file_system_put(struct file_system *file_system);
/* The value of "name=" in a comma-separated list of options; false: it is not there. */
bool mount_option_find(const char *options, const char *name, char *value, size_t size);
/* A number of an option in base 8 or 10; *number stays if it is not there. -EINVAL. */
int mount_option_number(const char *options, const char *name, u32 base, u32 *number) must_check;
