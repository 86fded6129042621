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

static int hide_file(struct fs_hidden_set *set, const char *path)
{
    struct fs_hidden_file *grown;
    struct stat status;

    if (stat(path, &status))
        return 0;
    grown = realloc(set->files, (set->file_count + 1) * sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    set->files = grown;
    grown[set->file_count++] =
        (struct fs_hidden_file){.device = status.st_dev, .inode = status.st_ino};
    return 0;
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
        struct fs_hidden_name *grown;
        char *copy;

        if (!below)
            continue;
        grown = realloc(set->names, (set->name_count + 1) * sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        set->names = grown;
        copy = strdup(below);
        if (!copy)
            return -ENOMEM;
        grown[set->name_count++] = (struct fs_hidden_name){.share = i, .path = copy};
    }
    return 0;
}

/* Takes symbolic links out of a path, as far as it exists. */
static char *path_resolve(const char *path, int depth)
{
    char *copy = strdup(path), *resolved, *slash, *joined = NULL;

    if (!copy)
        return NULL;
    resolved = realpath(copy, NULL);
    slash = strrchr(copy, '/');
    if (resolved || slash == copy || !slash || depth == 0) {
        free(resolved ? copy : NULL);
        return resolved ? resolved : copy;
    }
    *slash = '\0';
    resolved = path_resolve(copy, depth - 1);
    if (resolved &&
        asprintf(&joined, "%s/%s", strcmp(resolved, "/") ? resolved : "", slash + 1) < 0)
        joined = NULL;
    free(resolved);
    free(copy);
    return joined;
}

/* The path with only its last name as it is: a symbolic link there is a name of its own. */
static char *path_resolve_parent(const char *path)
{
    char *copy = strdup(path), *slash = copy ? strrchr(copy, '/') : NULL, *parent, *joined = NULL;

    if (!copy)
        return NULL;
    *slash = '\0';
    parent = path_resolve(*copy ? copy : "/", FS_DEPTH_MAX);
    if (parent && asprintf(&joined, "%s/%s", strcmp(parent, "/") ? parent : "", slash + 1) < 0)
        joined = NULL;
    free(parent);
    free(copy);
    return joined;
}

int fs_hide_path(struct fs_tree *tree, const char *path)
{
    char *names[2] = {NULL, NULL};
    size_t length = strlen(path);
    int error = -ENOMEM;
    char *trimmed;

    if (path[0] != '/' || length >= PATH_MAX)
        return -EINVAL;
    while (length > 1 && path[length - 1] == '/')
        length--;
    trimmed = strndup(path, length);
    if (!trimmed)
        return -ENOMEM;
    names[0] = path_resolve_parent(trimmed);
    names[1] = path_resolve(trimmed, FS_DEPTH_MAX);
    if (names[0] && names[1])
        error = hide_file(&tree->hidden, trimmed);
    for (size_t i = 0; i < ARRAY_SIZE(names) && !error; i++)
        error = hide_name(tree, names[i]);
    free(names[0]);
    free(names[1]);
    free(trimmed);
    return error;
}

void fs_hide_fini(struct fs_hidden_set *set)
{
    for (size_t i = 0; i < set->name_count; i++)
        free(set->names[i].path);
    free(set->names);
    free(set->files);
}

bool fs_file_is_hidden(const struct fs_tree *tree, const struct statx *status)
{
    const struct fs_hidden_set *set = &tree->hidden;

    for (size_t i = 0; i < set->file_count; i++) {
        if (set->files[i].inode == status->stx_ino &&
            set->files[i].device == makedev(status->stx_dev_major, status->stx_dev_minor))
            return true;
    }
    return false;
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
