/*
 * What fs/ asks of processes, which stand above it: proc/ registers the answers (fs.h has their
 * contracts). Before that, and in a kernel thread, there is nobody to signal and no limit.
 */
#include <pith/fs.h>

#include "file_owner.h"
#include "inode_internal.h"
#include "pipe.h"

static struct fs_process_hooks hooks; /* [const] after boot */

void fs_process_hooks_register(const struct fs_process_hooks *given)
{
    hooks = *given;
}

void fs_signal_current(int signal)
{
    if (hooks.signal_send_current)
        hooks.signal_send_current(signal);
}

int fs_process_id(void)
{
    return hooks.process_id ? hooks.process_id() : 0;
}

void fs_signal_target(const struct signal_target *target, u32 band)
{
    if (target->id)
        hooks.signal_send_target(target, band);
}

bool fs_signal_target_exists(u32 type, s32 id)
{
    return hooks.signal_target_exists(type, id);
}

u64 fs_file_size_limit(void)
{
    const struct thread *thread = thread_current();

    return thread->space ? READ_ONCE(thread->limits_file_size) : U64_MAX;
}
