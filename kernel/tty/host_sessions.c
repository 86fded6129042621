/*
 * The life of a session's channels (host_protocol.h): from the first file on one of them to the
 * last, and then until the host has confirmed that nothing more is under way.
 *
 *     FREE --open--> OPEN --last release--> CLOSING (CLOSE sent) --CLOSE comes--> FREE
 *
 * Frames that were sent before the host learned of the end still come while CLOSING and are taken
 * under the credit that they were given; only then the channels are as new. So a number that is
 * used again never sees what was meant for the one before. Session 0, the run's own, never closes.
 * init opens the first file, for the host told it of the session; others may then open more.
 *
 * Locking: sessions.lock (LOCK_LEAF) for states and counts; a channel's queue lock for its state.
 */
#include <pith/core.h>
#include <pith/proc.h>
#include <pith/tty.h>

#include "host_port.h"

enum session_state {
    SESSION_FREE,
    SESSION_OPEN,
    SESSION_CLOSING,
};

static struct {
    struct spinlock lock;
    struct {
        enum session_state state;
        u32 files;
    } of[HOST_SESSIONS]; /* guarded_by(&lock) */
} sessions = {.lock = SPINLOCK_INIT(LOCK_LEAF)};

int host_session_open(struct host_channel_state *channel)
{
    u32 session = channel->number / HOST_CHANNELS;
    int error = 0;

    spin_lock(&sessions.lock);
    if (sessions.of[session].state == SESSION_CLOSING) {
        error = -EBUSY;
    } else if (sessions.of[session].state == SESSION_FREE && process_current() != process_init) {
        error = -ENXIO;
    } else {
        sessions.of[session].state = SESSION_OPEN;
        sessions.of[session].files++;
    }
    spin_unlock(&sessions.lock);
    if (!error)
        host_port_use_session(session);
    return error;
}

/* Owed rather than sent: there may be no room now, and who releases does not wait. */
static void close_send(u32 session)
{
    struct host_channel_state *control =
        host_channel_numbered(host_channel_of(session, HOST_CHANNEL_CONTROL));

    spin_lock(&control->queue.lock);
    control->owed_close = true;
    spin_unlock(&control->queue.lock);
    host_port_send_owed();
}

void host_session_release(struct host_channel_state *channel)
{
    u32 session = channel->number / HOST_CHANNELS;
    bool closes;

    spin_lock(&sessions.lock);
    closes = --sessions.of[session].files == 0 && session != 0;
    if (closes)
        sessions.of[session].state = SESSION_CLOSING;
    spin_unlock(&sessions.lock);
    if (closes)
        close_send(session);
}

static void channel_renew(struct host_channel_state *channel)
{
    spin_lock(&channel->queue.lock);
    channel->ring_start = channel->ring_count = 0;
    channel->credit_out = channel->owed_credit = 0;
    channel->credit_in = HOST_CREDIT_INITIAL;
    channel->ended = channel->gone = channel->ready = false;
    channel->poll_sent = channel->owed_poll = channel->owed_withdrawal = false;
    spin_unlock(&channel->queue.lock);
}

void host_session_closed(u32 session)
{
    bool was_closing;

    spin_lock(&sessions.lock);
    was_closing = sessions.of[session].state == SESSION_CLOSING;
    spin_unlock(&sessions.lock);
    /* Nobody can open it meanwhile, and only the parser, which is here, hears of the host. */
    for (u32 i = 0; was_closing && i < HOST_CHANNELS; i++)
        channel_renew(host_channel_numbered(host_channel_of(session, i)));
    spin_lock(&sessions.lock);
    if (was_closing)
        sessions.of[session].state = SESSION_FREE;
    spin_unlock(&sessions.lock);
}
