/*
 * Who calls: the ids that the program gets (the caller's, or those of --user) and the limits.
 *
 * Ids are the host's. A user that the host knows brings its groups along; a number that it does
 * not know has none but that of the same number.
 */
#include "pith.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define GROUPS_MOST 65536 /* NGROUPS_MAX of Linux */

void caller_take(struct run_options *options)
{
    int count = getgroups(0, NULL);

    options->uid = geteuid();
    options->gid = getegid();
    options->groups = calloc(count > 0 ? count : 1, sizeof(gid_t));
    if (!options->groups)
        fail("this machine is out of memory");
    count = getgroups(count > 0 ? count : 0, options->groups);
    options->group_count = count > 0 ? count : 0;
}

/* As far as this process may: without limit, else to the hard one. */
static void lift_limit(int resource, const struct rlimit *limit)
{
    struct rlimit lifted = {RLIM_INFINITY, RLIM_INFINITY};

    if (resource == RLIMIT_CORE)
        lifted = (struct rlimit){0, limit->rlim_max}; /* no core file of ours may stay behind */
    if (setrlimit(resource, &lifted) == 0)
        return;
    lifted = (struct rlimit){limit->rlim_max, limit->rlim_max};
    setrlimit(resource, &lifted);
}

void caller_take_limits(struct rlimit limits[CALLER_LIMITS])
{
    for (int i = 0; i < CALLER_LIMITS; i++) {
        if (getrlimit(i, &limits[i]))
            limits[i] = (struct rlimit){RLIM_INFINITY, RLIM_INFINITY};
        lift_limit(i, &limits[i]);
    }
}

/* A number, or -EINVAL. The last one, which means "none" to chown(2), is no id. */
static int parse_id(const char *word, unsigned *id_out)
{
    unsigned long id;
    char *end;

    errno = 0;
    id = strtoul(word, &end, 10);
    if (*word < '0' || *word > '9' || *end || errno || id >= UINT32_MAX)
        return -EINVAL;
    *id_out = id;
    return 0;
}

static void take_groups_of(struct run_options *options, const struct passwd *user)
{
    int count = GROUPS_MOST;
    gid_t *groups = calloc(count, sizeof(gid_t));

    if (!groups)
        fail("this machine is out of memory");
    if (getgrouplist(user->pw_name, user->pw_gid, groups, &count) < 0)
        count = 0;
    free(options->groups);
    options->groups = groups;
    options->group_count = count;
}

int caller_set_user(struct run_options *options, const char *user)
{
    char *name = text("%.*s", (int)strcspn(user, ":"), user);
    const char *colon = strchr(user, ':');
    struct passwd *known;
    struct group *group;
    int status = 0;

    known = parse_id(name, &options->uid) ? getpwnam(name) : getpwuid(options->uid);
    if (known)
        options->uid = known->pw_uid;
    else if (parse_id(name, &options->uid))
        status = PITH_USAGE;
    free(name);
    options->gid = known ? known->pw_gid : options->uid;
    options->group_count = 0;
    if (!colon) {
        if (known)
            take_groups_of(options, known);
    } else if (parse_id(colon + 1, &options->gid)) {
        group = getgrnam(colon + 1);
        if (group)
            options->gid = group->gr_gid;
        else
            status = PITH_USAGE;
    }
    return status;
}
