/*
 * The protocol between the `pith` command and the machine that it started, over port 1 of a
 * virtio console (both directions, little endian).
 *
 * Everything is a frame: a header of 8 bytes and `size` bytes of payload. A frame belongs to a
 * channel. Data flows on a channel only as far as its receiver gave credit, so a slow reader stops
 * only its own channel, and `pith` reads its standard input only when a program in the guest asks.
 *
 *     pith                                       kernel (tty/host_port.c)         init, program
 *     HELLO(version)      ------------------->
 *                         <-------------------   HELLO(version)
 *     DATA CONTROL: description of the run ---->  /dev/host/control  ----------->  init reads
 *                         <-- CREDIT STDIN n --  read() on /dev/host/stdin waits
 *     DATA STDIN          ------------------->   read() returns
 *     END STDIN           ------------------->   read() returns 0
 *                         <--- DATA STDOUT ---   write() on /dev/host/stdout
 *     CREDIT STDOUT n     ------------------->   more of it may be sent
 *     GONE STDOUT         ------------------->   write() gives EPIPE and SIGPIPE
 *                         <--- EXIT status ---   init: ioctl on /dev/host/control, after all data
 *     EXIT_ACK            ------------------->   the machine powers off
 *
 * On STDIN a credit of n bytes asks for one read of up to n bytes: it is used up by the DATA (of 1
 * to n bytes) or END that answers it. The kernel has one such request under way at most, and never
 * asks for more than the program's own read wants, so what the program leaves is there for the
 * caller's next command. A poll() in the guest asks with POLL whether a read would return at once;
 * READY answers, once, and takes nothing. A credit of 0 withdraws the request, if its answer is not
 * already under way (then the kernel keeps that for the next read).
 *
 * On all other channels credits add up. Every channel to the host starts with HOST_CREDIT_INITIAL,
 * CONTROL to the guest with HOST_CREDIT_CONTROL, so that neither side waits at the start: `pith`
 * sends HELLO, the description and the first window size before the machine runs. TERMINAL to the
 * guest starts with none: the kernel gives credit when a program first reads, polls or sets the
 * terminal, and from then on for what its line discipline took. Until then the caller's terminal
 * stays as it is, and what was typed ahead stays there for the next command. A panic's text needs
 * no credit.
 *
 * More programs may be attached to the machine (`pith attach`). Each is a session with channels of
 * its own: channel = session * HOST_CHANNELS + enum host_channel; the run itself is session 0. A
 * session's description comes on CONTROL of session 0, with HOST_RUN_SESSION in it, and so do its
 * signals and window sizes, as descriptions that hold nothing else; init sees to them. TERMINAL of
 * a session is a stream like any other there, between a relay of init's and the far side of a pty,
 * and its EXIT says how its program ended. When nobody in the guest has a session's channels any
 * more, the kernel sends CLOSE; the host sends CLOSE back, nothing more on these channels, and may
 * give the number to another.
 *
 * A program that powers the machine off (reboot(2)) makes the kernel send EXIT with status 0.
 *
 * Both sides distrust each other: a frame with an unknown type or channel, a size beyond
 * HOST_FRAME_MAX or data beyond its credit ends the run with an error.
 *
 * A channel that the caller closed (or that does not exist) is named in the description of the run;
 * init gives it to nobody. What root sends on it all the same is taken and dropped, and a request
 * is answered by END.
 */
#pragma once

#include <stdint.h>

#define HOST_PROTOCOL_VERSION 1
#define HOST_FRAME_MAX        65536      /* bytes of payload */
#define HOST_CREDIT_INITIAL   131072     /* on each channel to the host: two frames */
#define HOST_CREDIT_CONTROL   65536      /* on CONTROL, to the guest: what the kernel keeps of it */
#define HOST_CREDIT_MAX       (1u << 20) /* given and not yet used, of one channel */

enum host_channel {
    HOST_CHANNEL_CONTROL = 0, /* to the guest: the description of the run, then commands */
    HOST_CHANNEL_STDIN = 1,
    HOST_CHANNEL_STDOUT = 2,
    HOST_CHANNEL_STDERR = 3,
    HOST_CHANNEL_TERMINAL = 4, /* the far side of the kernel's terminal: raw bytes both ways */
    HOST_CHANNEL_LOG = 5,      /* to the host: the kernel's log, with --debug, and a panic's text */
    HOST_CHANNEL_TRACE = 6,    /* to the host: trace records */
    HOST_CHANNEL_REPORT = 7,   /* to the host, when the program has ended: struct host_report */
    HOST_CHANNELS = 8,
};
#define HOST_SESSIONS 8

static inline uint8_t host_channel_of(uint32_t session, uint32_t channel)
{
    return (uint8_t)(session * HOST_CHANNELS + channel);
}

enum host_frame_type {
    HOST_FRAME_HELLO = 1,    /* payload: u32 version; the first frame of each side */
    HOST_FRAME_DATA = 2,     /* payload: bytes of the channel */
    HOST_FRAME_CREDIT = 3,   /* payload: u32, so many bytes more may be sent on the channel */
    HOST_FRAME_END = 4,      /* no payload: the sender sends no more data on the channel */
    HOST_FRAME_GONE = 5,     /* no payload: nobody reads the channel any more */
    HOST_FRAME_WINDOW = 6,   /* to the guest, TERMINAL: u16 rows, u16 columns */
    HOST_FRAME_SIGNAL = 7,   /* to the guest, CONTROL: u32, a signal for the program */
    HOST_FRAME_EXIT = 8,     /* to the host, CONTROL: struct host_exit; all data was sent before */
    HOST_FRAME_EXIT_ACK = 9, /* to the guest: all was delivered, the machine may stop */
    HOST_FRAME_PANIC = 10,   /* to the host, LOG: the kernel panicked; its text came as DATA */
    HOST_FRAME_POLL = 12,    /* to the host, STDIN, no payload: say when a read would not wait */
    HOST_FRAME_READY = 13,   /* to the guest, STDIN, no payload: it would not wait now */
    HOST_FRAME_STAMP = 11,   /* to the host, CONTROL: struct host_stamp, a moment of the boot */
    HOST_FRAME_CLOSE = 14,   /* CONTROL of a session, no payload: it is over */
};

struct host_frame {
    uint8_t type;      /* enum host_frame_type */
    uint8_t channel;   /* session and enum host_channel */
    uint16_t reserved; /* 0 */
    uint32_t size;     /* of the payload, in bytes */
};

struct host_exit {
    uint32_t status; /* what `pith` exits with */
    uint32_t flags;  /* HOST_EXIT_* */
};
/*
 * The machine still has something to log after EXIT_ACK (a report about leaks) and then stops by
 * itself. Without it `pith` ends the machine at once.
 */
#define HOST_EXIT_REPORTS 1u

/* Moments of the boot, for --boot-time. */
enum host_moment {
    HOST_MOMENT_KERNEL = 1,  /* first instruction of the kernel */
    HOST_MOMENT_INIT = 2,    /* init's first instruction */
    HOST_MOMENT_PROGRAM = 3, /* the program's first instruction */
    HOST_MOMENT_EXIT = 4,    /* the program ended */
};

struct host_stamp {
    uint32_t moment;
    uint32_t reserved;
    uint64_t tsc_since_reset; /* the CPU's counter, which starts at 0 with the machine */
    uint64_t tsc_hz;
};

/*
 * The description of the run: the first bytes on CONTROL, to the guest. A header, then `count`
 * entries, each a header and `size` bytes, padded to a multiple of 8. Strings carry no final NUL.
 * Entries that repeat (ARGUMENT, ENVIRONMENT, GROUP, SHARE, LIMIT) come in their order. Unknown
 * types are skipped.
 */
#define HOST_RUN_MAGIC 0x6e75722068746970ull /* "pith run" */

struct host_run {
    uint64_t magic;
    uint32_t size; /* of all that follows */
    uint32_t count;
};

struct host_run_entry {
    uint32_t type; /* enum host_run_type */
    uint32_t size; /* without the padding */
};

enum host_run_type {
    HOST_RUN_PROGRAM = 1,     /* string: what to execute, looked up in PATH if it has no '/' */
    HOST_RUN_ARGUMENT = 2,    /* string: argv[0], argv[1], ... */
    HOST_RUN_ENVIRONMENT = 3, /* string: NAME=VALUE */
    HOST_RUN_DIRECTORY = 4,   /* string */
    HOST_RUN_USER = 5,        /* u32 uid, u32 gid */
    HOST_RUN_GROUP = 6,       /* u32: a supplementary group */
    HOST_RUN_UMASK = 7,       /* u32 */
    HOST_RUN_LIMIT = 8,       /* u32 resource, u32 0, u64 soft, u64 hard (Linux's numbers) */
    HOST_RUN_DATE = 9,        /* u64: nanoseconds since 1970, UTC, when this was written */
    HOST_RUN_SEED = 10,       /* bytes for the random number generator */
    HOST_RUN_HOSTNAME = 11,   /* string */
    HOST_RUN_STREAM = 12,     /* u32 descriptor (0, 1, 2), u32 enum host_stream */
    HOST_RUN_WINDOW = 13,     /* u16 rows, u16 columns, u32 0 */
    HOST_RUN_TERMINAL = 14, /* the caller's struct termios, as the kernel's ABI has it (36 bytes) */
    HOST_RUN_SHARE = 15,    /* struct host_share, then the guest's path as a string */
    HOST_RUN_OVERLAY_BYTES =
        16,                /* u64: the limit of what the overlay may hold; 0: half of memory */
    HOST_RUN_NICE = 17,    /* s32, 0 */
    HOST_RUN_IGNORED = 18, /* u64: signals that the program ignores at its start, bit N-1 */
    HOST_RUN_REPORT = 19,  /* u32, HOST_REPORT_*: what to tell on REPORT at the end; u32 0 */
    HOST_RUN_SESSION = 20, /* u32: the session that this is about; u32 0 */
    HOST_RUN_SIGNAL = 21,  /* u32: a signal for the session's program; u32 0 */
};

/* What a descriptor of the program is. */
enum host_stream {
    HOST_STREAM_CLOSED = 0,
    HOST_STREAM_CHANNEL = 1,  /* /dev/host/stdin, stdout or stderr */
    HOST_STREAM_TERMINAL = 2, /* the kernel's terminal, /dev/console */
    HOST_STREAM_NULL = 3,     /* /dev/null of the guest */
};

/*
 * A host directory. The file server exports all of them below its one root, as directories named
 * "0" (the root of the program, read-only below the overlay), "1", "2", ...
 */
struct host_share {
    uint32_t index;
    uint32_t flags; /* HOST_SHARE_WRITABLE */
};
#define HOST_SHARE_WRITABLE 1u
#define HOST_SHARE_TAG      "pith" /* the tag of the virtio-fs device */

/*
 * What init tells on REPORT when the program has ended, as far as the description asked for it: a
 * header, `name`, `other`, and for KEPT the extended attributes. Each of these is two u32, the
 * sizes of its name and its value, and these two. A regular file that is KEPT follows in pieces,
 * each a header and its bytes, the last one of 0 bytes; what lies between pieces is zeros.
 *
 * What changed comes in the order of the paths, so a directory before what is in it.
 */
struct host_report {
    uint32_t kind;  /* enum host_report_kind */
    uint32_t flags; /* HOST_REPORT_CHANGED_* */
    uint32_t name_bytes, other_bytes, xattr_bytes;
    uint32_t mode, uid, gid; /* of KEPT; mode with the file's type */
    uint64_t size;           /* of a regular file that is KEPT; of MISSING: how often */
    int64_t modified_ns;     /* of KEPT, since 1970 */
};
struct host_report_piece {
    uint64_t offset;
    uint32_t bytes;
    uint32_t reserved;
};

/* `name` is the absolute path in the guest, `other` what stands beside the kind. */
enum host_report_kind {
    HOST_REPORT_CREATED = 1,
    HOST_REPORT_CHANGED = 2,  /* flags say what */
    HOST_REPORT_REPLACED = 3, /* another file stands there now */
    HOST_REPORT_DELETED = 4,
    HOST_REPORT_RENAMED = 5,   /* its old path; flags say what else */
    HOST_REPORT_LINKED = 6,    /* another path of the same file */
    HOST_REPORT_KEPT = 7,      /* the file itself; of a symbolic link the target */
    HOST_REPORT_KEPT_LINK = 8, /* the path of the same file, which was KEPT before */
    HOST_REPORT_MISSING = 9,   /* here `name` is a call that Pith lacks; the program */
    HOST_REPORT_END = 10,      /* nothing follows; `name` is "end" */
};
#define HOST_REPORT_CHANGED_DATA  1u
#define HOST_REPORT_CHANGED_MODE  2u
#define HOST_REPORT_CHANGED_OWNER 4u
#define HOST_REPORT_CHANGED_XATTR 8u
#define HOST_REPORT_XATTRS_MOST   262144u /* bytes of xattrs in one report */
#define HOST_REPORT_PATH_MOST     4096u

/* HOST_RUN_REPORT: what to tell. */
#define HOST_REPORT_LIST     1u /* what changed in the program's root */
#define HOST_REPORT_CONTENTS 2u /* the files themselves as well */
#define HOST_REPORT_LACKS    4u /* what was asked for and is not there */

/*
 * What init asks of the kernel's end, by ioctl(2) on /dev/host/control with a pointer to a 32-bit
 * number. A read there gives the bytes of CONTROL; /dev/host/stdin, stdout and stderr are the
 * streams, and /dev/console is the terminal, whose window size comes by HOST_FRAME_WINDOW.
 */
#define HOST_IOCTL_EXIT  0x40047001u /* sends EXIT with this status; returns after EXIT_ACK came */
#define HOST_IOCTL_STAMP 0x40047002u /* sends STAMP with this enum host_moment, now */
/* Sends EXIT of a session: its number times 65536, and the status. */
#define HOST_IOCTL_SESSION_EXIT 0x40047004u
/* Sends a sentence to the command's own standard error: a LOG frame, whatever logs are wanted. */
struct host_sentence {
    char text[256]; /* NUL-terminated, with its newline */
};
#define HOST_IOCTL_SAY 0x41007005u
#define HOST_IOCTL_TARGET                                                   \
    0x40047003u /* HOST_FRAME_SIGNAL goes to this process group from now on \
                 */
