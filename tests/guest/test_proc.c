/*
 * The files of /proc that ps, bash and the C libraries read, and /sys's list of CPUs.
 *
 * covers: readlink getdents64
 */
#include "guest.h"

#include <dirent.h>
#include <grp.h>
#include <pthread.h>
#include <sys/prctl.h>

static char text[65536];

TEST(proc_self_is_a_link_to_the_own_id)
{
    char link[32] = "", expected[32];

    CHECK_OK(readlink("/proc/self", link, sizeof(link)));
    snprintf(expected, sizeof(expected), "%d", getpid());
    CHECK_STR_EQ(link, expected);
}

TEST(proc_exe_cwd_and_root_are_links)
{
    char link[256] = "";
    size_t length;

    CHECK_OK(readlink("/proc/self/exe", link, sizeof(link)));
    length = strlen(guest.program);
    CHECK_EQ(link[0], '/');
    CHECK(length == 0 || strstr(link, "test_proc"));
    enter_empty_directory();
    memset(link, 0, sizeof(link));
    CHECK_OK(readlink("/proc/self/cwd", link, sizeof(link)));
    CHECK_STR_EQ(link, guest.directory);
    memset(link, 0, sizeof(link));
    CHECK_OK(readlink("/proc/self/root", link, sizeof(link)));
    CHECK_STR_EQ(link, "/");
}

TEST(proc_fd_lists_the_open_descriptors)
{
    char path[64], link[256] = "";
    int fds[2], seen = 0;
    DIR *directory;
    struct dirent *entry;

    CHECK_OK(pipe(fds));
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fds[0]);
    CHECK_OK(readlink(path, link, sizeof(link)));
    CHECK_EQ(strncmp(link, "pipe:[", 6), 0);
    directory = opendir("/proc/self/fd");
    CHECK(directory);
    while ((entry = readdir(directory)))
        seen += atoi(entry->d_name) == fds[0] || atoi(entry->d_name) == fds[1];
    CHECK_EQ(seen, 2);
    CHECK_ERRNO(readlink("/proc/self/fd/99", link, sizeof(link)), ENOENT);
}

TEST(proc_fdinfo_tells_a_descriptors_offset_and_flags)
{
    char path[64], text[512] = "";
    int fd, info, other;
    unsigned long long offset;
    unsigned flags;

    enter_empty_directory();
    fd = CHECK_OK(open("file", O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
    CHECK_OK(ftruncate(fd, 100));
    CHECK_EQ(lseek(fd, 42, SEEK_SET), 42);
    snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
    info = CHECK_OK(open(path, O_RDONLY));
    CHECK(read(info, text, sizeof(text) - 1) > 0);
    CHECK_EQ(sscanf(text, "pos:\t%llu\nflags:\t%o\n", &offset, &flags), 2);
    CHECK_EQ(offset, 42);
    CHECK_EQ(flags & (O_ACCMODE | O_APPEND | O_CLOEXEC), O_RDWR | O_APPEND | O_CLOEXEC);
    CHECK(strstr(text, "mnt_id:\t"));
    other = CHECK_OK(dup(info));
    CHECK_OK(close(fd));
    CHECK_ERRNO(open(path, O_RDONLY), ENOENT);
    CHECK_OK(close(other));
}

TEST(proc_fd_link_of_a_file_is_its_path_and_says_deleted)
{
    char path[64], link[256] = "", expected[256];
    int fd;

    enter_empty_directory();
    fd = CHECK_OK(open("file", O_RDWR | O_CREAT, 0644));
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    CHECK_OK(readlink(path, link, sizeof(link)));
    snprintf(expected, sizeof(expected), "%s/file", guest.directory);
    CHECK_STR_EQ(link, expected);
    CHECK_OK(unlink("file"));
    memset(link, 0, sizeof(link));
    CHECK_OK(readlink(path, link, sizeof(link)));
    strcat(expected, " (deleted)");
    CHECK_STR_EQ(link, expected);
}

TEST(proc_stat_of_a_process_has_its_52_fields)
{
    char *field, *end;
    int fields = 2;

    read_file("/proc/self/stat", text, sizeof(text));
    CHECK_EQ(atoi(text), getpid());
    end = strrchr(text, ')');
    CHECK(end);
    for (field = strtok(end + 1, " \n"); field; field = strtok(NULL, " \n")) {
        fields++;
        if (fields == 3)
            CHECK_STR_EQ(field, "R");
        if (fields == 4)
            CHECK_EQ(atoi(field), getppid());
        if (fields == 5)
            CHECK_EQ(atoi(field), getpgrp());
        if (fields == 6)
            CHECK_EQ(atoi(field), getsid(0));
        if (fields == 20)
            CHECK_EQ(atoi(field), 1);
        if (fields == 23)
            CHECK_GT(atol(field), 4096);
    }
    CHECK_EQ(fields, 52);
}

TEST(proc_status_names_state_ids_and_memory)
{
    char expected[64];

    read_file("/proc/self/status", text, sizeof(text));
    CHECK(strstr(text, "Name:\t"));
    CHECK(strstr(text, "\nState:\tR (running)\n"));
    snprintf(expected, sizeof(expected), "\nPid:\t%d\n", getpid());
    CHECK(strstr(text, expected));
    snprintf(expected, sizeof(expected), "\nPPid:\t%d\n", getppid());
    CHECK(strstr(text, expected));
    snprintf(expected, sizeof(expected), "\nUid:\t%d\t%d\t%d\t%d\n", getuid(), geteuid(), getuid(),
             getuid());
    CHECK(strstr(text, expected));
    CHECK(strstr(text, "\nVmSize:\t"));
    CHECK(strstr(text, "\nVmRSS:\t"));
    CHECK(strstr(text, "\nThreads:\t1\n"));
    CHECK(strstr(text, "\nSigIgn:\t"));
}

TEST(proc_cmdline_and_environ_have_their_strings)
{
    pid_t child = CHECK_OK(fork());

    if (child == 0) {
        execle("/bin/sh", "sh", "-c",
               "test \"$(tr '\\0' ' ' </proc/$$/cmdline | cut -c1-6)\" = 'sh -c ' &&"
               "tr '\\0' '\\n' </proc/$$/environ | grep -qx 'NAME=value'",
               NULL, (char *[]){"NAME=value", "PATH=/bin:/usr/bin", NULL});
        _exit(99);
    }
    CHECK_EXIT(child, 0);
}

TEST(proc_maps_shows_program_heap_stack_and_vdso)
{
    read_file("/proc/self/maps", text, sizeof(text));
    CHECK(strstr(text, "r-xp"));
    CHECK(strstr(text, "rw-p"));
    CHECK(strstr(text, "[stack]"));
    CHECK(strstr(text, "[vdso]"));
    CHECK(strstr(text, "test_proc"));
}

TEST(proc_maps_shows_a_new_mapping_with_its_rights)
{
    char *memory =
        (char *)CHECK_OK(mmap(NULL, 3 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    char expected[64];

    CHECK_OK(mprotect(memory + PAGE, PAGE, PROT_NONE));
    read_file("/proc/self/maps", text, sizeof(text));
    snprintf(expected, sizeof(expected), "%lx-%lx ---p 00000000 00:00 0", (long)memory + PAGE,
             (long)memory + 2 * PAGE);
    CHECK(strstr(text, expected));
}

TEST(proc_meminfo_has_total_free_and_available)
{
    read_file("/proc/meminfo", text, sizeof(text));
    CHECK_EQ(strncmp(text, "MemTotal:", 9), 0);
    CHECK(strstr(text, "\nMemFree:"));
    CHECK(strstr(text, "\nMemAvailable:"));
    CHECK(strstr(text, "\nCached:"));
    CHECK(strstr(text, "\nSwapTotal:"));
    CHECK(strstr(text, " kB\n"));
}

TEST(proc_stat_counts_cpus_and_boot_time)
{
    read_file("/proc/stat", text, sizeof(text));
    CHECK_EQ(strncmp(text, "cpu  ", 5), 0);
    CHECK(strstr(text, "\ncpu0 "));
    CHECK(strstr(text, "\nbtime "));
    CHECK(strstr(text, "\nprocesses "));
    CHECK(strstr(text, "\nctxt "));
}

TEST(proc_uptime_loadavg_version_and_filesystems)
{
    double up, idle;

    CHECK_EQ(sscanf(read_file("/proc/uptime", text, sizeof(text)), "%lf %lf", &up, &idle), 2);
    CHECK(up > 0);
    CHECK_EQ(sscanf(read_file("/proc/loadavg", text, sizeof(text)), "%lf %lf", &up, &idle), 2);
    CHECK(strchr(text, '/'));
    CHECK_EQ(strncmp(read_file("/proc/version", text, sizeof(text)), "Linux version ", 14), 0);
    CHECK(strstr(read_file("/proc/filesystems", text, sizeof(text)), "nodev\ttmpfs"));
    CHECK(strstr(read_file("/proc/cpuinfo", text, sizeof(text)), "processor\t: 0"));
}

TEST(proc_mounts_lists_proc_itself)
{
    read_file("/proc/mounts", text, sizeof(text));
    CHECK(strstr(text, " /proc proc "));
    CHECK(strstr(text, " / "));
    read_file("/proc/self/mountinfo", text, sizeof(text));
    CHECK(strstr(text, " /proc "));
}

TEST(proc_sys_kernel_values)
{
    CHECK_GT(atoi(read_file("/proc/sys/kernel/pid_max", text, sizeof(text))), 100);
    CHECK(read_file("/proc/sys/kernel/osrelease", text, sizeof(text))[0]);
    CHECK_STR_EQ(read_file("/proc/sys/kernel/ostype", text, sizeof(text)), "Linux\n");
    CHECK_EQ(strlen(read_file("/proc/sys/kernel/random/boot_id", text, sizeof(text))), 37);
}

TEST(proc_lists_every_process)
{
    pid_t child = CHECK_OK(fork());
    int found = 0;
    DIR *directory;
    struct dirent *entry;

    if (child == 0) {
        for (;;)
            pause();
    }
    directory = opendir("/proc");
    CHECK(directory);
    while ((entry = readdir(directory)))
        found += atoi(entry->d_name) == child || atoi(entry->d_name) == getpid() ||
                 atoi(entry->d_name) == 1;
    CHECK_EQ(found, 3);
    CHECK_OK(kill(child, SIGKILL));
    CHECK_KILLED(child, SIGKILL);
    CHECK_EQ(process_state(child), 0);
}

TEST(proc_task_lists_the_threads)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/self/task/%d/stat", getpid());
    CHECK_EQ(atoi(read_file(path, text, sizeof(text))), getpid());
    CHECK_STR_EQ(read_file("/proc/self/task/../comm", text, sizeof(text)), "test_proc\n");
}

TEST(proc_files_cannot_be_made_or_removed)
{
    CHECK_ERRNO(open("/proc/new", O_WRONLY | O_CREAT, 0644), ENOENT);
    CHECK_ERRNO(unlink("/proc/version"), EPERM);
    CHECK_ERRNO(open("/proc/version/x", O_RDONLY), ENOTDIR);
    CHECK_ERRNO(open("/proc/999999/stat", O_RDONLY), ENOENT);
}

TEST(proc_file_reads_in_pieces_like_at_once)
{
    char pieces[256] = "";
    int fd = CHECK_OK(open("/proc/version", O_RDONLY));
    size_t length = 0;

    while (read(fd, pieces + length, 3) > 0)
        length = strlen(pieces);
    CHECK_STR_EQ(pieces, read_file("/proc/version", text, sizeof(text)));
    CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
    CHECK_EQ(pread(fd, pieces, 5, 6), 5);
    CHECK_MEM_EQ(pieces, "versi", 5);
}

TEST(sys_devices_system_cpu_online_begins_with_cpu_0)
{
    CHECK_EQ(read_file("/sys/devices/system/cpu/online", text, sizeof(text))[0], '0');
}

/* A process of user 1000 that may (1) or may not (0) be looked into by its own user; it waits. */
static pid_t start_of_user(int dumpable)
{
    int ready[2];
    char byte;
    pid_t child;

    CHECK_OK(pipe(ready));
    child = fork();
    if (child == 0) {
        CHECK_OK(setgroups(0, NULL));
        CHECK_OK(setresgid(1000, 1000, 1000));
        CHECK_OK(setresuid(1000, 1000, 1000));
        CHECK_OK(prctl(PR_SET_DUMPABLE, dumpable));
        CHECK_EQ(write(ready[1], "x", 1), 1);
        pause();
        _exit(0);
    }
    CHECK_EQ(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    close(ready[1]);
    return child;
}

static const char *path_of(pid_t process, const char *name)
{
    static char path[64];

    snprintf(path, sizeof(path), "/proc/%d/%s", process, name);
    return path;
}

static void check_files_of(pid_t process, int may_look)
{
    static const char *const guarded[] = {"environ", "maps", "smaps", "auxv", "mem", "numa_maps"};
    char link[256];
    struct stat attributes;
    DIR *list;

    for (size_t i = 0; i < sizeof(guarded) / sizeof(guarded[0]); i++) {
        if (may_look)
            CHECK_OK(open(path_of(process, guarded[i]), O_RDONLY));
        else
            CHECK_ERRNO(open(path_of(process, guarded[i]), O_RDONLY), EACCES);
    }
    if (may_look)
        CHECK_OK(readlink(path_of(process, "exe"), link, sizeof(link)));
    else
        CHECK_ERRNO(readlink(path_of(process, "exe"), link, sizeof(link)), EACCES);
    list = opendir(path_of(process, "fdinfo"));
    CHECK_EQ(list && readdir(list), may_look);
    CHECK_OK(stat(path_of(process, "environ"), &attributes));
    CHECK_EQ(attributes.st_uid, may_look ? 1000u : 0u);
    CHECK_OK(stat(path_of(process, ""), &attributes));
    CHECK_EQ(attributes.st_uid, 1000u);
    CHECK_OK(open(path_of(process, "status"), O_RDONLY));
    CHECK_OK(open(path_of(process, "stat"), O_RDONLY));
}

TEST(proc_guards_a_process_that_its_user_may_not_look_into)
{
    pid_t open_one, closed_one, looker;

    NEEDS_ROOT();
    open_one = start_of_user(1);
    closed_one = start_of_user(0);
    looker = fork();
    if (looker == 0) {
        CHECK_OK(setgroups(0, NULL));
        CHECK_OK(setresgid(1000, 1000, 1000));
        CHECK_OK(setresuid(1000, 1000, 1000));
        check_files_of(open_one, 1);
        check_files_of(closed_one, 0);
        _exit(0);
    }
    CHECK_EXIT(looker, 0);
    kill(open_one, SIGKILL);
    kill(closed_one, SIGKILL);
    CHECK_KILLED(open_one, SIGKILL);
    CHECK_KILLED(closed_one, SIGKILL);
}

TEST(proc_mem_reads_and_writes_a_childs_memory)
{
    static volatile int value = 1;
    int other = 7, seen = 0, to_child[2], file;
    pid_t child;
    char byte;

    CHECK_OK(pipe(to_child));
    child = fork();
    if (child == 0) {
        CHECK_EQ(read(to_child[0], &byte, 1), 1);
        _exit(value);
    }
    file = open(path_of(child, "mem"), O_RDWR);
    if (file < 0 && errno == EACCES)
        SKIP("this sandbox does not let a child's memory be opened");
    CHECK_OK(file);
    CHECK_EQ(pread(file, &seen, sizeof(seen), (off_t)(uintptr_t)&value), sizeof(seen));
    CHECK_EQ(seen, 1);
    CHECK_EQ(pwrite(file, &other, sizeof(other), (off_t)(uintptr_t)&value), sizeof(other));
    CHECK_ERRNO(pread(file, &seen, sizeof(seen), 16), EIO);
    CHECK_EQ(write(to_child[1], "x", 1), 1);
    CHECK_EXIT(child, 7);
}

TEST(proc_task_has_a_threads_own_files_and_its_process_s)
{
    char path[64];
    static const char *const names[] = {"stat", "status", "comm",   "maps", "fd",
                                        "ns",   "exe",    "cgroup", "io",   "syscall"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), "/proc/thread-self/%s", names[i]);
        CHECK_OK(access(path, F_OK));
    }
    CHECK_ERRNO(access("/proc/thread-self/task", F_OK), ENOENT);
}

static void *looks_itself_up(void *unused)
{
    pid_t tid = (pid_t)syscall(SYS_gettid), pid = 0, group = 0;
    const char *line;
    char name[32];
    DIR *directory;

    read_file(path_of(tid, "status"), text, sizeof(text));
    line = strstr(text, "\nPid:");
    CHECK(line && sscanf(line, "\nPid: %d", &pid) == 1);
    line = strstr(text, "\nTgid:");
    CHECK(line && sscanf(line, "\nTgid: %d", &group) == 1);
    CHECK_EQ(pid, tid);
    CHECK_EQ(group, getpid());
    CHECK_OK(open(path_of(tid, "cmdline"), O_RDONLY));
    snprintf(name, sizeof(name), "task/%d/stat", tid);
    CHECK_OK(open(path_of(tid, name), O_RDONLY));
    snprintf(name, sizeof(name), "%d", tid);
    directory = opendir("/proc");
    for (struct dirent *entry; (entry = readdir(directory));)
        CHECK(strcmp(entry->d_name, name) != 0);
    return unused;
}

TEST(proc_finds_a_thread_by_its_number_and_does_not_list_it)
{
    pthread_t thread;

    CHECK_EQ(pthread_create(&thread, NULL, looks_itself_up, NULL), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

TEST(proc_io_counts_calls_and_bytes)
{
    unsigned long before = 0, after = 0;
    char byte = 0;
    int fds[2], file = open("/proc/self/io", O_RDONLY);

    CHECK_OK(file);
    CHECK_OK(pipe(fds));
    CHECK(pread(file, text, sizeof(text) - 1, 0) > 0);
    CHECK_EQ(sscanf(strstr(text, "wchar:"), "wchar: %lu", &before), 1);
    for (int i = 0; i < 10; i++)
        CHECK_EQ(write(fds[1], &byte, 1), 1);
    memset(text, 0, sizeof(text));
    CHECK(pread(file, text, sizeof(text) - 1, 0) > 0);
    CHECK_EQ(sscanf(strstr(text, "wchar:"), "wchar: %lu", &after), 1);
    CHECK_EQ(after - before, 10);
}

TEST(proc_ns_links_tell_one_namespace_of_each_kind)
{
    char own[64] = "", others[64] = "";
    struct stat attributes;

    CHECK_OK(readlink("/proc/self/ns/uts", own, sizeof(own) - 1));
    CHECK_OK(readlink(path_of(getppid(), "ns/uts"), others, sizeof(others) - 1));
    CHECK_STR_EQ(own, others);
    CHECK_EQ(strncmp(own, "uts:[", 5), 0);
    CHECK_OK(stat("/proc/self/ns/uts", &attributes));
    CHECK_EQ(attributes.st_ino, strtoul(own + 5, NULL, 10));
}
