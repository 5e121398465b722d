/* SPDX-License-Identifier: MIT */
#ifndef APP_REFUSALS_H
#define APP_REFUSALS_H

#include "domain/limits.h"

/*
 * Refusals: what the limits refused, counted in the process and written down
 * together, so that whoever floods does not make us write as often.  A process
 * that ends writes down what it has; one that is killed takes what it counted
 * within REFUSALS_DELAY_MS along, and so does a database that cannot be written:
 * they were refused all the same.
 */

/* As many subjects wait together; more are written down sooner. */
#define REFUSALS_MAX 64

/* So long a refusal waits for others. */
#define REFUSALS_DELAY_MS 1000

#define REFUSALS_REQUEST_ID_BYTES 64

struct refusals {
	struct limit_violation violation[REFUSALS_MAX];
	/* The last request of each that was refused, for the report. */
	char request_id[REFUSALS_MAX][REFUSALS_REQUEST_ID_BYTES];
	size_t count;
	int64_t began_us; /* when the first of them was refused, monotonic */
};

/* Touches no database.  One too many is not counted. */
void refusals_note(struct refusals *refusals, const struct limit *limit,
    struct str request_id, int64_t now_ms);

/* Until they are to be written down; max_ms (-1 = for ever) if that is less. */
int refusals_wait_ms(const struct refusals *refusals, int max_ms);

/* Must they be written down, though requests wait? */
bool refusals_are_due(const struct refusals *refusals);

/*
 * Writes down what there is, and reports once whom an hour has refused
 * report_per_hour times.  False when there was nothing.
 */
bool refusals_write(struct refusals *refusals, struct db *db,
    int64_t report_per_hour);

#endif
