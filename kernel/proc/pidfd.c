/*
 * pidfds (pidfd_open(2)): a process as a file, that cannot come to mean another one. It is readable
 * once the process has ended. The file holds a reference on the control block, not on the number:
 * when that was given to somebody else the pidfd still means who it meant, and signals find nobody
 * (ESRCH).
 *
 * A pidfd of a process that is being made is reserved before and installed when the process is
 * there: a call that fails, or is made again after a signal, leaves no descriptor behind, and
 * another thread of the caller cannot use one too early.
 *
 * Locking: end_queue's lock is what pollers sleep under; `state` is ZOMBIE before it is woken.
 * Context: sleeps where files are made.
 */
#include "internal.h"

#include <pith/poll.h>
#include <pith/proc_fs.h>

static void pidfd_file_release(struct file *file)
{
    process_put(file->private_data);
}

/*
 * The entry is on the queue before the state is read, and the state is ZOMBIE before the queue is
 * woken.
 */
static u32 pidfd_poll(struct file *file, struct poll_table *table)
{
    struct process *process = file->private_data;

    poll_wait(table, &process->end_queue);
    return READ_ONCE(process->state) == PROCESS_ALIVE ? 0 : POLL_IN | POLL_RDNORM;
}

/* proc(5), fdinfo: -1 once nobody has the number. */
static void pidfd_describe(struct file *file, struct text_sink *sink)
{
    const struct process *process = file->private_data;
    int pid = READ_ONCE(process->state) == PROCESS_REAPED ? -1 : process->pid;

    text_print(sink, "Pid:\t%d\nNSpid:\t%d\n", pid, pid);
}

static const struct file_operations pidfd_operations = {
    .release = pidfd_file_release,
    .poll = pidfd_poll,
    .describe = pidfd_describe,
    .flags = FILE_OPERATIONS_STREAM,
};

static int pidfd_file(struct process *process, u32 flags, struct file **file_out)
{
    int error;

    process_get(process);
    error = file_create_anonymous("[pidfd]", &pidfd_operations, O_RDWR | flags, process, file_out);
    if (error)
        process_put(process);
    return error;
}

int pidfd_open(struct process *process, u32 flags)
{
    struct file *file;
    int result = pidfd_file(process, flags, &file);

    if (result)
        return result;
    return fd_create(file, O_CLOEXEC);
}

struct process *pidfd_process(int fd, bool *nonblock_out)
{
    struct file *file = fd_find(fd);
    struct process *process = NULL;

    if (!file)
        return NULL;
    if (file->operations == &pidfd_operations) {
        process = file->private_data;
        process_get(process);
        if (nonblock_out)
            *nonblock_out = file->flags & O_NONBLOCK;
    }
    file_put(file);
    return process;
}

/* pidfd_send_signal(2) takes an open /proc/PID as well. */
struct process *pidfd_process_to_signal(int fd)
{
    struct process *process = pidfd_process(fd, NULL);
    struct file *file = process ? NULL : fd_find(fd);

    if (file) {
        process = proc_directory_process(file);
        file_put(file);
    }
    return process;
}

/* Rights first: whether a descriptor is open is not to be learnt without. */
static int file_find(struct process *process, int fd, struct file **file_out)
{
    struct file_table *files;
    u32 close_on_exec;

    if (!process_may_inspect(process))
        return -EPERM;
    files = process_files(process);
    if (!files)
        return -ESRCH;
    *file_out = fd >= 0 ? file_table_find(files, (u32)fd, &close_on_exec) : NULL;
    file_table_put(files);
    return *file_out ? 0 : -EBADF;
}

/* Rights and file must be those of one program: an exec in between may have raised the rights. */
int process_find_file(struct process *process, int fd, struct file **file_out)
{
    for (;;) {
        u64 programs = process_programs(process);
        int error = file_find(process, fd, file_out);

        if (process_programs(process) == programs)
            return error;
        if (!error)
            file_put(*file_out);
    }
}

/* ---- Of a process that is being made ---- */

/* The file holds the process, so that one who fails later frees it by putting the file. */
int pidfd_reserve(struct process *process, struct pidfd_reserved *pidfd_out)
{
    struct file_table *files = thread_current()->files;
    struct pidfd_reserved pidfd;
    int error = fd_reserve(files, 0, &pidfd.fd, 1);

    if (error)
        return error;
    error = pidfd_file(process, 0, &pidfd.file);
    if (error)
        fd_release(files, &pidfd.fd, 1);
    else
        *pidfd_out = pidfd;
    return error;
}

int pidfd_reserve_for_clone(const struct clone_request *request, struct process *process,
                            struct pidfd_reserved *pidfd_out)
{
    int error;

    *pidfd_out = (struct pidfd_reserved){};
    if (!(request->flags & CLONE_PIDFD))
        return 0;
    error = pidfd_reserve(process, pidfd_out);
    if (error || !copy_out(request->pidfd, &pidfd_out->fd, sizeof(pidfd_out->fd)))
        return error;
    pidfd_release(pidfd_out);
    return -EFAULT;
}

void pidfd_install(const struct pidfd_reserved *pidfd)
{
    if (pidfd->file)
        fd_install(thread_current()->files, pidfd->fd, pidfd->file, O_CLOEXEC);
}

void pidfd_release(const struct pidfd_reserved *pidfd)
{
    if (!pidfd->file)
        return;
    fd_release(thread_current()->files, &pidfd->fd, 1);
    file_put(pidfd->file);
}
