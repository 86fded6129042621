/* Linux's structures of io_submit(2) and io_getevents(2). */
#pragma once

#include <pith/compiler.h>

struct iocb {
    u64 data; /* comes back in the event */
    u32 key;
    s32 rw_flags; /* RWF_* */
    u16 opcode;   /* IOCB_CMD_* */
    s16 priority;
    u32 fd;
    u64 buffer;
    u64 bytes;
    s64 offset;
    u64 reserved;
    u32 flags; /* IOCB_FLAG_* */
    u32 result_fd;
};
_Static_assert(sizeof(struct iocb) == 64, "struct iocb");

#define IOCB_CMD_PREAD   0
#define IOCB_CMD_PWRITE  1
#define IOCB_CMD_FSYNC   2
#define IOCB_CMD_FDSYNC  3
#define IOCB_CMD_PREADV  7
#define IOCB_CMD_PWRITEV 8
#define IOCB_FLAG_RESFD  1u

struct io_event {
    u64 data;
    u64 iocb; /* where the request lay */
    s64 result, result2;
};
_Static_assert(sizeof(struct io_event) == 32, "struct io_event");
