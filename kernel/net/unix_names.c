/*
 * Names of unix sockets (unix(7)), and who is bound to them.
 *
 *     path         a file of type socket; the socket is found by the file's inode
 *     abstract     bytes after a NUL, in a name space of each type of socket; no file
 *     unnamed      neither
 *
 * A socket is bound once and keeps its address for its life; the connections that a listener
 * accepts share it. So an address is set once, under the lock here, and read without it by whoever
 * has a reference on the socket. A socket that is bound to a file holds its path: the inode stays,
 * also when the name is removed.
 *
 * Locking: names_lock guards the table, the list of all sockets, and the change from no address to
 *          one; who finds a socket takes a reference under it, which the socket has until after
 *          it left the table. setup_lock is held while the file is made, so no two binds meet.
 */
#include "unix.h"

#include <pith/abi/errno.h>
#include <pith/file_calls.h>
#include <pith/mem.h>
#include <pith/proc_fs.h>
#include <pith/string.h>

#define BUCKETS         256u
#define AUTOBIND_NAMES  (1u << 20) /* five hexadecimal digits */
#define AUTOBIND_DIGITS 5u

static struct spinlock names_lock = SPINLOCK_INIT(LOCK_SOCKET_NAMES);
static struct list buckets[BUCKETS];     /* guarded_by(&names_lock) bound sockets, by name_link */
static struct list all = LIST_INIT(all); /* guarded_by(&names_lock) by all_link */
static u32 all_count;                    /* guarded_by(&names_lock) */
static u32 autobind_next;                /* guarded_by(&names_lock) */

s64 unix_queue_max = UNIX_QUEUE_DEFAULT;

/* ---- Addresses ---- */

/* Of the family, and with a name (or, for bind, without: autobind). */
static int address_check(const struct socket_address *address)
{
    if (address->bytes <= SUN_PATH_OFFSET || address->bytes > sizeof(struct abi_sockaddr_un) ||
        address->family != AF_UNIX)
        return -EINVAL;
    return 0;
}

static bool is_abstract(const struct unix_address *address)
{
    return address->name.path[0] == '\0';
}

/* A path ends at its first NUL or with the address; its NUL counts (unix(7), getsockname). */
static struct unix_address *address_create(const struct socket_address *from)
{
    struct unix_address *address = kmalloc(sizeof(*address), ALLOC_CLEARED);

    if (!address)
        return NULL;
    refcount_set(&address->references, 1);
    memcpy(&address->name, &from->local, from->bytes);
    address->bytes = from->bytes;
    if (!is_abstract(address))
        address->bytes = SUN_PATH_OFFSET + (u32)strlen(address->name.path) + 1;
    return address;
}

void unix_address_put(struct unix_address *address)
{
    if (refcount_dec_is_zero(&address->references))
        kfree(address);
}

void unix_address_tell(const struct unix_socket *local, struct socket_address *address_out)
{
    /* Pairs with the release in bind_publish. */
    const struct unix_address *address = __atomic_load_n(&local->address, __ATOMIC_ACQUIRE);

    address_out->family = AF_UNIX;
    address_out->bytes = SUN_PATH_OFFSET;
    if (!address)
        return;
    address_out->bytes = address->bytes;
    memcpy(address_out->raw, &address->name, address->bytes);
}

/* ---- The table ---- */

static struct list *bucket_of_abstract(const struct unix_address *address)
{
    u32 hash = 2166136261u; /* FNV-1a */

    for (u32 i = SUN_PATH_OFFSET; i < address->bytes; i++)
        hash = (hash ^ ((const u8 *)&address->name)[i]) * 16777619u;
    return &buckets[hash % BUCKETS];
}

static struct list *bucket_of_inode(const struct inode *inode)
{
    return &buckets[((u64)inode / sizeof(*inode)) % BUCKETS];
}

static struct unix_socket *find_abstract_locked(const struct unix_address *address, u16 type)
    must_hold(&names_lock)
{
    struct unix_socket *local;

    list_for_each (local, bucket_of_abstract(address), name_link) {
        if (!local->path.dentry && local->socket.type == type &&
            local->address->bytes == address->bytes &&
            !memcmp(&local->address->name, &address->name, address->bytes))
            return local;
    }
    return NULL;
}

static struct unix_socket *find_inode_locked(const struct inode *inode) must_hold(&names_lock)
{
    struct unix_socket *local;

    list_for_each (local, bucket_of_inode(inode), name_link)
        if (local->path.dentry && path_inode(&local->path) == inode)
            return local;
    return NULL;
}

void unix_names_add(struct unix_socket *local)
{
    list_init(&local->name_link);
    spin_lock(&names_lock);
    list_push_back(&all, &local->all_link);
    all_count++;
    spin_unlock(&names_lock);
}

void unix_names_remove(struct unix_socket *local)
{
    struct path path;

    spin_lock(&names_lock);
    list_remove(&local->all_link);
    all_count--;
    list_remove(&local->name_link);
    path = local->path;
    local->path = (struct path){0};
    spin_unlock(&names_lock);
    if (path.dentry)
        path_put(&path);
}

/* ---- Binding; setup_lock is held, and the socket has no address ---- */

/* Takes over the address and the path (NULL: abstract). -EADDRINUSE: that name is taken. */
static int bind_publish(struct unix_socket *local, struct unix_address *address,
                        const struct path *path)
{
    struct list *bucket = path ? bucket_of_inode(path_inode(path)) : bucket_of_abstract(address);
    int error = 0;

    spin_lock(&names_lock);
    if (!path && find_abstract_locked(address, local->socket.type)) {
        error = -EADDRINUSE;
    } else {
        if (path)
            local->path = *path;
        __atomic_store_n(&local->address, address, __ATOMIC_RELEASE);
        list_push_back(bucket, &local->name_link);
    }
    spin_unlock(&names_lock);
    return error;
}

/* The file is made first: its name is what keeps two sockets from one address (-EADDRINUSE). */
static int bind_path(struct unix_socket *local, struct unix_address *address)
{
    struct path path;
    int error = name_mknod(NULL, address->name.path, S_IFSOCK | mode_for_creation(0777), 0, &path);

    if (error)
        return error == -EEXIST ? -EADDRINUSE : error;
    return bind_publish(local, address, &path);
}

static int bind_locked(struct unix_socket *local, const struct socket_address *from)
{
    struct unix_address *address;
    int error;

    if (local->address)
        return -EINVAL;
    address = address_create(from);
    if (!address)
        return -ENOMEM;
    error = is_abstract(address) ? bind_publish(local, address, NULL) : bind_path(local, address);
    if (error)
        unix_address_put(address);
    return error;
}

/* Takes the next free of the names of five digits. -ENOSPC: all are in use. */
static int autobind_locked(struct unix_socket *local)
{
    struct unix_address *address = kmalloc(sizeof(*address), ALLOC_CLEARED);

    if (!address)
        return -ENOMEM;
    refcount_set(&address->references, 1);
    address->name.family = AF_UNIX;
    address->bytes = SUN_PATH_OFFSET + 1 + AUTOBIND_DIGITS;
    for (u32 tries = 0; tries < AUTOBIND_NAMES; tries++) {
        u32 number = __atomic_fetch_add(&autobind_next, 1, __ATOMIC_RELAXED) % AUTOBIND_NAMES;

        format_text(address->name.path + 1, sizeof(address->name.path) - 1, "%05x", number);
        if (!bind_publish(local, address, NULL))
            return 0;
    }
    unix_address_put(address);
    return -ENOSPC;
}

int unix_bind_if_needed(struct unix_socket *local)
{
    int error;

    if (likely(!socket_has_flag(&local->socket, SOCKET_FLAG_PASS_CREDENTIALS)) || local->address)
        return 0;
    mutex_lock(&local->setup_lock);
    error = local->address ? 0 : autobind_locked(local);
    mutex_unlock(&local->setup_lock);
    return error;
}

/*
 * -EINVAL: it has an address, or that is none; -EADDRINUSE; -ENOSPC: no name for one that asks for
 * any; what the path gives.
 */
int unix_bind(struct socket *socket, const struct socket_address *address)
{
    struct unix_socket *local = unix_of(socket);
    bool is_autobind = address->bytes == SUN_PATH_OFFSET && address->family == AF_UNIX;
    int error = is_autobind ? 0 : address_check(address);

    if (error)
        return error;
    mutex_lock(&local->setup_lock);
    if (!is_autobind)
        error = bind_locked(local, address);
    else if (!local->address)
        error = autobind_locked(local);
    mutex_unlock(&local->setup_lock);
    return error;
}

/* ---- Finding ---- */

static int find_path(const struct unix_address *address, u16 type, struct unix_socket **unix_out)
{
    struct unix_socket *local;
    struct path path;
    int error = path_find(NULL, address->name.path, LOOKUP_FOLLOW, &path);

    if (error)
        return error;
    error = path_permission(&path, MAY_WRITE);
    if (!error && (path_inode(&path)->mode & S_IFMT) != S_IFSOCK)
        error = -ECONNREFUSED;
    if (error)
        goto put_path;
    spin_lock(&names_lock);
    local = find_inode_locked(path_inode(&path));
    if (!local)
        error = -ECONNREFUSED;
    else if (local->socket.type != type)
        error = -EPROTOTYPE;
    else
        unix_get(local);
    spin_unlock(&names_lock);
    if (!error)
        *unix_out = local;
put_path:
    path_put(&path);
    return error;
}

static int find_abstract(const struct unix_address *address, u16 type,
                         struct unix_socket **unix_out)
{
    struct unix_socket *local;

    spin_lock(&names_lock);
    local = find_abstract_locked(address, type);
    if (local)
        unix_get(local);
    spin_unlock(&names_lock);
    if (!local)
        return -ECONNREFUSED;
    *unix_out = local;
    return 0;
}

int unix_find(const struct socket_address *address, u16 type, struct unix_socket **unix_out)
{
    struct unix_address *wanted;
    int error = address_check(address);

    if (error)
        return error;
    wanted = address_create(address);
    if (!wanted)
        return -ENOMEM;
    error = is_abstract(wanted) ? find_abstract(wanted, type, unix_out)
                                : find_path(wanted, type, unix_out);
    unix_address_put(wanted);
    return error;
}

/* ---- /proc/net/unix ---- */

#define STATE_UNCONNECTED 1u /* enum socket_state of Linux's net.h */
#define STATE_CONNECTED   3u
#define FLAG_LISTENING    0x10000u /* __SO_ACCEPTCON */

/* All sockets with a reference each. NULL: no memory. */
static struct unix_socket **all_get(u32 *count_out)
{
    struct unix_socket **found = NULL, *local;
    u32 room = READ_ONCE(all_count), count = 0;

    for (;;) {
        kfree(found);
        found = kmalloc((room + 1) * sizeof(found[0]), 0);
        if (!found)
            return NULL;
        spin_lock(&names_lock);
        if (all_count <= room)
            break;
        room = all_count;
        spin_unlock(&names_lock);
    }
    list_for_each (local, &all, all_link) {
        unix_get(local);
        found[count++] = local;
    }
    spin_unlock(&names_lock);
    *count_out = count;
    return found;
}

static void show_name(struct text_sink *sink, const struct unix_address *address)
{
    u32 bytes = address->bytes - SUN_PATH_OFFSET - (is_abstract(address) ? 0 : 1);

    text_print(sink, " ");
    for (u32 i = 0; i < bytes; i++)
        text_print(sink, "%c", address->name.path[i] ? address->name.path[i] : '@');
}

static void show_one(struct text_sink *sink, struct unix_socket *local)
{
    enum unix_state state = READ_ONCE(local->state);
    const struct unix_address *address = __atomic_load_n(&local->address, __ATOMIC_ACQUIRE);

    /* The address in the kernel is nobody's business: %pK of a restricted Linux. */
    text_print(sink, "%016x: %08X %08X %08X %04X %02X %5lu", 0u,
               refcount_read(&local->socket.references) - 1, 0u,
               state == UNIX_LISTENING ? FLAG_LISTENING : 0u, (unsigned)local->socket.type,
               state == UNIX_CONNECTED ? STATE_CONNECTED : STATE_UNCONNECTED,
               READ_ONCE(local->socket.inode_number));
    if (address)
        show_name(sink, address);
    text_print(sink, "\n");
}

static int show_sockets(struct text_sink *sink, void *argument)
{
    u32 count;
    struct unix_socket **found = all_get(&count);

    if (!found)
        return -ENOMEM;
    text_print(sink, "Num       RefCount Protocol Flags    Type St Inode Path\n");
    for (u32 i = 0; i < count; i++) {
        show_one(sink, found[i]);
        unix_put(found[i]);
    }
    kfree(found);
    return 0;
}

void unix_names_init(void)
{
    for (u32 i = 0; i < BUCKETS; i++)
        list_init(&buckets[i]);
    autobind_next = (u32)random_u64();
    if (proc_register("net/unix", 0444, show_sockets, NULL))
        panic("no memory for the names in /proc");
}
