/*
 * What programs asked for and Pith lacks, for `pith run --missing`: /proc/pith/missing has a line
 * for each call or flag and program, `COUNT\tPROGRAM\tCALL`.
 *
 * Two things count: a call that is absent, and a call that the table has as PARTIAL (some flag or
 * command of it is not built) that was refused with an error that says so. For those the arguments
 * that are numbers rather than addresses or sizes are part of the name, and what the table says the
 * call lacks stands beside it. So no handler has to report what it does not know.
 *
 * The table is small and never shrinks: what does not fit is only counted. Looking a line up is
 * linear; it happens only on the way of a failed call.
 *
 * Locking: missing.lock, a leaf.
 */
#include "missing.h"

#include <pith/core.h>
#include <pith/proc.h>
#include <pith/proc_fs.h>

#define LINES_MAX      256
#define ARGUMENTS_KEPT 4

struct missing_line {
    u64 number, count;
    u64 arguments[ARGUMENTS_KEPT]; /* of a refused call: those that are numbers; else 0 */
    bool is_refused;               /* the call is there, and lacks something */
    char program[THREAD_NAME_BYTES];
};

static struct {
    struct spinlock lock;
    struct missing_line lines[LINES_MAX]; /* guarded_by(&lock) */
    u32 count;                            /* guarded_by(&lock) */
    u64 unlisted;                         /* guarded_by(&lock) calls for which there was no line */
} missing = {.lock = SPINLOCK_INIT(LOCK_LEAF)};

static bool argument_is_number(u64 number, u32 index)
{
    enum argument_kind kind = syscalls[number].arguments[index];

    return kind == ARG_INT || kind == ARG_FLAGS;
}

static bool line_is(const struct missing_line *line, const struct missing_line *wanted)
{
    return line->number == wanted->number && line->is_refused == wanted->is_refused &&
           memcmp(line->arguments, wanted->arguments, sizeof(line->arguments)) == 0 &&
           strcmp(line->program, wanted->program) == 0;
}

static void note(struct missing_line *wanted)
{
    u32 at = 0;

    process_name(process_current(), wanted->program);
    spin_lock(&missing.lock);
    while (at < missing.count && !line_is(&missing.lines[at], wanted))
        at++;
    if (at == missing.count && at < LINES_MAX)
        missing.lines[missing.count++] = *wanted;
    if (at < LINES_MAX)
        missing.lines[at].count++;
    else
        missing.unlisted++;
    spin_unlock(&missing.lock);
}

void missing_note_absent(u64 number)
{
    struct missing_line line = {.number = number};

    note(&line);
}

void missing_note_refused(const struct syscall_args *args, u64 number, long error)
{
    static const int errors[] = {ENOSYS, EINVAL, EOPNOTSUPP, EAFNOSUPPORT, EPROTONOSUPPORT};
    struct missing_line line = {.number = number, .is_refused = true};
    bool counts = false;

    for (size_t i = 0; i < ARRAY_SIZE(errors); i++)
        counts |= error == -errors[i];
    if (!counts)
        return;
    for (u32 i = 0; i < ARGUMENTS_KEPT; i++)
        line.arguments[i] = argument_is_number(number, i) ? arg_u64(args, i) : 0;
    note(&line);
}

/* `socket(2, 1, 0): any family is not there`. */
static void line_print(struct text_sink *sink, const struct missing_line *line)
{
    const struct syscall *call = &syscalls[line->number];

    text_print(sink, "%lu\t%s\t", line->count, line->program);
    if (call->name)
        text_print(sink, "%s", call->name);
    else
        text_print(sink, "call %lu", line->number);
    if (line->is_refused) {
        for (u32 i = 0; i < ARGUMENTS_KEPT && call->arguments[i] != ARG_NONE; i++) {
            text_print(sink, i ? ", " : "(");
            if (argument_is_number(line->number, i))
                text_print(sink, "0x%lx", line->arguments[i]);
            else
                text_print(sink, "...");
        }
        text_print(sink, ") was refused; not there: %s", call->lacks);
    }
    text_print(sink, "\n");
}

/* Lines are only added, and a copy of one under the lock is whole. */
static int show_missing(struct text_sink *sink, void *argument)
{
    struct missing_line line;
    u64 unlisted;

    for (u32 at = 0;; at++) {
        bool is_there;

        spin_lock(&missing.lock);
        is_there = at < missing.count;
        if (is_there)
            line = missing.lines[at];
        unlisted = missing.unlisted;
        spin_unlock(&missing.lock);
        if (!is_there)
            break;
        line_print(sink, &line);
    }
    if (unlisted)
        text_print(sink, "%lu\t-\tother calls\n", unlisted);
    return 0;
}

void missing_init(void)
{
    if (proc_register("pith/missing", 0444, show_missing, NULL))
        panic("no memory for the names in /proc");
}
