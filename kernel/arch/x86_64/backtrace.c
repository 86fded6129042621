/*
 * Who called whom: a walk along the saved frame pointers (every function keeps one).
 *
 *     frame_pointer -> | caller's frame pointer | -> | its caller's | -> ... -> 0 with address 0
 *                      | address to return to   |    | ...          |
 *
 * A frame pointer is followed only upward, and no further than the largest stack is deep, so a
 * broken chain ends the walk. The first one too: in a system call's first instructions it is still
 * the program's, and may be anything. Entries from user mode and new contexts begin with rbp 0.
 *
 * Context: any, NMI and panic too; takes no lock and allocates nothing.
 */
#include <pith/arch.h>

#define DEPTH_MAX   64
#define STACK_BYTES (16ul * 1024) /* no stack of the kernel is larger */

void backtrace_walk(u64 frame_pointer, u64 stack_pointer,
                    void (*visit)(u64 return_address, void *argument), void *argument)
{
    u64 limit = stack_pointer + STACK_BYTES;

    for (int depth = 0; depth < DEPTH_MAX; depth++) {
        const u64 *frame = (const u64 *)frame_pointer;

        if (frame_pointer < MAX(stack_pointer, DIRECT_MAP) || frame_pointer >= limit ||
            frame_pointer % sizeof(u64) || !frame[1])
            return;
        visit(frame[1], argument);
        stack_pointer = frame_pointer + 1;
        frame_pointer = frame[0];
    }
}
