/*
 * Structures that grow from version to version, with their size beside them: clone3(2),
 * sched_setattr(2), openat2(2).
 *
 *     caller's  |------ known to both ------|--- newer ---|     the newer part must be 0: -E2BIG
 *     caller's  |-- older --|               .                   what it lacks is 0 for us
 *     ours      |---------------------------|
 *
 * A program built for a newer kernel that uses none of the new fields so works on this one, and one
 * built for an older kernel gets what 0 means, which is "as before". The newer part is looked at
 * piece by piece on the stack, so its length costs no memory; more than a page is not a structure.
 */
#include "versioned.h"

#include <pith/string.h>

int copy_in_versioned(void *to, size_t known, struct user_ptr from, size_t given, size_t least)
{
    u8 rest[64];

    if (given < least)
        return -EINVAL;
    if (given > PAGE_SIZE)
        return -E2BIG;
    memset(to, 0, known);
    if (copy_in(to, from, MIN(known, given)))
        return -EFAULT;
    for (size_t at = known; at < given; at += sizeof(rest)) {
        size_t bytes = MIN(sizeof(rest), given - at);

        if (copy_in(rest, user_ptr_add(from, at), bytes))
            return -EFAULT;
        for (size_t i = 0; i < bytes; i++)
            if (rest[i])
                return -E2BIG;
    }
    return 0;
}
