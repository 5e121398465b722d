/* SPDX-License-Identifier: MIT */
#ifndef DOMAIN_LOOKUPS_H
#define DOMAIN_LOOKUPS_H

#include "domain/purchases.h"

/*
 * Lookups: transactions of which a user has shown the bare id only.  Apple is
 * asked, and asked again until it answers, so that a purchase is credited
 * though Apple was down when it was shown.
 */

/* A user may show so many ids an hour that we have not seen of him before. */
#define LOOKUPS_PER_H_MAX 30

struct lookup {
	struct uuid user_id;
	char transaction_id[PURCHASE_ID_BYTES];
	int64_t tries_count;
	int64_t created_at_ms;
};

/*
 * Remembers, in a transaction of its own, that Apple is asked now: a worker
 * asks again at next_try_at_ms if nobody tells what came of it.  Errors:
 * ERR_RATE_LIMITED, ERR_UNAUTHORIZED when there is no such user (any more).
 */
enum err lookups_begin(struct db *db, const struct uuid *user_id,
    struct str transaction_id, int64_t next_try_at_ms, int64_t now_ms);

/*
 * Takes the next one to be asked now and moves its time to lease_ms later, in
 * a transaction of its own.
 */
enum err lookups_take(struct db *db, int64_t now_ms, int64_t lease_ms,
    bool *ret_found, struct lookup *ret_lookup);

enum lookup_end {
	LOOKUP_FOUND, /* done */
	LOOKUP_UNKNOWN, /* given up */
	LOOKUP_LATER, /* try again at next_try_at_ms */
};

/* Tells what came of it, in a transaction of its own. */
enum err lookups_end(struct db *db, const struct uuid *user_id,
    struct str transaction_id, enum lookup_end end, int64_t next_try_at_ms);

/* Forgets up to `limit` that are over and were begun before before_ms. */
enum err lookups_purge(struct db *db, int64_t before_ms, int64_t limit);

#endif
