/*
 * A machine of one CPU whose devices are hostile, for the tests that run the kernel's own sources
 * against them: memory, what locks and clocks are asked for, and a virtio transport whose rings the
 * test writes.
 *
 * HOSTILE_RUNS (2000) and HOSTILE_SEED (1) choose the run; a run repeats by its seed. Privileged
 * instructions are stepped over. Frames are taken one behind the other and never given back before
 * machine_begin; queues stay for ever, as in the kernel.
 */
#pragma once

#define _GNU_SOURCE
#include <asm/prctl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>
/* The kernel's own names for what the C library has too. */
#undef CLOSE_RANGE_UNSHARE
#undef CLOSE_RANGE_CLOEXEC
#undef MFD_CLOEXEC
#undef MFD_ALLOW_SEALING
#undef POLL_IN
#undef POLL_PRI
#undef POLL_OUT
#undef POLL_ERR
#undef POLL_HUP

#include <pith/abi/errno.h>
#include <pith/core.h>
#include <pith/fs.h>
#include <pith/sched.h>

#include "../../kernel/dev/virtio.h"
#include "unit.h"

#define RUNS_DEFAULT 2000
#define FRAMES       16384u
#define STEPS        200

const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

/* ---- Numbers ---- */

static u64 random_state;

static u64 number(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    return random_state ^= random_state << 17;
}

static u64 below(u64 end)
{
    return number() % end;
}

static u64 setting(const char *name, u64 otherwise)
{
    const char *value = getenv(name);

    return value ? strtoull(value, NULL, 10) : otherwise;
}

static inline void fill(void *to, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        ((u8 *)to)[i] = number();
}

/* ---- The machine ---- */

static struct cpu the_cpu;
static struct thread the_thread;
static u32 frames_used;
static const struct virtio_driver *driver;
bool deterministic;
u64 tsc_hz = 1;
struct boot_info boot_info;

/* cli and sti fault in user mode: go on behind them. */
static void step_over(int signal, siginfo_t *info, void *context)
{
    greg_t *rip = &((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
    u8 opcode = *(const u8 *)*rip;

    if (opcode != 0xfa && opcode != 0xfb)
        abort();
    ++*rip;
}

static void machine_begin(u64 run)
{
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE;
    struct sigaction action = {.sa_sigaction = step_over, .sa_flags = SA_SIGINFO | SA_NODEFER};

    random_state = (setting("HOSTILE_SEED", 1) << 32 | run) * 0x9e3779b97f4a7c15ul | 1;
    if (!the_cpu.self) {
        mmap((void *)FRAME_ARRAY, FRAMES * sizeof(struct frame), PROT_READ | PROT_WRITE, flags, -1,
             0);
        mmap((void *)DIRECT_MAP, FRAMES * PAGE_SIZE, PROT_READ | PROT_WRITE, flags, -1, 0);
        sigaction(SIGSEGV, &action, NULL);
        the_cpu = (struct cpu){.self = &the_cpu, .thread = &the_thread};
        syscall(SYS_arch_prctl, ARCH_SET_GS, &the_cpu);
    }
    frames_used = 0;
}

struct frame *frame_alloc(unsigned order, enum frame_kind kind, unsigned flags)
{
    struct frame *frame = (struct frame *)FRAME_ARRAY + frames_used;

    frames_used += 1u << order;
    CHECK(frames_used <= FRAMES);
    memset(frame_data(frame), 0, PAGE_SIZE << order);
    return frame;
}
void frame_free(struct frame *frame)
{
}
static void *last_allocations[2]; /* a queue, and its shadow */

void *kmalloc(size_t bytes, unsigned flags)
{
    last_allocations[0] = last_allocations[1];
    last_allocations[1] = flags & ALLOC_CLEARED ? calloc(1, bytes) : malloc(bytes);
    return last_allocations[1];
}
void kfree(void *memory)
{
    free(memory);
}
struct slab_cache *slab_cache_create(const char *name, size_t size, size_t alignment)
{
    return (struct slab_cache *)size;
}
void *slab_alloc(struct slab_cache *cache, unsigned flags)
{
    return malloc((size_t)cache);
}
void slab_free(struct slab_cache *cache, void *object)
{
    free(object);
}
void refcount_from_zero(void)
{
    panic("an object came back from the dead");
}
void spin_lock_wait(struct spinlock *lock)
{
    panic("a spinlock is taken twice");
}
void mutex_init(struct mutex *mutex, enum lock_class class)
{
}
void wait_queue_init(struct wait_queue *queue)
{
    memset(queue, 0, sizeof(*queue));
}
int wait_queue_wake_locked(struct wait_queue *queue, int count, u32 events)
{
    return 0;
}
void wait_queue_wake(struct wait_queue *queue, int count, u32 events)
{
}
void log_line(enum log_level level, const char *format, ...)
{
}
u64 clock_monotonic_ns(void)
{
    return 1;
}
u64 clock_stop(void)
{
    return 0;
}
void clock_go(u64 flags)
{
}
void virtio_driver_register(const struct virtio_driver *registered)
{
    driver = registered;
}
void virtio_config_read(struct virtio_device *device, u32 offset, void *to, u32 bytes)
{
    memset(to, 't', bytes);
}
void virtio_device_ready(struct virtio_device *device)
{
}
u64 virtio_features(const struct virtio_device *device)
{
    return BIT(1); /* a console's ports */
}

/* ---- A device that reads its rings as it should and writes what it likes ---- */

struct ring_descriptor {
    u64 address;
    u32 bytes;
    u16 flags, next;
};

static struct virtqueue_addresses rings[VIRTIO_QUEUES_MAX];
static u32 ring_size = 1024;

static u32 missing_queue = ~0u;

static u32 queue_size_max(struct virtio_device *device, u32 index)
{
    return index == missing_queue ? 0 : ring_size;
}
static void queue_enable(struct virtio_device *device, u32 index, u32 size,
                         const struct virtqueue_addresses *addresses)
{
    rings[index] = *addresses;
}
static void queue_notify(struct virtio_device *device, u32 index)
{
}
static const struct virtio_transport transport = {
    .queue_size_max = queue_size_max, .queue_enable = queue_enable, .queue_notify = queue_notify};
static struct virtio_device device = {.transport = &transport}; /* what is tested */

static inline void used_put(u32 index, u32 size, u16 at, u32 head, u32 written)
{
    u32 *element = (u32 *)((u8 *)phys_to_virt(rings[index].used) + 4 + 8 * (at & (size - 1)));

    element[0] = head;
    element[1] = written;
    *((u16 *)phys_to_virt(rings[index].used) + 1) = at + 1;
}
