/* Clearing and copying pages; page_routines.c. */
#pragma once

/* Boot CPU, before others start. */
void page_routines_choose(void);
