/*
 * What SAN=1 proves of states and queues. Private to sched/.
 *
 *     at each change of a state   the thread is in no run queue: it is taken out before, and put in
 *                                 after
 *     at each switch              all threads in the queue are READY and belong to this CPU, the
 *                                 policies' counts say how many they are, and neither the thread
 *                                 that leaves nor the one that comes is among them unless it is
 *                                 READY
 *
 * The seal is a second copy of the state, which only thread_set_state writes: a state that anybody
 * else changed differs from it.
 */
#pragma once

#include "run_queue.h"

static inline void state_seal(struct thread *thread)
{
    if (SAN)
        thread->state_seal = thread->state;
}

static inline void state_check(const struct thread *thread)
{
    if (SAN) {
        assert(thread->state_seal == thread->state);
        assert(!thread->queued);
    }
}

void run_queue_check_now(struct run_queue *queue, const struct thread *running)
    must_hold(&queue->lock);

/* `running` runs from now on. */
static inline void run_queue_check(struct run_queue *queue, const struct thread *running)
    must_hold(&queue->lock)
{
    if (SAN)
        run_queue_check_now(queue, running);
}
