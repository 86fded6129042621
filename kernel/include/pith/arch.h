/*
 * What the rest of the kernel asks of the machine. arch/x86_64 is the only folder with assembly and
 * privileged instructions; all of it stands behind this header.
 *
 * Context: unless it says otherwise, a function may be called anywhere and does not sleep.
 */
#pragma once

#include <pith/abi/errno.h>
#include <pith/compiler.h>

#define PAGE_SHIFT 12
#define PAGE_SIZE  (1ul << PAGE_SHIFT)
#define PAGE_MASK  (~(PAGE_SIZE - 1))

/*
 * The address space of a machine with four levels of page tables (SDM 3A "4-Level Paging"):
 *
 *     0000 0000 0000 0000   nothing (mmap_min_addr: 64 KiB)
 *     0000 7fff ffff f000   the end of user memory (the last page is left free: sysret)
 *     ffff 8000 0000 0000   direct map: all physical memory, writable, not executable
 *     ffff c000 0000 0000   kernel virtual memory: stacks with guard pages, device registers
 *     ffff e000 0000 0000   the frame array, backed only where there is memory
 *     ffff ec00 0000 0000   the sanitizer's shadow (SAN=1)
 *     ffff ffff 8000 0000   kernel image
 */
#define USER_END           0x00007ffffffff000ul
#define KERNEL_VIRTUAL     0xffffc00000000000ul
#define KERNEL_VIRTUAL_END 0xffffc08000000000ul /* one entry of the root */
#define SHADOW             0xffffec0000000000ul
#define KERNEL_IMAGE       0xffffffff80000000ul
#ifdef __PITH_KERNEL__
#define DIRECT_MAP  0xffff800000000000ul
#define FRAME_ARRAY 0xffffe00000000000ul
#else /* unit tests have them where a program may have memory */
#define DIRECT_MAP  0x0000400000000000ul
#define FRAME_ARRAY 0x0000300000000000ul
#endif

static inline void *phys_to_virt(phys_addr address)
{
    return (void *)(DIRECT_MAP + address);
}

/* Only for addresses in the direct map. */
static inline phys_addr virt_to_phys(const void *pointer)
{
    return (u64)pointer - DIRECT_MAP;
}

/*
 * ---- Registers of a user program, as saved on entry (in the order of Linux's struct pt_regs) ----
 */

struct trap_frame {
    u64 r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
    u64 original_rax; /* a system call's number; an exception's error code; else -1 */
    u64 rip, cs, rflags, rsp, ss;
};

static inline bool trap_frame_is_user(const struct trap_frame *frame)
{
    return (frame->cs & 3) != 0;
}

/* ---- Vectors: handler k is whoever registered for k ---- */

enum vector {
    VECTOR_DIVIDE = 0,
    VECTOR_DEBUG = 1,
    VECTOR_NMI = 2,
    VECTOR_BREAKPOINT = 3,
    VECTOR_OVERFLOW = 4,
    VECTOR_BOUND = 5,
    VECTOR_INVALID_OPCODE = 6,
    VECTOR_NO_FPU = 7,
    VECTOR_DOUBLE_FAULT = 8,
    VECTOR_INVALID_TSS = 10,
    VECTOR_NO_SEGMENT = 11,
    VECTOR_STACK_FAULT = 12,
    VECTOR_PROTECTION = 13,
    VECTOR_PAGE_FAULT = 14,
    VECTOR_X87 = 16,
    VECTOR_ALIGNMENT = 17,
    VECTOR_MACHINE_CHECK = 18,
    VECTOR_SIMD = 19,
    VECTOR_DEVICE_FIRST = 32, /* to VECTOR_DEVICE_LAST: given to devices by vector_alloc */
    VECTOR_DEVICE_LAST = 239,
    VECTOR_TIMER = 240,
    VECTOR_CALL = 241,       /* core's calls on other CPUs */
    VECTOR_RESCHEDULE = 242, /* another CPU changed our run queue */
    VECTOR_WATCHDOG = 243,   /* core/: shows that this CPU takes interrupts */
    VECTOR_SPURIOUS = 255,
    VECTORS = 256,
};

/*
 * Runs with interrupts off, on the stack of the current thread (from kernel mode, NMI and machine
 * check have their own). Interrupts are acknowledged after it returns. An exception's handler sees
 * those of user mode only (of the kernel's: page faults, NMI and machine checks); it may turn
 * interrupts on if the interrupted code had them on, after it read fault_address().
 */
typedef void vector_handler(struct trap_frame *frame, u8 vector);

/* Before the vector can come. A second handler replaces the first. */
void vector_register(u8 vector, vector_handler *handler);
/* Gives a free device vector to `handler`; `device` is the controller and the device. -ENOSPC. */
int vector_alloc(const char *device, vector_handler *handler, u8 *vector_out) must_check;
/* That name; NULL: no device has it. */
const char *vector_device(u8 vector);
/* How often it came on an online CPU. */
u64 vector_count(u8 vector, u32 cpu);

/*
 * What happens after an entry from user mode, with interrupts on, before the return: signals,
 * preemption, stops. proc/ registers it. Called while thread_current() has work pending.
 */
typedef void user_return_handler(struct trap_frame *frame);
void user_return_register(user_return_handler *handler);

/*
 * System calls, which abi/ registers. A handler gets the trap frame as its arguments and returns
 * what becomes frame->rax (so one that replaced the registers, like sigreturn, returns frame->rax).
 * frame->original_rax is the number; frame->rax is -ENOSYS.
 * Interrupts are on.
 */
struct syscall_args; /* begins with the trap frame */
typedef long syscall_handler(const struct syscall_args *args);
struct syscall_table {
    syscall_handler *const *handlers; /* by number; a hole is a handler too */
    u64 count;
    syscall_handler *beyond; /* numbers that are not below `count` */
    /* What becomes of a result that says an error (-1 to -4095). */
    long (*failed)(const struct syscall_args *args, long result);
};
void syscall_register(const struct syscall_table *table);

/* A fault in user mode, or in a user copy, or a kernel bug. vm/ registers the page fault's. */
#define FAULT_PRESENT  BIT(0) /* error code bits, SDM 3A "Page-Fault Exceptions" */
#define FAULT_WRITE    BIT(1)
#define FAULT_USER     BIT(2)
#define FAULT_RESERVED BIT(3)
#define FAULT_FETCH    BIT(4)

/*
 * The address whose access caused the page fault that is being handled. Interrupts are still off:
 * any other fault would overwrite it.
 */
u64 fault_address(void);
/*
 * If the faulting kernel instruction is one of the user copy routines', continues it at its fixup
 * and returns true. The caller tried to mend the fault before.
 */
bool fault_fixup(struct trap_frame *frame);
/* A fault that is the kernel's own bug: panics with the exception's name, address and registers. */
noreturn void trap_panic(struct trap_frame *frame, u64 vector);
/* True inside the _nofault accesses, whose faults never reach a registered handler. */
bool user_faults_fail(void);

/* ---- Interrupts of this CPU ---- */

/* Turns them off; what it returns goes to interrupts_restore, on this CPU. Such pairs nest. */
static inline u64 interrupts_save_disable(void)
{
    u64 flags;

    __asm__ volatile("pushfq; popq %0; cli" : "=r"(flags) : : "memory");
    return flags;
}

static inline void interrupts_restore(u64 flags)
{
    if (flags & BIT(9))
        __asm__ volatile("sti" : : : "memory");
}

static inline void interrupts_enable(void)
{
    __asm__ volatile("sti" : : : "memory");
}

static inline void interrupts_disable(void)
{
    __asm__ volatile("cli" : : : "memory");
}

static inline bool interrupts_are_enabled(void)
{
    u64 flags;

    __asm__ volatile("pushfq; popq %0" : "=r"(flags));
    return flags & BIT(9);
}

/* Sleeps until an interrupt, without a gap: interrupts are off before and on after it. */
static inline void cpu_wait_for_interrupt(void)
{
    __asm__ volatile("sti; hlt" : : : "memory");
}

/*
 * Adds 1 to the number `offset_bytes` behind `base`, atomically, without an order. For loops that
 * do little else: compilers compute an address for each atomic access.
 */
static inline void atomic_increment_at(u32 *base, u64 offset_bytes)
{
    __asm__ volatile("lock incl (%0,%1)" : : "r"(base), "r"(offset_bytes) : "memory", "cc");
}

/*
 * The 8 bytes from `at` on, wherever it points. They may lie behind an object's end, if what is
 * there is not used: the sanitizer does not look at this load.
 */
static inline u64 word_load_unchecked(const void *at)
{
    u64 word;

    __asm__("movq %1, %0" : "=r"(word) : "m"(*(const char(*)[sizeof(u64)])at));
    return word;
}

static inline void cpu_relax(void)
{
    __asm__ volatile("pause" : : : "memory");
}

/*
 * Nothing that was fetched or decoded before it runs after it (SDM 3A "Serializing Instructions").
 */
static inline void cpu_serialize(void)
{
    u32 leaf = 0;

    __asm__ volatile("cpuid" : "+a"(leaf) : : "rbx", "rcx", "rdx", "memory");
}

/* ---- Threads ---- */

/* A switched-out kernel context: callee-saved registers lie on its stack. */
struct context {
    u64 stack_pointer;
};

/* Where context_switch saved the frame pointer, with its return address above: a frame as any. */
static inline u64 context_frame_pointer(const struct context *context)
{
    return context->stack_pointer + 5 * sizeof(u64);
}

/* What RDTSC and RDTSCP do. */
enum counter_reads {
    COUNTER_IS_READ,
    COUNTER_FAULTS,
};

/* Registers of a user thread that are not in its trap frame. [owner] or not running. */
struct user_context {
    u64 fs_base;
    u64 gs_base;
    void *fpu_state;    /* XSAVE area; NULL: a kernel thread */
    u32 fpu_loaded_cpu; /* the CPU whose registers were last equal to fpu_state, or CPU_NONE */
    bool fpu_live;      /* the registers are newer than fpu_state: it runs, or ran last */
    enum counter_reads counter_reads; /* of user mode */
};

/* Saves the callee-saved registers of `from` and continues `to`. Interrupts are off. */
void context_switch(struct context *from, struct context *to);
/* Makes a context that begins with entry(argument) on the stack that ends at `stack_end`. */
void context_init(struct context *context, void *stack_end, void (*entry)(void *), void *argument);
/* Where the trap frame of a user thread lies: at the top of its kernel stack. */
static inline struct trap_frame *trap_frame_at(void *stack_end)
{
    return (struct trap_frame *)stack_end - 1;
}
/*
 * Leaves the kernel with the frame at the top of the current kernel stack; runs pending work first.
 */
noreturn void user_mode_enter(struct trap_frame *frame);
/*
 * Just before context_switch, with interrupts off and thread_current() already the thread of `to`:
 * the stack for the next entry, FS and GS bases; the FPU registers follow on the way to user mode.
 * `from` may be NULL (its thread is dead).
 */
void user_context_switch(struct user_context *from, struct user_context *to, void *stack_end);
/* A new thread's registers for exec: all 0 but these. */
void trap_frame_init_user(struct trap_frame *frame, u64 instruction_pointer, u64 stack_pointer);
/* Copies the calling thread's FPU registers and bases (fork, clone). -ENOMEM. */
int user_context_copy(struct user_context *to, struct user_context *from) must_check;
/* A thread that runs nothing yet: the state of a program that starts. -ENOMEM. */
int user_context_init(struct user_context *context) must_check;
/* The calling thread's, for the program that it becomes (exec). Allocates fpu_state if there is
 * none. -ENOMEM. */
int user_context_reset(struct user_context *context) must_check;
/* Gives the FPU state back. The thread is not current, or never goes to user mode again. */
void user_context_free(struct user_context *context);
/*
 * arch_prctl(2)'s bases. `base` is below USER_END: the hardware faults on one that is not
 * canonical.
 */
void user_context_set_fs(struct user_context *current_context, u64 base);
void user_context_set_gs(struct user_context *current_context, u64 base);
/* What they are now, also if user mode itself wrote them. */
u64 user_context_fs(const struct user_context *current_context);
u64 user_context_gs(const struct user_context *current_context);
/* PR_SET_TSC, for the calling thread and those that it makes. */
void user_context_set_counter(struct user_context *current_context, enum counter_reads reads);
/*
 * Says that the current thread's trap frame was changed beyond rax outside of the work on the way
 * to user mode (sigreturn, exec; signal_frame_* and trap_frame_init_user say it themselves).
 */
void trap_frame_changed(void);

/* The FPU's exceptions, as bits of x87's status word and of MXCSR (SDM 1 "x87 FPU Status Word"). */
enum fpu_exception {
    FPU_INVALID = 1 << 0,
    FPU_DENORMAL = 1 << 1,
    FPU_DIVIDE = 1 << 2,
    FPU_OVERFLOW = 1 << 3,
    FPU_UNDERFLOW = 1 << 4,
    FPU_PRECISION = 1 << 5
};
/* Those that happened and are not masked, for VECTOR_X87 or VECTOR_SIMD of the current thread. */
u32 user_fpu_exceptions(struct user_context *current_context, u8 vector);
/* Where the memory of FPU states comes from: cleared, aligned to 64 bytes; NULL: none. */
void fpu_memory_register(void *(*alloc)(void), void (*free)(void *state));
size_t fpu_state_bytes(void); /* how large one is; after arch_init_early */

/* ---- Signal frames: the user's stack as Linux lays it out (psABI; sigreturn(2)) ---- */

struct signal_delivery {
    int signal;
    const void *siginfo; /* 128 bytes, Linux's siginfo_t */
    u64 handler;
    u64 restorer;
    u64 mask;                /* to be restored by sigreturn */
    bool on_alternate_stack; /* switch to the alternate stack below */
    u64 alternate_stack, alternate_stack_size;
    u32 alternate_stack_flags;                  /* for uc_stack */
    u64 trap_number, error_code, fault_address; /* of the fault that raised it; else 0 */
};
/*
 * Pushes a frame on the user's stack and makes `frame` enter the handler. -EFAULT: the stack cannot
 * be written. May sleep.
 */
int signal_frame_push(struct trap_frame *frame, const struct signal_delivery *delivery) must_check;
struct signal_return {
    u64 mask;
    u64 alternate_stack, alternate_stack_size;
    u32 alternate_stack_flags;
};
/* Undoes the frame that the user's stack pointer shows; hostile content is checked. -EFAULT. */
int signal_frame_pop(struct trap_frame *frame, struct signal_return *return_out) must_check;

/* ---- The user's memory; style.md 7. May sleep (faults); never under a spinlock. ---- */

int copy_in(void *to, struct user_ptr from, size_t bytes) must_check;        /* 0 or -EFAULT */
int copy_out(struct user_ptr to, const void *from, size_t bytes) must_check; /* 0 or -EFAULT */
int clear_user(struct user_ptr to, size_t bytes) must_check;                 /* 0 or -EFAULT */
/* As above, but what faults is not mended by reading pages in: returns the bytes not copied. */
size_t copy_in_nofault(void *to, struct user_ptr from, size_t bytes) must_check;
size_t copy_out_nofault(struct user_ptr to, const void *from, size_t bytes) must_check;
/* Return the bytes not copied: the way of read(2) and write(2), which may end in the middle. */
size_t copy_in_partial(void *to, struct user_ptr from, size_t bytes) must_check;
size_t copy_out_partial(struct user_ptr to, const void *from, size_t bytes) must_check;
/*
 * Copies a string with its NUL into `to`. Returns its length without the NUL; -EFAULT;
 * -ENAMETOOLONG: no NUL within `size` bytes.
 */
ssize_t copy_in_string(char *to, struct user_ptr from, size_t size) must_check;
/*
 * Atomic accesses for futexes: 0 or -EFAULT, the value before in *old_out. Do not fault pages in.
 */
int user_load_u32_nofault(struct user_ptr from, u32 *value_out) must_check;
int user_compare_exchange_u32_nofault(struct user_ptr at, u32 expected, u32 value, u32 *old_out)
    must_check;

static inline struct user_ptr user_ptr_at(u64 address)
{
    return (struct user_ptr){address};
}
static inline struct user_ptr user_ptr_add(struct user_ptr pointer, u64 bytes)
{
    return (struct user_ptr){pointer.address + bytes};
}
static inline bool user_ptr_is_null(struct user_ptr pointer)
{
    return pointer.address == 0;
}
/* Whether all of it lies in user memory. */
static inline bool user_range_is_valid(u64 address, u64 bytes)
{
    return bytes <= USER_END && address <= USER_END - bytes;
}

/*
 * A page each, at its beginning. By whichever way was measured fastest at boot; not for user
 * memory.
 */
void page_clear(void *page);
void page_copy(void *to, const void *from);

/* ---- Page tables: the entries. vm/ walks them. ---- */

typedef u64 pte; /* the one typedef of a number: an entry is a word of the hardware */

#define PTE_PRESENT  BIT(0)
#define PTE_WRITABLE BIT(1)
#define PTE_USER     BIT(2)
#define PTE_ACCESSED BIT(5)
#define PTE_DIRTY    BIT(6)
#define PTE_LARGE    BIT(7)
#define PTE_GLOBAL   BIT(8)
#define PTE_SOFT_1   BIT(9) /* free for vm/ */
#define PTE_SOFT_2   BIT(10)
#define PTE_SOFT_3   BIT(11)
#ifdef __PITH_KERNEL__
/* BIT(63); 0 where the processor has no such bit, for it is reserved there. [const] after boot */
extern pte pte_no_execute;
#define PTE_NO_EXECUTE pte_no_execute
#else
#define PTE_NO_EXECUTE BIT(63)
#endif
#define PTE_ADDRESS   0x000ffffffffff000ul
#define PTE_UNCACHED  (BIT(3) | BIT(4)) /* PWT | PCD: for device registers */

#define TABLE_ENTRIES 512
#define TABLE_LEVELS  4

/* The index of `address` in a table of `level` (1: entries map pages; 4: the root). */
static inline unsigned table_index(u64 address, unsigned level)
{
    return (address >> (PAGE_SHIFT + 9 * (level - 1))) & (TABLE_ENTRIES - 1);
}
/* How many bytes an entry of `level` maps. */
static inline u64 table_entry_bytes(unsigned level)
{
    return PAGE_SIZE << (9 * (level - 1));
}

/* Makes `root` (a physical address) the page table of this CPU; flushes what is not global. */
void page_table_load(phys_addr root);
/* What this CPU's root is; a process's or the kernel's. */
phys_addr page_table_loaded(void);
/* The kernel's root; its upper half is copied into each process's root and never changes there. */
phys_addr page_table_kernel(void);
/*
 * Each concerns this CPU alone; who changes entries that others may hold sends them here by
 * cpu_call.
 */
void tlb_flush_page(u64 address); /* this CPU */
void tlb_flush_all(void);         /* this CPU, all but global entries */
void tlb_flush_everything(void);  /* this CPU, global entries too */

/* ---- Machine ---- */

struct memory_range {
    phys_addr start;
    u64 bytes;
};
#define MEMORY_RANGES_MAX 32

/* What the loader said, in our words; both entries (PVH, later Multiboot2) fill one. [const] */
struct boot_info {
    struct memory_range usable[MEMORY_RANGES_MAX]; /* ascending, page aligned; not yet taken */
    u32 usable_count;
    phys_addr initramfs;
    u64 initramfs_bytes;
    const char *command_line;
    phys_addr acpi_root;                /* the RSDP; 0: none */
    phys_addr kernel_start, kernel_end; /* the image */
    u64 tsc_at_entry;
};
extern struct boot_info boot_info;

/* Only for addresses in the kernel's image, which begins at KERNEL_IMAGE + its physical address. */
static inline phys_addr kernel_image_phys(const void *pointer)
{
    return (u64)pointer - KERNEL_IMAGE;
}

/*
 * Memory for what is needed before frames are: cleared, the lowest first, never given back. Takes
 * it from boot_info.usable, so what mem_init finds there is what is free; nobody calls it after
 * that.
 */
void *boot_alloc_pages(u64 count);

/* What the processor says of itself, for /proc/cpuinfo. */
struct cpu_description {
    char vendor[13], name[49]; /* end with a NUL */
    u32 family, model, stepping, cpuid_level;
    u32 cache_line_bytes, physical_bits, virtual_bits;
    u32 cache_bytes, tlb_entries; /* as AMD's leaves tell them; 0: not told */
};
/* Asks the CPU each time. */
void cpu_describe(struct cpu_description *description_out);
struct cpu_cache {
    char type; /* 'D'ata, 'I'nstructions, 'U'nified */
    u32 level, line_bytes, partitions, ways, sets;
    u32 sharers; /* a power of two: so many neighbours in the order of CPUs have it together */
};
/* The CPU's cache of that number, counted from 0. False: it tells of none. */
bool cpu_cache_describe(u32 number, struct cpu_cache *cache_out);
/*
 * The name of the next feature that programs can use, as Linux calls it; NULL: no more. From 0 on.
 */
const char *cpu_flag_next(u32 *position);

/* Ends the machine by ACPI, or QEMU's way, or a triple fault. Interrupts may be in any state. */
noreturn void machine_power_off(void);
noreturn void machine_restart(void);
/* For panic: halts all CPUs but this one, by NMI; halts this one for good. */
void machine_stop_others(void);
/* For good, interrupts off. */
noreturn void machine_halt_cpu(void);

/* Time: a counter that runs at a constant rate from 0 at reset. */
static inline u64 tsc_read(void)
{
    u32 low, high;

    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (u64)high << 32 | low;
}
/*
 * The same, but not before what stands in front of it: RDTSC alone may be executed while a lock is
 * still being waited for, and then shows less than what its last holder wrote.
 */
static inline u64 tsc_read_ordered(void)
{
    __asm__ volatile("lfence" : : : "memory");
    return tsc_read();
}
extern u64 tsc_hz; /* [const] after boot: its ticks a second */
/* Nanoseconds since the machine started; monotonic, the same on all CPUs. */
u64 clock_monotonic_ns(void);
/* Asks for VECTOR_TIMER on this CPU at `deadline_ns` of clock_monotonic_ns; U64_MAX: never. */
void timer_interrupt_set(u64 deadline_ns);
/* The last so many ticks of the TSC did not happen, for clock_monotonic_ns. One CPU runs. */
void clock_hide(u64 tsc_ticks);
/*
 * A protection fault of user mode: was it RDTSC or RDTSCP under `deterministic`, which only lets
 * the kernel read the counter? Then it has been done. Interrupts are on; may sleep.
 */
bool counter_read_emulated(struct trap_frame *frame);

/* Hardware random numbers: true and *value_out, or false where the CPU has none. */
bool random_hardware(u64 *value_out);

/* Inter-processor interrupts. Sending never waits. */
void cpu_send_interrupt(u32 cpu, u8 vector);
/* core/nmi.c handles it, whatever the CPU was doing. */
void cpu_send_nmi(u32 cpu);
/*
 * Routes the interrupt line `gsi` to a vector on CPU 0; `flags` are IRQ_LINE_*, 0 is
 * edge-triggered, active high. -ENODEV: no I/O APIC has such a line.
 */
int irq_line_route(u32 gsi, u8 vector, u32 flags) must_check;
/* Whether an I/O APIC has the line. */
bool irq_line_exists(u32 gsi);
#define IRQ_LINE_LEVEL BIT(0)
#define IRQ_LINE_LOW   BIT(1)
/* The MSI address and data words that raise `vector` on `cpu` (PCI MSI-X). */
void irq_message(u32 cpu, u8 vector, u64 *address_out, u32 *data_out);

static inline u8 port_read_u8(u16 port)
{
    u8 value;

    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}
static inline void port_write_u8(u16 port, u8 value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}
static inline u32 port_read_u32(u16 port)
{
    u32 value;

    __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}
static inline void port_write_u32(u16 port, u32 value)
{
    __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}
static inline void port_write_u16(u16 port, u16 value)
{
    __asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}

/* The bits of AT_HWCAP and AT_HWCAP2, and AT_MINSIGSTKSZ. [const] after boot */
extern u64 cpu_hwcap, cpu_hwcap2, signal_stack_min;

/*
 * Walks saved frame pointers, in the stack that `stack_pointer` is in; calls `visit` with each
 * return address, innermost first.
 */
void backtrace_walk(u64 frame_pointer, u64 stack_pointer,
                    void (*visit)(u64 return_address, void *argument), void *argument);

/* What init/main.c calls, in this order. */
void arch_init_early(void); /* boot_info, page tables, features, traps, per-CPU areas */
void arch_init_late(void);  /* after mem_init: APICs, clocks, XSAVE sizes, copy routines */
void arch_start_cpus(void); /* the others, each to cpu_started(); after the scheduler's init */
