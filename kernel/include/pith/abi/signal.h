/* Linux's signals (asm-generic/signal.h, siginfo.h; x86's asm/signal.h). */
#pragma once

#include <pith/types.h>

#define SIGHUP            1
#define SIGINT            2
#define SIGQUIT           3
#define SIGILL            4
#define SIGTRAP           5
#define SIGABRT           6
#define SIGBUS            7
#define SIGFPE            8
#define SIGKILL           9
#define SIGUSR1           10
#define SIGSEGV           11
#define SIGUSR2           12
#define SIGPIPE           13
#define SIGALRM           14
#define SIGTERM           15
#define SIGSTKFLT         16
#define SIGCHLD           17
#define SIGCONT           18
#define SIGSTOP           19
#define SIGTSTP           20
#define SIGTTIN           21
#define SIGTTOU           22
#define SIGURG            23
#define SIGXCPU           24
#define SIGXFSZ           25
#define SIGVTALRM         26
#define SIGPROF           27
#define SIGWINCH          28
#define SIGIO             29
#define SIGPWR            30
#define SIGSYS            31
#define SIGRTMIN          32
#define SIGNALS           64 /* the largest */

#define SIG_DFL           0ul
#define SIG_IGN           1ul

#define SA_NOCLDSTOP      0x00000001u
#define SA_NOCLDWAIT      0x00000002u
#define SA_SIGINFO        0x00000004u
#define SA_EXPOSE_TAGBITS 0x00000800u
#define SA_RESTORER       0x04000000u
#define SA_ONSTACK        0x08000000u
#define SA_RESTART        0x10000000u
#define SA_NODEFER        0x40000000u
#define SA_RESETHAND      0x80000000u

#define SIG_BLOCK         0
#define SIG_UNBLOCK       1
#define SIG_SETMASK       2

#define SS_ONSTACK        1u
#define SS_DISABLE        2u
#define SS_AUTODISARM     (1u << 31)
#define MINSIGSTKSZ       2048u

struct abi_sigaction {
    u64 handler;
    u64 flags;
    u64 restorer;
    u64 mask;
};

struct abi_sigaltstack {
    u64 address;
    u32 flags;
    u32 padding;
    u64 bytes;
};

/* si_code */
#define SI_USER       0
#define SI_KERNEL     0x80
#define SI_QUEUE      (-1)
#define SI_TIMER      (-2)
#define SI_MESGQ      (-3)
#define SI_ASYNCIO    (-4)
#define SI_SIGIO      (-5)
#define SI_TKILL      (-6)
#define ILL_ILLOPN    2
#define FPE_INTDIV    1
#define FPE_INTOVF    2
#define FPE_FLTDIV    3
#define FPE_FLTOVF    4
#define FPE_FLTUND    5
#define FPE_FLTRES    6
#define FPE_FLTINV    7
#define FPE_FLTUNK    14
#define SEGV_MAPERR   1
#define SEGV_ACCERR   2
#define BUS_ADRALN    1
#define BUS_ADRERR    2
#define TRAP_BRKPT    1
#define TRAP_TRACE    2
#define CLD_EXITED    1
#define CLD_KILLED    2
#define CLD_DUMPED    3
#define CLD_TRAPPED   4
#define CLD_STOPPED   5
#define CLD_CONTINUED 6

/* siginfo_t; `signal`, `error` and `code` say which of the rest is meant (sigaction(2)). */
struct abi_siginfo {
    s32 signal;
    s32 error;
    s32 code;
    s32 padding;
    union {
        struct {
            s32 pid;
            u32 uid;
            u64 value;
        } sender; /* SI_USER, SI_QUEUE, SI_TKILL */
        struct {
            s32 pid;
            u32 uid;
            s32 status;
            s32 padding;
            s64 user_ticks;
            s64 system_ticks;
        } child;
        struct {
            u64 address;
            u64 details;
        } fault;
        struct {
            s32 id;
            s32 overruns;
            u64 value;
        } timer;
        struct {
            s64 band;
            s32 fd;
        } poll;
        u8 bytes[112];
    };
};
_Static_assert(sizeof(struct abi_siginfo) == 128, "siginfo_t");

/* The payload of SIGIO and its like. */
struct abi_siginfo_poll {
    s64 band; /* POLL_* */
    s32 fd, padding;
};

/* sigevent.sigev_notify */
#define SIGEV_SIGNAL    0
#define SIGEV_NONE      1
#define SIGEV_THREAD    2
#define SIGEV_THREAD_ID 4

struct abi_sigevent {
    u64 value;
    s32 signal;
    s32 notify;
    s32 tid;
    s32 padding[11];
};
_Static_assert(sizeof(struct abi_sigevent) == 64, "struct sigevent");
