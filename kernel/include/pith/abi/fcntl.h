/* Linux's numbers for opening, descriptors and names (asm-generic/fcntl.h, linux/fcntl.h, ...). */
#pragma once

#include <pith/types.h>

#define O_ACCMODE   00000003
#define O_RDONLY    00000000
#define O_WRONLY    00000001
#define O_RDWR      00000002
#define O_CREAT     00000100
#define O_EXCL      00000200
#define O_NOCTTY    00000400
#define O_TRUNC     00001000
#define O_APPEND    00002000
#define O_NONBLOCK  00004000
#define O_DSYNC     00010000
#define O_ASYNC     00020000
#define O_DIRECT    00040000
#define O_LARGEFILE 00100000
#define O_DIRECTORY 00200000
#define O_NOFOLLOW  00400000
#define O_NOATIME   01000000
#define O_CLOEXEC   02000000
#define O_SYNC      04010000
#define O_PATH      010000000
#define O_TMPFILE   020200000
/* The bit of O_TMPFILE that O_DIRECTORY does not have. */
#define O_TMPFILE_BIT          020000000

#define F_DUPFD                0
#define F_GETFD                1
#define F_SETFD                2
#define F_GETFL                3
#define F_SETFL                4
#define F_GETLK                5
#define F_SETLK                6
#define F_SETLKW               7
#define F_SETOWN               8
#define F_GETOWN               9
#define F_SETSIG               10
#define F_GETSIG               11
#define F_SETOWN_EX            15
#define F_GETOWN_EX            16
#define F_OFD_GETLK            36
#define F_OFD_SETLK            37
#define F_OFD_SETLKW           38
#define F_SETLEASE             1024
#define F_GETLEASE             1025
#define F_NOTIFY               1026
#define F_DUPFD_CLOEXEC        1030
#define F_SETPIPE_SZ           1031
#define F_GETPIPE_SZ           1032
#define F_ADD_SEALS            1033
#define F_GET_SEALS            1034
#define F_GET_RW_HINT          1035
#define F_SET_RW_HINT          1036

#define RWH_WRITE_LIFE_EXTREME 5

#define DN_ACCESS              0x00000001U
#define DN_MODIFY              0x00000002U
#define DN_CREATE              0x00000004U
#define DN_DELETE              0x00000008U
#define DN_RENAME              0x00000010U
#define DN_ATTRIB              0x00000020U
#define DN_MULTISHOT           0x80000000U

#define FD_CLOEXEC             1

#define F_RDLCK                0
#define F_WRLCK                1
#define F_UNLCK                2

#define F_OWNER_TID            0
#define F_OWNER_PID            1
#define F_OWNER_PGRP           2

#define F_SEAL_SEAL            0x0001
#define F_SEAL_SHRINK          0x0002
#define F_SEAL_GROW            0x0004
#define F_SEAL_WRITE           0x0008
#define F_SEAL_FUTURE_WRITE    0x0010

#define LOCK_SH                1
#define LOCK_EX                2
#define LOCK_NB                4
#define LOCK_UN                8
#define LOCK_MAND              32

#define AT_FDCWD               (-100)
#define AT_SYMLINK_NOFOLLOW    0x100
#define AT_EACCESS             0x200
#define AT_REMOVEDIR           0x200
#define AT_SYMLINK_FOLLOW      0x400
#define AT_NO_AUTOMOUNT        0x800
#define AT_EMPTY_PATH          0x1000
#define AT_STATX_SYNC_TYPE     0x6000
#define AT_RECURSIVE           0x8000

#define RESOLVE_NO_XDEV        0x01
#define RESOLVE_NO_MAGICLINKS  0x02
#define RESOLVE_NO_SYMLINKS    0x04
#define RESOLVE_BENEATH        0x08
#define RESOLVE_IN_ROOT        0x10
#define RESOLVE_CACHED         0x20

#define RENAME_NOREPLACE       1
#define RENAME_EXCHANGE        2
#define RENAME_WHITEOUT        4

#define SEEK_SET               0
#define SEEK_CUR               1
#define SEEK_END               2
#define SEEK_DATA              3
#define SEEK_HOLE              4

#define FALLOC_FL_KEEP_SIZE    0x01
#define FALLOC_FL_PUNCH_HOLE   0x02
#define FALLOC_FL_ZERO_RANGE   0x10

#define XATTR_CREATE           1
#define XATTR_REPLACE          2
#define XATTR_NAME_MAX         255
#define XATTR_SIZE_MAX         65536
#define XATTR_LIST_MAX         65536

#define CLOSE_RANGE_UNSHARE    2
#define CLOSE_RANGE_CLOEXEC    4

#define SPLICE_F_MOVE          1
#define SPLICE_F_NONBLOCK      2
#define SPLICE_F_MORE          4
#define SPLICE_F_GIFT          8

#define MFD_CLOEXEC            1
#define MFD_ALLOW_SEALING      2

#define EFD_SEMAPHORE          1

#define RWF_HIPRI              1
#define RWF_DSYNC              2
#define RWF_SYNC               4
#define RWF_NOWAIT             8
#define RWF_APPEND             16

#define POSIX_FADV_DONTNEED    4
#define POSIX_FADV_NOREUSE     5

/* access(2) */
#define F_OK 0
#define R_OK 4
#define W_OK 2
#define X_OK 1

struct open_how {
    u64 flags, mode, resolve;
};

struct flock {
    s16 type, whence;
    u32 padding;
    s64 start, length;
    s32 pid;
    u32 padding_end;
};
_Static_assert(sizeof(struct flock) == 32, "struct flock of fcntl(2)");

struct f_owner_ex {
    s32 type, pid;
};

struct iovec {
    u64 base, length;
};
#define UIO_MAXIOV 1024
