/*
 * What init tells when the program has ended: the lists of --diff and --missing, printed on
 * standard error at the end, and the files of --keep, handed on to pith_keep.c.
 *
 * The bytes come in frames that cut them anywhere, from a guest that may be hostile: they are
 * gathered until a report's header and what follows it are whole, whose sizes are bounded; a file's
 * content passes through piece by piece. Names are shown with what is no printable character
 * escaped, so that none of them can act on the caller's terminal.
 */
#include "pith.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define LINES_BYTES_MOST ((size_t)64 << 20) /* of the lists: beyond it they end */

struct report {
    struct keep *keep; /* NULL: no --keep */
    struct buffer in;
    struct buffer changes, missing; /* the lists as text */
    bool in_content;                /* pieces of a file come */
    bool has_lost_lines;
    bool has_ended; /* all came */
    bool wants_changes, wants_missing;
};

uint32_t report_wanted(const struct run_options *options)
{
    return (options->diff ? HOST_REPORT_LIST : 0) | (options->keep ? HOST_REPORT_CONTENTS : 0) |
           (options->missing ? HOST_REPORT_LACKS : 0);
}

struct report *report_open(const struct run_options *options)
{
    uint64_t overlay_bytes = options->memory_bytes / 2; /* init's limit: half of the memory */
    struct report *report;

    if (!report_wanted(options))
        return NULL;
    report = calloc(1, sizeof(*report));
    if (!report)
        fail("this machine is out of memory");
    report->wants_changes = options->diff;
    report->wants_missing = options->missing;
    if (options->keep)
        report->keep = keep_open(options->keep, overlay_bytes, overlay_bytes / 1024);
    return report;
}

/* ---- Lists ---- */

static void add_text(struct buffer *list, const char *string)
{
    buffer_append(list, string, strlen(string));
}

/* A name that can do nothing but be read. */
static void add_name(struct buffer *list, const char *name)
{
    char escape[8];

    for (const unsigned char *at = (const unsigned char *)name; *at; at++) {
        snprintf(escape, sizeof(escape), *at < ' ' || *at == '\\' || *at >= 0x7f ? "\\%03o" : "%c",
                 *at);
        add_text(list, escape);
    }
}

static void add_change(struct report *report, const struct host_report *header, const char *path,
                       const char *other)
{
    static const char *const words[] = {
        [HOST_REPORT_CREATED] = "created",   [HOST_REPORT_CHANGED] = "changed",
        [HOST_REPORT_REPLACED] = "replaced", [HOST_REPORT_DELETED] = "deleted",
        [HOST_REPORT_RENAMED] = "renamed",   [HOST_REPORT_LINKED] = "linked",
    };
    static const struct {
        uint32_t flag;
        const char *word;
    } parts[] = {
        {HOST_REPORT_CHANGED_DATA, "data"},
        {HOST_REPORT_CHANGED_MODE, "mode"},
        {HOST_REPORT_CHANGED_OWNER, "owner"},
        {HOST_REPORT_CHANGED_XATTR, "attributes"},
    };
    bool has_part = false;

    add_text(&report->changes, words[header->kind]);
    add_text(&report->changes, "\t");
    if (*other) {
        add_name(&report->changes, other);
        add_text(&report->changes, header->kind == HOST_REPORT_RENAMED ? " -> " : " = ");
    }
    add_name(&report->changes, path);
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (!(header->flags & parts[i].flag))
            continue;
        add_text(&report->changes, has_part ? ", " : " (");
        add_text(&report->changes, parts[i].word);
        has_part = true;
    }
    add_text(&report->changes, has_part ? ")\n" : "\n");
}

static void add_missing(struct report *report, const struct host_report *header, const char *call,
                        const char *program)
{
    char count[32];

    snprintf(count, sizeof(count), "%" PRIu64 "\t", header->size);
    add_text(&report->missing, count);
    add_name(&report->missing, program);
    add_text(&report->missing, "\t");
    add_name(&report->missing, call);
    add_text(&report->missing, "\n");
}

/* ---- What comes ---- */

static bool header_is_valid(const struct report *report, const struct host_report *header)
{
    if (header->name_bytes == 0 || header->name_bytes >= HOST_REPORT_PATH_MOST ||
        header->other_bytes >= HOST_REPORT_PATH_MOST ||
        header->xattr_bytes > HOST_REPORT_XATTRS_MOST)
        return false;
    if (header->kind == HOST_REPORT_KEPT || header->kind == HOST_REPORT_KEPT_LINK)
        return report->keep;
    if (header->kind == HOST_REPORT_END)
        return true;
    if (header->kind == HOST_REPORT_MISSING)
        return report->wants_missing;
    return report->wants_changes && header->kind >= HOST_REPORT_CREATED &&
           header->kind <= HOST_REPORT_LINKED;
}

static void handle(struct report *report, const struct host_report *header, const char *name,
                   const char *other, const uint8_t *xattrs)
{
    bool has_room = report->changes.size + report->missing.size < LINES_BYTES_MOST;

    if (header->kind == HOST_REPORT_KEPT || header->kind == HOST_REPORT_KEPT_LINK) {
        keep_file(report->keep, header, name, other, xattrs);
        report->in_content = header->kind == HOST_REPORT_KEPT && S_ISREG(header->mode);
    } else if (header->kind == HOST_REPORT_END) {
        report->has_ended = true;
    } else if (!has_room) {
        report->has_lost_lines = true;
    } else if (header->kind == HOST_REPORT_MISSING) {
        add_missing(report, header, name, other);
    } else {
        add_change(report, header, name, other);
    }
}

/* 1: a report was taken; 0: it is not whole yet; -1: it is none. */
static int take_header(struct report *report)
{
    struct host_report header;
    const char *bytes = (const char *)report->in.data;
    char *name, *other;
    size_t whole;

    if (report->in.size < sizeof(header))
        return 0;
    memcpy(&header, bytes, sizeof(header));
    if (!header_is_valid(report, &header))
        return -1;
    whole = sizeof(header) + header.name_bytes + header.other_bytes + header.xattr_bytes;
    if (report->in.size < whole)
        return 0;
    bytes += sizeof(header);
    name = text("%.*s", (int)header.name_bytes, bytes);
    other = text("%.*s", (int)header.other_bytes, bytes + header.name_bytes);
    handle(report, &header, name, other,
           (const uint8_t *)bytes + header.name_bytes + header.other_bytes);
    free(name);
    free(other);
    buffer_consume(&report->in, whole);
    return 1;
}

static int take_piece(struct report *report)
{
    struct host_report_piece piece;

    if (report->in.size < sizeof(piece))
        return 0;
    memcpy(&piece, report->in.data, sizeof(piece));
    if (piece.bytes > HOST_FRAME_MAX)
        return -1;
    if (report->in.size < sizeof(piece) + piece.bytes)
        return 0;
    keep_piece(report->keep, piece.offset, report->in.data + sizeof(piece), piece.bytes);
    report->in_content = piece.bytes > 0;
    buffer_consume(&report->in, sizeof(piece) + piece.bytes);
    return 1;
}

bool report_take(struct report *report, const uint8_t *bytes, size_t size)
{
    int result = 1;

    buffer_append(&report->in, bytes, size);
    while (result > 0)
        result = report->in_content ? take_piece(report) : take_header(report);
    return result == 0;
}

static void print_list(const struct report *report, const struct buffer *list, const char *title)
{
    fprintf(stderr, "%s:%s\n", title, list->size ? "" : " none");
    fwrite(list->data, 1, list->size, stderr);
    if (report->has_lost_lines)
        fprintf(stderr, "... and more\n");
}

bool report_close(struct report *report)
{
    if (report->wants_changes && (report->has_ended || report->changes.size))
        print_list(report, &report->changes, "changed");
    if (report->wants_missing && (report->has_ended || report->missing.size))
        print_list(report, &report->missing, "missing (how often, program, call)");
    if (!report->has_ended)
        say("the machine ended before all was told that the program changed or missed");
    return (!report->keep || keep_close(report->keep)) && report->has_ended;
}
