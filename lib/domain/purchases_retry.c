/* SPDX-License-Identifier: MIT */
#include "domain/purchases.h"
#include "base/clock.h"

#include <stdio.h>

#define DAY_MS (INT64_C(24) * 3600 * 1000)

struct retry {
	const struct purchase_policy *policy;
	int64_t now_ms;
	struct uuid id;
	bool is_done;
	bool is_credited;
};

/* The newest fact of the next purchase that is to be tried, out of its row. */
static enum err
next_waiting(struct db *db, int64_t now_ms, struct purchase_fact *fact,
    struct uuid *ret_id, bool *ret_found)
{
	static const char sql[] =
	    "SELECT environment = 'Sandbox', transaction_id,"
	    " original_transaction_id, product_id, kind = 'subscription',"
	    " quantity, account_token, expires_at_ms, signed_at_ms,"
	    " notified_at_ms, refund_millipercent, is_upgraded,"
	    " purchased_at_ms, id FROM purchases WHERE next_try_at_ms <= ?1"
	    " ORDER BY next_try_at_ms LIMIT 1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	enum err err;

	db_bind_int64(stmt, 1, now_ms);
	err = db_step(stmt, ret_found);
	if (err != OK || !*ret_found)
		return err;
	*fact = (struct purchase_fact){
		.is_sandbox = db_column_bool(stmt, 0),
		.kind = db_column_bool(stmt, 4) ? PURCHASE_SUBSCRIPTION :
						  PURCHASE_CONSUMABLE,
		.quantity = db_column_int64(stmt, 5),
		.has_account_token = !db_column_is_null(stmt, 6),
		.account_token = db_column_uuid(stmt, 6),
		.expires_at_ms = db_column_int64(stmt, 7),
		.signed_at_ms = db_column_int64(stmt, 8),
		.notified_at_ms = db_column_int64(stmt, 9),
		.refund_millipercent = db_column_int64(stmt, 10),
		.is_upgraded = db_column_bool(stmt, 11),
		.purchased_at_ms = db_column_int64(stmt, 12),
	};
	(void)str_copy(db_column_str(stmt, 1), fact->transaction_id,
	    sizeof(fact->transaction_id));
	(void)str_copy(db_column_str(stmt, 2), fact->original_transaction_id,
	    sizeof(fact->original_transaction_id));
	(void)str_copy(db_column_str(stmt, 3), fact->product_id,
	    sizeof(fact->product_id));
	*ret_id = db_column_uuid(stmt, 13);
	return OK;
}

static enum err
is_credited(struct db *db, const struct uuid *id, bool *ret_is_credited)
{
	static const char sql[] =
	    "SELECT 1 FROM purchases WHERE id = ?1 AND waits_for IS NULL";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_uuid(stmt, 1, id);
	return db_step(stmt, ret_is_credited);
}

static enum err
retry_one(struct db *db, void *arg)
{
	struct retry *retry = arg;
	struct purchase_fact fact;
	bool found;
	enum err err;

	err = next_waiting(db, retry->now_ms, &fact, &retry->id, &found);
	if (err != OK)
		return err;
	retry->is_done = !found;
	retry->is_credited = false;
	if (!found)
		return OK;
	err = purchases_note(db, &fact, retry->policy, retry->now_ms);
	return err == OK ? is_credited(db, &retry->id, &retry->is_credited) :
			   err;
}

static enum err
postpone(struct db *db, void *arg)
{
	static const char sql[] = "UPDATE purchases SET next_try_at_ms = ?2"
				  " WHERE id = ?1 AND waits_for IS NOT NULL";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	const struct retry *retry = arg;

	db_bind_uuid(stmt, 1, &retry->id);
	db_bind_int64(stmt, 2, retry->now_ms + DAY_MS);
	return db_run(stmt);
}

enum err
purchases_retry(struct db *db, const struct purchase_policy *policy,
    int64_t now_ms, int64_t limit, int64_t *ret_credited_count)
{
	struct retry retry = { .policy = policy, .now_ms = now_ms };
	int64_t credited = 0;
	enum err err = OK;

	while (err == OK && !retry.is_done && limit-- > 0) {
		err = db_transaction(db, retry_one, &retry);
		if (err == OK && retry.is_credited)
			credited++;
		/* The balance has no room for it; others wait behind it. */
		if (err == ERR_CONFLICT)
			err = db_transaction(db, postpone, &retry);
	}
	*ret_credited_count = credited;
	return err;
}

/* A time that is always met lets the index of what waits serve. */
enum err
purchases_waiting_count(struct db *db, int64_t *ret_count)
{
	static const char sql[] =
	    "SELECT COUNT(*) FROM purchases WHERE next_try_at_ms >= ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool found;
	enum err err;

	db_bind_int64(stmt, 1, 0);
	err = db_step(stmt, &found);
	if (err == OK)
		*ret_count = db_column_int64(stmt, 0);
	return err;
}

/* Whose subscription goes on after their account is gone is nobody's debt. */
enum err
purchases_overdue(struct db *db, int64_t before_ms,
    purchases_overdue_each *each, void *arg)
{
	static const char sql[] =
	    "SELECT CASE p.waits_for WHEN 'product' THEN p.product_id"
	    "  ELSE p.waits_for END AS wanted,"
	    " CASE p.waits_for WHEN 'product' THEN -1"
	    "  ELSE p.created_at_ms / ?4 END AS of_day,"
	    " COUNT(*), MIN(p.created_at_ms)"
	    " FROM purchases p WHERE p.next_try_at_ms >= ?1"
	    " AND p.environment <> 'Sandbox' AND p.created_at_ms < ?2"
	    " AND p.refund_millipercent < ?3 AND NOT EXISTS (SELECT 1"
	    "  FROM subscriptions s JOIN users u ON u.id = s.user_id"
	    "  WHERE s.environment = p.environment AND"
	    "  s.original_transaction_id = p.original_transaction_id"
	    "  AND u.status = 'deleted') GROUP BY wanted, of_day"
	    " ORDER BY MIN(p.created_at_ms) DESC, wanted";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	char wanted[PURCHASE_PRODUCT_BYTES], day[CLOCK_TEXT_BYTES];
	bool found;
	enum err err;

	db_bind_int64(stmt, 1, 0);
	db_bind_int64(stmt, 2, before_ms);
	db_bind_int64(stmt, 3, PURCHASE_WHOLE);
	db_bind_int64(stmt, 4, DAY_MS);
	while ((err = db_step(stmt, &found)) == OK && found) {
		const int64_t of_day = db_column_int64(stmt, 1);

		(void)str_copy(db_column_str(stmt, 0), wanted, sizeof(wanted));
		if (of_day >= 0) {
			clock_format(of_day * DAY_MS, day);
			(void)snprintf(wanted, sizeof(wanted),
			    "%.32s since %.10s", db_column_str(stmt, 0).ptr,
			    day);
		}
		each(arg, wanted, db_column_int64(stmt, 2),
		    db_column_int64(stmt, 3));
	}
	return err;
}
