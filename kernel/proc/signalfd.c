/*
 * signalfd(2): pending signals as a file. A read takes those of the file's set that are pending for
 * the reader, whichever process opened it; so does poll ask about the caller's own signals.
 *
 * All signalfds are polled on one queue, which each sent signal wakes when somebody is on it. A
 * queue in each process would be woken less often for nothing; but an epoll set outlives the
 * process that filled it, and its waiters would lie on a queue that is gone.
 *
 *     who polls                                  sender (signals_lock held)
 *     enters signalfd_queue                      the signal is pending
 *     lock(signals_lock); pending? unlock        wakes signalfd_queue
 *
 * They cannot miss each other: the entry is made before the look, the signal before the wake-up,
 * and both looks are under that lock. A read does not use the queue: it waits as sigtimedwait(2)
 * does.
 *
 * Errors of a read: -EINVAL, no room for one record; -EAGAIN; -EFAULT; restarted after a handler.
 *
 * Locking: signals_lock, then signalfd_queue's. Context: sends come from anywhere.
 */
#include <pith/proc_fs.h>

#include "internal.h"

struct signalfd {
    u64 set; /* [atomic] what it takes */
};

/* What a read gives for each signal: struct signalfd_siginfo. */
struct signalfd_record {
    u32 signal;
    s32 error, code;
    u32 pid, uid;
    s32 fd;
    u32 timer_id, band, overruns, trap;
    s32 status, value_int;
    u64 value, user_ticks, system_ticks, address;
    u8 padding[48];
};
_Static_assert(sizeof(struct signalfd_record) == 128, "struct signalfd_siginfo");

static struct wait_queue signalfd_queue; /* polls only; reads wait as sigtimedwait(2) does */

void signalfd_tell(void)
{
    wait_queue_wake(&signalfd_queue, WAKE_ALL, POLL_READABLE);
}

/* Which fields mean something follows from who sent it, as in siginfo_t. */
static void record_make(const struct signal_info *info, struct signalfd_record *record)
{
    struct abi_siginfo abi;

    signal_info_to_abi(info, &abi);
    *record =
        (struct signalfd_record){.signal = (u32)abi.signal, .error = abi.error, .code = abi.code};
    if (abi.code == SI_TIMER) {
        record->timer_id = (u32)abi.timer.id;
        record->overruns = (u32)abi.timer.overruns;
        record->value = abi.timer.value;
        record->value_int = (s32)abi.timer.value;
    } else if (abi.code > 0 && abi.code != SI_KERNEL && abi.signal == SIGCHLD) {
        record->pid = (u32)abi.child.pid;
        record->uid = abi.child.uid;
        record->status = abi.child.status;
        record->user_ticks = (u64)abi.child.user_ticks;
        record->system_ticks = (u64)abi.child.system_ticks;
    } else if (abi.code > 0 && abi.code != SI_KERNEL &&
               (signal_bit(abi.signal) & SIGNALS_OF_FAULTS)) {
        record->address = abi.fault.address;
    } else {
        record->pid = (u32)abi.sender.pid;
        record->uid = abi.sender.uid;
        record->value = abi.code < 0 ? abi.sender.value : 0;
        record->value_int = (s32)record->value;
    }
}

/* The first may be waited for; those behind it are taken as they come. */
static int next_record(struct file *file, u64 set, bool may_wait, struct signalfd_record *record)
{
    struct signal_info info;
    int signal;

    if (may_wait && !(file->flags & O_NONBLOCK)) {
        signal = signal_wait(set, U64_MAX, &info);
        if (signal < 0)
            return -ERESTARTSYS;
    } else {
        signal = signal_take(set, &info);
    }
    if (!signal)
        return -EAGAIN;
    record_make(&info, record);
    return 0;
}

/* Waits for the first; takes as many more as are pending and fit. */
static ssize_t signalfd_read(struct file *file, struct io_buffer *io, u64 *offset)
{
    const struct signalfd *signalfd = file->private_data;
    struct signalfd_record record;
    ssize_t done = 0;

    if (io->bytes_left < sizeof(record))
        return -EINVAL;
    while (io->bytes_left >= sizeof(record)) {
        int error = next_record(file, READ_ONCE(signalfd->set), done == 0, &record);

        if (error)
            return done ? done : error;
        if (io_copy_to(io, &record, sizeof(record)) < sizeof(record))
            return done ? done : -EFAULT;
        done += sizeof(record);
    }
    return done;
}

/* Of the caller's own signals, not of whoever opened it. */
static u32 signalfd_poll(struct file *file, struct poll_table *table)
{
    const struct signalfd *signalfd = file->private_data;
    struct process *process = process_current();
    u64 pending;

    poll_wait(table, &signalfd_queue);
    spin_lock(&process->signals_lock);
    pending = process->pending.set | identity_current()->pending.set;
    spin_unlock(&process->signals_lock);
    return pending & READ_ONCE(signalfd->set) ? POLL_READABLE : 0;
}

static void signalfd_describe(struct file *file, struct text_sink *sink)
{
    const struct signalfd *signalfd = file->private_data;

    text_print(sink, "sigmask:\t%016lx\n", READ_ONCE(signalfd->set));
}

static void signalfd_release(struct file *file)
{
    kfree(file->private_data);
}

static const struct file_operations signalfd_operations = {
    .flags = FILE_OPERATIONS_STREAM | FILE_OPERATIONS_NO_SEEK,
    .release = signalfd_release,
    .read = signalfd_read,
    .poll = signalfd_poll,
    .describe = signalfd_describe,
};

int signalfd_open(u64 set, u32 flags, struct file **file_out)
{
    struct signalfd *signalfd = kmalloc(sizeof(*signalfd), 0);
    int error;

    if (!signalfd)
        return -ENOMEM;
    signalfd->set = set & ~SIGNALS_UNBLOCKABLE;
    error = file_create_anonymous("[signalfd]", &signalfd_operations, O_RDWR | (flags & O_NONBLOCK),
                                  signalfd, file_out);
    if (error)
        kfree(signalfd);
    return error;
}

/* What is pending already may be in the new set: pollers look again. */
int signalfd_change(struct file *file, u64 set)
{
    struct signalfd *signalfd = file->private_data;

    if (file->operations != &signalfd_operations)
        return -EINVAL;
    WRITE_ONCE(signalfd->set, set & ~SIGNALS_UNBLOCKABLE);
    signalfd_tell(); /* what is pending already may be in the new set */
    return 0;
}

void signalfd_init(void)
{
    wait_queue_init(&signalfd_queue);
}
