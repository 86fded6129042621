/*
 * Linux's asynchronous I/O: contexts and their events (aio.h).
 *
 * A context's number is an address: Linux maps its ring of events there, and libaio looks at the
 * ring's first words before it calls us. So a context is what is behind a region of one page, whose
 * words say that it is no ring; libaio then makes the call. The region is also what ends the
 * context, by io_destroy(2), munmap(2), exec and exit alike.
 *
 *     address space --region--> context ---> completions that wait
 *
 * Room for an event is reserved before its request is accepted, so that there is always a place for
 * what has been done: reserved, complete (it waits), taken (the room is free again).
 *
 * A context is found by its number while it is on the list; who found it holds it. It enters the
 * list after its page was mapped, since the page's place is its number, and another thread may
 * have unmapped that already: then it never enters.
 *
 * Locking: contexts.lock guards the list and the sum of events; queue.lock a context's completions.
 * Context: region_closed may come from any thread's exit; all others sleep.
 */
#include <pith/aio.h>

#define EVENTS_MAX   65536u /* of all contexts: /proc/sys/fs/aio-max-nr */
#define EVENTS_LEAST 64u    /* as in Linux there is room for more than was asked for */

struct aio_context {
    struct refcount references;
    const struct address_space *space; /* [const] to compare; the region is in it */
    u64 id;                            /* [const] once it is on the list */
    u32 events;                        /* [const] how many may wait or be under way */
    struct list link;                  /* guarded by contexts.lock */
    struct frame *frame;               /* [const] the page */
    struct wait_queue queue;           /* its lock guards all below */
    u32 reserved;                      /* completions that wait or are under way */
    bool is_gone;                      /* set before it leaves the list */
    struct list completions;
};

struct aio_completion {
    struct list link;
    struct io_event event;
};

static struct {
    struct spinlock lock; /* LOCK_LEAF */
    struct list list;
    u32 events;
} contexts = {SPINLOCK_INIT(LOCK_LEAF), LIST_INIT(contexts.list), 0};

/* ---- Life ---- */

void aio_context_put(struct aio_context *context)
{
    struct list *link;

    if (!refcount_dec_is_zero(&context->references))
        return;
    spin_lock(&contexts.lock);
    contexts.events -= context->events;
    spin_unlock(&contexts.lock);
    while ((link = list_pop_front(&context->completions)))
        kfree(list_entry(link, struct aio_completion, link));
    if (context->frame)
        frame_put(context->frame);
    kfree(context);
}

static int aio_fill(struct region *region, u64 index, unsigned access, struct frame **frame_out)
{
    struct aio_context *context = region->object;

    frame_get(context->frame);
    *frame_out = context->frame;
    return 0;
}

static void aio_region_opened(struct region *region)
{
    struct aio_context *context = region->object;

    refcount_inc(&context->references);
}

static void context_end(struct aio_context *context)
{
    spin_lock(&context->queue.lock);
    context->is_gone = true;
    wait_queue_wake_locked(&context->queue, WAKE_ALL, 0);
    spin_unlock(&context->queue.lock);
    spin_lock(&contexts.lock);
    list_remove(&context->link);
    spin_unlock(&contexts.lock);
}

/* A child's copy of the region is no context: only the page is seen there. */
static void aio_region_closed(struct region *region)
{
    struct aio_context *context = region->object;

    if (region->space == context->space)
        context_end(context);
    aio_context_put(context);
}

static const struct pager aio_pager = {
    .name = "/[aio] (deleted)",
    .fill = aio_fill,
    .region_opened = aio_region_opened,
    .region_closed = aio_region_closed,
};

/* -EAGAIN: all contexts together would have too many events. */
static int events_charge(u32 events)
{
    int error = -EAGAIN;

    spin_lock(&contexts.lock);
    if (events <= EVENTS_MAX - contexts.events) {
        contexts.events += events;
        error = 0;
    }
    spin_unlock(&contexts.lock);
    return error;
}

static int context_alloc(u32 events, struct aio_context **context_out)
{
    struct aio_context *context = kmalloc(sizeof(*context), ALLOC_CLEARED);
    int error;

    if (!context)
        return -ENOMEM;
    error = events_charge(events);
    if (error) {
        kfree(context);
        return error;
    }
    refcount_set(&context->references, 1);
    context->space = thread_current()->space;
    context->events = events;
    wait_queue_init(&context->queue);
    list_init(&context->link);
    list_init(&context->completions);
    context->frame = frame_alloc(0, FRAME_KERNEL, ALLOC_CLEARED);
    if (!context->frame) {
        aio_context_put(context);
        return -ENOMEM;
    }
    *context_out = context;
    return 0;
}

int aio_context_create(u32 events, u64 *id_out)
{
    struct map_request request = {.bytes = PAGE_SIZE,
                                  .flags = REGION_READ | REGION_MAY_READ | REGION_SPECIAL |
                                           REGION_SHARED,
                                  .pager = &aio_pager};
    struct aio_context *context;
    int error = context_alloc(MAX(events, EVENTS_LEAST), &context);

    if (error)
        return error;
    request.object = context;
    error = address_space_map(thread_current()->space, &request, id_out);
    if (!error) {
        context->id = *id_out;
        spin_lock(&contexts.lock);
        if (!READ_ONCE(context->is_gone)) /* another thread may have unmapped the page by now */
            list_push_back(&contexts.list, &context->link);
        spin_unlock(&contexts.lock);
    }
    aio_context_put(context);
    return error;
}

struct aio_context *aio_context_find(u64 id)
{
    struct aio_context *context, *found = NULL;

    spin_lock(&contexts.lock);
    list_for_each (context, &contexts.list, link) {
        if (context->id == id && context->space == thread_current()->space) {
            refcount_inc(&context->references);
            found = context;
            break;
        }
    }
    spin_unlock(&contexts.lock);
    return found;
}

int aio_context_destroy(u64 id)
{
    struct aio_context *context = aio_context_find(id);
    int error;

    if (!context)
        return -EINVAL;
    error = address_space_unmap(thread_current()->space, id, PAGE_SIZE);
    aio_context_put(context);
    return error;
}

/* ---- Completions ---- */

struct aio_completion *aio_completion_reserve(struct aio_context *context)
{
    struct aio_completion *completion = kmalloc(sizeof(*completion), 0);
    bool has_room;

    if (!completion)
        return NULL;
    spin_lock(&context->queue.lock);
    has_room = context->reserved < context->events;
    if (has_room)
        context->reserved++;
    spin_unlock(&context->queue.lock);
    if (has_room)
        return completion;
    kfree(completion);
    return NULL;
}

void aio_completion_release(struct aio_context *context, struct aio_completion *completion)
{
    spin_lock(&context->queue.lock);
    context->reserved--;
    spin_unlock(&context->queue.lock);
    kfree(completion);
}

void aio_complete(struct aio_context *context, struct aio_completion *completion,
                  const struct io_event *event)
{
    completion->event = *event;
    spin_lock(&context->queue.lock);
    list_push_back(&context->completions, &completion->link);
    wait_queue_wake_locked(&context->queue, 1, 0);
    spin_unlock(&context->queue.lock);
}

/* Waits for one and takes it; NULL: none came in time. */
static int completion_take(struct aio_context *context, u64 deadline_ns,
                           struct aio_completion **completion_out)
{
    struct list *link;
    int error = 0;

    spin_lock(&context->queue.lock);
    while (list_is_empty(&context->completions) && deadline_ns && !error) {
        if (context->is_gone)
            error = -EINVAL;
        else
            error = wait_queue_wait_until(&context->queue, WAIT_INTERRUPTIBLE, WAIT_FOR_FILE,
                                          deadline_ns);
    }
    link = list_pop_front(&context->completions);
    spin_unlock(&context->queue.lock);
    *completion_out = link ? list_entry(link, struct aio_completion, link) : NULL;
    return link || error == -ETIMEDOUT ? 0 : error;
}

static void completion_return(struct aio_context *context, struct aio_completion *completion)
{
    spin_lock(&context->queue.lock);
    list_push_front(&context->completions, &completion->link);
    wait_queue_wake_locked(&context->queue, 1, 0);
    spin_unlock(&context->queue.lock);
}

long aio_wait_events(struct aio_context *context, long least, long most, struct user_ptr events,
                     u64 deadline_ns)
{
    long count = 0;
    int error = 0;

    while (count < most) {
        struct aio_completion *completion;

        error = completion_take(context, count < least ? deadline_ns : 0, &completion);
        if (error || !completion)
            break;
        if (copy_out(user_ptr_add(events, (u64)count * sizeof(completion->event)),
                     &completion->event, sizeof(completion->event))) {
            completion_return(context, completion);
            error = -EFAULT;
            break;
        }
        aio_completion_release(context, completion);
        count++;
    }
    return count ? count : error;
}
