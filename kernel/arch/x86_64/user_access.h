/*
 * Opening and closing user memory (SMAP). The sites in assembly (user_access.inc) are 3 bytes of
 * nothing until patch_sites_apply writes stac and clac there, where the CPU has them.
 */
#pragma once

#define PATCH_STAC 0
#define PATCH_CLAC 1

#ifndef __ASSEMBLY__
/* Before the image becomes read-only. */
void patch_sites_apply(void);
#endif
