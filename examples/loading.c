/*
 * Eager and lazy loading: what of a program's data is in memory, and when.
 *
 * From OSTEP 4.3 ("Process Creation: A Little More Detail", figure 4.1). To see: at the beginning
 * none of the data has been loaded from the program's file; an access loads what lies around it;
 * loading eagerly, as early systems did, brings all at once.
 */
#include <stdio.h>
#include <sys/mman.h>

#define DATA_KIB 1024
#define PAGE     4096

/* Part of the program's file; for each way a piece that begins and ends with a page. */
static const char lazily[DATA_KIB * 1024] __attribute__((__aligned__(2 << 20))) = {1};
static const char eagerly[DATA_KIB * 1024] __attribute__((__aligned__(2 << 20))) = {1};

/* How much of a piece is in this process's page table; /proc/self/pagemap has a word for each page.
 */
static int resident_kib(const char *data)
{
    FILE *pagemap = fopen("/proc/self/pagemap", "r");
    unsigned long entry;
    int count = 0;

    fseek(pagemap, (long)((unsigned long)data / PAGE * sizeof(entry)), SEEK_SET);
    for (int i = 0; i < DATA_KIB * 1024 / PAGE; i++)
        count += fread(&entry, sizeof(entry), 1, pagemap) == 1 && entry >> 63;
    fclose(pagemap);
    return count * PAGE / 1024;
}

static void show(const char *when, const char *data)
{
    int kib = resident_kib(data);

    printf("%-22s %s of the data is loaded\n", when,
           kib == 0          ? "nothing"
           : kib == DATA_KIB ? "all"
                             : "a part");
}

int main(void)
{
    const volatile char *data = lazily;

    show("lazily: at the start", lazily);
    (void)data[0];
    show("after one access", lazily);
    for (int i = 0; i < DATA_KIB * 1024; i += PAGE)
        (void)data[i];
    show("after accesses to all", lazily);
    show("eagerly: at the start", eagerly);
    madvise((void *)eagerly, DATA_KIB * 1024, MADV_POPULATE_READ);
    show("after one call", eagerly);
    return 0;
}
