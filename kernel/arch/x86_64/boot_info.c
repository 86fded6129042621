/*
 * What the loader said about the machine, and what of its memory nobody has taken yet.
 *
 * Two loaders start us: by PVH (pvh.c), as QEMU does, and by Multiboot2 (multiboot2.c), as GRUB
 * does from a disk or a CD. boot.S leaves the loader's mark and the address of its information;
 * the reader of that protocol hands over memory, initramfs, command line and ACPI root by the
 * functions here, and nothing after that knows which loader it was.
 *
 * boot_info.usable is at any time what nobody has taken yet: it starts as the memory map without
 * the first page, the trampoline's page, the kernel and the initramfs, and boot_alloc_pages cuts
 * from it. mem/ takes what is left over and then nobody calls boot_alloc_pages again. The loader's
 * own information counts as free: whatever is needed later is copied out here.
 *
 * Context: boot CPU, before others run. The loader's data lie below 1 GiB (the boot tables' reach).
 */
#include <pith/core.h>

#include "boot.h"

#define COMMAND_LINE_SIZE 4096
#define LOW_MEMORY_END    0x100000ul /* below: firmware's data may lie in what is called usable */
#define BOOT_TABLES_END   (1ul << 30)

/* Written by boot.S, whose first code runs before .bss means anything to C. */
u32 boot_loader_mark, boot_loader_data;
u64 boot_tsc;

struct boot_info boot_info;
phys_addr boot_alloc_end = BOOT_TABLES_END;
struct memory_range memory_map[MEMORY_RANGES_MAX];
u32 memory_map_count;

static char command_line[COMMAND_LINE_SIZE];

static void range_remove_at(u32 index)
{
    boot_info.usable_count--;
    for (u32 i = index; i < boot_info.usable_count; i++)
        boot_info.usable[i] = boot_info.usable[i + 1];
}

/* Makes `start` to `end` a range of its own behind `index`; is dropped if there is no room. */
static void range_insert_after(u32 index, phys_addr start, phys_addr end)
{
    if (boot_info.usable_count == MEMORY_RANGES_MAX)
        return;
    for (u32 i = boot_info.usable_count; i > index + 1; i--)
        boot_info.usable[i] = boot_info.usable[i - 1];
    boot_info.usable[index + 1] = (struct memory_range){start, end - start};
    boot_info.usable_count++;
}

/* Cuts `from` to `to` out of what is usable. */
static void usable_take(phys_addr from, phys_addr to)
{
    for (u32 i = 0; i < boot_info.usable_count; i++) {
        struct memory_range *range = &boot_info.usable[i];
        phys_addr start = range->start, end = start + range->bytes;

        if (from >= end || to <= start)
            continue;
        range->bytes = from > start ? from - start : 0;
        if (to < end)
            range_insert_after(i, to, end);
        if (range->bytes == 0)
            range_remove_at(i--);
    }
}

/* Whole pages only: what is left of one at either end is not used. Sorts by insertion. */
void boot_memory_add(phys_addr address, u64 bytes)
{
    phys_addr start = ALIGN_UP(address, PAGE_SIZE);
    phys_addr end = ALIGN_DOWN(address + bytes, PAGE_SIZE);
    u32 at = memory_map_count;

    if (start >= end || at == MEMORY_RANGES_MAX)
        return;
    for (; at > 0 && memory_map[at - 1].start > start; at--)
        memory_map[at] = memory_map[at - 1];
    memory_map[at] = (struct memory_range){start, end - start};
    memory_map_count++;
}

void boot_command_line_set(const char *text)
{
    string_copy(command_line, text, sizeof(command_line));
}

void boot_info_init(void)
{
    boot_info.tsc_at_entry = boot_tsc;
    boot_info.command_line = command_line;
    if (boot_loader_mark == MULTIBOOT2_LOADER_MARK)
        multiboot2_read(phys_to_virt(boot_loader_data));
    else
        pvh_read(phys_to_virt(boot_loader_data));
    memcpy(boot_info.usable, memory_map, sizeof(memory_map));
    boot_info.usable_count = memory_map_count;
    boot_info.kernel_start = kernel_image_phys(image_start);
    boot_info.kernel_end = kernel_image_phys(image_end);
    if (boot_info.initramfs_bytes)
        usable_take(ALIGN_DOWN(boot_info.initramfs, PAGE_SIZE),
                    ALIGN_UP(boot_info.initramfs + boot_info.initramfs_bytes, PAGE_SIZE));
    usable_take(0, PAGE_SIZE);
    usable_take(TRAMPOLINE_ADDRESS, TRAMPOLINE_ADDRESS + PAGE_SIZE);
    usable_take(boot_info.kernel_start, boot_info.kernel_end);
}

/*
 * Above 1 MiB, first fit, so kernel structures lie together and low. Panics: nothing works without.
 */
void *boot_alloc_pages(u64 count)
{
    u64 bytes = count * PAGE_SIZE;

    for (u32 i = 0; i < boot_info.usable_count; i++) {
        phys_addr start = boot_info.usable[i].start;

        if (start < LOW_MEMORY_END || boot_info.usable[i].bytes < bytes ||
            start + bytes > boot_alloc_end)
            continue;
        usable_take(start, start + bytes);
        return memset(phys_to_virt(start), 0, bytes);
    }
    panic("too little memory to boot: %lu KiB more are needed", bytes / 1024);
}
