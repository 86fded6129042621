/*
 * READDIR and READDIRPLUS: the names in a directory, with their attributes if asked.
 *
 * One answer holds as much as the guest offers room for (up to FS_TRANSFER_MAX), so a tree is
 * listed in few round trips. The contract for our own client: an answer that leaves room for the
 * largest possible entry is the directory's last one, nobody needs to ask again to learn that.
 *
 * There are no directory handles: the offset of an entry is the host's own (d_off), which stays
 * good for the node's cached descriptor, and for a later one. The descriptor's position is kept, so
 * that a reader who goes on where it ended costs no seek; only entries that the host gave and that
 * no longer fit make the next request seek back.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fs_private.h"

#define HOST_BUFFER_SIZE 65536
#define HOST_BUFFER_MIN  2048
#define PLUS_GROWTH      4 /* an entry with attributes is about so much longer than the host's */
#define SHARE_NAME_SIZE  16
#define POSITION_UNKNOWN (-1)

/* What getdents64(2) returns. */
struct host_entry {
    u64 inode;
    s64 next; /* the position after this entry */
    u16 size;
    u8 type;
    char name[];
};

/* An answer while it grows. */
struct listing {
    struct fs_server *server;
    struct fs_node *directory;
    int fd;
    bool with_attributes;
    size_t size; /* bytes used in server->scratch */
    size_t limit;
};

enum listing_result {
    LISTED,
    LISTING_FULL,
};

static bool name_is_dots(const char *name)
{
    return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

static size_t listing_header_size(const struct listing *listing)
{
    return listing->with_attributes ? FUSE_NAME_OFFSET_DIRENTPLUS : FUSE_NAME_OFFSET;
}

/* Appends an entry for which there is room. */
static void listing_append(struct listing *listing, const struct fuse_entry_out *attributes,
                           const struct fuse_dirent *entry, const char *name)
{
    u8 *to = listing->server->scratch + listing->size;
    size_t size = FUSE_DIRENT_ALIGN(listing_header_size(listing) + entry->namelen);

    memset(to + size - sizeof(u64), 0, sizeof(u64)); /* the padding behind the name */
    if (listing->with_attributes) {
        memcpy(to, attributes, sizeof(*attributes));
        to += sizeof(*attributes);
    }
    memcpy(to, entry, sizeof(*entry));
    memcpy(to + sizeof(*entry), name, entry->namelen);
    listing->size += size;
}

/*
 * Looks the entry's file up for its attributes. One that cannot be examined (a directory that may
 * be read but not searched) is listed without, and without a reference. -ENOENT: not to be listed.
 */
static int listing_examine(struct listing *listing, const char *name, struct fuse_dirent *entry,
                           struct fuse_entry_out *attributes_out)
{
    struct fs_server *server = listing->server;
    struct fs_node *child;
    struct statx status;
    int error;

    memset(attributes_out, 0, sizeof(*attributes_out));
    error = fs_node_child(&server->tree, listing->directory, listing->fd, name, &child, &status);
    if (error)
        return error == -ENOENT ? error : 0;
    fs_entry_fill(server, child, &status, attributes_out);
    entry->ino = attributes_out->attr.ino;
    entry->type = child->type;
    return 0;
}

/* Without attributes: whether the name is there at all for the guest. */
static bool listing_hides(const struct listing *listing, const char *name)
{
    struct fs_tree *tree = &listing->server->tree;
    struct statx status;

    if (tree->hidden.file_count == 0 && tree->hidden.name_count == 0)
        return false;
    return fs_name_is_hidden(tree, listing->directory, name) ||
           statx(listing->fd, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_BASIC_STATS,
                 &status) ||
           fs_file_is_hidden(tree, &status);
}

static enum listing_result listing_add(struct listing *listing, const struct host_entry *from)
{
    struct fuse_entry_out attributes;
    struct fuse_dirent entry = {
        .ino = fs_inode_number(&listing->server->tree, listing->directory->mount, from->inode),
        .off = (u64)from->next,
        .namelen = (u32)strlen(from->name),
        .type = from->type,
    };
    bool dots = name_is_dots(from->name);

    if (FUSE_DIRENT_ALIGN(listing_header_size(listing) + entry.namelen) >
        listing->limit - listing->size)
        return LISTING_FULL;
    if (dots) {
        memset(&attributes, 0, sizeof(attributes)); /* node 0: only the dirent counts */
        attributes.attr.ino = entry.ino;
    } else if (listing->with_attributes) {
        if (listing_examine(listing, from->name, &entry, &attributes))
            return LISTED;
    } else if (listing_hides(listing, from->name)) {
        return LISTED;
    }
    listing_append(listing, &attributes, &entry, from->name);
    return LISTED;
}

/* Reads one buffer of the host's and adds it. 1: go on; 0: all was read, or the answer is full. */
static int listing_read_more(struct listing *listing, struct fs_descriptor *descriptor)
{
    _Alignas(struct host_entry) char buffer[HOST_BUFFER_SIZE];
    size_t room = (listing->limit - listing->size) / (listing->with_attributes ? PLUS_GROWTH : 1);
    ssize_t got = syscall(SYS_getdents64, listing->fd, buffer,
                          MIN(MAX(room, (size_t)HOST_BUFFER_MIN), sizeof(buffer)));

    if (got <= 0)
        return got < 0 ? -errno : 0;
    for (ssize_t offset = 0; offset < got;) {
        const struct host_entry *entry = (const struct host_entry *)(buffer + offset);

        if (listing_add(listing, entry) == LISTING_FULL) {
            descriptor->position = POSITION_UNKNOWN;
            return 0;
        }
        descriptor->position = entry->next;
        offset += entry->size;
    }
    return 1;
}

/* The synthetic root: "." and "..", then the shares; an entry's offset is its number plus one. */
static void listing_add_shares(struct listing *listing, u64 offset)
{
    struct fs_tree *tree = &listing->server->tree;

    for (u64 i = offset; i < tree->share_count + 2ul; i++) {
        const char *name = i == 0 ? "." : i == 1 ? ".." : tree->shares[i - 2].node->name;
        struct fuse_dirent entry = {
            .ino = FS_ROOT_NODE,
            .off = i + 1,
            .namelen = (u32)strlen(name),
            .type = DT_DIR,
        };
        struct fuse_entry_out attributes;
        struct statx status;

        if (FUSE_DIRENT_ALIGN(listing_header_size(listing) + entry.namelen) >
            listing->limit - listing->size)
            return;
        memset(&attributes, 0, sizeof(attributes));
        if (i >= 2 && fs_node_status(tree, tree->shares[i - 2].node, &status) == 0) {
            fs_entry_fill(listing->server, tree->shares[i - 2].node, &status, &attributes);
            entry.ino = attributes.attr.ino;
        }
        listing_append(listing, &attributes, &entry, name);
    }
}

static int listing_fill(struct listing *listing, u64 offset)
{
    struct fs_tree *tree = &listing->server->tree;
    struct fs_descriptor *descriptor;
    int more, error;

    if (!tree->mounts[listing->directory->mount].is_served)
        return 0;
    error = fs_node_open(tree, listing->directory, FS_RIGHT_READ, &listing->fd);
    if (error)
        return error;
    descriptor = listing->directory->descriptor;
    /* From the start always seeks: that is when a directory's changes must be seen. */
    if (offset == 0 || descriptor->position != (s64)offset) {
        if (lseek(listing->fd, (off_t)offset, SEEK_SET) < 0)
            return -errno;
        descriptor->position = (s64)offset;
    }
    do {
        more = listing_read_more(listing, descriptor);
    } while (more > 0);
    if (more < 0)
        descriptor->position = POSITION_UNKNOWN;
    /* What was listed before an error holds references: it must reach the guest. */
    return more < 0 && listing->size == 0 ? more : 0;
}

int fs_do_readdir(struct fs_server *server, struct fs_request *request)
{
    struct listing listing = {
        .server = server,
        .directory = request->node,
        .with_attributes = request->header.opcode == FUSE_READDIRPLUS,
    };
    size_t room = MIN(fs_request_room(request), (size_t)FS_TRANSFER_MAX);
    int error;

    listing.limit = MIN((size_t)request->arguments.read.size, room);
    if (request->node->type != DT_DIR)
        return -ENOTDIR;
    if (request->node == &server->tree.root) {
        listing_add_shares(&listing, request->arguments.read.offset);
    } else {
        error = listing_fill(&listing, request->arguments.read.offset);
        if (error)
            return error;
    }
    return fs_request_answer(request, server->scratch, listing.size);
}

/* Directories need no handle. A client that can do without OPENDIR is told so. */
int fs_do_opendir(struct fs_server *server, struct fs_request *request)
{
    struct fuse_open_out answer = {.open_flags = FOPEN_KEEP_CACHE};

    if (server->opendir_is_needless)
        return -ENOSYS;
    if (request->node->type != DT_DIR)
        return -ENOTDIR;
    return fs_request_answer(request, &answer, sizeof(answer));
}
