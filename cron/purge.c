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
#include "domain/reports.h"
#include "domain/sessions.h"

/* Rows at once: short transactions, the rest at the next turn. */
#define PURGE_ROWS 500
#define FILES_AT_ONCE 32

/* The same report may come again for hours. */
#define REPORT_LIFE_MS (INT64_C(7) * 24 * 3600 * 1000)

/* Who could not be told for a week has noticed otherwise. */
#define NOTICE_LIFE_MS (INT64_C(7) * 24 * 3600 * 1000)

/* Long enough to say how often something happens. */
#define ALARM_LIFE_MS (INT64_C(90) * 24 * 3600 * 1000)

/* The longest window that anything is counted in is an hour. */
#define WINDOW_LIFE_MS (INT64_C(2) * 3600 * 1000)

void
purge(struct worker *worker)
{
	const int64_t now_ms = clock_now_ms();

	/* Failures were logged; the next turn tries again. */
	(void)sessions_purge(worker->state.db, now_ms, PURGE_ROWS);
	(void)identities_purge(worker->state.db, now_ms, PURGE_ROWS);
	(void)limits_purge(worker->state.db, now_ms - WINDOW_LIFE_MS,
	    PURGE_ROWS);
	(void)reports_purge(worker->state.db, now_ms - REPORT_LIFE_MS,
	    PURGE_ROWS);
	(void)events_purge(worker->state.db, now_ms - EVENT_LIFE_MS,
	    PURGE_ROWS);
	(void)notices_purge(worker->state.db, now_ms - NOTICE_LIFE_MS,
	    PURGE_ROWS);
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
