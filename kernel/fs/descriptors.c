/*
 * Descriptors: looking them up, taking numbers, closing. The tables are in file_table.c, with the
 * theory of both.
 *
 * A lookup is on the path of nearly every system call. fd_enter so counts only where it must: a
 * file of a table that no other thread has cannot be closed during the call, since the only thread
 * that could is the one in the call. Hence the rule for callers: what fd_enter gave is good up to
 * fd_leave, within the same system call; who keeps a file longer takes fd_find's reference.
 *
 * Numbers are given out lowest first (open(2)): from first_free on, a word of 64 at a time.
 *
 * Locking: table.lock, for a few instructions; a file that leaves its slot is closed without it.
 */
#include "file_table.h"

/* ---- Looking up ---- */

/* In a table that others change: a reference that is good only if the slot still says so. */
static noinline struct file *fd_find_shared(struct file_table *table, u32 fd)
{
    struct file *file = NULL;

    rcu_read_lock();
    for (;;) {
        /* Pairs with table_grow and fd_install: slots and file are complete. */
        struct slots *slots = __atomic_load_n(&table->slots, __ATOMIC_ACQUIRE);

        if (fd >= slots->capacity)
            break;
        file = __atomic_load_n(&slots->files[fd], __ATOMIC_ACQUIRE);
        if (!file)
            break;
        if (!refcount_inc_not_zero(&file->references))
            continue;
        if (likely(READ_ONCE(table->slots)->files[fd] == file))
            break;
        rcu_read_unlock();
        file_put(file);
        rcu_read_lock();
    }
    rcu_read_unlock();
    return file;
}

/* A negative number is none: as u32 it lies beyond every table. */
static inline struct fd_use fd_enter_counted_or_not(int fd)
{
    struct file_table *table = thread_current()->files;

    if (unlikely(!table))
        return (struct fd_use){NULL, 0};
    if (likely(refcount_read(&table->references) == 1)) {
        const struct slots *slots = table->slots;

        return (struct fd_use){(u32)fd < slots->capacity ? slots->files[fd] : NULL, 0};
    }
    struct file *file = fd_find_shared(table, (u32)fd);
    return (struct fd_use){file, file != NULL};
}

struct fd_use fd_enter_any(int fd)
{
    return fd_enter_counted_or_not(fd);
}

struct fd_use fd_enter(int fd)
{
    struct fd_use use = fd_enter_counted_or_not(fd);

    if (unlikely(use.file && (use.file->mode & FILE_PATH))) {
        fd_leave(use);
        use = (struct fd_use){NULL, 0};
    }
    return use;
}

struct file *fd_find(int fd)
{
    struct fd_use use = fd_enter(fd);

    if (use.file && !use.counted)
        file_get(use.file);
    return use.file;
}

/* ---- Taking and giving back numbers ---- */

/* A free number from `lowest` on, below the limit; marks it open. */
static int fd_reserve_one_locked(struct file_table *table, u32 lowest) must_hold(&table->lock)
{
    u32 limit = (u32)MIN(thread_current()->limits_open_files, (u64)CAPACITY_MOST);

    for (;;) {
        u32 fd = slots_find_free(table->slots, MAX(lowest, table->first_free));
        int error;

        if (fd >= limit)
            return -EMFILE;
        if (fd < table->slots->capacity) {
            bit_set(table->slots->open, fd);
            bit_clear(table->slots->close_on_exec, fd);
            if (lowest <= table->first_free)
                table->first_free = fd + 1;
            return (int)fd;
        }
        error = table_grow(table, fd);
        if (error)
            return error;
    }
}

static void fd_release_locked(struct file_table *table, u32 fd)
{
    bit_clear(table->slots->open, fd);
    bit_clear(table->slots->close_on_exec, fd);
    table->first_free = MIN(table->first_free, fd);
}

int fd_reserve(struct file_table *table, int lowest, int *fds_out, int count)
{
    int error = 0;

    spin_lock(&table->lock);
    for (int i = 0; i < count; i++) {
        int fd = fd_reserve_one_locked(table, (u32)lowest);

        if (fd < 0) {
            error = fd;
            while (i--)
                fd_release_locked(table, (u32)fds_out[i]);
            break;
        }
        fds_out[i] = fd;
    }
    spin_unlock(&table->lock);
    return error;
}

void fd_install(struct file_table *table, int fd, struct file *file, u32 close_on_exec)
{
    struct slots *slots;

    spin_lock(&table->lock);
    slots = table->slots;
    if (close_on_exec)
        bit_set(slots->close_on_exec, (u32)fd);
    /* Pairs with the acquire of a lookup: the file is complete. */
    __atomic_store_n(&slots->files[fd], file, __ATOMIC_RELEASE);
    spin_unlock(&table->lock);
}

void fd_release(struct file_table *table, const int *fds, int count)
{
    spin_lock(&table->lock);
    for (int i = 0; i < count; i++)
        fd_release_locked(table, (u32)fds[i]);
    spin_unlock(&table->lock);
}

int fd_create(struct file *file, u32 close_on_exec)
{
    struct file_table *table = thread_current()->files;
    int fd;

    spin_lock(&table->lock);
    fd = fd_reserve_one_locked(table, 0);
    if (fd >= 0) {
        if (close_on_exec)
            bit_set(table->slots->close_on_exec, (u32)fd);
        __atomic_store_n(&table->slots->files[fd], file, __ATOMIC_RELEASE);
    }
    spin_unlock(&table->lock);
    if (fd < 0)
        file_put(file);
    return fd;
}

/* Takes the file out of its slot; NULL: there is none. The table's reference is the caller's. */
static struct file *fd_take_locked(struct file_table *table, u32 fd)
{
    struct slots *slots = table->slots;
    struct file *file = fd < slots->capacity ? slots->files[fd] : NULL;

    if (!file)
        return NULL;
    __atomic_store_n(&slots->files[fd], NULL, __ATOMIC_RELEASE);
    fd_release_locked(table, fd);
    return file;
}

int fd_close(int fd)
{
    struct file_table *table = thread_current()->files;
    struct file *file;

    spin_lock(&table->lock);
    file = fd_take_locked(table, (u32)fd);
    spin_unlock(&table->lock);
    return file ? file_table_close_file(table, file) : -EBADF;
}

int fd_replace(struct file *file, int fd, u32 close_on_exec)
{
    struct file_table *table = thread_current()->files;
    struct file *old;
    int error = 0;

    if ((u64)fd >= MIN(thread_current()->limits_open_files, (u64)CAPACITY_MOST))
        return -EBADF;
    spin_lock(&table->lock);
    while (!error && (u32)fd >= table->slots->capacity)
        error = table_grow(table, (u32)fd);
    /* Reserved by another thread, which has not installed its file yet (dup2(2)). */
    if (!error && bit_is_set(table->slots->open, (u32)fd) && !table->slots->files[fd])
        error = -EBUSY;
    if (error) {
        spin_unlock(&table->lock);
        return error;
    }
    old = table->slots->files[fd];
    bit_set(table->slots->open, (u32)fd);
    if (close_on_exec)
        bit_set(table->slots->close_on_exec, (u32)fd);
    else
        bit_clear(table->slots->close_on_exec, (u32)fd);
    __atomic_store_n(&table->slots->files[fd], file, __ATOMIC_RELEASE);
    spin_unlock(&table->lock);
    if (old)
        (void)file_table_close_file(table, old);
    return fd;
}

/* ---- close-on-exec, ranges ---- */

int fd_get_close_on_exec(int fd)
{
    struct file_table *table = thread_current()->files;
    int result = -EBADF;

    spin_lock(&table->lock);
    if ((u32)fd < table->slots->capacity && table->slots->files[fd])
        result = bit_is_set(table->slots->close_on_exec, (u32)fd) ? FD_CLOEXEC : 0;
    spin_unlock(&table->lock);
    return result;
}

int fd_set_close_on_exec(int fd, u32 close_on_exec)
{
    struct file_table *table = thread_current()->files;
    int result = -EBADF;

    spin_lock(&table->lock);
    if ((u32)fd < table->slots->capacity && table->slots->files[fd]) {
        if (close_on_exec)
            bit_set(table->slots->close_on_exec, (u32)fd);
        else
            bit_clear(table->slots->close_on_exec, (u32)fd);
        result = 0;
    }
    spin_unlock(&table->lock);
    return result;
}

void file_table_close_on_exec(struct file_table *table)
{
    for (u32 word = 0; word < table->slots->capacity / WORD_BITS; word++) {
        u64 marked;

        while ((marked = table->slots->close_on_exec[word] & table->slots->open[word])) {
            u32 fd = word * WORD_BITS + (u32)__builtin_ctzl(marked);
            struct file *file;

            spin_lock(&table->lock);
            file = fd_take_locked(table, fd);
            if (!file)
                bit_clear(table->slots->close_on_exec, fd);
            spin_unlock(&table->lock);
            if (file)
                (void)file_table_close_file(table, file);
        }
    }
}

void fd_range_close(u32 first, u32 last)
{
    struct file_table *table = thread_current()->files;

    for (u64 fd = first; fd <= last && fd < file_table_capacity(table); fd++) {
        struct file *file;

        spin_lock(&table->lock);
        file = fd_take_locked(table, (u32)fd);
        spin_unlock(&table->lock);
        if (file)
            (void)file_table_close_file(table, file);
    }
}

void fd_range_set_close_on_exec(u32 first, u32 last)
{
    struct file_table *table = thread_current()->files;

    spin_lock(&table->lock);
    for (u64 fd = first; fd <= last && fd < table->slots->capacity; fd++)
        if (table->slots->files[fd])
            bit_set(table->slots->close_on_exec, (u32)fd);
    spin_unlock(&table->lock);
}
