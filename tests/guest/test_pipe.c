/*
 * Pipes and FIFOs: bytes in order, ends, EPIPE, atomic writes, sizes.
 *
 * covers: pipe pipe2 read write mknod mknodat ioctl
 */
#include "guest.h"

#include <limits.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

TEST(pipe_carries_bytes_in_order)
{
    char buffer[16] = {0};
    int fds[2];

    CHECK_OK(pipe(fds));
    CHECK_EQ(write(fds[1], "one", 3), 3);
    CHECK_EQ(write(fds[1], "two", 3), 3);
    CHECK_EQ(read(fds[0], buffer, 4), 4);
    CHECK_MEM_EQ(buffer, "onet", 4);
    CHECK_EQ(read(fds[0], buffer, sizeof(buffer)), 2);
    CHECK_MEM_EQ(buffer, "wo", 2);
}

TEST(pipe_takes_the_lowest_free_descriptors)
{
    int fds[2];

    close(0);
    CHECK_OK(pipe(fds));
    CHECK_EQ(fds[0], 0);
    CHECK_EQ(fds[1], 3);
}

TEST(pipe_ends_are_for_one_direction)
{
    char byte;
    int fds[2];

    CHECK_OK(pipe(fds));
    CHECK_ERRNO(write(fds[0], "x", 1), EBADF);
    CHECK_ERRNO(read(fds[1], &byte, 1), EBADF);
}

TEST(pipe_with_bad_address_gives_efault_and_no_descriptor)
{
    CHECK_ERRNO(syscall(SYS_pipe, bad_address()), EFAULT);
    CHECK_EQ(CHECK_OK(dup(0)), 3);
}

TEST(pipe_without_free_descriptors_gives_emfile)
{
    int fds[2];

    while (dup(0) >= 0)
        ;
    close(5);
    CHECK_ERRNO(pipe(fds), EMFILE);
    CHECK_EQ(dup(0), 5);
}

TEST(pipe2_sets_flags_on_both_ends)
{
    int fds[2];

    CHECK_OK(pipe2(fds, O_CLOEXEC | O_NONBLOCK));
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(fcntl(fds[i], F_GETFD), FD_CLOEXEC);
        CHECK_EQ(fcntl(fds[i], F_GETFL) & O_NONBLOCK, O_NONBLOCK);
        CHECK_EQ(fcntl(fds[i], F_GETFL) & O_ACCMODE, i ? O_WRONLY : O_RDONLY);
    }
    CHECK_OK(pipe(fds));
    CHECK_EQ(fcntl(fds[0], F_GETFD), 0);
    CHECK_EQ(fcntl(fds[0], F_GETFL) & O_NONBLOCK, 0);
}

TEST(pipe2_with_unknown_flag_gives_einval)
{
    int fds[2];

    CHECK_ERRNO(syscall(SYS_pipe2, fds, O_APPEND), EINVAL);
}

TEST(pipe_read_without_writer_is_end_of_file)
{
    char byte;
    int fds[2];

    CHECK_OK(pipe(fds));
    CHECK_EQ(write(fds[1], "x", 1), 1);
    close(fds[1]);
    CHECK_EQ(read(fds[0], &byte, 1), 1);
    CHECK_EQ(read(fds[0], &byte, 1), 0);
    CHECK_EQ(read(fds[0], &byte, 1), 0);
}

TEST(pipe_write_without_reader_gives_epipe_and_sigpipe)
{
    int fds[2];

    CHECK_OK(pipe(fds));
    handle_signal(SIGPIPE, count_signal, 0);
    close(fds[0]);
    CHECK_ERRNO(write(fds[1], "x", 1), EPIPE);
    CHECK_EQ(signals_counted, 1);
}

TEST(pipe_write_without_reader_kills_by_default)
{
    pid_t child = CHECK_OK(fork());

    if (child == 0) {
        int fds[2];

        CHECK_OK(pipe(fds));
        close(fds[0]);
        (void)!write(fds[1], "x", 1);
        _exit(0);
    }
    CHECK_KILLED(child, SIGPIPE);
}

TEST(pipe_nonblocking_read_of_empty_pipe_gives_eagain)
{
    char byte;
    int fds[2];

    CHECK_OK(pipe2(fds, O_NONBLOCK));
    CHECK_ERRNO(read(fds[0], &byte, 1), EAGAIN);
}

TEST(pipe_nonblocking_write_to_full_pipe_gives_eagain)
{
    static char block[PAGE];
    long total = 0;
    ssize_t written;
    int fds[2];

    CHECK_OK(pipe2(fds, O_NONBLOCK));
    while ((written = write(fds[1], block, sizeof(block))) > 0)
        total += written;
    CHECK_EQ(errno, EAGAIN);
    CHECK_EQ(total, 65536);
    CHECK_ERRNO(write(fds[1], block, 1), EAGAIN);
    CHECK_EQ(read(fds[0], block, sizeof(block)), sizeof(block));
    CHECK_EQ(write(fds[1], block, sizeof(block)), sizeof(block));
}

TEST(pipe_nonblocking_large_write_is_partial)
{
    static char block[100000];
    int fds[2];

    CHECK_OK(pipe2(fds, O_NONBLOCK));
    CHECK_EQ(write(fds[1], block, sizeof(block)), 65536);
}

TEST(pipe_nonblocking_small_write_is_whole_or_not_at_all)
{
    static char block[PAGE];
    int fds[2];

    CHECK_OK(pipe2(fds, O_NONBLOCK));
    while (write(fds[1], block, 4000) > 0)
        ;
    CHECK_EQ(errno, EAGAIN);
    CHECK_EQ(read(fds[0], block, 100), 100);
    CHECK_ERRNO(write(fds[1], block, PIPE_BUF), EAGAIN);
}

TEST(pipe_write_of_nothing_succeeds)
{
    int fds[2];

    CHECK_OK(pipe(fds));
    CHECK_EQ(write(fds[1], "", 0), 0);
    CHECK_EQ(read(fds[0], NULL, 0), 0);
}

TEST(pipe_read_with_bad_address_gives_efault_and_loses_nothing)
{
    char byte = 0;
    int fds[2];

    CHECK_OK(pipe(fds));
    CHECK_EQ(write(fds[1], "x", 1), 1);
    CHECK_ERRNO(read(fds[0], bad_address(), 1), EFAULT);
    CHECK_EQ(read(fds[0], &byte, 1), 1);
    CHECK_EQ(byte, 'x');
    CHECK_ERRNO(write(fds[1], bad_address(), 1), EFAULT);
}

TEST(pipe_read_waits_for_a_writer)
{
    char byte;
    int fds[2];
    pid_t child;

    CHECK_OK(pipe(fds));
    child = CHECK_OK(fork());
    if (child == 0) {
        CHECK_EQ(read(fds[0], &byte, 1), 1);
        _exit(byte);
    }
    WAIT_FOR_STATE(child, 'S');
    CHECK_EQ(write(fds[1], "\7", 1), 1);
    CHECK_EXIT(child, 7);
}

TEST(pipe_write_waits_for_room_and_then_completes)
{
    static char block[200000], got[200000];
    size_t total = 0;
    int fds[2];
    pid_t child;

    for (size_t i = 0; i < sizeof(block); i++)
        block[i] = i * 7 + i / 256;
    CHECK_OK(pipe(fds));
    child = CHECK_OK(fork());
    if (child == 0) {
        close(fds[0]);
        CHECK_EQ(write(fds[1], block, sizeof(block)), sizeof(block));
        _exit(0);
    }
    close(fds[1]);
    WAIT_FOR_STATE(child, 'S');
    for (;;) {
        ssize_t part = CHECK_OK(read(fds[0], got + total, 3000));

        if (part == 0)
            break;
        total += part;
    }
    CHECK_EQ(total, sizeof(block));
    CHECK_MEM_EQ(got, block, sizeof(block));
    CHECK_EXIT(child, 0);
}

TEST(pipe_read_is_interrupted_by_a_signal)
{
    char byte;
    int fds[2];

    CHECK_OK(pipe(fds));
    ring_until_the_end(0);
    CHECK_ERRNO(read(fds[0], &byte, 1), EINTR);
    CHECK_GE(signals_counted, 1);
}

TEST(pipe_read_goes_on_after_a_signal_with_sa_restart)
{
    char byte = 0;
    int fds[2];
    pid_t child;

    CHECK_OK(pipe(fds));
    handle_signal(SIGUSR1, count_signal, SA_RESTART);
    child = CHECK_OK(fork());
    if (child == 0) {
        pid_t parent = getppid();

        WAIT_FOR_STATE(parent, 'S');
        kill(parent, SIGUSR1);
        sleep_ms(50);
        WAIT_FOR_STATE(parent, 'S');
        CHECK_EQ(write(fds[1], "y", 1), 1);
        _exit(0);
    }
    CHECK_EQ(read(fds[0], &byte, 1), 1);
    CHECK_EQ(byte, 'y');
    CHECK_EQ(signals_counted, 1);
    CHECK_EXIT(child, 0);
}

TEST(pipe_writes_up_to_pipe_buf_are_atomic)
{
    enum {
        WRITERS = 4,
        RECORDS = 100,
        RECORD = 1000
    };
    char record[RECORD];
    int fds[2], seen = 0;

    CHECK_OK(pipe(fds));
    for (int writer = 0; writer < WRITERS; writer++) {
        if (CHECK_OK(fork()) == 0) {
            memset(record, 'a' + writer, RECORD);
            for (int i = 0; i < RECORDS; i++)
                CHECK_EQ(write(fds[1], record, RECORD), RECORD);
            _exit(0);
        }
    }
    close(fds[1]);
    for (;;) {
        size_t length = 0;

        while (length < RECORD) {
            ssize_t part = CHECK_OK(read(fds[0], record + length, RECORD - length));

            if (part == 0)
                break;
            length += part;
        }
        if (length == 0)
            break;
        CHECK_EQ(length, RECORD);
        for (int i = 1; i < RECORD; i++)
            CHECK_EQ(record[i], record[0]);
        seen++;
    }
    CHECK_EQ(seen, WRITERS * RECORDS);
}

TEST(pipe_size_can_be_read_and_changed)
{
    int fds[2];

    CHECK_OK(pipe(fds));
    CHECK_EQ(fcntl(fds[0], F_GETPIPE_SZ), 65536);
    CHECK_EQ(fcntl(fds[0], F_SETPIPE_SZ, 100), PAGE);
    CHECK_EQ(fcntl(fds[1], F_GETPIPE_SZ), PAGE);
    CHECK_EQ(fcntl(fds[1], F_SETPIPE_SZ, 200000), 262144);
}

TEST(pipe_size_below_its_content_gives_ebusy)
{
    static char block[20000];
    int fds[2];

    CHECK_OK(pipe(fds));
    CHECK_EQ(write(fds[1], block, sizeof(block)), sizeof(block));
    CHECK_ERRNO(fcntl(fds[0], F_SETPIPE_SZ, PAGE), EBUSY);
    CHECK_ERRNO(fcntl(0, F_SETPIPE_SZ, PAGE), EBADF);
}

TEST(pipe_lseek_and_pread_give_espipe)
{
    char byte;
    int fds[2];

    CHECK_OK(pipe(fds));
    CHECK_ERRNO(lseek(fds[0], 0, SEEK_SET), ESPIPE);
    CHECK_ERRNO(pread(fds[0], &byte, 1, 0), ESPIPE);
    CHECK_ERRNO(pwrite(fds[1], &byte, 1, 0), ESPIPE);
    CHECK_ERRNO(ftruncate(fds[1], 0), EINVAL);
}

TEST(pipe_fstat_shows_a_fifo)
{
    struct stat reader, writer;
    int fds[2];

    CHECK_OK(pipe(fds));
    CHECK_OK(fstat(fds[0], &reader));
    CHECK_OK(fstat(fds[1], &writer));
    CHECK(S_ISFIFO(reader.st_mode));
    CHECK_EQ(reader.st_ino, writer.st_ino);
    CHECK_EQ(reader.st_mode & 0777, 0600);
}

TEST(pipe_fionread_counts_the_bytes_within)
{
    int fds[2], count = -1;

    CHECK_OK(pipe(fds));
    CHECK_EQ(write(fds[1], "hello", 5), 5);
    CHECK_OK(ioctl(fds[0], FIONREAD, &count));
    CHECK_EQ(count, 5);
}

TEST(pipe_ioctl_fionbio_changes_o_nonblock)
{
    int fds[2], on = 1;
    char byte;

    CHECK_OK(pipe(fds));
    CHECK_OK(ioctl(fds[0], FIONBIO, &on));
    CHECK_ERRNO(read(fds[0], &byte, 1), EAGAIN);
    CHECK_ERRNO(ioctl(fds[0], TIOCGWINSZ, &on), ENOTTY);
}

TEST(pipe_poll_shows_what_each_end_can_do)
{
    static char block[65536];
    int fds[2];
    struct pollfd reader, writer;

    CHECK_OK(pipe(fds));
    reader = (struct pollfd){.fd = fds[0], .events = POLLIN};
    writer = (struct pollfd){.fd = fds[1], .events = POLLOUT};
    CHECK_EQ(poll(&reader, 1, 0), 0);
    CHECK_EQ(poll(&writer, 1, 0), 1);
    CHECK_EQ(writer.revents, POLLOUT);
    CHECK_EQ(write(fds[1], block, sizeof(block)), sizeof(block));
    CHECK_EQ(poll(&writer, 1, 0), 0);
    CHECK_EQ(poll(&reader, 1, 0), 1);
    CHECK_EQ(reader.revents, POLLIN);
    close(fds[1]);
    CHECK_EQ(poll(&reader, 1, 0), 1);
    CHECK_EQ(reader.revents, POLLIN | POLLHUP);
}

TEST(pipe_poll_of_writer_without_reader_shows_pollerr)
{
    int fds[2];
    struct pollfd writer;

    CHECK_OK(pipe(fds));
    close(fds[0]);
    writer = (struct pollfd){.fd = fds[1], .events = POLLOUT};
    CHECK_EQ(poll(&writer, 1, 0), 1);
    CHECK_EQ(writer.revents, POLLOUT | POLLERR);
}

TEST(pipe_poll_of_empty_reader_without_writer_shows_only_pollhup)
{
    int fds[2];
    struct pollfd reader;

    CHECK_OK(pipe(fds));
    close(fds[1]);
    reader = (struct pollfd){.fd = fds[0], .events = POLLIN};
    CHECK_EQ(poll(&reader, 1, 0), 1);
    CHECK_EQ(reader.revents, POLLHUP);
}

TEST(pipe_readv_and_writev_gather_and_scatter)
{
    char a[3] = "", b[5] = "";
    struct iovec out[2] = {{"abc", 3}, {"defg", 4}}, in[2] = {{a, 2}, {b, 5}};
    int fds[2];

    CHECK_OK(pipe(fds));
    CHECK_EQ(writev(fds[1], out, 2), 7);
    CHECK_EQ(readv(fds[0], in, 2), 7);
    CHECK_MEM_EQ(a, "ab", 2);
    CHECK_MEM_EQ(b, "cdefg", 5);
}

TEST(pipe_stays_open_while_any_copy_of_its_writer_is)
{
    char byte;
    int fds[2];
    pid_t child;

    CHECK_OK(pipe(fds));
    child = CHECK_OK(fork());
    if (child == 0) {
        sleep_ms(50);
        _exit(0); /* closes the last writer */
    }
    close(fds[1]);
    CHECK_EQ(read(fds[0], &byte, 1), 0);
    CHECK_EXIT(child, 0);
}

TEST(pipe_can_be_opened_again_through_proc_self_fd)
{
    char path[64], byte = 0;
    int fds[2], again;

    CHECK_OK(pipe(fds));
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fds[1]);
    again = CHECK_OK(open(path, O_WRONLY));
    CHECK_EQ(write(again, "z", 1), 1);
    CHECK_EQ(read(fds[0], &byte, 1), 1);
    CHECK_EQ(byte, 'z');
}

/* ---- FIFOs ---- */

TEST(fifo_open_of_reader_waits_for_writer)
{
    char byte = 0;
    pid_t child;
    int fd;

    enter_empty_directory();
    CHECK_OK(mkfifo("fifo", 0600));
    child = CHECK_OK(fork());
    if (child == 0) {
        fd = CHECK_OK(open("fifo", O_RDONLY));
        CHECK_EQ(read(fd, &byte, 1), 1);
        _exit(byte);
    }
    WAIT_FOR_STATE(child, 'S');
    fd = CHECK_OK(open("fifo", O_WRONLY));
    CHECK_EQ(write(fd, "\5", 1), 1);
    CHECK_EXIT(child, 5);
}

TEST(fifo_nonblocking_open_of_writer_without_reader_gives_enxio)
{
    enter_empty_directory();
    CHECK_OK(mkfifo("fifo", 0600));
    CHECK_ERRNO(open("fifo", O_WRONLY | O_NONBLOCK), ENXIO);
    CHECK_OK(open("fifo", O_RDONLY | O_NONBLOCK));
    CHECK_OK(open("fifo", O_WRONLY | O_NONBLOCK));
}

TEST(fifo_opened_for_both_directions_does_not_wait)
{
    char byte = 0;
    int fd;

    enter_empty_directory();
    CHECK_OK(mkfifo("fifo", 0600));
    fd = CHECK_OK(open("fifo", O_RDWR));
    CHECK_EQ(write(fd, "q", 1), 1);
    CHECK_EQ(read(fd, &byte, 1), 1);
    CHECK_EQ(byte, 'q');
}

TEST(fifo_open_is_interrupted_by_a_signal)
{
    enter_empty_directory();
    CHECK_OK(mkfifo("fifo", 0600));
    ring_until_the_end(0);
    CHECK_ERRNO(open("fifo", O_RDONLY), EINTR);
}

TEST(fifo_over_an_existing_name_gives_eexist)
{
    struct stat status;

    enter_empty_directory();
    CHECK_OK(mknod("fifo", S_IFIFO | 0640, 0));
    CHECK_OK(stat("fifo", &status));
    CHECK(S_ISFIFO(status.st_mode));
    CHECK_ERRNO(mkfifo("fifo", 0600), EEXIST);
    CHECK_ERRNO(mknodat(AT_FDCWD, "nowhere/fifo", S_IFIFO | 0640, 0), ENOENT);
}

TEST(pipe2_packet_that_cannot_be_copied_out_stays)
{
    char text[8] = "";
    int fds[2];

    CHECK_OK(pipe2(fds, O_DIRECT));
    CHECK_EQ(write(fds[1], "packet", 6), 6);
    CHECK_ERRNO(read(fds[0], bad_address(), sizeof(text)), EFAULT);
    CHECK_EQ(read(fds[0], text, sizeof(text)), 6);
    CHECK_STR_EQ(text, "packet");
}
