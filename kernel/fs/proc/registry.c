/*
 * What was registered in /proc (and /sys): folders, and what lies in them.
 *
 * Everything that is registered stays for ever, so who found something may use it without the lock.
 * Things register at boot, when nobody else can come between the look for a name and its entry.
 *
 * Positions in a listing ascend in the order of registration, over all folders.
 */
#include "procfs.h"

#define FIRST_POSITION 2u /* after "." and ".." */

static struct {
    struct spinlock lock; /* LOCK_LEAF */
    u64 next_position;    /* guarded_by(&lock) */
} registry = {.lock = SPINLOCK_INIT(LOCK_LEAF), .next_position = FIRST_POSITION};

struct proc_folder proc_root_folder = {.children = LIST_INIT(proc_root_folder.children)};

struct proc_registered *proc_folder_find(struct proc_folder *folder, const char *name, u32 bytes)
{
    struct proc_registered *registered, *found = NULL;

    spin_lock(&registry.lock);
    list_for_each (registered, &folder->children, link) {
        if (strlen(registered->name) == bytes && memcmp(registered->name, name, bytes) == 0)
            found = registered;
    }
    spin_unlock(&registry.lock);
    return found;
}

struct proc_registered *proc_folder_from(struct proc_folder *folder, u64 position)
{
    struct proc_registered *registered, *found = NULL;

    spin_lock(&registry.lock);
    list_for_each (registered, &folder->children, link) {
        if (registered->position >= position) {
            found = registered;
            break;
        }
    }
    spin_unlock(&registry.lock);
    return found;
}

static int add(struct proc_folder *folder, const struct proc_registered *what)
{
    struct proc_registered *registered;

    if (proc_folder_find(folder, what->name, strlen(what->name)))
        return -EEXIST;
    registered = kmalloc(sizeof(*registered), 0);
    if (!registered)
        return -ENOMEM;
    *registered = *what;
    spin_lock(&registry.lock);
    registered->position = registry.next_position++;
    list_push_back(&folder->children, &registered->link);
    spin_unlock(&registry.lock);
    return 0;
}

/* A copy of a part of a name, which stays. */
static char *name_copy(const char *from, size_t bytes)
{
    char *copy = kmalloc(bytes + 1, 0);

    if (copy) {
        memcpy(copy, from, bytes);
        copy[bytes] = '\0';
    }
    return copy;
}

static int folder_add(struct proc_folder *parent, const char *name, size_t bytes,
                      struct proc_folder **folder_out)
{
    struct proc_folder *folder = kmalloc(sizeof(*folder), ALLOC_CLEARED);
    char *copy = name_copy(name, bytes);
    int error = -ENOMEM;

    if (folder && copy) {
        const struct proc_registered what = {.name = copy, .folder = folder};

        list_init(&folder->children);
        folder->name = copy;
        error = add(parent, &what);
    }
    if (error) {
        kfree(copy);
        kfree(folder);
        return error;
    }
    *folder_out = folder;
    return 0;
}

/* The folder below `folder` that `path` names (up to `end`), made if need be. */
static int folder_get(struct proc_folder *folder, const char *path, const char *end,
                      struct proc_folder **folder_out)
{

    while (path < end) {
        const char *slash = path;
        struct proc_registered *child;
        int error;

        while (slash < end && *slash != '/')
            slash++;
        child = proc_folder_find(folder, path, (u32)(slash - path));
        if (child && !child->folder)
            return -ENOTDIR;
        if (child) {
            folder = child->folder;
        } else {
            error = folder_add(folder, path, (size_t)(slash - path), &folder);
            if (error)
                return error;
        }
        path = slash < end ? slash + 1 : end;
    }
    *folder_out = folder;
    return 0;
}

int proc_folder_register(struct proc_folder *root, const char *folder_name,
                         const struct proc_entry *entry, void *object)
{
    const struct proc_registered what = {.name = entry->name, .entry = entry, .object = object};
    struct proc_folder *folder;
    int error = folder_get(root, folder_name, folder_name + strlen(folder_name), &folder);

    return error ? error : add(folder, &what);
}

int proc_folder_make(struct proc_folder *root, const char *name)
{
    struct proc_folder *folder;

    return folder_get(root, name, name + strlen(name), &folder);
}

int proc_register_entry(const char *folder_name, const struct proc_entry *entry, void *object)
{
    return proc_folder_register(&proc_root_folder, folder_name, entry, object);
}

int proc_register(const char *name, u32 mode, int (*show)(struct text_sink *sink, void *argument),
                  void *argument)
{
    const char *last = strrchr(name, '/');
    struct proc_entry *entry = kmalloc(sizeof(*entry), ALLOC_CLEARED);
    struct proc_folder *folder;
    int error;

    if (!entry)
        return -ENOMEM;
    entry->name = last ? last + 1 : name;
    entry->mode = S_IFREG | mode;
    entry->show = show;
    error = folder_get(&proc_root_folder, name, last ? last : name, &folder);
    if (!error) {
        const struct proc_registered what = {
            .name = entry->name, .entry = entry, .object = argument};

        error = add(folder, &what);
    }
    if (error)
        kfree(entry);
    return error;
}
