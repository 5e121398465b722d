/* SPDX-License-Identifier: MIT */
#ifndef DOMAIN_REPORTS_H
#define DOMAIN_REPORTS_H

#include "domain/attempts.h"

/*
 * Reports: what providers tell us without being asked.  An endpoint checks
 * and writes one down, the worker takes it in.  They come twice, late, early
 * and in any order; nothing is decided here.
 */

enum report_outcome { REPORT_DONE, REPORT_FAILED, REPORT_LOOK };

struct report {
	struct uuid id;
	char provider[32];
	char request_id[ATTEMPT_ID_BYTES];
	struct uuid attempt_id;
	enum report_outcome outcome;
	char video_url[ATTEMPT_VIDEO_URL_BYTES]; /* when DONE */
	int64_t video_bytes; /* of it; 0 = not told */
	char error_code[32]; /* when FAILED */
	bool may_try_again;
	bool is_unbilled;
	/* Of the attempt: what is known of it by now. */
	bool is_bound; /* its request is known ... */
	char
	    bound_id[ATTEMPT_ID_BYTES]; /* ... by this id; "" = none was sent */
	bool is_over; /* it ended without a video */
	char endpoint[CATALOG_TEXT_BYTES];
};

/*
 * Writes a report down.  The same bytes again, or an attempt that is not
 * there, change nothing.
 */
enum err reports_add(struct db *db, const struct report *report,
    const uint8_t body_sha256[32], int64_t now_ms);

/* The oldest one that was not taken in. */
enum err
reports_next(struct db *db, bool *ret_found, struct report *ret_report);

/*
 * A report of an attempt that was given up as lost: its job goes on, though
 * its credits are back, and what comes of it is its user's for nothing.
 * *ret_reopened is false, and nothing changes, when the attempt ended
 * otherwise or its user has deleted the job.
 */
enum err reports_reopen(struct db *db, const struct report *report,
    const struct attempt_handle *handle, int64_t now_ms, bool *ret_reopened);

/* It was taken in; what it told is kept no longer. */
enum err reports_handled(struct db *db, const struct uuid *id, int64_t now_ms);

/* Deletes up to `limit` that were taken in before before_ms. */
enum err reports_purge(struct db *db, int64_t before_ms, int64_t limit);

#endif
