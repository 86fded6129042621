/*
 * The first file system of the guest: a cpio archive ("newc") in memory, with /init, /pith/bin and
 * the files that --initramfs-file names.
 *
 * File times are 0 and inode numbers count up, so the same input gives the same bytes.
 */
#include "pith.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEADER_BYTES 110
#define ALIGNMENT    4
#define PROGRAM_MODE (S_IFREG | 0755)
#define FOLDER_MODE  (S_IFDIR | 0755)

static void pad(struct buffer *archive)
{
    buffer_append_zeros(archive, -archive->size & (ALIGNMENT - 1));
}

/* A header and the name. `path` has no leading '/'. */
static void append_header(struct buffer *archive, const char *path, unsigned mode, size_t size)
{
    static unsigned inode;
    char header[HEADER_BYTES + 1];

    snprintf(header, sizeof(header), "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
             ++inode, mode, 0, 0, S_ISDIR(mode) ? 2 : 1, 0, (unsigned)size, 0, 0, 0, 0,
             (unsigned)strlen(path) + 1, 0);
    buffer_append(archive, header, HEADER_BYTES);
    buffer_append(archive, path, strlen(path) + 1);
    pad(archive);
}

static void append_file(struct buffer *archive, const char *host_path, const char *path,
                        unsigned mode)
{
    int fd = open(host_path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    void *bytes;

    if (fd < 0 || fstat(fd, &status) || !S_ISREG(status.st_mode))
        fail("%s cannot be given to the guest: %s", host_path,
             fd < 0 ? strerror(errno) : "it is not a file");
    append_header(archive, path, mode, status.st_size);
    if (status.st_size > 0) {
        bytes = mmap(NULL, status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (bytes == MAP_FAILED)
            fail("%s cannot be read: %s", host_path, strerror(errno));
        buffer_append(archive, bytes, status.st_size);
        munmap(bytes, status.st_size);
        pad(archive);
    }
    close(fd);
}

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* All of the directory's files, by name; it may be missing. */
static void append_programs(struct buffer *archive, const char *directory)
{
    struct dirent **entries;
    int count = scandir(directory, &entries, is_visible, alphasort);

    for (int i = 0; i < count; i++) {
        char *from = text("%s/%s", directory, entries[i]->d_name);
        char *to = text("pith/bin/%s", entries[i]->d_name);

        append_file(archive, from, to, PROGRAM_MODE);
        free(from);
        free(to);
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
}

/* The directories above `path`; one that comes twice does no harm. */
static void append_parents(struct buffer *archive, const char *path)
{
    for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
        char *parent = text("%.*s", (int)(slash - path), path);

        append_header(archive, parent, FOLDER_MODE, 0);
        free(parent);
    }
}

/* HOST:/GUEST. */
static void append_asked(struct buffer *archive, const char *pair)
{
    const char *colon = strrchr(pair, ':');
    char *from = text("%.*s", (int)(colon - pair), pair);
    const char *to = colon + 1 + strspn(colon + 1, "/");

    append_parents(archive, to);
    append_file(archive, from, to, PROGRAM_MODE);
    free(from);
}

int initramfs_create(const struct library *library, const struct strings *files)
{
    static const char *const folders[] = {"dev", "proc", "sys", "tmp", "host", "pith", "pith/bin"};
    struct buffer archive = {0};
    size_t written = 0;
    int fd;

    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
        append_header(&archive, folders[i], FOLDER_MODE, 0);
    append_file(&archive, library->init, "init", PROGRAM_MODE);
    append_programs(&archive, library->programs);
    for (size_t i = 0; i < files->count; i++)
        append_asked(&archive, files->list[i]);
    append_header(&archive, "TRAILER!!!", 0, 0);

    fd = memfd_create("pith-initramfs", MFD_CLOEXEC);
    while (fd >= 0 && written < archive.size) {
        ssize_t part = write(fd, archive.data + written, archive.size - written);

        if (part <= 0)
            break;
        written += part;
    }
    if (fd < 0 || written < archive.size)
        fail("the guest's first file system could not be made: %s", strerror(errno));
    buffer_free(&archive);
    return fd;
}
