/*
 * Sockets: there is no family of them here, and that is what programs are told (socket(2)).
 *
 * The type is checked first, as on Linux, so that a wrong call and a missing family differ.
 */
#include "syscalls.h"

#define SOCKET_TYPE_MASK 0xf
#define SOCKET_TYPE_LAST 10                 /* SOCK_PACKET */
#define SOCKET_FLAGS     (02000000 | 04000) /* SOCK_CLOEXEC, SOCK_NONBLOCK */

static long family_open(int type)
{
    if (type & ~(SOCKET_TYPE_MASK | SOCKET_FLAGS))
        return -EINVAL;
    if ((type & SOCKET_TYPE_MASK) > SOCKET_TYPE_LAST)
        return -EINVAL;
    return -EAFNOSUPPORT;
}

long sys_socket(const struct syscall_args *args)
{
    return family_open(arg_int(args, 1));
}

long sys_socketpair(const struct syscall_args *args)
{
    return family_open(arg_int(args, 1));
}
