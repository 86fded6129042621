/*
 * Address spaces: regions over page tables that processes share copy-on-write.
 *
 * A region is a run of pages with one protection and one pager (what is behind them: NULL for
 * anonymous memory, else fs/'s table for a mapped file). Regions lie in a tree by address. Pages
 * come on the first access (fault.c). Page tables are shared between a parent and its children
 * until one of them changes something (tables.c has the rule).
 */
#pragma once

#include <pith/mem.h>
#include <pith/sched.h>

struct address_space;
struct region;
struct file;

#define REGION_READ         BIT(0)
#define REGION_WRITE        BIT(1)
#define REGION_EXECUTE      BIT(2)
#define REGION_SHARED       BIT(3) /* MAP_SHARED: writes go to the pager's pages */
#define REGION_MAY_READ     BIT(4) /* what mprotect may add */
#define REGION_MAY_WRITE    BIT(5)
#define REGION_MAY_EXECUTE  BIT(6)
#define REGION_GROWS_DOWN   BIT(7)
#define REGION_LOCKED       BIT(8)
#define REGION_NO_FORK      BIT(9) /* MADV_DONTFORK */
#define REGION_WIPE_ON_FORK BIT(10)
#define REGION_NO_RESERVE   BIT(11)
#define REGION_NO_DUMP      BIT(12)
#define REGION_STACK        BIT(13) /* for /proc/PID/maps */
#define REGION_HEAP         BIT(14)
#define REGION_SPECIAL      BIT(15) /* vDSO: not merged, not resized; named by its pager */
#define REGION_PROTECTION   (REGION_READ | REGION_WRITE | REGION_EXECUTE)

/* What is behind a region's pages. fs/ gives vm/ one of these when a file is mapped. All may sleep.
 */
struct pager {
    const char *name; /* for a SPECIAL region in /proc/PID/maps; else NULL */
    /*
     * Finds or reads the page at `index` (pages from the object's start). On success the caller
     * owns a reference on *frame_out. -EFAULT (seen as SIGBUS): beyond the end; -EIO; -ENOMEM.
     * `write`: the page will be written through a shared mapping (page_mkwrite): dirty it.
     */
    int (*fill)(struct region *region, u64 index, unsigned access, struct frame **frame_out);
    /*
     * Fault-around: gives up to `count` pages from `first` that are in memory and up to date,
     * without sleeping: frames[i] with a reference, or NULL. May be NULL.
     */
    void (*fill_around)(struct region *region, u64 first, unsigned count,
                        struct frame **frames_out);
    /* A region that uses this object came into being (also by fork or split), or goes away. */
    void (*region_opened)(struct region *region);
    void (*region_closed)(struct region *region);
    /* Writes back dirty pages (msync MS_SYNC). May be NULL. */
    int (*sync)(struct region *region, u64 first, u64 count);
};
#define PAGER_READ  0u
#define PAGER_WRITE 1u

struct region {
    struct tree_node node;       /* guarded by address_space.lock, as all but `mapping_link` */
    struct address_space *space; /* [const] */
    u64 start, end;              /* page aligned */
    u32 flags;                   /* REGION_* */
    const struct pager *pager;   /* NULL: anonymous */
    void *object;                /* the pager's: a struct file with a reference, say */
    u64 offset_pages;            /* of `start` in the object */
    u64 largest_gap;             /* below regions in this subtree: for finding free room */
    struct list mapping_link;    /* for the pager's list of regions, under its own lock */
};

struct address_space {
    struct refcount references;
    struct rwlock lock;         /* LOCK_ADDRESS_SPACE: regions; read by faults */
    struct tree regions;        /* guarded_by(&lock) */
    struct spinlock table_lock; /* LOCK_PAGE_TABLE: the tables that only we have */
    phys_addr root;             /* [const] the page table */
    u64 cpus;                   /* [atomic] CPUs that may have our translations cached */
    u64 heap_start, heap_end;   /* guarded_by(&lock) brk */
    u64 mmap_top;               /* [const] after exec: where the search for room begins, downward */
    u64 stack_top;              /* [const] after exec */
    u64 vdso;                   /* [const] after exec: its address, or 0 */
    /* Where exec put things, for /proc/PID/stat and cmdline. [const] after exec */
    u64 code_start, code_end, data_start, data_end;
    u64 arguments_start, arguments_end, environment_start, environment_end;
    u64 total_pages; /* guarded_by(&lock) sum of the regions */
    u64 locked_pages;
    u64 data_pages;                                         /* private writable, for RLIMIT_DATA */
    s64 resident_anonymous, resident_file, resident_shared; /* [atomic] pages */
    u64 peak_total_pages, peak_resident_pages;
    u64 auxv[64];                   /* [const] after exec, for /proc/PID/auxv */
    u64 minor_faults, major_faults; /* [atomic] */
    void *executable; /* struct file * with a reference, released by `executable_put` */
    void (*executable_put)(void *executable);
};

/* ---- Life ---- */

/* An empty one with one reference. -ENOMEM. */
int address_space_create(struct address_space **space_out) must_check;
/* fork: shares everything copy-on-write. The parent is the caller's. Sleeps. -ENOMEM. */
int address_space_copy(struct address_space *parent, struct address_space **child_out) must_check;
static inline void address_space_get(struct address_space *space)
{
    refcount_inc(&space->references);
}
/* The last reference releases all. Sleeps. */
void address_space_put(struct address_space *space);
/* Makes it the one of this CPU; NULL: a kernel thread, which keeps what is loaded. Interrupts off.
 */
void address_space_switch(struct address_space *from, struct address_space *to);
/* proc/ tells whose address space the current thread has (NULL: a kernel thread). */
void address_space_current_register(struct address_space *(*current)(void));

/* ---- Regions: what mmap(2) and its kin do. Addresses and lengths are checked here. Sleep. ---- */

struct map_request {
    u64 address;   /* a hint, or exact with MAP_FIXED */
    u64 bytes;     /* rounded up to pages */
    u32 flags;     /* REGION_* with protection and MAY bits */
    u32 map_flags; /* MAP_FIXED, MAP_FIXED_NOREPLACE, MAP_POPULATE, MAP_GROWSDOWN, ... */
    const struct pager *pager;
    void *object;
    u64 offset_pages;
    u64 limit_total_pages; /* RLIMIT_AS in pages */
    u64 limit_data_pages;  /* RLIMIT_DATA */
    u64 limit_locked_pages;
};
/* Returns 0 and the address; -ENOMEM -EINVAL -EEXIST -EPERM. The region gets `region_opened`. */
int address_space_map(struct address_space *space, const struct map_request *request,
                      u64 *address_out) must_check;
int address_space_unmap(struct address_space *space, u64 address, u64 bytes) must_check;
int address_space_protect(struct address_space *space, u64 address, u64 bytes, u32 protection)
    must_check;
struct remap_request {
    u64 address, old_bytes, new_bytes, new_address;
    u32 flags; /* MREMAP_* */
    u64 limit_total_pages, limit_data_pages;
};
int address_space_remap(struct address_space *space, const struct remap_request *request,
                        u64 *address_out) must_check;
int address_space_advise(struct address_space *space, u64 address, u64 bytes, int advice)
    must_check;
int address_space_sync(struct address_space *space, u64 address, u64 bytes, int flags) must_check;
/* brk(2): moves the heap's end; returns where it is then. */
u64 address_space_set_heap_end(struct address_space *space, u64 end, u64 limit_data_pages,
                               u64 limit_total_pages);
/* mincore(2): a byte a page. */
int address_space_resident(struct address_space *space, u64 address, u64 pages, u8 *resident_out)
    must_check;

/* ---- Access ---- */

/* The region that holds `address`, or NULL. space->lock is held. */
struct region *region_find(struct address_space *space, u64 address);
/* The first region that ends above `address`, or NULL: for walking. space->lock is held. */
struct region *region_find_from(struct address_space *space, u64 address);
/*
 * Copies from and to another process's memory (exec's stack, /proc/PID/mem, ptrace later).
 * Returns how many bytes before the first that cannot be accessed. Sleeps.
 */
size_t address_space_read(struct address_space *space, u64 address, void *to, size_t bytes);
size_t address_space_write(struct address_space *space, u64 address, const void *from,
                           size_t bytes);
/*
 * The frame at a user address, with a reference, after whatever fault is needed. `access`: PAGER_*.
 * For futex keys and zero-copy. -EFAULT. Sleeps.
 */
int address_space_frame_get(struct address_space *space, u64 address, unsigned access,
                            struct frame **frame_out) must_check;
/* Forgets the pages of a file's range in all its mappings (truncate). `regions`: of mapping_link.
 */
void regions_zap(struct region *region, u64 first_index, u64 count);

/* What a user page fault that cannot be mended becomes. proc/ registers it. */
struct fault_signal {
    int signal; /* SIGSEGV, SIGBUS */
    int code;   /* SEGV_MAPERR, SEGV_ACCERR, BUS_ADRERR */
    u64 address;
};
void fault_signal_register(void (*raise)(struct trap_frame *frame,
                                         const struct fault_signal *signal));
/* RLIMIT_STACK and RLIMIT_AS of the current process, for growing stacks. proc/ registers it. */
void stack_limit_register(u64 (*stack_limit_bytes)(void));

/* Pages that belong to no file: the vDSO's. */
extern const struct pager vdso_pager;

void vm_init(void);
