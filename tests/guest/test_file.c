/*
 * Open files: open and its flags, read, write, seek, descriptors and what fcntl does to them.
 *
 * covers: open openat openat2 creat close read write pread64 pwrite64 readv writev preadv pwritev
 * covers: preadv2 pwritev2 lseek dup dup2 dup3 fcntl close_range fsync fdatasync sync syncfs
 * covers: truncate ftruncate fallocate sendfile copy_file_range flock fadvise64 readahead
 * covers: name_to_handle_at open_by_handle_at
 */
#include "guest.h"

#include <limits.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

static int new_file(const char *text)
{
    enter_empty_directory();
    write_file("file", text);
    return CHECK_OK(open("file", O_RDWR));
}

static off_t size_of(int fd)
{
    struct stat status;

    CHECK_OK(fstat(fd, &status));
    return status.st_size;
}

TEST(open_returns_the_lowest_free_descriptor)
{
    int fd = CHECK_OK(open("/dev/null", O_RDONLY));

    CHECK_EQ(fd, 3);
    CHECK_EQ(CHECK_OK(open("/dev/null", O_RDONLY)), 4);
    close(3);
    CHECK_EQ(CHECK_OK(open("/dev/null", O_RDONLY)), 3);
}

TEST(open_of_a_missing_name_gives_enoent)
{
    enter_empty_directory();
    CHECK_ERRNO(open("missing", O_RDONLY), ENOENT);
    CHECK_ERRNO(open("missing/file", O_RDWR | O_CREAT, 0644), ENOENT);
    CHECK_ERRNO(open("", O_RDONLY), ENOENT);
    CHECK_OK(symlink("nowhere", "dangling"));
    CHECK_ERRNO(open("dangling", O_RDONLY), ENOENT);
    CHECK_ERRNO(openat(77, "x", O_RDONLY), EBADF);
}

TEST(open_with_o_creat_makes_a_file_with_the_mode_less_umask)
{
    struct stat status;

    enter_empty_directory();
    umask(027);
    close(CHECK_OK(open("file", O_WRONLY | O_CREAT, 0777)));
    CHECK_OK(stat("file", &status));
    CHECK_EQ(status.st_mode, S_IFREG | 0750);
    CHECK_EQ(status.st_size, 0);
    CHECK_EQ(status.st_uid, geteuid());
    CHECK_EQ(status.st_nlink, 1);
}

TEST(open_with_o_creat_through_a_dangling_link_makes_its_target)
{
    enter_empty_directory();
    CHECK_OK(symlink("target", "link"));
    close(CHECK_OK(open("link", O_WRONLY | O_CREAT, 0644)));
    CHECK_OK(access("target", F_OK));
}

TEST(open_with_o_excl_gives_eexist_also_for_links)
{
    close(new_file("x"));
    CHECK_ERRNO(open("file", O_WRONLY | O_CREAT | O_EXCL, 0644), EEXIST);
    CHECK_OK(symlink("nowhere", "dangling"));
    CHECK_ERRNO(open("dangling", O_WRONLY | O_CREAT | O_EXCL, 0644), EEXIST);
    close(CHECK_OK(open("new", O_WRONLY | O_CREAT | O_EXCL, 0644)));
}

TEST(open_with_o_trunc_empties_the_file)
{
    int fd = new_file("content");

    close(CHECK_OK(open("file", O_WRONLY | O_TRUNC)));
    CHECK_EQ(size_of(fd), 0);
}

TEST(open_of_a_directory_for_writing_gives_eisdir)
{
    enter_empty_directory();
    CHECK_ERRNO(open(".", O_WRONLY), EISDIR);
    CHECK_ERRNO(open(".", O_RDWR | O_CREAT, 0644), EISDIR);
    CHECK_OK(open(".", O_RDONLY));
}

TEST(open_with_o_directory_of_a_file_gives_enotdir)
{
    close(new_file("x"));
    CHECK_ERRNO(open("file", O_RDONLY | O_DIRECTORY), ENOTDIR);
    CHECK_ERRNO(open("file/x", O_RDONLY), ENOTDIR);
    CHECK_ERRNO(open("file/", O_RDONLY), ENOTDIR);
    CHECK_OK(open(".", O_RDONLY | O_DIRECTORY));
}

TEST(open_with_o_nofollow_of_a_link_gives_eloop)
{
    close(new_file("x"));
    CHECK_OK(symlink("file", "link"));
    CHECK_ERRNO(open("link", O_RDONLY | O_NOFOLLOW), ELOOP);
    CHECK_OK(open("file", O_RDONLY | O_NOFOLLOW));
    CHECK_OK(symlink("circle", "circle"));
    CHECK_ERRNO(open("circle", O_RDONLY), ELOOP);
}

TEST(open_of_too_long_a_name_gives_enametoolong)
{
    char name[PATH_MAX + 10];

    memset(name, 'n', sizeof(name));
    name[256] = 0;
    CHECK_ERRNO(open(name, O_RDONLY), ENAMETOOLONG);
    memset(name, '/', sizeof(name));
    name[sizeof(name) - 1] = 0;
    CHECK_ERRNO(open(name, O_RDONLY), ENAMETOOLONG);
    enter_empty_directory();
    memset(name, 'n', 255);
    name[255] = 0;
    close(CHECK_OK(open(name, O_WRONLY | O_CREAT, 0644)));
}

TEST(open_with_bad_address_gives_efault)
{
    CHECK_ERRNO(syscall(SYS_open, bad_address(), O_RDONLY), EFAULT);
    CHECK_ERRNO(syscall(SYS_openat, AT_FDCWD, NULL, O_RDONLY), EFAULT);
}

TEST(open_beyond_rlimit_nofile_gives_emfile)
{
    struct rlimit limit = {5, 5};

    CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
    CHECK_OK(open("/dev/null", O_RDONLY));
    CHECK_OK(open("/dev/null", O_RDONLY));
    CHECK_ERRNO(open("/dev/null", O_RDONLY), EMFILE);
    CHECK_ERRNO(dup(0), EMFILE);
    CHECK_ERRNO(dup2(0, 5), EBADF);
    CHECK_ERRNO(fcntl(0, F_DUPFD, 5), EINVAL);
}

TEST(openat_resolves_below_the_directory)
{
    char byte;
    int directory, fd;

    close(new_file("q"));
    CHECK_OK(mkdir("sub", 0755));
    CHECK_OK(rename("file", "sub/file"));
    directory = CHECK_OK(open("sub", O_RDONLY | O_DIRECTORY));
    CHECK_OK(chdir("/"));
    fd = CHECK_OK(openat(directory, "file", O_RDONLY));
    CHECK_EQ(read(fd, &byte, 1), 1);
    CHECK_EQ(byte, 'q');
    CHECK_ERRNO(openat(fd, "x", O_RDONLY), ENOTDIR);
    CHECK_OK(openat(fd, "/dev/null", O_RDONLY));
}

TEST(open_with_o_path_only_names_the_file)
{
    char byte;
    struct stat status;
    int fd;

    close(new_file("abc"));
    CHECK_OK(chmod("file", 0));
    fd = CHECK_OK(open("file", O_PATH));
    CHECK_ERRNO(read(fd, &byte, 1), EBADF);
    CHECK_ERRNO(write(fd, "x", 1), EBADF);
    CHECK_ERRNO(syscall(SYS_fchmod, fd, 0644), EBADF);
    CHECK_OK(fstat(fd, &status));
    CHECK_EQ(status.st_size, 3);
    CHECK_EQ(fcntl(fd, F_GETFL) & O_PATH, O_PATH);
    CHECK_OK(symlink("file", "link"));
    fd = CHECK_OK(open("link", O_PATH | O_NOFOLLOW));
    CHECK_OK(fstat(fd, &status));
    CHECK(S_ISLNK(status.st_mode));
}

TEST(open_with_o_tmpfile_makes_a_file_without_name_that_linkat_names)
{
    char path[64];
    struct stat status;
    int fd;

    enter_empty_directory();
    fd = open(".", O_TMPFILE | O_RDWR, 0600);
    if (fd == -1 && errno == EOPNOTSUPP)
        SKIP("this file system has no O_TMPFILE");
    CHECK_NE(fd, -1);
    CHECK_EQ(write(fd, "t", 1), 1);
    CHECK_OK(fstat(fd, &status));
    CHECK_EQ(status.st_nlink, 0);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    CHECK_OK(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
    CHECK_OK(stat("named", &status));
    CHECK_EQ(status.st_size, 1);
}

TEST(openat2_resolves_beneath_and_checks_its_structure)
{
    struct {
        uint64_t flags, mode, resolve;
    } how = {.flags = O_RDONLY, .resolve = 0x08 /* RESOLVE_BENEATH */};

    close(new_file("x"));
    CHECK_OK(syscall(SYS_openat2, AT_FDCWD, "file", &how, sizeof(how)));
    CHECK_ERRNO(syscall(SYS_openat2, AT_FDCWD, "../x", &how, sizeof(how)), EXDEV);
    CHECK_ERRNO(syscall(SYS_openat2, AT_FDCWD, "/dev/null", &how, sizeof(how)), EXDEV);
    how.resolve = 0x04; /* RESOLVE_NO_SYMLINKS */
    CHECK_OK(symlink("file", "link"));
    CHECK_ERRNO(syscall(SYS_openat2, AT_FDCWD, "link", &how, sizeof(how)), ELOOP);
    how.resolve = 0x1000;
    CHECK_ERRNO(syscall(SYS_openat2, AT_FDCWD, "file", &how, sizeof(how)), EINVAL);
    CHECK_ERRNO(syscall(SYS_openat2, AT_FDCWD, "file", &how, 8), EINVAL);
    how.resolve = 0;
    how.mode = 0644;
    CHECK_ERRNO(syscall(SYS_openat2, AT_FDCWD, "file", &how, sizeof(how)), EINVAL);
}

TEST(creat_is_open_for_writing_with_truncation)
{
    char byte;
    int fd;

    close(new_file("old"));
    fd = CHECK_OK(creat("file", 0644));
    CHECK_EQ(size_of(fd), 0);
    CHECK_ERRNO(read(fd, &byte, 1), EBADF);
}

TEST(close_twice_gives_ebadf)
{
    int fd = CHECK_OK(open("/dev/null", O_RDONLY));

    CHECK_OK(close(fd));
    CHECK_ERRNO(close(fd), EBADF);
    CHECK_ERRNO(close(-1), EBADF);
}

TEST(close_range_closes_all_between)
{
    for (int i = 3; i < 10; i++)
        CHECK_EQ(dup(0), i);
    CHECK_OK(syscall(SYS_close_range, 4, 7, 0));
    CHECK_OK(fcntl(3, F_GETFD));
    for (int i = 4; i < 8; i++)
        CHECK_ERRNO(fcntl(i, F_GETFD), EBADF);
    CHECK_OK(fcntl(8, F_GETFD));
    CHECK_OK(syscall(SYS_close_range, 8, 9, 4 /* CLOSE_RANGE_CLOEXEC */));
    CHECK_EQ(fcntl(9, F_GETFD), FD_CLOEXEC);
    CHECK_ERRNO(syscall(SYS_close_range, 9, 8, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_close_range, 3, 4, 0x100), EINVAL);
}

TEST(read_returns_what_is_there_and_then_end_of_file)
{
    char buffer[10];
    int fd = new_file("abc");

    CHECK_EQ(read(fd, buffer, 2), 2);
    CHECK_EQ(read(fd, buffer, 10), 1);
    CHECK_EQ(buffer[0], 'c');
    CHECK_EQ(read(fd, buffer, 10), 0);
}

TEST(read_errors_are_as_documented)
{
    char byte;
    int fd = new_file("abc"), directory = CHECK_OK(open(".", O_RDONLY));

    CHECK_ERRNO(read(77, &byte, 1), EBADF);
    CHECK_ERRNO(read(directory, &byte, 1), EISDIR);
    CHECK_ERRNO(read(fd, bad_address(), 1), EFAULT);
    CHECK_ERRNO(pread(fd, &byte, 1, -1), EINVAL);
    fd = CHECK_OK(open("file", O_WRONLY));
    CHECK_ERRNO(read(fd, &byte, 1), EBADF);
}

TEST(write_errors_are_as_documented)
{
    int fd = new_file("abc");

    CHECK_ERRNO(write(77, "x", 1), EBADF);
    CHECK_ERRNO(write(fd, bad_address(), 1), EFAULT);
    CHECK_ERRNO(pwrite(fd, "x", 1, -1), EINVAL);
    fd = CHECK_OK(open("file", O_RDONLY));
    CHECK_ERRNO(write(fd, "x", 1), EBADF);
}

TEST(write_behind_the_end_leaves_a_hole_of_zeroes)
{
    char buffer[10];
    int fd = new_file("ab");

    CHECK_EQ(lseek(fd, 10000, SEEK_SET), 10000);
    CHECK_EQ(write(fd, "z", 1), 1);
    CHECK_EQ(size_of(fd), 10001);
    CHECK_EQ(pread(fd, buffer, 10, 5000), 10);
    for (int i = 0; i < 10; i++)
        CHECK_EQ(buffer[i], 0);
}

TEST(write_with_o_append_goes_to_the_end_always)
{
    char text[20];
    int other = new_file("abc"), fd = CHECK_OK(open("file", O_WRONLY | O_APPEND));

    CHECK_EQ(write(fd, "1", 1), 1);
    CHECK_EQ(pwrite(other, "de", 2, 4), 2);
    CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
    CHECK_EQ(write(fd, "2", 1), 1);
    CHECK_STR_EQ(read_file("file", text, sizeof(text)), "abc1de2");
}

TEST(write_by_two_appending_processes_loses_nothing)
{
    pid_t child;
    int fd;

    close(new_file(""));
    child = CHECK_OK(fork());
    fd = CHECK_OK(open("file", O_WRONLY | O_APPEND));
    for (int i = 0; i < 200; i++)
        CHECK_EQ(write(fd, "0123456789", 10), 10);
    if (child == 0)
        _exit(0);
    CHECK_EXIT(child, 0);
    CHECK_EQ(size_of(fd), 4000);
}

TEST(write_over_rlimit_fsize_gives_efbig_and_sigxfsz)
{
    struct rlimit limit = {100, RLIM_INFINITY};
    static char block[200];
    int fd = new_file("");

    handle_signal(SIGXFSZ, count_signal, 0);
    CHECK_OK(setrlimit(RLIMIT_FSIZE, &limit));
    CHECK_EQ(write(fd, block, 200), 100);
    CHECK_EQ(signals_counted, 0);
    CHECK_ERRNO(write(fd, block, 1), EFBIG);
    CHECK_EQ(signals_counted, 1);
    CHECK_ERRNO(ftruncate(fd, 200), EFBIG);
    CHECK_EQ(signals_counted, 2);
    CHECK_ERRNO(fallocate(fd, 0, 50, 51), EFBIG);
    CHECK_EQ(signals_counted, 3);
    CHECK_OK(fallocate(fd, 0, 50, 50));
    CHECK_EQ(size_of(fd), 100);
}

TEST(write_of_large_blocks_reads_back)
{
    enum {
        BYTES = 3 << 20
    };
    unsigned char *block = malloc(BYTES), *got = malloc(BYTES);
    int fd = new_file("");

    for (int i = 0; i < BYTES; i++)
        block[i] = i * 13 + (i >> 12);
    CHECK_EQ(write(fd, block, BYTES), BYTES);
    CHECK_EQ(pread(fd, got, BYTES, 0), BYTES);
    CHECK_MEM_EQ(block, got, BYTES);
    CHECK_EQ(pread(fd, got, 5000, 4093), 5000);
    CHECK_MEM_EQ(block + 4093, got, 5000);
}

TEST(readv_and_writev_work_on_all_pieces)
{
    char a[2], b[3];
    struct iovec out[3] = {{"ab", 2}, {"", 0}, {"cde", 3}}, in[2] = {{a, 2}, {b, 3}};
    int fd = new_file("");

    CHECK_EQ(writev(fd, out, 3), 5);
    CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
    CHECK_EQ(readv(fd, in, 2), 5);
    CHECK_MEM_EQ(a, "ab", 2);
    CHECK_MEM_EQ(b, "cde", 3);
    CHECK_ERRNO(syscall(SYS_readv, fd, in, -1), EINVAL);
    CHECK_ERRNO(syscall(SYS_readv, fd, in, 1025), EINVAL);
    CHECK_ERRNO(syscall(SYS_readv, fd, bad_address(), 1), EFAULT);
    CHECK_EQ(readv(fd, in, 0), 0);
    in[0].iov_len = (size_t)-1;
    CHECK_ERRNO(readv(fd, in, 2), EINVAL);
}

TEST(pread_and_pwrite_behind_the_last_place_there_can_be_give_einval)
{
    const off_t last = 0x7fffffffffffffff;
    char bytes[2] = "x";
    int fd;

    enter_empty_directory();
    fd = CHECK_OK(open("file", O_RDWR | O_CREAT, 0644));
    CHECK_EQ(pread(fd, bytes, 1, last - 1), 0);
    CHECK_ERRNO(pread(fd, bytes, 1, last), EINVAL);
    CHECK_ERRNO(pwrite(fd, bytes, 2, last - 1), EINVAL);
    CHECK_ERRNO(pwrite(fd, bytes, 1, -1), EINVAL);
}

TEST(preadv_and_pwritev_leave_the_offset)
{
    char a[2];
    struct iovec out[1] = {{"xy", 2}}, in[1] = {{a, 2}};
    int fd = new_file("abcdef");

    CHECK_EQ(pwritev(fd, out, 1, 2), 2);
    CHECK_EQ(preadv(fd, in, 1, 1), 2);
    CHECK_MEM_EQ(a, "bx", 2);
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 0);
    CHECK_EQ(syscall(SYS_preadv2, fd, in, 1, -1L, 0L, 0), 2);
    CHECK_MEM_EQ(a, "ab", 2);
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 2);
    CHECK_ERRNO(syscall(SYS_preadv2, fd, in, 1, 0L, 0L, 0x8000), EOPNOTSUPP);
}

TEST(pwritev2_appends_and_synchronises_as_its_flags_say)
{
    struct iovec out[1] = {{"xy", 2}};
    struct stat status;
    int fd = new_file("abcdef"), fds[2];

    CHECK_EQ(syscall(SYS_pwritev2, fd, out, 1, 0L, 0L, RWF_APPEND | RWF_SYNC), 2);
    CHECK_EQ(syscall(SYS_pwritev2, fd, out, 1, 1L, 0L, RWF_DSYNC | RWF_HIPRI), 2);
    CHECK_OK(fstat(fd, &status));
    CHECK_EQ(status.st_size, 8);
    CHECK_OK(pipe(fds));
    CHECK_EQ(syscall(SYS_preadv2, fds[0], out, 1, -1L, 0L, RWF_NOWAIT), -1);
    CHECK(errno == EAGAIN || errno == EOPNOTSUPP); /* so it is for pipes before Linux 6.4 */
    CHECK_ERRNO(syscall(SYS_pwritev2, fd, out, 1, 0L, 0L, 0x8000), EOPNOTSUPP);
    CHECK_ERRNO(syscall(SYS_pwritev2, fd, out, 1, -2L, 0L, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_pwritev2, 99, out, 1, 0L, 0L, 0), EBADF);
}

TEST(lseek_sets_adds_and_counts_from_the_end)
{
    int fd = new_file("abcdef");

    CHECK_EQ(lseek(fd, 2, SEEK_SET), 2);
    CHECK_EQ(lseek(fd, 3, SEEK_CUR), 5);
    CHECK_EQ(lseek(fd, -1, SEEK_END), 5);
    CHECK_EQ(lseek(fd, 100, SEEK_END), 106);
    CHECK_ERRNO(lseek(fd, -1, SEEK_SET), EINVAL);
    CHECK_ERRNO(lseek(fd, 0, 99), EINVAL);
    CHECK_ERRNO(lseek(77, 0, SEEK_SET), EBADF);
}

TEST(lseek_finds_data_and_holes)
{
    int fd = new_file("abcdef");

    CHECK_EQ(lseek(fd, 0, SEEK_DATA), 0);
    CHECK_EQ(lseek(fd, 0, SEEK_HOLE), 6);
    CHECK_ERRNO(lseek(fd, 6, SEEK_DATA), ENXIO);
    CHECK_ERRNO(lseek(fd, 7, SEEK_HOLE), ENXIO);
}

TEST(dup_shares_offset_and_flags_but_not_cloexec)
{
    char byte;
    int fd = new_file("abc"), copy;

    CHECK_OK(fcntl(fd, F_SETFD, FD_CLOEXEC));
    copy = CHECK_OK(dup(fd));
    CHECK_EQ(fcntl(copy, F_GETFD), 0);
    CHECK_EQ(read(fd, &byte, 1), 1);
    CHECK_EQ(lseek(copy, 0, SEEK_CUR), 1);
    CHECK_OK(fcntl(copy, F_SETFL, O_APPEND));
    CHECK_EQ(fcntl(fd, F_GETFL) & O_APPEND, O_APPEND);
    CHECK_ERRNO(dup(77), EBADF);
}

TEST(dup2_replaces_the_target)
{
    int fd = CHECK_OK(open("/dev/null", O_RDONLY)), fds[2];
    char byte;

    CHECK_OK(pipe(fds));
    CHECK_EQ(dup2(fd, fds[1]), fds[1]);
    CHECK_EQ(read(fds[0], &byte, 1), 0); /* its writer is closed */
    CHECK_EQ(dup2(fd, 50), 50);
    CHECK_EQ(dup2(fd, fd), fd);
    CHECK_ERRNO(dup2(77, 5), EBADF);
    CHECK_ERRNO(dup2(77, 77), EBADF);
    CHECK_ERRNO(dup2(fd, -1), EBADF);
}

TEST(dup3_sets_cloexec_and_refuses_the_same)
{
    CHECK_EQ(syscall(SYS_dup3, 0, 20, O_CLOEXEC), 20);
    CHECK_EQ(fcntl(20, F_GETFD), FD_CLOEXEC);
    CHECK_ERRNO(syscall(SYS_dup3, 0, 0, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_dup3, 0, 21, O_APPEND), EINVAL);
}

TEST(fcntl_dupfd_takes_the_lowest_from_a_number_on)
{
    CHECK_EQ(fcntl(0, F_DUPFD, 30), 30);
    CHECK_EQ(fcntl(0, F_DUPFD, 30), 31);
    CHECK_EQ(fcntl(0, F_DUPFD_CLOEXEC, 10), 10);
    CHECK_EQ(fcntl(10, F_GETFD), FD_CLOEXEC);
    CHECK_ERRNO(fcntl(0, F_DUPFD, -1), EINVAL);
    CHECK_ERRNO(fcntl(77, F_DUPFD, 0), EBADF);
    CHECK_ERRNO(fcntl(0, 9999), EINVAL);
}

TEST(fcntl_getfl_and_setfl_know_the_status_flags)
{
    int fd = new_file("x");

    CHECK_EQ(fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND | O_NONBLOCK), O_RDWR);
    CHECK_OK(fcntl(fd, F_SETFL, O_APPEND | O_NONBLOCK | O_WRONLY));
    CHECK_EQ(fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND | O_NONBLOCK),
             O_RDWR | O_APPEND | O_NONBLOCK);
    CHECK_OK(fcntl(fd, F_SETFL, 0));
    CHECK_EQ(fcntl(fd, F_GETFL) & (O_APPEND | O_NONBLOCK), 0);
}

TEST(fcntl_record_locks_exclude_other_processes)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 10};
    int fd = new_file("0123456789abcdef");
    pid_t child;

    CHECK_OK(fcntl(fd, F_SETLK, &lock));
    child = CHECK_OK(fork());
    if (child == 0) {
        struct flock other = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 5, .l_len = 1};
        int again = CHECK_OK(open("file", O_RDWR));

        CHECK_ERRNO(fcntl(again, F_SETLK, &other), EAGAIN);
        CHECK_OK(fcntl(again, F_GETLK, &other));
        CHECK_EQ(other.l_type, F_WRLCK);
        CHECK_EQ(other.l_pid, getppid());
        CHECK_EQ(other.l_len, 10);
        other = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 5};
        CHECK_OK(fcntl(again, F_SETLK, &other));
        _exit(0);
    }
    CHECK_EXIT(child, 0);
}

TEST(flock_excludes_another_open_file)
{
    int fd = new_file("x"), other = CHECK_OK(open("file", O_RDWR));

    CHECK_OK(flock(fd, LOCK_EX));
    CHECK_ERRNO(flock(other, LOCK_SH | LOCK_NB), EAGAIN);
    CHECK_OK(flock(fd, LOCK_UN));
    CHECK_OK(flock(other, LOCK_SH | LOCK_NB));
    CHECK_OK(flock(fd, LOCK_SH | LOCK_NB));
    CHECK_ERRNO(flock(fd, 16), EINVAL);
    CHECK_ERRNO(flock(77, LOCK_SH), EBADF);
}

TEST(ftruncate_shrinks_and_grows_with_zeroes)
{
    char text[10] = "";
    int fd = new_file("abcdef");

    CHECK_OK(ftruncate(fd, 2));
    CHECK_OK(ftruncate(fd, 5));
    CHECK_EQ(pread(fd, text, 10, 0), 5);
    CHECK_MEM_EQ(text, "ab\0\0\0", 5);
    CHECK_ERRNO(ftruncate(fd, -1), EINVAL);
    CHECK_ERRNO(ftruncate(77, 0), EBADF);
    CHECK_ERRNO(ftruncate(CHECK_OK(open("file", O_RDONLY)), 0), EINVAL);
}

TEST(truncate_by_path_and_its_errors)
{
    int fd = new_file("abcdef");

    CHECK_OK(truncate("file", 3));
    CHECK_EQ(size_of(fd), 3);
    CHECK_ERRNO(truncate("missing", 0), ENOENT);
    CHECK_ERRNO(truncate(".", 0), EISDIR);
    CHECK_ERRNO(truncate("file", -1), EINVAL);
    CHECK_ERRNO(truncate("file/x", 0), ENOTDIR);
}

TEST(fallocate_extends_punches_and_checks)
{
    char text[8];
    int fd = new_file("abcdef");

    CHECK_OK(fallocate(fd, 0, 0, 10000));
    CHECK_EQ(size_of(fd), 10000);
    CHECK_OK(fallocate(fd, 1 /* FALLOC_FL_KEEP_SIZE */, 0, 20000));
    CHECK_EQ(size_of(fd), 10000);
    CHECK_OK(fallocate(fd, 3 /* PUNCH_HOLE | KEEP_SIZE */, 1, 2));
    CHECK_EQ(pread(fd, text, 4, 0), 4);
    CHECK_MEM_EQ(text, "a\0\0d", 4);
    CHECK_ERRNO(fallocate(fd, 0, -1, 10), EINVAL);
    CHECK_ERRNO(fallocate(fd, 0, 0, 0), EINVAL);
    CHECK_ERRNO(fallocate(77, 0, 0, 1), EBADF);
    CHECK_ERRNO(fallocate(CHECK_OK(open("file", O_RDONLY)), 0, 0, 1), EBADF);
}

TEST(fsync_and_its_relatives_accept_a_file)
{
    int fd = new_file("x"), fds[2];

    CHECK_OK(fsync(fd));
    CHECK_OK(fdatasync(fd));
    CHECK_OK(syncfs(fd));
    CHECK_OK(pipe(fds));
    CHECK_ERRNO(fsync(fds[0]), EINVAL);
    CHECK_ERRNO(fsync(77), EBADF);
    CHECK_EQ(posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL), 0);
    CHECK_EQ(posix_fadvise(fd, 0, 0, 99), EINVAL);
    CHECK_EQ(posix_fadvise(fds[0], 0, 0, POSIX_FADV_NORMAL), ESPIPE);
    CHECK_OK(readahead(fd, 0, 100));
}

TEST(sendfile_copies_between_descriptors)
{
    char text[20] = "";
    off_t offset = 2;
    int fd = new_file("abcdefghij"), fds[2];

    CHECK_OK(pipe(fds));
    CHECK_EQ(sendfile(fds[1], fd, &offset, 5), 5);
    CHECK_EQ(offset, 7);
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 0);
    CHECK_EQ(read(fds[0], text, 20), 5);
    CHECK_MEM_EQ(text, "cdefg", 5);
    CHECK_EQ(sendfile(fds[1], fd, NULL, 100), 10);
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 10);
    CHECK_EQ(sendfile(fds[1], fd, NULL, 100), 0);
    CHECK_ERRNO(sendfile(fds[1], 77, NULL, 1), EBADF);
    CHECK_ERRNO(sendfile(fds[0], fd, NULL, 1), EBADF);
    offset = -1;
    CHECK_ERRNO(sendfile(fds[1], fd, &offset, 1), EINVAL);
}

TEST(copy_file_range_copies_within_the_kernel)
{
    char text[20];
    off_t from = 3, to = 1;
    int fd = new_file("abcdefghij"), target = CHECK_OK(open("copy", O_RDWR | O_CREAT, 0644));

    CHECK_EQ(syscall(SYS_copy_file_range, fd, NULL, target, NULL, 4, 0), 4);
    CHECK_EQ(syscall(SYS_copy_file_range, fd, &from, target, &to, 2, 0), 2);
    CHECK_EQ(from, 5);
    CHECK_EQ(to, 3);
    CHECK_STR_EQ(read_file("copy", text, sizeof(text)), "aded");
    CHECK_ERRNO(syscall(SYS_copy_file_range, fd, NULL, target, NULL, 4, 1), EINVAL);
}

/* ---- Locks that wait for each other ---- */

static int lock_byte(int fd, int command, int type, off_t at)
{
    struct flock lock = {.l_type = (short)type, .l_whence = SEEK_SET, .l_start = at, .l_len = 1};

    return fcntl(fd, command, &lock);
}

TEST(fcntl_record_locks_that_wait_in_a_circle_give_edeadlk)
{
    int fd, fds[2];
    char byte;
    pid_t child;

    enter_empty_directory();
    fd = CHECK_OK(open("file", O_RDWR | O_CREAT, 0600));
    CHECK_OK(pipe(fds));
    CHECK_OK(lock_byte(fd, F_SETLK, F_WRLCK, 0));
    child = CHECK_OK(fork());
    if (child == 0) {
        CHECK_OK(lock_byte(fd, F_SETLK, F_WRLCK, 1));
        CHECK_EQ(write(fds[1], "x", 1), 1);
        CHECK_OK(lock_byte(fd, F_SETLKW, F_WRLCK, 0)); /* until the parent gives way */
        _exit(0);
    }
    CHECK_EQ(read(fds[0], &byte, 1), 1);
    while (process_state(child) != 'S')
        sched_yield();
    CHECK_ERRNO(lock_byte(fd, F_SETLKW, F_WRLCK, 1), EDEADLK);
    CHECK_OK(lock_byte(fd, F_SETLK, F_UNLCK, 0));
    CHECK_EXIT(child, 0);
    CHECK_OK(lock_byte(fd, F_SETLKW, F_WRLCK, 1));
}

static volatile pid_t locker;

static bool locker_sleeps(void)
{
    char path[64], text[512];

    snprintf(path, sizeof(path), "/proc/self/task/%d/stat", locker);
    return strstr(read_file(path, text, sizeof(text)), ") S ") != NULL;
}

static void *lock_first_byte(void *fd)
{
    locker = gettid();
    return (void *)(long)(lock_byte(*(int *)fd, F_SETLKW, F_WRLCK, 0) ? errno : 0);
}

/* The lock that keeps another process from locking [start, end of the file] for writing. */
static struct flock lock_in_the_way(int fd, off_t start)
{
    struct flock *found =
        mmap(NULL, sizeof(*found), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t child;

    CHECK(found != MAP_FAILED);
    *found = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = start};
    child = CHECK_OK(fork());
    if (child == 0)
        _exit(fcntl(fd, F_GETLK, found) == 0 ? 0 : 1);
    CHECK_EXIT(child, 0);
    return *found;
}

TEST(fcntl_record_locks_of_a_process_end_when_it_closes_any_descriptor_of_the_file)
{
    int fd = new_file("0123456789"), other = CHECK_OK(open("file", O_RDONLY));

    CHECK_OK(lock_byte(fd, F_SETLK, F_WRLCK, 3));
    CHECK_EQ(lock_in_the_way(fd, 0).l_type, F_WRLCK);
    CHECK_OK(close(other));
    CHECK_EQ(lock_in_the_way(fd, 0).l_type, F_UNLCK);
}

TEST(fcntl_getlk_names_the_lowest_lock_in_the_way)
{
    int fd = new_file("0123456789");

    for (int byte = 8; byte >= 2; byte -= 2)
        CHECK_OK(lock_byte(fd, F_SETLK, byte & 4 ? F_RDLCK : F_WRLCK, byte));
    CHECK_EQ(lock_in_the_way(fd, 0).l_start, 2);
    CHECK_EQ(lock_in_the_way(fd, 4).l_start, 4);
    CHECK_EQ(lock_in_the_way(fd, 5).l_start, 6);
}

TEST(fcntl_lock_that_is_had_after_its_descriptor_was_closed_is_given_back)
{
    int fd, waiting, told[2], end[2];
    pthread_t thread;
    void *error;
    pid_t child;
    char byte;

    enter_empty_directory();
    fd = CHECK_OK(open("file", O_RDWR | O_CREAT, 0600));
    waiting = CHECK_OK(open("file", O_RDWR));
    CHECK_OK(pipe(told));
    CHECK_OK(pipe(end));
    child = CHECK_OK(fork());
    if (child == 0) {
        CHECK_OK(lock_byte(fd, F_SETLK, F_WRLCK, 0));
        CHECK_EQ(write(told[1], "x", 1), 1);
        CHECK_EQ(read(end[0], &byte, 1), 1);
        _exit(0);
    }
    CHECK_EQ(read(told[0], &byte, 1), 1);
    CHECK_EQ(pthread_create(&thread, NULL, lock_first_byte, &waiting), 0);
    while (!locker || !locker_sleeps())
        sched_yield();
    CHECK_OK(close(waiting));
    CHECK_EQ(write(end[1], "x", 1), 1);
    CHECK_EXIT(child, 0);
    CHECK_EQ(pthread_join(thread, &error), 0);
    CHECK_EQ((long)error, EBADF);
    child = CHECK_OK(fork());
    if (child == 0) {
        CHECK_OK(lock_byte(fd, F_SETLK, F_WRLCK, 0));
        _exit(0);
    }
    CHECK_EXIT(child, 0);
}

TEST(fcntl_record_locks_refuse_ranges_before_the_start)
{
    struct flock lock = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = INT64_MIN, .l_len = -1};
    int fd;

    enter_empty_directory();
    fd = CHECK_OK(open("file", O_RDWR | O_CREAT, 0600));
    CHECK_ERRNO(fcntl(fd, F_SETLK, &lock), EINVAL);
    lock.l_start = 1;
    lock.l_len = -2;
    CHECK_ERRNO(fcntl(fd, F_SETLK, &lock), EINVAL);
    lock.l_start = INT64_MAX;
    lock.l_len = 2;
    CHECK_ERRNO(fcntl(fd, F_SETLK, &lock), EOVERFLOW);
}

TEST(fcntl_that_asks_for_no_more_notifications_is_granted)
{
    int directory = CHECK_OK(open("/", O_DIRECTORY));

    CHECK_OK(fcntl(directory, F_NOTIFY, DN_MULTISHOT));
    CHECK_OK(fcntl(directory, F_NOTIFY, 0));
}

TEST(proc_locks_lists_locks_of_each_kind)
{
    struct flock whole = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
    char text[4096], line[128];
    struct stat status;
    int fd, other, third;

    enter_empty_directory();
    fd = CHECK_OK(open("file", O_RDWR | O_CREAT, 0600));
    other = CHECK_OK(open("other", O_RDWR | O_CREAT, 0600));
    third = CHECK_OK(open("third", O_RDWR | O_CREAT, 0600));
    CHECK_OK(lock_byte(fd, F_SETLK, F_WRLCK, 7));
    CHECK_OK(flock(other, LOCK_EX));
    CHECK_OK(fcntl(third, F_OFD_SETLK, &whole));
    read_file("/proc/locks", text, sizeof(text));
    CHECK_OK(fstat(fd, &status));
    snprintf(line, sizeof(line), ":%lu 7 7\n", (unsigned long)status.st_ino);
    CHECK(strstr(text, line) != NULL);
    CHECK_OK(fstat(other, &status));
    snprintf(line, sizeof(line), ":%lu 0 EOF\n", (unsigned long)status.st_ino);
    CHECK(strstr(text, line) != NULL);
    snprintf(line, sizeof(line), "POSIX  ADVISORY  WRITE %d ", getpid());
    CHECK(strstr(text, line) != NULL);
    snprintf(line, sizeof(line), "FLOCK  ADVISORY  WRITE %d ", getpid());
    CHECK(strstr(text, line) != NULL);
    CHECK(strstr(text, "OFDLCK ADVISORY  READ -1 ") != NULL);
}

/* ---- Handles, which files of /proc do not have on Linux either ---- */

TEST(name_to_handle_at_says_that_a_file_system_has_no_handles)
{
    struct file_handle *handle = calloc(1, sizeof(*handle) + 128);
    int mount;

    handle->handle_bytes = 128;
    CHECK_ERRNO(name_to_handle_at(AT_FDCWD, "/proc/self/status", handle, &mount, 0), EOPNOTSUPP);
    CHECK_ERRNO(name_to_handle_at(AT_FDCWD, "/proc/none", handle, &mount, 0), ENOENT);
    CHECK_ERRNO(name_to_handle_at(AT_FDCWD, "", handle, &mount, 0), ENOENT);
    CHECK_ERRNO(name_to_handle_at(AT_FDCWD, "/proc", handle, &mount, AT_NO_AUTOMOUNT), EINVAL);
    CHECK_ERRNO(name_to_handle_at(-1, "file", handle, &mount, 0), EBADF);
}

TEST(open_by_handle_at_knows_no_handle_of_such_a_file_system)
{
    struct file_handle *handle = calloc(1, sizeof(*handle) + 128);
    int fd = CHECK_OK(open("/proc", O_RDONLY | O_DIRECTORY));
    pid_t child;

    NEEDS_ROOT();
    handle->handle_bytes = 8;
    child = CHECK_OK(fork());
    if (child == 0) {
        CHECK_OK(setresuid(1000, 1000, 1000));
        CHECK_ERRNO(open_by_handle_at(fd, handle, O_RDONLY), EPERM);
        _exit(0);
    }
    CHECK_EXIT(child, 0);
    if (open_by_handle_at(fd, handle, O_RDONLY) == -1 && errno == EPERM)
        SKIP("the capability for it is missing");
    handle->handle_bytes = 0;
    CHECK_ERRNO(open_by_handle_at(fd, handle, O_RDONLY), EINVAL);
    handle->handle_bytes = 129;
    CHECK_ERRNO(open_by_handle_at(fd, handle, O_RDONLY), EINVAL);
    handle->handle_bytes = 8;
    CHECK_ERRNO(open_by_handle_at(-1, handle, O_RDONLY), EBADF);
    CHECK_ERRNO(open_by_handle_at(fd, handle, O_RDONLY), ESTALE);
    CHECK_ERRNO(open_by_handle_at(fd, bad_address(), O_RDONLY), EFAULT);
}

TEST(read_of_more_than_there_is_memory_gives_efault)
{
    int file = CHECK_OK(open("/dev/zero", O_RDONLY));
    char byte;

    CHECK_ERRNO(syscall(SYS_read, file, &byte, -1l), EFAULT);
    CHECK_ERRNO(syscall(SYS_pread64, file, &byte, -1l, 0l), EFAULT);
}

TEST(lseek_that_says_no_place_gives_einval_also_of_a_pipe)
{
    int fds[2];

    CHECK_OK(pipe(fds));
    CHECK_ERRNO(lseek(fds[0], 0, 9), EINVAL);
    CHECK_ERRNO(lseek(fds[0], 0, SEEK_SET), ESPIPE);
    CHECK_ERRNO(lseek(-1, 0, 9), EBADF);
}

TEST(flock_looks_at_its_operation_before_its_descriptor)
{
    CHECK_ERRNO(flock(-1, 0), EINVAL);
    CHECK_ERRNO(flock(-1, LOCK_SH), EBADF);
    CHECK_OK(flock(-1, 32)); /* LOCK_MAND, which means nothing any more */
}

TEST(readlinkat_of_a_descriptor_that_is_no_link_gives_enoent)
{
    char text[10];
    int file = CHECK_OK(memfd_create("x", 0));

    CHECK_ERRNO(readlinkat(file, "", text, sizeof(text)), ENOENT);
}

TEST(sync_file_range_looks_at_its_descriptor_first)
{
    CHECK_ERRNO(syscall(SYS_sync_file_range, -1, 0l, 0l, 99), EBADF);
}
