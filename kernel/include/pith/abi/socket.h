/* Linux's numbers and layouts of sockets: socket(2), socket(7), unix(7), cmsg(3). */
#pragma once

#include <pith/types.h>

#define AF_UNSPEC        0
#define AF_UNIX          1
#define AF_MAX           46 /* one more than the last family */

#define SOCK_STREAM      1
#define SOCK_DGRAM       2
#define SOCK_RAW         3
#define SOCK_SEQPACKET   5
#define SOCK_PACKET      10 /* the last type */
#define SOCK_TYPE_MASK   0xf
#define SOCK_CLOEXEC     02000000
#define SOCK_NONBLOCK    04000

#define SHUT_RD          0
#define SHUT_WR          1
#define SHUT_RDWR        2

#define MSG_OOB          0x00000001u
#define MSG_PEEK         0x00000002u
#define MSG_CTRUNC       0x00000008u
#define MSG_TRUNC        0x00000020u
#define MSG_DONTWAIT     0x00000040u
#define MSG_EOR          0x00000080u
#define MSG_WAITALL      0x00000100u
#define MSG_NOSIGNAL     0x00004000u
#define MSG_WAITFORONE   0x00010000u
#define MSG_CMSG_CLOEXEC 0x40000000u
#define MSG_CMSG_COMPAT  0x80000000u

#define SOL_SOCKET       1
#define SO_DEBUG         1
#define SO_REUSEADDR     2
#define SO_TYPE          3
#define SO_ERROR         4
#define SO_DONTROUTE     5
#define SO_BROADCAST     6
#define SO_SNDBUF        7
#define SO_RCVBUF        8
#define SO_KEEPALIVE     9
#define SO_OOBINLINE     10
#define SO_NO_CHECK      11
#define SO_PRIORITY      12
#define SO_LINGER        13
#define SO_BSDCOMPAT     14
#define SO_REUSEPORT     15
#define SO_PASSCRED      16
#define SO_PEERCRED      17
#define SO_RCVLOWAT      18
#define SO_SNDLOWAT      19
#define SO_RCVTIMEO      20
#define SO_SNDTIMEO      21
#define SO_ACCEPTCONN    30
#define SO_TIMESTAMP     29 /* the control message has the same number, as the next */
#define SO_SNDBUFFORCE   32
#define SO_RCVBUFFORCE   33
#define SO_TIMESTAMPNS   35
#define SO_PROTOCOL      38
#define SO_DOMAIN        39
#define SO_PEEK_OFF      42
#define SO_PEERGROUPS    59

#define SCM_RIGHTS       1
#define SCM_CREDENTIALS  2
#define SCM_MAX_FD       253

#define SIOCINQ          0x541bu /* FIONREAD */
#define SIOCOUTQ         0x5411u
#define SIOCATMARK       0x8905u

/* What fits into a struct sockaddr_storage. */
#define ADDRESS_BYTES_MAX 128u

struct abi_sockaddr_un {
    u16 family;
    char path[108];
};
#define SUN_PATH_OFFSET 2u /* of `path` */

struct abi_linger {
    s32 on;
    s32 seconds;
};

struct abi_ucred {
    s32 pid;
    u32 uid, gid;
};

struct abi_cmsghdr {
    u64 bytes; /* with this header */
    s32 level, type;
};
#define CMSG_ALIGNMENT 8u

struct abi_msghdr {
    u64 name;
    s32 name_bytes;
    u32 reserved;
    u64 segments, segment_count;
    u64 control, control_bytes;
    u32 flags;
    u32 reserved_at_end;
};

struct abi_mmsghdr {
    struct abi_msghdr header;
    u32 bytes;
    u32 reserved;
};
_Static_assert(sizeof(struct abi_msghdr) == 56 && sizeof(struct abi_mmsghdr) == 64, "as in C");
