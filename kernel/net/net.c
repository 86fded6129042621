/*
 * What net/ brings up, and its values in /proc/sys/net and /proc/net.
 *
 * Families that are not there have lists all the same, with a heading and no line: programs
 * (netstat, ss, Java) open them to see whether there is a network, and take an absent one for a
 * broken /proc.
 */
#include <pith/net.h>

#include <pith/proc_fs.h>

#include "unix.h"

static int show_number(struct text_sink *sink, void *argument)
{
    text_print(sink, "%u\n", READ_ONCE(*(const u32 *)argument));
    return 0;
}

/* Of sockets that are made from then on. */
static const struct proc_setting queue_max = {"max_dgram_qlen", &unix_queue_max, 0, INT32_MAX};

static const u32 connections_max = SOMAXCONN_DEFAULT, buffer_max = SOCKET_BUFFER_MAX;

static const struct {
    const char *name;
    const u32 *value;
} values[] = {
    {"sys/net/core/somaxconn", &connections_max}, {"sys/net/core/wmem_max", &buffer_max},
    {"sys/net/core/rmem_max", &buffer_max},       {"sys/net/core/wmem_default", &buffer_max},
    {"sys/net/core/rmem_default", &buffer_max},
};

/* There are no sockets of these families, and no interface: lists without lines (proc(5)). */
static const struct {
    const char *name, *heading;
} empty_lists[] = {
    {"net/tcp",
     "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  "
     "timeout inode                                                     "},
    {"net/udp",
     "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid "
     " timeout inode ref pointer drops             "},
    {"net/raw",
     "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  "
     "timeout inode ref pointer drops"},
    {"net/dev",
     "Inter-|   Receive                                                |  Transmit\n"
     " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets "
     "errs drop fifo colls carrier compressed"},
};

static int show_heading(struct text_sink *sink, void *heading)
{
    text_print(sink, "%s\n", (const char *)heading);
    return 0;
}

void net_init(void)
{
    unix_init();
    for (size_t i = 0; i < ARRAY_SIZE(empty_lists); i++)
        if (proc_register(empty_lists[i].name, 0444, show_heading, (void *)empty_lists[i].heading))
            panic("no memory for the names in /proc");
    for (size_t i = 0; i < ARRAY_SIZE(values); i++)
        if (proc_register(values[i].name, 0444, show_number, (void *)values[i].value))
            panic("no memory for the names in /proc");
    if (proc_register_setting("sys/net/unix", &queue_max))
        panic("no memory for the names in /proc");
}
