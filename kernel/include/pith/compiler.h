/* What we ask of the compiler: attributes, hints and the annotations of locks. */
#pragma once

#include <pith/types.h>

#define must_check __attribute__((warn_unused_result))
#define packed     __attribute__((packed))
#define noinline   __attribute__((noinline))
#define noreturn   __attribute__((noreturn))
#define aligned(n) __attribute__((aligned(n)))
#define section(s) __attribute__((section(s)))
#define printf_like(format_index, first_argument) \
    __attribute__((format(printf, format_index, first_argument)))
#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define container_of(pointer, type, member) \
    ((type *)((char *)(pointer) - __builtin_offsetof(type, member)))
#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define BIT(n)            (1ul << (n))
#define MIN(a, b)                      \
    ({                                 \
        __auto_type min_a = (a);       \
        __auto_type min_b = (b);       \
        min_a < min_b ? min_a : min_b; \
    })
#define MAX(a, b)                      \
    ({                                 \
        __auto_type max_a = (a);       \
        __auto_type max_b = (b);       \
        max_a > max_b ? max_a : max_b; \
    })
/* `alignment` is a power of two. */
#define ALIGN_UP(x, alignment)   (((x) + ((alignment)-1)) & ~((__typeof__(x))(alignment)-1))
#define ALIGN_DOWN(x, alignment) ((x) & ~((__typeof__(x))(alignment)-1))
#define DIV_ROUND_UP(x, y)       (((x) + (y)-1) / (y))

/* One access, neither torn nor repeated by the compiler; orders nothing. */
#define READ_ONCE(x)         (*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, value) (*(volatile __typeof__(x) *)&(x) = (value))

/*
 * The compile-time lock check (clang -Wthread-safety; make lint). clang 14 checks the annotations
 * of functions and cannot parse one on a field of C; see docs/locking.md.
 */
#if defined(__clang__) && defined(PITH_LOCK_CHECK)
#define lockable           __attribute__((capability("lock")))
#define must_hold(...)     __attribute__((requires_capability(__VA_ARGS__)))
#define must_not_hold(...) __attribute__((locks_excluded(__VA_ARGS__)))
#define acquires(...)      __attribute__((acquire_capability(__VA_ARGS__)))
#define try_acquires(...)  __attribute__((try_acquire_capability(__VA_ARGS__)))
#define releases(...)      __attribute__((release_capability(__VA_ARGS__)))
#define no_lock_check      __attribute__((no_thread_safety_analysis))
#else
#define lockable
#define must_hold(...)
#define must_not_hold(...)
#define acquires(...)
#define try_acquires(...)
#define releases(...)
#define no_lock_check
#endif
#if defined(__clang__) && defined(PITH_LOCK_CHECK) && __clang_major__ >= 22
#define guarded_by(lock) __attribute__((guarded_by(lock)))
#else
#define guarded_by(lock)
#endif
