/*
 * What the program changed in its root: from the kernel's records about the overlay
 * (overlay_changes.h) to a list by path.
 *
 * A record names a file by number and a place by the number of a directory, since what was moved
 * has no path of its own. The path of a file is made from its end:
 *
 *     it has a NAME            that name, then the path of the directory of the NAME
 *     it has none              it is where the lower has it: the last name of its path there, then
 *                              the path of the directory around, which may itself have moved
 *
 * A file of the lower whose name there is hidden, and which has no NAME, has no path any more.
 */
#include "init.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <pith/overlay_changes.h>

#define READ_BYTES 65536

struct name;

/* A file of which there is a record, or a new one. */
struct file {
    uint64_t number;
    uint32_t flags;          /* OVERLAY_* */
    const char *lower;       /* its path in the lower; NULL: it is new */
    const struct name *name; /* one of its names; NULL: the lower's */
    const char *path;        /* of `name`, when the list has it */
};

struct name {
    uint64_t directory, file; /* file 0: a whiteout */
    uint32_t flags;
    const char *text;
};

static struct file *files, **by_lower; /* `files` are by number */
static size_t file_count, lower_count;
static struct name *names; /* by directory and text */
static size_t name_count;
static struct change *changes;
static size_t change_count;

/* Room for one more at the end of an array that doubles. */
static void *grow(void *array, size_t count, size_t size)
{
    if (count & (count - 1))
        return array;
    array = realloc(array, (count ? 2 * count : 1) * size);
    if (!array)
        fail("there is no memory for the list of changes", NULL, ENOMEM);
    return array;
}

static char *join(const char *directory, const char *text, size_t size)
{
    size_t before = strlen(directory);
    char *path = malloc(before + size + 2);

    if (!path)
        fail("there is no memory for the list of changes", NULL, ENOMEM);
    memcpy(path, directory, before);
    path[before] = '/';
    memcpy(path + before + 1, text, size);
    path[before + 1 + size] = '\0';
    return path;
}

/* ---- The records ---- */

static void add_file(uint64_t number, uint32_t flags, const char *lower)
{
    files = grow(files, file_count, sizeof(*files));
    files[file_count++] = (struct file){.number = number, .flags = flags, .lower = lower};
}

static void take_record(const struct overlay_record *record, const char *bytes)
{
    char *text = join("", bytes, record->text_bytes) + 1;

    if (record->kind == OVERLAY_RECORD_FILE) {
        add_file(record->file, record->flags, text);
        return;
    }
    names = grow(names, name_count, sizeof(*names));
    names[name_count++] = (struct name){record->directory, record->file, record->flags, text};
    if (record->flags & OVERLAY_IS_OWN)
        add_file(record->file, record->flags, NULL);
}

static void take_records(const char *bytes, size_t size)
{
    for (size_t at = 0; at < size;) {
        struct overlay_record record;

        memcpy(&record, bytes + at, sizeof(record));
        at += sizeof(record);
        take_record(&record, bytes + at);
        at += (record.text_bytes + 7ul) & ~7ul;
    }
}

static void read_records(void)
{
    int root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int fd = root < 0 ? -1 : ioctl(root, OVERLAY_IOCTL_CHANGES, 0);
    char *bytes = malloc(READ_BYTES);
    ssize_t count;

    if (fd < 0 || !bytes)
        fail("the list of changes cannot be read", NULL, errno);
    while ((count = read(fd, bytes, READ_BYTES)) > 0)
        take_records(bytes, count);
    if (count < 0)
        fail("the list of changes cannot be read", NULL, errno);
    free(bytes);
    close(fd);
    close(root);
}

/* ---- Finding ---- */

static int compare_numbers(const void *a, const void *b)
{
    uint64_t left = ((const struct file *)a)->number, right = ((const struct file *)b)->number;

    return left < right ? -1 : left > right;
}

static int compare_lower(const void *a, const void *b)
{
    return strcmp((*(struct file *const *)a)->lower, (*(struct file *const *)b)->lower);
}

static int compare_names(const void *a, const void *b)
{
    const struct name *left = a, *right = b;

    if (left->directory != right->directory)
        return left->directory < right->directory ? -1 : 1;
    return strcmp(left->text, right->text);
}

/* The end of a path comes before '/', and that before all else. */
static int rank(char character)
{
    return character == '/' ? 1 : character ? (unsigned char)character + 1 : 0;
}

/* By path, with what is in a directory right behind it: "/a", "/a/b", "/a-b". */
static int compare_changes(const void *a, const void *b)
{
    const char *left = ((const struct change *)a)->path, *right = ((const struct change *)b)->path;

    while (*left && *left == *right) {
        left++;
        right++;
    }
    return rank(*left) - rank(*right);
}

static struct file *find_number(uint64_t number)
{
    const struct file wanted = {.number = number};

    return bsearch(&wanted, files, file_count, sizeof(*files), compare_numbers);
}

static struct file *find_lower(const char *lower)
{
    const struct file wanted = {.lower = lower}, *key = &wanted;
    struct file **found = bsearch(&key, by_lower, lower_count, sizeof(*by_lower), compare_lower);

    return found ? *found : NULL;
}

static bool has_name(uint64_t directory, const char *text)
{
    const struct name wanted = {.directory = directory, .text = text};

    return name_count && bsearch(&wanted, names, name_count, sizeof(*names), compare_names);
}

/* A new file with two names was added twice. */
static void sort_records(void)
{
    size_t kept = 0;

    qsort(files, file_count, sizeof(*files), compare_numbers);
    for (size_t i = 0; i < file_count; i++) {
        if (!kept || files[kept - 1].number != files[i].number)
            files[kept++] = files[i];
    }
    file_count = kept;
    by_lower = calloc(file_count, sizeof(*by_lower));
    if (!by_lower)
        fail("there is no memory for the list of changes", NULL, ENOMEM);
    for (size_t i = 0; i < file_count; i++) {
        if (files[i].lower)
            by_lower[lower_count++] = &files[i];
    }
    qsort(by_lower, lower_count, sizeof(*by_lower), compare_lower);
    if (name_count)
        qsort(names, name_count, sizeof(*names), compare_names);
    for (size_t i = 0; i < name_count; i++) {
        struct file *file = names[i].file ? find_number(names[i].file) : NULL;

        if (file && !file->name)
            file->name = &names[i];
    }
}

/* ---- Paths ---- */

static char *path_of_lower(const char *lower);

/* A new string; "" for the root; NULL: no path leads there. */
static char *path_of(const struct file *file)
{
    const struct file *directory;
    char *before, *path;

    if (!file->name)
        return file->lower ? path_of_lower(file->lower) : NULL;
    directory = find_number(file->name->directory);
    before = directory ? path_of(directory) : NULL;
    if (!before)
        return NULL;
    path = join(before, file->name->text, strlen(file->name->text));
    free(before);
    return path;
}

/* Where the lower's file of that path is, if nobody gave it another name. */
static char *path_of_lower(const char *lower)
{
    const char *slash = strrchr(lower, '/');
    const struct file *directory;
    char *around, *before, *path;

    if (!slash)
        return strdup("");
    around = strndup(lower, slash - lower);
    directory = around ? find_lower(around) : NULL;
    if (directory && has_name(directory->number, slash + 1))
        before = NULL;
    else
        before = directory ? path_of(directory) : path_of_lower(around);
    free(around);
    if (!before)
        return NULL;
    path = join(before, slash + 1, strlen(slash + 1));
    free(before);
    return path;
}

/* ---- Changes ---- */

static void add_change(const char *path, enum host_report_kind kind, uint32_t flags,
                       const char *other)
{
    changes = grow(changes, change_count, sizeof(*changes));
    changes[change_count++] = (struct change){path, kind, flags, other};
}

static uint32_t report_flags(uint32_t flags)
{
    return (flags & OVERLAY_CHANGED_DATA ? HOST_REPORT_CHANGED_DATA : 0) |
           (flags & OVERLAY_CHANGED_MODE ? HOST_REPORT_CHANGED_MODE : 0) |
           (flags & OVERLAY_CHANGED_OWNER ? HOST_REPORT_CHANGED_OWNER : 0) |
           (flags & OVERLAY_CHANGED_XATTR ? HOST_REPORT_CHANGED_XATTR : 0);
}

/* Whether the lower's name is still there: not hidden, and not somebody else's. */
static bool lower_name_is_there(const char *lower)
{
    char *path = path_of_lower(lower);

    free(path);
    return path != NULL;
}

static void add_new_file(int lower_fd, const char *path, const char *lower)
{
    struct stat before, now;

    if (!lower || fstatat(lower_fd, lower + 1, &before, AT_SYMLINK_NOFOLLOW))
        add_change(path, HOST_REPORT_CREATED, 0, NULL);
    else if (S_ISREG(before.st_mode) && !lstat(path, &now) && S_ISREG(now.st_mode))
        add_change(path, HOST_REPORT_CHANGED, HOST_REPORT_CHANGED_DATA, NULL);
    else
        add_change(path, HOST_REPORT_REPLACED, 0, NULL);
}

/* A file of the lower that has a name here. */
static void add_moved_file(const struct file *file, const char *path, const char *lower)
{
    uint32_t flags = report_flags(file->flags);

    /* Back where it was: in its directory, or where that was before it moved. */
    if (!strcmp(path, file->lower) || (lower && !strcmp(lower, file->lower))) {
        if (flags)
            add_change(path, HOST_REPORT_CHANGED, flags, NULL);
        return;
    }
    add_change(path, lower_name_is_there(file->lower) ? HOST_REPORT_LINKED : HOST_REPORT_RENAMED,
               flags, file->lower);
}

static void add_name(int lower_fd, const struct name *name)
{
    const struct file *directory = find_number(name->directory), *moved;
    struct file *file = name->file ? find_number(name->file) : NULL;
    char *around = directory ? path_of(directory) : NULL, *path, *lower = NULL;

    if (!around)
        return;
    path = join(around, name->text, strlen(name->text));
    free(around);
    if (directory->lower)
        lower = join(directory->lower, name->text, strlen(name->text));
    if (!name->file) {
        moved = lower ? find_lower(lower) : NULL;
        if (!moved || !moved->name)
            add_change(path, HOST_REPORT_DELETED, 0, NULL);
    } else if (file && file->path) {
        add_change(path, HOST_REPORT_LINKED, 0, file->path);
    } else if (file) {
        file->path = path;
        if (file->lower)
            add_moved_file(file, path, lower);
        else
            add_new_file(lower_fd, path, lower);
    }
}

/* A place where init mounted something is no change of the program's. */
static void leave_mounts_out(void)
{
    struct stat root, status;
    size_t kept = 0;

    if (lstat("/", &root))
        return;
    for (size_t i = 0; i < change_count; i++) {
        bool is_there = changes[i].kind != HOST_REPORT_DELETED && !lstat(changes[i].path, &status);

        if (!is_there || status.st_dev == root.st_dev)
            changes[kept++] = changes[i];
    }
    change_count = kept;
}

void changes_find(int lower_fd, struct change **changes_out, size_t *count_out)
{
    read_records();
    sort_records();
    for (size_t i = 0; i < name_count; i++)
        add_name(lower_fd, &names[i]);
    for (size_t i = 0; i < file_count; i++) {
        uint32_t flags = report_flags(files[i].flags);
        char *path = files[i].name || !flags ? NULL : path_of(&files[i]);

        if (path)
            add_change(*path ? path : "/", HOST_REPORT_CHANGED, flags, NULL);
    }
    leave_mounts_out();
    if (change_count)
        qsort(changes, change_count, sizeof(*changes), compare_changes);
    *changes_out = changes;
    *count_out = change_count;
}
