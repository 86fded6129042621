/*
 * Control messages: what goes with a message's bytes (cmsg(3), unix(7)).
 *
 *     | header: length, SOL_SOCKET, SCM_RIGHTS | descriptors ... | pad | header ... |
 *
 * Sending, the caller's buffer was copied into kernel memory, and is taken apart here: descriptors
 * become references on open files, credentials are checked. Receiving, they are written one after
 * the other as far as there is room; what has none is lost, and MSG_CTRUNC says so.
 *
 * A received file gets its number only after the number has reached the caller, so that a bad
 * address leaves no descriptor that nobody knows of. A file that finds no number (EMFILE) is
 * closed: the bytes were received, so the call cannot fail any more.
 *
 * Ownership: an ancillary's files are the message's until they are in a packet (unix_packet_seal),
 * then the packet's, then the receiver's; whoever has them when something fails frees them.
 * Context: the calling thread; sleeps (user memory, the last reference of a file).
 */
#include "socket.h"

#include <pith/abi/errno.h>
#include <pith/abi/fcntl.h>
#include <pith/abi/process.h>
#include <pith/proc.h>
#include <pith/string.h>

#include "passed_files.h"

/* ---- Sending ---- */

struct abi_ucred credentials_of_current(void)
{
    const struct credentials *credentials = thread_current()->credentials;

    return (struct abi_ucred){process_current()->pid, credentials->uid, credentials->gid};
}

/* Adds the files of `count` descriptors. */
static int files_parse(const s32 *fds, u64 count, struct ancillary *ancillary)
{
    struct passed_files *files = ancillary->files;

    if (!count)
        return 0;
    if (count > SCM_MAX_FD - (files ? files->count : 0))
        return -EINVAL;
    if (!files) {
        files = passed_files_alloc(SCM_MAX_FD);
        if (!files)
            return -ENOMEM;
        ancillary->files = files;
    }
    for (u64 i = 0; i < count; i++) {
        struct fd_use use = fd_enter_any(fds[i]);

        if (!use.file)
            return -EBADF;
        file_get(use.file);
        fd_leave(use);
        files->files[files->count++] = use.file;
    }
    return 0;
}

/* Who is not root may call himself only what he is. */
static int credentials_parse(const struct abi_ucred *given, struct ancillary *ancillary)
{
    const struct credentials *self = thread_current()->credentials;
    struct process *named;

    if (given->pid != process_current()->pid && !credentials_can(self, CAPABILITY_SYS_ADMIN))
        return -EPERM;
    if (given->uid != self->uid && given->uid != self->euid && given->uid != self->suid &&
        !credentials_can(self, CAPABILITY_SETUID))
        return -EPERM;
    if (given->gid != self->gid && given->gid != self->egid && given->gid != self->sgid &&
        !credentials_can(self, CAPABILITY_SETGID))
        return -EPERM;
    named = process_find_by_tid(given->pid);
    if (!named)
        return -ESRCH;
    process_put(named);
    ancillary->has_credentials = true;
    ancillary->credentials = *given;
    return 0;
}

static int control_parse(const struct abi_cmsghdr *header, struct ancillary *ancillary)
{
    u64 bytes = header->bytes - sizeof(*header);

    if (header->level != SOL_SOCKET)
        return 0;
    if (header->type == SCM_RIGHTS)
        return files_parse((const s32 *)(header + 1), bytes / sizeof(s32), ancillary);
    if (header->type == SCM_CREDENTIALS && bytes == sizeof(struct abi_ucred))
        return credentials_parse((const struct abi_ucred *)(header + 1), ancillary);
    return -EINVAL;
}

int ancillary_parse(const struct socket_message *message, struct ancillary *ancillary_out)
{
    const u8 *at = message->control;
    u64 left = message->control_bytes;
    int error = 0;

    if (likely(!at))
        return 0;
    while (!error && left >= sizeof(struct abi_cmsghdr)) {
        const struct abi_cmsghdr *header = (const struct abi_cmsghdr *)at;
        u64 step;

        if (header->bytes < sizeof(*header) || header->bytes > left) {
            error = -EINVAL;
            break;
        }
        error = control_parse(header, ancillary_out);
        step = ALIGN_UP(header->bytes, CMSG_ALIGNMENT);
        if (step >= left)
            break;
        at += step;
        left -= step;
    }
    if (error) {
        passed_files_free(ancillary_out->files);
        ancillary_out->files = NULL;
    }
    return error;
}

/* ---- Receiving ---- */

/* Moves the buffer on by a control message with `bytes` of data. */
static void control_advance(struct socket_message *message, u64 bytes)
{
    u64 space = sizeof(struct abi_cmsghdr) + ALIGN_UP(bytes, CMSG_ALIGNMENT);

    space = MIN(space, message->control_bytes);
    message->control_at = user_ptr_add(message->control_at, space);
    message->control_bytes -= space;
}

static int header_copy_out(const struct socket_message *message, int type, u64 bytes)
{
    const struct abi_cmsghdr header = {sizeof(header) + bytes, SOL_SOCKET, type};

    return copy_out(message->control_at, &header, sizeof(header));
}

/* Room for data behind a header; 0: none. */
static u64 control_room(const struct socket_message *message)
{
    u64 header = sizeof(struct abi_cmsghdr);

    return message->control_bytes > header ? message->control_bytes - header : 0;
}

/* A control message of one object; what has no room of it is lost. */
static void object_deliver(int type, const void *object, u64 size, struct socket_message *message)
{
    u64 bytes = MIN(control_room(message), size);

    if (bytes < size)
        message->flags_out |= MSG_CTRUNC;
    if (message->control_bytes < sizeof(struct abi_cmsghdr))
        return;
    if (header_copy_out(message, type, bytes) ||
        copy_out(user_ptr_add(message->control_at, sizeof(struct abi_cmsghdr)), object, bytes))
        return;
    control_advance(message, bytes);
}

static void moment_deliver(const struct socket *socket, u64 ns, struct socket_message *message)
{
    const struct abi_timespec exact = {(s64)(ns / NS_PER_SECOND), (s64)(ns % NS_PER_SECOND)};
    const struct abi_timeval rough = {exact.seconds, exact.nanoseconds / (s64)NS_PER_US};

    if (socket_has_flag(socket, SOCKET_FLAG_TIMESTAMP_NS))
        object_deliver(SO_TIMESTAMPNS, &exact, sizeof(exact), message);
    else
        object_deliver(SO_TIMESTAMP, &rough, sizeof(rough), message);
}

/* Gives the file a descriptor whose number goes to `to`. */
static int file_deliver(struct file *file, struct user_ptr to, u32 close_on_exec)
{
    struct file_table *table = thread_current()->files;
    int fd, error;

    error = fd_reserve(table, 0, &fd, 1);
    if (error)
        return error;
    error = copy_out(to, &fd, sizeof(fd));
    if (error) {
        fd_release(table, &fd, 1);
        return error;
    }
    file_get(file);
    fd_install(table, fd, file, close_on_exec);
    return 0;
}

static void files_deliver(struct passed_files *files, struct socket_message *message)
{
    u32 close_on_exec = message->flags & MSG_CMSG_CLOEXEC ? O_CLOEXEC : 0;
    u64 room = control_room(message) / sizeof(s32);
    struct user_ptr at = user_ptr_add(message->control_at, sizeof(struct abi_cmsghdr));
    u32 count = 0;

    while (count < files->count && count < room &&
           !file_deliver(files->files[count], user_ptr_add(at, count * sizeof(s32)), close_on_exec))
        count++;
    if (count && !header_copy_out(message, SCM_RIGHTS, count * sizeof(s32)))
        control_advance(message, count * sizeof(s32));
    if (count < files->count)
        message->flags_out |= MSG_CTRUNC;
}

void ancillary_deliver(const struct socket *socket, struct ancillary *ancillary,
                       struct socket_message *message)
{
    if (unlikely(ancillary->sent_ns))
        moment_deliver(socket, ancillary->sent_ns, message);
    if (unlikely(ancillary->has_credentials &&
                 socket_has_flag(socket, SOCKET_FLAG_PASS_CREDENTIALS)))
        object_deliver(SCM_CREDENTIALS, &ancillary->credentials, sizeof(ancillary->credentials),
                       message);
    if (unlikely(ancillary->files)) {
        files_deliver(ancillary->files, message);
        passed_files_free(ancillary->files);
    }
}
