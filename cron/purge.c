/* SPDX-License-Identifier: MIT */
#include "worker.h"

#include "app/results.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
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

/* What goes by itself: rows that are older than they are kept. */
struct retention {
	const char *what; /* for the log and the metrics */
	enum err (*purge)(struct db *db, int64_t before_ms, int64_t limit);
	int64_t kept_ms; /* 0: the purge itself knows, and is told the time */
	enum config_key days; /* instead of kept_ms, if `is_configured` */
	bool is_configured;
};

static const struct retention retentions[] = {
	{ "sessions", sessions_purge, 0, 0, false },
	{ "identity_tokens", identities_purge, 0, 0, false },
	{ "rate_limits", limits_purge, BUCKET_LIFE_MS, 0, false },
	{ "limit_violations", limits_purge_violations, 0, CONFIG_VIOLATION_DAYS,
	    true },
	{ "provider_reports", reports_purge, 0, CONFIG_REPORT_DAYS, true },
	{ "events", events_purge, EVENT_LIFE_MS, 0, false },
	{ "notices", notices_purge, NOTICE_LIFE_MS, 0, false },
	{ "pushes", pushes_purge, 0, 0, false },
	{ "alarms", alarms_purge, ALARM_LIFE_MS, 0, false },
};

void
report_purge(const struct worker *worker, const char *what, int64_t rows_before)
{
	const int64_t rows = state_rows_changed(&worker->state) - rows_before;
	struct log log;

	if (rows == 0)
		return;
	metric_add(metrics_find(METRIC_PURGED, what), 0, rows);
	log = log_begin(LOG_INFO, "purged");
	log_text(&log, "what", what);
	log_int64(&log, "rows", rows);
	log_end(&log);
}

void
purge(struct worker *worker)
{
	const int64_t now_ms = clock_now_ms();

	for (size_t i = 0; i < sizeof(retentions) / sizeof(retentions[0]);
	     i++) {
		const struct retention *r = &retentions[i];
		const int64_t rows = state_rows_changed(&worker->state);
		const int64_t kept_ms = r->is_configured ?
		    config_number(&worker->state.config, r->days) * DAY_MS :
		    r->kept_ms;

		/* A failure was logged; the next turn tries again. */
		(void)r->purge(worker->state.db, now_ms - kept_ms, PURGE_ROWS);
		report_purge(worker, r->what, rows);
	}
}

void
delete_files(struct worker *worker)
{
	const int64_t rows = state_rows_changed(&worker->state);
	size_t count;

	(void)results_remove_deleted(&worker->state.config, worker->state.db,
	    FILES_AT_ONCE, &count);
	report_purge(worker, "files", rows);
}

void
expire_credits(struct worker *worker)
{
	(void)credits_expire(worker->state.db, clock_now_ms(), PURGE_ROWS);
}
