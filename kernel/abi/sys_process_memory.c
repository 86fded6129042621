/*
 * The calls on other processes' memory: process_vm_readv(2), process_vm_writev(2) and
 * process_madvise(2). Who may look into a process may do all of it.
 *
 *     the other's pages --address_space_read--> a page of ours --io_copy_to--> the caller's
 *
 * Both sides may fault and sleep, and two address spaces are never locked together, so the bytes go
 * through a page of the kernel's, one page of the other's at a time.
 *
 * Errors: -EINVAL, -EFAULT of the vectors first; -ESRCH, -EPERM; then as many bytes as went, or
 * -EFAULT if none did. Context: sleeps; ends early when the thread is killed.
 */
#include <pith/abi.h>

#include <pith/abi/mman.h>
#include <pith/fs.h>
#include <pith/proc.h>
#include <pith/vm.h>

#include "syscalls.h"
#include "user_vector.h"

/* ---- process_vm_readv, process_vm_writev ---- */

struct vm_copy {
    struct address_space *space;
    struct io_buffer own;
    struct io_segment *remote;
    u64 remote_count;
    void *page; /* what one step copies goes through it */
};

typedef size_t vm_step(struct vm_copy *copy, u64 address, size_t bytes);

static size_t step_read(struct vm_copy *copy, u64 address, size_t bytes)
{
    return io_copy_to(&copy->own, copy->page,
                      address_space_read(copy->space, address, copy->page, bytes));
}

static size_t step_write(struct vm_copy *copy, u64 address, size_t bytes)
{
    return address_space_write(copy->space, address, copy->page,
                               io_copy_from(&copy->own, copy->page, bytes));
}

/*
 * Returns the bytes copied before the first that could not be; -EFAULT: none. A kill ends it too:
 * the result is then nobody's to see.
 */
static long vm_copy_run(struct vm_copy *copy, vm_step *step)
{
    long done = 0;

    for (u64 i = 0; i < copy->remote_count; i++) {
        u64 address = copy->remote[i].address, left = copy->remote[i].bytes;

        while (left && copy->own.bytes_left) {
            size_t wanted = MIN(MIN(left, copy->own.bytes_left), PAGE_SIZE - address % PAGE_SIZE);
            size_t copied = step(copy, address, wanted);

            done += (long)copied;
            if (copied < wanted)
                return done ? done : -EFAULT;
            address += copied;
            left -= copied;
            if (sched_point_killable())
                return done;
        }
    }
    return done;
}

static long vm_copy(const struct syscall_args *args, vm_step *step)
{
    struct vm_copy copy = {.remote_count = arg_u64(args, 4)};
    struct process *process;
    struct io_segment *own;
    struct io_buffer remote;
    long result;

    if (arg_u64(args, 5))
        return -EINVAL;
    result = user_vector_get(arg_user_ptr(args, 1), arg_u64(args, 2), &own, &copy.own);
    if (result)
        return result;
    if (!copy.own.bytes_left) /* nothing is to move, whoever the other is */
        goto free_own;
    result = user_vector_get(arg_user_ptr(args, 3), copy.remote_count, &copy.remote, &remote);
    if (result)
        goto free_own;
    process = process_find_by_tid(arg_int(args, 0));
    result = process ? process_space_inspect(process, &copy.space) : -ESRCH;
    if (!result) {
        copy.page = kmalloc(PAGE_SIZE, 0);
        result = copy.page ? vm_copy_run(&copy, step) : -ENOMEM;
        kfree(copy.page);
        address_space_put(copy.space);
    }
    if (process)
        process_put(process);
    kfree(copy.remote);
free_own:
    kfree(own);
    return result;
}

long sys_process_vm_readv(const struct syscall_args *args)
{
    return vm_copy(args, step_read);
}

long sys_process_vm_writev(const struct syscall_args *args)
{
    return vm_copy(args, step_write);
}

/* ---- process_madvise ---- */

/* Only what changes nothing that the other could see. */
static bool advice_is_harmless(int advice)
{
    return advice == MADV_COLD || advice == MADV_PAGEOUT || advice == MADV_WILLNEED;
}

/* Returns how many bytes were advised on before the first error. */
static long advise_all(struct address_space *space, const struct io_segment *ranges, u64 count,
                       int advice)
{
    long done = 0;

    for (u64 i = 0; i < count; i++) {
        int error = address_space_advise(space, ranges[i].address, ranges[i].bytes, advice);

        if (error)
            return done ? done : error;
        done += (long)ranges[i].bytes;
    }
    return done;
}

static long process_advise(struct process *process, const struct io_segment *ranges, u64 count,
                           int advice)
{
    struct address_space *space;
    long result;

    if (!advice_is_harmless(advice))
        return -EINVAL;
    if (process != process_current() &&
        !credentials_can(thread_current()->credentials, CAPABILITY_SYS_NICE))
        return -EPERM;
    result = process_space_inspect(process, &space);
    if (result)
        return result;
    result = advise_all(space, ranges, count, advice);
    address_space_put(space);
    return result;
}

long sys_process_madvise(const struct syscall_args *args)
{
    struct io_segment *ranges;
    struct process *process;
    struct io_buffer io;
    long result;

    if (arg_u64(args, 4))
        return -EINVAL;
    result = user_vector_get(arg_user_ptr(args, 1), arg_u64(args, 2), &ranges, &io);
    if (result)
        return result;
    process = pidfd_process(arg_int(args, 0), NULL);
    result = process ? process_advise(process, ranges, arg_u64(args, 2), arg_int(args, 3)) : -EBADF;
    if (process)
        process_put(process);
    kfree(ranges);
    return result;
}
