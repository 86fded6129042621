/* Linux's numbers for processes (linux/sched.h, wait.h, prctl.h, resource.h; asm/prctl.h). */
#pragma once

#include <pith/types.h>

#define CSIGNAL              0x000000fful
#define CLONE_VM             0x00000100ul
#define CLONE_FS             0x00000200ul
#define CLONE_FILES          0x00000400ul
#define CLONE_SIGHAND        0x00000800ul
#define CLONE_PIDFD          0x00001000ul
#define CLONE_PTRACE         0x00002000ul
#define CLONE_VFORK          0x00004000ul
#define CLONE_PARENT         0x00008000ul
#define CLONE_THREAD         0x00010000ul
#define CLONE_NEWNS          0x00020000ul
#define CLONE_SYSVSEM        0x00040000ul
#define CLONE_SETTLS         0x00080000ul
#define CLONE_PARENT_SETTID  0x00100000ul
#define CLONE_CHILD_CLEARTID 0x00200000ul
#define CLONE_DETACHED       0x00400000ul
#define CLONE_UNTRACED       0x00800000ul
#define CLONE_CHILD_SETTID   0x01000000ul
#define CLONE_NEWCGROUP      0x02000000ul
#define CLONE_NEWUTS         0x04000000ul
#define CLONE_NEWIPC         0x08000000ul
#define CLONE_NEWUSER        0x10000000ul
#define CLONE_NEWPID         0x20000000ul
#define CLONE_NEWNET         0x40000000ul
#define CLONE_IO             0x80000000ul
#define CLONE_CLEAR_SIGHAND  0x100000000ul
#define CLONE_INTO_CGROUP    0x200000000ul
#define CLONE_NEWTIME        0x00000080ul
#define CLONE_NAMESPACES                                                                          \
    (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | \
     CLONE_NEWNET | CLONE_NEWTIME)

struct abi_clone_args {
    u64 flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
    u64 set_tid, set_tid_size, cgroup;
};
#define CLONE_ARGS_SIZE_VER0 64
#define CLONE_ARGS_SIZE_VER2 88 /* with cgroup */
#define CLONE_SET_TID_MAX    32 /* levels of namespaces, of which there is one */

#define WNOHANG              0x00000001
#define WUNTRACED            0x00000002
#define WSTOPPED             WUNTRACED
#define WEXITED              0x00000004
#define WCONTINUED           0x00000008
#define WNOWAIT              0x01000000
#define __WNOTHREAD          0x20000000
#define __WALL               0x40000000
#define __WCLONE             0x80000000u
#define P_ALL                0
#define P_PID                1
#define P_PGID               2
#define P_PIDFD              3

#define RLIMIT_CPU           0
#define RLIMIT_FSIZE         1
#define RLIMIT_DATA          2
#define RLIMIT_STACK         3
#define RLIMIT_CORE          4
#define RLIMIT_RSS           5
#define RLIMIT_NPROC         6
#define RLIMIT_NOFILE        7
#define RLIMIT_MEMLOCK       8
#define RLIMIT_AS            9
#define RLIMIT_LOCKS         10
#define RLIMIT_SIGPENDING    11
#define RLIMIT_MSGQUEUE      12
#define RLIMIT_NICE          13
#define RLIMIT_RTPRIO        14
#define RLIMIT_RTTIME        15
#define RLIMITS              16
#define RLIM_INFINITY        (~0ul)

struct abi_rlimit {
    u64 soft, hard;
};

struct abi_timeval {
    s64 seconds, microseconds;
};
struct abi_timespec {
    s64 seconds, nanoseconds;
};
struct abi_itimerval {
    struct abi_timeval interval, value;
};
struct abi_itimerspec {
    struct abi_timespec interval, value;
};
struct abi_rusage {
    struct abi_timeval user, system;
    s64 max_resident_kib, shared, data, stack;
    s64 minor_faults, major_faults, swaps, blocks_in, blocks_out, sent, received, signals;
    s64 voluntary_switches, involuntary_switches;
};
_Static_assert(sizeof(struct abi_rusage) == 144, "struct rusage");
#define RUSAGE_SELF                 0
#define RUSAGE_CHILDREN             (-1)
#define RUSAGE_THREAD               1

#define ITIMER_REAL                 0
#define ITIMER_VIRTUAL              1
#define ITIMER_PROF                 2

#define CLOCK_REALTIME              0
#define CLOCK_MONOTONIC             1
#define CLOCK_PROCESS_CPUTIME_ID    2
#define CLOCK_THREAD_CPUTIME_ID     3
#define CLOCK_MONOTONIC_RAW         4
#define CLOCK_REALTIME_COARSE       5
#define CLOCK_MONOTONIC_COARSE      6
#define CLOCK_BOOTTIME              7
#define CLOCK_REALTIME_ALARM        8
#define CLOCK_BOOTTIME_ALARM        9
#define CLOCK_TAI                   11
#define TIMER_ABSTIME               1

#define PRIO_PROCESS                0
#define PRIO_PGRP                   1
#define PRIO_USER                   2

#define PR_SET_PDEATHSIG            1
#define PR_GET_PDEATHSIG            2
#define PR_GET_DUMPABLE             3
#define PR_SET_DUMPABLE             4
#define PR_GET_KEEPCAPS             7
#define PR_SET_KEEPCAPS             8
#define PR_GET_TIMING               13
#define PR_SET_TIMING               14
#define PR_SET_NAME                 15
#define PR_GET_NAME                 16
#define PR_GET_SECCOMP              21
#define PR_CAPBSET_READ             23
#define PR_CAPBSET_DROP             24
#define PR_GET_TSC                  25
#define PR_SET_TSC                  26
#define PR_TSC_ENABLE               1
#define PR_TSC_SIGSEGV              2
#define PR_GET_SECUREBITS           27
#define PR_SET_SECUREBITS           28
#define PR_SET_TIMERSLACK           29
#define PR_GET_TIMERSLACK           30
#define PR_TASK_PERF_EVENTS_DISABLE 31
#define PR_TASK_PERF_EVENTS_ENABLE  32
#define PR_MCE_KILL                 33
#define PR_MCE_KILL_CLEAR           0
#define PR_MCE_KILL_SET             1
#define PR_MCE_KILL_LATE            0
#define PR_MCE_KILL_EARLY           1
#define PR_MCE_KILL_DEFAULT         2
#define PR_MCE_KILL_GET             34
#define PR_SET_MM                   35
#define PR_SET_MM_ARG_START         8
#define PR_SET_MM_ARG_END           9
#define PR_SET_MM_ENV_START         10
#define PR_SET_MM_ENV_END           11
#define PR_SET_CHILD_SUBREAPER      36
#define PR_GET_CHILD_SUBREAPER      37
#define PR_SET_NO_NEW_PRIVS         38
#define PR_GET_NO_NEW_PRIVS         39
#define PR_GET_TID_ADDRESS          40
#define PR_SET_THP_DISABLE          41
#define PR_GET_THP_DISABLE          42
#define PR_CAP_AMBIENT              47
#define PR_SET_IO_FLUSHER           57
#define PR_GET_IO_FLUSHER           58
#define PR_SET_PTRACER              0x59616d61
#define PR_SET_VMA                  0x53564d41

#define ARCH_SET_GS                 0x1001
#define ARCH_SET_FS                 0x1002
#define ARCH_GET_FS                 0x1003
#define ARCH_GET_GS                 0x1004
#define ARCH_GET_CPUID              0x1011
#define ARCH_SET_CPUID              0x1012

#define FUTEX_WAIT                  0
#define FUTEX_WAKE                  1
#define FUTEX_REQUEUE               3
#define FUTEX_CMP_REQUEUE           4
#define FUTEX_WAKE_OP               5
#define FUTEX_LOCK_PI               6
#define FUTEX_UNLOCK_PI             7
#define FUTEX_TRYLOCK_PI            8
#define FUTEX_WAIT_BITSET           9
#define FUTEX_WAKE_BITSET           10
#define FUTEX_WAIT_REQUEUE_PI       11
#define FUTEX_CMP_REQUEUE_PI        12
#define FUTEX_LOCK_PI2              13
#define FUTEX_COMMAND               0x7f /* all but the flags */
#define FUTEX_PRIVATE_FLAG          128
#define FUTEX_CLOCK_REALTIME        256
#define FUTEX_WAITERS               0x80000000u
#define FUTEX_OWNER_DIED            0x40000000u
#define FUTEX_TID_MASK              0x3fffffffu
#define FUTEX_BITSET_MATCH_ANY      0xffffffffu
#define FUTEX_32                    2u /* futex_waitv.flags: the word's size, the only one there is */
#define FUTEX_WAITV_MAX             128u

struct abi_futex_waitv {
    u64 value, address;
    u32 flags, reserved;
};

/* personality(2) (linux/personality.h) */
#define PER_MASK           0x000000fful
#define PER_LINUX32        0x00000008ul
#define ADDR_NO_RANDOMIZE  0x00040000ul
#define MMAP_PAGE_ZERO     0x00100000ul
#define ADDR_COMPAT_LAYOUT 0x00200000ul
#define READ_IMPLIES_EXEC  0x00400000ul
/* What a set-user-id program must not take over. */
#define PER_CLEAR_ON_SETID \
    (READ_IMPLIES_EXEC | ADDR_NO_RANDOMIZE | ADDR_COMPAT_LAYOUT | MMAP_PAGE_ZERO)
