/*
 * The calls about the machine as a whole: its name, its memory, its random numbers, its end, its
 * log.
 *
 * uname says Linux 6.1, for programs ask it whether the kernel is too old for them. Names are two
 * fields that sethostname(2) and setdomainname(2) set and four that nobody does; /proc/sys/kernel
 * shows them all.
 *
 * Locking: names_lock, a leaf; syslog_cleared is atomic: two readers that clear lose nothing but
 * order.
 */
#include <pith/abi.h>

#include <pith/mem.h>
#include <pith/proc.h>
#include <pith/proc_fs.h>
#include <pith/tty.h>

#include "machine.h"
#include "syscalls.h"

#define NAME_BYTES 65 /* of each field of struct utsname */

/* getrandom(2) */
#define GRND_NONBLOCK 1u
#define GRND_RANDOM   2u
#define GRND_INSECURE 4u

static struct {
    char system[NAME_BYTES], node[NAME_BYTES], release[NAME_BYTES], version[NAME_BYTES];
    char machine[NAME_BYTES], domain[NAME_BYTES];
} names = {
    /* guarded by names_lock */
    .system = "Linux",        .node = "pith",      .release = "6.1.0-pith",
    .version = "#1 SMP Pith", .machine = "x86_64", .domain = "(none)",
};
static struct spinlock names_lock = SPINLOCK_INIT(LOCK_LEAF);

/* `setarch i686` gives the personality of which a program asks what machine it is to build for. */
long sys_uname(const struct syscall_args *args)
{
    __typeof__(names) copy;

    spin_lock(&names_lock);
    copy = names;
    spin_unlock(&names_lock);
    if ((process_current()->personality & PER_MASK) == PER_LINUX32)
        string_copy(copy.machine, "i686", NAME_BYTES);
    return copy_out(arg_user_ptr(args, 0), &copy, sizeof(copy));
}

/*
 * The rest of the field is 0, so a shorter name leaves nothing of the longer before. -EPERM before
 * -EINVAL (longer than 64), as Linux checks.
 */
static long name_change(const struct syscall_args *args, char *name)
{
    u64 bytes = arg_u64(args, 1);
    char wanted[NAME_BYTES] = {};

    if (!credentials_can(thread_current()->credentials, CAPABILITY_SYS_ADMIN))
        return -EPERM;
    if (bytes >= NAME_BYTES)
        return -EINVAL;
    if (copy_in(wanted, arg_user_ptr(args, 0), bytes))
        return -EFAULT;
    spin_lock(&names_lock);
    memcpy(name, wanted, NAME_BYTES);
    spin_unlock(&names_lock);
    return 0;
}

long sys_sethostname(const struct syscall_args *args)
{
    return name_change(args, names.node);
}

long sys_setdomainname(const struct syscall_args *args)
{
    return name_change(args, names.domain);
}

/* ---- The names in /proc ---- */

static int show_name(struct text_sink *sink, void *argument)
{
    char name[NAME_BYTES];

    spin_lock(&names_lock);
    memcpy(name, argument, NAME_BYTES);
    spin_unlock(&names_lock);
    text_print(sink, "%s\n", name);
    return 0;
}

static int show_version(struct text_sink *sink, void *argument)
{
    text_print(sink, "%s version %s (pith) %s\n", names.system, names.release, names.version);
    return 0;
}

void machine_names_init(void)
{
    static const struct {
        const char *file;
        char *name;
    } files[] = {
        {"sys/kernel/ostype", names.system},     {"sys/kernel/osrelease", names.release},
        {"sys/kernel/version", names.version},   {"sys/kernel/hostname", names.node},
        {"sys/kernel/domainname", names.domain},
    };

    for (size_t i = 0; i < ARRAY_SIZE(files); i++)
        if (proc_register(files[i].file, 0444, show_name, files[i].name))
            panic("no memory for the names in /proc");
    if (proc_register("version", 0444, show_version, NULL))
        panic("no memory for the names in /proc");
}

/* struct sysinfo of linux/sysinfo.h. */
struct sysinfo {
    s64 uptime_seconds;
    u64 loads[3]; /* fixed point: 65536 is 1 */
    u64 total, free, shared, buffers, total_swap, free_swap;
    u16 processes, padding;
    u64 total_high, free_high;
    u32 unit;
};
_Static_assert(sizeof(struct sysinfo) == 112, "struct sysinfo");

long sys_sysinfo(const struct syscall_args *args)
{
    struct sysinfo info;

    memset(&info, 0, sizeof(info));
    info.uptime_seconds = clock_monotonic_ns() / NS_PER_SECOND;
    load_average(info.loads);
    for (int i = 0; i < 3; i++)
        info.loads[i] *= 65536 / 2048;
    info.total = frames_total_count() << PAGE_SHIFT;
    info.free = frames_free_count() << PAGE_SHIFT;
    info.processes = threads_count();
    info.unit = 1;
    return copy_out(arg_user_ptr(args, 0), &info, sizeof(info));
}

/*
 * The flags change nothing: the generator is seeded before the first program. -EINVAL: an unknown
 * one, or two that contradict each other. A signal ends a long request early, never one of up to
 * 256 bytes (getrandom(2)).
 */
long sys_getrandom(const struct syscall_args *args)
{
    struct user_ptr at = arg_user_ptr(args, 0);
    u64 left = MIN(arg_u64(args, 1), 0x7fffffful * 16), done = 0;
    u32 flags = arg_u32(args, 2);
    u8 bytes[256];

    if ((flags & ~(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE)) ||
        (flags & (GRND_RANDOM | GRND_INSECURE)) == (GRND_RANDOM | GRND_INSECURE))
        return -EINVAL;
    while (left) {
        u64 count = MIN(left, sizeof(bytes));

        random_bytes(bytes, count);
        if (copy_out(user_ptr_add(at, done), bytes, count))
            return done ? (long)done : -EFAULT;
        done += count;
        left -= count;
        if (left)
            sched_point();
        if (left && signal_is_pending())
            break;
    }
    memset(bytes, 0, sizeof(bytes));
    return done;
}

/* ---- The end ---- */

#define REBOOT_MAGIC1    0xfee1deadu
#define REBOOT_RESTART   0x01234567u
#define REBOOT_HALT      0xcdef0123u
#define REBOOT_POWER_OFF 0x4321fedcu
#define REBOOT_CAD_ON    0x89abcdefu
#define REBOOT_CAD_OFF   0x00000000u

/* The four that reboot(2) lists. */
static bool reboot_magic2_is_right(u32 magic)
{
    return magic == 672274793 || magic == 85072278 || magic == 369367448 || magic == 537993216;
}

/* A program that ends the machine ends the run with status 0; only a kill comes in between. */
static long machine_end(u32 command)
{
    if (host_streams_exit(0) == -EINTR)
        return -EINTR;
    if (command == REBOOT_RESTART)
        machine_restart();
    if (SAN)
        mem_report_use();
    machine_power_off();
}

long sys_vhangup(const struct syscall_args *args)
{
    if (!credentials_can(thread_current()->credentials, CAPABILITY_SYS_TTY_CONFIG))
        return -EPERM;
    tty_hang_up_own();
    return 0;
}

long sys_reboot(const struct syscall_args *args)
{
    if (!credentials_can(thread_current()->credentials, CAPABILITY_SYS_BOOT))
        return -EPERM;
    if (arg_u32(args, 0) != REBOOT_MAGIC1 || !reboot_magic2_is_right(arg_u32(args, 1)))
        return -EINVAL;
    switch (arg_u32(args, 2)) {
    case REBOOT_RESTART:
    case REBOOT_HALT:
    case REBOOT_POWER_OFF:
        return machine_end(arg_u32(args, 2));
    case REBOOT_CAD_ON:
    case REBOOT_CAD_OFF:
        return 0;
    default:
        return -EINVAL;
    }
}

/* ---- The log ---- */

enum syslog_action {
    SYSLOG_CLOSE = 0,
    SYSLOG_OPEN = 1,
    SYSLOG_READ = 2,
    SYSLOG_READ_ALL = 3,
    SYSLOG_READ_CLEAR = 4,
    SYSLOG_CLEAR = 5,
    SYSLOG_CONSOLE_OFF = 6,
    SYSLOG_CONSOLE_ON = 7,
    SYSLOG_CONSOLE_LEVEL = 8,
    SYSLOG_SIZE_UNREAD = 9,
    SYSLOG_SIZE_BUFFER = 10,
};
#define SYSLOG_CHUNK_BYTES 1024
#define SYSLOG_LEVEL_MAX   8

static u64 syslog_cleared; /* [atomic] where READ_ALL begins */

/* The last `size` bytes of what the ring holds. */
static long syslog_read_all(struct user_ptr at, u64 size)
{
    u64 end = log_position_end(), position = READ_ONCE(syslog_cleared), done = 0;
    char chunk[SYSLOG_CHUNK_BYTES];

    if (end - position > size)
        position = end - size;
    while (done < size) {
        size_t bytes = log_read(&position, chunk, MIN(size - done, sizeof(chunk)));

        if (bytes == 0)
            break;
        if (copy_out(user_ptr_add(at, done), chunk, bytes))
            return -EFAULT;
        done += bytes;
    }
    return done;
}

/*
 * syslog(2). Reading does not wait for more: SYSLOG_READ answers as READ_ALL. The console has no
 * level. -EPERM without CAP_SYSLOG, but for what anybody may ask.
 */
long sys_syslog(const struct syscall_args *args)
{
    int action = arg_int(args, 0), size = arg_int(args, 2);
    long result;
    u64 end;

    if (action != SYSLOG_READ_ALL && action != SYSLOG_SIZE_BUFFER &&
        !credentials_can(thread_current()->credentials, CAPABILITY_SYSLOG))
        return -EPERM;
    switch (action) {
    case SYSLOG_CLOSE:
    case SYSLOG_OPEN:
    case SYSLOG_CONSOLE_OFF:
    case SYSLOG_CONSOLE_ON:
        return 0;
    case SYSLOG_CONSOLE_LEVEL:
        return size >= 1 && size <= SYSLOG_LEVEL_MAX ? 0 : -EINVAL;
    case SYSLOG_READ:
    case SYSLOG_READ_ALL:
    case SYSLOG_READ_CLEAR:
        if (size < 0 || user_ptr_is_null(arg_user_ptr(args, 1)))
            return -EINVAL;
        end = log_position_end();
        result = syslog_read_all(arg_user_ptr(args, 1), size);
        if (action == SYSLOG_READ_CLEAR && result >= 0)
            WRITE_ONCE(syslog_cleared, end); /* what came meanwhile stays */
        return result;
    case SYSLOG_CLEAR:
        WRITE_ONCE(syslog_cleared, log_position_end());
        return 0;
    case SYSLOG_SIZE_UNREAD:
        return log_position_end() - READ_ONCE(syslog_cleared);
    case SYSLOG_SIZE_BUFFER:
        return LOG_BYTES;
    default:
        return -EINVAL;
    }
}
