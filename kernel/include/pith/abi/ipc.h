/* Linux's structures and numbers of shmget(2), shmat(2) and shmctl(2). */
#pragma once

#include <pith/compiler.h>

#define IPC_PRIVATE 0

/* shmget: the low nine bits are the mode. */
#define IPC_CREAT     01000u
#define IPC_EXCL      02000u
#define SHM_HUGETLB   04000u
#define SHM_NORESERVE 010000u

/* shmat */
#define SHM_RDONLY 010000u
#define SHM_RND    020000u
#define SHM_REMAP  040000u
#define SHM_EXEC   0100000u

/* shmctl */
#define IPC_RMID     0
#define IPC_SET      1
#define IPC_STAT     2
#define IPC_INFO     3
#define SHM_LOCK     11
#define SHM_UNLOCK   12
#define SHM_STAT     13
#define SHM_INFO     14
#define SHM_STAT_ANY 15

/* ipc64_perm.mode, beside the permissions. */
#define SHM_DEST   01000u /* goes with its last attachment */
#define SHM_LOCKED 02000u

struct ipc64_perm {
    s32 key;
    u32 uid, gid, cuid, cgid;
    u32 mode;
    u16 sequence, padding[3];
    u64 unused[2];
};

struct shmid64_ds {
    struct ipc64_perm permissions;
    u64 bytes;
    s64 attached_at, detached_at, changed_at; /* seconds of the date; 0: never */
    s32 creator_pid, last_pid;
    u64 attachments;
    u64 unused[2];
};
_Static_assert(sizeof(struct shmid64_ds) == 112, "struct shmid64_ds");

struct shminfo64 {
    u64 bytes_max, bytes_min, segments_max, segments_max_process, pages_max;
    u64 unused[4];
};
_Static_assert(sizeof(struct shminfo64) == 72, "struct shminfo64");

struct shm_info {
    s32 segments, padding;
    u64 pages, resident_pages, swapped_pages;
    u64 swap_attempts, swap_successes;
};
_Static_assert(sizeof(struct shm_info) == 48, "struct shm_info");
