/*
 * Kinds of file systems by name, and their instances.
 *
 * An instance lives while a mount or one of its inodes refers to it. When the last mount goes, its
 * names go, and with them the inodes that nobody has open; the last inode ends the instance. So the
 * reference of a mount is given up in two steps: first the tree of names, then the count.
 *
 *     last mount_put -> names forgotten -> inodes put -> last file_system_put -> `unmount`
 *
 * With FILE_SYSTEM_STAYS (/proc, the host's files) there is one instance, to which its own source
 * file keeps a reference, and whose names stay for the next mount.
 *
 * Locking: types.lock for the list of kinds; file_system.inode_lock for the count of mounts.
 */
#include <pith/fs.h>

#include "dentry.h"
#include "file_system.h"
#include "notify.h"

#define NUMBER_DIGITS 31

static struct {
    struct spinlock lock; /* LOCK_LEAF */
    struct list list;     /* guarded_by(&lock); never shrinks */
    u32 devices;          /* [atomic] minor numbers given out: st_dev 0:1, 0:2, ... */
} types = {.lock = SPINLOCK_INIT(LOCK_LEAF), .list = LIST_INIT(types.list)};

void file_system_register(struct file_system_type *type)
{
    spin_lock(&types.lock);
    list_push_back(&types.list, &type->link);
    spin_unlock(&types.lock);
}

const struct file_system_type *file_system_type_find(const char *name)
{
    const struct file_system_type *type, *found = NULL;

    spin_lock(&types.lock);
    list_for_each (type, &types.list, link) {
        if (strcmp(type->name, name) == 0)
            found = type;
    }
    spin_unlock(&types.lock);
    return found;
}

void file_system_types_print(struct text_sink *sink)
{
    const struct file_system_type *type;

    /* Without the lock, since printing may sleep: types are added at boot and stay. */
    list_for_each (type, &types.list, link)
        text_print(sink, "%s\t%s\n", type->flags & FILE_SYSTEM_NO_DEVICE ? "nodev" : "",
                   type->name);
}

struct file_system *file_system_alloc(const struct file_system_type *type,
                                      const struct file_system_operations *operations, u64 magic)
{
    struct file_system *file_system = kmalloc(sizeof(*file_system), ALLOC_CLEARED);

    if (!file_system)
        return NULL;
    refcount_set(&file_system->references, 1);
    file_system->type = type;
    file_system->operations = operations;
    file_system->magic = magic;
    file_system->size_max = FILE_SIZE_MAX;
    file_system->device = DEVICE_NUMBER(0, __atomic_add_fetch(&types.devices, 1, __ATOMIC_RELAXED));
    spin_init(&file_system->inode_lock, LOCK_INODE_TABLE);
    return file_system;
}

void file_system_put(struct file_system *file_system)
{
    if (!refcount_dec_is_zero(&file_system->references))
        return;
    if (file_system->operations->unmount)
        file_system->operations->unmount(file_system);
    kfree(file_system);
}

void file_system_unmount(struct file_system *file_system)
{
    u32 mounts;

    spin_lock(&file_system->inode_lock);
    mounts = --file_system->mounts;
    spin_unlock(&file_system->inode_lock);
    if (mounts == 0 && !(file_system->flags & FILE_SYSTEM_STAYS)) {
        if (file_system->operations->sync)
            (void)file_system->operations->sync(file_system);
        notify_unmounted(file_system);
        dentry_tree_destroy(file_system->root);
    }
    file_system_put(file_system);
}

void file_system_mounted(struct file_system *file_system)
{
    spin_lock(&file_system->inode_lock);
    file_system->mounts++;
    spin_unlock(&file_system->inode_lock);
}

static size_t option_length(const char *option)
{
    const char *end = strchr(option, ',');

    return end ? (size_t)(end - option) : strlen(option);
}

static bool option_is(const char *option, const char *name)
{
    size_t bytes = strlen(name);

    return strncmp(option, name, bytes) == 0 &&
           (option[bytes] == '\0' || option[bytes] == ',' || option[bytes] == '=');
}

/*
 * Of an option that is given twice the last counts, as mount(8) relies on; what is too long is cut.
 */
bool mount_option_find(const char *options, const char *name, char *value, size_t size)
{
    size_t name_bytes = strlen(name), bytes;
    bool is_there = false;

    for (; options && *options; options += bytes + (options[bytes] == ',')) {
        bytes = option_length(options);
        if (option_is(options, name) && bytes > name_bytes) {
            size_t value_bytes = MIN(bytes - name_bytes - 1, size - 1);

            memcpy(value, options + name_bytes + 1, value_bytes);
            value[value_bytes] = '\0';
            is_there = true;
        }
    }
    return is_there;
}

int mount_option_number(const char *options, const char *name, u32 base, u32 *number)
{
    char value[NUMBER_DIGITS + 1];
    u32 result = 0;

    if (!mount_option_find(options, name, value, sizeof(value)))
        return 0;
    for (const char *digit = value; *digit; digit++) {
        if (*digit < '0' || *digit >= '0' + (int)base)
            return -EINVAL;
        result = result * base + (u32)(*digit - '0');
    }
    *number = result;
    return 0;
}

int file_system_check_options(const struct file_system_type *type, const char *options)
{
    if (!type->options)
        return 0;
    for (; options && *options; options += option_length(options)) {
        const char *const *name = type->options;

        options += *options == ',';
        while (*name && !option_is(options, *name))
            name++;
        if (*options && *options != ',' && !*name)
            return -EINVAL;
    }
    return 0;
}
