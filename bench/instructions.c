/*
 * A plugin for QEMU (TCG) that counts the instructions that a machine executes, in the kernel and
 * in all, and keeps the counts at each moment that a program marks.
 *
 *     qemu-system-x86_64 -plugin file=build/bench/instructions.so,out=FILE,mark=ADDRESS ...
 *
 * FILE is mapped, so that it is right at any time, also when the machine is killed: `struct
 * counts`, which bench/machines.py reads. A moment is marked each time that a user program comes to
 * ADDRESS, the first instruction of a function; the first is the end of the boot. Blocks of code
 * are counted whole: one that a fault leaves early counts too much. Debian's QEMU has plugins, but
 * no header for them: what is used here of version 1 of its interface is declared below.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- QEMU's plugin interface, version 1 ---- */

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_info_t;

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id,
                                           void (*call)(qemu_plugin_id_t, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *block,
                                          void (*call)(unsigned cpu, void *data), int flags,
                                          void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *block);

__attribute__((visibility("default"))) int qemu_plugin_version = 1;
int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info_t *info, int argc, char **argv);

/* ---- Counting ---- */

#define KERNEL_START 0x8000000000000000ull
#define BUCKETS      65536
#define MARKS_MAX    4096
#define BLOCKS_MAX   262144
#define NO_FLAGS     0

struct block {
    uint64_t address;
    uint64_t length; /* instructions of one execution */
    uint64_t executions;
};

struct counts {
    uint64_t total, kernel;
    uint64_t marks, blocks; /* how many of each follow */
    struct {
        uint64_t total, kernel;
    } mark[MARKS_MAX];
    struct block block[BLOCKS_MAX];
};

static struct counts *counts;
static uint64_t mark_address;
static bool program_runs; /* the kernel's own start may lie at the same address */
static struct {
    struct block *block;
    unsigned next;
} entries[BLOCKS_MAX + 1];
static unsigned buckets[BUCKETS]; /* the first of a chain of entries; 0: none */

static void mark(void)
{
    if (counts->marks == MARKS_MAX)
        return;
    counts->mark[counts->marks].total = counts->total;
    counts->mark[counts->marks].kernel = counts->kernel;
    counts->marks++;
}

static void block_executed(unsigned cpu, void *data)
{
    struct block *block = data;

    (void)cpu;
    block->executions++;
    counts->total += block->length;
    if (block->address >= KERNEL_START) {
        counts->kernel += block->length;
        program_runs = true;
    } else if (block->address == mark_address && program_runs) {
        mark();
    }
}

/* Blocks are translated again at times: one counter for each address and length. */
static struct block *block_find(uint64_t address, uint64_t length)
{
    unsigned *bucket = &buckets[(address ^ address >> 16) % BUCKETS], entry;
    struct block *block;

    for (entry = *bucket; entry; entry = entries[entry].next) {
        block = entries[entry].block;
        if (block->address == address && block->length == length)
            return block;
    }
    if (counts->blocks == BLOCKS_MAX)
        abort();
    block = &counts->block[counts->blocks];
    block->address = address;
    block->length = length;
    entry = ++counts->blocks;
    entries[entry].block = block;
    entries[entry].next = *bucket;
    *bucket = entry;
    return block;
}

static void block_translated(qemu_plugin_id_t id, struct qemu_plugin_tb *translated)
{
    struct block *block =
        block_find(qemu_plugin_tb_vaddr(translated), qemu_plugin_tb_n_insns(translated));

    (void)id;
    qemu_plugin_register_vcpu_tb_exec_cb(translated, block_executed, NO_FLAGS, block);
}

__attribute__((visibility("default"))) int
qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info_t *info, int argc, char **argv)
{
    int fd = -1;

    (void)info;
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "out=", 4) == 0)
            fd = open(argv[i] + 4, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        else if (strncmp(argv[i], "mark=", 5) == 0)
            mark_address = strtoull(argv[i] + 5, NULL, 0);
    }
    if (fd < 0 || ftruncate(fd, sizeof(*counts)))
        return -1;
    counts = mmap(NULL, sizeof(*counts), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (counts == MAP_FAILED)
        return -1;
    qemu_plugin_register_vcpu_tb_trans_cb(id, block_translated);
    return 0;
}
