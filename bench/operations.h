/* What the files of the benchmark's program share. */
#pragma once

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE      4096ul
#define MIB       (1ul << 20)
#define FILE_NAME "/tmp/bench-file"
#define FILE_SIZE (1024 * PAGE)

/*
 * An operation of the table: `run` does it `times` times, between two looks at the clock; `prepare`
 * and `finish`, where there are any, before and after. Each file's list ends with one without name.
 */
struct operation {
    const char *name;
    void (*prepare)(unsigned times);
    void (*run)(unsigned times);
    void (*finish)(unsigned times);
    unsigned times;
};

extern const struct operation call_operations[];
extern const struct operation process_operations[];
extern const struct operation talk_operations[];
extern const struct operation memory_operations[];

/* Forks with much memory, each with a clock of its own: they print their lines themselves. */
void large_forks_measure(const char *only);

/* The same work by 1 to 8 threads or processes at once. */
void scaling_measure(void);

uint64_t now_ns(void);

/* Prints an operation's line: `times` took `ns`, measured by `spans` pairs of looks at the clock.
 */
void report(const char *name, uint64_t ns, unsigned times, unsigned spans);

/* Prints what failed and ends the program, if it is not right. */
void check(int is_right, const char *what);

/* Anonymous memory: in 4 KiB pages, or in 2 MiB pages where the system gives them. */
char *map_small_pages(size_t bytes);
char *map_huge_pages(size_t bytes);
void touch(char *at, size_t bytes);

void fork_wait(unsigned times);
