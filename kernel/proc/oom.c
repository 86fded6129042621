/*
 * The out-of-memory choice: ends a process so that others can go on.
 *
 * An allocation that finds nothing comes here (mem/reclaim.c), with whatever sleeping locks its
 * thread holds; the process that is ended may be waiting for one of them and then cannot end. So
 * nobody waits for its end: whoever chose it takes its memory away at once, from outside
 * (address_space_reap), and what it touches from then on faults for good. That needs the lock of
 * the victim's address space, which is only tried for: its holder may be the caller itself, or a
 * thread that waits for memory in the victim, which hears of its own death, fails and lets go.
 *
 *     no victim ------> choose by score, SIGKILL to all that share the space ---> victim
 *         ^                                                                         |
 *         '--- its memory is gone, or TRIES_MAX pauses passed: it is passed over <--'
 *
 * One victim at a time: who comes while another chooses, or while a victim cannot be reaped yet,
 * pauses and tries its allocation again. Process 1 and who shares its memory are never chosen.
 *
 * Locking: `oom.busy` makes one thread the chooser; it is tried for, never waited for. Spaces are
 *          kept by `holders`, for giving up a reference might release files under our caller's
 *          locks.
 * Context: a thread that may sleep, with any sleeping locks held.
 */
#include <pith/oom_policy.h>

#include "internal.h"

#define PAUSE_NS  (10 * NS_PER_MS)
#define TRIES_MAX 100

static struct {
    bool busy;                   /* [atomic] */
    struct address_space *space; /* [busy] of the victim, held; NULL: there is none */
    unsigned tries;              /* [busy] pauses that it had */
} oom;

static const struct oom_policy *const policy = &oom_policy_badness;

static bool is_ending(const struct thread *thread)
{
    return READ_ONCE(thread->pending_work) & WORK_KILLED;
}

/* ---- Scores ---- */

static void candidate_fill(struct oom_candidate *candidate, const struct process *process,
                           const struct address_space *space)
{
    *candidate = (struct oom_candidate){
        .resident_pages = address_space_resident_pages(space),
        .table_pages = READ_ONCE(space->tables),
        .adjustment = READ_ONCE(process->oom_adjustment),
    };
}

/*
 * Kernel threads have no memory to give; who shares memory with process 1 would end the machine; a
 * victim is not chosen twice.
 */
static s64 score_locked(struct process *process) must_hold(&process_table_lock)
{
    struct address_space *space = process_space_locked(process);
    struct oom_candidate candidate;

    if (!space || process->is_kernel || space == process_space_locked(process_init) ||
        address_space_is_doomed(space))
        return OOM_NEVER;
    candidate_fill(&candidate, process, space);
    return policy->score(&candidate, frames_total_count());
}

static s64 process_score(struct process *process)
{
    s64 score;

    spin_lock(&process_table_lock);
    score = score_locked(process);
    spin_unlock(&process_table_lock);
    return score;
}

/* Linux's scale, so that tools that sort by it agree. */
u64 process_oom_score(struct process *process)
{
    s64 score = process_score(process), total = frames_total_count();

    /* From 0 to 1333: with nothing used and nothing adjusted it is two thirds of 1000. */
    return score == OOM_NEVER ? 0
                              : (OOM_ADJUSTMENT_MAX + score * OOM_ADJUSTMENT_MAX / total) * 2 / 3;
}

/* ---- The victim ---- */

/* The worst process, with a reference; NULL: nobody may be ended. Of equals the youngest. */
static struct process *worst_find(s64 *score_out)
{
    struct process *process, *worst = NULL;

    for (process = process_next(0); process; process = process_next_put(process)) {
        s64 score = process_score(process);

        if (score == OOM_NEVER || (worst && score < *score_out))
            continue;
        if (worst)
            process_put(worst);
        process_get(process);
        worst = process;
        *score_out = score;
    }
    return worst;
}

static u64 kills; /* [atomic] */

u64 process_oom_kills(void)
{
    return READ_ONCE(kills);
}

/* The line that administrators search for, with all that the choice was made by. */
static void victim_log(struct process *process, const struct oom_candidate *candidate, s64 score)
{
    char name[THREAD_NAME_BYTES], asking[THREAD_NAME_BYTES] = "the kernel";

    __atomic_fetch_add(&kills, 1, __ATOMIC_RELAXED);
    process_name(process, name);
    if (!process_current()->is_kernel)
        process_name(process_current(), asking);
    log_warning("out of memory, asked for by %d (%s): killed process %d (%s), the worst with score "
                "%ld: %lu kB resident, %lu kB page tables, oom_score_adj %d",
                process_current()->pid, asking, process->pid, name, score,
                candidate->resident_pages * (PAGE_SIZE / 1024),
                candidate->table_pages * (PAGE_SIZE / 1024), candidate->adjustment);
}

/* Ends all processes that run in the space; it is the victim's. */
static void sharers_kill(const struct address_space *space)
{
    struct signal_info info;
    struct process *process;

    signal_info_init(&info, SIGKILL, SI_KERNEL);
    for (process = process_next(0); process; process = process_next_put(process)) {
        bool shares;

        spin_lock(&process_table_lock);
        shares = process_space_locked(process) == space;
        spin_unlock(&process_table_lock);
        if (shares)
            (void)signal_send_process(process, &info);
    }
}

/* False: there is nobody to end. */
static bool victim_choose(void)
{
    s64 score = 0;
    struct process *process = worst_find(&score);
    struct oom_candidate candidate;
    struct address_space *space;

    if (!process)
        return false;
    spin_lock(&process_table_lock);
    space = process_space_locked(process);
    if (space) {
        candidate_fill(&candidate, process, space);
        address_space_doom(space);
    }
    spin_unlock(&process_table_lock);
    if (space) { /* else it ended by itself */
        victim_log(process, &candidate, score);
        sharers_kill(space);
        oom.space = space;
        oom.tries = 0;
    }
    process_put(process);
    return true;
}

/* Takes its memory if that can be done now. */
static void victim_reap(void)
{
    if (!address_space_reap(oom.space) && ++oom.tries < TRIES_MAX)
        return;
    address_space_release(oom.space);
    oom.space = NULL;
}

/*
 * A thread that is to end fails at once: its end is what frees memory. Of all others one chooses,
 * and the rest pause and try again.
 */
static bool oom_end_somebody(void)
{
    bool somebody = true, waits = true;

    if (is_ending(thread_current()))
        return false;
    if (!__atomic_exchange_n(&oom.busy, true, __ATOMIC_ACQUIRE)) {
        if (!oom.space)
            somebody = victim_choose();
        if (oom.space)
            victim_reap();
        waits = oom.space;
        __atomic_store_n(&oom.busy, false, __ATOMIC_RELEASE); /* pairs with the exchange */
    }
    /* A signal ends the pause, and then the allocation; nothing else depends on its length. */
    if (somebody && waits)
        (void)thread_sleep_until(clock_monotonic_ns() + PAUSE_NS, WAIT_KILLABLE);
    return somebody && !is_ending(thread_current());
}

/* ---- What the user says ---- */

int process_oom_adjust(struct process *process, s32 adjustment)
{
    bool may_lower = credentials_can(thread_current()->credentials, CAPABILITY_SYS_RESOURCE);

    if (adjustment < OOM_ADJUSTMENT_MIN || adjustment > OOM_ADJUSTMENT_MAX)
        return -EINVAL;
    spin_lock(&process->signals_lock);
    if (adjustment < process->oom_adjustment_min && !may_lower) {
        spin_unlock(&process->signals_lock);
        return -EACCES;
    }
    WRITE_ONCE(process->oom_adjustment, adjustment);
    if (may_lower)
        process->oom_adjustment_min = adjustment;
    spin_unlock(&process->signals_lock);
    return 0;
}

void oom_init(void)
{
    memory_choice_register(oom_end_somebody);
}
