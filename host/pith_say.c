/*
 * Sentences for the user, and memory.
 *
 * A command that runs out of memory can only end: so what allocates here never returns NULL, and
 * nobody else in pith has to look.
 */
#include "pith.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SENTENCE_BYTES 1024
#define SLOW_READER_MS 1000
#define BUFFER_LEAST   4096

/*
 * One write, so that it stays in one piece. A caller's standard error may be one that does not
 * block: what a sentence is for must not be lost because somebody reads slowly. If it fails
 * otherwise there is nobody to tell.
 */
static void write_sentence(const char *sentence, size_t size)
{
    struct pollfd standard_error = {.fd = STDERR_FILENO, .events = POLLOUT};

    while (write(STDERR_FILENO, sentence, size) < 0) {
        if (errno != EINTR && errno != EAGAIN)
            return;
        if (errno == EAGAIN && poll(&standard_error, 1, SLOW_READER_MS) == 0)
            return;
    }
}

static void say_list(const char *format, va_list arguments)
{
    char sentence[SENTENCE_BYTES];
    int size;

    size = snprintf(sentence, sizeof(sentence) - 1, "pith: ");
    vsnprintf(sentence + size, sizeof(sentence) - 1 - size, format, arguments);
    size = strlen(sentence);
    sentence[size] = '\n';
    write_sentence(sentence, size + 1);
}

void say(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    say_list(format, arguments);
    va_end(arguments);
}

void fail(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    say_list(format, arguments);
    va_end(arguments);
    exit(PITH_FAILED);
}

static void *memory_or_end(void *memory)
{
    if (!memory)
        fail("this machine is out of memory; close something and try again");
    return memory;
}

/* Makes room for `size` bytes more at the end. */
static void buffer_reserve(struct buffer *buffer, size_t size)
{
    size_t offset = buffer->data - buffer->start;

    if (offset + buffer->size + size <= buffer->room)
        return;
    if (buffer->size)
        memmove(buffer->start, buffer->data, buffer->size);
    buffer->data = buffer->start;
    if (buffer->size + size <= buffer->room)
        return;
    buffer->room = 2 * (buffer->size + size);
    if (buffer->room < BUFFER_LEAST)
        buffer->room = BUFFER_LEAST;
    buffer->start = memory_or_end(realloc(buffer->start, buffer->room));
    buffer->data = buffer->start;
}

void buffer_append(struct buffer *buffer, const void *bytes, size_t size)
{
    if (!size)
        return;
    buffer_reserve(buffer, size);
    memcpy(buffer->data + buffer->size, bytes, size);
    buffer->size += size;
}

void buffer_append_zeros(struct buffer *buffer, size_t size)
{
    buffer_reserve(buffer, size);
    memset(buffer->data + buffer->size, 0, size);
    buffer->size += size;
}

void buffer_consume(struct buffer *buffer, size_t size)
{
    buffer->data += size;
    buffer->size -= size;
    if (!buffer->size)
        buffer->data = buffer->start;
}

void buffer_free(struct buffer *buffer)
{
    free(buffer->start);
    *buffer = (struct buffer){0};
}

void strings_add(struct strings *strings, const char *string)
{
    strings->list =
        memory_or_end(realloc(strings->list, (strings->count + 2) * sizeof(*strings->list)));
    strings->list[strings->count++] = string;
    strings->list[strings->count] = NULL;
}

char *text(const char *format, ...)
{
    va_list arguments;
    char *string;
    int size;

    va_start(arguments, format);
    size = vasprintf(&string, format, arguments);
    va_end(arguments);
    return memory_or_end(size < 0 ? NULL : string);
}
