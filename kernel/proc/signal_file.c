/*
 * Signals that say that a file is ready: to the process, thread or group that fcntl(2) named for
 * it.
 *
 * Nobody runs whose rights could be asked, so those of who named the receiver count, as they were
 * then. A queued signal tells descriptor and events; where no more fit, and where no other was
 * asked for, it is SIGIO.
 *
 * Context: deferred work; process_table_lock keeps the receivers.
 */
#include "internal.h"

#include <pith/poll.h>

/* si_code of SIGIO and its like (sigaction(2)). */
#define CODE_IN  1
#define CODE_OUT 2
#define CODE_MSG 3
#define CODE_ERR 4
#define CODE_PRI 5
#define CODE_HUP 6

/* The first that applies: one signal tells one thing. */
static int code_of(u32 band)
{
    if (band & POLL_MESSAGE)
        return CODE_MSG;
    if (band & POLL_IN)
        return CODE_IN;
    if (band & POLL_OUT)
        return CODE_OUT;
    if (band & POLL_PRI)
        return CODE_PRI;
    return band & POLL_HUP ? CODE_HUP : CODE_ERR;
}

static void info_make(const struct signal_target *target, u32 band, struct signal_info *info_out)
{
    struct abi_siginfo_poll poll = {.band = band, .fd = target->fd};

    if (!target->signal) {
        signal_info_init(info_out, SIGIO, SI_KERNEL);
        return;
    }
    signal_info_init(info_out, target->signal, code_of(band));
    memcpy(info_out->payload, &poll, sizeof(poll));
}

/* `identity`: one of the receiver's threads, or the thread that is meant. */
static void tell(const struct signal_target *target, struct thread_identity *identity,
                 const struct signal_info *info)
{
    struct thread *thread = identity->thread;
    struct signal_info plain;
    int error;

    /* As kill(2) of who named it, where root stands for CAP_KILL. */
    if (target->euid != 0 && !signal_ids_permit(target->uid, target->euid, thread->credentials))
        return;
    error = target->type == F_OWNER_TID ? signal_send_thread(thread, info)
                                        : signal_send_process(thread->process, info);
    if (error != -EAGAIN)
        return;
    signal_info_init(&plain, SIGIO, SI_KERNEL);
    (void)signal_send_process(thread->process, &plain);
}

static void tell_process(const struct signal_target *target, struct process *process,
                         const struct signal_info *info)
{
    if (!list_is_empty(&process->threads))
        tell(target, list_first_entry(&process->threads, struct thread_identity, link), info);
}

/* Nothing here fails for the sender: what cannot be told is lost, as on Linux. */
void signal_send_target(const struct signal_target *target, u32 band)
{
    struct thread_identity *identity;
    struct process_group *group;
    struct process *process;
    struct signal_info info;

    info_make(target, band, &info);
    spin_lock(&process_table_lock);
    if (target->type == F_OWNER_PGRP) {
        group = group_find_locked(target->id);
        if (group)
            list_for_each (process, &group->members, group_link)
                tell_process(target, process, &info);
    } else if (target->type == F_OWNER_TID) {
        identity = identity_find_locked(target->id);
        if (identity)
            tell(target, identity, &info);
    } else {
        process = process_find_locked(target->id);
        if (process)
            tell_process(target, process, &info);
    }
    spin_unlock(&process_table_lock);
}

bool signal_target_exists(u32 type, s32 id)
{
    bool exists;

    spin_lock(&process_table_lock);
    if (type == F_OWNER_PGRP)
        exists = group_find_locked(id);
    else
        exists = process_find_by_tid_locked(id);
    spin_unlock(&process_table_lock);
    return exists;
}
