/* Walking a path: what open and the calls on names use. Theory in names.c. */
#pragma once

#include <pith/file_calls.h>

#include "mount.h"

/* Inside fs/: stop before the last component, and say what it is. */
#define LOOKUP_PARENT BIT(16)
/* A trailing slash does not matter (mkdir). */
#define LOOKUP_FLAGS_PUBLIC 0xffffu

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
    struct path at;   /* with references */
    struct path root; /* with references */
    u32 flags;        /* LOOKUP_* */
    u32 links;        /* symbolic links followed */
    u32 depth;        /* used entries of `rests` */
    const char *text; /* what is still to be walked */
    char *buffer;     /* that `text` lies in, if it is a link's */
    struct name last; /* LOOKUP_PARENT */
    enum last_type last_type;
    bool has_trailing_slash;
    struct walk_rest rests[SYMLINKS_MAX];
};

/* Begins, and walks to the end (LOOKUP_PARENT: to the last component). walk_end is due in any case.
 */
int walk_start(struct walk *walk, const struct path *start, const char *name, u32 flags) must_check;
/* LOOKUP_PARENT: the last component turned out to be the link `link`: walks on along it. */
int walk_follow_last(struct walk *walk, struct dentry *link) must_check;
void walk_end(struct walk *walk);
/* Takes walk->at over from the walk. */
void walk_take(struct walk *walk, struct path *path_out);
/* Goes up one directory, never out of the root. */
int walk_up(struct walk *walk) must_check;

/*
 * names_fast.c: the same without locks, references or sleeping, where everything is cached. 0 or
 * -ENOENT: the answer; -EAGAIN: the slow walk must find out. With LOOKUP_PARENT also *last_out.
 */
int walk_fast(const struct path *start, const char *name, u32 flags, struct path *path_out,
              struct name *last_out) must_check;

/* A directory and the last component of a name in it, for calls that change directories. */
struct parent {
    struct path directory; /* with references */
    struct name last;      /* lies in `name` below or in `walk` */
    enum last_type last_type;
    bool has_trailing_slash;
    char *buffer; /* the copied name */
};
int parent_find(const struct path *start, const char *name, u32 flags, struct parent *parent_out)
    must_check;
void parent_put(struct parent *parent);

void names_init(void);
