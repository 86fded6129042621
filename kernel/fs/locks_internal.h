/* Between locks.c, which has the theory, and lock_text.c, which shows them. */
#pragma once

#include "locks.h"

#define PID_OF_FILES (-1)

/* guarded by the queue's lock of its file_locks */
struct file_lock {
    struct list link;
    u64 start, end;          /* the last byte, too; U64_MAX: for ever */
    const void *owner;       /* a file, or a file_table; not counted, only compared */
    const struct file *file; /* through which it was taken; not counted, only compared */
    s32 pid;                 /* as F_GETLK tells it; PID_OF_FILES: an open file's */
    s16 type;                /* F_RDLCK, F_WRLCK */
};

struct file_locks {
    struct inode *inode; /* [const] not counted: it owns us */
    struct list link;    /* on the list of all; guarded by all_file_locks.lock */
    struct wait_queue queue;
    struct list flocks;  /* guarded_by(&queue.lock) */
    struct list records; /* guarded_by(&queue.lock) */
};

/* What there is of them: inodes that ever had a lock. */
struct all_file_locks {
    struct spinlock lock; /* LOCK_FILE_LOCKS */
    struct list list;     /* guarded_by(&lock) of file_locks */
};
extern struct all_file_locks all_file_locks;
