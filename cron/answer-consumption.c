/* SPDX-License-Identifier: MIT */
#include "appstore.h"

#include "base/clock.h"
#include "base/log.h"
#include "domain/consumption.h"

/*
 * Consumption: Apple's questions how much of a purchase was used, answered
 * with the truth and only for those who consented (domain/consumption.h).
 */

static struct appstore_answer
tell(struct worker *worker, const struct consumption_answer *answer)
{
	const struct appstore_consumption consumption = {
		.delivery = answer->is_delivered ? APPSTORE_DELIVERED :
						   APPSTORE_UNDELIVERED_OTHER,
		.sample_content_provided = answer->had_sample,
		.consumption_percentage = answer->has_consumed ?
		    answer->consumed_millipercent :
		    APPSTORE_ABSENT,
		.preference = APPSTORE_NO_PREFERENCE,
	};

	return appstore_send_consumption(&worker->state.config,
	    answer->is_sandbox ? APPSTORE_SANDBOX : APPSTORE_PRODUCTION,
	    str_from(answer->transaction_id), &consumption, clock_now_ms());
}

static void
log_answer(const struct appstore_answer *said)
{
	struct log log = log_begin(LOG_INFO, "consumption_answer");

	log_text(&log, "outcome", appstore_outcome_name(said->outcome));
	log_int64(&log, "status", said->http_status);
	log_int64(&log, "error_code", said->error_code);
	log_end(&log);
}

void
answer_consumption(struct worker *worker)
{
	const int64_t began_us = clock_monotonic_us();
	struct db *db = worker->state.db;
	struct consumption_answer answer;
	bool found;

	while (appstore_is_up(worker) &&
	    clock_monotonic_us() - began_us < APPSTORE_TURN_US) {
		struct consumption_outcome outcome;
		struct appstore_answer said;
		int64_t now_ms = clock_now_ms();

		if (consumption_take(db, now_ms, APPSTORE_LEASE_MS, &found,
			&answer) != OK ||
		    !found)
			return;
		said = tell(worker, &answer);
		now_ms = clock_now_ms();
		log_answer(&said);
		appstore_heard(worker, &said);
		outcome = (struct consumption_outcome){
			.is_final = !appstore_is_down(&said),
			.is_accepted = said.outcome == APPSTORE_DONE,
			.http_status = said.http_status,
			.error_code = said.error_code,
			.next_try_at_ms = appstore_retry_at_ms(&said,
			    answer.tries_count, now_ms),
		};
		/* If this is lost it is told again, which Apple allows. */
		(void)consumption_told(db, &answer, &outcome, now_ms);
	}
}
