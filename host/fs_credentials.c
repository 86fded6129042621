/*
 * Whose the new files are. A server that runs as root makes a file as the user who asked for it, by
 * the thread's file-system ids; any other server can only make files of its own user's.
 *
 * The guest's kernel has already decided that its user may; here the user's groups are not known.
 * So the right to write to the directory (CAP_DAC_OVERRIDE), which the kernel takes away together
 * with the root id, is taken back for the moment, and the other rights are not: a set-group-id bit
 * is judged by the user's own group.
 */
#include <errno.h>
#include <linux/capability.h>
#include <sys/fsuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fs_private.h"

#define NO_ID UINT32_MAX /* setfsuid(2) with an id that is none changes nothing and tells */

static int capability_raise(unsigned capability)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

    if (syscall(SYS_capget, &header, data))
        return -errno;
    data[0].effective |= BIT(capability) & data[0].permitted;
    return syscall(SYS_capset, &header, data) ? -errno : 0;
}

/* Until fs_credentials_return, what is made belongs to the request's user. */
int fs_credentials_take(const struct fs_server *server, const struct fs_request *request)
{
    u32 uid = request->header.uid, gid = request->header.gid;

    if (!server->is_superuser || (uid == 0 && gid == 0))
        return 0;
    setfsgid(gid);
    setfsuid(uid);
    if ((u32)setfsgid(NO_ID) == gid && (u32)setfsuid(NO_ID) == uid &&
        capability_raise(CAP_DAC_OVERRIDE) == 0)
        return 0;
    fs_credentials_return(server);
    return -EPERM;
}

void fs_credentials_return(const struct fs_server *server)
{
    int saved = errno; /* of the call that was made as somebody else */

    if (server->is_superuser) {
        setfsuid(0);
        setfsgid(0);
    }
    errno = saved;
}
