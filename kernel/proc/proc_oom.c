/*
 * /proc/PID's files about the out-of-memory choice: oom_score, oom_score_adj, and oom_adj, which is
 * the second on the scale that Linux had before 2.6.36 (proc(5)).
 */
#include <pith/oom_policy.h>

#include "proc_files.h"

#define OLD_NEVER (-17)
#define OLD_MAX   15

int proc_show_oom_score(struct text_sink *sink, void *object)
{
    text_print(sink, "%lu\n", process_oom_score(object));
    return 0;
}

int proc_show_oom_score_adj(struct text_sink *sink, void *object)
{
    text_print(sink, "%d\n", READ_ONCE(((struct process *)object)->oom_adjustment));
    return 0;
}

int proc_store_oom_score_adj(void *object, const char *text, size_t bytes)
{
    s64 value;
    int error = proc_parse_number(text, &value);

    if (error)
        return error;
    if (value < OOM_ADJUSTMENT_MIN || value > OOM_ADJUSTMENT_MAX)
        return -EINVAL;
    return process_oom_adjust(object, (s32)value);
}

/* The scale of old: -17 never, 15 first. */
int proc_show_oom_adj(struct text_sink *sink, void *object)
{
    s32 value = READ_ONCE(((struct process *)object)->oom_adjustment);

    text_print(sink, "%d\n",
               value == OOM_ADJUSTMENT_MAX ? OLD_MAX : value * -OLD_NEVER / OOM_ADJUSTMENT_MAX);
    return 0;
}

int proc_store_oom_adj(void *object, const char *text, size_t bytes)
{
    s64 value;
    int error = proc_parse_number(text, &value);

    if (error)
        return error;
    if (value < OLD_NEVER || value > OLD_MAX)
        return -EINVAL;
    /* So that the largest of the old scale is the largest of the new. */
    return process_oom_adjust(object, value == OLD_MAX
                                          ? OOM_ADJUSTMENT_MAX
                                          : (s32)value * OOM_ADJUSTMENT_MAX / -OLD_NEVER);
}
