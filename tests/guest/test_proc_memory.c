/*
 * The files of /proc/PID that look into its memory or are about it: clear_refs and what smaps says
 * is referenced, map_files, coredump_filter.
 */
#include "guest.h"

#include <dirent.h>
#include <sys/prctl.h>

#define PAGES 40

static char text[65536];

static char *map(int flags, int fd)
{
    char *memory = (char *)CHECK_OK(mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, flags, fd, 0));

    madvise(memory, PAGES * PAGE, MADV_NOHUGEPAGE);
    return memory;
}

static void touch(volatile char *memory, int pages)
{
    for (int i = 0; i < pages; i++)
        memory[i * PAGE] += 1;
}

/* What smaps says under `name` of the region that starts at `memory`, in pages. */
static long pages_of(const char *memory, const char *name)
{
    FILE *file = fopen("/proc/self/smaps", "r");
    char start[32], line[512];
    long kib = -1;
    int inside = 0;

    CHECK(file);
    snprintf(start, sizeof(start), "%lx-", (unsigned long)memory);
    while (kib < 0 && fgets(line, sizeof(line), file)) {
        inside = inside || !strncmp(line, start, strlen(start));
        if (inside && !strncmp(line, name, strlen(name)))
            kib = atol(line + strlen(name) + 1);
    }
    fclose(file);
    CHECK_GE(kib, 0);
    return kib * 1024 / PAGE;
}

/*
 * Linux leaves translations that processors have cached, through which uses go unseen: unmapping
 * many pages drops them all.
 */
static void forget_translations(void)
{
    char *memory = map(MAP_PRIVATE | MAP_ANONYMOUS, -1);

    touch(memory, PAGES);
    CHECK_OK(munmap(memory, PAGES * PAGE));
}

static void clear_refs(const char *what)
{
    write_file("/proc/self/clear_refs", what);
    forget_translations();
}

/* A region between two that cannot become one with it, of a file with no name. */
static char *map_file(void)
{
    int fd;

    enter_empty_directory();
    fd = CHECK_OK(open(".", O_TMPFILE | O_RDWR, 0600));
    CHECK_OK(ftruncate(fd, PAGES * PAGE));
    return map(MAP_SHARED, fd);
}

TEST(clear_refs_forgets_what_was_referenced)
{
    char *memory = map(MAP_SHARED | MAP_ANONYMOUS, -1);

    touch(memory, PAGES);
    CHECK_EQ(pages_of(memory, "Referenced"), PAGES);
    clear_refs("1");
    CHECK_EQ(pages_of(memory, "Referenced"), 0);
    CHECK_EQ(pages_of(memory, "Rss"), PAGES);
    touch(memory, 3);
    CHECK_EQ(pages_of(memory, "Referenced"), 3);
    CHECK_EQ(memory[0], 2);
    CHECK_EQ(memory[PAGE * 3], 1);
}

TEST(clear_refs_takes_anonymous_regions_or_files)
{
    char *guard = map(MAP_PRIVATE | MAP_ANONYMOUS, -1), *anonymous, *file = map_file();

    CHECK_OK(mprotect(guard, PAGES * PAGE, PROT_NONE));
    anonymous =
        (char *)CHECK_OK(mmap(guard, PAGES * PAGE, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0));
    touch(anonymous, PAGES);
    touch(file, PAGES);
    clear_refs("2\n");
    CHECK_EQ(pages_of(anonymous, "Referenced"), 0);
    CHECK_EQ(pages_of(file, "Referenced"), PAGES);
    touch(anonymous, PAGES);
    clear_refs("3");
    CHECK_EQ(pages_of(anonymous, "Referenced"), PAGES);
    CHECK_EQ(pages_of(file, "Referenced"), 0);
}

TEST(clear_refs_of_another_process_counts_its_uses_alone)
{
    char *memory = map(MAP_SHARED | MAP_ANONYMOUS, -1), path[64];
    pid_t child;

    touch(memory, PAGES);
    child = CHECK_OK(fork());
    if (child == 0) {
        touch(memory, PAGES);
        raise(SIGSTOP);
        forget_translations();
        CHECK_EQ(pages_of(memory, "Referenced"), 0);
        touch(memory, 7);
        CHECK_EQ(pages_of(memory, "Referenced"), 7);
        _exit(0);
    }
    WAIT_FOR_STATE(child, 'T');
    snprintf(path, sizeof(path), "/proc/%d/clear_refs", child);
    write_file(path, "1");
    CHECK_EQ(pages_of(memory, "Referenced"), PAGES);
    CHECK_OK(kill(child, SIGCONT));
    CHECK_EXIT(child, 0);
}

/* The line of /proc/self/status, in KiB. */
static long peak(void)
{
    const char *line = strstr(read_file("/proc/self/status", text, sizeof(text)), "VmHWM:");

    CHECK(line);
    return atol(line + 6);
}

TEST(clear_refs_5_starts_the_peak_anew)
{
    const long bytes = 64 << 20;
    char *memory = (char *)CHECK_OK(
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));

    memset(memory, 1, bytes);
    CHECK_OK(munmap(memory, bytes));
    CHECK_GE(peak(), bytes / 1024 - 256); /* Linux 6.1 counts up to 64 pages later */
    clear_refs("5");
    CHECK_LT(peak(), bytes / 1024 - 256);
}

TEST(clear_refs_refuses_what_is_no_kind)
{
    int fd = CHECK_OK(open("/proc/self/clear_refs", O_WRONLY));

    CHECK_ERRNO(write(fd, "0", 1), EINVAL);
    CHECK_ERRNO(write(fd, "6", 1), EINVAL);
    CHECK_ERRNO(write(fd, "-1", 2), EINVAL);
    CHECK_ERRNO(write(fd, "one", 3), EINVAL);
    CHECK_EQ(write(fd, " 1\n", 3), 3);
}

TEST(coredump_filter_is_inherited_and_survives_exec)
{
    static const char *const arguments[] = {"grep", "-qx", "00000007", "/proc/self/coredump_filter",
                                            NULL};
    int fd = CHECK_OK(open("/proc/self/coredump_filter", O_RDWR));
    pid_t child;

    CHECK_STR_EQ(read_file("/proc/self/coredump_filter", text, sizeof(text)), "00000033\n");
    CHECK_EQ(write(fd, "0x1ff\n", 6), 6);
    CHECK_STR_EQ(read_file("/proc/self/coredump_filter", text, sizeof(text)), "000001ff\n");
    CHECK_EQ(pwrite(fd, "65543", 5, 0), 5); /* bits that mean nothing are left out */
    CHECK_STR_EQ(read_file("/proc/self/coredump_filter", text, sizeof(text)), "00000007\n");
    CHECK_ERRNO(pwrite(fd, "filter", 6, 0), EINVAL);
    child = CHECK_OK(fork());
    if (child == 0) {
        execvp("grep", (char **)arguments);
        _exit(127);
    }
    CHECK_EXIT(child, 0);
}

/* ---- What was opened before exec ---- */

/* A child that becomes cat(1) once the pipe's writer says so. */
static pid_t fork_cat(int start[2], int done[2])
{
    pid_t child;
    char byte;

    CHECK_OK(pipe2(start, 0));
    CHECK_OK(pipe2(done, O_CLOEXEC));
    child = CHECK_OK(fork());
    if (child == 0) {
        close(start[1]);
        CHECK_EQ(read(start[0], &byte, 1), 1);
        dup2(start[0], 0);
        execlp("cat", "cat", NULL);
        _exit(127);
    }
    close(done[1]);
    return child;
}

/* Who might look into a process may not be allowed to look into what it executes: a setuid one. */
TEST(files_of_a_process_opened_before_exec_do_not_show_the_new_program)
{
    static const char *const names[] = {"mem", "maps", "environ", "smaps", "pagemap"};
    int files[sizeof(names) / sizeof(names[0])], start[2], done[2];
    pid_t child = fork_cat(start, done);
    char path[64];

    for (int i = 0; i < 5; i++) {
        snprintf(path, sizeof(path), "/proc/%d/%s", child, names[i]);
        files[i] = CHECK_OK(open(path, i == 0 ? O_RDWR : O_RDONLY));
        if (i != 0)
            CHECK_GT(read(files[i], text, 64), 0);
        CHECK_OK(lseek(files[i], 0, SEEK_SET));
    }
    CHECK_EQ(pread(files[0], text, 1, (off_t)(uintptr_t)names), 1);
    CHECK_EQ(pwrite(files[0], text, 1, (off_t)(uintptr_t)text), 1);
    CHECK_EQ(write(start[1], "", 1), 1);
    CHECK_EQ(read(done[0], text, 1), 0);
    CHECK_EQ(pread(files[0], text, 1, (off_t)(uintptr_t)names), 0);
    CHECK_EQ(pwrite(files[0], text, 1, (off_t)(uintptr_t)text), 0);
    for (int i = 1; i < 5; i++)
        CHECK_EQ(read(files[i], text, 64), 0);
    close(start[1]);
    CHECK_EXIT(child, 0);
}

TEST(auxv_opened_before_exec_is_that_of_the_old_program)
{
    int start[2], done[2], file;
    pid_t child = fork_cat(start, done);
    char path[64], before[1024];
    ssize_t bytes;

    snprintf(path, sizeof(path), "/proc/%d/auxv", child);
    file = CHECK_OK(open(path, O_RDONLY));
    bytes = CHECK_OK(pread(file, before, sizeof(before), 0));
    CHECK_GT(bytes, 16);
    CHECK_EQ(write(start[1], "", 1), 1);
    CHECK_EQ(read(done[0], text, 1), 0);
    CHECK_EQ(read(file, text, sizeof(text)), bytes);
    CHECK_MEM_EQ(text, before, bytes);
    close(start[1]);
    CHECK_EXIT(child, 0);
}

/* ---- map_files ---- */

/* The name in map_files of the region at `memory`, which is `pages` long. */
static const char *link_of(const char *memory, int pages)
{
    static char path[96];

    snprintf(path, sizeof(path), "/proc/self/map_files/%lx-%lx", (unsigned long)memory,
             (unsigned long)memory + (unsigned long)pages * PAGE);
    return path;
}

TEST(map_files_leads_to_the_file_behind_a_mapping)
{
    char *file = map_file(), target[256] = "";
    struct stat attributes;
    int fd;

    NEEDS_ROOT();
    CHECK_GT(readlink(link_of(file, PAGES), target, sizeof(target) - 1), 0);
    CHECK(strstr(target, " (deleted)"));
    CHECK_OK(lstat(link_of(file, PAGES), &attributes));
    CHECK_EQ(attributes.st_mode, S_IFLNK | 0600u);
    file[PAGE] = 'x';
    fd = CHECK_OK(open(link_of(file, PAGES), O_RDONLY));
    CHECK_EQ(pread(fd, text, 1, PAGE), 1);
    CHECK_EQ(text[0], 'x');
}

TEST(map_files_has_no_name_but_those_of_whole_regions)
{
    char *file = map_file(), *anonymous = map(MAP_PRIVATE | MAP_ANONYMOUS, -1), target[256];

    CHECK_GT(readlink(link_of(file, PAGES), target, sizeof(target)), 0);
    CHECK_ERRNO(readlink(link_of(file, PAGES - 1), target, sizeof(target)), ENOENT);
    CHECK_ERRNO(readlink(link_of(file + PAGE, PAGES - 1), target, sizeof(target)), ENOENT);
    CHECK_ERRNO(readlink(link_of(anonymous, PAGES), target, sizeof(target)), ENOENT);
    CHECK_ERRNO(readlink("/proc/self/map_files/file", target, sizeof(target)), ENOENT);
    CHECK_OK(munmap(file, PAGE));
    CHECK_ERRNO(readlink(link_of(file, PAGES), target, sizeof(target)), ENOENT);
    CHECK_GT(readlink(link_of(file + PAGE, PAGES - 1), target, sizeof(target)), 0);
}

TEST(map_files_lists_each_file_that_is_mapped)
{
    char *file = map_file();
    const char *name = strrchr(link_of(file, PAGES), '/') + 1;
    DIR *directory = opendir("/proc/self/map_files");
    const struct dirent *entry;
    int found = 0, others = 0;

    CHECK(directory);
    while ((entry = readdir(directory))) {
        found += !strcmp(entry->d_name, name) && entry->d_type == DT_LNK;
        others += entry->d_type == DT_LNK;
    }
    closedir(directory);
    CHECK_EQ(found, 1);
    CHECK_GT(others, 1); /* the program */
}

TEST(map_files_is_guarded_and_following_needs_a_capability)
{
    char *file = map_file(), path[96], target[256];
    pid_t child;

    NEEDS_ROOT();
    snprintf(path, sizeof(path), "/proc/%d/map_files", getpid());
    child = CHECK_OK(fork());
    if (child == 0) {
        CHECK_OK(setresuid(1000, 1000, 1000));
        CHECK_ERRNO(open(path, O_RDONLY | O_DIRECTORY), EACCES);
        CHECK_OK(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
        CHECK_GT(readlink(link_of(file, PAGES), target, sizeof(target)), 0);
        CHECK_ERRNO(open(link_of(file, PAGES), O_RDONLY), EPERM);
        _exit(0);
    }
    CHECK_EXIT(child, 0);
}
