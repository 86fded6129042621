/*
 * System V's shared memory: segments by key and id, attachments, who may do what, and when a
 * segment goes.
 *
 * covers: shmget shmat shmdt shmctl
 */
#include "guest.h"

#include <grp.h>
#include <sys/ipc.h>
#include <sys/resource.h>
#include <sys/shm.h>

#define NO_ATTACHMENT ((void *)-1)
#define SHM_STAT_ANY_ 15 /* old glibc has no name for it */

static int segments[160];
static int segment_count;

/* A segment that remove_segments takes away. */
static int new_segment(key_t key, size_t bytes, int flags)
{
    return segments[segment_count++] = CHECK_OK(shmget(key, bytes, flags));
}

/* At a test's end: nothing else ends a segment. */
static void remove_segments(void)
{
    for (int i = 0; i < segment_count; i++)
        shmctl(segments[i], IPC_RMID, NULL);
}

/* One that goes with its last attachment. */
static char *attach_new(size_t bytes)
{
    int id = CHECK_OK(shmget(IPC_PRIVATE, bytes, 0600));
    char *at = shmat(id, NULL, 0);

    CHECK_OK(shmctl(id, IPC_RMID, NULL));
    CHECK_NE(at, NO_ATTACHMENT);
    return at;
}

static struct shmid_ds status_of(int id)
{
    struct shmid_ds status;

    CHECK_OK(shmctl(id, IPC_STAT, &status));
    return status;
}

static key_t unused_key(void)
{
    return 0x5e6e0000 + getpid() % 0xffff;
}

/* Runs the rest of the calling process as somebody without rights. */
static void become_nobody(void)
{
    CHECK_OK(setgroups(0, NULL));
    CHECK_OK(setresgid(65534, 65534, 65534));
    CHECK_OK(setresuid(65534, 65534, 65534));
}

/* ---- shmget ---- */

TEST(shmget_finds_a_segment_by_its_key)
{
    key_t key = unused_key();
    int id;

    CHECK_ERRNO(shmget(key, 100, 0600), ENOENT);
    id = new_segment(key, 100, IPC_CREAT | 0600);
    CHECK_EQ(shmget(key, 100, 0600), id);
    CHECK_EQ(shmget(key, 0, 0), id);
    CHECK_EQ(shmget(key, 50, IPC_CREAT | 0600), id);
    CHECK_ERRNO(shmget(key, 100, IPC_CREAT | IPC_EXCL | 0600), EEXIST);
    CHECK_ERRNO(shmget(key, 101, 0600), EINVAL);
    CHECK_OK(shmctl(id, IPC_RMID, NULL));
    CHECK_ERRNO(shmget(key, 100, 0600), ENOENT);
    remove_segments();
}

TEST(shmget_makes_a_private_segment_each_time)
{
    int first = new_segment(IPC_PRIVATE, PAGE, 0600), second = new_segment(IPC_PRIVATE, PAGE, 0600);

    CHECK_NE(first, second);
    remove_segments();
}

TEST(shmget_refuses_a_size_of_nothing_and_one_beyond_memory)
{
    CHECK_ERRNO(shmget(IPC_PRIVATE, 0, 0600), EINVAL);
    CHECK_ERRNO(shmget(IPC_PRIVATE, SIZE_MAX, 0600), EINVAL);
    CHECK_ERRNO(shmget(IPC_PRIVATE, 1ul << 52, 0600), ENOMEM);
}

TEST(shmget_does_not_give_an_id_again_at_once)
{
    int first = new_segment(IPC_PRIVATE, PAGE, 0600), second;

    CHECK_OK(shmctl(first, IPC_RMID, NULL));
    second = new_segment(IPC_PRIVATE, PAGE, 0600);
    CHECK_NE(first, second);
    CHECK_ERRNO(shmctl(first, IPC_RMID, NULL), EINVAL);
    remove_segments();
}

/* Of an id, as shmctl's SHM_STAT takes it. */
static int index_of(int id)
{
    return id & 0x7fff;
}

TEST(shmget_does_not_take_an_index_again_at_once)
{
    enum {
        MANY = 150 /* more than two words of bits have room for */
    };
    int ids[MANY];

    for (int i = 0; i < MANY; i++) {
        ids[i] = new_segment(IPC_PRIVATE, PAGE, 0600);
        for (int other = 0; other < i; other++)
            CHECK_NE(index_of(ids[other]), index_of(ids[i]));
    }
    CHECK_OK(shmctl(ids[MANY - 1], IPC_RMID, NULL));
    CHECK_NE(index_of(new_segment(IPC_PRIVATE, PAGE, 0600)), index_of(ids[MANY - 1]));
    remove_segments();
}

TEST(shmget_finds_no_segment_by_a_key_that_was_given_up)
{
    key_t key = unused_key();
    int first = new_segment(key, PAGE, IPC_CREAT | 0600), second;
    char *at = shmat(first, NULL, 0);

    CHECK(at != NO_ATTACHMENT);
    CHECK_OK(shmctl(first, IPC_RMID, NULL));
    CHECK_ERRNO(shmget(key, PAGE, 0600), ENOENT);
    second = new_segment(key, PAGE, IPC_CREAT | 0600);
    CHECK_NE(first, second);
    CHECK_OK(shmdt(at));
    CHECK_EQ(shmget(key, PAGE, 0600), second);
    remove_segments();
}

TEST(shmget_by_a_stranger_needs_the_rights_that_it_names)
{
    key_t key = unused_key();
    pid_t child;

    NEEDS_ROOT();
    new_segment(key, PAGE, IPC_CREAT | 0604);
    child = CHECK_OK(fork());
    if (child == 0) {
        become_nobody();
        CHECK_OK(shmget(key, PAGE, 0));
        CHECK_OK(shmget(key, PAGE, 0004));
        CHECK_ERRNO(shmget(key, PAGE, 0600), EACCES);
        CHECK_ERRNO(shmget(key, PAGE, 0006), EACCES);
        _exit(0);
    }
    CHECK_EXIT(child, 0);
    remove_segments();
}

/* ---- shmat, shmdt ---- */

TEST(shmat_shows_the_same_memory_twice_and_in_a_child)
{
    int id = new_segment(IPC_PRIVATE, 3 * PAGE - 5, 0600);
    char *first = shmat(id, NULL, 0), *second = shmat(id, NULL, 0);
    pid_t child;

    CHECK_NE(first, NO_ATTACHMENT);
    CHECK_NE(second, NO_ATTACHMENT);
    CHECK_NE(first, second);
    CHECK_EQ(first[2 * PAGE], 0);
    strcpy(first, "seen");
    CHECK_STR_EQ(second, "seen");
    child = CHECK_OK(fork());
    if (child == 0) {
        CHECK_EQ(status_of(id).shm_nattch, 4);
        strcpy(second + PAGE, "from the child");
        first[3 * PAGE - 1] = 'e'; /* the rest of the last page is there too */
        _exit(0);
    }
    CHECK_EXIT(child, 0);
    CHECK_STR_EQ(first + PAGE, "from the child");
    CHECK_EQ(second[3 * PAGE - 1], 'e');
    CHECK_EQ(status_of(id).shm_nattch, 2);
    remove_segments();
}

TEST(shmat_read_only_cannot_be_written_nor_made_writable)
{
    int id = new_segment(IPC_PRIVATE, PAGE, 0600);
    char *at = shmat(id, NULL, SHM_RDONLY);
    pid_t child;

    CHECK_NE(at, NO_ATTACHMENT);
    CHECK_EQ(at[7], 0);
    CHECK_ERRNO(mprotect(at, PAGE, PROT_READ | PROT_WRITE), EACCES);
    child = CHECK_OK(fork());
    if (child == 0) {
        at[0] = 1;
        _exit(0);
    }
    CHECK_KILLED(child, SIGSEGV);
    remove_segments();
}

TEST(shmat_with_shm_exec_makes_code_of_it)
{
    static const unsigned char return_7[] = {0xb8, 7, 0, 0, 0, 0xc3};
    int id = new_segment(IPC_PRIVATE, PAGE, 0700);
    char *at = shmat(id, NULL, SHM_EXEC);

    CHECK_NE(at, NO_ATTACHMENT);
    memcpy(at, return_7, sizeof(return_7));
    CHECK_EQ(((int (*)(void))(void *)at)(), 7);
    remove_segments();
}

TEST(shmat_takes_an_address_where_nothing_is)
{
    int id = new_segment(IPC_PRIVATE, PAGE, 0600);
    char *place = mmap(NULL, 4 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    CHECK_NE(place, MAP_FAILED);
    CHECK_ERRNO(shmat(id, place, 0), EINVAL);
    CHECK_ERRNO(shmat(id, place + 1, 0), EINVAL);
    CHECK_EQ(shmat(id, place, SHM_REMAP), place);
    place[0] = 'r';
    CHECK_OK(munmap(place + PAGE, 3 * PAGE));
    CHECK_EQ(shmat(id, place + PAGE, 0), place + PAGE);
    CHECK_EQ(place[PAGE], 'r');
    CHECK_EQ(shmat(id, place + 2 * PAGE + 77, SHM_RND), place + 2 * PAGE);
    CHECK_EQ(place[2 * PAGE], 'r');
    CHECK_EQ(status_of(id).shm_nattch, 3);
    CHECK_ERRNO(shmat(id, NULL, SHM_REMAP), EINVAL);
    CHECK_ERRNO(shmat(id, (void *)77, SHM_RND | SHM_REMAP), EINVAL);
    remove_segments();
}

TEST(shmat_refuses_what_is_no_segment)
{
    int id = CHECK_OK(shmget(IPC_PRIVATE, PAGE, 0600));

    CHECK_OK(shmctl(id, IPC_RMID, NULL));
    CHECK_ERRNO(shmat(id, NULL, 0), EINVAL);
    CHECK_ERRNO(shmat(-1, NULL, 0), EINVAL);
}

TEST(shmat_by_a_stranger_goes_by_the_mode)
{
    int id = new_segment(IPC_PRIVATE, PAGE, 0604);
    pid_t child;

    NEEDS_ROOT();
    child = CHECK_OK(fork());
    if (child == 0) {
        become_nobody();
        CHECK_ERRNO(shmat(id, NULL, 0), EACCES);
        CHECK_ERRNO(shmat(id, NULL, SHM_RDONLY | SHM_EXEC), EACCES);
        CHECK_NE(shmat(id, NULL, SHM_RDONLY), NO_ATTACHMENT);
        _exit(0);
    }
    CHECK_EXIT(child, 0);
    remove_segments();
}

TEST(shmdt_wants_the_address_of_an_attachment)
{
    char *at = attach_new(2 * PAGE);

    CHECK_ERRNO(shmdt(at + PAGE), EINVAL);
    CHECK_ERRNO(shmdt(at + 1), EINVAL);
    CHECK_ERRNO(shmdt(bad_address()), EINVAL);
    CHECK_OK(shmdt(at));
    CHECK_ERRNO(shmdt(at), EINVAL);
    CHECK_ERRNO(madvise(at, PAGE, MADV_NORMAL), ENOMEM);
}

TEST(shmdt_takes_what_munmap_and_mprotect_left_of_it)
{
    int id = new_segment(IPC_PRIVATE, 5 * PAGE, 0600);
    char *at = shmat(id, NULL, 0);

    CHECK_NE(at, NO_ATTACHMENT);
    CHECK_OK(munmap(at + PAGE, PAGE));
    CHECK_EQ(status_of(id).shm_nattch, 2);
    CHECK_OK(mprotect(at + 3 * PAGE, PAGE, PROT_READ));
    CHECK_EQ(status_of(id).shm_nattch, 4);
    CHECK_OK(shmdt(at));
    CHECK_EQ(status_of(id).shm_nattch, 0);
    CHECK_ERRNO(madvise(at + 4 * PAGE, PAGE, MADV_NORMAL), ENOMEM);
    remove_segments();
}

TEST(shmdt_leaves_the_memory_for_the_next_attachment)
{
    int id = new_segment(IPC_PRIVATE, PAGE, 0600);
    char *at = shmat(id, NULL, 0);

    CHECK_NE(at, NO_ATTACHMENT);
    strcpy(at, "kept");
    CHECK_OK(shmdt(at));
    at = shmat(id, NULL, 0);
    CHECK_NE(at, NO_ATTACHMENT);
    CHECK_STR_EQ(at, "kept");
    remove_segments();
}

TEST(shmat_is_undone_by_exec_and_exit)
{
    int id = new_segment(IPC_PRIVATE, PAGE, 0600), ready[2], go[2];
    char byte;
    pid_t child;

    CHECK_NE(shmat(id, NULL, 0), NO_ATTACHMENT);
    CHECK_OK(pipe2(ready, O_CLOEXEC));
    CHECK_OK(pipe(go));
    child = CHECK_OK(fork());
    if (child == 0) {
        CHECK_OK(dup2(go[0], STDIN_FILENO));
        close(go[1]);
        execlp("cat", "cat", NULL);
        _exit(1);
    }
    close(ready[1]);
    CHECK_EQ(read(ready[0], &byte, 1), 0); /* closed by exec */
    CHECK_EQ(status_of(id).shm_nattch, 1);
    CHECK_EQ(status_of(id).shm_lpid, child);
    close(go[1]);
    CHECK_EXIT(child, 0);
    child = CHECK_OK(fork());
    if (child == 0)
        _exit(0);
    CHECK_EXIT(child, 0);
    CHECK_EQ(status_of(id).shm_nattch, 1);
    remove_segments();
}

/* ---- shmctl ---- */

TEST(shmctl_stat_tells_who_did_what_and_when)
{
    time_t before = time(NULL);
    int id = new_segment(IPC_PRIVATE, 5000, 0640);
    struct shmid_ds status = status_of(id);
    char *at;

    CHECK_EQ(status.shm_perm.__key, IPC_PRIVATE);
    CHECK_EQ(status.shm_perm.mode, 0640);
    CHECK_EQ(status.shm_perm.uid, geteuid());
    CHECK_EQ(status.shm_perm.cuid, geteuid());
    CHECK_EQ(status.shm_perm.gid, getegid());
    CHECK_EQ(status.shm_perm.cgid, getegid());
    CHECK_EQ(status.shm_segsz, 5000);
    CHECK_EQ(status.shm_cpid, getpid());
    CHECK_EQ(status.shm_lpid, 0);
    CHECK_EQ(status.shm_nattch, 0);
    CHECK_EQ(status.shm_atime, 0);
    CHECK_EQ(status.shm_dtime, 0);
    CHECK_GE(status.shm_ctime, before);
    at = shmat(id, NULL, 0);
    CHECK_NE(at, NO_ATTACHMENT);
    status = status_of(id);
    CHECK_EQ(status.shm_nattch, 1);
    CHECK_EQ(status.shm_lpid, getpid());
    CHECK_GE(status.shm_atime, before);
    CHECK_EQ(status.shm_dtime, 0);
    CHECK_OK(shmdt(at));
    CHECK_GE(status_of(id).shm_dtime, before);
    remove_segments();
}

TEST(shmctl_rmid_waits_for_the_last_attachment)
{
    key_t key = unused_key();
    int id = new_segment(key, PAGE, IPC_CREAT | 0600), other;
    char *at = shmat(id, NULL, 0), *again;
    struct shmid_ds status;

    CHECK_NE(at, NO_ATTACHMENT);
    CHECK_OK(shmctl(id, IPC_RMID, NULL));
    status = status_of(id);
    CHECK_EQ(status.shm_perm.__key, 0);
    CHECK_EQ(status.shm_perm.mode, 0600 | SHM_DEST);
    other = new_segment(key, PAGE, IPC_CREAT | IPC_EXCL | 0600);
    CHECK_NE(other, id);
    again = shmat(id, NULL, 0); /* as Linux has it: by the id it can still be had */
    CHECK_NE(again, NO_ATTACHMENT);
    CHECK_OK(shmdt(at));
    CHECK_EQ(status_of(id).shm_nattch, 1);
    again[3] = 1;
    CHECK_OK(shmdt(again));
    CHECK_ERRNO(shmctl(id, IPC_STAT, &status), EINVAL);
    remove_segments();
}

TEST(shmctl_set_changes_owner_and_mode)
{
    int id = new_segment(IPC_PRIVATE, PAGE, 0600);
    struct shmid_ds status = status_of(id);

    NEEDS_ROOT();
    status.shm_perm.uid = 1000;
    status.shm_perm.gid = 1001;
    status.shm_perm.mode = 07440;
    status.shm_segsz = 1;
    CHECK_OK(shmctl(id, IPC_SET, &status));
    status = status_of(id);
    CHECK_EQ(status.shm_perm.uid, 1000);
    CHECK_EQ(status.shm_perm.gid, 1001);
    CHECK_EQ(status.shm_perm.cuid, 0);
    CHECK_EQ(status.shm_perm.mode, 0440);
    CHECK_EQ(status.shm_segsz, PAGE);
    status.shm_perm.uid = (uid_t)-1;
    CHECK_ERRNO(shmctl(id, IPC_SET, &status), EINVAL);
    remove_segments();
}

TEST(shmctl_by_a_stranger_is_refused)
{
    int id = new_segment(IPC_PRIVATE, PAGE, 0600), index;
    struct shmid_ds status = status_of(id);
    pid_t child;

    NEEDS_ROOT();
    index = id & 0x7fff;
    child = CHECK_OK(fork());
    if (child == 0) {
        become_nobody();
        CHECK_ERRNO(shmctl(id, IPC_STAT, &status), EACCES);
        CHECK_ERRNO(shmctl(index, SHM_STAT, &status), EACCES);
        CHECK_EQ(shmctl(index, SHM_STAT_ANY_, &status), id);
        CHECK_ERRNO(shmctl(id, IPC_SET, &status), EPERM);
        CHECK_ERRNO(shmctl(id, IPC_RMID, NULL), EPERM);
        CHECK_ERRNO(shmctl(id, SHM_LOCK, NULL), EPERM);
        CHECK_ERRNO(shmctl(id, SHM_UNLOCK, NULL), EPERM);
        _exit(0);
    }
    CHECK_EXIT(child, 0);
    remove_segments();
}

TEST(shmctl_lock_shows_in_the_mode_and_obeys_the_limit)
{
    const struct rlimit nothing = {0, 0}, page = {PAGE, PAGE};
    int id = new_segment(IPC_PRIVATE, 2 * PAGE, 0600);
    struct shmid_ds status = status_of(id);
    pid_t child;

    NEEDS_ROOT();
    CHECK_OK(shmctl(id, SHM_LOCK, NULL));
    CHECK_EQ(status_of(id).shm_perm.mode, 0600 | SHM_LOCKED);
    CHECK_OK(shmctl(id, SHM_UNLOCK, NULL));
    CHECK_EQ(status_of(id).shm_perm.mode, 0600);
    status.shm_perm.uid = 65534;
    CHECK_OK(shmctl(id, IPC_SET, &status));
    child = CHECK_OK(fork());
    if (child == 0) {
        CHECK_OK(setrlimit(RLIMIT_MEMLOCK, &page));
        become_nobody();
        CHECK_ERRNO(shmctl(id, SHM_LOCK, NULL), ENOMEM);
        CHECK_OK(setrlimit(RLIMIT_MEMLOCK, &nothing));
        CHECK_ERRNO(shmctl(id, SHM_LOCK, NULL), EPERM);
        CHECK_OK(shmctl(id, SHM_UNLOCK, NULL));
        _exit(0);
    }
    CHECK_EXIT(child, 0);
    remove_segments();
}

TEST(shmctl_info_tells_limits_and_use)
{
    int id = new_segment(IPC_PRIVATE, 10 * PAGE, 0600), highest;
    struct shminfo limits;
    struct shm_info use;
    struct shmid_ds status;
    int found = 0;

    highest = CHECK_OK(shmctl(0, IPC_INFO, (struct shmid_ds *)&limits));
    CHECK_EQ(limits.shmmin, 1);
    CHECK_EQ(limits.shmseg, limits.shmmni);
    CHECK_GE(limits.shmmni, 1);
    CHECK_EQ(shmctl(0, SHM_INFO, (struct shmid_ds *)&use), highest);
    CHECK_GE(use.used_ids, 1);
    CHECK_GE(use.shm_tot, 10);
    CHECK_EQ(use.shm_swp, 0);
    for (int i = 0; i <= highest; i++)
        found |= shmctl(i, SHM_STAT, &status) == id;
    CHECK(found);
    remove_segments();
}

TEST(shmctl_refuses_bad_arguments)
{
    int id = new_segment(IPC_PRIVATE, PAGE, 0600);
    struct shmid_ds status;

    CHECK_ERRNO(shmctl(id, 99, &status), EINVAL);
    CHECK_ERRNO(shmctl(-1, IPC_STAT, &status), EINVAL);
    CHECK_ERRNO(shmctl(id, -1, &status), EINVAL);
    CHECK_ERRNO(syscall(SYS_shmctl, id, IPC_STAT, bad_address()), EFAULT);
    CHECK_ERRNO(syscall(SYS_shmctl, id, IPC_SET, bad_address()), EFAULT);
    CHECK_ERRNO(syscall(SYS_shmctl, 0, SHM_INFO, bad_address()), EFAULT);
    CHECK_ERRNO(syscall(SYS_shmctl, 0, IPC_INFO, bad_address()), EFAULT);
    remove_segments();
}

/* ---- /proc ---- */

static int find_line(const char *path, const char *start, char *line, size_t size)
{
    FILE *file = fopen(path, "r");
    int found = 0;

    CHECK(file != NULL);
    while (!found && fgets(line, (int)size, file))
        found = strstr(line, start) != NULL;
    fclose(file);
    return found;
}

TEST(segments_are_listed_in_proc)
{
    key_t key = unused_key();
    int id = new_segment(key, 6000, IPC_CREAT | 0620), mode;
    char start[32], line[512], *at = shmat(id, NULL, 0);
    unsigned long bytes, attachments, resident;
    int pid;

    CHECK_NE(at, NO_ATTACHMENT);
    at[0] = 1;
    snprintf(start, sizeof(start), "%10d %10d ", key, id);
    CHECK(find_line("/proc/sysvipc/shm", start, line, sizeof(line)));
    CHECK_EQ(sscanf(line, "%*d %*d %o %lu %d %*d %lu %*d %*d %*d %*d %*d %*d %*d %lu", &mode,
                    &bytes, &pid, &attachments, &resident),
             5);
    CHECK_EQ(mode, 0620);
    CHECK_EQ(bytes, 6000);
    CHECK_EQ(pid, getpid());
    CHECK_EQ(attachments, 1);
    CHECK_EQ(resident, PAGE);
    snprintf(start, sizeof(start), " %d ", id);
    CHECK(find_line("/proc/self/maps", "/SYSV", line, sizeof(line)));
    CHECK(strstr(line, start) != NULL);
    snprintf(start, sizeof(start), "/SYSV%08x (deleted)", key);
    CHECK(strstr(line, start) != NULL);
    CHECK(strstr(line, "rw-s") != NULL);
    remove_segments();
}

/* With another value for a while, a segment of `bytes` is refused. */
static void check_limit(const char *name, const char *value, const char *usual, size_t bytes,
                        int error)
{
    char path[64];
    int id, refused_with;

    snprintf(path, sizeof(path), "/proc/sys/kernel/%s", name);
    write_file(path, value);
    id = shmget(IPC_PRIVATE, bytes, 0600);
    refused_with = errno;
    write_file(path, usual);
    CHECK_EQ(id, -1);
    CHECK_EQ(refused_with, error);
}

TEST(segments_obey_the_limits_of_proc_sys)
{
    char mni[32], max[32], all[32];

    NEEDS_ROOT();
    read_file("/proc/sys/kernel/shmmax", max, sizeof(max));
    read_file("/proc/sys/kernel/shmall", all, sizeof(all));
    read_file("/proc/sys/kernel/shmmni", mni, sizeof(mni));
    CHECK_STR_EQ(max, "18446744073692774399\n");
    CHECK_STR_EQ(all, "18446744073692774399\n");
    CHECK_STR_EQ(mni, "4096\n");
    if (access("/proc/sys/kernel/shmmax", W_OK) == -1)
        SKIP("the limits cannot be changed here");
    check_limit("shmmax", "8192\n", max, 8193, EINVAL);
    check_limit("shmall", "0\n", all, PAGE, ENOSPC);
    check_limit("shmmni", "0\n", mni, PAGE, ENOSPC);
}

TEST(segments_that_many_attach_and_remove_at_once_go_exactly_once)
{
    enum {
        RACERS = 4,
        ROUNDS = 50
    };
    struct shm_info before, after;
    pid_t children[RACERS];
    char *shared = attach_new(PAGE);
    volatile int *id = (volatile int *)shared;

    CHECK_OK(shmctl(0, SHM_INFO, (struct shmid_ds *)&before));
    *id = CHECK_OK(shmget(IPC_PRIVATE, PAGE, 0600));
    for (int i = 0; i < RACERS; i++) {
        children[i] = CHECK_OK(fork());
        if (children[i])
            continue;
        for (int round = 0; round < ROUNDS; round++) {
            char *at = shmat(*id, NULL, 0);

            if (at != NO_ATTACHMENT) {
                at[i] = 1;
                if (i == 0)
                    shmctl(*id, IPC_RMID, NULL);
                CHECK_OK(shmdt(at));
            }
            if (i == 0)
                *id = CHECK_OK(shmget(IPC_PRIVATE, PAGE, 0600));
        }
        _exit(0);
    }
    for (int i = 0; i < RACERS; i++)
        CHECK_EXIT(children[i], 0);
    CHECK_OK(shmctl(*id, IPC_RMID, NULL));
    CHECK_OK(shmctl(0, SHM_INFO, (struct shmid_ds *)&after));
    CHECK_EQ(after.used_ids, before.used_ids);
}
