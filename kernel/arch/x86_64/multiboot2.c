/*
 * The loader's word by Multiboot2 (the "Multiboot2 Specification", version 2.0): GRUB, from a disk
 * or a CD, where a machine has firmware and no hypervisor that loads kernels.
 *
 * The information is a size and then tags, each with its type and size, on boundaries of 8 bytes,
 * up to one of type 0. The first module is the initramfs. The ACPI root comes as a copy inside a
 * tag, in memory that is free after this: it is copied once more, into the kernel's image.
 *
 * Context: boot CPU, from boot_info_init.
 */
#include <pith/core.h>

#include "boot.h"

#define TAG_ALIGN       8
#define MEMORY_TYPE_RAM 1
#define RSDP_BYTES      36 /* ACPI 6.4, 5.2.5.3; version 1's has 20 */

enum tag_type {
    TAG_END = 0,
    TAG_COMMAND_LINE = 1,
    TAG_MODULE = 3,
    TAG_MEMORY_MAP = 6,
    TAG_ACPI_OLD = 14,
    TAG_ACPI_NEW = 15,
};

struct tag {
    u32 type, bytes;
};

struct tag_module {
    struct tag tag;
    u32 start, end; /* physical addresses */
};

struct tag_memory_map {
    struct tag tag;
    u32 entry_bytes, entry_version;
    u8 entries[];
};

struct memory_entry {
    u64 address, bytes;
    u32 type, reserved;
};

static _Alignas(u64) u8 rsdp_copy[RSDP_BYTES];

static void memory_map_read(const struct tag_memory_map *map)
{
    const u8 *end = (const u8 *)map + map->tag.bytes;

    if (map->entry_bytes < sizeof(struct memory_entry))
        panic("the loader's memory map has entries of %u bytes", map->entry_bytes);
    for (const u8 *at = map->entries; at + map->entry_bytes <= end; at += map->entry_bytes) {
        const struct memory_entry *entry = (const struct memory_entry *)at;

        if (entry->type == MEMORY_TYPE_RAM)
            boot_memory_add(entry->address, entry->bytes);
    }
}

static void acpi_root_read(const struct tag *tag)
{
    memcpy(rsdp_copy, tag + 1, MIN(tag->bytes - sizeof(*tag), sizeof(rsdp_copy)));
    boot_info.acpi_root = kernel_image_phys(rsdp_copy);
}

static void module_read(const struct tag_module *module)
{
    if (boot_info.initramfs_bytes)
        return;
    boot_info.initramfs = module->start;
    boot_info.initramfs_bytes = module->end - module->start;
}

void multiboot2_read(const void *information)
{
    const struct tag *tag = (const struct tag *)((const u8 *)information + TAG_ALIGN);

    while (tag->type != TAG_END) {
        if (tag->type == TAG_COMMAND_LINE)
            boot_command_line_set((const char *)(tag + 1));
        else if (tag->type == TAG_MODULE)
            module_read((const struct tag_module *)tag);
        else if (tag->type == TAG_MEMORY_MAP)
            memory_map_read((const struct tag_memory_map *)tag);
        else if (tag->type == TAG_ACPI_OLD || tag->type == TAG_ACPI_NEW)
            acpi_root_read(tag);
        tag = (const struct tag *)((const u8 *)tag + ALIGN_UP(tag->bytes, TAG_ALIGN));
    }
}
