/*
 * The strings of exec: arguments and environment, copied out of the old program before it goes.
 *
 * They lie in one kernel buffer exactly as they will lie on the new stack, so one copy puts them
 * there:
 *
 *     buffer   | argv[0] NUL argv[1] NUL ... | envp[0] NUL ... |
 *               <------ argument_bytes ----->
 *
 * The buffer grows by doubling. The sum, the pointers to the strings included, is limited to a
 * quarter of RLIMIT_STACK, but to no less than 128 KiB and no more than STRINGS_MAX; one string to
 * 128 KiB (execve(2), "Limits on size of arguments and environment"). Beyond that it is -E2BIG.
 * Another thread may write to the strings meanwhile: each is copied once, and its end is found in
 * the copy.
 *
 * Context: sleeps (user memory, allocation). A killed caller stops copying.
 */
#include "exec.h"

#define STRING_BYTES_MAX (32 * PAGE_SIZE)
#define STRINGS_MIN      (32 * PAGE_SIZE)
#define STRINGS_MAX      (2ul << 20) /* a quarter of the usual 8 MiB; our buffer lies in one piece */

void exec_strings_init(struct exec_strings *strings)
{
    u64 limit = limit_soft(RLIMIT_STACK) / 4;

    *strings = (struct exec_strings){.limit = MAX(STRINGS_MIN, MIN(limit, STRINGS_MAX))};
}

void exec_strings_fini(struct exec_strings *strings)
{
    kfree(strings->buffer);
}

/* Makes room for at least one byte more. */
static int grow(struct exec_strings *strings)
{
    size_t size = strings->size ? strings->size * 2 : PAGE_SIZE;
    char *larger;

    if (strings->size >= strings->limit)
        return -E2BIG;
    larger = kmalloc(size, 0);
    if (!larger)
        return -ENOMEM;
    if (strings->buffer)
        memcpy(larger, strings->buffer, strings->bytes);
    kfree(strings->buffer);
    strings->buffer = larger;
    strings->size = size;
    return 0;
}

/* A string that does not end within the room grows the buffer and is read again from its start. */
static int append_user(struct exec_strings *strings, struct user_ptr from)
{
    for (;;) {
        size_t room = MIN(strings->size - strings->bytes, STRING_BYTES_MAX);
        ssize_t length = -ENAMETOOLONG;
        int error;

        if (room)
            length = copy_in_string(strings->buffer + strings->bytes, from, room);
        if (length >= 0) {
            strings->bytes += length + 1;
            return 0;
        }
        if (length != -ENAMETOOLONG)
            return length;
        error = room == STRING_BYTES_MAX ? -E2BIG : grow(strings);
        if (error)
            return error;
    }
}

/* init's own: they are known not to change. */
static int append_kernel(struct exec_strings *strings, const char *text)
{
    size_t bytes = strlen(text) + 1;

    while (strings->size - strings->bytes < bytes) {
        int error = grow(strings);

        if (error)
            return error;
    }
    memcpy(strings->buffer + strings->bytes, text, bytes);
    strings->bytes += bytes;
    return 0;
}

/* The pointers on the stack count too. */
static int check_limit(const struct exec_strings *strings)
{
    u64 pointers = strings->argument_count + strings->environment_count;

    return strings->bytes + pointers * sizeof(u64) > strings->limit ? -E2BIG : 0;
}

/* A killed caller stops: strings may be many, and their pages may have to be read. */
static int append_vector(struct exec_strings *strings, struct user_ptr vector, u32 *count_out)
{
    int error = 0;

    while (!error && !user_ptr_is_null(vector)) {
        struct user_ptr text;

        error = copy_in(&text, vector, sizeof(text));
        if (error || user_ptr_is_null(text))
            break;
        error = append_user(strings, text);
        ++*count_out;
        if (!error)
            error = check_limit(strings);
        vector = user_ptr_add(vector, sizeof(text));
        if (fatal_signal_is_pending())
            error = -EINTR;
    }
    return error;
}

static int append_kernel_vector(struct exec_strings *strings, const char *const *vector,
                                u32 *count_out)
{
    int error = 0;

    for (; !error && vector && *vector; vector++, ++*count_out)
        error = append_kernel(strings, *vector);
    return error;
}

static int append_both(struct exec_strings *strings, struct user_ptr user,
                       const char *const *kernel, u32 *count_out)
{
    if (kernel)
        return append_kernel_vector(strings, kernel, count_out);
    return append_vector(strings, user, count_out);
}

/* Arguments first, so that argument_bytes is where the environment begins. */
int exec_strings_copy(struct exec_strings *strings, const struct exec_request *request)
{
    int error = append_both(strings, request->arguments, request->kernel_arguments,
                            &strings->argument_count);

    /* A program without even its own name is given an empty one (execve(2), "NULL argv"). */
    if (!error && strings->argument_count == 0) {
        error = append_kernel(strings, "");
        strings->argument_count = 1;
    }
    if (error)
        return error;
    strings->argument_bytes = strings->bytes;
    return append_both(strings, request->environment, request->kernel_environment,
                       &strings->environment_count);
}

/* In place: the strings behind move up or down. */
int exec_strings_replace_first(struct exec_strings *strings, const char *head, size_t bytes,
                               u32 count)
{
    size_t first = strlen(strings->buffer) + 1;

    while (strings->bytes - first + bytes > strings->size) {
        int error = grow(strings);

        if (error)
            return error;
    }
    memmove(strings->buffer + bytes, strings->buffer + first, strings->bytes - first);
    memcpy(strings->buffer, head, bytes);
    strings->bytes += bytes - first;
    strings->argument_bytes += bytes - first;
    strings->argument_count += count - 1;
    return 0;
}
