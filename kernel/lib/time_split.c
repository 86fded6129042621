/*
 * Time split by samples; pith/time_split.h says how.
 *
 * The parts lack together at least what the sum grew by: their shares add up to the sum, but for
 * what rounding down cut off, and no part counts as lacking less than nothing. So dividing the
 * growth among them gives nobody more than he lacks, and what rounding leaves is a few ns, which go
 * to the part with most samples: one without any stays at 0.
 *
 * Locking: the caller's.
 */
#include <pith/time_split.h>

#include <pith/arithmetic.h>

void time_split_look(struct time_split *split, u64 total_ns, u32 unsampled)
{
    u64 samples[TIME_SPLIT_PARTS], lacking_ns[TIME_SPLIT_PARTS];
    u64 whole = 0, told_ns = 0, all_lacking_ns = 0, rest_ns;
    u32 most = unsampled;

    for (u32 part = 0; part < TIME_SPLIT_PARTS; part++) {
        samples[part] = READ_ONCE(split->samples[part]); /* the same in each of the loops */
        whole += samples[part];
        told_ns += split->told_ns[part];
        if (samples[part] > samples[most])
            most = part;
    }
    if (total_ns <= told_ns)
        return;
    rest_ns = total_ns - told_ns;
    for (u32 part = 0; part < TIME_SPLIT_PARTS; part++) {
        u64 share_ns = whole ? multiply_divide(total_ns, samples[part], whole) : 0;

        lacking_ns[part] = share_ns - MIN(share_ns, split->told_ns[part]);
        all_lacking_ns += lacking_ns[part];
    }
    for (u32 part = 0; part < TIME_SPLIT_PARTS && all_lacking_ns; part++) {
        u64 given_ns = multiply_divide(total_ns - told_ns, lacking_ns[part], all_lacking_ns);

        given_ns = MIN(given_ns, rest_ns); /* less is lacking than there is by rounding only */
        split->told_ns[part] += given_ns;
        rest_ns -= given_ns;
    }
    split->told_ns[most] += rest_ns;
}
