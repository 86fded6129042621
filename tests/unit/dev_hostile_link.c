/*
 * A hostile host side of the link: frames of any bytes, cut anywhere, that come through pages which
 * the device may have written to any length; buffers that it returns when it likes, in any order.
 *
 *     host_link.c      pages and buffers with the device
 *     host_port.c      the frames in them
 *
 * What must hold: no sanitizer speaks, no assert fails, no ring beyond its size, what is sent is
 * frames, and room that was given to buffers comes back with them.
 */
/* links: kernel/dev/virtqueue.c kernel/dev/host_link.c */
#include "hostile_machine.h"

/* The source itself: a port that died once is dead for ever, and is to live again here. */
#include "../../kernel/tty/host_port.c"

/* ---- The device ---- */

#define RECEIVE  4 /* the queues of port 1 (virtio 1.2, 5.3.2) */
#define TRANSMIT 5

static u16 receive_taken, receive_used, transmit_taken, transmit_used;
static u32 out_heads[64], out_count; /* buffers that the device has */

/* As in the kernel it runs when no lock is held: device_interrupt is that moment. */
static struct deferred *deferred_list[4];

void deferred_schedule(struct deferred *work)
{
    for (u32 i = 0; i < ARRAY_SIZE(deferred_list); i++) {
        if (deferred_list[i] == work)
            return;
        if (!deferred_list[i]) {
            deferred_list[i] = work;
            return;
        }
    }
    panic("more kinds of deferred work than there are");
}
void cpu_call(u64 mask, void (*function)(void *argument), void *argument)
{
    function(argument); /* of the only CPU */
}
int wait_queue_wait(struct wait_queue *queue, enum wait_kind kind, enum wait_reason reason)
{
    return -EINTR;
}
void timer_init(struct timer *timer, void (*function)(struct timer *timer))
{
}
void timer_set(struct timer *timer, u64 deadline_ns)
{
}

static void device_interrupt(u32 queue)
{
    virtqueue_interrupt(device.queues[queue]);
    for (u32 i = 0; i < ARRAY_SIZE(deferred_list); i++) {
        struct deferred *work = deferred_list[i];

        deferred_list[i] = NULL;
        if (work)
            work->function(work);
    }
}

static const struct ring_descriptor *descriptor_of(u32 queue, u32 head)
{
    return (const struct ring_descriptor *)phys_to_virt(rings[queue].descriptors) + head;
}

/* The next chain that the queue offers. False: none. */
static bool chain_take(u32 queue, u16 *taken, u32 *head_out)
{
    const u16 *available = phys_to_virt(rings[queue].available);

    if (*taken == available[1])
        return false;
    *head_out = available[2 + (*taken & (virtqueue_size(device.queues[queue]) - 1))];
    ++*taken;
    return true;
}

/* Gives bytes in as many pages as it likes, and tells of them one by one or together. */
static void device_send(const u8 *bytes, u32 count)
{
    u32 size = virtqueue_size(device.queues[RECEIVE]);

    while (count) {
        u32 part = MIN(count, below(4) ? PAGE_SIZE : 1 + (u32)below(20)), head;

        if (!chain_take(RECEIVE, &receive_taken, &head)) {
            device_interrupt(RECEIVE);
            continue;
        }
        CHECK(descriptor_of(RECEIVE, head)->flags & 2);
        memcpy(phys_to_virt(descriptor_of(RECEIVE, head)->address), bytes, part);
        used_put(RECEIVE, size, receive_used++, head, part);
        if (below(3) == 0)
            device_interrupt(RECEIVE);
        bytes += part;
        count -= part;
    }
    device_interrupt(RECEIVE);
}

/* Takes what was sent, and returns some of what it has, or all. */
static void device_receive(u64 kept)
{
    u32 size = virtqueue_size(device.queues[TRANSMIT]), head;

    while (out_count < ARRAY_SIZE(out_heads) && chain_take(TRANSMIT, &transmit_taken, &head)) {
        CHECK(descriptor_of(TRANSMIT, head)->bytes >= sizeof(struct host_frame));
        CHECK(descriptor_of(TRANSMIT, head)->bytes <= 65536);
        out_heads[out_count++] = head;
    }
    while (out_count > kept) {
        u32 which = below(out_count);

        used_put(TRANSMIT, size, transmit_used++, out_heads[which], 0);
        out_heads[which] = out_heads[--out_count];
    }
    device_interrupt(TRANSMIT);
}

/* ---- What tty/ has above the port ---- */

static u8 link_bytes[65536];

void host_log_init(void)
{
}
void host_session_closed(u32 session)
{
    CHECK(session < HOST_SESSIONS);
}

static u32 terminal_take(const u8 *bytes, u32 count)
{
    u32 taken_now = below(count + 1);

    for (u32 i = 0; i < count; i++)
        link_bytes[i] = bytes[i];
    return taken_now;
}
static void terminal_input(void)
{
    host_channel_feed(host_channel(HOST_CHANNEL_TERMINAL), terminal_take);
}
static void nothing(void)
{
}
static void window(u16 rows, u16 columns)
{
}
static void signal_take(u32 number)
{
}
static const struct host_port_client the_port_client = {.terminal_input = terminal_input,
                                                        .terminal_room = nothing,
                                                        .window = window,
                                                        .signal = signal_take};

/* One frame, mostly right. */
static u32 frame_make(u8 *to)
{
    struct host_frame frame = {.type = below(20) ? HOST_FRAME_CREDIT : 1 + below(HOST_FRAME_CLOSE),
                               .channel = below(HOST_SESSIONS * HOST_CHANNELS),
                               .size = sizeof(u32)};

    if (below(2)) {
        u32 credit = channels[frame.channel = below(5)].credit_out;

        frame.type = HOST_FRAME_DATA;
        frame.size = 1 + below(below(50) && credit ? MIN(credit, 3000u) : 3000);
    }
    fill(to, sizeof(frame) + 3000);
    memcpy(to, &frame, sizeof(frame));
    if (below(100) == 0)
        to[below(sizeof(frame))] = number();
    return sizeof(frame) + frame.size;
}

/* ---- Runs ---- */

static u64 frames_taken;

static void link_run(void)
{
    static u8 bytes[8192];

    host_port_init();
    port.dead = false;
    port.header_bytes = 0;
    for (u32 i = 0; i < HOST_CHANNELS; i++) {
        struct host_channel_state *channel = host_channel(i);

        channel->ring = NULL;
        channel->ring_start = channel->ring_count = channel->credit_out = 0;
        channel->ended = false;
        CHECK_EQ(host_channel_open(channel), 0);
        host_channel_ask_locked(channel, below(HOST_RING_BYTES + 1000));
    }
    for (int step = 0; step < STEPS; step++) {
        u32 count = frame_make(bytes);

        frames_taken += !port.dead;
        device_send(bytes, count);
        if (below(4) == 0)
            device_receive(below(64));
        for (u32 i = 0; i < HOST_CHANNELS; i++) {
            struct host_channel_state *channel = host_channel(i);

            CHECK(channel->ring_count <= HOST_RING_BYTES && channel->ring_start < HOST_RING_BYTES);
            CHECK(channel->ring_count + channel->credit_out <= HOST_RING_BYTES);
            if (below(10) == 0)
                host_channel_take(channel, link_bytes, below(sizeof(link_bytes)));
            if (below(10) == 0)
                host_channel_ask_locked(channel, below(HOST_RING_BYTES));
        }
    }
}

/* Room for that many buffers, which is given back: as much as there ever was. */
static void room_check(void)
{
    struct host_link_buffer *buffers[64];

    for (u32 i = 0; i < ARRAY_SIZE(buffers); i++) {
        buffers[i] = host_link_buffer_alloc(PAGE_SIZE);
        CHECK(buffers[i] != NULL);
    }
    for (u32 i = 0; i < ARRAY_SIZE(buffers); i++)
        host_link_buffer_free(buffers[i]);
}

TEST(link_of_which_a_queue_lacks_serves_no_interrupt_of_the_other)
{
    machine_begin(0);
    host_link_init();
    missing_queue = TRANSMIT;
    CHECK(driver->probe(&device) < 0);
    CHECK(!host_link_exists());
    device_interrupt(RECEIVE);
    missing_queue = ~0u;
}

/* Behind the test above, on the same link. */
TEST(link_frames_of_any_kind_stay_within_their_rings)
{
    u64 runs = setting("HOSTILE_RUNS", RUNS_DEFAULT) / 10 + 1;

    machine_begin(0);
    CHECK_EQ(driver->probe(&device), 0);
    host_port_register(&the_port_client);
    for (u64 run = 0; run < runs; run++) {
        machine_begin(run);
        frames_used = FRAMES / 2; /* the rings and the pages with the device stay */
        link_run();
        for (int i = 0; i < 20; i++)
            device_receive(0);
        room_check();
    }
    CHECK(frames_taken > runs * 5);
}

/* Behind the test above, whose queue it breaks for good. */
TEST(link_that_the_device_breaks_loses_what_is_sent_and_gives_its_room_back)
{
    machine_begin(0);
    frames_used = FRAMES / 2;
    for (int i = 0; i < 100; i++) {
        struct host_link_buffer *buffer = host_link_buffer_alloc(PAGE_SIZE);

        CHECK(buffer != NULL);
        buffer->bytes = sizeof(struct host_frame);
        host_link_submit(buffer);
        if (i == 50)
            used_put(TRANSMIT, virtqueue_size(device.queues[TRANSMIT]), transmit_used, ~0u, 0);
        device_interrupt(TRANSMIT);
    }
    CHECK(virtqueue_is_broken(device.queues[TRANSMIT]));
    used_put(RECEIVE, virtqueue_size(device.queues[RECEIVE]), receive_used, 0, ~0u);
    device_interrupt(RECEIVE);
    room_check();
}
