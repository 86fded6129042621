/*
 * The host's files as inodes: one for each node of the server's, found by its number, so that hard
 * links meet in it. What the server says of a file is believed for as long as it said.
 *
 * The server counts how often it told us of a node; when the inode goes, FORGET gives the count
 * back. An answer that arrives while the inode is going finds it dead in the table and makes a new
 * one, with a count of its own:
 *
 *     last reference goes                     answer to a LOOKUP
 *                                             finds the inode dead; puts a new one in its place
 *     release: the table has another: leaves it    lookups of the new one: 1
 *     FORGET with the old one's count
 *
 * The server keeps the node, since one of its lookups is still out.
 *
 * A file whose size or time of modification is another than before has changed on the host: its
 * pages are forgotten, but for those that somebody maps privately and has written to. A node that
 * is of another kind than before is another file: ESTALE.
 *
 * Fields are taken over from answers without inode.lock, which some who ask hold and others do not:
 * two answers at once leave those of the one or the other, each field whole.
 *
 * Locking: file_system.inode_lock guards the table.
 */
#include <pith/arithmetic.h>
#include <pith/fs.h>

#include "fuse.h"

#define RENEW_AFTER_NS (2 * NS_PER_MS)

u64 fuse_valid_until(u64 seconds, u32 nanoseconds)
{
    u64 now = clock_monotonic_ns();

    if (seconds > (U64_MAX - now) / NS_PER_SECOND - 2)
        return U64_MAX;
    return now + seconds * NS_PER_SECOND + MIN((u64)nanoseconds, NS_PER_SECOND);
}

/* ---- Attributes ---- */

/* Whether a file can be like that: what the kernel counts on for every inode. */
static bool attributes_are_sound(const struct fuse_attr *attributes)
{
    switch (attributes->mode & S_IFMT) {
    case S_IFREG:
    case S_IFDIR:
    case S_IFLNK:
    case S_IFCHR:
    case S_IFBLK:
    case S_IFIFO:
    case S_IFSOCK:
        return attributes->size <= (u64)FILE_SIZE_MAX;
    default:
        return false;
    }
}

void fuse_attributes_update(struct inode *inode, const struct fuse_attr *attributes, u64 valid_ns)
{
    struct fuse_node *node = fuse_node_of(inode);
    s64 modified = moment_ns((s64)attributes->mtime, attributes->mtimensec);
    bool changed = inode_is_regular(inode) &&
                   (inode->size != attributes->size || inode->modified_ns != modified);
    u64 old_size = inode->size;

    inode->mode = (inode->mode & S_IFMT) | (attributes->mode & ~S_IFMT);
    inode->uid = attributes->uid;
    inode->gid = attributes->gid;
    inode->links = attributes->nlink;
    /* Who read the file on the host, this machine's last run too, must not make another run. */
    inode->accessed_ns =
        deterministic ? modified : moment_ns((s64)attributes->atime, attributes->atimensec);
    inode->modified_ns = modified;
    inode->changed_ns = moment_ns((s64)attributes->ctime, attributes->ctimensec);
    WRITE_ONCE(inode->size, attributes->size);
    WRITE_ONCE(node->blocks, attributes->blocks);
    node->block_bytes = attributes->blksize;
    WRITE_ONCE(node->valid_until_ns, valid_ns);
    WRITE_ONCE(node->asked_ns, clock_monotonic_ns());
    if (!changed || inode->pages.count == 0)
        return;
    page_cache_invalidate(inode, 0, U64_MAX / PAGE_SIZE);
    if (attributes->size < old_size)
        page_cache_truncate(inode, attributes->size);
}

int fuse_attributes_ask(struct inode *inode)
{
    struct fuse_node *node = fuse_node_of(inode);
    struct fuse_getattr_in question = {0};
    struct fuse_attr_out answer;
    int error;

    error = fuse_call(FUSE_GETATTR, node->id, &question, sizeof(question), &answer, sizeof(answer));
    if (error)
        return error;
    if (!attributes_are_sound(&answer.attr))
        return -EIO;
    if ((answer.attr.mode & S_IFMT) != (inode->mode & S_IFMT))
        return -ESTALE;
    fuse_attributes_update(inode, &answer.attr,
                           fuse_valid_until(answer.attr_valid, answer.attr_valid_nsec));
    return 0;
}

int fuse_attributes_refresh(struct inode *inode)
{
    if (clock_monotonic_ns() < READ_ONCE(fuse_node_of(inode)->valid_until_ns))
        return 0;
    return fuse_attributes_ask(inode);
}

/*
 * The lookup or stat(2) that comes before most opens has just asked; what is as young as that is as
 * good as a new answer, which may be as old when we look at it.
 */
int fuse_attributes_renew(struct inode *inode)
{
    if (clock_monotonic_ns() - READ_ONCE(fuse_node_of(inode)->asked_ns) < RENEW_AFTER_NS)
        return 0;
    return fuse_attributes_ask(inode);
}

int fuse_get_attributes(struct inode *inode, struct attributes *attributes_out)
{
    struct fuse_node *node = fuse_node_of(inode);
    int error = fuse_attributes_refresh(inode);

    if (error)
        return error;
    inode_attributes(inode, attributes_out);
    attributes_out->blocks = READ_ONCE(node->blocks);
    attributes_out->block_bytes = node->block_bytes ? node->block_bytes : PAGE_SIZE;
    return 0;
}

static void time_change(u64 *seconds, u32 *nanoseconds, s64 ns)
{
    *seconds = (u64)moment_seconds(ns);
    *nanoseconds = moment_nanoseconds(ns);
}

static int attributes_send(struct inode *inode, const struct attribute_change *change,
                           struct fuse_attr_out *answer)
{
    struct fuse_setattr_in question = {0};
    int error;

    if (change->valid & CHANGE_MODE)
        question.valid |= FATTR_MODE;
    if (change->valid & CHANGE_UID)
        question.valid |= FATTR_UID;
    if (change->valid & CHANGE_GID)
        question.valid |= FATTR_GID;
    if (change->valid & CHANGE_SIZE)
        question.valid |= FATTR_SIZE;
    if (change->valid & CHANGE_ACCESSED)
        question.valid |= FATTR_ATIME;
    if (change->valid & CHANGE_MODIFIED)
        question.valid |= FATTR_MTIME;
    question.mode = change->mode;
    question.uid = change->uid;
    question.gid = change->gid;
    question.size = change->size;
    time_change(&question.atime, &question.atimensec, change->accessed_ns);
    time_change(&question.mtime, &question.mtimensec, change->modified_ns);
    error = fuse_call(FUSE_SETATTR, fuse_node_of(inode)->id, &question, sizeof(question), answer,
                      sizeof(*answer));
    if (error)
        return error;
    return attributes_are_sound(&answer->attr) ? 0 : -EIO;
}

/*
 * A page that was being written back when the host cut the file may have made it longer again; who
 * cuts it here waits for that page, sees that there was a WRITE, and cuts once more.
 */
int fuse_set_attributes(struct inode *inode, const struct attribute_change *change)
{
    struct fuse_attr_out answer;
    u64 writes;
    int error;

    do {
        writes = fuse_writes(inode);
        error = attributes_send(inode, change, &answer);
        if (error)
            return error;
        inode_set_attributes(inode, change);
    } while ((change->valid & CHANGE_SIZE) && fuse_writes(inode) != writes);
    inode->modified_ns = moment_ns((s64)answer.attr.mtime, answer.attr.mtimensec);
    fuse_attributes_update(inode, &answer.attr,
                           fuse_valid_until(answer.attr_valid, answer.attr_valid_nsec));
    return 0;
}

/* ---- Inodes ---- */

static struct inode *inode_find(struct file_system *file_system, u64 id)
{
    struct fuse_server *server = file_system->private_data;
    struct inode *inode;

    spin_lock(&file_system->inode_lock);
    inode = radix_lookup(&server->nodes, id);
    if (inode && !inode_get_if_alive(inode))
        inode = NULL;
    spin_unlock(&file_system->inode_lock);
    return inode;
}

static const struct inode_tables fuse_tables = {
    .directory = &fuse_directory_operations,
    .other = &fuse_file_inode_operations,
    .directory_file = &fuse_directory_file_operations,
    .regular_file = &fuse_file_operations,
    .pages = &fuse_page_operations,
};

static struct inode *inode_create(struct file_system *file_system,
                                  const struct fuse_entry_out *entry)
{
    struct fuse_node *node = kmalloc(sizeof(*node), ALLOC_CLEARED);
    struct inode *inode = node ? inode_alloc(file_system) : NULL;

    if (!inode) {
        kfree(node);
        return NULL;
    }
    node->id = entry->nodeid;
    node->generation = entry->generation;
    inode->private_data = node;
    inode->number = entry->attr.ino;
    inode->born_ns = 0; /* the protocol does not say */
    inode->mode = entry->attr.mode;
    inode_init_tables(inode, &fuse_tables, entry->attr.mode, entry->attr.rdev);
    return inode;
}

/* Puts a new inode into the table; if another came first, that one is taken. */
static struct inode *inode_enter(struct file_system *file_system, struct inode *inode)
{
    struct fuse_server *server = file_system->private_data;
    u64 id = fuse_node_of(inode)->id;
    struct inode *present;
    int error = 0;

    spin_lock(&file_system->inode_lock);
    present = radix_lookup(&server->nodes, id);
    if (present && inode_get_if_alive(present)) {
        spin_unlock(&file_system->inode_lock);
        fuse_node_of(inode)->lookups = 0;
        inode_put(inode);
        return present;
    }
    if (present)
        radix_replace(&server->nodes, id, inode);
    else
        error = radix_insert(&server->nodes, id, inode);
    spin_unlock(&file_system->inode_lock);
    if (!error)
        return inode;
    inode_put(inode);
    return NULL;
}

int fuse_inode_get(struct file_system *file_system, const struct fuse_entry_out *entry,
                   struct inode **inode_out)
{
    u64 valid = fuse_valid_until(entry->attr_valid, entry->attr_valid_nsec);
    struct inode *inode;

    if (entry->nodeid == 0 || !attributes_are_sound(&entry->attr))
        return -EIO;
    /* The root below itself would be a tree without end. */
    if (entry->nodeid == FUSE_ROOT_NODE && file_system->root)
        return -EIO;
    inode = inode_find(file_system, entry->nodeid);
    if (!inode) {
        inode = inode_create(file_system, entry);
        if (inode)
            inode = inode_enter(file_system, inode);
        if (!inode) {
            fuse_forget(entry->nodeid, 1);
            return -ENOMEM;
        }
    }
    __atomic_fetch_add(&fuse_node_of(inode)->lookups, 1, __ATOMIC_RELAXED);
    if ((entry->attr.mode & S_IFMT) != (inode->mode & S_IFMT)) {
        inode_put(inode);
        return -ESTALE;
    }
    fuse_attributes_update(inode, &entry->attr, valid);
    *inode_out = inode;
    return 0;
}

void fuse_inode_release(struct inode *inode)
{
    struct fuse_server *server = fuse_server_of(inode);
    struct fuse_node *node = fuse_node_of(inode);

    spin_lock(&inode->file_system->inode_lock);
    if (radix_lookup(&server->nodes, node->id) == inode)
        radix_remove(&server->nodes, node->id);
    spin_unlock(&inode->file_system->inode_lock);
    if (node->lookups && node->id != FUSE_ROOT_NODE)
        fuse_forget(node->id, node->lookups);
    kfree(node);
}

/* ---- Extended attributes ---- */

/* A question whose answer is a text of unknown length: asked for its size, or for itself. */
static ssize_t xattr_question(struct fuse_request *request, void *value, size_t size)
{
    struct fuse_getxattr_out answer;
    struct virtio_piece piece;
    void *copy = NULL;
    ssize_t result;

    if (size) {
        copy = kmalloc(size, 0);
        if (!copy)
            return -ENOMEM;
        piece = (struct virtio_piece){virt_to_phys(copy), size};
        request->pieces = &piece;
        request->piece_count = 1;
    } else {
        request->answer_bytes = sizeof(answer);
    }
    result = fuse_request_call(request);
    if (result == 0 && size) {
        result = request->written_bytes;
        memcpy(value, copy, result);
    } else if (result == 0) {
        memcpy(&answer, request->answer, sizeof(answer));
        result = request->answer_bytes == sizeof(answer) && answer.size <= XATTR_SIZE_MAX
                     ? (ssize_t)answer.size
                     : -EIO;
    }
    kfree(copy);
    return result;
}

ssize_t fuse_get_xattr(struct inode *inode, const char *name, void *value, size_t size)
{
    struct fuse_request *request = fuse_request_alloc(FUSE_GETXATTR, fuse_node_of(inode)->id);
    struct fuse_getxattr_in question = {.size = size};
    ssize_t result;

    if (!request)
        return -ENOMEM;
    fuse_request_add(request, &question, sizeof(question));
    fuse_request_add(request, name, strlen(name) + 1);
    result = xattr_question(request, value, size);
    fuse_request_free(request);
    return result;
}

ssize_t fuse_list_xattr(struct inode *inode, char *list, size_t size)
{
    struct fuse_request *request = fuse_request_alloc(FUSE_LISTXATTR, fuse_node_of(inode)->id);
    struct fuse_getxattr_in question = {.size = size};
    ssize_t result;

    if (!request)
        return -ENOMEM;
    fuse_request_add(request, &question, sizeof(question));
    result = xattr_question(request, list, size);
    fuse_request_free(request);
    return result;
}

int fuse_set_xattr(struct inode *inode, const char *name, const void *value, size_t size, int flags)
{
    struct fuse_request *request = fuse_request_alloc(FUSE_SETXATTR, fuse_node_of(inode)->id);
    struct {
        u32 size, flags;
    } question = {size, flags};
    struct virtio_piece piece;
    void *copy = kmalloc(MAX(size, (size_t)1), 0);
    int error = -ENOMEM;

    if (!request || !copy)
        goto free_both;
    memcpy(copy, value, size);
    fuse_request_add(request, &question, sizeof(question));
    fuse_request_add(request, name, strlen(name) + 1);
    piece = (struct virtio_piece){virt_to_phys(copy), size};
    request->pieces = &piece;
    request->piece_count = size ? 1 : 0;
    request->pieces_are_read = true;
    error = fuse_request_call(request);
free_both:
    kfree(copy);
    if (request)
        fuse_request_free(request);
    return error;
}

int fuse_remove_xattr(struct inode *inode, const char *name)
{
    return fuse_call(FUSE_REMOVEXATTR, fuse_node_of(inode)->id, name, strlen(name) + 1, NULL, 0);
}
