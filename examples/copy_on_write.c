/*
 * fork copies no memory: parent and child share each page until one of them writes to it.
 *
 * From CSCI3150, Lecture 3: Processes ("Copy-On-Write") and L41, Lecture 3: The Process Model
 * ("The UNIX process life cycle"). To see, from /proc/self/smaps: after the fork all is shared;
 * each write of the child makes one page its own, and no more.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE  4096
#define PAGES 16

static char *memory;

/* The sum, in KiB, of a field of the region that begins at `memory`. */
static int field_of_region(const char *field)
{
    FILE *smaps = fopen("/proc/self/smaps", "r");
    char line[512];
    int is_here = 0, kib = 0;

    while (smaps && fgets(line, sizeof(line), smaps)) {
        unsigned long start, end;

        if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
            is_here = start <= (unsigned long)memory && (unsigned long)memory < end;
        else if (is_here && !strncmp(line, field, strlen(field)))
            kib += atoi(strchr(line, ':') + 1);
    }
    if (smaps)
        fclose(smaps);
    return kib;
}

static void show(const char *when)
{
    printf("%-32s %2d KiB shared, %2d KiB its own\n", when, field_of_region("Shared_Dirty:"),
           field_of_region("Private_Dirty:"));
    fflush(stdout);
}

int main(void)
{
    /* Between two pages that nobody may touch, so that it is a region of its own. */
    memory = mmap(NULL, (PAGES + 2) * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return 1;
    memory += PAGE;
    mprotect(memory, PAGES * PAGE, PROT_READ | PROT_WRITE);
    memset(memory, 'a', PAGES * PAGE);
    show("the parent before the fork:");
    if (fork() == 0) {
        show("the child after the fork:");
        memory[0] = 'b';
        show("the child after one write:");
        memory[1] = 'b';
        show("one more to the same page:");
        for (int i = 0; i < PAGES / 2; i++)
            memory[i * PAGE] = 'b';
        show("writes to half of the pages:");
        return 0;
    }
    wait(NULL);
    show("the parent after its child:");
    return memory[0] != 'a';
}
