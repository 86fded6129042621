/*
 * Scripts: a file that begins with "#!" names the program that is to run it.
 *
 *     #!/bin/sh -e   as  ./x a b   becomes   /bin/sh "-e" ./x a b
 *
 * All behind the interpreter's name is one argument, blanks at its ends cut (execve(2),
 * "Interpreter scripts"). Only the first EXEC_HEAD_BYTES are looked at: a longer line loses the end
 * of its argument, but never of its name (-ENOEXEC). An interpreter may be a script again, up to
 * SCRIPTS_MAX deep (-ELOOP); the arguments grow at their front each time.
 *
 * A script's set-id bits do nothing, for the rights are taken from the file that is mapped at the
 * end: between the kernel's look at a script and the interpreter's, its name could be given to
 * another.
 */
#include "exec.h"

#define SCRIPTS_MAX 5

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Fills exec->head; what the file does not have is 0. */
static int read_head(struct exec *exec)
{
    ssize_t bytes;

    memset(exec->head, 0, sizeof(exec->head));
    bytes = file_read_kernel(exec->program.file, exec->head, sizeof(exec->head), 0);
    return MIN(bytes, 0);
}

/*
 * Cuts the first line into name and argument (NULL: none), in place. A line that is longer than
 * the head is accepted only if the name ends within it.
 */
static int parse_line(char *head, char **name_out, char **argument_out)
{
    char *line = head + 2, *end = memchr(line, '\n', EXEC_HEAD_BYTES - 2), *cut;

    if (!end)
        end = memchr(line, '\0', EXEC_HEAD_BYTES - 2);
    if (!end)
        end = head + EXEC_HEAD_BYTES - 1;
    *end = '\0';
    while (end > line && is_blank(end[-1]))
        *--end = '\0';
    while (is_blank(*line))
        line++;
    if (!*line)
        return -ENOEXEC;
    *name_out = line;
    *argument_out = NULL;
    for (cut = line; *cut && !is_blank(*cut); cut++)
        continue;
    if (!*cut) /* no argument: the name must have ended, not the head */
        return cut == head + EXEC_HEAD_BYTES - 1 ? -ENOEXEC : 0;
    *cut++ = '\0';
    while (is_blank(*cut))
        cut++;
    *argument_out = *cut ? cut : NULL;
    return 0;
}

/* Name, argument and the script's own path take the place of the first argument. */
static int substitute(struct exec *exec, const char *name, const char *argument)
{
    size_t name_bytes = strlen(name) + 1, argument_bytes = argument ? strlen(argument) + 1 : 0;
    size_t path_bytes = strlen(exec->script_path) + 1;
    size_t bytes = name_bytes + argument_bytes + path_bytes;
    char *head = kmalloc(bytes, 0);
    int error;

    if (!head)
        return -ENOMEM;
    memcpy(head, name, name_bytes);
    if (argument)
        memcpy(head + name_bytes, argument, argument_bytes);
    memcpy(head + name_bytes + argument_bytes, exec->script_path, path_bytes);
    error = exec_strings_replace_first(&exec->strings, head, bytes, argument ? 3 : 2);
    kfree(head);
    return error;
}

/* The strings are changed before the interpreter is opened: an error ends exec anyway. */
static int enter_interpreter(struct exec *exec)
{
    char *name, *argument;
    struct file *file;
    int error = parse_line(exec->head, &name, &argument);

    if (!error)
        error = substitute(exec, name, argument);
    if (!error)
        error = file_open_executable(NULL, name, LOOKUP_FOLLOW, &file);
    if (error)
        return error;
    file_put(exec->program.file);
    exec->program.file = file;
    if (string_copy(exec->script_path, name, sizeof(exec->script_path)) < 0)
        return -ENAMETOOLONG;
    return 0;
}

int exec_resolve_scripts(struct exec *exec)
{
    for (int depth = 0; depth <= SCRIPTS_MAX; depth++) {
        int error = read_head(exec);

        if (error)
            return error;
        if (memcmp(exec->head, ELF_MAGIC, 4) == 0)
            return 0;
        if (memcmp(exec->head, "#!", 2) != 0)
            return -ENOEXEC;
        error = enter_interpreter(exec);
        if (error)
            return error;
    }
    return -ELOOP;
}
