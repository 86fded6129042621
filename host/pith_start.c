/*
 * The start of a machine: everything that QEMU inherits is made, then QEMU and the file server are
 * started, each with its ends of the socket pairs. Our ends stay.
 */
#include "pith.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define QUOTED_CHARACTERS " '\"$\\;&|<>()*?"

static void make_pair(int *ours, int *theirs)
{
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
        fail("a socket could not be made: %s", strerror(errno));
    *ours = ends[0];
    *theirs = ends[1];
}

/* What QEMU inherits, and our ends of it. `server_fd_out`: the file server's, -1: there is none. */
static void make_fds(const struct run_options *options, const struct library *library,
                     struct machine_fds *fds, struct machine_parts *parts, int *server_fd_out)
{
    *fds = (struct machine_fds){.kernel = library->kernel_fd, .files = -1};
    fds->initramfs = initramfs_create(library, &options->initramfs_files);
    if (access("/proc/self/fd", X_OK))
        fail("the machine cannot be prepared: %s; is /proc mounted?", strerror(errno));
    make_pair(&parts->complaint_fd, &fds->complaint);
    make_pair(&parts->link_fd, &fds->link);
    make_pair(&parts->debug_fd, &fds->debug);
    *server_fd_out = -1;
    if (options->root)
        make_pair(server_fd_out, &fds->files);
}

/* As a shell would take them. */
static void print_arguments(const struct strings *arguments)
{
    for (size_t i = 0; i < arguments->count; i++) {
        const char *word = arguments->list[i];
        const char *quote = word[strcspn(word, QUOTED_CHARACTERS)] ? "'" : "";

        printf("%s%s%s%s", i ? " " : "", quote, word, quote);
    }
    printf("\n");
}

bool machine_start(const struct run_options *options, struct machine_parts *parts)
{
    const char *qemu = qemu_find();
    struct strings arguments = {0};
    struct library library;
    struct machine_fds fds;
    int server_fd;

    library_find(&library);
    *parts = (struct machine_parts){0};
    make_fds(options, &library, &fds, parts, &server_fd);
    qemu_build_arguments(&arguments, qemu, options, accelerator_choose(options, qemu, &library),
                         &fds);
    if (options->dry_run) {
        print_arguments(&arguments);
        return false;
    }
    parts->started_ns = clock_now_ns();
    parts->machine = qemu_start(&arguments, &fds);
    if (server_fd >= 0) {
        parts->files = files_start(options, server_fd);
        close(server_fd);
        close(fds.files);
    }
    close(fds.initramfs);
    close(fds.link);
    close(fds.debug);
    close(fds.complaint);
    return true;
}
