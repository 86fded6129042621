/*
 * Shared segments in /proc: sysvipc/shm, which ipcs(1) and lsipc(1) read, and the limits in
 * sys/kernel (proc(5)).
 *
 * The list is made segment by segment, each as it is at that moment.
 */
#include <pith/proc_fs.h>

#include "segments.h"

static int show_segments(struct text_sink *sink, void *argument)
{
    struct segment_listing listing;

    text_print(sink, "       key      shmid perms                  size  cpid  lpid nattch   uid  "
                     " gid  cuid  cgid      atime      dtime      ctime                   rss      "
                     "            swap\n");
    for (u64 index = 0; segment_next(&index, &listing); index++) {
        const struct shmid64_ds *status = &listing.status;
        const struct ipc64_perm *owner = &status->permissions;

        text_print(sink, "%10d %10d  %4o %21lu %5d %5d  %5lu %5u %5u %5u %5u ", owner->key,
                   listing.id, owner->mode, status->bytes, status->creator_pid, status->last_pid,
                   status->attachments, owner->uid, owner->gid, owner->cuid, owner->cgid);
        text_print(sink, "%10ld %10ld %10ld %21lu %21u\n", status->attached_at, status->detached_at,
                   status->changed_at, listing.resident_pages << PAGE_SHIFT, 0);
    }
    return 0;
}

/* ---- Limits that need all 64 bits ---- */

static int show_limit(struct text_sink *sink, void *object)
{
    text_print(sink, "%lu\n", READ_ONCE(*(u64 *)object));
    return 0;
}

static int store_limit(void *object, const char *text, size_t bytes)
{
    char digits[24];
    u64 value;

    while (bytes && text[bytes - 1] == '\n')
        bytes--;
    if (bytes >= sizeof(digits))
        return -EINVAL;
    memcpy(digits, text, bytes);
    digits[bytes] = '\0';
    if (string_to_u64(digits, &value))
        return -EINVAL;
    WRITE_ONCE(*(u64 *)object, value);
    return 0;
}

#define LIMIT(file_name)                                                                      \
    {                                                                                         \
        .name = (file_name), .mode = S_IFREG | 0644, .show = show_limit, .store = store_limit \
    }

static const struct proc_entry bytes_max = LIMIT("shmmax"), pages_max = LIMIT("shmall");
static const struct proc_setting segments_max = {"shmmni", &segment_settings.segments_max, 0,
                                                 SEGMENTS_MOST};

void segment_files_init(void)
{
    if (proc_register("sysvipc/shm", 0444, show_segments, NULL) ||
        proc_register_setting("sys/kernel", &segments_max) ||
        proc_register_entry("sys/kernel", &bytes_max, &segment_settings.bytes_max) ||
        proc_register_entry("sys/kernel", &pages_max, &segment_settings.pages_max))
        panic("no memory for the names in /proc");
}
