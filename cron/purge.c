/* SPDX-License-Identifier: MIT */
#include "worker.h"

#include "app/results.h"
#include "base/clock.h"
#include "domain/alarms.h"
#include "domain/credits.h"
#include "domain/events.h"
#include "domain/identities.h"
#include "domain/limits.h"
#include "domain/notices.h"
#include "domain/pushes.h"
#include "domain/reports.h"
#include "domain/sessions.h"

/* Rows at once: short transactions, the rest at the next turn. */
#define PURGE_ROWS 500
#define FILES_AT_ONCE 32

#define HOUR_MS (INT64_C(3600) * 1000)
#define DAY_MS (24 * HOUR_MS)

/* Who could not be told for a week has noticed otherwise. */
#define NOTICE_LIFE_MS (7 * DAY_MS)

/* Long enough to say how often something happens. */
#define ALARM_LIFE_MS (90 * DAY_MS)

/* A bucket that is full says nothing; an hour more for clocks that jump. */
#define BUCKET_LIFE_MS HOUR_MS

/* When what is kept for so many days began. */
static int64_t
kept_since_ms(const struct worker *worker, enum config_key days, int64_t now_ms)
{
	return now_ms - config_number(&worker->state.config, days) * DAY_MS;
}

void
purge(struct worker *worker)
{
	const int64_t now_ms = clock_now_ms();

	/* Failures were logged; the next turn tries again. */
	(void)sessions_purge(worker->state.db, now_ms, PURGE_ROWS);
	(void)identities_purge(worker->state.db, now_ms, PURGE_ROWS);
	(void)limits_purge(worker->state.db, now_ms - BUCKET_LIFE_MS,
	    PURGE_ROWS);
	(void)limits_purge_violations(worker->state.db,
	    kept_since_ms(worker, CONFIG_VIOLATION_DAYS, now_ms), PURGE_ROWS);
	(void)reports_purge(worker->state.db,
	    kept_since_ms(worker, CONFIG_REPORT_DAYS, now_ms), PURGE_ROWS);
	(void)events_purge(worker->state.db, now_ms - EVENT_LIFE_MS,
	    PURGE_ROWS);
	(void)notices_purge(worker->state.db, now_ms - NOTICE_LIFE_MS,
	    PURGE_ROWS);
	(void)pushes_purge(worker->state.db, now_ms, PURGE_ROWS);
	(void)alarms_purge(worker->state.db, now_ms - ALARM_LIFE_MS,
	    PURGE_ROWS);
}

void
delete_files(struct worker *worker)
{
	size_t count;

	(void)results_remove_deleted(&worker->state.config, worker->state.db,
	    FILES_AT_ONCE, &count);
}

void
expire_credits(struct worker *worker)
{
	(void)credits_expire(worker->state.db, clock_now_ms(), PURGE_ROWS);
}
