/* SPDX-License-Identifier: MIT */
#ifndef DOMAIN_WATCHES_H
#define DOMAIN_WATCHES_H

#include "store/db.h"

/*
 * Watches: what is looked at from time to time, how far that has come or when
 * it is due, and the outcome of what takes long (backups, audits).
 */

/* Where a watch stands, if it has begun; else *ret_at_ms stays. */
enum err watches_find(struct db *db, const char *name, bool *ret_found,
    int64_t *ret_at_ms);

/* Where a watch stands; one that is new begins at first_ms. */
enum err watches_read(struct db *db, const char *name, int64_t first_ms,
    int64_t *ret_at_ms);

/* Has the time of a watch come?  One that is new is first due at first_ms. */
enum err watches_due(struct db *db, const char *name, int64_t first_ms,
    int64_t now_ms, bool *ret_due);

/* Moves one.  The caller holds a write transaction, or has none: _set. */
enum err watches_put(struct db *db, const char *name, int64_t at_ms);
enum err watches_set(struct db *db, const char *name, int64_t at_ms);

/*
 * Counts an error of ours, and reads how many there were since a moment, to
 * the minute.  Minutes before keep_since_ms are forgotten on the way.
 */
enum err watches_error(struct db *db, int64_t keep_since_ms, int64_t now_ms);
enum err
watches_errors_count(struct db *db, int64_t since_ms, int64_t *ret_count);

/* How backups go; 0 = never. */
struct backup_state {
	int64_t good_at_ms;
	int64_t failed_at_ms;
};

enum err watches_backup(struct db *db, struct backup_state *ret_state);

/* A backup of what was there at made_at_ms is good; or none was made. */
enum err watches_backup_done(struct db *db, bool is_good, int64_t made_at_ms);

#define AUDIT_VIOLATED_BYTES 64

/* What the last audit found; made_at_ms 0 = none was made. */
struct audit_state {
	int64_t made_at_ms;
	int64_t violations_count;
	char violated[AUDIT_VIOLATED_BYTES]; /* "1, 9": invariants */
};

enum err watches_audit(struct db *db, struct audit_state *ret_state);
enum err watches_audit_done(struct db *db, const struct audit_state *state);

#endif
