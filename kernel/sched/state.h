/* The states of a thread: the one function that changes one. Private to sched/. */
#pragma once

#include <pith/sched.h>

/* See state.c for who holds which lock. `now_ns` is of clock_monotonic_ns. */
void thread_set_state(struct thread *thread, enum thread_state next, u64 now_ns);
/* Threads that wait uninterruptibly, for the load average. */
u64 threads_uninterruptible(void);
