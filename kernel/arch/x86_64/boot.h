/* What the files of arch/ tell each other about the boot. */
#pragma once

#include <pith/arch.h>

#include "constants.h"

/*
 * From boot.S: what the loader left in eax (PVH: nothing that means anything, boot.S makes it 0),
 * the physical address of its information, the TSC at the first instructions.
 */
extern u32 boot_loader_mark, boot_loader_data;
extern u64 boot_tsc;
extern char boot_stack[], boot_stack_end[];
extern pte boot_table_root[];

/* From kernel.ld: the image's parts. */
extern char image_start[], image_end[], text_start[], text_end[], rodata_start[], rodata_end[];
extern char percpu_start[], percpu_end[];

/* boot_info.c: fills boot_info by the loader's protocol. */
void boot_info_init(void);
/*
 * For the readers of a protocol: memory that can be used, in any order; the command line, copied.
 */
void boot_memory_add(phys_addr address, u64 bytes);
void boot_command_line_set(const char *text);
/* pvh.c, multiboot2.c: hand over what the loader's information says. */
void pvh_read(const void *information);
void multiboot2_read(const void *information);
/* All memory of the machine, before anything was taken from it: what the direct map covers. */
extern struct memory_range memory_map[MEMORY_RANGES_MAX]; /* [const] */
extern u32 memory_map_count;
/* What boot_alloc_pages gives lies below it: what is mapped. */
extern phys_addr boot_alloc_end;

/* page_table.c */
void page_tables_init(void);
/* Extends the direct map over firmware tables that lie in reserved memory; returns where. */
void *direct_map_include(phys_addr address, u64 bytes);
/* Maps a few pages of device registers, uncached, at a place of arch/'s own. One CPU only runs. */
volatile void *device_registers_map(phys_addr address, u64 bytes);

/* smp.c: numbers the CPUs and gives each its area. */
void cpus_find(void);
