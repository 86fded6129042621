/*
 * Waiting for many descriptors: poll, select, epoll, and eventfd as what is waited for.
 *
 * covers: poll ppoll select pselect6 epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait
 * covers: epoll_pwait2 eventfd eventfd2
 */
#include "guest.h"

#include <limits.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>

struct ends {
    int reader, writer;
};

static struct ends new_pipe(void)
{
    int fds[2];

    CHECK_OK(pipe(fds));
    return (struct ends){fds[0], fds[1]};
}

static void put_byte(int fd)
{
    CHECK_EQ(write(fd, "x", 1), 1);
}

static void take_byte(int fd)
{
    char byte;

    CHECK_EQ(read(fd, &byte, 1), 1);
}

/* A child that writes a byte after `ms`. */
static pid_t put_byte_later(int fd, int ms)
{
    pid_t child = CHECK_OK(fork());

    if (child == 0) {
        sleep_ms(ms);
        put_byte(fd);
        _exit(0);
    }
    return child;
}

TEST(poll_with_timeout_waits_that_long)
{
    struct pollfd entry = {.fd = new_pipe().reader, .events = POLLIN};
    uint64_t start = now_ms();

    CHECK_EQ(poll(&entry, 1, 50), 0);
    CHECK_GE(now_ms() - start, 50);
    CHECK_EQ(poll(NULL, 0, 10), 0);
}

TEST(poll_wakes_when_a_descriptor_becomes_ready)
{
    struct ends one = new_pipe(), two = new_pipe();
    struct pollfd entries[2] = {{.fd = one.reader, .events = POLLIN},
                                {.fd = two.reader, .events = POLLIN}};
    pid_t child = put_byte_later(two.writer, 30);

    CHECK_EQ(poll(entries, 2, -1), 1);
    CHECK_EQ(entries[0].revents, 0);
    CHECK_EQ(entries[1].revents, POLLIN);
    CHECK_EXIT(child, 0);
}

TEST(poll_marks_closed_descriptors_and_skips_negative_ones)
{
    struct pollfd entries[2] = {{.fd = 77, .events = POLLIN},
                                {.fd = -1, .events = POLLIN, .revents = 9}};

    CHECK_EQ(poll(entries, 2, -1), 1);
    CHECK_EQ(entries[0].revents, POLLNVAL);
    CHECK_EQ(entries[1].revents, 0);
}

TEST(poll_of_regular_files_is_always_ready)
{
    struct pollfd entry = {.events = POLLIN | POLLOUT};

    enter_empty_directory();
    entry.fd = CHECK_OK(open("file", O_RDWR | O_CREAT, 0644));
    CHECK_EQ(poll(&entry, 1, 0), 1);
    CHECK_EQ(entry.revents, POLLIN | POLLOUT);
}

TEST(poll_errors_are_as_documented)
{
    struct rlimit limit = {10, 10};
    struct pollfd entries[20] = {{0}};
    struct timespec wrong = {0, 1000000000};

    CHECK_ERRNO(syscall(SYS_poll, bad_address(), 1, 0), EFAULT);
    CHECK_ERRNO(syscall(SYS_ppoll, entries, 1, &wrong, NULL, 8), EINVAL);
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
    CHECK_ERRNO(poll(entries, 20, 0), EINVAL);
}

/* One that began anew each time would never end: the stops come faster than its limit. */
TEST(poll_that_is_stopped_goes_on_to_the_same_moment)
{
    int status, stops = 0;
    pid_t child = CHECK_OK(fork());

    if (child == 0)
        _exit(poll(NULL, 0, 200));
    do {
        sleep_ms(10);
        kill(child, SIGSTOP);
        CHECK_EQ(waitpid(child, &status, WUNTRACED), child);
        kill(child, SIGCONT);
    } while (WIFSTOPPED(status) && ++stops < 500);
    CHECK_EQ(status, 0);
}

TEST(poll_is_interrupted_by_a_signal_also_with_sa_restart)
{
    ring_until_the_end(SA_RESTART);
    CHECK_ERRNO(poll(NULL, 0, -1), EINTR);
}

TEST(ppoll_swaps_the_mask_while_it_waits)
{
    sigset_t blocked, empty;

    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    sigemptyset(&empty);
    handle_signal(SIGUSR1, count_signal, 0);
    CHECK_OK(sigprocmask(SIG_BLOCK, &blocked, NULL));
    raise(SIGUSR1);
    CHECK_EQ(signals_counted, 0);
    CHECK_ERRNO(ppoll(NULL, 0, NULL, &empty), EINTR);
    CHECK_EQ(signals_counted, 1);
    raise(SIGUSR1);
    CHECK_EQ(signals_counted, 1); /* blocked again */
}

TEST(select_tells_reading_writing_and_leaves_only_the_ready)
{
    struct ends full = new_pipe(), empty = new_pipe();
    fd_set readers, writers;
    struct timeval zero = {0, 0};

    put_byte(full.writer);
    FD_ZERO(&readers);
    FD_ZERO(&writers);
    FD_SET(full.reader, &readers);
    FD_SET(empty.reader, &readers);
    FD_SET(empty.writer, &writers);
    CHECK_EQ(select(20, &readers, &writers, NULL, &zero), 2);
    CHECK(FD_ISSET(full.reader, &readers));
    CHECK(!FD_ISSET(empty.reader, &readers));
    CHECK(FD_ISSET(empty.writer, &writers));
}

TEST(select_with_timeout_waits_and_empties_the_sets)
{
    int fd = new_pipe().reader;
    fd_set readers;
    struct timeval timeout = {0, 40000};
    uint64_t start = now_ms();

    FD_ZERO(&readers);
    FD_SET(fd, &readers);
    CHECK_EQ(select(fd + 1, &readers, NULL, NULL, &timeout), 0);
    CHECK_GE(now_ms() - start, 40);
    CHECK(!FD_ISSET(fd, &readers));
}

TEST(select_wakes_when_a_descriptor_becomes_ready)
{
    struct ends ends = new_pipe();
    fd_set readers;
    pid_t child = put_byte_later(ends.writer, 30);

    FD_ZERO(&readers);
    FD_SET(ends.reader, &readers);
    CHECK_EQ(select(ends.reader + 1, &readers, NULL, NULL, NULL), 1);
    CHECK_EXIT(child, 0);
}

TEST(select_errors_are_as_documented)
{
    fd_set readers;
    struct timeval negative = {-1, 0};

    FD_ZERO(&readers);
    FD_SET(77, &readers);
    CHECK_ERRNO(select(78, &readers, NULL, NULL, NULL), EBADF);
    CHECK_ERRNO(syscall(SYS_select, -1, NULL, NULL, NULL, NULL), EINVAL);
    CHECK_ERRNO(syscall(SYS_select, 0, NULL, NULL, NULL, &negative), EINVAL);
    CHECK_ERRNO(syscall(SYS_select, 10, bad_address(), NULL, NULL, NULL), EFAULT);
}

TEST(pselect_swaps_the_mask_while_it_waits)
{
    sigset_t blocked, empty;

    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    sigemptyset(&empty);
    handle_signal(SIGUSR1, count_signal, 0);
    CHECK_OK(sigprocmask(SIG_BLOCK, &blocked, NULL));
    raise(SIGUSR1);
    CHECK_ERRNO(pselect(0, NULL, NULL, NULL, NULL, &empty), EINTR);
    CHECK_EQ(signals_counted, 1);
}

/* A limit in memory that can only be read: what is left of it has no place to go. */
static void *read_only_limit(long seconds)
{
    long *limit = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    CHECK(limit != MAP_FAILED);
    limit[0] = seconds;
    CHECK_OK(mprotect(limit, 4096, PROT_READ));
    return limit;
}

TEST(ppoll_and_select_keep_their_result_where_the_limit_is_read_only)
{
    struct ends ends = new_pipe();
    struct pollfd entry = {.fd = ends.reader, .events = POLLIN};
    void *limit = read_only_limit(100);
    fd_set readers;

    put_byte(ends.writer);
    FD_ZERO(&readers);
    FD_SET(ends.reader, &readers);
    CHECK_EQ(syscall(SYS_ppoll, &entry, 1, limit, NULL, 8), 1);
    CHECK_EQ(syscall(SYS_pselect6, ends.reader + 1, &readers, NULL, NULL, limit, NULL), 1);
    CHECK_EQ(syscall(SYS_select, ends.reader + 1, &readers, NULL, NULL, limit), 1);
    ring_until_the_end(SA_RESTART);
    CHECK_ERRNO(syscall(SYS_ppoll, NULL, 0, limit, NULL, 8), EINTR);
}

TEST(select_takes_descriptors_beyond_1024_in_larger_sets)
{
    enum {
        FIRST = 1500,
        COUNT = 2048
    };
    struct rlimit limit = {COUNT, COUNT};
    struct ends ends = new_pipe();
    uint64_t readers[COUNT / 64] = {0};
    struct timeval zero = {0, 0};

    CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
    CHECK_EQ(dup2(ends.reader, FIRST), FIRST);
    readers[FIRST / 64] = 1ull << FIRST % 64;
    CHECK_EQ(syscall(SYS_select, FIRST + 1, readers, NULL, NULL, &zero), 0);
    CHECK_EQ(readers[FIRST / 64], 0);
    put_byte(ends.writer);
    readers[FIRST / 64] = 1ull << FIRST % 64 | 1ull << 63; /* the last is not asked */
    CHECK_EQ(syscall(SYS_select, FIRST + 1, readers, NULL, NULL, &zero), 1);
    CHECK_EQ(readers[FIRST / 64] & 1ull << FIRST % 64, 1ull << FIRST % 64);
    close(FIRST);
    CHECK_ERRNO(syscall(SYS_select, FIRST + 1, readers, NULL, NULL, &zero), EBADF);
    CHECK_EQ(syscall(SYS_select, INT_MAX, NULL, NULL, NULL, &zero), 0);
}

/* ---- epoll ---- */

static int new_epoll(void)
{
    return CHECK_OK(epoll_create1(EPOLL_CLOEXEC));
}

static void epoll_add(int epoll, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.fd = fd};

    CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
}

/* The events of one descriptor that is ready now; 0: none is. */
static uint32_t epoll_now(int epoll, int fd)
{
    struct epoll_event event;

    if (CHECK_OK(epoll_wait(epoll, &event, 1, 0)) == 0)
        return 0;
    CHECK_EQ(event.data.fd, fd);
    return event.events;
}

TEST(epoll_level_triggered_repeats_while_ready)
{
    struct ends ends = new_pipe();
    int epoll = new_epoll();

    epoll_add(epoll, ends.reader, EPOLLIN);
    CHECK_EQ(epoll_now(epoll, ends.reader), 0);
    put_byte(ends.writer);
    CHECK_EQ(epoll_now(epoll, ends.reader), EPOLLIN);
    CHECK_EQ(epoll_now(epoll, ends.reader), EPOLLIN);
    take_byte(ends.reader);
    CHECK_EQ(epoll_now(epoll, ends.reader), 0);
}

TEST(epoll_edge_triggered_tells_once_for_each_arrival)
{
    struct ends ends = new_pipe();
    int epoll = new_epoll();

    epoll_add(epoll, ends.reader, EPOLLIN | EPOLLET);
    put_byte(ends.writer);
    CHECK_EQ(epoll_now(epoll, ends.reader), EPOLLIN);
    CHECK_EQ(epoll_now(epoll, ends.reader), 0);
    put_byte(ends.writer);
    CHECK_EQ(epoll_now(epoll, ends.reader), EPOLLIN);
    CHECK_EQ(epoll_now(epoll, ends.reader), 0);
}

TEST(epoll_oneshot_is_silent_until_modified)
{
    struct ends ends = new_pipe();
    int epoll = new_epoll();
    struct epoll_event again = {.events = EPOLLIN | EPOLLONESHOT, .data.fd = ends.reader};

    epoll_add(epoll, ends.reader, EPOLLIN | EPOLLONESHOT);
    put_byte(ends.writer);
    CHECK_EQ(epoll_now(epoll, ends.reader), EPOLLIN);
    CHECK_EQ(epoll_now(epoll, ends.reader), 0);
    CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_MOD, ends.reader, &again));
    CHECK_EQ(epoll_now(epoll, ends.reader), EPOLLIN);
}

TEST(epoll_tells_hangup_and_error_unasked)
{
    struct ends ends = new_pipe(), other = new_pipe();
    int epoll = new_epoll();

    epoll_add(epoll, ends.reader, 0);
    close(ends.writer);
    CHECK_EQ(epoll_now(epoll, ends.reader), EPOLLHUP);
    close(ends.reader);
    epoll_add(epoll, other.writer, EPOLLOUT);
    close(other.reader);
    CHECK_EQ(epoll_now(epoll, other.writer), EPOLLOUT | EPOLLERR);
}

TEST(epoll_wait_blocks_until_ready)
{
    struct ends ends = new_pipe();
    int epoll = new_epoll();
    struct epoll_event event;
    pid_t child;

    epoll_add(epoll, ends.reader, EPOLLIN);
    child = put_byte_later(ends.writer, 30);
    CHECK_EQ(epoll_wait(epoll, &event, 1, -1), 1);
    CHECK_EQ(event.data.fd, ends.reader);
    CHECK_EXIT(child, 0);
}

TEST(epoll_wait_with_timeout_waits_that_long)
{
    struct epoll_event event;
    int epoll = new_epoll();
    uint64_t start = now_ms();

    CHECK_EQ(epoll_wait(epoll, &event, 1, 40), 0);
    CHECK_GE(now_ms() - start, 40);
}

TEST(epoll_wait_gives_all_ready_ones_in_turn)
{
    enum {
        PIPES = 10
    };
    struct ends pipes[PIPES];
    struct epoll_event events[4];
    int epoll = new_epoll(), seen = 0;

    for (int i = 0; i < PIPES; i++) {
        pipes[i] = new_pipe();
        epoll_add(epoll, pipes[i].reader, EPOLLIN);
        put_byte(pipes[i].writer);
    }
    for (int round = 0; round < 3; round++) {
        int count = CHECK_OK(epoll_wait(epoll, events, 4, 0));

        for (int i = 0; i < count; i++) {
            take_byte(events[i].data.fd);
            seen++;
        }
    }
    CHECK_EQ(seen, PIPES);
}

/* Room for events whose first pages are there, and which ends where nothing is. */
static struct epoll_event *room_before_a_hole(int events)
{
    size_t bytes = events * sizeof(struct epoll_event);
    char *pages = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    CHECK_OK(munmap(pages + 2 * PAGE, PAGE));
    pages[0] = 1; /* the second page comes with the first event that lies in it */
    return (struct epoll_event *)(pages + 2 * PAGE - bytes);
}

TEST(epoll_wait_reports_into_memory_that_was_not_touched_yet)
{
    enum {
        FILES = 400 /* more events than a page holds, and none at a page's end */
    };
    struct epoll_event *events = room_before_a_hole(FILES);
    int epoll = new_epoll(), files[FILES];
    char seen[1024] = "";

    for (int i = 0; i < FILES; i++) {
        files[i] = CHECK_OK(eventfd(1, 0));
        epoll_add(epoll, files[i], i % 2 ? EPOLLIN : EPOLLIN | EPOLLET);
    }
    CHECK_EQ(epoll_wait(epoll, events, FILES, 0), FILES);
    for (int i = 0; i < FILES; i++) {
        CHECK_EQ(events[i].events, EPOLLIN);
        CHECK_EQ(seen[events[i].data.fd], 0);
        seen[events[i].data.fd] = 1;
    }
}

TEST(epoll_wait_loses_no_event_that_it_cannot_report)
{
    struct epoll_event *room = room_before_a_hole(2), events[4];
    int epoll = new_epoll(), files[4];

    for (int i = 0; i < 4; i++) {
        files[i] = CHECK_OK(eventfd(1, 0));
        epoll_add(epoll, files[i], EPOLLIN | (i % 2 ? EPOLLONESHOT : EPOLLET));
    }
    CHECK_EQ(epoll_wait(epoll, room, 4, 0), 2); /* as many as there is room for */
    CHECK_ERRNO(epoll_wait(epoll, room + 2, 4, 0), EFAULT);
    CHECK_EQ(epoll_wait(epoll, events, 4, 0), 2);
    CHECK_NE(events[0].data.fd, events[1].data.fd);
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 2; j++)
            CHECK_NE(events[i].data.fd, room[j].data.fd);
    CHECK_EQ(epoll_wait(epoll, events, 4, 0), 0);
}

TEST(epoll_can_be_polled_and_nested)
{
    struct ends ends = new_pipe();
    int inner = new_epoll(), outer = new_epoll();
    struct pollfd entry = {.fd = outer, .events = POLLIN};

    epoll_add(inner, ends.reader, EPOLLIN);
    epoll_add(outer, inner, EPOLLIN);
    CHECK_EQ(poll(&entry, 1, 0), 0);
    put_byte(ends.writer);
    CHECK_EQ(poll(&entry, 1, 1000), 1);
    CHECK_EQ(epoll_now(outer, inner), EPOLLIN);
    CHECK_EQ(epoll_now(inner, ends.reader), EPOLLIN);
}

#define MANY_SETS 400

/* Built from the outside in, each new link has nothing below it: what lies above counts as well. */
TEST(epoll_a_long_chain_of_sets_is_refused_or_harmless)
{
    int sets[MANY_SETS], inner = 0, bell;

    for (int i = 0; i < MANY_SETS; i++)
        sets[i] = new_epoll();
    while (inner + 1 < MANY_SETS) {
        struct epoll_event event = {.events = EPOLLIN, .data.fd = sets[inner + 1]};

        if (epoll_ctl(sets[inner], EPOLL_CTL_ADD, sets[inner + 1], &event) == -1)
            break;
        inner++;
    }
    CHECK(inner == MANY_SETS - 1 || errno == ELOOP);
    CHECK(inner >= 3);
    bell = CHECK_OK(eventfd(1, 0));
    epoll_add(sets[inner], bell, EPOLLIN);
    CHECK_EQ(epoll_now(sets[0], sets[1]), EPOLLIN);
}

#define CROSSED_SETS 30

/* An event goes up all the ways there are, at once. */
TEST(epoll_too_many_ways_from_a_file_through_sets_are_refused)
{
    int outer[CROSSED_SETS], inner[CROSSED_SETS], bell = CHECK_OK(eventfd(1, 0)), watched = 0;
    struct epoll_event event = {.events = EPOLLIN};

    for (int i = 0; i < CROSSED_SETS; i++) {
        outer[i] = new_epoll();
        inner[i] = new_epoll();
    }
    for (int i = 0; i < CROSSED_SETS; i++)
        for (int j = 0; j < CROSSED_SETS; j++)
            epoll_add(outer[i], inner[j], EPOLLIN);
    while (watched < CROSSED_SETS && !epoll_ctl(inner[watched], EPOLL_CTL_ADD, bell, &event))
        watched++;
    CHECK_EQ(errno, EINVAL);
    CHECK_EQ(watched, 500 / CROSSED_SETS);
    CHECK_EQ(epoll_now(outer[0], inner[0]), EPOLLIN);
}

TEST(epoll_forgets_a_file_when_its_last_descriptor_is_closed)
{
    struct ends ends = new_pipe();
    int epoll = new_epoll(), copy;

    epoll_add(epoll, ends.reader, EPOLLIN);
    put_byte(ends.writer);
    copy = CHECK_OK(dup(ends.reader));
    close(ends.reader);
    CHECK_EQ(epoll_now(epoll, ends.reader), EPOLLIN);
    close(copy);
    CHECK_EQ(epoll_now(epoll, ends.reader), 0);
}

TEST(epoll_ctl_del_ends_the_watch)
{
    struct ends ends = new_pipe();
    int epoll = new_epoll();

    epoll_add(epoll, ends.reader, EPOLLIN);
    put_byte(ends.writer);
    CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_DEL, ends.reader, NULL));
    CHECK_EQ(epoll_now(epoll, ends.reader), 0);
    epoll_add(epoll, ends.reader, EPOLLIN);
    CHECK_EQ(epoll_now(epoll, ends.reader), EPOLLIN);
}

TEST(epoll_ctl_errors_are_as_documented)
{
    struct ends ends = new_pipe();
    struct epoll_event event = {.events = EPOLLIN};
    int epoll = new_epoll(), file, second = new_epoll();

    epoll_add(epoll, ends.reader, EPOLLIN);
    CHECK_ERRNO(epoll_ctl(epoll, EPOLL_CTL_ADD, ends.reader, &event), EEXIST);
    CHECK_ERRNO(epoll_ctl(epoll, EPOLL_CTL_MOD, ends.writer, &event), ENOENT);
    CHECK_ERRNO(epoll_ctl(epoll, EPOLL_CTL_DEL, ends.writer, NULL), ENOENT);
    CHECK_ERRNO(epoll_ctl(epoll, EPOLL_CTL_ADD, epoll, &event), EINVAL);
    CHECK_ERRNO(epoll_ctl(ends.reader, EPOLL_CTL_ADD, ends.writer, &event), EINVAL);
    CHECK_ERRNO(epoll_ctl(epoll, 99, ends.writer, &event), EINVAL);
    CHECK_ERRNO(epoll_ctl(epoll, EPOLL_CTL_ADD, 77, &event), EBADF);
    CHECK_ERRNO(epoll_ctl(77, EPOLL_CTL_ADD, ends.writer, &event), EBADF);
    CHECK_ERRNO(epoll_ctl(epoll, EPOLL_CTL_ADD, ends.writer, bad_address()), EFAULT);
    epoll_add(epoll, second, EPOLLIN);
    CHECK_ERRNO(epoll_ctl(second, EPOLL_CTL_ADD, epoll, &event), ELOOP);
    enter_empty_directory();
    file = CHECK_OK(open("file", O_RDWR | O_CREAT, 0644));
    CHECK_ERRNO(epoll_ctl(epoll, EPOLL_CTL_ADD, file, &event), EPERM);
}

TEST(epoll_create_and_wait_errors_are_as_documented)
{
    struct epoll_event event;
    int epoll = new_epoll();

    CHECK_ERRNO(syscall(SYS_epoll_create1, 0x100), EINVAL);
    CHECK_ERRNO(syscall(SYS_epoll_create, 0), EINVAL);
    CHECK_OK(syscall(SYS_epoll_create, 1));
    CHECK_ERRNO(syscall(SYS_epoll_wait, epoll, &event, 0, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_epoll_wait, epoll, &event, -1, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_epoll_wait, new_pipe().reader, &event, 1, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_epoll_wait, 77, &event, 1, 0), EBADF);
}

TEST(epoll_pwait_swaps_the_mask)
{
    struct epoll_event event;
    sigset_t blocked, empty;
    int epoll = new_epoll();

    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    sigemptyset(&empty);
    handle_signal(SIGUSR1, count_signal, 0);
    CHECK_OK(sigprocmask(SIG_BLOCK, &blocked, NULL));
    raise(SIGUSR1);
    CHECK_ERRNO(epoll_pwait(epoll, &event, 1, -1, &empty), EINTR);
    CHECK_EQ(signals_counted, 1);
}

/* ---- eventfd ---- */

TEST(eventfd_adds_up_and_is_read_at_once)
{
    uint64_t value = 0;
    int fd = CHECK_OK(eventfd(3, EFD_NONBLOCK | EFD_CLOEXEC));

    value = 4;
    CHECK_EQ(write(fd, &value, 8), 8);
    CHECK_EQ(read(fd, &value, 8), 8);
    CHECK_EQ(value, 7);
    CHECK_ERRNO(read(fd, &value, 8), EAGAIN);
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
}

TEST(eventfd_as_semaphore_gives_one_at_a_time)
{
    uint64_t value;
    int fd = CHECK_OK(eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK));

    CHECK_EQ(read(fd, &value, 8), 8);
    CHECK_EQ(value, 1);
    CHECK_EQ(read(fd, &value, 8), 8);
    CHECK_ERRNO(read(fd, &value, 8), EAGAIN);
}

TEST(eventfd_blocks_and_polls)
{
    uint64_t one = 1;
    int fd = CHECK_OK(eventfd(0, 0));
    struct pollfd entry = {.fd = fd, .events = POLLIN | POLLOUT};
    pid_t child;

    CHECK_EQ(poll(&entry, 1, 0), 1);
    CHECK_EQ(entry.revents, POLLOUT);
    child = CHECK_OK(fork());
    if (child == 0) {
        sleep_ms(30);
        CHECK_EQ(write(fd, &one, 8), 8);
        _exit(0);
    }
    CHECK_EQ(read(fd, &one, 8), 8);
    CHECK_EXIT(child, 0);
}

TEST(eventfd_errors_are_as_documented)
{
    uint64_t value = ~0ull;
    int fd = CHECK_OK(eventfd(0, EFD_NONBLOCK));

    CHECK_ERRNO(eventfd(0, 0x100), EINVAL);
    CHECK_ERRNO(write(fd, &value, 8), EINVAL);
    CHECK_ERRNO(write(fd, &value, 4), EINVAL);
    CHECK_ERRNO(read(fd, &value, 4), EINVAL);
    value = ~0ull - 1;
    CHECK_EQ(write(fd, &value, 8), 8);
    value = 1;
    CHECK_ERRNO(write(fd, &value, 8), EAGAIN);
}

/* ---- Events by their other names ---- */

TEST(poll_says_what_is_normal_and_what_is_a_band)
{
    struct ends ends = new_pipe();
    struct pollfd entry = {.fd = ends.writer, .events = POLLWRNORM | POLLWRBAND};
    struct epoll_event event = {.events = EPOLLRDNORM | EPOLLRDBAND | EPOLLPRI};
    int epoll = CHECK_OK(epoll_create1(0)), fds[2];

    CHECK_EQ(poll(&entry, 1, 0), 1);
    CHECK_EQ(entry.revents, POLLWRNORM);
    entry = (struct pollfd){.fd = ends.reader, .events = POLLRDBAND | POLLPRI};
    put_byte(ends.writer);
    CHECK_EQ(poll(&entry, 1, 0), 0);
    CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, ends.reader, &event));
    CHECK_EQ(epoll_wait(epoll, &event, 1, 0), 1);
    CHECK_EQ(event.events, EPOLLRDNORM);
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
    event.events = EPOLLWRNORM | EPOLLWRBAND;
    CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_DEL, ends.reader, NULL));
    CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, fds[0], &event));
    CHECK_EQ(epoll_wait(epoll, &event, 1, 0), 1);
    CHECK_EQ(event.events, EPOLLWRNORM | EPOLLWRBAND);
}

TEST(epoll_takes_exclusive_and_wakeup_only_as_documented)
{
    struct ends ends = new_pipe();
    struct epoll_event event = {.events = EPOLLIN | EPOLLEXCLUSIVE | EPOLLWAKEUP};
    int one = CHECK_OK(epoll_create1(0)), two = CHECK_OK(epoll_create1(0));

    CHECK_OK(epoll_ctl(one, EPOLL_CTL_ADD, ends.reader, &event));
    CHECK_OK(epoll_ctl(two, EPOLL_CTL_ADD, ends.reader, &event));
    put_byte(ends.writer);
    CHECK_EQ(epoll_wait(one, &event, 1, 0), 1);
    CHECK_EQ(event.events, EPOLLIN);
    event.events = EPOLLIN;
    CHECK_ERRNO(epoll_ctl(one, EPOLL_CTL_MOD, ends.reader, &event), EINVAL);
    event.events = EPOLLIN | EPOLLEXCLUSIVE;
    CHECK_ERRNO(epoll_ctl(one, EPOLL_CTL_MOD, ends.reader, &event), EINVAL);
    event.events = EPOLLIN | EPOLLEXCLUSIVE | EPOLLONESHOT;
    CHECK_ERRNO(epoll_ctl(one, EPOLL_CTL_ADD, ends.writer, &event), EINVAL);
    event.events = EPOLLIN | EPOLLEXCLUSIVE;
    CHECK_ERRNO(epoll_ctl(one, EPOLL_CTL_ADD, two, &event), EINVAL);
}

TEST(epoll_exclusive_event_goes_past_a_set_for_which_nobody_waits)
{
    struct ends ends = new_pipe();
    struct epoll_event event = {.events = EPOLLIN | EPOLLEXCLUSIVE};
    int busy = CHECK_OK(epoll_create1(0)), idle = CHECK_OK(epoll_create1(0));
    pid_t child;

    CHECK_OK(epoll_ctl(busy, EPOLL_CTL_ADD, ends.reader, &event));
    CHECK_OK(epoll_ctl(idle, EPOLL_CTL_ADD, ends.reader, &event));
    child = CHECK_OK(fork());
    if (child == 0)
        _exit(epoll_wait(idle, &event, 1, -1));
    WAIT_FOR_STATE(child, 'S');
    put_byte(ends.writer);
    CHECK_EXIT(child, 1);
}
