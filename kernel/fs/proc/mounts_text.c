/*
 * /proc's text about mounts and file systems (proc(5): /proc/PID/mounts, mountinfo).
 *
 * A text is made with the mount tree held still (mounts_visit), so it shows one moment. Only what
 * lies below the calling thread's root is shown, by the names that it has from there.
 */
#include "procfs.h"

#include "../file_system.h"
#include "../mount.h"

#define OPTIONS_BYTES 256

static const struct {
    u32 flag;
    const char *text;
} flag_names[] = {
    {MS_NOSUID, ",nosuid"},   {MS_NODEV, ",nodev"},           {MS_NOEXEC, ",noexec"},
    {MS_NOATIME, ",noatime"}, {MS_NODIRATIME, ",nodiratime"}, {MS_NOSYMFOLLOW, ",nosymfollow"},
};

static void print_flags(struct text_sink *sink, u32 flags)
{
    text_print(sink, "%s", flags & MS_RDONLY ? "ro" : "rw");
    for (size_t i = 0; i < ARRAY_SIZE(flag_names); i++)
        if (flags & flag_names[i].flag)
            text_print(sink, "%s", flag_names[i].text);
    if (!(flags & (MS_NOATIME | MS_STRICTATIME)))
        text_print(sink, ",relatime");
}

/* Blanks and the like as \ooo, so that fields stay apart (fstab(5)). */
static void print_escaped(struct text_sink *sink, const char *text)
{
    for (; *text; text++) {
        if (*text == ' ' || *text == '\t' || *text == '\n' || *text == '\\')
            text_print(sink, "\\%03o", (unsigned)(u8)*text);
        else
            text_bytes(sink, text, 1);
    }
}

/* The name of a path, or NULL if it cannot be seen from the caller's root. To be freed: *buffer. */
static const char *visible_name(const struct path *path, char *buffer)
{
    char *name;

    if (path_name(path, buffer, PATH_MAX_BYTES, &name) || *name != '/')
        return NULL;
    return name;
}

static void print_options(struct text_sink *sink, const struct mount *mount)
{
    const struct file_system_operations *operations = mount->file_system->operations;
    char options[OPTIONS_BYTES];

    if (!operations->show_options)
        return;
    options[0] = '\0';
    operations->show_options(mount->file_system, options, sizeof(options));
    text_print(sink, "%s", options);
}

struct mounts_text {
    struct text_sink *sink;
    char *buffer;
};

static int print_mount(const struct mount *mount, void *argument)
{
    const struct path place = {(struct mount *)mount, mount->root};
    struct mounts_text *text = argument;
    const char *name = visible_name(&place, text->buffer);

    if (!name)
        return 0;
    print_escaped(text->sink, mount->source);
    text_print(text->sink, " ");
    print_escaped(text->sink, name);
    text_print(text->sink, " %s ", mount->file_system->type->name);
    print_flags(text->sink, mount->flags | (mount->file_system->flags & MS_RDONLY));
    print_options(text->sink, mount);
    text_print(text->sink, " 0 0\n");
    return 0;
}

/* The mount's root within its file system: "/", or a bind mount's directory. */
static void print_root(struct text_sink *sink, const struct dentry *dentry, char *buffer)
{
    char *at = buffer + PATH_MAX_BYTES - 1;

    *at = '\0';
    spin_lock(&dentry_lock);
    for (; !dentry_is_root(dentry); dentry = dentry->parent) {
        if (at - buffer <= dentry->name_bytes)
            break;
        at -= dentry->name_bytes;
        memcpy(at, dentry->name, dentry->name_bytes);
        *--at = '/';
    }
    spin_unlock(&dentry_lock);
    print_escaped(sink, *at ? at : "/");
}

static int print_mountinfo(const struct mount *mount, void *argument)
{
    const struct path place = {(struct mount *)mount, mount->root};
    const struct file_system *file_system = mount->file_system;
    struct mounts_text *text = argument;

    if (!visible_name(&place, text->buffer))
        return 0;
    text_print(text->sink, "%u %u %u:%u ", mount->id, mount->parent ? mount->parent->id : mount->id,
               DEVICE_MAJOR(file_system->device), DEVICE_MINOR(file_system->device));
    print_root(text->sink, mount->root, text->buffer);
    text_print(text->sink, " ");
    print_escaped(text->sink, visible_name(&place, text->buffer));
    text_print(text->sink, " ");
    print_flags(text->sink, mount->flags);
    text_print(text->sink, "%s - %s ", mount->flags & MS_UNBINDABLE ? " unbindable" : "",
               file_system->type->name);
    print_escaped(text->sink, mount->source);
    text_print(text->sink, " %s", file_system->flags & MS_RDONLY ? "ro" : "rw");
    print_options(text->sink, mount);
    text_print(text->sink, "\n");
    return 0;
}

static int print_mountstats(const struct mount *mount, void *argument)
{
    const struct path place = {(struct mount *)mount, mount->root};
    struct mounts_text *text = argument;
    const char *name = visible_name(&place, text->buffer);

    if (!name)
        return 0;
    text_print(text->sink, "device ");
    print_escaped(text->sink, mount->source);
    text_print(text->sink, " mounted on ");
    print_escaped(text->sink, name);
    text_print(text->sink, " with fstype %s\n", mount->file_system->type->name);
    return 0;
}

static int mounts_print(struct text_sink *sink,
                        int (*print)(const struct mount *mount, void *argument))
{
    struct mounts_text text = {.sink = sink, .buffer = name_buffer_alloc()};
    int error;

    if (!text.buffer)
        return -ENOMEM;
    error = mounts_visit(print, &text);
    name_free(text.buffer);
    return error;
}

int proc_show_mounts(struct text_sink *sink, void *object)
{
    return mounts_print(sink, print_mount);
}

int proc_show_mountinfo(struct text_sink *sink, void *object)
{
    return mounts_print(sink, print_mountinfo);
}

int proc_show_mountstats(struct text_sink *sink, void *object)
{
    return mounts_print(sink, print_mountstats);
}

static int show_file_systems(struct text_sink *sink, void *object)
{
    file_system_types_print(sink);
    return 0;
}

static ssize_t read_mounts_link(void *object, u64 key, char *buffer, size_t size)
{
    static const char target[] = "self/mounts";

    memcpy(buffer, target, MIN(sizeof(target) - 1, size));
    return (ssize_t)MIN(sizeof(target) - 1, size);
}

static const struct proc_entry mounts_link = {
    .name = "mounts", .mode = S_IFLNK | 0777, .readlink = read_mounts_link};

void mounts_text_init(void)
{
    if (proc_register("filesystems", 0444, show_file_systems, NULL) ||
        proc_register_entry("", &mounts_link, NULL))
        panic("no memory for the names in /proc");
}
