/*
 * The vDSO in each process: the page of times that the kernel writes, and the code that reads it.
 *
 *     | [vvar] 1 page | [vdso] the image ... |
 *
 * All processes share the same frames, which are never given back: the image is copied into frames
 * once at boot, and the kernel's own struct vdso_data moves into the first. Both regions are
 * read-only for good.
 */
#include "internal.h"

#include <pith/abi/mman.h>
#include <pith/vdso.h>

#define VDSO_PAGES_MAX 4

static struct frame *data_frame;                   /* [const] after boot */
static struct frame *image_frames[VDSO_PAGES_MAX]; /* [const] after boot */
static u64 image_pages;                            /* [const] after boot */

/* One page; a fault behind it is SIGBUS, as behind a file's end. */
static int data_fill(struct region *region, u64 index, unsigned access, struct frame **frame_out)
{
    if (index)
        return -EFAULT;
    frame_get(data_frame);
    *frame_out = data_frame;
    return 0;
}

static int image_fill(struct region *region, u64 index, unsigned access, struct frame **frame_out)
{
    if (index >= image_pages)
        return -EFAULT;
    frame_get(image_frames[index]);
    *frame_out = image_frames[index];
    return 0;
}

/* The frames are nobody's: there is nothing to count. */
static void nothing(struct region *region)
{
}

static const struct pager vdso_data_pager = {
    .name = "[vvar]",
    .fill = data_fill,
    .region_opened = nothing,
    .region_closed = nothing,
};

const struct pager vdso_pager = {
    .name = "[vdso]",
    .fill = image_fill,
    .region_opened = nothing,
    .region_closed = nothing,
};

/* One search for both places together, so that the code finds its data one page before itself. */
int address_space_map_vdso(struct address_space *space, u64 *address_out)
{
    struct map_request request = {
        .bytes = (1 + image_pages) * PAGE_SIZE,
        .flags = REGION_READ | REGION_MAY_READ | REGION_SPECIAL | REGION_NO_DUMP,
        .map_flags = MAP_PRIVATE,
        .pager = &vdso_data_pager,
    };
    u64 data;
    int error = address_space_map(space, &request, &data);

    if (error)
        return error;
    request.address = data + PAGE_SIZE;
    request.bytes = image_pages * PAGE_SIZE;
    request.flags =
        REGION_READ | REGION_EXECUTE | REGION_MAY_READ | REGION_MAY_EXECUTE | REGION_SPECIAL;
    request.map_flags = MAP_PRIVATE | MAP_FIXED;
    request.pager = &vdso_pager;
    return address_space_map(space, &request, address_out);
}

static struct frame *frame_with(const void *content, size_t bytes)
{
    struct frame *frame = frame_alloc(0, FRAME_KERNEL, ALLOC_CLEARED);

    if (!frame)
        panic("no memory for the vDSO");
    memcpy(frame_data(frame), content, bytes);
    return frame;
}

/* The image is copied out of the kernel, which user mode must not see a page of. */
void vdso_init(void)
{
    image_pages = (vdso_image_end - vdso_image) / PAGE_SIZE;
    assert(image_pages <= VDSO_PAGES_MAX);
    for (u64 i = 0; i < image_pages; i++)
        image_frames[i] = frame_with(vdso_image + i * PAGE_SIZE, PAGE_SIZE);
    data_frame = frame_with(vdso_data, sizeof(*vdso_data));
    vdso_data = frame_data(data_frame);
}
