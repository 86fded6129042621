/*
 * The page that the kernel shares with every process so that it can tell the time without a call
 * (vdso(7)). The kernel writes it; the code of arch/x86_64/vdso reads it from user mode.
 *
 *     | data page | vDSO image ...        both read-only in user mode, the image executable
 *
 * A reader takes `sequence`, then the rest, then `sequence` again: if it was odd or has changed, a
 * write was under way, and it starts again.
 */
/* folder: arch */
#pragma once

#include <pith/types.h>

struct vdso_data {
    u32 sequence;           /* [atomic] odd: a write is under way */
    u32 has_rdtscp;         /* RDTSCP says on which CPU we are */
    u64 clock_scale;        /* ns a TSC tick, times 2^32; 0: use the system call */
    u64 realtime_offset_ns; /* realtime - monotonic */
};

#ifdef __PITH_KERNEL__
/* At first in the kernel's image; vm/ gives it a page of its own before there are processes. */
extern struct vdso_data *vdso_data;
/* The image as it is mapped into processes: whole pages, in the kernel's image. */
extern const char vdso_image[], vdso_image_end[];
#endif
