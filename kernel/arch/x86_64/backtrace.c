/*
 * Who called whom: a walk along the saved frame pointers (every function keeps one).
 *
 * A frame pointer is followed only upward, and only within the stack where the walk began, so a
 * broken chain ends the walk instead of faulting. The first one too: in a system call's first
 * instructions it is still the program's, and may be anything.
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
