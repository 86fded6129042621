/*
 * Processes: identity, family, groups and sessions, signals, and what the folders above (terminals,
 * sockets, system calls) ask of them.
 */
#pragma once

#include <pith/abi/signal.h>
#include <pith/sched.h>

struct tty;

/* ---- Signals that the kernel sends (si_code SI_KERNEL). Any context but under LOCK_SIGNALS. ----
 */

void signal_send_current(int signal);
/* To each process of the group. -ESRCH: there is none. */
int signal_send_group(s32 group, int signal);
void signal_send_session_leader(s32 session, int signal);
/* Whether the calling thread blocks the signal or its process ignores it. */
bool signal_is_ignored_or_blocked(int signal);

/* ---- Groups and sessions; ids are pids ---- */

s32 process_group_current(void);
/* No member has a parent in another group of the session: nobody there could continue it. */
bool process_group_is_orphaned(s32 group);
/* 0; -ESRCH: no such group; -EPERM: it is in another session. */
int process_group_in_session(s32 group, s32 session) must_check;
/* The session's id if the calling process leads it, else 0. */
s32 session_current_leader(void);

/* ---- Controlling terminals: a session holds a reference to its terminal ---- */

struct session_terminal_operations {
    void (*get)(struct tty *tty);
    void (*put)(struct tty *tty);
    /* The session's leader ends: hangs up the foreground group. No lock is held. */
    void (*leader_exited)(struct tty *tty);
};
void session_terminal_register(const struct session_terminal_operations *operations);
/* The session's id if the calling process leads it and it has no terminal, else 0. */
s32 session_without_terminal(void);
/* The terminal of the calling process's session: borrowed, only to compare; NULL: none. */
struct tty *session_terminal_current(void);
/* The same with a reference. */
struct tty *session_terminal_get(void);
/* Gives the calling process's session a terminal that it does not have yet (takes a reference). */
void session_set_terminal(struct tty *tty);
/* Takes a session's terminal away (puts its reference). */
void session_clear_terminal(s32 session);
