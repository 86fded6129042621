/*
 * The file server: gives the machine the host's files, as virtio-fs over vhost-user.
 *
 * `pith` makes a listening Unix socket, forks, and calls fs_server_run in the child; QEMU connects
 * to the socket (`vhost-user-fs-device`) and shares the guest's memory with the server. The server
 * answers FUSE requests from two virtqueues, as the user who called it, until the connection ends.
 * All shares come through the one device: below its root (node 1) lie the directories "0", "1",
 * "2", ..., one for each share in the order of the table.
 *
 * It trusts neither the guest nor the socket. docs/file-server.md has the theory.
 */
#pragma once

#include <pith/compiler.h>

/* A host directory that the guest may see. */
struct fs_share {
    const char
        *host_path; /* of a directory; symbolic links in it are followed, once, at the start */
    bool writable;
};

struct fs_server_options {
    const struct fs_share *shares;
    size_t share_count; /* 1 to FS_SHARES_MAX */

    /*
     * Absolute paths of the host that the guest cannot see, whatever share they are reached
     * through and whatever other name they have. They need not exist.
     */
    const char *const *hidden;
    size_t hidden_count;

    /* A Unix stream socket: listening (one connection is accepted) or already connected. */
    int socket_fd;

    /* The server also ends when this pipe's other end is closed; -1: no such pipe. */
    int parent_fd;

    /*
     * How long the guest may believe a name or an attribute of a share that is writable, or read
     * only; 0: FS_VALID_MILLISECONDS.
     */
    u32 valid_milliseconds, valid_read_only_milliseconds;

    /* Where sentences about refused input and missing means go; -1: nowhere. */
    int log_fd;
};

#define FS_SHARES_MAX         1024
#define FS_VALID_MILLISECONDS 1000

/*
 * Serves until the connection or the parent ends. Call it in a process of its own: it changes the
 * umask, takes over the descriptor limit, confines the process for good and closes `socket_fd` and
 * `parent_fd` at the end. It holds no descriptor but those named here and what it opens itself, so
 * the caller closes what the child should not have. A parent that dies kills it (PR_SET_PDEATHSIG).
 * Returns 0 after an orderly end; -ENOTDIR and the like: a share cannot be opened (nothing was
 * served); -EPROTO: the other side of the socket broke the protocol.
 */
must_check int fs_server_run(const struct fs_server_options *options);
