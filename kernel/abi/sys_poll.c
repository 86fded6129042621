/*
 * poll(2), select(2) and their kin with a signal mask.
 *
 * One loop waits (fs/poll.c): select's sets become an array of pollfds and its answers sets again,
 * with Linux's meaning of each set (POLLHUP reads, POLLERR reads and writes).
 *
 * After a signal handler each returns EINTR (signal(7)); when there was only a stop, poll goes on
 * to the same moment and the others are made again with the time that is left, which they write
 * where the program gave it.
 *
 * Limits: poll takes RLIMIT_NOFILE descriptors; select 1024 or, where the table has room for more,
 * as many as that: what lies beyond in the sets is not looked at, for none can be open there.
 * Errors: -EINVAL of the limit or the mask before anything is waited for; -EBADF only select: poll
 * answers POLLNVAL.
 * Context: sleeps; the arrays are copies, so another thread that writes there changes nothing.
 */
#include <pith/abi.h>

#include <pith/fs.h>
#include <pith/poll.h>
#include <pith/proc.h>

#include "syscalls.h"
#include "timeout.h"
#include "wait_mask.h"

/*
 * A wait's result stays what it is even if what is left of the limit could not be written
 * (`left_error`); only the call cannot be made again with it then, so EINTR is just that.
 */
static long limited_result(long result, int left_error)
{
    return result == -EINTR && !left_error ? -ERESTARTNOHAND : result;
}

/* ---- poll ---- */

/* poll(2) with the descriptors in user memory; they come and go by one copy each. */
static long poll_user(struct user_ptr user_fds, u32 count, u64 deadline)
{
    struct pollfd *fds;
    int result;

    if (count > limit_soft(RLIMIT_NOFILE))
        return -EINVAL;
    fds = kmalloc(MAX(count, 1u) * sizeof(*fds), 0);
    if (!fds)
        return -ENOMEM;
    if (copy_in(fds, user_fds, count * sizeof(*fds))) {
        kfree(fds);
        return -EFAULT;
    }
    result = poll_files(fds, count, deadline);
    if (result >= 0 && copy_out(user_fds, fds, count * sizeof(*fds)))
        result = -EFAULT;
    kfree(fds);
    return result;
}

static long poll_go_on(struct restart *restart);

/* To a moment, so that one that was only stopped goes on to the same: its limit has no place in
 * memory where what is left could be written. */
static long poll_until(struct user_ptr user_fds, u32 count, u64 deadline)
{
    struct restart *restart = &thread_current()->restart;
    long result = poll_user(user_fds, count, deadline);

    if (result != -EINTR)
        return result;
    restart->function = poll_go_on;
    restart->values[0] = user_fds.address;
    restart->values[1] = count;
    restart->values[2] = deadline;
    return -ERESTART_RESTARTBLOCK;
}

static long poll_go_on(struct restart *restart)
{
    return poll_until(user_ptr_at(restart->values[0]), (u32)restart->values[1], restart->values[2]);
}

long sys_poll(const struct syscall_args *args)
{
    return poll_until(arg_user_ptr(args, 0), arg_u32(args, 1), deadline_from_ms(arg_int(args, 2)));
}

long sys_ppoll(const struct syscall_args *args)
{
    struct user_ptr limit = arg_user_ptr(args, 2), mask = arg_user_ptr(args, 3);
    u64 deadline;
    long result;
    int error = deadline_from_timespec(limit, &deadline);

    if (!error)
        error = wait_mask_begin(mask, arg_u64(args, 4));
    if (error)
        return error;
    result = poll_user(arg_user_ptr(args, 0), arg_u32(args, 1), deadline);
    wait_mask_end(mask, result);
    return limited_result(result, deadline_left_to_timespec(limit, deadline));
}

/* ---- select ---- */

enum {
    SET_READ,
    SET_WRITE,
    SET_EXCEPT,
    SETS
};

/* What each set asks for, and what counts as its answer (as Linux's select does). */
static const struct {
    u32 wanted, answers;
} set_events[SETS] = {
    [SET_READ] = {POLL_RDNORM | POLL_IN, POLL_RDNORM | POLL_RDBAND | POLL_IN | POLL_HUP | POLL_ERR},
    [SET_WRITE] = {POLL_WRNORM | POLL_OUT, POLL_WRBAND | POLL_WRNORM | POLL_OUT | POLL_ERR},
    [SET_EXCEPT] = {POLL_PRI, POLL_PRI},
};

#define WORD_BITS 64u

struct select_sets {
    u64 *words[SETS]; /* each in `storage` */
    struct user_ptr user[SETS];
    u32 count; /* of descriptors */
    u32 bytes; /* of each set */
    u64 storage[];
};

/* Empty ones. NULL: no memory. */
static struct select_sets *sets_alloc(u32 count)
{
    u32 words = DIV_ROUND_UP(count, WORD_BITS);
    struct select_sets *sets = kmalloc(sizeof(*sets) + SETS * words * sizeof(u64), ALLOC_CLEARED);

    if (!sets)
        return NULL;
    sets->count = count;
    sets->bytes = words * sizeof(u64);
    for (unsigned set = 0; set < SETS; set++)
        sets->words[set] = sets->storage + set * words;
    return sets;
}

static int sets_copy_in(struct select_sets *sets, const struct syscall_args *args)
{
    for (unsigned set = 0; set < SETS; set++) {
        sets->user[set] = arg_user_ptr(args, 1 + set);
        if (!user_ptr_is_null(sets->user[set]) &&
            copy_in(sets->words[set], sets->user[set], sets->bytes))
            return -EFAULT;
    }
    return 0;
}

static int sets_copy_out(const struct select_sets *sets)
{
    for (unsigned set = 0; set < SETS; set++) {
        if (!user_ptr_is_null(sets->user[set]) &&
            copy_out(sets->user[set], sets->words[set], sets->bytes))
            return -EFAULT;
    }
    return 0;
}

/* The descriptors of a word that are in any set. */
static u64 asked_in(const struct select_sets *sets, u32 word)
{
    u64 asked =
        sets->words[SET_READ][word] | sets->words[SET_WRITE][word] | sets->words[SET_EXCEPT][word];
    u32 left = sets->count - word * WORD_BITS;

    return left < WORD_BITS ? asked & (BIT(left) - 1) : asked;
}

/* As many descriptors as there may be in the sets, or more: whole words. */
static u32 pollfds_most(const struct select_sets *sets)
{
    u32 most = 0;

    for (u32 word = 0; word < sets->bytes / sizeof(u64); word++)
        most += asked_in(sets, word) ? WORD_BITS : 0;
    return most;
}

/* The descriptors that are in any set, with what is asked of each. Returns how many. */
static u32 sets_to_pollfds(const struct select_sets *sets, struct pollfd *fds)
{
    u32 used = 0;

    for (u32 word = 0; word < sets->bytes / sizeof(u64); word++) {
        u64 asked = asked_in(sets, word);

        for (; asked; asked &= asked - 1) {
            u32 bit = __builtin_ctzll(asked), fd = word * WORD_BITS + bit, events = 0;

            for (unsigned set = 0; set < SETS; set++)
                events |= (sets->words[set][word] >> bit & 1) ? set_events[set].wanted : 0;
            fds[used++] = (struct pollfd){.fd = fd, .events = events};
        }
    }
    return used;
}

/* Puts the answers into cleared sets. Returns how many bits; -EBADF. */
static long pollfds_to_sets(const struct pollfd *fds, u32 count, struct select_sets *sets)
{
    long bits = 0;

    for (u32 i = 0; i < count; i++) {
        u32 fd = fds[i].fd;

        if (fds[i].revents & POLL_NVAL)
            return -EBADF;
        for (unsigned set = 0; set < SETS; set++) {
            bool asked = sets->words[set][fd / WORD_BITS] & BIT(fd % WORD_BITS);

            sets->words[set][fd / WORD_BITS] &= ~BIT(fd % WORD_BITS);
            if (asked && (fds[i].revents & set_events[set].answers)) {
                sets->words[set][fd / WORD_BITS] |= BIT(fd % WORD_BITS);
                bits++;
            }
        }
    }
    return bits;
}

/* Waits, and makes the sets those of what is ready. Returns how many bits are in them. */
static long sets_wait(struct select_sets *sets, u64 deadline)
{
    struct pollfd *fds = kmalloc(MAX(pollfds_most(sets), 1u) * sizeof(*fds), 0);
    long result;
    u32 used;

    if (!fds)
        return -ENOMEM;
    used = sets_to_pollfds(sets, fds);
    result = poll_files(fds, used, deadline);
    if (result >= 0)
        result = pollfds_to_sets(fds, used, sets);
    kfree(fds);
    return result;
}

/* The sets are copied out only if the wait ended well: on an error they stay as they were. */
static long select_with(struct select_sets *sets, const struct syscall_args *args, u64 deadline)
{
    long result = sets_copy_in(sets, args);

    if (!result)
        result = sets_wait(sets, deadline);
    if (result >= 0 && sets_copy_out(sets))
        result = -EFAULT;
    return result;
}

static long select_user(const struct syscall_args *args, u64 deadline)
{
    u32 most = MAX(file_table_capacity(thread_current()->files), (u32)FD_SETSIZE);
    int count = arg_int(args, 0);
    struct select_sets *sets;
    long result;

    if (count < 0)
        return -EINVAL;
    sets = sets_alloc(MIN((u32)count, most));
    if (!sets)
        return -ENOMEM;
    result = select_with(sets, args, deadline);
    kfree(sets);
    return result;
}

long sys_select(const struct syscall_args *args)
{
    struct user_ptr limit = arg_user_ptr(args, 4);
    u64 deadline;
    long result;
    int error = deadline_from_timeval(limit, &deadline);

    if (error)
        return error;
    result = select_user(args, deadline);
    return limited_result(result, deadline_left_to_timeval(limit, deadline));
}

long sys_pselect6(const struct syscall_args *args)
{
    struct user_ptr limit = arg_user_ptr(args, 4), packed_mask = arg_user_ptr(args, 5);
    struct {
        u64 at, bytes;
    } mask = {0, 0};
    u64 deadline;
    long result;
    int error = deadline_from_timespec(limit, &deadline);

    if (!error && !user_ptr_is_null(packed_mask))
        error = copy_in(&mask, packed_mask, sizeof(mask));
    if (!error)
        error = wait_mask_begin(user_ptr_at(mask.at), mask.bytes);
    if (error)
        return error;
    result = select_user(args, deadline);
    wait_mask_end(user_ptr_at(mask.at), result);
    return limited_result(result, deadline_left_to_timespec(limit, deadline));
}
