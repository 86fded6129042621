/*
 * /proc/PID/status (proc(5)): a process, or one of its threads, a line for each thing.
 *
 * Lines, order and blanks are Linux 6.1's, since programs search for them; what Pith has none of
 * says so as a Linux without it would (no tracer, no seccomp, no swap, mitigations off). Sizes are
 * a snapshot of their own: they are read from the address space as they are.
 */
#include "proc_snapshot.h"

/* The words that Linux has for the letters of stat. */
static const char *state_name(char letter)
{
    switch (letter) {
    case 'R':
        return "running";
    case 'S':
        return "sleeping";
    case 'D':
        return "disk sleep";
    case 'T':
        return "stopped";
    case 't':
        return "tracing stop";
    case 'I':
        return "idle";
    case 'X':
        return "dead";
    default:
        return "zombie";
    }
}

/* Without credentials it is a process that was just reaped: the lines are left out. */
static void print_status_ids(struct text_sink *sink, const struct snapshot *s)
{
    const struct credentials *c = s->credentials;

    text_print(sink, "Tgid:\t%d\nNgid:\t0\nPid:\t%d\nPPid:\t%d\nTracerPid:\t0\n", s->process->pid,
               s->id, s->parent);
    if (!c)
        return;
    text_print(sink, "Uid:\t%u\t%u\t%u\t%u\n", c->uid, c->euid, c->suid, c->fsuid);
    text_print(sink, "Gid:\t%u\t%u\t%u\t%u\n", c->gid, c->egid, c->sgid, c->fsgid);
}

static void print_status_files(struct text_sink *sink, const struct snapshot *s)
{
    struct file_table *files = process_files(s->process);

    text_print(sink, "FDSize:\t%u\nGroups:\t", files ? file_table_capacity(files) : 0);
    if (files)
        file_table_put(files);
    for (u32 i = 0; s->credentials && i < s->credentials->group_count; i++)
        text_print(sink, i ? " %u" : "%u", s->credentials->groups[i]);
    text_print(sink, " \n");
    text_print(sink, "NStgid:\t%d\nNSpid:\t%d\nNSpgid:\t%d\nNSsid:\t%d\n", s->process->pid, s->id,
               s->group, s->session);
}

static void print_kib(struct text_sink *sink, const char *name, u64 pages)
{
    text_print(sink, "%s:\t%8lu kB\n", name, pages * (PAGE_SIZE / 1024));
}

static void print_status_memory(struct text_sink *sink, struct address_space *space)
{
    struct space_sizes sizes;
    u64 code_pages;

    if (!space)
        return;
    address_space_sizes(space, &sizes);
    code_pages =
        (ALIGN_UP(space->code_end, PAGE_SIZE) - ALIGN_DOWN(space->code_start, PAGE_SIZE)) >>
        PAGE_SHIFT;
    print_kib(sink, "VmPeak", space->peak_total_pages);
    print_kib(sink, "VmSize", space->total_pages);
    print_kib(sink, "VmLck", space->locked_pages);
    print_kib(sink, "VmPin", 0); /* frames are pinned, not ranges of addresses */
    print_kib(sink, "VmHWM", address_space_peak_resident_pages(space));
    print_kib(sink, "VmRSS", address_space_resident_pages(space));
    print_kib(sink, "RssAnon", space->resident_anonymous);
    print_kib(sink, "RssFile", space->resident_file);
    print_kib(sink, "RssShmem", space->resident_shared);
    print_kib(sink, "VmData", space->data_pages);
    print_kib(sink, "VmStk", sizes.stack_pages);
    print_kib(sink, "VmExe", code_pages);
    print_kib(sink, "VmLib", sizes.code_pages - MIN(code_pages, sizes.code_pages));
    print_kib(sink, "VmPTE", sizes.table_pages);
    print_kib(sink, "VmSwap", 0);
    print_kib(sink, "HugetlbPages", 0);
    text_print(sink, "CoreDumping:\t0\nTHP_enabled:\t%d\n", !READ_ONCE(space->no_large_pages));
}

static void print_status_signals(struct text_sink *sink, const struct snapshot *s)
{
    text_print(sink, "Threads:\t%u\nSigQ:\t%lu/%lu\n", s->threads, s->queued, s->queued_limit);
    text_print(sink, "SigPnd:\t%016lx\nShdPnd:\t%016lx\nSigBlk:\t%016lx\n", s->pending,
               s->shared_pending, s->blocked);
    text_print(sink, "SigIgn:\t%016lx\nSigCgt:\t%016lx\n", s->ignored, s->caught);
}

static void print_status_rights(struct text_sink *sink, const struct credentials *c)
{
    if (!c)
        return;
    text_print(sink, "CapInh:\t%016lx\nCapPrm:\t%016lx\nCapEff:\t%016lx\n",
               c->capabilities_inheritable, c->capabilities_permitted, c->capabilities_effective);
    text_print(sink, "CapBnd:\t%016lx\nCapAmb:\t%016lx\nNoNewPrivs:\t%u\n",
               c->capabilities_bounding, c->capabilities_ambient, c->no_new_privileges);
    text_print(sink, "Seccomp:\t0\nSeccomp_filters:\t0\n");
    /* Nothing is done about either, as with mitigations=off. */
    text_print(sink, "Speculation_Store_Bypass:\tvulnerable\n");
    text_print(sink, "SpeculationIndirectBranch:\talways enabled\n");
}

#define MASK_WORD_BITS 32u
#define NODES_MAX      1024u /* what Debian's kernel shows room for */

/* The lowest `bits` bits of a set as Linux's "%*pb": words of 32, the highest first. */
static void print_mask(struct text_sink *sink, u64 set, u32 bits)
{
    u32 top = bits % MASK_WORD_BITS ? bits % MASK_WORD_BITS : MASK_WORD_BITS;

    for (u32 words = DIV_ROUND_UP(bits, MASK_WORD_BITS); words; words--) {
        u32 shift = (words - 1) * MASK_WORD_BITS;
        u64 word = shift < 64 ? set >> shift & U32_MAX : 0;

        text_print(sink, "%0*lx%s", (int)DIV_ROUND_UP(top, 4u), word, words > 1 ? "," : "\n");
        top = MASK_WORD_BITS;
    }
}

static void print_status_cpus(struct text_sink *sink, const struct snapshot *s)
{
    u64 all = cpu_count == CPUS_MAX ? U64_MAX : BIT(cpu_count) - 1;
    u64 allowed = (s->thread ? s->thread->affinity : all) & all;

    text_print(sink, "Cpus_allowed:\t");
    print_mask(sink, allowed, cpu_count);
    text_print(sink, "Cpus_allowed_list:\t");
    text_cpu_list(sink, allowed);
    text_print(sink, "Mems_allowed:\t");
    print_mask(sink, 1, NODES_MAX);
    text_print(sink, "Mems_allowed_list:\t0\n");
    text_print(sink, "voluntary_ctxt_switches:\t%lu\nnonvoluntary_ctxt_switches:\t%lu\n",
               s->usage.voluntary_switches, s->usage.involuntary_switches);
}

static int show_status(struct text_sink *sink, struct process *process, struct thread *thread)
{
    struct directories *directories = process_directories(process);
    struct snapshot snapshot;

    snapshot_take(&snapshot, process, thread);
    text_print(sink, "Name:\t%s\n", snapshot.name);
    if (directories) {
        text_print(sink, "Umask:\t%04o\n", directories->umask);
        directories_put(directories);
    }
    text_print(sink, "State:\t%c (%s)\n", snapshot.letter, state_name(snapshot.letter));
    print_status_ids(sink, &snapshot);
    print_status_files(sink, &snapshot);
    print_status_memory(sink, snapshot.space);
    print_status_signals(sink, &snapshot);
    print_status_rights(sink, snapshot.credentials);
    print_status_cpus(sink, &snapshot);
    snapshot_put(&snapshot);
    return 0;
}

int proc_show_status(struct text_sink *sink, void *object)
{
    return show_status(sink, object, NULL);
}

int proc_show_thread_status(struct text_sink *sink, void *object)
{
    struct thread *thread = object;

    return show_status(sink, thread->process, thread);
}
