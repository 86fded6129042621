/*
 * The file server as a child: one end of a socket pair goes to it, the other to QEMU.
 *
 * Share 0 is the program's root, the others follow in the order of the command line, as the
 * description of the run numbers them.
 */
#include "pith.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "fs_server.h"

/*
 * So long the guest believes what it was told of a file that it only reads: a host's file
 * that changes is seen as it is by then.
 */
#define READ_ONLY_VALID_MS 10000

static int serve(const struct run_options *options, int socket_fd)
{
    struct fs_share *shares = calloc(options->share_count + 1, sizeof(*shares));
    struct fs_server_options server = {.shares = shares,
                                       .share_count = options->share_count + 1,
                                       .hidden = options->hidden.list,
                                       .hidden_count = options->hidden.count,
                                       .socket_fd = socket_fd,
                                       .parent_fd = -1,
                                       .valid_read_only_milliseconds = READ_ONLY_VALID_MS,
                                       .log_fd = options->debug ? STDERR_FILENO : -1};

    if (!shares)
        return -ENOMEM;
    shares[0] = (struct fs_share){.host_path = options->root};
    for (size_t i = 0; i < options->share_count; i++)
        shares[i + 1] = (struct fs_share){.host_path = options->shares[i].path,
                                          .writable = options->shares[i].writable};
    return fs_server_run(&server);
}

pid_t files_start(const struct run_options *options, int socket_fd)
{
    const int keep[] = {socket_fd};
    pid_t child = child_fork();
    int error;

    if (child)
        return child;
    prctl(PR_SET_NAME, "pith-files");
    setsid();
    child_keep_only(keep, 1);
    error = serve(options, socket_fd);
    if (error)
        say("the file server stopped: %s", strerror(-error));
    _exit(error ? PITH_FAILED : 0);
}
