/*
 * The life of a thread: memory, first context, end.
 *
 *     lowest address                                                        KERNEL_STACK_BYTES
 *     | guard | <-- kernel calls grow down ...... | trap frame of user mode |
 *                                                 ^ where the first context starts: thread_begin
 *
 * thread_create prepares a context that looks as if the thread had been switched out just before
 * thread_begin; so the first switch to it is a switch like any other, and thread_begin ends it as
 * the others do (switch_finish), with the run queue's lock that the CPU handed over.
 *
 * A thread that ends stands on the stack that is to be freed. So it holds a reference on itself
 * from thread_start on, which whoever runs next on its CPU gives up, when the last switch is over:
 *
 *     dying thread                        its successor on the CPU
 *     state = DEAD; switches away  ---->  on_cpu = false; thread_put(left)   stack and struct go
 *
 * Others who keep a pointer hold references of their own, and may look at a DEAD thread's figures.
 *
 * Locking: a thread is its creator's alone until thread_start.
 * Context: creating sleeps (memory). thread_put may come from the end of a switch, and never
 *          sleeps.
 */
#include "run_queue.h"

#include <pith/mem.h>

#include "life.h"
#include "state.h"

static struct slab_cache *thread_cache;                    /* [const] */
static void (*kernel_thread_adopt)(struct thread *thread); /* [const] after boot */

void thread_cache_init(void)
{
    thread_cache = slab_cache_create("thread", sizeof(struct thread), 64);
    assert(thread_cache);
}

void thread_init(struct thread *thread)
{
    memset(thread, 0, sizeof(*thread));
    spin_init(&thread->lock, LOCK_THREAD);
    refcount_set(&thread->references, 1);
    thread->affinity = ~0ul;
    thread->cpu = cpu_current()->id;
    thread->policy.weight = thread_weight(thread);
    thread->state_since_ns = clock_monotonic_ns();
    thread->arrived_ns = thread->state_since_ns;
    thread->born_ns = thread->state_since_ns;
    thread->user.fpu_loaded_cpu = CPU_NONE;
    list_init(&thread->queue_link);
    list_init(&thread->policy.link);
    timer_init(&thread->sleep_timer, thread_sleep_expired);
}

int thread_create(void (*entry)(void *), void *argument, struct thread **thread_out)
{
    struct thread *thread = slab_alloc(thread_cache, 0);
    char *stack_end;

    if (!thread)
        return -ENOMEM;
    thread_init(thread);
    thread->stack = kernel_stack_alloc();
    if (!thread->stack) {
        slab_free(thread_cache, thread);
        return -ENOMEM;
    }
    thread->entry = entry;
    thread->entry_argument = argument;
    /* A user thread's trap frame lies above what its kernel part uses. */
    stack_end = (char *)thread->stack + KERNEL_STACK_BYTES;
    context_init(&thread->context, (void *)ALIGN_DOWN((u64)trap_frame_at(stack_end), 16),
                 thread_begin, thread);
    *thread_out = thread;
    return 0;
}

void thread_start(struct thread *thread)
{
    u64 now_ns = clock_monotonic_ns();

    thread_get(thread); /* its own, which switch_finish gives up */
    spin_lock(&thread->lock);
    thread_set_state(thread, THREAD_READY, now_ns);
    thread_make_runnable(thread, POLICY_PUSH_NEW, now_ns);
    spin_unlock(&thread->lock);
}

/* The timer of timed waits is waited for while that can still be done. */
noreturn void thread_exit(void)
{
    struct thread *thread = thread_current();
    struct run_queue *queue;
    u64 now_ns;

    timer_fini(&thread->sleep_timer);
    spin_lock(&thread->lock);
    now_ns = clock_monotonic_ns();
    thread_set_state(thread, THREAD_DEAD, now_ns);
    queue = this_cpu(run_queue);
    spin_lock(&queue->lock);
    spin_unlock(&thread->lock);
    schedule_locked(queue, LEAVE_BLOCKED, now_ns);
    panic("a dead thread ran");
}

/* DEAD, or never started: nobody runs on the stack that goes. */
void thread_put(struct thread *thread)
{
    if (!refcount_dec_is_zero(&thread->references))
        return;
    assert(thread->state == THREAD_NEW || thread->state == THREAD_DEAD);
    if (thread->on_free)
        thread->on_free(thread);
    user_context_free(&thread->user);
    kernel_stack_free(thread->stack);
    slab_free(thread_cache, thread);
}

void kernel_thread_register(void (*adopt)(struct thread *thread))
{
    kernel_thread_adopt = adopt;
}

/* Before proc/ has registered there is no process to adopt it: boot's own threads. */
int kernel_thread_create(const char *name, void (*entry)(void *), void *argument,
                         struct thread **thread_out)
{
    int error = thread_create(entry, argument, thread_out);

    if (error)
        return error;
    (*thread_out)->kernel_name = name;
    if (kernel_thread_adopt)
        kernel_thread_adopt(*thread_out);
    return 0;
}

int kernel_thread_start(const char *name, void (*entry)(void *), void *argument,
                        struct thread **thread_out)
{
    int error = kernel_thread_create(name, entry, argument, thread_out);

    if (!error)
        thread_start(*thread_out);
    return error;
}
