/*
 * What of the spinlocks is not inline: waiting for one, and taking two.
 *
 * Context: any; interrupts are off.
 */
#include <pith/spinlock.h>

void spin_lock_wait(struct spinlock *lock)
{
    do {
        /* Reads only, so that the line stays shared until the holder writes it. */
        while (READ_ONCE(lock->held))
            cpu_relax();
    } while (__atomic_exchange_n(&lock->held, 1, __ATOMIC_ACQUIRE));
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
