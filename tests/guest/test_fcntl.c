/*
 * fcntl(2) beyond flags: locks of open files, who gets signals, leases; extended attributes' names;
 * what statx(2) is asked for.
 *
 * covers: fcntl statx setxattr getxattr flock
 */
#include "guest.h"

#include <linux/stat.h>
#include <linux/xattr.h>
#include <sys/file.h>
#include <sys/sysmacros.h>

static int new_file(void)
{
    enter_empty_directory();
    write_file("file", "0123456789");
    return CHECK_OK(open("file", O_RDWR));
}

static struct flock lock_of(int type, off_t start, off_t length)
{
    return (struct flock){
        .l_type = (short)type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
}

/* ---- Locks ---- */

TEST(fcntl_locks_of_open_files_exclude_each_other_in_one_process)
{
    struct flock lock = lock_of(F_WRLCK, 0, 5), other = lock_of(F_RDLCK, 4, 1);
    int one = new_file(), two = CHECK_OK(open("file", O_RDWR));

    CHECK_OK(fcntl(one, F_OFD_SETLK, &lock));
    CHECK_ERRNO(fcntl(two, F_OFD_SETLK, &other), EAGAIN);
    CHECK_OK(fcntl(two, F_OFD_GETLK, &other));
    CHECK_EQ(other.l_type, F_WRLCK);
    CHECK_EQ(other.l_pid, -1);
    CHECK_EQ(other.l_start, 0);
    CHECK_EQ(other.l_len, 5);
    other = lock_of(F_WRLCK, 5, 0);
    CHECK_OK(fcntl(two, F_OFD_SETLK, &other));
    close(dup(one)); /* not with any descriptor, as locks of a process */
    other = lock_of(F_RDLCK, 0, 1);
    CHECK_ERRNO(fcntl(two, F_OFD_SETLK, &other), EAGAIN);
    close(one);
    CHECK_OK(fcntl(two, F_OFD_SETLKW, &other));
    other.l_pid = 1;
    CHECK_ERRNO(fcntl(two, F_OFD_SETLK, &other), EINVAL);
}

TEST(fcntl_lock_of_an_open_file_is_waited_for)
{
    struct flock lock = lock_of(F_WRLCK, 0, 0);
    int one = new_file();
    pid_t child;

    CHECK_OK(fcntl(one, F_OFD_SETLK, &lock));
    child = CHECK_OK(fork());
    if (child == 0) {
        int two = CHECK_OK(open("file", O_RDWR));

        CHECK_OK(fcntl(two, F_OFD_SETLKW, &lock));
        _exit(3);
    }
    WAIT_FOR_STATE(child, 'S');
    lock.l_type = F_UNLCK;
    CHECK_OK(fcntl(one, F_OFD_SETLK, &lock));
    CHECK_EXIT(child, 3);
}

TEST(flock_and_fcntl_locks_do_not_see_each_other)
{
    struct flock lock = lock_of(F_WRLCK, 0, 0);
    int one = new_file(), two = CHECK_OK(open("file", O_RDWR));

    CHECK_OK(flock(one, LOCK_EX));
    CHECK_OK(fcntl(two, F_OFD_SETLK, &lock));
    CHECK_ERRNO(flock(two, LOCK_SH | LOCK_NB), EWOULDBLOCK);
    CHECK_ERRNO(flock(one, 0), EINVAL);
    CHECK_OK(flock(one, LOCK_UN));
    CHECK_OK(flock(two, LOCK_SH | LOCK_NB));
}

TEST(fcntl_locks_need_the_right_mode_and_a_valid_range)
{
    struct flock lock = lock_of(F_WRLCK, 0, 0);
    int fd = new_file();

    CHECK_ERRNO(fcntl(CHECK_OK(open("file", O_RDONLY)), F_SETLK, &lock), EBADF);
    lock = lock_of(F_RDLCK, 0, 0);
    CHECK_ERRNO(fcntl(CHECK_OK(open("file", O_WRONLY)), F_SETLK, &lock), EBADF);
    lock = lock_of(F_RDLCK, -1, 0);
    CHECK_ERRNO(fcntl(fd, F_SETLK, &lock), EINVAL);
    lock = lock_of(77, 0, 0);
    CHECK_ERRNO(fcntl(fd, F_SETLK, &lock), EINVAL);
    CHECK_ERRNO(fcntl(fd, F_SETLK, bad_address()), EFAULT);
    lock = lock_of(F_UNLCK, 0, 0);
    CHECK_ERRNO(fcntl(fd, F_GETLK, &lock), EINVAL);
}

/* ---- Leases ---- */

TEST(fcntl_has_no_lease_where_none_can_be)
{
    int fd = new_file(), fds[2];

    CHECK_EQ(fcntl(fd, F_GETLEASE), F_UNLCK);
    CHECK_OK(pipe(fds));
    CHECK_ERRNO(fcntl(fds[0], F_SETLEASE, F_RDLCK), EINVAL);
    CHECK_ERRNO(fcntl(fd, F_SETLEASE, 77), EINVAL);
    CHECK_ERRNO(fcntl(fd, F_SETLEASE, F_UNLCK), EAGAIN);
}

TEST(fcntl_that_nobody_knows_gives_einval)
{
    int fd = new_file();

    CHECK_ERRNO(fcntl(fd, 1029 /* F_CANCELLK, of the kernel */), EINVAL);
    CHECK_ERRNO(fcntl(fd, 12345), EINVAL);
    CHECK_ERRNO(fcntl(99, 12345), EBADF);
}

/* ---- Owners ---- */

TEST(fcntl_keeps_whom_signals_go_to)
{
    struct f_owner_ex owner = {.type = F_OWNER_TID, .pid = gettid()};
    uid_t uids[2] = {77, 77};
    int fds[2];

    CHECK_OK(pipe(fds));
    CHECK_OK(fcntl(fds[0], F_SETOWN_EX, &owner));
    owner = (struct f_owner_ex){.type = 9};
    CHECK_OK(fcntl(fds[0], F_GETOWN_EX, &owner));
    CHECK_EQ(owner.type, F_OWNER_TID);
    CHECK_EQ(owner.pid, gettid());
    CHECK_OK(fcntl(fds[0], F_SETOWN, getpid()));
    CHECK_OK(fcntl(fds[0], F_GETOWN_EX, &owner));
    CHECK_EQ(owner.type, F_OWNER_PID);
    CHECK_OK(fcntl(fds[0], F_SETOWN, -getpgrp()));
    CHECK_OK(fcntl(fds[0], F_GETOWN_EX, &owner));
    CHECK_EQ(owner.type, F_OWNER_PGRP);
    CHECK_EQ(owner.pid, getpgrp());
    CHECK_EQ(fcntl(fds[0], F_GETSIG), 0);
    if (fcntl(fds[0], 17 /* F_GETOWNER_UIDS */, uids) == -1) {
        CHECK_EQ(errno, EINVAL); /* without checkpoint and restore */
        return;
    }
    CHECK_EQ(uids[0], getuid());
}

/* ---- statx ---- */

static struct statx statx_of(const char *path, int flags, unsigned mask)
{
    struct statx result;

    memset(&result, 0xff, sizeof(result));
    CHECK_OK(syscall(SYS_statx, AT_FDCWD, path, flags, mask, &result));
    return result;
}

TEST(statx_gives_each_field_that_is_asked_for)
{
    static const unsigned fields[] = {STATX_TYPE, STATX_MODE,  STATX_NLINK, STATX_UID,
                                      STATX_GID,  STATX_ATIME, STATX_MTIME, STATX_CTIME,
                                      STATX_INO,  STATX_SIZE,  STATX_BLOCKS};
    struct statx all;
    struct stat status;

    close(new_file());
    CHECK_OK(stat("file", &status));
    for (unsigned i = 0; i < sizeof(fields) / sizeof(*fields); i++)
        CHECK_EQ(statx_of("file", 0, fields[i]).stx_mask & fields[i], fields[i]);
    all = statx_of("file", AT_STATX_SYNC_AS_STAT, STATX_BASIC_STATS);
    CHECK_EQ(all.stx_mask & STATX_BASIC_STATS, STATX_BASIC_STATS);
    CHECK_EQ(all.stx_mode, status.st_mode);
    CHECK_EQ(all.stx_uid, status.st_uid);
    CHECK_EQ(all.stx_gid, status.st_gid);
    CHECK_EQ(all.stx_blocks, status.st_blocks);
    CHECK_EQ(all.stx_atime.tv_sec, status.st_atim.tv_sec);
    CHECK_EQ(all.stx_ctime.tv_nsec, status.st_ctim.tv_nsec);
    CHECK_EQ(all.stx_dev_major, major(status.st_dev));
    CHECK_EQ(all.stx_dev_minor, minor(status.st_dev));
    CHECK_EQ(all.stx_blksize, status.st_blksize);
}

TEST(statx_may_be_told_how_fresh_its_answer_must_be)
{
    struct statx result;

    close(new_file());
    CHECK_EQ(statx_of("file", AT_STATX_FORCE_SYNC, STATX_SIZE).stx_size, 10);
    CHECK_EQ(statx_of("file", AT_STATX_DONT_SYNC, STATX_SIZE).stx_size, 10);
    CHECK_ERRNO(syscall(SYS_statx, AT_FDCWD, "file", AT_STATX_SYNC_TYPE, STATX_SIZE, &result),
                EINVAL);
    CHECK_ERRNO(syscall(SYS_statx, AT_FDCWD, "file", 0, STATX__RESERVED, &result), EINVAL);
}

TEST(statx_tells_the_mount_and_its_root)
{
    struct statx root = statx_of("/proc", 0, STATX_MNT_ID | STATX_BTIME), below;

    CHECK_EQ(root.stx_mask & STATX_MNT_ID, STATX_MNT_ID);
    CHECK_EQ(root.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT, STATX_ATTR_MOUNT_ROOT);
    CHECK_EQ(root.stx_attributes & STATX_ATTR_MOUNT_ROOT, STATX_ATTR_MOUNT_ROOT);
    below = statx_of("/proc/version", 0, STATX_MNT_ID);
    CHECK_EQ(below.stx_mnt_id, root.stx_mnt_id);
    CHECK_EQ(below.stx_attributes & STATX_ATTR_MOUNT_ROOT, 0);
    CHECK_EQ(below.stx_attributes & (STATX_ATTR_COMPRESSED | STATX_ATTR_IMMUTABLE |
                                     STATX_ATTR_APPEND | STATX_ATTR_NODUMP | STATX_ATTR_ENCRYPTED |
                                     STATX_ATTR_VERITY | STATX_ATTR_DAX | STATX_ATTR_AUTOMOUNT),
             0);
}

/* ---- Types and modes ---- */

TEST(chmod_sets_each_bit_of_a_mode)
{
    static const mode_t bits[] = {S_ISUID, S_ISGID, S_ISVTX, S_IRUSR, S_IWUSR, S_IXUSR,
                                  S_IRGRP, S_IWGRP, S_IXGRP, S_IROTH, S_IWOTH, S_IXOTH};
    struct stat status;

    close(new_file());
    for (unsigned i = 0; i < sizeof(bits) / sizeof(*bits); i++) {
        CHECK_OK(chmod("file", bits[i]));
        CHECK_OK(stat("file", &status));
        CHECK_EQ(status.st_mode & ~S_IFMT, bits[i]);
    }
    CHECK_OK(chmod("file", S_IRWXU | S_IRWXG | S_IRWXO));
    CHECK_OK(stat("file", &status));
    CHECK_EQ(status.st_mode, S_IFREG | 0777);
}

TEST(mknod_makes_each_type_of_file)
{
    static const mode_t types[] = {S_IFREG, S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK};
    struct stat status;

    NEEDS_ROOT();
    close(new_file());
    for (unsigned i = 0; i < sizeof(types) / sizeof(*types); i++) {
        if (mknod("node", types[i] | S_IRUSR, makedev(1, 3)) == -1 && errno == EPERM)
            SKIP("no right to make devices here");
        CHECK_OK(stat("node", &status));
        CHECK_EQ(status.st_mode & S_IFMT, types[i]);
        CHECK_EQ(status.st_rdev, S_ISCHR(types[i]) || S_ISBLK(types[i]) ? makedev(1, 3) : 0);
        CHECK_OK(unlink("node"));
    }
    CHECK_ERRNO(mknod("node", S_IFDIR | S_IRWXU, 0), EPERM);
    CHECK_ERRNO(mknod("node", S_IFLNK | S_IRWXU, 0), EINVAL);
}

TEST(mknod_of_a_device_by_a_user_gives_eperm_where_the_name_is_free)
{
    NEEDS_ROOT();
    enter_empty_directory();
    CHECK_OK(chmod(".", 0777));
    write_file("file", "x");
    CHECK_OK(setresuid(65533, 65533, 65533));
    CHECK_ERRNO(mknod("null", S_IFCHR | 0600, makedev(1, 3)), EPERM);
    CHECK_ERRNO(mknod("file", S_IFCHR | 0600, makedev(1, 3)), EEXIST);
    CHECK_ERRNO(mknod("nowhere/null", S_IFCHR | 0600, makedev(1, 3)), ENOENT);
    CHECK_OK(mknod("whiteout", S_IFCHR | 0600, 0));
}

/* ---- Extended attributes' name spaces ---- */

TEST(xattr_name_spaces_decide_who_may_use_them)
{
    char value[8];
    pid_t child;

    NEEDS_ROOT();
    close(new_file());
    CHECK_OK(chmod("file", 0666));
    if (syscall(SYS_setxattr, "file", XATTR_TRUSTED_PREFIX "t", "1", 1, 0) == -1)
        SKIP("no trusted attributes here: errno %d", errno);
    CHECK_OK(syscall(SYS_setxattr, "file", XATTR_USER_PREFIX "u", "1", 1, 0));
    CHECK_ERRNO(syscall(SYS_setxattr, "file", XATTR_SYSTEM_PREFIX "none", "1", 1, 0), EOPNOTSUPP);
    CHECK_ERRNO(syscall(SYS_setxattr, "file", "none.x", "1", 1, 0), EOPNOTSUPP);
    CHECK_ERRNO(syscall(SYS_getxattr, "file", XATTR_NAME_CAPS, value, sizeof(value)), ENODATA);
    CHECK_ERRNO(syscall(SYS_getxattr, "file", XATTR_NAME_POSIX_ACL_ACCESS, value, sizeof(value)),
                ENODATA);
    CHECK_ERRNO(syscall(SYS_getxattr, ".", XATTR_NAME_POSIX_ACL_DEFAULT, value, sizeof(value)),
                ENODATA);
    child = CHECK_OK(fork());
    if (child == 0) {
        CHECK_OK(setresuid(2345, 2345, 2345));
        CHECK_ERRNO(syscall(SYS_setxattr, "file", XATTR_TRUSTED_PREFIX "t", "2", 1, 0), EPERM);
        CHECK_ERRNO(syscall(SYS_getxattr, "file", XATTR_TRUSTED_PREFIX "t", value, 8), ENODATA);
        CHECK_ERRNO(syscall(SYS_setxattr, "file", XATTR_SECURITY_PREFIX "s", "2", 1, 0), EPERM);
        CHECK_OK(syscall(SYS_setxattr, "file", XATTR_USER_PREFIX "u", "2", 1, 0));
        _exit(0);
    }
    CHECK_EXIT(child, 0);
}
