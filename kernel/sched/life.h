/* What start.c and block.c share with thread.c. Private to sched/. */
#pragma once

#include <pith/sched.h>

void thread_cache_init(void);
/* A thread in the caller's memory, NEW, without a stack. */
void thread_init(struct thread *thread);
/* As kernel_thread_start, not started yet. */
int kernel_thread_create(const char *name, void (*entry)(void *), void *argument,
                         struct thread **thread_out) must_check;
/* block.c: ends a timed wait. */
void thread_sleep_expired(struct timer *timer);
/* accounting.c */
void load_init(void);
