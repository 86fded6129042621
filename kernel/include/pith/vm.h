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

#define MAP_ADDRESS_MIN     0x10000ul /* mmap_min_addr: what lies below is never mapped */

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
#define REGION_COMMITTED    BIT(16) /* its pages count among the promised ones: limits.c */
#define REGION_LARGE        BIT(17) /* MADV_HUGEPAGE */
#define REGION_NO_LARGE     BIT(18) /* MADV_NOHUGEPAGE */
#define REGION_PROTECTION   (REGION_READ | REGION_WRITE | REGION_EXECUTE)

/*
 * What is behind a region's pages. fs/ gives vm/ one of these when a file is mapped. All may sleep.
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
    /*
     * A region that uses this object came into being (also by fork or split), or goes away: get and
     * put a reference on region->object, mapping_add and mapping_remove. space->lock is held for
     * writing when it is opened, and not held when it is closed; neither may fail.
     */
    void (*region_opened)(struct region *region);
    void (*region_closed)(struct region *region);
    /* Writes back dirty pages (msync MS_SYNC). May be NULL. */
    int (*sync)(struct region *region, u64 first, u64 count);
    /* Makes a hole of pages of the object (MADV_REMOVE). NULL: -EINVAL. */
    int (*punch)(struct region *region, u64 first, u64 count);
};
#define PAGER_READ  0u
#define PAGER_WRITE 1u

/*
 * The regions that show one object (a file's page cache), in whatever address spaces: for taking
 * pages out of all of them when the file is cut. The object embeds it.
 */
struct mapping {
    struct spinlock lock; /* LOCK_MAPPING */
    struct list regions;  /* guarded_by(&lock) by region.mapping_link */
};

struct region {
    struct tree_node node;       /* guarded by address_space.lock, as all but what says otherwise */
    struct address_space *space; /* [const] */
    u64 start, end;              /* page aligned */
    u32 flags;                   /* REGION_* */
    const struct pager *pager;   /* NULL: anonymous */
    void *object;                /* the pager's: a struct file with a reference, say */
    u64 offset_pages;            /* of `start` in the object */
    /* Of the subtree: its bounds, and the largest room between two regions in it. */
    u64 subtree_start, subtree_end, largest_gap;
    struct mapping *mapping;  /* [const] once it is opened; NULL: in none */
    struct list mapping_link; /* guarded_by(&mapping->lock) */
    u64 last_walk;            /* [atomic] the walk over `mapping` that did its work here last */
};

/*
 * Page tables change with `lock` held for writing, or with `lock` held for reading and
 * `table_lock`. Who only reads entries holds one of the two as well.
 */
struct address_space {
    struct refcount references; /* threads and others that use it; the last releases all in it */
    struct refcount holders;    /* [references' one] and who must find the struct itself */
    struct rwlock lock;         /* LOCK_ADDRESS_SPACE: regions; read by faults */
    struct tree regions;        /* guarded_by(&lock) */
    struct region *dropped;     /* guarded_by(&lock) out of the tree; closed when it is let go */
    struct region *recent;      /* [atomic] the last that was found; valid with `lock` */
    struct spinlock table_lock; /* LOCK_PAGE_TABLE */
    phys_addr root;             /* [const] the page table */
    u64 cpus;                   /* [atomic] CPUs that may have our translations cached */
    u64 lazy_cpus;              /* [atomic] those of them that run none of our threads now */
    u64 flushes;                /* [atomic] how often others were told to forget some */
    u64 heap_start, heap_end;   /* guarded_by(&lock) brk */
    u64 mmap_top;               /* [const] after exec: where the search for room begins, downward */
    u64 stack_top;              /* [const] after exec */
    u64 vdso;                   /* [const] after exec: its address, or 0 */
    u32 randomness;             /* [const] LAYOUT_*, chosen by exec */
    /* Where exec put things, for /proc/PID/stat and cmdline. [const] after exec... */
    u64 code_start, code_end, data_start, data_end;
    /* ... but for these, [atomic]: PR_SET_MM changes them under the lock */
    u64 arguments_start, arguments_end, environment_start, environment_end;
    u64 total_pages; /* guarded_by(&lock) sum of the regions, as the next four */
    u64 locked_pages;
    u64 data_pages;      /* private writable, for RLIMIT_DATA */
    u64 committed_pages; /* of COMMITTED regions */
    u64 peak_total_pages;
    u32 region_count;
    u8 lock_future;         /* guarded_by(&lock) SPACE_LOCK_*: what new regions get (mlockall) */
    bool any_not_inherited; /* some region is, or was, NO_FORK or WIPE_ON_FORK */
    bool no_large_pages;    /* [atomic] PR_SET_THP_DISABLE: children and programs inherit it... */
    u32 core_filter;        /* [atomic] ... and /proc/PID/coredump_filter */
    bool doomed;            /* [atomic] the out-of-memory choice: no fault is mended any more */
    /* Guarded like the page tables. */
    s64 resident_anonymous, resident_file, resident_shared; /* pages */
    u64 tables;              /* page tables below its root and that, those of others too */
    u64 peak_resident_pages; /* before the last pages went: address_space_peak_resident_pages */
    u64 auxv[64];            /* [const] after exec, for /proc/PID/auxv */
    void *executable;        /* struct file * with a reference, counted by the next two; [const] */
    void (*executable_get)(void *executable);
    void (*executable_put)(void *executable);
};
/* core(5): anonymous regions, private and shared, what begins with an ELF header, large pages. */
#define CORE_FILTER_DEFAULT 0x33u
#define CORE_FILTER_MASK    0x1ffu
#define REGIONS_MAX         65530 /* in one address space: vm.max_map_count */

/* ---- Life ---- */

/* An empty one with one reference. -ENOMEM. */
int address_space_create(struct address_space **space_out) must_check;
/* fork: shares everything copy-on-write. The parent is the caller's. Sleeps. -ENOMEM. */
int address_space_copy(struct address_space *parent, struct address_space **child_out) must_check;
static inline void address_space_get(struct address_space *space)
{
    refcount_inc(&space->references);
}
/*
 * The last reference releases all. The caller's CPU may still have it loaded (exit): it runs on the
 * kernel's page table then. Sleeps.
 */
void address_space_put(struct address_space *space);
/*
 * For the out-of-memory choice. What touches a doomed space finds no memory from then on; reaping
 * takes all its pages, if nobody has its lock: false, with nothing done, if somebody has. The
 * caller keeps the struct alone: doom makes that hold, release gives it up. Only reaping may sleep,
 * and waits for nobody.
 */
void address_space_doom(struct address_space *space);
static inline bool address_space_is_doomed(const struct address_space *space)
{
    return READ_ONCE(space->doomed);
}
bool address_space_reap(struct address_space *space) must_check;
void address_space_release(struct address_space *space);
/*
 * Makes it the one of this CPU; NULL: a kernel thread, which keeps what is loaded. Interrupts off.
 */
void address_space_switch(struct address_space *from, struct address_space *to);
/* Pages that are in memory now, of all three kinds. */
u64 address_space_resident_pages(const struct address_space *space);
u64 address_space_peak_resident_pages(const struct address_space *space);
/* The peak is what is in memory now. Sleeps. */
void address_space_reset_peak(struct address_space *space);

/* ---- Regions: what mmap(2) and its kin do. Addresses and lengths are checked here. Sleep. ---- */

struct map_request {
    u64 address;   /* a hint, or exact with MAP_FIXED */
    u64 bytes;     /* rounded up to pages */
    u32 flags;     /* REGION_* with protection and MAY bits */
    u32 map_flags; /* MAP_FIXED, MAP_FIXED_NOREPLACE, MAP_POPULATE, MAP_GROWSDOWN, ... */
    const struct pager *pager;
    void *object;
    u64 offset_pages;
};
/* Returns 0 and the address; -ENOMEM -EINVAL -EEXIST -EPERM. The region gets `region_opened`. */
int address_space_map(struct address_space *space, const struct map_request *request,
                      u64 *address_out) must_check;
/*
 * Maps other pages of the object that is mapped shared all over [address, address + bytes), those
 * from `offset_pages` on, in whole pages. -EINVAL: it is not so; -ENOMEM.
 */
int address_space_map_pages(struct address_space *space, u64 address, u64 bytes, u64 offset_pages)
    must_check;
int address_space_unmap(struct address_space *space, u64 address, u64 bytes) must_check;
/*
 * Unmaps all that is left of an object that was mapped whole at `address`: the first that `accepts`
 * takes, which also says how long it is. -EINVAL: there is none; -ENOMEM.
 */
int address_space_unmap_object(struct address_space *space, u64 address,
                               bool (*accepts)(const struct region *region, u64 *bytes_out))
    must_check;
/*
 * mprotect: REGION_PROTECTION's flags; with REGION_GROWS_DOWN the range begins where the stack does
 * that `address` lies in. -EINVAL, -ENOMEM, -EACCES.
 */
int address_space_protect(struct address_space *space, u64 address, u64 bytes, u32 protection)
    must_check;
struct remap_request {
    u64 address, old_bytes, new_bytes, new_address;
    u32 flags; /* MREMAP_* */
};
int address_space_remap(struct address_space *space, const struct remap_request *request,
                        u64 *address_out) must_check;
int address_space_advise(struct address_space *space, u64 address, u64 bytes, int advice)
    must_check;
int address_space_sync(struct address_space *space, u64 address, u64 bytes, int flags) must_check;
/* brk(2): moves the heap's end; returns where it is then. */
u64 address_space_set_heap_end(struct address_space *space, u64 end);
/*
 * mlock(2) and its kin: locks the pages of [start, end), or unlocks them. -ENOMEM: there is a hole,
 * or the limit is reached.
 */
#define SPACE_LOCK          BIT(0)
#define SPACE_LOCK_POPULATE BIT(1) /* brings them in as well */
int address_space_lock(struct address_space *space, u64 start, u64 end, unsigned flags) must_check;
/*
 * mlockall(2): locks all that is there (`now` 0: leaves it as it is), and says what regions get
 * that come (0: nothing). -ENOMEM: the limit is reached, and nothing has changed.
 */
int address_space_lock_all(struct address_space *space, unsigned now, unsigned future) must_check;
int address_space_unlock_all(struct address_space *space) must_check; /* -ENOMEM */
/* mincore(2): a byte a page. */
int address_space_resident(struct address_space *space, u64 address, u64 pages, u8 *resident_out)
    must_check;

/* ---- Where exec puts things: page aligned, and at random by space->randomness ---- */

#define LAYOUT_FIXED           0
#define LAYOUT_RANDOM_BUT_HEAP 1
#define LAYOUT_RANDOM          2
/* What programs start with: /proc/sys/kernel/randomize_va_space. [atomic] */
extern s64 layout_randomness;

/*
 * Sets stack_top, where the stack region ends, and mmap_top, where the search for room begins,
 * below a stack that may grow to `stack_limit_bytes`.
 */
void layout_place_stack(struct address_space *space, u64 stack_limit_bytes);
/* Where a position-independent program goes (ET_DYN with an interpreter). */
u64 layout_program_base(const struct address_space *space);
/* Where the heap starts for a program that ends at `program_end`. */
u64 layout_heap_start(const struct address_space *space, u64 program_end);
/*
 * Maps the vDSO and its data page anywhere and says where the image is (AT_SYSINFO_EHDR). -ENOMEM;
 * -ENOSYS: there is none.
 */
int address_space_map_vdso(struct address_space *space, u64 *address_out) must_check;

/* ---- Regions, for those who read them ---- */

/* The region that holds `address`, or NULL. space->lock is held. */
struct region *region_find(struct address_space *space, u64 address);
/* The first region that ends above `address`, or NULL: for walking. space->lock is held. */
struct region *region_find_from(struct address_space *space, u64 address);
/* What lies in memory of a region: for /proc/PID/smaps. space->lock is held for reading. */
struct region_resident {
    u64 anonymous, file, shared_memory; /* pages, as all that does not say otherwise */
    u64 referenced;                     /* since they came, or since they were forgotten */
    u64 large;                          /* of the anonymous ones, in 2 MiB pages */
    u64 private_clean, private_dirty, shared_clean, shared_dirty;
    /* Each page divided by its users. */
    u64 proportional_bytes, proportional_dirty_bytes, proportional_file_bytes;
    u64 proportional_shared_memory_bytes;
};
void region_count_resident(struct region *region, struct region_resident *resident_out);
/*
 * The pages of regions of these kinds count as referenced no more, until somebody uses them.
 * Sleeps. -ENOMEM: some still do.
 */
#define REFERENCED_ANONYMOUS BIT(0)
#define REFERENCED_PAGER     BIT(1) /* a file's, or shared anonymous ones */
int address_space_forget_references(struct address_space *space, unsigned kinds) must_check;
/* Of all regions, and of what maps them; for /proc/PID/status. Sleeps. */
struct space_sizes {
    u64 stack_pages; /* of regions that grow down */
    u64 code_pages;  /* of regions that are executed and not written */
    u64 table_pages; /* page tables below the root, also those that are shared */
};
void address_space_sizes(struct address_space *space, struct space_sizes *sizes_out);
/* Whether a region may have 2 MiB pages. space->lock is held. */
bool region_may_be_large(const struct region *region);
/* /proc/PID/pagemap's words for some pages, frame numbers and all. Sleeps. */
void address_space_page_words(struct address_space *space, u64 address, u64 pages, u64 *words_out);

/* ---- Access ---- */

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
/*
 * Faults in [address, address + bytes). -EFAULT: some of it is not mapped; -EACCES: not so; -ENXIO:
 * it lies behind a file's end. Sleeps.
 */
int address_space_populate(struct address_space *space, u64 address, u64 bytes, unsigned access)
    must_check;

/* ---- For pagers ---- */

void mapping_init(struct mapping *mapping);
/* From region_opened and region_closed. */
void mapping_add(struct mapping *mapping, struct region *region);
void mapping_remove(struct region *region);
/*
 * Takes the pages [first, first + count) of the object out of all regions that show it (count may
 * be U64_MAX: all from `first`). Who faults them in from now on asks the pager. Private copies go
 * too if MAPPING_PRIVATE_TOO is set (truncate), and stay otherwise (the file changed elsewhere).
 * The caller may hold what stands above LOCK_ADDRESS_SPACE. Sleeps.
 */
#define MAPPING_PRIVATE_TOO BIT(0)
void mapping_zap(struct mapping *mapping, u64 first, u64 count, unsigned flags);
/* Makes the next write to these pages through shared mappings ask the pager (PAGER_WRITE) again. */
void mapping_write_protect(struct mapping *mapping, u64 first, u64 count);

/* All user page faults that were mended since the boot. */
struct fault_totals {
    u64 faults, major_faults; /* the first counts both kinds */
};
void faults_count(struct fault_totals *totals_out);

/* What a user page fault that cannot be mended becomes. proc/ registers it. */
struct fault_signal {
    int signal; /* SIGSEGV, SIGBUS; SIGKILL: no memory */
    int code;   /* SEGV_MAPERR, SEGV_ACCERR, BUS_ADRERR */
    u64 address;
};
void fault_signal_register(void (*raise)(struct trap_frame *frame,
                                         const struct fault_signal *signal));
/* What the current process may have, in pages; U64_MAX: no limit. proc/ registers it. */
enum space_limit {
    SPACE_LIMIT_STACK,  /* RLIMIT_STACK */
    SPACE_LIMIT_TOTAL,  /* RLIMIT_AS */
    SPACE_LIMIT_DATA,   /* RLIMIT_DATA */
    SPACE_LIMIT_LOCKED, /* RLIMIT_MEMLOCK */
};
void space_limits_register(u64 (*limit_pages)(enum space_limit limit));
u64 space_limit(enum space_limit limit);

/* Which regions get 2 MiB pages: /sys/kernel/mm/transparent_hugepage/enabled. [atomic] */
#define LARGE_PAGES_ALWAYS  0
#define LARGE_PAGES_ADVISED 1
#define LARGE_PAGES_NEVER   2
extern s64 large_pages_mode;
/* How many pages of 4 KiB lie in those that are mapped whole: AnonHugePages. */
u64 large_pages_count(void);

/* vm.overcommit_memory, overcommit_ratio and overcommit_kbytes. [atomic] each. */
#define OVERCOMMIT_GUESS  0
#define OVERCOMMIT_ALWAYS 1
#define OVERCOMMIT_NEVER  2
struct overcommit {
    s64 mode, ratio, kbytes;
};
extern struct overcommit overcommit;
/* Committed_AS and CommitLimit of /proc/meminfo, in pages. */
u64 commit_count(void);
u64 commit_limit(void);
/* Promises pages that belong to no region, and takes the promise back. -ENOMEM. */
int commit_take(u64 pages) must_check;
void commit_give(u64 pages);

/* Memory that is shared but no file's: MAP_SHARED | MAP_ANONYMOUS. */
extern const struct pager shared_memory_pager;
/* The vDSO's image and its data page. */
extern const struct pager vdso_pager;

void vm_init(void);
