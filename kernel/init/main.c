/*
 * What is brought up, in which order.
 *
 * Each step may use all that stand above it. Interrupts are off until the scheduler runs the first
 * thread, so no step waits; what must wait (drivers, the initramfs) is prepared by the thread of
 * process 1 before it executes /init.
 *
 *     CPU 0: steps ... start_process_1, sched_run          from here its idle thread
 *     the others: started by arch_start_cpus, each goes straight into sched_run
 *     process 1: prepare_process_1 (devices, terminals, initramfs), exec of /init
 *
 * A step that fails panics: there is no machine without it.
 */
#include <pith/init.h>

#include <pith/abi.h>
#include <pith/core.h>
#include <pith/fs.h>
#include <pith/host_link.h>
#include <pith/mem.h>
#include <pith/net.h>
#include <pith/proc.h>
#include <pith/sched.h>
#include <pith/tty.h>
#include <pith/vm.h>

typedef void init_step(void);

static init_step start_process_1;

static init_step *const steps[] = {
    arch_init_early, /* memory map, page tables, traps, this CPU, the clock */
    core_init,       /* timers, deferred work, random numbers */
    mem_init,        /* frames, slabs */
    arch_init_late,  /* copy routines, the date */
    vm_init,         /* address spaces, page faults */
    sched_init,      /* this code becomes CPU 0's idle thread */
    proc_init,       /* processes 1 and 2, without threads */
    sched_init_late, /* worker threads */
    fs_init,         /* the first mount, /dev */
    net_init,        /* sockets */
    abi_init,        /* system calls */
    arch_start_cpus, /* the other CPUs */
    start_process_1,
};

static void unpack_initramfs(void)
{
    const void *archive = phys_to_virt(boot_info.initramfs);
    int error = initramfs_unpack(archive, boot_info.initramfs_bytes);

    if (error)
        panic("the initramfs cannot be unpacked: error %d", -error);
    frames_release(boot_info.initramfs, boot_info.initramfs_bytes);
}

/* In the thread of process 1, which may sleep. */
static void prepare_process_1(void)
{
    dev_init(); /* virtio */
    tty_init(); /* terminals, the link to the host */
    debug_words_run();
    if (boot_info.initramfs_bytes == 0)
        panic("there is no initramfs (qemu -initrd)");
    unpack_initramfs();
}

static void start_process_1(void)
{
    proc_start_init(prepare_process_1);
}

noreturn void kernel_main(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(steps); i++)
        steps[i]();
    sched_run();
}
