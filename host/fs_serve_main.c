/*
 * fs-serve: the file server on a socket of its own, for any guest.
 *
 *     fs-serve SOCKET DIR[:rw]... [--hide PATH]...
 *
 * It serves one connection and ends. `pith` does the same in a child; this is for tests with a
 * Linux guest and for looking at the server alone.
 */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "fs_server.h"

#define ITEMS_MAX     64
#define STATUS_USAGE  2
#define STATUS_FAILED 125

static int socket_listen(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || strlen(path) >= sizeof(address.sun_path))
        return -1;
    memcpy(address.sun_path, path, strlen(path));
    unlink(path);
    if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) || listen(fd, 1))
        return -1;
    return fd;
}

static struct fs_share share_parse(char *argument)
{
    char *colon = strrchr(argument, ':');
    bool writable = colon && strcmp(colon, ":rw") == 0;

    if (writable)
        *colon = '\0';
    return (struct fs_share){.host_path = argument, .writable = writable};
}

int main(int argc, char **argv)
{
    struct fs_share shares[ITEMS_MAX];
    const char *hidden[ITEMS_MAX];
    struct fs_server_options options = {
        .shares = shares,
        .hidden = hidden,
        .parent_fd = -1,
        .log_fd = STDERR_FILENO,
    };
    int error;

    for (int i = 2; i < argc && i < ITEMS_MAX; i++) {
        if (strcmp(argv[i], "--hide") == 0 && i + 1 < argc)
            hidden[options.hidden_count++] = argv[++i];
        else
            shares[options.share_count++] = share_parse(argv[i]);
    }
    if (options.share_count == 0) {
        fprintf(stderr, "usage: fs-serve SOCKET DIR[:rw]... [--hide PATH]...\n");
        return STATUS_USAGE;
    }
    options.socket_fd = socket_listen(argv[1]);
    if (options.socket_fd < 0) {
        perror(argv[1]);
        return STATUS_FAILED;
    }
    error = fs_server_run(&options);
    if (error)
        fprintf(stderr, "fs-serve: %s\n", strerror(-error));
    return error ? STATUS_FAILED : 0;
}
