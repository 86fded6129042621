/* What is told of a unit of time beside the states, kept until the unit's row is printed. */
#include "process_run.h"

#include <stdlib.h>

static const char *const note_formats[] = {
    [NOTE_ARRIVES] = "Process%u arrives",         [NOTE_IO_START] = "Process%u initiates I/O",
    [NOTE_IO_DONE] = "Process%u's I/O is done",   [NOTE_TURN_OVER] = "Process%u gives way",
    [NOTE_MIGRATES] = "Process%u moves to CPU%u", [NOTE_DONE] = "Process%u now done",
};

void note_list_push(struct note_list *list, u32 process, enum note note, u32 detail)
{
    list->notes =
        array_grow(list->notes, &list->room, (u64)list->count + 1, sizeof(list->notes[0]));
    list->notes[list->count++] = (struct noted){process, note, detail};
}

void note_list_print(struct note_list *list)
{
    for (u32 i = 0; i < list->count; i++) {
        const struct noted *noted = &list->notes[i];

        if (i > 0)
            fputs(", ", stdout);
        printf(note_formats[noted->note], noted->process, noted->detail);
    }
    list->count = 0;
}

void note_list_fini(struct note_list *list)
{
    free(list->notes);
}
