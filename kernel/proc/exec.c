/*
 * exec: a process becomes another program.
 *
 * The new address space is built completely beside the old one: file found, strings copied,
 * segments mapped, stack written, rights computed. What goes wrong until then (ENOENT, EACCES,
 * ENOEXEC, E2BIG, ENOMEM, ...) leaves the caller as it was. Then
 *
 *     process_become_single   all other threads end; the caller takes over the leader's number
 *     unshare                 a table of descriptors, or of actions, that another process uses too
 *     commit                  cannot fail: rights, memory, handlers, descriptors, registers
 *
 * From the second step on the old program is not whole any more: one whose exec still fails there,
 * for want of memory, never goes on; it ends of SIGSEGV, as on Linux.
 *
 * Two threads that call exec race for exec_thread, under signals_lock: the second is one of those
 * that the first one ends. exec_thread sleeps under the same lock under which threads leave:
 *
 *     exec_thread                                  another thread
 *     lock(signals_lock); SIGKILL to the others    (wakes up, ends)
 *     thread_count > 1: block, lock let go  - - -> lock(table, signals_lock); leaves the list
 *     lock; 1: goes on                             thread_count == 1: wakes exec_thread
 *
 * commit has an order, for others look at us meanwhile (process_may_inspect). Rights that they lose
 * by it are lost before the new memory can be found, and rights that they gain come after:
 *
 *     dumpable = false (set-id program) -> new credentials -> programs + 1 -> memory -> dumpable
 *
 * What a program inherits and what it does not is execve(2)'s list: handlers become defaults, what
 * is ignored stays so; pending signals, the mask, limits, ids of the family and ITIMER_* stay;
 * alternate stack, robust list, rseq, POSIX timers and close-on-exec descriptors go.
 *
 * Locking: process_table_lock or signals_lock for single steps; none across them.
 * Context: the calling thread. Sleeps.
 */
#include "exec.h"

/* ---- Preparation: may fail ---- */

/* execveat: relative to a directory, or with an empty name the descriptor's own file. */
static int open_relative(struct exec *exec, const struct exec_request *request)
{
    u32 flags = request->flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW;
    const char *separator = request->name[0] ? "/" : "";
    struct fd_use use;
    int error;

    if (request->directory_fd == AT_FDCWD || request->name[0] == '/')
        return file_open_executable(NULL, request->name, flags, &exec->program.file);
    if (request->flags & AT_EMPTY_PATH)
        flags |= LOOKUP_EMPTY;
    use = fd_enter_any(request->directory_fd);
    if (!use.file)
        return -EBADF;
    error = file_open_executable(&use.file->path, request->name, flags, &exec->program.file);
    fd_leave(use);
    /* How the program, and a script's interpreter, may open it again (execveat(2)). */
    format_text(exec->relative_name, sizeof(exec->relative_name), "/dev/fd/%d%s%s",
                request->directory_fd, separator, request->name);
    exec->name = exec->relative_name;
    return error;
}

/* A program with more rights than its caller is not to be found where the caller says. */
static u32 randomness_wanted(const struct exec *exec)
{
    bool is_fixed = READ_ONCE(process_current()->personality) & ADDR_NO_RANDOMIZE;

    return is_fixed && !exec->secure ? LAYOUT_FIXED : (u32)READ_ONCE(layout_randomness);
}

static int space_prepare(struct exec *exec)
{
    struct address_space *space;
    int error = address_space_create(&space);

    if (error)
        return error;
    exec->space = space;
    if (thread_current()->space) {
        space->no_large_pages = READ_ONCE(thread_current()->space->no_large_pages);
        space->core_filter = READ_ONCE(thread_current()->space->core_filter);
    }
    space->randomness = randomness_wanted(exec);
    layout_place_stack(space, limit_soft(RLIMIT_STACK));
    error = elf_program_map(&exec->program, space, exec->interpreter.file);
    if (!error && exec->interpreter.file)
        error = elf_interpreter_map(&exec->interpreter, space);
    if (error)
        return error;
    error = address_space_map_vdso(space, &space->vdso);
    if (error == -ENOSYS)
        error = 0;
    if (!error)
        error = exec_stack_build(exec);
    return error;
}

static u64 image_entry(const struct elf_image *image)
{
    return image->bias + image->header.entry;
}

/* Rights are computed of the file that will be mapped: a script's interpreter, not the script. */
static int image_prepare(struct exec *exec, const struct exec_request *request)
{
    int error = open_relative(exec, request);

    if (!error)
        error = exec_strings_copy(&exec->strings, request);
    if (!error && string_copy(exec->script_path, exec->name, sizeof(exec->script_path)) < 0)
        error = -ENAMETOOLONG;
    if (!error)
        error = exec_resolve_scripts(exec);
    if (!error)
        error = elf_image_read(&exec->program);
    if (!error)
        error = elf_interpreter_open(&exec->program, &exec->interpreter);
    if (!error)
        error = credentials_for_exec(exec->program.file, &exec->credentials, &exec->secure,
                                     &exec->dumpable);
    if (!error)
        error = space_prepare(exec);
    if (error)
        return error;
    exec->entry = image_entry(exec->interpreter.file ? &exec->interpreter : &exec->program);
    return user_range_is_valid(exec->entry, 1) ? 0 : -ENOEXEC;
}

/*
 * Given up with the last space that keeps the file, which may be long after exec, in a fork's
 * child.
 */
static void executable_put(void *executable)
{
    file_allow_write(executable);
    file_put(executable);
}

/* Another address space keeps a file that one keeps already: that cannot fail. */
static void executable_get(void *executable)
{
    file_get(executable);
    if (file_deny_write(executable))
        panic("an executable file is open for writing");
}

/* The address space keeps the file, which nobody may write meanwhile. */
static int executable_hold(struct exec *exec)
{
    int error = file_deny_write(exec->program.file);

    if (error)
        return error;
    file_get(exec->program.file);
    exec->space->executable = exec->program.file;
    exec->space->executable_get = executable_get;
    exec->space->executable_put = executable_put;
    return 0;
}

int exec_prepare(struct exec *exec, const struct exec_request *request)
{
    int error = image_prepare(exec, request);

    return error ? error : executable_hold(exec);
}

/* The large arrays at its end are not cleared; they are written before they are read. */
struct exec *exec_alloc(const struct exec_request *request)
{
    struct exec *exec = kmalloc(sizeof(*exec), 0);

    if (!exec)
        return NULL;
    memset(exec, 0, __builtin_offsetof(struct exec, head));
    exec->name = request->name;
    exec_strings_init(&exec->strings);
    return exec;
}

void exec_free(struct exec *exec)
{
    if (exec->space)
        address_space_put(exec->space);
    if (exec->credentials)
        credentials_put(exec->credentials);
    elf_image_release(&exec->interpreter);
    elf_image_release(&exec->program);
    exec_strings_fini(&exec->strings);
    kfree(exec);
}

/* ---- The point of no return ---- */

/*
 * The leader has left already, so its number is free to name us: the process keeps its pid, and
 * wait(2), /proc and signals see no change (execve(2), "all other threads are destroyed").
 */
static void take_over_number(struct process *process, struct thread_identity *identity)
{
    struct number *own;

    spin_lock(&process_table_lock);
    own = identity->number;
    if (own != process->number) {
        own->identity = NULL;
        number_free_unused(own);
        identity->number = process->number;
        identity->number->identity = identity;
        identity->tid = process->pid;
    }
    spin_unlock(&process_table_lock);
}

/* -EAGAIN: another thread was faster, and we end. */
int process_become_single(struct process *process)
{
    struct thread *own = thread_current();
    int error = 0;

    if (process->thread_count == 1 && own->identity->tid == process->pid)
        return 0;
    spin_lock(&process->signals_lock);
    if (process->group_exit || process->exec_thread) {
        spin_unlock(&process->signals_lock);
        return -EAGAIN;
    }
    process->exec_thread = own;
    process_kill_threads_locked(process, own);
    while (process->thread_count > 1 && !error)
        error = thread_block(WAIT_KILLABLE, WAIT_FOR_EXEC, &process->signals_lock);
    process->exec_thread = NULL;
    signal_work_update_locked(process, own->identity);
    spin_unlock(&process->signals_lock);
    if (!error)
        take_over_number(process, own->identity);
    return error;
}

void exec_name_set(struct thread_identity *identity, const char *path)
{
    const char *slash = strrchr(path, '/');

    (void)string_copy(identity->name, slash ? slash + 1 : path, THREAD_NAME_BYTES);
}

/* What pointed into the old program's memory, and the name that ps shows. */
static void identity_reset(struct thread_identity *identity, const char *path)
{
    identity->alternate = (struct alternate_stack){.flags = SS_DISABLE};
    identity->clear_child_tid = user_ptr_at(0);
    identity->set_child_tid = user_ptr_at(0);
    identity->robust_list = user_ptr_at(0);
    identity->pi_released = false;
    rseq_forget(identity->thread);
    exec_name_set(identity, path);
}

/*
 * What the old memory promised to others (robust locks, clear_child_tid) is kept before it goes.
 * Changing page tables is a switch's work and done as there, with interrupts off; a switch that
 * comes before it has done it already.
 */
static void space_replace(struct thread *thread, struct exec *exec)
{
    struct address_space *before = thread->space;
    u64 flags;

    if (before)
        thread_memory_release(thread);
    thread_space_set(thread, exec->space);
    exec->space = NULL;
    flags = interrupts_save_disable();
    address_space_switch(before, thread->space);
    interrupts_restore(flags);
    if (!before)
        return;
    usage_keep_space(thread->process);
    address_space_put(before);
    vfork_release(thread->identity);
}

void process_personality_reset(struct process *process, const struct exec *exec)
{
    process->personality &= ~(exec->secure ? PER_CLEAR_ON_SETID : READ_IMPLIES_EXEC);
}

/* did_exec closes the time in which a parent may move a child to another group (setpgid(2)). */
static void process_reset(struct process *process, const struct exec *exec)
{
    spin_lock(&process_table_lock);
    process->exit_signal = SIGCHLD;
    process->did_exec = true;
    spin_unlock(&process_table_lock);
    WRITE_ONCE(process->dumpable, exec->dumpable); /* after the old space went */
    process_personality_reset(process, exec);
    if (exec->secure)
        process->parent_death_signal = 0;
    process->barriers = 0;
    itimers_exec(process);
}

/*
 * In this order; see the head of the file. From the first line on nobody but this thread is in the
 * process, and nothing fails.
 */
static void commit(struct exec *exec, const struct exec_request *request, struct trap_frame *frame)
{
    struct thread *thread = thread_current();
    struct process *process = thread->process;

    /* For process_may_inspect: rights that others lose go before the new space comes. */
    if (!exec->dumpable)
        WRITE_ONCE(process->dumpable, false);
    credentials_install(exec->credentials);
    exec->credentials = NULL;
    __atomic_fetch_add(&process->programs, 1, __ATOMIC_RELEASE);
    space_replace(thread, exec);
    signal_actions_reset(process->actions);
    identity_reset(thread->identity, request->name);
    process_reset(process, exec);
    file_table_close_on_exec(thread->files);
    thread->restart.function = NULL;
    trap_frame_init_user(frame, exec->entry, exec->stack_pointer);
}

/* exec works on a table of its own: closing in it must not close for another process. */
static int files_unshare(struct thread *thread)
{
    struct file_table *copy, *before = thread->files;
    int error;

    if (!file_table_is_shared(before))
        return 0;
    error = file_table_copy(before, &copy);
    if (error)
        return error;
    spin_lock(&process_table_lock);
    thread->files = copy;
    spin_unlock(&process_table_lock);
    file_table_put(before);
    return 0;
}

/* Another process's actions are not to be reset with ours. */
static int actions_unshare(struct process *process)
{
    struct signal_actions *copy, *before = process->actions;

    if (!signal_actions_are_shared(before))
        return 0;
    copy = signal_actions_copy(before);
    if (!copy)
        return -ENOMEM;
    spin_lock(&process->signals_lock);
    process->actions = copy;
    spin_unlock(&process->signals_lock);
    signal_actions_put(before);
    return 0;
}

static int parts_unshare(struct thread *thread)
{
    int error = files_unshare(thread);

    if (!error)
        error = actions_unshare(thread->process);
    return error ? error : user_context_reset(&thread->user);
}

static void exec_fail(struct process *process)
{
    spin_lock(&process->signals_lock);
    if (!process->group_exit)
        process_doom_locked(process, SIGSEGV);
    spin_unlock(&process->signals_lock);
}

static int run(struct exec *exec, const struct exec_request *request, struct trap_frame *frame)
{
    struct process *process = process_current();
    int error = exec_prepare(exec, request);

    if (!error)
        error = process_become_single(process);
    if (error)
        return error;
    error = parts_unshare(thread_current());
    if (error)
        exec_fail(process);
    else
        commit(exec, request, frame);
    return error;
}

int process_exec(const struct exec_request *request, struct trap_frame *frame)
{
    struct exec *exec = exec_alloc(request);
    int error;

    if (!exec)
        return -ENOMEM;
    error = run(exec, request, frame);
    exec_free(exec);
    return error;
}
