/*
 * The rarer flags of the calls on memory, barriers between threads, and restartable sequences.
 *
 * covers: mmap mremap madvise mlockall membarrier rseq pidfd_open
 */
#include "guest.h"

#include <linux/membarrier.h>
#include <linux/rseq.h>
#include <poll.h>
#include <sys/resource.h>

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif
#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif
#ifndef MCL_ONFAULT
#define MCL_ONFAULT 4
#endif
#ifndef PIDFD_NONBLOCK
#define PIDFD_NONBLOCK O_NONBLOCK
#endif
#ifndef MAP_SYNC
#define MAP_SYNC 0x80000
#endif

#define PAGES 16

static char *map_anonymous(int flags)
{
    return (char *)CHECK_OK(mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE,
                                 MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0));
}

static long minor_faults(void)
{
    struct rusage usage;

    CHECK_OK(getrusage(RUSAGE_SELF, &usage));
    return usage.ru_minflt;
}

TEST(mmap_populate_leaves_no_fault_for_later)
{
    char *memory = map_anonymous(MAP_POPULATE);
    long before = minor_faults();

    for (int i = 0; i < PAGES; i++)
        memory[i * PAGE] = 1;
    CHECK_EQ(minor_faults() - before, 0);
}

TEST(mmap_flags_without_effect_are_taken)
{
    static const int flags[] = {MAP_STACK,      MAP_NONBLOCK | MAP_POPULATE,
                                MAP_DENYWRITE,  MAP_NORESERVE,
                                MAP_EXECUTABLE, MAP_FILE};

    for (int i = 0; i < 6; i++) {
        char *memory = map_anonymous(flags[i]);

        memory[PAGE] = 1;
        CHECK_EQ(memory[0], 0);
        CHECK_OK(munmap(memory, PAGES * PAGE));
    }
}

TEST(mmap_32bit_lies_in_the_first_2_gib)
{
    char *memory = map_anonymous(MAP_32BIT);

    CHECK_LE((unsigned long)memory + PAGES * PAGE, 1ul << 31);
}

TEST(mmap_32bit_takes_the_place_that_is_hinted_at_if_it_lies_there)
{
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, protection = PROT_READ | PROT_WRITE;
    char *hint = (char *)0x50000000;

    CHECK_EQ(mmap(hint, PAGE, protection, flags, -1, 0), hint);
    CHECK_NE(mmap(hint, PAGE, protection, flags, -1, 0), hint); /* it is taken now */
    CHECK_LT(CHECK_OK(mmap((char *)(1ul << 32), PAGE, protection, flags, -1, 0)), 1ul << 31);
}

TEST(mmap_shared_validate_refuses_flags_that_shared_ignores)
{
    int fd = CHECK_OK(memfd_create("file", 0));

    CHECK_OK(ftruncate(fd, PAGE));
    CHECK_OK(mmap(NULL, PAGE, PROT_READ, MAP_SHARED_VALIDATE, fd, 0));
    CHECK_ERRNO(mmap(NULL, PAGE, PROT_READ, MAP_SHARED_VALIDATE | MAP_ANONYMOUS, -1, 0), EINVAL);
    CHECK_OK(mmap(NULL, PAGE, PROT_READ, MAP_SHARED | 0x2000000, fd, 0));
    CHECK_ERRNO(mmap(NULL, PAGE, PROT_READ, MAP_SHARED_VALIDATE | 0x2000000, fd, 0), EOPNOTSUPP);
    CHECK_ERRNO(mmap(NULL, PAGE, PROT_READ, MAP_SHARED_VALIDATE | MAP_SYNC, fd, 0), EOPNOTSUPP);
}

TEST(mremap_dontunmap_leaves_empty_memory_behind)
{
    char *from = map_anonymous(0), *to;

    memset(from, 'a', PAGES * PAGE);
    to = (char *)CHECK_OK(
        mremap(from, PAGES * PAGE, PAGES * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL));
    CHECK_NE((long)to, (long)from);
    CHECK_EQ(to[PAGE], 'a');
    CHECK_EQ(from[PAGE], 0);
    CHECK_ERRNO(mremap(to, PAGES * PAGE, PAGES * PAGE, MREMAP_DONTUNMAP), EINVAL);
    CHECK_ERRNO(mremap(to, PAGES * PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP), EINVAL);
}

#define LEAVES (MREMAP_MAYMOVE | MREMAP_DONTUNMAP)

TEST(mremap_dontunmap_of_shared_memory_leaves_a_second_mapping)
{
    char *from = (char *)CHECK_OK(
        mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    char *to;

    from[0] = 'a';
    to = (char *)CHECK_OK(mremap(from, PAGE, PAGE, LEAVES, NULL));
    CHECK_EQ(to[0], 'a');
    to[0] = 'b';
    CHECK_EQ(from[0], 'b');
}

TEST(mremap_dontunmap_takes_its_address_for_a_hint)
{
    char *from = map_anonymous(0), *hint = map_anonymous(0), *to;

    to = (char *)CHECK_OK(mremap(from, PAGE, PAGE, LEAVES, hint));
    CHECK_NE((long)to, (long)hint);
}

static long status_kib(const char *name)
{
    char text[8192], *line;

    line = strstr(read_file("/proc/self/status", text, sizeof(text)), name);
    CHECK(line);
    return atol(line + strlen(name));
}

static int pages_in(char *memory, int pages)
{
    unsigned char resident[PAGES];
    int count = 0;

    CHECK_OK(mincore(memory, pages * PAGE, resident));
    for (int i = 0; i < pages; i++)
        count += resident[i] & 1;
    return count;
}

TEST(mremap_of_locked_memory_brings_in_what_is_new)
{
    char *memory = map_anonymous(0);

    if (mlock(memory, 2 * PAGE) == -1)
        SKIP("no memory may be locked");
    memory = (char *)CHECK_OK(mremap(memory, 2 * PAGE, 4 * PAGE, MREMAP_MAYMOVE));
    CHECK_EQ(pages_in(memory, 4), 4);
    CHECK_EQ(status_kib("VmLck:"), 4 * PAGE / 1024);
}

TEST(mremap_that_does_not_grow_takes_a_range_with_holes)
{
    char *memory = map_anonymous(0);

    CHECK_OK(munmap(memory + PAGE, PAGE));
    CHECK_EQ(CHECK_OK(mremap(memory, 4 * PAGE, 4 * PAGE, 0)), (long)memory);
    CHECK_EQ(CHECK_OK(mremap(memory, 4 * PAGE, 3 * PAGE, 0)), (long)memory);
    CHECK_ERRNO(mremap(memory, 3 * PAGE, 4 * PAGE, MREMAP_MAYMOVE), EFAULT);
    CHECK_ERRNO(mremap(memory + PAGE, PAGE, PAGE, 0), EFAULT);
}

TEST(mlock_of_what_allows_no_access_locks_it_and_gives_enomem)
{
    char *memory = map_anonymous(0);

    if (mlock(memory, PAGE) == -1)
        SKIP("no memory may be locked");
    CHECK_OK(mprotect(memory + PAGE, PAGE, PROT_NONE));
    CHECK_ERRNO(mlock(memory + PAGE, PAGE), ENOMEM);
    CHECK_EQ(status_kib("VmLck:"), 2 * PAGE / 1024);
    CHECK_ERRNO(msync(memory, PAGES * PAGE, MS_INVALIDATE), EBUSY);
    CHECK_OK(msync(memory + 2 * PAGE, PAGE, MS_INVALIDATE));
    CHECK_ERRNO(madvise(memory, PAGE, MADV_PAGEOUT), EINVAL);
    CHECK_ERRNO(madvise(memory, PAGE, MADV_COLD), EINVAL);
}

TEST(mprotect_growsdown_goes_to_the_beginning_of_the_stack)
{
    char *stack = map_anonymous(MAP_GROWSDOWN), *plain = map_anonymous(0);
    static char line[64], text[65536];

    CHECK_OK(mprotect(stack + 4 * PAGE, PAGE, PROT_READ | PROT_GROWSDOWN));
    read_file("/proc/self/maps", text, sizeof(text));
    snprintf(line, sizeof(line), "%lx-%lx r--p", (long)stack, (long)stack + 5 * PAGE);
    CHECK(strstr(text, line));
    CHECK_ERRNO(mprotect(plain, PAGE, PROT_READ | PROT_GROWSDOWN), EINVAL);
}

TEST(madvise_dontneed_locked_drops_also_what_is_locked)
{
    char *memory = map_anonymous(0);

    if (mlock(memory, PAGE) == -1)
        SKIP("no memory may be locked");
    memory[0] = 1;
    CHECK_ERRNO(madvise(memory, PAGE, MADV_DONTNEED), EINVAL);
    CHECK_EQ(memory[0], 1);
    CHECK_OK(madvise(memory, PAGE, MADV_DONTNEED_LOCKED));
    CHECK_EQ(memory[0], 0);
}

TEST(madvise_mergeable_changes_nothing_that_can_be_seen)
{
    char *memory = map_anonymous(0);

    memory[0] = memory[PAGE] = 1;
    if (madvise(memory, PAGES * PAGE, MADV_MERGEABLE) == -1 && errno == EINVAL)
        SKIP("same pages are not merged here");
    memory[0] = 2;
    CHECK_EQ(memory[PAGE], 1);
    CHECK_OK(madvise(memory, PAGES * PAGE, MADV_UNMERGEABLE));
}

TEST(mlockall_onfault_locks_what_is_touched_later)
{
    NEEDS_ROOT();
    CHECK_ERRNO(mlockall(MCL_ONFAULT), EINVAL);
    CHECK_OK(mlockall(MCL_CURRENT | MCL_ONFAULT));
    CHECK_GT(status_kib("VmLck:"), 0);
    CHECK_OK(munlockall());
    CHECK_EQ(status_kib("VmLck:"), 0);
}

static char *map_page(void)
{
    return (char *)CHECK_OK(
        mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

/* What cannot be brought in is no error of mlockall's, as it is of mlock's. */
TEST(mlockall_takes_a_mapping_beyond_its_files_end)
{
    int file = CHECK_OK(memfd_create("empty", 0));
    char *memory = (char *)CHECK_OK(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, file, 0));

    NEEDS_ROOT();
    CHECK_ERRNO(mlock(memory, PAGE), ENOMEM);
    CHECK_OK(munlock(memory, PAGE));
    CHECK_OK(mlockall(MCL_CURRENT));
    CHECK_OK(munlockall());
}

TEST(mlockall_says_anew_what_becomes_of_memory_to_come)
{
    unsigned char resident = 1;
    char *memory;
    long locked;

    NEEDS_ROOT();
    CHECK_OK(mlockall(MCL_FUTURE | MCL_ONFAULT));
    memory = map_page();
    CHECK_EQ(status_kib("VmLck:"), PAGE / 1024);
    CHECK_OK(mincore(memory, PAGE, &resident));
    CHECK_EQ(resident & 1, 0);
    CHECK_OK(munmap(memory, PAGE));
    CHECK_OK(mlockall(MCL_CURRENT | MCL_ONFAULT));
    locked = status_kib("VmLck:");
    map_page();
    CHECK_EQ(status_kib("VmLck:"), locked);
}

static long barrier(int command, unsigned flags)
{
    return syscall(SYS_membarrier, command, flags, 0);
}

TEST(membarrier_private_needs_registration)
{
    long all = CHECK_OK(barrier(MEMBARRIER_CMD_QUERY, 0));

    CHECK(all & MEMBARRIER_CMD_GLOBAL);
    CHECK(all & MEMBARRIER_CMD_PRIVATE_EXPEDITED);
    CHECK_ERRNO(barrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0), EPERM);
    CHECK_OK(barrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0));
    CHECK_OK(barrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0));
    CHECK_OK(barrier(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0));
    CHECK_OK(barrier(MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0));
    CHECK_ERRNO(barrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED, MEMBARRIER_CMD_FLAG_CPU), EINVAL);
    CHECK_ERRNO(barrier(1 << 30, 0), EINVAL);
}

TEST(membarrier_for_changed_code_needs_registration)
{
    long all = CHECK_OK(barrier(MEMBARRIER_CMD_QUERY, 0));

    if (!(all & MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE))
        SKIP("it is not offered");
    CHECK_ERRNO(barrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE, 0), EPERM);
    CHECK_OK(barrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE, 0));
    CHECK_OK(barrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE, 0));
}

TEST(rseq_is_registered_told_the_cpu_and_unregistered)
{
    static struct rseq area __attribute__((__aligned__(32)));

    area.cpu_id = RSEQ_CPU_ID_UNINITIALIZED;
    CHECK_OK(syscall(SYS_rseq, &area, sizeof(area), 0, 0x53053053));
    CHECK_NE(area.cpu_id, (uint32_t)RSEQ_CPU_ID_UNINITIALIZED);
    CHECK_ERRNO(syscall(SYS_rseq, &area, sizeof(area), 0, 0x53053053), EBUSY);
    CHECK_ERRNO(syscall(SYS_rseq, &area, sizeof(area), RSEQ_FLAG_UNREGISTER, 1), EPERM);
    CHECK_OK(syscall(SYS_rseq, &area, sizeof(area), RSEQ_FLAG_UNREGISTER, 0x53053053));
    CHECK_EQ(area.cpu_id, (uint32_t)RSEQ_CPU_ID_UNINITIALIZED);
}

TEST(pidfd_nonblock_waits_for_nobody)
{
    pid_t child = CHECK_OK(fork());
    siginfo_t info;
    int fd;

    if (child == 0) {
        pause();
        _exit(0);
    }
    fd = CHECK_OK(syscall(SYS_pidfd_open, child, PIDFD_NONBLOCK));
    CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
    CHECK_ERRNO(waitid(3 /* P_PIDFD */, fd, &info, WEXITED), EAGAIN);
    CHECK_OK(kill(child, SIGKILL));
    CHECK_EQ(poll(&(struct pollfd){fd, POLLIN, 0}, 1, -1), 1);
    CHECK_OK(waitid(3 /* P_PIDFD */, fd, &info, WEXITED));
    CHECK_EQ(info.si_code, CLD_KILLED);
}
