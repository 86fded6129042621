/*
 * Mounted file systems, in a root of the test's own where the system lets it; extended attributes.
 *
 * covers: mount umount2 pivot_root setxattr lsetxattr fsetxattr getxattr lgetxattr fgetxattr
 * covers: listxattr llistxattr flistxattr removexattr lremovexattr fremovexattr sync_file_range
 */
#include "guest.h"

#include <dirent.h>
#include <grp.h>
#include <sys/mount.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

/* Enters an empty directory with a tmpfs on "dir"; skips where mounting is not possible. */
static void enter_with_tmpfs(void)
{
    NEEDS_ROOT();
    enter_empty_directory();
    CHECK_OK(mkdir("dir", 0755));
    if (mount("tmpfs", "dir", "tmpfs", 0, "mode=0750") == -1)
        SKIP("no right to mount here: errno %d", errno);
}

static void leave(void)
{
    CHECK_OK(chdir("/"));
}

/* Runs a set-user-ID copy of `id -u` in "dir" as another user; the first digit that it prints. */
static char id_of_set_user_id_program(void)
{
    char digit = '?';
    int fds[2];
    pid_t child;

    CHECK_OK(pipe(fds));
    child = CHECK_OK(fork());
    if (child == 0) {
        dup2(fds[1], 1);
        CHECK_OK(setgid(2345));
        CHECK_OK(setuid(2345));
        execl("dir/id", "id", "-u", NULL);
        _exit(1);
    }
    CHECK_EXIT(child, 0);
    CHECK_EQ(read(fds[0], &digit, 1), 1);
    return digit;
}

TEST(mount_with_nosuid_runs_set_user_id_programs_as_their_caller)
{
    if (access("/usr/bin/id", X_OK))
        SKIP("no id(1) here");
    enter_with_tmpfs();
    CHECK_OK(chmod(".", 0755));
    CHECK_OK(chmod("dir", 0755));
    CHECK_EQ(system("cp /usr/bin/id dir/id && chmod 4755 dir/id"), 0);
    CHECK_EQ(id_of_set_user_id_program(), '0');
    CHECK_OK(mount(NULL, "dir", NULL, MS_REMOUNT | MS_NOSUID, NULL));
    CHECK_EQ(id_of_set_user_id_program(), '2');
    CHECK_OK(umount("dir"));
    leave();
}

TEST(mount_of_tmpfs_hides_what_was_there_until_umount)
{
    struct stat before, after;

    NEEDS_ROOT();
    enter_empty_directory();
    CHECK_OK(mkdir("dir", 0755));
    write_file("dir/hidden", "");
    CHECK_OK(stat("dir", &before));
    if (mount("tmpfs", "dir", "tmpfs", 0, NULL) == -1)
        SKIP("no right to mount here: errno %d", errno);
    CHECK_ERRNO(access("dir/hidden", F_OK), ENOENT);
    CHECK_OK(stat("dir", &after));
    CHECK_NE(before.st_dev, after.st_dev);
    write_file("dir/file", "");
    CHECK_OK(umount2("dir", 0));
    CHECK_OK(access("dir/hidden", F_OK));
    CHECK_ERRNO(access("dir/file", F_OK), ENOENT);
}

TEST(mount_point_is_crossed_by_dot_dot_and_not_by_rename_or_link)
{
    struct stat above, here;

    enter_with_tmpfs();
    CHECK_OK(stat(".", &here));
    CHECK_OK(stat("dir/..", &above));
    CHECK_EQ(above.st_ino, here.st_ino);
    write_file("file", "");
    CHECK_ERRNO(rename("file", "dir/file"), EXDEV);
    CHECK_ERRNO(link("file", "dir/file"), EXDEV);
    CHECK_ERRNO(rmdir("dir"), EBUSY);
    CHECK_OK(umount2("dir", 0));
}

TEST(umount_of_a_busy_mount_gives_ebusy_and_lazily_works)
{
    int fd;

    enter_with_tmpfs();
    write_file("dir/file", "x");
    fd = CHECK_OK(open("dir/file", O_RDONLY));
    CHECK_ERRNO(umount2("dir", 0), EBUSY);
    CHECK_OK(umount2("dir", MNT_DETACH));
    CHECK_OK(close(fd));
    CHECK_ERRNO(access("dir/file", F_OK), ENOENT);
    CHECK_ERRNO(umount2("dir", 0), EINVAL);
}

TEST(mount_bind_shows_the_same_files)
{
    enter_with_tmpfs();
    CHECK_OK(mkdir("other", 0755));
    write_file("dir/file", "");
    CHECK_OK(mount("dir", "other", NULL, MS_BIND, NULL));
    CHECK_OK(access("other/file", F_OK));
    write_file("other/new", "");
    CHECK_OK(access("dir/new", F_OK));
    CHECK_OK(umount2("other", 0));
    CHECK_OK(umount2("dir", 0));
}

TEST(mount_read_only_gives_erofs)
{
    NEEDS_ROOT();
    enter_empty_directory();
    CHECK_OK(mkdir("dir", 0755));
    if (mount("tmpfs", "dir", "tmpfs", MS_RDONLY, NULL) == -1)
        SKIP("no right to mount here: errno %d", errno);
    CHECK_ERRNO(open("dir/file", O_WRONLY | O_CREAT, 0644), EROFS);
    CHECK_ERRNO(mkdir("dir/sub", 0755), EROFS);
    CHECK_OK(umount2("dir", 0));
}

TEST(mount_takes_the_last_of_equal_options_and_none_that_it_does_not_know)
{
    struct statfs statistics;

    enter_with_tmpfs();
    CHECK_OK(mount(NULL, "dir", NULL, MS_REMOUNT, "mode=0750,size=64k,nr_inodes=20,size=8k"));
    CHECK_OK(statfs("dir", &statistics));
    CHECK_EQ(statistics.f_blocks * statistics.f_bsize, 8192);
    CHECK_EQ(statistics.f_files, 20);
    CHECK_ERRNO(mount(NULL, "dir", NULL, MS_REMOUNT, "size=4k,bogus=1"), EINVAL);
    CHECK_ERRNO(mount("tmpfs", "dir", "tmpfs", 0, "sizes=1"), EINVAL);
    CHECK_ERRNO(mount("tmpfs", "dir", "tmpfs", 0, "size=lots"), EINVAL);
    CHECK_OK(mount("tmpfs", "dir", "tmpfs", 0, ",size=4k,,mode=0700,"));
    CHECK_OK(umount2("dir", 0));
    CHECK_OK(umount2("dir", 0));
    leave();
}

TEST(mount_errors_are_as_documented)
{
    enter_with_tmpfs();
    write_file("file", "");
    CHECK_ERRNO(mount("x", "dir", "no-such-type", 0, NULL), ENODEV);
    CHECK_ERRNO(mount("tmpfs", "missing", "tmpfs", 0, NULL), ENOENT);
    CHECK_ERRNO(mount("tmpfs", "file", "tmpfs", 0, NULL), ENOTDIR);
    CHECK_ERRNO(umount2("missing", 0), ENOENT);
    CHECK_ERRNO(umount2("file", 0), EINVAL);
    CHECK_ERRNO(umount2("dir", 0x100), EINVAL);
    CHECK_ERRNO(syscall(SYS_pivot_root, "dir", "."), EBUSY);
    CHECK_OK(umount2("dir", 0));
    CHECK_OK(syscall(SYS_setuid, 1000));
    CHECK_ERRNO(mount("tmpfs", "dir", "tmpfs", 0, NULL), EPERM);
    CHECK_ERRNO(umount2("/proc", 0), EPERM);
    CHECK_ERRNO(syscall(SYS_pivot_root, ".", "."), EPERM);
    leave();
}

/* ---- Extended attributes ---- */

/* As somebody without rights: which of process 1 and the child itself `directory` lists. */
static int processes_listed(const char *directory)
{
    char own[16];
    int seen = 0;
    DIR *stream = opendir(directory);
    struct dirent *entry;

    snprintf(own, sizeof(own), "%d", getpid());
    CHECK(stream);
    while ((entry = readdir(stream)))
        seen |= strcmp(entry->d_name, "1") == 0 ? 1 : strcmp(entry->d_name, own) == 0 ? 2 : 0;
    closedir(stream);
    return seen;
}

/* What a child without rights sees of process 1; `groups` are its supplementary ones. */
static int child_that_looks(int listed, int error, size_t count, const gid_t *groups)
{
    int directory = CHECK_OK(open("proc/1", O_RDONLY | O_DIRECTORY));
    pid_t child = CHECK_OK(fork());

    if (child == 0) {
        struct stat attributes;
        int result;

        CHECK_OK(setgroups(count, groups));
        CHECK_OK(syscall(SYS_setresgid, 65534, 65534, 65534));
        CHECK_OK(syscall(SYS_setresuid, 65534, 65534, 65534));
        CHECK_EQ(processes_listed("proc"), listed);
        CHECK_EQ(stat("proc/1", &attributes) == 0 ? 0 : errno, listed & 1 ? 0 : ENOENT);
        result = access("proc/1/status", R_OK) == 0 ? 0 : errno;
        CHECK(result == error || (result == ENOENT && !(listed & 1)));
        CHECK_EQ(faccessat(directory, "status", R_OK, 0) == 0 ? 0 : errno, error);
        CHECK_OK(access("proc/self/environ", F_OK));
        CHECK_OK(access("proc/uptime", R_OK));
        _exit(0);
    }
    CHECK_OK(close(directory));
    return child;
}

TEST(mount_of_proc_with_hidepid_hides_processes_of_others)
{
    static const gid_t group = 4711;

    char program[64];

    NEEDS_ROOT();
    if (readlink("/proc/1/exe", program, sizeof(program)) == -1)
        SKIP("root may not look at process 1 here: errno %d", errno);
    enter_empty_directory();
    CHECK_OK(mkdir("proc", 0755));
    if (mount("proc", "proc", "proc", 0, "hidepid=invisible,gid=4711") == -1)
        SKIP("no right to mount here: errno %d", errno);
    CHECK_EQ(processes_listed("proc"), 3); /* root sees everybody */
    CHECK_EXIT(child_that_looks(2, ENOENT, 0, NULL), 0);
    CHECK_EXIT(child_that_looks(3, 0, 1, &group), 0);
    CHECK_OK(mount("proc", "proc", "proc", MS_REMOUNT, "hidepid=noaccess"));
    CHECK_EXIT(child_that_looks(3, EPERM, 0, NULL), 0);
    CHECK_EXIT(child_that_looks(3, 0, 1, &group), 0);
    CHECK_OK(mount("proc", "proc", "proc", MS_REMOUNT, "hidepid=ptraceable"));
    CHECK_EXIT(child_that_looks(2, EPERM, 1, &group), 0);
    CHECK_OK(mount("proc", "proc", "proc", MS_REMOUNT, "hidepid=0"));
    CHECK_EXIT(child_that_looks(3, 0, 0, NULL), 0);
    CHECK_ERRNO(mount("proc", "proc", "proc", MS_REMOUNT, "hidepid=3"), EINVAL);
    CHECK_ERRNO(mount("proc", "proc", "proc", MS_REMOUNT, "no_such_option"), EINVAL);
    CHECK_OK(mount("proc", "proc", "proc", MS_REMOUNT, "gid=0"));
    CHECK_OK(umount("proc"));
}

TEST(setxattr_getxattr_listxattr_and_removexattr_agree)
{
    char value[20] = "", names[100] = "";

    enter_empty_directory();
    write_file("file", "");
    if (setxattr("file", "user.one", "1", 1, 0) == -1 && errno == EOPNOTSUPP)
        SKIP("this file system has no attributes");
    CHECK_OK(setxattr("file", "user.two", "two", 3, XATTR_CREATE));
    CHECK_EQ(getxattr("file", "user.two", value, sizeof(value)), 3);
    CHECK_MEM_EQ(value, "two", 3);
    CHECK_EQ(getxattr("file", "user.two", NULL, 0), 3);
    CHECK_EQ(listxattr("file", NULL, 0), 18);
    CHECK_EQ(listxattr("file", names, sizeof(names)), 18);
    CHECK_OK(removexattr("file", "user.one"));
    CHECK_EQ(listxattr("file", names, sizeof(names)), 9);
    CHECK_STR_EQ(names, "user.two");
}

TEST(setxattr_by_descriptor_and_on_a_link)
{
    char value[20] = "";
    int fd;

    enter_empty_directory();
    write_file("file", "");
    fd = CHECK_OK(open("file", O_RDWR));
    if (fsetxattr(fd, "user.a", "abc", 3, 0) == -1 && errno == EOPNOTSUPP)
        SKIP("this file system has no attributes");
    CHECK_EQ(fgetxattr(fd, "user.a", value, sizeof(value)), 3);
    CHECK_EQ(flistxattr(fd, value, sizeof(value)), 7);
    CHECK_OK(symlink("file", "link"));
    CHECK_EQ(getxattr("link", "user.a", value, sizeof(value)), 3);
    CHECK_ERRNO(lsetxattr("link", "user.a", "x", 1, 0), EPERM);
    CHECK_ERRNO(lgetxattr("link", "user.a", value, sizeof(value)), ENODATA);
    CHECK_EQ(llistxattr("link", value, sizeof(value)), 0);
    CHECK_ERRNO(lremovexattr("link", "user.a"), EPERM);
    CHECK_OK(fremovexattr(fd, "user.a"));
    CHECK_ERRNO(fgetxattr(fd, "user.a", value, sizeof(value)), ENODATA);
}

TEST(xattr_of_a_pipe_is_not_supported)
{
    char value[16];
    int fds[2];

    CHECK_OK(pipe(fds));
    CHECK_EQ(flistxattr(fds[0], value, sizeof(value)), 0);
    CHECK_ERRNO(fgetxattr(fds[0], "user.a", value, sizeof(value)), ENODATA);
    CHECK_ERRNO(fsetxattr(fds[0], "user.a", "x", 1, 0), EPERM);
}

TEST(xattr_errors_are_as_documented)
{
    static char name[300] = "user.";
    char value[2];

    enter_empty_directory();
    write_file("file", "");
    if (setxattr("file", "user.a", "abc", 3, 0) == -1 && errno == EOPNOTSUPP)
        SKIP("this file system has no attributes");
    CHECK_ERRNO(setxattr("file", "user.a", "x", 1, XATTR_CREATE), EEXIST);
    CHECK_ERRNO(setxattr("file", "user.b", "x", 1, XATTR_REPLACE), ENODATA);
    CHECK_ERRNO(setxattr("file", "user.b", "x", 1, 0x100), EINVAL);
    CHECK_ERRNO(setxattr("file", "nonsense", "x", 1, 0), EOPNOTSUPP);
    CHECK_ERRNO(setxattr("file", "user.", "x", 1, 0), EINVAL);
    CHECK_ERRNO(getxattr("file", "user.", value, sizeof(value)), EINVAL);
    CHECK_ERRNO(removexattr("file", "user."), EINVAL);
    memset(name + 5, 'n', sizeof(name) - 6);
    CHECK_ERRNO(setxattr("file", name, "x", 1, 0), ERANGE);
    CHECK_ERRNO(getxattr("file", "user.a", value, sizeof(value)), ERANGE);
    CHECK_ERRNO(getxattr("file", "user.b", value, sizeof(value)), ENODATA);
    CHECK_ERRNO(listxattr("file", value, sizeof(value)), ERANGE);
    CHECK_ERRNO(removexattr("file", "user.b"), ENODATA);
    CHECK_ERRNO(getxattr("missing", "user.a", value, sizeof(value)), ENOENT);
    CHECK_ERRNO(fgetxattr(77, "user.a", value, sizeof(value)), EBADF);
}

TEST(sync_file_range_checks_its_arguments)
{
    int fd, fds[2];

    enter_empty_directory();
    fd = CHECK_OK(open("file", O_RDWR | O_CREAT, 0644));
    CHECK_OK(syscall(SYS_sync_file_range, fd, 0L, 0L, 7));
    CHECK_ERRNO(syscall(SYS_sync_file_range, fd, 0L, 0L, 0x100), EINVAL);
    CHECK_ERRNO(syscall(SYS_sync_file_range, fd, -1L, 0L, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_sync_file_range, 77, 0L, 0L, 0), EBADF);
    CHECK_OK(pipe(fds));
    CHECK_ERRNO(syscall(SYS_sync_file_range, fds[0], 0L, 0L, 0), ESPIPE);
}
