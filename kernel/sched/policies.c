/* The policies, to choose by name: at boot in the kernel, by --policy in the simulator. */
#include <pith/policy.h>

const struct policy *const policies[] = {
    &policy_fair, &policy_fifo, &policy_rr,      &policy_round_robin, &policy_sjf,
    &policy_stcf, &policy_mlfq, &policy_lottery, &policy_stride,      NULL,
};
