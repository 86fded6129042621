/* The file server against a front end and rings that lie. */
/* links: host/fs_attributes.c host/fs_confine.c host/fs_create.c host/fs_credentials.c */
/* links: host/fs_data.c host/fs_descriptor.c host/fs_directory.c host/fs_hide.c */
/* links: host/fs_hide_inside.c host/fs_message.c */
/* links: host/fs_lookup.c host/fs_memory.c host/fs_mount.c host/fs_node.c */
/* links: host/fs_operations.c host/fs_queue.c host/fs_remove.c host/fs_request.c */
/* links: host/fs_resolve.c host/fs_server.c host/fs_vhost_user.c host/fs_write.c host/fs_xattr.c */
#include "host_fs_guest.h"

#define QUICKLY_MS 200 /* long enough to see that nothing comes */

static const struct fs_share usr_share = {.host_path = "/usr"};
static const struct fs_server_options usr = {.shares = &usr_share, .share_count = 1};
static struct guest guest;

TEST(server_ends_orderly_when_the_connection_closes)
{
    guest_start(&guest, &usr);
    CHECK_EQ(guest_stop(&guest), 0);
}

TEST(server_ends_when_its_parents_pipe_closes)
{
    guest_start(&guest, &usr);
    close(guest.parent_pipe);
    guest.parent_pipe = -1;
    CHECK_EQ(guest_end_status(&guest), 0);
}

TEST(share_that_does_not_exist_is_refused_at_once)
{
    struct fs_share share = {.host_path = "/nonexistent"};
    struct fs_server_options options = {.shares = &share, .share_count = 1};

    guest_spawn(&guest, &options);
    CHECK_EQ(guest_end_status(&guest), ENOENT);
}

TEST(unknown_message_is_refused_and_the_connection_goes_on)
{
    guest_spawn(&guest, &usr);
    guest_connect(&guest);
    guest_send(&guest, 77, 8, "12345678", 8, NULL, 0);
    CHECK_NE(guest_receive(&guest, 77), 0);
    guest_settle(&guest);
    CHECK_EQ(guest_stop(&guest), 0);
}

/* Sends one bad message to a fresh server, which must end with EPROTO. */
static void check_message_ends(uint32_t request, const void *payload, uint32_t size, int fds)
{
    int descriptors[16] = {0};

    guest_spawn(&guest, &usr);
    guest_connect(&guest);
    guest_send(&guest, request, 0, payload, size, descriptors, (unsigned)fds);
    CHECK_EQ(guest_end_status(&guest), EPROTO);
}

TEST(message_with_a_huge_payload_ends_the_connection)
{
    static char payload[4096];

    check_message_ends(2, payload, sizeof(payload), 0);
}

TEST(message_with_too_little_payload_ends_the_connection)
{
    check_message_ends(9, "1234", 4, 0);
    check_message_ends(5, "1234", 4, 0);
}

TEST(message_for_a_queue_that_does_not_exist_ends_the_connection)
{
    uint32_t state[] = {2, 16};
    uint64_t number = 200;

    check_message_ends(8, state, sizeof(state), 0);
    check_message_ends(12, &number, sizeof(number), 1);
}

TEST(queue_size_that_is_no_power_of_two_ends_the_connection)
{
    uint32_t none[] = {1, 0}, odd[] = {1, 100}, huge[] = {1, 65536};

    check_message_ends(8, none, sizeof(none), 0);
    check_message_ends(8, odd, sizeof(odd), 0);
    check_message_ends(8, huge, sizeof(huge), 0);
}

TEST(features_that_were_not_offered_end_the_connection)
{
    uint64_t number = 1ull << 34;

    check_message_ends(2, &number, sizeof(number), 0);
    check_message_ends(16, &number, sizeof(number), 0);
}

TEST(more_descriptors_than_a_message_can_have_end_the_connection)
{
    check_message_ends(3, NULL, 0, 16);
}

TEST(kick_before_memory_and_rings_are_known_ends_the_connection)
{
    uint64_t number = 1;

    check_message_ends(12, &number, sizeof(number), 1);
}

static void check_memory_ends(const uint64_t *table, uint32_t size, unsigned fds)
{
    int descriptors[8];

    guest_spawn(&guest, &usr);
    guest_connect(&guest);
    for (unsigned i = 0; i < fds; i++)
        descriptors[i] = guest.memory_fd;
    guest_send(&guest, 5, 0, table, size, descriptors, fds);
    CHECK_EQ(guest_end_status(&guest), EPROTO);
}

TEST(memory_region_past_the_end_of_its_file_ends_the_connection)
{
    uint64_t beyond[] = {1, 0, GUEST_SIZE * 2, GUEST_FRONT_END, 0};
    uint64_t shifted[] = {1, 0, GUEST_SIZE, GUEST_FRONT_END, 4096};
    uint64_t wrapping[] = {1, 0, 4096, GUEST_FRONT_END, UINT64_MAX - 100};

    check_memory_ends(beyond, sizeof(beyond), 1);
    check_memory_ends(shifted, sizeof(shifted), 1);
    check_memory_ends(wrapping, sizeof(wrapping), 1);
}

TEST(memory_region_that_wraps_or_overlaps_ends_the_connection)
{
    uint64_t wraps[] = {1, UINT64_MAX - 4095, 8192, GUEST_FRONT_END, 0};
    uint64_t overlaps[] = {2, 0, 8192, GUEST_FRONT_END, 0, 4096, 8192, GUEST_FRONT_END + 0x100000,
                           0};

    check_memory_ends(wraps, sizeof(wraps), 1);
    check_memory_ends(overlaps, sizeof(overlaps), 2);
}

TEST(memory_table_without_its_descriptors_ends_the_connection)
{
    uint64_t table[] = {1, 0, 4096, GUEST_FRONT_END, 0};
    uint64_t many[] = {1000, 0, 4096, GUEST_FRONT_END, 0};

    check_memory_ends(table, sizeof(table), 0);
    check_memory_ends(table, sizeof(table), 2);
    check_memory_ends(table, sizeof(table) - 8, 1);
    check_memory_ends(many, sizeof(many), 1);
}

TEST(ring_outside_memory_ends_the_connection)
{
    struct {
        uint32_t queue, flags;
        uint64_t descriptors, used, available, log;
    } addresses = {1, 0, GUEST_FRONT_END + GUEST_SIZE - 16, 0, 0, 0};
    uint64_t number = 1;

    guest_spawn(&guest, &usr);
    guest_connect(&guest);
    guest_send_memory(&guest);
    guest_send_state(&guest, 8, 1, GUEST_QUEUE_SIZE);
    guest_send(&guest, 9, 0, &addresses, sizeof(addresses), NULL, 0);
    guest_send(&guest, 12, 0, &number, 8, guest.kick_fds, 1);
    CHECK_EQ(guest_end_status(&guest), EPROTO);
}

/* ---- Rings ---- */

/* Offers a chain that cannot be; the queue must stop, and work again after a restart. */
static void check_chain_breaks_queue(const struct guest_buffer *buffers, unsigned count)
{
    struct fuse_attr attributes;

    guest_chain(guest_at(&guest, GUEST_RING(1)), buffers, count);
    guest_offer(&guest, 1, 0);
    CHECK_EQ(guest_await(&guest, 1, QUICKLY_MS), -1);
    guest_settle(&guest);
    guest_send_state(&guest, 11, 1, 0);
    guest_receive(&guest, 11);
    guest_start_queue(&guest, 1);
    CHECK_EQ(guest_getattr(&guest, FUSE_ROOT_ID, &attributes), 0);
}

TEST(chain_with_an_address_outside_memory_stops_the_queue)
{
    struct guest_buffer hole[] = {{GUEST_LOW_SIZE + 8, 64, 0}};
    struct guest_buffer across[] = {{GUEST_LOW_SIZE - 8, 64, 0}};
    struct guest_buffer end[] = {{GUEST_SIZE - 8, 64, VRING_DESC_F_WRITE}};
    struct guest_buffer wrap[] = {{UINT64_MAX - 8, 64, 0}};

    guest_start(&guest, &usr);
    check_chain_breaks_queue(hole, 1);
    check_chain_breaks_queue(across, 1);
    check_chain_breaks_queue(end, 1);
    check_chain_breaks_queue(wrap, 1);
    CHECK_EQ(guest_stop(&guest), 0);
}

TEST(chain_with_a_readable_buffer_after_a_writable_one_stops_the_queue)
{
    struct guest_buffer buffers[] = {{GUEST_ANSWER, 64, VRING_DESC_F_WRITE},
                                     {GUEST_REQUEST, 64, 0}};

    guest_start(&guest, &usr);
    check_chain_breaks_queue(buffers, 2);
    CHECK_EQ(guest_stop(&guest), 0);
}

TEST(chain_that_loops_stops_the_queue)
{
    struct vring_desc *ring;

    guest_start(&guest, &usr);
    ring = guest_at(&guest, GUEST_RING(1));
    ring[0] = (struct vring_desc){GUEST_REQUEST, 8, VRING_DESC_F_NEXT, 1};
    ring[1] = (struct vring_desc){GUEST_REQUEST, 8, VRING_DESC_F_NEXT, 0};
    guest_offer(&guest, 1, 0);
    CHECK_EQ(guest_await(&guest, 1, QUICKLY_MS), -1);
    CHECK_EQ(guest_stop(&guest), 0);
}

TEST(chain_of_empty_buffers_that_loops_stops_the_queue)
{
    struct vring_desc *ring;

    guest_start(&guest, &usr);
    ring = guest_at(&guest, GUEST_RING(1));
    ring[0] = (struct vring_desc){GUEST_REQUEST, 0, VRING_DESC_F_NEXT, 0};
    guest_offer(&guest, 1, 0);
    CHECK_EQ(guest_await(&guest, 1, QUICKLY_MS), -1);
    CHECK_EQ(guest_stop(&guest), 0);
}

TEST(chain_that_leaves_its_table_stops_the_queue)
{
    struct vring_desc *ring;

    guest_start(&guest, &usr);
    ring = guest_at(&guest, GUEST_RING(1));
    ring[0] = (struct vring_desc){GUEST_REQUEST, 8, VRING_DESC_F_NEXT, GUEST_QUEUE_SIZE};
    guest_offer(&guest, 1, 0);
    CHECK_EQ(guest_await(&guest, 1, QUICKLY_MS), -1);
    CHECK_EQ(guest_stop(&guest), 0);
}

TEST(head_outside_the_table_stops_the_queue)
{
    guest_start(&guest, &usr);
    guest_offer(&guest, 1, GUEST_QUEUE_SIZE);
    CHECK_EQ(guest_await(&guest, 1, QUICKLY_MS), -1);
    CHECK_EQ(guest_stop(&guest), 0);
}

TEST(available_index_that_jumps_stops_the_queue)
{
    struct vring_avail *available;

    guest_start(&guest, &usr);
    available = guest_at(&guest, GUEST_RING(1) + GUEST_AVAILABLE);
    available->idx += 1000;
    guest.available[1] = available->idx;
    guest_offer(&guest, 1, 0);
    CHECK_EQ(guest_await(&guest, 1, QUICKLY_MS), -1);
    CHECK_EQ(guest_stop(&guest), 0);
}

TEST(indirect_table_of_a_broken_size_stops_the_queue)
{
    struct guest_buffer odd[] = {{GUEST_INDIRECT, 24, VRING_DESC_F_INDIRECT}};
    struct guest_buffer empty[] = {{GUEST_INDIRECT, 0, VRING_DESC_F_INDIRECT}};
    struct guest_buffer outside[] = {{GUEST_SIZE - 16, 64, VRING_DESC_F_INDIRECT}};
    struct guest_buffer unaligned[] = {{GUEST_INDIRECT + 1, 32, VRING_DESC_F_INDIRECT}};
    struct guest_buffer followed[] = {{GUEST_INDIRECT, 32, VRING_DESC_F_INDIRECT},
                                      {GUEST_ANSWER, 64, VRING_DESC_F_WRITE}};

    guest_start(&guest, &usr);
    check_chain_breaks_queue(odd, 1);
    check_chain_breaks_queue(empty, 1);
    check_chain_breaks_queue(outside, 1);
    check_chain_breaks_queue(unaligned, 1);
    check_chain_breaks_queue(followed, 2);
    CHECK_EQ(guest_stop(&guest), 0);
}

TEST(indirect_table_within_an_indirect_table_stops_the_queue)
{
    struct guest_buffer buffers[] = {{GUEST_INDIRECT, 32, VRING_DESC_F_INDIRECT}};

    guest_start(&guest, &usr);
    guest_chain(guest_at(&guest, GUEST_INDIRECT), buffers, 1);
    check_chain_breaks_queue(buffers, 1);
    CHECK_EQ(guest_stop(&guest), 0);
}

TEST(indirect_chain_is_served)
{
    struct fuse_getattr_in in = {0};
    struct guest_buffer inner[] = {{GUEST_REQUEST, 0, 0}, {GUEST_ANSWER, 4096, VRING_DESC_F_WRITE}};
    struct guest_buffer outer = {GUEST_INDIRECT, 32, VRING_DESC_F_INDIRECT};

    guest_start(&guest, &usr);
    inner[0].size = guest_write_request(&guest, FUSE_GETATTR, FUSE_ROOT_ID, GUEST_STRUCT(in),
                                        GUEST_NONE, GUEST_NONE);
    guest_chain(guest_at(&guest, GUEST_INDIRECT), inner, 2);
    guest_chain(guest_at(&guest, GUEST_RING(1)), &outer, 1);
    guest_offer(&guest, 1, 0);
    CHECK_EQ(guest_finish(&guest), 0);
    CHECK_EQ(guest_stop(&guest), 0);
}

TEST(request_cut_into_single_bytes_is_served)
{
    enum {
        ANSWER_PIECES = 16
    };
    struct fuse_getattr_in in = {0};
    struct guest_buffer buffers[GUEST_QUEUE_SIZE];
    unsigned size, count = 0;

    guest_start(&guest, &usr);
    size = guest_write_request(&guest, FUSE_GETATTR, FUSE_ROOT_ID, GUEST_STRUCT(in), GUEST_NONE,
                               GUEST_NONE);
    for (; count < size; count++)
        buffers[count] = (struct guest_buffer){GUEST_REQUEST + count, 1, 0};
    for (unsigned i = 0; i < ANSWER_PIECES; i++)
        buffers[count++] = (struct guest_buffer){GUEST_ANSWER + i * 11, 11, VRING_DESC_F_WRITE};
    guest_chain(guest_at(&guest, GUEST_RING(1)), buffers, count);
    guest_offer(&guest, 1, 0);
    CHECK_EQ(guest_finish(&guest), 0);
    CHECK_EQ(((struct fuse_attr_out *)guest_answer(&guest))->attr.mode, S_IFDIR | 0555);
    CHECK_EQ(guest_stop(&guest), 0);
}

/* Sends raw bytes as a request; returns how many were written in answer. */
static int64_t raw_request(const void *bytes, uint32_t size, uint32_t room)
{
    struct guest_buffer buffers[] = {{GUEST_REQUEST, size, 0},
                                     {GUEST_ANSWER, room, VRING_DESC_F_WRITE}};

    memcpy(guest_at(&guest, GUEST_REQUEST), bytes, size);
    guest_chain(guest_at(&guest, GUEST_RING(1)), buffers, room ? 2 : 1);
    guest_offer(&guest, 1, 0);
    return guest_await(&guest, 1, GUEST_DEADLINE_MS);
}

TEST(request_whose_length_lies_is_given_back_unanswered)
{
    struct fuse_in_header header = {.len = 4096, .opcode = FUSE_GETATTR, .nodeid = 1};

    guest_start(&guest, &usr);
    CHECK_EQ(raw_request(&header, sizeof(header), 256), 0);
    header.len = 3;
    CHECK_EQ(raw_request(&header, sizeof(header), 256), 0);
    CHECK_EQ(raw_request(&header, 7, 256), 0);
    CHECK_EQ(guest_stop(&guest), 0);
}

TEST(request_without_room_for_an_answer_is_given_back)
{
    struct fuse_in_header header = {.len = sizeof(header), .opcode = FUSE_GETATTR, .nodeid = 1};

    guest_start(&guest, &usr);
    CHECK_EQ(raw_request(&header, sizeof(header), 0), 0);
    CHECK_EQ(raw_request(&header, sizeof(header), 8), 0);
    CHECK_EQ(raw_request(&header, sizeof(header), 16), 16);
    CHECK_EQ(((struct fuse_out_header *)guest_at(&guest, GUEST_ANSWER))->error, -EINVAL);
    CHECK_EQ(guest_stop(&guest), 0);
}

TEST(unknown_operation_is_enosys)
{
    guest_start(&guest, &usr);
    CHECK_EQ(guest_request(&guest, 9999, 1, GUEST_NONE, GUEST_NONE, GUEST_NONE), -ENOSYS);
    CHECK_EQ(guest_request(&guest, FUSE_IOCTL, 1, GUEST_NONE, GUEST_NONE, GUEST_NONE), -ENOSYS);
    CHECK_EQ(guest_request(&guest, 0, 1, GUEST_NONE, GUEST_NONE, GUEST_NONE), -ENOSYS);
    CHECK_EQ(guest_stop(&guest), 0);
}

TEST(request_with_too_few_arguments_is_einval)
{
    guest_start(&guest, &usr);
    CHECK_EQ(guest_request(&guest, FUSE_READ, 1, GUEST_NONE, GUEST_NONE, GUEST_NONE), -EINVAL);
    CHECK_EQ(guest_request(&guest, FUSE_LOOKUP, 1, GUEST_NONE, GUEST_NONE, GUEST_NONE), -EINVAL);
    CHECK_EQ(guest_stop(&guest), 0);
}

TEST(request_before_init_is_refused)
{
    guest_spawn(&guest, &usr);
    guest_connect(&guest);
    guest_send_memory(&guest);
    guest_start_queue(&guest, 1);
    CHECK_EQ(guest_getattr(&guest, FUSE_ROOT_ID, NULL), -EIO);
    CHECK_EQ(guest_stop(&guest), 0);
}

TEST(second_init_forgets_what_the_first_client_knew)
{
    uint64_t node;

    guest_start(&guest, &usr);
    node = guest_node(&guest, "0/bin");
    CHECK_EQ(guest_getattr(&guest, node, NULL), 0);
    CHECK_EQ(guest_init(&guest, 0), 0);
    CHECK_EQ(guest_getattr(&guest, node, NULL), -ESTALE);
    CHECK_EQ(guest_stop(&guest), 0);
}

TEST(event_index_says_when_each_side_wants_to_hear)
{
    struct fuse_getattr_in in = {0};
    struct vring_avail *available;
    struct vring_used *used;
    struct guest_buffer buffers[] = {{GUEST_REQUEST, 0, 0},
                                     {GUEST_ANSWER, 4096, VRING_DESC_F_WRITE}};
    struct pollfd call = {.events = POLLIN};
    uint64_t count;

    guest_spawn(&guest, &usr);
    guest_connect(&guest);
    guest_send_number(&guest, 2, VIRTIO_VERSION_1 | PROTOCOL_FEATURES | 1ull << 29);
    guest_send_memory(&guest);
    guest_start_queue(&guest, 1);
    available = guest_at(&guest, GUEST_RING(1) + GUEST_AVAILABLE);
    used = guest_at(&guest, GUEST_RING(1) + GUEST_USED);
    CHECK_EQ(guest_init(&guest, 0), 0);
    guest_settle(&guest);
    CHECK_EQ(*(uint16_t *)&used->ring[GUEST_QUEUE_SIZE], guest.available[1]);

    available->ring[GUEST_QUEUE_SIZE] = (uint16_t)(guest.used[1] + 1); /* after the second one */
    call.fd = guest.call_fds[1];
    if (read(call.fd, &count, sizeof(count)) < 0) /* what is left of INIT's */
        CHECK_EQ(errno, EAGAIN);
    buffers[0].size = guest_write_request(&guest, FUSE_GETATTR, FUSE_ROOT_ID, GUEST_STRUCT(in),
                                          GUEST_NONE, GUEST_NONE);
    guest_chain(guest_at(&guest, GUEST_RING(1)), buffers, 2);
    guest_offer(&guest, 1, 0);
    CHECK_EQ(poll(&call, 1, QUICKLY_MS), 0);
    CHECK_EQ(used->idx, (uint16_t)(guest.used[1] + 1));
    guest_offer(&guest, 1, 0);
    CHECK_EQ(poll(&call, 1, GUEST_DEADLINE_MS), 1);
    CHECK_EQ(guest_stop(&guest), 0);
}

TEST(memory_table_sent_again_moves_running_queues)
{
    guest_start(&guest, &usr);
    guest_send_memory(&guest);
    CHECK_EQ(guest_getattr(&guest, FUSE_ROOT_ID, NULL), 0);
    CHECK_EQ(guest_stop(&guest), 0);
}

TEST(random_messages_never_crash_the_server)
{
    enum {
        ROUNDS = 60,
        MESSAGES = 20
    };

    srandom(7);
    for (int round = 0; round < ROUNDS; round++) {
        int status;

        guest_spawn(&guest, &usr);
        for (int i = 0; i < MESSAGES; i++) {
            uint64_t payload[40];
            int fds[] = {guest.memory_fd, guest.kick_fds[0], guest.call_fds[0]};

            for (size_t j = 0; j < sizeof(payload) / sizeof(payload[0]); j++)
                payload[j] = random() % 3 ? (uint64_t)(random() % 4) : (uint64_t)random() << 20;
            guest_send(&guest, (uint32_t)(random() % 20), random() % 2 ? 8 : 0, payload,
                       (uint32_t)(random() % 4 ? 8 * (random() % 10) : random() % 300), fds,
                       (unsigned)(random() % 3));
        }
        status = guest_stop(&guest);
        CHECK(status == 0 || status == EPROTO);
    }
}
