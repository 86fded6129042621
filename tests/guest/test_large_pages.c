/*
 * 2 MiB pages: what programs see of them, which is nothing but the counts and their speed.
 *
 * covers: madvise mprotect munmap mremap fork prctl
 */
#include "guest.h"

#include <sys/prctl.h>

#define LARGE (2ul << 20)
#define COUNT 4

/* COUNT aligned pages of 2 MiB. */
static char *map_large(void)
{
    char *memory = (char *)CHECK_OK(mmap(NULL, (COUNT + 1) * LARGE, PROT_READ | PROT_WRITE,
                                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));

    memory = (char *)(((uintptr_t)memory + LARGE - 1) & ~(LARGE - 1));
    CHECK_OK(madvise(memory, COUNT * LARGE, MADV_HUGEPAGE));
    return memory;
}

static char value_of(size_t page)
{
    return (char)(page * 7 + 1);
}

static void fill(char *memory, size_t first, size_t end)
{
    for (size_t page = first; page < end; page++)
        memset(memory + page * PAGE, value_of(page), PAGE);
}

static void check(const char *memory, size_t first, size_t end)
{
    for (size_t page = first; page < end; page++) {
        CHECK_EQ(memory[page * PAGE], value_of(page));
        CHECK_EQ(memory[page * PAGE + PAGE - 1], value_of(page));
    }
}

#define PAGES (LARGE / PAGE)

TEST(fork_with_large_pages_gives_parent_and_child_memory_of_their_own)
{
    char *memory = map_large();
    pid_t child;

    fill(memory, 0, COUNT * PAGES);
    child = CHECK_OK(fork());
    if (child == 0) {
        check(memory, 0, COUNT * PAGES);
        memset(memory + 5 * PAGE, 99, PAGE); /* the first large page in part, the second whole */
        memset(memory + LARGE, 98, LARGE);
        check(memory, 6, PAGES);
        check(memory, 2 * PAGES, COUNT * PAGES);
        _exit(0);
    }
    memset(memory + 3 * LARGE, 97, LARGE);
    CHECK_EXIT(child, 0);
    check(memory, 0, 3 * PAGES);
    fill(memory, 0, COUNT * PAGES);
    check(memory, 0, COUNT * PAGES);
}

TEST(fork_of_a_fork_with_large_pages_keeps_each_generations_memory)
{
    char *memory = map_large();
    pid_t child;

    fill(memory, 0, COUNT * PAGES);
    child = CHECK_OK(fork());
    if (child == 0) {
        pid_t grandchild;

        memory[0] = 50;
        grandchild = CHECK_OK(fork());
        if (grandchild == 0) {
            CHECK_EQ(memory[0], 50);
            memory[PAGE] = 51;
            check(memory, 2, COUNT * PAGES);
            _exit(0);
        }
        memory[2 * PAGE] = 52;
        CHECK_EXIT(grandchild, 0);
        CHECK_EQ(memory[PAGE], value_of(1));
        check(memory, 3, COUNT * PAGES);
        _exit(0);
    }
    CHECK_EXIT(child, 0);
    check(memory, 0, COUNT * PAGES);
}

TEST(munmap_of_a_part_of_a_large_page_leaves_the_rest)
{
    char *memory = map_large();
    unsigned char resident;

    fill(memory, 0, COUNT * PAGES);
    CHECK_OK(munmap(memory + 10 * PAGE, PAGE));
    CHECK_OK(munmap(memory + LARGE - PAGE, 2 * PAGE));
    check(memory, 0, 10);
    check(memory, 11, PAGES - 1);
    check(memory, PAGES + 1, COUNT * PAGES);
    CHECK_ERRNO(mincore(memory + 10 * PAGE, PAGE, &resident), ENOMEM);
    CHECK_OK(munmap(memory, COUNT * LARGE));
}

TEST(mprotect_of_a_part_of_a_large_page_leaves_the_rest_writable)
{
    char *memory = map_large();

    fill(memory, 0, COUNT * PAGES);
    CHECK_OK(mprotect(memory + 20 * PAGE, PAGE, PROT_READ));
    CHECK_OK(mprotect(memory + LARGE, LARGE, PROT_READ));
    CHECK_OK(mprotect(memory + 2 * LARGE, LARGE, PROT_NONE));
    memory[19 * PAGE] = value_of(19);
    check(memory, 0, 2 * PAGES);
    CHECK_OK(mprotect(memory, COUNT * LARGE, PROT_READ | PROT_WRITE));
    check(memory, 0, COUNT * PAGES);
    fill(memory, 0, COUNT * PAGES);
    CHECK_OK(mprotect(memory, LARGE, PROT_READ | PROT_WRITE | PROT_EXEC));
    check(memory, 0, COUNT * PAGES);
}

TEST(mremap_moves_large_pages_with_their_content)
{
    char *memory = map_large(), *moved;
    char *place = map_large();

    fill(memory, 0, COUNT * PAGES);
    moved = (char *)CHECK_OK(
        mremap(memory, 2 * LARGE, 2 * LARGE, MREMAP_MAYMOVE | MREMAP_FIXED, place));
    CHECK_EQ(moved, place);
    check(moved, 0, 2 * PAGES);
    moved = (char *)CHECK_OK(mremap(moved, 2 * LARGE, 2 * LARGE, MREMAP_MAYMOVE | MREMAP_FIXED,
                                    memory + PAGE)); /* where no large page fits */
    CHECK_EQ(moved, memory + PAGE);
    check(moved, 0, 2 * PAGES - 1);
    fill(moved, 0, 2 * PAGES);
    check(moved, 0, 2 * PAGES);
}

TEST(madvise_dontneed_of_a_part_of_a_large_page_gives_zeros_there)
{
    char *memory = map_large();

    fill(memory, 0, COUNT * PAGES);
    CHECK_OK(madvise(memory + 3 * PAGE, 2 * PAGE, MADV_DONTNEED));
    CHECK_OK(madvise(memory + LARGE, LARGE, MADV_DONTNEED));
    check(memory, 0, 3);
    CHECK_EQ(memory[3 * PAGE], 0);
    CHECK_EQ(memory[4 * PAGE + 5], 0);
    check(memory, 5, PAGES);
    for (size_t at = LARGE; at < 2 * LARGE; at += PAGE)
        CHECK_EQ(memory[at], 0);
    check(memory, 2 * PAGES, COUNT * PAGES);
}

TEST(madvise_dontfork_of_a_part_of_a_large_page_keeps_it_from_the_child)
{
    char *memory = map_large();
    unsigned char resident;
    pid_t child;

    fill(memory, 0, COUNT * PAGES);
    CHECK_OK(madvise(memory + PAGE, PAGE, MADV_DONTFORK));
    CHECK_OK(madvise(memory + 3 * PAGE, PAGE, MADV_WIPEONFORK));
    child = CHECK_OK(fork());
    if (child == 0) {
        CHECK_ERRNO(mincore(memory + PAGE, PAGE, &resident), ENOMEM);
        CHECK_EQ(memory[3 * PAGE], 0);
        check(memory, 4, COUNT * PAGES);
        _exit(0);
    }
    CHECK_EXIT(child, 0);
    check(memory, 0, COUNT * PAGES);
}

TEST(read_into_a_large_page_after_fork_is_seen_by_the_reader_alone)
{
    char *memory = map_large();
    int fd = (int)CHECK_OK(open("/dev/zero", O_RDONLY));
    pid_t child;

    fill(memory, 0, COUNT * PAGES);
    child = CHECK_OK(fork());
    if (child == 0) {
        CHECK_EQ(read(fd, memory + PAGE + 100, 3 * PAGE), 3 * PAGE);
        CHECK_EQ(memory[2 * PAGE], 0);
        CHECK_EQ(memory[PAGE], value_of(1));
        _exit(0);
    }
    CHECK_EXIT(child, 0);
    check(memory, 0, COUNT * PAGES);
}

/* A number of /proc/self/smaps_rollup, in KiB. */
static long rollup(const char *name)
{
    char line[256];
    long value = -1;
    FILE *file = fopen("/proc/self/smaps_rollup", "r");

    CHECK(file);
    while (fgets(line, sizeof(line), file))
        if (strncmp(line, name, strlen(name)) == 0)
            value = strtol(line + strlen(name) + 1, NULL, 10);
    fclose(file);
    return value;
}

static void need_large_pages(void)
{
    char text[64] = {0};
    int fd = open("/sys/kernel/mm/transparent_hugepage/enabled", O_RDONLY);

    if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0 || strstr(text, "[never]"))
        SKIP("there are no large pages");
    close(fd);
}

TEST(smaps_counts_large_pages_until_they_are_split)
{
    char *memory;

    need_large_pages();
    memory = map_large();
    fill(memory, 0, COUNT * PAGES);
    CHECK_EQ(rollup("AnonHugePages"), COUNT * LARGE / 1024);
    CHECK_GE(rollup("Rss"), COUNT * LARGE / 1024);
    CHECK_OK(munmap(memory + PAGE, PAGE));
    CHECK_EQ(rollup("AnonHugePages"), (COUNT - 1) * LARGE / 1024);
}

TEST(madvise_nohugepage_and_prctl_keep_large_pages_away)
{
    char *memory;

    need_large_pages();
    memory = map_large();
    CHECK_OK(madvise(memory, COUNT * LARGE, MADV_NOHUGEPAGE));
    fill(memory, 0, PAGES);
    CHECK_EQ(rollup("AnonHugePages"), 0);
    CHECK_EQ(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0), 0);
    CHECK_OK(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0));
    CHECK_EQ(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0), 1);
    CHECK_ERRNO(prctl(PR_SET_THP_DISABLE, 1, 1, 0, 0), EINVAL);
    CHECK_ERRNO(prctl(PR_GET_THP_DISABLE, 1, 0, 0, 0), EINVAL);
    memory = map_large();
    fill(memory, 0, PAGES);
    CHECK_EQ(rollup("AnonHugePages"), 0);
}
