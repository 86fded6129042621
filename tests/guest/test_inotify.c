/*
 * inotify: what is told about files and directories, and when.
 *
 * covers: inotify_init inotify_init1 inotify_add_watch inotify_rm_watch
 */
#include "guest.h"

#include <dirent.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mount.h>

#ifndef IN_MASK_CREATE
#define IN_MASK_CREATE 0x10000000
#endif

/* ---- Events as text: "IN_CREATE|IN_ISDIR name", one a line ---- */

static const struct {
    uint32_t bit;
    const char *name;
} bits[] = {
    {IN_ACCESS, "access"},
    {IN_MODIFY, "modify"},
    {IN_ATTRIB, "attrib"},
    {IN_CLOSE_WRITE, "close_write"},
    {IN_CLOSE_NOWRITE, "close_nowrite"},
    {IN_OPEN, "open"},
    {IN_MOVED_FROM, "moved_from"},
    {IN_MOVED_TO, "moved_to"},
    {IN_CREATE, "create"},
    {IN_DELETE, "delete"},
    {IN_DELETE_SELF, "delete_self"},
    {IN_MOVE_SELF, "move_self"},
    {IN_UNMOUNT, "unmount"},
    {IN_Q_OVERFLOW, "overflow"},
    {IN_IGNORED, "ignored"},
    {IN_ISDIR, "dir"},
};

static char text[8192];

/* All that waits, as "create+dir:name modify:name ". */
static const char *events(int fd)
{
    static char buffer[65536] __attribute__((aligned(8)));
    long bytes = read(fd, buffer, sizeof(buffer));

    *text = '\0';
    for (long at = 0; at < bytes;) {
        struct inotify_event *event = (struct inotify_event *)(buffer + at);
        const char *separator = "";

        for (unsigned i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
            if (!(event->mask & bits[i].bit))
                continue;
            strcat(strcat(text, separator), bits[i].name);
            separator = "+";
        }
        if (event->len)
            strcat(strcat(text, ":"), event->name);
        strcat(text, " ");
        CHECK_EQ(event->len % 16, 0);
        at += (long)sizeof(*event) + event->len;
    }
    return text;
}

static int watch(const char *name, uint32_t mask)
{
    int fd = CHECK_OK(inotify_init1(IN_NONBLOCK));

    CHECK_EQ(inotify_add_watch(fd, name, mask), 1);
    return fd;
}

static void write_text(const char *name)
{
    int fd = CHECK_OK(open(name, O_CREAT | O_WRONLY, 0644));

    CHECK_EQ(write(fd, "text", 4), 4);
    CHECK_OK(close(fd));
}

static void read_text(const char *name)
{
    char buffer[8];
    int fd = CHECK_OK(open(name, O_RDONLY));

    CHECK_GE(read(fd, buffer, sizeof(buffer)), 1);
    CHECK_OK(close(fd));
}

TEST(inotify_tells_a_directory_what_happens_to_its_files)
{
    int fd;

    enter_empty_directory();
    CHECK_OK(mkdir("d", 0755));
    fd = watch("d", IN_ALL_EVENTS);
    write_text("d/f");
    CHECK_STR_EQ(events(fd), "create:f open:f modify:f close_write:f ");
    read_text("d/f");
    CHECK_STR_EQ(events(fd), "open:f access:f close_nowrite:f ");
    CHECK_OK(chmod("d/f", 0600));
    CHECK_OK(truncate("d/f", 1));
    CHECK_STR_EQ(events(fd), "attrib:f modify:f ");
    CHECK_OK(mkdir("d/e", 0755));
    CHECK_OK(symlink("f", "d/l"));
    CHECK_OK(link("d/f", "d/g"));
    CHECK_OK(mkfifo("d/p", 0600));
    CHECK_STR_EQ(events(fd), "create+dir:e create:l create:g create:p ");
    CHECK_OK(rmdir("d/e"));
    CHECK_OK(unlink("d/g"));
    CHECK_STR_EQ(events(fd), "delete+dir:e delete:g ");
}

TEST(inotify_tells_a_file_what_happens_to_itself)
{
    int fd;

    enter_empty_directory();
    write_text("f");
    fd = watch("f", IN_ALL_EVENTS);
    read_text("f");
    CHECK_STR_EQ(events(fd), "open access close_nowrite ");
    CHECK_OK(link("f", "g"));
    CHECK_STR_EQ(events(fd), "attrib ");
    CHECK_OK(rename("f", "h"));
    CHECK_STR_EQ(events(fd), "move_self ");
    CHECK_OK(unlink("g"));
    CHECK_STR_EQ(events(fd), "attrib ");
    CHECK_OK(unlink("h"));
    CHECK_STR_EQ(events(fd), "attrib delete_self ignored ");
    CHECK_ERRNO(inotify_rm_watch(fd, 1), EINVAL);
}

TEST(inotify_delete_self_waits_until_an_unlinked_file_is_closed)
{
    int fd, open_fd;

    enter_empty_directory();
    write_text("f");
    open_fd = CHECK_OK(open("f", O_RDONLY));
    fd = watch("f", IN_DELETE_SELF | IN_CLOSE);
    CHECK_OK(unlink("f"));
    CHECK_STR_EQ(events(fd), "");
    CHECK_OK(close(open_fd));
    CHECK_STR_EQ(events(fd), "close_nowrite delete_self ignored ");
}

TEST(inotify_joins_both_ends_of_a_move_by_a_cookie)
{
    char buffer[256] __attribute__((aligned(8)));
    struct inotify_event *first = (struct inotify_event *)buffer, *second;
    int fd;

    enter_empty_directory();
    CHECK_OK(mkdir("a", 0755));
    CHECK_OK(mkdir("b", 0755));
    write_text("a/f");
    fd = watch("a", IN_MOVE);
    CHECK_EQ(inotify_add_watch(fd, "b", IN_MOVE), 2);
    CHECK_OK(rename("a/f", "b/a-longer-name-of-a-file"));
    CHECK_EQ(read(fd, buffer, sizeof(buffer)), 16 + 16 + 16 + 32);
    CHECK_EQ(first->wd, 1);
    CHECK_EQ(first->mask, IN_MOVED_FROM);
    CHECK_STR_EQ(first->name, "f");
    second = (struct inotify_event *)(buffer + 32);
    CHECK_EQ(second->wd, 2);
    CHECK_EQ(second->mask, IN_MOVED_TO);
    CHECK_STR_EQ(second->name, "a-longer-name-of-a-file");
    CHECK(first->cookie != 0 && first->cookie == second->cookie);
    CHECK_OK(mkdir("a/d", 0755));
    CHECK_OK(rename("a/d", "a/e"));
    CHECK_STR_EQ(events(fd), "moved_from+dir:d moved_to+dir:e ");
}

TEST(inotify_adds_no_event_that_equals_the_newest)
{
    int fd, file, bytes;

    enter_empty_directory();
    write_text("f");
    fd = watch("f", IN_MODIFY);
    file = CHECK_OK(open("f", O_WRONLY));
    for (int i = 0; i < 10; i++)
        CHECK_EQ(write(file, "x", 1), 1);
    CHECK_OK(ioctl(fd, FIONREAD, &bytes));
    CHECK_EQ(bytes, 16);
    CHECK_STR_EQ(events(fd), "modify ");
}

TEST(inotify_read_waits_and_poll_wakes)
{
    int fd, plain = CHECK_OK(inotify_init());
    struct pollfd entry = {.events = POLLIN};
    pid_t child;

    enter_empty_directory();
    CHECK_OK(mkdir("d", 0755));
    fd = watch("d", IN_CREATE);
    entry.fd = fd;
    CHECK_EQ(poll(&entry, 1, 0), 0);
    CHECK_ERRNO(read(fd, text, sizeof(text)), EAGAIN);
    CHECK_EQ(inotify_add_watch(plain, "d", IN_CREATE), 1);
    child = CHECK_OK(fork());
    if (child == 0) {
        sleep_ms(30);
        write_text("d/f");
        _exit(0);
    }
    CHECK_STR_EQ(events(plain), "create:f ");
    CHECK_EQ(poll(&entry, 1, -1), 1);
    CHECK_STR_EQ(events(fd), "create:f ");
    CHECK_EXIT(child, 0);
}

TEST(inotify_read_gives_whole_events_only)
{
    char buffer[40];
    int fd;

    enter_empty_directory();
    CHECK_OK(mkdir("d", 0755));
    fd = watch("d", IN_CREATE);
    write_text("d/f");
    write_text("d/g");
    CHECK_ERRNO(read(fd, buffer, 31), EINVAL);
    CHECK_EQ(read(fd, buffer, 40), 32);
    CHECK_ERRNO(syscall(SYS_read, fd, (void *)8, 64), EFAULT);
}

TEST(inotify_add_watch_changes_the_mask_of_a_watch_that_is_there)
{
    int fd;

    enter_empty_directory();
    write_text("f");
    fd = watch("f", IN_OPEN);
    CHECK_EQ(inotify_add_watch(fd, "f", IN_ACCESS | IN_MASK_ADD), 1);
    read_text("f");
    CHECK_STR_EQ(events(fd), "open access ");
    CHECK_EQ(inotify_add_watch(fd, "f", IN_CLOSE), 1);
    read_text("f");
    CHECK_STR_EQ(events(fd), "close_nowrite ");
    CHECK_ERRNO(inotify_add_watch(fd, "f", IN_OPEN | IN_MASK_CREATE), EEXIST);
}

TEST(inotify_watch_of_one_event_ends_with_it)
{
    int fd;

    enter_empty_directory();
    write_text("f");
    fd = watch("f", IN_OPEN | IN_ONESHOT);
    read_text("f");
    read_text("f");
    CHECK_STR_EQ(events(fd), "open ignored ");
    CHECK_EQ(inotify_add_watch(fd, "f", IN_OPEN), 2);
}

TEST(inotify_rm_watch_says_ignored_and_nothing_more)
{
    int fd;

    enter_empty_directory();
    write_text("f");
    fd = watch("f", IN_OPEN);
    CHECK_OK(inotify_rm_watch(fd, 1));
    read_text("f");
    CHECK_STR_EQ(events(fd), "ignored ");
}

TEST(inotify_follows_names_as_its_flags_say)
{
    int fd = CHECK_OK(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));

    enter_empty_directory();
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    write_text("f");
    CHECK_OK(symlink("f", "l"));
    CHECK_ERRNO(inotify_add_watch(fd, "f", IN_OPEN | IN_ONLYDIR), ENOTDIR);
    CHECK_EQ(inotify_add_watch(fd, "l", IN_OPEN | IN_DONT_FOLLOW), 1);
    read_text("l");
    CHECK_STR_EQ(events(fd), "");
    CHECK_EQ(inotify_add_watch(fd, "l", IN_OPEN), 2);
    read_text("l");
    CHECK_STR_EQ(events(fd), "open ");
}

TEST(inotify_excl_unlink_leaves_out_children_without_a_name)
{
    int all, some, file;

    enter_empty_directory();
    CHECK_OK(mkdir("d", 0755));
    write_text("d/f");
    file = CHECK_OK(open("d/f", O_WRONLY));
    all = watch("d", IN_MODIFY);
    some = watch("d", IN_MODIFY | IN_EXCL_UNLINK);
    CHECK_OK(unlink("d/f"));
    CHECK_EQ(write(file, "x", 1), 1);
    CHECK_STR_EQ(events(all), "modify:f ");
    CHECK_STR_EQ(events(some), "");
}

TEST(inotify_tells_directories_about_themselves)
{
    int fd, d;

    enter_empty_directory();
    CHECK_OK(mkdir("d", 0755));
    write_text("d/f");
    fd = watch("d", IN_ALL_EVENTS);
    d = CHECK_OK(open("d", O_RDONLY | O_DIRECTORY));
    CHECK_GE(syscall(SYS_getdents64, d, text, sizeof(text)), 1);
    CHECK_OK(close(d));
    CHECK_STR_EQ(events(fd), "open+dir access+dir close_nowrite+dir ");
    CHECK_OK(chmod("d", 0700));
    CHECK_STR_EQ(events(fd), "attrib+dir ");
    CHECK_OK(unlink("d/f"));
    CHECK_OK(rename("d", "e"));
    CHECK_OK(rmdir("e"));
    CHECK_STR_EQ(events(fd), "delete:f move_self delete_self ignored ");
}

TEST(inotify_says_that_a_full_queue_lost_events)
{
    char names[2][8] = {"d/a", "d/b"}, buffer[65536];
    long bytes, overflows = 0, count = 0;
    int fd;

    enter_empty_directory();
    CHECK_OK(mkdir("d", 0755));
    fd = watch("d", IN_ATTRIB);
    write_text(names[0]);
    write_text(names[1]);
    for (int i = 0; i < 16384 + 10; i++)
        CHECK_OK(chmod(names[i & 1], 0600));
    while ((bytes = read(fd, buffer, sizeof(buffer))) > 0) {
        for (long at = 0; at < bytes; count++) {
            struct inotify_event *event = (struct inotify_event *)(buffer + at);

            if (event->mask & IN_Q_OVERFLOW) {
                CHECK_EQ(event->wd, -1);
                overflows++;
            }
            at += (long)sizeof(*event) + event->len;
        }
    }
    CHECK_EQ(overflows, 1);
    CHECK_EQ(count, 16385);
}

TEST(inotify_says_that_a_file_system_went)
{
    int fd;

    enter_empty_directory();
    NEEDS_ROOT();
    CHECK_OK(mkdir("m", 0755));
    if (mount("none", "m", "tmpfs", 0, NULL))
        SKIP("cannot mount here");
    write_text("m/f");
    fd = watch("m/f", IN_OPEN);
    CHECK_OK(umount("m"));
    CHECK_STR_EQ(events(fd), "unmount ignored ");
}

TEST(inotify_limits_what_a_user_may_have)
{
    int fd, last = 0, count = 0;

    enter_empty_directory();
    NEEDS_ROOT();
    CHECK_OK(setresuid(54321, 54321, 54321));
    while ((fd = inotify_init()) >= 0) {
        last = fd;
        count++;
    }
    CHECK_EQ(errno, EMFILE);
    CHECK_EQ(count, 128);
    CHECK_OK(close(last));
    CHECK_OK(inotify_init());
}

TEST(inotify_calls_refuse_what_is_wrong)
{
    int fd = CHECK_OK(inotify_init1(0)), fds[2];

    enter_empty_directory();
    CHECK_OK(pipe(fds));
    write_text("f");
    CHECK_ERRNO(inotify_init1(1), EINVAL);
    CHECK_ERRNO(inotify_add_watch(fd, "f", 0), EINVAL);
    CHECK_ERRNO(inotify_add_watch(fd, "f", 0x10000), EINVAL);
    CHECK_ERRNO(inotify_add_watch(fd, "f", IN_OPEN | IN_MASK_ADD | IN_MASK_CREATE), EINVAL);
    CHECK_ERRNO(inotify_add_watch(fd, "gone", IN_OPEN), ENOENT);
    CHECK_ERRNO(inotify_add_watch(fds[0], "f", IN_OPEN), EINVAL);
    CHECK_ERRNO(inotify_add_watch(99, "f", IN_OPEN), EBADF);
    CHECK_ERRNO(syscall(SYS_inotify_add_watch, fd, (void *)8, IN_OPEN), EFAULT);
    CHECK_ERRNO(inotify_rm_watch(fd, 5), EINVAL);
    CHECK_ERRNO(inotify_rm_watch(fds[0], 1), EINVAL);
    CHECK_ERRNO(inotify_rm_watch(99, 1), EBADF);
    CHECK_ERRNO(write(fd, "x", 1), EBADF);
    if (geteuid() == 0) {
        CHECK_OK(chmod(".", 0777));
        CHECK_OK(chmod("f", 0));
        CHECK_OK(setresuid(12345, 12345, 12345));
        CHECK_ERRNO(inotify_add_watch(fd, "f", IN_OPEN), EACCES);
    }
}

TEST(inotify_add_watch_looks_at_its_mask_before_its_descriptor)
{
    CHECK_ERRNO(inotify_add_watch(-1, "/", 0), EINVAL);
    CHECK_ERRNO(inotify_add_watch(-1, "/", IN_ACCESS), EBADF);
}
