/* SPDX-License-Identifier: MIT */
#include "appstore.h"

#include "app/purchasing.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "domain/payers.h"
#include "domain/repairs.h"

/*
 * Repair: what Apple told while we did not hear it.  Once an hour the
 * notifications that did not reach us, and of every payer once a week the
 * refunds, go the same way as what comes by itself.
 */

#define HOUR_MS (INT64_C(3600) * 1000)
#define DAY_MS (24 * HOUR_MS)

/* Apple keeps 180 days; its clock and ours may differ. */
#define HISTORY_MS (180 * DAY_MS - HOUR_MS)

/* A notification is tried for six days, so for so long it may fail yet. */
#define OVERLAP_MS (7 * DAY_MS)

#define WALK_PERIOD_MS HOUR_MS
#define PAYER_PERIOD_MS (7 * DAY_MS)

/* Our own rate makes us wait for less than this; Apple for more. */
#define SHORT_WAIT_MS (INT64_C(10) * 1000)

_Static_assert(REPAIR_CURSOR_BYTES > APPSTORE_CURSOR_BYTES_MAX &&
	PAYER_REVISION_BYTES > APPSTORE_CURSOR_BYTES_MAX,
    "Apple's cursors fit");

static void
log_repair(const char *name, const struct appstore_answer *answer,
    int64_t seen_count, int64_t new_count)
{
	struct log log =
	    log_begin(answer->outcome == APPSTORE_DONE ? LOG_INFO : LOG_WARNING,
		"purchase_repair");

	log_text(&log, "name", name);
	log_text(&log, "outcome", appstore_outcome_name(answer->outcome));
	log_int64(&log, "seen", seen_count);
	log_int64(&log, "new", new_count);
	log_end(&log);
}

/*
 * Takes what a page holds; false when the database could not and the page must
 * come again.  What is not Apple's is logged and passed over.
 */
static bool
take_notifications(struct worker *worker, const struct appstore_page *page,
    struct repair *repair)
{
	const struct state *state = &worker->state;
	struct notification n;

	for (size_t i = 0; i < page->count; i++) {
		enum appstore_verdict verdict;
		bool is_new = false;
		enum err err = OK;

		verdict = purchasing_receive(&state->config, state->db,
		    page->item[i], clock_now_ms(), &n, &is_new, &err);
		if (verdict != APPSTORE_OK)
			log_line(LOG_WARNING, "purchase_repair", "problem",
			    appstore_verdict_name(verdict));
		else if (err == ERR_SERVICE_UNAVAILABLE)
			return false;
		repair->seen_count++;
		if (is_new)
			repair->new_count++;
	}
	return true;
}

static int64_t
walk_from_ms(const struct repair *repair)
{
	const int64_t oldest_ms = repair->until_ms - HISTORY_MS;
	const int64_t from_ms = repair->from_ms - OVERLAP_MS;

	return from_ms > oldest_ms ? from_ms : oldest_ms;
}

/* One page; true when there is another. */
static bool
walk_on(struct worker *worker, enum appstore_environment environment,
    struct repair *repair)
{
	const struct appstore_query query = {
		.environment = environment,
		.start_ms = walk_from_ms(repair),
		.end_ms = repair->until_ms,
		.only_failures = true,
	};
	const int64_t now_ms = clock_now_ms();
	struct db *db = worker->state.db;
	struct appstore_page page = { 0 };
	struct appstore_answer answer;
	struct arena arena;
	bool more = false;

	arena_init(&arena, APPSTORE_ARENA_BYTES);
	answer = appstore_notification_history(&worker->state.config, &arena,
	    &query, str_from(repair->cursor), now_ms, &page);
	appstore_heard(worker, &answer);
	if (answer.outcome == APPSTORE_DONE &&
	    take_notifications(worker, &page, repair)) {
		more = page.has_more &&
		    str_copy(page.cursor, repair->cursor,
			sizeof(repair->cursor));
		if (more) {
			(void)repairs_go_on(db, repair, now_ms);
		} else {
			(void)repairs_finish(db, repair,
			    now_ms + WALK_PERIOD_MS);
			log_repair(repair->name, &answer, repair->seen_count,
			    repair->new_count);
		}
	} else if (!appstore_is_down(&answer)) {
		/* A cursor that Apple has forgotten: from the beginning. */
		repair->cursor[0] = '\0';
		(void)repairs_go_on(db, repair, now_ms + HOUR_MS);
		log_repair(repair->name, &answer, repair->seen_count,
		    repair->new_count);
	} else {
		(void)repairs_go_on(db, repair,
		    appstore_retry_at_ms(&answer, 2, now_ms));
		log_repair(repair->name, &answer, repair->seen_count,
		    repair->new_count);
	}
	arena_free(&arena);
	return more;
}

void
repair_notifications(struct worker *worker)
{
	static const struct {
		const char *name;
		enum appstore_environment environment;
	} walks[] = { { "notifications", APPSTORE_PRODUCTION },
		{ "sandbox-notifications", APPSTORE_SANDBOX } };
	const int64_t began_us = clock_monotonic_us();
	struct repair repair;
	bool found, more;

	/* What our own store tells is told by whoever tries it. */
	if (appstore_is_stand_in(&worker->state.config))
		return;
	for (size_t i = 0; i < sizeof(walks) / sizeof(walks[0]); i++)
		do {
			const int64_t now_ms = clock_now_ms();

			if (!appstore_is_up(worker) ||
			    clock_monotonic_us() - began_us >
				APPSTORE_TURN_US ||
			    repairs_take(worker->state.db, walks[i].name,
				now_ms - HISTORY_MS, now_ms, &found,
				&repair) != OK)
				return;
			more = found &&
			    walk_on(worker, walks[i].environment, &repair);
		} while (more);
}

static bool
take_refunds(struct worker *worker, const struct appstore_page *page,
    int64_t *new_count)
{
	const struct state *state = &worker->state;
	const struct purchase_policy policy = purchasing_policy(&state->config);
	struct appstore_transaction transaction;
	struct purchase_fact fact;
	struct arena arena;
	bool is_whole = true;

	arena_init(&arena, APPSTORE_ARENA_BYTES);
	for (size_t i = 0; i < page->count; i++) {
		const int64_t now_ms = clock_now_ms();
		enum appstore_verdict verdict;
		bool is_new = false;

		arena_reset(&arena);
		verdict = appstore_verify_transaction(&state->config, &arena,
		    page->item[i], now_ms, &transaction);
		if (verdict == APPSTORE_UNAVAILABLE)
			is_whole = false;
		if (verdict != APPSTORE_OK ||
		    !purchasing_refund(&transaction, &fact))
			continue;
		/* One that cannot be taken in does not hide the others. */
		if (purchases_repair(state->db, &fact, &policy, now_ms,
			&is_new) == ERR_SERVICE_UNAVAILABLE)
			is_whole = false;
		if (is_new)
			(*new_count)++;
	}
	arena_free(&arena);
	return is_whole;
}

/* False when the rate of our calls is used up for this turn. */
static bool
check_payer(struct worker *worker, struct payer *payer)
{
	const int64_t now_ms = clock_now_ms();
	int64_t next_ms = now_ms + PAYER_PERIOD_MS, new_count = 0;
	struct appstore_page page = { 0 };
	struct appstore_answer answer;
	struct arena arena;

	arena_init(&arena, APPSTORE_ARENA_BYTES);
	answer = appstore_refund_history(&worker->state.config, &arena,
	    payer->is_sandbox ? APPSTORE_SANDBOX : APPSTORE_PRODUCTION,
	    str_from(payer->transaction_id), str_from(payer->revision), now_ms,
	    &page);
	appstore_heard(worker, &answer);
	if (answer.outcome == APPSTORE_DONE &&
	    take_refunds(worker, &page, &new_count)) {
		if (str_copy(page.cursor, payer->revision,
			sizeof(payer->revision)) &&
		    page.has_more)
			next_ms = now_ms;
	} else if (answer.outcome == APPSTORE_DONE ||
	    appstore_is_down(&answer)) {
		next_ms = appstore_retry_at_ms(&answer, 4, now_ms);
	} else {
		/* A revision that Apple has forgotten. */
		payer->revision[0] = '\0';
	}
	arena_free(&arena);
	if (answer.outcome == APPSTORE_RATE_LIMITED &&
	    answer.retry_at_ms - now_ms < SHORT_WAIT_MS)
		return false;
	if (new_count > 0 || answer.outcome != APPSTORE_DONE)
		log_repair("refunds", &answer, (int64_t)page.count, new_count);
	return payers_checked(worker->state.db, payer, next_ms) == OK;
}

void
repair_refunds(struct worker *worker)
{
	const int64_t began_us = clock_monotonic_us();
	struct payer payer;
	bool found;

	if (appstore_is_stand_in(&worker->state.config))
		return;
	while (appstore_is_up(worker) &&
	    clock_monotonic_us() - began_us < APPSTORE_TURN_US) {
		if (payers_due(worker->state.db, clock_now_ms(), &found,
			&payer) != OK ||
		    !found || !check_payer(worker, &payer))
			return;
	}
}
