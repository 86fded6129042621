/*
 * The devices that every program expects, and the special calls around them.
 *
 * covers: getrandom ioctl
 */
#include "guest.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>

TEST(dev_null_swallows_and_is_empty)
{
    int fd = CHECK_OK(open("/dev/null", O_RDWR));
    char byte;
    struct stat status;

    CHECK_EQ(write(fd, "abc", 3), 3);
    CHECK_EQ(read(fd, &byte, 1), 0);
    CHECK_OK(fstat(fd, &status));
    CHECK(S_ISCHR(status.st_mode));
    CHECK_EQ(status.st_rdev, makedev(1, 3));
    CHECK_EQ(status.st_mode & 0777, 0666);
}

TEST(dev_zero_gives_zeroes)
{
    char block[10000];
    int fd = CHECK_OK(open("/dev/zero", O_RDWR));

    memset(block, 1, sizeof(block));
    CHECK_EQ(read(fd, block, sizeof(block)), sizeof(block));
    for (size_t i = 0; i < sizeof(block); i++)
        CHECK_EQ(block[i], 0);
    CHECK_EQ(write(fd, "abc", 3), 3);
}

TEST(dev_kmsg_wakes_who_waits_for_a_line)
{
    int fd = open("/dev/kmsg", O_RDWR);
    char text[1024] = "";
    struct pollfd entry = {.fd = fd, .events = POLLIN};
    pid_t child;

    if (fd < 0)
        SKIP("no right to the kernel's log");
    CHECK_OK(lseek(fd, 0, SEEK_END));
    child = CHECK_OK(fork());
    if (child == 0) {
        sleep_ms(30);
        CHECK_GE(write(fd, "hello from a test\n", 18), 1);
        _exit(0);
    }
    while (!strstr(text, "hello from a test")) {
        CHECK_EQ(poll(&entry, 1, -1), 1);
        CHECK_GE(read(fd, text, sizeof(text) - 1), 1);
    }
    CHECK_EXIT(child, 0);
}

TEST(dev_full_gives_enospc)
{
    int fd = CHECK_OK(open("/dev/full", O_RDWR));
    char byte = 1;

    CHECK_ERRNO(write(fd, "x", 1), ENOSPC);
    CHECK_EQ(read(fd, &byte, 1), 1);
    CHECK_EQ(byte, 0);
}

TEST(dev_urandom_and_getrandom_give_different_bytes_each_time)
{
    char one[64], two[64];
    int fd = CHECK_OK(open("/dev/urandom", O_RDONLY));

    CHECK_EQ(read(fd, one, 64), 64);
    CHECK_EQ(read(fd, two, 64), 64);
    CHECK(memcmp(one, two, 64) != 0);
    CHECK_EQ(syscall(SYS_getrandom, one, 64, 0), 64);
    CHECK_EQ(syscall(SYS_getrandom, two, 64, 1 /* GRND_NONBLOCK */), 64);
    CHECK(memcmp(one, two, 64) != 0);
    fd = CHECK_OK(open("/dev/random", O_RDONLY));
    CHECK_EQ(read(fd, one, 16), 16);
}

TEST(getrandom_errors_are_as_documented)
{
    CHECK_ERRNO(syscall(SYS_getrandom, bad_address(), 16, 0), EFAULT);
    CHECK_ERRNO(syscall(SYS_getrandom, NULL, 0, 0x100), EINVAL);
    CHECK_ERRNO(syscall(SYS_getrandom, NULL, 0, 2 | 4 /* GRND_RANDOM, _INSECURE */), EINVAL);
    CHECK_EQ(syscall(SYS_getrandom, NULL, 0, 0), 0);
}

TEST(dev_fd_names_the_own_descriptors)
{
    char byte = 0;
    int fds[2], fd;
    char path[32];

    CHECK_OK(pipe(fds));
    CHECK_EQ(write(fds[1], "f", 1), 1);
    snprintf(path, sizeof(path), "/dev/fd/%d", fds[0]);
    fd = CHECK_OK(open(path, O_RDONLY));
    CHECK_EQ(read(fd, &byte, 1), 1);
    CHECK_EQ(byte, 'f');
    CHECK_OK(access("/dev/stdin", F_OK));
    CHECK_ERRNO(open("/dev/fd/99", O_RDONLY), ENOENT);
}

TEST(dev_shm_is_a_directory_for_everybody)
{
    struct stat status;
    char path[64];
    int fd;

    CHECK_OK(stat("/dev/shm", &status));
    CHECK_EQ(status.st_mode, S_IFDIR | 01777);
    snprintf(path, sizeof(path), "/dev/shm/guest.%d", getpid());
    fd = CHECK_OK(open(path, O_RDWR | O_CREAT | O_EXCL, 0600));
    CHECK_OK(unlink(path));
    CHECK_OK(ftruncate(fd, 100));
}

TEST(ioctl_on_what_is_no_terminal_gives_enotty)
{
    int fd = CHECK_OK(open("/dev/null", O_RDWR)), value;

    CHECK_ERRNO(ioctl(fd, TIOCGWINSZ, &value), ENOTTY);
    CHECK_ERRNO(ioctl(77, TIOCGWINSZ, &value), EBADF);
    CHECK_EQ(isatty(fd), 0);
    CHECK_OK(ioctl(fd, FIOCLEX));
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    CHECK_OK(ioctl(fd, FIONCLEX));
    CHECK_EQ(fcntl(fd, F_GETFD), 0);
}

/* Of the two one waits for the log, the other for the offset that they share. */
TEST(kmsg_readers_of_one_file_can_be_killed_while_they_wait)
{
    pid_t readers[2];
    char line[8192];
    int file;

    NEEDS_ROOT();
    file = open("/dev/kmsg", O_RDONLY);
    if (file < 0)
        guest_skip("there is no /dev/kmsg");
    CHECK_OK(lseek(file, 0, SEEK_END));
    for (int i = 0; i < 2; i++) {
        readers[i] = CHECK_OK(fork());
        if (readers[i] == 0) {
            while (read(file, line, sizeof(line)) > 0)
                ;
            _exit(0);
        }
        WAIT_FOR_STATE(readers[i], 'S');
    }
    CHECK_OK(kill(readers[1], SIGKILL));
    CHECK_KILLED(readers[1], SIGKILL);
    CHECK_OK(kill(readers[0], SIGKILL));
    CHECK_KILLED(readers[0], SIGKILL);
}
