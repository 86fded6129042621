/*
 * What differs in an overlay from the directory below, as records that a privileged program reads
 * from the descriptor that OVERLAY_IOCTL_CHANGES gives on any directory of the overlay.
 *
 *     FILE  17  "/etc/passwd"    flags DATA          a file of the lower differs
 *     FILE  18  "/usr/lib"       flags 0             a directory of it (its names do, perhaps)
 *     NAME  in 18: "libx.so"  is 40, flags OWN       a new file
 *     NAME  in 18: "liby.so"  is 0                   a whiteout: the lower's name is deleted
 *     NAME  in 18: "libz.so"  is 17                  the lower's /etc/passwd moved or was linked
 * here NAME  in 40: ...                               a new directory's names come later
 *
 * Each changed file of the lower gives one FILE with the name in the lower by which it was found.
 * What has no NAME is still where the lower has it, as seen through the lower's directories, which
 * may have moved themselves. The root of the overlay is file 1, with the text "". A file without a
 * FILE record is new.
 *
 * A reader sees what was changed before the descriptor was made; later changes, perhaps.
 */
/* folder: fs */
#pragma once

#include <stdint.h>

#define OVERLAY_IOCTL_CHANGES 0x7010u
#define OVERLAY_ROOT_FILE     1u

enum overlay_record_kind {
    OVERLAY_RECORD_FILE = 1,
    OVERLAY_RECORD_NAME = 2,
};

/* Followed by `text_bytes` of text without a NUL, padded to a multiple of 8. */
struct overlay_record {
    uint32_t kind;
    uint32_t flags;      /* OVERLAY_CHANGED_*; of a NAME's file: OVERLAY_IS_* */
    uint64_t file;       /* its number; 0: a whiteout */
    uint64_t directory;  /* of a NAME: the number of the file that it is in */
    uint32_t text_bytes; /* the name, or the lower's path from the lower's root, "/..." */
    uint32_t reserved;
};
#define OVERLAY_CHANGED_DATA  1u
#define OVERLAY_CHANGED_MODE  2u
#define OVERLAY_CHANGED_OWNER 4u
#define OVERLAY_CHANGED_XATTR 8u
#define OVERLAY_IS_OWN        16u /* the lower has no part in it */
