/* SPDX-License-Identifier: MIT */
#include "appstore.h"

#include "base/clock.h"
#include "domain/upstreams.h"

#define PAUSE_US (INT64_C(30) * 1000000)
#define RETRY_MIN_MS (INT64_C(15) * 1000)
#define RETRY_MAX_MS (INT64_C(3600) * 1000)

bool
appstore_is_up(const struct worker *worker)
{
	return !worker->is_draining &&
	    clock_monotonic_us() >= worker->appstore_after_us;
}

bool
appstore_is_down(const struct appstore_answer *answer)
{
	switch (answer->outcome) {
	case APPSTORE_DONE:
	case APPSTORE_NOT_FOUND:
	case APPSTORE_REFUSED:
		return false;
	case APPSTORE_TRY_LATER:
	case APPSTORE_RATE_LIMITED:
	case APPSTORE_UNAUTHORIZED:
		break;
	}
	return true;
}

void
appstore_heard(struct worker *worker, const struct appstore_answer *answer)
{
	struct db *db = worker->state.db;

	if (!appstore_is_down(answer))
		(void)upstreams_answered(db, UPSTREAM_APPLE, "appstore");
	else if (answer->outcome != APPSTORE_RATE_LIMITED)
		(void)upstreams_failed(db, UPSTREAM_APPLE, "appstore",
		    appstore_outcome_name(answer->outcome), clock_now_ms());
	/* Our own rate is kept by waiting a moment, not by a pause. */
	if (appstore_is_down(answer) &&
	    answer->outcome != APPSTORE_RATE_LIMITED)
		worker->appstore_after_us = clock_monotonic_us() + PAUSE_US;
}

int64_t
appstore_retry_at_ms(const struct appstore_answer *answer, int64_t tries_count,
    int64_t now_ms)
{
	int64_t wait_ms = RETRY_MIN_MS;

	for (int64_t i = 0; i < tries_count && wait_ms < RETRY_MAX_MS; i++)
		wait_ms *= 2;
	if (wait_ms > RETRY_MAX_MS)
		wait_ms = RETRY_MAX_MS;
	if (answer->outcome == APPSTORE_RATE_LIMITED)
		return answer->retry_at_ms > now_ms ? answer->retry_at_ms :
						      now_ms;
	return now_ms + wait_ms;
}
