/*
 * F_NOTIFY of fcntl(2): signals that say what happened in a directory.
 *
 * covers: fcntl
 */
#include "guest.h"

static sigset_t waited;

/* An empty directory, and a descriptor that tells what `mask` names there by SIGRTMIN. */
static int watch(unsigned long mask)
{
    int fd;

    enter_empty_directory();
    sigemptyset(&waited);
    sigaddset(&waited, SIGIO);
    sigaddset(&waited, SIGRTMIN);
    CHECK_OK(sigprocmask(SIG_BLOCK, &waited, NULL));
    fd = CHECK_OK(open(".", O_RDONLY | O_DIRECTORY));
    CHECK_OK(fcntl(fd, F_SETSIG, SIGRTMIN));
    CHECK_OK(fcntl(fd, F_NOTIFY, mask));
    return fd;
}

static void expect_signal(int fd)
{
    const struct timespec long_time = {10, 0}, no_time = {0, 0};
    siginfo_t info;

    CHECK_EQ(sigtimedwait(&waited, &info, &long_time), SIGRTMIN);
    CHECK_EQ(info.si_code, POLL_MSG);
    CHECK_EQ(info.si_fd, fd);
    CHECK_EQ(info.si_band, 0x441); /* POLLIN, POLLRDNORM, POLLMSG */
    while (sigtimedwait(&waited, NULL, &no_time) > 0)
        ;
}

static void expect_nothing(void)
{
    const struct timespec moment = {0, 30 * 1000000};

    CHECK_ERRNO(sigtimedwait(&waited, NULL, &moment), EAGAIN);
}

TEST(f_notify_tells_once_what_was_created)
{
    int fd = watch(DN_CREATE);

    CHECK_EQ(fcntl(fd, F_GETOWN), getpid());
    CHECK_OK(close(CHECK_OK(open("file", O_CREAT | O_RDWR, 0600))));
    expect_signal(fd);
    CHECK_OK(close(CHECK_OK(open("other", O_CREAT | O_RDWR, 0600))));
    expect_nothing();
}

TEST(f_notify_with_multishot_tells_again)
{
    int fd = watch(DN_CREATE | DN_MULTISHOT);

    for (int i = 0; i < 3; i++) {
        char name[] = {'f', (char)('0' + i), 0};

        CHECK_OK(mkdir(name, 0700));
        expect_signal(fd);
    }
    CHECK_OK(fcntl(fd, F_NOTIFY, 0));
    CHECK_OK(mkdir("last", 0700));
    expect_nothing();
}

TEST(f_notify_knows_each_kind_of_change)
{
    int fd = watch(DN_CREATE | DN_MULTISHOT), file;
    char byte = 0;

    CHECK_OK(fcntl(fd, F_NOTIFY, 0));
    file = CHECK_OK(open("file", O_CREAT | O_RDWR, 0600));
    CHECK_OK(fcntl(fd, F_NOTIFY, DN_MODIFY));
    CHECK_EQ(write(file, "x", 1), 1);
    expect_signal(fd);
    CHECK_OK(fcntl(fd, F_NOTIFY, DN_ACCESS));
    CHECK_EQ(pread(file, &byte, 1, 0), 1);
    expect_signal(fd);
    CHECK_OK(fcntl(fd, F_NOTIFY, DN_ATTRIB));
    CHECK_OK(fchmod(file, 0640));
    expect_signal(fd);
    CHECK_OK(fcntl(fd, F_NOTIFY, DN_RENAME));
    CHECK_OK(rename("file", "name"));
    expect_signal(fd);
    CHECK_OK(fcntl(fd, F_NOTIFY, DN_DELETE));
    CHECK_OK(unlink("name"));
    expect_signal(fd);
}

TEST(f_notify_takes_more_kinds_for_the_same_descriptor)
{
    int fd = watch(DN_CREATE | DN_MULTISHOT);

    CHECK_OK(fcntl(fd, F_NOTIFY, DN_DELETE));
    CHECK_OK(mkdir("directory", 0700));
    expect_signal(fd);
    CHECK_OK(rmdir("directory"));
    expect_signal(fd);
}

TEST(f_notify_ends_when_the_process_closes_a_descriptor_of_the_directory)
{
    int fd = watch(DN_CREATE | DN_MULTISHOT), copy = CHECK_OK(dup(fd));
    pid_t child = CHECK_OK(fork());

    if (child == 0)
        _exit(0); /* its descriptors are its own affair */
    CHECK_EXIT(child, 0);
    CHECK_OK(mkdir("first", 0700));
    expect_signal(fd);
    CHECK_OK(close(copy));
    CHECK_OK(mkdir("second", 0700));
    expect_nothing();
}

TEST(f_notify_sends_sigio_without_f_setsig)
{
    const struct timespec long_time = {10, 0};
    int fd = watch(DN_CREATE);
    siginfo_t info;

    CHECK_OK(fcntl(fd, F_SETSIG, 0));
    CHECK_OK(mkdir("directory", 0700));
    CHECK_EQ(sigtimedwait(&waited, &info, &long_time), SIGIO);
    CHECK_EQ(info.si_code, SI_KERNEL);
}

TEST(f_notify_is_for_directories_and_can_be_switched_off)
{
    int fd = watch(DN_CREATE), file = CHECK_OK(open("file", O_CREAT | O_RDWR, 0600));

    CHECK_ERRNO(fcntl(file, F_NOTIFY, DN_MODIFY), ENOTDIR);
    CHECK_OK(fcntl(file, F_NOTIFY, 0));
    NEEDS_ROOT();
    write_file("/proc/sys/fs/dir-notify-enable", "0");
    CHECK_ERRNO(fcntl(fd, F_NOTIFY, DN_CREATE), EINVAL);
    write_file("/proc/sys/fs/dir-notify-enable", "1");
    CHECK_OK(fcntl(fd, F_NOTIFY, DN_CREATE));
}
