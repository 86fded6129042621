/*
 * What of the spinlocks is not inline: waiting for one, and taking two.
 *
 * A lock is a word that is exchanged; the wait reads it until it looks free, so waiters disturb the
 * holder only when it lets go. There is no queue of waiters: locks are held for a few dozen
 * instructions, and which of two gets it next matters to nobody.
 *
 * Context: any; interrupts are off.
 */
#include <pith/core.h>

void spin_lock_wait(struct spinlock *lock)
{
    u64 since_ns = clock_monotonic_ns();

    do {
        /* Reads only, so that the line stays shared until the holder writes it. */
        while (READ_ONCE(lock->held))
            cpu_relax();
    } while (__atomic_exchange_n(&lock->held, 1, __ATOMIC_ACQUIRE));
    lock_waited(lock->class, since_ns);
}

void spin_lock_pair(struct spinlock *a, struct spinlock *b) no_lock_check
{
    spin_lock(a < b ? a : b);
    if (a != b)
        spin_lock(a < b ? b : a);
}

void spin_unlock_pair(struct spinlock *a, struct spinlock *b) no_lock_check
{
    spin_unlock(a);
    if (a != b)
        spin_unlock(b);
}
