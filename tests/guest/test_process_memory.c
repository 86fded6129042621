/*
 * Calls on the memory of another process, and advice that it takes.
 *
 * covers: process_vm_readv process_vm_writev process_madvise madvise
 */
#include "guest.h"

#include <sys/uio.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ  22
#define MADV_POPULATE_WRITE 23
#endif

static char *map_shared_place(void)
{
    return (char *)CHECK_OK(
        mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

/* A child that has `text` at `place` and waits until our end of its pipe is closed. */
static pid_t start_child(char *place, const char *text, int ends[2])
{
    pid_t child;
    char byte;
    int ready[2];

    CHECK_OK(pipe(ends));
    CHECK_OK(pipe(ready));
    child = CHECK_OK(fork());
    if (child == 0) {
        close(ends[1]);
        strcpy(place, text);
        CHECK_EQ(write(ready[1], "x", 1), 1);
        CHECK_OK(read(ends[0], &byte, 1));
        _exit(strcmp(place, text) == 0 ? 0 : 7);
    }
    close(ends[0]);
    CHECK_EQ(read(ready[0], &byte, 1), 1);
    return child;
}

TEST(process_vm_readv_reads_the_others_memory_in_pieces)
{
    char *place = map_shared_place(), to[2][8] = {"", ""};
    struct iovec own[2] = {{to[0], 3}, {to[1], 4}};
    struct iovec remote[2] = {{place, 5}, {place + 5, 2}};
    int ends[2];
    pid_t child = start_child(place, "abcdefg", ends);

    CHECK_EQ(process_vm_readv(child, own, 2, remote, 2, 0), 7);
    CHECK_STR_EQ(to[0], "abc");
    CHECK_STR_EQ(to[1], "defg");
    CHECK_EQ(place[0], 0); /* ours is another */
    close(ends[1]);
    CHECK_EXIT(child, 0);
}

TEST(process_vm_writev_writes_the_others_memory)
{
    char *place = map_shared_place(), from[] = "new";
    struct iovec own = {from, 4}, remote = {place, 4};
    int ends[2];
    pid_t child = start_child(place, "old", ends);

    CHECK_EQ(process_vm_writev(child, &own, 1, &remote, 1, 0), 4);
    close(ends[1]);
    CHECK_EXIT(child, 7);
    CHECK_EQ(place[0], 0);
}

TEST(process_vm_readv_stops_where_nothing_is_mapped)
{
    char *place = map_shared_place(), to[2 * PAGE];
    struct iovec own = {to, sizeof(to)}, remote = {place, 2 * PAGE};

    memset(place, 3, 2 * PAGE);
    CHECK_OK(munmap(place + PAGE, PAGE));
    CHECK_EQ(process_vm_readv(getpid(), &own, 1, &remote, 1, 0), PAGE);
    remote.iov_base = place + PAGE;
    CHECK_ERRNO(process_vm_readv(getpid(), &own, 1, &remote, 1, 0), EFAULT);
}

TEST(process_vm_readv_errors_are_as_documented)
{
    char byte;
    struct iovec one = {&byte, 1};

    CHECK_ERRNO(process_vm_readv(getpid(), &one, 1, &one, 1, 1), EINVAL);
    CHECK_ERRNO(process_vm_readv(999999, &one, 1, &one, 1, 0), ESRCH);
    CHECK_ERRNO(process_vm_readv(getpid(), &one, 2000, &one, 1, 0), EINVAL);
    CHECK_EQ(process_vm_readv(getpid(), &one, 0, &one, 1, 0), 0);
}

TEST(process_vm_readv_of_another_users_process_gives_eperm)
{
    char *place = map_shared_place(), byte;
    struct iovec own = {&byte, 1}, remote = {place, 1};
    int ends[2];
    pid_t child;

    NEEDS_ROOT();
    child = start_child(place, "x", ends);
    CHECK_OK(setresuid(65534, 65534, 65534));
    CHECK_ERRNO(process_vm_readv(child, &own, 1, &remote, 1, 0), EPERM);
    close(ends[1]);
    CHECK_EXIT(child, 0);
}

TEST(process_madvise_takes_advice_that_changes_nothing)
{
    char *place = map_shared_place();
    struct iovec ranges[2] = {{place, PAGE}, {place + PAGE, PAGE}};
    int pidfd = (int)CHECK_OK(syscall(SYS_pidfd_open, getpid(), 0));

    place[0] = 5;
    CHECK_EQ(syscall(SYS_process_madvise, pidfd, ranges, 2, MADV_COLD, 0), 2 * PAGE);
    CHECK_EQ(syscall(SYS_process_madvise, pidfd, ranges, 1, MADV_WILLNEED, 0), PAGE);
    CHECK_EQ(place[0], 5);
    CHECK_ERRNO(syscall(SYS_process_madvise, pidfd, ranges, 2, MADV_COLD, 1), EINVAL);
    CHECK_ERRNO(syscall(SYS_process_madvise, 999, ranges, 2, MADV_COLD, 0), EBADF);
}

static int is_resident(char *page)
{
    unsigned char resident;

    CHECK_OK(mincore(page, PAGE, &resident));
    return resident & 1;
}

TEST(madvise_populate_brings_pages_in)
{
    char *place = map_shared_place();

    CHECK_EQ(is_resident(place), 0);
    CHECK_OK(madvise(place, PAGE, MADV_POPULATE_READ));
    CHECK_OK(madvise(place + PAGE, PAGE, MADV_POPULATE_WRITE));
    CHECK_EQ(is_resident(place + PAGE), 1);
    CHECK_EQ(place[0] + place[PAGE], 0);
    CHECK_OK(mprotect(place, PAGE, PROT_READ));
    CHECK_ERRNO(madvise(place, PAGE, MADV_POPULATE_WRITE), EINVAL);
    CHECK_OK(munmap(place, PAGE));
    CHECK_ERRNO(madvise(place, PAGE, MADV_POPULATE_READ), ENOMEM);
}

TEST(madvise_free_keeps_or_zeroes_whole_pages)
{
    char *place = map_shared_place();

    memset(place, 9, 2 * PAGE);
    CHECK_OK(madvise(place, PAGE, MADV_FREE));
    CHECK(place[0] == 0 || place[0] == 9);
    CHECK_EQ(place[PAGE - 1], place[0]);
    CHECK_EQ(place[PAGE], 9);
    place[0] = 4;
    CHECK_EQ(place[0], 4);
}

TEST(madvise_that_is_taken_back_leaves_memory_inherited)
{
    char *place = map_shared_place();
    pid_t child;

    place[0] = 1;
    place[PAGE] = 2;
    CHECK_OK(madvise(place, PAGE, MADV_DONTFORK));
    CHECK_OK(madvise(place, PAGE, MADV_DOFORK));
    CHECK_OK(madvise(place + PAGE, PAGE, MADV_WIPEONFORK));
    CHECK_OK(madvise(place + PAGE, PAGE, MADV_KEEPONFORK));
    CHECK_OK(madvise(place, 2 * PAGE, MADV_DONTDUMP));
    CHECK_OK(madvise(place, 2 * PAGE, MADV_DODUMP));
    CHECK_OK(madvise(place, 2 * PAGE, MADV_PAGEOUT));
    child = CHECK_OK(fork());
    if (child == 0)
        _exit(place[0] == 1 && place[PAGE] == 2 ? 0 : 1);
    CHECK_EXIT(child, 0);
}

TEST(madvise_of_locked_or_shared_memory_refuses_what_does_not_suit_it)
{
    char *place = map_shared_place();
    char *shared = (char *)CHECK_OK(
        mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));

    CHECK_OK(mlock(place, PAGE));
    CHECK_ERRNO(madvise(place, PAGE, MADV_DONTNEED), EINVAL);
    CHECK_ERRNO(madvise(shared, PAGE, MADV_FREE), EINVAL);
    CHECK_ERRNO(madvise(shared, PAGE, MADV_WIPEONFORK), EINVAL);
}

TEST(process_vm_readv_of_nothing_asks_for_no_process)
{
    CHECK_EQ(syscall(SYS_process_vm_readv, 0x7fffffff, NULL, 0l, NULL, 0l, 0l), 0);
}
