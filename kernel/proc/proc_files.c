/*
 * /proc/PID and /proc/PID/task/TID: which files are there, and how a number leads to its process.
 *
 *     /proc  lookup by pid --> process --> process_entries, common_entries
 *            |                    '- task/ lookup --> thread --> thread_entries, common_entries
 *            |                                                   (of its process)
 *            '- by another thread's number --> thread --> thread_entries, and its process's
 *
 * A thread's directory has what is its own, and everything that is the process's besides; entries
 * that need the right to look into the process are guarded as PTRACE_MODE_READ guards them on Linux
 * (ptrace(2), "Ptrace access mode checking"): when they are opened, or at each read where that may
 * be done with a descriptor that somebody else opened.
 *
 * A directory's object is the process (or the thread) with a reference, so that an open file of a
 * process that ended still answers, with what is left. A name is good as long as is_valid says so:
 * the process is not reaped, the thread has not begun to exit and still bears the number.
 *
 * Context: lookups take process_table_lock for a moment; showing sleeps.
 */
#include "proc_files.h"

/* ---- Links ---- */

ssize_t proc_link_text(const struct path *path, char *buffer, size_t size)
{
    char *room = kmalloc(PATH_MAX_BYTES, 0), *name;
    ssize_t length;
    int error;

    if (!room)
        return -ENOMEM;
    error = path_name(path, room, PATH_MAX_BYTES, &name);
    length = error ? error : (ssize_t)MIN(strlen(name), size);
    if (!error)
        memcpy(buffer, name, length);
    kfree(room);
    return length;
}

/* Kernel threads have no directories; they are shown process 1's, where / is. */
static int directories_path(struct process *process, bool root, struct path *path_out)
{
    struct directories *directories =
        process_directories(process->is_kernel ? process_init : process);

    if (!directories)
        return -ENOENT;
    spin_lock(&directories->lock);
    *path_out = root ? directories->root : directories->working;
    path_get(path_out);
    spin_unlock(&directories->lock);
    directories_put(directories);
    return 0;
}

static int follow_cwd(void *object, u64 key, struct path *path_out)
{
    return directories_path(object, false, path_out);
}

static int follow_root(void *object, u64 key, struct path *path_out)
{
    return directories_path(object, true, path_out);
}

static ssize_t read_by_following(int error, struct path *path, char *buffer, size_t size)
{
    ssize_t length;

    if (error)
        return error;
    length = proc_link_text(path, buffer, size);
    path_put(path);
    return length;
}

static ssize_t read_cwd(void *object, u64 key, char *buffer, size_t size)
{
    struct path path;

    return read_by_following(directories_path(object, false, &path), &path, buffer, size);
}

static ssize_t read_root(void *object, u64 key, char *buffer, size_t size)
{
    struct path path;

    return read_by_following(directories_path(object, true, &path), &path, buffer, size);
}

/* ---- Entries ---- */

/* A line of a table: name, permissions, functions. GUARDED says when rights are asked. */
#define SHOWN(text, permissions, function)                                  \
    {                                                                       \
        .name = (text), .mode = S_IFREG | (permissions), .show = (function) \
    }
#define STORED(text, permissions, function, storing)                                            \
    {                                                                                           \
        .name = (text), .mode = S_IFREG | (permissions), .show = (function), .store = (storing) \
    }
#define GUARDED(text, permissions, when, function)                                           \
    {                                                                                        \
        .name = (text), .mode = S_IFREG | (permissions), .guard = (when), .show = (function) \
    }
#define RECORDS(text, function)                                           \
    {                                                                     \
        .name = (text), .mode = S_IFREG | 0444, .guard = PROC_GUARD_OPEN, \
        .show_records = (function)                                        \
    }
#define OPERATED(text, permissions, table)                                         \
    {                                                                              \
        .name = (text), .mode = S_IFREG | (permissions), .guard = PROC_GUARD_OPEN, \
        .operations = (table)                                                      \
    }
#define LINK(text, reading, following)                                                           \
    {                                                                                            \
        .name = (text), .mode = S_IFLNK | 0777, .guard = PROC_GUARD_OPEN, .readlink = (reading), \
        .follow = (following)                                                                    \
    }

/* ---- Threads of a process ---- */

static const struct proc_entry thread_entries[] = {
    SHOWN("stat", 0444, proc_show_thread_stat),
    SHOWN("status", 0444, proc_show_thread_status),
    STORED("comm", 0644, proc_show_thread_comm, proc_store_thread_comm),
    GUARDED("syscall", 0400, PROC_GUARD_READ, proc_show_thread_syscall),
    GUARDED("io", 0400, PROC_GUARD_OPEN, proc_show_thread_io),
    STORED("sched", 0644, proc_show_thread_sched, proc_store_sched),
    SHOWN("schedstat", 0444, proc_show_thread_schedstat),
    SHOWN("microstates", 0444, proc_show_thread_microstates),
    GUARDED("stack", 0400, PROC_GUARD_READ, proc_show_thread_stack),
    SHOWN("wchan", 0444, proc_show_thread_wchan),
    SHOWN("children", 0444, proc_show_children),
};

static void thread_object_get(void *object)
{
    thread_get(object);
}

static void thread_object_put(void *object)
{
    thread_put(object);
}

/* The shared entries of a thread's directory are its process's. */
static void *thread_process(void *object)
{
    return ((struct thread *)object)->process;
}

static void thread_owner(void *object, u32 mode, u32 *uid_out, u32 *gid_out)
{
    proc_process_owner(thread_process(object), mode, uid_out, gid_out);
}

static bool thread_permits(void *object)
{
    return process_may_inspect(thread_process(object));
}

/* What a file of a thread shows is its program's: exec makes open ones stale. */
static u64 thread_generation(void *object)
{
    return process_programs(thread_process(object));
}

static const struct proc_directory common_directory, process_directory; /* below */

#define THREAD_DIRECTORY(shared_directory)                                                     \
    {                                                                                          \
        .entries = thread_entries, .count = ARRAY_SIZE(thread_entries),                        \
        .shared = &(shared_directory), .shared_object = thread_process, .owner = thread_owner, \
        .permits = thread_permits, .generation = thread_generation, .get = thread_object_get,  \
        .put = thread_object_put                                                               \
    }

/* In `task` what is not the thread's own is common; in the root it is its process's, with `task`.
 */
static const struct proc_directory thread_directory = THREAD_DIRECTORY(common_directory);
static const struct proc_directory root_thread_directory = THREAD_DIRECTORY(process_directory);

static const struct proc_entry thread_entry = {.mode = S_IFDIR | 0555,
                                               .directory = &thread_directory};
static const struct proc_entry root_thread_entry = {.mode = S_IFDIR | 0555,
                                                    .directory = &root_thread_directory};

/* A decimal number without leading zeros; 0: it is none. */
static int parse_number(const char *name, u32 bytes)
{
    int value = 0;

    if (bytes == 0 || bytes > 7 || name[0] == '0')
        return 0;
    for (u32 i = 0; i < bytes; i++) {
        if (name[i] < '0' || name[i] > '9')
            return 0;
        value = value * 10 + name[i] - '0';
    }
    return value;
}

/* A number of another process's thread is not in this directory. */
static int task_lookup(void *object, const char *name, u32 bytes,
                       const struct proc_entry **entry_out, void **object_out, u64 *key_out)
{
    int tid = parse_number(name, bytes);
    struct thread *thread = tid ? thread_find(tid) : NULL;

    if (!thread)
        return -ENOENT;
    if (thread->process != object) {
        thread_put(thread);
        return -ENOENT;
    }
    *entry_out = &thread_entry;
    *object_out = thread;
    *key_out = tid;
    return 0;
}

static bool task_next(void *object, u64 *key, char *name, size_t size, u32 *type_out)
{
    struct thread *thread = process_thread_next(object, (int)*key - 1);

    if (!thread)
        return false;
    *key = thread->identity->tid;
    format_text(name, size, "%lu", *key);
    *type_out = S_IFDIR >> 12;
    thread_put(thread);
    return true;
}

static bool thread_is_valid(void *object, u64 key)
{
    struct thread *thread = object;

    return !thread->identity->exiting && thread->identity->tid == (int)key;
}

/* ---- Processes ---- */

void proc_process_get(void *object)
{
    process_get(object);
}

void proc_process_put(void *object)
{
    process_put(object);
}

bool proc_process_permits(void *object)
{
    return process_may_inspect(object);
}

static u64 process_generation(void *object)
{
    return process_programs(object);
}

/* Who may not be looked into by its own user is root's, but for the directories that all enter. */
void proc_process_owner(void *object, u32 mode, u32 *uid_out, u32 *gid_out)
{
    struct process *process = object;
    struct credentials *credentials = process_credentials(process);
    bool is_open = mode == (S_IFDIR | 0555) || READ_ONCE(process->dumpable);

    *uid_out = credentials && is_open ? credentials->euid : 0;
    *gid_out = credentials && is_open ? credentials->egid : 0;
    if (credentials)
        credentials_put(credentials);
}

static const struct proc_directory task_directory = {
    .owner = proc_process_owner,
    .lookup = task_lookup,
    .next = task_next,
    .is_valid = thread_is_valid,
    .get = proc_process_get,
    .put = proc_process_put,
};

/* Of the process, in its own directory and in those of its threads. */
static const struct proc_entry common_entries[] = {
    SHOWN("statm", 0444, proc_show_statm),
    SHOWN("cmdline", 0444, proc_show_cmdline),
    GUARDED("environ", 0400, PROC_GUARD_OPEN, proc_show_environ),
    {.name = "auxv",
     .mode = S_IFREG | 0400,
     .guard = PROC_GUARD_OPEN,
     .show_opened = proc_show_auxv},
    RECORDS("maps", proc_show_maps),
    RECORDS("smaps", proc_show_smaps),
    GUARDED("smaps_rollup", 0444, PROC_GUARD_OPEN, proc_show_smaps_rollup),
    RECORDS("numa_maps", proc_show_numa_maps),
    {.name = "clear_refs", .mode = S_IFREG | 0200, .store = proc_store_clear_refs},
    OPERATED("pagemap", 0400, &proc_pagemap_operations),
    OPERATED("mem", 0600, &proc_memory_operations),
    SHOWN("limits", 0444, proc_show_limits),
    SHOWN("wchan", 0444, proc_show_wchan),
    STORED("loginuid", 0644, proc_show_login_uid, proc_store_login_uid),
    SHOWN("sessionid", 0444, proc_show_login_session),
    GUARDED("personality", 0400, PROC_GUARD_READ, proc_show_personality),
    SHOWN("oom_score", 0444, proc_show_oom_score),
    STORED("oom_score_adj", 0644, proc_show_oom_score_adj, proc_store_oom_score_adj),
    STORED("oom_adj", 0644, proc_show_oom_adj, proc_store_oom_adj),
    SHOWN("cgroup", 0444, proc_show_cgroup),
    SHOWN("cpuset", 0444, proc_show_cpuset),
    STORED("uid_map", 0644, proc_show_id_map, proc_refuse_store),
    STORED("gid_map", 0644, proc_show_id_map, proc_refuse_store),
    STORED("projid_map", 0644, proc_show_id_map, proc_refuse_store),
    STORED("setgroups", 0644, proc_show_setgroups, proc_refuse_store),
    SHOWN("mounts", 0444, proc_show_mounts),
    SHOWN("mountinfo", 0444, proc_show_mountinfo),
    LINK("exe", proc_read_exe, proc_follow_exe),
    LINK("cwd", read_cwd, follow_cwd),
    LINK("root", read_root, follow_root),
    {.name = "fd", .mode = S_IFDIR | 0500, .directory = &proc_fd_directory},
    {.name = "fdinfo",
     .mode = S_IFDIR | 0555,
     .guard = PROC_GUARD_OPEN,
     .directory = &proc_fdinfo_directory},
    {.name = "ns", .mode = S_IFDIR | 0511, .directory = &proc_namespace_directory},
};

static const struct proc_directory common_directory = {
    .entries = common_entries,
    .count = ARRAY_SIZE(common_entries),
    .owner = proc_process_owner,
    .permits = proc_process_permits,
    .generation = process_generation,
    .get = proc_process_get,
    .put = proc_process_put,
};

static const struct proc_entry process_entries[] = {
    SHOWN("stat", 0444, proc_show_stat),
    SHOWN("status", 0444, proc_show_status),
    STORED("comm", 0644, proc_show_comm, proc_store_comm),
    GUARDED("syscall", 0400, PROC_GUARD_READ, proc_show_syscall),
    GUARDED("io", 0400, PROC_GUARD_OPEN, proc_show_io),
    GUARDED("mountstats", 0400, PROC_GUARD_OPEN, proc_show_mountstats),
    STORED("sched", 0644, proc_show_sched, proc_store_sched),
    SHOWN("schedstat", 0444, proc_show_schedstat),
    SHOWN("microstates", 0444, proc_show_microstates),
    GUARDED("stack", 0400, PROC_GUARD_READ, proc_show_stack),
    SHOWN("timers", 0444, proc_show_timers),
    STORED("timens_offsets", 0644, proc_show_time_offsets, proc_refuse_store),
    STORED("timerslack_ns", 0666, proc_show_timer_slack, proc_store_timer_slack),
    STORED("coredump_filter", 0644, proc_show_core_filter, proc_store_core_filter),
    {.name = "map_files",
     .mode = S_IFDIR | 0500,
     .guard = PROC_GUARD_OPEN,
     .directory = &proc_map_files_directory},
    {.name = "task", .mode = S_IFDIR | 0555, .directory = &task_directory},
};

static const struct proc_directory process_directory = {
    .entries = process_entries,
    .count = ARRAY_SIZE(process_entries),
    .shared = &common_directory,
    .owner = proc_process_owner,
    .permits = proc_process_permits,
    .generation = process_generation,
    .get = proc_process_get,
    .put = proc_process_put,
};

static const struct proc_entry process_entry = {.mode = S_IFDIR | 0555,
                                                .directory = &process_directory};

/* pidfd_send_signal(2) takes such a directory as well. */
struct process *proc_directory_process(const struct file *directory)
{
    struct process *process = NULL;

    if (proc_inode_directory(directory->inode) == &process_directory) {
        process = proc_inode_object(directory->inode);
        process_get(process);
    }
    return process;
}

/* ---- The root: a directory for each process ---- */

#define KEY_OF_THREAD BIT(32) /* added to the number: the object is a thread */

/* A thread that leads no process is found by its number, and not listed. */
static int root_thread_lookup(int tid, const struct proc_entry **entry_out, void **object_out,
                              u64 *key_out)
{
    struct thread *thread = tid ? thread_find(tid) : NULL;

    if (!thread)
        return -ENOENT;
    *entry_out = &root_thread_entry;
    *object_out = thread;
    *key_out = KEY_OF_THREAD + tid;
    return 0;
}

static int root_lookup(void *object, const char *name, u32 bytes,
                       const struct proc_entry **entry_out, void **object_out, u64 *key_out)
{
    int pid = parse_number(name, bytes);
    struct process *process = pid ? process_find(pid) : NULL;

    if (!process)
        return root_thread_lookup(pid, entry_out, object_out, key_out);
    *entry_out = &process_entry;
    *object_out = process;
    *key_out = pid;
    return 0;
}

static bool root_next(void *object, u64 *key, char *name, size_t size, u32 *type_out)
{
    struct process *process = process_next((int)*key - 1);

    if (!process)
        return false;
    *key = process->pid;
    format_text(name, size, "%lu", *key);
    *type_out = S_IFDIR >> 12;
    process_put(process);
    return true;
}

/* A zombie is still there; what was waited for is not. */
static bool root_is_valid(void *object, u64 key)
{
    if (key >= KEY_OF_THREAD)
        return thread_is_valid(object, key - KEY_OF_THREAD);
    return READ_ONCE(((struct process *)object)->state) != PROCESS_REAPED;
}

static const struct proc_directory root_directory = {
    .lookup = root_lookup,
    .next = root_next,
    .is_valid = root_is_valid,
    .get = proc_process_get,
    .put = proc_process_put,
};

static ssize_t read_self(void *object, u64 key, char *buffer, size_t size)
{
    char text[16];
    int length = format_text(text, sizeof(text), "%d", process_current()->pid);

    memcpy(buffer, text, MIN((size_t)length, size));
    return MIN(length, (int)size);
}

static ssize_t read_thread_self(void *object, u64 key, char *buffer, size_t size)
{
    char text[32];
    int length = format_text(text, sizeof(text), "%d/task/%d", process_current()->pid,
                             identity_current()->tid);

    memcpy(buffer, text, MIN((size_t)length, size));
    return MIN(length, (int)size);
}

static const struct proc_entry self_link = {
    .name = "self", .mode = S_IFLNK | 0777, .readlink = read_self};
static const struct proc_entry thread_self_link = {
    .name = "thread-self", .mode = S_IFLNK | 0777, .readlink = read_thread_self};

void proc_files_init(void)
{
    proc_root_register(&root_directory);
    if (proc_register_entry("", &self_link, NULL) ||
        proc_register_entry("", &thread_self_link, NULL))
        panic("no memory for the names in /proc");
    sys_large_pages_init();
    proc_system_init();
    proc_sched_init();
}
