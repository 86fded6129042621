/* Between the table of options and what reads it; pith_option_table.c, pith_options.c. */
#pragma once

#include "pith.h"

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define OPTIONS_MOST      48

/* An option. Without `set` and `flag` it is known, and not available in this version. */
struct option_rule {
    const char *name;
    char letter;          /* 0: none */
    const char *argument; /* what --help calls it; NULL: takes none */
    /* 0, or the status to exit with after a sentence. The value lives as long as argv. */
    int (*set)(struct run_options *options, const char *value);
    const char *help; /* lines */
    size_t flag;      /* instead of `set`: where in struct run_options the bool is; 0: none */
};

extern const struct option_rule option_rules[];
extern const size_t option_rule_count;

/* Says the sentence, and where to find help; PITH_USAGE. */
int usage(const char *format, ...) printf_format(1, 2);
