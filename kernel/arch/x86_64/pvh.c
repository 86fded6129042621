/*
 * The loader's word by PVH (the Xen project's "x86/HVM direct boot ABI"): QEMU's -kernel, and other
 * hypervisors that start a kernel without firmware.
 *
 * Context: boot CPU, from boot_info_init.
 */
#include <pith/core.h>

#include "boot.h"

#define PVH_MAGIC       0x336ec578
#define MEMORY_TYPE_RAM 1

struct pvh_start {
    u32 magic, version, flags, module_count;
    u64 modules, command_line, acpi_root, memory_map; /* physical addresses */
    u32 memory_map_count, reserved;
};

struct pvh_module {
    u64 address, bytes, command_line, reserved;
};

struct pvh_memory {
    u64 address, bytes;
    u32 type, reserved;
};

void pvh_read(const void *information)
{
    const struct pvh_start *start = information;
    const struct pvh_memory *memory = phys_to_virt(start->memory_map);

    if (start->magic != PVH_MAGIC || start->version < 1)
        panic("the loader gave no PVH start info");
    if (start->command_line)
        boot_command_line_set(phys_to_virt(start->command_line));
    for (u32 i = 0; i < start->memory_map_count; i++) {
        if (memory[i].type == MEMORY_TYPE_RAM)
            boot_memory_add(memory[i].address, memory[i].bytes);
    }
    boot_info.acpi_root = start->acpi_root;
    if (start->module_count) {
        const struct pvh_module *module = phys_to_virt(start->modules);

        boot_info.initramfs = module->address;
        boot_info.initramfs_bytes = module->bytes;
    }
}
