/*
 * What lies within hidden directories and can be reached without going through them.
 *
 * Two kinds of files can: those with several hard links, and those that are mounted a second time
 * elsewhere (a bind mount). Only for such a file the question is asked, and the first question
 * lists the hidden directories, once: a run that hides nothing, or only single files, pays nothing.
 * If they hold more than INSIDE_MAX files, every file that could be one of them is hidden.
 *
 * A link that the host's user makes after that listing is not known.
 */
#include "fs_hide.h"

#include <errno.h>
#include <fts.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "fs_tree.h"

#define INSIDE_MAX   (1u << 20) /* files: 16 MiB of ours */
#define INSIDE_FIRST 256

static int file_compare(const void *left, const void *right)
{
    const struct fs_hidden_file *a = left, *b = right;

    if (a->inode != b->inode)
        return a->inode < b->inode ? -1 : 1;
    return (a->device > b->device) - (a->device < b->device);
}

static int inside_add(struct fs_hidden_inside *inside, const struct stat *status)
{
    if (inside->count == inside->limit) {
        size_t limit = inside->limit ? inside->limit * 2 : INSIDE_FIRST;
        struct fs_hidden_file *grown;

        if (limit > INSIDE_MAX)
            return -ENOSPC;
        grown = realloc(inside->files, limit * sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        inside->files = grown;
        inside->limit = limit;
    }
    inside->files[inside->count++] =
        (struct fs_hidden_file){.device = status->st_dev, .inode = status->st_ino};
    return 0;
}

/* Whether a directory is a share: then it is meant to be seen, also within a hidden one. */
static bool is_share(const struct fs_tree *tree, const FTSENT *entry)
{
    for (unsigned i = 0; i < tree->share_count; i++) {
        const struct fs_node *root = tree->shares[i].node;

        if (root->inode == entry->fts_statp->st_ino &&
            tree->mounts[root->mount].device == entry->fts_statp->st_dev)
            return true;
    }
    return false;
}

/* Lists the hidden directories (again). What cannot be read there cannot be shown elsewhere. */
void fs_hide_find_inside(struct fs_tree *tree)
{
    struct fs_hidden_set *set = &tree->hidden;
    struct fs_hidden_inside *inside = &set->inside;
    FTSENT *entry;
    FTS *walk;

    inside->is_known = true;
    inside->is_complete = true;
    inside->count = 0;
    if (set->directory_count == 0)
        return;
    walk = fts_open(set->directories, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    if (!walk) {
        inside->is_complete = false;
        return;
    }
    while (inside->is_complete && (entry = fts_read(walk))) {
        if (entry->fts_info == FTS_D && is_share(tree, entry))
            fts_set(walk, entry, FTS_SKIP);
        else if (entry->fts_info != FTS_DP && entry->fts_info != FTS_NS)
            inside->is_complete = inside_add(inside, entry->fts_statp) == 0;
    }
    fts_close(walk);
    qsort(inside->files, inside->count, sizeof(*inside->files), file_compare);
}

bool fs_file_is_inside_hidden(struct fs_tree *tree, const struct statx *status)
{
    struct fs_hidden_set *set = &tree->hidden;
    bool is_linked = status->stx_nlink > 1 && !S_ISDIR(status->stx_mode);
    bool is_mounted = status->stx_attributes & STATX_ATTR_MOUNT_ROOT;
    struct fs_hidden_file file = {
        .device = makedev(status->stx_dev_major, status->stx_dev_minor),
        .inode = status->stx_ino,
    };

    if (set->directory_count == 0 || (!is_linked && !is_mounted))
        return false;
    if (!set->inside.is_known)
        fs_hide_find_inside(tree);
    return !set->inside.is_complete ||
           bsearch(&file, set->inside.files, set->inside.count, sizeof(file), file_compare);
}
