/* SPDX-License-Identifier: MIT */
#ifndef DOMAIN_AUDIT_H
#define DOMAIN_AUDIT_H

#include "store/db.h"

/*
 * The audit: proves over the whole database what no crash, retry, race or
 * restart may break.
 *
 * It only reads, and it may run beside everything else: what looks wrong only
 * because the disk and the database were not read at the same moment is
 * looked at again before it counts.
 */

/* The invariants have numbers, which never change; see audit_title(). */
#define AUDIT_INVARIANT_MAX 12

/* Violations reported of one invariant; all of them are counted. */
#define AUDIT_REPORTED_MAX 100

/* Work older than this has been forgotten by whoever should do it. */
#define AUDIT_OVERDUE_MS (INT64_C(15) * 60 * 1000)

struct audit_violation {
	const char *problem; /* a phrase; lives for ever */
	struct uuid id; /* of the user, job or object it names */
};

struct audit_finding {
	int64_t checked_count; /* users, jobs, … looked at */
	int64_t violations_count;
	struct audit_violation violation[AUDIT_REPORTED_MAX];
};

struct audit {
	bool is_whole; /* the engine's own check of the file */
	struct audit_finding invariant[AUDIT_INVARIANT_MAX + 1]; /* from 1 */
};

/*
 * What an invariant says, for people; NULL for a number whose subject does
 * not exist (yet), which is not checked.
 */
const char *audit_title(int number);

/*
 * Checks everything; now_ms tells what is overdue.  reads_files: the bytes of
 * every file too, against the SHA-256 that was noted when it was stored.
 */
enum err audit_run(struct db *db, const char *state_dir, int64_t now_ms,
    bool reads_files, struct audit *ret_audit);

/* How many of a finding's violations were reported. */
size_t audit_reported_count(const struct audit_finding *finding);

/* Is the file whole and nothing violated? */
bool audit_is_clean(const struct audit *audit);

#endif
