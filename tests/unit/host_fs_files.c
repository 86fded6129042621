/* What the file server shows of files and does with them, asked as a guest's kernel asks. */
/* links: host/fs_attributes.c host/fs_confine.c host/fs_create.c host/fs_credentials.c */
/* links: host/fs_data.c host/fs_descriptor.c host/fs_directory.c host/fs_hide.c */
/* links: host/fs_hide_inside.c host/fs_message.c */
/* links: host/fs_lookup.c host/fs_memory.c host/fs_mount.c host/fs_node.c */
/* links: host/fs_operations.c host/fs_queue.c host/fs_remove.c host/fs_request.c */
/* links: host/fs_resolve.c host/fs_server.c host/fs_vhost_user.c host/fs_write.c host/fs_xattr.c */
#include "host_fs_guest.h"

#include <dirent.h>
#include <linux/limits.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/un.h>
#include <sys/xattr.h>

#define MANY_FILES 3000

static struct guest guest;
static char directory[64];          /* of the running test, on the host */
static const char *hidden_paths[4]; /* from strdup */
static size_t hidden_count;

/* A path in the test's directory; good until four more were asked for. */
static const char *in_directory(const char *name)
{
    static char paths[4][PATH_MAX];
    static int next;

    next = (next + 1) % 4;
    snprintf(paths[next], PATH_MAX, "%s/%s", directory, name);
    return paths[next];
}

static void host_write(const char *name, const char *text)
{
    int fd = open(in_directory(name), O_CREAT | O_TRUNC | O_WRONLY, 0644);

    CHECK_EQ(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static void check_host_text(const char *name, const char *text)
{
    char found[256] = "";
    int fd = open(in_directory(name), O_RDONLY);

    CHECK_GE(fd, 0);
    CHECK_GE(read(fd, found, sizeof(found) - 1), 0);
    close(fd);
    CHECK_STR_EQ(found, text);
}

static void make_directory(void)
{
    snprintf(directory, sizeof(directory), "/tmp/pith-fs-XXXXXX");
    CHECK(mkdtemp(directory));
    CHECK_EQ(chmod(directory, 0755), 0);
    hidden_count = 0;
}

static void serve_share(bool writable)
{
    struct fs_share share = {.host_path = directory, .writable = writable};
    struct fs_server_options options = {
        .shares = &share,
        .share_count = 1,
        .hidden = hidden_paths,
        .hidden_count = hidden_count,
    };

    guest_start(&guest, &options);
}

static void stop_and_remove(void)
{
    char command[128];

    CHECK_EQ(guest_stop(&guest), 0);
    while (hidden_count > 0)
        free((char *)hidden_paths[--hidden_count]);
    snprintf(command, sizeof(command), "rm -rf %s", directory);
    CHECK_EQ(system(command), 0);
}

static void check_read(uint64_t node, const char *text)
{
    CHECK_EQ(guest_read(&guest, node, 0, 4096), 0);
    CHECK_EQ(guest_answer_size(&guest), strlen(text));
    CHECK_MEM_EQ(guest_answer(&guest), text, strlen(text));
}

static int with_name(uint32_t opcode, uint64_t node, const char *name)
{
    return guest_request(&guest, opcode, node, guest_name(name), GUEST_NONE, GUEST_NONE);
}

static int rename_to(uint64_t from, const char *name, uint64_t to, const char *new_name)
{
    struct fuse_rename_in in = {.newdir = to};

    return guest_request(&guest, FUSE_RENAME, from, GUEST_STRUCT(in), guest_name(name),
                         guest_name(new_name));
}

static int link_to(uint64_t node, uint64_t to, const char *name)
{
    struct fuse_link_in in = {.oldnodeid = node};

    return guest_request(&guest, FUSE_LINK, to, GUEST_STRUCT(in), guest_name(name), GUEST_NONE);
}

static int make_node(uint64_t parent, const char *name, uint32_t mode)
{
    struct fuse_mknod_in in = {.mode = mode};

    return guest_request(&guest, FUSE_MKNOD, parent, GUEST_STRUCT(in), guest_name(name),
                         GUEST_NONE);
}

static int make_directory_in(uint64_t parent, const char *name, uint32_t mode)
{
    struct fuse_mkdir_in in = {.mode = mode};

    return guest_request(&guest, FUSE_MKDIR, parent, GUEST_STRUCT(in), guest_name(name),
                         GUEST_NONE);
}

static int create(uint64_t parent, const char *name, uint32_t flags,
                  struct fuse_entry_out *entry_out)
{
    struct fuse_create_in in = {.flags = flags, .mode = S_IFREG | 0644};
    int error =
        guest_request(&guest, FUSE_CREATE, parent, GUEST_STRUCT(in), guest_name(name), GUEST_NONE);

    if (!error)
        memcpy(entry_out, guest_answer(&guest), sizeof(*entry_out));
    return error;
}

/* How often a name occurs in a directory's listing, read in answers of `size` bytes. */
static unsigned list(uint64_t node, uint32_t opcode, uint32_t size, const char *name,
                     unsigned *total_out)
{
    struct fuse_read_in in = {.size = size};
    unsigned found = 0;

    *total_out = 0;
    for (;;) {
        const uint8_t *at = guest_answer(&guest), *end;

        CHECK_EQ(guest_request(&guest, opcode, node, GUEST_STRUCT(in), GUEST_NONE, GUEST_NONE), 0);
        end = at + guest_answer_size(&guest);
        if (at == end)
            return found;
        CHECK_LE(end - at, (ssize_t)size);
        while (at < end) {
            const uint8_t *entry_at =
                at + (opcode == FUSE_READDIRPLUS ? sizeof(struct fuse_entry_out) : 0);
            const struct fuse_dirent *entry = (const void *)entry_at;

            found += entry->namelen == strlen(name) && !memcmp(entry->name, name, entry->namelen);
            (*total_out)++;
            in.offset = entry->off;
            at = entry_at + FUSE_DIRENT_SIZE(entry);
        }
    }
}

static bool lists(uint64_t node, const char *name)
{
    unsigned total, plain = list(node, FUSE_READDIR, 65536, name, &total);

    CHECK_EQ(list(node, FUSE_READDIRPLUS, 65536, name, &total), plain);
    return plain > 0;
}

/* ---- Names ---- */

TEST(root_has_one_directory_for_each_share)
{
    struct fs_share shares[] = {{.host_path = "/usr"}, {.host_path = "/etc"}};
    struct fs_server_options options = {.shares = shares, .share_count = 2};
    struct fuse_entry_out entry;

    guest_start(&guest, &options);
    CHECK_EQ(guest_lookup(&guest, FUSE_ROOT_ID, "0", &entry), 0);
    CHECK_EQ(guest_lookup(&guest, FUSE_ROOT_ID, "1", &entry), 0);
    CHECK_EQ(guest_lookup(&guest, FUSE_ROOT_ID, "2", &entry), -ENOENT);
    CHECK_EQ(guest_lookup(&guest, FUSE_ROOT_ID, "00", &entry), -ENOENT);
    CHECK(lists(FUSE_ROOT_ID, "0") && lists(FUSE_ROOT_ID, "1") && !lists(FUSE_ROOT_ID, "2"));
    guest_node(&guest, "1/passwd");
    CHECK_EQ(guest_stop(&guest), 0);
}

TEST(name_that_is_no_name_is_refused)
{
    struct fuse_entry_out entry;
    char longest[NAME_MAX + 2];
    uint64_t share;

    make_directory();
    serve_share(true);
    share = guest_node(&guest, "0");
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    CHECK_EQ(guest_lookup(&guest, share, "..", &entry), -EINVAL);
    CHECK_EQ(guest_lookup(&guest, share, ".", &entry), -EINVAL);
    CHECK_EQ(guest_lookup(&guest, share, "", &entry), -EINVAL);
    CHECK_EQ(guest_lookup(&guest, share, "../etc", &entry), -EINVAL);
    CHECK_EQ(guest_lookup(&guest, share, "/etc", &entry), -EINVAL);
    CHECK_EQ(guest_lookup(&guest, share, longest, &entry), -ENAMETOOLONG);
    CHECK_EQ(guest_request(&guest, FUSE_LOOKUP, share, (struct guest_part){"abc", 3}, GUEST_NONE,
                           GUEST_NONE),
             -EINVAL);
    CHECK_EQ(make_directory_in(share, "../escaped", 0755), -EINVAL);
    CHECK_EQ(make_directory_in(share, "..", 0755), -EINVAL);
    CHECK_EQ(rename_to(share, "a", share, "../b"), -EINVAL);
    CHECK_EQ(with_name(FUSE_UNLINK, share, "../x"), -EINVAL);
    CHECK_EQ(
        guest_request(&guest, FUSE_SYMLINK, share, guest_name("../l"), guest_name("t"), GUEST_NONE),
        -EINVAL);
    stop_and_remove();
}

TEST(absent_name_may_be_believed_only_where_nobody_makes_it)
{
    struct fs_share shares[2] = {{.writable = false}, {.writable = true}};
    struct fs_server_options options = {.shares = shares, .share_count = 2};

    make_directory();
    shares[0].host_path = shares[1].host_path = directory;
    guest_start(&guest, &options);
    CHECK_EQ(with_name(FUSE_LOOKUP, guest_node(&guest, "0"), "none"), 0);
    CHECK_EQ(((struct fuse_entry_out *)guest_answer(&guest))->nodeid, 0);
    CHECK_EQ(((struct fuse_entry_out *)guest_answer(&guest))->entry_valid, 1);
    CHECK_EQ(with_name(FUSE_LOOKUP, guest_node(&guest, "1"), "none"), -ENOENT);
    stop_and_remove();
}

TEST(unknown_node_is_stale)
{
    make_directory();
    serve_share(true);
    CHECK_EQ(guest_getattr(&guest, 0, NULL), -ESTALE);
    CHECK_EQ(guest_getattr(&guest, 999, NULL), -ESTALE);
    CHECK_EQ(guest_getattr(&guest, UINT64_MAX, NULL), -ESTALE);
    CHECK_EQ(guest_getattr(&guest, 1ull << 32 | 1, NULL), -ESTALE);
    CHECK_EQ(rename_to(guest_node(&guest, "0"), "a", 999, "b"), -ESTALE);
    stop_and_remove();
}

TEST(symbolic_link_is_never_followed_on_the_host)
{
    struct fuse_entry_out entry;
    uint64_t share, node;

    make_directory();
    CHECK_EQ(symlink("/etc", in_directory("etc")), 0);
    CHECK_EQ(symlink("/etc/passwd", in_directory("passwd")), 0);
    serve_share(true);
    share = guest_node(&guest, "0");
    CHECK_EQ(guest_lookup(&guest, share, "etc", &entry), 0);
    CHECK_EQ(entry.attr.mode & S_IFMT, S_IFLNK);
    CHECK_EQ(guest_lookup(&guest, entry.nodeid, "passwd", &entry), -ENOTDIR);
    node = guest_node(&guest, "0/passwd");
    CHECK_EQ(guest_read(&guest, node, 0, 100), -ELOOP);
    CHECK_EQ(guest_open(&guest, node, O_RDONLY), -ELOOP);
    CHECK_EQ(create(share, "passwd", O_RDWR, &entry), -ELOOP);
    CHECK_EQ(guest_request(&guest, FUSE_READLINK, node, GUEST_NONE, GUEST_NONE, GUEST_NONE), 0);
    CHECK_EQ(guest_answer_size(&guest), strlen("/etc/passwd"));
    CHECK_MEM_EQ(guest_answer(&guest), "/etc/passwd", strlen("/etc/passwd"));
    stop_and_remove();
}

TEST(directory_replaced_by_a_symbolic_link_is_stale)
{
    struct fuse_entry_out entry;
    uint64_t node, inner;

    make_directory();
    CHECK_EQ(mkdir(in_directory("d"), 0755), 0);
    CHECK_EQ(mkdir(in_directory("d/e"), 0755), 0);
    host_write("d/e/passwd", "ours");
    serve_share(false);
    node = guest_node(&guest, "0/d/e");
    inner = guest_node(&guest, "0/d/e/passwd");
    guest_forget(&guest, guest_node(&guest, "0/d"), 4);
    CHECK_EQ(rename(in_directory("d"), in_directory("moved")), 0);
    CHECK_EQ(symlink("/", in_directory("d")), 0);
    /* What was open stays what it was; what was not is gone. Never is it another file. */
    CHECK_EQ(guest_lookup(&guest, node, "passwd", &entry), 0);
    check_read(inner, "ours");
    stop_and_remove();
}

TEST(file_replaced_on_the_host_is_what_it_was_by_its_old_number)
{
    struct fuse_entry_out entry;
    uint64_t node;

    make_directory();
    host_write("f", "old");
    serve_share(false);
    node = guest_node(&guest, "0/f");
    host_write("g", "new");
    CHECK_EQ(rename(in_directory("g"), in_directory("f")), 0);
    /* Its descriptor is open since it was looked up. */
    check_read(node, "old");
    CHECK_EQ(guest_lookup(&guest, guest_node(&guest, "0"), "f", &entry), 0);
    CHECK_NE(entry.nodeid, node);
    check_read(entry.nodeid, "new");
    stop_and_remove();
}

TEST(hard_links_are_one_node)
{
    uint64_t node;

    make_directory();
    host_write("a", "text");
    CHECK_EQ(link(in_directory("a"), in_directory("b")), 0);
    serve_share(false);
    node = guest_node(&guest, "0/a");
    CHECK_EQ(guest_node(&guest, "0/b"), node);
    CHECK_EQ(unlink(in_directory("b")), 0);
    CHECK_EQ(guest_node(&guest, "0/a"), node);
    check_read(node, "text");
    stop_and_remove();
}

TEST(node_is_gone_when_all_its_references_were_forgotten)
{
    uint64_t node;

    make_directory();
    host_write("f", "text");
    serve_share(false);
    node = guest_node(&guest, "0/f");
    CHECK_EQ(guest_node(&guest, "0/f"), node);
    guest_forget(&guest, node, 1);
    CHECK_EQ(guest_getattr(&guest, node, NULL), 0);
    guest_forget(&guest, node, 1);
    CHECK_EQ(guest_getattr(&guest, node, NULL), -ESTALE);
    CHECK_NE(guest_node(&guest, "0/f"), node);
    guest_forget(&guest, FUSE_ROOT_ID, UINT64_MAX);
    guest_forget(&guest, 12345, 1);
    guest_node(&guest, "0/f");
    stop_and_remove();
}

TEST(attributes_are_the_hosts)
{
    struct fuse_attr attributes;
    struct stat status;

    make_directory();
    host_write("f", "four");
    CHECK_EQ(chmod(in_directory("f"), 04751), 0);
    serve_share(false);
    CHECK_EQ(guest_getattr(&guest, guest_node(&guest, "0/f"), &attributes), 0);
    CHECK_EQ(stat(in_directory("f"), &status), 0);
    CHECK_EQ(attributes.ino, status.st_ino);
    CHECK_EQ(attributes.mode, status.st_mode);
    CHECK_EQ(attributes.nlink, status.st_nlink);
    CHECK_EQ(attributes.uid, status.st_uid);
    CHECK_EQ(attributes.gid, status.st_gid);
    CHECK_EQ(attributes.size, status.st_size);
    CHECK_EQ(attributes.blocks, status.st_blocks);
    CHECK_EQ(attributes.blksize, status.st_blksize);
    CHECK_EQ(attributes.mtime, status.st_mtim.tv_sec);
    CHECK_EQ(attributes.mtimensec, status.st_mtim.tv_nsec);
    CHECK_EQ(attributes.ctime, status.st_ctim.tv_sec);
    stop_and_remove();
}

TEST(inode_numbers_differ_from_device_to_device)
{
    struct fs_share share = {.host_path = "/"};
    struct fs_server_options options = {.shares = &share, .share_count = 1};
    struct fuse_entry_out proc, dev;
    struct stat root, host_proc;

    guest_start(&guest, &options);
    CHECK_EQ(stat("/", &root), 0);
    CHECK_EQ(stat("/proc", &host_proc), 0);
    CHECK_NE(root.st_dev, host_proc.st_dev);
    CHECK_EQ(guest_lookup(&guest, guest_node(&guest, "0"), "proc", &proc), 0);
    CHECK_EQ(guest_lookup(&guest, guest_node(&guest, "0"), "dev", &dev), 0);
    CHECK_EQ(proc.attr.ino & 0xffffffffffff, host_proc.st_ino);
    CHECK_NE(proc.attr.ino >> 48, 0);
    CHECK_NE(proc.attr.ino, dev.attr.ino);
    CHECK_EQ(guest_stop(&guest), 0);
}

TEST(file_on_another_mount_is_read)
{
    struct fs_share share = {.host_path = "/"};
    struct fs_server_options options = {.shares = &share, .share_count = 1};
    char path[] = "/dev/shm/pith-fs-XXXXXX";
    struct stat root, other;
    int fd = mkstemp(path);

    CHECK_EQ(stat("/", &root), 0);
    if (fd < 0 || fstat(fd, &other) || root.st_dev == other.st_dev)
        return; /* there is only one here */
    CHECK_EQ(write(fd, "text", 4), 4);
    close(fd);
    snprintf(directory, sizeof(directory), "0%s", path);
    guest_start(&guest, &options);
    check_read(guest_node(&guest, directory), "text");
    unlink(path);
    CHECK_EQ(guest_stop(&guest), 0);
}

/* ---- Directories ---- */

TEST(listing_has_every_name_once_whatever_the_answers_size)
{
    const uint32_t sizes[] = {600, 4096, 100000, 1 << 20};
    char name[32];
    uint64_t node;
    unsigned total;

    make_directory();
    for (int i = 0; i < MANY_FILES; i++) {
        snprintf(name, sizeof(name), "file-%d", i);
        host_write(name, "");
    }
    serve_share(false);
    node = guest_node(&guest, "0");
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        CHECK_EQ(list(node, FUSE_READDIR, sizes[i], "file-1234", &total), 1);
        CHECK_EQ(total, MANY_FILES + 2);
        CHECK_EQ(list(node, FUSE_READDIRPLUS, sizes[i], "file-1234", &total), 1);
        CHECK_EQ(total, MANY_FILES + 2);
    }
    stop_and_remove();
}

TEST(listing_that_leaves_room_for_an_entry_is_the_last)
{
    struct fuse_read_in in = {.size = 1 << 20};

    make_directory();
    host_write("f", "");
    serve_share(false);
    CHECK_EQ(guest_request(&guest, FUSE_READDIRPLUS, guest_node(&guest, "0"), GUEST_STRUCT(in),
                           GUEST_NONE, GUEST_NONE),
             0);
    CHECK_EQ(guest_answer_size(&guest), 3 * FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET_DIRENTPLUS + 1));
    stop_and_remove();
}

TEST(listing_into_too_small_an_answer_is_empty_not_more)
{
    unsigned total;

    make_directory();
    host_write("f", "");
    serve_share(false);
    list(guest_node(&guest, "0"), FUSE_READDIRPLUS, 100, "f", &total);
    CHECK_EQ(total, 0);
    stop_and_remove();
}

TEST(listing_of_a_file_is_enotdir)
{
    struct fuse_read_in in = {.size = 4096};

    make_directory();
    host_write("f", "");
    serve_share(false);
    CHECK_EQ(guest_request(&guest, FUSE_READDIR, guest_node(&guest, "0/f"), GUEST_STRUCT(in),
                           GUEST_NONE, GUEST_NONE),
             -ENOTDIR);
    stop_and_remove();
}

TEST(host_kernels_file_systems_are_empty_directories)
{
    struct fs_share share = {.host_path = "/"};
    struct fs_server_options options = {.shares = &share, .share_count = 1};
    struct fuse_entry_out entry;
    unsigned total;
    uint64_t proc;

    guest_start(&guest, &options);
    proc = guest_node(&guest, "0/proc");
    CHECK_EQ(guest_lookup(&guest, proc, "self", &entry), -ENOENT);
    CHECK_EQ(guest_lookup(&guest, proc, "version", &entry), -ENOENT);
    list(proc, FUSE_READDIR, 65536, "self", &total);
    CHECK_LE(total, 2);
    CHECK_EQ(guest_stop(&guest), 0);
}

/* ---- Data ---- */

TEST(read_gives_the_bytes_at_an_offset_and_ends_with_the_file)
{
    uint64_t node;

    make_directory();
    host_write("f", "0123456789");
    serve_share(false);
    node = guest_node(&guest, "0/f");
    CHECK_EQ(guest_read(&guest, node, 3, 4), 0);
    CHECK_EQ(guest_answer_size(&guest), 4);
    CHECK_MEM_EQ(guest_answer(&guest), "3456", 4);
    CHECK_EQ(guest_read(&guest, node, 8, 4096), 0);
    CHECK_EQ(guest_answer_size(&guest), 2);
    CHECK_EQ(guest_read(&guest, node, 100, 4096), 0);
    CHECK_EQ(guest_answer_size(&guest), 0);
    CHECK_EQ(guest_read(&guest, node, UINT64_MAX, 4096), -EINVAL);
    CHECK_EQ(guest_read(&guest, guest_node(&guest, "0"), 0, 4096), -EISDIR);
    stop_and_remove();
}

TEST(fifo_socket_and_device_are_listed_and_never_opened)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    struct fuse_attr attributes;

    make_directory();
    CHECK_EQ(mkfifo(in_directory("fifo"), 0666), 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", in_directory("socket"));
    CHECK_EQ(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    close(fd);
    serve_share(true);
    CHECK(lists(guest_node(&guest, "0"), "fifo"));
    CHECK_EQ(guest_getattr(&guest, guest_node(&guest, "0/fifo"), &attributes), 0);
    CHECK_EQ(attributes.mode & S_IFMT, S_IFIFO);
    CHECK_EQ(guest_read(&guest, guest_node(&guest, "0/fifo"), 0, 1), -ENXIO);
    CHECK_EQ(guest_open(&guest, guest_node(&guest, "0/fifo"), O_RDWR), -ENXIO);
    CHECK_EQ(guest_write(&guest, guest_node(&guest, "0/fifo"), 0, "x"), -ENXIO);
    CHECK_EQ(guest_open(&guest, guest_node(&guest, "0/socket"), O_RDONLY), -ENXIO);
    stop_and_remove();
}

TEST(open_is_enosys_only_for_a_client_that_can_do_without)
{
    struct fuse_open_in in = {.flags = O_RDONLY};
    uint64_t node;

    make_directory();
    host_write("f", "text");
    serve_share(false);
    CHECK_EQ(guest_open(&guest, guest_node(&guest, "0/f"), O_RDONLY), 0);
    CHECK_EQ(guest_init(&guest, FUSE_NO_OPEN_SUPPORT | FUSE_NO_OPENDIR_SUPPORT), 0);
    node = guest_node(&guest, "0/f");
    CHECK_EQ(guest_open(&guest, node, O_RDONLY), -ENOSYS);
    CHECK_EQ(guest_request(&guest, FUSE_OPENDIR, guest_node(&guest, "0"), GUEST_STRUCT(in),
                           GUEST_NONE, GUEST_NONE),
             -ENOSYS);
    check_read(node, "text");
    stop_and_remove();
}

TEST(read_only_share_refuses_every_change)
{
    struct fuse_setattr_in set = {.valid = FATTR_MODE, .mode = 0777};
    struct fuse_entry_out entry;
    uint64_t share, node;

    make_directory();
    host_write("f", "text");
    CHECK_EQ(mkdir(in_directory("d"), 0755), 0);
    serve_share(false);
    share = guest_node(&guest, "0");
    node = guest_node(&guest, "0/f");
    CHECK_EQ(guest_write(&guest, node, 0, "x"), -EROFS);
    CHECK_EQ(guest_open(&guest, node, O_WRONLY), -EROFS);
    CHECK_EQ(guest_open(&guest, node, O_RDONLY | O_TRUNC), -EROFS);
    CHECK_EQ(create(share, "g", O_RDWR, &entry), -EROFS);
    CHECK_EQ(create(share, "f", O_RDWR, &entry), -EROFS);
    CHECK_EQ(make_node(share, "g", S_IFREG | 0644), -EROFS);
    CHECK_EQ(make_directory_in(share, "g", 0755), -EROFS);
    CHECK_EQ(with_name(FUSE_UNLINK, share, "f"), -EROFS);
    CHECK_EQ(with_name(FUSE_RMDIR, share, "d"), -EROFS);
    CHECK_EQ(rename_to(share, "f", share, "g"), -EROFS);
    CHECK_EQ(link_to(node, share, "g"), -EROFS);
    CHECK_EQ(
        guest_request(&guest, FUSE_SYMLINK, share, guest_name("l"), guest_name("t"), GUEST_NONE),
        -EROFS);
    CHECK_EQ(guest_request(&guest, FUSE_SETATTR, node, GUEST_STRUCT(set), GUEST_NONE, GUEST_NONE),
             -EROFS);
    CHECK_EQ(with_name(FUSE_REMOVEXATTR, node, "user.x"), -EROFS);
    check_host_text("f", "text");
    stop_and_remove();
}

TEST(write_reaches_the_host_at_once)
{
    uint64_t node;

    make_directory();
    host_write("f", "0123456789");
    serve_share(true);
    node = guest_node(&guest, "0/f");
    CHECK_EQ(guest_open(&guest, node, O_RDWR), 0);
    CHECK_EQ(guest_write(&guest, node, 4, "xx"), 0);
    CHECK_EQ(((struct fuse_write_out *)guest_answer(&guest))->size, 2);
    check_host_text("f", "0123xx6789");
    stop_and_remove();
}

TEST(appending_write_goes_behind_what_the_host_appended)
{
    struct fuse_write_in in = {.size = 3, .flags = O_WRONLY | O_APPEND};
    uint64_t node;

    make_directory();
    host_write("f", "a");
    serve_share(true);
    node = guest_node(&guest, "0/f");
    host_write("f", "a longer text");
    CHECK_EQ(guest_request(&guest, FUSE_WRITE, node, GUEST_STRUCT(in),
                           (struct guest_part){"end", 3}, GUEST_NONE),
             0);
    check_host_text("f", "a longer textend");
    stop_and_remove();
}

TEST(write_with_less_data_than_it_says_is_einval)
{
    struct fuse_write_in in = {.size = 1000000};
    uint64_t node;

    make_directory();
    host_write("f", "text");
    serve_share(true);
    node = guest_node(&guest, "0/f");
    CHECK_EQ(guest_request(&guest, FUSE_WRITE, node, GUEST_STRUCT(in),
                           (struct guest_part){"end", 3}, GUEST_NONE),
             -EINVAL);
    check_host_text("f", "text");
    stop_and_remove();
}

TEST(host_can_execute_a_file_soon_after_the_guest_closed_it)
{
    struct fuse_entry_out entry;
    struct fuse_release_in release = {0};
    const char *script;
    pid_t child;
    int status;

    make_directory();
    script = in_directory("true");
    serve_share(true);
    CHECK_EQ(create(guest_node(&guest, "0"), "true", O_WRONLY, &entry), 0);
    CHECK_EQ(guest_write(&guest, entry.nodeid, 0, "#!/bin/sh\nexit 7\n"), 0);
    CHECK_EQ(chmod(script, 0755), 0);
    CHECK_EQ(guest_request(&guest, FUSE_RELEASE, entry.nodeid, GUEST_STRUCT(release), GUEST_NONE,
                           GUEST_NONE),
             0);
    child = fork();
    if (child == 0) {
        execl(script, script, NULL);
        _exit(errno);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(WEXITSTATUS(status), 7);
    stop_and_remove();
}

TEST(more_files_are_read_than_descriptors_are_allowed)
{
    char name[64], text[32];
    uint64_t nodes[500];

    make_directory();
    for (int i = 0; i < 500; i++) {
        snprintf(name, sizeof(name), "d%d", i);
        CHECK_EQ(mkdir(in_directory(name), 0755), 0);
        snprintf(name, sizeof(name), "d%d/f", i);
        snprintf(text, sizeof(text), "file %d", i);
        host_write(name, text);
    }
    guest_descriptor_limit = 100;
    serve_share(false);
    guest_descriptor_limit = 0;
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 500; i++) {
            snprintf(name, sizeof(name), "0/d%d/f", i);
            if (round == 0)
                nodes[i] = guest_node(&guest, name);
            snprintf(text, sizeof(text), "file %d", i);
            check_read(nodes[i], text);
        }
    }
    stop_and_remove();
}

/* ---- Changes ---- */

TEST(created_file_is_on_the_host_with_its_mode)
{
    struct fuse_create_in in = {.flags = O_RDWR, .mode = S_IFREG | 0666, .umask = 027};
    struct stat status;

    make_directory();
    serve_share(true);
    CHECK_EQ(guest_request(&guest, FUSE_CREATE, guest_node(&guest, "0"), GUEST_STRUCT(in),
                           guest_name("f"), GUEST_NONE),
             0);
    CHECK_EQ(guest_answer_size(&guest),
             sizeof(struct fuse_entry_out) + sizeof(struct fuse_open_out));
    CHECK_EQ(stat(in_directory("f"), &status), 0);
    CHECK_EQ(status.st_mode, S_IFREG | 0640);
    CHECK_EQ(status.st_uid, getuid());
    stop_and_remove();
}

TEST(create_of_a_file_that_exists_opens_it_unless_exclusive)
{
    struct fuse_entry_out entry;
    uint64_t share;

    make_directory();
    host_write("f", "text");
    serve_share(true);
    share = guest_node(&guest, "0");
    CHECK_EQ(create(share, "f", O_RDWR | O_CREAT | O_EXCL, &entry), -EEXIST);
    CHECK_EQ(create(share, "f", O_RDWR | O_CREAT, &entry), 0);
    check_read(entry.nodeid, "text");
    CHECK_EQ(create(share, "f", O_RDWR | O_CREAT | O_TRUNC, &entry), 0);
    CHECK_EQ(entry.attr.size, 0);
    check_host_text("f", "");
    stop_and_remove();
}

TEST(superusers_server_gives_files_to_who_made_them)
{
    struct fuse_entry_out entry;
    struct stat status;
    uint64_t share;

    if (getuid() != 0)
        return;
    make_directory();
    serve_share(true);
    share = guest_node(&guest, "0");
    guest.uid = 1234;
    guest.gid = 2345;
    CHECK_EQ(create(share, "f", O_RDWR, &entry), 0);
    CHECK_EQ(entry.attr.uid, 1234);
    CHECK_EQ(make_directory_in(share, "d", 0755), 0);
    guest.uid = 0;
    guest.gid = 0;
    CHECK_EQ(create(share, "g", O_RDWR, &entry), 0);
    CHECK_EQ(entry.attr.uid, 0);
    CHECK_EQ(stat(in_directory("f"), &status), 0);
    CHECK_EQ(status.st_uid, 1234);
    CHECK_EQ(status.st_gid, 2345);
    CHECK_EQ(stat(in_directory("d"), &status), 0);
    CHECK_EQ(status.st_uid, 1234);
    stop_and_remove();
}

TEST(device_is_not_made_on_the_host)
{
    uint64_t share;

    make_directory();
    serve_share(true);
    share = guest_node(&guest, "0");
    CHECK_EQ(make_node(share, "null", S_IFCHR | 0666), -EPERM);
    CHECK_EQ(make_node(share, "disk", S_IFBLK | 0666), -EPERM);
    CHECK_EQ(make_node(share, "fifo", S_IFIFO | 0666), 0);
    CHECK_EQ(make_node(share, "file", S_IFREG | 0666), 0);
    CHECK_NE(access(in_directory("null"), F_OK), 0);
    stop_and_remove();
}

TEST(node_that_was_renamed_keeps_its_number)
{
    struct fuse_entry_out entry;
    uint64_t share, node, inner;

    make_directory();
    CHECK_EQ(mkdir(in_directory("a"), 0755), 0);
    CHECK_EQ(mkdir(in_directory("b"), 0755), 0);
    host_write("a/f", "text");
    serve_share(true);
    share = guest_node(&guest, "0");
    node = guest_node(&guest, "0/a");
    inner = guest_node(&guest, "0/a/f");
    CHECK_EQ(rename_to(share, "a", guest_node(&guest, "0/b"), "moved"), 0);
    CHECK_EQ(guest_lookup(&guest, share, "a", &entry), -ENOENT);
    CHECK_EQ(guest_node(&guest, "0/b/moved"), node);
    check_read(inner, "text");
    check_host_text("b/moved/f", "text");
    CHECK_EQ(rename_to(guest_node(&guest, "0/b"), "moved", node, "below-itself"), -EINVAL);
    stop_and_remove();
}

TEST(rename_exchange_swaps_two_nodes)
{
    struct fuse_rename2_in in = {.flags = 2}; /* RENAME_EXCHANGE */
    uint64_t share, a, b;

    make_directory();
    host_write("a", "from a");
    host_write("b", "from b");
    serve_share(true);
    share = guest_node(&guest, "0");
    a = guest_node(&guest, "0/a");
    b = guest_node(&guest, "0/b");
    in.newdir = share;
    CHECK_EQ(guest_request(&guest, FUSE_RENAME2, share, GUEST_STRUCT(in), guest_name("a"),
                           guest_name("b")),
             0);
    CHECK_EQ(guest_node(&guest, "0/b"), a);
    CHECK_EQ(guest_node(&guest, "0/a"), b);
    check_read(a, "from a");
    in.flags = 4; /* RENAME_WHITEOUT would make a device */
    CHECK_EQ(guest_request(&guest, FUSE_RENAME2, share, GUEST_STRUCT(in), guest_name("a"),
                           guest_name("c")),
             -EINVAL);
    stop_and_remove();
}

TEST(file_that_the_guest_removed_stays_readable_until_it_is_forgotten)
{
    struct fuse_attr attributes;
    uint64_t share, node, replaced;

    make_directory();
    host_write("f", "text");
    host_write("g", "replaced");
    serve_share(true);
    share = guest_node(&guest, "0");
    node = guest_node(&guest, "0/f");
    replaced = guest_node(&guest, "0/g");
    CHECK_EQ(rename_to(share, "f", share, "g"), 0);
    CHECK_EQ(with_name(FUSE_UNLINK, share, "g"), 0);
    check_read(node, "text");
    check_read(replaced, "replaced");
    CHECK_EQ(guest_write(&guest, node, 0, "TEXT"), 0);
    check_read(node, "TEXT");
    CHECK_EQ(guest_getattr(&guest, node, &attributes), 0);
    CHECK_EQ(attributes.nlink, 0);
    guest_forget(&guest, node, 1);
    CHECK_EQ(guest_getattr(&guest, node, NULL), -ESTALE);
    stop_and_remove();
}

TEST(link_makes_another_name_for_the_same_node)
{
    struct fuse_entry_out entry;
    uint64_t share, node;

    make_directory();
    host_write("f", "text");
    CHECK_EQ(symlink("target", in_directory("s")), 0);
    CHECK_EQ(mkdir(in_directory("d"), 0755), 0);
    serve_share(true);
    share = guest_node(&guest, "0");
    node = guest_node(&guest, "0/f");
    CHECK_EQ(link_to(node, share, "g"), 0);
    memcpy(&entry, guest_answer(&guest), sizeof(entry));
    CHECK_EQ(entry.nodeid, node);
    CHECK_EQ(entry.attr.nlink, 2);
    CHECK_EQ(link_to(guest_node(&guest, "0/s"), share, "s2"), 0);
    memcpy(&entry, guest_answer(&guest), sizeof(entry));
    CHECK_EQ(entry.attr.mode & S_IFMT, S_IFLNK);
    CHECK_EQ(link_to(guest_node(&guest, "0/d"), share, "d2"), -EPERM);
    CHECK_EQ(link_to(node, share, "g"), -EEXIST);
    stop_and_remove();
}

TEST(nothing_is_moved_or_linked_between_shares)
{
    struct fs_share shares[2] = {{.writable = true}, {.writable = true}};
    struct fs_server_options options = {.shares = shares, .share_count = 2};
    uint64_t first, second;

    make_directory();
    host_write("f", "text");
    shares[0].host_path = shares[1].host_path = directory;
    guest_start(&guest, &options);
    first = guest_node(&guest, "0");
    second = guest_node(&guest, "1");
    CHECK_NE(guest_node(&guest, "0/f"), guest_node(&guest, "1/f"));
    CHECK_EQ(rename_to(first, "f", second, "g"), -EXDEV);
    CHECK_EQ(link_to(guest_node(&guest, "0/f"), second, "g"), -EXDEV);
    CHECK_EQ(rename_to(first, "f", FUSE_ROOT_ID, "g"), -EXDEV);
    CHECK_EQ(rename_to(FUSE_ROOT_ID, "0", second, "g"), -EROFS);
    stop_and_remove();
}

TEST(file_read_only_in_one_share_is_writable_only_through_the_other)
{
    struct fs_share shares[2] = {{.writable = false}, {.writable = true}};
    struct fs_server_options options = {.shares = shares, .share_count = 2};

    make_directory();
    host_write("f", "text");
    shares[0].host_path = shares[1].host_path = directory;
    guest_start(&guest, &options);
    CHECK_EQ(guest_write(&guest, guest_node(&guest, "1/f"), 0, "TEXT"), 0);
    CHECK_EQ(guest_write(&guest, guest_node(&guest, "0/f"), 0, "no"), -EROFS);
    check_read(guest_node(&guest, "0/f"), "TEXT");
    stop_and_remove();
}

TEST(setattr_changes_mode_size_and_times)
{
    struct fuse_setattr_in in = {
        .valid = FATTR_MODE | FATTR_SIZE | FATTR_MTIME,
        .mode = 0600,
        .size = 2,
        .mtime = 1000000000,
        .mtimensec = 5,
    };
    struct stat status;

    make_directory();
    host_write("f", "text");
    serve_share(true);
    CHECK_EQ(guest_request(&guest, FUSE_SETATTR, guest_node(&guest, "0/f"), GUEST_STRUCT(in),
                           GUEST_NONE, GUEST_NONE),
             0);
    CHECK_EQ(((struct fuse_attr_out *)guest_answer(&guest))->attr.size, 2);
    CHECK_EQ(stat(in_directory("f"), &status), 0);
    CHECK_EQ(status.st_mode, S_IFREG | 0600);
    CHECK_EQ(status.st_size, 2);
    CHECK_EQ(status.st_mtim.tv_sec, 1000000000);
    CHECK_EQ(status.st_mtim.tv_nsec, 5);
    stop_and_remove();
}

TEST(extended_attributes_of_users_can_be_set_and_no_others)
{
    struct fuse_setxattr_in set = {.size = 5};
    struct fuse_getxattr_in get = {.size = 100};
    struct guest_part small = {&set, FUSE_COMPAT_SETXATTR_IN_SIZE};
    uint64_t node;
    int error;

    make_directory();
    host_write("f", "text");
    serve_share(true);
    node = guest_node(&guest, "0/f");
    error = guest_request(&guest, FUSE_SETXATTR, node, small, guest_name("user.test"),
                          (struct guest_part){"value", 5});
    CHECK(error == 0 || error == -EOPNOTSUPP);
    if (!error) {
        CHECK_EQ(guest_request(&guest, FUSE_GETXATTR, node, GUEST_STRUCT(get),
                               guest_name("user.test"), GUEST_NONE),
                 0);
        CHECK_EQ(guest_answer_size(&guest), 5);
        CHECK_MEM_EQ(guest_answer(&guest), "value", 5);
    }
    CHECK_EQ(guest_request(&guest, FUSE_SETXATTR, node, small, guest_name("security.capability"),
                           (struct guest_part){"value", 5}),
             -EPERM);
    CHECK_EQ(guest_request(&guest, FUSE_SETXATTR, node, small, guest_name("user.short"),
                           (struct guest_part){"v", 1}),
             -EINVAL);
    stop_and_remove();
}

/* ---- Hidden paths ---- */

static void hide(const char *name)
{
    hidden_paths[hidden_count++] = strdup(in_directory(name));
}

TEST(hidden_file_is_not_there)
{
    struct fuse_entry_out entry;
    uint64_t share;

    make_directory();
    host_write("secret", "x");
    host_write("other", "y");
    hide("secret");
    serve_share(true);
    share = guest_node(&guest, "0");
    CHECK_EQ(guest_lookup(&guest, share, "secret", &entry), -ENOENT);
    CHECK(!lists(share, "secret"));
    CHECK(lists(share, "other"));
    CHECK_EQ(create(share, "secret", O_RDWR, &entry), -EPERM);
    CHECK_EQ(make_directory_in(share, "secret", 0755), -EPERM);
    CHECK_EQ(with_name(FUSE_UNLINK, share, "secret"), -ENOENT);
    CHECK_EQ(rename_to(share, "secret", share, "seen"), -ENOENT);
    CHECK_EQ(rename_to(share, "other", share, "secret"), -EPERM);
    CHECK_EQ(link_to(guest_node(&guest, "0/other"), share, "secret"), -EPERM);
    check_host_text("secret", "x");
    stop_and_remove();
}

TEST(hidden_file_is_hidden_under_its_other_names)
{
    struct fuse_entry_out entry;
    uint64_t share;

    make_directory();
    host_write("secret", "x");
    CHECK_EQ(link(in_directory("secret"), in_directory("hard")), 0);
    CHECK_EQ(symlink("secret", in_directory("soft")), 0);
    hide("secret");
    serve_share(false);
    share = guest_node(&guest, "0");
    CHECK_EQ(guest_lookup(&guest, share, "hard", &entry), -ENOENT);
    CHECK(!lists(share, "hard"));
    CHECK_EQ(rename(in_directory("secret"), in_directory("moved")), 0);
    CHECK_EQ(guest_lookup(&guest, share, "moved", &entry), -ENOENT);
    CHECK(!lists(share, "moved"));
    /* The link may be seen; it leads the guest back to the hidden name. */
    CHECK_EQ(guest_lookup(&guest, share, "soft", &entry), 0);
    stop_and_remove();
}

TEST(file_that_takes_a_hidden_ones_place_is_hidden)
{
    struct fuse_entry_out entry;
    uint64_t share;

    make_directory();
    CHECK_EQ(mkdir(in_directory("d"), 0755), 0);
    host_write("d/secret", "x");
    hide("d/secret");
    hide("d/later");
    serve_share(true);
    share = guest_node(&guest, "0");
    host_write("new", "y");
    CHECK_EQ(rename(in_directory("new"), in_directory("d/secret")), 0);
    host_write("d/later", "z");
    CHECK_EQ(guest_lookup(&guest, guest_node(&guest, "0/d"), "secret", &entry), -ENOENT);
    CHECK_EQ(guest_lookup(&guest, guest_node(&guest, "0/d"), "later", &entry), -ENOENT);
    CHECK(!lists(guest_node(&guest, "0/d"), "secret"));
    CHECK(!lists(guest_node(&guest, "0/d"), "later"));
    CHECK_EQ(rename_to(share, "d", share, "e"), -EBUSY);
    stop_and_remove();
}

TEST(hidden_directory_is_reached_by_no_share)
{
    struct fs_share shares[2];
    struct fs_server_options options = {
        .shares = shares, .share_count = 2, .hidden = hidden_paths, .hidden_count = 1};
    struct fuse_entry_out entry;
    char path[sizeof(directory) + 8];

    make_directory();
    CHECK_EQ(mkdir(in_directory("d"), 0755), 0);
    CHECK_EQ(mkdir(in_directory("d/secret"), 0755), 0);
    host_write("d/secret/f", "x");
    hide("d/secret");
    shares[0] = (struct fs_share){.host_path = "/"};
    shares[1] = (struct fs_share){.host_path = in_directory("d"), .writable = true};
    guest_start(&guest, &options);
    CHECK_EQ(guest_lookup(&guest, guest_node(&guest, "1"), "secret", &entry), -ENOENT);
    snprintf(path, sizeof(path), "0%s/d", directory);
    CHECK_EQ(guest_lookup(&guest, guest_node(&guest, path), "secret", &entry), -ENOENT);
    stop_and_remove();
}

TEST(file_within_a_hidden_directory_is_hidden_under_its_other_names)
{
    struct fuse_entry_out entry;
    uint64_t share;

    make_directory();
    CHECK_EQ(mkdir(in_directory("d"), 0755), 0);
    CHECK_EQ(mkdir(in_directory("d/e"), 0755), 0);
    host_write("d/e/key", "x");
    host_write("linked", "y");
    CHECK_EQ(link(in_directory("d/e/key"), in_directory("hard")), 0);
    CHECK_EQ(link(in_directory("linked"), in_directory("twice")), 0);
    hide("d");
    serve_share(false);
    share = guest_node(&guest, "0");
    CHECK_EQ(guest_lookup(&guest, share, "hard", &entry), -ENOENT);
    CHECK(!lists(share, "hard"));
    CHECK(lists(share, "linked") && lists(share, "twice"));
    stop_and_remove();
}

/* Needs the right to mount; makes its mount in a name space of its own. */
TEST(directory_within_a_hidden_one_is_hidden_where_it_is_mounted)
{
    struct fuse_entry_out entry;
    pid_t child;
    int status;

    make_directory();
    CHECK_EQ(mkdir(in_directory("d"), 0755), 0);
    CHECK_EQ(mkdir(in_directory("d/e"), 0755), 0);
    CHECK_EQ(mkdir(in_directory("m"), 0755), 0);
    hide("d");
    child = fork();
    CHECK_GE(child, 0);
    if (child == 0) {
        if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
            mount(in_directory("d/e"), in_directory("m"), NULL, MS_BIND, NULL))
            _exit(0); /* not allowed here */
        serve_share(false);
        status = guest_lookup(&guest, guest_node(&guest, "0"), "m", &entry);
        guest_stop(&guest);
        _exit(status == -ENOENT ? 0 : 1);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    serve_share(false);
    CHECK_EQ(guest_lookup(&guest, guest_node(&guest, "0"), "m", &entry), 0);
    stop_and_remove();
}

TEST(share_within_a_hidden_directory_is_seen_and_a_hidden_share_is_refused)
{
    struct fs_share shares[2];
    struct fs_server_options options = {
        .shares = shares, .share_count = 2, .hidden = hidden_paths, .hidden_count = 1};
    struct fuse_entry_out entry;

    make_directory();
    CHECK_EQ(mkdir(in_directory("home"), 0755), 0);
    CHECK_EQ(mkdir(in_directory("home/project"), 0755), 0);
    host_write("home/project/f", "text");
    CHECK_EQ(link(in_directory("home/project/f"), in_directory("home/project/g")), 0);
    host_write("home/key", "x");
    CHECK_EQ(link(in_directory("home/key"), in_directory("home/project/key")), 0);
    hide("home");
    shares[0] = (struct fs_share){.host_path = directory};
    shares[1] = (struct fs_share){.host_path = in_directory("home/project"), .writable = true};
    guest_start(&guest, &options);
    CHECK_EQ(guest_lookup(&guest, guest_node(&guest, "0"), "home", &entry), -ENOENT);
    check_read(guest_node(&guest, "1/g"), "text");
    CHECK_EQ(guest_lookup(&guest, guest_node(&guest, "1"), "key", &entry), -ENOENT);
    CHECK_EQ(guest_stop(&guest), 0);

    shares[1].host_path = in_directory("home");
    guest_spawn(&guest, &options);
    CHECK_EQ(guest_end_status(&guest), EINVAL);
    serve_share(false);
    stop_and_remove();
}
