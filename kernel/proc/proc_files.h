/* /proc/PID: what its files share. Private to proc/. */
#pragma once

#include <pith/proc_fs.h>

#include "internal.h"

/* The texts; the object is a process. */
int proc_show_stat(struct text_sink *sink, void *object);
int proc_show_statm(struct text_sink *sink, void *object);
int proc_show_status(struct text_sink *sink, void *object);
int proc_show_limits(struct text_sink *sink, void *object);
/* The same of one thread; the object is a thread. */
int proc_show_thread_stat(struct text_sink *sink, void *object);
int proc_show_thread_status(struct text_sink *sink, void *object);

/* proc_memory.c; the object is a process. */
int proc_show_cmdline(struct text_sink *sink, void *object);
int proc_show_environ(struct text_sink *sink, void *object);
int proc_show_auxv(struct text_sink *sink, void *object);
ssize_t proc_read_exe(void *object, u64 key, char *buffer, size_t size);
int proc_follow_exe(void *object, u64 key, struct path *path_out);

/* proc_maps.c; the object is a process. */
int proc_show_maps(struct text_sink *sink, void *object, u64 *cursor);
int proc_show_smaps(struct text_sink *sink, void *object, u64 *cursor);
int proc_show_smaps_rollup(struct text_sink *sink, void *object);
int proc_show_numa_maps(struct text_sink *sink, void *object, u64 *cursor);
int proc_store_clear_refs(void *object, const char *text, size_t bytes);
extern const struct file_operations proc_pagemap_operations;
extern const struct file_operations proc_memory_operations; /* proc_memory.c */

/* proc_oom.c; the object is a process. */
int proc_show_oom_score(struct text_sink *sink, void *object);
int proc_show_oom_score_adj(struct text_sink *sink, void *object);
int proc_store_oom_score_adj(void *object, const char *text, size_t bytes);
int proc_show_oom_adj(struct text_sink *sink, void *object);
int proc_store_oom_adj(void *object, const char *text, size_t bytes);

/* proc_texts.c; the object is a process, or a thread where the name says so. */
int proc_show_comm(struct text_sink *sink, void *object);
int proc_store_comm(void *object, const char *text, size_t bytes);
int proc_show_thread_comm(struct text_sink *sink, void *object);
int proc_store_thread_comm(void *object, const char *text, size_t bytes);
int proc_show_wchan(struct text_sink *sink, void *object);
int proc_show_thread_wchan(struct text_sink *sink, void *object);
/* What `show` says of the thread that stands for its process. -ESRCH: there is none any more. */
int proc_show_first_thread(struct text_sink *sink, void *process,
                           int (*show)(struct text_sink *sink, void *thread));
int proc_show_syscall(struct text_sink *sink, void *object);
int proc_show_thread_syscall(struct text_sink *sink, void *object);
int proc_show_io(struct text_sink *sink, void *object);
int proc_show_thread_io(struct text_sink *sink, void *object);
int proc_show_children(struct text_sink *sink, void *object); /* a thread */
int proc_show_personality(struct text_sink *sink, void *object);
int proc_show_core_filter(struct text_sink *sink, void *object);
int proc_store_core_filter(void *object, const char *text, size_t bytes);
int proc_show_timer_slack(struct text_sink *sink, void *object);
int proc_store_timer_slack(void *object, const char *text, size_t bytes);
int proc_show_timers(struct text_sink *sink, void *object); /* posix_timer.c */

/* proc_sched.c; the object is a process, or a thread where the name says so. */
int proc_show_sched(struct text_sink *sink, void *object);
int proc_show_thread_sched(struct text_sink *sink, void *object);
int proc_store_sched(void *object, const char *text, size_t bytes);
int proc_show_schedstat(struct text_sink *sink, void *object);
int proc_show_thread_schedstat(struct text_sink *sink, void *object);
int proc_show_microstates(struct text_sink *sink, void *object);
int proc_show_thread_microstates(struct text_sink *sink, void *object);
int proc_show_stack(struct text_sink *sink, void *object);
int proc_show_thread_stack(struct text_sink *sink, void *object);
void proc_sched_init(void);

/* proc_namespaces.c; the object is a process. */
extern const struct proc_directory proc_namespace_directory;
int proc_show_login_uid(struct text_sink *sink, void *object);
int proc_store_login_uid(void *object, const char *text, size_t bytes);
int proc_show_login_session(struct text_sink *sink, void *object);
int proc_show_cgroup(struct text_sink *sink, void *object);
int proc_show_cpuset(struct text_sink *sink, void *object);
int proc_show_id_map(struct text_sink *sink, void *object);
int proc_show_setgroups(struct text_sink *sink, void *object);
int proc_show_time_offsets(struct text_sink *sink, void *object);
int proc_refuse_store(void *object, const char *text, size_t bytes);

/* For directories whose object is a process. */
void proc_process_get(void *object);
void proc_process_put(void *object);
bool proc_process_permits(void *object);
void proc_process_owner(void *object, u32 mode, u32 *uid_out, u32 *gid_out);

/* proc_map_files.c */
extern const struct proc_directory proc_map_files_directory;

/* proc_descriptors.c */
extern const struct proc_directory proc_fd_directory, proc_fdinfo_directory;

/* Gives a path's name as a link's text. */
ssize_t proc_link_text(const struct path *path, char *buffer, size_t size);

void proc_files_init(void);
void proc_system_init(void);
void proc_meminfo_init(void);
void proc_interrupts_init(void);
/* Lines of /proc/stat. */
void proc_print_intr(struct text_sink *sink);
void proc_print_softirq(struct text_sink *sink);
void sys_large_pages_init(void);
