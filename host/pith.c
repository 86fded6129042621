/*
 * The `pith` command: runs a program of this machine in a fresh virtual one.
 */
#include "pith.h"

#include <stdio.h>
#include <stdlib.h>

#define VERSION "0.1"

int main(int argc, char **argv)
{
    struct run_options options;
    int status;

    streams_note_closed();
    child_remember_signals();
    status = options_parse(argc, argv, &options);
    if (status)
        return status;
    switch (options.command) {
    case COMMAND_HELP:
        options_print_help();
        return 0;
    case COMMAND_VERSION:
        printf("pith %s\n", VERSION);
        return 0;
    case COMMAND_PS:
        return machines_list();
    case COMMAND_ATTACH:
        exit(attach(&options));
    case COMMAND_DOCTOR:
        return doctor();
    default:
        /* exit, not return: what waits for the end (the terminal) is told there. */
        exit(run_machine(&options));
    }
}
