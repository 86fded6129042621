/*
 * What is known of a file: stat and its relatives, modes, owners, times, and file systems.
 *
 * covers: stat fstat lstat newfstatat statx chmod fchmod fchmodat chown fchown lchown fchownat
 * covers: utime utimes futimesat utimensat umask statfs fstatfs access faccessat faccessat2
 */
#include "guest.h"

#include <grp.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <utime.h>

static struct stat status_of(const char *path)
{
    struct stat status;

    CHECK_OK(lstat(path, &status));
    return status;
}

TEST(stat_tells_kind_size_owner_and_blocks)
{
    struct stat status;

    enter_empty_directory();
    write_file("file", "hello");
    CHECK_OK(stat("file", &status));
    CHECK(S_ISREG(status.st_mode));
    CHECK_EQ(status.st_size, 5);
    CHECK_EQ(status.st_uid, geteuid());
    CHECK_EQ(status.st_nlink, 1);
    CHECK_GT(status.st_ino, 0);
    CHECK_GE(status.st_blksize, 512);
    CHECK_OK(stat(".", &status));
    CHECK(S_ISDIR(status.st_mode));
    CHECK_OK(stat("/dev/zero", &status));
    CHECK(S_ISCHR(status.st_mode));
    CHECK_EQ(status.st_rdev, makedev(1, 5));
}

TEST(stat_follows_links_and_lstat_does_not)
{
    struct stat status;

    enter_empty_directory();
    write_file("file", "hello");
    CHECK_OK(symlink("file", "link"));
    CHECK_OK(stat("link", &status));
    CHECK(S_ISREG(status.st_mode));
    CHECK_OK(lstat("link", &status));
    CHECK(S_ISLNK(status.st_mode));
    CHECK_EQ(status.st_size, 4);
}

TEST(stat_errors_are_as_documented)
{
    struct stat status;

    enter_empty_directory();
    write_file("file", "");
    CHECK_ERRNO(syscall(SYS_stat, "missing", &status), ENOENT);
    CHECK_ERRNO(syscall(SYS_stat, "file/x", &status), ENOTDIR);
    CHECK_ERRNO(syscall(SYS_stat, "file", bad_address()), EFAULT);
    CHECK_ERRNO(syscall(SYS_stat, "", &status), ENOENT);
    CHECK_ERRNO(syscall(SYS_lstat, bad_address(), &status), EFAULT);
    CHECK_ERRNO(syscall(SYS_fstat, 77, &status), EBADF);
    CHECK_ERRNO(syscall(SYS_newfstatat, AT_FDCWD, "file", &status, 0x10000000), EINVAL);
}

TEST(newfstatat_with_empty_path_is_fstat)
{
    struct stat status;
    int fd;

    enter_empty_directory();
    write_file("file", "abc");
    fd = CHECK_OK(open("file", O_RDONLY));
    CHECK_OK(syscall(SYS_newfstatat, fd, "", &status, AT_EMPTY_PATH));
    CHECK_EQ(status.st_size, 3);
    CHECK_OK(syscall(SYS_newfstatat, CHECK_OK(open(".", O_RDONLY)), "file", &status, 0));
    CHECK_EQ(status.st_size, 3);
}

struct statx_result {
    uint32_t mask, block_size;
    uint64_t attributes;
    uint32_t links, user, group;
    uint16_t mode, pad;
    uint64_t inode, size, blocks, attributes_mask;
    struct {
        int64_t seconds;
        uint32_t nanoseconds;
        int32_t pad;
    } access, birth, change, modify;
    uint32_t rest[64];
};

TEST(statx_agrees_with_stat)
{
    struct statx_result extended;
    struct stat status;

    enter_empty_directory();
    write_file("file", "abcd");
    CHECK_OK(syscall(SYS_statx, AT_FDCWD, "file", 0, 0x7ff, &extended));
    status = status_of("file");
    CHECK_EQ(extended.mask & 0x7ff, 0x7ff);
    CHECK_EQ(extended.size, 4);
    CHECK_EQ(extended.inode, status.st_ino);
    CHECK_EQ(extended.mode, status.st_mode);
    CHECK_EQ(extended.links, 1);
    CHECK_EQ(extended.modify.seconds, status.st_mtim.tv_sec);
    CHECK_EQ(extended.modify.nanoseconds, status.st_mtim.tv_nsec);
    CHECK_ERRNO(syscall(SYS_statx, AT_FDCWD, "missing", 0, 0x7ff, &extended), ENOENT);
    CHECK_ERRNO(syscall(SYS_statx, AT_FDCWD, "file", 0x10000000, 0x7ff, &extended), EINVAL);
    CHECK_ERRNO(syscall(SYS_statx, AT_FDCWD, "file", 0, 0x80000000u, &extended), EINVAL);
    CHECK_ERRNO(syscall(SYS_statx, AT_FDCWD, "file", 0, 0x7ff, bad_address()), EFAULT);
}

TEST(chmod_changes_the_mode_and_the_change_time)
{
    struct stat before, after;

    enter_empty_directory();
    write_file("file", "");
    before = status_of("file");
    sleep_ms(20);
    CHECK_OK(chmod("file", 04711));
    after = status_of("file");
    CHECK_EQ(after.st_mode, S_IFREG | 04711);
    CHECK(after.st_ctim.tv_sec > before.st_ctim.tv_sec ||
          after.st_ctim.tv_nsec > before.st_ctim.tv_nsec);
    CHECK_EQ(after.st_mtim.tv_nsec, before.st_mtim.tv_nsec);
    CHECK_OK(fchmod(CHECK_OK(open("file", O_RDONLY)), 0600));
    CHECK_EQ(status_of("file").st_mode, S_IFREG | 0600);
    CHECK_OK(fchmodat(AT_FDCWD, "file", 0640, 0));
    CHECK_EQ(status_of("file").st_mode, S_IFREG | 0640);
    CHECK_ERRNO(chmod("missing", 0), ENOENT);
    CHECK_ERRNO(fchmod(77, 0), EBADF);
}

TEST(chown_changes_owner_and_group_and_keeps_minus_one)
{
    NEEDS_ROOT();
    enter_empty_directory();
    write_file("file", "");
    CHECK_OK(chown("file", 1000, 2000));
    CHECK_EQ(status_of("file").st_uid, 1000);
    CHECK_EQ(status_of("file").st_gid, 2000);
    CHECK_OK(chown("file", -1, 3000));
    CHECK_EQ(status_of("file").st_uid, 1000);
    CHECK_EQ(status_of("file").st_gid, 3000);
    CHECK_OK(symlink("file", "link"));
    CHECK_OK(lchown("link", 5, 6));
    CHECK_EQ(status_of("link").st_uid, 5);
    CHECK_EQ(status_of("file").st_uid, 1000);
    CHECK_OK(fchownat(AT_FDCWD, "link", 7, -1, AT_SYMLINK_NOFOLLOW));
    CHECK_EQ(status_of("link").st_uid, 7);
    CHECK_OK(fchown(CHECK_OK(open("file", O_RDONLY)), 8, 9));
    CHECK_EQ(status_of("file").st_uid, 8);
    CHECK_ERRNO(chown("missing", 0, 0), ENOENT);
    CHECK_ERRNO(fchown(77, 0, 0), EBADF);
    CHECK_ERRNO(fchownat(AT_FDCWD, "file", 0, 0, 0x10000000), EINVAL);
}

TEST(chown_clears_set_id_bits)
{
    NEEDS_ROOT();
    enter_empty_directory();
    write_file("file", "");
    CHECK_OK(chmod("file", 06755));
    CHECK_OK(chown("file", 1000, 1000));
    CHECK_EQ(status_of("file").st_mode, S_IFREG | 0755);
}

TEST(chmod_and_chown_of_others_files_give_eperm)
{
    pid_t child;

    NEEDS_ROOT();
    enter_empty_directory();
    CHECK_OK(chmod(".", 0777));
    write_file("roots", "");
    child = CHECK_OK(fork());
    if (child == 0) {
        CHECK_OK(setresgid(12345, 12345, 12345));
        CHECK_OK(setresuid(12345, 12345, 12345));
        CHECK_ERRNO(chmod("roots", 0666), EPERM);
        CHECK_ERRNO(chown("roots", 12345, -1), EPERM);
        write_file("own", "");
        CHECK_OK(chmod("own", 0600));
        CHECK_ERRNO(chown("own", 1, -1), EPERM);
        CHECK_ERRNO(chown("own", -1, 1), EPERM);
        CHECK_OK(chown("own", -1, 12345));
        CHECK_ERRNO(utimensat(AT_FDCWD, "roots", NULL, 0), EACCES);
        _exit(0);
    }
    CHECK_EXIT(child, 0);
}

TEST(write_moves_modification_and_change_time)
{
    struct stat before, after;
    int fd;

    enter_empty_directory();
    write_file("file", "x");
    before = status_of("file");
    sleep_ms(20);
    fd = CHECK_OK(open("file", O_WRONLY));
    CHECK_EQ(write(fd, "y", 1), 1);
    after = status_of("file");
    CHECK_NE(after.st_mtim.tv_nsec, before.st_mtim.tv_nsec);
    CHECK_EQ(after.st_mtim.tv_nsec, after.st_ctim.tv_nsec);
}

TEST(directory_times_move_when_a_name_comes_or_goes)
{
    struct stat before, after;

    enter_empty_directory();
    before = status_of(".");
    sleep_ms(20);
    write_file("file", "x");
    after = status_of(".");
    CHECK_NE(after.st_mtim.tv_nsec, before.st_mtim.tv_nsec);
    sleep_ms(20);
    CHECK_OK(unlink("file"));
    CHECK_NE(status_of(".").st_mtim.tv_nsec, after.st_mtim.tv_nsec);
}

TEST(utimensat_sets_now_omits_and_takes_any_time)
{
    struct timespec times[2] = {{1000000000, 123456789}, {2000000000, 5}};
    struct stat status;

    enter_empty_directory();
    write_file("file", "");
    CHECK_OK(utimensat(AT_FDCWD, "file", times, 0));
    status = status_of("file");
    CHECK_EQ(status.st_atim.tv_sec, 1000000000);
    CHECK_EQ(status.st_atim.tv_nsec, 123456789);
    CHECK_EQ(status.st_mtim.tv_sec, 2000000000);
    times[0].tv_nsec = UTIME_OMIT;
    times[1].tv_nsec = UTIME_NOW;
    CHECK_OK(utimensat(AT_FDCWD, "file", times, 0));
    status = status_of("file");
    CHECK_EQ(status.st_atim.tv_sec, 1000000000);
    CHECK_NE(status.st_mtim.tv_sec, 2000000000);
    CHECK_OK(futimens(CHECK_OK(open("file", O_RDWR)), NULL));
    times[0].tv_nsec = 1000000000;
    CHECK_ERRNO(utimensat(AT_FDCWD, "file", times, 0), EINVAL);
    CHECK_ERRNO(utimensat(AT_FDCWD, "missing", NULL, 0), ENOENT);
    CHECK_ERRNO(syscall(SYS_utimensat, AT_FDCWD, "file", NULL, 0x10000000), EINVAL);
}

TEST(utime_and_utimes_set_both_times)
{
    struct utimbuf seconds = {100, 200};
    struct timeval times[2] = {{300, 7}, {400, 8}};

    enter_empty_directory();
    write_file("file", "");
    CHECK_OK(syscall(SYS_utime, "file", &seconds));
    CHECK_EQ(status_of("file").st_atim.tv_sec, 100);
    CHECK_EQ(status_of("file").st_mtim.tv_sec, 200);
    CHECK_OK(syscall(SYS_utimes, "file", times));
    CHECK_EQ(status_of("file").st_atim.tv_nsec, 7000);
    CHECK_EQ(status_of("file").st_mtim.tv_sec, 400);
    times[0].tv_usec = 1000000;
    CHECK_ERRNO(syscall(SYS_utimes, "file", times), EINVAL);
}

TEST(umask_returns_the_one_before_and_keeps_nine_bits)
{
    umask(022);
    CHECK_EQ(umask(07777), 022);
    CHECK_EQ(umask(0), 0777);
}

TEST(statfs_describes_the_file_system)
{
    struct statfs system;

    CHECK_OK(statfs("/proc", &system));
    CHECK_EQ(system.f_type, 0x9fa0);
    CHECK_OK(statfs("/tmp", &system));
    CHECK_GT(system.f_bsize, 0);
    CHECK_GT(system.f_blocks, 0);
    CHECK_GE(system.f_blocks, system.f_bfree);
    CHECK_EQ(system.f_namelen, 255);
    CHECK_OK(fstatfs(CHECK_OK(open("/dev/shm", O_RDONLY)), &system));
    CHECK_EQ(system.f_type, 0x01021994);
    CHECK_ERRNO(statfs("/nowhere", &system), ENOENT);
    CHECK_ERRNO(fstatfs(77, &system), EBADF);
    CHECK_ERRNO(syscall(SYS_statfs, "/tmp", bad_address()), EFAULT);
}

/* ---- Permissions ---- */

static void become_nobody(void)
{
    gid_t group = 12345;

    CHECK_OK(setgroups(1, &group));
    CHECK_OK(setresgid(12345, 12345, 12345));
    CHECK_OK(setresuid(12345, 12345, 12345));
}

TEST(access_answers_for_the_real_ids)
{
    pid_t child;

    enter_empty_directory();
    write_file("file", "");
    CHECK_OK(access("file", R_OK | W_OK));
    CHECK_ERRNO(access("file", X_OK), EACCES);
    CHECK_ERRNO(access("file", 99), EINVAL);
    CHECK_ERRNO(access("missing", F_OK), ENOENT);
    CHECK_ERRNO(access("file/x", F_OK), ENOTDIR);
    NEEDS_ROOT();
    CHECK_OK(chmod("file", 0600));
    child = CHECK_OK(fork());
    if (child == 0) {
        CHECK_OK(setresuid(12345, 0, 0));
        CHECK_ERRNO(access("file", R_OK), EACCES);
        CHECK_OK(syscall(SYS_faccessat2, AT_FDCWD, "file", R_OK, AT_EACCESS));
        CHECK_ERRNO(syscall(SYS_faccessat2, AT_FDCWD, "file", R_OK, 0x10000000), EINVAL);
        _exit(0);
    }
    CHECK_EXIT(child, 0);
}

TEST(permission_is_of_owner_else_group_else_others)
{
    pid_t child;

    NEEDS_ROOT();
    enter_empty_directory();
    CHECK_OK(chmod(".", 0755));
    write_file("owner", "");
    CHECK_OK(chown("owner", 12345, 12345));
    CHECK_OK(chmod("owner", 0077)); /* the owner's bits count, though others may */
    write_file("group", "");
    CHECK_OK(chown("group", 1, 12345));
    CHECK_OK(chmod("group", 0707));
    write_file("others", "");
    CHECK_OK(chmod("others", 0770));
    write_file("read", "");
    CHECK_OK(chmod("read", 0444));
    child = CHECK_OK(fork());
    if (child == 0) {
        become_nobody();
        CHECK_ERRNO(open("owner", O_RDONLY), EACCES);
        CHECK_ERRNO(open("group", O_RDONLY), EACCES);
        CHECK_ERRNO(open("others", O_RDONLY), EACCES);
        CHECK_OK(open("read", O_RDONLY));
        CHECK_ERRNO(open("read", O_WRONLY), EACCES);
        CHECK_ERRNO(open("read", O_RDONLY | O_TRUNC), EACCES);
        _exit(0);
    }
    CHECK_EXIT(child, 0);
    CHECK_OK(open("owner", O_RDWR)); /* root may */
}

TEST(permission_to_search_and_write_a_directory)
{
    pid_t child;

    NEEDS_ROOT();
    enter_empty_directory();
    CHECK_OK(chmod(".", 0755));
    CHECK_OK(mkdir("closed", 0700));
    write_file("closed/file", "");
    CHECK_OK(mkdir("listed", 0744));
    CHECK_OK(mkdir("searched", 0711));
    write_file("searched/file", "");
    child = CHECK_OK(fork());
    if (child == 0) {
        become_nobody();
        CHECK_ERRNO(open("closed/file", O_RDONLY), EACCES);
        CHECK_ERRNO(chdir("closed"), EACCES);
        CHECK_ERRNO(chdir("listed"), EACCES);
        CHECK_OK(open("listed", O_RDONLY));
        CHECK_ERRNO(open("searched", O_RDONLY), EACCES);
        CHECK_OK(open("searched/file", O_RDONLY));
        CHECK_ERRNO(open("new", O_WRONLY | O_CREAT, 0644), EACCES);
        CHECK_ERRNO(mkdir("new", 0755), EACCES);
        CHECK_ERRNO(unlink("searched/file"), EACCES);
        CHECK_ERRNO(rename("searched/file", "x"), EACCES);
        CHECK_ERRNO(symlink("x", "new"), EACCES);
        _exit(0);
    }
    CHECK_EXIT(child, 0);
}

TEST(permission_in_a_sticky_directory)
{
    pid_t child;

    NEEDS_ROOT();
    enter_empty_directory();
    CHECK_OK(chmod(".", 01777));
    write_file("roots", "");
    child = CHECK_OK(fork());
    if (child == 0) {
        become_nobody();
        write_file("own", "");
        CHECK_ERRNO(unlink("roots"), EPERM);
        CHECK_ERRNO(rename("roots", "x"), EPERM);
        CHECK_ERRNO(rename("own", "roots"), EPERM);
        CHECK_OK(unlink("own"));
        _exit(0);
    }
    CHECK_EXIT(child, 0);
}

TEST(permission_of_the_set_group_id_directory_is_inherited)
{
    NEEDS_ROOT();
    enter_empty_directory();
    CHECK_OK(mkdir("dir", 0755));
    CHECK_OK(chown("dir", 0, 4321));
    CHECK_OK(chmod("dir", 02775));
    write_file("dir/file", "");
    CHECK_EQ(status_of("dir/file").st_gid, 4321);
    CHECK_OK(mkdir("dir/sub", 0755));
    CHECK_EQ(status_of("dir/sub").st_gid, 4321);
    CHECK_EQ(status_of("dir/sub").st_mode & 02000, 02000);
}
