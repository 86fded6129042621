/*
 * What is brought up, in which order.
 *
 * Each step may use all that stand above it. Interrupts are off until the scheduler runs the first
 * thread.
 */
#include <pith/init.h>

#include <pith/abi.h>
#include <pith/core.h>
#include <pith/fs.h>
#include <pith/mem.h>
#include <pith/proc.h>
#include <pith/sched.h>
#include <pith/vm.h>

typedef void init_step(void);

static init_step *const steps[] = {
    arch_init_early, /* memory map, page tables, traps, this CPU, the clock */
    core_init,       /* timers, deferred work, random numbers */
    mem_init,        /* frames, slabs */
    arch_init_late,  /* copy routines */
    vm_init,         /* address spaces, page faults */
    sched_init,      /* this code becomes CPU 0's idle thread */
    proc_init,       /* processes 1 and 2, without threads */
    sched_init_late, /* worker threads */
    fs_init,         /* the first mount, /dev */
    abi_init,        /* system calls */
    arch_start_cpus, /* the other CPUs */
    debug_words_run, /* `panic=` */
};

/* In process 1's thread, which may sleep, before it executes /init. */
static void prepare_user_mode(void)
{
    if (!boot_info.initramfs_bytes)
        panic("there is no initramfs to take /init from");
    if (initramfs_unpack(phys_to_virt(boot_info.initramfs), boot_info.initramfs_bytes))
        panic("the initramfs is broken");
}

noreturn void kernel_main(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(steps); i++)
        steps[i]();
    proc_start_init(prepare_user_mode);
    sched_run();
}
