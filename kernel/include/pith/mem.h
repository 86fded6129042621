/*
 * Physical and kernel memory.
 *
 * Frames (physical pages) come from a buddy allocator with a small stock on each CPU; objects come
 * from slabs with a magazine on each CPU; kernel stacks lie in kernel virtual memory between guard
 * pages. Everything may fail and says so; nothing here sleeps unless it says so.
 */
#pragma once

#include <pith/core.h>

/* ---- Frames ---- */

enum frame_kind {
    FRAME_RESERVED = 0, /* not memory, or the kernel's image */
    FRAME_FREE,         /* in the buddy allocator or a CPU's stock */
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
#define FRAME_FLAG_ERROR      BIT(5) /* cache: the last read failed */
#define FRAME_FLAG_COMPOUND   BIT(6) /* a 2 MiB page's first frame: order 9 */

struct page_cache;
struct slab_cache;

/* One for each page of memory, found by its number; 32 bytes, so 0.8 % of memory. */
struct frame {
    struct refcount references; /* a free frame has 0 */
    u8 kind;                    /* enum frame_kind */
    u8 order;                   /* of the block that begins here */
    u16 flags;                  /* [atomic] FRAME_FLAG_* */
    union {
        struct list link; /* FREE; KERNEL, TABLE: for the owner's use */
        struct {
            u64 present; /* entries that are not 0; guarded by the address space that owns it */
            u64 reserved;
        } table;
        struct {
            u64 family; /* the family of the fork tree (reverse mapping, later) */
            u64 index;  /* the page's number in the address space */
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
    u32 mappers; /* [atomic] page table entries (of tables, shared or not) that name it */
    u32 pins;    /* [atomic] never shared copy-on-write while not 0 */
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
 * ALLOC_NOWAIT it may sleep: it asks the registered reclaimers first.
 */
struct frame *frame_alloc(unsigned order, enum frame_kind kind, unsigned flags) must_check;
/* Frees what frame_alloc gave; nobody refers to it any more (references may be 0 or 1). */
void frame_free(struct frame *frame);
static inline void frame_get(struct frame *frame)
{
    refcount_inc(&frame->references);
}
/* Gives up one reference; the last frees it. */
void frame_put(struct frame *frame);
u64 frames_free_count(void);
u64 frames_total_count(void);
u64 frames_count_of(enum frame_kind kind);

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
/* Calls `visit` for each cache. */
void slab_for_each(void (*visit)(const char *name, size_t object_bytes, u64 objects_used,
                                 u64 objects_total, u64 frames, void *argument),
                   void *argument);

/* ---- Kernel virtual memory ---- */

#define KERNEL_STACK_BYTES (16ul * 1024)
/* A stack between guard pages; returns its lowest address. NULL: no memory. */
void *kernel_stack_alloc(void) must_check;
void kernel_stack_free(void *stack);
/* Maps `bytes` of device registers at a physical address, uncached. NULL: no memory. */
volatile void *device_map(phys_addr address, size_t bytes) must_check;

void mem_init(void);
