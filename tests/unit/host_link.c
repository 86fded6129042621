/*
 * Frames between the pith command and the guest: whole however they come in pieces, and refused
 * when they are none.
 *
 * links: host/pith_link.c host/pith_say.c
 */
#include "unit.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pith.h"

struct seen {
    int frames;
    struct host_frame last;
    uint8_t payload[16];
};

static int note_frame(void *context, const struct host_frame *frame, const uint8_t *payload)
{
    struct seen *seen = context;

    seen->frames++;
    seen->last = *frame;
    memcpy(seen->payload, payload, frame->size < 16 ? frame->size : 16);
    return 0;
}

static int open_link(struct link *link)
{
    int ends[2];

    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    link_open(link, ends[0], LINK_TO_GUEST);
    return ends[1];
}

static void close_link(struct link *link, int guest_fd)
{
    close(guest_fd);
    close(link->fd);
    buffer_free(&link->in);
    buffer_free(&link->out);
}

TEST(link_puts_a_frame_together_from_single_bytes)
{
    struct {
        struct host_frame frame;
        char payload[5];
    } __attribute__((packed))
    sent = {{.type = HOST_FRAME_DATA, .channel = HOST_CHANNEL_STDOUT, .size = 5}, "hello"};
    struct seen seen = {0};
    struct link link;
    int guest_fd = open_link(&link);

    for (size_t i = 0; i < sizeof(sent); i++) {
        CHECK_EQ(seen.frames, 0);
        CHECK_EQ(write(guest_fd, (char *)&sent + i, 1), 1);
        CHECK_EQ(link_receive(&link, note_frame, &seen), 1);
    }
    CHECK_EQ(seen.frames, 1);
    CHECK_EQ(memcmp(seen.payload, "hello", 5), 0);
    close_link(&link, guest_fd);
}

TEST(link_hands_on_all_frames_of_one_read)
{
    struct host_frame frames[3] = {
        {.type = HOST_FRAME_END, .channel = HOST_CHANNEL_STDOUT},
        {.type = HOST_FRAME_GONE, .channel = HOST_CHANNEL_STDIN},
        {.type = HOST_FRAME_POLL, .channel = HOST_CHANNEL_STDIN},
    };
    struct seen seen = {0};
    struct link link;
    int guest_fd = open_link(&link);

    CHECK_EQ(write(guest_fd, frames, sizeof(frames)), (long)sizeof(frames));
    CHECK_EQ(link_receive(&link, note_frame, &seen), 1);
    CHECK_EQ(seen.frames, 3);
    CHECK_EQ(seen.last.type, HOST_FRAME_POLL);
    close_link(&link, guest_fd);
}

TEST(link_refuses_what_is_no_frame)
{
    static const struct host_frame wrong[] = {
        {.type = 0},
        {.type = 200},
        {.type = HOST_FRAME_WINDOW, .size = 4}, /* goes only to the guest */
        {.type = HOST_FRAME_DATA, .channel = HOST_SESSIONS * HOST_CHANNELS, .size = 1},
        {.type = HOST_FRAME_DATA, .channel = 1, .size = 0},
        {.type = HOST_FRAME_DATA, .channel = 1, .size = HOST_FRAME_MAX + 1},
        {.type = HOST_FRAME_DATA, .channel = 1, .reserved = 1, .size = 1},
        {.type = HOST_FRAME_CREDIT, .channel = 1, .size = 3},
        {.type = HOST_FRAME_EXIT, .size = 4},
    };

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct seen seen = {0};
        struct link link;
        int guest_fd = open_link(&link);

        CHECK_EQ(write(guest_fd, &wrong[i], sizeof(wrong[i])), (long)sizeof(wrong[i]));
        CHECK_EQ(link_receive(&link, note_frame, &seen), -EPROTO);
        CHECK_EQ(seen.frames, 0);
        close_link(&link, guest_fd);
    }
}

TEST(link_says_when_the_other_side_is_gone)
{
    struct seen seen = {0};
    struct link link;
    int guest_fd = open_link(&link);

    shutdown(guest_fd, SHUT_RDWR);
    CHECK_EQ(link_receive(&link, note_frame, &seen), 0);
    close_link(&link, guest_fd);
}

TEST(link_cuts_long_data_into_frames)
{
    static uint8_t bytes[HOST_FRAME_MAX + 10];
    struct host_frame frame;
    struct link link;
    int guest_fd = open_link(&link);

    link_send(&link, HOST_FRAME_DATA, HOST_CHANNEL_STDIN, bytes, sizeof(bytes));
    CHECK_EQ(link.out.size, sizeof(bytes) + 2 * sizeof(frame));
    memcpy(&frame, link.out.data, sizeof(frame));
    CHECK_EQ(frame.size, HOST_FRAME_MAX);
    memcpy(&frame, link.out.data + sizeof(frame) + HOST_FRAME_MAX, sizeof(frame));
    CHECK_EQ(frame.size, 10);
    close_link(&link, guest_fd);
}
