/* Linux's structures and bits of poll(2), select(2) and epoll(7). */
#pragma once

#include <pith/compiler.h>

struct pollfd {
    s32 fd;
    s16 events, revents;
};

#define FD_SETSIZE 1024

struct epoll_event {
    u32 events;
    u64 data;
} packed;
_Static_assert(sizeof(struct epoll_event) == 12, "struct epoll_event is packed on x86-64");

#define EPOLL_CLOEXEC  02000000
#define EPOLL_CTL_ADD  1
#define EPOLL_CTL_DEL  2
#define EPOLL_CTL_MOD  3

#define EPOLLEXCLUSIVE (1u << 28)
#define EPOLLWAKEUP    (1u << 29)
#define EPOLLONESHOT   (1u << 30)
#define EPOLLET        (1u << 31)
