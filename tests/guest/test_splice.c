/*
 * Data that moves between files and pipes by reference.
 *
 * covers: splice tee vmsplice sendfile copy_file_range
 */
#include "guest.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

#define MIB (1024 * 1024)

struct ends {
    int reader, writer;
};

static struct ends new_pipe(int flags)
{
    int fds[2];

    CHECK_OK(pipe2(fds, flags));
    return (struct ends){fds[0], fds[1]};
}

/* A file of `bytes` bytes that tell where they stand. */
static int new_file(const char *name, size_t bytes)
{
    int fd = CHECK_OK(open(name, O_RDWR | O_CREAT | O_TRUNC, 0644));

    for (size_t at = 0; at < bytes; at += sizeof(uint64_t)) {
        uint64_t word = at * 0x9e3779b97f4a7c15u;

        CHECK_GE(write(fd, &word, sizeof(word)), 1);
    }
    CHECK_OK(lseek(fd, 0, SEEK_SET));
    return fd;
}

static void check_same(int fd, off_t at, int other, off_t other_at, size_t bytes)
{
    static char a[65536], b[65536];

    while (bytes) {
        size_t part = bytes < sizeof(a) ? bytes : sizeof(a);

        CHECK_EQ(pread(fd, a, part, at), part);
        CHECK_EQ(pread(other, b, part, other_at), part);
        CHECK_MEM_EQ(a, b, part);
        at += (off_t)part;
        other_at += (off_t)part;
        bytes -= part;
    }
}

TEST(splice_moves_a_file_through_a_pipe_into_another)
{
    struct ends ends = new_pipe(0);
    int from, to;
    long left = 300000;

    enter_empty_directory();
    from = new_file("from", 300000);
    to = new_file("to", 0);
    while (left) {
        long in = CHECK_OK(splice(from, NULL, ends.writer, NULL, (size_t)left, 0));

        CHECK_GE(in, 1);
        CHECK_LE(in, 65536);
        left -= in;
        while (in) {
            long out = CHECK_OK(splice(ends.reader, NULL, to, NULL, (size_t)in, SPLICE_F_MOVE));

            CHECK_GE(out, 1);
            in -= out;
        }
    }
    CHECK_EQ(splice(from, NULL, ends.writer, NULL, 100, 0), 0);
    CHECK_EQ(lseek(from, 0, SEEK_CUR), 300000);
    CHECK_EQ(lseek(to, 0, SEEK_CUR), 300000);
    check_same(from, 0, to, 0, 300000);
}

TEST(splice_uses_given_offsets_and_leaves_the_files_own)
{
    struct ends ends = new_pipe(0);
    off_t at = 5000, to_at = 17;
    int from, to;

    enter_empty_directory();
    from = new_file("from", 20000);
    to = new_file("to", 0);
    CHECK_EQ(splice(from, &at, ends.writer, NULL, 9000, 0), 9000);
    CHECK_EQ(at, 14000);
    CHECK_EQ(lseek(from, 0, SEEK_CUR), 0);
    CHECK_EQ(splice(ends.reader, NULL, to, &to_at, 9000, 0), 9000);
    CHECK_EQ(to_at, 9017);
    CHECK_EQ(lseek(to, 0, SEEK_CUR), 0);
    check_same(from, 5000, to, 17, 9000);
}

TEST(splice_shares_the_pages_of_the_file)
{
    struct ends ends = new_pipe(0);
    char byte = 0;
    int fd;

    enter_empty_directory();
    fd = new_file("file", 8192);
    CHECK_EQ(splice(fd, NULL, ends.writer, NULL, 4096, 0), 4096);
    CHECK_EQ(pwrite(fd, "Z", 1, 0), 1);
    CHECK_EQ(read(ends.reader, &byte, 1), 1);
    CHECK_EQ(byte, 'Z');
}

TEST(splice_between_pipes_moves_what_is_there)
{
    struct ends one = new_pipe(0), two = new_pipe(0);
    char buffer[64];

    CHECK_EQ(write(one.writer, "hello world", 11), 11);
    CHECK_EQ(splice(one.reader, NULL, two.writer, NULL, 5, 0), 5);
    CHECK_EQ(read(two.reader, buffer, sizeof(buffer)), 5);
    CHECK_MEM_EQ(buffer, "hello", 5);
    CHECK_EQ(splice(one.reader, NULL, two.writer, NULL, 100, 0), 6);
    CHECK_EQ(write(two.writer, "!", 1), 1);
    CHECK_EQ(read(two.reader, buffer, sizeof(buffer)), 7);
    CHECK_MEM_EQ(buffer, " world!", 7);
    CHECK_OK(close(one.writer));
    CHECK_EQ(splice(one.reader, NULL, two.writer, NULL, 100, 0), 0);
}

TEST(splice_waits_for_data_and_for_room)
{
    struct ends one = new_pipe(0), two = new_pipe(0);
    static char page[65536];
    pid_t child = CHECK_OK(fork());

    if (child == 0) {
        sleep_ms(30);
        CHECK_EQ(write(one.writer, "late", 4), 4);
        sleep_ms(30);
        CHECK_EQ(read(two.reader, page, sizeof(page)), sizeof(page));
        _exit(0);
    }
    CHECK_EQ(write(two.writer, page, sizeof(page)), sizeof(page)); /* full */
    CHECK_EQ(splice(one.reader, NULL, two.writer, NULL, 100, 0), 4);
    CHECK_EXIT(child, 0);
    CHECK_EQ(read(two.reader, page, sizeof(page)), 4);
}

TEST(splice_does_not_wait_where_it_was_told_so)
{
    struct ends one = new_pipe(0), two = new_pipe(0), busy = new_pipe(O_NONBLOCK);
    static char page[65536];
    int fd;

    enter_empty_directory();
    fd = new_file("file", 100);
    CHECK_ERRNO(splice(one.reader, NULL, two.writer, NULL, 1, SPLICE_F_NONBLOCK), EAGAIN);
    CHECK_ERRNO(splice(one.reader, NULL, busy.writer, NULL, 1, 0), EAGAIN);
    CHECK_ERRNO(splice(one.reader, NULL, fd, NULL, 1, SPLICE_F_NONBLOCK), EAGAIN);
    CHECK_EQ(write(busy.writer, page, sizeof(page)), sizeof(page));
    CHECK_ERRNO(splice(fd, NULL, busy.writer, NULL, 1, 0), EAGAIN);
}

TEST(splice_into_a_pipe_without_reader_gives_epipe_and_sigpipe)
{
    struct ends ends = new_pipe(0), other = new_pipe(0);
    int fd;

    enter_empty_directory();
    fd = new_file("file", 100);
    CHECK_EQ(write(other.writer, "x", 1), 1);
    CHECK_OK(close(ends.reader));
    signal(SIGPIPE, SIG_IGN);
    CHECK_ERRNO(splice(fd, NULL, ends.writer, NULL, 10, 0), EPIPE);
    CHECK_ERRNO(splice(other.reader, NULL, ends.writer, NULL, 10, 0), EPIPE);
    signal(SIGPIPE, SIG_DFL);
    pid_t child = CHECK_OK(fork());
    if (child == 0) {
        splice(fd, NULL, ends.writer, NULL, 10, 0);
        _exit(0);
    }
    CHECK_KILLED(child, SIGPIPE);
}

TEST(splice_reads_and_writes_devices)
{
    struct ends ends = new_pipe(0);
    int zero = CHECK_OK(open("/dev/zero", O_RDONLY)), null = CHECK_OK(open("/dev/null", O_WRONLY));
    char buffer[100];
    long count = splice(zero, NULL, ends.writer, NULL, 5000, 0);

    if (count == -1 && errno == EINVAL)
        SKIP("this kernel reads no device by splice");
    CHECK_GE(count, 4096);
    CHECK_EQ(read(ends.reader, buffer, sizeof(buffer)), sizeof(buffer));
    CHECK_EQ(buffer[99], 0);
    CHECK_EQ(splice(ends.reader, NULL, null, NULL, 100000, 0), count - 100);
}

TEST(splice_refuses_what_is_wrong)
{
    struct ends ends = new_pipe(0);
    off_t at = 0;
    int fd, append;

    enter_empty_directory();
    fd = new_file("file", 100);
    append = CHECK_OK(open("file", O_WRONLY | O_APPEND));
    CHECK_EQ(write(ends.writer, "x", 1), 1);
    CHECK_ERRNO(splice(fd, NULL, fd, NULL, 1, 0), EINVAL);
    CHECK_ERRNO(splice(ends.reader, NULL, ends.writer, NULL, 1, 0), EINVAL);
    CHECK_ERRNO(splice(ends.reader, NULL, append, NULL, 1, 0), EINVAL);
    CHECK_ERRNO(splice(ends.reader, &at, fd, NULL, 1, 0), ESPIPE);
    CHECK_ERRNO(splice(fd, NULL, ends.writer, &at, 1, 0), ESPIPE);
    CHECK_ERRNO(splice(fd, NULL, ends.writer, NULL, 1, 0x100), EINVAL);
    CHECK_ERRNO(splice(fd, NULL, ends.reader, NULL, 1, 0), EBADF);
    CHECK_ERRNO(splice(ends.writer, NULL, fd, NULL, 1, 0), EBADF);
    CHECK_ERRNO(splice(99, NULL, ends.writer, NULL, 1, 0), EBADF);
    CHECK_ERRNO(syscall(SYS_splice, fd, (void *)8, ends.writer, NULL, 1, 0), EFAULT);
    CHECK_EQ(splice(fd, NULL, ends.writer, NULL, 0, 0), 0);
}

TEST(tee_doubles_without_taking)
{
    struct ends one = new_pipe(0), two = new_pipe(0);
    char buffer[64];

    CHECK_EQ(write(one.writer, "hello", 5), 5);
    CHECK_EQ(tee(one.reader, two.writer, 100, 0), 5);
    CHECK_EQ(write(one.writer, " world", 6), 6);
    CHECK_EQ(write(two.writer, " there", 6), 6);
    CHECK_EQ(read(two.reader, buffer, sizeof(buffer)), 11);
    CHECK_MEM_EQ(buffer, "hello there", 11);
    CHECK_EQ(read(one.reader, buffer, sizeof(buffer)), 11);
    CHECK_MEM_EQ(buffer, "hello world", 11);
}

TEST(tee_refuses_what_is_wrong)
{
    struct ends one = new_pipe(0), two = new_pipe(0);
    int fd;

    enter_empty_directory();
    fd = new_file("file", 100);
    CHECK_ERRNO(tee(one.reader, two.writer, 1, SPLICE_F_NONBLOCK), EAGAIN);
    CHECK_ERRNO(tee(one.reader, one.writer, 1, 0), EINVAL);
    CHECK_ERRNO(tee(fd, one.writer, 1, 0), EINVAL);
    CHECK_ERRNO(tee(one.reader, fd, 1, 0), EINVAL);
    CHECK_ERRNO(tee(one.reader, two.writer, 1, 0x100), EINVAL);
    CHECK_ERRNO(tee(one.writer, two.writer, 1, 0), EBADF);
    CHECK_ERRNO(tee(one.reader, 99, 1, 0), EBADF);
    CHECK_OK(close(one.writer));
    CHECK_EQ(tee(one.reader, two.writer, 1, 0), 0);
}

TEST(vmsplice_puts_the_callers_pages_into_a_pipe)
{
    struct ends ends = new_pipe(0);
    char *memory = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct iovec pieces[2] = {{memory + 10, 2 * PAGE}, {memory + 3 * PAGE, 5}};
    static char buffer[3 * PAGE];

    memset(memory, 'a', 4 * PAGE);
    CHECK_EQ(vmsplice(ends.writer, pieces, 2, 0), 2 * PAGE + 5);
    memory[10] = 'b'; /* the page is ours still */
    CHECK_EQ(read(ends.reader, buffer, sizeof(buffer)), 2 * PAGE + 5);
    CHECK_EQ(buffer[0], 'b');
    CHECK_EQ(buffer[2 * PAGE + 4], 'a');
    CHECK_EQ(vmsplice(ends.writer, pieces, 2, SPLICE_F_GIFT), 2 * PAGE + 5);
    CHECK_OK(munmap(memory, 4 * PAGE));
    CHECK_EQ(read(ends.reader, buffer, sizeof(buffer)), 2 * PAGE + 5);
    CHECK_EQ(buffer[1], 'a');
}

TEST(vmsplice_from_a_pipe_reads_it)
{
    struct ends ends = new_pipe(0);
    char buffer[16] = "";
    struct iovec piece = {buffer, sizeof(buffer)};

    CHECK_EQ(write(ends.writer, "hello", 5), 5);
    CHECK_EQ(vmsplice(ends.reader, &piece, 1, 0), 5);
    CHECK_STR_EQ(buffer, "hello");
    CHECK_ERRNO(vmsplice(ends.reader, &piece, 1, SPLICE_F_NONBLOCK), EAGAIN);
}

TEST(vmsplice_stops_when_the_pipe_is_full)
{
    struct ends ends = new_pipe(0);
    static char memory[40 * PAGE] __attribute__((aligned(PAGE)));
    struct iovec piece = {memory, sizeof(memory)};

    CHECK_EQ(vmsplice(ends.writer, &piece, 1, 0), 16 * PAGE);
    CHECK_ERRNO(vmsplice(ends.writer, &piece, 1, SPLICE_F_NONBLOCK), EAGAIN);
}

TEST(vmsplice_refuses_what_is_wrong)
{
    struct ends ends = new_pipe(0);
    struct iovec piece = {(void *)4096, 16};
    int fd;

    enter_empty_directory();
    fd = new_file("file", 100);
    CHECK_ERRNO(vmsplice(fd, &piece, 1, 0), EBADF);
    CHECK_ERRNO(vmsplice(99, &piece, 1, 0), EBADF);
    CHECK_ERRNO(vmsplice(ends.writer, &piece, 1, 0), EFAULT);
    CHECK_ERRNO(vmsplice(ends.writer, &piece, 1025, 0), EINVAL);
    CHECK_ERRNO(vmsplice(ends.writer, &piece, 1, 0x100), EINVAL);
    CHECK_EQ(vmsplice(ends.writer, &piece, 0, 0), 0);
}

TEST(sendfile_fills_a_pipe_and_says_how_far)
{
    struct ends ends = new_pipe(O_NONBLOCK);
    off_t at = 100;
    int from;

    enter_empty_directory();
    from = new_file("from", 200000);
    CHECK_GE(sendfile(ends.writer, from, &at, 199000), 15 * PAGE);
    CHECK_LE(at, 100 + 16 * PAGE);
    CHECK_ERRNO(sendfile(ends.writer, from, &at, 1), EAGAIN);
}

TEST(sendfile_and_copy_file_range_copy_whole_files)
{
    off_t at = 0, to_at = 0;
    int from, to, second;

    enter_empty_directory();
    from = new_file("from", MIB + 123);
    to = new_file("to", 0);
    second = new_file("second", 0);
    CHECK_EQ(sendfile(to, from, NULL, 2 * MIB), lseek(from, 0, SEEK_END));
    check_same(from, 0, to, 0, MIB + 123);
    CHECK_EQ(copy_file_range(from, &at, second, &to_at, MIB, 0), MIB);
    check_same(from, 0, second, 0, MIB);
}

/* How much there is to copy counts, not how much was asked for. */
TEST(copy_file_range_within_a_file_ends_where_the_file_does)
{
    off_t at = 0, to_at = 1000;
    int file;

    enter_empty_directory();
    file = new_file("doubled", 1000);
    CHECK_EQ(copy_file_range(file, &at, file, &to_at, MIB, 0), 1000);
    check_same(file, 0, file, 1000, 1000);
    at = to_at = 0;
    CHECK_ERRNO(copy_file_range(file, &at, file, &to_at, 1, 0), EINVAL);
    at = 2000;
    CHECK_OK(copy_file_range(file, &at, file, &to_at, MIB, 0));
    at = -9;
    CHECK_ERRNO(copy_file_range(file, &at, file, &to_at, 1, 0), EINVAL);
    CHECK_ERRNO(copy_file_range(file, &at, file, &to_at, 10, 0), EOVERFLOW);
    CHECK_ERRNO(copy_file_range(99, &at, file, &to_at, 1, 0), EBADF);
    CHECK_ERRNO(copy_file_range(99, bad_address(), file, &to_at, 1, 0), EBADF);
    CHECK_ERRNO(sendfile(file, 99, &at, 1), EBADF);
}

/* Two readers and a splice of one pipe: every byte arrives once, whoever gets it. */
TEST(splice_and_readers_of_one_pipe_get_every_byte_once)
{
    struct ends ends = new_pipe(0);
    struct stat stat_of_file;
    long total = 0, wanted = 2 * MIB;
    pid_t writer, splicer;
    char buffer[3000];
    int file;

    enter_empty_directory();
    file = new_file("file", 0);
    writer = CHECK_OK(fork());
    if (writer == 0) {
        static char block[10000];

        for (long left = wanted; left;) {
            long part = left < (long)sizeof(block) ? left : (long)sizeof(block);

            CHECK_EQ(write(ends.writer, block, (size_t)part), part);
            left -= part;
        }
        _exit(0);
    }
    splicer = CHECK_OK(fork());
    CHECK_OK(close(ends.writer));
    if (splicer == 0) {
        while (CHECK_OK(splice(ends.reader, NULL, file, NULL, 5000, 0)) > 0)
            ;
        _exit(0);
    }
    for (;;) {
        long count = CHECK_OK(read(ends.reader, buffer, sizeof(buffer)));

        if (count == 0)
            break;
        total += count;
    }
    CHECK_EXIT(writer, 0);
    CHECK_EXIT(splicer, 0);
    CHECK_OK(fstat(file, &stat_of_file));
    CHECK_EQ(total + stat_of_file.st_size, wanted);
}

TEST(sendfile_between_two_files_both_ways_at_once_ends)
{
    int a, b;
    pid_t child;

    enter_empty_directory();
    a = new_file("a", PAGE);
    b = new_file("b", PAGE);
    child = CHECK_OK(fork()); /* the files' offsets are shared */
    for (int i = 0; i < 500; i++)
        CHECK_OK(child ? sendfile(a, b, NULL, 1) : sendfile(b, a, NULL, 1));
    if (child == 0)
        _exit(0);
    CHECK_EXIT(child, 0);
}

TEST(splice_and_vmsplice_look_at_what_is_asked_before_the_rest)
{
    int fds[2], file = CHECK_OK(memfd_create("x", 0));
    char *nowhere = (char *)1;

    CHECK_OK(pipe(fds));
    CHECK_ERRNO(vmsplice(-1, (struct iovec *)nowhere, 1, 99), EINVAL);
    CHECK_EQ(vmsplice(file, NULL, 0, 0), 0);
    CHECK_ERRNO(splice(file, NULL, fds[1], (loff_t *)nowhere, 1, 0), ESPIPE);
}
