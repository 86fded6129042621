/*
 * Hidden paths: files of the host that the guest cannot see under any name.
 *
 * A path is hidden twice, because each way alone has a hole:
 *  - the file that it names now, by device and inode number: so no hard link, bind mount, other
 *    share or rename shows it (a hidden directory has no other way in, as all ways lead through
 * it);
 *  - the name itself, in each share that contains it: so a file that takes the old one's place (an
 *    editor saves, a path that did not exist appears) is hidden too.
 * If the path ends in a symbolic link, the link's name and the file that it leads to are hidden.
 *
 * For a hidden name LOOKUP and READDIR answer as if nothing was there, and nothing can be made,
 * moved or linked there; a directory above it cannot be renamed by the guest.
 */
#include "fs_hide.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "fs_tree.h"

/* Adds room for one more to an array. -ENOMEM. */
static int array_grow(void *array, size_t count, size_t element_bytes)
{
    void **pointer = array, *grown = realloc(*pointer, (count + 1) * element_bytes);

    if (!grown)
        return -ENOMEM;
    *pointer = grown;
    return 0;
}

static int hide_directory(struct fs_hidden_set *set, const char *path)
{
    char *copy = strdup(path);

    if (!copy || array_grow(&set->directories, set->directory_count + 1, sizeof(copy))) {
        free(copy);
        return -ENOMEM;
    }
    set->directories[set->directory_count++] = copy;
    set->directories[set->directory_count] = NULL;
    return 0;
}

static int hide_file(struct fs_hidden_set *set, const char *path)
{
    struct stat status;

    if (stat(path, &status))
        return 0;
    if (array_grow(&set->files, set->file_count, sizeof(*set->files)))
        return -ENOMEM;
    set->files[set->file_count++] =
        (struct fs_hidden_file){.device = status.st_dev, .inode = status.st_ino};
    return S_ISDIR(status.st_mode) ? hide_directory(set, path) : 0;
}

/* If the path is within the share: what follows the share's root in it, else NULL. */
static const char *path_below(const char *path, const char *root)
{
    size_t length = strlen(root);

    if (strcmp(root, "/") == 0)
        return path + 1;
    if (strncmp(path, root, length) || (path[length] != '/' && path[length] != '\0'))
        return NULL;
    return path[length] == '/' ? path + length + 1 : "";
}

static int hide_name(struct fs_tree *tree, const char *path)
{
    struct fs_hidden_set *set = &tree->hidden;

    for (unsigned i = 0; i < tree->share_count; i++) {
        const char *below = path_below(path, tree->shares[i].path);
        char *copy;

        if (!below)
            continue;
        if (*below == '\0')
            return -EINVAL;
        if (array_grow(&set->names, set->name_count, sizeof(*set->names)))
            return -ENOMEM;
        copy = strdup(below);
        if (!copy)
            return -ENOMEM;
        set->names[set->name_count++] = (struct fs_hidden_name){.share = i, .path = copy};
    }
    return 0;
}

/*
 * The path with the symbolic links resolved in its first `length` bytes, as far as those exist.
 * NULL: no memory.
 */
static char *path_resolve(const char *path, size_t length)
{
    char *joined = NULL;

    for (;;) {
        char *begin = strndup(path, length), *resolved;

        if (!begin)
            return NULL;
        resolved = realpath(length > 0 ? begin : "/", NULL);
        free(begin);
        if (resolved) {
            if (asprintf(&joined, "%s%s", strcmp(resolved, "/") ? resolved : "", path + length) < 0)
                joined = NULL;
            free(resolved);
            return joined;
        }
        if (length == 0)
            return NULL;
        while (path[--length] != '/')
            ;
    }
}

int fs_hide_path(struct fs_tree *tree, const char *path)
{
    size_t length = strlen(path), names_before = tree->hidden.name_count;
    char *trimmed, *itself, *target;
    int error = -ENOMEM;

    while (length > 1 && path[length - 1] == '/')
        length--;
    if (path[0] != '/' || length == 1 || length >= PATH_MAX)
        return -EINVAL;
    trimmed = strndup(path, length);
    if (!trimmed)
        return -ENOMEM;
    itself = path_resolve(trimmed, (size_t)(strrchr(trimmed, '/') - trimmed));
    target = path_resolve(trimmed, length);
    if (itself && target) {
        error = hide_file(&tree->hidden, target);
        if (!error)
            error = hide_name(tree, itself);
        if (!error)
            error = hide_name(tree, target);
    }
    /* What lies outside all shares cannot be searched later, when the server is confined. */
    if (!error && tree->hidden.name_count == names_before)
        fs_hide_find_inside(tree);
    free(itself);
    free(target);
    free(trimmed);
    return error;
}

void fs_hide_fini(struct fs_hidden_set *set)
{
    for (size_t i = 0; i < set->name_count; i++)
        free(set->names[i].path);
    for (size_t i = 0; i < set->directory_count; i++)
        free(set->directories[i]);
    free(set->directories);
    free(set->inside.files);
    free(set->names);
    free(set->files);
}

bool fs_file_is_hidden(struct fs_tree *tree, const struct statx *status)
{
    struct fs_hidden_set *set = &tree->hidden;

    for (size_t i = 0; i < set->file_count; i++) {
        if (set->files[i].inode == status->stx_ino &&
            set->files[i].device == makedev(status->stx_dev_major, status->stx_dev_minor))
            return true;
    }
    return fs_file_is_inside_hidden(tree, status);
}

/* Whether `path`, which is `length` long, is the way from the share's root to name in parent. */
static bool path_is(const char *path, size_t length, const struct fs_node *parent, const char *name)
{
    for (;;) {
        size_t name_length = strlen(name);

        if (name_length > length || memcmp(path + length - name_length, name, name_length))
            return false;
        length -= name_length;
        if (parent->is_permanent)
            return length == 0;
        if (length == 0 || path[--length] != '/')
            return false;
        name = parent->name;
        parent = parent->parent;
    }
}

bool fs_name_is_hidden(const struct fs_tree *tree, const struct fs_node *parent, const char *name)
{
    const struct fs_hidden_set *set = &tree->hidden;

    for (size_t i = 0; i < set->name_count; i++) {
        const struct fs_hidden_name *hidden = &set->names[i];

        if (hidden->share == parent->share &&
            path_is(hidden->path, strlen(hidden->path), parent, name))
            return true;
    }
    return false;
}

bool fs_name_leads_to_hidden(const struct fs_tree *tree, const struct fs_node *parent,
                             const char *name)
{
    const struct fs_hidden_set *set = &tree->hidden;

    for (size_t i = 0; i < set->name_count; i++) {
        const struct fs_hidden_name *hidden = &set->names[i];

        if (hidden->share != parent->share)
            continue;
        for (const char *end = hidden->path; *end; end++) {
            if (*end == '/' && path_is(hidden->path, (size_t)(end - hidden->path), parent, name))
                return true;
        }
    }
    return false;
}
