/* SPDX-License-Identifier: MIT */
#ifndef DOMAIN_UPSTREAMS_H
#define DOMAIN_UPSTREAMS_H

#include "store/db.h"

/*
 * Upstreams: the companies that we ask, and which of them have not answered
 * since they last did.  Everybody who asks one says how it went; while all is
 * well that writes nothing.
 */

enum upstream_kind { UPSTREAM_PROVIDER, UPSTREAM_APPLE };

/* It answered, whatever it said. */
enum err
upstreams_answered(struct db *db, enum upstream_kind kind, const char *name);

/*
 * It did not, or said that it cannot: one more failure in a row.  The reason
 * is a word for people.
 */
enum err upstreams_failed(struct db *db, enum upstream_kind kind,
    const char *name, const char *reason, int64_t now_ms);

struct upstream {
	const char *name;
	const char *reason; /* of the last failure */
	int64_t failures_count;
	int64_t first_at_ms;
};

/* Of this kind, those that failed so often in a row, the last time since. */
typedef void upstreams_each(void *arg, const struct upstream *upstream);
enum err upstreams_failing(struct db *db, enum upstream_kind kind,
    int64_t failures_min, int64_t since_ms, upstreams_each *each, void *arg);

#endif
