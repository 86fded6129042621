/*
 * Files: names, inodes, open files, and what file systems give.
 *
 *   descriptor -> file -> path = (mount, dentry) -> inode -> page_cache -> frames
 *    (file_table)  (offset, flags)        (a name)   (the file itself)
 *
 * An inode is a file itself: attributes, data, and the tables of its operations. A dentry is one of
 * its names, cached; a negative one says that there is no such file. A mount puts the root dentry
 * of a file system over a dentry. An open file joins a path with an offset and flags; descriptors
 * are indices in a file table, which threads share.
 *
 * Rights are checked in fs/ itself (permission.c, names.c), by the caller's fsuid and groups, never
 * in a file system, except where its table has `permission`.
 */
#pragma once

#include <pith/abi/fcntl.h>
#include <pith/abi/stat.h>
#include <pith/credentials.h>
#include <pith/radix.h>
#include <pith/sched.h>
#include <pith/vm.h>

struct inode;
struct dentry;
struct mount;
struct file;
struct file_system;
struct poll_table;

#define NAME_MAX_BYTES 255
#define PATH_MAX_BYTES 4096
#define SYMLINKS_MAX   40

/* ---- I/O buffers: where read puts and write takes bytes; user or kernel memory, in pieces ---- */

struct io_segment {
    u64 address; /* of user memory, or a kernel pointer */
    u64 bytes;
};
struct io_buffer {
    const struct io_segment *segments;
    u32 count;
    u32 current; /* segment */
    u64 done_in_segment;
    u64 bytes_left; /* in all */
    u32 flags;      /* IO_BUFFER_KERNEL */
};
#define IO_BUFFER_KERNEL BIT(0)
#define IO_BYTES_MAX     0x7ffff000ul /* what one read or write does at most (read(2)) */

void io_buffer_init_user(struct io_buffer *io, struct io_segment *one, struct user_ptr at,
                         u64 bytes);
void io_buffer_init_kernel(struct io_buffer *io, struct io_segment *one, void *at, u64 bytes);
/* Copies to (from) the buffer and moves on. Returns the bytes copied; fewer: a bad address. Sleeps.
 */
size_t io_copy_to(struct io_buffer *io, const void *from, size_t bytes) must_check;
size_t io_copy_from(struct io_buffer *io, void *to, size_t bytes) must_check;
size_t io_clear(struct io_buffer *io, size_t bytes) must_check;
/* The same without faulting pages in, for callers that hold a page lock. */
size_t io_copy_to_nofault(struct io_buffer *io, const void *from, size_t bytes) must_check;
size_t io_copy_from_nofault(struct io_buffer *io, void *to, size_t bytes) must_check;
/* Faults in the next `bytes` so that a _nofault copy succeeds soon. -EFAULT. */
int io_fault_in(struct io_buffer *io, size_t bytes, unsigned access) must_check;

/* ---- Attributes ---- */

/* What stat(2) says. Times in ns since 1970. */
struct attributes {
    u64 device, inode_number;
    u32 mode, links, uid, gid;
    u64 rdev;
    u64 size, blocks; /* blocks of 512 bytes */
    u32 block_bytes;
    s64 accessed_ns, modified_ns, changed_ns, born_ns;
    u64 mount_id;
};

struct attribute_change {
    u32 valid; /* CHANGE_* */
    u32 mode, uid, gid;
    u64 size;
    s64 accessed_ns, modified_ns;
};
#define CHANGE_MODE      BIT(0)
#define CHANGE_UID       BIT(1)
#define CHANGE_GID       BIT(2)
#define CHANGE_SIZE      BIT(3)
#define CHANGE_ACCESSED  BIT(4)
#define CHANGE_MODIFIED  BIT(5)
#define CHANGE_KILL_SUID BIT(6) /* a write or chown by who may not keep it */

/* ---- Page cache ---- */

struct page_cache_operations {
    /*
     * Reads `count` pages from `first` into `frames`, all locked and not up to date, and marks each
     * that it could read up to date (what lies beyond the end is cleared). May sleep.
     */
    int (*read)(struct inode *inode, u64 first, u32 count, struct frame **frames);
    /* Writes a dirty page back. NULL: the cache is the file (tmpfs). */
    int (*write)(struct inode *inode, u64 index, struct frame *frame, u32 bytes);
};

struct page_cache {
    struct spinlock lock; /* LOCK_PAGE_CACHE */
    struct radix pages;   /* guarded_by(&lock) index -> struct frame, one reference each */
    u64 count;            /* guarded_by(&lock) */
    u64 dirty_count;
    struct inode *inode;                            /* [const] */
    const struct page_cache_operations *operations; /* [const] */
    struct spinlock mapping_lock;                   /* LOCK_MAPPING */
    struct list regions; /* guarded_by(&mapping_lock) by region.mapping_link */
};

/* ---- Inodes ---- */

struct directory_entry {
    const char *name;
    u32 name_bytes;
    u64 inode_number;
    u32 type; /* DT_* */
    u64 next; /* the position of the entry after it */
};
/* What a directory's `iterate` calls for each entry. Returns false when there is no more room. */
struct directory_sink {
    bool (*add)(struct directory_sink *sink, const struct directory_entry *entry);
};

/*
 * What a file system does with an inode. All may sleep; `directory` (and what is removed from or
 * moved within it) is locked by its mutex, and `dentry` holds the name, still negative.
 */
struct inode_operations {
    /* Sets *inode_out to a reference, or to NULL: there is no such name (the dentry is negative).
     */
    int (*lookup)(struct inode *directory, struct dentry *dentry, struct inode **inode_out);
    int (*create)(struct inode *directory, struct dentry *dentry, u32 mode,
                  struct inode **inode_out);
    int (*mkdir)(struct inode *directory, struct dentry *dentry, u32 mode,
                 struct inode **inode_out);
    int (*mknod)(struct inode *directory, struct dentry *dentry, u32 mode, u64 rdev,
                 struct inode **inode_out);
    int (*symlink)(struct inode *directory, struct dentry *dentry, const char *target,
                   struct inode **inode_out);
    int (*link)(struct inode *directory, struct dentry *dentry, struct inode *inode);
    int (*unlink)(struct inode *directory, struct dentry *dentry);
    int (*rmdir)(struct inode *directory, struct dentry *dentry);
    /* flags: RENAME_NOREPLACE was checked before; RENAME_EXCHANGE, RENAME_WHITEOUT. */
    int (*rename)(struct inode *from_directory, struct dentry *from, struct inode *to_directory,
                  struct dentry *to, u32 flags);
    int (*tmpfile)(struct inode *directory, u32 mode, struct inode **inode_out);
    /* Copies the target, without NUL; returns its length or an error. */
    ssize_t (*readlink)(struct inode *inode, char *buffer, size_t size);
    /*
     * For links that are no text (/proc/self/fd/3): the path itself, with references; NULL: none.
     * -ENOENT and so on.
     */
    int (*follow)(struct inode *inode, struct path *path_out);
    /* Fills in what is not in the inode, or refreshes it. NULL: inode_attributes() is right. */
    int (*get_attributes)(struct inode *inode, struct attributes *attributes_out);
    int (*set_attributes)(struct inode *inode, const struct attribute_change *change);
    int (*permission)(struct inode *inode, u32 wanted); /* MAY_*; NULL: by mode and ids */
    ssize_t (*get_xattr)(struct inode *inode, const char *name, void *value, size_t size);
    int (*set_xattr)(struct inode *inode, const char *name, const void *value, size_t size,
                     int flags);
    ssize_t (*list_xattr)(struct inode *inode, char *list, size_t size);
    int (*remove_xattr)(struct inode *inode, const char *name);
    /* Whether a cached name is still right; NULL: always. 1 yes, 0 look it up again, or an error.
     */
    int (*revalidate)(struct dentry *dentry);
};

struct inode {
    struct refcount references;
    u32 mode; /* type and permissions; guarded_by(&lock) like what follows */
    u32 uid, gid;
    u32 links;
    u64 number; /* [const] */
    u64 rdev;   /* [const] */
    u64 size;   /* [atomic] to read */
    s64 accessed_ns, modified_ns, changed_ns, born_ns;
    struct file_system *file_system;               /* [const] */
    const struct inode_operations *operations;     /* [const] */
    const struct file_operations *file_operations; /* [const] */
    struct mutex lock;                             /* LOCK_INODE */
    struct page_cache pages;
    struct list table_link;       /* the file system's table of inodes */
    struct spinlock private_lock; /* LOCK_LEAF: for the few fields below */
    struct pipe *pipe;            /* a FIFO that is open */
    struct file_locks *locks;     /* flock, POSIX; NULL: none */
    struct list dentries;         /* its names in the cache, guarded by their locks */
    u64 writers;                  /* [atomic] files open for writing; negative idea: deny_write */
    u64 deny_writers;             /* [atomic] running executables: ETXTBSY */
    void *private_data;           /* the file system's */
};

/* ---- File systems ---- */

struct statistics { /* statfs(2) */
    u64 type, block_bytes, blocks, blocks_free, blocks_available, files, files_free, name_max;
    u64 id;
};

struct file_system_type {
    const char *name;
    /* Makes an instance with its root inode's dentry. `source`, `options`: mount(2)'s. */
    int (*mount)(const struct file_system_type *type, const char *source, u32 flags,
                 const char *options, struct file_system **file_system_out);
    u32 flags; /* FS_NO_DEVICE: "nodev" in /proc/filesystems */
    struct list link;
};
void file_system_register(struct file_system_type *type);

struct file_system_operations {
    /* The last reference to an inode goes: frees private data; with links == 0, the file too. */
    void (*inode_release)(struct inode *inode);
    int (*statistics)(struct file_system *file_system, struct statistics *statistics_out);
    int (*sync)(struct file_system *file_system);
    void (*unmount)(struct file_system *file_system);
};

/* One instance of a file system (Linux's superblock). */
struct file_system {
    struct refcount references;
    const struct file_system_type *type;
    const struct file_system_operations *operations;
    struct dentry *root;
    u64 device; /* st_dev */
    u32 flags;  /* MS_RDONLY, ... */
    u64 magic;
    struct spinlock inode_lock; /* LOCK_INODE_TABLE */
    char source[64];
    void *private_data;
};

/* ---- Names ---- */

struct path {
    struct mount *mount;
    struct dentry *dentry;
};

/* A thread's place in the tree; shared with CLONE_FS. */
struct directories {
    struct refcount references;
    struct spinlock lock;      /* LOCK_LEAF */
    struct path root, working; /* guarded_by(&lock) */
    u32 umask;                 /* [atomic] */
};

/* ---- Open files ---- */

struct file_operations {
    int (*open)(struct inode *inode, struct file *file);
    /* The last reference goes. */
    void (*release)(struct file *file);
    /* A descriptor is closed (others may stay). May be NULL. */
    int (*flush)(struct file *file);
    /* Bytes done, or an error. `*offset` is moved on; streams ignore it. */
    ssize_t (*read)(struct file *file, struct io_buffer *io, u64 *offset);
    ssize_t (*write)(struct file *file, struct io_buffer *io, u64 *offset);
    /* Directories: gives entries from file->offset on, and moves it. */
    int (*iterate)(struct file *file, struct directory_sink *sink);
    /* What is ready now (POLL* bits); with `table` also where to wait (poll_wait). */
    u32 (*poll)(struct file *file, struct poll_table *table);
    long (*ioctl)(struct file *file, u32 command, u64 argument);
    /* Fills in pager and object of the request (which takes its own reference). */
    int (*map)(struct file *file, struct map_request *request);
    s64 (*seek)(struct file *file, s64 offset, int whence); /* NULL: the common one */
    int (*sync)(struct file *file, int data_only);
    int (*allocate)(struct file *file, int mode, u64 offset, u64 bytes);
    u32 flags; /* FILE_OPERATIONS_STREAM: no offset, ESPIPE */
};
#define FILE_OPERATIONS_STREAM BIT(0)

struct file {
    struct refcount references;
    u32 flags;                                /* [atomic] O_*, without creation flags */
    u32 mode;                                 /* [const] FILE_READ, FILE_WRITE, FILE_PATH */
    struct inode *inode;                      /* [const] */
    struct path path;                         /* [const] */
    const struct file_operations *operations; /* [const] */
    struct mutex offset_lock;                 /* LOCK_FILE */
    u64 offset;                               /* guarded_by(&offset_lock) */
    u64 read_ahead_next,
        read_ahead_pages;            /* [owner, roughly] where a sequential reader will go on */
    struct credentials *credentials; /* [const] who opened it */
    struct spinlock lock;            /* LOCK_LEAF */
    struct list epoll_items;         /* epoll.c: who watches it */
    int owner_pid, owner_signal;     /* F_SETOWN */
    void *private_data;
};
#define FILE_READ  BIT(0)
#define FILE_WRITE BIT(1)
#define FILE_PATH  BIT(2) /* O_PATH */

/* ---- Open files ---- */

static inline void file_get(struct file *file)
{
    refcount_inc(&file->references);
}
void file_put(struct file *file);
/* A file without a name in any directory (pipe, epoll, socket): "pipe:[7]" in /proc. */
int file_create_anonymous(const char *name, const struct file_operations *operations, u32 flags,
                          void *private_data, struct file **file_out) must_check;
/* Opens by a path (O_*, mode for O_CREAT), with the calling thread's directories and rights. */
int file_open_at(const struct path *start, const char *name, u32 flags, u32 mode,
                 struct file **file_out) must_check;
ssize_t file_read(struct file *file, struct io_buffer *io, u64 *offset);
ssize_t file_write(struct file *file, struct io_buffer *io, u64 *offset);
/* Kernel reads (exec). Bytes read, fewer at the end, or an error. */
ssize_t file_read_kernel(struct file *file, void *to, size_t bytes, u64 offset) must_check;
/* Executables: while denied, opening for writing is ETXTBSY, and the other way round. */
int file_deny_write(struct file *file) must_check;
void file_allow_write(struct file *file);

/* ---- Descriptors ---- */

int file_table_create(struct file_table **table_out) must_check;
int file_table_copy(struct file_table *from, struct file_table **copy_out) must_check;
void file_table_get(struct file_table *table);
void file_table_put(struct file_table *table);
void file_table_close_on_exec(struct file_table *table);
/* A reference to the calling thread's open file, or NULL (EBADF). */
struct file *fd_find(int fd) must_check;
/* Takes `count` free numbers from `lowest` on. -EMFILE, -ENOMEM. */
int fd_reserve(struct file_table *table, int lowest, int *fds_out, int count) must_check;
/* Takes over the file's reference. */
void fd_install(struct file_table *table, int fd, struct file *file, u32 close_on_exec);
void fd_release(struct file_table *table, const int *fds, int count);
/* reserve + install of one; takes over the reference on success. Returns the number or an error. */
int fd_install_new(struct file *file, u32 close_on_exec) must_check;
int fd_close(int fd);

/* ---- Names ---- */

#define LOOKUP_FOLLOW      BIT(0) /* the last component, if it is a symbolic link */
#define LOOKUP_DIRECTORY   BIT(1) /* must be one */
#define LOOKUP_EMPTY       BIT(2) /* "" means the start (AT_EMPTY_PATH) */
#define LOOKUP_NO_XDEV     BIT(3) /* openat2's */
#define LOOKUP_NO_MAGIC    BIT(4)
#define LOOKUP_NO_SYMLINKS BIT(5)
#define LOOKUP_BENEATH     BIT(6)
#define LOOKUP_IN_ROOT     BIT(7)
#define LOOKUP_CACHED      BIT(8)

/* From `start` (NULL: the working directory); gives references. */
int path_find(const struct path *start, const char *name, u32 flags, struct path *path_out)
    must_check;
/* By a descriptor, as the *at calls take it: AT_FDCWD or a directory's. Copies the name in. */
int path_find_user(int directory_fd, struct user_ptr name, u32 flags, struct path *path_out)
    must_check;
void path_get(const struct path *path);
void path_put(const struct path *path);
/* The absolute name as the current root sees it, at the end of `buffer`. -ENAMETOOLONG, -ENOENT. */
int path_name(const struct path *path, char *buffer, size_t size, char **name_out) must_check;

#define MAY_EXECUTE  1u
#define MAY_WRITE    2u
#define MAY_READ     4u
#define MAY_REAL_IDS 8u /* access(2): by real, not file-system ids */
/* -EACCES, -EROFS, -EPERM. */
int inode_permission(struct inode *inode, u32 wanted) must_check;
int path_permission(const struct path *path, u32 wanted) must_check;

int directories_copy(struct directories *from, struct directories **copy_out) must_check;
void directories_get(struct directories *directories);
void directories_put(struct directories *directories);

/* ---- For file systems ---- */

/* A fresh inode with one reference, its lock and page cache ready. NULL: no memory. */
struct inode *inode_alloc(struct file_system *file_system) must_check;
void inode_get(struct inode *inode);
void inode_put(struct inode *inode);
void inode_attributes(struct inode *inode, struct attributes *attributes_out);
/* Mode and owner of a new file in a directory: umask was applied; set-group-ID inherited. */
void inode_init_owner(struct inode *inode, struct inode *directory, u32 mode);
/* Links inodes that are no regular files, directories or links to what opens them. */
void inode_init_special(struct inode *inode, u32 mode, u64 rdev);
const char *dentry_name(const struct dentry *dentry); /* stable while the directory is locked */
u32 dentry_name_bytes(const struct dentry *dentry);
struct inode *dentry_inode(const struct dentry *dentry); /* NULL: negative */
struct dentry *dentry_parent(const struct dentry *dentry);
/* The root dentry for a file system's root inode; takes over the reference. NULL: no memory. */
struct dentry *dentry_create_root(struct inode *inode) must_check;
/* Generic regular files over the page cache, and directories whose dentries are the truth (tmpfs).
 */
ssize_t page_cache_file_read(struct file *file, struct io_buffer *io, u64 *offset);
ssize_t page_cache_file_write(struct file *file, struct io_buffer *io, u64 *offset);
int page_cache_file_map(struct file *file, struct map_request *request);
extern const struct pager page_cache_pager;
/* A page with a reference, up to date; reads it (with read-ahead) if need be. */
int page_cache_get_page(struct inode *inode, u64 index, struct frame **frame_out) must_check;
/* Cuts the file: pages beyond go, in mappings too. inode->lock is held. */
void page_cache_truncate(struct inode *inode, u64 new_size);
/* Forgets clean pages in a range (the file changed on the host). */
void page_cache_invalidate(struct inode *inode, u64 first, u64 count);

/* ---- Devices ---- */

/* Opens of character devices with this number get these operations. */
int character_device_register(u32 major, u32 minor, u32 count, const char *name,
                              const struct file_operations *operations, u32 mode);
#define DEVICE_NUMBER(major, minor)                                                          \
    (((u64)((minor)&0xff)) | ((u64)((major)&0xfff) << 8) | ((u64)((minor) & ~0xffu) << 12) | \
     ((u64)((major) & ~0xfffu) << 32))

/* ---- Waiting for several files ---- */

#define POLL_IN     0x0001u
#define POLL_PRI    0x0002u
#define POLL_OUT    0x0004u
#define POLL_ERR    0x0008u
#define POLL_HUP    0x0010u
#define POLL_NVAL   0x0020u
#define POLL_RDNORM 0x0040u
#define POLL_WRNORM 0x0100u
#define POLL_RDHUP  0x2000u

struct poll_table {
    /* Puts a waiter of the caller's on `queue`; called by the file's poll operation. */
    void (*add)(struct poll_table *table, struct wait_queue *queue);
};
static inline void poll_wait(struct poll_table *table, struct wait_queue *queue)
{
    if (table)
        table->add(table, queue);
}

/* ---- /proc: upper folders register their files here; fs/proc/ keeps the tree ---- */

struct text_sink; /* grows as needed; text_print(sink, "..."), text_bytes */
void text_print(struct text_sink *sink, const char *format, ...) printf_like(2, 3);
void text_bytes(struct text_sink *sink, const char *bytes, size_t count);
/* A file /proc/NAME whose content `show` makes when it is read. */
int proc_register(const char *name, u32 mode, int (*show)(struct text_sink *sink, void *argument),
                  void *argument);

/* ---- Calls from above ---- */

void fs_init(void);
/* Unpacks a cpio archive (newc) into the root directory. -EINVAL: broken. */
int initramfs_unpack(const void *archive, size_t bytes) must_check;
