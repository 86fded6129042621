/*
 * /proc/PID's files about what separates processes: ns/ and the maps of user ids, login session,
 * control group and set of CPUs.
 *
 * There is one namespace of each kind, one control group and one set of CPUs, which everybody is
 * in. So these files tell of the first ones, as they do of Linux's first process, and what sets
 * a namespace up (which on Linux succeeds only once) is refused.
 *
 * The login's user id and session are the process's and its children's (pam_loginuid(8) sets them);
 * nothing but programs reads them.
 */
#include "proc_files.h"

#define NOBODY_LOGGED_IN (~0u)

/* ---- ns/ ---- */

static ssize_t namespace_read(enum namespace_kind kind, char *buffer, size_t size)
{
    struct path path;
    ssize_t length;

    namespace_path(kind, &path);
    length = proc_link_text(&path, buffer, size);
    path_put(&path);
    return length;
}

/* An entry's functions get no more than the process, so each kind has its own. */
#define NAMESPACE(identifier, kind)                                               \
    static int follow_##identifier(void *object, u64 key, struct path *path_out)  \
    {                                                                             \
        namespace_path(kind, path_out);                                           \
        return 0;                                                                 \
    }                                                                             \
    static ssize_t read_##identifier(void *object, u64 key, char *to, size_t max) \
    {                                                                             \
        return namespace_read(kind, to, max);                                     \
    }
NAMESPACE(cgroup, NAMESPACE_CGROUP)
NAMESPACE(ipc, NAMESPACE_IPC)
NAMESPACE(mnt, NAMESPACE_MOUNT)
NAMESPACE(net, NAMESPACE_NET)
NAMESPACE(pid, NAMESPACE_PID)
NAMESPACE(time, NAMESPACE_TIME)
NAMESPACE(user, NAMESPACE_USER)
NAMESPACE(uts, NAMESPACE_UTS)

#define LINK(text, identifier)                                            \
    {                                                                     \
        .name = (text), .mode = S_IFLNK | 0777, .guard = PROC_GUARD_OPEN, \
        .readlink = read_##identifier, .follow = follow_##identifier      \
    }
static const struct proc_entry namespace_entries[] = {
    LINK("cgroup", cgroup), LINK("ipc", ipc),
    LINK("mnt", mnt),       LINK("net", net),
    LINK("pid", pid),       LINK("pid_for_children", pid),
    LINK("time", time),     LINK("time_for_children", time),
    LINK("user", user),     LINK("uts", uts),
};

const struct proc_directory proc_namespace_directory = {
    .entries = namespace_entries,
    .count = ARRAY_SIZE(namespace_entries),
    .owner = proc_process_owner,
    .permits = proc_process_permits,
    .get = proc_process_get,
    .put = proc_process_put,
};

/* user_namespaces(7): all ids as they are. */
int proc_show_id_map(struct text_sink *sink, void *object)
{
    text_print(sink, "%10u %10u %10u\n", 0, 0, ~0u);
    return 0;
}

int proc_show_setgroups(struct text_sink *sink, void *object)
{
    text_print(sink, "allow\n");
    return 0;
}

/* time_namespaces(7) */
int proc_show_time_offsets(struct text_sink *sink, void *object)
{
    text_print(sink, "%-10s %10d %9d\n%-10s %10d %9d\n", "monotonic", 0, 0, "boottime", 0, 0);
    return 0;
}

int proc_refuse_store(void *object, const char *text, size_t bytes)
{
    return -EPERM;
}

/* ---- Groups and sets ---- */

int proc_show_cgroup(struct text_sink *sink, void *object)
{
    text_print(sink, "0::/\n");
    return 0;
}

int proc_show_cpuset(struct text_sink *sink, void *object)
{
    text_print(sink, "/\n");
    return 0;
}

/* ---- The login ---- */

int proc_show_login_uid(struct text_sink *sink, void *object)
{
    text_print(sink, "%u", READ_ONCE(((struct process *)object)->login.uid));
    return 0;
}

int proc_show_login_session(struct text_sink *sink, void *object)
{
    text_print(sink, "%u", READ_ONCE(((struct process *)object)->login.session));
    return 0;
}

/* A process sets its own; once set, who may control the audit changes it. */
int proc_store_login_uid(void *object, const char *text, size_t bytes)
{
    static u32 sessions; /* [atomic] */
    struct process *process = process_current();
    u32 before = process->login.uid;
    s64 uid;
    int error = proc_parse_number(text, &uid);

    if (object != process)
        return -EPERM;
    if (error)
        return error;
    if (uid < 0 || uid > U32_MAX)
        return -EINVAL;
    if (before != NOBODY_LOGGED_IN &&
        !credentials_can(thread_current()->credentials, CAPABILITY_AUDIT_CONTROL))
        return -EPERM;
    WRITE_ONCE(process->login.session, uid == NOBODY_LOGGED_IN
                                           ? NOBODY_LOGGED_IN
                                           : __atomic_add_fetch(&sessions, 1, __ATOMIC_RELAXED));
    WRITE_ONCE(process->login.uid, (u32)uid);
    return 0;
}
