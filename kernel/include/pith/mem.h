/*
 * Physical and kernel memory.
 *
 * Frames (physical pages) come from a buddy allocator with a small stock on each CPU; objects come
 * from slabs with a magazine on each CPU; kernel stacks lie in kernel virtual memory between guard
 * pages. Everything may fail and says so; nothing here sleeps unless it says so.
 */
#pragma once

#include <pith/core.h>
#include <pith/radix.h>

/* ---- Frames ---- */

enum frame_kind {
    FRAME_RESERVED = 0, /* not memory, the kernel's image, or free but no block's first frame */
    FRAME_FREE,         /* the first of a block in the buddy allocator */
    FRAME_KERNEL,       /* stacks, large kmalloc, device rings */
    FRAME_SLAB,
    FRAME_TABLE,     /* a page table: `table` below */
    FRAME_ANONYMOUS, /* private memory of processes: `anonymous` */
    FRAME_CACHE,     /* a page of a file: `cache` */
    FRAME_KINDS,
};

#define FRAME_FLAG_UPTODATE   BIT(0) /* cache: the content is the file's */
#define FRAME_FLAG_DIRTY      BIT(1) /* cache: newer than what is behind it */
#define FRAME_FLAG_LOCKED     BIT(2) /* cache: the page lock, a sleeping lock (fs/page_cache.c) */
#define FRAME_FLAG_WAITED     BIT(3) /* cache: somebody waits for that lock */
#define FRAME_FLAG_REFERENCED BIT(4) /* used since the clock hand came by */

#define FRAME_FLAG_REPORTED   BIT(6) /* free: the host was told */

struct page_cache;
struct slab_cache;

/* One for each page of memory, found by its number; 32 bytes, so 0.8 % of memory. */
struct frame {
    struct refcount references; /* a free frame has 0 */
    u8 kind;                    /* enum frame_kind */
    u8 order;                   /* of the block that begins here */
    u16 flags;                  /* [atomic] FRAME_FLAG_* */
    union {
        struct list link; /* FREE; KERNEL: for the owner's use */
        struct {
            u16 used;        /* entries that are not 0; guarded by the address space that owns it */
            u16 first, last; /* all of them lie between these indices; [const] while shared */
            u16 level;       /* 1: entries map pages; 4: a root */
            u64 kinds;       /* of all entries that ever were: PTE_SHARED, PTE_LARGE */
        } table;
        struct {
            u64 large_entries; /* [atomic] of a 2 MiB page's first frame: vm/large.c */
        } anonymous;
        struct {
            struct page_cache *owner; /* guarded by owner's lock and by FRAME_FLAG_LOCKED */
            u64 index;
        } cache;
        struct {
            struct slab_cache *owner;
            void *slab;
        } slab;
    };
    u32 reserved;
    u32 pins; /* [atomic] never shared copy-on-write while not 0; each has a reference too */
};
_Static_assert(sizeof(struct frame) == 32, "the frame array is 0.8 % of memory");

static inline struct frame *frame_at(phys_addr address)
{
    return (struct frame *)FRAME_ARRAY + (address >> PAGE_SHIFT);
}
static inline phys_addr frame_address(const struct frame *frame)
{
    return (phys_addr)(frame - (struct frame *)FRAME_ARRAY) << PAGE_SHIFT;
}
static inline void *frame_data(const struct frame *frame)
{
    return phys_to_virt(frame_address(frame));
}
static inline struct frame *frame_of(const void *direct_map_pointer)
{
    return frame_at(virt_to_phys(direct_map_pointer));
}

#define ALLOC_CLEARED BIT(0) /* filled with 0 */
#define ALLOC_NOWAIT  BIT(1) /* does not reclaim: for interrupts and under spinlocks */
#define ALLOC_RESERVE BIT(2) /* may use the last frames: for what frees memory */

/*
 * Gives 2^order frames that lie together, aligned, with one reference. NULL: no memory. Without
 * ALLOC_NOWAIT it may sleep: it asks the registered reclaimers first, and up to FRAME_ORDER_CHOICE
 * somebody is ended rather than that it fails.
 */
#define FRAME_ORDER_CHOICE 3 /* nobody dies for a larger block: memory may just be in pieces */
struct frame *frame_alloc(unsigned order, enum frame_kind kind, unsigned flags) must_check;
/* Frees what frame_alloc gave; nobody refers to it any more (references may be 0 or 1). */
void frame_free(struct frame *frame);
static inline void frame_get(struct frame *frame)
{
    refcount_inc(&frame->references);
}
/* Gives up one reference; the last frees it. */
void frame_put(struct frame *frame);
/* A block from frame_alloc becomes 2^order single frames, each with one reference. */
void frame_block_break(struct frame *first, unsigned order);
/* Gives up a reference to each frame of a block that was broken; together, if all were the last. */
void frame_block_put(struct frame *first, unsigned order);
u64 frames_free_count(void);
u64 frames_total_count(void); /* all that were ever free, the kernel's image not among them */
u64 frames_count_of(enum frame_kind kind);
/* How many free blocks of 2^order frames there are; below FRAME_ORDERS. */
#define FRAME_ORDERS 11
u64 frames_free_blocks(unsigned order);
const char *frame_kind_name(enum frame_kind kind);
/* Gives memory that was in use at boot (the initramfs, once unpacked) to the allocator. */
void frames_release(phys_addr start, u64 bytes);

/*
 * Blocks of free memory that the host may have: takes one that was used since it was last reported
 * (NULL: there is none), and gives it back to the allocator. In between it is nobody's.
 */
#define FRAME_REPORT_BYTES (4ul << 20)
struct frame *frame_report_take(void) must_check;
void frame_report_return(struct frame *first);

/*
 * Called, from a context that may sleep, when free frames run low; frees what it can, up to about
 * `wanted` frames, and returns how many. The caches of pages and of names register one each.
 */
struct reclaimer {
    struct list link;
    const char *name;
    u64 (*reclaim)(u64 wanted);
};
void reclaimer_register(struct reclaimer *reclaimer);
/* Asks the reclaimers now. Sleeps. Returns how many frames they freed. */
u64 memory_reclaim(u64 wanted);
/*
 * After an allocation failed: asks the reclaimers, and where they have nothing the out-of-memory
 * choice. True: it is worth trying again. False: the caller is to fail, for it is being killed
 * itself, it is reclaiming, or there is nobody to end. Sleeps; any sleeping lock may be held.
 */
bool memory_make_room(u64 wanted) must_check;
/*
 * The out-of-memory choice: ends somebody, or waits for somebody who is ending. Called with
 * whatever sleeping locks the allocating thread holds, so it waits for none. Returns as
 * memory_make_room. proc/ registers it.
 */
void memory_choice_register(bool (*end_somebody)(void));

/* ---- Objects ---- */

struct slab_cache;
/* A cache of objects of one size and type; `name` appears in /proc/slabinfo and leak reports. */
struct slab_cache *slab_cache_create(const char *name, size_t size, size_t alignment);
/* flags: ALLOC_CLEARED, ALLOC_NOWAIT. */
void *slab_alloc(struct slab_cache *cache, unsigned flags) must_check;
void slab_free(struct slab_cache *cache, void *object);
/* Any size up to 4 MiB. */
void *kmalloc(size_t bytes, unsigned flags) must_check;
void kfree(void *memory); /* NULL is fine */
/* Nodes of radix trees: ALLOC_NOWAIT, for trees under a spinlock. */
extern const struct radix_allocator radix_slab_allocator;
/* Calls `visit` for each cache. */
struct slab_use {
    const char *name; /* without blanks: it is a word of /proc/slabinfo */
    size_t object_bytes;
    u64 objects_used, objects_total;
    u64 slabs, empty_slabs;
    u32 objects_a_slab, frames_a_slab;
};
void slab_for_each(void (*visit)(const struct slab_use *use, void *argument), void *argument);

/* ---- Kernel virtual memory ---- */

#define KERNEL_STACK_BYTES (16ul * 1024)
/* A stack between guard pages; returns its lowest address. NULL: no memory. */
void *kernel_stack_alloc(void) must_check;
void kernel_stack_free(void *stack);
/* Maps `bytes` of device registers at a physical address, uncached. NULL: no memory. */
volatile void *device_map(phys_addr address, size_t bytes) must_check;
/*
 * Maps one page of kernel virtual memory or of the frame array in page_table_kernel(); `flags` are
 * PTE_*. The root's entries for those areas exist from mem_init on and never change, so the tables
 * below them are the same ones in every address space. -ENOMEM, -EEXIST.
 */
int kernel_map(u64 virtual, phys_addr physical, u64 flags) must_check;
/* The same for an aligned 2 MiB. */
int kernel_map_large(u64 virtual, phys_addr physical, u64 flags) must_check;

/* Takes all of boot_info.usable as it then stands. */
void mem_init(void);

/* ---- What goes wrong on purpose, and what was forgotten (SAN=1) ---- */

/* Lets the n-th allocation from now on fail, once (0: none); only the calling thread's count. */
void allocation_fail_nth(u64 n);
/* Logs each kind of frame and each slab cache that is still in use: at power off. */
void mem_report_use(void);
