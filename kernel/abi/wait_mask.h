/* The signal mask of a wait; wait_mask.c. */
#pragma once

#include <pith/arch.h>

/* `at` NULL: no mask, nothing changes. -EINVAL: `bytes` is not the size of one; -EFAULT. */
int wait_mask_begin(struct user_ptr at, u64 bytes) must_check;
/* After wait_mask_begin returned 0, with the wait's result. */
void wait_mask_end(struct user_ptr at, long result);
