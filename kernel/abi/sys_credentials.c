/*
 * Who a thread is: uids, gids, groups and capabilities (credentials(7), capabilities(7)).
 *
 * Each call copies the caller's credentials, changes the copy if the rules allow it, and puts it in
 * their place; nobody else ever sees a half of the change. (On Linux too these calls are a thread's
 * own; libc repeats them in every thread.)
 *
 *     call              unprivileged: each new id is one of      also changes
 *     setuid            real, saved -> effective only            fsuid
 *     setreuid          real, effective (effective: or saved)    saved, fsuid
 *     setresuid         real, effective, saved                   fsuid
 *     setfsuid          real, effective, saved, fs               nothing else
 *
 * With CAP_SETUID (CAP_SETGID for the gids) any id will do, and setuid sets all three. A change of
 * uids from or to 0 changes the capabilities too: credentials_uids_changed.
 *
 * Locking: none: credentials are immutable once installed, and only their thread installs others.
 * Errors: -EPERM, -EINVAL (an id of -1 where that does not mean "unchanged"), -ENOMEM.
 */
#include <pith/abi.h>

#include <pith/mem.h>
#include <pith/proc.h>

#include "syscalls.h"

#define UNCHANGED (~0u) /* -1 as an id */

static const struct credentials *own(void)
{
    return thread_current()->credentials;
}

long sys_getuid(const struct syscall_args *args)
{
    return own()->uid;
}

long sys_geteuid(const struct syscall_args *args)
{
    return own()->euid;
}

long sys_getgid(const struct syscall_args *args)
{
    return own()->gid;
}

long sys_getegid(const struct syscall_args *args)
{
    return own()->egid;
}

static int copy_out_three(const struct syscall_args *args, u32 a, u32 b, u32 c)
{
    if (copy_out(arg_user_ptr(args, 0), &a, sizeof(a)) ||
        copy_out(arg_user_ptr(args, 1), &b, sizeof(b)) ||
        copy_out(arg_user_ptr(args, 2), &c, sizeof(c)))
        return -EFAULT;
    return 0;
}

long sys_getresuid(const struct syscall_args *args)
{
    return copy_out_three(args, own()->uid, own()->euid, own()->suid);
}

long sys_getresgid(const struct syscall_args *args)
{
    return copy_out_three(args, own()->gid, own()->egid, own()->sgid);
}

/* ---- Setting uids ---- */

struct ids {
    u32 real, effective, saved; /* UNCHANGED: stays */
};

static bool is_one_of(u32 id, u32 a, u32 b, u32 c)
{
    return id == UNCHANGED || id == a || id == b || id == c;
}

static int install_uids(const struct ids *ids)
{
    const struct credentials *before = own();
    struct credentials *changed = credentials_prepare();

    if (!changed)
        return -ENOMEM;
    if (ids->real != UNCHANGED && ids->real != before->uid &&
        process_user_set(process_current(), ids->real)) {
        credentials_put(changed);
        return -ENOMEM;
    }
    if (ids->real != UNCHANGED)
        changed->uid = ids->real;
    if (ids->effective != UNCHANGED)
        changed->euid = ids->effective;
    if (ids->saved != UNCHANGED)
        changed->suid = ids->saved;
    changed->fsuid = changed->euid;
    credentials_uids_changed(changed, before);
    credentials_install(changed);
    return 0;
}

static int install_gids(const struct ids *ids)
{
    struct credentials *changed = credentials_prepare();

    if (!changed)
        return -ENOMEM;
    if (ids->real != UNCHANGED)
        changed->gid = ids->real;
    if (ids->effective != UNCHANGED)
        changed->egid = ids->effective;
    if (ids->saved != UNCHANGED)
        changed->sgid = ids->saved;
    changed->fsgid = changed->egid;
    credentials_install(changed);
    return 0;
}

long sys_setuid(const struct syscall_args *args)
{
    u32 uid = arg_u32(args, 0);
    struct ids all = {uid, uid, uid}, effective = {UNCHANGED, uid, UNCHANGED};

    if (uid == UNCHANGED)
        return -EINVAL;
    if (credentials_can(own(), CAPABILITY_SETUID))
        return install_uids(&all);
    if (uid != own()->uid && uid != own()->suid)
        return -EPERM;
    return install_uids(&effective);
}

long sys_setgid(const struct syscall_args *args)
{
    u32 gid = arg_u32(args, 0);
    struct ids all = {gid, gid, gid}, effective = {UNCHANGED, gid, UNCHANGED};

    if (gid == UNCHANGED)
        return -EINVAL;
    if (credentials_can(own(), CAPABILITY_SETGID))
        return install_gids(&all);
    if (gid != own()->gid && gid != own()->sgid)
        return -EPERM;
    return install_gids(&effective);
}

/*
 * The saved id follows the effective one if the real one is set, or the effective one to another.
 */
static void saved_follows(struct ids *ids, u32 old_real, u32 old_effective)
{
    u32 effective = ids->effective == UNCHANGED ? old_effective : ids->effective;

    if (ids->real != UNCHANGED || (ids->effective != UNCHANGED && ids->effective != old_real))
        ids->saved = effective;
}

long sys_setreuid(const struct syscall_args *args)
{
    struct ids ids = {arg_u32(args, 0), arg_u32(args, 1), UNCHANGED};
    const struct credentials *before = own();

    if (!credentials_can(before, CAPABILITY_SETUID) &&
        (!is_one_of(ids.real, before->uid, before->euid, before->uid) ||
         !is_one_of(ids.effective, before->uid, before->euid, before->suid)))
        return -EPERM;
    saved_follows(&ids, before->uid, before->euid);
    return install_uids(&ids);
}

long sys_setregid(const struct syscall_args *args)
{
    struct ids ids = {arg_u32(args, 0), arg_u32(args, 1), UNCHANGED};
    const struct credentials *before = own();

    if (!credentials_can(before, CAPABILITY_SETGID) &&
        (!is_one_of(ids.real, before->gid, before->egid, before->gid) ||
         !is_one_of(ids.effective, before->gid, before->egid, before->sgid)))
        return -EPERM;
    saved_follows(&ids, before->gid, before->egid);
    return install_gids(&ids);
}

long sys_setresuid(const struct syscall_args *args)
{
    struct ids ids = {arg_u32(args, 0), arg_u32(args, 1), arg_u32(args, 2)};
    const struct credentials *c = own();

    if (!credentials_can(c, CAPABILITY_SETUID) &&
        (!is_one_of(ids.real, c->uid, c->euid, c->suid) ||
         !is_one_of(ids.effective, c->uid, c->euid, c->suid) ||
         !is_one_of(ids.saved, c->uid, c->euid, c->suid)))
        return -EPERM;
    return install_uids(&ids);
}

long sys_setresgid(const struct syscall_args *args)
{
    struct ids ids = {arg_u32(args, 0), arg_u32(args, 1), arg_u32(args, 2)};
    const struct credentials *c = own();

    if (!credentials_can(c, CAPABILITY_SETGID) &&
        (!is_one_of(ids.real, c->gid, c->egid, c->sgid) ||
         !is_one_of(ids.effective, c->gid, c->egid, c->sgid) ||
         !is_one_of(ids.saved, c->gid, c->egid, c->sgid)))
        return -EPERM;
    return install_gids(&ids);
}

/* Answers the old id, whether it worked or not. */
long sys_setfsuid(const struct syscall_args *args)
{
    const struct credentials *before = own();
    u32 uid = arg_u32(args, 0), old = before->fsuid;
    struct credentials *changed;

    if (uid == UNCHANGED || (!is_one_of(uid, before->uid, before->euid, before->suid) &&
                             uid != old && !credentials_can(before, CAPABILITY_SETUID)))
        return old;
    changed = credentials_prepare();
    if (!changed)
        return old;
    changed->fsuid = uid;
    credentials_fsuid_changed(changed, before);
    credentials_install(changed);
    return old;
}

long sys_setfsgid(const struct syscall_args *args)
{
    const struct credentials *before = own();
    u32 gid = arg_u32(args, 0), old = before->fsgid;
    struct credentials *changed;

    if (gid == UNCHANGED || (!is_one_of(gid, before->gid, before->egid, before->sgid) &&
                             gid != old && !credentials_can(before, CAPABILITY_SETGID)))
        return old;
    changed = credentials_prepare();
    if (!changed)
        return old;
    changed->fsgid = gid;
    credentials_install(changed);
    return old;
}

/* ---- Supplementary groups ---- */

/* Ascending, not as they were set: getgroups(2) promises no order. Size 0 asks how many. */
long sys_getgroups(const struct syscall_args *args)
{
    const struct credentials *credentials = own();
    int room = arg_int(args, 0);

    if (room < 0)
        return -EINVAL;
    if (room == 0)
        return credentials->group_count;
    if ((u32)room < credentials->group_count)
        return -EINVAL;
    if (credentials->group_count && copy_out(arg_user_ptr(args, 1), credentials->groups,
                                             credentials->group_count * sizeof(u32)))
        return -EFAULT;
    return credentials->group_count;
}

/*
 * Ascending, for the search in credentials_have_group. Shell sort: no recursion, no extra room;
 * 65,536 groups at most.
 */
static void groups_sort(u32 *groups, u32 count)
{
    for (u32 gap = count / 2; gap; gap /= 2) {
        for (u32 i = gap; i < count; i++) {
            u32 group = groups[i], at = i;

            for (; at >= gap && groups[at - gap] > group; at -= gap)
                groups[at] = groups[at - gap];
            groups[at] = group;
        }
    }
}

/* -EPERM before -EINVAL and -EFAULT, as Linux checks. */
long sys_setgroups(const struct syscall_args *args)
{
    u32 count = arg_u32(args, 0), *groups = NULL;
    struct credentials *changed;

    if (!credentials_can(own(), CAPABILITY_SETGID))
        return -EPERM;
    if (count > GROUPS_MAX)
        return -EINVAL;
    if (count) {
        groups = kmalloc(count * sizeof(u32), 0);
        if (!groups)
            return -ENOMEM;
        if (copy_in(groups, arg_user_ptr(args, 1), count * sizeof(u32))) {
            kfree(groups);
            return -EFAULT;
        }
        groups_sort(groups, count);
    }
    changed = credentials_prepare();
    if (!changed) {
        kfree(groups);
        return -ENOMEM;
    }
    kfree(changed->groups);
    changed->groups = groups;
    changed->group_count = count;
    credentials_install(changed);
    return 0;
}

/* ---- Capabilities ---- */

#define CAPABILITY_VERSION_1 0x19980330u
#define CAPABILITY_VERSION_2 0x20071026u
#define CAPABILITY_VERSION_3 0x20080522u

struct capability_header {
    u32 version;
    s32 pid;
};
struct capability_data {
    u32 effective, permitted, inheritable;
};

/* How many words of 32 capabilities the caller's structure has; 0: an unknown version. */
static u32 capability_words(u32 version)
{
    if (version == CAPABILITY_VERSION_1)
        return 1;
    return version == CAPABILITY_VERSION_2 || version == CAPABILITY_VERSION_3 ? 2 : 0;
}

/* -EINVAL: an unknown version; the header then tells of the newest. */
static int capability_header_read(struct user_ptr at, struct capability_header *header)
{
    u32 version = CAPABILITY_VERSION_3;

    if (copy_in(header, at, sizeof(*header)))
        return -EFAULT;
    if (capability_words(header->version))
        return 0;
    if (copy_out(at, &version, sizeof(version)))
        return -EFAULT;
    return -EINVAL;
}

/* Credentials with a reference, of the caller or of the process that the thread `pid` is in. */
static int capabilities_of(int pid, struct credentials **credentials_out)
{
    struct thread *thread;

    if (pid == 0 || pid == identity_current()->tid) {
        *credentials_out = thread_current()->credentials;
        credentials_get(*credentials_out);
        return 0;
    }
    thread = thread_find(pid);
    if (!thread)
        return -ESRCH;
    *credentials_out = process_credentials(thread->process);
    thread_put(thread);
    return *credentials_out ? 0 : -ESRCH;
}

/* Without a place for the data it asks for the version alone, whoever the header names. */
long sys_capget(const struct syscall_args *args)
{
    struct user_ptr data_at = arg_user_ptr(args, 1);
    struct capability_data data[2];
    struct capability_header header;
    struct credentials *credentials;
    int error = capability_header_read(arg_user_ptr(args, 0), &header);

    if (user_ptr_is_null(data_at))
        return error == -EINVAL ? 0 : error;
    if (!error)
        error = header.pid < 0 ? -EINVAL : capabilities_of(header.pid, &credentials);
    if (error)
        return error;
    for (int word = 0; word < 2; word++) {
        data[word].effective = credentials->capabilities_effective >> (32 * word);
        data[word].permitted = credentials->capabilities_permitted >> (32 * word);
        data[word].inheritable = credentials->capabilities_inheritable >> (32 * word);
    }
    credentials_put(credentials);
    return copy_out(data_at, data, capability_words(header.version) * sizeof(data[0]));
}

static u64 join_words(u32 low, u32 high)
{
    return (low | (u64)high << 32) & (BIT(CAPABILITY_LAST + 1) - 1);
}

/*
 * capset(2) is for the caller alone. -EPERM: more than is permitted now; effective beyond the new
 * permitted set; inheritable beyond bounding, or, without CAP_SETPCAP, beyond permitted.
 */
long sys_capset(const struct syscall_args *args)
{
    struct capability_data data[2] = {};
    u64 effective, permitted, inheritable;
    struct capability_header header;
    struct credentials *changed;
    const struct credentials *before = own();
    int error = capability_header_read(arg_user_ptr(args, 0), &header);

    if (error)
        return error;
    if (header.pid && header.pid != identity_current()->tid)
        return -EPERM;
    if (copy_in(data, arg_user_ptr(args, 1), capability_words(header.version) * sizeof(data[0])))
        return -EFAULT;
    effective = join_words(data[0].effective, data[1].effective);
    permitted = join_words(data[0].permitted, data[1].permitted);
    inheritable = join_words(data[0].inheritable, data[1].inheritable);
    if ((permitted & ~before->capabilities_permitted) || (effective & ~permitted))
        return -EPERM;
    if ((inheritable & ~(before->capabilities_inheritable | before->capabilities_bounding)) ||
        ((inheritable & ~(before->capabilities_inheritable | before->capabilities_permitted)) &&
         !credentials_can(before, CAPABILITY_SETPCAP)))
        return -EPERM;
    changed = credentials_prepare();
    if (!changed)
        return -ENOMEM;
    changed->capabilities_effective = effective;
    changed->capabilities_permitted = permitted;
    changed->capabilities_inheritable = inheritable;
    changed->capabilities_ambient &= permitted & inheritable;
    credentials_install(changed);
    return 0;
}
