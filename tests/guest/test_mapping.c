/*
 * Mappings of files and shared memory, mremap, madvise, msync, memfd.
 *
 * covers: mremap madvise msync memfd_create mmap remap_file_pages
 */
#include "guest.h"

#include <setjmp.h>

static sigjmp_buf escape;
static void escape_on_signal(int signal)
{
    last_signal = signal;
    siglongjmp(escape, 1);
}

static int signal_of_read(const volatile char *address)
{
    handle_signal(SIGSEGV, escape_on_signal, 0);
    handle_signal(SIGBUS, escape_on_signal, 0);
    if (sigsetjmp(escape, 1))
        return last_signal;
    (void)*address;
    return 0;
}

static char *map(size_t bytes, int flags)
{
    return (char *)CHECK_OK(
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0));
}

static int file_of(size_t bytes)
{
    int fd;

    enter_empty_directory();
    fd = CHECK_OK(open("file", O_RDWR | O_CREAT, 0644));
    for (size_t i = 0; i < bytes; i += 4)
        CHECK_EQ(write(fd, &i, 4), 4);
    return fd;
}

static char *map_file(int fd, size_t bytes, int protection, int flags)
{
    return (char *)CHECK_OK(mmap(NULL, bytes, protection, flags, fd, 0));
}

TEST(mmap_shared_anonymous_memory_is_shared_with_children)
{
    volatile int *memory = (int *)map(2 * PAGE, MAP_SHARED);
    pid_t child;

    memory[0] = 1;
    child = CHECK_OK(fork());
    if (child == 0) {
        CHECK_EQ(memory[0], 1);
        memory[0] = 2;
        memory[PAGE / 4] = 3; /* a page that neither had touched */
        _exit(0);
    }
    CHECK_EXIT(child, 0);
    CHECK_EQ(memory[0], 2);
    CHECK_EQ(memory[PAGE / 4], 3);
}

TEST(mmap_private_file_shows_the_file_and_keeps_writes_to_itself)
{
    int fd = file_of(2 * PAGE);
    char *memory = map_file(fd, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    unsigned value = 0;

    CHECK_EQ(*(unsigned *)(memory + PAGE), PAGE);
    *(unsigned *)(memory + PAGE) = 1;
    CHECK_EQ(pread(fd, &value, 4, PAGE), 4);
    CHECK_EQ(value, PAGE);
}

TEST(mmap_shared_file_and_read_and_write_see_each_other)
{
    int fd = file_of(2 * PAGE);
    char *memory = map_file(fd, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
    unsigned value = 0;

    *(unsigned *)(memory + PAGE) = 1;
    CHECK_EQ(pread(fd, &value, 4, PAGE), 4);
    CHECK_EQ(value, 1);
    value = 77;
    CHECK_EQ(pwrite(fd, &value, 4, 100), 4);
    CHECK_EQ(*(unsigned *)(memory + 100), 77);
}

TEST(mmap_shared_file_is_shared_between_mappings_and_processes)
{
    int fd = file_of(PAGE);
    volatile char *one = map_file(fd, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
    volatile char *two = map_file(fd, PAGE, PROT_READ, MAP_SHARED);
    pid_t child;

    one[5] = 'x';
    CHECK_EQ(two[5], 'x');
    child = CHECK_OK(fork());
    if (child == 0) {
        one[6] = 'y';
        _exit(0);
    }
    CHECK_EXIT(child, 0);
    CHECK_EQ(two[6], 'y');
}

TEST(mmap_file_at_an_offset_starts_there)
{
    int fd = file_of(3 * PAGE);
    unsigned *memory = (unsigned *)CHECK_OK(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 2 * PAGE));

    CHECK_EQ(memory[0], 2 * PAGE);
    CHECK_ERRNO(syscall(SYS_mmap, NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 100), EINVAL);
}

TEST(mmap_file_stays_after_close_and_unlink)
{
    int fd = file_of(PAGE);
    char *memory = map_file(fd, PAGE, PROT_READ, MAP_SHARED);

    close(fd);
    CHECK_OK(unlink("file"));
    CHECK_EQ(*(unsigned *)(memory + 8), 8);
}

TEST(mmap_file_tail_of_the_last_page_is_zero_and_stays_out_of_the_file)
{
    int fd = file_of(100);
    char *memory = map_file(fd, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
    struct stat status;

    for (int i = 100; i < PAGE; i++)
        CHECK_EQ(memory[i], 0);
    memory[200] = 1;
    CHECK_OK(fstat(fd, &status));
    CHECK_EQ(status.st_size, 100);
}

TEST(mmap_file_that_grows_shows_its_new_pages)
{
    int fd = file_of(PAGE);
    char *memory = map_file(fd, 2 * PAGE, PROT_READ, MAP_SHARED);

    CHECK_EQ(signal_of_read(memory + PAGE), SIGBUS);
    CHECK_EQ(pwrite(fd, "new", 3, PAGE), 3);
    CHECK_EQ(memory[PAGE], 'n');
}

TEST(mmap_of_dev_zero_is_zero)
{
    int fd = CHECK_OK(open("/dev/zero", O_RDWR));
    char *memory = map_file(fd, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);

    CHECK_EQ(memory[0], 0);
    memory[0] = 1;
    CHECK_EQ(memory[0], 1);
}

TEST(mmap_of_dev_zero_may_be_shared_with_children)
{
    int zero = CHECK_OK(open("/dev/zero", O_RDWR));
    char *memory = (char *)CHECK_OK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, zero, 0));
    pid_t child;

    CHECK_EQ(memory[0], 0);
    child = CHECK_OK(fork());
    if (child == 0) {
        memory[0] = 'c';
        _exit(0);
    }
    CHECK_EXIT(child, 0);
    CHECK_EQ(memory[0], 'c');
}

TEST(msync_writes_back_and_checks_its_arguments)
{
    int fd = file_of(PAGE);
    char *memory = map_file(fd, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);

    memory[0] = 'z';
    CHECK_OK(msync(memory, PAGE, MS_SYNC));
    CHECK_OK(msync(memory, PAGE, MS_ASYNC));
    CHECK_OK(msync(memory, PAGE, MS_ASYNC | MS_INVALIDATE));
    CHECK_ERRNO(msync(memory + 1, PAGE, MS_SYNC), EINVAL);
    CHECK_ERRNO(msync(memory, PAGE, MS_SYNC | MS_ASYNC), EINVAL);
    CHECK_ERRNO(msync(memory, PAGE, 0x100), EINVAL);
    CHECK_OK(munmap(memory, PAGE));
    CHECK_ERRNO(msync(memory, PAGE, MS_SYNC), ENOMEM);
}

/* A step a page would take minutes: 2^28 of them. */
TEST(msync_and_mincore_pass_over_terabytes_that_are_not_mapped)
{
    char *memory = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    unsigned char resident[2];

    CHECK(memory != MAP_FAILED);
    CHECK_ERRNO(msync((void *)PAGE, 1ul << 40, MS_SYNC), ENOMEM);
    CHECK_ERRNO(msync(memory, 1ul << 40, MS_ASYNC), ENOMEM);
    CHECK_ERRNO(mincore((void *)PAGE, 1ul << 40, resident), ENOMEM);
    CHECK_ERRNO(madvise((void *)PAGE, 1ul << 40, MADV_WILLNEED), ENOMEM);
    CHECK_EQ(madvise((void *)PAGE, 1ul << 40, 22 /* MADV_POPULATE_READ */), -1);
    CHECK(errno == ENOMEM || errno == EINVAL); /* Linux 6.1 may ask the next region first */
    CHECK_OK(munmap(memory, 2 * PAGE));
}

#define REGIONS_MANY 4000

static void check_that_all_is_cut(const char *memory)
{
    for (size_t i = 0; i < REGIONS_MANY; i += 99)
        CHECK_EQ(signal_of_read(memory + i * PAGE), SIGBUS);
}

TEST(truncation_reaches_thousands_of_regions_of_parent_and_child)
{
    int fd = file_of(PAGE), pipe_fds[2];
    char *memory, byte = 1;
    pid_t child;

    CHECK_OK(ftruncate(fd, REGIONS_MANY * PAGE));
    memory = map_file(fd, REGIONS_MANY * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
    for (size_t i = 0; i < REGIONS_MANY; i++) {
        memory[i * PAGE] = 1;
        if (i % 2)
            CHECK_OK(mprotect(memory + i * PAGE, PAGE, PROT_READ));
    }
    CHECK_OK(pipe(pipe_fds));
    child = CHECK_OK(fork());
    if (child == 0) {
        CHECK_EQ(read(pipe_fds[0], &byte, 1), 1);
        check_that_all_is_cut(memory);
        _exit(0);
    }
    CHECK_OK(ftruncate(fd, 0));
    CHECK_EQ(write(pipe_fds[1], &byte, 1), 1);
    check_that_all_is_cut(memory);
    CHECK_EXIT(child, 0);
}

/* What a checked program keeps for its shadow. */
TEST(terabytes_that_were_never_touched_are_counted_at_once)
{
    char *memory =
        mmap(NULL, 16ul << 40, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    char line[256];
    FILE *file = fopen("/proc/self/smaps", "r");
    int found = 0;

    CHECK(memory != MAP_FAILED && file);
    while (fgets(line, sizeof(line), file))
        found += !strncmp(line, "Size:           17179869184 kB", 30);
    fclose(file);
    CHECK_EQ(found, 1);
    CHECK_OK(mprotect(memory, 16ul << 40, PROT_READ));
    CHECK_OK(madvise(memory, 16ul << 40, MADV_DONTNEED));
    CHECK_OK(munmap(memory, 16ul << 40));
}

/* ---- mremap ---- */

TEST(mremap_grows_and_keeps_the_content)
{
    char *memory = map(2 * PAGE, MAP_PRIVATE), *moved;

    memory[0] = 1;
    memory[PAGE] = 2;
    moved = (char *)CHECK_OK(mremap(memory, 2 * PAGE, 200 * PAGE, MREMAP_MAYMOVE));
    CHECK_EQ(moved[0], 1);
    CHECK_EQ(moved[PAGE], 2);
    CHECK_EQ(moved[199 * PAGE], 0);
}

TEST(mremap_shrinks_in_place)
{
    char *memory = map(4 * PAGE, MAP_PRIVATE);

    memory[0] = 1;
    CHECK_EQ(mremap(memory, 4 * PAGE, PAGE, 0), memory);
    CHECK_EQ(memory[0], 1);
    CHECK_EQ(signal_of_read(memory + PAGE), SIGSEGV);
}

TEST(mremap_that_must_not_move_gives_enomem)
{
    char *memory = map(3 * PAGE, MAP_PRIVATE);

    CHECK_ERRNO(mremap(memory, PAGE, 2 * PAGE, 0), ENOMEM);
    CHECK_OK(munmap(memory + PAGE, 2 * PAGE));
    CHECK_EQ(mremap(memory, PAGE, 2 * PAGE, 0), memory);
}

TEST(mremap_to_a_fixed_place_replaces_it)
{
    char *memory = map(2 * PAGE, MAP_PRIVATE), *place = map(4 * PAGE, MAP_PRIVATE);

    memory[PAGE] = 7;
    place[PAGE] = 8;
    CHECK_EQ(mremap(memory, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, place + PAGE),
             place + PAGE);
    CHECK_EQ(place[2 * PAGE], 7);
    CHECK_EQ(place[PAGE], 0);
    CHECK_EQ(signal_of_read(memory), SIGSEGV);
}

TEST(mremap_of_a_shared_file_mapping_keeps_the_file)
{
    int fd = file_of(4 * PAGE);
    char *memory = map_file(fd, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);

    memory = (char *)CHECK_OK(mremap(memory, PAGE, 4 * PAGE, MREMAP_MAYMOVE));
    CHECK_EQ(*(unsigned *)(memory + 3 * PAGE), 3 * PAGE);
}

TEST(mremap_of_shared_memory_beyond_its_size_shows_nothing_there)
{
    char *memory = map(PAGE, MAP_SHARED);

    memory[0] = 5;
    memory = (char *)CHECK_OK(mremap(memory, PAGE, 2 * PAGE, MREMAP_MAYMOVE));
    CHECK_EQ(memory[0], 5);
    CHECK_EQ(signal_of_read(memory + PAGE), SIGBUS);
}

TEST(mremap_errors_are_as_documented)
{
    char *memory = map(4 * PAGE, MAP_PRIVATE);

    CHECK_ERRNO(mremap(memory + 1, PAGE, 2 * PAGE, MREMAP_MAYMOVE), EINVAL);
    CHECK_ERRNO(mremap(memory, PAGE, 0, MREMAP_MAYMOVE), EINVAL);
    CHECK_ERRNO(mremap(memory, PAGE, PAGE, MREMAP_FIXED, memory + PAGE), EINVAL);
    CHECK_ERRNO(mremap(memory, PAGE, PAGE, 0x100), EINVAL);
    CHECK_ERRNO(mremap(memory, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, memory + PAGE),
                EINVAL);
    CHECK_OK(munmap(memory + PAGE, PAGE));
    CHECK_ERRNO(mremap(memory + PAGE, PAGE, 2 * PAGE, MREMAP_MAYMOVE), EFAULT);
    CHECK_ERRNO(mremap(memory, 2 * PAGE, 8 * PAGE, MREMAP_MAYMOVE), EFAULT);
    CHECK_ERRNO(mremap((char *)0xffff800000000000, PAGE, 2 * PAGE, MREMAP_MAYMOVE), EFAULT);
}

/* ---- madvise ---- */

TEST(madvise_dontneed_makes_anonymous_memory_zero)
{
    char *memory = map(4 * PAGE, MAP_PRIVATE);

    memset(memory, 1, 4 * PAGE);
    CHECK_OK(madvise(memory + PAGE, 2 * PAGE, MADV_DONTNEED));
    CHECK_EQ(memory[0], 1);
    CHECK_EQ(memory[PAGE], 0);
    CHECK_EQ(memory[2 * PAGE + 5], 0);
    CHECK_EQ(memory[3 * PAGE], 1);
}

TEST(madvise_dontneed_of_a_private_file_brings_the_file_back)
{
    int fd = file_of(PAGE);
    char *memory = map_file(fd, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);

    *(unsigned *)(memory + 8) = 99;
    CHECK_OK(madvise(memory, PAGE, MADV_DONTNEED));
    CHECK_EQ(*(unsigned *)(memory + 8), 8);
}

TEST(madvise_dontneed_leaves_the_other_process_its_copy)
{
    char *memory = map(PAGE, MAP_PRIVATE);
    pid_t child;

    memory[0] = 5;
    child = CHECK_OK(fork());
    if (child == 0) {
        CHECK_OK(madvise(memory, PAGE, MADV_DONTNEED));
        CHECK_EQ(memory[0], 0);
        _exit(0);
    }
    CHECK_EXIT(child, 0);
    CHECK_EQ(memory[0], 5);
}

TEST(madvise_wipeonfork_gives_the_child_zeroes)
{
    char *memory = map(PAGE, MAP_PRIVATE);
    pid_t child;

    memory[0] = 5;
    CHECK_OK(madvise(memory, PAGE, MADV_WIPEONFORK));
    child = CHECK_OK(fork());
    if (child == 0)
        _exit(memory[0]);
    CHECK_EXIT(child, 0);
    CHECK_EQ(memory[0], 5);
}

TEST(madvise_wipeonfork_holds_in_the_child_for_its_own_children)
{
    char *memory = map(PAGE, MAP_PRIVATE);
    pid_t child, grandchild;

    CHECK_OK(madvise(memory, PAGE, MADV_WIPEONFORK));
    child = CHECK_OK(fork());
    if (child == 0) {
        memory[0] = 5;
        grandchild = CHECK_OK(fork());
        if (grandchild == 0)
            _exit(memory[0]);
        CHECK_EXIT(grandchild, 0);
        _exit(memory[0]);
    }
    CHECK_EXIT(child, 5);
}

TEST(madvise_dontfork_keeps_memory_from_the_child)
{
    char *memory = map(PAGE, MAP_PRIVATE);
    pid_t child;

    memory[0] = 5;
    CHECK_OK(madvise(memory, PAGE, MADV_DONTFORK));
    child = CHECK_OK(fork());
    if (child == 0)
        _exit(signal_of_read(memory) == SIGSEGV ? 0 : 1);
    CHECK_EXIT(child, 0);
    CHECK_EQ(memory[0], 5);
}

TEST(madvise_hints_change_nothing_that_can_be_seen)
{
    static const int hints[] = {MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED,
                                MADV_COLD};
    char *memory = map(PAGE, MAP_PRIVATE);

    memory[0] = 5;
    for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++)
        CHECK_OK(madvise(memory, PAGE, hints[i]));
    CHECK_EQ(memory[0], 5);
}

TEST(madvise_errors_are_as_documented)
{
    char *memory = map(2 * PAGE, MAP_PRIVATE);

    CHECK_ERRNO(madvise(memory + 1, PAGE, MADV_NORMAL), EINVAL);
    CHECK_ERRNO(madvise(memory, PAGE, 999), EINVAL);
    CHECK_OK(munmap(memory, PAGE));
    CHECK_ERRNO(madvise(memory, 2 * PAGE, MADV_NORMAL), ENOMEM);
    CHECK_ERRNO(madvise((char *)0xffff800000000000, PAGE, MADV_NORMAL), ENOMEM);
    CHECK_ERRNO(madvise((char *)0xffff800000000000, PAGE, 999), EINVAL);
    CHECK_ERRNO(madvise(memory, -1ul, MADV_NORMAL), EINVAL);
    CHECK_ERRNO(madvise(memory, -2ul * PAGE, MADV_NORMAL), EINVAL);
}

/* ---- memfd ---- */

TEST(memfd_create_makes_a_file_without_name)
{
    int fd = CHECK_OK(memfd_create("name", MFD_CLOEXEC));
    char link[128] = "", path[64], *memory;
    struct stat status;

    CHECK_OK(ftruncate(fd, 2 * PAGE));
    memory = map_file(fd, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
    memory[PAGE] = 'm';
    CHECK_EQ(pread(fd, link, 1, PAGE), 1);
    CHECK_EQ(link[0], 'm');
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    CHECK_OK(fstat(fd, &status));
    CHECK(S_ISREG(status.st_mode));
    CHECK_EQ(status.st_nlink, 0);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    memset(link, 0, sizeof(link));
    CHECK_OK(readlink(path, link, sizeof(link) - 1));
    CHECK_STR_EQ(link, "/memfd:name (deleted)");
}

TEST(memfd_create_errors_are_as_documented)
{
    static char name[300];

    memset(name, 'n', sizeof(name) - 1);
    CHECK_ERRNO(memfd_create(name, 0), EINVAL);
    CHECK_ERRNO(memfd_create("x", 0x8000), EINVAL);
    CHECK_ERRNO(syscall(SYS_memfd_create, bad_address(), 0), EFAULT);
}

/* A shared mapping of `count` pages, each with its number, from 1, in the first byte. */
static volatile unsigned char *numbered_pages(int fd, int count)
{
    char *pages = fd < 0 ? map(count * PAGE, MAP_SHARED)
                         : map_file(fd, count * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);

    for (int i = 0; i < count; i++)
        pages[i * PAGE] = i + 1;
    return (volatile unsigned char *)pages; /* one page is seen at two places */
}

TEST(remap_file_pages_shows_other_pages_of_the_same_object)
{
    int fd = CHECK_OK(memfd_create("pages", 0));
    volatile unsigned char *pages;

    CHECK_OK(ftruncate(fd, 4 * PAGE));
    for (int i = 0; i < 2; i++) {
        pages = numbered_pages(i ? -1 : fd, 4);
        CHECK_OK(remap_file_pages((void *)pages, 2 * PAGE, 0, 2, 0));
        CHECK_EQ(pages[0], 3);
        CHECK_EQ(pages[PAGE], 4);
        CHECK_EQ(pages[2 * PAGE], 3);
        pages[0] = 9;
        CHECK_EQ(pages[2 * PAGE], 9);
        CHECK_OK(remap_file_pages((void *)pages + PAGE, PAGE, 0, 0, 0));
        CHECK_EQ(pages[PAGE], 1);
        CHECK_OK(munmap((void *)pages, 4 * PAGE));
    }
}

TEST(remap_file_pages_wants_one_shared_mapping_without_a_hole)
{
    int fd = CHECK_OK(memfd_create("pages", 0));
    volatile unsigned char *pages;
    char *private_pages;

    CHECK_OK(ftruncate(fd, 4 * PAGE));
    pages = numbered_pages(fd, 4);
    private_pages = map(PAGE, MAP_PRIVATE);
    CHECK_ERRNO(remap_file_pages(private_pages, PAGE, 0, 0, 0), EINVAL);
    CHECK_ERRNO(remap_file_pages((void *)pages, PAGE, PROT_READ, 0, 0), EINVAL);
    CHECK_ERRNO(remap_file_pages((void *)pages, 0, 0, 0, 0), EINVAL);
    CHECK_ERRNO(remap_file_pages((void *)pages, PAGE, 0, -1ul, 0), EINVAL);
    CHECK_OK(mprotect((void *)pages + PAGE, PAGE, PROT_READ));
    CHECK_ERRNO(remap_file_pages((void *)pages, 2 * PAGE, 0, 2, 0), EINVAL);
    CHECK_OK(munmap((void *)pages + PAGE, PAGE));
    CHECK_ERRNO(remap_file_pages((void *)pages, 4 * PAGE, 0, 0, 0), EINVAL);
    CHECK_ERRNO(remap_file_pages((void *)pages + PAGE, PAGE, 0, 0, 0), EINVAL);
    CHECK_EQ(pages[0], 1);
    CHECK_EQ(pages[3 * PAGE], 4);
}

/* ---- Holes ---- */

TEST(fallocate_that_punches_a_hole_under_a_store_gives_no_sigbus)
{
    int fd = CHECK_OK(memfd_create("holes", 0));
    volatile char *page;
    pid_t child;

    CHECK_OK(ftruncate(fd, PAGE));
    page = map_file(fd, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
    child = CHECK_OK(fork());
    if (child == 0) {
        for (int i = 0; i < 3000; i++)
            *page = (char)i;
        _exit(0);
    }
    while (waitpid(child, NULL, WNOHANG | WNOWAIT) == 0)
        CHECK_OK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PAGE));
    CHECK_EXIT(child, 0);
}

TEST(fallocate_of_a_hole_is_seen_by_stores_that_come_later)
{
    int fd = CHECK_OK(memfd_create("holes", 0));
    volatile char *page;
    char byte;

    CHECK_OK(ftruncate(fd, PAGE));
    page = map_file(fd, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
    *page = 'a';
    CHECK_OK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PAGE));
    CHECK_EQ(*page, 0);
    *page = 'b';
    CHECK_EQ(pread(fd, &byte, 1, 0), 1);
    CHECK_EQ(byte, 'b');
}

TEST(fallocate_of_a_hole_leaves_private_copies_and_ftruncate_does_not)
{
    int fd = CHECK_OK(memfd_create("holes", 0));
    volatile char *copied;

    CHECK_OK(ftruncate(fd, 2 * PAGE));
    CHECK_EQ(pwrite(fd, "xx", 2, PAGE - 1), 2);
    copied = map_file(fd, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    copied[0] = 'p';
    CHECK_EQ(copied[PAGE], 'x');
    CHECK_OK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 2 * PAGE));
    CHECK_EQ(copied[0], 'p');
    CHECK_EQ(copied[PAGE - 1], 'x');
    CHECK_EQ(copied[PAGE], 0);
    CHECK_OK(ftruncate(fd, 0));
    CHECK_OK(ftruncate(fd, 2 * PAGE));
    CHECK_EQ(copied[0], 0);
}

TEST(mmap_of_a_closed_descriptor_says_so_before_it_looks_at_the_rest)
{
    CHECK_EQ(mmap(NULL, 0, 0, 0, -1, 0), MAP_FAILED);
    CHECK_EQ(errno, EBADF);
    CHECK_EQ(syscall(SYS_mmap, 0l, 0l, 0, 0, -1, 1l), -1);
    CHECK_EQ(errno, EINVAL);
}
