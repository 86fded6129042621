/*
 * What init tells the host when the program has ended (host_protocol.h, struct host_report): what
 * changed, the changed files themselves, and what the program asked for that is not there.
 *
 * A directory that was renamed is kept with all that is in it, since under its new name all of it
 * is new to the host. Whatever cannot be read is said in a sentence and left out.
 */
#include "init.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define PIECE_BYTES   65536
#define XATTRS_BYTES  65536 /* of names; XATTR_LIST_MAX */
#define NS_PER_SECOND 1000000000ll

/* Open before the program runs, which may then change names and mounts as it likes. */
static int report_fd = -1, root_fd = -1;
static FILE *missing_file;

/* The first path of each file with several names. */
struct link {
    uint64_t number;
    const char *path;
};
static struct link *links;
static size_t link_count;

/* ---- Bytes ---- */

static void put(const void *bytes, size_t size)
{
    const char *at = bytes;

    while (size) {
        ssize_t count = write(report_fd, at, size);

        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return; /* nobody listens */
        at += count;
        size -= count;
    }
}

static void put_report(struct host_report *report, const char *name, const char *other)
{
    report->name_bytes = strlen(name);
    report->other_bytes = other ? strlen(other) : 0;
    put(report, sizeof(*report));
    put(name, report->name_bytes);
    put(other, report->other_bytes);
}

/* ---- Files ---- */

/* The extended attributes in the form of the protocol; returns their bytes. */
static size_t read_xattrs(const char *path, uint8_t *to)
{
    static char names[XATTRS_BYTES], value[XATTRS_BYTES];
    ssize_t bytes = llistxattr(path, names, sizeof(names));
    size_t used = 0;

    for (char *name = names; name < names + bytes; name += strlen(name) + 1) {
        ssize_t size = lgetxattr(path, name, value, sizeof(value));
        uint32_t sizes[2] = {strlen(name), size};

        if (size < 0 || used + sizeof(sizes) + sizes[0] + size > HOST_REPORT_XATTRS_MOST)
            continue;
        memcpy(to + used, sizes, sizeof(sizes));
        memcpy(to + used + sizeof(sizes), name, sizes[0]);
        memcpy(to + used + sizeof(sizes) + sizes[0], value, size);
        used += sizeof(sizes) + sizes[0] + size;
    }
    return used;
}

static void put_piece(uint64_t offset, const void *bytes, uint32_t size)
{
    struct host_report_piece piece = {.offset = offset, .bytes = size};

    put(&piece, sizeof(piece));
    put(bytes, size);
}

static bool is_zero(const char *bytes, size_t size)
{
    return !size || (!bytes[0] && !memcmp(bytes, bytes + 1, size - 1));
}

static void put_content(const char *path, uint64_t size)
{
    static char bytes[PIECE_BYTES];
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    uint64_t at = 0;
    ssize_t count;

    while (fd >= 0 && at < size) {
        off_t data = lseek(fd, at, SEEK_DATA);

        if (data < 0 && errno == ENXIO)
            at = size; /* a hole up to the end */
        if (data < 0)
            break;
        count = read(fd, bytes, sizeof(bytes));
        if (count <= 0)
            break;
        if (!is_zero(bytes, count))
            put_piece(data, bytes, count);
        at = data + count;
    }
    if (at < size)
        complain("cannot be kept whole", path, errno);
    if (fd >= 0)
        close(fd);
    put_piece(size, NULL, 0);
}

/* The path under which a file with several names was kept before; NULL: it was not. */
static const char *kept_path(const struct stat *status, const char *path)
{
    if (S_ISDIR(status->st_mode) || status->st_nlink < 2)
        return NULL;
    for (size_t i = 0; i < link_count; i++) {
        if (links[i].number == status->st_ino)
            return links[i].path;
    }
    links = realloc(links, (link_count + 1) * sizeof(*links));
    if (!links)
        fail("there is no memory for the list of links", NULL, ENOMEM);
    links[link_count++] = (struct link){status->st_ino, strdup(path)};
    return NULL;
}

/* True: it is a directory, of the program's root. */
static bool keep_one(const char *path, dev_t device)
{
    static uint8_t xattrs[HOST_REPORT_XATTRS_MOST];
    char target[HOST_REPORT_PATH_MOST] = "";
    struct host_report report = {.kind = HOST_REPORT_KEPT};
    struct stat status;
    const char *first;

    if (lstat(path, &status) || status.st_dev != device)
        return false;
    first = kept_path(&status, path);
    if (first) {
        report.kind = HOST_REPORT_KEPT_LINK;
        put_report(&report, path, first);
        return false;
    }
    if (S_ISLNK(status.st_mode) && readlink(path, target, sizeof(target) - 1) < 0)
        return false;
    report.mode = status.st_mode;
    report.uid = status.st_uid;
    report.gid = status.st_gid;
    report.size = S_ISREG(status.st_mode) ? status.st_size : 0;
    report.modified_ns = status.st_mtim.tv_sec * NS_PER_SECOND + status.st_mtim.tv_nsec;
    report.xattr_bytes = read_xattrs(path, xattrs);
    put_report(&report, path, target);
    put(xattrs, report.xattr_bytes);
    if (S_ISREG(status.st_mode))
        put_content(path, report.size);
    return S_ISDIR(status.st_mode);
}

/* Keeps what is in the directory; its directories wait on a list, so depth costs no stack. */
static void keep_tree(const char *path, dev_t device)
{
    struct waiting {
        struct waiting *next;
        char path[];
    } *waiting = NULL, *last;
    const char *at = path;
    struct dirent *entry;
    char *child;

    for (;;) {
        DIR *directory = opendir(at);

        while (directory && (entry = readdir(directory))) {
            if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..") ||
                asprintf(&child, "%s/%s", at, entry->d_name) < 0)
                continue;
            if (keep_one(child, device)) {
                last = waiting;
                waiting = malloc(sizeof(*waiting) + strlen(child) + 1);
                if (!waiting)
                    fail("there is no memory to keep", child, ENOMEM);
                waiting->next = last;
                strcpy(waiting->path, child);
            }
            free(child);
        }
        if (directory)
            closedir(directory);
        else
            complain("cannot be kept", at, errno);
        if (at != path)
            free((char *)at - offsetof(struct waiting, path));
        if (!waiting)
            return;
        at = waiting->path;
        waiting = waiting->next;
    }
}

static bool is_below(const char *path, const char *directory)
{
    size_t size = directory ? strlen(directory) : 0;

    return size && !strncmp(path, directory, size) && path[size] == '/';
}

/* ---- What was asked for ---- */

static void report_changes(uint32_t wanted, int lower_fd)
{
    const char *tree = NULL; /* kept whole */
    struct change *changes;
    struct stat root;
    size_t count;

    changes_find(lower_fd, &changes, &count);
    if (lstat("/", &root))
        fail("the root cannot be examined", NULL, errno);
    for (size_t i = 0; i < count; i++) {
        struct host_report report = {.kind = changes[i].kind, .flags = changes[i].flags};

        if (wanted & HOST_REPORT_LIST)
            put_report(&report, changes[i].path, changes[i].other);
        if (!(wanted & HOST_REPORT_CONTENTS) || changes[i].kind == HOST_REPORT_DELETED ||
            is_below(changes[i].path, tree))
            continue;
        if (keep_one(changes[i].path, root.st_dev) && changes[i].kind == HOST_REPORT_RENAMED) {
            tree = changes[i].path;
            keep_tree(tree, root.st_dev);
        }
    }
}

/* Lines of COUNT, PROGRAM and CALL, with tabs between them. */
static void report_missing(void)
{
    char line[512], program[64], call[400];
    unsigned long count;

    while (fgets(line, sizeof(line), missing_file)) {
        struct host_report report = {.kind = HOST_REPORT_MISSING};

        if (sscanf(line, "%lu\t%63[^\t]\t%399[^\n]", &count, program, call) != 3)
            continue;
        report.size = count;
        put_report(&report, call, program);
    }
}

void report_prepare(void)
{
    report_fd = open_above_streams("/dev/host/report", O_WRONLY);
    root_fd = open_above_streams("/", O_PATH | O_DIRECTORY);
    missing_file = fopen("/proc/pith/missing", "re");
    if (report_fd < 0 || root_fd < 0 || !missing_file)
        fail("the report cannot be prepared", NULL, errno);
}

void report_send(const struct description *description, int lower_fd)
{
    struct host_report end = {.kind = HOST_REPORT_END};

    signal(SIGPIPE, SIG_IGN);
    if (fchdir(root_fd) || chroot(".")) /* pivot_root moves init, too */
        fail("the program's root cannot be entered", NULL, errno);
    if (description->report & HOST_REPORT_LACKS)
        report_missing();
    if (lower_fd >= 0 && description->report & (HOST_REPORT_LIST | HOST_REPORT_CONTENTS))
        report_changes(description->report, lower_fd);
    put_report(&end, "end", NULL);
    close(report_fd);
}
