/* SPDX-License-Identifier: MIT */
#include "app/refusals.h"
#include "base/clock.h"
#include "base/log.h"

/* Those of one round of requests fit in beside what waits. */
#define REFUSALS_MANY (REFUSALS_MAX / 2)

void
refusals_note(struct refusals *refusals, const struct limit *limit,
    struct str request_id, int64_t now_ms)
{
	const struct limit_violation one = limits_violation(limit, now_ms);
	size_t i = 0;

	while (i < refusals->count &&
	    !limits_violation_is_same(&refusals->violation[i], &one))
		i++;
	if (i == REFUSALS_MAX)
		return;
	if (refusals->count == 0)
		refusals->began_us = clock_monotonic_us();
	if (i == refusals->count) {
		refusals->count++;
		refusals->violation[i] = one;
	} else {
		refusals->violation[i].count++;
		refusals->violation[i].last_at_ms = now_ms;
	}
	if (!str_copy(request_id, refusals->request_id[i],
		REFUSALS_REQUEST_ID_BYTES))
		refusals->request_id[i][0] = '\0';
}

int
refusals_wait_ms(const struct refusals *refusals, int max_ms)
{
	int64_t left_ms;

	if (refusals->count == 0)
		return max_ms;
	left_ms = REFUSALS_DELAY_MS -
	    (clock_monotonic_us() - refusals->began_us) / 1000;
	if (left_ms < 0)
		left_ms = 0;
	return max_ms >= 0 && max_ms < left_ms ? max_ms : (int)left_ms;
}

bool
refusals_are_due(const struct refusals *refusals)
{
	return refusals->count >= REFUSALS_MANY ||
	    refusals_wait_ms(refusals, -1) == 0;
}

/* One line in an hour, of the refusal that makes it too many. */
static void
report(const struct limit_violation *v, const char *request_id, int64_t count)
{
	struct log log = log_begin(LOG_WARNING, "limit_repeated");
	struct uuid user_id;

	log_text(&log, "request_id", request_id);
	log_text(&log, "kind", v->kind);
	log_int64(&log, "refused", count);
	if (v->subject_bytes == UUID_BYTES) {
		memcpy(user_id.bytes, v->subject, UUID_BYTES);
		log_uuid(&log, "user", &user_id);
	}
	log_end(&log);
}

bool
refusals_write(struct refusals *refusals, struct db *db,
    int64_t report_per_hour)
{
	const size_t n = refusals->count;
	int64_t counts[REFUSALS_MAX];

	refusals->count = 0;
	if (n == 0)
		return false;
	/* That they cannot be counted was logged. */
	if (limits_note_violations(db, refusals->violation, n, counts) != OK)
		return true;
	for (size_t i = 0; i < n; i++) {
		const struct limit_violation *v = &refusals->violation[i];

		if (counts[i] - v->count < report_per_hour &&
		    counts[i] >= report_per_hour)
			report(v, refusals->request_id[i], counts[i]);
	}
	return true;
}
