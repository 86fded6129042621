/*
 * The names of the kernel's own functions, for panics and other reports.
 *
 * tools/make-symbols makes the table from the linked kernel, and the kernel is linked again with
 * it: it lies behind all code, so no address changes. In the first link there is none, hence the
 * weak names. The table has functions in the order of their addresses, so a name is a binary
 * search, and a function's end is the next one's beginning.
 *
 * Context: any, panics too: reads constants only.
 */
#include <pith/core.h>

struct symbol {
    u32 distance; /* from text_start */
    u32 name;     /* where it begins in symbol_names */
};

extern const struct symbol symbols_start[] __attribute__((weak));
extern const struct symbol symbols_end[] __attribute__((weak));
extern const char symbol_names[] __attribute__((weak));
extern const char text_start[], text_end[];

const char *symbol_find(u64 address, u64 *offset_out)
{
    u64 low = 0, high = symbols_end - symbols_start;
    u64 distance = address - (u64)text_start;

    if (address < (u64)text_start || address >= (u64)text_end || !high)
        return NULL;
    /* Invariant: what we look for is at `low` or behind it, and before `high`. */
    while (high - low > 1) {
        u64 middle = (low + high) / 2;

        if (symbols_start[middle].distance <= distance)
            low = middle;
        else
            high = middle;
    }
    *offset_out = distance - symbols_start[low].distance;
    return symbol_names + symbols_start[low].name;
}

bool symbol_at(u64 index, u64 *from_out, u64 *to_out)
{
    u64 count = symbols_end - symbols_start;

    if (index >= count)
        return false;
    *from_out = (u64)text_start + symbols_start[index].distance;
    *to_out =
        index + 1 < count ? (u64)text_start + symbols_start[index + 1].distance : (u64)text_end;
    return true;
}

static void log_address(u64 address, u64 within)
{
    u64 offset;
    const char *name = symbol_find(within, &offset);

    if (name)
        log_error("  [<%016lx>] %s+0x%lx", address, name, offset + (address - within));
    else
        log_error("  [<%016lx>]", address);
}

void log_code_address(u64 address)
{
    log_address(address, address);
}

void log_return_address(u64 address)
{
    log_address(address, address - 1);
}
