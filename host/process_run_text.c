/* What the other parts lean on: pieces of what the user typed, arrays, and the last sentence. */
#include "process_run.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void fail(enum exit_status status, const char *format, ...)
{
    va_list arguments;

    fflush(stdout);
    fputs("process-run: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    _exit(status); /* what is allocated goes with the process */
}

struct text text_of(const char *string)
{
    return (struct text){string, strlen(string)};
}

/* A text has one item more than separators; `start` is NULL once the last is cut off. */
bool text_next(struct text *rest, char separator, struct text *item_out)
{
    const char *end;

    if (!rest->start)
        return false;
    end = memchr(rest->start, separator, rest->length);
    if (!end) {
        *item_out = *rest;
        *rest = (struct text){NULL, 0};
        return true;
    }
    *item_out = (struct text){rest->start, (size_t)(end - rest->start)};
    rest->start = end + 1;
    rest->length -= item_out->length + 1;
    return true;
}

int text_to_number(struct text text, u64 limit, u64 *value_out)
{
    u64 value = 0;
    bool is_too_large = false;

    if (text.length == 0)
        return -EINVAL;
    for (size_t i = 0; i < text.length; i++) {
        u64 digit = (u64)text.start[i] - '0';

        if (digit > 9)
            return -EINVAL;
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, digit, &value))
            is_too_large = true;
    }
    if (is_too_large || value > limit)
        return -ERANGE;
    *value_out = value;
    return 0;
}

void *array_grow(void *array, u32 *room, u64 needed, size_t size)
{
    u64 larger = MAX(*room, 16u);
    void *grown;

    if (needed <= *room)
        return array;
    while (larger < needed)
        larger *= 2;
    grown = realloc(array, larger * size);
    if (!grown)
        fail(EXIT_DESCRIPTION, "not enough memory");
    *room = (u32)larger;
    return grown;
}

void *array_alloc(u64 count, size_t size)
{
    void *array = calloc(MAX(count, 1ull), size);

    if (!array)
        fail(EXIT_DESCRIPTION, "not enough memory");
    return array;
}
