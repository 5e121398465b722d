/* SPDX-License-Identifier: MIT */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/str.h"

/*
 * Memory of one request: taken piece by piece, given back all at once.
 *
 * The whole ceiling is reserved at the start and touched only as it is used.
 * Running out ends the process: the limits on input keep the ceiling out of
 * reach, SQLite rolls back, and the supervisor starts the next process.
 * Under AddressSanitizer what is not handed out is poisoned.
 */
struct arena {
	char *base;
	size_t used_bytes;
	size_t bytes_max;
};

void arena_init(struct arena *a, size_t bytes_max);
void arena_free(struct arena *a);

/* Gives everything back; pointers into the arena die. */
void arena_reset(struct arena *a);

/* Zeroed memory, aligned for any type. Never NULL. */
void *arena_alloc(struct arena *a, size_t bytes);

/* A terminated copy of s. */
char *arena_strdup(struct arena *a, struct str s);

#endif
