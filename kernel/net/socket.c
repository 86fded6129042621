/*
 * Sockets as files: what all families have in common.
 *
 * A file's private_data is its socket; the file's last reference calls the family's `release`, and
 * gives up the file's reference on the socket. Others may keep the socket: who is connected to it,
 * and each packet that it sent and nobody has read. So a release only makes it dead; `free` comes
 * with the last reference.
 *
 * Waiting: readers wait in `readable`, whose lock guards what they wait for. Writers wait for room,
 * which shrinks and grows without any lock (an atomic count). Hence the room queue:
 *
 *     waiter                                      who makes room
 *     lock; waiting++                             count -= bytes
 *     (full barrier)                              (full barrier)
 *     while (!has_room()) wait                    if (waiting, or a poll's entry on the list)
 *     waiting--; unlock                               lock; wake all; unlock
 *
 * Either the waiter sees the room, or the other one sees the waiter. A poll's entry is put on the
 * list under the lock before its file is asked, with a barrier in between (socket_file_poll).
 *
 * Locking: readable.lock, writable.queue.lock: LOCK_WAIT_QUEUE, never both.
 */
#include "socket.h"

#include <pith/abi/errno.h>
#include <pith/abi/fcntl.h>

static const struct socket_family *const families[AF_MAX] = {
    [AF_UNIX] = &unix_family,
};

static const struct file_operations socket_file_operations;

/* ---- Life ---- */

void socket_init(struct socket *socket, int family, int type, int protocol,
                 const struct socket_operations *operations)
{
    *socket = (struct socket){
        .family = (u16)family,
        .type = (u16)type,
        .protocol = (u16)protocol,
        .operations = operations,
        .send_limit = SOCKET_BUFFER_DEFAULT,
        .receive_limit = SOCKET_BUFFER_DEFAULT,
        .receive_low = 1,
        .peek_offset = -1,
        .receive_ns = U64_MAX,
        .send_ns = U64_MAX,
    };
    refcount_set(&socket->references, 1);
    wait_queue_init(&socket->readable);
    list_init(&socket->received);
    room_queue_init(&socket->writable, LOCK_WAIT_QUEUE);
}

struct socket *socket_of_file(const struct file *file)
{
    return file->operations == &socket_file_operations ? file->private_data : NULL;
}

/*
 * Makes the file first and gives it its socket at the end: accept needs one that cannot fail any
 * more once a connection was taken.
 */
static int socket_file_create(u32 flags, struct file **file_out)
{
    struct inode *inode = inode_alloc(anonymous_file_system());
    int error;

    if (!inode)
        return -ENOMEM;
    inode_init_owner(inode, NULL, S_IFSOCK | 0777);
    inode_init_special(inode, inode->mode, 0); /* opened through /proc/PID/fd: ENXIO */
    error = file_create_on_inode("socket", inode, &socket_file_operations,
                                 O_RDWR | (flags & O_NONBLOCK), NULL, file_out);
    inode_put(inode);
    return error;
}

/* Takes over the socket's reference. Nobody else has the file yet. */
static void socket_file_attach(struct file *file, struct socket *socket)
{
    WRITE_ONCE(socket->inode_number, file->inode->number);
    file->private_data = socket;
}

static void socket_file_release(struct file *file)
{
    struct socket *socket = file->private_data;

    if (!socket)
        return;
    socket->operations->release(socket);
    socket_put(socket);
}

/* -EAFNOSUPPORT, -EINVAL: in the order in which Linux looks. */
static int family_find(int family, int type, const struct socket_family **family_out)
{
    if (family < 0 || family >= AF_MAX)
        return -EAFNOSUPPORT;
    if (type < 0 || type > SOCK_PACKET)
        return -EINVAL;
    if (!families[family])
        return -EAFNOSUPPORT;
    *family_out = families[family];
    return 0;
}

static int socket_open_of(const struct socket_family *family, int type, int protocol, u32 flags,
                          struct file **file_out)
{
    struct socket *socket;
    struct file *file;
    int error = socket_file_create(flags, &file);

    if (error)
        return error;
    error = family->create(type, protocol, &socket);
    if (error) {
        file_put(file);
        return error;
    }
    socket_file_attach(file, socket);
    *file_out = file;
    return 0;
}

int socket_open(int family, int type, int protocol, u32 flags, struct file **file_out)
{
    const struct socket_family *found;
    int error = family_find(family, type, &found);

    return error ? error : socket_open_of(found, type, protocol, flags, file_out);
}

int socket_open_pair(int family, int type, int protocol, u32 flags, struct file *files_out[2])
{
    const struct socket_family *found;
    int error = family_find(family, type, &found);

    if (error)
        return error;
    error = socket_open_of(found, type, protocol, flags, &files_out[0]);
    if (error)
        return error;
    error = socket_open_of(found, type, protocol, flags, &files_out[1]);
    if (error)
        goto put_first;
    error = found->pair(files_out[0]->private_data, files_out[1]->private_data);
    if (error)
        goto put_both;
    return 0;

put_both:
    file_put(files_out[1]);
put_first:
    file_put(files_out[0]);
    return error;
}

/* ---- Calls ---- */

int socket_bind(struct file *file, const struct socket_address *address)
{
    struct socket *socket = socket_of_file(file);

    return socket->operations->bind ? socket->operations->bind(socket, address) : -EOPNOTSUPP;
}

int socket_listen(struct file *file, int backlog)
{
    struct socket *socket = socket_of_file(file);

    /* As an unsigned number: a negative backlog is the largest (listen(2), somaxconn). */
    return socket->operations->listen ? socket->operations->listen(socket, (u32)backlog)
                                      : -EOPNOTSUPP;
}

int socket_connect(struct file *file, const struct socket_address *address)
{
    struct socket *socket = socket_of_file(file);

    if (address->bytes < sizeof(address->family))
        return -EINVAL;
    return socket->operations->connect(socket, address, READ_ONCE(file->flags) & O_NONBLOCK);
}

/*
 * The file is made before a connection is taken, for nothing may fail after that. -ECONNABORTED:
 * who connected is gone, and his address was asked for.
 */
int socket_accept(struct file *file, u32 flags, struct file **file_out,
                  struct socket_address *peer_out)
{
    struct socket *socket = socket_of_file(file), *accepted;
    struct file *new;
    int error;

    if (!socket->operations->accept)
        return -EOPNOTSUPP;
    error = socket_file_create(flags, &new);
    if (error)
        return error;
    error = socket->operations->accept(socket, READ_ONCE(file->flags) & O_NONBLOCK, &accepted);
    if (error)
        goto put_file;
    socket_file_attach(new, accepted);
    /* Who connected may be gone already. */
    if (peer_out && accepted->operations->get_peer_name(accepted, peer_out)) {
        error = -ECONNABORTED;
        goto put_file;
    }
    *file_out = new;
    return 0;

put_file:
    file_put(new);
    return error;
}

int socket_shutdown(struct file *file, int how)
{
    struct socket *socket = socket_of_file(file);

    if (how < SHUT_RD || how > SHUT_RDWR)
        return -EINVAL;
    return socket->operations->shutdown(socket, (u32)how + 1);
}

int socket_name(struct file *file, struct socket_address *address_out)
{
    struct socket *socket = socket_of_file(file);

    return socket->operations->get_name(socket, address_out);
}

int socket_peer_name(struct file *file, struct socket_address *address_out)
{
    struct socket *socket = socket_of_file(file);

    return socket->operations->get_peer_name(socket, address_out);
}

ssize_t socket_send(struct file *file, struct socket_message *message)
{
    struct socket *socket = socket_of_file(file);

    if (READ_ONCE(file->flags) & O_NONBLOCK)
        message->flags |= MSG_DONTWAIT;
    return socket->operations->send(socket, message);
}

ssize_t socket_receive(struct file *file, struct socket_message *message)
{
    struct socket *socket = socket_of_file(file);

    if (READ_ONCE(file->flags) & O_NONBLOCK)
        message->flags |= MSG_DONTWAIT;
    return socket->operations->receive(socket, message);
}

/* ---- Waiting ---- */

int socket_take_error(struct socket *socket)
{
    if (likely(!READ_ONCE(socket->error)))
        return 0;
    return -__atomic_exchange_n(&socket->error, 0, __ATOMIC_ACQ_REL);
}

u64 socket_deadline(u64 limit_ns, u32 nonblock)
{
    if (nonblock)
        return 0;
    return limit_ns == U64_MAX ? U64_MAX : clock_monotonic_ns() + limit_ns;
}

int socket_wait_error(int error, u64 limit_ns)
{
    if (error == -ETIMEDOUT)
        return -EAGAIN;
    /* With a time limit the call is not made again: that would start the time anew. */
    return error == -EINTR && limit_ns == U64_MAX ? -ERESTARTSYS : error;
}

void room_queue_init(struct room_queue *room, enum lock_class class)
{
    wait_queue_init_class(&room->queue, class);
    room->waiting = 0;
}

int room_wait(struct room_queue *room, bool (*has_room)(const void *argument), const void *argument,
              u64 deadline_ns)
{
    int error = 0;

    if (!deadline_ns)
        return has_room(argument) ? 0 : -EAGAIN;
    spin_lock(&room->queue.lock);
    /* Before the condition is looked at: pairs with the fence in room_wake. */
    __atomic_fetch_add(&room->waiting, 1, __ATOMIC_SEQ_CST);
    while (!has_room(argument) && !error)
        error =
            wait_queue_wait_until(&room->queue, WAIT_INTERRUPTIBLE, WAIT_FOR_SOCKET, deadline_ns);
    __atomic_fetch_sub(&room->waiting, 1, __ATOMIC_RELAXED);
    spin_unlock(&room->queue.lock);
    return error;
}

void room_wake(struct room_queue *room, u32 events)
{
    /* The condition was changed before `waiting` and the list are looked at. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (likely(!READ_ONCE(room->waiting) &&
               READ_ONCE(room->queue.waiters.next) == &room->queue.waiters))
        return;
    spin_lock(&room->queue.lock);
    wait_queue_wake_locked(&room->queue, WAKE_ALL, events);
    spin_unlock(&room->queue.lock);
}

/* The count shrinks before waiters are looked for: see the picture above. */
void socket_uncharge(struct socket *socket, u32 bytes)
{
    __atomic_fetch_sub(&socket->charged, bytes, __ATOMIC_SEQ_CST);
    if (socket_is_writable(socket))
        room_wake(&socket->writable, POLL_WRITABLE | POLL_WRBAND);
}

/* Also when waiting would be in vain. */
static bool can_go_on_writing(const void *argument)
{
    const struct socket *socket = argument;

    return READ_ONCE(socket->charged) < READ_ONCE(socket->send_limit) || READ_ONCE(socket->error) ||
           (READ_ONCE(socket->shutdown) & SHUTDOWN_SEND);
}

int socket_wait_writable(struct socket *socket, u64 deadline_ns)
{
    for (;;) {
        int error = socket_take_error(socket);

        if (error)
            return error;
        if (READ_ONCE(socket->shutdown) & SHUTDOWN_SEND)
            return -EPIPE;
        if (likely(READ_ONCE(socket->charged) < READ_ONCE(socket->send_limit)))
            return 0;
        error = room_wait(&socket->writable, can_go_on_writing, socket, deadline_ns);
        if (error)
            return socket_wait_error(error, socket->send_ns);
    }
}

/* ---- As a file ---- */

/*
 * The table of system calls has read and write made again after -EINTR; with a time limit they are
 * not (signal(7)), whatever the handler's SA_RESTART says.
 */
static ssize_t result_of_file(ssize_t result)
{
    return result == -EINTR ? -ERESTARTNOHAND : result;
}

static ssize_t socket_file_read(struct file *file, struct io_buffer *io, u64 *offset)
{
    struct socket_message message = {.io = *io};
    ssize_t done;

    if (io->bytes_left == 0)
        return 0;
    if (io->flags & IO_BUFFER_NOWAIT)
        message.flags = MSG_DONTWAIT;
    done = socket_receive(file, &message);
    *io = message.io;
    return result_of_file(done);
}

static ssize_t socket_file_write(struct file *file, struct io_buffer *io, u64 *offset)
{
    struct socket_message message = {.io = *io};
    ssize_t done;

    if (io->flags & IO_BUFFER_NOWAIT)
        message.flags = MSG_DONTWAIT;
    done = socket_send(file, &message);
    *io = message.io;
    return result_of_file(done);
}

static u32 socket_file_poll(struct file *file, struct poll_table *table)
{
    struct socket *socket = file->private_data;

    if (table) {
        poll_wait(table, &socket->readable);
        poll_wait(table, &socket->writable.queue);
        /* The entries are on the lists before the conditions are looked at. */
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
    }
    return socket->operations->poll(socket, table);
}

static long socket_file_ioctl(struct file *file, u32 command, u64 argument)
{
    struct socket *socket = file->private_data;

    return socket->operations->ioctl ? socket->operations->ioctl(socket, command, argument)
                                     : -ENOTTY;
}

static const struct file_operations socket_file_operations = {
    .flags = FILE_OPERATIONS_STREAM,
    .release = socket_file_release,
    .read = socket_file_read,
    .write = socket_file_write,
    .poll = socket_file_poll,
    .ioctl = socket_file_ioctl,
};
