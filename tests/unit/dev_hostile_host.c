/*
 * A hostile host side: what devices and the file server write, and what comes over the link, made
 * wrong by the thousand, against the kernel's own sources.
 *
 *     virtqueue.c      a device that returns any head, any length, any index
 *     fuse_device.c    answers with any header; pieces filled with anything, also beyond the length
 *     fuse_listing.c   listings of any bytes, and right ones with a few bytes wrong
 *     fuse_inode.c     files of any kind, size and number, that change between two answers
 *     host_port.c      frames of any bytes, cut anywhere
 *
 * What must hold: no sanitizer speaks, no assert fails, what the queue gives back was pushed and
 * not given back yet, no length is beyond the room, no name beyond what came, no ring beyond its
 * size.
 *
 * HOSTILE_RUNS (2000) and HOSTILE_SEED (1) choose the run; a run repeats by its seed. The machine
 * is one CPU whose privileged instructions are stepped over. Queues stay for ever, as in the
 * kernel.
 */
/* links: kernel/dev/virtqueue.c kernel/fs/fuse_device.c kernel/fs/fuse_listing.c */
/* links: kernel/fs/fuse_inode.c kernel/lib/radix.c */
#define _GNU_SOURCE
#include <asm/prctl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>
/* The kernel's own names for what the C library has too. */
#undef CLOSE_RANGE_UNSHARE
#undef CLOSE_RANGE_CLOEXEC
#undef MFD_CLOEXEC
#undef MFD_ALLOW_SEALING
#undef POLL_IN
#undef POLL_PRI
#undef POLL_OUT
#undef POLL_ERR
#undef POLL_HUP

#include <pith/abi/errno.h>
#include <pith/core.h>
#include <pith/host_link.h>

#include "../../kernel/dev/virtio.h"
#include "../../kernel/fs/fuse.h"
/* The source itself: a port that died once is dead for ever, and is to live again here. */
#include "../../kernel/tty/host_port.c"
#include "unit.h"

#define RUNS_DEFAULT 2000
#define FRAMES       4096u
#define STEPS        200

const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

/* ---- Numbers ---- */

static u64 random_state;

static u64 number(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    return random_state ^= random_state << 17;
}

static u64 below(u64 end)
{
    return number() % end;
}

static u64 setting(const char *name, u64 otherwise)
{
    const char *value = getenv(name);

    return value ? strtoull(value, NULL, 10) : otherwise;
}

static void fill(void *to, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        ((u8 *)to)[i] = number();
}

/* ---- The machine ---- */

static struct cpu the_cpu;
static struct thread the_thread;
static u32 frames_used;
static const struct virtio_driver *driver;
static const struct host_link_client *the_client;
bool deterministic;
u64 tsc_hz = 1;
struct boot_info boot_info;

/* cli and sti fault in user mode: go on behind them. */
static void step_over(int signal, siginfo_t *info, void *context)
{
    greg_t *rip = &((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
    u8 opcode = *(const u8 *)*rip;

    if (opcode != 0xfa && opcode != 0xfb)
        abort();
    ++*rip;
}

static void machine_begin(u64 run)
{
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE;
    struct sigaction action = {.sa_sigaction = step_over, .sa_flags = SA_SIGINFO | SA_NODEFER};

    random_state = (setting("HOSTILE_SEED", 1) << 32 | run) * 0x9e3779b97f4a7c15ul | 1;
    if (!the_cpu.self) {
        mmap((void *)FRAME_ARRAY, FRAMES * sizeof(struct frame), PROT_READ | PROT_WRITE, flags, -1,
             0);
        mmap((void *)DIRECT_MAP, FRAMES * PAGE_SIZE, PROT_READ | PROT_WRITE, flags, -1, 0);
        sigaction(SIGSEGV, &action, NULL);
        the_cpu = (struct cpu){.self = &the_cpu, .thread = &the_thread};
        syscall(SYS_arch_prctl, ARCH_SET_GS, &the_cpu);
    }
    frames_used = 0;
}

struct frame *frame_alloc(unsigned order, enum frame_kind kind, unsigned flags)
{
    struct frame *frame = (struct frame *)FRAME_ARRAY + frames_used;

    frames_used += 1u << order;
    CHECK(frames_used <= FRAMES);
    memset(frame_data(frame), 0, PAGE_SIZE << order);
    return frame;
}
void frame_free(struct frame *frame)
{
}
static void *last_allocations[2]; /* a queue, and its shadow */

void *kmalloc(size_t bytes, unsigned flags)
{
    last_allocations[0] = last_allocations[1];
    last_allocations[1] = flags & ALLOC_CLEARED ? calloc(1, bytes) : malloc(bytes);
    return last_allocations[1];
}
void kfree(void *memory)
{
    free(memory);
}
struct slab_cache *slab_cache_create(const char *name, size_t size, size_t alignment)
{
    return (struct slab_cache *)size;
}
void *slab_alloc(struct slab_cache *cache, unsigned flags)
{
    return malloc((size_t)cache);
}
void slab_free(struct slab_cache *cache, void *object)
{
    free(object);
}
void spin_lock_wait(struct spinlock *lock)
{
    panic("a spinlock is taken twice");
}
void mutex_init(struct mutex *mutex, enum lock_class class)
{
}
void wait_queue_init(struct wait_queue *queue)
{
    memset(queue, 0, sizeof(*queue));
}
int wait_queue_wake_locked(struct wait_queue *queue, int count, u32 events)
{
    return 0;
}
void wait_queue_wake(struct wait_queue *queue, int count, u32 events)
{
}
void log_line(enum log_level level, const char *format, ...)
{
}
u64 clock_monotonic_ns(void)
{
    return 1;
}
u64 clock_stop(void)
{
    return 0;
}
void clock_go(u64 flags)
{
}
void host_log_init(void)
{
}
void host_session_closed(u32 session)
{
    CHECK(session < HOST_SESSIONS);
}
void virtio_driver_register(const struct virtio_driver *registered)
{
    driver = registered;
}
void virtio_config_read(struct virtio_device *device, u32 offset, void *to, u32 bytes)
{
    fill(to, bytes);
}
void virtio_device_ready(struct virtio_device *device)
{
}
u64 virtio_features(const struct virtio_device *device)
{
    return 0;
}

/* ---- A device that reads its rings as it should and writes what it likes ---- */

struct ring_descriptor {
    u64 address;
    u32 bytes;
    u16 flags, next;
};

static struct virtqueue_addresses rings[VIRTIO_QUEUES_MAX];
static u32 ring_size = 1024;
static u16 taken; /* of the request queue's available ring */

static u32 queue_size_max(struct virtio_device *device, u32 index)
{
    return ring_size;
}
static void queue_enable(struct virtio_device *device, u32 index, u32 size,
                         const struct virtqueue_addresses *addresses)
{
    rings[index] = *addresses;
}
static void queue_notify(struct virtio_device *device, u32 index)
{
}
static const struct virtio_transport transport = {
    .queue_size_max = queue_size_max, .queue_enable = queue_enable, .queue_notify = queue_notify};
static struct virtio_device device = {.transport = &transport};

static void used_put(u32 index, u32 size, u16 at, u32 head, u32 written)
{
    u32 *element = (u32 *)((u8 *)phys_to_virt(rings[index].used) + 4 + 8 * (at & (size - 1)));

    element[0] = head;
    element[1] = written;
    *((u16 *)phys_to_virt(rings[index].used) + 1) = at + 1;
}

/* ---- virtqueue.c ---- */

#define CHAINS 64u

struct chain {
    u32 room;
    bool is_out;
};

/* Any head and length, or mostly right ones; what comes back must be out, and fit. */
static void queue_run(void)
{
    static struct chain chains[CHAINS];
    struct virtio_piece pieces[8];
    struct virtqueue *queue;
    u16 used = 0;

    memset(chains, 0, sizeof(chains));
    ring_size = 1u << below(8);
    CHECK_EQ(virtqueue_create(&device, 0, CHAINS, NULL, &queue), 0);
    for (int step = 0; step < STEPS; step++) {
        u32 free = below(CHAINS), written;
        u32 readable = below(4), writable = below(4) + !readable;
        struct chain *chain = &chains[free], *back;

        if (!chain->is_out) {
            chain->room = 0;
            for (u32 i = 0; i < readable + writable; i++) {
                pieces[i] = (struct virtio_piece){number(), (u32)below(5000)};
                chain->room += i < readable ? 0 : pieces[i].bytes;
            }
            chain->is_out = virtqueue_push(queue, pieces, readable, writable, chain) == 0;
        }
        if (below(3) == 0)
            used_put(0, virtqueue_size(queue), used++,
                     below(8) ? below(virtqueue_size(queue)) : number(),
                     below(8) ? below(100) : number());
        if (below(50) == 0)
            fill(phys_to_virt(rings[0].descriptors), 16 * virtqueue_size(queue));
        while ((back = virtqueue_pop(queue, &written))) {
            CHECK(back >= chains && back < chains + CHAINS && back->is_out);
            CHECK(written <= back->room);
            back->is_out = false;
        }
        if (virtqueue_is_broken(queue)) {
            CHECK_EQ(virtqueue_push(queue, pieces, 1, 0, chains), -EIO);
            for (u32 i = 0; i < CHAINS; i++)
                CHECK(!chains[i].is_out);
            break;
        }
    }
}

TEST(queue_gives_back_only_what_is_out_and_no_more_than_its_room)
{
    u64 runs = setting("HOSTILE_RUNS", RUNS_DEFAULT);

    for (u64 run = 0; run < runs; run++) {
        machine_begin(run);
        queue_run();
        free(last_allocations[0]);
        free(last_allocations[1]);
    }
}

/* ---- The file server ---- */

#define NODES 8u /* numbers that entries have */

static struct inode the_directory, the_root;
static struct fuse_node the_node;
static struct fuse_server the_server;
static struct file_system the_file_system;
static u64 names_seen;
const struct inode_operations fuse_directory_operations, fuse_file_inode_operations;
const struct file_operations fuse_file_operations;
const struct page_cache_operations fuse_page_operations;

static struct radix_node *radix_node_alloc(void)
{
    return calloc(1, sizeof(struct radix_node));
}
static void radix_node_free(struct radix_node *node)
{
    free(node);
}
static const struct radix_allocator radix_allocator = {radix_node_alloc, radix_node_free};

struct inode *inode_alloc(struct file_system *file_system)
{
    struct inode *inode = below(20) ? calloc(1, sizeof(*inode)) : NULL;

    if (inode) {
        inode->file_system = file_system;
        refcount_set(&inode->references, 1);
        inode->pages.count = below(2);
    }
    return inode;
}
void inode_init_tables(struct inode *inode, const struct inode_tables *tables, u32 mode, u64 rdev)
{
    CHECK((mode & S_IFMT) != 0);
}
void inode_attributes(struct inode *inode, struct attributes *attributes_out)
{
    attributes_out->size = inode->size;
}
void inode_set_attributes(struct inode *inode, const struct attribute_change *change)
{
}
void page_cache_truncate(struct inode *inode, u64 new_size)
{
    CHECK(new_size <= (u64)FILE_SIZE_MAX);
}
/* No page is free for a kept listing: what a listing gave must not depend on one. */
int page_cache_get_locked(struct inode *inode, u64 index, struct frame **frame_out)
{
    return -ENOMEM;
}
struct frame *page_cache_find(struct page_cache *cache, u64 index)
{
    return NULL;
}
void page_cache_invalidate(struct inode *inode, u64 first, u64 count)
{
}
void page_unlock(struct frame *frame)
{
}
void frame_put(struct frame *frame)
{
}
u64 clock_realtime_ns(void)
{
    return NS_PER_SECOND * 1000;
}
void inode_put(struct inode *inode)
{
    if (!refcount_dec_is_zero(&inode->references))
        return;
    fuse_inode_release(inode);
    free(inode);
}
struct inode *dentry_inode(const struct dentry *dentry)
{
    return &the_directory;
}
const char *dentry_name(const struct dentry *dentry)
{
    return "wanted";
}
u32 dentry_name_bytes(const struct dentry *dentry)
{
    return 6;
}
struct dentry *dentry_parent(const struct dentry *dentry)
{
    return (struct dentry *)dentry;
}
void dentry_put(struct dentry *dentry)
{
}
void dentry_set_valid_until(struct dentry *dentry, u64 until)
{
}

/* Reads the name, so that the sanitizer sees where it ends. */
static void name_see(const char *name, u32 bytes)
{
    CHECK(bytes > 0 && bytes <= NAME_MAX_BYTES && !memchr(name, '/', bytes));
    names_seen++;
}
struct dentry *dentry_find_child(struct dentry *directory, const char *name, u32 bytes)
{
    name_see(name, bytes);
    return below(2) ? directory : NULL;
}
int dentry_add_child(struct dentry *directory, const char *name, u32 bytes, struct inode *inode,
                     struct dentry **dentry_out)
{
    name_see(name, bytes);
    *dentry_out = directory;
    if (inode)
        inode_put(inode);
    return 0;
}

/* A listing: right entries, of which some bytes are made wrong. */
static u32 listing_make(u8 *to, u32 room)
{
    u32 at = 0, entries = below(20);

    while (entries--) {
        u32 name = 1 + below(40);
        u32 bytes = ALIGN_UP((u32)sizeof(struct fuse_direntplus) + name, FUSE_ENTRY_ALIGN);
        struct fuse_direntplus *entry = (struct fuse_direntplus *)(to + at);

        if (bytes > room - at)
            break;
        memset(entry, 'n', bytes);
        entry->entry_out.nodeid = below(3);
        entry->dirent.namelen = name;
        at += bytes;
    }
    for (u32 wrong = below(4); wrong && at; wrong--)
        to[below(at)] = number();
    return below(4) ? at : below(at + 1);
}

/* Answers one request; the head is right, so that what is behind it is reached. */
static void server_answer(struct virtqueue *queue)
{
    const u16 *available = phys_to_virt(rings[1].available);
    const struct ring_descriptor *table = phys_to_virt(rings[1].descriptors);
    u32 size = virtqueue_size(queue), written = 0, room = 0, head;
    u64 unique = 0;

    if (taken == available[1])
        return;
    head = available[2 + (taken & (size - 1))];
    for (u32 at = head, i = 0;; at = table[at].next, i++) {
        u8 *piece = phys_to_virt(table[at].address);
        struct fuse_out_header *out = (struct fuse_out_header *)piece;

        room += table[at].flags & 2 ? table[at].bytes : 0;
        if (i == 0)
            unique = ((struct fuse_in_header *)piece)->unique;
        if (table[at].flags & 2 && !written) {
            *out = (struct fuse_out_header){.unique = below(20) ? unique : number()};
            written = sizeof(*out);
            /* Its length is known only at the end: the pieces behind are filled first. */
            for (u32 next = at; table[next].flags & 1;) {
                next = table[next].next;
                written += listing_make(phys_to_virt(table[next].address), table[next].bytes);
                if (below(10) == 0)
                    fill(phys_to_virt(table[next].address), table[next].bytes);
            }
            out->len = below(20) ? written : number();
            out->error = below(10) ? 0 : below(2) ? -(s32)below(5000) : (s32)number();
        }
        if (!(table[at].flags & 1))
            break;
    }
    /* More than there is room for would break the queue, which queue_run tries. */
    used_put(1, size, taken++, head, below(30) ? written : below(room + 1));
}

/* A waiter in the kernel: the device goes on, or does what breaks its queue. */
static bool is_serving, is_breaking;

int wait_queue_wait(struct wait_queue *queue, enum wait_kind kind, enum wait_reason reason)
{
    struct spinlock lock = queue->lock;

    if (!is_serving)
        return 0;
    queue->lock = (struct spinlock){0};
    if (is_breaking)
        used_put(1, virtqueue_size(device.queues[1]), taken, ~0u, 0);
    else
        server_answer(device.queues[1]);
    virtqueue_interrupt(device.queues[1]);
    CHECK_EQ(virtqueue_is_broken(device.queues[1]), is_breaking);
    queue->lock = lock;
    return 0;
}

static bool sink_add(struct directory_sink *sink, const struct directory_entry *entry)
{
    name_see(entry->name, entry->name_bytes);
    return below(10) != 0;
}

static void server_run(void)
{
    struct directory_sink sink = {.add = sink_add};
    struct file file = {.inode = &the_directory, .path.dentry = (struct dentry *)&the_node};
    u8 answer[FUSE_ANSWER_MAX];

    the_directory.file_system = &the_file_system;
    the_node = (struct fuse_node){.id = 1, .preload_asked = 100};
    the_directory.private_data = &the_node;
    CHECK_EQ(fuse_directory_file_operations.open(&the_directory, &file), 0);
    for (int step = 0; step < 20; step++) {
        int error = 0;

        switch (below(3)) {
        case 0:
            error = fuse_call(FUSE_GETATTR, number(), answer, below(100), answer,
                              below(FUSE_ANSWER_MAX + 1));
            break;
        case 1:
            error = fuse_directory_file_operations.iterate(&file, &sink);
            break;
        default:
            fuse_names_preload(&the_directory, (struct dentry *)&the_node);
        }
        CHECK(error <= 0 && error >= -4095);
    }
    fuse_directory_file_operations.release(&file);
}

TEST(server_answers_of_any_kind_stay_within_what_came)
{
    u64 runs = setting("HOSTILE_RUNS", RUNS_DEFAULT);

    machine_begin(0);
    ring_size = 1024;
    radix_init(&the_server.nodes, &radix_allocator);
    the_file_system.private_data = &the_server;
    the_file_system.root = (struct dentry *)&the_root;
    fuse_device_init();
    CHECK_EQ(driver->probe(&device), 0);
    is_serving = true;
    for (u64 run = 0; run < runs; run++) {
        machine_begin(run);
        frames_used = FRAMES / 2; /* the rings stay */
        server_run();
    }
    is_serving = false;
    CHECK(names_seen > runs);
}

/* A file as a server may tell of it: mostly sound, of any kind and size, and not twice the same. */
static struct fuse_entry_out entry_make(void)
{
    static const u32 kinds[] = {S_IFREG, S_IFREG, S_IFDIR, S_IFLNK, S_IFIFO, S_IFCHR};
    struct fuse_entry_out entry;

    fill(&entry, sizeof(entry));
    entry.nodeid = below(20) ? below(NODES) : number();
    if (below(10))
        entry.attr.mode = kinds[below(ARRAY_SIZE(kinds))] | below(010000);
    if (below(10))
        entry.attr.size = below(1 << 20);
    return entry;
}

static void inode_check(const struct inode *inode, u32 kind)
{
    CHECK(inode->size <= (u64)FILE_SIZE_MAX);
    CHECK_EQ(inode->mode & S_IFMT, kind);
}

static u64 inodes_seen;

static void inodes_run(void)
{
    struct inode *held[NODES] = {0};
    struct attributes attributes;
    u8 value[100];

    for (int step = 0; step < STEPS; step++) {
        struct fuse_entry_out entry = entry_make();
        struct inode *inode;
        ssize_t bytes;
        u32 kind;

        if (fuse_inode_get(&the_file_system, &entry, &inode))
            continue;
        inodes_seen++;
        CHECK(entry.nodeid != 0 && entry.nodeid != FUSE_ROOT_NODE);
        kind = entry.attr.mode & S_IFMT;
        inode_check(inode, kind);
        bytes = below(2) ? fuse_get_xattr(inode, "user.x", value, sizeof(value))
                         : fuse_list_xattr(inode, (char *)value, sizeof(value));
        CHECK(bytes <= (ssize_t)sizeof(value));
        CHECK(fuse_get_xattr(inode, "user.x", NULL, 0) <= XATTR_SIZE_MAX);
        if (fuse_get_attributes(inode, &attributes) == 0)
            CHECK(attributes.block_bytes != 0);
        (void)!fuse_attributes_ask(inode);
        inode_check(inode, kind);
        if (entry.nodeid >= NODES || held[entry.nodeid])
            inode_put(inode);
        else
            held[entry.nodeid] = inode;
        if (below(4) == 0) {
            struct inode **other = &held[below(NODES)];

            if (*other)
                inode_put(*other);
            *other = NULL;
        }
    }
    for (u32 i = 0; i < NODES; i++)
        if (held[i])
            inode_put(held[i]);
    CHECK(radix_is_empty(&the_server.nodes));
}

/* On the device of the test above. */
TEST(server_that_tells_of_impossible_files_gets_none_into_the_kernel)
{
    u64 runs = setting("HOSTILE_RUNS", RUNS_DEFAULT) / 20 + 1;

    is_serving = true;
    for (u64 run = 0; run < runs; run++) {
        machine_begin(run);
        frames_used = FRAMES / 2;
        inodes_run();
    }
    is_serving = false;
    CHECK(inodes_seen > runs);
}

/* Behind the test above, whose queue it breaks for good. */
TEST(server_that_breaks_its_queue_ends_what_waits_for_it)
{
    u8 answer[FUSE_ANSWER_MAX];

    is_serving = is_breaking = true;
    for (int call = 0; call < 2; call++)
        CHECK_EQ(fuse_call(FUSE_GETATTR, 1, answer, 8, answer, 16), -EIO);
    is_serving = false;
}

/* ---- The link ---- */

static u8 link_bytes[65536];

bool host_link_exists(void)
{
    return true;
}
void host_link_register(const struct host_link_client *client)
{
    the_client = client;
}
struct host_link_buffer *host_link_buffer_alloc(u32 wanted)
{
    static struct host_link_buffer buffer;

    buffer = (struct host_link_buffer){.size = sizeof(link_bytes), .data = link_bytes};
    return below(4) ? &buffer : NULL;
}
void host_link_buffer_free(struct host_link_buffer *buffer)
{
}
void host_link_submit(struct host_link_buffer *buffer)
{
    CHECK(buffer->bytes >= sizeof(struct host_frame) && buffer->bytes <= buffer->size);
}

static u32 terminal_take(const u8 *bytes, u32 count)
{
    u32 taken_now = below(count + 1);

    for (u32 i = 0; i < count; i++)
        link_bytes[i] = bytes[i];
    return taken_now;
}
static void terminal_input(void)
{
    host_channel_feed(host_channel(HOST_CHANNEL_TERMINAL), terminal_take);
}
static void nothing(void)
{
}
static void window(u16 rows, u16 columns)
{
}
static void signal_take(u32 number)
{
}
static const struct host_port_client the_port_client = {.terminal_input = terminal_input,
                                                        .terminal_room = nothing,
                                                        .window = window,
                                                        .signal = signal_take};

/* One frame, mostly right. */
static u32 frame_make(u8 *to)
{
    struct host_frame frame = {.type = below(20) ? HOST_FRAME_CREDIT : 1 + below(HOST_FRAME_CLOSE),
                               .channel = below(HOST_SESSIONS * HOST_CHANNELS),
                               .size = sizeof(u32)};

    if (below(2)) {
        u32 credit = channels[frame.channel = below(5)].credit_out;

        frame.type = HOST_FRAME_DATA;
        frame.size = 1 + below(below(50) && credit ? MIN(credit, 3000u) : 3000);
    }
    fill(to, sizeof(frame) + 3000);
    memcpy(to, &frame, sizeof(frame));
    if (below(100) == 0)
        to[below(sizeof(frame))] = number();
    return sizeof(frame) + frame.size;
}

static u64 frames_taken;

static void link_run(void)
{
    static u8 bytes[8192];

    host_port_init();
    port.dead = false;
    port.header_bytes = 0;
    for (u32 i = 0; i < HOST_CHANNELS; i++) {
        struct host_channel_state *channel = host_channel(i);

        channel->ring = NULL;
        channel->ring_start = channel->ring_count = channel->credit_out = 0;
        channel->ended = false;
        CHECK_EQ(host_channel_open(channel), 0);
        host_channel_ask_locked(channel, below(HOST_RING_BYTES + 1000));
    }
    for (int step = 0; step < STEPS; step++) {
        u32 count = frame_make(bytes), at = 0;

        frames_taken += !port.dead;

        while (at < count) {
            u32 part = 1 + below(count - at);

            the_client->receive(bytes + at, part);
            at += part;
        }
        for (u32 i = 0; i < HOST_CHANNELS; i++) {
            struct host_channel_state *channel = host_channel(i);

            CHECK(channel->ring_count <= HOST_RING_BYTES && channel->ring_start < HOST_RING_BYTES);
            CHECK(channel->ring_count + channel->credit_out <= HOST_RING_BYTES);
            if (below(10) == 0)
                host_channel_take(channel, link_bytes, below(sizeof(link_bytes)));
            if (below(10) == 0)
                host_channel_ask_locked(channel, below(HOST_RING_BYTES));
        }
    }
}

TEST(link_frames_of_any_kind_stay_within_their_rings)
{
    u64 runs = setting("HOSTILE_RUNS", RUNS_DEFAULT) / 10 + 1;

    host_port_register(&the_port_client);
    for (u64 run = 0; run < runs; run++) {
        machine_begin(run);
        link_run();
    }
    CHECK(frames_taken > runs * 5);
}
