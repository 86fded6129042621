/*
 * Sockets: making, naming and connecting them, and their options. What is sent and received is in
 * sys_message.c; what they do in net/.
 *
 * Here the user's addresses and lengths are checked. Linux is liberal with them: a name longer than
 * the room is cut and its whole length told; a negative length is -EINVAL, one above 128 bytes too
 * where it comes in.
 *
 * Errors: -EBADF, -ENOTSOCK, then -EINVAL and -EFAULT of the memory, then the socket's.
 * Context: connect and accept sleep unless O_NONBLOCK.
 */
#include <pith/abi.h>

#include <pith/net.h>

#include "address.h"
#include "syscalls.h"

#define SOCKET_FLAGS (SOCK_CLOEXEC | SOCK_NONBLOCK)
_Static_assert(SOCK_CLOEXEC == O_CLOEXEC && SOCK_NONBLOCK == O_NONBLOCK, "flags of the file");

/* ---- Arguments ---- */

/* On success the caller ends with fd_leave. */
int socket_enter(int fd, struct fd_use *use_out)
{
    struct fd_use use = fd_enter(fd);

    if (!use.file)
        return -EBADF;
    if (!socket_of_file(use.file)) {
        fd_leave(use);
        return -ENOTSOCK;
    }
    *use_out = use;
    return 0;
}

long socket_apply(const struct syscall_args *args, file_function *function)
{
    struct fd_use use;
    long result = socket_enter(arg_int(args, 0), &use);

    if (result)
        return result;
    result = function(use.file, args);
    fd_leave(use);
    return result;
}

int address_copy_in(struct socket_address *address, struct user_ptr from, int bytes)
{
    if (bytes < 0 || bytes > (int)ADDRESS_BYTES_MAX)
        return -EINVAL;
    address->family = AF_UNSPEC;
    address->bytes = (u32)bytes;
    return copy_in(address->raw, from, (size_t)bytes);
}

int address_copy_out(const struct socket_address *address, struct user_ptr to, int room,
                     struct user_ptr bytes_at)
{
    size_t bytes = MIN((size_t)address->bytes, (size_t)room);

    if (room < 0)
        return -EINVAL;
    if (copy_out(to, address->raw, bytes))
        return -EFAULT;
    return copy_out(bytes_at, &address->bytes, sizeof(address->bytes));
}

/* The same for calls that give the room where the length goes. */
static int address_answer(const struct socket_address *address, struct user_ptr to,
                          struct user_ptr bytes_at)
{
    int room;

    if (copy_in(&room, bytes_at, sizeof(room)))
        return -EFAULT;
    return address_copy_out(address, to, room, bytes_at);
}

/* ---- Making ---- */

/*
 * -EINVAL: flags beside the type's; then what the family says: -EAFNOSUPPORT, -ESOCKTNOSUPPORT,
 * -EPROTONOSUPPORT; -EMFILE last.
 */
long sys_socket(const struct syscall_args *args)
{
    int type = arg_int(args, 1);
    struct file *file;
    int error;

    if (type & ~(SOCK_TYPE_MASK | SOCKET_FLAGS))
        return -EINVAL;
    error = socket_open(arg_int(args, 0), type & SOCK_TYPE_MASK, arg_int(args, 2),
                        (u32)type & SOCK_NONBLOCK, &file);
    if (error)
        return error;
    return fd_create(file, (u32)type & SOCK_CLOEXEC);
}

long sys_socketpair(const struct syscall_args *args)
{
    int type = arg_int(args, 1), error;
    struct file *ends[2];

    if (type & ~(SOCK_TYPE_MASK | SOCKET_FLAGS))
        return -EINVAL;
    error = socket_open_pair(arg_int(args, 0), type & SOCK_TYPE_MASK, arg_int(args, 2),
                             (u32)type & SOCK_NONBLOCK, ends);
    return error ? error : fd_create_pair(ends, arg_user_ptr(args, 3), (u32)type & SOCK_CLOEXEC);
}

/* ---- Naming and connecting ---- */

static long bind_to(struct file *file, const struct syscall_args *args)
{
    struct socket_address address;
    int error = address_copy_in(&address, arg_user_ptr(args, 1), arg_int(args, 2));

    return error ? error : socket_bind(file, &address);
}

long sys_bind(const struct syscall_args *args)
{
    return socket_apply(args, bind_to);
}

static long connect_to(struct file *file, const struct syscall_args *args)
{
    struct socket_address address;
    int error = address_copy_in(&address, arg_user_ptr(args, 1), arg_int(args, 2));

    return error ? error : socket_connect(file, &address);
}

long sys_connect(const struct syscall_args *args)
{
    return socket_apply(args, connect_to);
}

static long listen_on(struct file *file, const struct syscall_args *args)
{
    return socket_listen(file, arg_int(args, 1));
}

long sys_listen(const struct syscall_args *args)
{
    return socket_apply(args, listen_on);
}

static long shut_down(struct file *file, const struct syscall_args *args)
{
    return socket_shutdown(file, arg_int(args, 1));
}

long sys_shutdown(const struct syscall_args *args)
{
    return socket_apply(args, shut_down);
}

static long answer_name(struct file *file, const struct syscall_args *args)
{
    struct socket_address address = {.bytes = 0};
    int error = socket_name(file, &address);

    return error ? error : address_answer(&address, arg_user_ptr(args, 1), arg_user_ptr(args, 2));
}

long sys_getsockname(const struct syscall_args *args)
{
    return socket_apply(args, answer_name);
}

static long answer_peer_name(struct file *file, const struct syscall_args *args)
{
    struct socket_address address = {.bytes = 0};
    int error = socket_peer_name(file, &address);

    return error ? error : address_answer(&address, arg_user_ptr(args, 1), arg_user_ptr(args, 2));
}

long sys_getpeername(const struct syscall_args *args)
{
    return socket_apply(args, answer_peer_name);
}

/*
 * The number is taken before the call waits, so that no connection is lost for want of one. One
 * whose address cannot be written is closed again: -EFAULT.
 */
static long accept_file(struct file *listener, struct user_ptr address_at, struct user_ptr bytes_at,
                        u32 flags)
{
    struct file_table *files = thread_current()->files;
    struct socket_address address = {.bytes = 0};
    bool asks = !user_ptr_is_null(address_at);
    struct file *file;
    int fd, error;

    error = fd_reserve(files, 0, &fd, 1);
    if (error)
        return error;
    error = socket_accept(listener, flags & SOCK_NONBLOCK, &file, asks ? &address : NULL);
    if (error)
        goto release_fd;
    error = asks ? address_answer(&address, address_at, bytes_at) : 0;
    if (error)
        goto put_file;
    fd_install(files, fd, file, flags & SOCK_CLOEXEC);
    return fd;

put_file:
    file_put(file);
release_fd:
    fd_release(files, &fd, 1);
    return error;
}

static long accept_with_flags(const struct syscall_args *args, u32 flags)
{
    struct fd_use use = fd_enter(arg_int(args, 0));
    long result = -EINVAL;

    if (!use.file)
        return -EBADF;
    if (!(flags & ~(u32)SOCKET_FLAGS))
        result = socket_of_file(use.file)
                     ? accept_file(use.file, arg_user_ptr(args, 1), arg_user_ptr(args, 2), flags)
                     : -ENOTSOCK;
    fd_leave(use);
    return result;
}

long sys_accept(const struct syscall_args *args)
{
    return accept_with_flags(args, 0);
}

long sys_accept4(const struct syscall_args *args)
{
    return accept_with_flags(args, arg_u32(args, 3));
}

/* ---- Options; no family has levels of its own ---- */

/*
 * Of SOL_SOCKET, the only level: no family here has one of its own (-EOPNOTSUPP). More bytes than
 * an option has are cut, as on Linux.
 */
static long option_set(struct file *file, const struct syscall_args *args)
{
    u8 value[SOCKET_OPTION_BYTES_MAX] aligned(8);
    int bytes = arg_int(args, 4);

    if (bytes < 0)
        return -EINVAL;
    if (arg_int(args, 1) != SOL_SOCKET)
        return -EOPNOTSUPP;
    bytes = MIN(bytes, (int)sizeof(value));
    if (copy_in(value, arg_user_ptr(args, 3), (size_t)bytes))
        return -EFAULT;
    return socket_set_option(socket_of_file(file), arg_int(args, 2), value, (u32)bytes);
}

long sys_setsockopt(const struct syscall_args *args)
{
    return socket_apply(args, option_set);
}

/* SO_PEERGROUPS has no length of its own: -ERANGE tells in `bytes_at` how much is wanted. */
static int peer_groups_get(struct socket *socket, struct user_ptr to, struct user_ptr bytes_at,
                           u32 bytes)
{
    int error = socket_get_peer_groups(socket, to, &bytes);

    if (error && error != -ERANGE)
        return error;
    return copy_out(bytes_at, &bytes, sizeof(bytes)) ? -EFAULT : error;
}

static long option_get(struct file *file, const struct syscall_args *args)
{
    struct socket *socket = socket_of_file(file);
    u8 value[SOCKET_OPTION_BYTES_MAX] aligned(8);
    struct user_ptr to = arg_user_ptr(args, 3), bytes_at = arg_user_ptr(args, 4);
    int bytes;

    if (copy_in(&bytes, bytes_at, sizeof(bytes)))
        return -EFAULT;
    if (arg_int(args, 1) != SOL_SOCKET)
        return -EOPNOTSUPP;
    if (bytes < 0)
        return -EINVAL;
    if (arg_int(args, 2) == SO_PEERGROUPS)
        return peer_groups_get(socket, to, bytes_at, (u32)bytes);
    bytes = socket_get_option(socket, arg_int(args, 2), value, (u32)bytes);
    if (bytes < 0)
        return bytes;
    if (copy_out(to, value, (size_t)bytes))
        return -EFAULT;
    return copy_out(bytes_at, &bytes, sizeof(bytes));
}

long sys_getsockopt(const struct syscall_args *args)
{
    return socket_apply(args, option_get);
}
