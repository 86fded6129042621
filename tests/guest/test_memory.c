/*
 * mmap, munmap, mprotect, brk: private memory, what a fork copies of it, and each error.
 *
 * covers: mmap munmap mprotect brk mincore mlock munlock mlockall munlockall
 */
#include "guest.h"

#include <setjmp.h>
#include <sys/resource.h>

static sigjmp_buf escape;
static void escape_on_signal(int signal)
{
    last_signal = signal;
    siglongjmp(escape, 1);
}

/* The signal that touching `address` gives, or 0. */
static int signal_of_read(const volatile char *address)
{
    handle_signal(SIGSEGV, escape_on_signal, 0);
    handle_signal(SIGBUS, escape_on_signal, 0);
    if (sigsetjmp(escape, 1))
        return last_signal;
    (void)*address;
    return 0;
}

static int signal_of_write(volatile char *address)
{
    handle_signal(SIGSEGV, escape_on_signal, 0);
    handle_signal(SIGBUS, escape_on_signal, 0);
    if (sigsetjmp(escape, 1))
        return last_signal;
    *address = 1;
    return 0;
}

static char *map(size_t bytes, int protection)
{
    return (char *)CHECK_OK(mmap(NULL, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

TEST(mmap_anonymous_memory_is_zero_and_writable)
{
    char *memory = map(64 * PAGE, PROT_READ | PROT_WRITE);

    CHECK_EQ((uintptr_t)memory % PAGE, 0);
    for (int i = 0; i < 64 * PAGE; i += 512)
        CHECK_EQ(memory[i], 0);
    memset(memory, 7, 64 * PAGE);
    CHECK_EQ(memory[64 * PAGE - 1], 7);
}

TEST(mmap_length_is_rounded_up_to_pages)
{
    char *memory = map(10, PROT_READ | PROT_WRITE);

    CHECK_EQ(signal_of_write(memory + PAGE - 1), 0);
    CHECK_OK(munmap(memory, 1));
    CHECK_EQ(signal_of_read(memory + PAGE - 1), SIGSEGV);
}

TEST(mmap_fixed_replaces_what_was_there)
{
    char *memory = map(3 * PAGE, PROT_READ | PROT_WRITE);

    memset(memory, 1, 3 * PAGE);
    CHECK_EQ(mmap(memory + PAGE, PAGE, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
             memory + PAGE);
    CHECK_EQ(memory[0], 1);
    CHECK_EQ(memory[PAGE], 0);
    CHECK_EQ(memory[2 * PAGE], 1);
}

TEST(mmap_fixed_noreplace_gives_eexist)
{
    char *memory = map(3 * PAGE, PROT_READ);

    CHECK_ERRNO(mmap(memory + PAGE, PAGE, PROT_READ,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0),
                EEXIST);
    CHECK_OK(munmap(memory + PAGE, PAGE));
    CHECK_EQ(mmap(memory + PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
                  -1, 0),
             memory + PAGE);
}

TEST(mmap_hint_is_taken_when_free)
{
    char *memory = map(4 * PAGE, PROT_READ);

    CHECK_OK(munmap(memory, 4 * PAGE));
    CHECK_EQ(mmap(memory, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), memory);
    CHECK_NE(mmap(memory, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), memory);
}

TEST(mmap_errors_are_as_documented)
{
    int fd, directory = CHECK_OK(open("/", O_RDONLY));

    CHECK_ERRNO(mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), EINVAL);
    CHECK_ERRNO(mmap(NULL, PAGE, PROT_READ, MAP_ANONYMOUS, -1, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_mmap, NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 1),
                EINVAL);
    CHECK_ERRNO(
        mmap((void *)0x10001, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
        EINVAL);
    CHECK_ERRNO(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, 77, 0), EBADF);
    CHECK_ERRNO(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, directory, 0), ENODEV);
    CHECK_ERRNO(
        syscall(SYS_mmap, NULL, (size_t)1 << 47, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
        ENOMEM);
    CHECK_ERRNO(syscall(SYS_mmap, NULL, (size_t)-1, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
                ENOMEM);
    CHECK_ERRNO(syscall(SYS_mmap, 0x7ffffffff000, PAGE, PROT_READ,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
                ENOMEM);
    enter_empty_directory();
    fd = CHECK_OK(open("file", O_WRONLY | O_CREAT, 0644));
    CHECK_ERRNO(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0), EACCES);
    close(fd);
    fd = CHECK_OK(open("file", O_RDONLY));
    CHECK_ERRNO(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), EACCES);
    CHECK_OK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
}

TEST(mmap_below_mmap_min_addr_is_refused_to_users)
{
    pid_t child = CHECK_OK(fork());

    NEEDS_ROOT();
    if (child == 0) {
        CHECK_OK(setresuid(12345, 12345, 12345));
        CHECK_ERRNO(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
                    EPERM);
        _exit(0);
    }
    CHECK_EXIT(child, 0);
}

TEST(mmap_executable_memory_runs)
{
    unsigned char *code = (unsigned char *)map(PAGE, PROT_READ | PROT_WRITE);

    memcpy(code, "\xb8\x2a\x00\x00\x00\xc3", 6); /* mov $42, %eax; ret */
    CHECK_OK(mprotect(code, PAGE, PROT_READ | PROT_EXEC));
    CHECK_EQ(((int (*)(void))(uintptr_t)code)(), 42);
}

TEST(mmap_of_much_more_than_memory_is_lazy)
{
    char *memory = (char *)CHECK_OK(mmap(NULL, (size_t)64 << 30, PROT_READ | PROT_WRITE,
                                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));

    for (size_t i = 0; i < (size_t)64 << 30; i += (size_t)1 << 30)
        memory[i] = 1;
    CHECK_EQ(memory[(size_t)63 << 30], 1);
    CHECK_OK(munmap(memory, (size_t)64 << 30));
}

TEST(mmap_growsdown_grows_on_faults_below)
{
    char *memory = map(300 * PAGE, PROT_READ);
    char *stack = memory + 296 * PAGE;

    CHECK_OK(munmap(memory, 300 * PAGE));
    CHECK_EQ(mmap(stack, 4 * PAGE, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_FIXED_NOREPLACE, -1, 0),
             stack);
    CHECK_EQ(signal_of_write(stack - PAGE), 0);
    CHECK_EQ(signal_of_write(stack - 2 * PAGE), 0);
}

TEST(munmap_takes_away_only_its_range)
{
    char *memory = map(3 * PAGE, PROT_READ | PROT_WRITE);

    memset(memory, 5, 3 * PAGE);
    CHECK_OK(munmap(memory + PAGE, PAGE));
    CHECK_EQ(memory[PAGE - 1], 5);
    CHECK_EQ(memory[2 * PAGE], 5);
    CHECK_EQ(signal_of_read(memory + PAGE), SIGSEGV);
    CHECK_OK(munmap(memory, 3 * PAGE)); /* also over a hole */
    CHECK_OK(munmap(memory, 3 * PAGE));
}

TEST(munmap_errors_are_as_documented)
{
    char *memory = map(PAGE, PROT_READ);

    CHECK_ERRNO(munmap(memory + 1, PAGE), EINVAL);
    CHECK_ERRNO(munmap(memory, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_munmap, memory, (size_t)-PAGE), EINVAL);
}

TEST(mprotect_takes_and_gives_rights)
{
    char *memory = map(3 * PAGE, PROT_READ | PROT_WRITE);

    memset(memory, 5, 3 * PAGE);
    CHECK_OK(mprotect(memory + PAGE, PAGE, PROT_READ));
    CHECK_EQ(signal_of_write(memory + PAGE), SIGSEGV);
    CHECK_EQ(memory[PAGE], 5);
    CHECK_EQ(signal_of_write(memory), 0);
    CHECK_EQ(signal_of_write(memory + 2 * PAGE), 0);
    CHECK_OK(mprotect(memory, 3 * PAGE, PROT_NONE));
    CHECK_EQ(signal_of_read(memory), SIGSEGV);
    CHECK_OK(mprotect(memory, 3 * PAGE, PROT_READ | PROT_WRITE));
    CHECK_EQ(memory[PAGE], 5);
    CHECK_EQ(signal_of_write(memory + PAGE), 0);
}

TEST(mprotect_errors_are_as_documented)
{
    char *memory = map(3 * PAGE, PROT_READ);
    int fd;

    CHECK_ERRNO(syscall(SYS_mprotect, memory + 1, PAGE, PROT_READ), EINVAL);
    CHECK_OK(munmap(memory + PAGE, PAGE));
    CHECK_ERRNO(mprotect(memory, 3 * PAGE, PROT_READ), ENOMEM);
    CHECK_ERRNO(mprotect(memory, PAGE, 0x40000000), EINVAL);
    enter_empty_directory();
    write_file("file", "text");
    fd = CHECK_OK(open("file", O_RDONLY));
    memory = (char *)CHECK_OK(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0));
    CHECK_ERRNO(mprotect(memory, PAGE, PROT_READ | PROT_WRITE), EACCES);
}

TEST(brk_moves_the_end_of_the_heap)
{
    char *start = (char *)syscall(SYS_brk, 0), *end = start + 10 * PAGE;

    CHECK_EQ(syscall(SYS_brk, end), end);
    CHECK_EQ(signal_of_write(end - 1), 0);
    CHECK_EQ(start[0], 0);
    memset(start, 1, 10 * PAGE);
    CHECK_EQ(syscall(SYS_brk, start + PAGE), start + PAGE);
    CHECK_EQ(syscall(SYS_brk, end), end);
    CHECK_EQ(start[2 * PAGE], 0); /* given back, so new again */
}

TEST(brk_that_cannot_be_leaves_the_end_where_it_was)
{
    char *start = (char *)syscall(SYS_brk, 0);

    CHECK_EQ(syscall(SYS_brk, 1), start);
    CHECK_EQ(syscall(SYS_brk, 0x7fffffffffff), start);
}

TEST(brk_over_rlimit_data_is_refused)
{
    struct rlimit limit = {1024 * 1024, 1024 * 1024};
    char *start = (char *)syscall(SYS_brk, 0);

    CHECK_OK(setrlimit(RLIMIT_DATA, &limit));
    CHECK_EQ(syscall(SYS_brk, start + 4 * 1024 * 1024), start);
}

TEST(mmap_over_rlimit_as_gives_enomem)
{
    struct rlimit limit = {256 << 20, 256 << 20};

    CHECK_OK(setrlimit(RLIMIT_AS, &limit));
    CHECK_ERRNO(mmap(NULL, 512 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), ENOMEM);
    map(16 << 20, PROT_READ);
}

/* ---- Copy on write ---- */

TEST(memory_after_fork_is_separate_in_three_generations)
{
    enum {
        PAGES = 600
    }; /* more than one page table */
    char *memory = map(PAGES * PAGE, PROT_READ | PROT_WRITE);
    pid_t child;

    for (int i = 0; i < PAGES; i++)
        memory[i * PAGE] = 1;
    child = CHECK_OK(fork());
    if (child == 0) {
        pid_t grandchild;

        for (int i = 0; i < PAGES; i += 2)
            memory[i * PAGE] = 2;
        grandchild = CHECK_OK(fork());
        if (grandchild == 0) {
            for (int i = 0; i < PAGES; i++)
                CHECK_EQ(memory[i * PAGE], i % 2 ? 1 : 2);
            for (int i = 0; i < PAGES; i += 3)
                memory[i * PAGE] = 3;
            for (int i = 0; i < PAGES; i++)
                CHECK_EQ(memory[i * PAGE], i % 3 == 0 ? 3 : i % 2 ? 1 : 2);
            _exit(0);
        }
        CHECK_EXIT(grandchild, 0);
        for (int i = 0; i < PAGES; i++)
            CHECK_EQ(memory[i * PAGE], i % 2 ? 1 : 2);
        _exit(0);
    }
    CHECK_EXIT(child, 0);
    for (int i = 0; i < PAGES; i++)
        CHECK_EQ(memory[i * PAGE], 1);
}

TEST(memory_mapped_after_fork_is_the_callers_own)
{
    char *memory = map(4 * PAGE, PROT_READ | PROT_WRITE);
    pid_t child;

    memory[0] = 1;
    child = CHECK_OK(fork());
    if (child == 0) {
        CHECK_OK(munmap(memory, PAGE));
        CHECK_OK(mprotect(memory + PAGE, PAGE, PROT_NONE));
        CHECK_EQ(signal_of_read(memory), SIGSEGV);
        _exit(0);
    }
    CHECK_EXIT(child, 0);
    CHECK_EQ(memory[0], 1);
    CHECK_EQ(signal_of_write(memory + PAGE), 0);
}

TEST(memory_of_a_read_only_page_stays_shared_and_readable_after_fork)
{
    char *memory = map(PAGE, PROT_READ | PROT_WRITE);
    pid_t child;

    memory[0] = 9;
    CHECK_OK(mprotect(memory, PAGE, PROT_READ));
    child = CHECK_OK(fork());
    if (child == 0) {
        CHECK_EQ(memory[0], 9);
        CHECK_EQ(signal_of_write(memory), SIGSEGV);
        CHECK_OK(mprotect(memory, PAGE, PROT_READ | PROT_WRITE));
        memory[0] = 8;
        _exit(0);
    }
    CHECK_EXIT(child, 0);
    CHECK_EQ(memory[0], 9);
}

TEST(memory_written_by_a_system_call_is_copied_first)
{
    char *memory = map(PAGE, PROT_READ | PROT_WRITE);
    int fds[2];
    pid_t child;

    memory[0] = 'a';
    CHECK_OK(pipe(fds));
    CHECK_EQ(write(fds[1], "b", 1), 1);
    child = CHECK_OK(fork());
    if (child == 0) {
        CHECK_EQ(read(fds[0], memory, 1), 1);
        CHECK_EQ(memory[0], 'b');
        _exit(0);
    }
    CHECK_EXIT(child, 0);
    CHECK_EQ(memory[0], 'a');
}

TEST(memory_survives_many_forks_and_exits)
{
    char *memory = map(100 * PAGE, PROT_READ | PROT_WRITE);

    for (int round = 0; round < 50; round++) {
        pid_t child;

        memset(memory, round, 100 * PAGE);
        child = CHECK_OK(fork());
        if (child == 0) {
            for (int i = 0; i < 100; i++)
                CHECK_EQ(memory[i * PAGE], round);
            memset(memory, 0xff, 50 * PAGE);
            _exit(0);
        }
        memory[99 * PAGE] = 100;
        CHECK_EXIT(child, 0);
    }
}

/* Writes to `bytes` of stack from the top down. */
__attribute__((__noinline__)) static void use_stack(size_t bytes)
{
    volatile char *block = __builtin_alloca(bytes);

    for (size_t i = bytes; i >= PAGE; i -= PAGE)
        block[i - PAGE] = 1;
}

TEST(stack_grows_to_its_limit_and_no_further)
{
    struct rlimit limit;
    pid_t child;

    CHECK_OK(getrlimit(RLIMIT_STACK, &limit));
    limit.rlim_cur = 1 << 20;
    child = CHECK_OK(fork());
    if (child == 0) {
        use_stack(4 << 20);
        _exit(0);
    }
    CHECK_EXIT(child, 0);
    child = CHECK_OK(fork());
    if (child == 0) {
        CHECK_OK(setrlimit(RLIMIT_STACK, &limit));
        use_stack(2 << 20);
        _exit(0);
    }
    CHECK_KILLED(child, SIGSEGV);
}

TEST(mincore_tells_what_is_there)
{
    char *memory = map(3 * PAGE, PROT_READ | PROT_WRITE);
    unsigned char there[3];

    memory[PAGE] = 1;
    CHECK_OK(mincore(memory, 3 * PAGE, there));
    CHECK_EQ(there[0] & 1, 0);
    CHECK_EQ(there[1] & 1, 1);
    CHECK_ERRNO(mincore(memory + 1, PAGE, there), EINVAL);
    CHECK_OK(munmap(memory, PAGE));
    CHECK_ERRNO(mincore(memory, PAGE, there), ENOMEM);
    CHECK_ERRNO(mincore(memory + PAGE, PAGE, bad_address()), EFAULT);
}

TEST(mlock_and_munlock_check_their_range)
{
    char *memory = map(2 * PAGE, PROT_READ | PROT_WRITE);
    unsigned char there[2];

    CHECK_OK(mlock(memory, 2 * PAGE));
    CHECK_OK(mincore(memory, 2 * PAGE, there));
    CHECK_EQ(there[1] & 1, 1);
    CHECK_OK(munlock(memory, 2 * PAGE));
    CHECK_OK(munmap(memory, PAGE));
    CHECK_ERRNO(mlock(memory, 2 * PAGE), ENOMEM);
    CHECK_ERRNO(munlock(memory, PAGE), ENOMEM);
    CHECK_ERRNO(mlock((void *)0xffff800000000000, PAGE), ENOMEM);
    CHECK_ERRNO(mlock((void *)PAGE, -2ul * PAGE), ENOMEM);
    CHECK_ERRNO(mlock(memory, -4ul * PAGE), EINVAL);
    CHECK_OK(munlockall());
    CHECK_ERRNO(mlockall(0), EINVAL);
}
