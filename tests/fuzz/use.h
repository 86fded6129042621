/*
 * What the kernel says is in use: objects of each slab cache, frames of each kind. Two readings
 * with the caches emptied show what was not given back in between.
 */
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/shm.h>
#include <unistd.h>

#define USES_MAX     256
#define SETTLE_TRIES 20
#define SETTLE_US    200000 /* frees that wait for all CPUs (RCU) need some */
/* Growth that is no leak: what a table or a CPU's store of free objects keeps once it has grown. */
#define OBJECTS_SLACK 64
#define FRAMES_SLACK  64
#define SLABS_SLACK   256 /* an object that stays keeps its whole slab */

struct use {
    int count;
    struct {
        char name[48];
        long number;
    } items[USES_MAX];
};

static inline void use_read_file(struct use *use, const char *path, const char *prefix)
{
    FILE *file = fopen(path, "r");
    char line[256], name[32];
    long number;

    while (file && fgets(line, sizeof(line), file) && use->count < USES_MAX) {
        if (sscanf(line, "%23s %ld", name, &number) != 2 || !strcmp(name, "free") ||
            !strcmp(name, "total"))
            continue;
        snprintf(use->items[use->count].name, sizeof(use->items->name), "%s %s", prefix, name);
        use->items[use->count++].number = number;
    }
    if (file)
        fclose(file);
}

static inline void caches_empty(void)
{
    int file = open("/proc/sys/vm/drop_caches", O_WRONLY);

    sync();
    if (file < 0 || write(file, "3\n", 2) != 2)
        printf("the caches could not be emptied\n");
    close(file);
}

static inline void use_read(struct use *use)
{
    usleep(SETTLE_US);
    caches_empty();
    use->count = 0;
    use_read_file(use, "/proc/slabinfo", "objects");
    use_read_file(use, "/proc/pith/frames", "frames");
}

static inline long use_of(const struct use *use, const char *name)
{
    for (int i = 0; i < use->count; i++) {
        if (!strcmp(use->items[i].name, name))
            return use->items[i].number;
    }
    return 0;
}

/* How many kinds have grown by more than their slack; `say` prints them. */
static inline int use_grown(const struct use *before, const struct use *after, int say)
{
    int grown = 0;

    for (int i = 0; i < after->count; i++) {
        const char *name = after->items[i].name;
        long slack = !strcmp(name, "frames slab")  ? SLABS_SLACK
                     : !strncmp(name, "frames", 6) ? FRAMES_SLACK
                                                   : OBJECTS_SLACK;
        long growth = after->items[i].number - use_of(before, name);

        if (growth <= slack)
            continue;
        grown++;
        if (say)
            printf("FAIL leak: %s: %ld, then %ld\n", name, use_of(before, name),
                   after->items[i].number);
    }
    return grown;
}

/* Reads again while the kernel is still giving back; prints what stayed. Returns how many kinds. */
static inline int use_compare(const struct use *before, struct use *after)
{
    for (int i = 0; i < SETTLE_TRIES && use_grown(before, after, 0); i++)
        use_read(after);
    return use_grown(before, after, 1);
}

static inline void use_print_coverage(void)
{
    char text[64] = "";
    int file = open("/proc/pith/coverage", O_RDONLY);

    if (file >= 0 && read(file, text, sizeof(text) - 1) > 0)
        printf("reached: %s", text);
    close(file);
}

/* Segments of System V's shared memory outlive who made them. */
static inline void segments_remove(void)
{
    struct shm_info info;
    struct shmid_ds segment;
    int last = shmctl(0, SHM_INFO, (struct shmid_ds *)&info);

    for (int i = 0; i <= last; i++) {
        int id = shmctl(i, SHM_STAT, &segment);

        if (id >= 0)
            shmctl(id, IPC_RMID, NULL);
    }
}

/* Takes away all files of the working directory, however deep, and what else no process holds. */
static inline void scratch_empty(void)
{
    segments_remove();
    if (system(
            "/bin/chmod -R u+rwx . 2>/dev/null; /bin/rm -rf ./* ./.[!.]* /dev/shm/* 2>/dev/null"))
        printf("the scratch directory could not be emptied\n");
}
