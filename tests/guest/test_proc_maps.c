/*
 * /proc/PID/maps and smaps of programs with many regions: made in pieces, as they are read.
 *
 * covers: read pread64
 */
#include "guest.h"

#define REGIONS 1000
/* Of smaps more than 4 MiB, which a kernel will not keep at once for every reader. */
#define REGIONS_MANY 8000

static char first[1 << 20], second[1 << 20];

/* Pages that cannot be one region with their neighbours. */
static char *striped(size_t pages)
{
    char *memory =
        (char *)CHECK_OK(mmap(NULL, pages * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));

    for (size_t i = 0; i < pages; i += 2)
        CHECK_OK(mprotect(memory + i * PAGE, PAGE, PROT_READ));
    return memory;
}

static size_t read_all(int file, char *text, size_t size, size_t piece)
{
    size_t bytes = 0;
    ssize_t got;

    while ((got = CHECK_OK(read(file, text + bytes, piece))) > 0) {
        bytes += (size_t)got;
        CHECK(bytes + piece < size);
    }
    text[bytes] = '\0';
    return bytes;
}

TEST(maps_gives_whole_lines_to_who_has_a_page_of_room)
{
    static char page[65536];
    size_t lines = 0, reads = 0;
    ssize_t got;
    int file;

    striped(REGIONS);
    file = CHECK_OK(open("/proc/self/maps", O_RDONLY));
    while ((got = CHECK_OK(read(file, page, reads % 2 ? PAGE : sizeof(page)))) > 0) {
        CHECK_EQ(page[got - 1], '\n');
        for (ssize_t i = 0; i < got; i++)
            lines += page[i] == '\n';
        reads++;
    }
    CHECK(lines >= REGIONS);
    CHECK(reads > 1);
}

TEST(maps_is_the_same_in_small_and_large_pieces_and_at_any_place)
{
    size_t bytes;
    int file;

    striped(REGIONS);
    file = CHECK_OK(open("/proc/self/maps", O_RDONLY));
    bytes = read_all(file, first, sizeof(first), 65536);
    CHECK_OK(lseek(file, 0, SEEK_SET));
    CHECK_EQ(read_all(file, second, sizeof(second), 100), bytes);
    CHECK_STR_EQ(second, first);
    for (size_t at = bytes; at > bytes / 2; at -= bytes / 16) {
        CHECK_EQ(pread(file, second, 10, (off_t)at - 10), 10);
        CHECK_EQ(memcmp(second, first + at - 10, 10), 0);
    }
    CHECK_EQ(pread(file, second, 10, (off_t)bytes), 0);
    CHECK_EQ(pread(file, second, 10, 1l << 40), 0);
}

TEST(a_short_read_of_maps_is_filled_up_by_the_next_piece)
{
    size_t bytes, at = 0;
    int file;

    striped(REGIONS);
    file = CHECK_OK(open("/proc/self/maps", O_RDONLY));
    bytes = read_all(file, first, sizeof(first), 65536);
    CHECK_OK(lseek(file, 0, SEEK_SET));
    for (; at + 1024 <= bytes; at += 1024)
        CHECK_EQ(read(file, second, 1024), 1024);
    CHECK_EQ(read(file, second, 1024), (ssize_t)(bytes - at));
}

TEST(maps_shows_what_changed_behind_the_place_that_was_read)
{
    char *changed = striped(REGIONS) + (REGIONS - 3) * PAGE, line[64];
    int file = CHECK_OK(open("/proc/self/maps", O_RDONLY));

    CHECK_EQ(read(file, first, 10), 10);
    CHECK_OK(mprotect(changed, PAGE, PROT_READ | PROT_WRITE));
    read_all(file, first, sizeof(first), 65536);
    snprintf(line, sizeof(line), "%lx-%lx rw-p", (unsigned long)changed,
             (unsigned long)changed + PAGE);
    CHECK(strstr(first, line));
}

TEST(smaps_of_thousands_of_regions_can_be_read)
{
    size_t lines = 0;
    FILE *file;

    striped(REGIONS_MANY);
    file = fopen("/proc/self/smaps", "r");
    CHECK(file);
    while (fgets(first, sizeof(first), file))
        lines += !strncmp(first, "VmFlags:", 8);
    CHECK(!ferror(file));
    fclose(file);
    CHECK(lines >= REGIONS_MANY);
}
