/*
 * The program's root: the host's files below, memory above, and the guest's own /proc, /sys, /dev
 * and /run.
 *
 *     first root (tmpfs)             the program's root
 *     /init                          /            overlay of memory over /host/0
 *     /pith/bin/...       bound to   /pith
 *     /host/0 (virtio-fs)            /proc /sys /dev /dev/pts /dev/shm /run
 *     /host/1 ...         bound to   the path of each share
 *
 * Without files of the host the first root is the program's, with the same mounts.
 */
#include "init.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#define NEW_ROOT   "/root"
#define PATH_BYTES 4352 /* PATH_MAX and a prefix */

/* A file system that every root has. */
struct system_mount {
    const char *path, *type;
    unsigned long flags;
    const char *data;
    bool is_optional; /* a kernel without it still runs programs */
};

static const struct system_mount system_mounts[] = {
    {"/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL, true},
    {"/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL, true},
    {"/dev", "devtmpfs", MS_NOSUID, NULL, false},
    {"/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "gid=5,mode=620,ptmxmode=666", true},
    {"/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777", false},
    {"/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755", false},
};

void mount_devices(void)
{
    mkdir("/dev", 0755);
    if (mount("dev", "/dev", "devtmpfs", MS_NOSUID, NULL) && errno != EBUSY)
        fail("/dev cannot be mounted", NULL, errno);
}

/* Makes the directory and those above it. */
static void make_directories(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(path, 0755);
        *slash = '/';
    }
    mkdir(path, 0755);
}

static void mount_system(const char *root)
{
    char path[PATH_BYTES];

    for (size_t i = 0; i < sizeof(system_mounts) / sizeof(*system_mounts); i++) {
        const struct system_mount *system = &system_mounts[i];

        snprintf(path, sizeof(path), "%s%s", root, system->path);
        make_directories(path);
        if (mount(system->type, path, system->type, system->flags, system->data) &&
            errno != EBUSY && !(system->is_optional && errno == ENODEV))
            fail("cannot mount", system->path, errno);
    }
}

/* Half of the memory, if the description does not say. */
static unsigned long long overlay_limit(const struct description *description)
{
    struct sysinfo info;

    if (description->overlay_bytes)
        return description->overlay_bytes;
    if (sysinfo(&info))
        fail("the size of the memory is not known", NULL, errno);
    return (unsigned long long)info.totalram * info.mem_unit / 2;
}

static void mount_overlay(const struct description *description)
{
    char data[128];

    mkdir(SHARES_DIR, 0755);
    if (mount(HOST_SHARE_TAG, SHARES_DIR, "virtiofs", MS_NOSUID | MS_NODEV, NULL))
        fail("the host's files cannot be mounted (virtio-fs)", NULL, errno);
    snprintf(data, sizeof(data), "lowerdir=" SHARES_DIR "/0,size=%llu", overlay_limit(description));
    mkdir(NEW_ROOT, 0755);
    if (mount("overlay", NEW_ROOT, "overlay", 0, data))
        fail("the program's root cannot be mounted (overlay)", NULL, errno);
}

static void bind_share(const struct run_share *share)
{
    char from[32], to[PATH_BYTES];

    snprintf(from, sizeof(from), SHARES_DIR "/%u", share->share.index);
    snprintf(to, sizeof(to), NEW_ROOT "%s", share->path);
    make_directories(to);
    if (mount(from, to, NULL, MS_BIND, NULL))
        fail("cannot mount the shared directory", share->path, errno);
    if (!(share->share.flags & HOST_SHARE_WRITABLE) &&
        mount(NULL, to, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL))
        fail("cannot protect the shared directory", share->path, errno);
}

static void bind_programs(void)
{
    mkdir(NEW_ROOT GUEST_PROGRAMS, 0755);
    if (mount(GUEST_PROGRAMS, NEW_ROOT GUEST_PROGRAMS, NULL, MS_BIND, NULL))
        fail("cannot mount", GUEST_PROGRAMS, errno);
}

int mount_root(const struct description *description)
{
    int lower_fd = -1;

    if (!description->share_count) {
        mount_system("");
        return -1;
    }
    mount_overlay(description);
    if (description->report)
        lower_fd = open_above_streams(SHARES_DIR "/0", O_PATH | O_DIRECTORY);
    mount_system(NEW_ROOT);
    bind_programs();
    for (size_t i = 1; i < description->share_count; i++)
        bind_share(&description->shares[i]);
    /* As switch_root(8) does: the first root of a machine cannot be pivoted. */
    if (chdir(NEW_ROOT) || mount(".", "/", NULL, MS_MOVE, NULL) || chroot(".") || chdir("/"))
        fail("cannot change to the program's root", NULL, errno);
    return lower_fd;
}
