/* The fixed-width names, and the few types that every folder shares. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;
typedef int64_t ssize_t;

#define U64_MAX UINT64_MAX
#define S32_MAX INT32_MAX
#define S64_MAX INT64_MAX
#define U32_MAX UINT32_MAX

/* An address in the current process's memory. Only the copy routines open it (arch.h). */
struct user_ptr {
    u64 address;
};

/* A physical address. */
typedef u64 phys_addr;
