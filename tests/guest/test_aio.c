/*
 * Linux's asynchronous I/O, by its calls: what is submitted is done, and its event can be had.
 *
 * covers: io_setup io_destroy io_submit io_cancel io_getevents io_pgetevents
 */
#include "guest.h"

#include <linux/aio_abi.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/uio.h>

static long io_setup(unsigned events, aio_context_t *context)
{
    return syscall(SYS_io_setup, events, context);
}

static long io_submit(aio_context_t context, long count, struct iocb **requests)
{
    return syscall(SYS_io_submit, context, count, requests);
}

static long io_getevents(aio_context_t context, long least, long most, struct io_event *events,
                         struct timespec *timeout)
{
    return syscall(SYS_io_getevents, context, least, most, events, timeout);
}

static aio_context_t new_context(void)
{
    aio_context_t context = 0;

    CHECK_OK(io_setup(8, &context));
    CHECK(context != 0);
    return context;
}

static struct iocb request_of(int opcode, int fd, const void *buffer, size_t bytes, off_t offset)
{
    return (struct iocb){.aio_data = 77,
                         .aio_lio_opcode = (uint16_t)opcode,
                         .aio_fildes = (uint32_t)fd,
                         .aio_buf = (uintptr_t)buffer,
                         .aio_nbytes = bytes,
                         .aio_offset = offset};
}

static long submit_one(aio_context_t context, struct iocb *request)
{
    return io_submit(context, 1, &request);
}

static int new_file(void)
{
    enter_empty_directory();
    return CHECK_OK(open("file", O_RDWR | O_CREAT, 0600));
}

TEST(io_submit_takes_the_flags_of_pwritev2)
{
    aio_context_t context = new_context();
    struct iocb request = request_of(IOCB_CMD_PWRITE, new_file(), "text", 4, 0);
    struct io_event event;

    request.aio_rw_flags = RWF_SYNC;
    CHECK_EQ(submit_one(context, &request), 1);
    CHECK_EQ(io_getevents(context, 1, 1, &event, NULL), 1);
    CHECK_EQ(event.res, 4);
    request.aio_rw_flags = RWF_DSYNC;
    request.aio_fildes = CHECK_OK(open("/dev/null", O_WRONLY)); /* nothing to synchronise */
    CHECK_EQ(submit_one(context, &request), 1);
    CHECK_EQ(io_getevents(context, 1, 1, &event, NULL), 1);
    CHECK_EQ(event.res, 4);
}

TEST(io_submit_writes_and_reads_and_gives_events)
{
    aio_context_t context = new_context();
    int fd = new_file();
    char text[16] = "";
    struct iocb write_one = request_of(IOCB_CMD_PWRITE, fd, "hello", 5, 3);
    struct iocb read_one = request_of(IOCB_CMD_PREAD, fd, text, sizeof(text), 3);
    struct iocb sync_one = request_of(IOCB_CMD_FSYNC, fd, NULL, 0, 0);
    struct iocb *first[2] = {&write_one, &sync_one};
    struct io_event events[4];

    CHECK_EQ(io_submit(context, 2, first), 2);
    CHECK_EQ(io_getevents(context, 2, 4, events, NULL), 2);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(events[i].data, 77);
        CHECK_EQ(events[i].res, events[i].obj == (uintptr_t)&write_one ? 5 : 0);
    }
    CHECK_EQ(submit_one(context, &read_one), 1);
    CHECK_EQ(io_getevents(context, 1, 4, events, NULL), 1);
    CHECK_EQ(events[0].obj, (uintptr_t)&read_one);
    CHECK_EQ(events[0].res, 5);
    CHECK_STR_EQ(text, "hello");
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 0);
    CHECK_OK(syscall(SYS_io_destroy, context));
}

TEST(io_submit_takes_vectors)
{
    aio_context_t context = new_context();
    int fd = new_file();
    char a[4] = "", b[4] = "";
    struct iovec out[2] = {{"abc", 3}, {"def", 3}}, in[2] = {{a, 3}, {b, 3}};
    struct iocb write_two = request_of(IOCB_CMD_PWRITEV, fd, out, 2, 0);
    struct iocb read_two = request_of(IOCB_CMD_PREADV, fd, in, 2, 0);
    struct io_event event;

    CHECK_EQ(submit_one(context, &write_two), 1);
    CHECK_EQ(io_getevents(context, 1, 1, &event, NULL), 1);
    CHECK_EQ(event.res, 6);
    CHECK_EQ(submit_one(context, &read_two), 1);
    CHECK_EQ(io_getevents(context, 1, 1, &event, NULL), 1);
    CHECK_STR_EQ(a, "abc");
    CHECK_STR_EQ(b, "def");
}

TEST(io_submit_tells_an_eventfd)
{
    aio_context_t context = new_context();
    int fd = new_file(), told = CHECK_OK(eventfd(0, 0));
    struct iocb request = request_of(IOCB_CMD_PWRITE, fd, "x", 1, 0);
    uint64_t count;

    request.aio_flags = IOCB_FLAG_RESFD;
    request.aio_resfd = (uint32_t)told;
    CHECK_EQ(submit_one(context, &request), 1);
    CHECK_EQ(submit_one(context, &request), 1);
    CHECK_EQ(read(told, &count, sizeof(count)), 8);
    CHECK_GE(count, 1);
    request.aio_resfd = (uint32_t)fd;
    CHECK_ERRNO(submit_one(context, &request), EINVAL);
    request.aio_resfd = 99;
    CHECK_ERRNO(submit_one(context, &request), EBADF);
}

TEST(io_submit_stops_at_the_first_request_that_is_wrong)
{
    aio_context_t context = new_context();
    int fd = new_file(), reader = CHECK_OK(open("file", O_RDONLY));
    struct iocb good = request_of(IOCB_CMD_PWRITE, fd, "x", 1, 0);
    struct iocb bad = request_of(IOCB_CMD_PWRITE, reader, "x", 1, 0);
    struct iocb *both[3] = {&good, &bad, &good};
    struct io_event events[4];

    CHECK_EQ(io_submit(context, 3, both), 1);
    CHECK_EQ(io_getevents(context, 0, 4, events, NULL), 1);
    CHECK_ERRNO(submit_one(context, &bad), EBADF);
    bad.aio_fildes = 99;
    CHECK_ERRNO(submit_one(context, &bad), EBADF);
    bad = good;
    bad.aio_lio_opcode = 77;
    CHECK_ERRNO(submit_one(context, &bad), EINVAL);
    bad = good;
    bad.aio_reserved2 = 1;
    CHECK_ERRNO(submit_one(context, &bad), EINVAL);
    both[0] = (void *)8;
    CHECK_ERRNO(io_submit(context, 1, both), EFAULT);
    CHECK_ERRNO(io_submit(context, 1, (void *)8), EFAULT);
    CHECK_ERRNO(io_submit(context, -1, both), EINVAL);
    CHECK_EQ(io_submit(context, 0, both), 0);
    CHECK_ERRNO(io_submit(0, 1, both), EINVAL);
}

TEST(io_submit_gives_eagain_when_too_many_events_wait)
{
    aio_context_t context = new_context();
    int fd = new_file(), count = 0;
    struct iocb request = request_of(IOCB_CMD_PWRITE, fd, "x", 1, 0);
    struct io_event event;

    while (submit_one(context, &request) == 1)
        CHECK_LE(++count, 100000);
    CHECK_EQ(errno, EAGAIN);
    CHECK_GE(count, 8);
    CHECK_EQ(io_getevents(context, 1, 1, &event, NULL), 1);
}

TEST(io_getevents_waits_for_the_time_that_it_is_given)
{
    aio_context_t context = new_context();
    struct timespec timeout = {0, 30000000};
    struct io_event event;
    uint64_t start = now_ms();

    CHECK_EQ(io_getevents(context, 1, 1, &event, &timeout), 0);
    CHECK_GE(now_ms() - start, 29);
    CHECK_EQ(io_getevents(context, 0, 1, &event, NULL), 0);
    CHECK_ERRNO(io_getevents(context, 2, 1, &event, &timeout), EINVAL);
    CHECK_ERRNO(io_getevents(context, -1, 1, &event, &timeout), EINVAL);
    CHECK_ERRNO(io_getevents(context + PAGE, 0, 1, &event, &timeout), EINVAL);
    CHECK_ERRNO(io_getevents(context, 0, 1, &event, (void *)8), EFAULT);
}

static void nothing(int signal)
{
}

TEST(io_pgetevents_lets_a_masked_signal_end_the_wait)
{
    aio_context_t context = new_context();
    struct {
        const void *mask;
        size_t bytes;
    } masked;
    uint64_t none = 0;
    struct io_event event;
    sigset_t blocked;

    signal(SIGALRM, nothing);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGALRM);
    CHECK_OK(sigprocmask(SIG_BLOCK, &blocked, NULL));
    masked.mask = &none;
    masked.bytes = sizeof(none);
    ualarm(20000, 0);
    CHECK_ERRNO(syscall(SYS_io_pgetevents, context, 1, 1, &event, NULL, &masked), EINTR);
    masked.bytes = 3;
    CHECK_ERRNO(syscall(SYS_io_pgetevents, context, 1, 1, &event, NULL, &masked), EINVAL);
    CHECK_EQ(syscall(SYS_io_pgetevents, context, 0, 1, &event, NULL, NULL), 0);
}

TEST(io_setup_and_io_destroy_refuse_what_is_wrong)
{
    aio_context_t context = 0;

    CHECK_ERRNO(io_setup(0, &context), EINVAL);
    CHECK_ERRNO(io_setup(0x7fffffff, &context), EINVAL);
    CHECK_ERRNO(syscall(SYS_io_setup, 1, (void *)8), EFAULT);
    CHECK_OK(io_setup(1, &context));
    CHECK_ERRNO(io_setup(1, &context), EINVAL);
    CHECK_OK(syscall(SYS_io_destroy, context));
    CHECK_ERRNO(syscall(SYS_io_destroy, context), EINVAL);
}

TEST(io_cancel_finds_nothing_that_is_done)
{
    aio_context_t context = new_context();
    struct iocb request = request_of(IOCB_CMD_PWRITE, new_file(), "x", 1, 0);
    struct io_event event;

    CHECK_EQ(submit_one(context, &request), 1);
    CHECK_ERRNO(syscall(SYS_io_cancel, context, &request, &event), EINVAL);
    CHECK_ERRNO(syscall(SYS_io_cancel, context, (void *)8, &event), EFAULT);
}

TEST(io_setups_context_is_not_the_childs)
{
    aio_context_t context = new_context();
    struct io_event event;
    pid_t child = CHECK_OK(fork());

    if (child == 0) {
        CHECK_ERRNO(io_getevents(context, 0, 1, &event, NULL), EINVAL);
        _exit(0);
    }
    CHECK_EXIT(child, 0);
    CHECK_EQ(io_getevents(context, 0, 1, &event, NULL), 0);
}

static volatile aio_context_t seen;
static volatile int is_over;

static void *unmap_what_was_seen(void *unused)
{
    while (!is_over)
        if (seen)
            munmap((void *)seen, PAGE);
    return NULL;
}

TEST(io_setup_whose_page_another_thread_unmaps_at_once_does_no_harm)
{
    aio_context_t first;
    pthread_t thread;

    CHECK_EQ(pthread_create(&thread, NULL, unmap_what_was_seen, NULL), 0);
    first = new_context();
    CHECK_OK(syscall(SYS_io_destroy, first));
    seen = first; /* the next ones get the same place, mostly */
    for (int i = 0; i < 500; i++) {
        aio_context_t context = 0;

        if (io_setup(8, &context) == 0)
            syscall(SYS_io_destroy, context);
    }
    is_over = 1;
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

TEST(io_submit_synchronises_data_and_refuses_what_does_nothing)
{
    aio_context_t context = new_context();
    int fd = new_file();
    struct iocb request = request_of(IOCB_CMD_FDSYNC, fd, NULL, 0, 0);
    struct io_event event;

    CHECK_EQ(submit_one(context, &request), 1);
    CHECK_EQ(io_getevents(context, 1, 1, &event, NULL), 1);
    CHECK_EQ(event.res, 0);
    request = request_of(IOCB_CMD_NOOP, fd, NULL, 0, 0);
    CHECK_ERRNO(submit_one(context, &request), EINVAL);
    request = request_of(IOCB_CMD_PWRITE, fd, "x", 1, 0);
    request.aio_flags = IOCB_FLAG_IOPRIO;
    request.aio_reqprio = 0;
    CHECK_EQ(submit_one(context, &request), 1);
}
