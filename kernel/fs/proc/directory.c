/*
 * /proc's directories: looking names up and listing them, over what is registered, tables, and what
 * comes and goes.
 *
 * Positions for listing: what is registered by its own position; the entries of a table from
 * TABLE_POSITION on, then those that it shares with another directory; what comes and goes by its
 * key from DYNAMIC_POSITION on, so that a listing goes on at the right process however many have
 * ended meanwhile.
 *
 *     0 1   2 ...           2^32 ...                2^33 + key ...
 *     . ..  registered      table, shared table     processes, descriptors
 *
 * A lookup asks in the same order, so what is registered hides what comes and goes. There are no
 * negative names here: a process may have the number at the next try.
 *
 * Locking: none of its own; the directory's inode.lock is held by the callers (inode.h).
 */
#include "procfs.h"

#define FIRST_POSITION   2u
#define TABLE_POSITION   (1ul << 32)
#define DYNAMIC_POSITION (1ul << 33)

/* ---- Looking up ---- */

static const struct proc_entry *table_find(const struct proc_directory *directory, const char *name,
                                           u32 bytes)
{
    for (u32 i = 0; i < directory->count; i++)
        if (strlen(directory->entries[i].name) == bytes &&
            memcmp(directory->entries[i].name, name, bytes) == 0)
            return &directory->entries[i];
    return NULL;
}

/* Who counts the object of an entry that lies in `directory`. */
static const struct proc_directory *holder_of(const struct proc_entry *entry,
                                              const struct proc_directory *directory)
{
    return entry->directory ? entry->directory : directory;
}

static void *shared_object(const struct proc_directory *directory, void *object)
{
    return directory->shared_object ? directory->shared_object(object) : object;
}

/*
 * The entry in the directory or in what it shares, and what that shares; *directory_io and
 * *object_io are then of the one that has it. NULL: none has.
 */
static const struct proc_entry *tables_find(const struct proc_directory **directory_io,
                                            void **object_io, const char *name, u32 bytes)
{
    const struct proc_entry *entry = NULL;

    while (*directory_io && !(entry = table_find(*directory_io, name, bytes))) {
        *object_io = shared_object(*directory_io, *object_io);
        *directory_io = (*directory_io)->shared;
    }
    return entry;
}

static bool registered_lookup(const struct proc_node *parent, const char *name, u32 bytes,
                              struct proc_node *node_out)
{
    struct proc_registered *registered =
        parent->folder ? proc_folder_find(parent->folder, name, bytes) : NULL;

    if (!registered)
        return false;
    *node_out = (struct proc_node){
        .entry = registered->entry,
        .folder = registered->folder,
        .directory = registered->entry ? registered->entry->directory : NULL,
        .object = registered->object,
    };
    return true;
}

static bool table_lookup(const struct proc_node *parent, const char *name, u32 bytes,
                         struct proc_node *node_out)
{
    const struct proc_directory *directory = parent->directory;
    void *object = parent->object;
    const struct proc_entry *entry = tables_find(&directory, &object, name, bytes);

    if (!entry)
        return false;
    *node_out = (struct proc_node){
        .entry = entry,
        .directory = entry->directory,
        .holder = holder_of(entry, directory),
        .object = object,
    };
    if (node_out->holder->get)
        node_out->holder->get(object);
    return true;
}

static int dynamic_lookup(const struct proc_node *parent, const char *name, u32 bytes,
                          struct proc_node *node_out)
{
    const struct proc_directory *directory = parent->directory;
    const struct proc_entry *entry;
    void *object = NULL;
    u64 key = 0;
    int error;

    if (!directory || !directory->lookup)
        return -ENOENT;
    error = directory->lookup(parent->object, name, bytes, &entry, &object, &key);
    if (error)
        return error;
    *node_out = (struct proc_node){
        .entry = entry,
        .directory = entry->directory,
        .holder = holder_of(entry, directory),
        .object = object,
        .key = key,
    };
    if (proc_shows(entry->directory, object))
        return 0;
    node_out->holder->put(object);
    return -ENOENT;
}

static int proc_lookup(struct inode *inode, struct dentry *dentry, struct inode **inode_out)
{
    const struct proc_node *parent = proc_node_of(inode);
    const char *name = dentry_name(dentry);
    u32 bytes = dentry_name_bytes(dentry);
    struct proc_node node;
    int error = proc_node_permits(parent, PROC_GUARD_OPEN);

    if (!error)
        error = proc_enter(parent->directory, parent->object);
    if (error)
        return error;
    if (!registered_lookup(parent, name, bytes, &node)) {
        if (!table_lookup(parent, name, bytes, &node)) {
            error = dynamic_lookup(parent, name, bytes, &node);
            /* What comes and goes is looked at anew by each walk. */
            dentry_set_valid_until(dentry, 0);
        } else if (parent->directory->permits) {
            dentry_set_valid_until(dentry, 0); /* not everybody may come here */
        }
        /* Kept in the cache it would keep its process. */
        dentry_set_fleeting(dentry);
    }
    /* No negative names: nothing can be made here, and programs expect ENOENT of a try. */
    if (error)
        return error;
    return proc_inode_create(inode->file_system, &node, inode_out);
}

static int proc_revalidate(struct inode *inode, struct dentry *dentry)
{
    const struct proc_directory *directory = proc_node_of(inode)->directory;
    const struct inode *child = dentry_inode(dentry);
    const struct proc_node *node;

    if (!child || !directory || proc_enter(directory, proc_node_of(inode)->object))
        return 0;
    node = proc_node_of(child);
    return (!directory->is_valid || directory->is_valid(node->object, node->key)) &&
           proc_shows(node->directory, node->object);
}

const struct inode_operations proc_directory_inode_operations = {
    .lookup = proc_lookup,
    .revalidate = proc_revalidate,
};

/* ---- Listing ---- */

static bool add_entry(struct file *file, struct directory_sink *sink, const char *name, u32 type,
                      u64 next)
{
    const struct directory_entry entry = {
        .name = name,
        .name_bytes = strlen(name),
        .type = type,
        .inode_number = file->inode->number + next, /* never 0, which old readers skip */
        .next = next,
    };

    if (!sink->add(sink, &entry))
        return false;
    file->offset = next;
    return true;
}

static bool add_registered(struct file *file, struct directory_sink *sink)
{
    struct proc_folder *folder = proc_node_of(file->inode)->folder;
    struct proc_registered *registered;

    while (folder && (registered = proc_folder_from(folder, file->offset))) {
        u32 type = registered->entry ? MODE_TO_DT(registered->entry->mode) : DT_DIR;

        if (!add_entry(file, sink, registered->name, type, registered->position + 1))
            return false;
    }
    return true;
}

/* By its place among a directory's entries and those that it shares. NULL: there are no more. */
static const struct proc_entry *tables_entry(const struct proc_directory *directory, u64 place)
{
    for (; directory; directory = directory->shared) {
        if (place < directory->count)
            return &directory->entries[place];
        place -= directory->count;
    }
    return NULL;
}

/* One that a lookup of its name does not find is hidden by another. */
static bool entry_is_hidden(const struct proc_entry *entry, const struct proc_directory *directory,
                            void *object)
{
    return tables_find(&directory, &object, entry->name, strlen(entry->name)) != entry;
}

static bool add_table(struct file *file, struct directory_sink *sink,
                      const struct proc_directory *directory)
{
    void *object = proc_node_of(file->inode)->object;
    const struct proc_entry *entry;

    for (u64 i = file->offset - TABLE_POSITION; (entry = tables_entry(directory, i)); i++)
        if (!entry_is_hidden(entry, directory, object) &&
            !add_entry(file, sink, entry->name, MODE_TO_DT(entry->mode), TABLE_POSITION + i + 1))
            return false;
    return true;
}

static bool dynamic_is_shown(const struct proc_node *parent, const char *name)
{
    struct proc_node node;

    if (!proc_hides())
        return true;
    if (dynamic_lookup(parent, name, (u32)strlen(name), &node))
        return false;
    if (node.holder->put)
        node.holder->put(node.object);
    return true;
}

static void add_dynamic(struct file *file, struct directory_sink *sink,
                        const struct proc_directory *directory)
{
    void *object = proc_node_of(file->inode)->object;
    u64 key = file->offset - DYNAMIC_POSITION;
    char name[NAME_MAX_BYTES + 1];
    u32 type;

    while (directory->next && directory->next(object, &key, name, sizeof(name), &type)) {
        if (dynamic_is_shown(proc_node_of(file->inode), name) &&
            !add_entry(file, sink, name, type, DYNAMIC_POSITION + key + 1))
            return;
        key++;
    }
}

static bool add_dots(struct file *file, struct directory_sink *sink)
{
    static const char *const dots[] = {".", ".."};

    while (file->offset < FIRST_POSITION)
        if (!add_entry(file, sink, dots[file->offset], DT_DIR, file->offset + 1))
            return false;
    return true;
}

static int proc_iterate(struct file *file, struct directory_sink *sink)
{
    const struct proc_directory *directory = proc_node_of(file->inode)->directory;
    int error = proc_node_permits(proc_node_of(file->inode), PROC_GUARD_OPEN);

    if (!error)
        error = proc_enter(directory, proc_node_of(file->inode)->object);
    if (error)
        return error;
    if (!add_dots(file, sink))
        return 0;
    if (file->offset < TABLE_POSITION) {
        if (!add_registered(file, sink))
            return 0;
        file->offset = TABLE_POSITION;
    }
    if (!directory)
        return 0;
    if (file->offset < DYNAMIC_POSITION) {
        if (!add_table(file, sink, directory))
            return 0;
        file->offset = DYNAMIC_POSITION;
    }
    add_dynamic(file, sink, directory);
    return 0;
}

const struct file_operations proc_directory_operations = {
    .iterate = proc_iterate,
};
