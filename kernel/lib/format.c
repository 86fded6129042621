/*
 * Formatted text: printf's formats without floating point.
 *
 *     %[-0+ #][width|*][.precision|.*][hh|h|l|ll|z|j|t]{d i u x X o c s p %}
 *
 * A `struct output` counts what the text would take and stores what fits, so no conversion knows
 * the buffer's size, and a caller who asks with size 0 learns how much is needed. %p prints 0x and
 * hexadecimal digits. A character after % that is none of these is printed as it stands: a wrong
 * format shows itself and harms nobody.
 *
 * Context: any, panics and NMIs too: uses the stack alone.
 */
#include <pith/string.h>

struct output {
    char *buffer;
    size_t size;
    size_t length; /* of the whole text so far */
};

struct conversion {
    bool left, zero, plus, space, alternate;
    int width;
    int precision; /* -1: none given */
    int length;    /* -2: hh, -1: h, 0: int, 1: long and all else of 64 bits */
};

#define DIGITS_MAX 22 /* of a u64 in octal */

static void put(struct output *output, char character)
{
    if (output->length + 1 < output->size)
        output->buffer[output->length] = character;
    output->length++;
}

static void put_many(struct output *output, char character, int count)
{
    for (; count > 0; count--)
        put(output, character);
}

static void put_text(struct output *output, const char *text, const struct conversion *conversion)
{
    size_t length;

    if (!text)
        text = "(null)";
    length = conversion->precision < 0 ? strlen(text) : strnlen(text, conversion->precision);
    if (!conversion->left)
        put_many(output, ' ', conversion->width - (int)length);
    for (size_t i = 0; i < length; i++)
        put(output, text[i]);
    if (conversion->left)
        put_many(output, ' ', conversion->width - (int)length);
}

/* `prefix` is a sign or a base; zeroes that pad to the width stand after it. */
static void put_number(struct output *output, u64 value, unsigned base, const char *digits,
                       const char *prefix, const struct conversion *conversion)
{
    char reversed[DIGITS_MAX];
    int count = 0, zeroes = 0, spaces;

    while (value) {
        reversed[count++] = digits[value % base];
        value /= base;
    }
    if (count == 0 && conversion->precision != 0)
        reversed[count++] = '0';
    spaces = conversion->width - (int)strlen(prefix);
    if (conversion->precision >= 0)
        zeroes = conversion->precision - count;
    else if (conversion->zero && !conversion->left)
        zeroes = spaces - count;
    zeroes = MAX(zeroes, 0);
    spaces -= zeroes + count;
    if (!conversion->left)
        put_many(output, ' ', spaces);
    for (; *prefix; prefix++)
        put(output, *prefix);
    put_many(output, '0', zeroes);
    while (count)
        put(output, reversed[--count]);
    if (conversion->left)
        put_many(output, ' ', spaces);
}

static void put_signed(struct output *output, s64 value, const struct conversion *conversion)
{
    const char *sign = value < 0 ? "-" : conversion->plus ? "+" : conversion->space ? " " : "";

    put_number(output, value < 0 ? -(u64)value : (u64)value, 10, "0123456789", sign, conversion);
}

static void put_unsigned(struct output *output, u64 value, char kind,
                         const struct conversion *conversion)
{
    bool prefixed = conversion->alternate && value;

    if (kind == 'x')
        put_number(output, value, 16, "0123456789abcdef", prefixed ? "0x" : "", conversion);
    else if (kind == 'X')
        put_number(output, value, 16, "0123456789ABCDEF", prefixed ? "0X" : "", conversion);
    else if (kind == 'o')
        put_number(output, value, 8, "01234567", prefixed ? "0" : "", conversion);
    else
        put_number(output, value, 10, "0123456789", "", conversion);
}

/* Each parse_ function returns where the format goes on. */
static const char *parse_flags(const char *format, struct conversion *conversion)
{
    for (;; format++) {
        switch (*format) {
        case '-':
            conversion->left = true;
            break;
        case '0':
            conversion->zero = true;
            break;
        case '+':
            conversion->plus = true;
            break;
        case ' ':
            conversion->space = true;
            break;
        case '#':
            conversion->alternate = true;
            break;
        default:
            return format;
        }
    }
}

static const char *parse_count(const char *format, int *count, va_list *arguments)
{
    if (*format == '*') {
        *count = va_arg(*arguments, int);
        return format + 1;
    }
    *count = 0;
    for (; *format >= '0' && *format <= '9'; format++)
        *count = *count * 10 + (*format - '0');
    return format;
}

static const char *parse_length(const char *format, int *length)
{
    for (;; format++) {
        if (*format == 'h')
            (*length)--;
        else if (*format == 'l' || *format == 'z' || *format == 'j' || *format == 't')
            *length = 1;
        else
            return format;
    }
}

/*
 * Smaller types come as int (C 6.5.2.2, the default promotions), and are cut back to what was
 * meant.
 */
static s64 signed_argument(va_list *arguments, int length)
{
    if (length == 1)
        return va_arg(*arguments, s64);
    int value = va_arg(*arguments, int);

    return length == 0 ? value : length == -1 ? (s16)value : (s8)value;
}

static u64 unsigned_argument(va_list *arguments, int length)
{
    if (length == 1)
        return va_arg(*arguments, u64);
    u32 value = va_arg(*arguments, u32);

    return length == 0 ? value : length == -1 ? (u16)value : (u8)value;
}

static void put_conversion(struct output *output, char kind, struct conversion *conversion,
                           va_list *arguments)
{
    char character[2] = {kind, '\0'};

    switch (kind) {
    case 'd':
    case 'i':
        put_signed(output, signed_argument(arguments, conversion->length), conversion);
        return;
    case 'u':
    case 'x':
    case 'X':
    case 'o':
        put_unsigned(output, unsigned_argument(arguments, conversion->length), kind, conversion);
        return;
    case 'p':
        put_number(output, (u64)va_arg(*arguments, void *), 16, "0123456789abcdef", "0x",
                   conversion);
        return;
    case 's':
        put_text(output, va_arg(*arguments, const char *), conversion);
        return;
    case 'c':
        character[0] = (char)va_arg(*arguments, int);
        put_many(output, ' ', conversion->left ? 0 : conversion->width - 1);
        put(output, character[0]);
        put_many(output, ' ', conversion->left ? conversion->width - 1 : 0);
        return;
    default:
        put_text(output, character, conversion);
    }
}

/* Formats the conversion that stands after a %, and returns where the text goes on. */
static const char *format_one(struct output *output, const char *format, va_list *arguments)
{
    struct conversion conversion = {.precision = -1};

    format = parse_flags(format, &conversion);
    format = parse_count(format, &conversion.width, arguments);
    if (conversion.width < 0) {
        conversion.left = true;
        conversion.width = -conversion.width;
    }
    if (*format == '.')
        format = parse_count(format + 1, &conversion.precision, arguments);
    format = parse_length(format, &conversion.length);
    if (!*format)
        return format;
    put_conversion(output, *format, &conversion, arguments);
    return format + 1;
}

int format_text_list(char *buffer, size_t size, const char *format, va_list arguments)
{
    struct output output = {.buffer = buffer, .size = size};
    va_list list;

    va_copy(list, arguments);
    while (*format) {
        char character = *format++;

        if (character == '%')
            format = format_one(&output, format, &list);
        else
            put(&output, character);
    }
    va_end(list);
    if (size)
        buffer[MIN(output.length, size - 1)] = '\0';
    return (int)output.length;
}

int format_text(char *buffer, size_t size, const char *format, ...)
{
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = format_text_list(buffer, size, format, arguments);
    va_end(arguments);
    return length;
}

int format_text_clipped(char *buffer, size_t size, const char *format, ...)
{
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = format_text_list(buffer, size, format, arguments);
    va_end(arguments);
    return size == 0 ? 0 : MIN(length, (int)size - 1);
}
