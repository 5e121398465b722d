/* SPDX-License-Identifier: MIT */
#ifndef APP_COPIES_H
#define APP_COPIES_H

#include "app/state.h"
#include "domain/audit.h"

/*
 * Copies of the state: what a backup is made of, and how it is known to be
 * good.  Where a function returns false, `problem` says why in one line.
 */

struct copy_count {
	int64_t version; /* of the schema */
	int64_t files;
	int64_t bytes; /* of these files */
};

/*
 * Puts the database as it is at one moment, and every file that it knows,
 * into `directory`, which is empty.  Files are linked where that is possible,
 * for they never change.  Beside a running system.
 */
bool copies_make(struct state *state, const char *directory,
    struct copy_count *ret_count, struct buf *problem);

/*
 * Audits the copy in `directory` as it was at `at_ms`; false also when it
 * violates anything.
 */
bool copies_check(const char *directory, int64_t at_ms, struct buf *problem);

/*
 * While the descriptor is open, no file of the media is removed.  False when
 * that was not to be had within wait_ms.
 */
bool copies_hold_files(const char *state_dir, int64_t wait_ms, int *ret_fd);

#endif
