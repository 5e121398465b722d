/* SPDX-License-Identifier: MIT */
#include "worker.h"

#include "app/purchasing.h"
#include "base/clock.h"
#include "base/log.h"
#include "domain/payers.h"

/* Rows at once: short transactions, the rest at the next turn. */
#define ROWS 100

#define DAY_MS (INT64_C(24) * 3600 * 1000)

/* Apple repeats for six days and tells what it told for 180. */
#define NOTIFICATION_LIFE_MS (200 * DAY_MS)
#define LOOKUP_LIFE_MS (30 * DAY_MS)
#define PAYER_LIFE_MS (180 * DAY_MS)

/* Credits what waited for something that is there now. */
void
retry_purchases(struct worker *worker)
{
	const struct purchase_policy policy =
	    purchasing_policy(&worker->state.config);
	struct log log;
	int64_t count = 0;

	/* Failures were logged; the next turn tries again. */
	(void)purchases_retry(worker->state.db, &policy, clock_now_ms(), ROWS,
	    &count);
	if (count == 0)
		return;
	log = log_begin(LOG_INFO, "purchases_credited_late");
	log_int64(&log, "count", count);
	log_end(&log);
}

void
end_subscriptions(struct worker *worker)
{
	(void)subscriptions_end(worker->state.db, clock_now_ms(), ROWS);
}

void
purge_purchases(struct worker *worker)
{
	const int64_t now_ms = clock_now_ms();
	struct db *db = worker->state.db;

	(void)notifications_purge(db, now_ms - NOTIFICATION_LIFE_MS, ROWS);
	(void)lookups_purge(db, now_ms - LOOKUP_LIFE_MS, ROWS);
	(void)payers_purge(db, now_ms - PAYER_LIFE_MS, ROWS);
}
