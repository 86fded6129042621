/*
 * An exact sum of time, split by samples into parts that never go backwards.
 *
 * What a CPU did between two looks is known exactly in all, and by samples in its parts. Dividing
 * the sum anew by the samples at each look would take time back from a part whenever samples fall
 * to others (getrusage would say less user time than a moment ago). So what has been told stands,
 * and what the sum grew by goes to the parts that have less than their samples' share, in
 * proportion to how much less. In the long run each has its share; the parts always add up.
 */
/* folder: lib */
#pragma once

#include <pith/compiler.h>

#define TIME_SPLIT_PARTS 4

/* All zero at first. The samples may be counted by one CPU without the lock of the rest. */
struct time_split {
    u64 samples[TIME_SPLIT_PARTS];
    u64 told_ns[TIME_SPLIT_PARTS]; /* up to the last look */
};

/*
 * Brings told_ns up to `total_ns`, which does not shrink; a smaller one changes nothing. Without
 * samples all goes to `unsampled`.
 */
void time_split_look(struct time_split *split, u64 total_ns, u32 unsampled);
