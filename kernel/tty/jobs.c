/*
 * Job control's side of a terminal: which session it controls, which process group is in the
 * foreground, and who is stopped for touching it from the background (POSIX 11.1.3, 11.1.4).
 *
 *     session (id = its leader's pid) ---- controlling terminal ---- foreground group
 *        +-- group: shell                                                 |
 *        +-- group: pipeline 1   <----------------------------------------'
 *        +-- group: pipeline 2   (background: SIGTTIN when it reads)
 *
 * A terminal knows session and group by their numbers; proc/ keeps the other direction, from a
 * session to its terminal, with a reference. The two are changed one after the other, the terminal
 * first, so the number that the terminal bears decides whose it is. Between the two a session that
 * has lost it may still find it: whoever acts for a session (its leader's exit, TIOCNOTTY) compares
 * the number under the lock and leaves alone what is another's. A session that found its terminal
 * stolen after it was told of it gives it back:
 *
 *     A: number = A                       session A: terminal; number is B: session A: none
 *     B:             number = B, session A: none                    session B: terminal
 *
 * Locking: tty.queue.lock for the numbers, process_table_lock (in proc/) for the session; never
 * both. The signals are sent without the terminal's lock.
 */
#include <pith/tty.h>

#include <pith/abi/signal.h>
#include <pith/proc.h>

#include "tty_state.h"

static void group_signal(s32 group, u32 signals)
{
    for (int signal = 1; group > 0 && signal < 32; signal++) {
        if (signals & BIT(signal))
            signal_send_group(group, signal);
    }
}

void tty_signal_foreground(struct tty *tty, u32 signals)
{
    group_signal(READ_ONCE(tty->foreground), signals);
}

int tty_check_foreground(struct tty *tty, int signal)
{
    s32 group = process_group_current();

    if (session_terminal_current() != tty)
        return 0;
    if (READ_ONCE(tty->foreground) == 0 || READ_ONCE(tty->foreground) == group)
        return 0;
    if (signal_is_ignored_or_blocked(signal))
        return signal == SIGTTIN ? -EIO : 0;
    if (process_group_is_orphaned(group))
        return -EIO;
    signal_send_group(group, signal);
    return -ERESTARTSYS;
}

void tty_tell_session(struct tty *tty, s32 session)
{
    bool is_stolen;

    session_set_terminal(tty);
    spin_lock(&tty->queue.lock);
    is_stolen = tty->session != session;
    spin_unlock(&tty->queue.lock);
    if (is_stolen)
        session_clear_terminal(session, tty);
}

/* TIOCSCTTY. Looked at and taken in one, or two sessions could each believe that it is theirs. */
static long controlling_set(struct tty *tty, u64 steal)
{
    bool may_steal =
        steal == 1 && credentials_can(thread_current()->credentials, CAPABILITY_SYS_ADMIN);
    s32 session = session_current_leader(), group = process_group_current(), before;

    if (session_terminal_current() == tty && session)
        return 0;
    if (session == 0 || session_terminal_current())
        return -EPERM;
    spin_lock(&tty->queue.lock);
    before = tty->session == session ? 0 : tty->session;
    if (!before || may_steal) {
        tty->session = session;
        tty->foreground = group;
    }
    spin_unlock(&tty->queue.lock);
    if (before && !may_steal)
        return -EPERM;
    if (before)
        session_clear_terminal(before, tty);
    tty_tell_session(tty, session);
    return 0;
}

/* TIOCNOTTY. A leader that gives up the terminal hangs up its foreground group. */
static long controlling_give_up(struct tty *tty)
{
    s32 session = session_current_leader();

    if (session_terminal_current() != tty)
        return -ENOTTY;
    if (session)
        tty_disassociate(tty, session);
    return 0;
}

void tty_disassociate(struct tty *tty, s32 session)
{
    s32 group = 0;

    spin_lock(&tty->queue.lock);
    if (tty->session == session) {
        group = tty->foreground;
        tty->session = 0;
        tty->foreground = 0;
    }
    spin_unlock(&tty->queue.lock);
    session_clear_terminal(session, tty);
    group_signal(group, BIT(SIGHUP) | BIT(SIGCONT));
}

static long foreground_get(struct tty *tty, u64 argument)
{
    s32 group = READ_ONCE(tty->foreground);

    if (session_terminal_current() != tty)
        return -ENOTTY;
    return copy_out(user_ptr_at(argument), &group, sizeof(group));
}

/*
 * TIOCSPGRP. -ENOTTY: not the caller's terminal; -EPERM, -ESRCH: the group is not of its session.
 */
static long foreground_set(struct tty *tty, u64 argument)
{
    s32 group;
    int error;

    if (session_terminal_current() != tty)
        return -ENOTTY;
    error = tty_check_foreground(tty, SIGTTOU);
    if (!error)
        error = copy_in(&group, user_ptr_at(argument), sizeof(group));
    if (error)
        return error;
    if (group < 0)
        return -EINVAL;
    error = process_group_in_session(group, READ_ONCE(tty->session));
    if (error)
        return error;
    spin_lock(&tty->queue.lock);
    tty->foreground = group;
    spin_unlock(&tty->queue.lock);
    return 0;
}

static long session_id_get(struct tty *tty, u64 argument)
{
    s32 session = READ_ONCE(tty->session);

    if (session_terminal_current() != tty)
        return -ENOTTY;
    return copy_out(user_ptr_at(argument), &session, sizeof(session));
}

long tty_jobs_ioctl(struct tty *tty, u32 command, u64 argument)
{
    switch (command) {
    case TIOCSCTTY:
        return controlling_set(tty, argument);
    case TIOCNOTTY:
        return controlling_give_up(tty);
    case TIOCGPGRP:
        return foreground_get(tty, argument);
    case TIOCSPGRP:
        return foreground_set(tty, argument);
    case TIOCGSID:
        return session_id_get(tty, argument);
    default:
        return -ENOTTY;
    }
}
