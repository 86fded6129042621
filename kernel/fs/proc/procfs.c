/*
 * /proc: its inodes, links and its one instance. proc_fs.h has the model.
 *
 * An inode is made for each name that is looked up, of what was found there: an entry (what the
 * file is), an object (whose it is: a process, a CPU) and a key (which of its siblings: a
 * descriptor's number). It holds the object as long as it lives; names of objects that come and go
 * are fleeting (dentry.c), so that is until the last who has the file open or stands in the
 * directory goes. What shows a process that has ended says so: ESRCH, or an empty text.
 *
 * Guards are asked when a file is used, not when its name is looked up, since rights over a process
 * change with what it executes. What a guard permitted is void once the object's generation has
 * moved on: asked before the question and after the answer,
 *
 *     reader                                     process
 *     generation g; permits: yes
 *                                                executes a set-user-ID program: generation g + 1
 *     makes the text; generation is not g: nothing is shown
 *
 * Locking: nodes are [const]; the entries' functions lock what they show.
 */
#include "procfs.h"

#include "../dentry.h"

static struct file_system *instance; /* [const] after proc_fs_init */

/* proc/ registers its processes after the root came into being. */
void proc_root_register(const struct proc_directory *dynamic)
{
    proc_node_of(instance->root->inode)->directory = dynamic;
}

void *proc_inode_object(const struct inode *inode)
{
    return proc_node_of(inode)->object;
}

u64 proc_inode_key(const struct inode *inode)
{
    return proc_node_of(inode)->key;
}

const struct proc_directory *proc_inode_directory(const struct inode *inode)
{
    if (inode->operations != &proc_directory_inode_operations)
        return NULL;
    return proc_node_of(inode)->directory;
}

/* ---- Attributes: the owner may change while we live (setuid) ---- */

static void owner_refresh(struct inode *inode)
{
    const struct proc_node *node = proc_node_of(inode);

    if (node->holder && node->holder->owner)
        node->holder->owner(node->object, inode->mode, &inode->uid, &inode->gid);
}

static int proc_get_attributes(struct inode *inode, struct attributes *attributes_out)
{
    owner_refresh(inode);
    inode_attributes(inode, attributes_out);
    attributes_out->block_bytes = 1024;
    return 0;
}

static int proc_set_attributes(struct inode *inode, const struct attribute_change *change)
{
    /* O_TRUNC of a file that is written, as shells do it. */
    return change->valid & (CHANGE_MODE | CHANGE_UID | CHANGE_GID) ? -EPERM : 0;
}

/* ---- Guards ---- */

int proc_node_permits(const struct proc_node *node, enum proc_guard guard)
{
    if (!node->entry || node->entry->guard != guard || !node->holder || !node->holder->permits ||
        node->holder->permits(node->object))
        return 0;
    return guard == PROC_GUARD_OPEN ? -EACCES : -EPERM;
}

u64 proc_node_generation(const struct proc_node *node)
{
    if (!node->entry || node->entry->guard != PROC_GUARD_OPEN || !node->holder ||
        !node->holder->generation)
        return 0;
    return node->holder->generation(node->object);
}

int proc_open_guarded(struct inode *inode, struct file *file)
{
    const struct proc_node *node = proc_node_of(inode);

    file->private_data = (void *)proc_node_generation(node);
    return proc_node_permits(node, PROC_GUARD_OPEN);
}

bool proc_file_is_current(const struct file *file)
{
    return proc_node_generation(proc_node_of(file->inode)) == (u64)file->private_data;
}

/* ---- Links ---- */

static ssize_t proc_readlink(struct inode *inode, char *buffer, size_t size)
{
    const struct proc_node *node = proc_node_of(inode);
    int error = proc_node_permits(node, PROC_GUARD_OPEN);

    if (error)
        return error;
    return node->entry->readlink ? node->entry->readlink(node->object, node->key, buffer, size)
                                 : -EINVAL;
}

static int proc_follow(struct inode *inode, struct path *path_out)
{
    const struct proc_node *node = proc_node_of(inode);
    int error = proc_node_permits(node, PROC_GUARD_OPEN);

    return error ? error : node->entry->follow(node->object, node->key, path_out);
}

static const struct inode_operations file_inode_operations = {
    .get_attributes = proc_get_attributes,
    .set_attributes = proc_set_attributes,
};
static const struct inode_operations link_inode_operations = {
    .get_attributes = proc_get_attributes,
    .readlink = proc_readlink,
};
static const struct inode_operations jump_inode_operations = {
    .get_attributes = proc_get_attributes,
    .readlink = proc_readlink,
    .follow = proc_follow,
};

/* ---- Inodes ---- */

static void node_put(const struct proc_node *node)
{
    if (node->holder && node->holder->put)
        node->holder->put(node->object);
}

static void inode_set_tables(struct inode *inode, const struct proc_node *node)
{
    const struct proc_entry *entry = node->entry;

    inode->mode = entry ? entry->mode : S_IFDIR | 0555;
    switch (inode->mode & S_IFMT) {
    case S_IFDIR:
        inode->operations = &proc_directory_inode_operations;
        inode->file_operations = &proc_directory_operations;
        inode->links = 2;
        break;
    case S_IFLNK:
        inode->operations = entry->follow ? &jump_inode_operations : &link_inode_operations;
        break;
    default:
        inode->operations = &file_inode_operations;
        inode->file_operations = entry->operations ? entry->operations : &proc_text_operations;
        break;
    }
}

int proc_inode_create(struct file_system *file_system, const struct proc_node *node,
                      struct inode **inode_out)
{
    struct proc_node *copy = kmalloc(sizeof(*copy), 0);
    struct inode *inode = copy ? inode_alloc(file_system) : NULL;

    if (!inode) {
        kfree(copy);
        node_put(node);
        return -ENOMEM;
    }
    *copy = *node;
    inode->private_data = copy;
    inode_set_tables(inode, copy);
    owner_refresh(inode);
    *inode_out = inode;
    return 0;
}

static void proc_inode_release(struct inode *inode)
{
    node_put(proc_node_of(inode));
    kfree(inode->private_data);
}

/* ---- The instance ---- */

static int proc_statistics(struct file_system *file_system, struct statistics *statistics_out)
{
    *statistics_out = (struct statistics){.type = file_system->magic,
                                          .block_bytes = PAGE_SIZE,
                                          .name_max = NAME_MAX_BYTES,
                                          .id = file_system->device};
    return 0;
}

static int proc_remount(struct file_system *file_system, const struct mount_source *source)
{
    return file_system == instance ? proc_options_set(source->options) : 0;
}

static void proc_show_options(struct file_system *file_system, char *buffer, size_t size)
{
    buffer[0] = '\0';
    if (file_system == instance)
        proc_options_show(buffer, size);
}

static const struct file_system_operations proc_operations = {
    .inode_release = proc_inode_release,
    .statistics = proc_statistics,
    .remount = proc_remount,
    .show_options = proc_show_options,
};

/* One tree, however often it is mounted. */
static int proc_mount(const struct file_system_type *type, const struct mount_source *source,
                      struct file_system **file_system_out)
{
    int error = proc_options_set(source->options);

    if (error)
        return error;
    file_system_get(instance);
    *file_system_out = instance;
    return 0;
}

static struct file_system_type proc_type = {
    .name = "proc",
    .flags = FILE_SYSTEM_NO_DEVICE,
    .mount = proc_mount,
};

struct file_system *proc_tree_create(const struct file_system_type *type, u64 magic,
                                     struct proc_folder *folder)
{
    const struct proc_node root = {.folder = folder};
    struct file_system *file_system = file_system_alloc(type, &proc_operations, magic);
    struct inode *inode;

    if (!file_system || proc_inode_create(file_system, &root, &inode))
        panic("no memory for %s", type->name);
    file_system->root = dentry_create_root(inode);
    assert(file_system->root);
    file_system->flags |= FILE_SYSTEM_STAYS;
    return file_system;
}

void proc_fs_init(void)
{
    instance = proc_tree_create(&proc_type, PROC_SUPER_MAGIC, &proc_root_folder);
    file_system_register(&proc_type);
    mounts_text_init();
    proc_values_init();
    proc_memory_use_init();
    proc_lock_waits_init();
}
