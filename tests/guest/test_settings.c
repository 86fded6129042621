/*
 * A process's odd settings: prctl, arch_prctl, personality.
 *
 * covers: prctl arch_prctl personality
 */
#include "guest.h"

#include <asm/prctl.h>
#include <linux/capability.h>
#include <linux/personality.h>
#include <linux/prctl.h>
#include <linux/securebits.h>

static long set(int option, unsigned long value)
{
    return syscall(SYS_prctl, option, value, 0, 0, 0);
}

static void exec_self_and_check(const char *what)
{
    char *arguments[] = {(char *)guest.program, (char *)what, NULL};

    execv("/proc/self/exe", arguments);
    CHECK(0);
}

TEST(prctl_keepcaps_is_told_and_lost_at_exec)
{
    NEEDS_ROOT();
    CHECK_EQ(set(PR_GET_KEEPCAPS, 0), 0);
    CHECK_OK(set(PR_SET_KEEPCAPS, 1));
    CHECK_EQ(set(PR_GET_KEEPCAPS, 0), 1);
    CHECK_EQ(set(PR_GET_SECUREBITS, 0), 1 << SECURE_KEEP_CAPS);
    CHECK_ERRNO(set(PR_SET_KEEPCAPS, 2), EINVAL);
    exec_self_and_check("--keepcaps");
}

TEST(prctl_capbset_drop_takes_a_capability_away_for_ever)
{
    NEEDS_ROOT();
    CHECK_EQ(set(PR_CAPBSET_READ, CAP_SETPCAP), 1);
    CHECK_OK(set(PR_CAPBSET_DROP, CAP_CHOWN));
    CHECK_EQ(set(PR_CAPBSET_READ, CAP_CHOWN), 0);
    CHECK_ERRNO(set(PR_CAPBSET_DROP, 64), EINVAL);
    CHECK_ERRNO(set(PR_CAPBSET_READ, 64), EINVAL);
    CHECK_OK(syscall(SYS_setresuid, 1000, 1000, 1000));
    CHECK_ERRNO(set(PR_CAPBSET_DROP, CAP_KILL), EPERM);
}

static void set_inheritable(uint32_t inheritable)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];

    CHECK_OK(syscall(SYS_capget, &header, data));
    data[0].inheritable = inheritable;
    CHECK_OK(syscall(SYS_capset, &header, data));
}

static long ambient(int what, int capability)
{
    return syscall(SYS_prctl, PR_CAP_AMBIENT, what, capability, 0, 0);
}

TEST(prctl_ambient_capabilities_are_of_those_permitted_and_inheritable)
{
    NEEDS_ROOT();
    CHECK_ERRNO(ambient(PR_CAP_AMBIENT_RAISE, CAP_KILL), EPERM);
    set_inheritable(1 << CAP_KILL);
    CHECK_OK(ambient(PR_CAP_AMBIENT_RAISE, CAP_KILL));
    CHECK_EQ(ambient(PR_CAP_AMBIENT_IS_SET, CAP_KILL), 1);
    CHECK_EQ(ambient(PR_CAP_AMBIENT_IS_SET, CAP_CHOWN), 0);
    CHECK_OK(ambient(PR_CAP_AMBIENT_LOWER, CAP_KILL));
    CHECK_EQ(ambient(PR_CAP_AMBIENT_IS_SET, CAP_KILL), 0);
    CHECK_OK(ambient(PR_CAP_AMBIENT_RAISE, CAP_KILL));
    CHECK_OK(ambient(PR_CAP_AMBIENT_CLEAR_ALL, 0));
    CHECK_EQ(ambient(PR_CAP_AMBIENT_IS_SET, CAP_KILL), 0);
    CHECK_ERRNO(ambient(PR_CAP_AMBIENT_CLEAR_ALL, 1), EINVAL);
    CHECK_ERRNO(ambient(99, CAP_KILL), EINVAL);
}

static unsigned long read_counter(void)
{
    unsigned low, high;

    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (unsigned long)high << 32 | low;
}

TEST(prctl_tsc_is_allowed_and_may_be_allowed_again)
{
    int mode = -1;

    CHECK_OK(set(PR_SET_TSC, PR_TSC_ENABLE));
    CHECK_OK(syscall(SYS_prctl, PR_GET_TSC, &mode, 0, 0, 0));
    CHECK_EQ(mode, PR_TSC_ENABLE);
    CHECK_NE(read_counter(), 0);
    CHECK_ERRNO(set(PR_SET_TSC, 3), EINVAL);
}

static int forbidden_mode(void)
{
    int mode = -1;

    CHECK_OK(syscall(SYS_prctl, PR_GET_TSC, &mode, 0, 0, 0));
    return mode;
}

TEST(prctl_tsc_that_is_forbidden_is_a_fault_here_and_in_children)
{
    pid_t child = CHECK_OK(fork()), grandchild;

    if (child == 0) {
        CHECK_OK(set(PR_SET_TSC, PR_TSC_SIGSEGV));
        CHECK_EQ(forbidden_mode(), PR_TSC_SIGSEGV);
        grandchild = CHECK_OK(fork());
        if (grandchild == 0) {
            CHECK_EQ(forbidden_mode(), PR_TSC_SIGSEGV);
            read_counter();
            _exit(0);
        }
        CHECK_KILLED(grandchild, SIGSEGV);
        CHECK_OK(set(PR_SET_TSC, PR_TSC_ENABLE));
        CHECK_NE(read_counter(), 0);
        CHECK_OK(set(PR_SET_TSC, PR_TSC_SIGSEGV));
        read_counter();
        _exit(0);
    }
    CHECK_KILLED(child, SIGSEGV);
    CHECK_EQ(forbidden_mode(), PR_TSC_ENABLE);
    CHECK_NE(read_counter(), 0);
}

TEST(prctl_timer_slack_is_told_and_inherited_and_0_is_the_default)
{
    long usual = set(PR_GET_TIMERSLACK, 0);
    pid_t child;

    CHECK_GT(usual, 0);
    CHECK_OK(set(PR_SET_TIMERSLACK, 12345));
    CHECK_EQ(set(PR_GET_TIMERSLACK, 0), 12345);
    child = CHECK_OK(fork());
    if (child == 0) {
        CHECK_EQ(set(PR_GET_TIMERSLACK, 0), 12345);
        CHECK_OK(set(PR_SET_TIMERSLACK, 1));
        CHECK_OK(set(PR_SET_TIMERSLACK, 0));
        CHECK_EQ(set(PR_GET_TIMERSLACK, 0), 12345); /* its parent's when it was made */
        _exit(0);
    }
    CHECK_EXIT(child, 0);
    CHECK_OK(set(PR_SET_TIMERSLACK, 0));
    CHECK_EQ(set(PR_GET_TIMERSLACK, 0), usual);
}

TEST(prctl_mce_kill_keeps_the_choice)
{
    static const int choices[] = {PR_MCE_KILL_EARLY, PR_MCE_KILL_LATE, PR_MCE_KILL_DEFAULT};

    CHECK_EQ(syscall(SYS_prctl, PR_MCE_KILL_GET, 0, 0, 0, 0), PR_MCE_KILL_DEFAULT);
    for (int i = 0; i < 3; i++) {
        CHECK_OK(syscall(SYS_prctl, PR_MCE_KILL, PR_MCE_KILL_SET, choices[i], 0, 0));
        CHECK_EQ(syscall(SYS_prctl, PR_MCE_KILL_GET, 0, 0, 0, 0), choices[i]);
    }
    CHECK_OK(syscall(SYS_prctl, PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 0, 0));
    CHECK_OK(syscall(SYS_prctl, PR_MCE_KILL, PR_MCE_KILL_CLEAR, 0, 0, 0));
    CHECK_EQ(syscall(SYS_prctl, PR_MCE_KILL_GET, 0, 0, 0, 0), PR_MCE_KILL_DEFAULT);
    CHECK_ERRNO(syscall(SYS_prctl, PR_MCE_KILL, PR_MCE_KILL_SET, 3, 0, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_prctl, PR_MCE_KILL, 2, 0, 0, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_prctl, PR_MCE_KILL, PR_MCE_KILL_CLEAR, 1, 0, 0), EINVAL);
}

TEST(prctl_io_flusher_is_for_those_with_the_right)
{
    NEEDS_ROOT();
    if (set(PR_GET_IO_FLUSHER, 0) == -1 && errno == EPERM)
        SKIP("this root has not the right");
    CHECK_EQ(set(PR_GET_IO_FLUSHER, 0), 0);
    CHECK_OK(set(PR_SET_IO_FLUSHER, 1));
    CHECK_EQ(set(PR_GET_IO_FLUSHER, 0), 1);
    CHECK_OK(set(PR_SET_IO_FLUSHER, 0));
    CHECK_ERRNO(set(PR_SET_IO_FLUSHER, 2), EINVAL);
    CHECK_OK(syscall(SYS_setresuid, 1000, 1000, 1000));
    CHECK_ERRNO(set(PR_SET_IO_FLUSHER, 1), EPERM);
    CHECK_ERRNO(set(PR_GET_IO_FLUSHER, 0), EPERM);
}

TEST(prctl_get_tid_address_is_what_clears_at_exit)
{
    int word, *address = NULL;

    CHECK_OK(syscall(SYS_set_tid_address, &word));
    CHECK_OK(syscall(SYS_prctl, PR_GET_TID_ADDRESS, &address, 0, 0, 0));
    CHECK_EQ((long)address, (long)&word);
}

/* Where exec put the parts of the program, for ps and pmap; a program may put them elsewhere. */
TEST(prctl_set_mm_moves_the_arguments_that_proc_shows)
{
    static const char text[] = "another title";
    char seen[64] = "", *title;
    int fd;

    NEEDS_ROOT();
    /* Linux shows arguments only from anonymous memory. */
    title = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    strcpy(title, text);
    if (syscall(SYS_prctl, PR_SET_MM, PR_SET_MM_ARG_START, title, 0, 0) == -1 && errno == EPERM)
        SKIP("this root has not the right");
    CHECK_OK(syscall(SYS_prctl, PR_SET_MM, PR_SET_MM_ARG_END, title + sizeof(text), 0, 0));
    CHECK_OK(syscall(SYS_prctl, PR_SET_MM, PR_SET_MM_ARG_START, title, 0, 0));
    fd = CHECK_OK(open("/proc/self/cmdline", O_RDONLY));
    CHECK_EQ(read(fd, seen, sizeof(seen)), sizeof(text));
    CHECK_STR_EQ(seen, text);
}

TEST(prctl_set_mm_takes_each_part_and_refuses_what_is_not_mapped)
{
    static const int parts[] = {
        PR_SET_MM_START_CODE, PR_SET_MM_END_CODE,  PR_SET_MM_START_DATA,
        PR_SET_MM_END_DATA,   PR_SET_MM_ENV_START, PR_SET_MM_ENV_END,
    };

    NEEDS_ROOT();
    for (int i = 0; i < 6; i++) {
        CHECK_ERRNO(syscall(SYS_prctl, PR_SET_MM, parts[i], 16, 0, 0),
                    geteuid() == 0 && set(PR_CAPBSET_READ, CAP_SYS_RESOURCE) == 1 ? EINVAL : EPERM);
    }
    CHECK_OK(syscall(SYS_setresuid, 1000, 1000, 1000));
    CHECK_ERRNO(syscall(SYS_prctl, PR_SET_MM, PR_SET_MM_ARG_START, guest.program, 0, 0), EPERM);
}

TEST(prctl_set_vma_names_anonymous_memory)
{
    char *memory =
        (char *)CHECK_OK(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    char text[8192];
    long result = syscall(SYS_prctl, PR_SET_VMA, PR_SET_VMA_ANON_NAME, memory, PAGE, "my heap");

    if (result == -1 && errno == EINVAL)
        SKIP("names of anonymous memory are not configured");
    CHECK_OK(result);
    CHECK(strstr(read_file("/proc/self/maps", text, sizeof(text)), "[anon:my heap]"));
}

TEST(arch_prctl_sets_and_tells_the_segment_bases)
{
    unsigned long fs = 0, gs = 1;
    static long here;

    CHECK_OK(syscall(SYS_arch_prctl, ARCH_GET_FS, &fs));
    CHECK_NE(fs, 0);
    CHECK_OK(syscall(SYS_arch_prctl, ARCH_SET_FS, fs));
    CHECK_OK(syscall(SYS_arch_prctl, ARCH_SET_GS, &here));
    CHECK_OK(syscall(SYS_arch_prctl, ARCH_GET_GS, &gs));
    CHECK_EQ(gs, (unsigned long)&here);
    CHECK_ERRNO(syscall(SYS_arch_prctl, ARCH_SET_GS, 1ul << 63), EPERM);
    CHECK_ERRNO(syscall(SYS_arch_prctl, 0x7777, 0), EINVAL);
}

TEST(personality_without_randomising_is_told_and_outlives_exec)
{
    int before = syscall(SYS_personality, 0xffffffff);

    CHECK_OK(syscall(SYS_personality, before | ADDR_NO_RANDOMIZE));
    CHECK_EQ(syscall(SYS_personality, 0xffffffff), before | ADDR_NO_RANDOMIZE);
    exec_self_and_check("--no-randomize");
}

TEST(personality_in_which_reading_is_executing_maps_so)
{
    char line[256];
    FILE *maps;
    void *page;

    CHECK_OK(syscall(SYS_personality, READ_IMPLIES_EXEC));
    page = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    maps = fopen("/proc/self/maps", "r");
    while (maps && fgets(line, sizeof(line), maps)) {
        unsigned long start, end;
        char rights[5];

        if (sscanf(line, "%lx-%lx %4s", &start, &end, rights) == 3 &&
            start <= (unsigned long)page && (unsigned long)page < end) {
            CHECK_STR_EQ(rights, "r-xp");
            return;
        }
    }
    CHECK(0);
}

static int main_hook(int argc, char **argv)
{
    if (argc != 2)
        return -1;
    if (!strcmp(argv[1], "--keepcaps"))
        return set(PR_GET_KEEPCAPS, 0) != 0;
    if (!strcmp(argv[1], "--no-randomize"))
        return !(syscall(SYS_personality, 0xffffffff) & ADDR_NO_RANDOMIZE);
    return -1;
}

__attribute__((__constructor__)) static void install_main_hook(void)
{
    guest_main_hook = main_hook;
}
