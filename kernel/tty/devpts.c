/*
 * devpts: the file system of the pseudo-terminals' slaves, usually at /dev/pts.
 *
 * Its names are made from pty.c's table when they are asked for. A name's inode keeps a reference
 * to the terminal that had the number when it was looked up, so a cached name is right exactly
 * while that terminal still has it: a number that was given away anew gets a fresh inode, with its
 * new owner and mode. So every name but ptmx is asked about again at each walk (valid until 0),
 * also one that led nowhere.
 *
 *     dentry "3" -> inode -> tty A          pty_get(3): tty A: the same: right
 *                                           pty_get(3): tty B, or none: looked up again
 *
 * Every mount is an instance with options of its own (gid, mode, ptmxmode) over the same table; a
 * slave has the fsuid of who opened its master.
 *
 * Locking: none of its own: pty.c's table has one.
 */
#include "pty.h"

#include <pith/abi/errno.h>
#include <pith/string.h>

#define DEVPTS_MAGIC    0x1cd1
#define PTMX_NAME       "ptmx"
#define PTMX_DEVICE     DEVICE_NUMBER(5, 2)
#define PTS_MAJOR       136
#define DIRECTORY_MODE  (S_IFDIR | 0755)
#define POSITION_PTMX   2 /* after "." and ".." */
#define POSITION_SLAVES 3
#define NUMBER_DIGITS   10

struct devpts {
    u32 mode, ptmx_mode; /* [const] */
    u32 gid;             /* [const] */
    bool gid_is_set;     /* [const] else the opener's of the master */
};

/* ---- Names and inodes ---- */

/* The number that a name stands for, written as the kernel writes it; -1: none. */
static int name_number(const struct dentry *dentry)
{
    const char *name = dentry_name(dentry);
    u32 bytes = dentry_name_bytes(dentry);
    int number = 0;

    if (bytes == 0 || bytes >= NUMBER_DIGITS || (name[0] == '0' && bytes > 1))
        return -1;
    for (u32 i = 0; i < bytes; i++) {
        if (name[i] < '0' || name[i] > '9')
            return -1;
        number = number * 10 + (name[i] - '0');
    }
    return number;
}

static bool name_is_ptmx(const struct dentry *dentry)
{
    return dentry_name_bytes(dentry) == strlen(PTMX_NAME) &&
           !memcmp(dentry_name(dentry), PTMX_NAME, strlen(PTMX_NAME));
}

static struct inode *device_create(struct file_system *file_system, u32 mode, u64 rdev)
{
    struct inode *inode = inode_alloc(file_system);

    if (!inode)
        return NULL;
    inode->mode = S_IFCHR | mode;
    inode_init_special(inode, inode->mode, rdev);
    return inode;
}

/* The slave's inode, or NULL if nobody has the number now. -ENOMEM. */
static int slave_find(struct file_system *file_system, int number, struct inode **inode_out)
{
    const struct devpts *devpts = file_system->private_data;
    struct tty *tty = pty_get(number);
    struct inode *inode;
    u32 uid, gid;

    *inode_out = NULL;
    if (!tty)
        return 0;
    inode = device_create(file_system, devpts->mode, DEVICE_NUMBER(PTS_MAJOR, number));
    if (!inode) {
        tty_put(tty);
        return -ENOMEM;
    }
    if (pty_owner(number, &uid, &gid)) {
        inode->uid = uid;
        inode->gid = devpts->gid_is_set ? devpts->gid : gid;
    }
    inode->private_data = tty;
    *inode_out = inode;
    return 0;
}

static int devpts_lookup(struct inode *directory, struct dentry *dentry, struct inode **inode_out)
{
    const struct devpts *devpts = directory->file_system->private_data;
    int number = name_number(dentry);

    *inode_out = NULL;
    if (name_is_ptmx(dentry)) {
        *inode_out = device_create(directory->file_system, devpts->ptmx_mode, PTMX_DEVICE);
        return *inode_out ? 0 : -ENOMEM;
    }
    dentry_set_valid_until(dentry, 0);
    return number < 0 ? 0 : slave_find(directory->file_system, number, inode_out);
}

/*
 * Pointers are only compared: the inode's reference keeps its terminal from being another's memory.
 */
static int devpts_revalidate(struct inode *directory, struct dentry *dentry)
{
    struct inode *inode = dentry_inode(dentry);
    int number = name_number(dentry);
    struct tty *tty = number < 0 ? NULL : pty_get(number);
    bool is_right = tty == (inode ? inode->private_data : NULL);

    if (tty)
        tty_put(tty);
    return is_right;
}

static bool list_one(struct file *file, struct directory_sink *sink, const char *name, u32 type,
                     u64 position)
{
    const struct directory_entry entry = {
        .name = name,
        .name_bytes = strlen(name),
        .type = type,
        .inode_number = position + 1, /* not 0, and alike for as long as the name is the same */
        .next = position + 1,
    };

    if (!sink->add(sink, &entry))
        return false;
    file->offset = entry.next;
    return true;
}

/*
 * Positions are 0 ".", 1 "..", 2 "ptmx", and 3 + N for number N, so a listing that goes on later
 * misses none that was there all the time.
 */
static int devpts_iterate(struct file *file, struct directory_sink *sink)
{
    char name[NUMBER_DIGITS + 1];
    int number;

    if (file->offset == 0 && !list_one(file, sink, ".", DT_DIR, 0))
        return 0;
    if (file->offset == 1 && !list_one(file, sink, "..", DT_DIR, 1))
        return 0;
    if (file->offset == POSITION_PTMX && !list_one(file, sink, PTMX_NAME, DT_CHR, POSITION_PTMX))
        return 0;
    while ((number = pty_next(file->offset - POSITION_SLAVES)) >= 0) {
        format_text_clipped(name, sizeof(name), "%d", number);
        if (!list_one(file, sink, name, DT_CHR, POSITION_SLAVES + number))
            break;
    }
    return 0;
}

static const struct inode_operations root_operations = {
    .lookup = devpts_lookup,
    .revalidate = devpts_revalidate,
};

static const struct file_operations root_file_operations = {
    .iterate = devpts_iterate,
};

/* ---- Instances ---- */

static void devpts_inode_release(struct inode *inode)
{
    if (inode->private_data)
        tty_put(inode->private_data);
}

static void devpts_unmount(struct file_system *file_system)
{
    kfree(file_system->private_data);
}

static int devpts_statistics(struct file_system *file_system, struct statistics *statistics_out)
{
    *statistics_out = (struct statistics){.type = file_system->magic,
                                          .block_bytes = PAGE_SIZE,
                                          .name_max = NAME_MAX_BYTES,
                                          .id = file_system->device};
    return 0;
}

static const struct file_system_operations devpts_operations = {
    .statistics = devpts_statistics,
    .inode_release = devpts_inode_release,
    .unmount = devpts_unmount,
};

static int options_parse(struct devpts *devpts, const char *options)
{
    u32 gid = U32_MAX;
    int error;

    devpts->mode = 0600;
    error = mount_option_number(options, "mode", 8, &devpts->mode);
    if (!error)
        error = mount_option_number(options, "ptmxmode", 8, &devpts->ptmx_mode);
    if (!error)
        error = mount_option_number(options, "gid", 10, &gid);
    devpts->gid = gid;
    devpts->gid_is_set = gid != U32_MAX;
    return error;
}

static int root_create(struct file_system *file_system)
{
    struct inode *root = inode_alloc(file_system);

    if (!root)
        return -ENOMEM;
    root->mode = DIRECTORY_MODE;
    root->links = 2;
    root->operations = &root_operations;
    root->file_operations = &root_file_operations;
    file_system->root = dentry_create_root(root);
    if (file_system->root)
        return 0;
    inode_put(root);
    return -ENOMEM;
}

static int devpts_mount(const struct file_system_type *type, const struct mount_source *source,
                        struct file_system **file_system_out)
{
    struct devpts *devpts = kmalloc(sizeof(*devpts), ALLOC_CLEARED);
    struct file_system *file_system;
    int error;

    if (!devpts)
        return -ENOMEM;
    error = options_parse(devpts, source->options);
    if (error)
        goto free_devpts;
    error = -ENOMEM;
    file_system = file_system_alloc(type, &devpts_operations, DEVPTS_MAGIC);
    if (!file_system)
        goto free_devpts;
    file_system->private_data = devpts;
    error = root_create(file_system);
    if (error) {
        file_system_put(file_system); /* frees devpts */
        return error;
    }
    *file_system_out = file_system;
    return 0;

free_devpts:
    kfree(devpts);
    return error;
}

static const char *const devpts_options[] = {"mode", "ptmxmode", "gid", "newinstance", NULL};

static struct file_system_type devpts_type = {
    .name = "devpts",
    .options = devpts_options,
    .flags = FILE_SYSTEM_NO_DEVICE,
    .mount = devpts_mount,
};

/* By name, so it wants a devpts at /dev/pts, where Linux opens the inode (ioctl_tty(2)). */
long pty_open_peer(struct file *master, u64 flags)
{
    char name[32];
    struct file *slave;
    int error;

    format_text_clipped(name, sizeof(name), "/dev/pts/%u", pty_number(master->private_data));
    error = file_open_at(NULL, name, (u32)flags & ~(u32)O_CREAT, 0, &slave);
    if (error)
        return error;
    return fd_create(slave, (u32)flags & O_CLOEXEC);
}

void devpts_init(void)
{
    file_system_register(&devpts_type);
}
