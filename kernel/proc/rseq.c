/*
 * Restartable sequences (rseq(2)): user code on per-CPU data that begins anew if it is disturbed.
 *
 * A thread registers a small area of its memory. The kernel keeps the number of the CPU in it, and
 * the thread puts there a pointer to the description of the sequence that it enters:
 *
 *     start_ip ----------------------> start_ip + post_commit_offset        abort_ip
 *        | reads cpu_id, prepares       | the last instruction commits         | signature before
 * it
 *
 * If the thread was preempted, moved to another CPU, or is about to run a signal handler while its
 * instruction pointer lies in between, it goes on at abort_ip. The four bytes before abort_ip must
 * be the registered signature, or an attacker could use the kernel to jump anywhere.
 *
 * A switch cannot touch user memory, so it only sets WORK_RESTART (thread.switch_work), and the way
 * to user mode does the rest. A thread that waits inside a call and comes back on the same CPU was
 * not disturbed: a sequence contains no system call.
 *
 * Invariant: while switch_work is set, user mode was told told_cpu, or WORK_RESTART is set.
 * Context:   the thread itself, on its way to user mode. Sleeps (user memory).
 */
#include "internal.h"

#define AREA_BYTES      32
#define AREA_CPU        0 /* cpu_id_start, then cpu_id: what a 64-bit write changes at once */
#define AREA_CS         8
#define SIGNATURE_BYTES 4

struct sequence {
    u32 version, flags;
    u64 start, post_commit_offset, abort;
};

/* What the thread sees before it is told, and after it unregistered: "uninitialised". */
#define CPU_UNKNOWN (0xfffffffful << 32)

/* The same area again is an error of its own, so that two libraries notice each other (EBUSY). */
int rseq_register(struct user_ptr area, u32 bytes, u32 signature)
{
    struct thread *thread = thread_current();
    struct rseq *rseq = &thread->identity->rseq;

    if (!user_ptr_is_null(rseq->area)) {
        if (rseq->area.address != area.address || bytes != AREA_BYTES)
            return -EINVAL;
        return rseq->signature == signature ? -EBUSY : -EPERM;
    }
    if (area.address % AREA_BYTES || bytes != AREA_BYTES)
        return -EINVAL;
    if (!user_range_is_valid(area.address, bytes))
        return -EFAULT;
    rseq->area = area;
    rseq->signature = signature;
    rseq_enable(thread);
    return 0;
}

/* The area says that no CPU is known before the kernel forgets it: a reader falls back. */
int rseq_unregister(struct user_ptr area, u32 bytes, u32 signature)
{
    struct thread *thread = thread_current();
    struct rseq *rseq = &thread->identity->rseq;
    u64 unknown = CPU_UNKNOWN;

    if (user_ptr_is_null(rseq->area) || rseq->area.address != area.address || bytes != AREA_BYTES)
        return -EINVAL;
    if (rseq->signature != signature)
        return -EPERM;
    if (copy_out(user_ptr_add(area, AREA_CPU), &unknown, sizeof(unknown)))
        return -EFAULT;
    rseq_forget(thread);
    return 0;
}

/* Called for the thread itself or one that does not run yet. */
void rseq_enable(struct thread *thread)
{
    thread->told_cpu = CPU_NONE;
    thread->switch_work = WORK_RESTART;
    __atomic_fetch_or(&thread->pending_work, WORK_RESTART, __ATOMIC_RELAXED);
}

void rseq_forget(struct thread *thread)
{
    thread->switch_work = 0;
    thread->identity->rseq = (struct rseq){};
}

/* ---- Disturbed ---- */

static bool lies_in(const struct sequence *sequence, u64 address)
{
    return address - sequence->start < sequence->post_commit_offset;
}

/* What the program wrote: no part of it is believed before it is checked. */
static int sequence_check(const struct rseq *rseq, const struct sequence *sequence)
{
    u32 signature;

    if (sequence->version || sequence->flags || sequence->start >= USER_END ||
        sequence->abort >= USER_END || sequence->abort < SIGNATURE_BYTES ||
        sequence->start + sequence->post_commit_offset < sequence->start ||
        sequence->start + sequence->post_commit_offset > USER_END ||
        lies_in(sequence, sequence->abort))
        return -EINVAL;
    if (copy_in(&signature, user_ptr_at(sequence->abort - SIGNATURE_BYTES), sizeof(signature)))
        return -EFAULT;
    return signature == rseq->signature ? 0 : -EINVAL;
}

/* Aborts the sequence that the thread is in, if it is in one. */
static int sequence_abort(const struct rseq *rseq, struct trap_frame *frame)
{
    struct user_ptr cs_at = user_ptr_add(rseq->area, AREA_CS);
    struct sequence sequence;
    u64 address, none = 0;
    int error;

    if (copy_in(&address, cs_at, sizeof(address)))
        return -EFAULT;
    if (!address)
        return 0;
    if (copy_in(&sequence, user_ptr_at(address), sizeof(sequence)))
        return -EFAULT;
    error = sequence_check(rseq, &sequence);
    if (error)
        return error;
    if (copy_out(cs_at, &none, sizeof(none)))
        return -EFAULT;
    if (lies_in(&sequence, frame->rip))
        frame->rip = sequence.abort;
    return 0;
}

/* A broken area is the program's end, unless it handles SIGSEGV; it is not looked at again. */
static void rseq_broken(struct thread *thread)
{
    struct signal_info info;

    rseq_forget(thread);
    signal_info_init(&info, SIGSEGV, SI_KERNEL);
    signal_force(&info);
}

/* Before the frame is built: the handler's return must go to abort_ip. */
void rseq_before_handler(struct trap_frame *frame)
{
    struct thread *thread = thread_current();

    if (thread->switch_work && sequence_abort(&thread->identity->rseq, frame))
        rseq_broken(thread);
}

/* Which CPU it is may change until user mode runs; then WORK_RESTART is set again, and this too. */
void rseq_return(struct trap_frame *frame)
{
    struct thread *thread = thread_current();
    struct rseq *rseq = &thread->identity->rseq;
    u64 cpu;

    /* Cleared first: a switch from here on sets it again. */
    __atomic_fetch_and(&thread->pending_work, ~WORK_RESTART, __ATOMIC_RELAXED);
    if (!thread->switch_work)
        return;
    thread->told_cpu = READ_ONCE(thread->cpu);
    cpu = thread->told_cpu;
    if (sequence_abort(rseq, frame) ||
        copy_out(user_ptr_add(rseq->area, AREA_CPU), &(u64){cpu | cpu << 32}, sizeof(cpu)))
        rseq_broken(thread);
}
