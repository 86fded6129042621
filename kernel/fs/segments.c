/*
 * System V's shared memory: files without names, and how often each is mapped.
 *
 *     segment_table.c -> segment -> file -> inode -> page cache
 *                           ^        ^
 *              file.private_data     '-- region.object, once for each attachment
 *
 * `attachments` counts the regions that show the file, as vm/ tells of them: so fork, exec, exit,
 * munmap and a split by mprotect need nothing here. shmat counts itself for as long as it maps, so
 * what it found does not go under it. A segment leaves the table when it is removed *and* has no
 * attachment, in one step under the lock; who takes it out is the only one who knows it, and frees
 * it. Until then it may be found and even attached by its id, but not by its key.
 *
 *     IPC_RMID                the key goes, DEST; attachments 1: it stays in the table
 *     shmat(2) by its id      pinned 2, mapped 3, unpinned 2
 *     shmdt(2), twice         1; 0 and DEST: out of the table, freed
 *
 * The segment has one reference to its file and each region another, so that the memory goes with
 * whichever is last. The pages promised are counted from creation on, touched or not.
 *
 * shmget makes a segment without the lock, since making a file sleeps, then looks for the key once
 * more: of two who make the same key one finds the other's, and throws its own away.
 *
 * Locking: segments_lock for the table and all that changes in segments. Nothing else is taken
 *          under it but memory for the table. region_opened comes with an address space locked.
 * Context: region_opened does not sleep; all else may.
 */
#include "segments.h"

#include <pith/abi/mman.h>

#include "file.h"
#include "inode_internal.h"

#define NO_ID (~0u) /* a uid or gid that is none */

/* What ipc rights are asked for: the bits of one class, as in a mode. */
#define WANT_READ    04u
#define WANT_WRITE   02u
#define WANT_EXECUTE 01u

static s64 seconds_now(void)
{
    return (s64)(clock_realtime_ns() / NS_PER_SECOND);
}

/* ---- Rights (svipc(7)) ---- */

static bool is_owned(const struct ipc64_perm *permissions)
{
    u32 euid = thread_current()->credentials->euid;

    return euid == permissions->uid || euid == permissions->cuid;
}

/* `wanted`: WANT_*. -EACCES. */
static int rights_check(const struct ipc64_perm *permissions, u32 wanted)
{
    const struct credentials *credentials = thread_current()->credentials;
    u32 granted = permissions->mode;

    if (is_owned(permissions))
        granted >>= 6;
    else if (credentials_have_group(credentials, permissions->gid) ||
             credentials_have_group(credentials, permissions->cgid))
        granted >>= 3;
    if (!(wanted & ~granted & 07u) || credentials_can(credentials, CAPABILITY_IPC_OWNER))
        return 0;
    return -EACCES;
}

/* Who may change or remove it. -EPERM. */
static int control_check(const struct ipc64_perm *permissions)
{
    if (is_owned(permissions) ||
        credentials_can(thread_current()->credentials, CAPABILITY_SYS_ADMIN))
        return 0;
    return -EPERM;
}

/* ---- Life ---- */

static void segment_free(struct segment *segment)
{
    file_put(segment->file);
    commit_give(segment->promised_pages);
    kfree(segment);
}

/*
 * Takes it out of the table if it is removed and nobody has it: then it is the caller's to free.
 */
static bool segment_leaves_locked(struct segment *segment) must_hold(&segments_lock)
{
    if (segment->status.attachments || !(segment->status.permissions.mode & SHM_DEST))
        return false;
    segment_table_remove_locked(segment);
    return true;
}

static void segment_region_opened(struct file *file)
{
    struct segment *segment = file->private_data;
    s32 pid = fs_process_id();

    spin_lock(&segments_lock);
    segment->status.attachments++;
    segment->status.attached_at = seconds_now();
    segment->status.last_pid = pid;
    spin_unlock(&segments_lock);
}

static void segment_region_closed(struct file *file)
{
    struct segment *segment = file->private_data;
    s32 pid = fs_process_id();
    bool leaves;

    spin_lock(&segments_lock);
    segment->status.attachments--;
    segment->status.detached_at = seconds_now();
    segment->status.last_pid = pid;
    leaves = segment_leaves_locked(segment);
    spin_unlock(&segments_lock);
    if (leaves)
        segment_free(segment);
}

static const struct file_operations segment_operations = {
    .region_opened = segment_region_opened,
    .region_closed = segment_region_closed,
};

/* Huge pages are for who may lock memory, and there are none set aside. */
static int huge_pages_refuse(void)
{
    return credentials_can(thread_current()->credentials, CAPABILITY_IPC_LOCK) ? -ENOMEM : -EPERM;
}

/* A segment that is in no table yet. */
static int segment_create(s32 key, u64 bytes, u32 flags, struct segment **segment_out)
{
    const struct credentials *credentials = thread_current()->credentials;
    u64 promised = flags & SHM_NORESERVE ? 0 : DIV_ROUND_UP(bytes, PAGE_SIZE);
    struct segment *segment;
    char name[16];
    int error;

    if (flags & SHM_HUGETLB)
        return huge_pages_refuse();
    error = commit_take(promised);
    if (error)
        return error;
    error = -ENOMEM;
    segment = kmalloc(sizeof(*segment), ALLOC_CLEARED);
    if (!segment)
        goto give_pages;
    format_text(name, sizeof(name), "SYSV%08x", (u32)key);
    error = file_create_unnamed(name, bytes, &segment_operations, &segment->file);
    if (error)
        goto free_segment;
    segment->file->private_data = segment;
    segment->promised_pages = promised;
    segment->status = (struct shmid64_ds){
        .permissions = {.key = key,
                        .uid = credentials->euid,
                        .gid = credentials->egid,
                        .cuid = credentials->euid,
                        .cgid = credentials->egid,
                        .mode = flags & PERMISSION_BITS},
        .bytes = bytes,
        .changed_at = seconds_now(),
        .creator_pid = fs_process_id(),
    };
    *segment_out = segment;
    return 0;

free_segment:
    kfree(segment);
give_pages:
    commit_give(promised);
    return error;
}

/* ---- Getting ---- */

/* The id of the segment with this key, if it will do for shmget(2); -ENOENT and the like. */
static int key_find_locked(s32 key, u64 bytes, u32 flags) must_hold(&segments_lock)
{
    struct segment *segment;
    int error;

    segment = segment_of_key_locked(key);
    if (!segment)
        return -ENOENT;
    if ((flags & IPC_CREAT) && (flags & IPC_EXCL))
        return -EEXIST;
    if (bytes > segment->status.bytes)
        return -EINVAL;
    /* All that any class is to be allowed. */
    error = rights_check(&segment->status.permissions, flags >> 6 | flags >> 3 | flags);
    return error ? error : segment->id;
}

int segment_get(s32 key, u64 bytes, u32 flags)
{
    struct segment *segment;
    int result;

    spin_lock(&segments_lock);
    result = key_find_locked(key, bytes, flags);
    spin_unlock(&segments_lock);
    if (result != -ENOENT || !(key == IPC_PRIVATE || (flags & IPC_CREAT)))
        return result;
    if (bytes == 0 || bytes > READ_ONCE(segment_settings.bytes_max))
        return -EINVAL;
    if (bytes > U64_MAX - PAGE_SIZE)
        return -ENOSPC;
    result = segment_create(key, bytes, flags, &segment);
    if (result)
        return result;
    spin_lock(&segments_lock);
    result = key_find_locked(key, bytes, flags); /* another may have been quicker */
    if (result == -ENOENT) {
        result = segment_table_insert_locked(segment);
        if (result >= 0) {
            segment->file->inode->number = (u32)result; /* what /proc/PID/maps shows */
            segment = NULL;
        }
    }
    spin_unlock(&segments_lock);
    if (segment)
        segment_free(segment);
    return result;
}

/* ---- Attaching ---- */

static u32 attach_rights(u32 flags)
{
    return WANT_READ | (flags & SHM_RDONLY ? 0 : WANT_WRITE) |
           (flags & SHM_EXEC ? WANT_EXECUTE : 0);
}

static u32 attach_region_flags(u32 flags)
{
    return REGION_SHARED | REGION_READ | REGION_MAY_READ | REGION_MAY_EXECUTE |
           (flags & SHM_RDONLY ? 0 : REGION_WRITE | REGION_MAY_WRITE) |
           (flags & SHM_EXEC ? REGION_EXECUTE : 0);
}

/* Where it goes: `request` gets address and MAP_ flags. -EINVAL. */
static int attach_place(struct map_request *request, u64 address, u32 flags)
{
    request->address = address;
    if (!address)
        return flags & SHM_REMAP ? -EINVAL : 0;
    if (address & ~PAGE_MASK) {
        request->address &= PAGE_MASK;
        if (!(flags & SHM_RND) || (!request->address && (flags & SHM_REMAP)))
            return -EINVAL;
    }
    request->map_flags = flags & SHM_REMAP ? MAP_FIXED : MAP_FIXED_NOREPLACE;
    return 0;
}

/* The segment, counted as attached, so that it stays. -EINVAL, -EACCES. */
static int segment_pin(s32 id, u32 wanted, struct segment **segment_out)
{
    struct segment *segment;
    int error = -EINVAL;

    spin_lock(&segments_lock);
    segment = segment_at_locked(id, SEGMENT_BY_ID);
    if (segment)
        error = rights_check(&segment->status.permissions, wanted);
    if (!error)
        segment->status.attachments++;
    spin_unlock(&segments_lock);
    *segment_out = segment;
    return error;
}

static void segment_unpin(struct segment *segment)
{
    bool leaves;

    spin_lock(&segments_lock);
    segment->status.attachments--;
    leaves = segment_leaves_locked(segment);
    spin_unlock(&segments_lock);
    if (leaves)
        segment_free(segment);
}

int segment_attach(s32 id, u64 address, u32 flags, u64 *address_out)
{
    struct map_request request = {.pager = &page_cache_pager, .flags = attach_region_flags(flags)};
    struct segment *segment;
    int error = attach_place(&request, address, flags);

    if (error)
        return error;
    error = segment_pin(id, attach_rights(flags), &segment);
    if (error)
        return error;
    request.object = segment->file;
    request.bytes = segment->status.bytes;
    if (address && request.address + request.bytes < request.address)
        error = -EINVAL;
    else
        error = address_space_map(thread_current()->space, &request, address_out);
    segment_unpin(segment);
    return error == -EEXIST ? -EINVAL : error; /* something lies there */
}

/* Whether a region shows a segment, and how long that is. */
static bool region_is_segment(const struct region *region, u64 *bytes_out)
{
    const struct file *file = region->object;

    if (region->pager != &page_cache_pager || file->operations != &segment_operations)
        return false;
    *bytes_out = ALIGN_UP(file->inode->size, PAGE_SIZE);
    return true;
}

int segment_detach(u64 address)
{
    if (address & ~PAGE_MASK)
        return -EINVAL;
    return address_space_unmap_object(thread_current()->space, address, region_is_segment);
}

/* ---- Control ---- */

int segment_status(s32 number, enum segment_naming naming, struct shmid64_ds *status_out)
{
    struct segment *segment;
    int result = -EINVAL;

    spin_lock(&segments_lock);
    segment = segment_at_locked(number, naming);
    if (segment) {
        result = naming == SEGMENT_BY_INDEX_ANY
                     ? 0
                     : rights_check(&segment->status.permissions, WANT_READ);
        *status_out = segment->status;
        if (!result)
            result = segment->id;
    }
    spin_unlock(&segments_lock);
    return result;
}

int segment_set_owner(s32 id, const struct ipc64_perm *permissions)
{
    struct segment *segment;
    int error = -EINVAL;

    spin_lock(&segments_lock);
    segment = segment_at_locked(id, SEGMENT_BY_ID);
    if (segment)
        error = control_check(&segment->status.permissions);
    if (!error && (permissions->uid == NO_ID || permissions->gid == NO_ID))
        error = -EINVAL;
    if (!error) {
        struct ipc64_perm *own = &segment->status.permissions;

        own->uid = permissions->uid;
        own->gid = permissions->gid;
        own->mode = (own->mode & ~PERMISSION_BITS) | (permissions->mode & PERMISSION_BITS);
        segment->status.changed_at = seconds_now();
    }
    spin_unlock(&segments_lock);
    return error;
}

int segment_remove(s32 id)
{
    struct segment *segment;
    bool leaves = false;
    int error = -EINVAL;

    spin_lock(&segments_lock);
    segment = segment_at_locked(id, SEGMENT_BY_ID);
    if (segment)
        error = control_check(&segment->status.permissions);
    if (!error) {
        segment->status.permissions.mode |= SHM_DEST;
        segment_key_give_up_locked(segment);
        leaves = segment_leaves_locked(segment);
    }
    spin_unlock(&segments_lock);
    if (leaves)
        segment_free(segment);
    return error;
}

/* The limit is asked of each segment by itself. -EPERM, -ENOMEM. */
static int lock_check(const struct segment *segment, u32 locked)
{
    if (credentials_can(thread_current()->credentials, CAPABILITY_IPC_LOCK))
        return 0;
    if (!is_owned(&segment->status.permissions))
        return -EPERM;
    if (locked && !space_limit(SPACE_LIMIT_LOCKED))
        return -EPERM;
    return locked && segment_pages(segment) > space_limit(SPACE_LIMIT_LOCKED) ? -ENOMEM : 0;
}

int segment_set_locked(s32 id, u32 locked)
{
    struct segment *segment;
    int error = -EINVAL;

    spin_lock(&segments_lock);
    segment = segment_at_locked(id, SEGMENT_BY_ID);
    if (segment)
        error = lock_check(segment, locked);
    if (!error) {
        segment->status.permissions.mode &= ~SHM_LOCKED;
        segment->status.permissions.mode |= locked ? SHM_LOCKED : 0;
    }
    spin_unlock(&segments_lock);
    return error;
}

void segments_init(void)
{
    segment_files_init();
}
