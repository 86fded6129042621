/*
 * Hostile requests by the thousand: a seeded generator writes chains and FUSE requests, mostly
 * right and wrong in one or two places, into the rings of a server in this process.
 *
 * What must hold: no sanitizer speaks, no answer is longer than its room or carries a hidden file's
 * text, nothing outside the share changes, and in the end, when the client is forgotten, no node
 * and no descriptor is left over.
 *
 * FS_FUZZ_REQUESTS (20000) and FS_FUZZ_SEED (1) choose the run; a run repeats by its seed.
 */
/* links: host/fs_attributes.c host/fs_confine.c host/fs_create.c host/fs_credentials.c */
/* links: host/fs_data.c host/fs_descriptor.c host/fs_directory.c host/fs_hide.c */
/* links: host/fs_hide_inside.c host/fs_message.c */
/* links: host/fs_lookup.c host/fs_memory.c host/fs_mount.c host/fs_node.c */
/* links: host/fs_operations.c host/fs_queue.c host/fs_remove.c host/fs_request.c */
/* links: host/fs_resolve.c host/fs_server.c host/fs_vhost_user.c host/fs_write.c host/fs_xattr.c */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <linux/virtio_ring.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "fs_private.h"

#define REQUESTS_DEFAULT 20000
#define MEMORY_SIZE      0x400000ull
#define FRONT_END        0x7f0000000000ull
#define QUEUE_SIZE       64
#define AVAILABLE        0x4000ull
#define USED             0x8000ull
#define INDIRECT         0x10000ull
#define REQUEST          0x100000ull
#define ANSWER           0x200000ull
#define ANSWER_ROOM      0x100000u
#define FILE_LIMIT       (1 << 20) /* so that no request fills the host's disk */
#define NODES            64
#define SECRET           "the text that nobody may see"

static struct fs_server server;
static u8 *memory;
static u64 nodes[NODES]; /* that the server told us */
static u64 state;
static bool answer_is_entry; /* the request that was written last asks for one */
static bool is_spoiled;      /* its descriptors may lead anywhere, so the answer says nothing */
static char base[64];

static u64 random_number(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static u64 below(u64 limit)
{
    return random_number() % limit;
}

static bool one_in(u64 times)
{
    return below(times) == 0;
}

static u64 any_value(void)
{
    static const u64 values[] = {0,         1,          2,          4,          16,
                                 4096,      65536,      0x7fffffff, 0xffffffff, 1ull << 32,
                                 INT64_MAX, 1ull << 63, U64_MAX};

    return one_in(3) ? values[below(ARRAY_SIZE(values))] : one_in(8) ? random_number() : below(300);
}

static u64 any_node(void)
{
    return one_in(12) ? any_value() : nodes[below(one_in(2) ? 3 : NODES)];
}

static const char *any_name(void)
{
    static const char *const names[] = {
        "a", "b", "c",  "d",   "e",          "f",      "0",    "1",      "2",     "s",
        "",  ".", "..", "a/b", "../outside", "secret", "hard", "user.x", "user.y"};
    static char longest[300];

    if (one_in(40)) {
        memset(longest, 'n', sizeof(longest) - 1);
        longest[250 + below(49)] = '\0';
        return longest;
    }
    return names[below(one_in(6) ? ARRAY_SIZE(names) : 10)];
}

/* What a right request brings; one in a few brings something else. */
static const struct shape {
    u32 opcode;
    u16 arguments;
    u8 names;
} shapes[] = {
    {FUSE_LOOKUP, 0, 1},
    {FUSE_LOOKUP, 0, 1},
    {FUSE_FORGET, sizeof(struct fuse_forget_in), 0},
    {FUSE_BATCH_FORGET, 8 + 3 * sizeof(struct fuse_forget_one), 0},
    {FUSE_GETATTR, sizeof(struct fuse_getattr_in), 0},
    {FUSE_SETATTR, sizeof(struct fuse_setattr_in), 0},
    {FUSE_READLINK, 0, 0},
    {FUSE_SYMLINK, 0, 2},
    {FUSE_MKNOD, sizeof(struct fuse_mknod_in), 1},
    {FUSE_MKDIR, sizeof(struct fuse_mkdir_in), 1},
    {FUSE_UNLINK, 0, 1},
    {FUSE_RMDIR, 0, 1},
    {FUSE_RENAME, sizeof(struct fuse_rename_in), 2},
    {FUSE_RENAME2, sizeof(struct fuse_rename2_in), 2},
    {FUSE_LINK, sizeof(struct fuse_link_in), 1},
    {FUSE_OPEN, sizeof(struct fuse_open_in), 0},
    {FUSE_READ, sizeof(struct fuse_read_in), 0},
    {FUSE_WRITE, sizeof(struct fuse_write_in), 0},
    {FUSE_STATFS, 0, 0},
    {FUSE_RELEASE, sizeof(struct fuse_release_in), 0},
    {FUSE_FSYNC, sizeof(struct fuse_fsync_in), 0},
    {FUSE_SETXATTR, FUSE_COMPAT_SETXATTR_IN_SIZE, 1},
    {FUSE_GETXATTR, sizeof(struct fuse_getxattr_in), 1},
    {FUSE_LISTXATTR, sizeof(struct fuse_getxattr_in), 0},
    {FUSE_REMOVEXATTR, 0, 1},
    {FUSE_FLUSH, sizeof(struct fuse_flush_in), 0},
    {FUSE_OPENDIR, sizeof(struct fuse_open_in), 0},
    {FUSE_READDIR, sizeof(struct fuse_read_in), 0},
    {FUSE_READDIRPLUS, sizeof(struct fuse_read_in), 0},
    {FUSE_RELEASEDIR, sizeof(struct fuse_release_in), 0},
    {FUSE_FSYNCDIR, sizeof(struct fuse_fsync_in), 0},
    {FUSE_SYNCFS, 8, 0},
    {FUSE_ACCESS, sizeof(struct fuse_access_in), 0},
    {FUSE_CREATE, sizeof(struct fuse_create_in), 1},
    {FUSE_CREATE, sizeof(struct fuse_create_in), 1},
    {FUSE_INTERRUPT, sizeof(struct fuse_interrupt_in), 0},
    {FUSE_FALLOCATE, sizeof(struct fuse_fallocate_in), 0},
    {FUSE_LSEEK, sizeof(struct fuse_lseek_in), 0},
    {FUSE_COPY_FILE_RANGE, sizeof(struct fuse_copy_file_range_in), 0},
};

/* Where a structure's words are flags, modes or nodes, most values are such; else it is anything.
 */
static void write_arguments(u32 opcode, u8 *to, size_t size)
{
    u64 words[FS_ARGUMENTS_MAX / sizeof(u64)];

    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        words[i] = one_in(3) ? any_node() : any_value();
    switch (opcode) {
    case FUSE_LINK:
    case FUSE_RENAME:
    case FUSE_RENAME2:
        words[0] = any_node();
        words[1] = below(5);
        break;
    case FUSE_FORGET:
        words[0] = below(3);
        break;
    case FUSE_SETATTR:
        words[0] = below(1 << 12);
        break;
    case FUSE_READ:
    case FUSE_READDIR:
    case FUSE_READDIRPLUS:
    case FUSE_WRITE:
        words[1] = one_in(4) ? any_value() : one_in(2) ? 0 : below(5000);
        words[2] = one_in(3) ? any_value() : below(opcode == FUSE_WRITE ? 100 : 5000);
        break;
    case FUSE_SETXATTR:
        words[0] = below(20);
        break;
    case FUSE_MKNOD:
        words[0] = (below(16) << 12 | below(01000)) | any_value() << 32;
        break;
    }
    memcpy(to, words, size);
}

static size_t write_request(void)
{
    const struct shape *shape = &shapes[below(ARRAY_SIZE(shapes))];
    struct fuse_in_header header = {
        .opcode = one_in(50) ? (u32)any_value() : shape->opcode,
        .unique = random_number(),
        .nodeid = any_node(),
        .uid = one_in(4) ? (u32)any_value() : 0,
        .gid = one_in(4) ? (u32)any_value() : 0,
    };
    u8 *start = memory + REQUEST, *to = start + sizeof(header);
    size_t arguments = one_in(20) ? 8 * below(16) : shape->arguments;
    unsigned names = one_in(20) ? (unsigned)below(3) : shape->names;

    write_arguments(header.opcode, to, arguments);
    to += arguments;
    for (unsigned i = 0; i < names; i++) {
        const char *name = any_name();

        memcpy(to, name, strlen(name) + 1);
        to += strlen(name) + (one_in(30) ? 0 : 1);
    }
    if (shape->opcode == FUSE_WRITE || shape->opcode == FUSE_SETXATTR || one_in(8)) { /* data */
        size_t size = below(2000);

        memset(to, 'v', size);
        to += size;
    }
    answer_is_entry = header.opcode == FUSE_LOOKUP || header.opcode == FUSE_CREATE ||
                      header.opcode == FUSE_MKDIR || header.opcode == FUSE_MKNOD ||
                      header.opcode == FUSE_LINK;
    header.len = (u32)(to - start);
    if (one_in(40))
        header.len = (u32)any_value();
    memcpy(start, &header, sizeof(header));
    return (size_t)(to - start);
}

/* Cuts `size` bytes into descriptors; returns the next free one. */
static unsigned cut(struct vring_desc *table, unsigned next, u64 address, size_t size, u16 flags)
{
    unsigned pieces = one_in(4) ? 1 + (unsigned)below(12) : 1;

    for (unsigned i = 0; i < pieces; i++) {
        size_t piece = i + 1 == pieces ? size : below(size + 1);

        table[next] = (struct vring_desc){.addr = address,
                                          .len = (u32)piece,
                                          .flags = flags | VRING_DESC_F_NEXT,
                                          .next = (u16)(next + 1)};
        next++;
        address += piece;
        size -= piece;
    }
    return next;
}

static void spoil(struct vring_desc *table, unsigned count)
{
    struct vring_desc *descriptor = &table[below(count)];

    switch (below(4)) {
    case 0:
        descriptor->addr = any_value();
        break;
    case 1:
        descriptor->len = (u32)any_value();
        break;
    case 2:
        descriptor->flags = (u16)random_number();
        break;
    default:
        descriptor->next = (u16)any_value();
    }
}

static void offer(struct fs_queue *queue)
{
    struct vring_desc *table = (struct vring_desc *)memory;
    struct vring_avail *available = (struct vring_avail *)(memory + AVAILABLE);
    bool indirect = one_in(4);
    struct vring_desc *used = indirect ? (struct vring_desc *)(memory + INDIRECT) : table;
    size_t room = one_in(10) ? below(200) : one_in(3) ? 4096 : ANSWER_ROOM;
    unsigned count = cut(used, 0, REQUEST, write_request(), 0);

    if (!one_in(50))
        count = cut(used, count, ANSWER, room, VRING_DESC_F_WRITE);
    used[count - 1].flags &= (u16)~VRING_DESC_F_NEXT;
    is_spoiled = one_in(20);
    if (is_spoiled)
        spoil(used, count);
    if (indirect)
        table[0] = (struct vring_desc){
            .addr = INDIRECT, .len = count * (u32)sizeof(*table), .flags = VRING_DESC_F_INDIRECT};
    available->ring[queue->next_available % QUEUE_SIZE] = one_in(200) ? (u16)any_value() : 0;
    available->idx = one_in(300) ? (u16)random_number() : (u16)(queue->next_available + 1);
}

/* Takes node numbers out of an answer that looks like one with entries. */
static void learn(void)
{
    const struct fuse_out_header *header = (const void *)(memory + ANSWER);
    const struct fuse_entry_out *entry = (const void *)(header + 1);

    CHECK_LE(header->len, ANSWER_ROOM);
    CHECK(header->error <= 0 && header->error > -512);
    CHECK(!memmem(header + 1, header->len - sizeof(*header), SECRET, strlen(SECRET)));
    if (answer_is_entry && header->error == 0 && header->len >= sizeof(*header) + sizeof(*entry))
        nodes[3 + below(NODES - 3)] = entry->nodeid; /* the root and the shares stay */
}

static void queue_restart(struct fs_queue *queue)
{
    struct vring_avail *available = (struct vring_avail *)(memory + AVAILABLE);

    queue->broken = false;
    queue->next_available = 0;
    available->idx = 0;
    CHECK_EQ(fs_queue_map(queue, &server.device.memory), 0);
}

static void make_memory(void)
{
    struct fs_region region = {.size = MEMORY_SIZE, .front_end_address = FRONT_END};
    struct fs_queue *queue = &server.device.queues[FS_QUEUE_REQUESTS];
    int fd = memfd_create("guest", MFD_CLOEXEC);

    CHECK_EQ(ftruncate(fd, MEMORY_SIZE), 0);
    CHECK_EQ(fs_memory_add(&server.device.memory, fd, 0, &region), 0);
    close(fd);
    memory = server.device.memory.regions[0].bytes;
    queue->size = QUEUE_SIZE;
    queue->descriptors_address = FRONT_END;
    queue->available_address = FRONT_END + AVAILABLE;
    queue->used_address = FRONT_END + USED;
    queue->has_addresses = true;
    queue->enabled = true;
    queue->kick_fd = eventfd(0, EFD_CLOEXEC);
    queue_restart(queue);
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    CHECK(file);
    fputs(text, file);
    fclose(file);
}

/* outside, share/{a/, b, s -> .., secret, hard = secret}; the guest starts in the share. */
static void make_files(void)
{
    snprintf(base, sizeof(base), "/tmp/pith-fuzz-XXXXXX");
    CHECK(mkdtemp(base));
    CHECK_EQ(chdir(base), 0);
    CHECK_EQ(mkdir("share", 0755), 0);
    CHECK_EQ(mkdir("share/a", 0755), 0);
    write_file("outside", "outside");
    write_file("share/b", "a file");
    write_file("share/secret", SECRET);
    CHECK_EQ(symlink("..", "share/s"), 0);
    CHECK_EQ(link("share/secret", "share/hard"), 0);
}

static void make_server(void)
{
    struct fuse_init_in init = {.major = 7, .minor = 38, .flags = FUSE_DO_READDIRPLUS};
    char share[80], hidden[96];
    const char *hidden_path = hidden;
    struct fs_share shares[] = {{.host_path = share, .writable = true}, {.host_path = share}};
    struct fs_server_options options = {.shares = shares,
                                        .share_count = ARRAY_SIZE(shares),
                                        .hidden = &hidden_path,
                                        .hidden_count = 1,
                                        .parent_fd = -1,
                                        .log_fd = -1};

    snprintf(share, sizeof(share), "%s/share", base);
    snprintf(hidden, sizeof(hidden), "%s/secret", share);
    CHECK_EQ(fs_server_init(&server, &options), 0);
    server.tree.descriptor_limit = 12; /* so that the cache is always full */
    if (one_in(2)) {                   /* a host without /proc */
        close(server.tree.proc_fd);
        server.tree.proc_fd = -1;
    }
    server.tree.has_openat2 = one_in(2);
    make_memory();
    memcpy(&server.request.arguments.init, &init, sizeof(init));
    server.is_initialised = true;
    for (size_t i = 0; i < NODES; i++)
        nodes[i] = 1 + i % 3; /* the root, the shares */
}

static void check_files(void)
{
    char text[64] = "";
    FILE *file;

    CHECK_EQ(chmod("share", 0755), 0); /* the guest may have changed that */
    file = fopen("outside", "r");
    CHECK(file && fgets(text, sizeof(text), file));
    fclose(file);
    CHECK_STR_EQ(text, "outside");
    file = fopen("share/secret", "r");
    CHECK(file && fgets(text, sizeof(text), file));
    fclose(file);
    CHECK_STR_EQ(text, SECRET);
    CHECK_EQ(access("share/seen", F_OK), -1);
}

TEST(hostile_requests_do_no_harm)
{
    const char *requests = getenv("FS_FUZZ_REQUESTS"), *seed = getenv("FS_FUZZ_SEED");
    struct fs_queue *queue = &server.device.queues[FS_QUEUE_REQUESTS];
    struct rlimit limit = {FILE_LIMIT, FILE_LIMIT};
    struct fuse_out_header none = {.len = sizeof(none)};
    char command[256];
    long count = requests ? atol(requests) : REQUESTS_DEFAULT;

    state = (seed ? strtoull(seed, NULL, 0) : 1) * 0x9e3779b97f4a7c15ull;
    signal(SIGXFSZ, SIG_IGN);
    make_files();
    make_server();
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
    for (long i = 0; i < count; i++) {
        memcpy(memory + ANSWER, &none, sizeof(none));
        offer(queue);
        fs_server_serve_queues(&server);
        if (!is_spoiled)
            learn();
        CHECK_LE(server.tree.descriptor_count, server.tree.descriptor_limit);
        if (queue->broken || queue->next_available > 60000)
            queue_restart(queue);
    }
    check_files();
    fs_tree_forget_all(&server.tree);
    CHECK_EQ(server.tree.node_count, 1 + server.tree.share_count);
    CHECK_EQ(server.tree.descriptor_count, server.tree.share_count);
    fs_server_fini(&server);
    snprintf(command, sizeof(command), "cd / && chmod -R u+rwx %s; rm -rf %s", base, base);
    CHECK_EQ(system(command), 0);
}
