/*
 * Names: making, linking, renaming and removing them, listing directories, where a process stands.
 *
 * covers: link linkat unlink unlinkat rename renameat renameat2 symlink symlinkat readlink
 * covers: readlinkat mkdir mkdirat rmdir getdents getdents64 chdir fchdir getcwd chroot
 */
#include "guest.h"

#include <dirent.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdbool.h>

static struct stat status_of(const char *path)
{
    struct stat status;

    CHECK_OK(lstat(path, &status));
    return status;
}

TEST(link_makes_a_second_name_of_one_file)
{
    char text[10];

    enter_empty_directory();
    write_file("one", "abc");
    CHECK_OK(link("one", "two"));
    CHECK_EQ(status_of("one").st_ino, status_of("two").st_ino);
    CHECK_EQ(status_of("one").st_nlink, 2);
    write_file("two", "changed");
    CHECK_STR_EQ(read_file("one", text, sizeof(text)), "changed");
    CHECK_OK(unlink("one"));
    CHECK_EQ(status_of("two").st_nlink, 1);
}

TEST(link_errors_are_as_documented)
{
    enter_empty_directory();
    write_file("one", "");
    write_file("two", "");
    CHECK_OK(mkdir("dir", 0755));
    CHECK_ERRNO(link("one", "two"), EEXIST);
    CHECK_ERRNO(link("missing", "three"), ENOENT);
    CHECK_ERRNO(link("one", "missing/three"), ENOENT);
    CHECK_ERRNO(link("dir", "three"), EPERM);
    CHECK_ERRNO(link("one/x", "three"), ENOTDIR);
    CHECK_ERRNO(syscall(SYS_linkat, AT_FDCWD, "one", AT_FDCWD, "three", 0x10), EINVAL);
}

TEST(linkat_follows_links_only_when_asked)
{
    enter_empty_directory();
    write_file("file", "");
    CHECK_OK(symlink("file", "link"));
    CHECK_OK(linkat(AT_FDCWD, "link", AT_FDCWD, "of-link", 0));
    CHECK(S_ISLNK(status_of("of-link").st_mode));
    CHECK_OK(linkat(AT_FDCWD, "link", AT_FDCWD, "of-file", AT_SYMLINK_FOLLOW));
    CHECK(S_ISREG(status_of("of-file").st_mode));
}

TEST(unlink_leaves_an_open_file_usable)
{
    struct stat status;
    char byte;
    int fd;

    enter_empty_directory();
    write_file("file", "abc");
    fd = CHECK_OK(open("file", O_RDWR));
    CHECK_OK(unlink("file"));
    CHECK_ERRNO(open("file", O_RDONLY), ENOENT);
    CHECK_EQ(read(fd, &byte, 1), 1);
    CHECK_EQ(write(fd, "x", 1), 1);
    CHECK_OK(fstat(fd, &status));
    CHECK_EQ(status.st_nlink, 0);
}

TEST(unlink_errors_are_as_documented)
{
    enter_empty_directory();
    CHECK_OK(mkdir("dir", 0755));
    write_file("file", "");
    CHECK_ERRNO(unlink("missing"), ENOENT);
    CHECK_ERRNO(unlink("dir"), EISDIR);
    CHECK_ERRNO(unlink("file/x"), ENOTDIR);
    CHECK_ERRNO(unlink(""), ENOENT);
    CHECK_ERRNO(unlinkat(AT_FDCWD, "file", AT_REMOVEDIR), ENOTDIR);
    CHECK_ERRNO(syscall(SYS_unlinkat, AT_FDCWD, "file", 0x1000), EINVAL);
    CHECK_ERRNO(unlinkat(77, "file", 0), EBADF);
    CHECK_OK(unlinkat(AT_FDCWD, "dir", AT_REMOVEDIR));
}

TEST(mkdir_makes_a_directory_with_its_dots)
{
    enter_empty_directory();
    umask(022);
    CHECK_OK(mkdir("dir", 0777));
    CHECK_EQ(status_of("dir").st_mode, S_IFDIR | 0755);
    CHECK_EQ(status_of("dir").st_nlink, 2);
    CHECK_EQ(status_of("dir/.").st_ino, status_of("dir").st_ino);
    CHECK_EQ(status_of("dir/..").st_ino, status_of(".").st_ino);
    CHECK_EQ(status_of(".").st_nlink, 3);
    CHECK_OK(mkdirat(CHECK_OK(open("dir", O_RDONLY)), "sub/", 0700));
    CHECK_EQ(status_of("dir").st_nlink, 3);
}

TEST(mkdir_errors_are_as_documented)
{
    enter_empty_directory();
    write_file("file", "");
    CHECK_ERRNO(mkdir("file", 0755), EEXIST);
    CHECK_ERRNO(mkdir(".", 0755), EEXIST);
    CHECK_ERRNO(mkdir("/", 0755), EEXIST);
    CHECK_ERRNO(mkdir("missing/dir", 0755), ENOENT);
    CHECK_ERRNO(mkdir("file/dir", 0755), ENOTDIR);
    CHECK_ERRNO(mkdir("", 0755), ENOENT);
    CHECK_OK(symlink("nowhere", "dangling"));
    CHECK_ERRNO(mkdir("dangling", 0755), EEXIST);
}

TEST(rmdir_errors_are_as_documented)
{
    enter_empty_directory();
    CHECK_OK(mkdir("dir", 0755));
    write_file("dir/file", "");
    CHECK_ERRNO(rmdir("dir"), ENOTEMPTY);
    CHECK_ERRNO(rmdir("dir/file"), ENOTDIR);
    CHECK_ERRNO(rmdir("missing"), ENOENT);
    CHECK_ERRNO(rmdir("dir/."), EINVAL);
    CHECK_ERRNO(rmdir("dir/.."), ENOTEMPTY);
    CHECK_ERRNO(rmdir("/"), EBUSY);
    CHECK_OK(unlink("dir/file"));
    CHECK_OK(rmdir("dir"));
    CHECK_ERRNO(open("dir", O_RDONLY), ENOENT);
}

TEST(rmdir_of_the_working_directory_leaves_nothing_in_it)
{
    char path[PATH_MAX];

    enter_empty_directory();
    CHECK_OK(mkdir("dir", 0755));
    CHECK_OK(chdir("dir"));
    CHECK_OK(rmdir("../dir"));
    CHECK_ERRNO(open("file", O_WRONLY | O_CREAT, 0644), ENOENT);
    CHECK_ERRNO(syscall(SYS_getcwd, path, sizeof(path)), ENOENT);
    CHECK_ERRNO(mkdir("sub", 0755), ENOENT);
}

TEST(rename_moves_and_replaces)
{
    char text[10];

    enter_empty_directory();
    write_file("one", "1");
    write_file("two", "2");
    CHECK_OK(rename("one", "two"));
    CHECK_ERRNO(access("one", F_OK), ENOENT);
    CHECK_STR_EQ(read_file("two", text, sizeof(text)), "1");
    CHECK_OK(mkdir("dir", 0755));
    CHECK_OK(rename("two", "dir/three"));
    CHECK_STR_EQ(read_file("dir/three", text, sizeof(text)), "1");
}

TEST(rename_of_a_file_to_itself_or_its_other_link_does_nothing)
{
    enter_empty_directory();
    write_file("one", "1");
    CHECK_OK(link("one", "two"));
    CHECK_OK(rename("one", "two"));
    CHECK_OK(access("one", F_OK));
    CHECK_OK(rename("one", "one"));
    CHECK_EQ(status_of("one").st_nlink, 2);
}

TEST(rename_of_directories_moves_all_below)
{
    enter_empty_directory();
    CHECK_OK(mkdir("a", 0755));
    CHECK_OK(mkdir("a/b", 0755));
    CHECK_OK(mkdir("c", 0755));
    write_file("a/b/file", "");
    CHECK_OK(rename("a", "c/d"));
    CHECK_OK(access("c/d/b/file", F_OK));
    CHECK_EQ(status_of("c/d/..").st_ino, status_of("c").st_ino);
    CHECK_EQ(status_of("c").st_nlink, 3);
    CHECK_OK(mkdir("empty", 0755));
    CHECK_OK(rename("c/d", "empty"));
    CHECK_OK(access("empty/b/file", F_OK));
}

TEST(rename_errors_are_as_documented)
{
    enter_empty_directory();
    CHECK_OK(mkdir("dir", 0755));
    CHECK_OK(mkdir("full", 0755));
    write_file("full/file", "");
    write_file("file", "");
    CHECK_ERRNO(rename("missing", "x"), ENOENT);
    CHECK_ERRNO(rename("file", "missing/x"), ENOENT);
    CHECK_ERRNO(rename("file", "dir"), EISDIR);
    CHECK_ERRNO(rename("dir", "file"), ENOTDIR);
    CHECK_ERRNO(rename("dir", "full"), ENOTEMPTY);
    CHECK_ERRNO(rename("dir", "dir/sub"), EINVAL);
    CHECK_ERRNO(rename("file/x", "y"), ENOTDIR);
    CHECK_ERRNO(rename(".", "x"), EBUSY);
}

TEST(renameat2_noreplace_and_exchange)
{
    char text[10];

    enter_empty_directory();
    write_file("one", "1");
    write_file("two", "2");
    CHECK_ERRNO(syscall(SYS_renameat2, AT_FDCWD, "one", AT_FDCWD, "two", 1), EEXIST);
    CHECK_OK(syscall(SYS_renameat2, AT_FDCWD, "one", AT_FDCWD, "two", 2));
    CHECK_STR_EQ(read_file("one", text, sizeof(text)), "2");
    CHECK_STR_EQ(read_file("two", text, sizeof(text)), "1");
    CHECK_OK(syscall(SYS_renameat2, AT_FDCWD, "one", AT_FDCWD, "three", 1));
    CHECK_ERRNO(syscall(SYS_renameat2, AT_FDCWD, "one", AT_FDCWD, "two", 2), ENOENT);
    CHECK_ERRNO(syscall(SYS_renameat2, AT_FDCWD, "two", AT_FDCWD, "three", 3), EINVAL);
    CHECK_ERRNO(syscall(SYS_renameat2, AT_FDCWD, "two", AT_FDCWD, "three", 0x100), EINVAL);
}

TEST(symlink_and_readlink_keep_any_text)
{
    char text[100];

    enter_empty_directory();
    CHECK_OK(symlink("some/where//else", "link"));
    CHECK_EQ(readlink("link", text, sizeof(text)), 16);
    CHECK_MEM_EQ(text, "some/where//else", 16);
    CHECK_EQ(readlink("link", text, 4), 4);
    CHECK_EQ(status_of("link").st_size, 16);
    CHECK_EQ(status_of("link").st_mode, S_IFLNK | 0777);
    CHECK_ERRNO(symlink("x", "link"), EEXIST);
    CHECK_ERRNO(symlink("", "empty"), ENOENT);
    CHECK_ERRNO(symlink("x", "missing/link"), ENOENT);
}

TEST(readlink_errors_are_as_documented)
{
    char text[10];

    enter_empty_directory();
    write_file("file", "");
    CHECK_ERRNO(readlink("file", text, sizeof(text)), EINVAL);
    CHECK_ERRNO(readlink("missing", text, sizeof(text)), ENOENT);
    CHECK_ERRNO(syscall(SYS_readlink, "file", text, 0), EINVAL);
    CHECK_OK(symlink("x", "link"));
    CHECK_ERRNO(syscall(SYS_readlink, "link", bad_address(), 10), EFAULT);
}

TEST(symlink_paths_resolve_relative_to_their_place)
{
    enter_empty_directory();
    CHECK_OK(mkdir("dir", 0755));
    write_file("dir/target", "");
    CHECK_OK(symlink("target", "dir/link"));
    CHECK_OK(access("dir/link", F_OK));
    CHECK_OK(symlink("dir", "to-dir"));
    CHECK_OK(access("to-dir/target", F_OK));
    CHECK_OK(access("to-dir/../dir/link", F_OK));
    CHECK_EQ(status_of("to-dir/").st_ino, status_of("dir").st_ino);
    CHECK(S_ISLNK(status_of("to-dir").st_mode));
}

TEST(symlink_chains_end_with_eloop_after_forty)
{
    char from[16], to[16];

    enter_empty_directory();
    write_file("0", "");
    for (int i = 1; i <= 41; i++) {
        snprintf(from, sizeof(from), "%d", i);
        snprintf(to, sizeof(to), "%d", i - 1);
        CHECK_OK(symlink(to, from));
    }
    CHECK_OK(access("40", F_OK));
    CHECK_ERRNO(access("41", F_OK), ELOOP);
}

TEST(path_lookup_ignores_double_slashes_and_dots)
{
    enter_empty_directory();
    CHECK_OK(mkdir("dir", 0755));
    write_file("dir/file", "");
    CHECK_OK(access(".//dir///./file", F_OK));
    CHECK_OK(access("dir/../dir/file", F_OK));
    CHECK_OK(access("/..//../dev/null", F_OK));
    CHECK_ERRNO(access("dir/file/.", F_OK), ENOTDIR);
}

TEST(getdents64_lists_every_name_once)
{
    enum {
        FILES = 300
    };
    static char seen[FILES], buffer[2000];
    int fd, dots = 0;
    long length;

    enter_empty_directory();
    for (int i = 0; i < FILES; i++) {
        char name[32];

        snprintf(name, sizeof(name), "file-with-a-number-%d", i);
        close(CHECK_OK(open(name, O_WRONLY | O_CREAT, 0644)));
    }
    fd = CHECK_OK(open(".", O_RDONLY | O_DIRECTORY));
    while ((length = CHECK_OK(syscall(SYS_getdents64, fd, buffer, sizeof(buffer)))) > 0) {
        for (long at = 0; at < length;) {
            struct dirent *entry = (struct dirent *)(buffer + at);

            CHECK_EQ(entry->d_reclen % 8, 0);
            if (entry->d_name[0] == '.') {
                CHECK_EQ(entry->d_type, DT_DIR);
                dots++;
            } else {
                CHECK_EQ(entry->d_type, DT_REG);
                seen[atoi(entry->d_name + 19)]++;
            }
            at += entry->d_reclen;
        }
    }
    CHECK_EQ(dots, 2);
    for (int i = 0; i < FILES; i++)
        CHECK_EQ(seen[i], 1);
    CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
    CHECK_GT(syscall(SYS_getdents64, fd, buffer, sizeof(buffer)), 0);
}

TEST(getdents64_inode_numbers_are_those_of_stat)
{
    DIR *directory;
    struct dirent *entry;

    enter_empty_directory();
    write_file("file", "");
    CHECK_OK(mkdir("dir", 0755));
    CHECK_OK(symlink("x", "link"));
    directory = opendir(".");
    CHECK(directory);
    while ((entry = readdir(directory)))
        if (strcmp(entry->d_name, ".."))
            CHECK_EQ(entry->d_ino, status_of(entry->d_name).st_ino);
    closedir(directory);
}

TEST(getdents64_errors_are_as_documented)
{
    char buffer[100];
    int fd;

    enter_empty_directory();
    write_file("file", "");
    fd = CHECK_OK(open("file", O_RDONLY));
    CHECK_ERRNO(syscall(SYS_getdents64, fd, buffer, sizeof(buffer)), ENOTDIR);
    CHECK_ERRNO(syscall(SYS_getdents64, 77, buffer, sizeof(buffer)), EBADF);
    fd = CHECK_OK(open(".", O_RDONLY));
    CHECK_ERRNO(syscall(SYS_getdents64, fd, buffer, 10), EINVAL);
    CHECK_ERRNO(syscall(SYS_getdents64, fd, bad_address(), 1000), EFAULT);
}

TEST(getdents64_while_names_are_removed_ends)
{
    DIR *directory;
    struct dirent *entry;
    int left = 0;

    enter_empty_directory();
    for (int i = 0; i < 100; i++) {
        char name[16];

        snprintf(name, sizeof(name), "%d", i);
        write_file(name, "");
    }
    directory = opendir(".");
    while ((entry = readdir(directory)))
        if (entry->d_name[0] != '.')
            CHECK_OK(unlink(entry->d_name));
    rewinddir(directory);
    while ((entry = readdir(directory)))
        left += entry->d_name[0] != '.';
    CHECK_EQ(left, 0);
}

TEST(chdir_changes_where_names_begin)
{
    char path[PATH_MAX], expected[PATH_MAX];

    enter_empty_directory();
    CHECK_OK(mkdir("dir", 0755));
    write_file("dir/file", "");
    CHECK_OK(chdir("dir"));
    CHECK_OK(access("file", F_OK));
    snprintf(expected, sizeof(expected), "%s/dir", guest.directory);
    CHECK_STR_EQ(getcwd(path, sizeof(path)), expected);
    CHECK_OK(rename("../dir", "../moved"));
    snprintf(expected, sizeof(expected), "%s/moved", guest.directory);
    CHECK_STR_EQ(getcwd(path, sizeof(path)), expected);
    CHECK_ERRNO(chdir("file"), ENOTDIR);
    CHECK_ERRNO(chdir("missing"), ENOENT);
    CHECK_ERRNO(syscall(SYS_chdir, bad_address()), EFAULT);
}

TEST(fchdir_changes_to_an_open_directory)
{
    char path[PATH_MAX];
    int fd;

    enter_empty_directory();
    write_file("file", "");
    fd = CHECK_OK(open(".", O_RDONLY));
    CHECK_OK(chdir("/"));
    CHECK_OK(fchdir(fd));
    CHECK_STR_EQ(getcwd(path, sizeof(path)), guest.directory);
    CHECK_ERRNO(fchdir(CHECK_OK(open("file", O_RDONLY))), ENOTDIR);
    CHECK_ERRNO(fchdir(77), EBADF);
}

TEST(getcwd_with_a_small_buffer_gives_erange)
{
    char path[PATH_MAX];

    enter_empty_directory();
    CHECK_ERRNO(syscall(SYS_getcwd, path, 3), ERANGE);
    CHECK_EQ(syscall(SYS_getcwd, path, sizeof(path)), strlen(guest.directory) + 1);
    CHECK_ERRNO(syscall(SYS_getcwd, bad_address(), PAGE), EFAULT);
}

TEST(chroot_moves_the_root_and_dot_dot_stays_in_it)
{
    char path[PATH_MAX];

    NEEDS_ROOT();
    enter_empty_directory();
    CHECK_OK(mkdir("root", 0755));
    write_file("root/inside", "");
    write_file("outside", "");
    CHECK_OK(chroot("root"));
    CHECK_OK(access("/inside", F_OK));
    CHECK_OK(chdir("/"));
    CHECK_ERRNO(access("../outside", F_OK), ENOENT);
    CHECK_STR_EQ(getcwd(path, sizeof(path)), "/");
    CHECK_ERRNO(chroot("inside"), ENOTDIR);
    CHECK_ERRNO(chroot("missing"), ENOENT);
}

TEST(chroot_without_root_gives_eperm)
{
    pid_t child;

    NEEDS_ROOT();
    child = CHECK_OK(fork());
    if (child == 0) {
        CHECK_OK(setresuid(12345, 12345, 12345));
        CHECK_ERRNO(chroot("/tmp"), EPERM);
        _exit(0);
    }
    CHECK_EXIT(child, 0);
}

TEST(deep_directories_work_down_and_up)
{
    enter_empty_directory();
    for (int i = 0; i < 100; i++) {
        CHECK_OK(mkdir("a-directory-with-a-longer-name", 0755));
        CHECK_OK(chdir("a-directory-with-a-longer-name"));
    }
    for (int i = 0; i < 100; i++)
        CHECK_OK(chdir(".."));
    CHECK_EQ(status_of(".").st_ino, status_of(guest.directory).st_ino);
}

static bool is_later(struct timespec a, struct timespec b)
{
    return a.tv_sec != b.tv_sec ? a.tv_sec > b.tv_sec : a.tv_nsec > b.tv_nsec;
}

TEST(renameat2_that_exchanges_two_names_in_memory_changes_the_ctime_of_both)
{
    char directory[] = "/dev/shm/exchange-XXXXXX";
    struct stat before, a, b;
    struct timespec now;

    CHECK(mkdtemp(directory) != NULL);
    CHECK_OK(chdir(directory));
    write_file("a", "");
    write_file("b", "");
    CHECK_OK(stat("b", &before));
    do {
        CHECK_OK(clock_gettime(CLOCK_REALTIME_COARSE, &now));
    } while (!is_later(now, before.st_ctim));
    CHECK_OK(syscall(SYS_renameat2, AT_FDCWD, "a", AT_FDCWD, "b", RENAME_EXCHANGE));
    CHECK_OK(stat("a", &a));
    CHECK_OK(stat("b", &b));
    CHECK_OK(unlink("a"));
    CHECK_OK(unlink("b"));
    CHECK_OK(rmdir(directory));
    CHECK(is_later(a.st_ctim, before.st_ctim));
    CHECK(is_later(b.st_ctim, before.st_ctim));
}
