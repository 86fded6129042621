/* The states of a thread: the one function that changes one. Private to sched/. */
#pragma once

#include <pith/sched.h>

/* See state.c for who holds which lock. `now_ns` is of clock_monotonic_ns. */
void thread_set_state(struct thread *thread, enum thread_state next, u64 now_ns);
/* accounting.c: one more, or one less, of the thread's CPU waits for a device. */
void iowait_change(struct thread *thread, s32 change, u64 now_ns);
/* Threads that wait uninterruptibly, for the load average. */
u64 threads_uninterruptible(void);
