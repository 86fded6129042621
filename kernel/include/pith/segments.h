/*
 * System V's shared memory: segments that have an id, perhaps a key, and stay until they are
 * removed (shmget(2), shmat(2), shmctl(2); svipc(7)).
 *
 * A segment is a file without a name, of the same tmpfs that memfds lie in, and an attachment is a
 * shared mapping of it; what is added here is the table that finds it by number, its own notion of
 * who may use it, and the count of attachments that says when a removed one goes.
 */
/* folder: fs */
#pragma once

#include <pith/abi/ipc.h>
#include <pith/types.h>

/*
 * shmget(2): the id, or -ENOENT, -EEXIST, -EINVAL (the size), -EACCES, -ENOSPC (a limit), -ENOMEM,
 * -EPERM (huge pages). Sleeps.
 */
int segment_get(s32 key, u64 bytes, u32 flags) must_check;
/* shmat(2), into the calling thread's address space. -EINVAL, -EACCES, -ENOMEM, -EPERM. Sleeps. */
int segment_attach(s32 id, u64 address, u32 flags, u64 *address_out) must_check;
/* shmdt(2). -EINVAL: no segment's start is at `address`. Sleeps. */
int segment_detach(u64 address) must_check;

/* Who says which segment is meant, and who must be allowed to read it. */
enum segment_naming {
    SEGMENT_BY_ID,        /* IPC_STAT */
    SEGMENT_BY_INDEX,     /* SHM_STAT */
    SEGMENT_BY_INDEX_ANY, /* SHM_STAT_ANY: nobody is asked for rights */
};
/* The id. -EINVAL: there is none; -EACCES. */
int segment_status(s32 number, enum segment_naming naming, struct shmid64_ds *status_out)
    must_check;
/* Sets owner and mode. -EINVAL, -EPERM. */
int segment_set_owner(s32 id, const struct ipc64_perm *permissions) must_check;
/* Takes the key away at once, and all of it with the last attachment. -EINVAL, -EPERM. */
int segment_remove(s32 id) must_check;
/* SHM_LOCK and SHM_UNLOCK, which only say so: no page is ever paged out. -ENOMEM, -EPERM. */
int segment_set_locked(s32 id, u32 locked) must_check;

/* The limits, and what there is. Both return the highest index in use (0 if there is none). */
int segments_limits(struct shminfo64 *limits_out);
int segments_usage(struct shm_info *usage_out);

void segments_init(void);
