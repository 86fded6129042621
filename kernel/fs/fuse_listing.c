/*
 * Listing directories of the host: names with all that stat(2) wants to know (READDIRPLUS), which
 * goes straight into the caches of names and inodes. So `ls -l` and a tree's walk cost one round
 * trip for some hundred names.
 *
 * An open directory keeps what it read and has not yet given away. Offsets are the server's.
 *
 * Who reads a directory from its start to its end leaves the names in the directory's own page
 * cache, one `struct fuse_dirent` behind the other, none over the end of a page:
 *
 *     page 0                             page 1
 *     | name | name | name | 0 ......... | name | name | 0 ...     listing_bytes
 *
 * The next reader gets them from there, for one question: whether the directory was modified since
 * what we knew of it before we listed it.
 * Pages go when memory is short, and with the first that is missing the listing is void.
 *
 * Who looks up one name after the other (git's index, a compiler's headers) would pay a round trip
 * for each. So after some lookups in a directory a part of its listing is read in advance, larger
 * each time; what that costs stays in proportion to what was asked, whether the names are used
 * or not. The name itself is asked for all the same: an open wants the server to know it. When the
 * names have expired, it begins anew.
 *
 * Locking: the directory's inode.lock is held by who looks up and who lists.
 */
#include <pith/fs.h>

#include "fuse.h"

#define READ_BYTES    (128u * 1024) /* or less, where memory does not lie together */
#define LARGEST_ENTRY (sizeof(struct fuse_direntplus) + NAME_MAX_BYTES + FUSE_ENTRY_ALIGN)

/* After so many names that were asked for one by one, a part of the listing is read in advance. */
#define PRELOAD_AFTER 4u
#define PRELOAD_FIRST (16u * 1024)
#define PRELOAD_END   U64_MAX
#define LISTING_LOST  U64_MAX

/* An open directory. guarded by the directory's inode.lock */
struct directory_reader {
    u8 *entries;     /* NULL: none yet */
    u32 size;        /* of `entries` */
    u32 bytes, used; /* of what was read; given away of it */
    u64 next;        /* the offset at which `used` stands */
    u64 kept_at;     /* the same place in the kept listing */
    bool at_end;     /* what was read was the directory's last: there was room for more */
};

/* ---- Reading ---- */

void fuse_dentry_validate(struct dentry *dentry, const struct fuse_entry_out *entry)
{
    dentry_set_valid_until(dentry, fuse_valid_until(entry->entry_valid, entry->entry_valid_nsec));
}

static bool reader_has_room(struct directory_reader *reader, u32 most)
{
    for (u32 size = most; !reader->entries && size >= PAGE_SIZE; size /= 4) {
        reader->entries = kmalloc(size, 0);
        reader->size = size;
    }
    return reader->entries;
}

/* Asks for the entries from `offset` on, `most` bytes of them. */
static int reader_fill(struct directory_reader *reader, struct inode *inode, u64 offset, u32 most)
{
    struct fuse_request *request = fuse_request_alloc(FUSE_READDIRPLUS, fuse_node_of(inode)->id);
    struct fuse_read_in question = {.offset = offset};
    struct virtio_piece piece;
    int error = -ENOMEM;

    if (!request)
        return -ENOMEM;
    if (!reader_has_room(reader, most))
        goto free_request;
    question.size = reader->size;
    piece = (struct virtio_piece){virt_to_phys(reader->entries), reader->size};
    fuse_request_add(request, &question, sizeof(question));
    request->pieces = &piece;
    request->piece_count = 1;
    error = fuse_request_call(request);
    reader->bytes = error ? 0 : request->written_bytes;
    reader->used = 0;
    reader->next = offset;
    reader->at_end = reader->size - reader->bytes > LARGEST_ENTRY;
free_request:
    fuse_request_free(request);
    return error;
}

/* The next entry that was read, checked to lie within; NULL: none left. -EIO in *error_out. */
static const struct fuse_direntplus *reader_peek(struct directory_reader *reader, u32 *bytes_out,
                                                 int *error_out)
{
    const struct fuse_direntplus *entry =
        (const struct fuse_direntplus *)(reader->entries + reader->used);
    u32 left = reader->bytes - reader->used;

    *error_out = 0;
    if (left == 0)
        return NULL;
    *error_out = -EIO;
    if (left < sizeof(*entry) || entry->dirent.namelen == 0 ||
        entry->dirent.namelen > NAME_MAX_BYTES || entry->dirent.namelen > left - sizeof(*entry) ||
        memchr(entry->dirent.name, '/', entry->dirent.namelen))
        return NULL;
    *error_out = 0;
    *bytes_out = MIN(left, ALIGN_UP((u32)sizeof(*entry) + entry->dirent.namelen, FUSE_ENTRY_ALIGN));
    return entry;
}

/* Puts what came with an entry into the caches. What fails is looked up when it is needed. */
static void entry_cache(struct dentry *directory, const struct fuse_direntplus *entry)
{
    struct inode *inode;
    struct dentry *dentry;

    if (entry->entry_out.nodeid == 0)
        return;
    if (fuse_inode_get(dentry_inode(directory)->file_system, &entry->entry_out, &inode))
        return;
    dentry = dentry_find_child(directory, entry->dirent.name, entry->dirent.namelen);
    if (dentry) {
        inode_put(inode);
    } else if (dentry_add_child(directory, entry->dirent.name, entry->dirent.namelen, inode,
                                &dentry)) {
        inode_put(inode);
        return;
    }
    if (dentry_inode(dentry) == inode)
        fuse_dentry_validate(dentry, &entry->entry_out);
    dentry_put(dentry);
}

/* ---- Listing ---- */

static int directory_open(struct inode *inode, struct file *file)
{
    file->private_data = kmalloc(sizeof(struct directory_reader), ALLOC_CLEARED);
    return file->private_data ? 0 : -ENOMEM;
}

static void directory_release(struct file *file)
{
    struct directory_reader *reader = file->private_data;

    kfree(reader->entries);
    kfree(reader);
}

/* ---- The kept listing ---- */

static bool listing_is_kept(const struct inode *inode)
{
    const struct fuse_node *node = fuse_node_of(inode);

    return node->listing_is_whole && node->listing_modified_ns == inode->modified_ns;
}

void fuse_listing_forget(struct inode *directory)
{
    fuse_node_of(directory)->listing_is_whole = false;
    fuse_node_of(directory)->listing_next = LISTING_LOST;
}

/*
 * A reader is at the start: what it will be given is kept from here on. But a directory that was
 * modified just now may be again within the same tick of the host's clock, and nobody could tell.
 */
static void listing_begin(struct inode *inode)
{
    struct fuse_node *node = fuse_node_of(inode);
    bool is_settled = (s64)clock_realtime_ns() - inode->modified_ns > (s64)NS_PER_SECOND;

    page_cache_invalidate(inode, 0, U64_MAX / PAGE_SIZE);
    node->listing_is_whole = false;
    node->listing_modified_ns = inode->modified_ns;
    node->listing_bytes = 0;
    node->listing_next = is_settled ? 0 : LISTING_LOST;
}

/* The page at which the listing ends, new at its start. NULL: it is lost. */
static struct frame *listing_page(struct inode *inode, u64 at)
{
    struct frame *frame;

    if (at % PAGE_SIZE)
        return page_cache_find(&inode->pages, at / PAGE_SIZE);
    if (page_cache_get_locked(inode, at / PAGE_SIZE, &frame))
        return NULL;
    memset(frame_data(frame), 0, PAGE_SIZE);
    page_mark_uptodate(frame);
    page_unlock(frame);
    return frame;
}

static u32 dirent_bytes(const struct fuse_dirent *entry)
{
    return ALIGN_UP((u32)sizeof(*entry) + entry->namelen, FUSE_ENTRY_ALIGN);
}

/* Keeps an entry that was given at `offset`, if the listing has come just so far. */
static void listing_append(struct inode *inode, u64 offset, const struct fuse_dirent *entry)
{
    struct fuse_node *node = fuse_node_of(inode);
    u32 bytes = dirent_bytes(entry);
    struct frame *frame;

    if (node->listing_is_whole || node->listing_next != offset)
        return;
    if (node->listing_bytes % PAGE_SIZE + bytes > PAGE_SIZE)
        node->listing_bytes = ALIGN_UP(node->listing_bytes, PAGE_SIZE);
    frame = listing_page(inode, node->listing_bytes);
    if (!frame) {
        node->listing_next = LISTING_LOST;
        return;
    }
    memcpy((u8 *)frame_data(frame) + node->listing_bytes % PAGE_SIZE, entry,
           sizeof(*entry) + entry->namelen);
    frame_put(frame);
    node->listing_bytes += bytes;
    node->listing_next = entry->off;
}

/* The entry at *at, which moves over the end of a page; NULL: there is none. */
static const struct fuse_dirent *kept_entry(const struct frame *frame, u64 at)
{
    const struct fuse_dirent *entry =
        (const struct fuse_dirent *)((u8 *)frame_data(frame) + at % PAGE_SIZE);

    if (at % PAGE_SIZE + sizeof(*entry) > PAGE_SIZE || entry->namelen == 0)
        return NULL;
    return entry;
}

/*
 * Gives what one page has, to the sink or, where that is NULL, to nobody until the offset is found.
 * Returns 1 if the sink is full or the offset found, 0 at the page's end; -ENOENT: the page is
 * lost.
 */
static int kept_page_give(struct file *file, u64 *at, struct directory_sink *sink)
{
    struct frame *frame = page_cache_find(&file->inode->pages, *at / PAGE_SIZE);
    u64 end = ALIGN_UP(*at + 1, PAGE_SIZE);
    const struct fuse_dirent *entry;
    int result = 0;

    if (!frame)
        return -ENOENT;
    while (!result && *at < end && (entry = kept_entry(frame, *at))) {
        const struct directory_entry listed = {entry->name, entry->namelen, entry->type, entry->ino,
                                               entry->off};

        if (sink && !sink->add(sink, &listed)) {
            result = 1;
            break;
        }
        *at += dirent_bytes(entry);
        if (sink)
            file->offset = entry->off;
        else
            result = entry->off == file->offset;
    }
    frame_put(frame);
    if (!result)
        *at = end;
    return result;
}

/* Where the kept listing stands at the file's offset. -ENOENT: nowhere. */
static int kept_seek(struct file *file, struct directory_reader *reader)
{
    int result = 0;

    if (reader->next == file->offset && reader->kept_at)
        return 0;
    reader->kept_at = 0;
    while (file->offset && !result && reader->kept_at < fuse_node_of(file->inode)->listing_bytes)
        result = kept_page_give(file, &reader->kept_at, NULL);
    return file->offset && result != 1 ? -ENOENT : 0;
}

/* Lists from what was kept. -ENOENT: the server has to be asked. */
static int kept_iterate(struct file *file, struct directory_sink *sink)
{
    struct directory_reader *reader = file->private_data;
    struct fuse_node *node = fuse_node_of(file->inode);
    int result = kept_seek(file, reader);

    while (!result && reader->kept_at < node->listing_bytes)
        result = kept_page_give(file, &reader->kept_at, sink);
    if (result < 0)
        node->listing_is_whole = false;
    reader->next = file->offset;
    reader->bytes = reader->used = 0;
    reader->at_end = false;
    return MIN(result, 0);
}

/* ---- Listing ---- */

/* Gives away what was read. Returns 1 if the sink is full, 0 at its end, or an error. */
static int reader_drain(struct directory_reader *reader, struct file *file,
                        struct directory_sink *sink)
{
    const struct fuse_direntplus *entry;
    int error;
    u32 bytes;

    while ((entry = reader_peek(reader, &bytes, &error))) {
        struct directory_entry listed = {
            .name = entry->dirent.name,
            .name_bytes = entry->dirent.namelen,
            .type = entry->dirent.type,
            .inode_number = entry->dirent.ino,
            .next = entry->dirent.off,
        };

        if (!sink->add(sink, &listed))
            return 1;
        entry_cache(file->path.dentry, entry);
        listing_append(file->inode, file->offset, &entry->dirent);
        reader->used += bytes;
        file->offset = reader->next = entry->dirent.off;
    }
    return error;
}

static int fuse_iterate(struct file *file, struct directory_sink *sink)
{
    struct directory_reader *reader = file->private_data;
    struct fuse_node *node = fuse_node_of(file->inode);
    int result = 0;

    if (file->offset == 0 && node->listing_is_whole)
        result = fuse_attributes_renew(file->inode);
    if (result)
        return result;
    if (listing_is_kept(file->inode) && kept_iterate(file, sink) == 0)
        return 0;
    if (reader->next != file->offset) { /* somebody sought */
        reader->bytes = reader->used = 0;
        reader->at_end = false;
    }
    if (file->offset == 0)
        listing_begin(file->inode);
    for (;;) {
        result = reader_drain(reader, file, sink);
        if (result == 0 && reader->at_end && node->listing_next == file->offset) {
            node->listing_is_whole = true;
            reader->kept_at = node->listing_bytes;
        }
        if (result || reader->at_end)
            return MIN(result, 0);
        result = reader_fill(reader, file->inode, file->offset, READ_BYTES);
        if (result)
            return result;
    }
}

/* ---- In advance ---- */

/* Reads on in the listing, as far as `reader` has room for. */
static int preload_read(struct inode *directory, struct directory_reader *reader)
{
    struct fuse_node *node = fuse_node_of(directory);
    u64 now = clock_monotonic_ns();

    if (now >= node->preload_valid_until_ns) {
        node->preload_next = 0;
        node->preload_bytes = PRELOAD_FIRST;
        node->preload_valid_until_ns = U64_MAX; /* until an entry says less */
    }
    if (node->preload_next == PRELOAD_END)
        return -ENOENT;
    return reader_fill(reader, directory, node->preload_next, node->preload_bytes);
}

/* Takes over what was read, but for the name that is being looked up. */
static void preload_take(struct inode *directory, struct directory_reader *reader,
                         const struct dentry *wanted)
{
    struct fuse_node *node = fuse_node_of(directory);
    const struct fuse_direntplus *entry;
    int error;
    u32 bytes;

    while ((entry = reader_peek(reader, &bytes, &error))) {
        const struct fuse_entry_out *attributes = &entry->entry_out;
        bool is_wanted =
            entry->dirent.namelen == dentry_name_bytes(wanted) &&
            memcmp(entry->dirent.name, dentry_name(wanted), entry->dirent.namelen) == 0;

        if (is_wanted && attributes->nodeid)
            fuse_forget(attributes->nodeid, 1);
        else
            entry_cache(dentry_parent(wanted), entry);
        if (attributes->nodeid)
            node->preload_valid_until_ns =
                MIN(node->preload_valid_until_ns,
                    fuse_valid_until(attributes->entry_valid, attributes->entry_valid_nsec));
        reader->used += bytes;
        node->preload_next = entry->dirent.off;
    }
    if (error || reader->at_end)
        node->preload_next = PRELOAD_END;
    node->preload_bytes = MIN(node->preload_bytes * 2, READ_BYTES);
}

void fuse_names_preload(struct inode *directory, const struct dentry *wanted)
{
    struct fuse_node *node = fuse_node_of(directory);
    struct directory_reader reader = {0};

    if (++node->preload_asked < PRELOAD_AFTER)
        return;
    node->preload_asked = 0;
    if (preload_read(directory, &reader) == 0)
        preload_take(directory, &reader, wanted);
    kfree(reader.entries);
}

const struct file_operations fuse_directory_file_operations = {
    .open = directory_open,
    .release = directory_release,
    .iterate = fuse_iterate,
};
