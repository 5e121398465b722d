/* SPDX-License-Identifier: MIT */
#ifndef DOMAIN_LIMITS_H
#define DOMAIN_LIMITS_H

#include "store/db.h"

/*
 * Limits: how often somebody may do something.
 *
 * Each is a bucket of uses, which fills up evenly within an hour, and beside
 * it one of a minute if there is a burst to be held down.  A bucket is one
 * number, the time at which it is full again (the generic cell rate
 * algorithm), so that a limit is one row and holds over all processes and
 * restarts.  What is refused takes nothing.
 *
 * A limit that cannot be counted is ERR_SERVICE_UNAVAILABLE: who guards
 * something expensive refuses then, and who must not refuse goes on.
 */

#define LIMIT_SUBJECT_BYTES_MAX 32

enum limit_kind {
	LIMIT_DEVICE, /* a device id checks in */
	LIMIT_ADDRESS, /* the same, of an address */
	LIMIT_FORGERY, /* an address shows refresh tokens that are not ours */
	LIMIT_ADMIN, /* an address, or a name, tries to sign in as an admin */
	LIMIT_BACKSTAGE, /* the sandbox's buttons */
	LIMIT_GENERATE, /* from here on: of a user */
	LIMIT_PURCHASE,
	LIMIT_UPLOAD,
	LIMIT_REFRESH,
	LIMIT_ACCOUNT, /* merged, exported, deleted */
	LIMIT_KIND_MAX,
};

/* The word in the database and the log. */
const char *limit_kind_name(enum limit_kind kind);

struct limit {
	enum limit_kind kind;
	uint8_t
	    subject[LIMIT_SUBJECT_BYTES_MAX]; /* a user's id, or a keyed hash */
	size_t subject_bytes;
	int64_t per_hour; /* > 0 */
	int64_t per_minute; /* 0 = as many as an hour's */
};

/* The limit of a user. */
struct limit limit_of_user(enum limit_kind kind, const struct uuid *user_id,
    int64_t per_hour, int64_t per_minute);

/* How it stands with the bucket that has least left. */
struct limit_state {
	int64_t max; /* what it holds; 0 = there is no limit */
	int64_t remaining;
	int64_t full_in_ms;
	int64_t retry_in_ms; /* 0 unless it was refused */
};

/*
 * Takes one use.  ERR_RATE_LIMITED when there is none left; *ret_state is
 * written then too.  The caller holds a write transaction and rolls it back
 * on an error.
 */
enum err limits_take(struct db *db, const struct limit *limit, int64_t now_ms,
    struct limit_state *ret_state);

/*
 * Is there a use left?  ERR_RATE_LIMITED as above; it takes nothing.  A refusal
 * writes nothing, so that it needs no transaction: it was right when it looked.
 */
enum err limits_look(struct db *db, const struct limit *limit, int64_t now_ms,
    struct limit_state *ret_state);

/*
 * Takes one use of all of these limits, or of none of them, in a transaction
 * of its own, unless a look refuses.  *ret_state and *ret_index are of the one
 * that refused, or that has least left.
 */
enum err limits_use(struct db *db, const struct limit *limits, size_t count,
    int64_t now_ms, struct limit_state *ret_state, size_t *ret_index);

struct limit_violation {
	char kind[16];
	uint8_t subject[LIMIT_SUBJECT_BYTES_MAX];
	size_t subject_bytes;
	int64_t hour_at_ms; /* when the hour began */
	int64_t count;
	int64_t last_at_ms;
};

/* That of one refusal. */
struct limit_violation
limits_violation(const struct limit *limit, int64_t now_ms);

/* Is it the same one's, within the same hour? */
bool limits_violation_is_same(const struct limit_violation *a,
    const struct limit_violation *b);

/*
 * Adds these to what was counted before, in a transaction of its own;
 * ret_counts says what the hour of each has then.
 */
enum err
limits_note_violations(struct db *db, const struct limit_violation *violations,
    size_t count, int64_t *ret_counts);

/*
 * Who was refused at least min_count times within an hour, and since since_ms
 * once more: kind by kind, and of each who was refused most first.
 */
typedef void limits_each(void *arg, const struct limit_violation *violation);
enum err limits_violations(struct db *db, int64_t since_ms, int64_t min_count,
    limits_each *each, void *arg);

/* Deletes up to `limit` buckets that were full before before_ms. */
enum err limits_purge(struct db *db, int64_t before_ms, int64_t limit);

/* Deletes up to `limit` counts of hours that began before before_ms. */
enum err
limits_purge_violations(struct db *db, int64_t before_ms, int64_t limit);

#endif
