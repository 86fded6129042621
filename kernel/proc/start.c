/*
 * How processes begin: process 2, which the kernel's own threads belong to, and process 1.
 *
 * Process 1 is made by hand, as nobody can fork it. Its thread starts in the kernel, prepares what
 * needs a thread that may sleep (drivers, the initramfs), and executes /init, as any process
 * executes a program. Every other user process descends from it by clone or spawn.
 *
 * Both exist before any thread does: kernel threads that sched/ starts find process 2 to join, and
 * who looks for process 1 as a reaper always finds it. Their numbers are 1 and 2 because nobody
 * takes one before them.
 *
 * Here too is what proc/ registers with the folders below it: address space switches, samples,
 * limits, signals of files, the way to user mode.
 *
 * Context: boot, and then process 1's thread. What fails here is a panic: there is nobody to tell.
 */
#include "proc_files.h"

static struct process *process_kernel; /* [const] after boot */

/* ---- Kernel threads ---- */

/* Panics without memory: kernel threads are made at boot, and for devices that are found then. */
static void adopt_kernel_thread(struct thread *thread)
{
    struct number *number;

    if (number_alloc(0, &number) || process_thread_adopt(process_kernel, thread))
        panic("no memory for a kernel thread");
    thread->credentials = credentials_create_root();
    (void)string_copy(thread->identity->name, thread->kernel_name, THREAD_NAME_BYTES);
    spin_lock(&process_table_lock);
    identity_publish(thread->identity, number);
    spin_unlock(&process_table_lock);
}

/* ---- Sessions of the first two ---- */

/* Both have sessions of their own, so that every process has a group and a session. */
static void session_create_first(struct process *process, struct number *number)
{
    struct session *session = kmalloc(sizeof(*session), ALLOC_CLEARED);
    struct process_group *group;

    assert(session);
    refcount_set(&session->references, 1);
    session->id = number->value;
    session->number = number;
    session->leader = process;
    if (group_create(number, session, &group))
        panic("no memory for the first process");
    spin_lock(&process_table_lock);
    number->session = session;
    group_join_locked(process, group);
    spin_unlock(&process_table_lock);
    group_put(group);
    session_put(session);
}

/* The numbers are 1 and 2 because nobody else took one before. */
static struct process *process_create_first(const char *name)
{
    struct process *process;
    struct number *number;

    if (process_alloc(&process) || number_alloc(0, &number))
        panic("no memory for the first process");
    process_user_init(process);
    process->actions = signal_actions_create();
    if (!process->actions)
        panic("no memory for the first process");
    (void)string_copy(process->last_name, name, THREAD_NAME_BYTES);
    limits_init(process);
    session_create_first(process, number);
    spin_lock(&process_table_lock);
    process_publish(process, number);
    spin_unlock(&process_table_lock);
    return process;
}

/* ---- Process 1 ---- */

static void (*prepare_hook)(void);

/* process_exec fills in the trap frame on this very stack; nothing returns to it. */
static void init_begin(void *argument)
{
    static const char *const arguments[] = {"/init", NULL};
    static const char *const environment[] = {"HOME=/", "TERM=linux", NULL};
    static const struct exec_request request = {
        .name = "/init",
        .kernel_arguments = arguments,
        .kernel_environment = environment,
    };
    struct thread *thread = thread_current();
    struct trap_frame *frame = trap_frame_at((char *)thread->stack + KERNEL_STACK_BYTES);
    int error;

    if (prepare_hook)
        prepare_hook();
    error = process_exec(&request, frame);
    if (error)
        panic("/init cannot be executed: error %d", -error);
    user_mode_enter(frame);
}

/* The last that boot does by hand: from here on processes come from processes. */
void proc_start_init(void (*prepare)(void))
{
    struct thread *thread;

    prepare_hook = prepare;
    proc_files_init();
    if (process_thread_alloc(process_init, init_begin, NULL, &thread))
        panic("no memory for process 1");
    thread->credentials = credentials_create_root();
    if (!thread->credentials || file_table_create(&thread->files) ||
        directories_create(&thread->directories))
        panic("no memory for process 1");
    limits_init_thread(thread);
    (void)string_copy(thread->identity->name, "init", THREAD_NAME_BYTES);
    spin_lock(&process_table_lock);
    identity_publish(thread->identity, process_init->number);
    spin_unlock(&process_table_lock);
    thread_start(thread);
    thread_put(thread);
}

/* ---- Hooks of the folders below ---- */

/*
 * vm/ asks in pages and knows no credentials: who has CAP_IPC_LOCK locks without a limit
 * (mlock(2)).
 */
static u64 space_limit_pages(enum space_limit limit)
{
    static const u8 resources[] = {
        [SPACE_LIMIT_STACK] = RLIMIT_STACK,
        [SPACE_LIMIT_TOTAL] = RLIMIT_AS,
        [SPACE_LIMIT_DATA] = RLIMIT_DATA,
        [SPACE_LIMIT_LOCKED] = RLIMIT_MEMLOCK,
    };

    if (limit == SPACE_LIMIT_LOCKED &&
        credentials_can(thread_current()->credentials, CAPABILITY_IPC_LOCK))
        return U64_MAX;
    return limit_soft(resources[limit]) >> PAGE_SHIFT;
}

static int id_current(void)
{
    return process_pid(process_current());
}

/* For the text of a panic: nothing is locked, and the current thread may be no thread yet. */
static void describe_current(void)
{
    struct thread *thread = thread_current();

    if (thread && thread->identity)
        log_error("process %d, thread %d (%s)", thread->process->pid, thread->identity->tid,
                  thread->identity->name);
}

static const struct fs_process_hooks fs_hooks = {
    .signal_send_current = signal_send_current,
    .process_id = id_current,
    .signal_send_target = signal_send_target,
    .signal_target_exists = signal_target_exists,
};

void proc_init(void)
{
    process_tables_init();
    signals_init();
    signal_actions_init();
    signalfd_init();
    credentials_init();
    futex_init();
    futex_pi_init();
    oom_init();
    process_init = process_create_first("init");
    process_kernel = process_create_first("kernel");
    process_kernel->is_kernel = true;
    kernel_thread_register(adopt_kernel_thread);
    sched_switch_register(address_space_switch);
    sched_sample_register(process_sample);
    space_limits_register(space_limit_pages);
    fs_process_hooks_register(&fs_hooks);
    panic_describe_register(describe_current);
    fault_signals_init();
    user_return_register(user_return);
}
