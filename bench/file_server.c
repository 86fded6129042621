/*
 * What the file server costs, without a guest: the tests' own front end asks, over the same rings.
 *
 *     make bench-file-server          FS_BENCH_DIRECTORY=/usr to list another tree
 */
#include "host_fs_guest.h"

#include <dirent.h>
#include <time.h>

#define DIRECTORIES_MAX 1000000
#define ROUND_TRIPS     20000
#define READS           2000
#define ANSWER_BYTES    (1u << 20)
#define FILE_BYTES      (1u << 20)

static struct guest guest;
static uint64_t directories[DIRECTORIES_MAX];
static unsigned directory_count;

static double seconds_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void serve(const char *path)
{
    struct fs_share share = {.host_path = path};
    struct fs_server_options options = {.shares = &share, .share_count = 1};

    guest_start(&guest, &options);
}

/* Lists one directory and notes those within. Returns how many names it has. */
static unsigned list_directory(uint64_t node, unsigned *trips)
{
    struct fuse_read_in in = {.size = ANSWER_BYTES};
    size_t left;
    unsigned names = 0;

    do {
        const uint8_t *at = guest_answer(&guest), *end;

        CHECK_EQ(
            guest_request(&guest, FUSE_READDIRPLUS, node, GUEST_STRUCT(in), GUEST_NONE, GUEST_NONE),
            0);
        (*trips)++;
        end = at + guest_answer_size(&guest);
        left = in.size - (size_t)(end - at);
        while (at < end) {
            const struct fuse_direntplus *entry = (const void *)at;

            names++;
            in.offset = entry->dirent.off;
            if (entry->entry_out.nodeid && entry->dirent.type == DT_DIR &&
                directory_count < DIRECTORIES_MAX)
                directories[directory_count++] = entry->entry_out.nodeid;
            at += FUSE_DIRENTPLUS_SIZE(entry);
        }
        /* An answer with room for one more entry was the last. */
    } while (left < FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET_DIRENTPLUS + NAME_MAX));
    return names;
}

static void list_tree(const char *label)
{
    double start = seconds_now(), seconds;
    unsigned names = 0, trips = 0;

    directory_count = 0;
    directories[directory_count++] = guest_node(&guest, "0");
    for (unsigned i = 0; i < directory_count; i++)
        names += list_directory(directories[i], &trips);
    seconds = seconds_now() - start;
    printf("%s: %u names, %u directories, %u round trips, %.2f s, %.1f us a name\n", label, names,
           directory_count, trips, seconds, seconds * 1e6 / names);
}

static void print_memory(void)
{
    char command[128];

    snprintf(command, sizeof(command), "grep VmHWM /proc/%d/status", guest.server);
    if (system(command))
        printf("its memory is not known\n");
}

TEST(tree)
{
    const char *path = getenv("FS_BENCH_DIRECTORY") ? getenv("FS_BENCH_DIRECTORY") : "/usr";

    serve(path);
    list_tree("first");
    list_tree("again");
    print_memory();
    CHECK_EQ(guest_stop(&guest), 0);
}

TEST(round_trip)
{
    double start;

    serve("/usr");
    start = seconds_now();
    for (int i = 0; i < ROUND_TRIPS; i++)
        CHECK_EQ(guest_getattr(&guest, FUSE_ROOT_ID, NULL), 0);
    printf("round trip: %.1f us\n", (seconds_now() - start) * 1e6 / ROUND_TRIPS);
    CHECK_EQ(guest_stop(&guest), 0);
}

TEST(read_of_a_megabyte)
{
    char directory[] = "/tmp/pith-bench-XXXXXX", path[sizeof(directory) + 8];
    uint64_t node;
    double start;
    int fd;

    CHECK(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/file", directory);
    fd = open(path, O_CREAT | O_WRONLY, 0600);
    CHECK_EQ(posix_fallocate(fd, 0, FILE_BYTES), 0);
    close(fd);
    serve(directory);
    node = guest_node(&guest, "0/file");
    start = seconds_now();
    for (int i = 0; i < READS; i++)
        CHECK_EQ(guest_read(&guest, node, 0, FILE_BYTES), 0);
    printf("read of 1 MiB: %.0f us\n", (seconds_now() - start) * 1e6 / READS);
    CHECK_EQ(guest_stop(&guest), 0);
    unlink(path);
    rmdir(directory);
}
