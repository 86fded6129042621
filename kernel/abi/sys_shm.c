/*
 * shmget(2), shmat(2), shmdt(2) and shmctl(2); fs/segments.c is what lies behind them.
 *
 * Here are only the structures: what is asked of a segment is copied out after its table was left,
 * so no lock is held over user memory.
 */
#include <pith/abi.h>

#include <pith/arch.h>
#include <pith/segments.h>

#include "syscalls.h"

long sys_shmget(const struct syscall_args *args)
{
    return segment_get(arg_int(args, 0), arg_u64(args, 1), arg_u32(args, 2));
}

long sys_shmat(const struct syscall_args *args)
{
    u64 address;
    int error = segment_attach(arg_int(args, 0), arg_u64(args, 1), arg_u32(args, 2), &address);

    return error ? error : (long)address;
}

long sys_shmdt(const struct syscall_args *args)
{
    return segment_detach(arg_u64(args, 0));
}

/* IPC_STAT says 0, the others the id. */
static long status_copy(s32 number, enum segment_naming naming, struct user_ptr to)
{
    struct shmid64_ds status;
    int id = segment_status(number, naming, &status);
    int error;

    if (id < 0)
        return id;
    error = copy_out(to, &status, sizeof(status));
    if (error)
        return error;
    return naming == SEGMENT_BY_ID ? 0 : id;
}

static long owner_set(s32 id, struct user_ptr from)
{
    struct shmid64_ds wanted;
    int error = copy_in(&wanted, from, sizeof(wanted));

    return error ? error : segment_set_owner(id, &wanted.permissions);
}

static long limits_copy(struct user_ptr to)
{
    struct shminfo64 limits;
    int highest = segments_limits(&limits);
    int error = copy_out(to, &limits, sizeof(limits));

    return error ? error : highest;
}

static long usage_copy(struct user_ptr to)
{
    struct shm_info usage;
    int highest = segments_usage(&usage);
    int error = copy_out(to, &usage, sizeof(usage));

    return error ? error : highest;
}

/* -EINVAL: a negative number or no such command; else what segments.h says of each. */
long sys_shmctl(const struct syscall_args *args)
{
    int number = arg_int(args, 0), command = arg_int(args, 1);
    struct user_ptr user = arg_user_ptr(args, 2);

    if (number < 0)
        return -EINVAL;
    switch (command) {
    case IPC_RMID:
        return segment_remove(number);
    case IPC_SET:
        return owner_set(number, user);
    case IPC_STAT:
        return status_copy(number, SEGMENT_BY_ID, user);
    case SHM_STAT:
        return status_copy(number, SEGMENT_BY_INDEX, user);
    case SHM_STAT_ANY:
        return status_copy(number, SEGMENT_BY_INDEX_ANY, user);
    case IPC_INFO:
        return limits_copy(user);
    case SHM_INFO:
        return usage_copy(user);
    case SHM_LOCK:
    case SHM_UNLOCK:
        return segment_set_locked(number, command == SHM_LOCK);
    default:
        return -EINVAL;
    }
}
