/*
 * The file server's life: waits for the connection, serves its queues, ends with it.
 *
 *     socket (vhost-user) --\
 *     kick of queue 0 -------> epoll --> take all that is there --> answer --> next
 *     kick of queue 1 ------/
 *     parent's pipe -------/
 *
 * One thread: no request waits for another's lock, and the state needs none. Forgets and interrupts
 * (queue 0) are taken first. A queue is emptied before the next wait, so a busy guest costs one
 * wake-up for many requests.
 */
#include "fs_server.h"

#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs_private.h"

#define MILLISECOND_NS       1000000ull
#define DESCRIPTORS_MAX      4096 /* of files, even where more are allowed */
#define DESCRIPTORS_MIN      16
#define DESCRIPTORS_RESERVED 32  /* for the connection, the queues and moments in between */
#define QUIET_MILLISECONDS   100 /* after so long without a request nothing stays open to write */
#define BUSY_REQUESTS        64  /* of one queue, before the other queue and the socket are seen */
#define EVENTS               8

enum event_source {
    EVENT_SOCKET = FS_QUEUES, /* below: the queue with that index */
    EVENT_PARENT,
};

static int event_add(struct fs_server *server, int fd, u64 source)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = source};

    if (fd < 0)
        return 0;
    return epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

/* Answers up to BUSY_REQUESTS requests. Returns whether there may be more. */
static bool queue_serve(struct fs_server *server, struct fs_queue *queue)
{
    for (int served = 0; served < BUSY_REQUESTS; served++) {
        int error;

        if (!fs_queue_is_running(queue))
            return false;
        error = fs_queue_pop(queue, &server->device.memory, &server->chain);
        if (error == -EAGAIN)
            return fs_queue_enable_kicks(queue);
        if (error) {
            fs_server_log(server, "pith: the guest's file queue is nonsense; it was stopped\n");
            return false;
        }
        fs_queue_push(queue, server->chain.head, fs_server_answer(server));
    }
    return true;
}

void fs_server_serve_queues(struct fs_server *server)
{
    bool more;

    do {
        more = false;
        for (unsigned i = 0; i < FS_QUEUES; i++)
            more |= queue_serve(server, &server->device.queues[i]);
    } while (more);
}

static void kick_take(const struct fs_queue *queue)
{
    u64 count;

    /* Whatever it counted: the queue is emptied now. It may be gone since the event was seen. */
    if (queue->kick_fd >= 0 && read(queue->kick_fd, &count, sizeof(count)) < 0)
        return;
}

/* One round of waiting and serving: 0, or why the server ends. */
static int server_step(struct fs_server *server)
{
    struct epoll_event events[EVENTS];
    int timeout = server->tree.idle_writable_count > 0 ? QUIET_MILLISECONDS : -1;
    int error, count = epoll_wait(server->epoll_fd, events, EVENTS, timeout);

    if (count < 0)
        return errno == EINTR ? 0 : -errno;
    if (count == 0)
        fs_descriptor_close_idle_writable(&server->tree);
    for (int i = 0; i < count; i++) {
        if (events[i].data.u64 == EVENT_PARENT)
            return -ECONNRESET;
        if (events[i].data.u64 < FS_QUEUES)
            kick_take(&server->device.queues[events[i].data.u64]);
        if (events[i].data.u64 != EVENT_SOCKET)
            continue;
        error = fs_device_receive(&server->device);
        if (error)
            return error;
    }
    fs_server_serve_queues(server);
    return 0;
}

/* Waits until somebody connects, or the parent is gone. */
static int connection_wait(const struct fs_server_options *options)
{
    struct pollfd waits[] = {
        {.fd = options->socket_fd, .events = POLLIN},
        {.fd = options->parent_fd, .events = POLLIN},
    };

    while (poll(waits, ARRAY_SIZE(waits), -1) < 0) {
        if (errno != EINTR)
            return -errno;
    }
    return waits[1].revents ? -ECONNRESET : 0;
}

/* Our socket if it is connected, else the one connection that it accepts. */
static int socket_connect(const struct fs_server_options *options, int *fd_out)
{
    socklen_t size = sizeof(int);
    int error, fd, listening = 0;

    if (getsockopt(options->socket_fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size))
        return -errno;
    if (!listening) {
        *fd_out = options->socket_fd;
        return 0;
    }
    error = connection_wait(options);
    if (error)
        return error;
    fd = accept4(options->socket_fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        return -errno;
    close(options->socket_fd);
    *fd_out = fd;
    return 0;
}

/* Takes as many descriptors as the user may have. Returns how many files may be open. */
static unsigned descriptors_claim(void)
{
    struct rlimit limit;
    rlim_t files = DESCRIPTORS_MIN;

    if (getrlimit(RLIMIT_NOFILE, &limit))
        return DESCRIPTORS_MIN;
    limit.rlim_cur = MIN(limit.rlim_max, (rlim_t)(DESCRIPTORS_MAX + DESCRIPTORS_RESERVED));
    if (setrlimit(RLIMIT_NOFILE, &limit))
        return DESCRIPTORS_MIN;
    if (limit.rlim_cur > DESCRIPTORS_RESERVED + DESCRIPTORS_MIN)
        files = limit.rlim_cur - DESCRIPTORS_RESERVED;
    return (unsigned)MIN(files, (rlim_t)DESCRIPTORS_MAX);
}

static int tree_prepare(struct fs_server *server, const struct fs_server_options *options)
{
    for (size_t i = 0; i < options->share_count; i++) {
        const struct fs_share *share = &options->shares[i];
        int error = fs_tree_add_share(&server->tree, share->host_path, share->writable);

        if (error) {
            fs_server_log(server, "pith: cannot share %s: %s\n", share->host_path,
                          strerror(-error));
            return error;
        }
        server->has_writable_share |= share->writable;
    }
    for (size_t i = 0; i < options->hidden_count; i++) {
        int error = fs_hide_path(&server->tree, options->hidden[i]);

        if (error)
            return error;
    }
    return 0;
}

static u64 valid_ns(u32 milliseconds)
{
    return (milliseconds ? milliseconds : FS_VALID_MILLISECONDS) * (u64)MILLISECOND_NS;
}

int fs_server_init(struct fs_server *server, const struct fs_server_options *options)
{
    int error;

    memset(server, 0, offsetof(struct fs_server, text)); /* the buffers are only ever filled */
    server->parent_fd = options->parent_fd;
    server->log_fd = options->log_fd;
    server->valid_ns = valid_ns(options->valid_milliseconds);
    server->valid_read_only_ns = valid_ns(options->valid_read_only_milliseconds);
    server->is_superuser = geteuid() == 0;
    server->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (server->epoll_fd < 0)
        return -errno;
    fs_device_init(&server->device, server->epoll_fd);
    error = fs_tree_init(&server->tree, descriptors_claim());
    if (!error)
        error = tree_prepare(server, options);
    if (error)
        fs_server_fini(server);
    return error;
}

void fs_server_fini(struct fs_server *server)
{
    fs_device_fini(&server->device);
    fs_tree_fini(&server->tree);
    close(server->epoll_fd);
}

/* What this process gives up before it hears the guest. */
static int process_prepare(const struct fs_server *server)
{
    umask(0); /* a request brings its own */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a write past the limit is EFBIG for the guest */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL))
        return -errno;
    /* Files are made with the rights of the guest's user, not with ours. Not allowed: not needed.
     */
    if (server->is_superuser && setgroups(0, NULL) && errno != EPERM)
        return -errno;
    return 0;
}

static int server_serve(struct fs_server *server, const struct fs_server_options *options)
{
    int error = socket_connect(options, &server->device.socket_fd);

    if (!error)
        error = event_add(server, server->device.socket_fd, EVENT_SOCKET);
    if (!error)
        error = event_add(server, server->parent_fd, EVENT_PARENT);
    if (!error)
        fs_confine(server);
    while (!error)
        error = server_step(server);
    return error == -ECONNRESET ? 0 : error;
}

int fs_server_run(const struct fs_server_options *options)
{
    struct fs_server *server = malloc(sizeof(*server));
    int error;

    if (!server)
        return -ENOMEM;
    error = fs_server_init(server, options);
    if (error)
        goto free_server;
    error = process_prepare(server);
    if (!error)
        error = server_serve(server, options);
    fs_server_fini(server);
free_server:
    free(server);
    return error;
}
