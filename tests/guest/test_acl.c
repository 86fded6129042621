/*
 * Access control lists: what they allow, how mode and list follow each other, what new files get.
 *
 * covers: setxattr getxattr removexattr listxattr
 */
#include "guest.h"

#include <grp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/xattr.h>

#define ACCESS  "system.posix_acl_access"
#define DEFAULT "system.posix_acl_default"

enum {
    USER_OBJ = 1,
    USER = 2,
    GROUP_OBJ = 4,
    GROUP = 8,
    MASK = 16,
    OTHER = 32
};

struct entry {
    uint16_t tag, permissions;
    uint32_t id;
};
struct list {
    uint32_t version;
    struct entry entries[8];
};
#define NO_ID 0xffffffffu

/* "u:7,g:1001:4,m:5,o:0": as setfacl would have it, with numbers. */
static size_t list_make(const char *text, struct list *list)
{
    static const char letters[] = "ugmo";
    static const uint16_t plain[] = {USER_OBJ, GROUP_OBJ, MASK, OTHER}, named[] = {USER, GROUP};
    size_t count = 0;

    list->version = 2;
    while (*text) {
        unsigned kind = (unsigned)(strchr(letters, *text) - letters), first, second;
        int used;

        if (sscanf(text + 2, "%u:%u%n", &first, &second, &used) == 2)
            list->entries[count++] = (struct entry){named[kind], (uint16_t)second, first};
        else if (sscanf(text + 2, "%u%n", &first, &used) == 1)
            list->entries[count++] = (struct entry){plain[kind], (uint16_t)first, NO_ID};
        text += 2 + used;
        text += *text == ',';
    }
    return 4 + count * sizeof(struct entry);
}

static int set_list(const char *path, const char *name, const char *text)
{
    struct list list;
    size_t bytes = list_make(text, &list);

    return setxattr(path, name, &list, bytes, 0);
}

static void check_list(int line, const char *path, const char *name, const char *text)
{
    struct list wanted, list = {0};
    size_t bytes = list_make(text, &wanted);
    ssize_t got = getxattr(path, name, &list, sizeof(list));

    if (got != (ssize_t)bytes)
        guest_fail(__FILE__, line, "%s of %s has %zd bytes (errno %d), not %zu", name, path, got,
                   errno, bytes);
    for (size_t i = 0; i < (bytes - 4) / 8; i++)
        if (memcmp(&list.entries[i], &wanted.entries[i], 8) != 0)
            guest_fail(__FILE__, line, "entry %zu of %s is %u:%u:%u", i, path, list.entries[i].tag,
                       list.entries[i].id, list.entries[i].permissions);
}
#define CHECK_LIST(path, name, text) check_list(__LINE__, path, name, text)

static unsigned mode_of(const char *path)
{
    struct stat status;

    CHECK_OK(lstat(path, &status));
    return status.st_mode & 07777;
}

/* An empty directory that everybody may search, if there are lists in it at all. */
static void enter_directory_with_lists(void)
{
    NEEDS_ROOT();
    enter_empty_directory();
    write_file("file", "content");
    CHECK_OK(chmod("file", 0640));
    if (getxattr("file", ACCESS, NULL, 0) == -1 && errno == EOPNOTSUPP)
        SKIP("this file system has no access control lists");
}

/* The errno of opening a file as somebody; 0: it opens. */
static int open_as(uid_t uid, gid_t gid, const gid_t *groups, size_t count, const char *path,
                   int flags)
{
    pid_t child = CHECK_OK(fork());
    int status;

    if (child == 0) {
        CHECK_OK(setgroups(count, groups));
        CHECK_OK(setresgid(gid, gid, gid));
        CHECK_OK(setresuid(uid, uid, uid));
        _exit(open(path, flags) == -1 ? errno : 0);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status));
    return WEXITSTATUS(status);
}

TEST(setxattr_of_an_access_list_lets_a_named_user_in)
{
    enter_directory_with_lists();
    CHECK_EQ(open_as(1000, 1000, NULL, 0, "file", O_RDONLY), EACCES);
    CHECK_OK(set_list("file", ACCESS, "u:6,u:1000:6,u:1002:0,g:4,m:7,o:4"));
    CHECK_EQ(open_as(1000, 1000, NULL, 0, "file", O_RDWR), 0);
    CHECK_EQ(open_as(1001, 1001, NULL, 0, "file", O_RDONLY), 0);
    CHECK_EQ(open_as(1001, 1001, NULL, 0, "file", O_WRONLY), EACCES);
    CHECK_EQ(open_as(1002, 1002, NULL, 0, "file", O_RDONLY), EACCES);
    CHECK_EQ(open_as(0, 0, NULL, 0, "file", O_RDWR), 0);
    CHECK_LIST("file", ACCESS, "u:6,u:1000:6,u:1002:0,g:4,m:7,o:4");
}

TEST(access_lists_give_no_more_than_the_mask)
{
    const gid_t groups[] = {1001};

    enter_directory_with_lists();
    CHECK_OK(set_list("file", ACCESS, "u:6,u:1000:6,g:6,g:1001:6,m:4,o:6"));
    CHECK_EQ(open_as(1000, 1000, NULL, 0, "file", O_RDONLY), 0);
    CHECK_EQ(open_as(1000, 1000, NULL, 0, "file", O_WRONLY), EACCES);
    CHECK_EQ(open_as(1005, 0, NULL, 0, "file", O_WRONLY), EACCES);
    CHECK_EQ(open_as(1005, 1005, groups, 1, "file", O_WRONLY), EACCES);
    CHECK_EQ(open_as(1005, 1005, groups, 1, "file", O_RDONLY), 0);
    CHECK_EQ(open_as(1005, 1005, NULL, 0, "file", O_WRONLY), 0);
}

TEST(access_lists_let_any_one_of_the_groups_give_all_that_is_wanted)
{
    const gid_t both[] = {1001, 1002}, one[] = {1001};

    enter_directory_with_lists();
    CHECK_OK(set_list("file", ACCESS, "u:6,g:0,g:1001:4,g:1002:2,m:7,o:7"));
    CHECK_EQ(open_as(1005, 1005, both, 2, "file", O_RDONLY), 0);
    CHECK_EQ(open_as(1005, 1005, both, 2, "file", O_WRONLY), 0);
    CHECK_EQ(open_as(1005, 1005, both, 2, "file", O_RDWR), EACCES);
    CHECK_EQ(open_as(1005, 1005, one, 1, "file", O_WRONLY), EACCES);
    CHECK_EQ(open_as(1005, 0, NULL, 0, "file", O_RDONLY), EACCES);
    CHECK_EQ(open_as(1005, 1005, NULL, 0, "file", O_RDWR), 0);
}

TEST(access_lists_decide_who_searches_a_directory)
{
    enter_directory_with_lists();
    CHECK_OK(mkdir("in", 0777));
    write_file("in/file", "content");
    CHECK_OK(set_list("in", ACCESS, "u:7,u:1000:6,g:7,m:7,o:7"));
    CHECK_EQ(mode_of("in") & 0777, 0777);
    for (int i = 0; i < 2; i++) { /* also once its names are cached */
        CHECK_EQ(open_as(1000, 1000, NULL, 0, "in/file", O_RDONLY), EACCES);
        CHECK_EQ(open_as(1001, 1001, NULL, 0, "in/file", O_RDONLY), 0);
    }
}

TEST(access_lists_set_the_mode_and_chmod_sets_the_list)
{
    enter_directory_with_lists();
    CHECK_OK(chmod("file", 0600));
    CHECK_OK(set_list("file", ACCESS, "u:7,u:1000:6,g:4,m:6,o:1"));
    CHECK_EQ(mode_of("file"), 0761);
    CHECK_OK(chmod("file", 0542));
    CHECK_LIST("file", ACCESS, "u:5,u:1000:6,g:4,m:4,o:2");
    CHECK_OK(set_list("file", ACCESS, "u:6,g:5,o:3")); /* no more than a mode says */
    CHECK_EQ(mode_of("file"), 0653);
    CHECK_ERRNO(getxattr("file", ACCESS, NULL, 0), ENODATA);
}

TEST(removexattr_of_an_access_list_leaves_the_mode)
{
    enter_directory_with_lists();
    CHECK_OK(set_list("file", ACCESS, "u:6,u:1000:6,g:0,m:6,o:0"));
    CHECK_EQ(mode_of("file"), 0660);
    CHECK_OK(removexattr("file", ACCESS));
    CHECK_EQ(mode_of("file"), 0660);
    CHECK_ERRNO(getxattr("file", ACCESS, NULL, 0), ENODATA);
    CHECK_OK(removexattr("file", ACCESS));
    CHECK_EQ(open_as(1000, 1000, NULL, 0, "file", O_RDONLY), EACCES);
}

/* In a tmpfs: ext4 asks for membership only where a list is set. */
TEST(removexattr_of_an_access_list_takes_set_group_id_from_who_is_no_member)
{
    char path[64];
    pid_t child;

    NEEDS_ROOT();
    snprintf(path, sizeof(path), "/dev/shm/guest-test.%d", getpid());
    write_file(path, "");
    CHECK_OK(chown(path, 1000, 0));
    CHECK_OK(chmod(path, 02770));
    child = CHECK_OK(fork());
    if (child == 0) {
        CHECK_OK(setgroups(0, NULL));
        CHECK_OK(setresgid(1000, 1000, 1000));
        CHECK_OK(setresuid(1000, 1000, 1000));
        _exit(removexattr(path, ACCESS) == -1);
    }
    CHECK_EXIT(child, 0);
    CHECK_EQ(mode_of(path), 0770);
    CHECK_OK(unlink(path));
}

TEST(listxattr_names_the_access_lists)
{
    char names[100];

    enter_directory_with_lists();
    CHECK_OK(mkdir("in", 0755));
    CHECK_OK(set_list("in", ACCESS, "u:7,u:1000:7,g:5,m:7,o:5"));
    CHECK_OK(set_list("in", DEFAULT, "u:7,g:5,o:5"));
    CHECK_EQ(listxattr("in", NULL, 0), sizeof(ACCESS) + sizeof(DEFAULT));
    CHECK_EQ(listxattr("in", names, sizeof(names)), sizeof(ACCESS) + sizeof(DEFAULT));
    CHECK_STR_EQ(names, ACCESS);
    CHECK_STR_EQ(names + sizeof(ACCESS), DEFAULT);
    CHECK_ERRNO(listxattr("in", names, sizeof(ACCESS) + 3), ERANGE);
    CHECK_OK(removexattr("in", DEFAULT));
    CHECK_EQ(listxattr("in", NULL, 0), sizeof(ACCESS));
}

TEST(setxattr_refuses_lists_that_are_none)
{
    struct list list;
    size_t bytes;

    enter_directory_with_lists();
    CHECK_ERRNO(set_list("file", ACCESS, "u:6,g:4"), EINVAL);
    CHECK_ERRNO(set_list("file", ACCESS, "u:6,u:1000:6,g:4,o:4"), EINVAL); /* no mask */
    CHECK_ERRNO(set_list("file", ACCESS, "g:6,u:4,o:4"), EINVAL);
    CHECK_ERRNO(set_list("file", ACCESS, "u:6,g:4,o:4,o:4"), EINVAL);
    CHECK_ERRNO(set_list("file", ACCESS, "u:8,g:4,o:4"), EINVAL);
    bytes = list_make("u:6,g:4,o:4", &list);
    CHECK_ERRNO(setxattr("file", ACCESS, &list, bytes - 1, 0), EINVAL);
    CHECK_ERRNO(setxattr("file", ACCESS, &list, 3, 0), EINVAL);
    list.version = 3;
    CHECK_ERRNO(setxattr("file", ACCESS, &list, bytes, 0), EOPNOTSUPP);
    CHECK_ERRNO(set_list("file", DEFAULT, "u:6,g:4,o:4"), EACCES);
    CHECK_OK(set_list("file", ACCESS, "u:6,u:1000:6,g:4,m:7,o:4"));
    CHECK_ERRNO(getxattr("file", ACCESS, &list, 12), ERANGE);
    CHECK_EQ(getxattr("file", ACCESS, NULL, 0), 4 + 5 * 8);
}

TEST(setxattr_of_an_access_list_is_for_the_owner)
{
    pid_t child;

    enter_directory_with_lists();
    CHECK_OK(set_list("file", ACCESS, "u:6,u:1000:7,g:4,m:7,o:4"));
    child = CHECK_OK(fork());
    if (child == 0) {
        CHECK_OK(setresuid(1000, 1000, 1000));
        CHECK_LIST("file", ACCESS, "u:6,u:1000:7,g:4,m:7,o:4");
        CHECK_ERRNO(set_list("file", ACCESS, "u:6,g:4,o:7"), EPERM);
        CHECK_ERRNO(removexattr("file", ACCESS), EPERM);
        _exit(0);
    }
    CHECK_EXIT(child, 0);
}

/* ---- What new files get ---- */

TEST(default_lists_take_the_place_of_umask)
{
    enter_directory_with_lists();
    CHECK_OK(set_list(".", DEFAULT, "u:7,u:1000:7,g:5,m:7,o:0"));
    umask(077);
    CHECK_OK(close(CHECK_OK(open("made", O_WRONLY | O_CREAT, 0664))));
    CHECK_LIST("made", ACCESS, "u:6,u:1000:7,g:5,m:6,o:0");
    CHECK_EQ(mode_of("made"), 0660);
    CHECK_ERRNO(getxattr("made", DEFAULT, NULL, 0), ENODATA);
    CHECK_OK(mkdir("in", 0777));
    CHECK_LIST("in", ACCESS, "u:7,u:1000:7,g:5,m:7,o:0");
    CHECK_LIST("in", DEFAULT, "u:7,u:1000:7,g:5,m:7,o:0");
    CHECK_EQ(mode_of("in"), 0770);
    CHECK_OK(mknod("fifo", S_IFIFO | 0644, 0));
    CHECK_LIST("fifo", ACCESS, "u:6,u:1000:7,g:5,m:4,o:0");
    CHECK_OK(symlink("file", "link"));
    CHECK_ERRNO(lgetxattr("link", ACCESS, NULL, 0), EOPNOTSUPP);
    CHECK_OK(removexattr(".", DEFAULT));
    CHECK_OK(close(CHECK_OK(open("plain", O_WRONLY | O_CREAT, 0666))));
    CHECK_EQ(mode_of("plain"), 0600);
}

TEST(default_lists_that_are_modes_give_modes)
{
    enter_directory_with_lists();
    CHECK_OK(set_list(".", DEFAULT, "u:7,g:5,o:1"));
    umask(0777);
    CHECK_OK(close(CHECK_OK(open("made", O_WRONLY | O_CREAT, 0666))));
    CHECK_EQ(mode_of("made"), 0640);
    CHECK_ERRNO(getxattr("made", ACCESS, NULL, 0), ENODATA);
    CHECK_OK(mkdir("in", 0777));
    CHECK_EQ(mode_of("in"), 0751);
    CHECK_LIST("in", DEFAULT, "u:7,g:5,o:1");
    CHECK_EQ(mode_of("."), 0755);
}

TEST(default_lists_count_for_files_without_a_name_and_sockets)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "socket"};
    char path[64];
    int fd;

    enter_directory_with_lists();
    CHECK_OK(set_list(".", DEFAULT, "u:6,u:1000:6,g:4,m:6,o:0"));
    fd = open(".", O_TMPFILE | O_RDWR, 0666);
    if (fd >= 0) {
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        CHECK_LIST(path, ACCESS, "u:6,u:1000:6,g:4,m:6,o:0");
    }
    umask(0);
    fd = CHECK_OK(socket(AF_UNIX, SOCK_STREAM, 0));
    CHECK_OK(bind(fd, (struct sockaddr *)&name, sizeof(name)));
    CHECK_LIST("socket", ACCESS, "u:6,u:1000:6,g:4,m:6,o:0");
}
