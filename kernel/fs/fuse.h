/*
 * Between the files of the client of the host's file server (FUSE protocol 7.38, over virtio-fs).
 *
 *     fuse_device.c     requests and answers over the virtqueue
 *     fuse_inode.c      nodes of the server as inodes; attributes; extended attributes
 *     fuse_file.c       reading, writing, links; mounting
 *     fuse_directory.c  looking names up, changing them
 *     fuse_listing.c    listing, and reading names in advance
 *
 * The server is as far to be trusted as the host: it can say anything about files, but nothing that
 * it says may harm the kernel. So each answer is checked by whoever asked, before it is used.
 */
#pragma once

#include <pith/abi/fuse.h>
#include <pith/fs.h>
#include <pith/virtio.h>

#define FUSE_PAGES_MAX     256u /* of one READ: what the server allows (MAX_PAGES) */
#define FUSE_ARGUMENTS_MAX 640u /* two names and a header of arguments */
#define FUSE_ANSWER_MAX    256u

/*
 * One request and its answer. The headers and short arguments lie in it, so it must be memory that
 * lies together physically: it comes from fuse_request_alloc, never from a stack.
 */
struct fuse_request {
    struct fuse_in_header in;
    u8 arguments[FUSE_ARGUMENTS_MAX];
    struct fuse_out_header out;
    u8 answer[FUSE_ANSWER_MAX];
    u32 argument_bytes, answer_bytes; /* used; room, then (after the call) what came */
    /* More that the server reads (or else writes): pages of files. Borrowed. */
    const struct virtio_piece *pieces;
    u32 piece_count;
    bool pieces_are_read;    /* by the server: a WRITE */
    u32 written_bytes;       /* by the server; headers not counted once the call has returned */
    bool done;               /* guarded_by(&queue.lock): the memory is ours again */
    struct wait_queue queue; /* the one who made the request waits here */
};

/* What we keep of a file: inode.private_data. guarded_by(&inode->lock) but where it says. */
struct fuse_node {
    u64 id;             /* [const] the server's number */
    u64 generation;     /* [const] */
    u64 lookups;        /* [atomic] to be given back by FORGET */
    u64 valid_until_ns; /* [atomic] attributes are right until then */
    u64 asked_ns;       /* [atomic] when the server last told them */
    u64 blocks;         /* [atomic] of 512 bytes */
    u64 writes;         /* [atomic] WRITEs that have ended */
    u32 block_bytes;
    /* Of a directory, [inode.lock]: what is read of its listing in advance (fuse_listing.c). */
    u32 preload_asked; /* names asked for one by one since the last part */
    u32 preload_bytes; /* of the next part */
    u64 preload_next;  /* the offset at which it begins */
    u64 preload_valid_until_ns;
    /* The same of its names, which lie in the page cache. */
    s64 listing_modified_ns;
    u64 listing_bytes;
    u64 listing_next;      /* the offset of the entry that is to be kept next */
    bool listing_is_whole; /* a reader has come to its end: it may be given to others */
};

/* One mounted server: file_system.private_data. */
struct fuse_server {
    struct radix nodes; /* guarded_by file_system.inode_lock: id -> inode, not counted */
    u32 max_pages;      /* [const] */
    bool needs_open;    /* [atomic] OPEN is not answered with ENOSYS */
};

static inline struct fuse_node *fuse_node_of(const struct inode *inode)
{
    return inode->private_data;
}
static inline struct fuse_server *fuse_server_of(const struct inode *inode)
{
    return inode->file_system->private_data;
}

/* How many WRITEs have ended: who changed the file at the host asks whether one came between. */
static inline u64 fuse_writes(const struct inode *inode)
{
    /* Pairs with the count in fuse_write_page, which comes before its page is unlocked. */
    return __atomic_load_n(&fuse_node_of(inode)->writes, __ATOMIC_ACQUIRE);
}

/* fuse_device.c */
/* Whether the machine has a file server's device with this tag. */
bool fuse_device_exists(const char *tag);
struct fuse_request *fuse_request_alloc(enum fuse_opcode opcode, u64 node) must_check;
void fuse_request_free(struct fuse_request *request);
/* Adds to the arguments; what does not fit is a kernel bug. */
void fuse_request_add(struct fuse_request *request, const void *bytes, size_t count);
void fuse_request_add_name(struct fuse_request *request, const struct dentry *dentry);
/* Sends it and waits. 0 or what the server answered; -EIO: the answer is no answer. */
int fuse_request_call(struct fuse_request *request) must_check;
/* Sends a FORGET, which has no answer. What cannot be sent is the server's leak. */
void fuse_forget(u64 node, u64 lookups);
/* The usual case: arguments, and an answer of just `answer_bytes` that is copied out. */
int fuse_call(enum fuse_opcode opcode, u64 node, const void *arguments, size_t argument_bytes,
              void *answer, size_t answer_bytes) must_check;

/* fuse_inode.c */
/* The inode for what an answer describes, with a reference; the answer's lookup is counted. */
int fuse_inode_get(struct file_system *file_system, const struct fuse_entry_out *entry,
                   struct inode **inode_out) must_check;
/* Takes over what the server says of a file; forgets its pages if it changed over there. */
void fuse_attributes_update(struct inode *inode, const struct fuse_attr *attributes, u64 valid_ns);
/* Asks the server; the second only if what we know is too old. -ESTALE: it is another file now. */
int fuse_attributes_ask(struct inode *inode) must_check;
int fuse_attributes_refresh(struct inode *inode) must_check;
/* The same for an open: asks unless it was told just now. */
int fuse_attributes_renew(struct inode *inode) must_check;
/* The moment (monotonic) until which an answer is valid. */
u64 fuse_valid_until(u64 seconds, u32 nanoseconds);
void fuse_inode_release(struct inode *inode);
int fuse_set_attributes(struct inode *inode, const struct attribute_change *change);
int fuse_get_attributes(struct inode *inode, struct attributes *attributes_out);
ssize_t fuse_get_xattr(struct inode *inode, const char *name, void *value, size_t size);
int fuse_set_xattr(struct inode *inode, const char *name, const void *value, size_t size,
                   int flags);
ssize_t fuse_list_xattr(struct inode *inode, char *list, size_t size);
int fuse_remove_xattr(struct inode *inode, const char *name);

/* fuse_listing.c */
/* The name is right for as long as the entry says. */
void fuse_dentry_validate(struct dentry *dentry, const struct fuse_entry_out *entry);
/* The directory's names were changed by us; it is locked. */
void fuse_listing_forget(struct inode *directory);
/* A name is about to be asked for: also reads a part of the listing, if that is worth it. The
 * directory is locked. */
void fuse_names_preload(struct inode *directory, const struct dentry *wanted);

extern const struct inode_operations fuse_directory_operations;     /* fuse_directory.c */
extern const struct file_operations fuse_directory_file_operations; /* fuse_listing.c */
extern const struct inode_operations fuse_file_inode_operations;    /* fuse_file.c */
extern const struct file_operations fuse_file_operations;
extern const struct page_cache_operations fuse_page_operations;

void fuse_device_init(void);
void fuse_init(void);
