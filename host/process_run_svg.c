/*
 * The simulation as a figure for a slide: a row a process and a row a CPU over time, 16 to 9.
 *
 * Each stretch of time in which a state lasts is a bar. Blue, yellow and vermillion are from the
 * palette of Okabe and Ito, which the colour-blind can tell apart; the heights differ too, so that
 * the figure is also read in grey.
 *
 * Bars wait in memory until the end, for only then is the scale of time known.
 */
#include "process_run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WIDTH        1280
#define HEIGHT       720
#define LEFT         150 /* of the bars; the rows' names stand there */
#define RIGHT        1250
#define TOP          110
#define BOTTOM       610
#define ROW_HEIGHT   96 /* at most */
#define BARS_MAX     20000u
#define ROWS_MAX     100u
#define TICKS        20 /* at most */
#define TITLE_LENGTH 70
#define NUMBER_SIZE  20 /* at most, of a process's number in a CPU's bar */

struct bar {
    u32 row;
    u32 process; /* whose number stands in it; NO_PROCESS: none */
    enum process_state state;
    u64 from;
    u64 to;
};

/* What a row shows now, since when. */
struct open_bar {
    u32 process;
    enum process_state state;
    u64 since;
};

struct svg {
    struct watcher watcher;
    const struct program_list *programs;
    const struct options *options;
    FILE *file;
    struct open_bar *rows; /* the processes, then the CPUs */
    u32 row_count;
    struct bar *bars;
    u32 bar_count;
    u32 bar_room;
};

/* How a state looks; the height is a part of the row's. */
struct look {
    const char *name; /* NULL: it is not shown */
    const char *color;
    double height;
};

static const struct look looks[PROCESS_STATES] = {
    [PROCESS_READY] = {"Ready", "#f0e442", 0.5},
    [PROCESS_RUNNING] = {"Running", "#0072b2", 0.8},
    [PROCESS_BLOCKED] = {"Blocked", "#d55e00", 0.25},
};

static struct svg *svg_of(struct watcher *watcher)
{
    return container_of(watcher, struct svg, watcher);
}

static void bar_close(struct svg *svg, u32 row)
{
    const struct open_bar *open = &svg->rows[row];

    if (!looks[open->state].name || open->since == svg->watcher.now)
        return;
    if (svg->bar_count == BARS_MAX)
        fail(EXIT_DESCRIPTION, "a figure of more than %u stretches cannot be read; run for less",
             BARS_MAX);
    svg->bars =
        array_grow(svg->bars, &svg->bar_room, (u64)svg->bar_count + 1, sizeof(svg->bars[0]));
    svg->bars[svg->bar_count++] =
        (struct bar){row, open->process, open->state, open->since, svg->watcher.now};
}

static void row_set(struct svg *svg, u32 row, u32 process, enum process_state state)
{
    bar_close(svg, row);
    svg->rows[row] = (struct open_bar){process, state, svg->watcher.now};
}

static void svg_state(struct watcher *watcher, u32 process, enum process_state state)
{
    row_set(svg_of(watcher), process, NO_PROCESS, state);
}

static void svg_cpu(struct watcher *watcher, u32 cpu, u32 process)
{
    struct svg *svg = svg_of(watcher);
    enum process_state state = process == NO_PROCESS ? PROCESS_NEW : PROCESS_RUNNING;

    row_set(svg, svg->programs->count + cpu, process, state);
}

static void svg_note(struct watcher *watcher, u32 process, enum note note, u32 detail)
{
}

static void svg_advance(struct watcher *watcher, u64 until)
{
}

static double row_height(const struct svg *svg)
{
    return MIN((double)(BOTTOM - TOP) / svg->row_count, (double)ROW_HEIGHT);
}

static double row_bottom(const struct svg *svg, u32 row)
{
    return TOP + (row + 1) * row_height(svg);
}

static double x_of(const struct svg *svg, u64 time)
{
    return LEFT + (double)(RIGHT - LEFT) * (double)time / (double)MAX(svg->watcher.now, 1ull);
}

static void draw_text(FILE *file, double x, double y, double size, const char *anchor,
                      const char *text)
{
    fprintf(file, "<text x=\"%.1f\" y=\"%.1f\" font-size=\"%.0f\" text-anchor=\"%s\">%s</text>\n",
            x, y, size, anchor, text);
}

static void draw_rectangle(FILE *file, double x, double y, double width, double height,
                           const char *color)
{
    fprintf(file,
            "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" fill=\"%s\" "
            "stroke=\"#ffffff\" stroke-width=\"0.5\"/>\n",
            x, y, width, height, color);
}

static void draw_bar(const struct svg *svg, const struct bar *bar)
{
    const struct look *look = &looks[bar->state];
    double x = x_of(svg, bar->from), width = x_of(svg, bar->to) - x;
    double height = look->height * row_height(svg), bottom = row_bottom(svg, bar->row);
    double size = MIN(height * 0.6, (double)NUMBER_SIZE);
    char number[16];

    draw_rectangle(svg->file, x, bottom - height, width, height, look->color);
    snprintf(number, sizeof(number), "%u", bar->process);
    if (bar->process == NO_PROCESS || width < size * (double)strlen(number))
        return;
    fprintf(svg->file,
            "<text x=\"%.1f\" y=\"%.1f\" font-size=\"%.0f\" text-anchor=\"middle\" "
            "fill=\"#ffffff\">%s</text>\n",
            x + width / 2, bottom - height / 2 + size / 3, size, number);
}

/* The policy and the processes: letters, digits and commas, so nothing needs escaping. */
static void draw_title(const struct svg *svg)
{
    const struct options *options = svg->options;
    const char *what = options->programs ? options->programs : options->process_list;
    bool is_long = strlen(what) > TITLE_LENGTH;
    char title[2 * TITLE_LENGTH];

    snprintf(title, sizeof(title), "%s: %s %.*s%s", options->policy->name,
             options->programs ? "-P" : "-l", TITLE_LENGTH, what, is_long ? "..." : "");
    draw_text(svg->file, WIDTH / 2, 56, is_long ? 22 : 30, "middle", title);
}

static void draw_names(const struct svg *svg)
{
    double size = MIN(row_height(svg) * 0.5, 22.0);

    for (u32 row = 0; row < svg->row_count; row++) {
        bool is_cpu = row >= svg->programs->count;
        char name[24];

        snprintf(name, sizeof(name), "%s%u", is_cpu ? "CPU" : "Process",
                 is_cpu ? row - svg->programs->count : row);
        draw_text(svg->file, LEFT - 12, row_bottom(svg, row) - row_height(svg) * 0.25, size, "end",
                  name);
    }
}

/* 1, 2 or 5 times a power of ten. */
static u64 tick_step(u64 units)
{
    u64 power = 1;

    for (;; power *= 10)
        for (u64 step = power; step <= 5 * power; step = step == 2 * power ? 5 * power : step * 2)
            if (units / step <= TICKS)
                return step;
}

static void draw_axis(const struct svg *svg)
{
    double bottom = row_bottom(svg, svg->row_count - 1);
    u64 step = tick_step(svg->watcher.now);

    for (u64 time = 0; time <= svg->watcher.now; time += step) {
        double x = x_of(svg, time);
        char number[24];

        fprintf(svg->file,
                "<line x1=\"%.2f\" y1=\"%u\" x2=\"%.2f\" y2=\"%.1f\" stroke=\"#cccccc\"/>\n", x,
                TOP, x, bottom + 6);
        snprintf(number, sizeof(number), "%llu", (unsigned long long)time);
        draw_text(svg->file, x, bottom + 26, 18, "middle", number);
    }
}

static void draw_legend(const struct svg *svg)
{
    double x = LEFT;

    for (u32 state = 0; state < PROCESS_STATES; state++) {
        const struct look *look = &looks[state];

        if (!look->name)
            continue;
        draw_rectangle(svg->file, x, 690 - look->height * 30, 40, look->height * 30, look->color);
        draw_text(svg->file, x + 50, 688, 20, "start", look->name);
        x += 180;
    }
    draw_text(svg->file, RIGHT, 688, 20, "end", "time in units");
}

static void svg_draw(const struct svg *svg)
{
    fprintf(svg->file,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %u %u\" "
            "font-family=\"sans-serif\">\n"
            "<rect width=\"%u\" height=\"%u\" fill=\"#ffffff\"/>\n",
            WIDTH, HEIGHT, WIDTH, HEIGHT);
    draw_title(svg);
    draw_axis(svg);
    draw_names(svg);
    for (u32 i = 0; i < svg->bar_count; i++)
        draw_bar(svg, &svg->bars[i]);
    draw_legend(svg);
    fputs("</svg>\n", svg->file);
}

static void svg_finish(struct watcher *watcher)
{
    struct svg *svg = svg_of(watcher);
    bool is_written;

    for (u32 row = 0; row < svg->row_count; row++)
        bar_close(svg, row);
    svg_draw(svg);
    is_written = !ferror(svg->file);
    if (fclose(svg->file) || !is_written)
        fail(EXIT_DESCRIPTION, "cannot write '%s': %s", svg->options->svg_path, strerror(errno));
    free(svg->rows);
    free(svg->bars);
    free(svg);
}

static const struct watcher_operations svg_operations = {
    .state = svg_state,
    .cpu = svg_cpu,
    .note = svg_note,
    .advance = svg_advance,
    .finish = svg_finish,
};

struct watcher *svg_create(const char *path, const struct program_list *programs,
                           const struct options *options)
{
    struct svg *svg = array_alloc(1, sizeof(*svg));

    svg->watcher.operations = &svg_operations;
    svg->programs = programs;
    svg->options = options;
    svg->row_count = programs->count + options->cpus;
    if (svg->row_count > ROWS_MAX)
        fail(EXIT_DESCRIPTION, "a figure of more than %u rows cannot be read", ROWS_MAX);
    svg->rows = array_alloc(svg->row_count, sizeof(svg->rows[0])); /* PROCESS_NEW since 0 */
    svg->file = fopen(path, "w");
    if (!svg->file)
        fail(EXIT_DESCRIPTION, "cannot write '%s': %s", path, strerror(errno));
    return &svg->watcher;
}
