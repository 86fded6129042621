/*
 * Files in memory without a name, and seals, which forbid changes for ever (memfd_create(2),
 * fcntl(2)). They lie in a tmpfs that is mounted nowhere.
 *
 * A seal is a promise to whoever has the file besides: it is never taken back, so who sees one may
 * rely on it. Seals are set under inode.lock, and everything that they forbid looks at them under
 * it (write, truncate, fallocate) or before it maps the file; F_SEAL_WRITE is refused while a
 * mapping can be written through.
 *
 * Locking: inode.lock for inode.seals; mapping.lock for the look at the mappings.
 */
#include <pith/file_calls.h>

#include "file.h"
#include "mount.h"
#include "tmpfs.h"

static struct mount *unnamed; /* [const] after memfd_init */

int file_create_unnamed(const char *name, u64 bytes, const struct file_operations *operations,
                        struct file **file_out)
{
    struct path path = {.mount = unnamed};
    struct inode *inode;
    int error = tmpfs_inode_create(unnamed->file_system, NULL, S_IFREG | 0777, 0, &inode);

    if (error)
        return error;
    inode->links = 0;
    inode->size = bytes;
    if (operations)
        inode->file_operations = operations;
    path.dentry = dentry_create_anonymous(inode, name);
    if (!path.dentry) {
        inode_put(inode);
        return -ENOMEM;
    }
    error = file_open_path(&path, O_RDWR, file_out);
    dentry_put(path.dentry);
    return error;
}

int memfd_open(const char *name, u32 seals, struct file **file_out)
{
    char kind[NAME_MAX_BYTES + 1];
    int error;

    format_text(kind, sizeof(kind), "memfd:%s", name);
    error = file_create_unnamed(kind, 0, NULL, file_out);
    if (!error)
        (*file_out)->inode->seals = seals;
    return error;
}

int file_get_seals(struct file *file)
{
    if (!inode_is_regular(file->inode) || file->inode->file_system->magic != TMPFS_MAGIC)
        return -EINVAL;
    return (int)file->inode->seals;
}

static bool is_mapped_writable(struct mapping *mapping)
{
    const u64 both = REGION_SHARED | REGION_MAY_WRITE;
    struct region *region;
    bool found = false;

    spin_lock(&mapping->lock);
    list_for_each (region, &mapping->regions, mapping_link)
        found |= (region->flags & both) == both;
    spin_unlock(&mapping->lock);
    return found;
}

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)

int file_add_seals(struct file *file, u32 seals)
{
    struct inode *inode = file->inode;
    int error = 0;

    if (!(file->mode & FILE_WRITE))
        return -EPERM;
    if ((seals & ~(u32)SEALS) || file_get_seals(file) < 0)
        return -EINVAL;
    mutex_lock(&inode->lock);
    if (inode->seals & F_SEAL_SEAL)
        error = -EPERM;
    else if ((seals & F_SEAL_WRITE) && is_mapped_writable(&inode->pages.mapping))
        error = -EBUSY;
    else
        inode->seals |= seals;
    mutex_unlock(&inode->lock);
    return error;
}

void memfd_init(void)
{
    const struct mount_source source = {.source = "memfd", .options = ""};
    const struct file_system_type *tmpfs = file_system_type_find("tmpfs");
    struct file_system *file_system;

    if (!tmpfs || tmpfs->mount(tmpfs, &source, &file_system))
        panic("no memory for files without names");
    unnamed = mount_alloc(file_system, file_system->root, "memfd", 0);
    assert(unnamed);
}
