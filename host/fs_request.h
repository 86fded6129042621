/* One FUSE request: what the guest asks, copied and checked, and room for the answer. */
#pragma once

#include <linux/fuse.h>
#include <linux/limits.h>

#include "fs_queue.h"

struct fs_node;

#define FS_ARGUMENTS_MAX                                                    \
    128 /* bytes: the largest structure of arguments (fuse_setattr_in) fits \
         */
#define FS_NAMES_MAX 2
/* Two names, or a name and a value (xattr(7) limits values to 64 KiB), or a link's target. */
#define FS_TEXT_MAX (XATTR_SIZE_MAX + 2 * (NAME_MAX + 1))

struct fs_request {
    struct fs_chain *chain;
    struct fuse_in_header header;
    struct fs_node *node; /* header.nodeid's; NULL where the operation has none */
    union {
        struct fuse_getattr_in getattr;
        struct fuse_setattr_in setattr;
        struct fuse_open_in open;
        struct fuse_read_in read;
        struct fuse_write_in write;
        struct fuse_access_in access;
        struct fuse_getxattr_in getxattr;
        struct fuse_setxattr_in setxattr;
        struct fuse_create_in create;
        struct fuse_mknod_in mknod;
        struct fuse_mkdir_in mkdir;
        struct fuse_rename2_in rename; /* RENAME gives only its first member */
        struct fuse_link_in link;
        struct fuse_fsync_in fsync;
        struct fuse_fallocate_in fallocate;
        struct fuse_lseek_in lseek;
        struct fuse_forget_in forget;
        struct fuse_batch_forget_in batch_forget;
        struct fuse_init_in init;
        u8 bytes[FS_ARGUMENTS_MAX];
    } arguments;
    const char *names[FS_NAMES_MAX]; /* in a buffer of the server's, each with its NUL */
    const void *value;               /* what follows the names */
    size_t value_size;
    size_t data_offset;  /* where in the readable bytes what follows the arguments begins */
    size_t data_size;    /* how much follows */
    size_t answer_bytes; /* of the answer so far, without its header */
};

/* Copies the header and checks its length. -EINVAL: no request at all, it cannot be answered. */
must_check int fs_request_begin(struct fs_request *request, struct fs_chain *chain);
/* Copies `size` bytes of arguments. -EINVAL: there are fewer. */
must_check int fs_request_take_arguments(struct fs_request *request, size_t size);
/* Copies all the rest into `text` (FS_TEXT_MAX bytes) and finds `count` names in it. -EINVAL. */
must_check int fs_request_take_names(struct fs_request *request, char *text, unsigned count);
/* Copies from what follows the arguments. -EINVAL: it ends before. */
must_check int fs_request_copy_data(const struct fs_request *request, size_t offset, void *to,
                                    size_t size);
/* A name of one file in a directory: -EINVAL, -ENAMETOOLONG. */
must_check int fs_name_check(const char *name);

/* How many bytes of answer there is room for yet. */
size_t fs_request_room(const struct fs_request *request);
/* Appends to the answer. -EINVAL: the guest left no room. */
must_check int fs_request_answer(struct fs_request *request, const void *bytes, size_t size);
/* The guest's own buffers for the answer's next bytes, or of the data; at most FS_CHAIN_MAX. */
unsigned fs_request_answer_buffers(const struct fs_request *request, size_t size,
                                   struct iovec *buffers_out);
unsigned fs_request_data_buffers(const struct fs_request *request, size_t size,
                                 struct iovec *buffers_out);
/* Writes the answer's header. Returns how many bytes were written in all: 0 if there is no room. */
u32 fs_request_finish(struct fs_request *request, int error);
