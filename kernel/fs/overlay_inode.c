/*
 * The overlay's inodes: one for each lower file that somebody asked for, and one for each new file.
 *
 * The inode over a lower file is found by the lower inode, so all hard links meet in it. As long as
 * it does not differ from the lower, it shows what the lower says, and may leave memory at any
 * time. Once it differs (is_changed), its fields count and the lower's do not; it holds a reference
 * on itself then, until its last name goes, since nothing else would keep what was written. The
 * lower name by which it was found is kept from expiring, so that the change stays to be seen under
 * this name, whatever the host puts in its place.
 *
 *     clean --overlay_inode_change--> changed, held by overlay.changed --links 0--> ends when last
 *       |                                                                           closed
 *       '--last reference--> gone, and found anew by the next lookup
 *
 * Becoming changed is one step under inode_lock, and comes before the change itself. A refresh
 * looks at is_changed under inode.lock, which most changes hold; one that a store's fault overtakes
 * ends as if it had come first, since it spares pages that are dirty.
 *
 * Two lookups of one lower file may both find no inode and make one; the second to enter the table
 * takes the first's. An inode whose last reference went stays in the table until its release, and
 * who finds it so takes it out himself (inode.c has the interleaving).
 *
 * Locking: file_system.inode_lock for the table, the list of changed inodes, and for becoming
 *          changed; inode.lock for what is taken over from the lower. A refresh under a directory's
 *          lock only tries the inode's, because a rename may hold that one too.
 */
#include "memory_pages.h"
#include "overlay.h"
#include "tmpfs.h"

#define OWN_NUMBERS BIT(48) /* inode numbers above those of usual hosts */

/* ---- Taking over from the lower ---- */

/* The lower's fields as they were when they were last taken over? */
static bool is_as_lower(const struct inode *inode, const struct inode *lower)
{
    const struct overlay_node *node = overlay_node_of(inode);

    return node->lower_changed_ns == lower->changed_ns &&
           node->lower_modified_ns == lower->modified_ns && inode->size == lower->size &&
           inode->mode == lower->mode && inode->links == lower->links && inode->uid == lower->uid &&
           inode->gid == lower->gid;
}

static void copy_from_lower(struct inode *inode, const struct inode *lower)
{
    struct overlay_node *node = overlay_node_of(inode);

    inode->mode = lower->mode;
    inode->uid = lower->uid;
    inode->gid = lower->gid;
    inode->links = lower->links;
    inode->accessed_ns = lower->accessed_ns;
    inode->modified_ns = node->lower_modified_ns = lower->modified_ns;
    inode->changed_ns = node->lower_changed_ns = lower->changed_ns;
    inode->born_ns = lower->born_ns;
    WRITE_ONCE(inode->size, lower->size);
    WRITE_ONCE(node->lower_bytes, lower->size);
}

/* inode->lock is held. */
static void refresh_locked(struct inode *inode, const struct inode *lower)
{
    struct overlay_node *node = overlay_node_of(inode);
    bool data_changed = inode->size != lower->size || node->lower_modified_ns != lower->modified_ns;
    u64 old_size = inode->size;

    if (READ_ONCE(node->is_changed) || is_as_lower(inode, lower))
        return;
    copy_from_lower(inode, lower);
    if (!data_changed || !inode_is_regular(inode) || inode->pages.count == 0)
        return;
    page_cache_invalidate(inode, 0, U64_MAX / PAGE_SIZE);
    if (inode->size < old_size)
        page_cache_truncate(inode, inode->size);
}

void overlay_inode_refresh_nowait(struct inode *inode)
{
    const struct inode *lower = overlay_lower_inode(inode);

    if (!lower || READ_ONCE(overlay_node_of(inode)->is_changed) || is_as_lower(inode, lower))
        return;
    if (!mutex_try_lock(&inode->lock))
        return;
    refresh_locked(inode, lower);
    mutex_unlock(&inode->lock);
}

int overlay_inode_refresh(struct inode *inode)
{
    struct overlay_node *node = overlay_node_of(inode);
    struct inode *lower = overlay_lower_inode(inode);
    struct attributes attributes;

    if (!lower || READ_ONCE(node->is_changed))
        return 0;
    if (lower->operations->get_attributes) {
        int error = lower->operations->get_attributes(lower, &attributes);

        if (error)
            return error;
        WRITE_ONCE(node->lower_blocks, attributes.blocks);
    }
    if (is_as_lower(inode, lower))
        return 0;
    mutex_lock(&inode->lock);
    refresh_locked(inode, lower);
    mutex_unlock(&inode->lock);
    return 0;
}

/* ---- Becoming different ---- */

void overlay_inode_change(struct inode *inode)
{
    struct overlay_node *node = overlay_node_of(inode);
    struct overlay *overlay = overlay_of(inode);

    if (READ_ONCE(node->is_changed))
        return;
    if (node->lower)
        dentry_set_valid_until(node->lower, U64_MAX);
    spin_lock(&inode->file_system->inode_lock);
    if (!node->is_changed) {
        WRITE_ONCE(node->is_changed, true);
        if (node->lower && !overlay->is_gone && inode != overlay->root) {
            inode_get(inode);
            list_push_back(&overlay->changed, &node->link);
        }
    }
    spin_unlock(&inode->file_system->inode_lock);
}

void overlay_inode_deleted(struct inode *inode)
{
    struct overlay_node *node = overlay_node_of(inode);
    bool was_held;

    spin_lock(&inode->file_system->inode_lock);
    was_held = list_is_linked(&node->link);
    if (was_held)
        list_remove(&node->link);
    spin_unlock(&inode->file_system->inode_lock);
    if (was_held)
        inode_put(inode);
}

/* ---- Attributes ---- */

/* What shows through of the lower, and what was written: a page may count twice, so at most all. */
static u64 blocks_of(const struct inode *inode)
{
    const struct overlay_node *node = overlay_node_of(inode);
    u64 page_blocks = PAGE_SIZE / 512;
    u64 written = READ_ONCE(inode->pages.dirty_count) * page_blocks;
    u64 shown = MIN(READ_ONCE(node->lower_blocks),
                    DIV_ROUND_UP(READ_ONCE(node->lower_bytes), PAGE_SIZE) * page_blocks);

    if (!READ_ONCE(node->is_changed))
        return READ_ONCE(node->lower_blocks);
    if (!shown)
        return written;
    return MIN(shown + written, DIV_ROUND_UP(READ_ONCE(inode->size), PAGE_SIZE) * page_blocks);
}

int overlay_get_attributes(struct inode *inode, struct attributes *attributes_out)
{
    int error = overlay_inode_refresh(inode);

    if (error)
        return error;
    inode_attributes(inode, attributes_out);
    attributes_out->blocks = blocks_of(inode);
    return 0;
}

int overlay_set_attributes(struct inode *inode, const struct attribute_change *change)
{
    struct overlay_node *node = overlay_node_of(inode);

    overlay_inode_change(inode);
    /* Before pages go: who reads one in anew must not see what is cut off. */
    if ((change->valid & CHANGE_SIZE) && change->size < READ_ONCE(node->lower_bytes))
        WRITE_ONCE(node->lower_bytes, change->size);
    inode_set_attributes(inode, change);
    return 0;
}

/* ---- Life ---- */

static struct inode *node_alloc(struct file_system *file_system)
{
    struct overlay_node *node = kmalloc(sizeof(*node), ALLOC_CLEARED);
    struct inode *inode = node ? inode_alloc(file_system) : NULL;

    if (!inode) {
        kfree(node);
        return NULL;
    }
    list_init(&node->link);
    list_init(&node->xattrs);
    memory_names_init(&node->names, 0, node);
    node->inode = inode;
    node->id = __atomic_add_fetch(&((struct overlay *)file_system->private_data)->last_id, 1,
                                  __ATOMIC_RELAXED);
    inode->private_data = node;
    return inode;
}

static const struct inode_tables overlay_tables = {
    .directory = &overlay_directory_operations,
    .other = &overlay_file_operations,
    .directory_file = &overlay_directory_file_operations,
    .regular_file = &overlay_regular_operations,
    .pages = &overlay_page_operations,
};

int overlay_inode_create(struct file_system *file_system, const struct inode *directory, u32 mode,
                         u64 rdev, struct inode **inode_out)
{
    struct overlay *overlay = file_system->private_data;
    struct overlay_node *node;
    struct inode *inode;

    if (limit_take(&overlay->own_inodes, overlay->inodes_max))
        return -ENOSPC;
    inode = node_alloc(file_system);
    if (!inode) {
        __atomic_fetch_sub(&overlay->own_inodes, 1, __ATOMIC_RELAXED);
        return -ENOMEM;
    }
    node = overlay_node_of(inode);
    node->is_changed = true;
    node->has_xattrs = true;
    node->parent_number = directory->number;
    inode->number |= OWN_NUMBERS;
    inode_init_owner(inode, directory, mode);
    inode_init_tables(inode, &overlay_tables, inode->mode, rdev);
    if (inode_is_directory(inode)) {
        inode->links = 2;
        inode->size = EMPTY_DIRECTORY_BYTES;
    }
    *inode_out = inode;
    return 0;
}

static bool before_by_lower(const struct tree_node *a, const struct tree_node *b)
{
    return dentry_inode(tree_entry(a, struct overlay_node, by_lower)->lower) <
           dentry_inode(tree_entry(b, struct overlay_node, by_lower)->lower);
}

/* The node over a lower inode, perhaps one that is going; inode_lock is held. */
static struct overlay_node *node_find_locked(const struct overlay *overlay,
                                             const struct inode *lower)
{
    struct tree_node *at = overlay->inodes.root;

    while (at) {
        struct overlay_node *node = tree_entry(at, struct overlay_node, by_lower);
        const struct inode *its = dentry_inode(node->lower);

        if (its == lower)
            return node;
        at = lower < its ? at->left : at->right;
    }
    return NULL;
}

/* With a reference, or NULL. inode_lock is held. */
static struct inode *inode_find_locked(struct overlay *overlay, const struct inode *lower)
{
    struct overlay_node *node = node_find_locked(overlay, lower);

    if (!node)
        return NULL;
    if (inode_get_if_alive(node->inode))
        return node->inode;
    tree_remove(&overlay->inodes, &node->by_lower);
    return NULL;
}

/* Puts a new inode into the table; if another came first, that one is taken. */
static struct inode *inode_enter(struct inode *inode, const struct inode *lower)
{
    struct overlay *overlay = overlay_of(inode);
    struct inode *present;

    spin_lock(&inode->file_system->inode_lock);
    present = inode_find_locked(overlay, lower);
    if (!present)
        tree_insert(&overlay->inodes, &overlay_node_of(inode)->by_lower, before_by_lower);
    spin_unlock(&inode->file_system->inode_lock);
    if (!present)
        return inode;
    inode_put(inode);
    return present;
}

int overlay_inode_get(struct file_system *file_system, struct dentry *lower,
                      struct inode **inode_out)
{
    struct overlay *overlay = file_system->private_data;
    struct inode *lower_inode = dentry_inode(lower), *inode;

    spin_lock(&file_system->inode_lock);
    inode = inode_find_locked(overlay, lower_inode);
    spin_unlock(&file_system->inode_lock);
    if (inode) {
        overlay_inode_refresh_nowait(inode);
        *inode_out = inode;
        return 0;
    }
    inode = node_alloc(file_system);
    if (!inode)
        return -ENOMEM;
    dentry_get(lower);
    overlay_node_of(inode)->lower = lower;
    inode->number = lower_inode->number;
    copy_from_lower(inode, lower_inode);
    inode_init_tables(inode, &overlay_tables, inode->mode, lower_inode->rdev);
    *inode_out = inode_enter(inode, lower_inode);
    return 0;
}

/* The root goes, and nothing can be found any more: what was changed need not stay. */
static void changed_release(struct file_system *file_system)
{
    struct overlay *overlay = file_system->private_data;
    struct list *link;

    spin_lock(&file_system->inode_lock);
    overlay->is_gone = true;
    while ((link = list_pop_front(&overlay->changed))) {
        spin_unlock(&file_system->inode_lock);
        inode_put(list_entry(link, struct overlay_node, link)->inode);
        spin_lock(&file_system->inode_lock);
    }
    spin_unlock(&file_system->inode_lock);
}

void overlay_inode_release(struct inode *inode)
{
    struct file_system *file_system = inode->file_system;
    struct overlay_node *node = overlay_node_of(inode);

    spin_lock(&file_system->inode_lock);
    if (tree_is_linked(&node->by_lower))
        tree_remove(&overlay_of(inode)->inodes, &node->by_lower);
    spin_unlock(&file_system->inode_lock);
    if (inode == overlay_of(inode)->root)
        changed_release(file_system);
    if (node->lower) {
        dentry_put(node->lower);
    } else {
        memory_symlink_release(inode);
        __atomic_fetch_sub(&overlay_of(inode)->own_inodes, 1, __ATOMIC_RELAXED);
    }
    memory_xattr_free_all(&node->xattrs);
    memory_names_drain(&overlay_of(inode)->drain, &node->names); /* frees the node */
}
