/*
 * /sys/kernel/mm/transparent_hugepage: which memory gets 2 MiB pages (vm/large.c). The setting
 * holds for the faults that come; pages that are there stay as they are.
 */
#include "proc_files.h"

#define FOLDER "kernel/mm/transparent_hugepage"

static const char *const mode_names[] = {
    [LARGE_PAGES_ALWAYS] = "always",
    [LARGE_PAGES_ADVISED] = "madvise",
    [LARGE_PAGES_NEVER] = "never",
};

static int show_enabled(struct text_sink *sink, void *object)
{
    s64 mode = READ_ONCE(large_pages_mode);

    for (s64 i = 0; i < (s64)ARRAY_SIZE(mode_names); i++)
        text_print(sink, i == mode ? "%s[%s]" : "%s%s", i ? " " : "", mode_names[i]);
    text_print(sink, "\n");
    return 0;
}

static int store_enabled(void *object, const char *text, size_t bytes)
{
    for (s64 i = 0; i < (s64)ARRAY_SIZE(mode_names); i++) {
        size_t length = strlen(mode_names[i]);

        if (bytes < length || memcmp(text, mode_names[i], length) != 0 ||
            (text[length] != '\0' && text[length] != '\n'))
            continue;
        WRITE_ONCE(large_pages_mode, i);
        return 0;
    }
    return -EINVAL;
}

static int show_size(struct text_sink *sink, void *object)
{
    text_print(sink, "%lu\n", table_entry_bytes(2));
    return 0;
}

static const struct proc_entry entries[] = {
    {.name = "enabled", .mode = S_IFREG | 0644, .show = show_enabled, .store = store_enabled},
    {.name = "hpage_pmd_size", .mode = S_IFREG | 0444, .show = show_size},
};

void sys_large_pages_init(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(entries); i++)
        if (sys_register_entry(FOLDER, &entries[i]))
            log_warning("/sys/" FOLDER "/%s could not be made", entries[i].name);
}
