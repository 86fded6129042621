/*
 * Settings of the process model that root may change while the machine runs: /proc/sys/kernel/
 * (proc(5)). Each is one word that its users read as it is, so a change holds for the next process,
 * not for those that are there: a smaller pid_max leaves larger pids alone.
 */
#include "internal.h"

#include <pith/proc_fs.h>

#define PID_MAX_LEAST     301
#define PID_MAX_LARGEST   (1 << 22)
#define THREADS_MAX_LEAST 20

static s64 values[PROCESS_SETTINGS] = {[SETTING_PID_MAX] = PID_MAX}; /* [atomic] */

static const struct proc_setting settings[] = {
    {"pid_max", &values[SETTING_PID_MAX], PID_MAX_LEAST, PID_MAX_LARGEST},
    {"threads-max", &values[SETTING_THREADS_MAX], THREADS_MAX_LEAST, PID_MAX_LARGEST},
    {"sched_child_runs_first", &values[SETTING_CHILD_RUNS_FIRST], INT32_MIN, INT32_MAX},
};

u64 process_setting(enum process_setting which)
{
    return (u64)READ_ONCE(values[which]);
}

/* Threads' kernel stacks may take an eighth of memory, which is Linux's rule too. */
void process_settings_init(void)
{
    u64 fit = (frames_total_count() << PAGE_SHIFT) / KERNEL_STACK_BYTES / 8;

    values[SETTING_THREADS_MAX] = (s64)MIN(MAX(fit, (u64)THREADS_MAX_LEAST), (u64)PID_MAX);
}

void process_settings_show(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(settings); i++)
        if (proc_register_setting("sys/kernel", &settings[i]))
            log_warning("/proc/sys/kernel/%s could not be made", settings[i].name);
}
