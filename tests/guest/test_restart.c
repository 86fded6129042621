/*
 * Restartable sequences and barriers in other threads.
 *
 * covers: rseq membarrier
 */
#include "guest.h"

#include <linux/membarrier.h>

#define SIGNATURE  0x53053053
#define UNREGISTER 1

struct area {
    uint32_t cpu_start, cpu;
    uint64_t sequence;
    uint32_t flags, node, padding[2];
} __attribute__((__aligned__(32)));

struct sequence {
    uint32_t version, flags;
    uint64_t start, length, abort;
} __attribute__((__aligned__(32)));

static struct area area;

static long rseq(void *at, uint32_t bytes, int flags, uint32_t signature)
{
    return syscall(SYS_rseq, at, bytes, flags, signature);
}

static void register_area(uint32_t signature)
{
    if (rseq(&area, sizeof(area), 0, signature) == -1 && errno == ENOSYS)
        SKIP("no rseq");
}

static void pin(pid_t tid, int cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    CHECK_OK(sched_setaffinity(tid, sizeof(set), &set));
}

static int current_cpu(void)
{
    unsigned cpu;

    CHECK_OK(syscall(SYS_getcpu, &cpu, NULL, NULL));
    return cpu;
}

/* Two CPUs that we may use. */
static void choose_cpus(int cpus[2])
{
    cpu_set_t set;
    int found = 0;

    CHECK_OK(sched_getaffinity(0, sizeof(set), &set));
    for (int cpu = 0; cpu < CPU_SETSIZE && found < 2; cpu++)
        if (CPU_ISSET(cpu, &set))
            cpus[found++] = cpu;
    if (found < 2)
        SKIP("one CPU");
}

/* An endless sequence: it returns only by being aborted. */
static void run_until_aborted(void)
{
    __asm__ volatile(".pushsection .data, \"aw\"\n"
                     ".balign 32\n"
                     "3: .long 0, 0\n"
                     ".quad 1f, 2f - 1f, 4f\n"
                     ".popsection\n"
                     "leaq 3b(%%rip), %%rax\n"
                     "movq %%rax, 8(%0)\n"
                     "1: pause\n"
                     "jmp 1b\n"
                     "2: ud2\n"
                     ".long 0x53053053\n"
                     "4:\n"
                     :
                     : "r"(&area)
                     : "rax", "memory");
}

TEST(rseq_tells_the_cpu)
{
    int cpus[2];

    choose_cpus(cpus);
    register_area(SIGNATURE);
    for (int i = 0; i < 4; i++) {
        pin(0, cpus[i % 2]);
        CHECK_EQ(area.cpu, cpus[i % 2]);
        CHECK_EQ(area.cpu_start, cpus[i % 2]);
        CHECK_EQ(current_cpu(), cpus[i % 2]);
    }
    CHECK_OK(rseq(&area, sizeof(area), UNREGISTER, SIGNATURE));
    CHECK_EQ((int)area.cpu, -1);
    CHECK_EQ(area.cpu_start, 0);
}

TEST(rseq_errors_are_as_documented)
{
    register_area(SIGNATURE);
    CHECK_ERRNO(rseq(&area, sizeof(area), 0, SIGNATURE), EBUSY);
    CHECK_ERRNO(rseq(&area, sizeof(area), 0, SIGNATURE + 1), EPERM);
    CHECK_ERRNO(rseq(&area + 1, sizeof(area), 0, SIGNATURE), EINVAL);
    CHECK_ERRNO(rseq(&area, sizeof(area), UNREGISTER, SIGNATURE + 1), EPERM);
    CHECK_ERRNO(rseq(&area + 1, sizeof(area), UNREGISTER, SIGNATURE), EINVAL);
    CHECK_ERRNO(rseq(&area, sizeof(area), 8, SIGNATURE), EINVAL);
    CHECK_OK(rseq(&area, sizeof(area), UNREGISTER, SIGNATURE));
    CHECK_ERRNO(rseq(&area, sizeof(area), UNREGISTER, SIGNATURE), EINVAL);
    CHECK_ERRNO(rseq((char *)&area + 8, sizeof(area), 0, SIGNATURE), EINVAL);
    CHECK_ERRNO(rseq(&area, sizeof(area) - 8, 0, SIGNATURE), EINVAL);
    CHECK_ERRNO(rseq((void *)(1ul << 63), sizeof(area), 0, SIGNATURE), EFAULT);
}

TEST(rseq_sequence_is_aborted_by_a_signal_handler)
{
    register_area(SIGNATURE);
    ring_until_the_end(0);
    run_until_aborted();
    CHECK_EQ(area.sequence, 0);
}

TEST(rseq_sequence_is_aborted_by_preemption)
{
    pid_t child;

    pin(0, current_cpu());
    child = CHECK_OK(fork());
    if (child == 0) {
        for (;;)
            ;
    }
    register_area(SIGNATURE);
    run_until_aborted();
    CHECK_OK(kill(child, SIGKILL));
    CHECK_KILLED(child, SIGKILL);
}

TEST(rseq_sequence_is_aborted_by_migration)
{
    pid_t parent = getpid(), child;
    int cpus[2];

    choose_cpus(cpus);
    pin(0, cpus[0]);
    register_area(SIGNATURE);
    child = CHECK_OK(fork());
    if (child == 0) {
        pin(0, cpus[1]);
        /* To and fro: the first time may come before the sequence has begun. */
        for (int i = 0;; i++) {
            sleep_ms(30);
            pin(parent, cpus[i % 2 ? 0 : 1]);
        }
    }
    do
        run_until_aborted();
    while (area.cpu != (uint32_t)cpus[1]);
    CHECK_OK(kill(child, SIGKILL));
    CHECK_KILLED(child, SIGKILL);
}

TEST(rseq_abort_without_the_signature_kills)
{
    pid_t child = CHECK_OK(fork());

    if (child == 0) {
        register_area(SIGNATURE + 1);
        ring_until_the_end(0);
        run_until_aborted();
        _exit(0);
    }
    CHECK_KILLED(child, SIGSEGV);
}

TEST(rseq_registration_is_inherited_by_fork_but_not_by_a_thread)
{
    pid_t child;

    register_area(SIGNATURE);
    child = CHECK_OK(fork());
    if (child == 0) {
        CHECK_ERRNO(rseq(&area, sizeof(area), 0, SIGNATURE), EBUSY);
        CHECK_EQ(area.cpu, area.cpu_start);
        _exit(0);
    }
    CHECK_EXIT(child, 0);
    child = CHECK_OK(vfork());
    if (child == 0)
        _exit(rseq(&area, sizeof(area), UNREGISTER, SIGNATURE) == -1 && errno == EINVAL ? 0 : 1);
    CHECK_EXIT(child, 0);
}

/* ---- membarrier ---- */

static long membarrier(int command, unsigned flags, int cpu)
{
    return syscall(SYS_membarrier, command, flags, cpu);
}

TEST(membarrier_query_names_all_commands)
{
    CHECK_EQ(membarrier(MEMBARRIER_CMD_QUERY, 0, 0) & 0x1ff, 0x1ff);
    CHECK_ERRNO(membarrier(MEMBARRIER_CMD_QUERY, 2, 0), EINVAL);
    CHECK_ERRNO(membarrier(3, 0, 0), EINVAL);
    CHECK_ERRNO(membarrier(1 << 20, 0, 0), EINVAL);
}

TEST(membarrier_private_commands_want_their_registration)
{
    int commands[] = {MEMBARRIER_CMD_PRIVATE_EXPEDITED, MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE,
                      MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ};

    for (int i = 0; i < 3; i++) {
        CHECK_ERRNO(membarrier(commands[i], 0, 0), EPERM);
        CHECK_OK(membarrier(commands[i] << 1, 0, 0));
        CHECK_EQ(membarrier(commands[i], 0, 0), 0);
    }
    CHECK_EQ(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, 1, 0), 0);
    CHECK_ERRNO(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED, 1, 0), EINVAL);
    CHECK_EQ(membarrier(MEMBARRIER_CMD_GLOBAL, 0, 0), 0);
    CHECK_EQ(membarrier(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0), 0);
    CHECK_EQ(membarrier(MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0), 0);
}

static int aborts_its_parents_sequences(void *argument)
{
    int *running = argument;

    while (!__atomic_load_n(running, __ATOMIC_ACQUIRE))
        sched_yield();
    sleep_ms(20);
    return membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, 0, 0) ? 1 : 0;
}

/* On CPUs of their own, so that no preemption aborts it instead. */
TEST(membarrier_rseq_aborts_the_sequences_of_other_threads)
{
    static char stack[32768] __attribute__((__aligned__(16)));
    int cpus[2], running = 0, flags = CLONE_VM | CLONE_FS | CLONE_FILES;
    pid_t child;

    choose_cpus(cpus);
    CHECK_OK(membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ, 0, 0));
    pin(0, cpus[1]);
    child = CHECK_OK(
        clone(aborts_its_parents_sequences, stack + sizeof(stack), flags | SIGCHLD, &running));
    pin(0, cpus[0]);
    register_area(SIGNATURE);
    __atomic_store_n(&running, 1, __ATOMIC_RELEASE);
    run_until_aborted();
    CHECK_EXIT(child, 0);
}
