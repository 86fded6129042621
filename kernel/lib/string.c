/*
 * Memory and string functions.
 *
 * The compiler calls memcpy, memmove, memset and memcmp by itself. Long copies use the string
 * instructions with words: emulators run `rep movsb` a byte at a time, processors take both fast.
 * Short ones are done with two words that may overlap, which needs no loop.
 *
 * Context: any. None of these touches user memory.
 */
#include <pith/string.h>

#include <pith/abi/errno.h>

typedef u64 word __attribute__((may_alias, __aligned__(1)));
typedef u32 half_word __attribute__((may_alias, __aligned__(1)));

static inline void copy_words_forward(void *to, const void *from, size_t words)
{
    __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(words) : : "memory");
}

/* Below 16 bytes; reads all before it writes, so the two may overlap. */
static inline void copy_short(char *to, const char *from, size_t bytes)
{
    if (bytes >= 8) {
        u64 head = *(const word *)from, tail = *(const word *)(from + bytes - 8);

        *(word *)to = head;
        *(word *)(to + bytes - 8) = tail;
    } else if (bytes >= 4) {
        u32 head = *(const half_word *)from, tail = *(const half_word *)(from + bytes - 4);

        *(half_word *)to = head;
        *(half_word *)(to + bytes - 4) = tail;
    } else if (bytes) {
        char first = from[0], middle = from[bytes / 2], last = from[bytes - 1];

        to[0] = first;
        to[bytes / 2] = middle;
        to[bytes - 1] = last;
    }
}

void *memcpy(void *to, const void *from, size_t bytes)
{
    char *out = to;
    const char *in = from;

    if (bytes < 16) {
        copy_short(out, in, bytes);
        return to;
    }
    /* The last word first: the words before it may then end anywhere inside it. */
    *(word *)(out + bytes - 8) = *(const word *)(in + bytes - 8);
    if (bytes <= 64) {
        for (size_t at = 0; at + 8 < bytes; at += 8)
            *(word *)(out + at) = *(const word *)(in + at);
        return to;
    }
    copy_words_forward(out, in, bytes / 8);
    return to;
}

void *memmove(void *to, const void *from, size_t bytes)
{
    char *out = to;
    const char *in = from;

    if (bytes < 16) {
        copy_short(out, in, bytes);
        return to;
    }
    if ((size_t)(out - in) >= bytes) {
        u64 tail = *(const word *)(in + bytes - 8);

        copy_words_forward(out, in, bytes / 8);
        *(word *)(out + bytes - 8) = tail;
        return to;
    }
    u64 head = *(const word *)in;

    for (; bytes >= 8; bytes -= 8)
        *(word *)(out + bytes - 8) = *(const word *)(in + bytes - 8);
    *(word *)out = head;
    return to;
}

void *memset(void *at, int value, size_t bytes)
{
    char *out = at;
    u64 pattern = 0x0101010101010101ul * (u8)value;

    if (bytes < 8) {
        for (size_t i = 0; i < bytes; i++)
            ((volatile char *)out)[i] = (char)value;
        return at;
    }
    *(word *)(out + bytes - 8) = pattern;
    size_t words = bytes / 8;

    __asm__ volatile("rep stosq" : "+D"(out), "+c"(words) : "a"(pattern) : "memory");
    return at;
}

int memcmp(const void *a, const void *b, size_t bytes)
{
    const u8 *left = a, *right = b;

    while (bytes >= 8 && *(const word *)left == *(const word *)right) {
        left += 8;
        right += 8;
        bytes -= 8;
    }
    for (size_t i = 0; i < bytes; i++) {
        if (left[i] != right[i])
            return left[i] - right[i];
    }
    return 0;
}

void *memchr(const void *at, int value, size_t bytes)
{
    const u8 *in = at;

    for (size_t i = 0; i < bytes; i++) {
        if (in[i] == (u8)value)
            return (void *)(in + i);
    }
    return NULL;
}

size_t strlen(const char *text)
{
    const char *end = text;

    while (*end)
        end++;
    return end - text;
}

size_t strnlen(const char *text, size_t most)
{
    size_t length = 0;

    while (length < most && text[length])
        length++;
    return length;
}

int strcmp(const char *a, const char *b)
{
    while (*a && *a == *b) {
        a++;
        b++;
    }
    return (u8)*a - (u8)*b;
}

int strncmp(const char *a, const char *b, size_t most)
{
    for (; most; most--, a++, b++) {
        if (*a != *b)
            return (u8)*a - (u8)*b;
        if (!*a)
            return 0;
    }
    return 0;
}

char *strchr(const char *text, int character)
{
    for (;; text++) {
        if (*text == (char)character)
            return (char *)text;
        if (!*text)
            return NULL;
    }
}

char *strrchr(const char *text, int character)
{
    const char *found = NULL;

    for (;; text++) {
        if (*text == (char)character)
            found = text;
        if (!*text)
            return (char *)found;
    }
}

char *strstr(const char *text, const char *part)
{
    size_t length = strlen(part);

    for (;; text++) {
        if (!strncmp(text, part, length))
            return (char *)text;
        if (!*text)
            return NULL;
    }
}

ssize_t string_copy(char *to, const char *from, size_t size)
{
    size_t length = strnlen(from, size);

    if (size == 0)
        return -E2BIG;
    if (length == size) {
        memcpy(to, from, size - 1);
        to[size - 1] = '\0';
        return -E2BIG;
    }
    memcpy(to, from, length + 1);
    return length;
}

/* The value of a hexadecimal digit; 16 or more: it is none. */
static unsigned digit_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if ((digit | 0x20) >= 'a' && (digit | 0x20) <= 'f')
        return (digit | 0x20) - 'a' + 10;
    return 16;
}

int string_to_u64(const char *text, u64 *value_out)
{
    unsigned base = 10;
    u64 value = 0;

    if (text[0] == '0' && (text[1] | 0x20) == 'x') {
        base = 16;
        text += 2;
    }
    if (!*text)
        return -EINVAL;
    for (; *text; text++) {
        unsigned digit = digit_value(*text);

        if (digit >= base)
            return -EINVAL;
        if (__builtin_mul_overflow(value, base, &value) ||
            __builtin_add_overflow(value, digit, &value))
            return -ERANGE;
    }
    *value_out = value;
    return 0;
}
