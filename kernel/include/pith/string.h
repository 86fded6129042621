/* String, memory and formatting functions with no kernel state (lib/string.c, lib/format.c). */
#pragma once

#include <pith/compiler.h>
#include <stdarg.h>

void *memcpy(void *to, const void *from, size_t bytes);
void *memmove(void *to, const void *from, size_t bytes);
void *memset(void *at, int value, size_t bytes);
int memcmp(const void *a, const void *b, size_t bytes);
void *memchr(const void *at, int value, size_t bytes);
size_t strlen(const char *text);
size_t strnlen(const char *text, size_t most);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t most);
char *strchr(const char *text, int character);
char *strrchr(const char *text, int character);
char *strstr(const char *text, const char *part);
/* Copies what fits and always ends it. Returns the length, or -E2BIG if it was cut. */
ssize_t string_copy(char *to, const char *from, size_t size);
/* Parses all of `text`: decimal, or hexadecimal after 0x. -EINVAL, -ERANGE. */
int string_to_u64(const char *text, u64 *value_out) must_check;

/*
 * printf's formats without floating point. Return the length that the whole text has; at most
 * size - 1 characters are written, and a NUL.
 */
int format_text(char *buffer, size_t size, const char *format, ...) printf_like(3, 4);
int format_text_list(char *buffer, size_t size, const char *format, va_list arguments);
/* The same, but returns what was written (for building up a text piece by piece). */
int format_text_clipped(char *buffer, size_t size, const char *format, ...) printf_like(3, 4);
