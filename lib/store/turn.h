/* SPDX-License-Identifier: MIT */
#ifndef STORE_TURN_H
#define STORE_TURN_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The queue of those who want to write.
 *
 * SQLite cannot be waited on: who finds its lock taken must nap and ask again,
 * and between the end of one transaction and the next nap's end nobody writes.
 * So writers first queue for a lock of the kernel's, which wakes the next one
 * at once.  It only orders them: SQLite's own lock still decides, and a writer
 * that has no turn, or a file that is not there, harms nothing.
 */

/*
 * Opens the queue, a file that is made when it is missing; -1 when it cannot.
 * Takes SIGALRM for itself.
 */
int turn_open(const char *path);
void turn_close(int fd);

/* Waits for its turn, up to wait_ms; false when it did not come. */
bool turn_take(int fd, int64_t wait_ms);

/* The next one's turn. */
void turn_pass(int fd);

#endif
