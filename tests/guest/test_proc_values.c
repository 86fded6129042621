/*
 * The files of /proc that programs read as values: their fields, formats and rights.
 *
 * Where a value is known otherwise (by a call, or because the test caused it), it is compared.
 */
#include "guest.h"

#include <elf.h>
#include <sys/auxv.h>
#include <sys/personality.h>
#include <sys/resource.h>

static char text[65536];

static const char *slurp(const char *path)
{
    return read_file(path, text, sizeof(text));
}

/* The number behind "NAME:" or "NAME" at a line's beginning in what was read last. */
static long field(const char *name)
{
    const char *line = text;

    while (line && strncmp(line, name, strlen(name)) != 0) {
        line = strchr(line, '\n');
        line += line != NULL;
    }
    CHECK(line);
    line += strlen(name);
    while (*line == ':' || *line == ' ' || *line == '\t')
        line++;
    return atol(line);
}

static long number_in(const char *path)
{
    char *end;
    long number = strtol(slurp(path), &end, 10);

    CHECK_NE((long)end, (long)text);
    CHECK_EQ(*end, '\n');
    return number;
}

TEST(proc_auxv_is_the_vector_that_the_program_got)
{
    const Elf64_auxv_t *entry = (const Elf64_auxv_t *)text;
    int fd = CHECK_OK(open("/proc/self/auxv", O_RDONLY)), count = 0;

    CHECK_GT(read(fd, text, sizeof(text)), 0);
    for (; entry->a_type != AT_NULL; entry++, count++)
        CHECK_EQ(entry->a_un.a_val, getauxval(entry->a_type));
    CHECK_GT(count, 15);
}

TEST(proc_environ_is_what_exec_was_given)
{
    char *arguments[] = {(char *)"sh", (char *)"-c", (char *)"tr '\\0' '\\n' < /proc/$$/environ",
                         NULL};
    char *environment[] = {(char *)"ONE=1", (char *)"PATH=/usr/bin:/bin", NULL};
    int fds[2];
    pid_t child;

    CHECK_OK(pipe(fds));
    child = CHECK_OK(fork());
    if (child == 0) {
        CHECK_OK(dup2(fds[1], STDOUT_FILENO));
        execve("/bin/sh", arguments, environment);
        _exit(127);
    }
    CHECK_EXIT(child, 0);
    CHECK_GT(read(fds[0], text, sizeof(text)), 0);
    CHECK(!strncmp(text, "ONE=1\nPATH=/usr/bin:/bin\n", 25));
}

TEST(proc_io_counts_what_is_read_and_written)
{
    char bytes[1000] = "";
    long before, calls;
    int fds[2];

    CHECK_OK(pipe(fds));
    slurp("/proc/self/io");
    before = field("wchar");
    calls = field("syscw");
    CHECK_EQ(write(fds[1], bytes, sizeof(bytes)), sizeof(bytes));
    slurp("/proc/self/io");
    CHECK_EQ(field("wchar") - before, sizeof(bytes));
    CHECK_EQ(field("syscw") - calls, 1);
    CHECK_GE(field("rchar"), 0);
    CHECK_GE(field("syscr"), 0);
    CHECK_GE(field("read_bytes"), 0);
    CHECK_GE(field("write_bytes"), 0);
    CHECK_GE(field("cancelled_write_bytes"), 0);
}

TEST(proc_limits_is_a_table_of_all_limits)
{
    CHECK_OK(setrlimit(RLIMIT_RSS, &(struct rlimit){4096, 8192})); /* no effect but here */
    CHECK_OK(setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0}));
    slurp("/proc/self/limits");
    CHECK(!strncmp(
        text, "Limit                     Soft Limit           Hard Limit           Units     \n",
        79));
    CHECK(strstr(
        text,
        "\nMax resident set          4096                 8192                 bytes     \n"));
    CHECK(strstr(
        text,
        "\nMax core file size        0                    0                    bytes     \n"));
    CHECK(strstr(
        text,
        "\nMax realtime timeout      unlimited            unlimited            us        \n"));
}

TEST(proc_personality_is_eight_hexadecimal_digits)
{
    NEEDS_ROOT();
    CHECK_OK(personality(PER_LINUX | ADDR_NO_RANDOMIZE));
    CHECK_STR_EQ(slurp("/proc/self/personality"), "00040000\n");
}

TEST(proc_schedstat_tells_of_the_time_on_a_cpu)
{
    unsigned long ran, waited, times;
    struct rusage usage;

    do
        CHECK_OK(getrusage(RUSAGE_SELF, &usage));
    while (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec < 10000);
    CHECK_EQ(sscanf(slurp("/proc/self/schedstat"), "%lu %lu %lu", &ran, &waited, &times), 3);
    CHECK_GT(ran, 0);
    CHECK_GT(times, 0);
}

TEST(proc_sched_has_a_line_for_each_figure)
{
    if (access("/proc/self/sched", F_OK) == -1)
        SKIP("there is no sched");
    slurp("/proc/self/sched");
    CHECK(strstr(text, "#threads: 1)\n---"));
    CHECK(strstr(text, "\nse.sum_exec_runtime "));
    CHECK(strstr(text, "\nnr_voluntary_switches "));
    CHECK(strstr(text, "\npolicy "));
}

TEST(proc_statm_counts_pages_as_status_counts_kib)
{
    long size, resident, shared, code, library, data, dirty;

    CHECK_EQ(sscanf(slurp("/proc/self/statm"), "%ld %ld %ld %ld %ld %ld %ld\n", &size, &resident,
                    &shared, &code, &library, &data, &dirty),
             7);
    slurp("/proc/self/status");
    CHECK_EQ(field("VmSize:"), size * 4);
    CHECK_GE(resident, shared);
    CHECK_EQ(library, 0);
    CHECK_EQ(dirty, 0);
}

TEST(proc_syscall_names_the_call_that_a_process_waits_in)
{
    char path[64], expected[64];
    int fds[2];
    pid_t child;

    CHECK_OK(pipe(fds));
    child = CHECK_OK(fork());
    if (child == 0)
        _exit((int)syscall(SYS_read, fds[0], text, 77));
    WAIT_FOR_STATE(child, 'S');
    snprintf(path, sizeof(path), "/proc/%d/syscall", child);
    snprintf(expected, sizeof(expected), "%d 0x%x 0x%lx 0x4d ", SYS_read, fds[0],
             (unsigned long)text);
    slurp(path);
    CHECK_OK(kill(child, SIGKILL));
    CHECK_KILLED(child, SIGKILL);
    CHECK(!strncmp(text, expected, strlen(expected)));
}

TEST(proc_stack_and_wchan_are_for_those_who_may_look)
{
    NEEDS_ROOT();
    slurp("/proc/self/wchan");
    CHECK_STR_EQ(text, "0"); /* it runs */
    if (access("/proc/self/stack", F_OK) == -1)
        SKIP("there is no stack");
    slurp("/proc/self/stack");
    CHECK(text[0] == 0 || !strncmp(text, "[<0>] ", 6));
}

TEST(proc_timers_lists_posix_timers)
{
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    struct itimerspec later = {.it_value = {1000, 0}};
    timer_t timer;

    CHECK_STR_EQ(slurp("/proc/self/timers"), "");
    CHECK_OK(timer_create(CLOCK_MONOTONIC, &event, &timer));
    CHECK_OK(timer_settime(timer, 0, &later, NULL));
    slurp("/proc/self/timers");
    CHECK(!strncmp(text, "ID: 0\nsignal: 10/", 17));
    CHECK(strstr(text, "\nnotify: signal/pid."));
    CHECK(strstr(text, "\nClockID: 1\n"));
}

TEST(proc_timerslack_is_prctls)
{
    CHECK_EQ(number_in("/proc/self/timerslack_ns"), 50000);
    write_file("/proc/self/timerslack_ns", "777");
    CHECK_EQ(number_in("/proc/self/timerslack_ns"), 777);
}

TEST(proc_pagemap_tells_what_is_present)
{
    char *memory = (char *)CHECK_OK(
        mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    int fd = CHECK_OK(open("/proc/self/pagemap", O_RDONLY));
    uint64_t entries[2];

    CHECK_OK(madvise(memory, 2 * PAGE, MADV_NOHUGEPAGE));
    memory[PAGE] = 1;
    CHECK_EQ(pread(fd, entries, sizeof(entries), (long)memory / PAGE * 8), sizeof(entries));
    CHECK_EQ(entries[0] >> 63, 0);
    CHECK_EQ(entries[1] >> 63, 1);
}

TEST(proc_ns_links_name_the_namespaces_of_all)
{
    char own[64] = "", parents[64] = "", path[64];

    CHECK_GT(readlink("/proc/self/ns/uts", own, sizeof(own) - 1), 0);
    CHECK(!strncmp(own, "uts:[", 5));
    snprintf(path, sizeof(path), "/proc/%d/ns/uts", getppid());
    CHECK_GT(readlink(path, parents, sizeof(parents) - 1), 0);
    CHECK_STR_EQ(own, parents);
}

TEST(proc_task_children_lists_them)
{
    pid_t child = CHECK_OK(fork());
    char path[64], expected[32];

    if (child == 0) {
        pause();
        _exit(0);
    }
    snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
    snprintf(expected, sizeof(expected), "%d ", child);
    CHECK_STR_EQ(slurp(path), expected);
    CHECK_OK(kill(child, SIGKILL));
    CHECK_KILLED(child, SIGKILL);
    CHECK_STR_EQ(slurp(path), "");
}

TEST(proc_thread_self_and_mounts_are_links_into_the_process)
{
    char target[64] = "", expected[64];

    snprintf(expected, sizeof(expected), "%d/task/%d", getpid(), getpid());
    CHECK_GT(readlink("/proc/thread-self", target, sizeof(target) - 1), 0);
    CHECK_STR_EQ(target, expected);
    CHECK(strstr(slurp("/proc/self/mounts"), " /proc proc "));
}

TEST(proc_system_files_have_their_forms)
{
    CHECK_GT(strlen(slurp("/proc/cmdline")), 0);
    CHECK_EQ(text[strlen(text) - 1], '\n');
    CHECK(!strncmp(slurp("/proc/swaps"), "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n", 40));
    slurp("/proc/vmstat");
    CHECK_GT(field("nr_free_pages "), 0);
    CHECK_GT(field("pgfault "), 0);
    CHECK_GE(field("pgmajfault "), 0);
}

TEST(proc_sys_settings_are_numbers_in_their_ranges)
{
    CHECK_GT(number_in("/proc/sys/kernel/threads-max"), 100);
    CHECK_GE(number_in("/proc/sys/kernel/randomize_va_space"), 0);
    CHECK_EQ(number_in("/proc/sys/kernel/ngroups_max"), 65536);
    CHECK_GE(number_in("/proc/sys/kernel/cap_last_cap"), 37);
    CHECK_GE(number_in("/proc/sys/vm/overcommit_memory"), 0);
    CHECK_EQ(number_in("/proc/sys/vm/overcommit_ratio"), 50);
    CHECK_EQ(number_in("/proc/sys/vm/max_map_count"), 65530);
    CHECK_GE(number_in("/proc/sys/vm/mmap_min_addr"), PAGE);
    CHECK_GT(number_in("/proc/sys/fs/file-max"), 100);
    CHECK_GE(number_in("/proc/sys/fs/nr_open"), 1024);
    CHECK_GE(number_in("/proc/sys/fs/pipe-max-size"), PAGE);
}

TEST(proc_sys_hostname_and_uuid_are_text)
{
    char host[65], first[64];

    CHECK_OK(gethostname(host, sizeof(host)));
    slurp("/proc/sys/kernel/hostname");
    text[strcspn(text, "\n")] = 0;
    CHECK_STR_EQ(text, host);
    strcpy(first, slurp("/proc/sys/kernel/random/uuid"));
    CHECK_EQ(strlen(first), 37);
    CHECK(strcmp(first, slurp("/proc/sys/kernel/random/uuid")) != 0);
}
