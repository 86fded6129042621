/*
 * The arguments that random calls are given.
 *
 *     kind (ARG_*)  --shaped-->  a value such as a program could mean: a descriptor of the slice's,
 *                                a page's edge, a path, a length, a structure of words
 *                   --argument-->  in half of the cases that; else of another kind, a number at
 * some edge, an address of nobody's or of the kernel's, any number
 *
 * What follows of a seed is always the same: all numbers come from random.h, and the addresses that
 * arguments name lie in the slice's own pages.
 */
#pragma once

#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "random.h"

#define PAGE            4096
#define PAGES           8
#define DESCRIPTORS_MAX 64 /* the slice's limit; half of them are open at its start */

/* As the kernel's table of calls names them. */
enum argument {
    ARG_NONE,
    ARG_INT,
    ARG_UINT,
    ARG_LONG,
    ARG_HEX,
    ARG_FD,
    ARG_FD_AT,
    ARG_SIZE,
    ARG_OFFSET,
    ARG_PATH,
    ARG_FLAGS,
    ARG_OPEN_FLAGS,
    ARG_MODE,
    ARG_PID,
    ARG_SIGNAL,
    ARG_POINTER,
    ARG_STRUCT_IN,
    ARG_STRUCT_OUT,
    ARG_BUFFER_IN,
    ARG_BUFFER_OUT,
    ARG_FDS_OUT
};

static unsigned char *pages;  /* 8 pages, the last one unmapped */
static unsigned char *frozen; /* a page that can only be read */

static const char *const paths[] = {
    ".",
    "..",
    "/",
    "file",
    "link",
    "directory",
    "directory/inner",
    "fifo",
    "missing",
    "loop",
    "",
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/tty",
    "/dev/ptmx",
    "/dev/shm/fuzz",
    "/proc/self",
    "/proc/self/fd/3",
    "/proc/self/mem",
    "/proc/self/maps",
    "/proc/self/exe",
    "/proc/self/cwd",
    "/proc/thread-self/status",
    "/proc/1/root",
    "/proc/meminfo",
    "/etc/passwd",
    "/tmp",
    "/sys",
};

static inline unsigned char *pointer_into_pages(void)
{
    unsigned page = below(PAGES - 1);

    switch (below(4)) {
    case 0:
        return pages + page * PAGE;
    case 1: /* ends at the edge of what is mapped */
        return pages + (PAGES - 1) * PAGE - (1 + below(64));
    case 2:
        return pages + page * PAGE + PAGE - below(16);
    default:
        return pages + page * PAGE + below(PAGE);
    }
}

static inline uint64_t bad_address(void)
{
    static const uint64_t addresses[] = {
        0,
        1,
        PAGE - 1,
        0x7ffffffff000,
        0x7fffffffffff,
        0x800000000000,
        0xffff800000000000,
        0xffffffff80200000,
        0xfffffffffffff000,
        UINT64_MAX,
        0xffffffffff600000,
    };

    if (below(4) == 0)
        return (uint64_t)frozen + below(PAGE);
    return addresses[below(sizeof(addresses) / sizeof(*addresses))];
}

static inline uint64_t edge_number(void)
{
    static const uint64_t numbers[] = {
        0,         1,         2,         3,       4,         7,         8,          15,
        16,        63,        64,        128,     511,       512,       4095,       4096,
        4097,      65535,     65536,     1 << 20, INT32_MAX, 1ul << 31, UINT32_MAX, 1ul << 32,
        1ul << 40, INT64_MAX, 1ul << 63, -1ul,    -2ul,      -4096ul,   -100ul,
    };

    return numbers[below(sizeof(numbers) / sizeof(*numbers))];
}

/* A structure: words that may each be a small number, a pointer, a length, anything. */
static inline unsigned char *structure(void)
{
    unsigned char *at = pointer_into_pages();
    uint64_t words[8];

    if ((uintptr_t)at % PAGE > PAGE - sizeof(words))
        return at;
    for (unsigned i = 0; i < 8; i++) {
        switch (below(4)) {
        case 0:
            words[i] = below(16);
            break;
        case 1:
            words[i] = (uint64_t)pointer_into_pages();
            break;
        case 2:
            words[i] = edge_number();
            break;
        default:
            words[i] = below(1000);
        }
    }
    memcpy(at, words, sizeof(words));
    return at;
}

static inline uint64_t path(void)
{
    return (uint64_t)paths[below(sizeof(paths) / sizeof(*paths))];
}

static inline uint64_t flags(void)
{
    switch (below(4)) {
    case 0:
        return 0;
    case 1:
        return 1ul << below(32);
    case 2:
        return 1ul << below(20) | 1ul << below(20);
    default:
        return below(16);
    }
}

static inline uint64_t shaped(enum argument kind)
{
    switch (kind) {
    case ARG_FD:
        return below(DESCRIPTORS_MAX / 2);
    case ARG_FD_AT:
        return below(2) ? (uint64_t)AT_FDCWD : below(DESCRIPTORS_MAX / 2);
    case ARG_SIZE:
        return below(2) ? below(3 * PAGE) : edge_number();
    case ARG_OFFSET:
        return below(2) ? below(16 * PAGE) : edge_number();
    case ARG_PATH:
        return path();
    case ARG_OPEN_FLAGS:
        return flags() | below(3);
    case ARG_MODE:
        return below(010000);
    case ARG_FLAGS:
        return flags();
    case ARG_PID:
        return below(2) ? (uint64_t)(below(2) ? getpid() : 0) : below(40);
    case ARG_SIGNAL:
        return below(66);
    case ARG_INT:
    case ARG_UINT:
    case ARG_LONG:
        return below(2) ? below(12) : edge_number();
    case ARG_HEX: /* a page of ours, or a command of ioctl */
        return below(2) ? (uint64_t)pages + below(PAGES) * PAGE : 0x5400 + below(0x60);
    case ARG_STRUCT_IN:
    case ARG_POINTER:
        return (uint64_t)structure();
    default:
        return (uint64_t)pointer_into_pages();
    }
}

static inline uint64_t argument(enum argument kind)
{
    switch (below(8)) {
    case 0:
        return edge_number();
    case 1:
        return bad_address();
    case 2:
        return next();
    case 3:
        return shaped(1 + below(ARG_FDS_OUT));
    default:
        return shaped(kind);
    }
}
