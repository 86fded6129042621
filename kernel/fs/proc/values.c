/*
 * /proc's files about what fs/ and core/ know: random numbers, open files, limits of inotify.
 *
 * Values are in tables: a name with the function that shows it, or with the text that is always so.
 */
#include <pith/event_files.h>

#include "../device.h"
#include "../locks.h"
#include "../notify.h"
#include "procfs.h"

/* Version 4, variant 1 (RFC 9562 5.4). */
static void uuid_make(u8 uuid[16])
{
    random_bytes(uuid, 16);
    uuid[6] = (uuid[6] & 0x0f) | 0x40;
    uuid[8] = (uuid[8] & 0x3f) | 0x80;
}

static void uuid_print(struct text_sink *sink, const u8 uuid[16])
{
    for (u32 i = 0; i < 16; i++)
        text_print(sink, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x",
                   (unsigned)uuid[i]);
    text_print(sink, "\n");
}

static u8 boot_id[16]; /* [const] after boot */

static int show_boot_id(struct text_sink *sink, void *argument)
{
    uuid_print(sink, boot_id);
    return 0;
}

static int show_uuid(struct text_sink *sink, void *argument)
{
    u8 uuid[16];

    uuid_make(uuid);
    uuid_print(sink, uuid);
    return 0;
}

static int show_text(struct text_sink *sink, void *argument)
{
    text_print(sink, "%s\n", (const char *)argument);
    return 0;
}

static int show_command_line(struct text_sink *sink, void *argument)
{
    const char *word = boot_info.command_line;
    const char *blank = "";

    while (*word) {
        size_t length = 0;

        while (word[length] && word[length] != ' ')
            length++;
        /* What the random numbers began with is nobody's business. */
        if (length && strncmp(word, "seed=", 5) != 0) {
            text_print(sink, "%s", blank);
            text_bytes(sink, word, length);
            blank = " ";
        }
        word += length;
        while (*word == ' ')
            word++;
    }
    text_print(sink, "\n");
    return 0;
}

/* SAN=1: the writer's n-th allocation from here on fails (mem/allocation_failure.c). */
static int store_fail_allocation(void *object, const char *text, size_t bytes)
{
    u64 n = 0;

    if (!SAN)
        return -EOPNOTSUPP;
    for (; *text >= '0' && *text <= '9'; text++)
        n = n * 10 + (u64)(*text - '0');
    allocation_fail_nth(n);
    return 0;
}

static const struct proc_entry fail_allocation = {
    .name = "fail_allocation", .mode = S_IFREG | 0200, .store = store_fail_allocation};

/* ---- Numbers that root may change ---- */

static const struct proc_setting inotify_settings[] = {
    {"max_user_instances", &inotify_limits.instances, 0, INT32_MAX},
    {"max_user_watches", &inotify_limits.watches, 0, INT32_MAX},
    {"max_queued_events", &inotify_limits.events, 0, INT32_MAX},
};

static const struct proc_setting dnotify_setting = {"dir-notify-enable", &dnotify_is_on, 0,
                                                    INT32_MAX};

static const struct {
    const char *name;
    int (*show)(struct text_sink *sink, void *argument);
    const char *text;
} values[] = {
    {"locks", file_locks_show, NULL},
    {"devices", devices_show, NULL},
    {"cmdline", show_command_line, NULL},
    {"execdomains", show_text, "0-0\tLinux           \t[kernel]"},
    {"tty/drivers", show_text,
     "/dev/tty             /dev/tty        5       0 system:/dev/tty\n"
     "/dev/console         /dev/console    5       1 system:console\n"
     "/dev/ptmx            /dev/ptmx       5       2 system\n"
     "pty_slave            /dev/pts      136 0-1023 pty:slave"},
    {"tty/ldiscs", show_text, "n_tty       0"},
    {"sys/kernel/random/boot_id", show_boot_id, NULL},
    {"sys/kernel/random/uuid", show_uuid, NULL},
    {"sys/kernel/random/entropy_avail", show_text, "256"},
    {"sys/kernel/random/poolsize", show_text, "256"},
    {"sys/fs/aio-max-nr", show_text, "65536"},
    {"sys/fs/file-max", show_text, "9223372036854775807"},
    {"sys/fs/protected_symlinks", show_text, "0"},
    {"sys/fs/protected_hardlinks", show_text, "0"},
};

void proc_values_init(void)
{
    uuid_make(boot_id);
    for (size_t i = 0; i < ARRAY_SIZE(values); i++)
        if (proc_register(values[i].name, 0444, values[i].show, (void *)values[i].text))
            panic("no memory for the names in /proc");
    for (size_t i = 0; i < ARRAY_SIZE(inotify_settings); i++)
        if (proc_register_setting("sys/fs/inotify", &inotify_settings[i]))
            panic("no memory for the names in /proc");
    if (proc_register_setting("sys/fs", &dnotify_setting) ||
        proc_register_entry("sys/vm", &fail_allocation, NULL))
        panic("no memory for the names in /proc");
}
