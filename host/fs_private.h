/* What the files of the file server share: its state, and the operations that it dispatches to. */
#pragma once

#include "fs_request.h"
#include "fs_server.h"
#include "fs_tree.h"
#include "fs_vhost_user.h"

#define FS_TRANSFER_MAX (1u << 20) /* bytes of data in one request */
#define FS_PAGES_MAX    256        /* the same, in the guest's pages */

struct fs_server {
    struct fs_device device;
    struct fs_tree tree;
    u64 valid_ns, valid_read_only_ns; /* how long answers about either kind of share are believed */
    int parent_fd;
    int epoll_fd;
    int log_fd;
    bool is_initialised; /* INIT was answered */
    bool is_superuser;   /* we may give files to the users that make them */
    bool has_writable_share;
    bool open_is_needless; /* the client can do without OPEN, and no share is writable */
    bool opendir_is_needless;
    struct fs_chain chain; /* the request in work */
    struct fs_request request;
    char text[FS_TEXT_MAX];
    u8 scratch[FS_TRANSFER_MAX]; /* an answer being put together */
};

/* fs_server.c: all but the connection; the fuzzer uses the same. */
must_check int fs_server_init(struct fs_server *server, const struct fs_server_options *options);
void fs_server_fini(struct fs_server *server);
/* Answers all that is in the queues. */
void fs_server_serve_queues(struct fs_server *server);

/* fs_confine.c: gives up what the server does not need, for good. */
void fs_confine(const struct fs_server *server);

/* fs_operations.c: answers one request. Returns the bytes written to its writable buffers. */
u32 fs_server_answer(struct fs_server *server);
void fs_server_log(const struct fs_server *server, const char *format, ...) printf_like(2, 3);

/* Each does what its FUSE request asks: 0 (the answer was appended) or a negative errno. */
int fs_do_init(struct fs_server *server, struct fs_request *request);
int fs_do_destroy(struct fs_server *server, struct fs_request *request);

/* fs_lookup.c: names, attributes and what else is only looked at. */
int fs_do_lookup(struct fs_server *server, struct fs_request *request);
int fs_do_forget(struct fs_server *server, struct fs_request *request);
int fs_do_batch_forget(struct fs_server *server, struct fs_request *request);
int fs_do_getattr(struct fs_server *server, struct fs_request *request);
int fs_do_readlink(struct fs_server *server, struct fs_request *request);
int fs_do_statfs(struct fs_server *server, struct fs_request *request);
int fs_do_access(struct fs_server *server, struct fs_request *request);
/* The same, for other operations: a file's attributes, and a new reference to a node. */
void fs_attributes_fill(const struct fs_server *server, const struct fs_node *node,
                        const struct statx *status, struct fuse_attr *attributes_out);
void fs_entry_fill(struct fs_server *server, struct fs_node *node, const struct statx *status,
                   struct fuse_entry_out *entry_out);
must_check int fs_answer_entry(struct fs_server *server, struct fs_request *request,
                               struct fs_node *node, const struct statx *status);
must_check int fs_answer_attributes(struct fs_server *server, struct fs_request *request,
                                    struct fs_node *node);

/* fs_directory.c */
int fs_do_opendir(struct fs_server *server, struct fs_request *request);
int fs_do_readdir(struct fs_server *server, struct fs_request *request);

/* fs_data.c: what is in files. */
int fs_do_open(struct fs_server *server, struct fs_request *request);
must_check int fs_open_node(struct fs_server *server, struct fs_node *node, u32 flags);
int fs_do_release(struct fs_server *server, struct fs_request *request);
int fs_do_read(struct fs_server *server, struct fs_request *request);
int fs_do_lseek(struct fs_server *server, struct fs_request *request);
int fs_do_write(struct fs_server *server, struct fs_request *request);
int fs_do_fsync(struct fs_server *server, struct fs_request *request);
int fs_do_syncfs(struct fs_server *server, struct fs_request *request);
int fs_do_fallocate(struct fs_server *server, struct fs_request *request);
int fs_do_nothing(struct fs_server *server, struct fs_request *request);

/* fs_attributes.c: changes them. */
int fs_do_setattr(struct fs_server *server, struct fs_request *request);

/* fs_xattr.c */
int fs_do_getxattr(struct fs_server *server, struct fs_request *request);
int fs_do_listxattr(struct fs_server *server, struct fs_request *request);
int fs_do_setxattr(struct fs_server *server, struct fs_request *request);
int fs_do_removexattr(struct fs_server *server, struct fs_request *request);

/* fs_create.c: new names. */
int fs_do_create(struct fs_server *server, struct fs_request *request);
int fs_do_mknod(struct fs_server *server, struct fs_request *request);
int fs_do_mkdir(struct fs_server *server, struct fs_request *request);
int fs_do_symlink(struct fs_server *server, struct fs_request *request);
int fs_do_link(struct fs_server *server, struct fs_request *request);

/* fs_remove.c: names that go or move. */
int fs_do_unlink(struct fs_server *server, struct fs_request *request);
int fs_do_rmdir(struct fs_server *server, struct fs_request *request);
int fs_do_rename(struct fs_server *server, struct fs_request *request);

/* fs_credentials.c: new files belong to who asked, where we may see to that. */
must_check int fs_credentials_take(const struct fs_server *server,
                                   const struct fs_request *request);
void fs_credentials_return(const struct fs_server *server);
