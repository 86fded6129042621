/*
 * File tables: from a descriptor to an open file.
 *
 *     table.slots -> { files[capacity], open bits, close-on-exec bits }
 *
 * The slots grow by being replaced, so that a thread that shares the table can look a descriptor up
 * without a lock: it reads the pointer under RCU, takes a reference if the file is still alive, and
 * looks again whether the slot still holds it. A table that only the calling thread has needs not
 * even the reference: nobody else can close what it uses (fd_enter).
 *
 * A number is taken (its open bit set) before its file is there: fd_reserve, then fd_install.
 *
 * Locking: table.lock for all changes. Context: file_put sleeps, so files are put outside of it.
 */
#include <pith/file_calls.h>

#include "locks.h"

#define CAPACITY_FIRST 64u
#define CAPACITY_MOST  (1u << 20) /* fs.nr_open */
#define WORD_BITS      64u

struct slots {
    u32 capacity; /* [const] a multiple of WORD_BITS */
    u64 *open;    /* guarded by table.lock, like what follows */
    u64 *close_on_exec;
    struct rcu_head rcu;
    struct file *files[]; /* [rcu] */
};

struct file_table {
    struct refcount references;
    u32 first_free;       /* guarded_by(&lock) no free number lies below */
    struct slots *slots;  /* [rcu] */
    struct spinlock lock; /* LOCK_FILE_TABLE */
};

/* ---- Slots ---- */

static struct slots *slots_alloc(u32 capacity)
{
    size_t files_bytes = capacity * sizeof(struct file *);
    size_t bits_bytes = capacity / 8;
    struct slots *slots = kmalloc(sizeof(*slots) + files_bytes + 2 * bits_bytes, ALLOC_CLEARED);

    if (!slots)
        return NULL;
    slots->capacity = capacity;
    slots->open = (u64 *)((char *)slots->files + files_bytes);
    slots->close_on_exec = slots->open + capacity / WORD_BITS;
    return slots;
}

static void slots_free_rcu(struct rcu_head *head)
{
    kfree(container_of(head, struct slots, rcu));
}

static void slots_copy(struct slots *to, const struct slots *from)
{
    u32 count = MIN(from->capacity, to->capacity);

    memcpy(to->files, from->files, count * sizeof(struct file *));
    memcpy(to->open, from->open, count / 8);
    memcpy(to->close_on_exec, from->close_on_exec, count / 8);
}

static bool bit_is_set(const u64 *bits, u32 index)
{
    return bits[index / WORD_BITS] >> (index % WORD_BITS) & 1;
}

static void bit_set(u64 *bits, u32 index)
{
    bits[index / WORD_BITS] |= BIT(index % WORD_BITS);
}

static void bit_clear(u64 *bits, u32 index)
{
    bits[index / WORD_BITS] &= ~BIT(index % WORD_BITS);
}

/* The first clear bit at or after `from`, or capacity. */
static u32 slots_find_free(const struct slots *slots, u32 from)
{
    for (u32 word = from / WORD_BITS; word < slots->capacity / WORD_BITS; word++) {
        u64 taken = slots->open[word];

        if (word == from / WORD_BITS)
            taken |= BIT(from % WORD_BITS) - 1;
        if (~taken)
            return word * WORD_BITS + (u32)__builtin_ctzl(~taken);
    }
    return slots->capacity;
}

/* Makes room for number `wanted`. table->lock is held, and let go meanwhile. */
static int table_grow(struct file_table *table, u32 wanted) must_hold(&table->lock)
{
    u32 capacity = table->slots->capacity;
    struct slots *larger, *old;

    if (wanted >= CAPACITY_MOST)
        return -EMFILE;
    while (capacity <= wanted)
        capacity *= 2;
    spin_unlock(&table->lock);
    larger = slots_alloc(capacity);
    spin_lock(&table->lock);
    if (!larger)
        return -ENOMEM;
    old = table->slots;
    if (old->capacity >= capacity) { /* somebody else was quicker */
        kfree(larger);
        return 0;
    }
    slots_copy(larger, old);
    /* Pairs with the load in files_of: the content comes first. */
    __atomic_store_n(&table->slots, larger, __ATOMIC_RELEASE);
    rcu_free(&old->rcu, slots_free_rcu);
    return 0;
}

/* ---- Tables ---- */

int file_table_create(struct file_table **table_out)
{
    struct file_table *table = kmalloc(sizeof(*table), ALLOC_CLEARED);
    struct slots *slots = slots_alloc(CAPACITY_FIRST);

    if (!table || !slots) {
        kfree(table);
        kfree(slots);
        return -ENOMEM;
    }
    refcount_set(&table->references, 1);
    spin_init(&table->lock, LOCK_FILE_TABLE);
    table->slots = slots;
    *table_out = table;
    return 0;
}

/* The capacity that a copy needs: up to the word of the highest open number. */
static u32 slots_used_capacity(const struct slots *slots)
{
    u32 words = slots->capacity / WORD_BITS;

    while (words > 1 && !slots->open[words - 1])
        words--;
    return MAX(words * WORD_BITS, CAPACITY_FIRST);
}

/* Numbers that are reserved and not installed belong to a call that goes on in the parent. */
static void slots_get_files(struct slots *slots)
{
    for (u32 word = 0; word < slots->capacity / WORD_BITS; word++) {
        for (u64 open = slots->open[word]; open; open &= open - 1) {
            u32 fd = word * WORD_BITS + (u32)__builtin_ctzl(open);

            if (slots->files[fd]) {
                file_get(slots->files[fd]);
            } else {
                bit_clear(slots->open, fd);
                bit_clear(slots->close_on_exec, fd);
            }
        }
    }
}

int file_table_copy(struct file_table *from, struct file_table **copy_out)
{
    struct file_table *copy = kmalloc(sizeof(*copy), ALLOC_CLEARED);
    struct slots *slots = NULL;
    u32 needed = slots_used_capacity(READ_ONCE(from->slots));

    if (!copy)
        return -ENOMEM;
    for (;;) {
        slots = slots_alloc(needed);
        if (!slots) {
            kfree(copy);
            return -ENOMEM;
        }
        spin_lock(&from->lock);
        needed = slots_used_capacity(from->slots);
        if (needed <= slots->capacity)
            break;
        spin_unlock(&from->lock);
        kfree(slots);
    }
    slots_copy(slots, from->slots);
    slots_get_files(slots);
    copy->first_free = from->first_free;
    spin_unlock(&from->lock);
    refcount_set(&copy->references, 1);
    spin_init(&copy->lock, LOCK_FILE_TABLE);
    copy->slots = slots;
    *copy_out = copy;
    return 0;
}

void file_table_get(struct file_table *table)
{
    refcount_inc(&table->references);
}

/* What closing any descriptor of a file does, also when others stay. */
static void file_close(struct file_table *table, struct file *file)
{
    if (file->operations && file->operations->flush)
        (void)file->operations->flush(file);
    if (file->mode & FILE_WAS_LOCKED)
        file_locks_release_process(file, table);
    file_put(file);
}

bool file_table_is_shared(const struct file_table *table)
{
    return refcount_read(&table->references) > 1;
}

void file_table_put(struct file_table *table)
{
    struct slots *slots = table->slots;

    if (!refcount_dec_is_zero(&table->references))
        return;
    for (u32 word = 0; word < slots->capacity / WORD_BITS; word++) {
        for (u64 open = slots->open[word]; open; open &= open - 1) {
            u32 fd = word * WORD_BITS + (u32)__builtin_ctzl(open);

            if (slots->files[fd])
                file_close(table, slots->files[fd]);
        }
    }
    kfree(slots);
    kfree(table);
}

int file_table_unshare(void)
{
    struct thread *thread = thread_current();
    struct file_table *old = thread->files, *copy;
    int error;

    if (refcount_read(&old->references) == 1)
        return 0;
    error = file_table_copy(old, &copy);
    if (error)
        return error;
    thread->files = copy;
    file_table_put(old);
    return 0;
}

u32 file_table_capacity(const struct file_table *table)
{
    return READ_ONCE(table->slots)->capacity;
}

struct file *file_table_find(struct file_table *table, u32 fd, u32 *close_on_exec_out)
{
    struct file *file = NULL;

    spin_lock(&table->lock);
    if (fd < table->slots->capacity)
        file = table->slots->files[fd];
    if (file) {
        file_get(file);
        *close_on_exec_out = bit_is_set(table->slots->close_on_exec, fd) ? O_CLOEXEC : 0;
    }
    spin_unlock(&table->lock);
    return file;
}

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
    return fd < READ_ONCE(table->slots)->capacity ? file : NULL;
}

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
static int fd_reserve_one_locked(struct file_table *table, u32 lowest)
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

int fd_install_new(struct file *file, u32 close_on_exec)
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
    int error = 0;

    spin_lock(&table->lock);
    file = fd_take_locked(table, (u32)fd);
    spin_unlock(&table->lock);
    if (!file)
        return -EBADF;
    if (file->operations && file->operations->flush)
        error = file->operations->flush(file);
    if (file->mode & FILE_WAS_LOCKED)
        file_locks_release_process(file, table);
    file_put(file);
    return error;
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
        file_close(table, old);
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
                file_close(table, file);
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
            file_close(table, file);
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
