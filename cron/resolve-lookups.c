/* SPDX-License-Identifier: MIT */
#include "appstore.h"

#include "app/purchasing.h"
#include "base/clock.h"
#include "base/log.h"

/*
 * Lookups: bare transaction ids that Apple could not tell about when they were
 * posted.  The credits come when it can.
 */

static void
log_lookup(const struct lookup *lookup, const struct appstore_answer *answer,
    enum err err)
{
	struct log log = log_begin(LOG_INFO, "purchase_lookup");

	log_text(&log, "outcome", appstore_outcome_name(answer->outcome));
	log_text(&log, "code", err_code(err));
	log_int64(&log, "tries", lookup->tries_count);
	log_end(&log);
}

void
resolve_lookups(struct worker *worker)
{
	const int64_t began_us = clock_monotonic_us();
	const struct state *state = &worker->state;
	struct purchase_receipt receipt;
	struct appstore_answer answer;
	struct lookup lookup;
	bool found;

	while (appstore_is_up(worker) &&
	    clock_monotonic_us() - began_us < APPSTORE_TURN_US) {
		const int64_t now_ms = clock_now_ms();
		enum err err;

		/* A failure was logged; what is due stays due. */
		if (lookups_take(state->db, now_ms, APPSTORE_LEASE_MS, &found,
			&lookup) != OK ||
		    !found)
			return;
		err = purchasing_look_up(&state->config, state->db, &lookup,
		    now_ms, &answer, &receipt);
		log_lookup(&lookup, &answer, err);
		appstore_heard(worker, &answer);
	}
}
