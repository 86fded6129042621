/*
 * Signal actions: what a process does at each signal.
 *
 *     process A --.                              CLONE_SIGHAND without CLONE_THREAD:
 *                  >--> signal_actions, 2 users  sigaction(2) in one is seen by the other
 *     process B --'
 *
 * They lie in a table of their own because of that. Everything else about signals is a process's
 * own and stays under its own signals_lock; the table's lock, inside it, only keeps an action whole
 * while it is copied or replaced. Just the handler may be read without it: it is one word.
 *
 * fork copies the table; exec keeps what is ignored and makes all else the default, in a copy if
 * another process uses the table too. An action that makes a signal ignored also drops what is
 * pending of it (POSIX, sigaction), in the caller's process.
 *
 * Locking: process.signals_lock, then signal_actions.lock.
 * Context: any but for creating and copying, which may sleep.
 */
#include "internal.h"

/* What sigaction(2) keeps of sa_flags. */
#define ACTION_FLAGS                                                                    \
    (SA_NOCLDSTOP | SA_NOCLDWAIT | SA_SIGINFO | SA_RESTORER | SA_ONSTACK | SA_RESTART | \
     SA_NODEFER | SA_RESETHAND | SA_EXPOSE_TAGBITS)

struct signal_actions {
    struct refcount references;
    struct spinlock lock;                  /* LOCK_SIGNAL_ACTIONS */
    struct signal_action actions[SIGNALS]; /* guarded_by(&lock) */
};

static struct slab_cache *actions_cache;

void signal_actions_init(void)
{
    actions_cache = slab_cache_create("signal_actions", sizeof(struct signal_actions), 64);
    assert(actions_cache);
}

struct signal_actions *signal_actions_create(void)
{
    struct signal_actions *actions = slab_alloc(actions_cache, ALLOC_CLEARED);

    if (!actions)
        return NULL;
    refcount_set(&actions->references, 1);
    spin_init(&actions->lock, LOCK_SIGNAL_ACTIONS);
    return actions;
}

struct signal_actions *signal_actions_copy(struct signal_actions *from)
{
    struct signal_actions *copy = signal_actions_create();

    if (!copy)
        return NULL;
    spin_lock(&from->lock);
    memcpy(copy->actions, from->actions, sizeof(copy->actions));
    spin_unlock(&from->lock);
    return copy;
}

void signal_actions_get(struct signal_actions *actions)
{
    refcount_inc(&actions->references);
}

void signal_actions_put(struct signal_actions *actions)
{
    if (actions && refcount_dec_is_zero(&actions->references))
        slab_free(actions_cache, actions);
}

bool signal_actions_are_shared(const struct signal_actions *actions)
{
    return refcount_read(&actions->references) > 1;
}

/* exec: an ignored signal stays ignored (nohup), all else is the default, with no flags. */
void signal_actions_reset(struct signal_actions *actions)
{
    spin_lock(&actions->lock);
    for (int i = 0; i < SIGNALS; i++) {
        bool ignored = actions->actions[i].handler == SIG_IGN;

        actions->actions[i] = (struct signal_action){.handler = ignored ? SIG_IGN : SIG_DFL};
    }
    spin_unlock(&actions->lock);
}

struct signal_action signal_action_of(const struct process *process, int signal)
{
    struct signal_actions *actions = process->actions;
    struct signal_action action;

    spin_lock(&actions->lock);
    action = actions->actions[signal - 1];
    spin_unlock(&actions->lock);
    return action;
}

u64 signal_handler_of(const struct process *process, int signal)
{
    return READ_ONCE(process->actions->actions[signal - 1].handler);
}

void signal_handler_reset(struct process *process, int signal)
{
    struct signal_actions *actions = process->actions;

    spin_lock(&actions->lock);
    actions->actions[signal - 1].handler = SIG_DFL;
    spin_unlock(&actions->lock);
}

static void action_exchange(struct signal_action *action, const struct abi_sigaction *changed,
                            struct abi_sigaction *before_out)
{
    *before_out =
        (struct abi_sigaction){action->handler, action->flags, action->restorer, action->mask};
    if (!changed)
        return;
    *action = (struct signal_action){
        .handler = changed->handler,
        .restorer = changed->restorer,
        .mask = changed->mask & ~SIGNALS_UNBLOCKABLE,
        .flags = changed->flags & ACTION_FLAGS,
    };
}

static void actions_exchange(struct signal_actions *actions, int signal,
                             const struct abi_sigaction *changed, struct abi_sigaction *before_out)
{
    spin_lock(&actions->lock);
    action_exchange(&actions->actions[signal - 1], changed, before_out);
    spin_unlock(&actions->lock);
}

/*
 * Only what begins to be ignored needs the queues, and so the process's lock; other changes are
 * seen by whoever asks next.
 */
void signal_action_exchange(int signal, const struct abi_sigaction *changed,
                            struct abi_sigaction *before_out)
{
    struct process *process = process_current();
    bool ignores = changed && (changed->handler == SIG_IGN ||
                               (changed->handler == SIG_DFL && signal_default_is_ignore(signal)));

    if (!ignores) {
        actions_exchange(process->actions, signal, changed, before_out);
        return;
    }
    /* What is ignored from now on is not pending any more (POSIX, sigaction). */
    spin_lock(&process->signals_lock);
    actions_exchange(process->actions, signal, changed, before_out);
    pending_flush_all(process, signal_bit(signal));
    spin_unlock(&process->signals_lock);
}
