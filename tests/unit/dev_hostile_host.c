/*
 * A hostile host side: what devices and the file server write, made wrong by the thousand, against
 * the kernel's own sources (dev_hostile_link.c does it for the link).
 *
 *     virtqueue.c      a device that returns any head, any length, any index
 *     fuse_device.c    answers with any header; pieces filled with anything, also beyond the length
 *     fuse_listing.c   listings of any bytes, and right ones with a few bytes wrong
 *     fuse_inode.c     files of any kind, size and number, that change between two answers
 *     fuse_file.c      data, links, statistics and greetings of any bytes and lengths
 *
 * What must hold: no sanitizer speaks, no assert fails, what the queue gives back was pushed and
 * not given back yet, no length is beyond the room, no name beyond what came, no byte outside of
 * the pages that were asked for.
 */
/* links: kernel/dev/virtqueue.c kernel/fs/fuse_device.c kernel/fs/fuse_listing.c */
/* links: kernel/fs/fuse_inode.c kernel/fs/fuse_file.c kernel/lib/radix.c */
#include "hostile_machine.h"

#include "../../kernel/fs/fuse.h"

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

static u16 taken; /* of the request queue's available ring */

#define NODES 8u /* numbers that entries have */

static struct inode the_directory, the_root;
static struct fuse_node the_node;
static struct fuse_server the_server;
static struct file_system the_file_system;
static u64 names_seen;
const struct inode_operations fuse_directory_operations;

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

/* What is behind the header of an answer: anything, and mostly what gets the kernel further. */
static void answer_make(const struct fuse_in_header *in, void *answer, u32 room)
{
    struct fuse_init_out greeting = {.major = FUSE_VERSION, .flags = ~0u};
    struct fuse_attr_out attributes;
    struct fuse_write_out written = {.size = PAGE_SIZE};

    fill(answer, room);
    if (below(4) == 0)
        return;
    if (in->opcode == FUSE_INIT && room == sizeof(greeting)) {
        greeting.max_pages = (u16)number();
        memcpy(answer, &greeting, room);
    } else if (in->opcode == FUSE_WRITE && room == sizeof(written)) {
        memcpy(answer, &written, room);
    } else if (room == sizeof(attributes)) {
        fill(&attributes, sizeof(attributes));
        attributes.attr = entry_make().attr;
        memcpy(answer, &attributes, room);
    }
}

/* Fills a piece: the short answer that most requests have, or pages. How much is said to be. */
static u32 piece_make(const struct fuse_in_header *in, void *piece, u32 room)
{
    u32 bytes = room;

    if (room <= FUSE_ANSWER_MAX)
        answer_make(in, piece, room);
    else
        bytes = listing_make(piece, room);
    if (below(10) == 0)
        fill(piece, room);
    return below(20) ? bytes : (u32)below(room + 1);
}

/* Answers one request; the head is right, so that what is behind it is reached. */
static void server_answer(struct virtqueue *queue)
{
    const u16 *available = phys_to_virt(rings[1].available);
    const struct ring_descriptor *table = phys_to_virt(rings[1].descriptors);
    u32 size = virtqueue_size(queue), written = 0, room = 0, head;
    const struct fuse_in_header *in = NULL;

    if (taken == available[1])
        return;
    head = available[2 + (taken & (size - 1))];
    for (u32 at = head, i = 0;; at = table[at].next, i++) {
        u8 *piece = phys_to_virt(table[at].address);
        struct fuse_out_header *out = (struct fuse_out_header *)piece;

        room += table[at].flags & 2 ? table[at].bytes : 0;
        if (i == 0)
            in = (struct fuse_in_header *)piece;
        if (table[at].flags & 2 && !written) {
            *out = (struct fuse_out_header){.unique = below(20) ? in->unique : number()};
            written = sizeof(*out);
            /* Its length is known only at the end: the pieces behind are filled first. */
            for (u32 next = at; table[next].flags & 1;) {
                next = table[next].next;
                written += piece_make(in, phys_to_virt(table[next].address), table[next].bytes);
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

/* ---- What files hold, and what the file system says of itself ---- */

#define PAGES_MOST 300u

static struct file_system_type *the_type;
const struct radix_allocator radix_slab_allocator = {radix_node_alloc, radix_node_free};

void file_system_register(struct file_system_type *type)
{
    the_type = type;
}
struct file_system *file_system_alloc(const struct file_system_type *type,
                                      const struct file_system_operations *operations, u64 magic)
{
    struct file_system *file_system = calloc(1, sizeof(*file_system));

    file_system->operations = operations;
    refcount_set(&file_system->references, 1);
    return file_system;
}
void file_system_put(struct file_system *file_system)
{
    if (!refcount_dec_is_zero(&file_system->references))
        return;
    file_system->operations->unmount(file_system);
    free(file_system);
}
struct dentry *dentry_create_root(struct inode *inode)
{
    CHECK_EQ(inode->mode & S_IFMT, S_IFDIR);
    return below(4) ? (struct dentry *)inode : NULL;
}
void mutex_lock(struct mutex *mutex)
{
}
int mutex_lock_killable(struct mutex *mutex)
{
    return 0;
}
void mutex_unlock(struct mutex *mutex)
{
}
int sched_point_killable(void)
{
    return 0;
}
int page_cache_sync(struct inode *inode)
{
    return 0;
}
void page_cache_clear(struct inode *inode, u64 from, u64 to)
{
    CHECK(from <= to);
}
ssize_t page_cache_file_read(struct file *file, struct io_buffer *io, u64 *offset)
{
    return 0;
}
ssize_t page_cache_file_write(struct file *file, struct io_buffer *io, u64 *offset)
{
    return 0;
}
int page_cache_file_map(struct file *file, struct map_request *request)
{
    return 0;
}

static const u8 guard_page[PAGE_SIZE] = {[0 ... PAGE_SIZE - 1] = 0xa5};

/* Each page has one behind it that must stay as it is. */
static int pages_read(struct inode *inode)
{
    struct frame *frames[PAGES_MOST], *guards[PAGES_MOST];
    u32 count = 1 + below(below(10) ? 5 : PAGES_MOST);
    int error;

    for (u32 i = 0; i < count; i++) {
        frames[i] = frame_alloc(0, FRAME_CACHE, 0);
        frames[i]->flags = 0;
        guards[i] = frame_alloc(0, FRAME_CACHE, 0);
        memcpy(frame_data(guards[i]), guard_page, PAGE_SIZE);
    }
    error = fuse_page_operations.read(inode, below(1 << 20), count, frames);
    for (u32 i = 0; i < count; i++) {
        CHECK(error || page_is_uptodate(frames[i]));
        CHECK_EQ(memcmp(frame_data(guards[i]), guard_page, PAGE_SIZE), 0);
    }
    return error;
}

static int link_read(struct inode *inode)
{
    size_t size = below(64);
    char *text = malloc(size + 1); /* the sanitizer sees a byte more */
    ssize_t bytes = fuse_file_inode_operations.readlink(inode, text, size);

    CHECK(bytes <= (ssize_t)size);
    free(text);
    return bytes < 0 ? (int)bytes : 0;
}

static int file_use(struct inode *inode)
{
    struct file file = {.inode = inode, .mode = FILE_WRITE, .flags = O_RDWR};
    int mode = below(2) ? FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE : 0;

    switch (below(7)) {
    case 0:
        return pages_read(inode);
    case 1:
        return fuse_page_operations.write(inode, below(1 << 20), frame_alloc(0, FRAME_CACHE, 0),
                                          1 + below(PAGE_SIZE));
    case 2:
        return link_read(inode);
    case 3:
        return fuse_file_operations.open(inode, &file);
    case 4:
        return fuse_file_operations.sync(&file, below(2));
    case 5:
        return fuse_file_operations.allocate(&file, mode, below(1 << 20), 1 + below(1 << 20));
    default:
        fuse_file_operations.release(&file);
        return 0;
    }
}

static u64 uses_done;

static void files_run(void)
{
    struct fuse_node node = {.id = 2};
    struct inode inode = {.file_system = &the_file_system, .mode = S_IFREG, .private_data = &node};

    the_server.max_pages = 1 + below(2 * FUSE_PAGES_MAX);
    the_server.needs_open = below(2);
    for (int step = 0; step < 20; step++) {
        int error = file_use(&inode);

        CHECK(error <= 0 && error >= -4095);
        CHECK_EQ(inode.mode & S_IFMT, S_IFREG);
        uses_done += !error;
    }
}

/* On the device of the tests above. */
TEST(server_that_lies_about_data_fills_no_more_than_the_pages_it_was_given)
{
    u64 runs = setting("HOSTILE_RUNS", RUNS_DEFAULT);

    is_serving = true;
    for (u64 run = 0; run < runs; run++) {
        machine_begin(run);
        frames_used = FRAMES / 2;
        files_run();
    }
    is_serving = false;
    CHECK(uses_done > runs);
}

TEST(server_that_greets_wrongly_is_mounted_only_when_it_has_a_root)
{
    const struct mount_source source = {.source = "tttttttttttttttttttttttttttttttttttt"};
    struct file_system *file_system;
    struct statistics statistics;
    int error = -EPROTO;

    is_serving = true;
    fuse_init();
    for (u64 run = 0; run < 100000 && error; run++) {
        machine_begin(run);
        frames_used = FRAMES / 2;
        error = the_type->mount(the_type, &source, &file_system);
    }
    CHECK_EQ(error, 0);
    CHECK(file_system->root != NULL);
    for (int i = 0; i < 1000; i++) {
        error = file_system->operations->statistics(file_system, &statistics);
        CHECK(error <= 0 && error >= -4095);
    }
    is_serving = false;
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
