/* The walk over a run queue at each switch; see queue_check.h. */
#include "queue_check.h"

void run_queue_check_now(struct run_queue *queue, const struct thread *running)
{
    u32 realtime = 0, base = 0;
    struct thread *thread;

    list_for_each (thread, &queue->threads, queue_link) {
        assert(thread->state == THREAD_READY && thread->state_seal == THREAD_READY);
        assert(thread->queued && thread->cpu == queue->cpu && thread != running);
        if (thread_is_realtime(thread))
            realtime++;
        else
            base++;
    }
    assert(realtime == queue->realtime.count && base == queue->base.count);
    assert(realtime + base == queue->ready);
    assert(!running->queued && running->state == THREAD_RUNNING);
    assert(running == queue->idle || running->state_seal == THREAD_RUNNING);
}
