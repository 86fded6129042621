/*
 * What the system calls on files and names do, below their arguments: abi/ decodes, these check
 * rights and do it. `start` is where relative names begin; NULL: the working directory. All sleep.
 *
 * Rights are the calling thread's. Errors are those of the man pages, which name the conditions;
 * here stand those that a page leaves open. What takes a path does not keep it.
 */
/* folder: fs */
#pragma once

#include <pith/fs.h>

/* ---- Names from the user ---- */

/* Copies a path in; "" is -ENOENT unless LOOKUP_EMPTY. To be freed with name_free. */
int name_copy_in(struct user_ptr from, u32 flags, char **name_out) must_check;
char *name_buffer_alloc(void) must_check; /* PATH_MAX_BYTES; NULL: no memory */
void name_free(char *name);
/*
 * The start for an *at call: a directory's path with references; AT_FDCWD: the working directory.
 */
int path_of_fd(int directory_fd, struct path *path_out) must_check;

/* As path_name, but -ENOENT for a place that was removed (getcwd(2)). */
int path_name_linked(const struct path *path, char *buffer, size_t size, char **name_out)
    must_check;

/* ---- Changing names ---- */

/*
 * A mode of a new file as a program gives it: in `mode` below, umask takes away from it, unless the
 * directory says what new files begin with.
 */
#define MODE_BY_UMASK BIT(31)
static inline u32 mode_for_creation(u32 mode)
{
    return (mode & MODE_BITS) | MODE_BY_UMASK;
}
/*
 * All of them: -EEXIST (a name that is there, or none at all: ".", "/"), -ENOENT, -EACCES, -EROFS,
 * -ENOSPC, -EPERM (the file system has no such kind), and what the walk says.
 */
int name_mkdir(const struct path *start, const char *name, u32 mode) must_check;
/* path_out: the new name, with references; NULL: nobody asks. */
int name_mknod(const struct path *start, const char *name, u32 mode, u64 rdev,
               struct path *path_out) must_check;
int name_symlink(const struct path *start, const char *name, const char *target) must_check;
/* A further name for a file that is no directory: -EPERM; -EXDEV: another mount. */
int name_link(const struct path *target, const struct path *start, const char *name) must_check;
int name_unlink(const struct path *start, const char *name) must_check;
int name_rmdir(const struct path *start, const char *name) must_check;
/* renameat2(2), flags as there. -EINVAL also for a directory that would go below itself. */
int name_rename(const struct path *from_start, const char *from, const struct path *to_start,
                const char *to, u32 flags) must_check;
/* A symbolic link's text, without NUL. Its length, or an error. */
ssize_t inode_readlink(struct inode *inode, char *buffer, size_t size) must_check;

/* ---- Attributes ---- */

/* By the file's owner, or with CAPABILITY_FOWNER. */
bool file_is_owned(const struct file *file);

/* stat(2): the file system may have to be asked. */
int path_attributes(const struct path *path, struct attributes *attributes_out) must_check;
int path_statistics(const struct path *path, struct statistics *statistics_out,
                    u32 *mount_flags_out) must_check;
int path_change_mode(const struct path *path, u32 mode) must_check;
/* ~0u: stays. */
int path_change_owner(const struct path *path, u32 uid, u32 gid) must_check;
/* utimensat(2): which of the times are given, and which of them are the present one. */
struct times_change {
    u32 valid; /* CHANGE_ACCESSED, CHANGE_MODIFIED */
    u32 now;   /* the same bits */
    s64 accessed_ns, modified_ns;
};
int path_change_times(const struct path *path, const struct times_change *times) must_check;
/*
 * fcntl(2): F_SETOWN and its kin, F_SETSIG, and O_ASYNC, by descriptor `fd`. -ESRCH, -ENOMEM. Files
 * that are always ready tell nobody.
 */
int file_set_owner(struct file *file, u32 type, s32 id) must_check;
int file_set_owner_signal(struct file *file, s32 signal) must_check;
void file_get_owner(const struct file *file, struct signal_target *target_out);
int file_async_enable(struct file *file, int fd) must_check;
void file_async_disable(struct file *file);
/*
 * fcntl(2), F_NOTIFY: signals for what happens in a directory, DN_*; 0: no more of them. -ENOTDIR;
 * -EINVAL: it is switched off; -ENOMEM.
 */
int file_notify(struct file *file, int fd, u32 mask) must_check;
int path_truncate(const struct path *path, s64 size) must_check;
int file_truncate(struct file *file, s64 size) must_check;

/* ---- Extended attributes: `name` in kernel memory, values too ---- */

ssize_t path_get_xattr(const struct path *path, const char *name, void *value, size_t size)
    must_check;
int path_set_xattr(const struct path *path, const char *name, const void *value, size_t size,
                   int flags) must_check;
ssize_t path_list_xattr(const struct path *path, char *list, size_t size) must_check;
int path_remove_xattr(const struct path *path, const char *name) must_check;

/* ---- Data ---- */

/*
 * sendfile(2), copy_file_range(2), splice(2), tee(2), vmsplice(2). Offsets NULL: the files' own.
 * The modes of the files and which of them are pipes was checked. Bytes, or an error; `nonblock`
 * not 0: -EAGAIN where a pipe would have to be waited for.
 */
ssize_t file_copy_between(struct file *from, u64 *from_offset, struct file *to, u64 *to_offset,
                          u64 bytes) must_check;
ssize_t file_splice_to_pipe(struct file *from, u64 *from_offset, struct file *to, u64 bytes,
                            u32 nonblock) must_check;
ssize_t file_splice_from_pipe(struct file *from, struct file *to, u64 *to_offset, u64 bytes,
                              u32 nonblock) must_check;
enum splice_kind {
    SPLICE_MOVE,
    SPLICE_DOUBLE, /* tee(2): it stays in the first pipe, too */
};
ssize_t pipe_splice_to_pipe(struct file *from, struct file *to, u64 bytes, enum splice_kind kind,
                            u32 nonblock) must_check;
ssize_t memory_splice_to_pipe(struct io_buffer *io, struct file *to, u32 nonblock) must_check;
/* fallocate(2): only keeping the size, punching holes and zeroing ranges; else -EOPNOTSUPP. */
int file_allocate(struct file *file, int mode, s64 offset, s64 bytes) must_check;
/* fsync(2); data_only not 0: fdatasync(2). -EINVAL: a kind of file that cannot be synced. */
int file_sync(struct file *file, int data_only) must_check;
/* Brings pages into memory, as far as that works: nobody is told of an error. */
void file_read_ahead(struct file *file, u64 offset, u64 bytes);
/* getdents64(2)'s loop: gives entries from where the directory stands. */
int file_iterate(struct file *file, struct directory_sink *sink) must_check;
/* memfd_create(2). `seals`: F_SEAL_SEAL, or 0 where more may be added. -ENOMEM, -ENOSPC. */
int memfd_open(const char *name, u32 seals, struct file **file_out) must_check;
/* fcntl(2). -EPERM: not open for writing, or sealed; -EBUSY: mapped for writing; -EINVAL. */
int file_add_seals(struct file *file, u32 seals) must_check;
int file_get_seals(struct file *file) must_check; /* -EINVAL: no file in memory */
/* sync(2): of all that is mounted. */
void file_systems_sync(void);

/* The calling thread gets a file table of its own (unshare(2), CLONE_FILES). */
int file_table_unshare(void) must_check;

/* ---- Locks ---- */

/* flock(2), of a valid operation. -EWOULDBLOCK, -EINTR; -ENOLCK: no memory. */
int file_flock(struct file *file, int operation) must_check;
/*
 * fcntl(2) by descriptor `fd`: F_GETLK, F_SETLK, F_SETLKW and the F_OFD_ ones. -EBADF: not opened
 * for that, or the descriptor was closed while the lock was waited for; -EAGAIN, -EDEADLK, -EINTR,
 * -EINVAL, -EOVERFLOW (the range); -ENOLCK: no memory.
 */
int file_lock_command(struct file *file, int fd, int command, struct flock *lock) must_check;

/* ---- Where a thread stands ---- */

/* chroot(2) of the calling thread; chdir(2). Take their own references. */
void directories_set_root(const struct path *to);
void directories_set_working(struct directories *directories, const struct path *to);

/* ---- mount(2)'s forms; rights were checked. Theory and errors: mount_calls.c ---- */

int mount_new(const struct path *where, const char *type, const struct mount_source *source)
    must_check;
int mount_bind(const struct path *where, const struct path *what, u32 flags) must_check;
int mount_move(const struct path *where, const struct path *what) must_check;
/*
 * `flags`: MS_PRIVATE, MS_SLAVE or MS_UNBINDABLE; with MS_REC of all mounts below too. -EINVAL: not
 * a mount's root; none of them or several; MS_SHARED, since changes never pass between mounts.
 */
int mount_set_sharing(const struct path *where, u32 flags) must_check;
int mount_change_flags(const struct path *where, const struct mount_source *source) must_check;
int mount_remove(const struct path *where, u32 flags) must_check; /* MNT_* */
int mount_pivot_root(const struct path *new_root, const struct path *put_old) must_check;
