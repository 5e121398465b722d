/* SPDX-License-Identifier: MIT */
#include "domain/credits.h"
#include "domain/debts.h"
#include "domain/events.h"

#include <assert.h>

/* Bought lots burn after free ones (credits.c), unless they expire. */
#define BURN_RANK_BOUGHT INT64_C(9100000000000000)

static enum err
add_bought_lot(struct db *db, const struct uuid *user_id,
    const struct credits_bought *bought, int64_t now_ms, struct uuid *ret_id)
{
	static const char sql[] =
	    "INSERT INTO credit_lots (id, user_id, source, credits,"
	    " remaining_credits, burn_rank, expires_at_ms, purchase_id,"
	    " created_at_ms) VALUES (?1, ?2, 'bought', ?3, ?3, ?4, ?5, ?6, ?7)";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	const struct uuid id = uuid_sortable(now_ms);
	enum err err;

	db_bind_uuid(stmt, 1, &id);
	db_bind_uuid(stmt, 2, user_id);
	db_bind_int64(stmt, 3, bought->credits);
	db_bind_int64(stmt, 4,
	    bought->expires_at_ms > 0 ? bought->expires_at_ms :
					BURN_RANK_BOUGHT);
	if (bought->expires_at_ms > 0)
		db_bind_int64(stmt, 5, bought->expires_at_ms);
	else
		db_bind_null(stmt, 5);
	db_bind_uuid(stmt, 6, &bought->purchase_id);
	db_bind_int64(stmt, 7, now_ms);
	err = db_run(stmt);
	if (err == OK)
		*ret_id = id;
	return err;
}

enum err
credits_purchase(struct db *db, const struct uuid *user_id,
    const struct credits_bought *bought, int64_t now_ms)
{
	struct ledger_head head;
	struct uuid lot_id;
	enum err err;

	assert(bought->credits > 0);
	assert(bought->credits <= CREDITS_PURCHASE_MAX);
	err = ledger_read_head(db, user_id, &head);
	if (err == OK)
		err = add_bought_lot(db, user_id, bought, now_ms, &lot_id);
	if (err == OK)
		err = ledger_append(db, user_id, &head,
		    &(struct ledger_move){ .kind = "purchase",
			.amount = bought->credits,
			.change = bought->credits,
			.lot_id = &lot_id,
			.reason = "purchase",
			.now_ms = now_ms });
	if (err == OK)
		err = debts_collect(db, user_id, &head, now_ms);
	if (err == OK)
		err = events_append(db, EVENT_BALANCE, user_id, NULL, now_ms);
	return err;
}

struct bought_lot {
	struct uuid id;
	struct uuid user_id;
	int64_t credits;
	int64_t remaining;
	int64_t expired;
	int64_t refunded;
	int64_t owed;
	int64_t paid;
	bool is_debt_forgiven;
};

static enum err
read_lot(struct db *db, const struct uuid *purchase_id, struct bought_lot *lot)
{
	static const char sql[] =
	    "SELECT id, user_id, credits, remaining_credits, refunded_credits,"
	    " owed_credits, paid_credits, is_debt_forgiven, expired_credits"
	    " FROM credit_lots WHERE purchase_id = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool found;
	enum err err;

	db_bind_uuid(stmt, 1, purchase_id);
	err = db_step(stmt, &found);
	if (err != OK)
		return err;
	if (!found)
		return ERR_INTERNAL;
	*lot = (struct bought_lot){
		.id = db_column_uuid(stmt, 0),
		.user_id = db_column_uuid(stmt, 1),
		.credits = db_column_int64(stmt, 2),
		.remaining = db_column_int64(stmt, 3),
		.refunded = db_column_int64(stmt, 4),
		.owed = db_column_int64(stmt, 5),
		.paid = db_column_int64(stmt, 6),
		.is_debt_forgiven = db_column_bool(stmt, 7),
		.expired = db_column_int64(stmt, 8),
	};
	return OK;
}

static enum err
write_lot(struct db *db, const struct bought_lot *lot)
{
	static const char sql[] =
	    "UPDATE credit_lots SET remaining_credits = ?2,"
	    " refunded_credits = ?3, owed_credits = ?4, paid_credits = ?5,"
	    " is_debt_forgiven = ?6, expired_credits = ?7 WHERE id = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_uuid(stmt, 1, &lot->id);
	db_bind_int64(stmt, 2, lot->remaining);
	db_bind_int64(stmt, 3, lot->refunded);
	db_bind_int64(stmt, 4, lot->owed);
	db_bind_int64(stmt, 5, lot->paid);
	db_bind_bool(stmt, 6, lot->is_debt_forgiven);
	db_bind_int64(stmt, 7, lot->expired);
	return db_run(stmt);
}

/*
 * Gives all that was taken back again: first what the lot owes is nothing.
 * What had expired by then expires once more.
 */
static enum err
reverse(struct db *db, struct bought_lot *lot, struct ledger_head *head,
    int64_t now_ms)
{
	const int64_t amount = lot->refunded;
	const int64_t back = amount - lot->owed;
	int64_t moved;
	enum err err;

	lot->remaining += back;
	lot->owed = 0;
	lot->refunded = 0;
	lot->is_debt_forgiven = false;
	err = write_lot(db, lot);
	if (err == OK)
		err = debts_settle(db, &lot->user_id, &moved);
	if (err == OK)
		err = ledger_append(db, &lot->user_id, head,
		    &(struct ledger_move){ .kind = "refund_reversed",
			.amount = amount,
			.change = back + moved,
			.lot_id = &lot->id,
			.reason = "refund_reversed",
			.now_ms = now_ms });
	return err;
}

/*
 * Takes the unspent part of what was refunded: what is left, then what had
 * expired.  The rest is owed, as far as the lot has not paid as much for
 * others, which they owe then.
 */
static enum err
take_back(struct db *db, struct bought_lot *lot, int64_t amount,
    bool forgives_debt, struct ledger_head *head, int64_t now_ms)
{
	const int64_t taken = lot->remaining < amount ? lot->remaining : amount;
	const int64_t unused =
	    lot->expired < amount - taken ? lot->expired : amount - taken;
	const int64_t spent = amount - taken - unused;
	const int64_t undone = lot->paid < spent ? lot->paid : spent;
	enum err err;

	lot->remaining -= taken;
	lot->expired -= unused;
	lot->paid -= undone;
	lot->owed = spent - undone;
	lot->refunded = amount;
	lot->is_debt_forgiven = forgives_debt;
	err = write_lot(db, lot);
	if (err == OK)
		err = ledger_append(db, &lot->user_id, head,
		    &(struct ledger_move){ .kind = "refund",
			.amount = amount,
			.change = -taken,
			.lot_id = &lot->id,
			.reason = "refund",
			.now_ms = now_ms });
	if (err == OK)
		err = debts_collect(db, &lot->user_id, head, now_ms);
	return err;
}

enum err
credits_refund(struct db *db, const struct uuid *purchase_id, int64_t credits,
    bool forgives_debt, int64_t now_ms)
{
	struct ledger_head head;
	struct bought_lot lot;
	enum err err;

	assert(db_in_transaction(db));
	assert(credits >= 0);
	err = read_lot(db, purchase_id, &lot);
	if (err != OK || lot.refunded == credits)
		return err;
	assert(credits <= lot.credits);
	err = ledger_read_head(db, &lot.user_id, &head);
	if (err == OK && lot.refunded > 0) {
		err = reverse(db, &lot, &head, now_ms);
		if (err == OK)
			err = read_lot(db, purchase_id, &lot);
	}
	if (err == OK && credits > 0)
		err =
		    take_back(db, &lot, credits, forgives_debt, &head, now_ms);
	if (err == OK)
		err = events_append(db, EVENT_BALANCE, &lot.user_id, NULL,
		    now_ms);
	return err;
}

enum err
credits_extend(struct db *db, const struct uuid *purchase_id,
    int64_t expires_at_ms)
{
	static const char sql[] =
	    "UPDATE credit_lots SET expires_at_ms = ?2, burn_rank = ?2"
	    " WHERE purchase_id = ?1 AND expires_at_ms < ?2";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_uuid(stmt, 1, purchase_id);
	db_bind_int64(stmt, 2, expires_at_ms);
	return db_run(stmt);
}

enum err
credits_end(struct db *db, const struct uuid *purchase_id, int64_t now_ms)
{
	static const char sql[] =
	    "UPDATE credit_lots SET expires_at_ms = ?2, burn_rank = ?2"
	    " WHERE purchase_id = ?1 AND expires_at_ms > ?2";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_uuid(stmt, 1, purchase_id);
	db_bind_int64(stmt, 2, now_ms);
	return db_run(stmt);
}

enum err
credits_consumed(struct db *db, const struct uuid *purchase_id,
    int64_t *ret_millipercent)
{
	struct bought_lot lot;
	const enum err err = read_lot(db, purchase_id, &lot);

	if (err == OK)
		*ret_millipercent = (lot.credits - lot.remaining) *
		    INT64_C(100000) / lot.credits;
	return err;
}
