/*
 * timerfd_create(2): a timer as a file. It is readable once the timer has expired; a read says how
 * often since the last one.
 *
 * An interval timer that nobody reads costs nothing: it expires once, and only the next read (or
 * question) counts how many intervals have passed since and sets it again. So an interval of 1 ns
 * is no storm of interrupts.
 *
 *     set --> armed --deadline--> expired, readable --read: 1 + whole intervals since--.
 *               ^                                                                      |
 *               '----------------------------------------------------------------------'
 *
 * A timer with a moment of the date (CLOCK_REALTIME, absolute) keeps that moment beside its
 * deadline of the monotonic clock; when the date is set, the deadline is made anew. With
 * TIMERFD_CANCEL_ON_SET the file becomes readable then, too, and the read fails with ECANCELED.
 *
 * Locking: queue.lock guards all fields of a timer; the timer's function takes it, so only release
 *          waits for that function, without it. `dated.lock` guards the list of timers that follow
 *          the date and is taken before any queue.lock.
 */
#include <pith/event_files.h>
#include <pith/proc_fs.h>

struct timerfd {
    struct wait_queue queue; /* its lock guards all below */
    struct timer timer;
    u64 deadline_ns; /* of clock_monotonic_ns; 0: not armed */
    u64 date_ns;     /* the same moment of clock_realtime_ns; 0: not tied to the date */
    u64 interval_ns;
    u64 expirations; /* since the last read, without what an expired interval timer has to count */
    bool expired;    /* an interval timer that waits to be counted */
    bool cancels;    /* TIMERFD_CANCEL_ON_SET, and it follows the date */
    bool cancelled;  /* the date was set since the last read */
    u32 settime_flags; /* as it was set, and ... */
    int clock;         /* [const] ... made: for fdinfo */
    struct list link;  /* in `dated`, if it follows the date; guarded by dated.lock */
};

static struct {
    struct spinlock lock; /* LOCK_TIMERFD */
    struct list timers;
} dated;

static const struct file_operations timerfd_operations;

static void timerfd_expired(struct timer *timer)
{
    struct timerfd *timerfd = container_of(timer, struct timerfd, timer);

    spin_lock(&timerfd->queue.lock);
    if (timerfd->deadline_ns && !timerfd->expired) {
        /* Set anew while this call was on its way? */
        if (timerfd->deadline_ns > clock_monotonic_ns()) {
            timer_set(timer, timerfd->deadline_ns);
        } else {
            timerfd->expirations++;
            timerfd->expired = timerfd->interval_ns;
            if (!timerfd->expired)
                timerfd->deadline_ns = 0;
            wait_queue_wake_locked(&timerfd->queue, WAKE_ALL, POLL_READABLE);
        }
    }
    spin_unlock(&timerfd->queue.lock);
}

/* The deadline for a moment of the date; a moment that has passed is due at once. */
static u64 deadline_of_date(u64 date_ns)
{
    u64 now_ns = clock_monotonic_ns(), date_now_ns = clock_realtime_ns();

    return date_ns > date_now_ns ? now_ns + (date_ns - date_now_ns) : now_ns;
}

/* How many whole intervals lie between a moment that has passed and now. */
static u64 intervals_since(u64 moment_ns, u64 now_ns, u64 interval_ns)
{
    return now_ns > moment_ns ? (now_ns - moment_ns) / interval_ns : 0;
}

/*
 * Counts the intervals that passed since it expired, and arms it for the next. A moment of the date
 * may lie before the machine's boot.
 */
static void count_intervals_locked(struct timerfd *timerfd)
{
    u64 interval_ns = timerfd->interval_ns, passed;

    if (!timerfd->expired)
        return;
    timerfd->expired = false;
    if (timerfd->date_ns) {
        passed = intervals_since(timerfd->date_ns, clock_realtime_ns(), interval_ns);
        timerfd->date_ns += (passed + 1) * interval_ns;
        timerfd->deadline_ns = deadline_of_date(timerfd->date_ns);
    } else {
        passed = intervals_since(timerfd->deadline_ns, clock_monotonic_ns(), interval_ns);
        timerfd->deadline_ns += (passed + 1) * interval_ns;
    }
    timerfd->expirations += passed;
    timer_set(&timerfd->timer, timerfd->deadline_ns);
}

static void left_locked(struct timerfd *timerfd, struct interval_timer *left_out)
{
    u64 now_ns = clock_monotonic_ns();

    count_intervals_locked(timerfd);
    left_out->interval_ns = timerfd->interval_ns;
    left_out->deadline_ns = 0;
    if (timerfd->deadline_ns)
        left_out->deadline_ns = timerfd->deadline_ns > now_ns ? timerfd->deadline_ns - now_ns : 1;
}

static void date_was_set(void)
{
    struct timerfd *timerfd;

    spin_lock(&dated.lock);
    list_for_each (timerfd, &dated.timers, link) {
        spin_lock(&timerfd->queue.lock);
        if (timerfd->cancels) {
            timerfd->cancelled = true;
            wait_queue_wake_locked(&timerfd->queue, WAKE_ALL, POLL_READABLE);
        }
        if (timerfd->date_ns && timerfd->deadline_ns && !timerfd->expired) {
            timerfd->deadline_ns = deadline_of_date(timerfd->date_ns);
            timer_set(&timerfd->timer, timerfd->deadline_ns);
        }
        spin_unlock(&timerfd->queue.lock);
    }
    spin_unlock(&dated.lock);
}

static bool is_readable_locked(const struct timerfd *timerfd)
{
    return timerfd->expirations || timerfd->cancelled;
}

static ssize_t timerfd_read(struct file *file, struct io_buffer *io, u64 *offset)
{
    struct timerfd *timerfd = file->private_data;
    u64 count = 0;
    int error = 0;

    if (io->bytes_left < sizeof(count))
        return -EINVAL;
    spin_lock(&timerfd->queue.lock);
    while (!is_readable_locked(timerfd) && !error) {
        if (file->flags & O_NONBLOCK)
            error = -EAGAIN;
        else if (wait_queue_wait(&timerfd->queue, WAIT_INTERRUPTIBLE, WAIT_FOR_TIMER))
            error = -ERESTARTSYS;
    }
    if (!error) {
        count_intervals_locked(timerfd);
        if (timerfd->cancelled)
            error = -ECANCELED;
        count = timerfd->expirations;
        timerfd->expirations = 0;
        timerfd->cancelled = false;
    }
    spin_unlock(&timerfd->queue.lock);
    if (error)
        return error;
    return io_copy_to(io, &count, sizeof(count)) == sizeof(count) ? (ssize_t)sizeof(count)
                                                                  : -EFAULT;
}

static u32 timerfd_poll(struct file *file, struct poll_table *table)
{
    struct timerfd *timerfd = file->private_data;
    bool readable;

    poll_wait(table, &timerfd->queue);
    spin_lock(&timerfd->queue.lock);
    readable = is_readable_locked(timerfd);
    spin_unlock(&timerfd->queue.lock);
    return readable ? POLL_READABLE : 0;
}

static void print_span(struct text_sink *sink, const char *name, u64 span_ns)
{
    text_print(sink, "%s: (%lu, %lu)\n", name, span_ns / NS_PER_SECOND, span_ns % NS_PER_SECOND);
}

/* Looks, and counts nothing: an interval timer that has expired is due, with one tick. */
static void timerfd_describe(struct file *file, struct text_sink *sink)
{
    struct timerfd *timerfd = file->private_data;
    u64 now_ns = clock_monotonic_ns(), deadline_ns, interval_ns, ticks;
    u32 flags;

    spin_lock(&timerfd->queue.lock);
    deadline_ns = timerfd->deadline_ns;
    interval_ns = timerfd->interval_ns;
    ticks = timerfd->expirations;
    flags = timerfd->settime_flags;
    spin_unlock(&timerfd->queue.lock);
    text_print(sink, "clockid: %d\nticks: %lu\nsettime flags: 0%o\n", timerfd->clock, ticks, flags);
    print_span(sink, "it_value", deadline_ns > now_ns ? deadline_ns - now_ns : 0);
    print_span(sink, "it_interval", interval_ns);
}

static void timerfd_release(struct file *file)
{
    struct timerfd *timerfd = file->private_data;

    spin_lock(&dated.lock);
    list_remove(&timerfd->link);
    spin_unlock(&dated.lock);
    spin_lock(&timerfd->queue.lock);
    timerfd->deadline_ns = 0;
    spin_unlock(&timerfd->queue.lock);
    timer_fini(&timerfd->timer);
    kfree(timerfd);
}

static const struct file_operations timerfd_operations = {
    .flags = FILE_OPERATIONS_STREAM | FILE_OPERATIONS_NO_SEEK,
    .release = timerfd_release,
    .read = timerfd_read,
    .poll = timerfd_poll,
    .describe = timerfd_describe,
};

int timerfd_open(int clock, bool follows_date, u32 flags, struct file **file_out)
{
    struct timerfd *timerfd = kmalloc(sizeof(*timerfd), ALLOC_CLEARED);
    int error;

    if (!timerfd)
        return -ENOMEM;
    wait_queue_init(&timerfd->queue);
    timer_init(&timerfd->timer, timerfd_expired);
    list_init(&timerfd->link);
    timerfd->clock = clock;
    error = file_create_anonymous("[timerfd]", &timerfd_operations, O_RDWR | (flags & O_NONBLOCK),
                                  timerfd, file_out);
    if (error) {
        kfree(timerfd);
        return error;
    }
    if (follows_date) {
        spin_lock(&dated.lock);
        list_push_back(&dated.timers, &timerfd->link);
        spin_unlock(&dated.lock);
    }
    return 0;
}

/* Arms it, or takes it back with a deadline of 0. */
static void set_locked(struct timerfd *timerfd, u32 flags, const struct interval_timer *timer)
{
    bool follows_date = list_is_linked(&timerfd->link);
    u64 now_ns = clock_monotonic_ns();

    timer_cancel(&timerfd->timer);
    timerfd->settime_flags = flags;
    timerfd->interval_ns = timer->interval_ns;
    timerfd->expirations = 0;
    timerfd->expired = false;
    timerfd->date_ns = 0;
    timerfd->cancels =
        follows_date && (flags & TIMERFD_ABSOLUTE) && (flags & TIMERFD_CANCEL_ON_SET);
    timerfd->deadline_ns = 0;
    if (!timer->deadline_ns)
        return;
    if (!(flags & TIMERFD_ABSOLUTE)) {
        timerfd->deadline_ns =
            timer->deadline_ns > U64_MAX - now_ns ? U64_MAX : now_ns + timer->deadline_ns;
    } else if (follows_date) {
        timerfd->date_ns = timer->deadline_ns;
        timerfd->deadline_ns = deadline_of_date(timer->deadline_ns);
    } else {
        timerfd->deadline_ns = timer->deadline_ns;
    }
    timer_set(&timerfd->timer, timerfd->deadline_ns);
}

int timerfd_set(struct file *file, u32 flags, const struct interval_timer *timer,
                struct interval_timer *left_out)
{
    struct timerfd *timerfd = file->private_data;
    bool was_cancelled;

    if (file->operations != &timerfd_operations)
        return -EINVAL;
    spin_lock(&dated.lock); /* for link, and so that no change of the date falls in between */
    spin_lock(&timerfd->queue.lock);
    left_locked(timerfd, left_out);
    set_locked(timerfd, flags, timer);
    was_cancelled = timerfd->cancels && timerfd->cancelled;
    timerfd->cancelled = false;
    spin_unlock(&timerfd->queue.lock);
    spin_unlock(&dated.lock);
    return was_cancelled && timer->deadline_ns ? -ECANCELED : 0;
}

int timerfd_get(struct file *file, struct interval_timer *left_out)
{
    struct timerfd *timerfd = file->private_data;

    if (file->operations != &timerfd_operations)
        return -EINVAL;
    spin_lock(&timerfd->queue.lock);
    left_locked(timerfd, left_out);
    spin_unlock(&timerfd->queue.lock);
    return 0;
}

void timerfd_init(void)
{
    spin_init(&dated.lock, LOCK_TIMERFD);
    list_init(&dated.timers);
    clock_set_register(date_was_set);
}
