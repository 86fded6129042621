/*
 * What the compiler calls in a SAN=1 kernel: before each access (address sanitizer), and where
 * something undefined was done (undefined-behaviour sanitizer).
 *
 * The shadow has a byte for each 8 bytes of the direct map: 0, all may be touched; 1 to 7, only the
 * first so many; else none, and why (enum poison). Addresses elsewhere are not watched, but for
 * those below the direct map: the kernel never touches user memory, nor NULL, by C code. memcpy
 * and its kin are checked once for their whole range: the linker leads them here (--wrap).
 *
 * This file is not instrumented itself. Context: any.
 */
#include <pith/sanitizer.h>

#include <pith/core.h>

#define SHADOW_SHIFT 3
#define GRANULE      8

static u64 watched_end; /* [const] after boot: the end of the direct map; 0: no shadow yet */

static u8 *shadow_of(u64 address)
{
    return (u8 *)SHADOW + ((address - DIRECT_MAP) >> SHADOW_SHIFT);
}

static bool is_watched(u64 address)
{
    return address - DIRECT_MAP < watched_end;
}

void sanitizer_begin(u64 memory_end)
{
    watched_end = memory_end;
}

/* Whole granules only: what shares one with the end of something allowed stays allowed. */
void sanitizer_poison(const void *start, size_t bytes, enum poison why)
{
    u64 from = ALIGN_UP((u64)start, (u64)GRANULE), end = (u64)start + bytes;

    if (!is_watched((u64)start) || from >= end)
        return;
    for (u8 *shadow = shadow_of(from); shadow < shadow_of(ALIGN_UP(end, (u64)GRANULE)); shadow++)
        *shadow = why;
}

/* The end may lie within a granule: its first bytes are then allowed and the rest not. */
void sanitizer_unpoison(const void *start, size_t bytes)
{
    u64 address = (u64)start, end = address + bytes;

    if (!is_watched(address))
        return;
    for (; address + GRANULE <= end; address += GRANULE)
        *shadow_of(address) = 0;
    if (address < end)
        *shadow_of(address) = end - address;
}

static const char *poison_name(u8 value)
{
    switch (value) {
    case POISON_FREED_OBJECT:
        return "freed object";
    case POISON_FREE_FRAME:
        return "free frame";
    default:
        return "memory behind an object";
    }
}

static noreturn noinline void report(u64 address, size_t bytes, const char *what, u64 caller)
{
    u64 offset = 0;
    const char *function = symbol_find(caller, &offset);

    if (!is_watched(address))
        panic("sanitizer: %s of %lu bytes at %016lx, which is not the kernel's, in %s+0x%lx", what,
              bytes, address, function ? function : "?", offset);
    panic("sanitizer: %s of %lu bytes at %016lx, %s (shadow %02x), in %s+0x%lx", what, bytes,
          address, poison_name(*shadow_of(address)), *shadow_of(address), function ? function : "?",
          offset);
}

/* The first byte of the range that may not be touched, or 0. */
static u64 first_bad(u64 address, size_t bytes)
{
    u64 end = address + bytes;

    while (address < end) {
        u8 shadow = *shadow_of(address);
        u64 granule = ALIGN_DOWN(address, (u64)GRANULE), last = MIN(end, granule + GRANULE);

        if (shadow && (shadow >= GRANULE || last - granule > shadow))
            return MAX(address, granule + (shadow < GRANULE ? shadow : 0));
        address = granule + GRANULE;
    }
    return 0;
}

/*
 * Panics with who did it if the access is not allowed. `bytes` may be any number; only the first
 * and last granule can be partly allowed.
 */
static inline void check(u64 address, size_t bytes, const char *what, u64 caller)
{
    u64 bad;

    if (unlikely(!watched_end || !bytes))
        return;
    if (!is_watched(address)) {
        if (unlikely(address < DIRECT_MAP))
            report(address, bytes, what, caller);
        return;
    }
    /* Mostly, all of it lies in one piece that may be touched. */
    if (likely(*shadow_of(address) == 0 && (address & (GRANULE - 1)) + bytes <= GRANULE))
        return;
    bad = first_bad(address, bytes);
    if (unlikely(bad && !is_watched(address + bytes - 1)))
        return;
    if (unlikely(bad))
        report(bad, bytes, what, caller);
}

#define CALLER ((u64)__builtin_return_address(0))

#define ACCESS(size)                                \
    void __asan_load##size##_noabort(u64 address);  \
    void __asan_load##size##_noabort(u64 address)   \
    {                                               \
        check(address, size, "read", CALLER);       \
    }                                               \
    void __asan_store##size##_noabort(u64 address); \
    void __asan_store##size##_noabort(u64 address)  \
    {                                               \
        check(address, size, "write", CALLER);      \
    }
ACCESS(1)
ACCESS(2)
ACCESS(4)
ACCESS(8)
ACCESS(16)

void __asan_loadN_noabort(u64 address, size_t bytes);
void __asan_loadN_noabort(u64 address, size_t bytes)
{
    check(address, bytes, "read", CALLER);
}

void __asan_storeN_noabort(u64 address, size_t bytes);
void __asan_storeN_noabort(u64 address, size_t bytes)
{
    check(address, bytes, "write", CALLER);
}

void __asan_handle_no_return(void);
void __asan_handle_no_return(void)
{
}

void *__real_memcpy(void *to, const void *from, size_t bytes);
void *__wrap_memcpy(void *to, const void *from, size_t bytes);
void *__wrap_memcpy(void *to, const void *from, size_t bytes)
{
    check((u64)from, bytes, "read", CALLER);
    check((u64)to, bytes, "write", CALLER);
    return __real_memcpy(to, from, bytes);
}

void *__real_memmove(void *to, const void *from, size_t bytes);
void *__wrap_memmove(void *to, const void *from, size_t bytes);
void *__wrap_memmove(void *to, const void *from, size_t bytes)
{
    check((u64)from, bytes, "read", CALLER);
    check((u64)to, bytes, "write", CALLER);
    return __real_memmove(to, from, bytes);
}

void *__real_memset(void *at, int value, size_t bytes);
void *__wrap_memset(void *at, int value, size_t bytes);
void *__wrap_memset(void *at, int value, size_t bytes)
{
    check((u64)at, bytes, "write", CALLER);
    return __real_memset(at, value, bytes);
}

/* ---- Undefined behaviour: each handler's data begins with where it was done ---- */

struct source_place {
    const char *file;
    u32 line, column;
};

static noreturn void undefined(const struct source_place *place, const char *what)
{
    panic("undefined behaviour: %s at %s:%u:%u", what, place->file, place->line, place->column);
}

#define UNDEFINED(handler, what)                                     \
    void __ubsan_handle_##handler(const struct source_place *place); \
    void __ubsan_handle_##handler(const struct source_place *place)  \
    {                                                                \
        undefined(place, what);                                      \
    }
UNDEFINED(add_overflow, "an addition overflows")
UNDEFINED(sub_overflow, "a subtraction overflows")
UNDEFINED(mul_overflow, "a multiplication overflows")
UNDEFINED(negate_overflow, "a negation overflows")
UNDEFINED(divrem_overflow, "a division by 0, or one that overflows")
UNDEFINED(shift_out_of_bounds, "a shift by more than there is")
UNDEFINED(out_of_bounds, "an index beyond its array")
UNDEFINED(load_invalid_value, "a value that its type does not have")
UNDEFINED(type_mismatch_v1, "a pointer that is NULL or not aligned")
UNDEFINED(builtin_unreachable, "a point that cannot be reached")
UNDEFINED(pointer_overflow, "a pointer that overflows")
UNDEFINED(nonnull_arg, "NULL where it must not be")
