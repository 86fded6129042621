/*
 * Whom /proc shows: its mount options hidepid and gid (proc(5)).
 *
 *     hidepid      of a process that the caller may not look into     what of it is used
 *     noaccess     the name is seen                                   EPERM
 *     invisible    it has no name                                     ENOENT
 *     ptraceable   it has no name, also for who is of the group gid   EPERM
 *
 * Names are looked at anew by each walk: that of the process, and those in its directory, for a
 * walk may begin there, in a directory that was opened before.
 *
 * There is one tree, however often it is mounted: the options are its, as before Linux 5.8.
 *
 * Locking: none: two numbers, each [atomic]; who changes both at once asks for no moment.
 */
#include "procfs.h"

enum {
    SHOW_ALL = 0,
    HIDE_CONTENT = 1,
    HIDE_FORBIDDEN = 2,
    HIDE_UNTRACEABLE = 4,
};

struct visibility {
    u32 level, gid;
};

static struct visibility visibility; /* [atomic] */

static const struct {
    const char *name;
    u32 level;
} levels[] = {
    {"off", SHOW_ALL},
    {"noaccess", HIDE_CONTENT},
    {"invisible", HIDE_FORBIDDEN},
    {"0", SHOW_ALL},
    {"1", HIDE_CONTENT},
    {"2", HIDE_FORBIDDEN},
    {"4", HIDE_UNTRACEABLE},
    {"ptraceable", HIDE_UNTRACEABLE},
};

static int level_parse(const char *value, u32 *level_out)
{
    for (size_t i = 0; i < ARRAY_SIZE(levels); i++) {
        if (strcmp(value, levels[i].name) == 0) {
            *level_out = levels[i].level;
            return 0;
        }
    }
    return -EINVAL;
}

static int gid_parse(const char *value, u32 *gid_out)
{
    u64 gid;

    if (string_to_u64(value, &gid) || gid > U32_MAX)
        return -EINVAL;
    *gid_out = (u32)gid;
    return 0;
}

/* One of them, up to a comma or the end. */
static int option_parse(const char *option, size_t bytes, struct visibility *wanted)
{
    char text[24];

    if (bytes >= sizeof(text))
        return -EINVAL;
    memcpy(text, option, bytes);
    text[bytes] = '\0';
    if (strncmp(text, "hidepid=", 8) == 0)
        return level_parse(text + 8, &wanted->level);
    if (strncmp(text, "gid=", 4) == 0)
        return gid_parse(text + 4, &wanted->gid);
    return -EINVAL;
}

int proc_options_set(const char *options)
{
    struct visibility wanted = {READ_ONCE(visibility.level), READ_ONCE(visibility.gid)};

    while (options && *options) {
        const char *comma = strchr(options, ',');
        size_t bytes = comma ? (size_t)(comma - options) : strlen(options);
        int error = option_parse(options, bytes, &wanted);

        if (error)
            return error;
        options += bytes + (comma ? 1 : 0);
    }
    WRITE_ONCE(visibility.level, wanted.level);
    WRITE_ONCE(visibility.gid, wanted.gid);
    return 0;
}

void proc_options_show(char *buffer, size_t size)
{
    u32 level = READ_ONCE(visibility.level), gid = READ_ONCE(visibility.gid);
    int used = 0;

    buffer[0] = '\0';
    if (gid)
        used = format_text_clipped(buffer, size, ",gid=%u", gid);
    if (level)
        format_text_clipped(buffer + used, size - (size_t)used, ",hidepid=%s",
                            level == HIDE_CONTENT     ? "noaccess"
                            : level == HIDE_FORBIDDEN ? "invisible"
                                                      : "ptraceable");
}

bool proc_hides(void)
{
    return READ_ONCE(visibility.level) > HIDE_CONTENT;
}

static bool level_permits(u32 level, const struct proc_directory *directory, void *object)
{
    if (level == SHOW_ALL || !directory || !directory->permits)
        return true;
    if (level != HIDE_UNTRACEABLE &&
        credentials_have_group(thread_current()->credentials, READ_ONCE(visibility.gid)))
        return true;
    return directory->permits(object);
}

bool proc_shows(const struct proc_directory *directory, void *object)
{
    u32 level = READ_ONCE(visibility.level);

    return level == HIDE_CONTENT || level_permits(level, directory, object);
}

int proc_enter(const struct proc_directory *directory, void *object)
{
    u32 level = READ_ONCE(visibility.level);

    if (level_permits(level, directory, object))
        return 0;
    return level == HIDE_FORBIDDEN ? -ENOENT : -EPERM;
}
