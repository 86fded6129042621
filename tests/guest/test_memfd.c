/*
 * Files in memory: memfd_create(2)'s flags, seals, holes of fallocate(2), advice, and ioctls of
 * regular files.
 *
 * covers: memfd_create fallocate lseek fadvise64 madvise ioctl fcntl sync_file_range
 * covers: copy_file_range
 */
#include "guest.h"

#include <linux/falloc.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

static int memfd_with(const char *text, unsigned flags)
{
    int fd = CHECK_OK(memfd_create("test", flags));

    CHECK_EQ(write(fd, text, strlen(text)), strlen(text));
    return fd;
}

static off_t size_of(int fd)
{
    struct stat status;

    CHECK_OK(fstat(fd, &status));
    return status.st_size;
}

/* ---- Seals ---- */

TEST(memfd_create_flags_are_those_of_the_descriptor_and_its_seals)
{
    char name[300];
    int fd = memfd_with("x", MFD_CLOEXEC);

    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(fcntl(fd, F_GET_SEALS), F_SEAL_SEAL);
    CHECK_ERRNO(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EPERM);
    fd = memfd_with("x", MFD_ALLOW_SEALING);
    CHECK_EQ(fcntl(fd, F_GETFD), 0);
    CHECK_EQ(fcntl(fd, F_GET_SEALS), 0);
    memset(name, 'n', sizeof(name));
    name[249] = 0;
    CHECK_OK(memfd_create(name, 0));
    name[249] = 'n';
    name[250] = 0;
    CHECK_ERRNO(memfd_create(name, 0), EINVAL);
    CHECK_ERRNO(memfd_create("test", 0x1000), EINVAL);
    CHECK_ERRNO(syscall(SYS_memfd_create, bad_address(), 0), EFAULT);
}

TEST(seals_forbid_to_shrink_and_to_grow)
{
    int fd = memfd_with("abcdef", MFD_ALLOW_SEALING);

    CHECK_OK(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK));
    CHECK_ERRNO(ftruncate(fd, 3), EPERM);
    CHECK_OK(ftruncate(fd, 10));
    CHECK_OK(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW));
    CHECK_ERRNO(ftruncate(fd, 20), EPERM);
    CHECK_ERRNO(pwrite(fd, "x", 1, 10), EPERM);
    CHECK_ERRNO(fallocate(fd, 0, 0, 20), EPERM);
    CHECK_EQ(pwrite(fd, "x", 1, 0), 1);
    CHECK_EQ(fcntl(fd, F_GET_SEALS), F_SEAL_SHRINK | F_SEAL_GROW);
    CHECK_EQ(size_of(fd), 10);
}

TEST(seals_forbid_to_write)
{
    int fd = memfd_with("abcdef", MFD_ALLOW_SEALING);
    char *shared = (char *)CHECK_OK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));

    CHECK_ERRNO(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EBUSY);
    CHECK_OK(munmap(shared, PAGE));
    CHECK_OK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
    CHECK_OK(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
    CHECK_ERRNO(write(fd, "x", 1), EPERM);
    CHECK_ERRNO(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PAGE), EPERM);
    CHECK_EQ(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
    CHECK_EQ(errno, EPERM);
    CHECK_OK(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL));
    CHECK_ERRNO(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), EPERM);
}

TEST(seals_of_future_writes_leave_the_mappings_that_are_there)
{
    int fd = memfd_with("abcdef", MFD_ALLOW_SEALING);
    char *shared = (char *)CHECK_OK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    char text[2] = "";

    CHECK_OK(fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE));
    shared[0] = 'X';
    CHECK_EQ(pread(fd, text, 1, 0), 1);
    CHECK_STR_EQ(text, "X");
    CHECK_ERRNO(write(fd, "x", 1), EPERM);
    CHECK_EQ(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
    CHECK_EQ(errno, EPERM);
    shared = (char *)CHECK_OK(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0));
    CHECK_ERRNO(mprotect(shared, PAGE, PROT_READ | PROT_WRITE), EACCES);
}

/* A write goes page by page, and so far as whole pages of it lie in the file. */
TEST(seal_grow_lets_a_write_go_on_to_the_last_whole_page)
{
    static char bytes[3 * PAGE];
    int fd = CHECK_OK(memfd_create("file", MFD_ALLOW_SEALING));

    CHECK_OK(ftruncate(fd, PAGE + 100));
    CHECK_OK(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW));
    CHECK_EQ(pwrite(fd, bytes, 3 * PAGE, 0), PAGE);
    CHECK_EQ(pwrite(fd, bytes, 2 * PAGE, 100), PAGE - 100);
    CHECK_EQ(pwrite(fd, bytes, 100, PAGE), 100);
    CHECK_ERRNO(pwrite(fd, bytes, 101, PAGE), EPERM);
    CHECK_ERRNO(pwrite(fd, bytes, 1, 2 * PAGE), EPERM);
    CHECK_EQ(size_of(fd), PAGE + 100);
}

TEST(seals_are_not_for_files_with_names)
{
    int fd = open("/dev/shm/seals", O_RDWR | O_CREAT, 0600);

    if (fd < 0)
        SKIP("there is no /dev/shm");
    CHECK_OK(unlink("/dev/shm/seals"));
    CHECK_EQ(fcntl(fd, F_GET_SEALS), F_SEAL_SEAL);
    CHECK_ERRNO(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EPERM);
    CHECK_EQ(write(fd, "x", 1), 1);
}

TEST(seals_are_for_files_in_memory_that_are_open_for_writing)
{
    int fd = memfd_with("x", MFD_ALLOW_SEALING), fds[2];
    char path[64];

    CHECK_ERRNO(fcntl(fd, F_ADD_SEALS, 0x8000), EINVAL);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    CHECK_ERRNO(fcntl(CHECK_OK(open(path, O_RDONLY)), F_ADD_SEALS, F_SEAL_GROW), EPERM);
    CHECK_OK(pipe(fds));
    CHECK_ERRNO(fcntl(fds[0], F_GET_SEALS), EINVAL);
    CHECK_ERRNO(fcntl(fds[1], F_ADD_SEALS, F_SEAL_GROW), EINVAL);
}

/* ---- Holes ---- */

TEST(fallocate_makes_holes_that_lseek_finds_and_that_read_as_zeroes)
{
    char *text = malloc(4 * PAGE), *zeroes = calloc(1, PAGE);
    int fd = CHECK_OK(memfd_create("holes", 0));
    struct stat before, after;

    memset(text, 'x', 4 * PAGE);
    CHECK_EQ(write(fd, text, 4 * PAGE), 4 * PAGE);
    CHECK_OK(fstat(fd, &before));
    CHECK_OK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, PAGE, PAGE));
    CHECK_OK(fstat(fd, &after));
    CHECK_EQ(before.st_blocks - after.st_blocks, PAGE / 512);
    CHECK_EQ(pread(fd, text, PAGE, PAGE), PAGE);
    CHECK_MEM_EQ(text, zeroes, PAGE);
    CHECK_EQ(lseek(fd, 0, SEEK_HOLE), PAGE);
    CHECK_EQ(lseek(fd, PAGE, SEEK_DATA), 2 * PAGE);
    CHECK_EQ(lseek(fd, 2 * PAGE, SEEK_HOLE), 4 * PAGE);
    CHECK_OK(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 8 * PAGE));
    CHECK_EQ(size_of(fd), 4 * PAGE);
}

static long blocks_of(int fd)
{
    struct stat status;

    CHECK_OK(fstat(fd, &status));
    return status.st_blocks;
}

static void check_hole(int fd, off_t from, off_t to)
{
    static char wanted[4 * PAGE], seen[4 * PAGE];

    memset(wanted, 'x', sizeof(wanted));
    CHECK_EQ(pwrite(fd, wanted, sizeof(wanted), 0), sizeof(wanted));
    CHECK_OK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, from, to - from));
    to = to < (off_t)sizeof(wanted) ? to : (off_t)sizeof(wanted);
    memset(wanted + from, 0, to - from);
    CHECK_EQ(pread(fd, seen, sizeof(seen), 0), sizeof(seen));
    CHECK_MEM_EQ(seen, wanted, sizeof(wanted));
}

TEST(fallocate_of_a_hole_clears_parts_of_pages_and_gives_whole_ones_back)
{
    int fd = CHECK_OK(memfd_create("file", 0));

    CHECK_OK(ftruncate(fd, 4 * PAGE));
    CHECK_OK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 100, 2 * PAGE));
    CHECK_EQ(blocks_of(fd), 0);
    check_hole(fd, 100, 200);
    check_hole(fd, 100, PAGE);
    check_hole(fd, PAGE - 1, PAGE + 1);
    CHECK_EQ(blocks_of(fd), 4 * PAGE / 512);
    check_hole(fd, PAGE, 2 * PAGE + 1);
    CHECK_EQ(blocks_of(fd), 3 * PAGE / 512);
    check_hole(fd, 100, 3 * PAGE + 100);
    CHECK_EQ(blocks_of(fd), 2 * PAGE / 512);
    check_hole(fd, 3 * PAGE + 1, 9 * PAGE);
    check_hole(fd, 0, 9 * PAGE);
    CHECK_EQ(blocks_of(fd), 0);
}

TEST(fallocate_refuses_what_files_in_memory_cannot)
{
    int fd = memfd_with("abc", 0);

    CHECK_ERRNO(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, PAGE), EOPNOTSUPP);
    CHECK_ERRNO(fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, PAGE), EOPNOTSUPP);
    CHECK_ERRNO(fallocate(fd, FALLOC_FL_INSERT_RANGE, 0, PAGE), EOPNOTSUPP);
    CHECK_ERRNO(fallocate(fd, FALLOC_FL_ZERO_RANGE, 0, PAGE), EOPNOTSUPP);
    CHECK_ERRNO(fallocate(fd, FALLOC_FL_UNSHARE_RANGE, 0, PAGE), EOPNOTSUPP);
    CHECK_ERRNO(fallocate(fd, FALLOC_FL_NO_HIDE_STALE, 0, PAGE), EOPNOTSUPP);
    CHECK_ERRNO(fallocate(fd, 0, 0x7fffffffffffffff, 1), EFBIG);
}

TEST(madvise_remove_makes_a_hole_behind_a_shared_mapping)
{
    int fd = memfd_with("abcdef", 0);
    char *shared = (char *)CHECK_OK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    char *private = (char *)CHECK_OK(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0));
    char byte = 'x';

    CHECK_EQ(shared[1], 'b');
    CHECK_OK(madvise(shared, PAGE, MADV_REMOVE));
    CHECK_EQ(shared[1], 0);
    CHECK_EQ(pread(fd, &byte, 1, 0), 1);
    CHECK_EQ(byte, 0);
    CHECK_EQ(size_of(fd), 6);
    CHECK_ERRNO(madvise(private, PAGE, MADV_REMOVE), EACCES);
    private = (char *)CHECK_OK(
        mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    CHECK_ERRNO(madvise(private, PAGE, MADV_REMOVE), EINVAL);
}

TEST(madvise_remove_empties_shared_memory_for_all_who_share_it)
{
    char *memory = (char *)CHECK_OK(
        mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    pid_t child;

    memset(memory, 'x', 4 * PAGE);
    child = CHECK_OK(fork());
    if (child == 0) {
        CHECK_EQ(memory[PAGE], 'x');
        CHECK_OK(madvise(memory + PAGE, 2 * PAGE, MADV_REMOVE));
        CHECK_EQ(memory[PAGE], 0);
        memory[2 * PAGE] = 'y';
        _exit(0);
    }
    CHECK_EXIT(child, 0);
    CHECK_EQ(memory[0], 'x');
    CHECK_EQ(memory[PAGE], 0);
    CHECK_EQ(memory[2 * PAGE], 'y');
    CHECK_EQ(memory[3 * PAGE], 'x');
}

/* ---- Advice, and what is written back ---- */

TEST(fadvise_of_every_kind_leaves_the_contents)
{
    static const int advice[] = {POSIX_FADV_NORMAL,   POSIX_FADV_RANDOM,  POSIX_FADV_SEQUENTIAL,
                                 POSIX_FADV_WILLNEED, POSIX_FADV_NOREUSE, POSIX_FADV_DONTNEED};
    char text[8] = "";
    int fd = memfd_with("abcdef", 0);

    for (unsigned i = 0; i < sizeof(advice) / sizeof(*advice); i++)
        CHECK_EQ(posix_fadvise(fd, 0, 0, advice[i]), 0);
    CHECK_EQ(pread(fd, text, 6, 0), 6);
    CHECK_STR_EQ(text, "abcdef");
    CHECK_EQ(posix_fadvise(fd, 0, -1, POSIX_FADV_NORMAL), EINVAL);
}

TEST(sync_file_range_takes_each_of_its_flags)
{
    int fd;

    enter_empty_directory();
    fd = CHECK_OK(open("file", O_RDWR | O_CREAT, 0644));
    CHECK_EQ(write(fd, "abc", 3), 3);
    CHECK_OK(sync_file_range(fd, 0, 3, SYNC_FILE_RANGE_WAIT_BEFORE));
    CHECK_OK(sync_file_range(fd, 0, 3, SYNC_FILE_RANGE_WRITE));
    CHECK_OK(sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WAIT_AFTER));
    CHECK_OK(sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE_AND_WAIT));
}

TEST(fcntl_keeps_how_long_written_data_is_said_to_live)
{
    uint64_t hint = 99;
    int fd = memfd_with("x", 0);

    CHECK_OK(fcntl(fd, F_GET_RW_HINT, &hint));
    CHECK_EQ(hint, RWF_WRITE_LIFE_NOT_SET);
    hint = RWH_WRITE_LIFE_SHORT;
    CHECK_OK(fcntl(fd, F_SET_RW_HINT, &hint));
    hint = 99;
    CHECK_OK(fcntl(fd, F_GET_RW_HINT, &hint));
    CHECK_EQ(hint, RWH_WRITE_LIFE_SHORT);
    hint = RWH_WRITE_LIFE_EXTREME + 1;
    CHECK_ERRNO(fcntl(fd, F_SET_RW_HINT, &hint), EINVAL);
    CHECK_ERRNO(fcntl(fd, F_SET_RW_HINT, bad_address()), EFAULT);
    CHECK_ERRNO(fcntl(fd, F_GET_RW_HINT, bad_address()), EFAULT);
    CHECK_ERRNO(fcntl(fd, F_GET_FILE_RW_HINT, &hint), EINVAL);
    CHECK_ERRNO(fcntl(fd, F_SET_FILE_RW_HINT, &hint), EINVAL);
}

TEST(write_of_a_page_that_is_there_by_half_writes_that_half)
{
    int fd = memfd_with("", 0);
    char *memory = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char byte = 1;

    CHECK(memory != MAP_FAILED);
    memset(memory, 'x', PAGE);
    CHECK_OK(munmap(memory + PAGE, PAGE));
    CHECK_EQ(pwrite(fd, memory + PAGE - 100, PAGE, 0), 100);
    CHECK_EQ(size_of(fd), 100);
    CHECK_OK(ftruncate(fd, PAGE));
    CHECK_EQ(pread(fd, &byte, 1, 100), 1);
    CHECK_EQ(byte, 0);
}

/* ---- Between files ---- */

TEST(copy_file_range_does_not_go_from_one_file_system_to_another)
{
    int memory = memfd_with("abc", 0), fd;

    enter_empty_directory();
    fd = CHECK_OK(open("file", O_RDWR | O_CREAT, 0644));
    CHECK_ERRNO(copy_file_range(memory, &(off_t){0}, fd, NULL, 3, 0), EXDEV);
    CHECK_ERRNO(copy_file_range(fd, NULL, memory, NULL, 3, 0), EXDEV);
}

TEST(ioctls_that_share_blocks_are_refused_by_files_in_memory)
{
    struct file_clone_range range = {.src_length = 0};
    int from = memfd_with("abc", 0), to = memfd_with("", 0);

    range.src_fd = from;
    CHECK_ERRNO(ioctl(to, FICLONE, from), EOPNOTSUPP);
    CHECK_ERRNO(ioctl(to, FICLONERANGE, &range), EOPNOTSUPP);
    CHECK_ERRNO(ioctl(to, FICLONE, -1), EBADF);
}

TEST(ioctls_of_regular_files_tell_of_size_and_blocks)
{
    int fd = memfd_with("abc", 0), number = 0, fds[2];
    long long size = 0;

    CHECK_OK(ioctl(fd, FIGETBSZ, &number));
    CHECK_EQ(number, PAGE);
    CHECK_OK(ioctl(fd, FIOQSIZE, &size));
    CHECK_EQ(size, PAGE);
    CHECK_OK(lseek(fd, 1, SEEK_SET));
    CHECK_OK(ioctl(fd, FIONREAD, &number));
    CHECK_EQ(number, 2);
    CHECK_ERRNO(ioctl(fd, FS_IOC_FIEMAP, bad_address()), EOPNOTSUPP);
    CHECK_ERRNO(ioctl(fd, BLKGETSIZE64, &size), ENOTTY);
    CHECK_OK(pipe(fds));
    CHECK_ERRNO(ioctl(fds[0], FIOQSIZE, &size), ENOTTY);
}
