/*
 * The kernel's own page table: W^X, and all of memory in the direct map.
 *
 * It is built once, before anything else runs, with the largest pages that fit; its upper half is
 * then copied into each process's root, so the entries of the root are all made here, empty tables
 * included, and never change again:
 *
 *     root entry 256..   direct map         all memory, in large pages; firmware's tables outside
 *                                           of it are added one by one (direct_map_include)
 *                384     kernel virtual     one empty table: mem/ fills it, all processes see it
 *                448     frame array        likewise
 *                472     shadow (SAN=1)
 *                511     image, device area text r-x, rodata r--, the rest rw-
 *
 * W^X holds for memory, not only for addresses: the image's read-only parts are read-only in the
 * direct map too, or whoever can write there could write the text.
 *
 * Locking: none; boot CPU only, but for page_table_load and the flushes, which concern one CPU.
 */
#include <pith/core.h>
#include <pith/sanitizer.h>

#include "boot.h"
#include "constants.h"
#include "features.h"

#define KERNEL_DATA (PTE_PRESENT | PTE_WRITABLE | PTE_GLOBAL | PTE_NO_EXECUTE)
#define KERNEL_TEXT (PTE_PRESENT | PTE_GLOBAL)
#define KERNEL_READ (PTE_PRESENT | PTE_GLOBAL | PTE_NO_EXECUTE)
#define KERNEL_NODE (PTE_PRESENT | PTE_WRITABLE)

/* The registers of arch/'s own devices: the APICs. */
#define DEVICE_AREA       0xffffffffffc00000ul
#define DEVICE_AREA_PAGES 16

static pte *root;
static u32 device_pages; /* of DEVICE_AREA, used so far */

static pte *table_below(pte *entry)
{
    if (!*entry)
        *entry = virt_to_phys(boot_alloc_pages(1)) | KERNEL_NODE;
    return phys_to_virt(*entry & PTE_ADDRESS);
}

/* The entry of `level` that maps `address`; makes the tables above it. */
static pte *entry_at(u64 address, unsigned level)
{
    pte *table = root;

    for (unsigned above = TABLE_LEVELS; above > level; above--)
        table = table_below(&table[table_index(address, above)]);
    return &table[table_index(address, level)];
}

/* The highest level whose entries can map the beginning of the range. */
static unsigned level_for(u64 address, phys_addr target, u64 bytes)
{
    unsigned level = cpu_has(FEATURE_PAGE_1G) ? 3 : 2;

    while (level > 1 && (((address | target) & (table_entry_bytes(level) - 1)) ||
                         bytes < table_entry_bytes(level)))
        level--;
    return level;
}

/* Each place is mapped once: an entry that is there is overwritten, a table below it lost. */
static void map(u64 address, phys_addr target, u64 bytes, pte flags)
{
    while (bytes) {
        unsigned level = level_for(address, target, bytes);
        u64 step = table_entry_bytes(level);

        *entry_at(address, level) = target | flags | (level > 1 ? PTE_LARGE : 0);
        address += step;
        target += step;
        bytes -= step;
    }
}

static void map_image_part(const char *start, const char *end, pte flags)
{
    map((u64)start, kernel_image_phys(start), end - start, flags);
}

static void map_direct(phys_addr start, phys_addr end, pte flags)
{
    if (start < end)
        map(DIRECT_MAP + start, start, end - start, flags);
}

/* One range of memory, but what is read-only of the image stays so. */
static void map_memory(phys_addr start, phys_addr end)
{
    phys_addr sealed = kernel_image_phys(text_start), sealed_end = kernel_image_phys(rodata_end);

    map_direct(start, MIN(end, sealed), KERNEL_DATA);
    map_direct(MAX(start, sealed), MIN(end, sealed_end), KERNEL_READ);
    map_direct(MAX(start, sealed_end), end, KERNEL_DATA);
}

static bool is_memory(phys_addr start, phys_addr end)
{
    for (u32 i = 0; i < memory_map_count; i++) {
        if (start < memory_map[i].start + memory_map[i].bytes && end > memory_map[i].start)
            return true;
    }
    return false;
}

/*
 * The sanitizer's shadow: an eighth of all memory. Holes in the memory map share one page of zeroes
 * that nothing is written to.
 */
static void shadow_map(void)
{
    phys_addr end = memory_map[memory_map_count - 1].start + memory_map[memory_map_count - 1].bytes;
    u64 covered = PAGE_SIZE * 8; /* by a page of shadow */
    phys_addr zeroes = virt_to_phys(boot_alloc_pages(1));

    for (phys_addr start = 0; start < end; start += covered) {
        phys_addr page = zeroes;

        if (is_memory(start, start + covered))
            page = virt_to_phys(boot_alloc_pages(1));
        map(SHADOW + start / 8, page, PAGE_SIZE, page == zeroes ? KERNEL_READ : KERNEL_DATA);
    }
    sanitizer_begin(end);
}

void page_tables_init(void)
{
    root = boot_alloc_pages(1);
    for (u32 i = 0; i < memory_map_count; i++)
        map_memory(memory_map[i].start, memory_map[i].start + memory_map[i].bytes);
    map_image_part(text_start, text_end, KERNEL_TEXT);
    map_image_part(rodata_start, rodata_end, KERNEL_READ);
    map_image_part(rodata_end, image_end, KERNEL_DATA);
    for (u64 at = KERNEL_VIRTUAL; at < KERNEL_VIRTUAL_END; at += table_entry_bytes(TABLE_LEVELS))
        table_below(&root[table_index(at, TABLE_LEVELS)]);
    table_below(&root[table_index(FRAME_ARRAY, TABLE_LEVELS)]);
    entry_at(DEVICE_AREA, 1);
    page_table_load(page_table_kernel());
    boot_alloc_end = U64_MAX;
    if (SAN)
        shadow_map();
}

void *direct_map_include(phys_addr address, u64 bytes)
{
    phys_addr at = ALIGN_DOWN(address, PAGE_SIZE);

    for (; at < address + bytes; at += PAGE_SIZE) {
        pte *table = root;
        unsigned level = TABLE_LEVELS;

        while (level > 1) {
            pte entry = table[table_index(DIRECT_MAP + at, level)];

            if (!(entry & PTE_PRESENT) || (entry & PTE_LARGE))
                break;
            table = phys_to_virt(entry & PTE_ADDRESS);
            level--;
        }
        if (!(table[table_index(DIRECT_MAP + at, level)] & PTE_PRESENT))
            map(DIRECT_MAP + at, at, PAGE_SIZE, KERNEL_DATA);
    }
    return phys_to_virt(address);
}

volatile void *device_registers_map(phys_addr address, u64 bytes)
{
    u64 pages = DIV_ROUND_UP((address & ~PAGE_MASK) + bytes, PAGE_SIZE);
    u64 at = DEVICE_AREA + device_pages * PAGE_SIZE;

    assert(device_pages + pages <= DEVICE_AREA_PAGES);
    device_pages += pages;
    map(at, address & PAGE_MASK, pages * PAGE_SIZE, KERNEL_DATA | PTE_UNCACHED);
    return (volatile void *)(at + (address & ~PAGE_MASK));
}

phys_addr page_table_kernel(void)
{
    return virt_to_phys(root);
}

phys_addr page_table_loaded(void)
{
    u64 value;

    __asm__ volatile("movq %%cr3, %0" : "=r"(value));
    return value & PTE_ADDRESS;
}

void page_table_load(phys_addr table)
{
    __asm__ volatile("movq %0, %%cr3" : : "r"(table) : "memory");
}

void tlb_flush_page(u64 address)
{
    __asm__ volatile("invlpg (%0)" : : "r"(address) : "memory");
}

void tlb_flush_all(void)
{
    page_table_load(page_table_loaded());
}

void tlb_flush_everything(void)
{
    u64 flags = interrupts_save_disable();
    u64 features;

    /* Any change of PGE flushes global entries too (SDM 3A "Operations that Invalidate TLBs"). */
    __asm__ volatile("movq %%cr4, %0" : "=r"(features));
    __asm__ volatile("movq %0, %%cr4" : : "r"(features & ~(u64)CR4_PGE) : "memory");
    __asm__ volatile("movq %0, %%cr4" : : "r"(features) : "memory");
    interrupts_restore(flags);
}
