/*
 * The kernel's log and a panic's text as frames to the `pith` command (host_protocol.h, LOG).
 *
 * A line that finds no buffer is lost: logging must not wait, least of all for the host. The log's
 * frames have no credit for the same reason; `pith` gives some back all the same, to be one
 * protocol. A panic sends the last 8 KiB of the ring, as one frame, by a way that uses no lock, no
 * interrupt and no memory (host_link_send_panic), and then the frame that says that it was one.
 *
 * Context: log_send may be called under any lock, so it never waits; panic_send when nothing else
 * runs any more.
 */
#include <pith/core.h>
#include <pith/host_link.h>
#include <pith/string.h>

#include "host_port.h"

static bool log_wanted; /* [const] after the command line was read */

/* The kernel's log, for --debug; what there is no room for is lost, since logging never waits. */
static void log_send(const char *line, size_t bytes)
{
    struct host_link_buffer *buffer =
        host_link_buffer_alloc(sizeof(struct host_frame) + (u32)bytes);

    if (!buffer)
        return;
    bytes = MIN(bytes, buffer->size - sizeof(struct host_frame));
    memcpy(buffer->data + sizeof(struct host_frame), line, bytes);
    buffer->bytes = sizeof(struct host_frame) + bytes;
    host_port_submit(buffer, HOST_FRAME_DATA, HOST_CHANNEL_LOG);
}

static int log_set(const char *value)
{
    if (!value || strcmp(value, "host") != 0)
        return -EINVAL;
    log_wanted = true;
    return 0;
}

PARAMETER(log_host, .name = "log_to", .values = "host",
          .effect = "sends each line of the kernel's log to the pith command", .set = log_set);

/* A panic's text: the log's last lines as one frame, and the word that it was one. */
static void panic_send(void)
{
    static char text[8192 + sizeof(struct host_frame)];
    struct host_frame header = {.type = HOST_FRAME_DATA, .channel = HOST_CHANNEL_LOG};
    u64 end = log_position_end(), position = end > 8192 ? end - 8192 : 0;

    if (!host_link_exists())
        return;
    if (!log_wanted && !early_console_has_log()) {
        header.size = log_read(&position, text + sizeof(header), 8192);
        memcpy(text, &header, sizeof(header));
        if (header.size)
            host_link_send_panic(text, sizeof(header) + header.size);
    }
    header = (struct host_frame){.type = HOST_FRAME_PANIC, .channel = HOST_CHANNEL_LOG};
    host_link_send_panic(&header, sizeof(header));
}

void host_log_init(void)
{
    panic_hook_register(panic_send);
    if (log_wanted)
        log_sink_register(log_send, LOG_DEBUG);
}
