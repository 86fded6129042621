/*
 * What of fs/ is brought up, in which order: caches before what is kept in them, tmpfs before the
 * first mount, which is one, and file systems after the devices that they give names to.
 */
#include <pith/epoll.h>
#include <pith/event_files.h>
#include <pith/fs.h>
#include <pith/segments.h>

#include "change_names.h"
#include "device.h"
#include "file.h"
#include "file_owner.h"
#include "fuse.h"
#include "inode_internal.h"
#include "overlay.h"
#include "page_cache_internal.h"
#include "pipe.h"
#include "proc/procfs.h"
#include "tmpfs.h"

typedef void init_step(void);

static init_step *const steps[] = {
    page_caches_init,    dentry_init,  inode_init,   names_init,      change_names_init,
    files_init,          tmpfs_init,   mounts_init,  pipe_init,       epoll_init,
    memory_devices_init, devfs_init,   memfd_init,   proc_fs_init,    sys_fs_init,
    fuse_init,           overlay_init, timerfd_init, namespaces_init, segments_init,
    file_owners_init,
};

void fs_init(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(steps); i++)
        steps[i]();
}
