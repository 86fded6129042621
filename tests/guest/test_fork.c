/*
 * fork, vfork, clone and clone3: what the child shares, what it copies, and what it does not get.
 *
 * covers: clone clone3 getpid getppid
 */
#include "guest.h"

#include <linux/sched.h>
#include <sys/resource.h>
#include <sys/times.h>

TEST(fork_returns_twice_with_the_childs_id_and_zero)
{
    int fds[2];
    pid_t child, told;

    CHECK_OK(pipe(fds));
    child = CHECK_OK(fork());
    if (child == 0) {
        pid_t self = getpid();

        CHECK_EQ(write(fds[1], &self, sizeof(self)), sizeof(self));
        _exit(0);
    }
    CHECK_EQ(read(fds[0], &told, sizeof(told)), sizeof(told));
    CHECK_EQ(told, child);
    CHECK_NE(child, getpid());
    CHECK_EXIT(child, 0);
}

TEST(fork_child_has_its_parent)
{
    pid_t parent = getpid(), child = CHECK_OK(fork());

    if (child == 0)
        _exit(getppid() == parent ? 0 : 1);
    CHECK_EXIT(child, 0);
}

TEST(fork_child_sees_parents_memory_as_it_was)
{
    static int data = 1, bss;
    int stack = 2, *heap = malloc(sizeof(int));
    struct gate written = gate_new();
    pid_t child;

    *heap = 3;
    child = CHECK_OK(fork());
    if (child == 0) {
        gate_pass(written);
        CHECK_EQ(data, 1);
        CHECK_EQ(bss, 0);
        CHECK_EQ(stack, 2);
        CHECK_EQ(*heap, 3);
        _exit(0);
    }
    data = bss = stack = *heap = 9;
    gate_open(written);
    CHECK_EXIT(child, 0);
}

TEST(fork_parent_does_not_see_what_the_child_writes)
{
    static volatile int data = 1;
    volatile int stack = 2;
    pid_t child = CHECK_OK(fork());

    if (child == 0) {
        data = stack = 9;
        _exit(0);
    }
    CHECK_EXIT(child, 0);
    CHECK_EQ(data, 1);
    CHECK_EQ(stack, 2);
}

TEST(fork_grandchildren_each_have_their_own_copy)
{
    static volatile int level;
    pid_t child;

    for (int depth = 1; depth <= 5; depth++) {
        child = CHECK_OK(fork());
        if (child) {
            int mine = level;

            CHECK_EXIT(child, 0);
            CHECK_EQ(level, mine);
            if (depth > 1)
                _exit(0);
            CHECK_EQ(level, 0);
            return;
        }
        CHECK_EQ(level, depth - 1);
        level = depth;
    }
    _exit(0);
}

TEST(fork_shares_open_files_and_their_offset)
{
    char byte = 0;
    pid_t child;
    int fd;

    enter_empty_directory();
    write_file("file", "abc");
    fd = CHECK_OK(open("file", O_RDONLY));
    child = CHECK_OK(fork());
    if (child == 0) {
        CHECK_EQ(read(fd, &byte, 1), 1);
        _exit(byte);
    }
    CHECK_EXIT(child, 'a');
    CHECK_EQ(read(fd, &byte, 1), 1);
    CHECK_EQ(byte, 'b');
}

TEST(fork_child_that_closes_a_descriptor_leaves_the_parents_open)
{
    int fds[2];
    pid_t child;

    CHECK_OK(pipe(fds));
    child = CHECK_OK(fork());
    if (child == 0) {
        close(fds[0]);
        close(fds[1]);
        _exit(0);
    }
    CHECK_EXIT(child, 0);
    CHECK_EQ(write(fds[1], "x", 1), 1);
}

TEST(fork_copies_mask_and_handlers_but_not_pending_signals)
{
    sigset_t set, pending;
    pid_t child;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    handle_signal(SIGUSR1, count_signal, 0);
    CHECK_OK(sigprocmask(SIG_BLOCK, &set, NULL));
    raise(SIGUSR1);
    child = CHECK_OK(fork());
    if (child == 0) {
        CHECK_OK(sigpending(&pending));
        CHECK_EQ(sigismember(&pending, SIGUSR1), 0);
        raise(SIGUSR1);
        CHECK_EQ(signals_counted, 0);
        CHECK_OK(sigprocmask(SIG_UNBLOCK, &set, NULL));
        CHECK_EQ(signals_counted, 1);
        _exit(0);
    }
    CHECK_EXIT(child, 0);
    CHECK_OK(sigpending(&pending));
    CHECK_EQ(sigismember(&pending, SIGUSR1), 1);
}

TEST(fork_child_begins_without_alarm_and_times)
{
    pid_t child;

    alarm(100);
    child = CHECK_OK(fork());
    if (child == 0) {
        struct tms times_now;

        CHECK_EQ(alarm(0), 0);
        CHECK_OK(times(&times_now));
        CHECK_LT(times_now.tms_utime, 5);
        _exit(0);
    }
    CHECK_EXIT(child, 0);
    CHECK_GT(alarm(0), 0);
}

TEST(fork_copies_directory_umask_and_limits)
{
    struct rlimit limit = {50, 60}, seen;
    char path[256];
    pid_t child;

    enter_empty_directory();
    umask(0123);
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
    child = CHECK_OK(fork());
    if (child == 0) {
        CHECK_STR_EQ(getcwd(path, sizeof(path)), guest.directory);
        CHECK_EQ(umask(0), 0123);
        CHECK_OK(getrlimit(RLIMIT_NOFILE, &seen));
        CHECK_EQ(seen.rlim_cur, 50);
        CHECK_EQ(seen.rlim_max, 60);
        CHECK_OK(chdir("/"));
        _exit(0);
    }
    CHECK_EXIT(child, 0);
    CHECK_STR_EQ(getcwd(path, sizeof(path)), guest.directory);
    CHECK_EQ(umask(022), 0123);
}

TEST(fork_keeps_group_and_session)
{
    pid_t child, group = getpgrp(), session = getsid(0);

    child = CHECK_OK(fork());
    if (child == 0) {
        CHECK_EQ(getpgrp(), group);
        CHECK_EQ(getsid(0), session);
        _exit(0);
    }
    CHECK_EXIT(child, 0);
}

TEST(fork_keeps_floating_point_registers)
{
    volatile double a = 1.5, b = 2.25;
    pid_t child;
    double sum = a + b;

    child = CHECK_OK(fork());
    if (child == 0)
        _exit(sum * 4 == 15 && a * b == 3.375 ? 0 : 1);
    CHECK_EXIT(child, 0);
    CHECK(sum * 4 == 15);
}

TEST(fork_many_children_and_wait_for_all)
{
    enum {
        CHILDREN = 60
    };
    int statuses = 0;

    for (int i = 0; i < CHILDREN; i++)
        if (CHECK_OK(fork()) == 0)
            _exit(i);
    for (int i = 0; i < CHILDREN; i++) {
        int status;

        CHECK_GT(wait(&status), 0);
        CHECK(WIFEXITED(status));
        statuses += WEXITSTATUS(status);
    }
    CHECK_EQ(statuses, CHILDREN * (CHILDREN - 1) / 2);
    CHECK_ERRNO(wait(NULL), ECHILD);
}

TEST(fork_over_rlimit_nproc_gives_eagain)
{
    struct rlimit limit = {1, 1};
    pid_t child;

    NEEDS_ROOT();
    child = CHECK_OK(fork());
    if (child == 0) {
        CHECK_OK(setrlimit(RLIMIT_NPROC, &limit));
        CHECK_OK(setresuid(54321, 54321, 54321));
        CHECK_ERRNO(fork(), EAGAIN);
        _exit(0);
    }
    CHECK_EXIT(child, 0);
}

TEST(fork_of_a_large_process_copies_all_of_it)
{
    enum {
        MEGABYTES = 64
    };
    size_t bytes = (size_t)MEGABYTES << 20;
    char *memory = (char *)CHECK_OK(
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    pid_t child;

    for (size_t i = 0; i < bytes; i += PAGE)
        *(size_t *)(memory + i) = i;
    child = CHECK_OK(fork());
    if (child == 0) {
        for (size_t i = 0; i < bytes; i += PAGE)
            CHECK_EQ(*(size_t *)(memory + i), i);
        for (size_t i = 0; i < bytes; i += 16 * PAGE)
            *(size_t *)(memory + i) = ~i;
        _exit(0);
    }
    CHECK_EXIT(child, 0);
    for (size_t i = 0; i < bytes; i += PAGE)
        CHECK_EQ(*(size_t *)(memory + i), i);
}

/* ---- vfork ---- */

TEST(vfork_parent_waits_until_the_child_exits)
{
    static volatile int written;
    pid_t child = vfork();

    if (child == 0) {
        sleep_ms(50);
        written = 1; /* the memory is shared */
        _exit(3);
    }
    CHECK_GT(child, 0);
    CHECK_EQ(written, 1);
    CHECK_EXIT(child, 3);
}

TEST(vfork_parent_goes_on_after_exec)
{
    char *const arguments[] = {"/bin/sleep", "0.2", NULL};
    pid_t child = vfork();

    if (child == 0) {
        execv("/bin/sleep", arguments);
        _exit(127);
    }
    CHECK_GT(child, 0);
    CHECK_EQ(waitpid(child, NULL, WNOHANG), 0);
    CHECK_EXIT(child, 0);
}

/* ---- clone ---- */

static int clone_function_return(void *argument)
{
    return *(int *)argument;
}

static int clone_function_write(void *argument)
{
    *(volatile int *)argument = 77;
    return 0;
}

static char clone_stack[65536] __attribute__((__aligned__(16)));
static void *const clone_stack_top = clone_stack + sizeof(clone_stack);

TEST(clone_runs_a_function_on_the_given_stack)
{
    int value = 42;
    pid_t child = CHECK_OK(clone(clone_function_return, clone_stack_top, SIGCHLD, &value));

    CHECK_EXIT(child, 42);
}

TEST(clone_with_clone_vm_shares_memory)
{
    volatile int value = 0;
    pid_t child =
        CHECK_OK(clone(clone_function_write, clone_stack_top, CLONE_VM | SIGCHLD, (void *)&value));

    CHECK_EXIT(child, 0);
    CHECK_EQ(value, 77);
}

TEST(clone_without_clone_vm_does_not)
{
    volatile int value = 0;
    pid_t child = CHECK_OK(clone(clone_function_write, clone_stack_top, SIGCHLD, (void *)&value));

    CHECK_EXIT(child, 0);
    CHECK_EQ(value, 0);
}

static int clone_function_close(void *argument)
{
    return close(*(int *)argument);
}

TEST(clone_with_clone_files_shares_descriptors)
{
    int fds[2];
    pid_t child;

    CHECK_OK(pipe(fds));
    child = CHECK_OK(clone(clone_function_close, clone_stack_top, CLONE_FILES | SIGCHLD, &fds[0]));
    CHECK_EXIT(child, 0);
    CHECK_ERRNO(fcntl(fds[0], F_GETFD), EBADF);
    child = CHECK_OK(clone(clone_function_close, clone_stack_top, SIGCHLD, &fds[1]));
    CHECK_EXIT(child, 0);
    CHECK_OK(fcntl(fds[1], F_GETFD));
}

static int clone_function_chdir(void *argument)
{
    umask(0111);
    return chdir(argument);
}

TEST(clone_with_clone_fs_shares_directory_and_umask)
{
    char path[256];
    pid_t child;

    CHECK_OK(chdir("/tmp"));
    umask(022);
    child = CHECK_OK(clone(clone_function_chdir, clone_stack_top, CLONE_FS | SIGCHLD, "/"));
    CHECK_EXIT(child, 0);
    CHECK_STR_EQ(getcwd(path, sizeof(path)), "/");
    CHECK_EQ(umask(022), 0111);
}

TEST(clone_child_without_signal_is_waited_for_only_with_wclone)
{
    int value = 0, status;
    pid_t child = CHECK_OK(clone(clone_function_return, clone_stack_top, 0, &value));

    handle_signal(SIGCHLD, count_signal, 0);
    CHECK_ERRNO(waitpid(child, &status, 0), ECHILD);
    CHECK_EQ(waitpid(child, &status, __WCLONE), child);
    CHECK_EQ(signals_counted, 0);
}

TEST(clone_child_can_end_with_another_signal)
{
    int value = 0, status;
    pid_t child;

    handle_signal(SIGUSR2, count_signal, 0);
    child = CHECK_OK(clone(clone_function_return, clone_stack_top, SIGUSR2, &value));
    while (waitpid(child, &status, __WALL) == -1)
        CHECK_EQ(errno, EINTR);
    CHECK_EQ(signals_counted, 1);
}

TEST(clone_parent_settid_and_child_settid_store_the_id)
{
    pid_t parent_told = 0, child_told = 0;
    long child = syscall(SYS_clone, CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | SIGCHLD, 0,
                         &parent_told, &child_told, 0);

    CHECK_NE(child, -1);
    if (child == 0)
        _exit(child_told == getpid() ? 0 : 1);
    CHECK_EQ(parent_told, child);
    CHECK_EQ(child_told, 0);
    CHECK_EXIT(child, 0);
}

TEST(clone_with_contradicting_flags_gives_einval)
{
    CHECK_ERRNO(syscall(SYS_clone, CLONE_SIGHAND | SIGCHLD, 0, 0, 0, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_clone, CLONE_THREAD | SIGCHLD, 0, 0, 0, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_clone, CLONE_THREAD | CLONE_SIGHAND, 0, 0, 0, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_clone, CLONE_FS | CLONE_NEWNS, 0, 0, 0, 0), EINVAL);
}

TEST(clone_with_clone_parent_makes_a_sibling)
{
    pid_t child, parent = getpid();
    int status;

    CHECK_ERRNO(wait(NULL), ECHILD);
    child = CHECK_OK(fork());
    if (child == 0) {
        long sibling = syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);

        CHECK_NE(sibling, -1);
        if (sibling == 0)
            _exit(getppid() == parent ? 9 : 1);
        CHECK_ERRNO(waitpid(sibling, NULL, 0), ECHILD);
        _exit(0);
    }
    CHECK_EXIT(child, 0);
    CHECK_GT(wait(&status), 0);
    CHECK_EQ(WEXITSTATUS(status), 9);
}

TEST(clone3_forks)
{
    struct clone_args arguments = {.exit_signal = SIGCHLD};
    long child = syscall(SYS_clone3, &arguments, sizeof(arguments));

    if (child == -1 && errno == ENOSYS)
        SKIP("the host hides clone3");
    CHECK_NE(child, -1);
    if (child == 0)
        _exit(5);
    CHECK_EXIT(child, 5);
}

TEST(clone3_with_wrong_arguments_gives_einval_e2big_and_efault)
{
    struct {
        struct clone_args arguments;
        char more[64];
    } large = {.arguments = {.exit_signal = SIGCHLD}, .more = {1}};
    struct clone_args arguments = {.exit_signal = 200};

    if (syscall(SYS_clone3, &arguments, 10) == -1 && errno == ENOSYS)
        SKIP("the host hides clone3");
    CHECK_ERRNO(syscall(SYS_clone3, &arguments, 10), EINVAL);
    CHECK_ERRNO(syscall(SYS_clone3, &arguments, sizeof(arguments)), EINVAL);
    CHECK_ERRNO(syscall(SYS_clone3, bad_address(), sizeof(arguments)), EFAULT);
    CHECK_ERRNO(syscall(SYS_clone3, &large, sizeof(large)), E2BIG);
    arguments = (struct clone_args){.exit_signal = SIGCHLD, .stack = 4096};
    CHECK_ERRNO(syscall(SYS_clone3, &arguments, sizeof(arguments)), EINVAL);
}

/* ---- Settings ---- */

static int set_number(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY), error;

    if (fd == -1)
        return -1;
    error = write(fd, text, strlen(text)) == -1 ? -1 : 0;
    close(fd);
    return error;
}

/*
 * How often the child runs first after a fork, on one CPU: it notes that with its first steps, in
 * shared memory. Not always: on a busy host a time slice may pass before it has.
 */
#define FORKS 40
static int forks_with_child_first(void)
{
    volatile char *first =
        mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int count = 0;

    CHECK_NE(first, MAP_FAILED);
    for (int i = 0; i < FORKS; i++) {
        pid_t child;

        *first = 0;
        child = (pid_t)syscall(SYS_fork);
        if (!*first)
            *first = child ? 'p' : 'c';
        if (child == 0)
            _exit(0);
        CHECK_EXIT(child, 0);
        count += *first == 'c';
    }
    CHECK_OK(munmap((void *)first, PAGE));
    return count;
}

TEST(fork_order_of_parent_and_child_follows_sched_child_runs_first)
{
    static const char *const setting = "/proc/sys/kernel/sched_child_runs_first";
    cpu_set_t set;
    int child_first;

    if (set_number(setting, "1") == -1)
        SKIP("%s cannot be set", setting);
    CPU_ZERO(&set);
    CPU_SET(sched_getcpu(), &set);
    CHECK_OK(sched_setaffinity(0, sizeof(set), &set));
    child_first = forks_with_child_first();
    CHECK_OK(set_number(setting, "0"));
    CHECK_GT(child_first, forks_with_child_first());
    CHECK_EQ(set_number(setting, "x"), -1);
}

TEST(fork_over_rlimit_nproc_counts_threads_and_leaves_nothing_behind)
{
    struct rlimit limit = {4, 4};
    pid_t child, children[3];

    NEEDS_ROOT();
    child = CHECK_OK(fork());
    if (child == 0) {
        CHECK_OK(setrlimit(RLIMIT_NPROC, &limit));
        CHECK_OK(setuid(65532));
        for (int i = 0; i < 3; i++) {
            children[i] = CHECK_OK(fork());
            if (children[i] == 0) {
                pause();
                _exit(0);
            }
        }
        for (int i = 0; i < 10; i++) {
            CHECK_ERRNO(fork(), EAGAIN);
            CHECK_ERRNO(vfork(), EAGAIN);
        }
        for (int i = 0; i < 3; i++) {
            CHECK_OK(kill(children[i], SIGKILL));
            CHECK_KILLED(children[i], SIGKILL);
        }
        child = CHECK_OK(fork());
        if (child == 0)
            _exit(5);
        CHECK_EXIT(child, 5);
        _exit(0);
    }
    CHECK_EXIT(child, 0);
}
