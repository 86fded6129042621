/*
 * The parts of an address space, from the lowest address to the highest.
 *
 * From CSCI3150, Lecture 3: Processes ("A Process's Address Space"), CSC 374, Lecture 2 ("Private
 * Address Spaces") and OSTEP 4.3, figure 4.1. To see: code, data, heap, libraries and stack in this
 * order, wherever each begins; above all of them the kernel, invisible.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char constant[] = "constant";
static int initialised = 1;
static int uninitialised;

static struct part {
    const char *name;
    const void *address;
} parts[8];

static int by_address(const void *left, const void *right)
{
    const struct part *a = left, *b = right;

    return a->address < b->address ? -1 : a->address > b->address;
}

/* The permissions of the region that holds `address`, as /proc/self/maps has them. */
static const char *permissions_of(const void *address)
{
    static char permissions[8];
    FILE *maps = fopen("/proc/self/maps", "r");
    unsigned long start, end, at = (unsigned long)address;
    char line[512];

    strcpy(permissions, "----");
    while (maps && fgets(line, sizeof(line), maps))
        if (sscanf(line, "%lx-%lx %4s", &start, &end, permissions) == 3 && start <= at && at < end)
            break;
        else
            strcpy(permissions, "----");
    if (maps)
        fclose(maps);
    return permissions;
}

int main(int argc, char **argv)
{
    int local = 0, count = 0;

    parts[count++] = (struct part){"stack: a local variable", &local};
    parts[count++] = (struct part){"stack: the arguments", argv[0]};
    parts[count++] = (struct part){"heap: malloc", malloc(64)};
    parts[count++] = (struct part){"library: printf", (const void *)printf};
    parts[count++] = (struct part){"bss: not initialised", &uninitialised};
    parts[count++] = (struct part){"data: initialised", &initialised};
    parts[count++] = (struct part){"text: main", (const void *)main};
    parts[count++] = (struct part){"rodata: a constant", constant};
    qsort(parts, count, sizeof(parts[0]), by_address);
    for (int i = count - 1; i >= 0; i--)
        printf("%016lx  %s  %s\n", (unsigned long)parts[i].address,
               permissions_of(parts[i].address), parts[i].name);
    return 0;
}
