/*
 * Flags of opening and of descriptors: O_*, openat2(2)'s RESOLVE_*, close_range(2)'s.
 *
 * covers: openat2 close_range open fcntl
 */
#include "guest.h"

#include <linux/close_range.h>
#include <linux/openat2.h>

static long open_with(int directory, const char *name, uint64_t flags, uint64_t resolve)
{
    struct open_how how = {.flags = flags, .resolve = resolve};

    return syscall(SYS_openat2, directory, name, &how, sizeof(how));
}

/* In an empty directory: a file, and a directory "in" with links that lead inside and outside. */
static int enter_with_links(void)
{
    enter_empty_directory();
    write_file("outside", "o");
    CHECK_OK(mkdir("in", 0755));
    CHECK_OK(mkdir("in/sub", 0755));
    write_file("in/file", "i");
    CHECK_OK(symlink("file", "in/to_file"));
    CHECK_OK(symlink("../outside", "in/to_outside"));
    CHECK_OK(symlink("/file", "in/to_root"));
    CHECK_OK(symlink("sub", "in/to_sub"));
    return CHECK_OK(open("in", O_RDONLY | O_DIRECTORY));
}

/* What the file that was opened holds, one byte. */
static char first_byte(long fd)
{
    char byte = 0;

    CHECK_EQ(read((int)CHECK_OK(fd), &byte, 1), 1);
    close((int)fd);
    return byte;
}

TEST(openat2_beneath_stays_below_its_directory)
{
    int in = enter_with_links();

    CHECK_EQ(first_byte(open_with(in, "file", O_RDONLY, RESOLVE_BENEATH)), 'i');
    CHECK_EQ(first_byte(open_with(in, "to_file", O_RDONLY, RESOLVE_BENEATH)), 'i');
    CHECK_EQ(first_byte(open_with(in, "sub/../file", O_RDONLY, RESOLVE_BENEATH)), 'i');
    CHECK_ERRNO(open_with(in, "..", O_RDONLY, RESOLVE_BENEATH), EXDEV);
    CHECK_ERRNO(open_with(in, "sub/../../outside", O_RDONLY, RESOLVE_BENEATH), EXDEV);
    CHECK_ERRNO(open_with(in, "to_outside", O_RDONLY, RESOLVE_BENEATH), EXDEV);
    CHECK_ERRNO(open_with(in, "to_root", O_RDONLY, RESOLVE_BENEATH), EXDEV);
    CHECK_ERRNO(open_with(in, "/", O_RDONLY, RESOLVE_BENEATH), EXDEV);
    CHECK_ERRNO(open_with(in, "../new", O_RDWR | O_CREAT, RESOLVE_BENEATH), EXDEV);
}

TEST(openat2_in_root_takes_its_directory_for_the_root)
{
    int in = enter_with_links();

    CHECK_EQ(first_byte(open_with(in, "/file", O_RDONLY, RESOLVE_IN_ROOT)), 'i');
    CHECK_EQ(first_byte(open_with(in, "../../file", O_RDONLY, RESOLVE_IN_ROOT)), 'i');
    CHECK_EQ(first_byte(open_with(in, "to_root", O_RDONLY, RESOLVE_IN_ROOT)), 'i');
    CHECK_ERRNO(open_with(in, "to_outside", O_RDONLY, RESOLVE_IN_ROOT), ENOENT);
    CHECK_ERRNO(open_with(in, "file", O_RDONLY, RESOLVE_IN_ROOT | RESOLVE_BENEATH), EINVAL);
}

TEST(openat2_without_links_refuses_each_link_on_the_way)
{
    int in = enter_with_links();

    CHECK_EQ(first_byte(open_with(in, "file", O_RDONLY, RESOLVE_NO_SYMLINKS)), 'i');
    CHECK_ERRNO(open_with(in, "to_file", O_RDONLY, RESOLVE_NO_SYMLINKS), ELOOP);
    CHECK_ERRNO(open_with(in, "to_sub/../file", O_RDONLY, RESOLVE_NO_SYMLINKS), ELOOP);
    CHECK_ERRNO(open_with(in, "/proc/self/exe", O_RDONLY, RESOLVE_NO_SYMLINKS), ELOOP);
    CHECK_OK(open_with(in, "to_file", O_PATH | O_NOFOLLOW, RESOLVE_NO_SYMLINKS));
}

TEST(openat2_without_magic_links_refuses_those_of_proc_alone)
{
    int in = enter_with_links();

    CHECK_EQ(first_byte(open_with(in, "to_file", O_RDONLY, RESOLVE_NO_MAGICLINKS)), 'i');
    CHECK_OK(open_with(in, "/proc/self/stat", O_RDONLY, RESOLVE_NO_MAGICLINKS));
    CHECK_ERRNO(open_with(in, "/proc/self/exe", O_RDONLY, RESOLVE_NO_MAGICLINKS), ELOOP);
    CHECK_ERRNO(open_with(in, "/proc/self/fd/0", O_RDONLY, RESOLVE_NO_MAGICLINKS), ELOOP);
    CHECK_ERRNO(open_with(in, "/proc/self/cwd/in", O_RDONLY, RESOLVE_NO_MAGICLINKS), ELOOP);
}

TEST(openat2_without_crossing_stays_in_one_mount)
{
    int root = CHECK_OK(open("/", O_RDONLY | O_DIRECTORY));
    int proc = CHECK_OK(open("/proc", O_RDONLY | O_DIRECTORY));

    CHECK_ERRNO(open_with(root, "proc/version", O_RDONLY, RESOLVE_NO_XDEV), EXDEV);
    CHECK_ERRNO(open_with(proc, "..", O_RDONLY, RESOLVE_NO_XDEV), EXDEV);
    CHECK_OK(open_with(proc, "version", O_RDONLY, RESOLVE_NO_XDEV));
    CHECK_OK(open_with(proc, "self/../version", O_RDONLY, RESOLVE_NO_XDEV));
}

TEST(openat2_from_the_cache_alone_never_waits)
{
    int in = enter_with_links();

    CHECK_EQ(first_byte(open_with(in, "file", O_RDONLY, 0)), 'i');
    CHECK_EQ(first_byte(open_with(in, "file", O_RDONLY, RESOLVE_CACHED)), 'i');
    CHECK_ERRNO(open_with(in, "new", O_RDWR | O_CREAT, RESOLVE_CACHED), EAGAIN);
    CHECK_ERRNO(open_with(in, "file", O_RDWR | O_TRUNC, RESOLVE_CACHED), EAGAIN);
    CHECK_ERRNO(open_with(in, ".", O_RDWR | O_TMPFILE, RESOLVE_CACHED), EAGAIN);
}

TEST(openat2_takes_a_longer_structure_whose_rest_is_zero)
{
    struct {
        struct open_how how;
        uint64_t more;
    } longer = {.how = {.flags = O_RDONLY}};

    enter_with_links();
    CHECK_OK(syscall(SYS_openat2, AT_FDCWD, "outside", &longer, sizeof(longer)));
    longer.more = 1;
    CHECK_ERRNO(syscall(SYS_openat2, AT_FDCWD, "outside", &longer, sizeof(longer)), E2BIG);
    CHECK_ERRNO(syscall(SYS_openat2, AT_FDCWD, "outside", &longer, PAGE + 1), E2BIG);
    CHECK_ERRNO(syscall(SYS_openat2, AT_FDCWD, "outside", bad_address(), sizeof(longer.how)),
                EFAULT);
}

/* ---- O_* ---- */

#define LARGEFILE 0100000 /* libc's O_LARGEFILE is 0 on x86-64 */

TEST(fcntl_getfl_tells_what_open_was_given)
{
    int fd;

    enter_with_links();
    fd = CHECK_OK(open("outside", O_RDWR | O_APPEND | O_NDELAY | O_CREAT | O_CLOEXEC));
    CHECK_EQ(fcntl(fd, F_GETFL), O_RDWR | O_APPEND | O_NDELAY | LARGEFILE);
    fd = CHECK_OK(open("outside", O_WRONLY | O_DSYNC | O_TRUNC | O_NOCTTY));
    CHECK_EQ(fcntl(fd, F_GETFL), O_WRONLY | O_DSYNC | LARGEFILE);
    fd = CHECK_OK(open("outside", O_WRONLY | O_SYNC));
    CHECK_EQ(fcntl(fd, F_GETFL), O_WRONLY | O_SYNC | LARGEFILE);
    fd = CHECK_OK(open("in", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NOATIME | O_LARGEFILE));
    CHECK_EQ(fcntl(fd, F_GETFL), O_DIRECTORY | O_NOFOLLOW | O_NOATIME | LARGEFILE);
    fd = CHECK_OK(open("in", O_PATH | O_RDWR | O_APPEND));
    CHECK_EQ(fcntl(fd, F_GETFL), O_PATH);
}

TEST(fcntl_setfl_changes_what_can_be_changed_and_ignores_the_rest)
{
    int fd, fds[2];

    enter_with_links();
    fd = CHECK_OK(open("outside", O_RDWR));
    CHECK_OK(fcntl(fd, F_SETFL, O_APPEND | O_NONBLOCK | O_NOATIME | O_WRONLY | O_SYNC | O_CREAT));
    CHECK_EQ(fcntl(fd, F_GETFL), O_RDWR | O_APPEND | O_NONBLOCK | O_NOATIME | LARGEFILE);
    CHECK_OK(fcntl(fd, F_SETFL, 0));
    CHECK_EQ(fcntl(fd, F_GETFL), O_RDWR | LARGEFILE);
    CHECK_OK(pipe2(fds, O_DIRECT));
    CHECK_EQ(fcntl(fds[1], F_GETFL), O_WRONLY | O_DIRECT);
    CHECK_OK(fcntl(fds[1], F_SETFL, 0));
    CHECK_EQ(fcntl(fds[1], F_GETFL), O_WRONLY);
    CHECK_ERRNO(fcntl(CHECK_OK(open("in", O_PATH)), F_SETFL, 0), EBADF);
}

TEST(open_with_o_noatime_is_for_the_owner)
{
    pid_t child;
    int fd;

    NEEDS_ROOT();
    enter_with_links();
    CHECK_OK(chmod("outside", 0666));
    fd = CHECK_OK(open("outside", O_RDONLY));
    child = CHECK_OK(fork());
    if (child == 0) {
        CHECK_OK(setresuid(2345, 2345, 2345));
        CHECK_ERRNO(open("outside", O_RDONLY | O_NOATIME), EPERM);
        CHECK_ERRNO(fcntl(fd, F_SETFL, O_NOATIME), EPERM);
        CHECK_OK(open("outside", O_RDONLY));
        _exit(0);
    }
    CHECK_EXIT(child, 0);
}

TEST(open_with_o_direct_reads_and_writes_whole_blocks)
{
    char *block = aligned_alloc(PAGE, PAGE), *again = aligned_alloc(PAGE, PAGE);
    int fd;

    enter_empty_directory();
    memset(block, 'd', PAGE);
    fd = CHECK_OK(open("file", O_RDWR | O_CREAT | O_DIRECT, 0644));
    CHECK_EQ(pwrite(fd, block, PAGE, 0), PAGE);
    CHECK_EQ(pread(fd, again, PAGE, 0), PAGE);
    CHECK_MEM_EQ(block, again, PAGE);
    CHECK_EQ(fcntl(fd, F_GETFL) & O_DIRECT, O_DIRECT);
}

TEST(open_refuses_flags_that_contradict_each_other)
{
    enter_with_links();
    CHECK_ERRNO(open("in", O_TMPFILE | O_RDONLY, 0600), EINVAL);
    CHECK_ERRNO(open("outside", O_TMPFILE | O_RDWR, 0600), ENOTDIR);
    CHECK_ERRNO(open("in", O_CREAT | O_RDWR, 0600), EISDIR);
    CHECK_ERRNO(open("outside", O_DIRECTORY), ENOTDIR);
    CHECK_ERRNO(open("in/to_file", O_NOFOLLOW | O_RDONLY), ELOOP);
    CHECK_ERRNO(open("in/to_file", O_CREAT | O_EXCL | O_RDWR, 0600), EEXIST);
    CHECK_ERRNO(open("in/new/", O_CREAT | O_RDWR, 0600), EISDIR);
}

TEST(openat2_refuses_what_open_ignores)
{
    enter_with_links();
    CHECK_OK(open("outside", O_RDONLY | (1 << 30)));
    CHECK_ERRNO(open_with(AT_FDCWD, "outside", O_RDONLY | (1u << 30), 0), EINVAL);
    CHECK_ERRNO(open_with(AT_FDCWD, "outside", O_PATH | O_RDWR, 0), EINVAL);
    CHECK_ERRNO(open_with(AT_FDCWD, "outside", 1ull << 40, 0), EINVAL);
    CHECK_ERRNO(open_with(-1, "outside", O_RDONLY, 0), EBADF);
    CHECK_ERRNO(open_with(AT_FDCWD, "", O_RDONLY, 0), ENOENT);
}

/* ---- Descriptors ---- */

TEST(close_range_marks_descriptors_to_be_closed_by_exec)
{
    for (int i = 3; i < 8; i++)
        CHECK_EQ(dup(0), i);
    CHECK_OK(syscall(SYS_close_range, 4, 6, CLOSE_RANGE_CLOEXEC));
    CHECK_EQ(fcntl(3, F_GETFD), 0);
    for (int i = 4; i <= 6; i++)
        CHECK_EQ(fcntl(i, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(fcntl(7, F_GETFD), 0);
    CHECK_OK(syscall(SYS_close_range, 1000, ~0u, 0));
}

static int close_own_descriptors(void *unused)
{
    (void)unused;
    return syscall(SYS_close_range, 3, ~0u, CLOSE_RANGE_UNSHARE) || fcntl(3, F_GETFD) != -1;
}

TEST(close_range_with_unshare_leaves_the_others_their_descriptors)
{
    char *stack = malloc(64 * 1024);
    pid_t child;

    CHECK_EQ(dup(0), 3);
    child = CHECK_OK(clone(close_own_descriptors, stack + 64 * 1024, CLONE_FILES | SIGCHLD, NULL));
    CHECK_EXIT(child, 0);
    CHECK_OK(fcntl(3, F_GETFD));
}
