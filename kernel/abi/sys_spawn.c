/*
 * spawn (pith/abi/spawn.h): takes the call's structures apart, and makes the child's descriptors
 * and directories; proc/spawn.c makes the child.
 *
 * The new file table is nobody's yet, and numbers in it are reserved exactly, so the first of two
 * actions for one number decides and the second is an error, whichever kinds they are.
 */
#include <pith/abi.h>

#include <pith/abi/spawn.h>
#include <pith/file_calls.h>
#include <pith/mem.h>
#include <pith/proc.h>

#include "syscalls.h"
#include "versioned.h"

#define SPAWN_FLAGS (SPAWN_NEW_GROUP | SPAWN_NEW_SESSION)

/* Takes over the file's reference in any case. */
static int file_place(struct file_table *files, struct file *file, int fd)
{
    int reserved, error = fd < 0 ? -EBADF : fd_reserve(files, fd, &reserved, 1);

    if (!error && reserved != fd) {
        fd_release(files, &reserved, 1);
        error = -EEXIST;
    }
    if (error)
        file_put(file);
    else
        fd_install(files, fd, file, 0);
    return error;
}

static int act_inherit(const struct spawn_action *action, struct spawn_request *request)
{
    struct file *file = fd_find(action->source);

    return file ? file_place(request->files, file, action->fd) : -EBADF;
}

/* Not O_PATH, which nobody could use in a fresh program, and not O_TMPFILE. */
static int act_open(const struct spawn_action *action, struct spawn_request *request)
{
    struct open_how how = open_how_of(action->flags, action->mode);
    struct file *file;
    int error;

    if (how.flags & (O_PATH | O_TMPFILE_BIT))
        return -EINVAL;
    error = file_open_user(AT_FDCWD, user_ptr_at(action->path), &how, &file);
    return error ? error : file_place(request->files, file, action->fd);
}

static int act_directory(const struct spawn_action *action, struct spawn_request *request)
{
    struct path path;
    int error = path_find_user(AT_FDCWD, user_ptr_at(action->path),
                               LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &path);

    if (error)
        return error;
    error = path_permission(&path, MAY_EXECUTE);
    if (!error)
        directories_set_working(request->directories, &path);
    path_put(&path);
    return error;
}

static int act(const struct spawn_action *action, struct spawn_request *request)
{
    if (action->reserved)
        return -EINVAL;
    switch (action->kind) {
    case SPAWN_INHERIT:
        return act_inherit(action, request);
    case SPAWN_OPEN:
        return act_open(action, request);
    case SPAWN_DIRECTORY:
        return act_directory(action, request);
    default:
        return -EINVAL;
    }
}

static int actions_run(const struct spawn_call *call, struct spawn_request *request)
{
    int error = file_table_create(&request->files);

    if (!error)
        error = directories_copy(thread_current()->directories, &request->directories);
    for (u32 i = 0; i < call->action_count && !error; i++) {
        struct spawn_action action;

        error = copy_in(&action, user_ptr_at(call->actions + i * sizeof(action)), sizeof(action));
        if (!error)
            error = act(&action, request);
    }
    return error;
}

/* What the child did not take over. */
static void request_fini(struct spawn_request *request)
{
    if (request->files)
        file_table_put(request->files);
    if (request->directories)
        directories_put(request->directories);
}

static long spawn_named(const struct spawn_call *call, const char *name)
{
    struct spawn_request request = {
        .program.name = name,
        .program.directory_fd = AT_FDCWD,
        .program.arguments = user_ptr_at(call->arguments),
        .program.environment = user_ptr_at(call->environment),
        .flags = call->flags,
        .signal_mask = call->signal_mask,
        .pid = user_ptr_at(call->pid),
    };
    long result = actions_run(call, &request);

    if (!result)
        result = process_spawn(&request);
    request_fini(&request);
    return result;
}

/*
 * spawn (docs/fork-or-spawn.md). Returns a descriptor of the child, or the error of the first
 * action that failed, in their order: no child was made then. -EINVAL, -E2BIG of the structure
 * first.
 */
long sys_spawn(const struct syscall_args *args)
{
    struct spawn_call call;
    ssize_t result;
    char *name;

    result = copy_in_versioned(&call, sizeof(call), arg_user_ptr(args, 0), arg_u64(args, 1),
                               SPAWN_CALL_BYTES_FIRST);
    if (result)
        return result;
    if ((call.flags & ~SPAWN_FLAGS) || call.action_count > SPAWN_ACTIONS_MAX)
        return -EINVAL;
    name = kmalloc(PATH_MAX_BYTES, 0);
    if (!name)
        return -ENOMEM;
    result = copy_in_string(name, user_ptr_at(call.program), PATH_MAX_BYTES);
    if (result >= 0)
        result = spawn_named(&call, name);
    kfree(name);
    return result;
}
