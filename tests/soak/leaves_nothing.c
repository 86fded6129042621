/*
 * Runs a command and says whether it left anything in the kernel.
 *
 * Before and after it, with the caches emptied, we read how many objects of each slab cache and how
 * many frames of each kind are in use (use.h), and who runs. A page, an object or a process that is
 * there afterwards and was not before is a leak; growth within the slack of use.h is none. What the
 * command did first (tables that grow and stay) is no leak either, so `--warm COMMAND` runs first.
 * The kernel's log is read, too: what the watchdog reported is a failure.
 *
 * usage: leaves_nothing SECONDS WARM-COMMAND COMMAND, both for the shell. SECONDS: how long what
 * was started may take to end afterwards. Status 0: the command ended with 0 and left nothing.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <sys/wait.h>
#include <time.h>

#include "../fuzz/use.h"

#define LINE_BYTES    8192
#define PATH_BYTES    64
#define KERNEL_PARENT 2 /* the parent of the kernel's own threads */

/* The parent and the state of a process; 0: it is gone. */
static int stat_read(int pid, int *parent, char *state, char *text, size_t bytes)
{
    char path[PATH_BYTES], *name_end;
    FILE *file;
    size_t got;

    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    file = fopen(path, "r");
    if (!file)
        return 0;
    got = fread(text, 1, bytes - 1, file);
    fclose(file);
    text[got] = '\0';
    name_end = strrchr(text, ')');
    return name_end && sscanf(name_end + 1, " %c %d", state, parent) == 2;
}

/* How many processes there are, and of them how many threads; `say` names each. */
static int threads_count(int say)
{
    DIR *directory = opendir("/proc");
    struct dirent *entry;
    int count = 0;

    while (directory && (entry = readdir(directory))) {
        char text[1024], path[PATH_BYTES], state;
        int parent, pid = atoi(entry->d_name);
        DIR *tasks;

        if (!isdigit(entry->d_name[0]) || pid == KERNEL_PARENT ||
            !stat_read(pid, &parent, &state, text, sizeof(text)) || parent == KERNEL_PARENT)
            continue;
        if (say)
            printf("left: %.120s\n", text);
        snprintf(path, sizeof(path), "/proc/%d/task", pid);
        tasks = opendir(path);
        while (tasks && (entry = readdir(tasks)))
            count += isdigit(entry->d_name[0]) != 0;
        if (tasks)
            closedir(tasks);
    }
    closedir(directory);
    return count;
}

/* The threads beyond `before` that have not ended in time. */
static int threads_left(int before, int seconds)
{
    time_t limit = time(NULL) + seconds;

    while (threads_count(0) > before && time(NULL) < limit)
        usleep(SETTLE_US);
    return threads_count(0) > before ? threads_count(1) - before : 0;
}

static int kernel_reports(int log)
{
    char line[LINE_BYTES];
    int reports = 0;
    ssize_t got;

    while ((got = read(log, line, sizeof(line) - 1)) > 0 || (got < 0 && errno == EPIPE)) {
        line[got < 0 ? 0 : got] = '\0';
        if (!strstr(line, "watchdog:") && !strstr(line, "is broken"))
            continue;
        printf("FAIL report: %s", line);
        reports++;
    }
    return reports;
}

int main(int count, char **arguments)
{
    static struct use before, after;
    int log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
    int threads, status, left, leaks, reports, seconds;

    if (count != 4)
        return 2;
    seconds = atoi(arguments[1]);
    threads = threads_count(0);
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (system(arguments[2]))
        printf("the command to begin with failed\n");
    threads_left(threads, seconds);
    use_read(&before);
    status = system(arguments[3]);
    left = threads_left(threads, seconds);
    use_read(&after);
    leaks = left ? 0 : use_compare(&before, &after);
    reports = kernel_reports(log);
    printf("status %d, %d threads left, %d leaks, %d reports\n",
           WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), left, leaks, reports);
    return status || left || leaks || reports;
}
