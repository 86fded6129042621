/* Where the calling thread stands, for fs/ itself. */
#pragma once

#include <pith/fs.h>

/* Without references: only for a walk under RCU that checks namespace_sequence. */
void directories_peek(struct path *root_out, struct path *working_out);
/* chroot(2), chdir(2). Take their own references. */
void directories_set_root(const struct path *to);
void directories_set_working(const struct path *to);
