/* Processes and threads that talk: pipes, sockets, futexes. */
#include "operations.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#define RING        8
#define BLOCK_BYTES 65536

static int there[2], back[2];
static pid_t partner;
static char block[BLOCK_BYTES];

static void one_read(int fd)
{
    char byte;

    check(read(fd, &byte, 1) == 1, "read");
}

static void one_write(int fd)
{
    char byte = 0;

    check(write(fd, &byte, 1) == 1, "write");
}

static void close_both(void)
{
    for (unsigned i = 0; i < 2; i++) {
        close(there[i]);
        close(back[i]);
    }
}

/* ---- One pipe, one process ---- */

static void pipe_open(unsigned times)
{
    check(pipe(there) == 0, "pipe");
}

static void pipe_alone(unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        one_write(there[1]);
        one_read(there[0]);
    }
}

static void pipe_close(unsigned times)
{
    close(there[0]);
    close(there[1]);
}

/* ---- Two: `there` is read by the partner, `back` by us ---- */

static void partner_start(unsigned times)
{
    partner = fork();
    check(partner >= 0, "fork");
    if (partner)
        return;
    for (unsigned i = 0; i < times; i++) {
        one_read(there[0]);
        one_write(back[1]);
    }
    _exit(0);
}

static void partner_end(unsigned times)
{
    waitpid(partner, NULL, 0);
    close_both();
}

static void pipes_start(unsigned times)
{
    check(pipe(there) == 0 && pipe(back) == 0, "pipe");
    partner_start(times);
}

static void sockets_start(unsigned times)
{
    check(socketpair(AF_UNIX, SOCK_STREAM, 0, there) == 0, "socketpair");
    check(socketpair(AF_UNIX, SOCK_STREAM, 0, back) == 0, "socketpair");
    partner_start(times);
}

static void ping_pong(unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        one_write(there[1]);
        one_read(back[0]);
    }
}

/* ---- A ring of eight: each reads from the one before and writes to the one behind ---- */

static int ring[RING][2];

static void ring_start(unsigned times)
{
    for (int i = 0; i < RING; i++)
        check(pipe(ring[i]) == 0, "pipe");
    for (int i = 1; i < RING; i++) {
        if (fork())
            continue;
        for (unsigned j = 0; j < times; j++) {
            one_read(ring[i - 1][0]);
            one_write(ring[i][1]);
        }
        _exit(0);
    }
}

static void ring_run(unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        one_write(ring[0][1]);
        one_read(ring[RING - 1][0]);
    }
}

static void ring_end(unsigned times)
{
    for (int i = 1; i < RING; i++)
        wait(NULL);
    for (int i = 0; i < RING; i++) {
        close(ring[i][0]);
        close(ring[i][1]);
    }
}

/* ---- 64 KiB at a time to a process that reads them ---- */

static void read_all(int fd)
{
    for (size_t got = 0; got < BLOCK_BYTES;) {
        ssize_t count = read(fd, block, BLOCK_BYTES - got);

        check(count > 0, "read");
        got += count;
    }
}

static void reader_start(unsigned times)
{
    partner = fork();
    check(partner >= 0, "fork");
    if (partner)
        return;
    for (unsigned i = 0; i < times; i++)
        read_all(there[0]);
    one_write(back[1]);
    _exit(0);
}

static void pipe_reader_start(unsigned times)
{
    check(pipe(there) == 0 && pipe(back) == 0, "pipe");
    reader_start(times);
}

static void socket_reader_start(unsigned times)
{
    check(socketpair(AF_UNIX, SOCK_STREAM, 0, there) == 0, "socketpair");
    check(pipe(back) == 0, "pipe");
    reader_start(times);
}

static void blocks_send(unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        for (size_t sent = 0; sent < BLOCK_BYTES;) {
            ssize_t count = write(there[1], block, BLOCK_BYTES - sent);

            check(count > 0, "write");
            sent += count;
        }
    }
    one_read(back[0]);
}

/* ---- Two threads and a word ---- */

static uint32_t turn;
static pthread_t futex_thread;
static unsigned futex_times;

static void turn_wait(uint32_t mine)
{
    uint32_t seen;

    while ((seen = __atomic_load_n(&turn, __ATOMIC_ACQUIRE)) != mine)
        syscall(SYS_futex, &turn, FUTEX_WAIT_PRIVATE, seen, NULL);
}

static void turn_give(uint32_t to)
{
    __atomic_store_n(&turn, to, __ATOMIC_RELEASE);
    syscall(SYS_futex, &turn, FUTEX_WAKE_PRIVATE, 1);
}

static void *futex_partner(void *argument)
{
    for (unsigned i = 0; i < futex_times; i++) {
        turn_wait(1);
        turn_give(0);
    }
    return argument;
}

static void futex_start(unsigned times)
{
    turn = 0;
    futex_times = times;
    check(pthread_create(&futex_thread, NULL, futex_partner, NULL) == 0, "pthread_create");
}

static void futex_ping_pong(unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        turn_give(1);
        turn_wait(0);
    }
}

static void futex_end(unsigned times)
{
    pthread_join(futex_thread, NULL);
}

const struct operation talk_operations[] = {
    {"pipe, one process", pipe_open, pipe_alone, pipe_close, 2000},
    {"pipe ping-pong, two processes", pipes_start, ping_pong, partner_end, 1000},
    {"pipe ring of eight processes", ring_start, ring_run, ring_end, 200},
    {"futex ping-pong, two threads", futex_start, futex_ping_pong, futex_end, 1000},
    {"pipe, 64 KiB", pipe_reader_start, blocks_send, partner_end, 200},
    {"unix socket ping-pong", sockets_start, ping_pong, partner_end, 1000},
    {"unix socket, 64 KiB", socket_reader_start, blocks_send, partner_end, 200},
    {NULL},
};
