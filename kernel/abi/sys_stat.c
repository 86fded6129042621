/*
 * stat(2), statx(2), statfs(2), access(2): what is said about files.
 *
 * All ask fs/ for one struct attributes, which is of one moment, and lay it out as the call wants
 * it; the structures are cleared first, padding too. By descriptor no name is looked up, and O_PATH
 * will do.
 *
 * statx answers all basic fields whatever the mask asks, which statx(2) allows.
 * Context: sleeps (names, the file server).
 */
#include <pith/abi.h>

#include <pith/arithmetic.h>
#include <pith/file_calls.h>

#include "files.h"
#include "syscalls.h"

#define STAT_FLAGS  (AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH)
#define STATX_FLAGS (STAT_FLAGS | AT_STATX_SYNC_TYPE)

static long copy_out_stat(struct user_ptr to, const struct attributes *from)
{
    struct stat stat;

    memset(&stat, 0, sizeof(stat));
    stat.st_dev = from->device;
    stat.st_ino = from->inode_number;
    stat.st_nlink = from->links;
    stat.st_mode = from->mode;
    stat.st_uid = from->uid;
    stat.st_gid = from->gid;
    stat.st_rdev = from->rdev;
    stat.st_size = (s64)from->size;
    stat.st_blksize = from->block_bytes;
    stat.st_blocks = (s64)from->blocks;
    stat.st_atime = (u64)moment_seconds(from->accessed_ns);
    stat.st_atime_nsec = moment_nanoseconds(from->accessed_ns);
    stat.st_mtime = (u64)moment_seconds(from->modified_ns);
    stat.st_mtime_nsec = moment_nanoseconds(from->modified_ns);
    stat.st_ctime = (u64)moment_seconds(from->changed_ns);
    stat.st_ctime_nsec = moment_nanoseconds(from->changed_ns);
    return copy_out(to, &stat, sizeof(stat));
}

static int attributes_at(int directory_fd, struct user_ptr name, u32 at_flags,
                         struct attributes *attributes_out)
{
    struct path path;
    int error = path_find_user(directory_fd, name, lookup_of_at_flags(at_flags), &path);

    if (error)
        return error;
    error = path_attributes(&path, attributes_out);
    path_put(&path);
    return error;
}

static int attributes_of_fd(int fd, struct attributes *attributes_out)
{
    struct fd_use use = fd_enter_any(fd);
    int error;

    if (!use.file)
        return -EBADF;
    error = path_attributes(&use.file->path, attributes_out);
    fd_leave(use);
    return error;
}

static long stat_at(int directory_fd, struct user_ptr name, u32 at_flags, struct user_ptr to)
{
    struct attributes attributes;
    int error = attributes_at(directory_fd, name, at_flags, &attributes);

    return error ? error : copy_out_stat(to, &attributes);
}

long sys_stat(const struct syscall_args *args)
{
    return stat_at(AT_FDCWD, arg_user_ptr(args, 0), 0, arg_user_ptr(args, 1));
}

long sys_lstat(const struct syscall_args *args)
{
    return stat_at(AT_FDCWD, arg_user_ptr(args, 0), AT_SYMLINK_NOFOLLOW, arg_user_ptr(args, 1));
}

long sys_fstat(const struct syscall_args *args)
{
    struct attributes attributes;
    int error = attributes_of_fd(arg_int(args, 0), &attributes);

    return error ? error : copy_out_stat(arg_user_ptr(args, 1), &attributes);
}

/* glibc's fstat is newfstatat(fd, "", AT_EMPTY_PATH): seen before the name is copied whole. */
long sys_newfstatat(const struct syscall_args *args)
{
    u32 at_flags = arg_u32(args, 3);
    int directory_fd = arg_int(args, 0);

    if (at_flags & ~(u32)STAT_FLAGS)
        return -EINVAL;
    if ((at_flags & AT_EMPTY_PATH) && directory_fd >= 0 &&
        user_name_is_empty(arg_user_ptr(args, 1))) {
        struct attributes attributes;
        int error = attributes_of_fd(directory_fd, &attributes);

        return error ? error : copy_out_stat(arg_user_ptr(args, 2), &attributes);
    }
    return stat_at(directory_fd, arg_user_ptr(args, 1), at_flags, arg_user_ptr(args, 2));
}

/* ---- statx ---- */

static struct statx_timestamp timestamp(s64 ns)
{
    return (struct statx_timestamp){.tv_sec = moment_seconds(ns),
                                    .tv_nsec = moment_nanoseconds(ns)};
}

static long copy_out_statx(struct user_ptr to, const struct attributes *from)
{
    struct statx statx;

    memset(&statx, 0, sizeof(statx));
    statx.stx_mask = STATX_BASIC_STATS | STATX_MNT_ID | (from->born_ns ? STATX_BTIME : 0);
    statx.stx_blksize = from->block_bytes;
    statx.stx_nlink = from->links;
    statx.stx_uid = from->uid;
    statx.stx_gid = from->gid;
    statx.stx_mode = (u16)from->mode;
    statx.stx_ino = from->inode_number;
    statx.stx_size = from->size;
    statx.stx_blocks = from->blocks;
    statx.stx_attributes_mask = STATX_ATTR_MOUNT_ROOT;
    statx.stx_attributes = from->is_mount_root ? STATX_ATTR_MOUNT_ROOT : 0;
    statx.stx_atime = timestamp(from->accessed_ns);
    statx.stx_mtime = timestamp(from->modified_ns);
    statx.stx_ctime = timestamp(from->changed_ns);
    if (from->born_ns)
        statx.stx_btime = timestamp(from->born_ns);
    statx.stx_rdev_major = DEVICE_MAJOR(from->rdev);
    statx.stx_rdev_minor = DEVICE_MINOR(from->rdev);
    statx.stx_dev_major = DEVICE_MAJOR(from->device);
    statx.stx_dev_minor = DEVICE_MINOR(from->device);
    statx.stx_mnt_id = from->mount_id;
    return copy_out(to, &statx, sizeof(statx));
}

long sys_statx(const struct syscall_args *args)
{
    u32 at_flags = arg_u32(args, 2), mask = arg_u32(args, 3);
    struct attributes attributes;
    int error;

    if ((mask & STATX_RESERVED) || (at_flags & ~(u32)STATX_FLAGS) ||
        (at_flags & AT_STATX_SYNC_TYPE) == AT_STATX_SYNC_TYPE)
        return -EINVAL;
    error = attributes_at(arg_int(args, 0), arg_user_ptr(args, 1), at_flags, &attributes);
    return error ? error : copy_out_statx(arg_user_ptr(args, 4), &attributes);
}

/* ---- statfs ---- */

/* statfs(2)'s f_flags: of most, MS_ and ST_ have the same numbers. */
static u32 mount_flags_to_st(u32 mount_flags)
{
    return ST_VALID | (mount_flags & (MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC)) |
           (mount_flags & MS_NOATIME) | (mount_flags & MS_NODIRATIME) |
           (mount_flags & MS_NOSYMFOLLOW ? ST_NOSYMFOLLOW : 0) |
           (mount_flags & (MS_NOATIME | MS_STRICTATIME) ? 0 : ST_RELATIME);
}

static long statfs_of_path(const struct path *path, struct user_ptr to)
{
    struct statistics statistics;
    struct statfs statfs;
    u32 mount_flags;
    int error = path_statistics(path, &statistics, &mount_flags);

    if (error)
        return error;
    memset(&statfs, 0, sizeof(statfs));
    statfs.f_type = (s64)statistics.type;
    statfs.f_bsize = statfs.f_frsize = (s64)statistics.block_bytes;
    statfs.f_blocks = statistics.blocks;
    statfs.f_bfree = statistics.blocks_free;
    statfs.f_bavail = statistics.blocks_available;
    statfs.f_files = statistics.files;
    statfs.f_ffree = statistics.files_free;
    statfs.f_fsid[0] = (s32)statistics.id;
    statfs.f_fsid[1] = (s32)(statistics.id >> 32);
    statfs.f_namelen = (s64)statistics.name_max;
    statfs.f_flags = mount_flags_to_st(mount_flags);
    return copy_out(to, &statfs, sizeof(statfs));
}

long sys_statfs(const struct syscall_args *args)
{
    struct path path;
    long result = path_find_user(AT_FDCWD, arg_user_ptr(args, 0), LOOKUP_FOLLOW, &path);

    if (result)
        return result;
    result = statfs_of_path(&path, arg_user_ptr(args, 1));
    path_put(&path);
    return result;
}

static long statfs_of_file(struct file *file, const struct syscall_args *args)
{
    return statfs_of_path(&file->path, arg_user_ptr(args, 1));
}

long sys_fstatfs(const struct syscall_args *args)
{
    return fd_apply_any(args, statfs_of_file);
}

/* ---- access ---- */

/*
 * access(2) asks for the real ids, AT_EACCESS for the effective ones. F_OK asks only for the name.
 */
static long access_at(int directory_fd, struct user_ptr name, u32 mode, u32 at_flags)
{
    u32 wanted = mode | (at_flags & AT_EACCESS ? 0 : MAY_REAL_IDS);
    struct path path;
    int error;

    if (mode & ~(u32)(R_OK | W_OK | X_OK))
        return -EINVAL;
    error = path_find_user(directory_fd, name, lookup_of_at_flags(at_flags), &path);
    if (error)
        return error;
    if (mode != F_OK)
        error = path_permission(&path, wanted);
    path_put(&path);
    return error;
}

long sys_access(const struct syscall_args *args)
{
    return access_at(AT_FDCWD, arg_user_ptr(args, 0), arg_u32(args, 1), 0);
}

long sys_faccessat(const struct syscall_args *args)
{
    return access_at(arg_int(args, 0), arg_user_ptr(args, 1), arg_u32(args, 2), 0);
}

long sys_faccessat2(const struct syscall_args *args)
{
    u32 at_flags = arg_u32(args, 3);

    if (at_flags & ~(u32)(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
        return -EINVAL;
    return access_at(arg_int(args, 0), arg_user_ptr(args, 1), arg_u32(args, 2), at_flags);
}
