/* Signal frames, between the files of arch/; signal_frame.c. */
#pragma once

/* After fpu_init: how large a frame can get (signal_stack_min). */
void signal_frame_init(void);
