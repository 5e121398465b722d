/* SPDX-License-Identifier: MIT */
#ifndef BASE_LOCKFILE_H
#define BASE_LOCKFILE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Takes an exclusive lock on a file, which is made if it is missing, and
 * waits for it up to wait_ms.  The lock lives as long as the descriptor (and
 * dies with the process); no child inherits it.  False when somebody else
 * kept it or the file cannot be opened.
 */
bool lockfile_take(const char *path, int64_t wait_ms, int *ret_fd);

#endif
