/*
 * Walking a path, inside fs/: what open and the calls on names use where path_find (fs.h), which
 * only finds, is not enough. Theory in names.c.
 *
 * Two ways: a struct walk, which can stop before the last component and go on along a link found
 * there (open with O_CREAT), and parent_find, for calls that never follow the last component.
 */
#pragma once

#include <pith/file_calls.h>

#include "mount.h"

/* Beside the public ones: stop before the last component, and say what it is. */
#define LOOKUP_PARENT BIT(16)

/* What the last component is: each call has an error of its own for what is no name. */
enum last_type {
    LAST_NAME,
    LAST_DOT,
    LAST_DOTDOT,
    LAST_ROOT, /* there is none: "/" */
};

struct walk_rest {
    const char *text; /* what is left of a name after a symbolic link */
    char *buffer;     /* the link's text that `text` lies in, to be freed; NULL: the caller's */
};

struct walk {
    struct path at;           /* with references */
    struct path root;         /* with references: the thread's, or the start (BENEATH, IN_ROOT) */
    u32 flags;                /* LOOKUP_* */
    u32 links;                /* symbolic links followed */
    u32 depth;                /* used entries of `rests` */
    u32 sequence;             /* namespace_sequence when it began */
    const char *text;         /* what is still to be walked */
    char *buffer;             /* that `text` lies in, if it is a link's */
    struct name last;         /* LOOKUP_PARENT: lies where `text` does */
    enum last_type last_type; /* LOOKUP_PARENT */
    bool has_trailing_slash;
    struct walk_rest rests[SYMLINKS_MAX];
};

/*
 * Begins, and walks to the end (LOOKUP_PARENT: to the last component). walk_end is due in any case.
 * -ENOENT, -ENOTDIR, -EACCES (a directory may not be searched), -ELOOP, -ENAMETOOLONG, -EXDEV and
 * -EAGAIN (openat2's restrictions), -ENOMEM, -EINTR, and what a file system says.
 */
int walk_start(struct walk *walk, const struct path *start, const char *name, u32 flags) must_check;
/* LOOKUP_PARENT: the last component turned out to be the link `link`: walks on along it. */
int walk_follow_last(struct walk *walk, struct dentry *link) must_check;
void walk_end(struct walk *walk);
/* Where the walk stands, with references of the caller's own. */
void walk_take(struct walk *walk, struct path *path_out);

/*
 * names_fast.c: the same without locks, references or sleeping, where everything is cached. 0 or
 * -ENOENT: the answer; -EAGAIN: the slow walk must find out. With LOOKUP_PARENT also *last_out,
 * which lies in `name`.
 */
int walk_fast(const struct path *start, const char *name, u32 flags, struct path *path_out,
              struct name *last_out) must_check;

/* A directory and the last component of a name in it, for calls that change directories. */
struct parent {
    struct path directory; /* with references */
    struct name last;      /* lies in the caller's name */
    enum last_type last_type;
    bool has_trailing_slash;
};
/* Errors as of walk_start. The directory is one; whether it has the name, nobody has looked yet. */
int parent_find(const struct path *start, const char *name, u32 flags, struct parent *parent_out)
    must_check;
void parent_put(struct parent *parent);

void names_init(void);
