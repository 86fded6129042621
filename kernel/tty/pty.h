/* Between the pseudo-terminals (pty.c) and their file system (devpts.c). */
#pragma once

#include <pith/tty.h>

/* The terminal of a number with a reference; NULL: there is none. */
struct tty *pty_get(u32 number);
/* Its N of /dev/pts/N. */
u32 pty_number(const struct tty *tty);
/* Who opened its master. False: there is none. */
bool pty_owner(u32 number, u32 *uid_out, u32 *gid_out);
/* The lowest number in use from `from` on; -1: none. */
int pty_next(u32 from);
/* TIOCGPTPEER: a descriptor of the slave, opened with the flags. */
long pty_open_peer(struct file *master, u64 flags);

extern const struct file_operations pty_slave_operations;

void devpts_init(void);
void pty_init(void);
