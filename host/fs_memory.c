/*
 * The guest's memory: maps what the front end describes, and finds addresses in it.
 *
 * All that the rings and the requests point to goes through the two lookups here, so no address of
 * the guest's is used before a region was found that holds it whole. A region is mapped only if the
 * file behind it is that long (a shorter one would be SIGBUS at the first touch); a front end that
 * shrinks it later kills only this server.
 */
#include "fs_memory.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static bool ranges_overlap(u64 start, u64 other, u64 size, u64 other_size)
{
    return start < other + other_size && other < start + size;
}

static int region_check(const struct fs_memory *memory, int fd, u64 offset,
                        const struct fs_region *wanted)
{
    struct stat status;
    u64 end;

    if (wanted->size == 0 || __builtin_add_overflow(wanted->guest_address, wanted->size, &end) ||
        __builtin_add_overflow(wanted->front_end_address, wanted->size, &end) ||
        __builtin_add_overflow(offset, wanted->size, &end) || end > INT64_MAX)
        return -EINVAL;
    if (fstat(fd, &status))
        return -errno;
    if (end > (u64)status.st_size)
        return -EINVAL;
    for (unsigned i = 0; i < memory->count; i++) {
        const struct fs_region *other = &memory->regions[i];

        if (ranges_overlap(wanted->guest_address, other->guest_address, wanted->size,
                           other->size) ||
            ranges_overlap(wanted->front_end_address, other->front_end_address, wanted->size,
                           other->size))
            return -EINVAL;
    }
    return 0;
}

int fs_memory_add(struct fs_memory *memory, int fd, u64 offset, const struct fs_region *wanted)
{
    struct fs_region *region = &memory->regions[memory->count];
    u64 page = (u64)sysconf(_SC_PAGESIZE);
    u64 into_page = offset & (page - 1);
    int error;

    if (memory->count == FS_REGIONS_MAX)
        return -ENOSPC;
    error = region_check(memory, fd, offset, wanted);
    if (error)
        return error;
    *region = *wanted;
    region->mapping_size = into_page + wanted->size;
    region->mapping = mmap(NULL, region->mapping_size, PROT_READ | PROT_WRITE,
                           MAP_SHARED | MAP_NORESERVE, fd, (off_t)(offset - into_page));
    if (region->mapping == MAP_FAILED)
        return -errno;
    region->bytes = (u8 *)region->mapping + into_page;
    memory->count++;
    return 0;
}

void fs_memory_clear(struct fs_memory *memory)
{
    for (unsigned i = 0; i < memory->count; i++)
        munmap(memory->regions[i].mapping, memory->regions[i].mapping_size);
    memory->count = 0;
}

void *fs_memory_at_guest(const struct fs_memory *memory, u64 address, u64 size, u64 *size_out)
{
    for (unsigned i = 0; i < memory->count; i++) {
        const struct fs_region *region = &memory->regions[i];
        u64 into = address - region->guest_address; /* huge if the address is below */

        if (address < region->guest_address || into >= region->size)
            continue;
        *size_out = MIN(size, region->size - into);
        return region->bytes + into;
    }
    return NULL;
}

void *fs_memory_at_front_end(const struct fs_memory *memory, u64 address, u64 size, u64 alignment)
{
    for (unsigned i = 0; i < memory->count; i++) {
        const struct fs_region *region = &memory->regions[i];
        u64 into = address - region->front_end_address;

        if (address < region->front_end_address || into >= region->size)
            continue;
        if (size > region->size - into || ((uintptr_t)region->bytes + into) % alignment)
            return NULL;
        return region->bytes + into;
    }
    return NULL;
}
