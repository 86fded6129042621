/*
 * Kernel virtual memory: mappings of single pages, and of device registers.
 *
 *     KERNEL_VIRTUAL             + 256 GiB                  + 512 GiB
 *     | kernel stacks            | device registers         |
 *       (kernel_stack.c)           given once, never back
 *
 * The kernel's root has entries for these areas from the start, and each process's root a copy of
 * them; all that changes later lies in tables below, which are one and the same for all. So a
 * mapping made here is seen everywhere at once, with no walk over address spaces. An entry that was
 * never present needs no flush: processors cache no translation that is not there (SDM 3A "Caching
 * Translation Information").
 *
 * Tables made before there are frames come from boot memory. None is ever freed: what they map
 * comes again.
 *
 * Locking: kernel_virtual.lock for making tables and entries. An entry that is mapped belongs to
 *          who mapped it, who alone changes it (kernel_entry).
 * Context: any; nothing here sleeps.
 */
#include <pith/mem.h>

#include "boot_memory.h"
#include "internal.h"
#include "kernel_virtual.h"

#define DEVICE_AREA     (KERNEL_VIRTUAL + (256ul << 30))
#define DEVICE_AREA_END (KERNEL_VIRTUAL + (512ul << 30))
#define DEVICE_FLAGS    (PTE_PRESENT | PTE_WRITABLE | PTE_GLOBAL | PTE_NO_EXECUTE | PTE_UNCACHED)

static struct {
    struct spinlock lock;              /* LOCK_KERNEL_VIRTUAL */
    u64 device_next guarded_by(&lock); /* where the next device's registers will be */
} kernel_virtual = {.lock = SPINLOCK_INIT(LOCK_KERNEL_VIRTUAL), .device_next = DEVICE_AREA};

static pte *table_at(pte entry)
{
    return phys_to_virt(entry & PTE_ADDRESS);
}

/* A cleared page for a table; 0: no memory. */
static phys_addr table_alloc(void)
{
    struct frame *frame;

    if (!frames_are_ready())
        return boot_memory_table();
    frame = frame_alloc(0, FRAME_KERNEL, ALLOC_CLEARED | ALLOC_NOWAIT);
    return frame ? frame_address(frame) : 0;
}

/* The entry of `level` for `address`, with the tables above it made; NULL: no memory. */
static pte *entry_make(u64 address, unsigned level)
{
    pte *table = phys_to_virt(page_table_kernel());

    for (unsigned at = TABLE_LEVELS; at > level; at--) {
        pte *entry = &table[table_index(address, at)];

        if (!(*entry & PTE_PRESENT)) {
            phys_addr page = table_alloc();

            if (!page)
                return NULL;
            WRITE_ONCE(*entry, page | PTE_PRESENT | PTE_WRITABLE);
        }
        table = table_at(*entry);
    }
    return &table[table_index(address, level)];
}

/* The entry for a page that is mapped. */
pte *kernel_entry(u64 address)
{
    pte *table = phys_to_virt(page_table_kernel());

    for (unsigned level = TABLE_LEVELS; level > 1; level--)
        table = table_at(table[table_index(address, level)]);
    return &table[table_index(address, 1)];
}

static int map_at_level(u64 virtual, phys_addr physical, u64 flags, unsigned level)
{
    pte *entry;
    int error = 0;

    spin_lock(&kernel_virtual.lock);
    entry = entry_make(virtual, level);
    if (!entry)
        error = -ENOMEM;
    else if (*entry)
        error = -EEXIST;
    else
        WRITE_ONCE(*entry, physical | flags);
    spin_unlock(&kernel_virtual.lock);
    return error;
}

int kernel_map(u64 virtual, phys_addr physical, u64 flags)
{
    return map_at_level(virtual, physical, flags, 1);
}

int kernel_map_large(u64 virtual, phys_addr physical, u64 flags)
{
    return map_at_level(virtual, physical, flags | PTE_LARGE, 2);
}

/* Addresses are given once and never come back: devices do not go. */
volatile void *device_map(phys_addr address, size_t bytes)
{
    phys_addr first = ALIGN_DOWN(address, PAGE_SIZE);
    u64 length = ALIGN_UP(address + bytes, PAGE_SIZE) - first, virtual;
    bool fits;

    spin_lock(&kernel_virtual.lock);
    virtual = kernel_virtual.device_next;
    fits = length <= DEVICE_AREA_END - virtual;
    if (fits)
        kernel_virtual.device_next += length;
    spin_unlock(&kernel_virtual.lock);
    if (!fits)
        return NULL;
    for (u64 offset = 0; offset < length; offset += PAGE_SIZE)
        if (kernel_map(virtual + offset, first + offset, DEVICE_FLAGS))
            return NULL;
    return (volatile void *)(virtual + (address - first));
}
