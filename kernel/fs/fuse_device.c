/*
 * Requests to the host's file server: a virtio-fs device (virtio 1.2, 5.11) that speaks FUSE.
 *
 *     caller -> request -> request queue (1) -> server
 *        waits on request.queue <- interrupt <- used ring
 *
 * A request's memory is the device's until its answer comes, so a caller waits for it whatever
 * signals it gets; the server is on this machine and answers every request, with an error at worst.
 * When the queue is full, callers wait for room: the interrupt takes answers off first and wakes
 * then, and a caller tries under the same lock that the wake-up takes, so none is missed.
 *
 *     caller                                   interrupt
 *     room.lock: push? -ENOSPC                 pop, pop, ...
 *     waits on room (lets go of the lock)      room.lock: wakes all
 *     room.lock: push? there is room
 *
 * `done` is set under request.queue's lock and read under it: the caller that sees it frees the
 * request, and the interrupt has let go of the lock by then.
 *
 * The answer is as trustworthy as the server: its length and number are checked here (virtqueue_pop
 * bounds the length by what the request had room for), its content by whoever asked.
 *
 * Locking: device.room.lock orders pushes against the interrupt that makes room; request.queue's
 *          guards `done`.
 * Context: callers sleep and must not hold a spinlock; fuse_forget alone does not wait.
 */
#include <pith/fs.h>

#include "fuse.h"

#define QUEUE_HIGH_PRIORITY 0
#define QUEUE_REQUESTS      1
#define QUEUE_SIZE          1024
#define TAG_BYTES           36

/* The machine's file server: there is one at most. */
static struct {
    struct virtqueue *requests, *forgets; /* [const] after probe; NULL: no device */
    char tag[TAG_BYTES + 1];              /* [const] after probe */
    struct wait_queue room;               /* who waits for the request queue to have room */
    u64 unique;                           /* [atomic] numbers requests */
    struct slab_cache *cache;             /* [const] of requests */
    struct slab_cache *forget_cache;      /* [const] of FORGETs, which nobody waits for */
} device;

struct forget_request {
    struct fuse_in_header in;
    struct fuse_forget_in forget;
};

bool fuse_device_exists(const char *tag)
{
    return device.requests && strcmp(device.tag, tag) == 0;
}

/* ---- Making a request ---- */

static void header_init(struct fuse_in_header *header, enum fuse_opcode opcode, u64 node)
{
    const struct credentials *credentials = thread_current()->credentials;

    *header = (struct fuse_in_header){
        .opcode = opcode,
        .unique = __atomic_add_fetch(&device.unique, 2, __ATOMIC_RELAXED),
        .nodeid = node,
        .uid = credentials ? credentials->fsuid : 0,
        .gid = credentials ? credentials->fsgid : 0,
    };
}

struct fuse_request *fuse_request_alloc(enum fuse_opcode opcode, u64 node)
{
    struct fuse_request *request = slab_alloc(device.cache, 0);

    if (!request)
        return NULL;
    header_init(&request->in, opcode, node);
    request->out = (struct fuse_out_header){0};
    request->argument_bytes = request->answer_bytes = 0;
    request->pieces = NULL;
    request->piece_count = 0;
    request->pieces_are_read = false;
    request->written_bytes = 0;
    request->done = false;
    wait_queue_init(&request->queue);
    return request;
}

void fuse_request_free(struct fuse_request *request)
{
    slab_free(device.cache, request);
}

void fuse_request_add(struct fuse_request *request, const void *bytes, size_t count)
{
    assert(count <= FUSE_ARGUMENTS_MAX - request->argument_bytes);
    if (count)
        memcpy(request->arguments + request->argument_bytes, bytes, count);
    request->argument_bytes += count;
}

void fuse_request_add_name(struct fuse_request *request, const struct dentry *dentry)
{
    fuse_request_add(request, dentry_name(dentry), dentry_name_bytes(dentry));
    fuse_request_add(request, "", 1);
}

/* ---- Sending ---- */

/* The request as pieces: what the server reads, then what it writes. Returns the counts. */
static void pieces_fill(struct fuse_request *request, struct virtio_piece *pieces,
                        u32 *readable_out, u32 *writable_out)
{
    u32 used = 0, extra_bytes = 0;

    pieces[used++] = (struct virtio_piece){virt_to_phys(&request->in), sizeof(request->in)};
    if (request->argument_bytes)
        pieces[used++] =
            (struct virtio_piece){virt_to_phys(request->arguments), request->argument_bytes};
    for (u32 i = 0; i < request->piece_count; i++)
        extra_bytes += request->pieces[i].bytes;
    for (u32 i = 0; request->pieces_are_read && i < request->piece_count; i++)
        pieces[used++] = request->pieces[i];
    *readable_out = used;
    pieces[used++] = (struct virtio_piece){virt_to_phys(&request->out), sizeof(request->out)};
    if (request->answer_bytes)
        pieces[used++] =
            (struct virtio_piece){virt_to_phys(request->answer), request->answer_bytes};
    for (u32 i = 0; !request->pieces_are_read && i < request->piece_count; i++)
        pieces[used++] = request->pieces[i];
    *writable_out = used - *readable_out;
    request->in.len = sizeof(request->in) + request->argument_bytes +
                      (request->pieces_are_read ? extra_bytes : 0);
}

static int request_push(struct fuse_request *request)
{
    struct virtio_piece pieces[FUSE_PAGES_MAX + 4];
    u32 readable, writable;
    int error;

    assert(request->piece_count <= FUSE_PAGES_MAX);
    pieces_fill(request, pieces, &readable, &writable);
    spin_lock(&device.room.lock);
    while ((error = virtqueue_push(device.requests, pieces, readable, writable, request)) ==
           -ENOSPC) {
        int interrupted = wait_queue_wait(&device.room, WAIT_UNINTERRUPTIBLE, WAIT_FOR_FILE);

        assert(!interrupted);
    }
    spin_unlock(&device.room.lock);
    if (!error)
        virtqueue_notify(device.requests);
    return error;
}

static void request_wait(struct fuse_request *request)
{
    spin_lock(&request->queue.lock);
    while (!request->done) {
        int interrupted = wait_queue_wait(&request->queue, WAIT_UNINTERRUPTIBLE, WAIT_FOR_FILE);

        assert(!interrupted);
    }
    spin_unlock(&request->queue.lock);
}

/* What the server's header says. -EIO: it is not an answer to this request. */
static int answer_check(const struct fuse_request *request)
{
    const struct fuse_out_header *out = &request->out;

    if (request->written_bytes < sizeof(*out) || out->len != request->written_bytes ||
        out->unique != request->in.unique || out->error > 0 || out->error < -4095)
        return -EIO;
    return out->error;
}

int fuse_request_call(struct fuse_request *request)
{
    int error = request_push(request);

    if (error)
        return error;
    request_wait(request);
    error = answer_check(request);
    if (error)
        return error;
    request->written_bytes -= sizeof(request->out);
    request->answer_bytes = MIN(request->answer_bytes, request->written_bytes);
    return 0;
}

int fuse_call(enum fuse_opcode opcode, u64 node, const void *arguments, size_t argument_bytes,
              void *answer, size_t answer_bytes)
{
    struct fuse_request *request = fuse_request_alloc(opcode, node);
    int error;

    if (!request)
        return -ENOMEM;
    fuse_request_add(request, arguments, argument_bytes);
    assert(answer_bytes <= FUSE_ANSWER_MAX);
    request->answer_bytes = answer_bytes;
    error = fuse_request_call(request);
    if (!error && request->answer_bytes != answer_bytes)
        error = -EIO;
    if (!error && answer_bytes)
        memcpy(answer, request->answer, answer_bytes);
    fuse_request_free(request);
    return error;
}

void fuse_forget(u64 node, u64 lookups)
{
    struct forget_request *request = slab_alloc(device.forget_cache, 0);
    struct virtio_piece piece = {virt_to_phys(request), sizeof(*request)};

    if (!request)
        return;
    header_init(&request->in, FUSE_FORGET, node);
    request->in.len = sizeof(*request);
    request->forget.nlookup = lookups;
    if (virtqueue_push(device.forgets, &piece, 1, 0, request))
        slab_free(device.forget_cache, request);
    else
        virtqueue_notify(device.forgets);
}

/* ---- Answers ---- */

static void requests_interrupt(struct virtqueue *queue)
{
    struct fuse_request *request;
    u32 written;

    while ((request = virtqueue_pop(queue, &written))) {
        spin_lock(&request->queue.lock);
        request->written_bytes = written;
        request->done = true;
        wait_queue_wake_locked(&request->queue, WAKE_ALL, 0);
        /* From here on its owner may free it. */
        spin_unlock(&request->queue.lock);
    }
    spin_lock(&device.room.lock);
    wait_queue_wake_locked(&device.room, WAKE_ALL, 0);
    spin_unlock(&device.room.lock);
}

static void forgets_interrupt(struct virtqueue *queue)
{
    struct forget_request *request;
    u32 written;

    while ((request = virtqueue_pop(queue, &written)))
        slab_free(device.forget_cache, request);
}

static int fuse_probe(struct virtio_device *virtio)
{
    int error;

    if (device.requests)
        return -EBUSY;
    virtio_config_read(virtio, 0, device.tag, TAG_BYTES);
    error = virtqueue_create(virtio, QUEUE_HIGH_PRIORITY, QUEUE_SIZE, forgets_interrupt,
                             &device.forgets);
    if (error)
        return error;
    error =
        virtqueue_create(virtio, QUEUE_REQUESTS, QUEUE_SIZE, requests_interrupt, &device.requests);
    if (error)
        return error;
    if (virtqueue_size(device.requests) < FUSE_PAGES_MAX + 4) {
        device.requests = NULL;
        return -ENODEV;
    }
    virtio_device_ready(virtio);
    return 0;
}

static const struct virtio_driver fuse_driver = {
    .name = "host's files",
    .kind = VIRTIO_FILE_SYSTEM,
    .probe = fuse_probe,
};

void fuse_device_init(void)
{
    wait_queue_init(&device.room);
    device.cache = slab_cache_create("fuse_request", sizeof(struct fuse_request), 0);
    device.forget_cache = slab_cache_create("fuse_forget", sizeof(struct forget_request), 0);
    if (!device.cache || !device.forget_cache)
        panic("no memory for the caches of file requests");
    virtio_driver_register(&fuse_driver);
}
