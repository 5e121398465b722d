/* SPDX-License-Identifier: MIT */
#ifndef DOMAIN_BREAKERS_H
#define DOMAIN_BREAKERS_H

#include "store/db.h"

/*
 * Breakers: companies, and models of theirs, that nothing is sent to.
 *
 * One opens when a company turns us away for a reason that the next
 * submission would meet as well: the key, a locked account, a model that is
 * gone.  After a while one attempt may try; if it is accepted the breaker is
 * gone, else it waits twice as long.  An operator opens and closes them by
 * hand; what was opened so waits for the operator.
 *
 * Company "" means all of them, endpoint "" all of a company's models.
 */

/* Is this model's company not to be asked now? */
enum err breakers_block(struct db *db, const char *company,
    const char *endpoint, int64_t now_ms, bool *ret_blocked);

/*
 * Opens one, or counts another failure, in a transaction of its own.
 * *ret_is_news tells whether it was closed.
 */
enum err breakers_open(struct db *db, const char *company, const char *endpoint,
    const char *reason, int64_t now_ms, bool *ret_is_news);

/*
 * An attempt goes out: nobody else tries for a while.  The caller holds a
 * write transaction.
 */
enum err breakers_try(struct db *db, const char *company, const char *endpoint,
    int64_t now_ms);

/* It was accepted. The caller holds a write transaction. */
enum err
breakers_accepted(struct db *db, const char *company, const char *endpoint);

/* By hand; closing one that is not open is ERR_NOT_FOUND. */
enum err breakers_stop(struct db *db, const char *company, const char *endpoint,
    int64_t now_ms);
enum err
breakers_close(struct db *db, const char *company, const char *endpoint);

struct breaker {
	const char *company;
	const char *endpoint;
	const char *reason;
	int64_t failures_count;
	int64_t opened_at_ms;
	int64_t probe_at_ms; /* -1 = by hand only */
};

typedef void breakers_each(void *arg, const struct breaker *breaker);
enum err breakers_list(struct db *db, breakers_each *each, void *arg);

#endif
