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

/* Deletes up to `limit` events older than before_ms. */
enum err events_purge(struct db *db, int64_t before_ms, int64_t limit);

#endif
