/*
 * --boot-time: where the time from the command to the end of the machine went.
 *
 * The guest stamps moments with its CPU's counter, which starts at 0 with the machine. When that
 * was on our clock is not told; but no stamp can arrive before it was made, so each arrival bounds
 * it from above, and the least bound is the best guess.
 */
#include "pith.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_SECOND 1000000000ull
#define NS_PER_MS     1e6

uint64_t clock_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * NS_PER_SECOND + now.tv_nsec;
}

void boot_time_note(struct boot_time *times, const struct host_stamp *stamp)
{
    uint64_t now = clock_now_ns();
    uint64_t since;

    if (stamp->moment > HOST_MOMENT_EXIT || !stamp->tsc_hz)
        return;
    since = (unsigned __int128)stamp->tsc_since_reset * NS_PER_SECOND / stamp->tsc_hz;
    times->moment_ns[stamp->moment] = since ? since : 1;
    if (since < now && (!times->machine_ns || now - since < times->machine_ns))
        times->machine_ns = now - since;
}

void boot_time_print(const struct boot_time *times)
{
    const struct {
        const char *what;
        uint64_t at_ns; /* on our clock */
    } rows[] = {
        {"pith: until QEMU starts", times->qemu_ns},
        {"QEMU: until the machine runs", times->machine_ns},
        {"firmware: until the kernel", times->machine_ns + times->moment_ns[HOST_MOMENT_KERNEL]},
        {"kernel: until init", times->machine_ns + times->moment_ns[HOST_MOMENT_INIT]},
        {"init: until the program", times->machine_ns + times->moment_ns[HOST_MOMENT_PROGRAM]},
        {"program: until its end", times->machine_ns + times->moment_ns[HOST_MOMENT_EXIT]},
        {"end of the machine", times->exit_ns},
    };
    uint64_t last = times->command_ns;

    dprintf(STDERR_FILENO, "%-32s %10s %10s\n", "boot time", "ms", "in all");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].at_ns <= last) {
            dprintf(STDERR_FILENO, "%-32s %10s\n", rows[i].what, "-");
            continue;
        }
        dprintf(STDERR_FILENO, "%-32s %10.1f %10.1f\n", rows[i].what,
                (rows[i].at_ns - last) / NS_PER_MS,
                (rows[i].at_ns - times->command_ns) / NS_PER_MS);
        last = rows[i].at_ns;
    }
}
