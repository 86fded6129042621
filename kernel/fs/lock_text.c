/*
 * File locks as text: /proc/locks, and the lines of a file in /proc/PID/fdinfo (proc(5)).
 *
 * Printing needs memory and the locks are under spinlocks. So they are copied first, as many as
 * there is room for, and counted in any case; where there were more, all is done again with room
 * for these. Locks that come and go meanwhile are in the text or not.
 *
 * Locking: all_file_locks.lock, then the lock of each inode's queue.
 */
#include "locks_internal.h"

#include <pith/proc_fs.h>

struct shown_lock {
    struct file_lock lock;
    u64 device, inode_number;
    const char *kind;
};

struct shown_locks {
    struct shown_lock *list;
    u32 count, size; /* that there are; that fit */
    /* Only those that were taken through this file, by it or by who has `files`; NULL: all. */
    const struct file *file;
    const struct file_table *files;
};

static void shown_add(struct shown_locks *shown, const struct file_locks *locks,
                      const struct list *list, const char *kind)
{
    struct file_lock *lock;

    list_for_each (lock, list, link) {
        if (shown->file && (lock->file != shown->file ||
                            (lock->owner != shown->file && lock->owner != shown->files)))
            continue;
        if (shown->count++ >= shown->size)
            continue;
        shown->list[shown->count - 1] =
            (struct shown_lock){.lock = *lock,
                                .device = locks->inode->file_system->device,
                                .inode_number = locks->inode->number,
                                .kind = lock->pid == PID_OF_FILES ? "OFDLCK" : kind};
    }
}

static void shown_add_inode(struct shown_locks *shown, struct file_locks *locks)
{
    spin_lock(&locks->queue.lock);
    shown_add(shown, locks, &locks->flocks, "FLOCK");
    shown_add(shown, locks, &locks->records, "POSIX");
    spin_unlock(&locks->queue.lock);
}

static void shown_collect(struct shown_locks *shown)
{
    struct file_locks *locks;

    shown->count = 0;
    if (shown->file) {
        /* Pairs with the release in locks_of. */
        locks = __atomic_load_n(&shown->file->inode->locks, __ATOMIC_ACQUIRE);
        if (locks)
            shown_add_inode(shown, locks);
        return;
    }
    spin_lock(&all_file_locks.lock);
    list_for_each (locks, &all_file_locks.list, link)
        shown_add_inode(shown, locks);
    spin_unlock(&all_file_locks.lock);
}

static void shown_print(struct text_sink *sink, u32 number, const struct shown_lock *shown)
{
    const struct file_lock *lock = &shown->lock;

    text_print(sink, "%u: %-6s ADVISORY  %s %d %02lx:%02lx:%lu %lu ", number, shown->kind,
               lock->type == F_WRLCK ? "WRITE" : "READ", lock->pid, shown->device >> 8 & 0xfff,
               shown->device & 0xff, shown->inode_number, lock->start);
    if (lock->end == U64_MAX)
        text_print(sink, "EOF\n");
    else
        text_print(sink, "%lu\n", lock->end);
}

static int shown_show(struct text_sink *sink, struct shown_locks *shown, const char *before)
{
    for (;;) {
        shown_collect(shown);
        if (shown->count <= shown->size)
            break;
        kfree(shown->list); /* more than there was room for: again, with room for all of these */
        shown->size = shown->count;
        shown->list = kmalloc(shown->size * sizeof(*shown->list), 0);
        if (!shown->list)
            return -ENOMEM;
    }
    for (u32 i = 0; i < shown->count; i++) {
        text_print(sink, "%s", before);
        shown_print(sink, i + 1, &shown->list[i]);
    }
    kfree(shown->list);
    return 0;
}

int file_locks_show(struct text_sink *sink, void *argument)
{
    struct shown_locks shown = {0};

    return shown_show(sink, &shown, "");
}

int proc_show_file_locks(struct text_sink *sink, struct file *file, const struct file_table *files)
{
    struct shown_locks shown = {.file = file, .files = files};

    return shown_show(sink, &shown, "lock:\t");
}
