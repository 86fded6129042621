/*
 * A memory access that faults, waits until its page has come from the file, and then succeeds.
 *
 * From CSC 374, Lecture 2 ("Fault Example 1"). To see: the access to a page that is not in memory
 * costs one major fault, after which the same instruction runs again; the second access costs none.
 *
 *     page_fault [FILE]          by default the C library
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static long major_faults(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_majflt;
}

static void access_once(const volatile char *page, const char *which)
{
    long before = major_faults();
    char byte = *page;

    printf("%s access: %ld major faults, %s\n", which, major_faults() - before,
           byte == *page ? "and it succeeds" : "?");
}

int main(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : "/usr/lib/x86_64-linux-gnu/libc.a";
    int fd = open(path, O_RDONLY);
    struct stat file;
    char *memory;

    if (fd == -1 || fstat(fd, &file)) {
        perror(path);
        return 1;
    }
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED); /* what nobody maps leaves memory */
    posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);   /* and comes back page by page */
    memory = mmap(NULL, file.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (memory == MAP_FAILED)
        return 1;
    madvise(memory, file.st_size, MADV_RANDOM);
    access_once(memory + file.st_size / 2, "first ");
    access_once(memory + file.st_size / 2, "second");
    return 0;
}
