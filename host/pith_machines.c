/*
 * The machines of this user that run: `pith ps`, and who `pith attach` connects to.
 *
 * Each `pith` that runs a machine listens on a socket in the abstract name space,
 *
 *     \0pith/UID/ID        ID is the process's number, if that is not taken
 *
 * which has no file and is gone with the process, however it ends: so there is nothing to clean up,
 * no directory whose rights could be wrong, and no stale entry. What it lacks is an owner: anybody
 * may bind such a name or connect to it. Both sides therefore ask the kernel who the other is
 * (SO_PEERCRED) and have nothing to do with another user; root is no exception.
 *
 * /proc/net/unix lists the names.
 */
#include "pith.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define ID_STEP     10000000ul /* beyond all process numbers, to the next try */
#define ID_TRIES    16
#define BACKLOG     16
#define LINE_BYTES  512
#define START_FIELD 22 /* of /proc/PID/stat: when it started, in clock ticks since the boot */

struct machine_entry {
    unsigned long id;
    pid_t pid; /* 0: of another name space of processes */
};

static socklen_t make_address(struct sockaddr_un *address, unsigned long id)
{
    int size;

    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    size = snprintf(address->sun_path + 1, sizeof(address->sun_path) - 1, "pith/%u/%lu",
                    (unsigned)geteuid(), id);
    return offsetof(struct sockaddr_un, sun_path) + 1 + size;
}

int machines_announce(unsigned long *id_out)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_un address;

    for (unsigned try = 0; fd >= 0 && try < ID_TRIES; try++) {
        socklen_t size = make_address(&address, *id_out = getpid() + try * ID_STEP);

        if (bind(fd, (struct sockaddr *)&address, size) == 0 && listen(fd, BACKLOG) == 0)
            return fd;
    }
    if (fd >= 0)
        close(fd);
    return -1;
}

bool machines_is_ours(int fd, pid_t *pid_out)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) || peer.uid != geteuid())
        return false;
    if (pid_out)
        *pid_out = peer.pid;
    return true;
}

/* -1: it does not run any more, or is somebody else's. */
static int connect_to(unsigned long id, pid_t *pid_out)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_un address;
    socklen_t size = make_address(&address, id);

    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, size) == 0 &&
        machines_is_ours(fd, pid_out))
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

/* All that answer, in a new array. */
static struct machine_entry *find_all(size_t *count_out)
{
    struct machine_entry *entries = NULL, entry;
    FILE *file = fopen("/proc/net/unix", "re");
    char line[LINE_BYTES], prefix[64];
    int fd;

    *count_out = 0;
    if (!file)
        fail("/proc/net/unix cannot be read: %s; is /proc mounted?", strerror(errno));
    snprintf(prefix, sizeof(prefix), "@pith/%u/", (unsigned)geteuid());
    while (fgets(line, sizeof(line), file)) {
        const char *name = strstr(line, prefix);

        entry = (struct machine_entry){0};
        if (!name || sscanf(name + strlen(prefix), "%lu", &entry.id) != 1)
            continue;
        fd = connect_to(entry.id, &entry.pid);
        if (fd < 0)
            continue;
        close(fd);
        for (size_t i = 0; i < *count_out; i++) { /* who is connected has a line of the same name */
            if (entries[i].id == entry.id)
                entry.id = 0;
        }
        if (!entry.id)
            continue;
        entries = realloc(entries, (*count_out + 1) * sizeof(*entries));
        if (!entries)
            fail("this machine is out of memory");
        entries[(*count_out)++] = entry;
    }
    fclose(file);
    return entries;
}

/* ---- pith ps ---- */

static int compare_ids(const void *a, const void *b)
{
    unsigned long left = ((const struct machine_entry *)a)->id;
    unsigned long right = ((const struct machine_entry *)b)->id;

    return left < right ? -1 : left > right;
}

/* For how many seconds the process runs; 0: nobody knows. */
static unsigned long running_seconds(pid_t pid)
{
    char *path = text("/proc/%d/stat", (int)pid), line[1024];
    FILE *file = fopen(path, "re");
    unsigned long long started = 0;
    const char *at = NULL;
    struct timespec now;

    free(path);
    if (file && fgets(line, sizeof(line), file))
        at = strrchr(line, ')');
    if (file)
        fclose(file);
    for (int field = 2; at && field < START_FIELD; field++)
        at = strchr(at + 1, ' ');
    if (!at || sscanf(at, "%llu", &started) != 1 || clock_gettime(CLOCK_BOOTTIME, &now))
        return 0;
    started /= sysconf(_SC_CLK_TCK);
    return (unsigned long long)now.tv_sec > started ? now.tv_sec - started : 0;
}

/* The words of its command line; what could act on a terminal becomes '?'. */
static void print_command(pid_t pid)
{
    char *path = text("/proc/%d/cmdline", (int)pid), words[4096];
    FILE *file = fopen(path, "re");
    size_t size = file ? fread(words, 1, sizeof(words), file) : 0;

    free(path);
    if (file)
        fclose(file);
    while (size && !words[size - 1])
        size--;
    for (size_t i = 0; i < size; i++)
        putchar(!words[i] ? ' ' : words[i] < ' ' || words[i] > '~' ? '?' : words[i]);
    printf("%s\n", size ? "" : "?");
}

int machines_list(void)
{
    size_t count;
    struct machine_entry *entries = find_all(&count);

    if (count)
        qsort(entries, count, sizeof(*entries), compare_ids);
    printf("%10s %10s  COMMAND\n", "ID", "RUNNING");
    for (size_t i = 0; i < count; i++) {
        unsigned long seconds = running_seconds(entries[i].pid);

        printf("%10lu %4lu:%02lu:%02lu  ", entries[i].id, seconds / 3600, seconds / 60 % 60,
               seconds % 60);
        print_command(entries[i].pid);
    }
    free(entries);
    return 0;
}

/* ---- pith attach ---- */

int machines_connect(const char *id)
{
    unsigned long number;
    char *end;
    int fd;

    if (id) {
        number = strtoul(id, &end, 10);
        fd = *end ? -1 : connect_to(number, NULL);
        if (fd < 0)
            fail("no machine %s of yours runs; pith ps lists those that do", id);
    } else {
        size_t count;
        struct machine_entry *entries = find_all(&count);

        if (count != 1)
            fail(count ? "%zu machines run; say which: pith attach ID (pith ps lists them)"
                       : "no machine of yours runs",
                 count);
        fd = connect_to(entries[0].id, NULL);
        if (fd < 0)
            fail("the machine has just ended");
        free(entries);
    }
    return fd;
}
