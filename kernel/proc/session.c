/*
 * Sessions' controlling terminals: which terminal a session has, and its end with the leader.
 *
 *     session ---- terminal, a reference ----> tty
 *             <--- session id, foreground group --- (tty/: ids, not pointers)
 *
 * proc/ stands below tty/, so a terminal is an opaque pointer here, and tty/ gave the functions
 * that count its references. Ids lead back: a session or group that is gone is just not found.
 *
 * When a leader ends, the terminal gets a reference in the step in which the process becomes a
 * zombie, and is hung up after that, with the lock free: a hangup takes the terminal's locks, sends
 * signals, and takes it away from the session.
 *
 * Locking: process_table_lock guards session.terminal; tty/'s TERMINAL_STATE lock stands inside it.
 */
#include "internal.h"

static const struct session_terminal_operations *terminals; /* [const] after boot */

void session_terminal_register(const struct session_terminal_operations *operations)
{
    terminals = operations;
}

/* The session that the calling process leads, or NULL. */
static struct session *led_session(void) must_hold(&process_table_lock)
{
    struct session *session = process_session(process_current());

    return session && session->leader == process_current() ? session : NULL;
}

s32 session_current_leader(void)
{
    struct session *session;
    s32 id;

    spin_lock(&process_table_lock);
    session = led_session();
    id = session ? session->id : 0;
    spin_unlock(&process_table_lock);
    return id;
}

s32 session_without_terminal(void)
{
    struct session *session;
    s32 id;

    spin_lock(&process_table_lock);
    session = led_session();
    id = session && !session->terminal ? session->id : 0;
    spin_unlock(&process_table_lock);
    return id;
}

void session_terminal_describe(struct process *process, u64 *device_out, s32 *foreground_out)
{
    struct session *session;

    *device_out = 0;
    *foreground_out = -1;
    spin_lock(&process_table_lock);
    session = process_session(process);
    if (session && session->terminal)
        terminals->describe(session->terminal, device_out, foreground_out);
    spin_unlock(&process_table_lock);
}

/* Only to be compared: the terminal may go as soon as the lock is free. */
struct tty *session_terminal_current(void)
{
    struct session *session;
    struct tty *tty;

    spin_lock(&process_table_lock);
    session = process_session(process_current());
    tty = session ? session->terminal : NULL;
    spin_unlock(&process_table_lock);
    return tty;
}

struct tty *session_terminal_get(void)
{
    struct session *session;
    struct tty *tty;

    spin_lock(&process_table_lock);
    session = process_session(process_current());
    tty = session ? session->terminal : NULL;
    if (tty)
        terminals->get(tty);
    spin_unlock(&process_table_lock);
    return tty;
}

/*
 * One that has a terminal keeps it. The reference is taken under the lock, so that a hangup finds
 * it.
 */
void session_set_terminal(struct tty *tty)
{
    struct session *session;

    spin_lock(&process_table_lock);
    session = process_session(process_current());
    if (session && !session->terminal) {
        terminals->get(tty);
        session->terminal = tty;
    }
    spin_unlock(&process_table_lock);
}

/*
 * By id: the caller, a terminal that is being hung up, knows no more, and the session may be gone;
 * or it has lost this terminal already and has another one, which it keeps.
 */
void session_clear_terminal(s32 id, struct tty *tty)
{
    struct session *session;
    bool had_it;

    spin_lock(&process_table_lock);
    session = session_find_locked(id);
    had_it = session && session->terminal == tty;
    if (had_it)
        session->terminal = NULL;
    spin_unlock(&process_table_lock);
    if (had_it)
        terminals->put(tty);
}

/* The terminal stays the session's until the hangup takes it away (session_clear_terminal). */
struct tty *session_leader_ended_locked(struct process *leader)
{
    struct session *session = process_session(leader);

    if (!session || session->leader != leader)
        return NULL;
    session->leader = NULL;
    if (session->terminal)
        terminals->get(session->terminal);
    return session->terminal;
}

void session_terminal_hang_up(struct tty *tty, s32 session)
{
    if (!tty)
        return;
    terminals->leader_exited(tty, session);
    terminals->put(tty);
}

/* The last group of a session went. */
void session_release(struct session *session)
{
    spin_lock(&process_table_lock);
    session->number->session = NULL;
    number_free_unused(session->number);
    spin_unlock(&process_table_lock);
    if (session->terminal)
        terminals->put(session->terminal);
    kfree(session);
}
