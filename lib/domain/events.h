/* SPDX-License-Identifier: MIT */
#ifndef DOMAIN_EVENTS_H
#define DOMAIN_EVENTS_H

#include "store/db.h"

/*
 * Events: what happened to a user, in order.
 *
 * An event is a row written in the transaction of the change it tells of, so
 * it can be told late or twice but is never missing and never wrong.  It names
 * what changed; a reader then reads the present state.
 *
 * Ids grow in the order of the commits, because writers queue: who has seen an
 * id has seen every smaller one.
 */

enum event_kind {
	EVENT_JOB, /* a job of the user is in another state */
	EVENT_BALANCE, /* the credits changed without a job */
	EVENT_SESSION, /* a session of the user ended */
};

/*
 * Appends an event; job_id is NULL unless the kind is EVENT_JOB.
 * The caller holds a write transaction.
 */
enum err events_append(struct db *db, enum event_kind kind,
    const struct uuid *user_id, const struct uuid *job_id, int64_t now_ms);

/*
 * How long an event is kept, and how long its id is good for resuming.  The
 * second is shorter: rows go by their times, which are read before their
 * transaction's turn comes, so the last ones to go are not in order.
 */
#define EVENT_LIFE_MS (INT64_C(7) * 24 * 3600 * 1000)
#define EVENT_RESUME_MS (INT64_C(6) * 24 * 3600 * 1000)

struct event {
	int64_t id;
	enum event_kind kind;
	struct uuid user_id;
	struct uuid job_id; /* EVENT_JOB */
	int64_t created_at_ms;
};

/* The newest id of all, and of one user; 0 when there is none. */
enum err events_newest(struct db *db, int64_t *ret_id);
enum err
events_newest_of(struct db *db, const struct uuid *user_id, int64_t *ret_id);

/* The oldest events newer than `after`: up to `max`, in order. */
enum err events_after(struct db *db, int64_t after, size_t max,
    struct event *ret_events, size_t *ret_count);
enum err events_after_of(struct db *db, const struct uuid *user_id,
    int64_t after, size_t max, struct event *ret_events, size_t *ret_count);

/*
 * Is everything that happened to the user after this event still there?  It
 * must be one of the user's own, so that an invented id leads nowhere.
 */
enum err events_can_resume(struct db *db, const struct uuid *user_id,
    int64_t id, int64_t now_ms, bool *ret_can);

/* Deletes up to `limit` events older than before_ms. */
enum err events_purge(struct db *db, int64_t before_ms, int64_t limit);

#endif
