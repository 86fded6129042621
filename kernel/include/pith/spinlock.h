/*
 * Spinlocks: for a few dozen instructions that never sleep and never touch user memory.
 *
 * A CPU that holds one has its interrupts off, whatever the lock is for: one kind, one rule, and an
 * interrupt handler may take any lock. The outermost lock remembers whether they were on.
 * `spin_lock(&a); spin_lock(&b); spin_unlock(&a); spin_unlock(&b)` is fine.
 *
 * With SAN=1 each acquire is compared with the order of lock_class.h (core/lock_check.c).
 */
#pragma once

#include <pith/cpu.h>
#include <pith/lock_class.h>

struct lockable spinlock {
    u32 held; /* [atomic] 1: somebody has it */
    u16 class;
    u16 holder; /* the CPU's id + 1, for assert_held; 0: nobody */
};

#define SPINLOCK_INIT(lock_class) \
    {                             \
        .class = (lock_class)     \
    }

static inline void spin_init(struct spinlock *lock, enum lock_class class)
{
    *lock = (struct spinlock)SPINLOCK_INIT(class);
}

void spin_lock_wait(struct spinlock *lock);                       /* the contended path */
void lock_check_acquire(const void *lock, enum lock_class class); /* SAN=1 */
void lock_check_release(const void *lock, enum lock_class class); /* SAN=1 */

static inline void spin_lock(struct spinlock *lock) acquires(lock) no_lock_check
{
    struct cpu *cpu = cpu_current();

    /* Under another lock they are off: saving flags and CLI are the dear part of this function. */
    if (cpu->spinlocks_held == 0)
        cpu->interrupts_were_on = interrupts_save_disable() & BIT(9);
    cpu->spinlocks_held++;
    if (SAN)
        lock_check_acquire(lock, lock->class);
    /* Pairs with the release in spin_unlock. */
    if (__atomic_exchange_n(&lock->held, 1, __ATOMIC_ACQUIRE))
        spin_lock_wait(lock);
    lock->holder = cpu->id + 1;
}

static inline void spin_unlock(struct spinlock *lock) releases(lock) no_lock_check
{
    struct cpu *cpu = cpu_current();

    if (SAN)
        lock_check_release(lock, lock->class);
    lock->holder = 0;
    __atomic_store_n(&lock->held, 0, __ATOMIC_RELEASE);
    if (--cpu->spinlocks_held == 0 && cpu->interrupts_were_on)
        interrupts_enable();
}

static inline bool spin_is_held(const struct spinlock *lock)
{
    return READ_ONCE(lock->holder) == cpu_current()->id + 1;
}

/* Two locks of one class, in the order of their addresses; they may be the same. */
void spin_lock_pair(struct spinlock *a, struct spinlock *b);
void spin_unlock_pair(struct spinlock *a, struct spinlock *b);

/* Waits for locks of a class, on all CPUs since the boot (core/lock_waits.c). */
struct lock_waits {
    u64 count, ns;
};
/* Who had to wait for a lock says so when he has it. */
void lock_waited(enum lock_class class, u64 since_ns);
struct lock_waits lock_waits_of(enum lock_class class);
const char *lock_class_name(enum lock_class class);

#define assert_held(lock) assert(spin_is_held(lock))
