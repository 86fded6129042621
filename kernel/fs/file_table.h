/* Between file_table.c (tables) and descriptors.c (what is in them). Theory in file_table.c. */
#pragma once

#include <pith/fs.h>

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

static inline bool bit_is_set(const u64 *bits, u32 index)
{
    return bits[index / WORD_BITS] >> (index % WORD_BITS) & 1;
}

static inline void bit_set(u64 *bits, u32 index)
{
    bits[index / WORD_BITS] |= BIT(index % WORD_BITS);
}

static inline void bit_clear(u64 *bits, u32 index)
{
    bits[index / WORD_BITS] &= ~BIT(index % WORD_BITS);
}

/* The first clear bit at or after `from`, or capacity. */
static inline u32 slots_find_free(const struct slots *slots, u32 from)
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

/* Makes room for number `wanted`. table->lock is held, and let go meanwhile. -EMFILE, -ENOMEM. */
int table_grow(struct file_table *table, u32 wanted) must_hold(&table->lock) must_check;
/*
 * What closing any descriptor of a file does, also when others stay; the slot is empty already.
 * Takes over the reference. What `flush` says, which only close(2) tells. Sleeps.
 */
int file_table_close_file(struct file_table *table, struct file *file);
