/* The FUSE protocol, 7.38: what the client of the host's files uses of <linux/fuse.h>. */
#pragma once

#include <pith/types.h>

#define FUSE_VERSION       7
#define FUSE_MINOR_VERSION 38
#define FUSE_ROOT_NODE     1

enum fuse_opcode {
    FUSE_LOOKUP = 1,
    FUSE_FORGET = 2,
    FUSE_GETATTR = 3,
    FUSE_SETATTR = 4,
    FUSE_READLINK = 5,
    FUSE_SYMLINK = 6,
    FUSE_MKNOD = 8,
    FUSE_MKDIR = 9,
    FUSE_UNLINK = 10,
    FUSE_RMDIR = 11,
    FUSE_LINK = 13,
    FUSE_OPEN = 14,
    FUSE_READ = 15,
    FUSE_WRITE = 16,
    FUSE_STATFS = 17,
    FUSE_RELEASE = 18,
    FUSE_FSYNC = 20,
    FUSE_SETXATTR = 21,
    FUSE_GETXATTR = 22,
    FUSE_LISTXATTR = 23,
    FUSE_REMOVEXATTR = 24,
    FUSE_INIT = 26,
    FUSE_CREATE = 35,
    FUSE_FALLOCATE = 43,
    FUSE_READDIRPLUS = 44,
    FUSE_RENAME2 = 45,
};

#define FUSE_ATOMIC_O_TRUNC      (1u << 3)
#define FUSE_BIG_WRITES          (1u << 5)
#define FUSE_DO_READDIRPLUS      (1u << 13)
#define FUSE_NO_OPEN_SUPPORT     (1u << 17)
#define FUSE_PARALLEL_DIROPS     (1u << 18)
#define FUSE_MAX_PAGES           (1u << 22)
#define FUSE_NO_OPENDIR_SUPPORT  (1u << 24)
#define FUSE_EXPLICIT_INVAL_DATA (1u << 25)
#define FUSE_INIT_EXT            (1u << 30)

#define FATTR_MODE               (1u << 0)
#define FATTR_UID                (1u << 1)
#define FATTR_GID                (1u << 2)
#define FATTR_SIZE               (1u << 3)
#define FATTR_ATIME              (1u << 4)
#define FATTR_MTIME              (1u << 5)
#define FATTR_ATIME_NOW          (1u << 7)
#define FATTR_MTIME_NOW          (1u << 8)
#define FATTR_CTIME              (1u << 10)

struct fuse_attr {
    u64 ino;
    u64 size;
    u64 blocks;
    u64 atime;
    u64 mtime;
    u64 ctime;
    u32 atimensec;
    u32 mtimensec;
    u32 ctimensec;
    u32 mode;
    u32 nlink;
    u32 uid;
    u32 gid;
    u32 rdev;
    u32 blksize;
    u32 flags;
};
struct fuse_kstatfs {
    u64 blocks;
    u64 bfree;
    u64 bavail;
    u64 files;
    u64 ffree;
    u32 bsize;
    u32 namelen;
    u32 frsize;
    u32 padding;
    u32 spare[6];
};
struct fuse_entry_out {
    u64 nodeid;
    u64 generation;
    u64 entry_valid;
    u64 attr_valid;
    u32 entry_valid_nsec;
    u32 attr_valid_nsec;
    struct fuse_attr attr;
};
struct fuse_forget_in {
    u64 nlookup;
};
struct fuse_getattr_in {
    u32 getattr_flags;
    u32 dummy;
    u64 fh;
};
struct fuse_attr_out {
    u64 attr_valid;
    u32 attr_valid_nsec;
    u32 dummy;
    struct fuse_attr attr;
};
struct fuse_mknod_in {
    u32 mode;
    u32 rdev;
    u32 umask;
    u32 padding;
};
struct fuse_mkdir_in {
    u32 mode;
    u32 umask;
};
struct fuse_rename2_in {
    u64 newdir;
    u32 flags;
    u32 padding;
};
struct fuse_link_in {
    u64 oldnodeid;
};
struct fuse_setattr_in {
    u32 valid;
    u32 padding;
    u64 fh;
    u64 size;
    u64 lock_owner;
    u64 atime;
    u64 mtime;
    u64 ctime;
    u32 atimensec;
    u32 mtimensec;
    u32 ctimensec;
    u32 mode;
    u32 unused4;
    u32 uid;
    u32 gid;
    u32 unused5;
};
struct fuse_open_in {
    u32 flags;
    u32 open_flags;
};
struct fuse_create_in {
    u32 flags;
    u32 mode;
    u32 umask;
    u32 open_flags;
};
struct fuse_open_out {
    u64 fh;
    u32 open_flags;
    u32 padding;
};
struct fuse_release_in {
    u64 fh;
    u32 flags;
    u32 release_flags;
    u64 lock_owner;
};
struct fuse_read_in {
    u64 fh;
    u64 offset;
    u32 size;
    u32 read_flags;
    u64 lock_owner;
    u32 flags;
    u32 padding;
};
struct fuse_write_in {
    u64 fh;
    u64 offset;
    u32 size;
    u32 write_flags;
    u64 lock_owner;
    u32 flags;
    u32 padding;
};
struct fuse_write_out {
    u32 size;
    u32 padding;
};
struct fuse_fsync_in {
    u64 fh;
    u32 fsync_flags;
    u32 padding;
};
struct fuse_setxattr_in {
    u32 size;
    u32 flags;
    u32 setxattr_flags;
    u32 padding;
};
struct fuse_getxattr_in {
    u32 size;
    u32 padding;
};
struct fuse_getxattr_out {
    u32 size;
    u32 padding;
};
struct fuse_init_in {
    u32 major;
    u32 minor;
    u32 max_readahead;
    u32 flags;
    u32 flags2;
    u32 unused[11];
};
struct fuse_init_out {
    u32 major;
    u32 minor;
    u32 max_readahead;
    u32 flags;
    u16 max_background;
    u16 congestion_threshold;
    u32 max_write;
    u32 time_gran;
    u16 max_pages;
    u16 map_alignment;
    u32 flags2;
    u32 unused[7];
};
struct fuse_fallocate_in {
    u64 fh;
    u64 offset;
    u64 length;
    u32 mode;
    u32 padding;
};
struct fuse_in_header {
    u32 len;
    u32 opcode;
    u64 unique;
    u64 nodeid;
    u32 uid;
    u32 gid;
    u32 pid;
    u16 total_extlen;
    u16 padding;
};
struct fuse_out_header {
    u32 len;
    s32 error;
    u64 unique;
};
struct fuse_dirent {
    u64 ino;
    u64 off;
    u32 namelen;
    u32 type;
    char name[];
};
struct fuse_direntplus {
    struct fuse_entry_out entry_out;
    struct fuse_dirent dirent;
};

struct fuse_statfs_out {
    struct fuse_kstatfs st;
};

/* Entries of directories begin at multiples of 8. */
#define FUSE_ENTRY_ALIGN 8u
_Static_assert(sizeof(struct fuse_in_header) == 40, "fuse_in_header");
_Static_assert(sizeof(struct fuse_entry_out) == 128, "fuse_entry_out");
