/* /proc/PID/fdinfo: where a descriptor stands, its locks, and what files of each kind add. */
#include "guest.h"

#include <poll.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/sysmacros.h>
#include <sys/timerfd.h>

static char text[8192];

static const char *info(int fd)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
    return read_file(path, text, sizeof(text));
}

/* Whether the text has this line. */
static bool has_line(int fd, const char *format, ...)
{
    char line[256];
    va_list arguments;
    const char *found;

    line[0] = '\n';
    va_start(arguments, format);
    vsnprintf(line + 1, sizeof(line) - 2, format, arguments);
    va_end(arguments);
    strcat(line, "\n");
    found = strstr(info(fd), line);
    if (!found)
        fprintf(stderr, "not there: %s", line + 1);
    return found;
}

static struct stat status_of(int fd)
{
    struct stat status;

    CHECK_OK(fstat(fd, &status));
    return status;
}

static int create_file(void)
{
    enter_empty_directory();
    return CHECK_OK(open("file", O_RDWR | O_CREAT, 0600));
}

TEST(fdinfo_begins_with_position_flags_mount_and_inode)
{
    int fd = create_file(), mount;
    unsigned long position, inode;
    unsigned flags;

    CHECK_EQ(lseek(fd, 7, SEEK_SET), 7);
    CHECK_EQ(sscanf(info(fd), "pos:\t%lu\nflags:\t%o\nmnt_id:\t%d\nino:\t%lu\n", &position, &flags,
                    &mount, &inode),
             4);
    CHECK_EQ(position, 7);
    CHECK_EQ(inode, status_of(fd).st_ino);
}

TEST(fdinfo_of_an_eventfd_has_its_count)
{
    int fd = CHECK_OK(eventfd(0x1234, 0)), other = CHECK_OK(eventfd(0, 0));
    int id, other_id;

    CHECK(has_line(fd, "eventfd-count:             1234"));
    CHECK_EQ(sscanf(strstr(text, "eventfd-id"), "eventfd-id: %d\n", &id), 1);
    CHECK(has_line(other, "eventfd-count:                0"));
    CHECK_EQ(sscanf(strstr(text, "eventfd-id"), "eventfd-id: %d\n", &other_id), 1);
    CHECK_NE(id, other_id);
}

TEST(fdinfo_of_a_timerfd_has_its_clock_ticks_and_times)
{
    const struct itimerspec times = {{50, 500}, {100, 0}};
    int fd = CHECK_OK(timerfd_create(CLOCK_BOOTTIME, 0));
    long seconds, ns;

    CHECK_OK(timerfd_settime(fd, 0, &times, NULL));
    CHECK(has_line(fd, "clockid: 7"));
    CHECK(has_line(fd, "ticks: 0"));
    CHECK(has_line(fd, "settime flags: 00"));
    CHECK(has_line(fd, "it_interval: (50, 500)"));
    CHECK_EQ(sscanf(strstr(text, "it_value"), "it_value: (%ld, %ld)\n", &seconds, &ns), 2);
    CHECK_GT(seconds, 50);
    CHECK_LT(seconds, 100);
    fd = CHECK_OK(timerfd_create(CLOCK_MONOTONIC, 0));
    CHECK_OK(timerfd_settime(fd, TFD_TIMER_ABSTIME,
                             &(struct itimerspec){.it_value = {.tv_nsec = 1}}, NULL));
    CHECK_EQ(poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, -1), 1);
    CHECK(has_line(fd, "clockid: 1"));
    CHECK(has_line(fd, "ticks: 1"));
    CHECK(has_line(fd, "settime flags: 01"));
    CHECK(has_line(fd, "it_value: (0, 0)"));
}

TEST(fdinfo_of_a_signalfd_has_its_set)
{
    sigset_t set;
    int fd;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGCHLD);
    fd = CHECK_OK(signalfd(-1, &set, 0));
    CHECK(has_line(fd, "sigmask:\t0000000000010200"));
}

TEST(fdinfo_of_an_epoll_set_has_a_line_for_each_target)
{
    int set = CHECK_OK(epoll_create1(0)), targets[2];
    struct epoll_event event = {EPOLLIN, {.u64 = 0xabcdef0123456789}};
    struct stat status;

    CHECK_OK(pipe(targets));
    CHECK_OK(epoll_ctl(set, EPOLL_CTL_ADD, targets[0], &event));
    event = (struct epoll_event){EPOLLOUT | EPOLLET, {.u64 = 5}};
    CHECK_OK(epoll_ctl(set, EPOLL_CTL_ADD, targets[1], &event));
    status = status_of(targets[0]);
    CHECK(has_line(set, "tfd: %8d events:       19 data: abcdef0123456789  pos:0 ino:%lx sdev:%x",
                   targets[0], (long)status.st_ino,
                   major(status.st_dev) << 20 | minor(status.st_dev)));
    CHECK(has_line(set, "tfd: %8d events: 8000001c data:                5  pos:0 ino:%lx sdev:%x",
                   targets[1], (long)status.st_ino,
                   major(status.st_dev) << 20 | minor(status.st_dev)));
    CHECK_OK(epoll_ctl(set, EPOLL_CTL_DEL, targets[0], NULL));
    CHECK(!strstr(info(set), "data: abcdef0123456789"));
}

TEST(fdinfo_of_inotify_has_a_line_for_each_watch)
{
    int fd = CHECK_OK(inotify_init1(0)), file = create_file(), first, second;
    struct stat status = status_of(file);
    char expected[128];

    first = CHECK_OK(inotify_add_watch(fd, "file", IN_MODIFY | IN_ATTRIB));
    second = CHECK_OK(inotify_add_watch(fd, ".", IN_CREATE));
    snprintf(expected, sizeof(expected), "\ninotify wd:%x ino:%lx sdev:%x mask:6 ignored_mask:0 ",
             first, (long)status.st_ino, major(status.st_dev) << 20 | minor(status.st_dev));
    CHECK(strstr(info(fd), expected));
    snprintf(expected, sizeof(expected), "\ninotify wd:%x ", second);
    CHECK(strstr(text, expected));
    CHECK_OK(inotify_rm_watch(fd, second));
    CHECK(!strstr(info(fd), expected));
}

TEST(fdinfo_of_a_pidfd_has_the_process)
{
    pid_t child = CHECK_OK(fork());
    int fd;

    if (child == 0)
        _exit(0);
    fd = CHECK_OK(syscall(SYS_pidfd_open, child, 0));
    CHECK(has_line(fd, "Pid:\t%d", child));
    CHECK(has_line(fd, "NSpid:\t%d", child));
    CHECK_EXIT(child, 0);
    CHECK(has_line(fd, "Pid:\t-1"));
    CHECK(has_line(fd, "NSpid:\t-1"));
}

TEST(fdinfo_has_the_locks_that_were_taken_through_the_file)
{
    struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 20};
    int fd = create_file(), other = CHECK_OK(open("file", O_RDWR));
    struct stat status = status_of(fd);
    char place[64];

    snprintf(place, sizeof(place), "%02x:%02x:%lu", major(status.st_dev), minor(status.st_dev),
             (long)status.st_ino);
    CHECK(!strstr(info(fd), "lock:"));
    CHECK_OK(flock(fd, LOCK_SH));
    CHECK_OK(fcntl(fd, F_SETLK, &range));
    range.l_start = 100;
    range.l_len = 0;
    range.l_pid = 0;
    CHECK_OK(fcntl(other, F_OFD_SETLK, &range));
    CHECK(has_line(fd, "lock:\t1: FLOCK  ADVISORY  READ %d %s 0 EOF", getpid(), place));
    CHECK(has_line(fd, "lock:\t2: POSIX  ADVISORY  WRITE %d %s 10 29", getpid(), place));
    CHECK(!strstr(text, "OFDLCK"));
    CHECK(has_line(other, "lock:\t1: OFDLCK ADVISORY  WRITE -1 %s 100 EOF", place));
    CHECK(!strstr(text, "POSIX"));
    CHECK_OK(flock(fd, LOCK_UN));
    CHECK(!strstr(info(fd), "FLOCK"));
}
