/* Linux's file types, modes and the structures of stat(2), statx(2), statfs(2), getdents64(2). */
#pragma once

#include <pith/compiler.h>

#define S_IFMT          0170000
#define S_IFSOCK        0140000
#define S_IFLNK         0120000
#define S_IFREG         0100000
#define S_IFBLK         0060000
#define S_IFDIR         0040000
#define S_IFCHR         0020000
#define S_IFIFO         0010000
#define S_ISUID         0004000
#define S_ISGID         0002000
#define S_ISVTX         0001000
#define S_IRWXG         0000070
#define S_IXGRP         0000010

#define PERMISSION_BITS 0777u
#define MODE_BITS       07777 /* what chmod(2) may change */

#define DT_UNKNOWN      0
#define DT_FIFO         1
#define DT_CHR          2
#define DT_DIR          4
#define DT_BLK          6
#define DT_REG          8
#define DT_LNK          10
#define DT_SOCK         12

/* The DT_* of a mode: Linux numbers them so. */
#define MODE_TO_DT(mode) (((mode)&S_IFMT) >> 12)

struct stat {
    u64 st_dev, st_ino, st_nlink;
    u32 st_mode, st_uid, st_gid, padding;
    u64 st_rdev;
    s64 st_size, st_blksize, st_blocks;
    u64 st_atime, st_atime_nsec, st_mtime, st_mtime_nsec, st_ctime, st_ctime_nsec;
    s64 unused[3];
};
_Static_assert(sizeof(struct stat) == 144, "struct stat of x86-64");

struct statx_timestamp {
    s64 tv_sec;
    u32 tv_nsec;
    s32 padding;
};

struct statx {
    u32 stx_mask, stx_blksize;
    u64 stx_attributes;
    u32 stx_nlink, stx_uid, stx_gid;
    u16 stx_mode, padding;
    u64 stx_ino, stx_size, stx_blocks, stx_attributes_mask;
    struct statx_timestamp stx_atime, stx_btime, stx_ctime, stx_mtime;
    u32 stx_rdev_major, stx_rdev_minor, stx_dev_major, stx_dev_minor;
    u64 stx_mnt_id;
    u32 stx_dio_mem_align, stx_dio_offset_align;
    u64 unused[12];
};
_Static_assert(sizeof(struct statx) == 256, "struct statx of linux/stat.h");

#define STATX_BASIC_STATS     0x07ffu
#define STATX_BTIME           0x0800u
#define STATX_MNT_ID          0x1000u
#define STATX_RESERVED        0x80000000u
#define STATX_ATTR_MOUNT_ROOT 0x2000u

struct statfs {
    s64 f_type, f_bsize;
    u64 f_blocks, f_bfree, f_bavail, f_files, f_ffree;
    s32 f_fsid[2];
    s64 f_namelen, f_frsize, f_flags;
    s64 f_spare[4];
};
_Static_assert(sizeof(struct statfs) == 120, "struct statfs of x86-64");

#define ST_RDONLY      1
#define ST_NOSUID      2
#define ST_NODEV       4
#define ST_NOEXEC      8
#define ST_VALID       0x20
#define ST_RELATIME    0x1000
#define ST_NOSYMFOLLOW 0x2000

struct linux_dirent64 {
    u64 d_ino;
    s64 d_off;
    u16 d_reclen;
    u8 d_type;
    char d_name[];
} packed;
_Static_assert(sizeof(struct linux_dirent64) == 19, "struct linux_dirent64");

/* st_dev and st_rdev as the C library takes them apart (makedev(3)). */
#define DEVICE_NUMBER(major, minor)                                                          \
    (((u64)((minor)&0xff)) | ((u64)((major)&0xfff) << 8) | ((u64)((minor) & ~0xffu) << 12) | \
     ((u64)((major) & ~0xfffu) << 32))
#define DEVICE_MAJOR(number) ((u32)(((number) >> 8 & 0xfff) | ((number) >> 32 & ~0xfffu)))
#define DEVICE_MINOR(number) ((u32)(((number)&0xff) | ((number) >> 12 & ~0xffu)))
/* As /proc/PID/fdinfo writes it, for there Linux shows its own form. */
#define DEVICE_WORD(number) (DEVICE_MAJOR(number) << 20 | DEVICE_MINOR(number))

/* f_type of statfs(2) (linux/magic.h). */
#define TMPFS_MAGIC      0x01021994
#define PROC_SUPER_MAGIC 0x9fa0
#define SYSFS_MAGIC      0x62656572
#define DEVPTS_MAGIC     0x1cd1
#define PIPEFS_MAGIC     0x50495045
#define ANON_INODE_MAGIC 0x09041934
#define OVERLAY_MAGIC    0x794c7630
#define FUSE_MAGIC       0x65735546
