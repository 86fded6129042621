/*
 * The calls on memory: mmap(2) and its kin, brk(2), mlock(2), madvise(2), mincore(2), msync(2).
 *
 * Here protections and flags become those of regions, a descriptor becomes a pager and its object,
 * and resource limits come along; vm/ does the rest. A file decides itself what may be mapped of
 * it: its `map` function sees the request after the rights of its descriptor were applied:
 *
 *     descriptor       MAP_SHARED                                 MAP_PRIVATE
 *     no read          -EACCES                                    -EACCES
 *     read only        no PROT_WRITE, now or by mprotect          any
 *     read and write   any                                        any
 *
 * Limits: RLIMIT_AS, DATA, STACK and MEMLOCK, by vm/ where a region grows. MAP_HUGETLB is -ENOMEM:
 * no such pages are set aside.
 * Context: sleeps: the address space's lock, and page tables' memory.
 */
#include <pith/abi.h>

#include <pith/abi/mman.h>
#include <pith/fs.h>
#include <pith/proc.h>
#include <pith/vm.h>

#include "syscalls.h"

#define PROT_KNOWN (PROT_READ | PROT_WRITE | PROT_EXEC | PROT_SEM)
#define MAP_KNOWN                                                                            \
    (MAP_TYPE | MAP_FIXED | MAP_ANONYMOUS | MAP_32BIT | MAP_GROWSDOWN | MAP_DENYWRITE |      \
     MAP_EXECUTABLE | MAP_LOCKED | MAP_NORESERVE | MAP_POPULATE | MAP_NONBLOCK | MAP_STACK | \
     MAP_HUGETLB | MAP_FIXED_NOREPLACE)
#define MINCORE_PAGES PAGE_SIZE /* answered with one copy */

/* The calling thread's. */
static struct address_space *space_current(void)
{
    return thread_current()->space;
}

/* With READ_IMPLIES_EXEC (personality(2)) what may be read may be executed. */
static u32 region_protection(u64 protection)
{
    if ((protection & PROT_READ) && (process_current()->personality & READ_IMPLIES_EXEC))
        protection |= PROT_EXEC;
    return (protection & PROT_READ ? REGION_READ : 0) |
           (protection & PROT_WRITE ? REGION_WRITE : 0) |
           (protection & PROT_EXEC ? REGION_EXECUTE : 0);
}

/* ---- mmap ---- */

static u32 region_flags(u64 protection, u32 map_flags)
{
    u32 flags =
        region_protection(protection) | REGION_MAY_READ | REGION_MAY_WRITE | REGION_MAY_EXECUTE;

    if ((map_flags & MAP_TYPE) != MAP_PRIVATE)
        flags |= REGION_SHARED;
    if (map_flags & MAP_GROWSDOWN)
        flags |= REGION_GROWS_DOWN;
    if (map_flags & MAP_LOCKED)
        flags |= REGION_LOCKED;
    if (map_flags & MAP_NORESERVE)
        flags |= REGION_NO_RESERVE;
    if (map_flags & MAP_STACK) /* a thread uses little of its stack */
        flags |= REGION_NO_LARGE;
    return flags;
}

/* Fills in what a file puts behind the region. -EACCES, -ENODEV, -EINVAL. */
static int request_file(struct map_request *request, struct file *file)
{
    bool shared = request->flags & REGION_SHARED;

    if (!(file->mode & FILE_READ))
        return -EACCES;
    if (shared && !(file->mode & FILE_WRITE)) {
        if (request->flags & REGION_WRITE)
            return -EACCES;
        request->flags &= ~REGION_MAY_WRITE;
    }
    if (request->flags & REGION_GROWS_DOWN)
        return -EINVAL;
    if (!file->operations->map)
        return -ENODEV;
    return file->operations->map(file, request);
}

/* -EPERM: the limit is 0, so that nothing may be locked. */
static int may_lock(void)
{
    return space_limit(SPACE_LIMIT_LOCKED) ? 0 : -EPERM;
}

/* Whether the flags name a kind of mapping. MAP_SHARED_VALIDATE refuses what it does not know. */
static int map_flags_check(u32 map_flags)
{
    switch (map_flags & MAP_TYPE) {
    case MAP_SHARED_VALIDATE:
        if (map_flags & ~MAP_KNOWN)
            return -EOPNOTSUPP;
        break;
    case MAP_SHARED:
    case MAP_PRIVATE:
        break;
    default:
        return -EINVAL;
    }
    if ((map_flags & MAP_GROWSDOWN) && (map_flags & MAP_TYPE) != MAP_PRIVATE)
        return -EINVAL;
    if ((map_flags & MAP_LOCKED) && may_lock())
        return -EPERM;
    return map_flags & MAP_HUGETLB ? -ENOMEM : 0; /* no pages are set aside for it */
}

static int request_check(const struct map_request *request)
{
    return request->bytes ? map_flags_check(request->map_flags) : -EINVAL;
}

static int map_anonymous(struct map_request *request, u64 *address_out)
{
    int error = request_check(request);

    if ((request->map_flags & MAP_TYPE) == MAP_SHARED_VALIDATE)
        return -EINVAL; /* there is no file that could refuse a flag */
    request->offset_pages = 0;
    return error ? error : address_space_map(space_current(), request, address_out);
}

static int map_file(struct map_request *request, int fd, u64 *address_out)
{
    struct fd_use use = fd_enter(fd);
    int error;

    if (!use.file)
        return -EBADF;
    error = request_check(request);
    if (!error && (request->offset_pages << PAGE_SHIFT) + request->bytes < request->bytes)
        error = -EOVERFLOW;
    if (!error)
        error = request_file(request, use.file);
    if (!error)
        error = address_space_map(space_current(), request, address_out);
    fd_leave(use);
    return error;
}

/* -EINVAL of the offset, -EBADF, -EINVAL of the rest, -EOVERFLOW: offset and length together. */
long sys_mmap(const struct syscall_args *args)
{
    u64 protection = arg_u64(args, 2), offset = arg_u64(args, 5), address = 0;
    u32 map_flags = arg_u32(args, 3);
    struct map_request request = {
        .address = arg_u64(args, 0),
        .bytes = arg_u64(args, 1),
        .flags = region_flags(protection, map_flags),
        .map_flags = map_flags,
        .offset_pages = offset >> PAGE_SHIFT,
    };
    int error;

    if (offset & ~PAGE_MASK)
        return -EINVAL;
    error = map_flags & MAP_ANONYMOUS ? map_anonymous(&request, &address)
                                      : map_file(&request, arg_int(args, 4), &address);
    return error ? error : (long)address;
}

/* -EINVAL: not at a page's edge, no length, or beyond user memory. Holes are no error. */
long sys_munmap(const struct syscall_args *args)
{
    return address_space_unmap(space_current(), arg_u64(args, 0), arg_u64(args, 1));
}

long sys_mprotect(const struct syscall_args *args)
{
    u64 protection = arg_u64(args, 2);

    if (protection & ~(u64)(PROT_KNOWN | PROT_GROWSDOWN | PROT_GROWSUP))
        return -EINVAL;
    if ((protection & PROT_GROWSDOWN) && (protection & PROT_GROWSUP))
        return -EINVAL;
    return address_space_protect(space_current(), arg_u64(args, 0), arg_u64(args, 1),
                                 region_protection(protection) |
                                     (protection & PROT_GROWSDOWN ? REGION_GROWS_DOWN : 0));
}

long sys_mremap(const struct syscall_args *args)
{
    const struct remap_request request = {
        .address = arg_u64(args, 0),
        .old_bytes = arg_u64(args, 1),
        .new_bytes = arg_u64(args, 2),
        .flags = arg_u32(args, 3),
        .new_address = arg_u64(args, 4),
    };
    u64 address = 0;
    int error = address_space_remap(space_current(), &request, &address);

    return error ? error : (long)address;
}

/* Of the flags only MAP_NONBLOCK ever meant anything: pages come by faults, as with it. */
long sys_remap_file_pages(const struct syscall_args *args)
{
    u64 address = arg_u64(args, 0) & PAGE_MASK, bytes = arg_u64(args, 1) & PAGE_MASK;
    u64 protection = arg_u64(args, 2), offset_pages = arg_u64(args, 3);

    if (protection || offset_pages + (bytes >> PAGE_SHIFT) < offset_pages)
        return -EINVAL;
    return address_space_map_pages(space_current(), address, bytes, offset_pages);
}

/* Linux's brk: the heap's end now, whether it moved or not. libc compares. */
long sys_brk(const struct syscall_args *args)
{
    return address_space_set_heap_end(space_current(), arg_u64(args, 0));
}

/* ---- Advice, and what is in memory ---- */

long sys_madvise(const struct syscall_args *args)
{
    return address_space_advise(space_current(), arg_u64(args, 0), arg_u64(args, 1),
                                arg_int(args, 2));
}

long sys_msync(const struct syscall_args *args)
{
    u64 address = arg_u64(args, 0);
    int flags = arg_int(args, 2);

    if (flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC))
        return -EINVAL;
    if ((flags & MS_ASYNC) && (flags & MS_SYNC))
        return -EINVAL;
    if (address & ~PAGE_MASK)
        return -EINVAL;
    return address_space_sync(space_current(), address, arg_u64(args, 1), flags);
}

static long mincore_copy(u64 address, u64 pages, struct user_ptr to)
{
    u8 *resident = kmalloc(MINCORE_PAGES, 0);
    long error = 0;

    if (!resident)
        return -EAGAIN;
    while (pages && !error) {
        u64 part = MIN(pages, MINCORE_PAGES);

        error = address_space_resident(space_current(), address, part, resident);
        if (!error)
            error = copy_out(to, resident, part);
        address += part << PAGE_SHIFT;
        to = user_ptr_add(to, part);
        pages -= part;
    }
    kfree(resident);
    return error;
}

/* -ENOMEM: a hole in the range, or beyond user memory; -EAGAIN: no memory for the answer. */
long sys_mincore(const struct syscall_args *args)
{
    u64 address = arg_u64(args, 0), bytes = arg_u64(args, 1);

    if (address & ~PAGE_MASK)
        return -EINVAL;
    if (!user_range_is_valid(address, bytes))
        return -ENOMEM;
    return mincore_copy(address, DIV_ROUND_UP(bytes, PAGE_SIZE), arg_user_ptr(args, 2));
}

/* ---- Locking in memory: nothing is ever paged out, so it counts, and faults pages in ---- */

/* -EINVAL: the range wraps; -ENOMEM: a hole in it, or more than RLIMIT_MEMLOCK. */
static long lock_range(u64 address, u64 bytes, unsigned flags)
{
    u64 start = address & PAGE_MASK, end = ALIGN_UP(address + bytes, PAGE_SIZE);

    if (end < start)
        return -EINVAL;
    if (!user_range_is_valid(start, end - start))
        return -ENOMEM;
    return address_space_lock(space_current(), start, end, flags);
}

long sys_mlock(const struct syscall_args *args)
{
    int error = may_lock();

    return error ? error
                 : lock_range(arg_u64(args, 0), arg_u64(args, 1), SPACE_LOCK | SPACE_LOCK_POPULATE);
}

long sys_mlock2(const struct syscall_args *args)
{
    u32 flags = arg_u32(args, 2);
    int error = flags & ~MLOCK_ONFAULT ? -EINVAL : may_lock();

    return error ? error
                 : lock_range(arg_u64(args, 0), arg_u64(args, 1),
                              SPACE_LOCK | (flags & MLOCK_ONFAULT ? 0 : SPACE_LOCK_POPULATE));
}

long sys_munlock(const struct syscall_args *args)
{
    return lock_range(arg_u64(args, 0), arg_u64(args, 1), 0);
}

/* -EINVAL: no flag, or an unknown one; -EPERM, -ENOMEM: the limit is 0, or reached. */
long sys_mlockall(const struct syscall_args *args)
{
    u32 flags = arg_u32(args, 0);
    unsigned how = SPACE_LOCK | (flags & MCL_ONFAULT ? 0 : SPACE_LOCK_POPULATE);
    int error;

    if (!flags || (flags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)) || flags == MCL_ONFAULT)
        return -EINVAL;
    error = may_lock();
    return error ? error
                 : address_space_lock_all(space_current(), flags & MCL_CURRENT ? how : 0,
                                          flags & MCL_FUTURE ? how : 0);
}

long sys_munlockall(const struct syscall_args *args)
{
    return address_space_unlock_all(space_current());
}

/* ---- Protection keys: as on a CPU without them ---- */

long sys_pkey_mprotect(const struct syscall_args *args)
{
    return arg_int(args, 3) == -1 ? sys_mprotect(args) : -EINVAL;
}

long sys_pkey_alloc(const struct syscall_args *args)
{
    return arg_u64(args, 0) ? -EINVAL : -ENOSPC;
}

long sys_pkey_free(const struct syscall_args *args)
{
    return -EINVAL;
}
