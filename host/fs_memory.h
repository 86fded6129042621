/* The guest's memory as the file server sees it: a table of regions that the front end gave. */
#pragma once

#include <pith/compiler.h>

#define FS_REGIONS_MAX 8

/* One region of SET_MEM_TABLE, checked and mapped. */
struct fs_region {
    u64 guest_address;     /* where the guest has it */
    u64 front_end_address; /* where QEMU has it; ring addresses are given so */
    u64 size;
    u8 *bytes;     /* where we have it */
    void *mapping; /* what mmap returned: `bytes` less the offset in the descriptor */
    size_t mapping_size;
};

struct fs_memory {
    struct fs_region regions[FS_REGIONS_MAX];
    unsigned count;
};

/*
 * Maps one more region from `fd`, which stays the caller's. -EINVAL: the numbers wrap, overlap or
 * reach past the end of the descriptor's file; -ENOSPC: too many regions; what mmap says.
 */
must_check int fs_memory_add(struct fs_memory *memory, int fd, u64 offset,
                             const struct fs_region *wanted);

/* Unmaps everything. */
void fs_memory_clear(struct fs_memory *memory);

/*
 * The bytes at a guest address, up to `size` of them: *size_out is how many lie side by side here
 * (at least 1). NULL: no region has that address.
 */
void *fs_memory_at_guest(const struct fs_memory *memory, u64 address, u64 size, u64 *size_out);

/* All `size` bytes at an address of the front end's, aligned as asked; NULL if not all there. */
void *fs_memory_at_front_end(const struct fs_memory *memory, u64 address, u64 size, u64 alignment);
