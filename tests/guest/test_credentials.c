/*
 * Who a process is: user and group ids in their three or four kinds, groups, capabilities.
 *
 * covers: getuid geteuid getgid getegid setuid setgid setreuid setregid setresuid setresgid
 * covers: getresuid getresgid setfsuid setfsgid getgroups setgroups capget
 */
#include "guest.h"

#include <grp.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>

static void check_user_ids(uid_t real, uid_t effective, uid_t saved)
{
    uid_t seen[3];

    CHECK_OK(getresuid(&seen[0], &seen[1], &seen[2]));
    CHECK_EQ(seen[0], real);
    CHECK_EQ(seen[1], effective);
    CHECK_EQ(seen[2], saved);
    CHECK_EQ(getuid(), real);
    CHECK_EQ(geteuid(), effective);
}

static void check_group_ids(gid_t real, gid_t effective, gid_t saved)
{
    gid_t seen[3];

    CHECK_OK(getresgid(&seen[0], &seen[1], &seen[2]));
    CHECK_EQ(seen[0], real);
    CHECK_EQ(seen[1], effective);
    CHECK_EQ(seen[2], saved);
    CHECK_EQ(getgid(), real);
    CHECK_EQ(getegid(), effective);
}

/* The raw calls: a C library repeats them in all threads. */
static long raw_setuid(uid_t id)
{
    return syscall(SYS_setuid, id);
}

TEST(setuid_by_root_changes_all_three_for_good)
{
    NEEDS_ROOT();
    CHECK_OK(raw_setuid(1000));
    check_user_ids(1000, 1000, 1000);
    CHECK_ERRNO(raw_setuid(0), EPERM);
    CHECK_OK(raw_setuid(1000));
}

TEST(setuid_by_a_user_changes_the_effective_id_among_its_own)
{
    NEEDS_ROOT();
    CHECK_OK(setresuid(1000, 2000, 3000));
    CHECK_OK(raw_setuid(1000));
    check_user_ids(1000, 1000, 3000);
    CHECK_OK(raw_setuid(3000));
    check_user_ids(1000, 3000, 3000);
    CHECK_ERRNO(raw_setuid(2000), EPERM);
}

TEST(setresuid_by_a_user_permutes_its_ids)
{
    NEEDS_ROOT();
    CHECK_OK(setresuid(1000, 2000, 3000));
    CHECK_OK(setresuid(3000, 1000, 2000));
    check_user_ids(3000, 1000, 2000);
    CHECK_OK(setresuid(-1, 3000, -1));
    check_user_ids(3000, 3000, 2000);
    CHECK_ERRNO(setresuid(4000, -1, -1), EPERM);
    check_user_ids(3000, 3000, 2000);
}

TEST(setreuid_keeps_or_moves_the_saved_id)
{
    NEEDS_ROOT();
    CHECK_OK(setreuid(1000, 2000));
    check_user_ids(1000, 2000, 2000);
    CHECK_OK(setreuid(2000, 1000));
    check_user_ids(2000, 1000, 1000);
    CHECK_ERRNO(setreuid(3000, -1), EPERM);
}

TEST(setgid_family_works_alike)
{
    NEEDS_ROOT();
    CHECK_OK(setresgid(10, 20, 30));
    check_group_ids(10, 20, 30);
    CHECK_OK(setregid(11, 21));
    check_group_ids(11, 21, 21);
    CHECK_OK(setgid(40));
    check_group_ids(40, 40, 40);
    CHECK_OK(setresgid(1, 2, 3));
    CHECK_OK(raw_setuid(1000));
    CHECK_OK(setgid(3));
    check_group_ids(1, 3, 3);
    CHECK_ERRNO(setgid(40), EPERM);
    CHECK_ERRNO(setresgid(40, -1, -1), EPERM);
    CHECK_ERRNO(setregid(40, -1), EPERM);
}

TEST(setgroups_and_getgroups_carry_the_list)
{
    gid_t groups[3] = {100, 200, 300}, seen[10];

    NEEDS_ROOT();
    CHECK_OK(setgroups(3, groups));
    CHECK_EQ(getgroups(0, NULL), 3);
    CHECK_EQ(getgroups(10, seen), 3);
    CHECK_EQ(seen[0] + seen[1] + seen[2], 600);
    CHECK_ERRNO(getgroups(2, seen), EINVAL);
    CHECK_ERRNO(getgroups(-1, seen), EINVAL);
    CHECK_ERRNO(syscall(SYS_setgroups, 70000, groups), EINVAL);
    CHECK_ERRNO(syscall(SYS_setgroups, 3, bad_address()), EFAULT);
    CHECK_OK(setgroups(0, NULL));
    CHECK_EQ(getgroups(0, NULL), 0);
}

TEST(setgroups_by_a_user_gives_eperm)
{
    gid_t group = 5;

    NEEDS_ROOT();
    CHECK_OK(raw_setuid(1000));
    CHECK_ERRNO(syscall(SYS_setgroups, 1, &group), EPERM);
}

TEST(setgroups_opens_what_the_group_may)
{
    gid_t group = 4242;
    pid_t child;

    NEEDS_ROOT();
    enter_empty_directory();
    CHECK_OK(chmod(".", 0755));
    write_file("file", "");
    CHECK_OK(chown("file", 0, 4242));
    CHECK_OK(chmod("file", 0640));
    child = CHECK_OK(fork());
    if (child == 0) {
        CHECK_OK(setgroups(1, &group));
        CHECK_OK(setresgid(77, 77, 77));
        CHECK_OK(raw_setuid(1000));
        CHECK_OK(open("file", O_RDONLY));
        CHECK_ERRNO(open("file", O_WRONLY), EACCES);
        _exit(0);
    }
    CHECK_EXIT(child, 0);
}

TEST(setfsuid_returns_the_one_before)
{
    NEEDS_ROOT();
    CHECK_EQ(setfsuid(1000), 0);
    CHECK_EQ(setfsuid(-1), 1000);
    CHECK_EQ(setfsgid(2000), 0);
    CHECK_EQ(setfsgid(-1), 2000);
    CHECK_OK(setresuid(-1, 0, -1));
    CHECK_EQ(setfsuid(-1), 0);
}

TEST(credentials_are_inherited_by_fork_and_exec)
{
    char *const argv[] = {"sh", "-c", "test $(id -u) = 1000 && test $(id -g) = 2000", NULL};
    pid_t child;

    NEEDS_ROOT();
    child = CHECK_OK(fork());
    if (child == 0) {
        CHECK_OK(setgroups(0, NULL));
        CHECK_OK(setresgid(2000, 2000, 2000));
        CHECK_OK(setresuid(1000, 1000, 1000));
        execv("/bin/sh", argv);
        _exit(99);
    }
    CHECK_EXIT(child, 0);
}

TEST(credentials_of_a_new_file_are_the_effective_ones)
{
    struct stat status;
    pid_t child;

    NEEDS_ROOT();
    enter_empty_directory();
    CHECK_OK(chmod(".", 0777));
    child = CHECK_OK(fork());
    if (child == 0) {
        CHECK_OK(setresgid(-1, 2000, -1));
        CHECK_OK(setresuid(-1, 1000, -1));
        write_file("file", "");
        CHECK_OK(stat("file", &status));
        CHECK_EQ(status.st_uid, 1000);
        CHECK_EQ(status.st_gid, 2000);
        _exit(0);
    }
    CHECK_EXIT(child, 0);
}

TEST(getresuid_with_bad_address_gives_efault)
{
    uid_t id;

    CHECK_ERRNO(syscall(SYS_getresuid, bad_address(), &id, &id), EFAULT);
    CHECK_ERRNO(syscall(SYS_getresgid, &id, &id, bad_address()), EFAULT);
}

struct capability_data {
    uint32_t effective, permitted, inheritable;
};

TEST(capget_shows_roots_capabilities_and_a_users_none)
{
    struct {
        uint32_t version;
        int pid;
    } header = {0x20080522, 0};
    struct capability_data data[2];
    pid_t child;

    NEEDS_ROOT();
    CHECK_OK(syscall(SYS_capget, &header, data));
    CHECK_NE(data[0].effective & 1, 0); /* CAP_CHOWN */
    child = CHECK_OK(fork());
    if (child == 0) {
        CHECK_OK(raw_setuid(1000));
        CHECK_OK(syscall(SYS_capget, &header, data));
        CHECK_EQ(data[0].effective, 0);
        CHECK_EQ(data[0].permitted, 0);
        _exit(0);
    }
    CHECK_EXIT(child, 0);
    header.version = 1;
    CHECK_ERRNO(syscall(SYS_capget, &header, data), EINVAL);
    CHECK_EQ(header.version, 0x20080522);
}

TEST(prctl_no_new_privs_and_dumpable_read_back)
{
    CHECK_EQ(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 0);
    CHECK_OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    CHECK_EQ(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
    CHECK_ERRNO(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0), EINVAL);
    CHECK_EQ(prctl(PR_GET_DUMPABLE), 1);
    CHECK_OK(prctl(PR_SET_DUMPABLE, 0));
    CHECK_EQ(prctl(PR_GET_DUMPABLE), 0);
    CHECK_ERRNO(prctl(PR_SET_DUMPABLE, 7), EINVAL);
}

static void check_change_hides(int (*change)(void))
{
    int signal = -1;

    CHECK_OK(prctl(PR_SET_DUMPABLE, 1));
    CHECK_OK(prctl(PR_SET_PDEATHSIG, SIGUSR1));
    CHECK_OK(change());
    CHECK_EQ(prctl(PR_GET_DUMPABLE), 0);
    CHECK_OK(prctl(PR_GET_PDEATHSIG, &signal));
    CHECK_EQ(signal, 0);
}

static int change_fsuid(void)
{
    return setfsuid(1000);
}

static int change_fsgid(void)
{
    return setfsgid(1000);
}

static int change_euid(void)
{
    return (int)syscall(SYS_setresuid, -1, 1000, -1);
}

TEST(prctl_dumpable_and_pdeathsig_are_cleared_by_a_change_of_effective_ids)
{
    NEEDS_ROOT();
    check_change_hides(change_fsgid);
    check_change_hides(change_fsuid);
    check_change_hides(change_euid);
}

TEST(prctl_securebits_are_obeyed_and_locked)
{
    struct {
        uint32_t version;
        int pid;
    } header = {0x20080522, 0};
    uint32_t data[6];

    NEEDS_ROOT();
    CHECK_EQ(prctl(PR_GET_SECUREBITS), 0);
    CHECK_ERRNO(prctl(PR_SET_SECUREBITS, 0x10000), EPERM);
    CHECK_OK(prctl(PR_SET_SECUREBITS, 0x4 | 0x8)); /* no fix-up at setuid, locked */
    CHECK_ERRNO(prctl(PR_SET_SECUREBITS, 0x8), EPERM);
    CHECK_ERRNO(prctl(PR_SET_SECUREBITS, 0x4), EPERM);
    CHECK_EQ(prctl(PR_GET_SECUREBITS), 0xc);
    CHECK_OK(setresuid(65530, 65530, 65530));
    CHECK_OK(syscall(SYS_capget, &header, data));
    CHECK_NE(data[0], 0); /* effective: they stayed */
}

TEST(prctl_securebits_are_not_for_users)
{
    NEEDS_ROOT();
    CHECK_OK(setresuid(65530, 65530, 65530));
    CHECK_ERRNO(prctl(PR_SET_SECUREBITS, 1), EPERM);
    CHECK_ERRNO(prctl(PR_CAPBSET_DROP, 1), EPERM);
    CHECK_ERRNO(prctl(PR_CAPBSET_DROP, 99), EPERM);
}

/* SECBIT_KEEP_CAPS and its lock. */
TEST(prctl_keepcaps_that_are_locked_stay_as_they_are)
{
    NEEDS_ROOT();
    CHECK_OK(prctl(PR_SET_SECUREBITS, 0x20));
    CHECK_ERRNO(prctl(PR_SET_KEEPCAPS, 1), EPERM);
    CHECK_ERRNO(prctl(PR_SET_KEEPCAPS, 0), EPERM);
    CHECK_ERRNO(prctl(PR_SET_KEEPCAPS, 2), EINVAL);
    CHECK_EQ(prctl(PR_GET_KEEPCAPS), 0);
}

TEST(prctl_ambient_wants_its_unused_arguments_to_be_0)
{
    CHECK_OK(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, 1, 0, 0));
    CHECK_ERRNO(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, 1, 1, 0), EINVAL);
    CHECK_ERRNO(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, 1, 0, 1), EINVAL);
    CHECK_OK(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0));
    CHECK_ERRNO(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 1), EINVAL);
}

TEST(capset_of_any_other_is_eperm_and_capget_without_data_asks_for_the_version_alone)
{
    struct {
        uint32_t version;
        int pid;
    } header = {0x20080522, -1};
    uint32_t data[6] = {0};

    CHECK_ERRNO(syscall(SYS_capset, &header, data), EPERM);
    CHECK_ERRNO(syscall(SYS_capget, &header, data), EINVAL);
    CHECK_OK(syscall(SYS_capget, &header, NULL));
    header.pid = 999999;
    CHECK_ERRNO(syscall(SYS_capset, &header, data), EPERM);
    CHECK_ERRNO(syscall(SYS_capget, &header, data), ESRCH);
    CHECK_OK(syscall(SYS_capget, &header, NULL));
}

TEST(prctl_rarer_settings_answer_as_documented)
{
    int value = 0;

    CHECK_EQ(prctl(PR_GET_TIMING), PR_TIMING_STATISTICAL);
    CHECK_OK(prctl(PR_SET_TIMING, PR_TIMING_STATISTICAL));
    CHECK_ERRNO(prctl(PR_SET_TIMING, PR_TIMING_TIMESTAMP), EINVAL);
    CHECK_OK(prctl(PR_GET_TSC, &value));
    CHECK_EQ(value, PR_TSC_ENABLE);
    CHECK_OK(prctl(PR_TASK_PERF_EVENTS_DISABLE));
    CHECK_OK(prctl(PR_TASK_PERF_EVENTS_ENABLE));
    CHECK_ERRNO(prctl(PR_GET_UNALIGN, &value), EINVAL);
    CHECK_ERRNO(prctl(PR_GET_FPEMU, &value), EINVAL);
    CHECK_ERRNO(prctl(PR_GET_ENDIAN, &value), EINVAL);
    CHECK_ERRNO(prctl(0x7fff1234), EINVAL);
}

TEST(prctl_get_no_new_privs_wants_its_unused_arguments_to_be_0)
{
    CHECK_OK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    CHECK_ERRNO(prctl(PR_GET_NO_NEW_PRIVS, 1, 0, 0, 0), EINVAL);
}
