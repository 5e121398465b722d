/* SPDX-License-Identifier: MIT */
#ifndef DOMAIN_LIMITS_H
#define DOMAIN_LIMITS_H

#include "store/db.h"

/*
 * Limits: how often somebody may do something in a window of time.
 *
 * A window begins with the first use and is counted in the database, so that
 * it holds over all processes and restarts.  What is refused is not counted,
 * and leaves no trace: rows are bounded by what was let through.
 */

#define LIMIT_SUBJECT_BYTES 32

struct limit {
	const char *kind; /* "device", "address" */
	uint8_t subject[LIMIT_SUBJECT_BYTES]; /* a keyed hash */
	int64_t max; /* in a window */
	int64_t window_ms;
};

/* How it stands with the limit that was reached. */
struct limit_reached {
	int64_t max;
	int64_t ends_in_ms; /* > 0 */
};

/*
 * Counts one use against all of these limits, or against none of them:
 * ERR_RATE_LIMITED, with *ret_reached, when one is reached.  In a transaction
 * of its own.
 */
enum err limits_use(struct db *db, const struct limit *limits, size_t count,
    int64_t now_ms, struct limit_reached *ret_reached);

/* Deletes up to `limit` windows that began before before_ms. */
enum err limits_purge(struct db *db, int64_t before_ms, int64_t limit);

#endif
