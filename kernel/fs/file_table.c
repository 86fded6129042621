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
 *     reader                                closer
 *     file = slots[fd]                      slots[fd] = NULL
 *     reference, if the count is not 0      last file_put: count 0; memory waits for RCU
 *     slots[fd] is file still?  no: put it back, it is somebody else's number by now
 *
 * Without the second look a reader could get a file whose memory was used again for another file
 * between the two steps of the first.
 *
 * A number is taken (its open bit set) before its file is there: fd_reserve, then fd_install, which
 * cannot fail. So a call that makes two descriptors, or tells a number to the user first, never has
 * to take one back that another thread may have used. A fork in between leaves the number out.
 *
 * Invariant: a number whose file is there has its open bit; no free number lies below first_free;
 *            close-on-exec bits are of open numbers only.
 * Locking:   table.lock for all changes; files[] and table.slots are read under RCU too.
 * Context:   file_put sleeps, so files are put outside of the lock.
 */
#include "file_table.h"

#include <pith/file_calls.h>

#include "locks.h"
#include "notify.h"

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

/* Allocates without the lock: who was quicker has made room enough, or the caller looks again. */
int table_grow(struct file_table *table, u32 wanted) must_hold(&table->lock)
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

int file_table_close_file(struct file_table *table, struct file *file)
{
    int error = 0;

    if (file->operations && file->operations->flush)
        error = file->operations->flush(file);
    /* Whichever file they were taken through (fcntl(2)). */
    if (unlikely(READ_ONCE(file->inode->locks)))
        file_locks_release_process(file, table);
    if (unlikely(file->mode & FILE_NOTIFIES))
        dnotify_end(file, table);
    file_put(file);
    return error;
}

bool file_table_is_shared(const struct file_table *table)
{
    return refcount_read(&table->references) > 1;
}

/* Nobody else has the table, so its slots need neither lock nor RCU. */
void file_table_put(struct file_table *table)
{
    struct slots *slots = table->slots;

    if (!refcount_dec_is_zero(&table->references))
        return;
    for (u32 word = 0; word < slots->capacity / WORD_BITS; word++) {
        for (u64 open = slots->open[word]; open; open &= open - 1) {
            u32 fd = word * WORD_BITS + (u32)__builtin_ctzl(open);

            if (slots->files[fd])
                (void)file_table_close_file(table, slots->files[fd]);
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
    u32 capacity;

    rcu_read_lock();
    capacity = __atomic_load_n(&table->slots, __ATOMIC_ACQUIRE)->capacity; /* see table_grow */
    rcu_read_unlock();
    return capacity;
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
