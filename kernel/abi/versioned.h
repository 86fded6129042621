/* Structures that grow from version to version, with their size beside them. */
#pragma once

#include <pith/arch.h>

/*
 * Copies `given` bytes, of which we know `known`: what is missing is 0, what we do not know must be
 * 0. -EINVAL: fewer than `least`; -E2BIG: something that we do not know; -EFAULT.
 */
int copy_in_versioned(void *to, size_t known, struct user_ptr from, size_t given, size_t least)
    must_check;
