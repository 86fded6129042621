/*
 * The lock order, in one table: who holds a lock may take only locks of classes that stand below
 * it. docs/locking.md and the checker (SAN=1) both come from here. Two locks of one class are taken
 * in the order of their addresses (lock_pair), or parent before child where the line says so.
 */
#pragma once

/* X(name, kind, why it stands where it does) */
#define LOCK_CLASSES(X)                                                                           \
    /* Sleeping locks, outermost first. */                                                        \
    X(FILE, SLEEP, "an open file's offset, for the length of a read or write")                    \
    X(SOCKET_SETUP, SLEEP, "a socket is bound or connected: before the names of its file")        \
    X(PROC_TEXT, SLEEP, "the text of an open file of /proc: all that it shows is asked under it") \
    X(MOUNTS, SLEEP, "the mount tree changes; taken before any inode of it")                      \
    X(RENAME, SLEEP, "moves between directories: before the directories themselves")              \
    X(OVERLAY, SLEEP, "a listing of an overlay's changes: before its inodes, one by one")         \
    X(INODE, SLEEP, "a directory's names or a file's size and data; parent before child")         \
    X(FILE_OWNER, SLEEP, "who is told of files by signals: asks files, epoll's among them")       \
    X(EPOLL, SLEEP, "an epoll instance's set")                                                    \
    X(PIPE, SLEEP, "a pipe's bytes: copies user memory while held")                               \
    X(SOCKET, SLEEP, "a socket's reader: copies user memory while held")                          \
    X(SOCKET_FLIGHT, SLEEP, "open files in flight: a reader lands them")                          \
    X(TTY, SLEEP, "a terminal's line discipline")                                                 \
    X(ADDRESS_SPACE, SLEEP, "regions; read by faults, so below all that copies user memory")      \
    X(MAPPING, SLEEP, "the regions that map a file: vm/ tells of them under the address space's") \
    X(PAGE, SLEEP, "a page of the page cache while it is read or written back")                   \
    X(DEVICE, SLEEP, "a request to the host, awaited")                                            \
    /* Spinlocks, outermost first. */                                                             \
    X(PROCESS_TABLE, SPIN, "pids, the family tree, groups and sessions")                          \
    X(TERMINAL_STATE, SPIN, "a terminal's session and foreground group")                          \
    X(FILE_TABLE, SPIN, "descriptors")                                                            \
    X(DENTRY, SPIN, "the name cache; parent before child")                                        \
    X(INODE_TABLE, SPIN, "a file system's inodes by number")                                      \
    X(PAGE_CLOCK, SPIN, "which files have pages in memory, for reclaim")                          \
    X(PAGE_CACHE, SPIN, "a file's pages by index")                                                \
    X(SEGMENTS, SPIN, "System V's shared memory by number; told of regions by vm/")               \
    X(FUTEX, SPIN, "a bucket of futex waiters; two by address")                                   \
    X(FUTEX_PI, SPIN, "futexes with priority inheritance, which may follow a bucket")             \
    X(SIGNALS, SPIN, "a process's signal handlers and pending signals")                           \
    X(SIGNAL_ACTIONS, SPIN, "actions that two processes may share")                               \
    X(CPU_ALARMS, SPIN, "alarms on CPU time: one process's, set by another")                      \
    X(PAGE_TABLE, SPIN, "the page tables of one address space")                                   \
    X(FILE_LOCKS, SPIN, "which inodes have file locks: before the queue of each")                 \
    X(NOTIFY, SPIN, "who watches which inodes: before the queue of each")                         \
    X(TIMERFD, SPIN, "the timers that follow the date: before the queue of each")                 \
    X(SOCKET_NAMES, SPIN, "who is bound to which name")                                           \
    X(SOCKET_PEER, SPIN, "whom a datagram socket is connected to")                                \
    X(SOCKET_SENDERS, SPIN, "who waits to send to a socket; wakes a socket's own queue")          \
    X(WAIT_QUEUE, SPIN, "waiters, and whatever condition they wait for")                          \
    X(EPOLL_WATCHERS, SPIN,                                                                       \
      "who watches an epoll set, itself woken from the queues that it watches")                   \
    X(WAIT_QUEUE_NESTED, SPIN, "epoll's own waiters, woken from another wait queue")              \
    X(REALTIME_LIMITS, SPIN, "the limits of real-time threads: told to each run queue")           \
    X(THREAD, SPIN, "a thread's state")                                                           \
    X(RUN_QUEUE, SPIN, "a CPU's READY threads; two by address")                                   \
    X(TIMER, SPIN, "a CPU's timers: a switch sets one")                                           \
    X(HOST_LINK, SPIN, "what waits to be sent to the host: pushes to a virtqueue")                \
    X(DEVICE_QUEUE, SPIN, "a virtqueue")                                                          \
    X(RCU, SPIN, "what is to be freed")                                                           \
    X(SLAB, SPIN, "a slab cache")                                                                 \
    X(KERNEL_VIRTUAL, SPIN, "kernel virtual memory")                                              \
    X(FRAMES, SPIN, "the buddy allocator")                                                        \
    X(RANDOM, SPIN, "the random number generator")                                                \
    X(LOG, SPIN, "the kernel's log: everybody logs")                                              \
    X(LEAF, SPIN, "takes no other lock")

#define LOCK_CLASS_ENUM(name, kind, why) LOCK_##name,
enum lock_class {
    LOCK_CLASSES(LOCK_CLASS_ENUM) LOCK_CLASS_COUNT
};
#undef LOCK_CLASS_ENUM
