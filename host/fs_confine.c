/*
 * What is left to a file server that the guest took over.
 *
 * Everything above checks what the guest says; this is for the check that is missing. Before the
 * first request the process gives up for good, as far as this host can take it away:
 *  - new privileges by exec (and exec itself, as all system calls that are not listed below);
 *  - capabilities that serving files does not use;
 *  - every file outside the shares, and writing outside the writable ones (Landlock).
 * Each layer stands alone, and a host that lacks one (an old kernel, a container that filters the
 * calls) is no reason not to serve: the server never relied on it.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fs_private.h"

/* Landlock's rights that this <linux/landlock.h> may not know yet, by the ABI that brought them. */
#define ACCESS_REFER    (1ull << 13) /* 2 */
#define ACCESS_TRUNCATE (1ull << 14) /* 3 */
#define ACCESS_OF_ABI_1 ((1ull << 13) - 1)

#define ACCESS_READ     (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define ACCESS_CHANGE                                                                             \
    (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |                              \
     LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | \
     LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_SYM |  \
     ACCESS_REFER | ACCESS_TRUNCATE)

/* What giving files to their users, and reading as the superuser, takes. */
#define CAPABILITIES_KEPT                                                                  \
    (BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_DAC_READ_SEARCH) | BIT(CAP_FOWNER) | \
     BIT(CAP_FSETID) | BIT(CAP_SETGID) | BIT(CAP_SETUID))

static const int allowed_calls[] = {
    /* the connection, the queues, the loop */
    SYS_read,
    SYS_write,
    SYS_recvmsg,
    SYS_recvfrom,
    SYS_sendmsg,
    SYS_epoll_wait,
    SYS_epoll_pwait,
    SYS_epoll_ctl,
    SYS_fcntl,
    SYS_close,
    /* looking at files */
    SYS_openat,
    SYS_openat2,
    SYS_statx,
    SYS_newfstatat,
    SYS_fstat,
    SYS_fstatfs,
    SYS_readlinkat,
    SYS_getdents64,
    SYS_lseek,
    SYS_preadv,
    SYS_getxattr,
    SYS_listxattr,
    /* changing them */
    SYS_pwritev,
    SYS_pwritev2,
    SYS_ftruncate,
    SYS_fallocate,
    SYS_fsync,
    SYS_fdatasync,
    SYS_syncfs,
    SYS_mkdirat,
    SYS_mknodat,
    SYS_symlinkat,
    SYS_linkat,
    SYS_unlinkat,
    SYS_renameat,
    SYS_renameat2,
    SYS_fchmodat,
    SYS_fchownat,
    SYS_utimensat,
    SYS_setxattr,
    SYS_removexattr,
    SYS_setfsuid,
    SYS_setfsgid,
    SYS_capget,
    SYS_capset,
    /* the C library */
    SYS_brk,
    SYS_munmap,
    SYS_mremap,
    SYS_madvise,
    SYS_futex,
    SYS_getpid,
    SYS_gettid,
    SYS_getuid,
    SYS_geteuid,
    SYS_getgid,
    SYS_clock_gettime,
    SYS_getrandom,
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_sigaltstack,
    SYS_sched_yield,
    SYS_restart_syscall,
    SYS_tgkill,
    SYS_exit,
    SYS_exit_group,
};

static const int allowed_calls_without_exec[] = {SYS_mmap, SYS_mprotect};

static void landlock_add(int ruleset, int directory_fd, u64 access)
{
    struct landlock_path_beneath_attr rule = {
        .allowed_access = access,
        .parent_fd = directory_fd,
    };

    /* A rule that cannot be added only takes more away. */
    syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
}

static void confine_files(const struct fs_tree *tree)
{
    struct landlock_ruleset_attr attributes = {.handled_access_fs = ACCESS_OF_ABI_1};
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    int ruleset;

    /* Before ABI 2 a file could not be moved or linked between directories at all. */
    if (abi < 2)
        return;
    attributes.handled_access_fs |= ACCESS_REFER;
    if (abi >= 3)
        attributes.handled_access_fs |= ACCESS_TRUNCATE;
    ruleset = (int)syscall(SYS_landlock_create_ruleset, &attributes, sizeof(u64), 0);
    if (ruleset < 0)
        return;
    for (unsigned i = 0; i < tree->share_count; i++) {
        u64 access = tree->shares[i].is_writable ? ACCESS_READ | ACCESS_CHANGE : ACCESS_READ;

        landlock_add(ruleset, tree->shares[i].node->descriptor->fd,
                     access & attributes.handled_access_fs);
    }
    syscall(SYS_landlock_restrict_self, ruleset, 0);
    close(ruleset);
}

static void confine_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

    if (syscall(SYS_capget, &header, data))
        return;
    data[0].permitted &= CAPABILITIES_KEPT;
    data[0].effective &= CAPABILITIES_KEPT;
    data[0].inheritable = 0;
    data[1] = (struct __user_cap_data_struct){0};
    syscall(SYS_capset, &header, data);
}

/* A filter program that grows. */
struct filter {
    struct sock_filter code[2 * (ARRAY_SIZE(allowed_calls) + 8)];
    unsigned short length;
};

static void filter_add(struct filter *filter, u16 code, u32 operand, u8 if_true, u8 if_false)
{
    filter->code[filter->length++] = (struct sock_filter)BPF_JUMP(code, operand, if_true, if_false);
}

static void filter_load(struct filter *filter, size_t offset)
{
    filter_add(filter, BPF_LD | BPF_W | BPF_ABS, (u32)offset, 0, 0);
}

static void filter_return(struct filter *filter, u32 action)
{
    filter_add(filter, BPF_RET | BPF_K, action, 0, 0);
}

static void confine_calls(void)
{
    struct filter filter = {.length = 0};
    struct sock_fprog program = {.filter = filter.code};

    filter_load(&filter, offsetof(struct seccomp_data, arch));
    filter_add(&filter, BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
    filter_return(&filter, SECCOMP_RET_KILL_PROCESS);
    filter_load(&filter, offsetof(struct seccomp_data, nr));
    for (size_t i = 0; i < ARRAY_SIZE(allowed_calls); i++) {
        filter_add(&filter, BPF_JMP | BPF_JEQ | BPF_K, (u32)allowed_calls[i], 0, 1);
        filter_return(&filter, SECCOMP_RET_ALLOW);
    }
    for (size_t i = 0; i < ARRAY_SIZE(allowed_calls_without_exec); i++)
        filter_add(&filter, BPF_JMP | BPF_JEQ | BPF_K, (u32)allowed_calls_without_exec[i],
                   (u8)(ARRAY_SIZE(allowed_calls_without_exec) - i), 0);
    filter_return(&filter, SECCOMP_RET_ERRNO | EPERM);
    filter_load(&filter, offsetof(struct seccomp_data, args[2])); /* the protection */
    filter_add(&filter, BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 0, 1);
    filter_return(&filter, SECCOMP_RET_ERRNO | EPERM);
    filter_return(&filter, SECCOMP_RET_ALLOW);
    program.len = filter.length;
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

void fs_confine(const struct fs_server *server)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        return; /* without it neither of the others is allowed */
    confine_files(&server->tree);
    if (server->is_superuser)
        confine_capabilities();
    confine_calls();
}
