/*
 * Mount flags, each by its effect or its line in /proc/mounts; renameat2(2)'s flags in a tmpfs.
 *
 * covers: mount umount2 renameat2
 */
#include "guest.h"

#include <linux/fs.h>
#include <linux/mount.h>
#include <sys/statfs.h>

long mount_call(const char *source, const char *target, const char *type, unsigned long flags,
                const char *options);
long mount_call(const char *source, const char *target, const char *type, unsigned long flags,
                const char *options)
{
    return syscall(SYS_mount, source, target, type, flags, options);
}

#define UNMOUNT_LAZILY 2

/* Enters an empty directory with a tmpfs on "dir"; skips where mounting is not possible. */
static void enter_with(unsigned long flags)
{
    NEEDS_ROOT();
    enter_empty_directory();
    CHECK_OK(mkdir("dir", 0755));
    if (mount_call("tmpfs", "dir", "tmpfs", flags, "mode=0755") == -1)
        SKIP("no right to mount here: errno %d", errno);
    if (mount_call(NULL, "dir", NULL, MS_PRIVATE, NULL) == -1)
        SKIP("no right to change mounts here: errno %d", errno);
}

static void leave(void)
{
    CHECK_OK(chdir(guest.directory));
    while (syscall(SYS_umount2, "dir", UNMOUNT_LAZILY) == 0)
        ;
}

/* The options of "dir" in /proc/mounts, with a comma before and behind. */
static const char *options_of_mount(void)
{
    static char options[256];
    char text[64 * 1024], place[128], *line, *end;

    snprintf(place, sizeof(place), " %s/dir tmpfs ", guest.directory);
    read_file("/proc/mounts", text, sizeof(text));
    line = strstr(text, place);
    CHECK(line != NULL);
    line += strlen(place);
    end = strchr(line, ' ');
    snprintf(options, sizeof(options), ",%.*s,", (int)(end - line), line);
    return options;
}

static void check_option(unsigned long flag, const char *name)
{
    char wanted[32];

    snprintf(wanted, sizeof(wanted), ",%s,", name);
    CHECK_OK(mount_call(NULL, "dir", NULL, MS_REMOUNT | MS_BIND | flag, NULL));
    if (!strstr(options_of_mount(), wanted))
        CHECK_STR_EQ(options_of_mount(), wanted);
    CHECK_OK(mount_call(NULL, "dir", NULL, MS_REMOUNT | MS_BIND | MS_RELATIME, NULL));
    CHECK(strstr(options_of_mount(), wanted) == NULL);
}

TEST(proc_mounts_shows_each_flag_of_a_mount)
{
    enter_with(0);
    check_option(MS_RDONLY, "ro");
    check_option(MS_NOSUID, "nosuid");
    check_option(MS_NODEV, "nodev");
    check_option(MS_NOEXEC, "noexec");
    check_option(MS_NOATIME, "noatime");
    check_option(MS_NODIRATIME, "nodiratime");
    check_option(MS_NOSYMFOLLOW, "nosymfollow");
    CHECK(strstr(options_of_mount(), ",relatime,") != NULL);
    leave();
}

TEST(mount_with_nodev_opens_no_devices)
{
    enter_with(MS_NODEV);
    CHECK_OK(mknod("dir/null", S_IFCHR | 0666, 0x103));
    CHECK_ERRNO(open("dir/null", O_RDONLY), EACCES);
    leave();
}

TEST(mount_with_noexec_executes_and_maps_nothing)
{
    int fd;

    enter_with(MS_NOEXEC);
    write_file("dir/program", "#!/bin/true\n");
    CHECK_OK(chmod("dir/program", 0755));
    CHECK_ERRNO(execl("dir/program", "program", NULL), EACCES);
    CHECK_ERRNO(access("dir/program", X_OK), EACCES);
    fd = CHECK_OK(open("dir/program", O_RDONLY));
    CHECK_EQ(mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0), MAP_FAILED);
    CHECK_EQ(errno, EPERM);
    close(fd);
    leave();
}

TEST(mount_with_nosymfollow_follows_no_links)
{
    char target[16] = "";
    struct statfs system;

    enter_with(0);
    write_file("dir/file", "x");
    CHECK_OK(symlink("file", "dir/link"));
    CHECK_OK(mount_call(NULL, "dir", NULL, MS_REMOUNT | MS_BIND | MS_NOSYMFOLLOW, NULL));
    CHECK_OK(statfs("dir", &system));
    CHECK(system.f_flags & 0x2000); /* ST_NOSYMFOLLOW */
    CHECK_ERRNO(open("dir/link", O_RDONLY), ELOOP);
    CHECK_EQ(readlink("dir/link", target, sizeof(target) - 1), 4);
    CHECK_STR_EQ(target, "file");
    leave();
}

static void age(const char *path)
{
    struct timespec old[2] = {{1000, 0}, {2000, 0}};

    CHECK_OK(utimensat(AT_FDCWD, path, old, 0));
}

static int64_t accessed_after_read(const char *path)
{
    struct stat status;
    char byte;
    int fd = CHECK_OK(open(path, O_RDONLY));

    CHECK_EQ(read(fd, &byte, 1), 1);
    close(fd);
    CHECK_OK(stat(path, &status));
    return status.st_atime;
}

TEST(mount_decides_when_access_times_move)
{
    enter_with(MS_NOATIME);
    write_file("dir/file", "x");
    age("dir/file");
    CHECK_EQ(accessed_after_read("dir/file"), 1000);
    CHECK_OK(mount_call(NULL, "dir", NULL, MS_REMOUNT | MS_BIND, NULL)); /* keeps it */
    CHECK_EQ(accessed_after_read("dir/file"), 1000);
    CHECK_OK(mount_call(NULL, "dir", NULL, MS_REMOUNT | MS_BIND | MS_RELATIME, NULL));
    CHECK_GT(accessed_after_read("dir/file"), 2000); /* it was older than the change */
    CHECK_OK(mount_call(NULL, "dir", NULL, MS_REMOUNT | MS_BIND | MS_STRICTATIME, NULL));
    age("dir/file");
    CHECK_GT(accessed_after_read("dir/file"), 2000);
    CHECK(strstr(options_of_mount(), ",relatime,") == NULL);
    CHECK_OK(mount_call(NULL, "dir", NULL,
                        MS_REMOUNT | MS_BIND | MS_STRICTATIME | MS_NOATIME | MS_RELATIME, NULL));
    age("dir/file");
    CHECK_GT(accessed_after_read("dir/file"), 2000);
    CHECK(strstr(options_of_mount(), ",noatime,") == NULL);
    leave();
}

TEST(mount_takes_the_flags_of_other_file_systems)
{
    enter_with(MS_SYNCHRONOUS | MS_DIRSYNC | MS_SILENT | MS_LAZYTIME);
    write_file("dir/file", "x");
    CHECK_OK(mount_call("tmpfs", "dir", "tmpfs", MS_MGC_VAL | MS_NODEV, NULL)); /* of Linux 2.2 */
    CHECK_ERRNO(access("dir/file", F_OK), ENOENT);
    leave();
}

/* Whether "dir" has the optional field in /proc/self/mountinfo. */
static int mount_is_unbindable(void)
{
    char text[64 * 1024], place[128], *line;

    snprintf(place, sizeof(place), " %s/dir ", guest.directory);
    read_file("/proc/self/mountinfo", text, sizeof(text));
    line = strstr(text, place);
    CHECK(line != NULL);
    *strchrnul(line, '\n') = '\0';
    return strstr(line, " unbindable - tmpfs ") != NULL;
}

TEST(mount_changes_how_mounts_are_shared)
{
    enter_with(0);
    CHECK_OK(mount_call(NULL, "dir", NULL, MS_PRIVATE | MS_REC, NULL));
    CHECK_OK(mount_call(NULL, "dir", NULL, MS_SLAVE, NULL));
    CHECK_ERRNO(mount_call(NULL, "dir", NULL, MS_PRIVATE | MS_SLAVE, NULL), EINVAL);
    CHECK(!mount_is_unbindable());
    CHECK_OK(mount_call(NULL, "dir", NULL, MS_UNBINDABLE, NULL));
    CHECK(mount_is_unbindable());
    CHECK_OK(mkdir("other", 0755));
    CHECK_ERRNO(mount_call("dir", "other", NULL, MS_BIND, NULL), EINVAL);
    CHECK_OK(mount_call(NULL, "dir", NULL, MS_SLAVE, NULL));
    CHECK_ERRNO(mount_call("dir", "other", NULL, MS_BIND, NULL), EINVAL);
    CHECK_OK(mount_call(NULL, "dir", NULL, MS_PRIVATE, NULL));
    CHECK_ERRNO(mount_call(NULL, "other", NULL, MS_PRIVATE, NULL), EINVAL);
    leave();
}

TEST(mount_changes_how_all_mounts_below_are_shared)
{
    enter_with(0);
    CHECK_OK(mkdir("dir/one", 0755));
    CHECK_OK(mkdir("other", 0755));
    CHECK_OK(mount_call("tmpfs", "dir/one", "tmpfs", 0, NULL));
    CHECK_OK(mount_call(NULL, "dir", NULL, MS_UNBINDABLE, NULL));
    CHECK_OK(mount_call("dir/one", "other", NULL, MS_BIND, NULL));
    CHECK_OK(syscall(SYS_umount2, "other", 0));
    CHECK_OK(mount_call(NULL, "dir", NULL, MS_UNBINDABLE | MS_REC, NULL));
    CHECK_ERRNO(mount_call("dir/one", "other", NULL, MS_BIND, NULL), EINVAL);
    CHECK_OK(mount_call(NULL, "dir", NULL, MS_PRIVATE | MS_REC, NULL));
    CHECK_OK(mount_call("dir/one", "other", NULL, MS_BIND, NULL));
    CHECK_OK(syscall(SYS_umount2, "other", 0));
    leave();
}

TEST(mount_that_is_to_be_shared_and_moved_is_neither)
{
    enter_with(0);
    CHECK_OK(mkdir("other", 0755));
    CHECK_ERRNO(mount_call("dir", "other", NULL, MS_PRIVATE | MS_MOVE, NULL), EINVAL);
    CHECK_ERRNO(mount_call("dir", "dir", NULL, MS_PRIVATE | MS_MOVE, NULL), EINVAL);
    CHECK_OK(mount_call("dir", "other", NULL, MS_BIND | MS_PRIVATE, NULL)); /* bound */
    CHECK_OK(syscall(SYS_umount2, "other", 0));
    leave();
}

TEST(mount_moves_a_mount_with_what_is_in_it)
{
    enter_with(0);
    write_file("dir/file", "x");
    CHECK_OK(mount_call("dir", "dir", NULL, MS_BIND, NULL)); /* a parent that is private */
    CHECK_OK(mount_call(NULL, "dir", NULL, MS_PRIVATE, NULL));
    CHECK_OK(mkdir("dir/one", 0755));
    CHECK_OK(mkdir("dir/two", 0755));
    CHECK_OK(mount_call("tmpfs", "dir/one", "tmpfs", 0, NULL));
    write_file("dir/one/inner", "y");
    CHECK_OK(mount_call("dir/one", "dir/two", NULL, MS_MOVE, NULL));
    CHECK_ERRNO(access("dir/one/inner", F_OK), ENOENT);
    CHECK_OK(access("dir/two/inner", F_OK));
    CHECK_ERRNO(mount_call("dir/one", "dir/two", NULL, MS_MOVE, NULL), EINVAL);
    CHECK_ERRNO(mount_call("dir/two", "dir/two", NULL, MS_MOVE, NULL), ELOOP);
    leave();
}

/* ---- renameat2 ---- */

static long rename_with(const char *from, const char *to, unsigned flags)
{
    return syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, flags);
}

TEST(renameat2_exchanges_refuses_to_replace_and_leaves_a_whiteout)
{
    struct stat status;

    enter_with(0);
    write_file("dir/one", "1");
    write_file("dir/two", "22");
    CHECK_ERRNO(rename_with("dir/one", "dir/two", RENAME_NOREPLACE), EEXIST);
    CHECK_OK(rename_with("dir/one", "dir/two", RENAME_EXCHANGE));
    CHECK_OK(stat("dir/one", &status));
    CHECK_EQ(status.st_size, 2);
    CHECK_OK(rename_with("dir/one", "dir/three", RENAME_WHITEOUT));
    CHECK_OK(stat("dir/one", &status));
    CHECK_EQ(status.st_mode & S_IFMT, S_IFCHR);
    CHECK_EQ(status.st_rdev, 0);
    CHECK_ERRNO(rename_with("dir/two", "dir/three", RENAME_EXCHANGE | RENAME_WHITEOUT), EINVAL);
    CHECK_ERRNO(rename_with("dir/two", "dir/three", RENAME_EXCHANGE | RENAME_NOREPLACE), EINVAL);
    leave();
}
