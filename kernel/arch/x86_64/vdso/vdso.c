/*
 * The vDSO: the time and the CPU's number, told in user mode.
 *
 * It is a small shared object that the kernel maps into every process. The names, the version
 * LINUX_2.6 and the results are Linux's (vdso(7)); what cannot be answered from the data page is a
 * system call, made from here. It has no data of its own and no relocations.
 *
 * ns = tsc * clock_scale / 2^32, as in arch/x86_64/clock.c.
 */
#include <pith/vdso.h>

#define CLOCK_REALTIME         0
#define CLOCK_MONOTONIC        1
#define CLOCK_MONOTONIC_RAW    4
#define CLOCK_REALTIME_COARSE  5
#define CLOCK_MONOTONIC_COARSE 6
#define CLOCK_BOOTTIME         7

#define SYSTEM_GETTIMEOFDAY    96
#define SYSTEM_TIME            201
#define SYSTEM_CLOCK_GETTIME   228
#define SYSTEM_CLOCK_GETRES    229
#define SYSTEM_GETCPU          309

#define NS_PER_SECOND          1000000000ul
#define NS_PER_US              1000ul

struct timespec {
    s64 seconds, nanoseconds;
};

struct timeval {
    s64 seconds, microseconds;
};

struct timezone {
    s32 minutes_west, dst;
};

/* vdso.ld puts it one page before the image. */
extern const struct vdso_data data __attribute__((visibility("hidden")));

static inline long system_call(long number, long first, long second, long third)
{
    long result;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(first), "S"(second), "d"(third)
                     : "rcx", "r11", "memory");
    return result;
}

static inline u64 tsc_read(void)
{
    u32 low, high;

    /* Not before earlier loads: the sequence number must be read first (SDM 2B "RDTSC"). */
    __asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (u64)high << 32 | low;
}

/*
 * The monotonic clock, plus the offset if `with_offset` is all ones. 0: ask the kernel.
 *
 *     kernel (core/date.c)        here
 *     sequence: odd               reads the sequence: odd, or another afterwards: again
 *     offset, scale
 *     sequence: even
 *
 * The TSC is read between the two looks, so a time that goes out is one that the kernel would have
 * told.
 */
static inline u64 clock_ns(u64 with_offset)
{
    u32 sequence;
    u64 ns;

    do {
        sequence = __atomic_load_n(&data.sequence, __ATOMIC_ACQUIRE);
        if (!data.clock_scale)
            return 0;
        ns = (u64)((unsigned __int128)tsc_read() * data.clock_scale >> 32);
        ns += data.realtime_offset_ns & with_offset;
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
    } while (sequence & 1 || sequence != __atomic_load_n(&data.sequence, __ATOMIC_RELAXED));
    return ns;
}

int __vdso_clock_gettime(s32 clock, struct timespec *time);
int __vdso_clock_gettime(s32 clock, struct timespec *time)
{
    u64 ns = 0;

    switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
        ns = clock_ns(U64_MAX);
        break;
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_BOOTTIME:
        ns = clock_ns(0);
        break;
    }
    if (!ns)
        return (int)system_call(SYSTEM_CLOCK_GETTIME, clock, (long)time, 0);
    time->seconds = ns / NS_PER_SECOND;
    time->nanoseconds = ns % NS_PER_SECOND;
    return 0;
}

int __vdso_gettimeofday(struct timeval *time, struct timezone *zone);
int __vdso_gettimeofday(struct timeval *time, struct timezone *zone)
{
    u64 ns = clock_ns(U64_MAX);

    if (!ns)
        return (int)system_call(SYSTEM_GETTIMEOFDAY, (long)time, (long)zone, 0);
    if (time) {
        time->seconds = ns / NS_PER_SECOND;
        time->microseconds = ns % NS_PER_SECOND / NS_PER_US;
    }
    if (zone)
        *zone = (struct timezone){0, 0};
    return 0;
}

s64 __vdso_time(s64 *time);
s64 __vdso_time(s64 *time)
{
    u64 ns = clock_ns(U64_MAX);

    if (!ns)
        return system_call(SYSTEM_TIME, (long)time, 0, 0);
    if (time)
        *time = ns / NS_PER_SECOND;
    return ns / NS_PER_SECOND;
}

int __vdso_clock_getres(s32 clock, struct timespec *resolution);
int __vdso_clock_getres(s32 clock, struct timespec *resolution)
{
    return (int)system_call(SYSTEM_CLOCK_GETRES, clock, (long)resolution, 0);
}

long __vdso_getcpu(u32 *cpu, u32 *node, void *unused);
long __vdso_getcpu(u32 *cpu, u32 *node, void *unused)
{
    u32 low, high, id;

    if (!data.has_rdtscp)
        return system_call(SYSTEM_GETCPU, (long)cpu, (long)node, (long)unused);
    __asm__ volatile("rdtscp" : "=a"(low), "=d"(high), "=c"(id));
    if (cpu)
        *cpu = id;
    if (node)
        *node = 0;
    return 0;
}

#define WEAK_NAME(name, of) extern __typeof__(of) name __attribute__((weak, alias(#of)))
WEAK_NAME(clock_gettime, __vdso_clock_gettime);
WEAK_NAME(gettimeofday, __vdso_gettimeofday);
WEAK_NAME(time, __vdso_time);
WEAK_NAME(clock_getres, __vdso_clock_getres);
WEAK_NAME(getcpu, __vdso_getcpu);
