/*
 * Files: open files, descriptors, names, and what the rest of the kernel asks of them.
 *
 *   descriptor -> file -> path = (mount, dentry) -> inode -> page_cache -> frames
 *    (file_table)  (offset, flags)        (a name)   (the file itself)
 *
 * An inode is a file itself (inode.h). A dentry is one of its names, cached; a negative one says
 * that there is no such file. A mount puts the root dentry of a file system over a dentry. An open
 * file joins a path with an offset and flags; descriptors are indices in a file table, which
 * threads share.
 *
 * A path that is passed in is borrowed; one that comes out has references, which path_put gives
 * back. Names are in kernel memory and end with NUL; `start` is where relative ones begin, NULL:
 * the calling thread's working directory. What takes a name or puts a reference may sleep.
 *
 * Here is what other folders use: proc/ (exec, descriptors at fork and exit), vm/ by way of its
 * pager, tty/, net/ and dev/ for files of their own kinds. What the system calls need beyond that
 * is in file_calls.h.
 */
#pragma once

#include <pith/credentials.h>
#include <pith/inode.h>
#include <pith/io_buffer.h>
#include <pith/page_cache.h>
#include <pith/poll.h>
#include <pith/vm.h>

/* ---- Places ---- */

/* Where something is. Who keeps one has a reference on each, and puts the dentry's first. */
struct path {
    struct mount *mount;
    struct dentry *dentry;
};

void path_get(const struct path *path);
void path_put(const struct path *path);
static inline bool path_is_same(const struct path *a, const struct path *b)
{
    return a->dentry == b->dentry && a->mount == b->mount;
}
/* NULL: negative. */
struct inode *path_inode(const struct path *path);

/* Where a thread stands in the tree; shared with CLONE_FS. */
struct directories {
    struct refcount references;
    struct spinlock lock;      /* LOCK_LEAF */
    struct path root, working; /* guarded_by(&lock) */
    u32 umask;                 /* [atomic] */
    struct list link;          /* of all, for pivot_root(2) */
};
/* For the first process: both at the root of the first mount. -ENOMEM. */
int directories_create(struct directories **directories_out) must_check;
int directories_copy(struct directories *from, struct directories **copy_out) must_check;
static inline void directories_get(struct directories *directories)
{
    refcount_inc(&directories->references);
}
void directories_put(struct directories *directories);
/* The calling thread's, with references. */
void path_get_root(struct path *path_out);
void path_get_working(struct path *path_out);

/* ---- Open files ---- */

struct text_sink; /* proc_fs.h */

/*
 * What a kind of open file does. All may sleep; nothing is locked, but by read(2) and write(2) the
 * file's offset. Several threads may be in any of them at once. NULL: -EINVAL or as said.
 */
struct file_operations {
    u32 flags; /* FILE_OPERATIONS_* */
    /* May put other operations in the place of these (a device), and set private_data. */
    int (*open)(struct inode *inode, struct file *file);
    /* The last reference goes; only after `open` succeeded. */
    void (*release)(struct file *file);
    /* A descriptor is closed (others may stay). What it says is close(2)'s answer. */
    int (*flush)(struct file *file);
    /* Bytes done, or an error. `*offset` is moved on; streams ignore it. */
    ssize_t (*read)(struct file *file, struct io_buffer *io, u64 *offset);
    ssize_t (*write)(struct file *file, struct io_buffer *io, u64 *offset);
    /* Directories: gives entries from file->offset on, and moves it. The inode is locked. */
    int (*iterate)(struct file *file, struct directory_sink *sink);
    /* What is ready now (POLL_* bits); with `table` also where to wait (poll_wait, first). */
    u32 (*poll)(struct file *file, struct poll_table *table);
    long (*ioctl)(struct file *file, u32 command, u64 argument); /* NULL: -ENOTTY */
    /* Fills in pager and object of the request (whose region takes its own reference). */
    int (*map)(struct file *file, struct map_request *request); /* NULL: -ENODEV */
    s64 (*seek)(struct file *file, s64 offset, int whence);     /* NULL: the common one */
    int (*sync)(struct file *file, int data_only);
    int (*allocate)(struct file *file, int mode, u64 offset, u64 bytes); /* NULL: -EOPNOTSUPP */
    /* A region shows the file, or does so no longer: as of the pager's. NULL: nobody counts. */
    void (*region_opened)(struct file *file);
    void (*region_closed)(struct file *file);
    /* Its own lines in /proc/PID/fdinfo. NULL: none. */
    void (*describe)(struct file *file, struct text_sink *sink);
};
#define FILE_OPERATIONS_STREAM  BIT(0) /* no offset: lseek and pread are ESPIPE */
#define FILE_OPERATIONS_NO_SEEK BIT(1) /* lseek does nothing and says 0 (/dev/tty, eventfd) */

struct file {
    struct refcount references;
    u32 flags;                                /* [atomic] O_*, without creation flags;
                                                 guarded_by(&lock) for writing once it is open */
    u32 mode;                                 /* FILE_*: [const], but [atomic] the last two */
    struct inode *inode;                      /* [const] */
    const struct file_operations *operations; /* [const] */
    void *private_data;                       /* [const] after open */
    u64 offset;                               /* guarded_by(&offset_lock) */
    u64 read_ahead_next;                      /* [owner, roughly] where a sequential reader */
    u32 read_ahead_pages;                     /*   will go on, and its window */
    struct path path;                         /* [const] */
    struct credentials *credentials;          /* [const] who opened it */
    struct mutex offset_lock;                 /* LOCK_FILE */
    struct spinlock lock;                     /* LOCK_LEAF */
    struct list epoll_items;                  /* guarded by epoll.c's own lock: who watches it */
    struct file_owner *owner;                 /* [atomic] whom signals tell of it; NULL: nobody */
    struct rcu_head rcu;
};
#define FILE_READ       BIT(0)
#define FILE_WRITE      BIT(1)
#define FILE_PATH       BIT(2) /* O_PATH */
#define FILE_IS_WRITER  BIT(3) /* counted in inode.writers and as a writer of the mount */

#define FILE_OPENED     BIT(5) /* `open` succeeded, so `release` is due */
#define FILE_WAS_LOCKED BIT(6) /* flock or POSIX locks were taken through it */
#define FILE_NOTIFIES   BIT(7) /* F_NOTIFY was asked for through it */

static inline void file_get(struct file *file)
{
    refcount_inc(&file->references);
}
void file_put(struct file *file);
/* Those of `mask` become as in `value`. */
void file_change_flags(struct file *file, u32 mask, u32 value);
/*
 * A file without a name in any directory: "anon_inode:NAME" in /proc. flags: O_ACCMODE, O_NONBLOCK
 * and so on.
 */
int file_create_anonymous(const char *name, const struct file_operations *operations, u32 flags,
                          void *private_data, struct file **file_out) must_check;
/*
 * A file over an inode of its own that has no name ("pipe:[7]", "socket:[8]"); the reference of
 * `inode` is borrowed. `inode` comes from inode_alloc(anonymous_file_system()).
 */
int file_create_on_inode(const char *kind, struct inode *inode,
                         const struct file_operations *operations, u32 flags, void *private_data,
                         struct file **file_out) must_check;
struct file_system *anonymous_file_system(void);

/* Kinds of namespaces: one of each, with inode numbers in this order (namespaces.c). */
enum namespace_kind {
    NAMESPACE_TIME,
    NAMESPACE_CGROUP,
    NAMESPACE_PID,
    NAMESPACE_USER,
    NAMESPACE_UTS,
    NAMESPACE_IPC,
    NAMESPACE_NET,
    NAMESPACE_MOUNT,
    NAMESPACE_KINDS,
};
/* The file that stands for it, as /proc/PID/ns links to it; a reference. */
void namespace_path(enum namespace_kind kind, struct path *path_out);
/* Opens by a path with the calling thread's rights. start NULL: the working directory. */
int file_open_at(const struct path *start, const char *name, u32 flags, u32 mode,
                 struct file **file_out) must_check;
/* The same for openat2: `how` was checked, `directory_fd` and the name are the user's. */
int file_open_user(int directory_fd, struct user_ptr name, const struct open_how *how,
                   struct file **file_out) must_check;
/* What exec runs: MAY_EXECUTE, a regular file on a mount that allows it. -EACCES. */
int file_open_executable(const struct path *start, const char *name, u32 lookup_flags,
                         struct file **file_out) must_check;
/* Opens what a path leads to, without a walk. */
int file_open_path(const struct path *path, u32 flags, struct file **file_out) must_check;
/* Checks the mode and limits, then does it. At `*offset`, which is moved on. */
ssize_t file_read(struct file *file, struct io_buffer *io, u64 *offset);
ssize_t file_write(struct file *file, struct io_buffer *io, u64 *offset);
/* Kernel reads (exec). Bytes read, fewer at the end, or an error. */
ssize_t file_read_kernel(struct file *file, void *to, size_t bytes, u64 offset) must_check;
ssize_t file_write_kernel(struct file *file, const void *from, size_t bytes, u64 offset) must_check;
/* lseek(2). The offset's lock is taken. */
s64 file_seek(struct file *file, s64 offset, int whence);
/* For `seek` operations: moves file->offset for a file that ends at `end`. The lock is held. */
s64 file_seek_common(struct file *file, s64 offset, int whence, s64 end);
/* Executables: while denied, opening for writing is -ETXTBSY, and the other way round. */
int file_deny_write(struct file *file) must_check;
void file_allow_write(struct file *file);
/* Cuts or grows it. Rights were checked. */
int inode_truncate(struct inode *inode, u64 size, u32 change_flags) must_check;

/* Whom a signal tells that a file is ready, by the rights of who said so (F_SETOWN). */
struct signal_target {
    u32 type;      /* F_OWNER_* */
    s32 id;        /* 0: nobody */
    u32 uid, euid; /* of who said so */
    s32 signal;    /* 0: SIGIO, without the file's number */
    s32 fd;
};

/* proc/ gives these, since processes and signals are above us. NULL members: nothing happens. */
struct fs_process_hooks {
    /* To the calling thread: SIGPIPE, SIGXFSZ. */
    void (*signal_send_current)(int signal);
    /* The calling process's id, for F_GETLK. */
    int (*process_id)(void);
    /* Tells of a file's events (POLL_*) by a signal. From deferred work: never sleeps. */
    void (*signal_send_target)(const struct signal_target *target, u32 band);
    bool (*signal_target_exists)(u32 type, s32 id);
};
void fs_process_hooks_register(const struct fs_process_hooks *hooks);
#define SIGNAL_PIPE      13
#define SIGNAL_FILE_SIZE 25

/* ---- Descriptors ---- */

int file_table_create(struct file_table **table_out) must_check;
int file_table_copy(struct file_table *from, struct file_table **copy_out) must_check;
void file_table_get(struct file_table *table);
void file_table_put(struct file_table *table);
bool file_table_is_shared(const struct file_table *table);
/* exec: the table is the caller's alone. */
void file_table_close_on_exec(struct file_table *table);
/* How many slots there are, and the file at one with a reference (for /proc/PID/fd), or NULL. */
u32 file_table_capacity(const struct file_table *table);
struct file *file_table_find(struct file_table *table, u32 fd, u32 *close_on_exec_out) must_check;

/* A reference to the calling thread's open file, or NULL (EBADF). */
struct file *fd_find(int fd) must_check;
/*
 * As fd_find for the length of a system call, to be followed by fd_leave in the same: counts only
 * when another thread could close it. O_PATH descriptors are not found (EBADF), except by
 * fd_enter_any.
 */
struct fd_use {
    struct file *file; /* NULL: EBADF */
    u32 counted;
};
struct fd_use fd_enter(int fd) must_check;
struct fd_use fd_enter_any(int fd) must_check;
static inline void fd_leave(struct fd_use use)
{
    if (use.counted)
        file_put(use.file);
}
/*
 * Takes `count` free numbers from `lowest` on, for files that are still to be made. -EMFILE
 * (RLIMIT_NOFILE), -ENOMEM.
 */
int fd_reserve(struct file_table *table, int lowest, int *fds_out, int count) must_check;
/*
 * The file appears under a number that was reserved. Takes over its reference. close_on_exec:
 * O_CLOEXEC or 0.
 */
void fd_install(struct file_table *table, int fd, struct file *file, u32 close_on_exec);
/* Gives back what was reserved and not installed. */
void fd_release(struct file_table *table, const int *fds, int count);
/* reserve + install of one; takes over the reference in any case. The number, or an error. */
int fd_create(struct file *file, u32 close_on_exec) must_check;
/* -EBADF, or what the file's `flush` says; the number is free in either case. */
int fd_close(int fd);
/*
 * dup2: installs at exactly `fd`, closing what was there; takes over the reference on success. The
 * number; -EBADF: beyond RLIMIT_NOFILE; -EBUSY: another thread is about to install there.
 */
int fd_replace(struct file *file, int fd, u32 close_on_exec) must_check;
int fd_get_close_on_exec(int fd); /* FD_CLOEXEC, 0, or -EBADF */
int fd_set_close_on_exec(int fd, u32 close_on_exec) must_check;
/* close_range(2) of the calling thread's table. */
void fd_range_close(u32 first, u32 last);
void fd_range_set_close_on_exec(u32 first, u32 last);

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
#define LOOKUP_REVALIDATE  BIT(9) /* names that may have changed behind our back are asked anew */

/*
 * The place that a name leads to; never negative. -ENOENT, -ENOTDIR, -EACCES, -ELOOP,
 * -ENAMETOOLONG, -EXDEV, -EAGAIN, -ENOMEM, -EINTR: path_resolution(7), openat2(2).
 */
int path_find(const struct path *start, const char *name, u32 flags, struct path *path_out)
    must_check;
/* By a descriptor, as the *at calls take it: AT_FDCWD or a directory's. Copies the name in. */
int path_find_user(int directory_fd, struct user_ptr name, u32 flags, struct path *path_out)
    must_check;
/*
 * The absolute name as the current root sees it, at the end of `buffer`; " (deleted)" behind names
 * that are gone, "(unreachable)" before those outside the root. -ENAMETOOLONG.
 */
int path_name(const struct path *path, char *buffer, size_t size, char **name_out) must_check;

#define MAY_EXECUTE  1u
#define MAY_WRITE    2u
#define MAY_READ     4u
#define MAY_REAL_IDS 8u /* access(2): by real, not file-system ids */
/* By the calling thread. -EACCES, -EPERM. */
int inode_permission(struct inode *inode, u32 wanted) must_check;
/* Also what the mount forbids: -EROFS. */
int path_permission(const struct path *path, u32 wanted) must_check;

/* Whether set-user-ID and set-group-ID programs there run as such: not on a mount with nosuid. */
bool path_allows_set_ids(const struct path *path);

/* ---- Devices ---- */

/*
 * Opens of the character devices major:minor up to minor + count - 1 get these operations, and
 * `name` appears in /dev (with its directories: "host/stdin"), for count > 1 followed by the
 * minor. NULL: no name. May be called before fs_init. -EEXIST, -ENOMEM.
 */
int character_device_register(u32 major, u32 minor, u32 count, const char *name,
                              const struct file_operations *operations, u32 mode) must_check;

/* ---- Calls from above ---- */

void fs_init(void);
/* Unpacks a cpio archive (newc) into the root directory. -EINVAL: broken. */
int initramfs_unpack(const void *archive, size_t bytes) must_check;
