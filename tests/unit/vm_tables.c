/*
 * Address spaces as a whole: the real sources of vm/ on a machine of this file's making, against a
 * model that copies everything at fork.
 *
 * The machine has frames in an arena, and CPUs that never forget a translation, nor a way through
 * the tables, until they are told to: so a flush that is missing shows as a wrong value. Interrupt
 * flags are privileged; the handler of SIGSEGV steps over the instructions.
 */
/* clang-format off */
// links: kernel/vm/tables.c kernel/vm/table_ranges.c kernel/vm/region.c kernel/vm/address_space.c kernel/vm/fault.c kernel/vm/map.c kernel/vm/protect.c kernel/vm/remap.c kernel/vm/advise.c kernel/vm/mapping.c kernel/vm/access.c kernel/vm/shared_memory.c kernel/vm/tlb.c kernel/vm/lock.c kernel/vm/limits.c kernel/vm/large.c kernel/vm/resident.c kernel/lib/tree.c kernel/lib/radix.c
/* clang-format on */
#define _GNU_SOURCE
#include <asm/prctl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <pith/abi/errno.h>
#include <pith/vm.h>

#include "../../kernel/vm/internal.h"
#include "../../kernel/vm/tables.h"
#include "unit.h"

/* ---- Memory ---- */

#define FRAMES 16384u

static u32 free_frames[FRAMES], free_count, used_count;
static u64 allocations_left = ~0ul;

static struct frame *frame_number(u32 number)
{
    return (struct frame *)FRAME_ARRAY + number;
}

struct frame *frame_alloc(unsigned order, enum frame_kind kind, unsigned flags)
{
    struct frame *frame;

    if (order || free_count == 0 || allocations_left == 0)
        return NULL;
    if (allocations_left != ~0ul)
        allocations_left--;
    frame = frame_number(free_frames[--free_count]);
    used_count++;
    *frame = (struct frame){.references = {1}, .kind = kind};
    memset(frame_data(frame), flags & ALLOC_CLEARED ? 0 : 0xa5, PAGE_SIZE);
    return frame;
}

void frame_free(struct frame *frame)
{
    memset(frame_data(frame), 0x5a, PAGE_SIZE);
    frame->kind = FRAME_RESERVED;
    free_frames[free_count++] = frame - (struct frame *)FRAME_ARRAY;
    used_count--;
}

void frame_put(struct frame *frame)
{
    CHECK(frame->kind != FRAME_RESERVED);
    if (refcount_dec_is_zero(&frame->references))
        frame_free(frame);
}

struct slab_cache {
    size_t bytes;
};

struct slab_cache *slab_cache_create(const char *name, size_t size, size_t alignment)
{
    struct slab_cache *cache = malloc(sizeof(*cache));

    cache->bytes = size;
    return cache;
}

void *slab_alloc(struct slab_cache *cache, unsigned flags)
{
    return flags & ALLOC_CLEARED ? calloc(1, cache->bytes) : malloc(cache->bytes);
}

void slab_free(struct slab_cache *cache, void *object)
{
    free(object);
}

static struct radix_node *node_alloc(void)
{
    return calloc(1, sizeof(struct radix_node));
}
static void node_free(struct radix_node *node)
{
    free(node);
}
const struct radix_allocator radix_slab_allocator = {node_alloc, node_free};

void page_copy(void *to, const void *from)
{
    memcpy(to, from, PAGE_SIZE);
}
void page_clear(void *page)
{
    memset(page, 0, PAGE_SIZE);
}
void refcount_from_zero(void)
{
    panic("a count went up from 0");
}
u64 frames_total_count(void)
{
    return FRAMES;
}
u64 frames_free_count(void)
{
    return free_count;
}
void frame_block_break(struct frame *first, unsigned order)
{
}
void frame_block_put(struct frame *first, unsigned order)
{
}
static u64 no_limit(enum space_limit limit)
{
    return U64_MAX;
}
bool memory_make_room(u64 wanted)
{
    return 0;
}

/* ---- What sleeps, logs and switches ---- */

void rwlock_init(struct rwlock *lock, enum lock_class class)
{
    memset(lock, 0, sizeof(*lock));
}
void rwlock_read_lock(struct rwlock *lock)
{
    CHECK_EQ(lock->state & ~0xffffull, 0);
    lock->state++;
}
void rwlock_read_unlock(struct rwlock *lock)
{
    lock->state--;
}
void rwlock_write_lock(struct rwlock *lock)
{
    CHECK_EQ(lock->state, 0);
    lock->state = 0x10000;
}
void rwlock_write_unlock(struct rwlock *lock)
{
    CHECK_EQ(lock->state, 0x10000);
    lock->state = 0;
}
bool rwlock_write_try_lock(struct rwlock *lock)
{
    if (lock->state)
        return false;
    rwlock_write_lock(lock);
    return true;
}
void spin_lock_wait(struct spinlock *lock)
{
    panic("a spinlock is taken twice");
}
void sched_yield(void)
{
}
void sched_point(void)
{
}
int sched_point_killable(void)
{
    return 0;
}
void sched_switch_register(void (*switch_to)(struct address_space *, struct address_space *))
{
}
void vdso_init(void)
{
}
void page_fault_init(void)
{
}

/* ---- The machine: CPUs with translations that they never forget by themselves ---- */

#define CPUS            3
#define PERCPU_DISTANCE (1ul << 36)
#define PERCPU_BYTES    (64ul << 20)
#define WINDOWS         3
#define WINDOW_PAGES    96u
#define PAGES           (WINDOWS * WINDOW_PAGES)

/* Across a boundary of 512 GiB, of 1 GiB and of 2 MiB. */
static const u64 windows[WINDOWS] = {
    (1ul << 39) - 40 * PAGE_SIZE,
    0x7f0040000000ul - 50 * PAGE_SIZE,
    0x7f0050200000ul - 30 * PAGE_SIZE,
};

struct machine_cpu {
    struct cpu cpu;
    phys_addr root;
    pte translations[PAGES];            /* 0: none */
    pte ways[WINDOWS][2][TABLE_LEVELS]; /* entries of levels 2 to 4 on the way to each half */
};

static struct machine_cpu machine[CPUS];
static struct thread machine_thread;
static phys_addr kernel_root;
u32 cpu_count = CPUS;
u64 cpus_online = BIT(CPUS) - 1;
struct cpu *cpus[CPUS_MAX];

static struct machine_cpu *here(void)
{
    return container_of(cpu_current(), struct machine_cpu, cpu);
}

static void cpu_enter(u32 id)
{
    syscall(SYS_arch_prctl, ARCH_SET_GS, &machine[id].cpu);
}

static void forget_ways(struct machine_cpu *cpu)
{
    memset(cpu->ways, 0, sizeof(cpu->ways));
}

static u32 page_number(u64 address)
{
    for (u32 i = 0; i < WINDOWS; i++)
        if (address - windows[i] < WINDOW_PAGES * PAGE_SIZE)
            return i * WINDOW_PAGES + ((address - windows[i]) >> PAGE_SHIFT);
    return PAGES;
}

static u64 page_address(u32 page)
{
    return windows[page / WINDOW_PAGES] + (page % WINDOW_PAGES) * PAGE_SIZE;
}

void tlb_flush_page(u64 address)
{
    if (page_number(address) < PAGES)
        here()->translations[page_number(address)] = 0;
    forget_ways(here());
}
void tlb_flush_all(void)
{
    memset(here()->translations, 0, sizeof(here()->translations));
    forget_ways(here());
}
void page_table_load(phys_addr root)
{
    here()->root = root;
    tlb_flush_all();
}
phys_addr page_table_kernel(void)
{
    return kernel_root;
}
void cpu_call(u64 mask, void (*function)(void *), void *argument)
{
    u32 id = cpu_current()->id;

    for (u32 other = 0; other < CPUS; other++) {
        if (!(mask & BIT(other)))
            continue;
        cpu_enter(other);
        function(argument);
    }
    cpu_enter(id);
}

/* cli and sti fault in user mode: go on behind them. */
static void step_over(int signal, siginfo_t *info, void *context)
{
    ucontext_t *user = context;
    greg_t *rip = &user->uc_mcontext.gregs[REG_RIP];
    u8 opcode = *(const u8 *)*rip;

    if (opcode != 0xfa && opcode != 0xfb)
        abort();
    ++*rip;
}

static void machine_init(void)
{
    static bool done;
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_NORESERVE;
    struct sigaction action = {.sa_sigaction = step_over, .sa_flags = SA_SIGINFO | SA_NODEFER};

    if (done)
        return;
    done = true;
    mmap((void *)FRAME_ARRAY, FRAMES * sizeof(struct frame), PROT_READ | PROT_WRITE, flags, -1, 0);
    mmap((void *)DIRECT_MAP, FRAMES * PAGE_SIZE, PROT_READ | PROT_WRITE, flags, -1, 0);
    sigaction(SIGSEGV, &action, NULL);
    for (u32 number = FRAMES - 1; number > 0; number--)
        free_frames[free_count++] = number;
    for (u32 id = 0; id < CPUS; id++) {
        /* Zeros at one distance from all of the program's own data, per-CPU variables included. */
        u64 offset = id * PERCPU_DISTANCE;

        if (id)
            mmap((void *)(((u64)machine & PAGE_MASK) - PERCPU_BYTES / 2 + offset), PERCPU_BYTES,
                 PROT_READ | PROT_WRITE, flags, -1, 0);
        machine[id].cpu = (struct cpu){
            .self = &machine[id].cpu, .thread = &machine_thread, .id = id, .percpu_offset = offset};
        cpus[id] = &machine[id].cpu;
    }
    cpu_enter(0);
    kernel_root = frame_address(frame_alloc(0, FRAME_TABLE, ALLOC_CLEARED));
    vm_init();
    space_limits_register(no_limit);
}

/* The entry of level 1 as this CPU sees it, by what it remembers; the bits are of the whole way. */
static pte translate(u32 page)
{
    struct machine_cpu *cpu = here();
    u64 address = page_address(page);
    u32 window = page / WINDOW_PAGES;
    /* The halves of a window lie on either side of its boundary. */
    u32 half = (address >> 21) != (windows[window] >> 21);
    pte rights = PTE_PRESENT | PTE_WRITABLE, entry = cpu->root | rights;

    if (cpu->translations[page])
        return cpu->translations[page];
    for (unsigned level = TABLE_LEVELS; level > 0; level--) {
        pte *table = phys_to_virt(entry & PTE_ADDRESS);
        pte *way = level > 1 ? &cpu->ways[window][half][level - 1] : NULL;

        entry = way && *way ? *way : table[table_index(address, level)];
        if (!(entry & PTE_PRESENT))
            return 0;
        if (way)
            *way = entry;
        rights &= entry;
    }
    cpu->translations[page] = (entry & PTE_ADDRESS) | (rights & (PTE_PRESENT | PTE_WRITABLE));
    return cpu->translations[page];
}

/* An access by a thread of `space` on this CPU: where the page is, or NULL for a signal. */
static u64 *machine_access(struct address_space *space, u32 page, u32 access, int *error_out)
{
    address_space_switch(NULL, space);
    for (int i = 0; i < 20; i++) {
        pte entry = translate(page);
        u32 code = entry ? FAULT_PRESENT : 0;

        if (entry && (access == REGION_READ || (entry & PTE_WRITABLE)))
            return frame_data(frame_at(entry & PTE_ADDRESS));
        /* A fault makes the CPU forget what led to it (SDM 3A, 4.10.4.1). */
        here()->translations[page] = 0;
        forget_ways(here());
        *error_out = fault_resolve(space, page_address(page), access, code);
        if (*error_out)
            return NULL;
    }
    panic("the fault of page %u, access %u, is not mended: entry %lx", page, access,
          *table_lookup(space, page_address(page)));
}

/* ---- A file ---- */

#define FILE_PAGES (2 * PAGES)

static struct frame *file_frames[FILE_PAGES];
static struct mapping file_mapping;
static u32 file_pages;
static int file_regions;

static int file_fill(struct region *region, u64 index, unsigned access, struct frame **frame_out)
{
    if (index >= file_pages)
        return -EIO;
    frame_get(file_frames[index]);
    *frame_out = file_frames[index];
    return 0;
}
static void file_fill_around(struct region *region, u64 first, unsigned count,
                             struct frame **frames)
{
    for (unsigned i = 0; i < count; i++) {
        frames[i] = (first + i) % 3 && first + i < file_pages ? file_frames[first + i] : NULL;
        if (frames[i])
            frame_get(frames[i]);
    }
}
static void file_opened(struct region *region)
{
    file_regions++;
    mapping_add(&file_mapping, region);
}
static void file_closed(struct region *region)
{
    file_regions--;
    mapping_remove(region);
}
static const struct pager file_pager = {.fill = file_fill,
                                        .fill_around = file_fill_around,
                                        .region_opened = file_opened,
                                        .region_closed = file_closed};

static u64 file_value(u32 index)
{
    return *(u64 *)frame_data(file_frames[index]);
}

/* ---- The model: each page has a cell; fork copies the private ones ---- */

#define CELLS 200000u

enum backing {
    NOTHING,
    ANONYMOUS,
    FILE_PRIVATE,
    FILE_SHARED,
    MEMORY_SHARED
};

struct model_page {
    enum backing backing;
    u32 protection;
    bool copied;   /* FILE_PRIVATE: has a cell of its own */
    u32 file_page; /* FILE_* */
    u32 cell;
};

struct model {
    struct address_space *space;
    struct model_page pages[PAGES];
};

#define SPACES 6
static struct model models[SPACES];
static u64 cells[CELLS];
static u32 cells_used;
static u64 seed;

static u32 random_below(u32 limit)
{
    seed = seed * 6364136223846793005ull + 1442695040888963407ull;
    return (u32)(seed >> 33) % limit;
}

static u32 cell_new(u64 value)
{
    CHECK(cells_used < CELLS);
    cells[cells_used] = value;
    return cells_used++;
}

static u64 model_value(const struct model_page *page)
{
    bool of_file = page->backing == FILE_SHARED || (page->backing == FILE_PRIVATE && !page->copied);

    return of_file ? file_value(page->file_page) : cells[page->cell];
}

static bool beyond_file(const struct model_page *page)
{
    return page->backing == FILE_SHARED || (page->backing == FILE_PRIVATE && !page->copied)
               ? page->file_page >= file_pages
               : false;
}

static int model_error(const struct model_page *page, u32 access)
{
    if (page->backing == NOTHING)
        return -EFAULT;
    if (!(page->protection & access))
        return -EACCES;
    return beyond_file(page) ? -EIO : 0;
}

static void model_write(struct model_page *page, u64 value)
{
    if (page->backing == FILE_SHARED)
        return; /* the machine wrote the file's own frame */
    if (page->backing == FILE_PRIVATE && !page->copied) {
        page->copied = true;
        page->cell = cell_new(value);
    }
    cells[page->cell] = value;
}

static void step_access(struct model *model)
{
    /* Most go to a few pages, so that CPUs meet there. */
    u32 any = random_below(4) ? random_below(12) * (PAGES / 12) : random_below(PAGES);
    struct model_page *page = &model->pages[any];
    u32 access = random_below(2) ? REGION_WRITE : REGION_READ, number = page - model->pages;
    int error = 0;
    u64 *at = machine_access(model->space, number, access, &error);

    CHECK_EQ(error, model_error(page, access));
    if (!at)
        return;
    CHECK_EQ(*at, model_value(page));
    if (access == REGION_WRITE) {
        *at = ++seed;
        model_write(page, *at);
    }
}

/* A run of pages within one window, or over the whole of several. */
static void random_range(u32 *first, u32 *count)
{
    *first = random_below(PAGES);
    *count = 1 + random_below(WINDOW_PAGES - *first % WINDOW_PAGES);
    if (random_below(3))
        *count = MIN(*count, 1 + random_below(8));
}

static void step_map(struct model *model)
{
    static const struct {
        u32 flags;
        enum backing backing;
    } kinds[] = {{0, ANONYMOUS},
                 {0, ANONYMOUS},
                 {0, FILE_PRIVATE},
                 {REGION_SHARED, FILE_SHARED},
                 {REGION_SHARED, MEMORY_SHARED}};
    u32 first, count, kind = random_below(ARRAY_SIZE(kinds)), file_page = random_below(PAGES);
    u32 protection = random_below(4) ? REGION_READ | REGION_WRITE : REGION_READ;
    bool of_file = kinds[kind].backing == FILE_PRIVATE || kinds[kind].backing == FILE_SHARED;
    struct map_request request = {
        .map_flags = MAP_FIXED,
        .flags = protection | kinds[kind].flags | REGION_MAY_READ | REGION_MAY_WRITE,
        .pager = of_file ? &file_pager : NULL,
        .offset_pages = of_file ? file_page : 0,
    };
    u64 address;

    random_range(&first, &count);
    request.address = page_address(first);
    request.bytes = count * PAGE_SIZE;
    CHECK_EQ(address_space_map(model->space, &request, &address), 0);
    for (u32 i = 0; i < count; i++)
        model->pages[first + i] = (struct model_page){.backing = kinds[kind].backing,
                                                      .protection = protection,
                                                      .file_page = file_page + i,
                                                      .cell = of_file ? 0 : cell_new(0)};
}

static void step_unmap(struct model *model)
{
    u32 first, count;

    random_range(&first, &count);
    CHECK_EQ(address_space_unmap(model->space, page_address(first), count * PAGE_SIZE), 0);
    memset(&model->pages[first], 0, count * sizeof(model->pages[0]));
}

static void step_protect(struct model *model)
{
    static const u32 protections[] = {0, REGION_READ, REGION_READ | REGION_WRITE};
    u32 first, count, protection = protections[random_below(3)];
    int expected = 0, error;

    random_range(&first, &count);
    for (u32 i = 0; i < count; i++)
        if (model->pages[first + i].backing == NOTHING)
            expected = -ENOMEM;
    error = address_space_protect(model->space, page_address(first), count * PAGE_SIZE, protection);
    CHECK_EQ(error, expected);
    for (u32 i = 0; !error && i < count; i++)
        model->pages[first + i].protection = protection;
}

static void step_discard(struct model *model)
{
    u32 first, count;

    random_range(&first, &count);
    (void)!address_space_advise(model->space, page_address(first), count * PAGE_SIZE,
                                MADV_DONTNEED);
    for (u32 i = 0; i < count; i++) {
        struct model_page *page = &model->pages[first + i];

        page->copied = false;
        if (page->backing == ANONYMOUS)
            page->cell = cell_new(0);
    }
}

/* Moves a run of one region to another place of the same window. */
static void step_move(struct model *model)
{
    struct remap_request request = {.flags = MREMAP_MAYMOVE | MREMAP_FIXED};
    static struct model_page carried[PAGES];
    u32 from, to, count;
    u64 address;
    int error;

    random_range(&from, &count);
    count = MIN(count, 20u);
    to = random_below(PAGES);
    if (to % WINDOW_PAGES + count > WINDOW_PAGES || (to < from + count && from < to + count))
        return;
    request.address = page_address(from);
    request.new_address = page_address(to);
    request.old_bytes = request.new_bytes = count * PAGE_SIZE;
    error = address_space_remap(model->space, &request, &address);
    if (error) {
        CHECK_EQ(error, -EFAULT); /* not one region */
        return;
    }
    memcpy(carried, &model->pages[from], count * sizeof(carried[0]));
    memset(&model->pages[from], 0, count * sizeof(carried[0]));
    memcpy(&model->pages[to], carried, count * sizeof(carried[0]));
}

static void step_fork(struct model *parent)
{
    struct model *child = &models[random_below(SPACES)];

    if (child == parent)
        return;
    if (child->space)
        address_space_put(child->space);
    child->space = NULL;
    address_space_switch(NULL, parent->space);
    CHECK_EQ(address_space_copy(parent->space, &child->space), 0);
    memcpy(child->pages, parent->pages, sizeof(child->pages));
    for (u32 i = 0; i < PAGES; i++) {
        struct model_page *page = &child->pages[i];

        if (page->backing == ANONYMOUS || (page->backing == FILE_PRIVATE && page->copied))
            page->cell = cell_new(cells[page->cell]);
    }
}

/* The file is cut, its private copies beyond the cut go too, and grows again with new content. */
static void step_truncate(void)
{
    u32 pages = random_below(FILE_PAGES);

    if (pages < file_pages) {
        u32 old = file_pages;

        file_pages = pages;
        mapping_zap(&file_mapping, pages, U64_MAX, MAPPING_PRIVATE_TOO);
        for (u32 i = pages; i < old; i++) {
            /* No entry names it any more. */
            CHECK_EQ(refcount_read(&file_frames[i]->references), 1);
            *(u64 *)frame_data(file_frames[i]) = ++seed;
        }
        for (u32 s = 0; s < SPACES; s++)
            for (u32 i = 0; i < PAGES; i++)
                if (models[s].pages[i].backing == FILE_PRIVATE &&
                    models[s].pages[i].file_page >= pages)
                    models[s].pages[i].copied = false;
    }
    file_pages = pages;
}

static void step_invalidate(void)
{
    mapping_zap(&file_mapping, 0, U64_MAX, 0);
    for (u32 i = 0; i < FILE_PAGES; i++)
        CHECK_EQ(refcount_read(&file_frames[i]->references), 1);
}

/* A CPU stays with one space for long: what it remembers is to be found wrong. */
static struct model *step_schedule(void)
{
    static u32 running[CPUS];
    u32 cpu = random_below(CPUS);

    cpu_enter(cpu);
    if (random_below(10) == 0)
        address_space_switch(NULL, NULL); /* a kernel thread runs for a while */
    if (random_below(400) == 0 || !models[running[cpu]].space)
        running[cpu] = random_below(2) ? running[random_below(CPUS)] : random_below(SPACES);
    return &models[running[cpu]];
}

static void step(void)
{
    struct model *model = step_schedule();
    u32 what = random_below(1000);

    if (!model->space)
        return;
    if (what < 850)
        step_access(model);
    else if (what < 885)
        step_map(model);
    else if (what < 905)
        step_unmap(model);
    else if (what < 940)
        step_protect(model);
    else if (what < 955)
        step_discard(model);
    else if (what < 970)
        step_move(model);
    else if (what < 994)
        step_fork(model);
    else if (what < 998)
        step_truncate();
    else
        step_invalidate();
}

static s64 resident_of(const struct address_space *space)
{
    return space->resident_anonymous + space->resident_file + space->resident_shared;
}

static void run(u64 first_seed, u32 steps)
{
    u32 used_before;

    machine_init();
    seed = first_seed;
    cells_used = 0;
    mapping_init(&file_mapping);
    used_before = used_count;
    file_pages = PAGES;
    for (u32 i = 0; i < FILE_PAGES; i++) {
        file_frames[i] = frame_alloc(0, FRAME_CACHE, 0);
        *(u64 *)frame_data(file_frames[i]) = ++seed;
    }
    memset(models, 0, sizeof(models));
    CHECK_EQ(address_space_create(&models[0].space), 0);
    for (u32 i = 0; i < steps; i++)
        step();
    for (u32 s = 0; s < SPACES; s++) {
        if (!models[s].space)
            continue;
        CHECK_EQ(address_space_unmap(models[s].space, 1 << 16, USER_END - (1 << 16)), 0);
        CHECK_EQ(resident_of(models[s].space), 0);
        CHECK_EQ(models[s].space->total_pages, 0);
        CHECK_EQ(models[s].space->data_pages, 0);
        address_space_put(models[s].space);
    }
    CHECK_EQ(file_regions, 0);
    for (u32 i = 0; i < FILE_PAGES; i++)
        frame_put(file_frames[i]);
    CHECK_EQ(refcount_read(&zero_frame->references), 1);
    /* What is left are free tables in the CPUs' stocks. */
    CHECK(used_count <= used_before + CPUS * (32 + 8));
}

TEST(forked_spaces_agree_with_a_model_that_copies_everything)
{
    run(1, 30000);
}

TEST(forked_spaces_agree_with_the_model_for_another_seed)
{
    run(20261121, 30000);
}
