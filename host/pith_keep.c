/*
 * The directory of --keep: files that the program wrote, made again on this machine.
 *
 * The guest names them, and it may be hostile; so it can do nothing but fill the directory:
 *
 *   - A path is taken apart here, and each of its names opened below the directory before, without
 *     following symbolic links: none of "..", links and absolute names leads out.
 *   - Nothing that is there is opened for writing: files are made new (O_EXCL), so the only ones
 *     written are our own.
 *   - Devices and sockets are not made, and no file gets the set-user-id or set-group-id bits.
 *   - Bytes and files are counted, and what is beyond the overlay's own limit is left out.
 *
 * Directories get their modes and times at the end, since they may forbid what comes into them.
 */
#include "pith.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_SECOND   1000000000ll
#define MODE_BITS       01777u /* no set-user-id and set-group-id */
#define COMPLAINTS_MOST 20     /* sentences about files left out */

struct kept_directory {
    char *path;
    struct host_report report;
};

struct keep {
    int fd; /* the directory */
    const char *path;
    int file_fd; /* of the file whose pieces come; -1: they are dropped */
    struct host_report file;
    char *file_path;
    uint64_t bytes_left, files_left;
    struct kept_directory *directories;
    size_t directory_count;
    unsigned complaints;
};

static bool is_empty(int fd)
{
    DIR *directory = fdopendir(dup(fd));
    struct dirent *entry;
    unsigned count = 0;

    while (directory && (entry = readdir(directory)))
        count += strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..");
    if (directory)
        closedir(directory);
    return directory && !count;
}

struct keep *keep_open(const char *path, uint64_t bytes_most, uint64_t files_most)
{
    struct keep *keep = calloc(1, sizeof(*keep));

    if (!keep)
        fail("this machine is out of memory");
    if (mkdir(path, 0777) && errno != EEXIST)
        fail("--keep %s: it cannot be made: %s", path, strerror(errno));
    *keep = (struct keep){.path = path,
                          .fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC),
                          .file_fd = -1,
                          .bytes_left = bytes_most,
                          .files_left = files_most};
    if (keep->fd < 0 || faccessat(keep->fd, ".", W_OK | X_OK, AT_EACCESS))
        fail("--keep %s: %s", path, strerror(errno));
    if (!is_empty(keep->fd))
        fail("--keep %s: there are files in it; give a new or empty directory", path);
    return keep;
}

static void leave_out(struct keep *keep, const char *path, const char *why)
{
    if (keep->complaints++ < COMPLAINTS_MOST)
        say("--keep: %s is left out: %s", path, why);
}

/* ---- Paths ---- */

static bool name_is_valid(const char *name, size_t size)
{
    return size && size <= NAME_MAX && !(size == 1 && name[0] == '.') &&
           !(size == 2 && name[0] == '.' && name[1] == '.');
}

/*
 * Opens the directory that `path` is in, making what is missing of it; *name_out is the last name.
 * -1 and errno.
 */
static int open_around(const struct keep *keep, const char *path, const char **name_out)
{
    int fd = dup(keep->fd);

    if (*path != '/') {
        close(fd);
        errno = EINVAL;
        return -1;
    }
    for (path++; fd >= 0; path += strcspn(path, "/") + 1) {
        size_t size = strcspn(path, "/");
        char name[NAME_MAX + 1];
        int next;

        if (!name_is_valid(path, size)) {
            close(fd);
            errno = EINVAL;
            return -1;
        }
        if (!path[size]) {
            *name_out = path;
            break;
        }
        memcpy(name, path, size);
        name[size] = '\0';
        mkdirat(fd, name, 0777);
        next = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        close(fd);
        fd = next;
    }
    return fd;
}

/* ---- What a file has besides its content ---- */

/*
 * `name` in the directory `fd`; "": `fd` itself. Only root may give files away; for all others they
 * are the caller's own.
 */
static void set_owner(int fd, const char *name, const struct host_report *report)
{
    if (geteuid() == 0 && fchownat(fd, name, report->uid, report->gid,
                                   AT_SYMLINK_NOFOLLOW | (*name ? 0 : AT_EMPTY_PATH)))
        return;
}

/* False: it has none that this machine knows. */
static bool times_of(const struct host_report *report, struct timespec times[2])
{
    times[0] = (struct timespec){.tv_nsec = UTIME_OMIT};
    times[1].tv_sec = report->modified_ns / NS_PER_SECOND;
    times[1].tv_nsec = report->modified_ns % NS_PER_SECOND;
    return times[1].tv_nsec >= 0;
}

/* All of a file that is open. */
static void set_attributes(int fd, const struct host_report *report)
{
    struct timespec times[2];

    set_owner(fd, "", report);
    fchmod(fd, report->mode & MODE_BITS);
    if (times_of(report, times))
        futimens(fd, times);
}

/* Those of name space `user.`; where the file system has none, the file is kept without. */
static void set_xattrs(int fd, const struct host_report *report, const uint8_t *xattrs)
{
    uint32_t sizes[2];

    for (size_t at = 0; at + sizeof(sizes) <= report->xattr_bytes;) {
        char name[XATTR_NAME_MAX + 1];

        memcpy(sizes, xattrs + at, sizeof(sizes));
        at += sizeof(sizes);
        if (sizes[0] > XATTR_NAME_MAX || (uint64_t)sizes[0] + sizes[1] > report->xattr_bytes - at)
            return;
        memcpy(name, xattrs + at, sizes[0]);
        name[sizes[0]] = '\0';
        if (!strncmp(name, "user.", strlen("user.")) &&
            fsetxattr(fd, name, xattrs + at + sizes[0], sizes[1], 0) && errno == ENOTSUP)
            return;
        at += sizes[0] + sizes[1];
    }
}

/* ---- Making files ---- */

static int make_directory(struct keep *keep, int around, const char *name, const char *path,
                          const struct host_report *report, const uint8_t *xattrs)
{
    int fd;

    if (mkdirat(around, name, 0777) && errno != EEXIST)
        return -1;
    fd = openat(around, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -1;
    set_xattrs(fd, report, xattrs);
    close(fd);
    keep->directories =
        realloc(keep->directories, (keep->directory_count + 1) * sizeof(*keep->directories));
    if (!keep->directories)
        fail("this machine is out of memory");
    keep->directories[keep->directory_count++] = (struct kept_directory){text("%s", path), *report};
    return 0;
}

static int make_regular(struct keep *keep, int around, const char *name, const char *path,
                        const struct host_report *report, const uint8_t *xattrs)
{
    keep->file_fd =
        openat(around, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (keep->file_fd < 0)
        return -1;
    keep->file = *report;
    keep->file_path = text("%s", path);
    set_xattrs(keep->file_fd, report, xattrs);
    return 0;
}

static int make_link(struct keep *keep, int around, const char *name, const char *other)
{
    const char *other_name;
    int from = open_around(keep, other, &other_name), result;

    if (from < 0)
        return -1;
    result = linkat(from, other_name, around, name, 0);
    close(from);
    return result;
}

/* -1 and errno. */
static int make(struct keep *keep, int around, const char *name, const struct host_report *report,
                const char *path, const char *other, const uint8_t *xattrs)
{
    struct timespec times[2];
    mode_t mask;
    int result;

    if (report->kind == HOST_REPORT_KEPT_LINK)
        return make_link(keep, around, name, other);
    switch (report->mode & S_IFMT) {
    case S_IFDIR:
        return make_directory(keep, around, name, path, report, xattrs);
    case S_IFREG:
        return make_regular(keep, around, name, path, report, xattrs);
    case S_IFLNK:
        result = symlinkat(other, around, name);
        break;
    case S_IFIFO:
        mask = umask(0);
        result = mkfifoat(around, name, report->mode & MODE_BITS);
        umask(mask);
        break;
    default:
        errno = EPERM;
        return -1;
    }
    if (result)
        return -1;
    set_owner(around, name, report);
    if (times_of(report, times))
        utimensat(around, name, times, AT_SYMLINK_NOFOLLOW);
    return 0;
}

void keep_file(struct keep *keep, const struct host_report *report, const char *path,
               const char *other, const uint8_t *xattrs)
{
    bool is_device = report->kind == HOST_REPORT_KEPT &&
                     (S_ISCHR(report->mode) || S_ISBLK(report->mode) || S_ISSOCK(report->mode));
    const char *name;
    int around;

    keep_piece(keep, 0, NULL, 0); /* the file before, if the guest forgot its end */
    if (!strcmp(path, "/"))
        return; /* the directory is the caller's */
    if (is_device || !keep->files_left) {
        leave_out(keep, path, is_device ? "it is a device or a socket" : "there are too many");
        return;
    }
    keep->files_left--;
    around = open_around(keep, path, &name);
    if (around < 0 || make(keep, around, name, report, path, other, xattrs))
        leave_out(keep, path, strerror(errno));
    if (around >= 0)
        close(around);
}

/* ---- Content ---- */

/* No more pieces are taken. */
static void close_file(struct keep *keep)
{
    close(keep->file_fd);
    free(keep->file_path);
    keep->file_fd = -1;
}

static void drop_file(struct keep *keep, const char *why)
{
    const char *name;
    int around = open_around(keep, keep->file_path, &name);

    leave_out(keep, keep->file_path, why);
    if (around >= 0) {
        unlinkat(around, name, 0);
        close(around);
    }
    close_file(keep);
}

static void finish_file(struct keep *keep)
{
    if (keep->file.size > INT64_MAX || ftruncate(keep->file_fd, (off_t)keep->file.size)) {
        drop_file(keep, "its size is not possible here");
        return;
    }
    set_attributes(keep->file_fd, &keep->file);
    close_file(keep);
}

void keep_piece(struct keep *keep, uint64_t offset, const uint8_t *bytes, size_t size)
{
    const char *why = NULL;

    if (keep->file_fd < 0)
        return;
    if (!size) {
        finish_file(keep);
        return;
    }
    if (size > keep->bytes_left)
        why = "the files are larger than the overlay";
    else if (offset > INT64_MAX - size || offset + size > keep->file.size)
        why = "it grew while it was read";
    else if (pwrite(keep->file_fd, bytes, size, (off_t)offset) != (ssize_t)size)
        why = strerror(errno);
    if (!why) {
        keep->bytes_left -= size;
        return;
    }
    drop_file(keep, why);
}

bool keep_close(struct keep *keep)
{
    keep_piece(keep, 0, NULL, 0);
    /* From the last one back: what is in a directory comes behind it. */
    for (size_t i = keep->directory_count; i-- > 0;) {
        const struct kept_directory *directory = &keep->directories[i];
        const char *name;
        int around = open_around(keep, directory->path, &name), fd;

        if (around < 0)
            continue;
        fd = openat(around, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        close(around);
        if (fd < 0)
            continue;
        set_attributes(fd, &directory->report);
        close(fd);
    }
    if (keep->complaints > COMPLAINTS_MOST)
        say("--keep: %u files are left out", keep->complaints);
    close(keep->fd);
    return !keep->complaints;
}
