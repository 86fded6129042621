/*
 * The out-of-memory choice's policy: who is ended when no memory is left.
 *
 * The mechanism (proc/oom.c: finding candidates, ending one, taking its memory) calls a policy
 * through one table. As a scheduling policy, it is one file and uses nothing but what it is handed.
 */
/* folder: proc */
#pragma once

#include <pith/types.h>

#define OOM_ADJUSTMENT_MIN (-1000) /* never ended: proc(5), oom_score_adj */
#define OOM_ADJUSTMENT_MAX 1000

/* What is known of a process. Pages are those that its end would give back, shared ones too. */
struct oom_candidate {
    u64 resident_pages, table_pages, swapped_pages;
    s32 adjustment; /* the user's: thousandths of all memory, added */
};

struct oom_policy {
    const char *name;
    /* The larger the sooner it is ended. OOM_NEVER: not at all. */
    s64 (*score)(const struct oom_candidate *candidate, u64 total_pages);
};
#define OOM_NEVER (-0x7fffffffffffffffl - 1)

extern const struct oom_policy oom_policy_badness;
