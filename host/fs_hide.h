/* The paths of the host that the guest cannot see. */
#pragma once

#include <pith/compiler.h>

struct fs_tree;
struct fs_node;
struct statx;

/* A file that must not be seen under any name. */
struct fs_hidden_file {
    u64 device;
    u64 inode;
};

/* A name that must not be seen, whatever file has it. */
struct fs_hidden_name {
    unsigned share;
    char *path; /* below the share's root, without slashes at its ends; "" is the root itself */
};

/* All files within the hidden directories, found when the first question needs them. */
struct fs_hidden_inside {
    struct fs_hidden_file *files; /* sorted */
    size_t count;
    size_t limit;
    bool is_known;
    bool is_complete; /* false: too many; then whatever could be one of them is hidden */
};

struct fs_hidden_set {
    struct fs_hidden_file *files;
    size_t file_count;
    struct fs_hidden_name *names;
    size_t name_count;
    char **directories; /* paths of those files that are directories, and NULL */
    size_t directory_count;
    struct fs_hidden_inside inside;
};

/*
 * Hides an absolute path of the host, which need not exist. Call it after the shares were added.
 * -EINVAL: not absolute, or a share itself; -ENOMEM.
 */
must_check int fs_hide_path(struct fs_tree *tree, const char *path);
void fs_hide_fini(struct fs_hidden_set *set);

/* Whether the file that statx spoke of is hidden. */
bool fs_file_is_hidden(struct fs_tree *tree, const struct statx *status);
/* Whether this name in this directory is hidden, or leads to a hidden one and must stay. */
bool fs_name_is_hidden(const struct fs_tree *tree, const struct fs_node *parent, const char *name);
bool fs_name_leads_to_hidden(const struct fs_tree *tree, const struct fs_node *parent,
                             const char *name);

/* fs_hide_inside.c: whether a file that may have several names is within a hidden directory. */
bool fs_file_is_inside_hidden(struct fs_tree *tree, const struct statx *status);
void fs_hide_find_inside(struct fs_tree *tree);
