/*
 * The out-of-memory choice by badness: who frees most, as the user has weighted it.
 *
 * A process is as bad as the pages that its end gives back: resident, swapped, and its page tables.
 * oom_score_adj moves that by thousandths of all memory, so that +500 makes a process look as if it
 * used half of it, and -1000 makes it immune (proc(5)). This is Linux's rule since 2.6.36; it needs
 * no history and no guess at importance, and ends one large process rather than many small ones.
 *
 * A policy like those of sched/: it sees nothing but the candidate that the mechanism (oom.c) hands
 * it.
 */
#include <pith/oom_policy.h>

static s64 badness(const struct oom_candidate *candidate, u64 total_pages)
{
    s64 pages = candidate->resident_pages + candidate->table_pages + candidate->swapped_pages;

    if (candidate->adjustment == OOM_ADJUSTMENT_MIN)
        return OOM_NEVER;
    return pages + (s64)candidate->adjustment * (s64)(total_pages / OOM_ADJUSTMENT_MAX);
}

const struct oom_policy oom_policy_badness = {.name = "badness", .score = badness};
