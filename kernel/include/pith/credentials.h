/*
 * Who a thread is, for every check of rights. A `struct credentials` never changes once a thread
 * uses it: to change, a thread makes a copy and puts it in the old one's place. So whoever holds a
 * reference (an open file, a message in a socket) sees the rights of the moment it was taken.
 */
#pragma once

#include <pith/refcount.h>

#define GROUPS_MAX 65536

struct credentials {
    struct refcount references;
    u32 uid, euid, suid, fsuid;
    u32 gid, egid, sgid, fsgid;
    u32 group_count;
    u32 *groups; /* ascending */
    /* Capability sets: all of root's until a program gives them up (capabilities(7)). */
    u64 capabilities_permitted, capabilities_effective, capabilities_inheritable;
    u64 capabilities_bounding, capabilities_ambient;
    u32 secure_bits;
    u32 no_new_privileges;
};

/* Numbers of capabilities(7) that the kernel asks for. */
enum capability {
    CAPABILITY_CHOWN = 0,
    CAPABILITY_DAC_OVERRIDE = 1,
    CAPABILITY_DAC_READ_SEARCH = 2,
    CAPABILITY_FOWNER = 3,
    CAPABILITY_FSETID = 4,
    CAPABILITY_KILL = 5,
    CAPABILITY_SETGID = 6,
    CAPABILITY_SETUID = 7,
    CAPABILITY_SETPCAP = 8,
    CAPABILITY_NET_BIND_SERVICE = 10,
    CAPABILITY_NET_ADMIN = 12,
    CAPABILITY_NET_RAW = 13,
    CAPABILITY_IPC_LOCK = 14,
    CAPABILITY_IPC_OWNER = 15,
    CAPABILITY_SYS_CHROOT = 18,
    CAPABILITY_SYS_PTRACE = 19,
    CAPABILITY_SYS_ADMIN = 21,
    CAPABILITY_SYS_BOOT = 22,
    CAPABILITY_SYS_NICE = 23,
    CAPABILITY_SYS_RESOURCE = 24,
    CAPABILITY_SYS_TIME = 25,
    CAPABILITY_SYS_TTY_CONFIG = 26,
    CAPABILITY_MKNOD = 27,
    CAPABILITY_AUDIT_CONTROL = 30,
    CAPABILITY_SYSLOG = 34,
    CAPABILITY_WAKE_ALARM = 35,
    CAPABILITY_CHECKPOINT_RESTORE = 40,
    CAPABILITY_LAST = 40,
};

/* credentials.secure_bits: settings of capabilities(7); the bit above each locks it. */
#define SECURE_NO_ROOT           (1u << 0) /* exec by uid 0 brings no capabilities */
#define SECURE_NO_SETUID_FIXUP   (1u << 2) /* changes of uids leave them */
#define SECURE_KEEP_CAPABILITIES (1u << 4) /* ... those that are permitted */
#define SECURE_NO_AMBIENT_RAISE  (1u << 6)

static inline bool credentials_can(const struct credentials *credentials, enum capability what)
{
    return credentials->capabilities_effective & BIT(what);
}

/* Whether `gid` is the file-system group or one of the supplementary groups. */
bool credentials_have_group(const struct credentials *credentials, u32 gid);
void credentials_put(struct credentials *credentials);
static inline void credentials_get(struct credentials *credentials)
{
    refcount_inc(&credentials->references);
}
