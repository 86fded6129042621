/* One slab: how it is cut, and that no object is given twice. */
#include "../../kernel/mem/slab.h"

#include "unit.h"

static u8 block[PAGE_SIZE << SLAB_ORDER_MAX] aligned(4096);

static void check_size(size_t size, size_t alignment)
{
    struct slab_layout layout;
    struct slab *slab = (struct slab *)block;
    static void *objects[PAGE_SIZE];
    u32 count = 0;

    slab_layout_init(&layout, size, alignment);
    CHECK(layout.objects > 0 && layout.object_bytes >= size);
    CHECK(layout.first + layout.objects * layout.object_bytes <= PAGE_SIZE << layout.order);
    slab_init_block(slab, &layout);
    while ((objects[count] = slab_take(slab, &layout))) {
        CHECK_EQ((u64)objects[count] % MAX(alignment, (size_t)8), 0);
        CHECK((u8 *)objects[count] >= block + layout.first);
        CHECK(count == 0 || (u8 *)objects[count] - (u8 *)objects[count - 1] >= (long)size);
        count++;
    }
    CHECK_EQ(count, layout.objects);
    CHECK_EQ(slab->used, count);
    for (u32 i = 0; i < count; i++)
        slab_give(slab, objects[i]);
    CHECK_EQ(slab->used, 0);
}

TEST(slab_gives_each_object_once_aligned_and_inside_its_block)
{
    static const size_t sizes[] = {1, 8, 16, 24, 40, 96, 136, 248, 520, 712, 1024, 2048, 3008};

    for (u32 i = 0; i < ARRAY_SIZE(sizes); i++) {
        check_size(sizes[i], 0);
        check_size(sizes[i], 64);
    }
}

TEST(slab_gives_the_object_that_came_back_last)
{
    struct slab_layout layout;
    struct slab *slab = (struct slab *)block;
    void *first, *second;

    slab_layout_init(&layout, 64, 0);
    slab_init_block(slab, &layout);
    first = slab_take(slab, &layout);
    second = slab_take(slab, &layout);
    slab_give(slab, first);
    slab_give(slab, second);
    CHECK(slab_take(slab, &layout) == second);
    CHECK(slab_take(slab, &layout) == first);
}

TEST(slab_layout_wastes_at_most_an_eighth_where_it_can)
{
    for (size_t size = 16; size <= 2048; size += 16) {
        struct slab_layout layout;
        u32 room;

        slab_layout_init(&layout, size, 16);
        room = (PAGE_SIZE << layout.order) - layout.first;
        CHECK(layout.order == SLAB_ORDER_MAX ||
              room - layout.objects * layout.object_bytes <= room / 8);
    }
}
