/*
 * /dev: one tmpfs that is the same wherever it is mounted, in which devices appear as they register
 * (Linux's devtmpfs). Programs may make, remove and change names in it as in any tmpfs.
 *
 * Names are made through a mount that lies nowhere, by the calls that programs use
 * (change_names.c), so what watches /dev is told of them. Devices that register before /dev is
 * there are published when it comes up (devices_publish).
 */
#include "change_names.h"
#include "device.h"

static struct {
    struct file_system *file_system; /* [const] after devfs_init */
    struct mount *mount;             /* lies nowhere: for making names */
} devfs;

static int devfs_mount(const struct file_system_type *type, const struct mount_source *source,
                       struct file_system **file_system_out)
{
    file_system_get(devfs.file_system);
    *file_system_out = devfs.file_system;
    return 0;
}

static struct file_system_type devfs_type = {
    .name = "devtmpfs",
    .flags = FILE_SYSTEM_NO_DEVICE,
    .mount = devfs_mount,
};

#define DIRECTORY_MODE 0755u

/* Makes the directories before the last component of `name`. */
static int directories_make(const struct path *root, const char *name)
{
    char directory[NAME_MAX_BYTES];
    const char *slash = name;

    while ((slash = strchr(slash, '/'))) {
        size_t bytes = MIN((size_t)(slash - name), sizeof(directory) - 1);
        int error;

        memcpy(directory, name, bytes);
        directory[bytes] = '\0';
        error = name_mkdir(root, directory, DIRECTORY_MODE);
        if (error && error != -EEXIST)
            return error;
        slash++;
    }
    return 0;
}

/* Borrowed: both stay for ever. */
static struct path devfs_root(void)
{
    return (struct path){devfs.mount, devfs.file_system->root};
}

int devfs_add(const char *name, u32 mode, u64 rdev)
{
    const struct path root = devfs_root();
    int error = directories_make(&root, name);

    return error ? error : name_mknod(&root, name, mode, rdev, NULL);
}

int devfs_add_link(const char *name, const char *target)
{
    const struct path root = devfs_root();

    return name_symlink(&root, name, target);
}

static const struct {
    const char *name, *target;
} links[] = {
    {"fd", "/proc/self/fd"},
    {"stdin", "/proc/self/fd/0"},
    {"stdout", "/proc/self/fd/1"},
    {"stderr", "/proc/self/fd/2"},
};

void devfs_init(void)
{
    const struct mount_source source = {.source = "devtmpfs", .options = "mode=0755"};
    const struct file_system_type *tmpfs = file_system_type_find("tmpfs");
    struct path root;
    int error;

    if (!tmpfs || tmpfs->mount(&devfs_type, &source, &devfs.file_system))
        panic("no memory for /dev");
    devfs.file_system->flags |= FILE_SYSTEM_STAYS;
    devfs.mount = mount_alloc(devfs.file_system, devfs.file_system->root, "devtmpfs", 0);
    assert(devfs.mount);
    file_system_register(&devfs_type);
    root = devfs_root();
    error = name_mkdir(&root, "shm", 0777 | S_ISVTX);
    if (!error)
        error = name_mkdir(&root, "pts", DIRECTORY_MODE);
    for (size_t i = 0; i < ARRAY_SIZE(links) && !error; i++)
        error = devfs_add_link(links[i].name, links[i].target);
    if (error)
        panic("no memory for the names in /dev");
    devices_publish();
}
