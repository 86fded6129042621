/*
 * Settings: numbers that files of /proc/sys show and change (proc(5)).
 *
 * A setting is one word with bounds. Whoever uses it reads it as it is, so that a change counts
 * from the next look on; what needs more than that is an entry of its own. A write is one decimal
 * number, with blanks around it; anything else, and what lies outside the bounds, is EINVAL.
 */
#include "procfs.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n';
}

int proc_parse_number(const char *text, s64 *value_out)
{
    bool negative = false;
    s64 value = 0;

    while (is_blank(*text))
        text++;
    if (*text == '-' || *text == '+')
        negative = *text++ == '-';
    if (*text < '0' || *text > '9')
        return -EINVAL;
    for (; *text >= '0' && *text <= '9'; text++)
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, *text - '0', &value))
            return -EINVAL;
    while (is_blank(*text))
        text++;
    if (*text)
        return -EINVAL;
    *value_out = negative ? -value : value;
    return 0;
}

static int setting_show(struct text_sink *sink, void *object)
{
    const struct proc_setting *setting = object;

    text_print(sink, "%ld\n", READ_ONCE(*setting->value));
    return 0;
}

static int setting_store(void *object, const char *text, size_t bytes)
{
    const struct proc_setting *setting = object;
    s64 value;
    int error = proc_parse_number(text, &value);

    if (error)
        return error;
    if (value < setting->lowest || value > setting->highest)
        return -EINVAL;
    WRITE_ONCE(*setting->value, value);
    return 0;
}

int proc_register_setting(const char *folder, const struct proc_setting *setting)
{
    struct proc_entry *entry = kmalloc(sizeof(*entry), ALLOC_CLEARED);
    int error = -ENOMEM;

    if (!entry)
        return error;
    entry->name = setting->name;
    entry->mode = S_IFREG | 0644;
    entry->show = setting_show;
    entry->store = setting_store;
    error = proc_register_entry(folder, entry, (void *)setting);
    if (error)
        kfree(entry);
    return error;
}
