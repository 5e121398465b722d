/* SPDX-License-Identifier: MIT */
#include "domain/credits.h"
#include "domain/debts.h"
#include "domain/ledger.h"

#include <assert.h>

/* Has this user, or whoever was merged into it, had a device's gift? */
static enum err
has_gift(struct db *db, const struct uuid *user_id, bool *ret_has_gift)
{
	static const char sql[] =
	    "SELECT 1 FROM credit_lots c JOIN ledger_entries l"
	    " ON l.lot_id = c.id AND l.kind = 'grant'"
	    " WHERE c.user_id = ?1 LIMIT 1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_uuid(stmt, 1, user_id);
	return db_step(stmt, ret_has_gift);
}

struct lot {
	struct uuid id;
	int64_t credits;
};

struct handover {
	const struct uuid *from;
	const struct uuid *into;
	int64_t now_ms;
	struct ledger_head giver;
	struct ledger_head taker;
};

/*
 * Ends a gift that may not be had twice: what jobs still give back to it
 * expires with it.
 */
static enum err
end_gift(struct db *db, const struct handover *h)
{
	static const char sql[] =
	    "UPDATE credit_lots SET expires_at_ms = ?2, burn_rank = ?2"
	    " WHERE user_id = ?1 AND EXISTS (SELECT 1 FROM ledger_entries l"
	    "  WHERE l.lot_id = credit_lots.id AND l.kind = 'grant')";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_uuid(stmt, 1, h->from);
	db_bind_int64(stmt, 2, h->now_ms);
	return db_run(stmt);
}

/* The same for what was bought with no money. */
static enum err
end_sandbox(struct db *db, const struct handover *h)
{
	static const char sql[] =
	    "UPDATE credit_lots SET expires_at_ms = ?2, burn_rank = ?2"
	    " WHERE user_id = ?1 AND EXISTS (SELECT 1 FROM purchases p"
	    "  WHERE p.id = credit_lots.purchase_id"
	    "  AND p.environment = 'Sandbox')";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_uuid(stmt, 1, h->from);
	db_bind_int64(stmt, 2, h->now_ms);
	return db_run(stmt);
}

/* The next lot that something is left of, and whether it is lost. */
static enum err
next_lot(struct db *db, const struct handover *h, struct lot *lot,
    bool *ret_is_lost, bool *ret_found)
{
	static const char sql[] =
	    "SELECT id, remaining_credits, expires_at_ms FROM credit_lots"
	    " WHERE user_id = ?1 AND remaining_credits > 0"
	    " ORDER BY burn_rank, id LIMIT 1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	enum err err;

	db_bind_uuid(stmt, 1, h->from);
	err = db_step(stmt, ret_found);
	if (err != OK || !*ret_found)
		return err;
	lot->id = db_column_uuid(stmt, 0);
	lot->credits = db_column_int64(stmt, 1);
	*ret_is_lost = !db_column_is_null(stmt, 2) &&
	    db_column_int64(stmt, 2) <= h->now_ms;
	return OK;
}

static enum err
give_lot(struct db *db, const struct handover *h, const struct lot *lot,
    bool is_lost)
{
	static const char sql[] =
	    "UPDATE credit_lots SET user_id = ?2,"
	    " remaining_credits = remaining_credits - ?3,"
	    " expired_credits = expired_credits + ?3 WHERE id = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_uuid(stmt, 1, &lot->id);
	db_bind_uuid(stmt, 2, h->into);
	db_bind_int64(stmt, 3, is_lost ? lot->credits : 0);
	return db_run(stmt);
}

static enum err
move_lot_over(struct db *db, struct handover *h, const struct lot *lot,
    bool is_lost)
{
	struct ledger_move move = { .kind = "adjustment",
		.amount = lot->credits,
		.change = -lot->credits,
		.lot_id = &lot->id,
		.reason = "merged",
		.now_ms = h->now_ms };
	enum err err;

	err = ledger_append(db, h->from, &h->giver, &move);
	move.change = lot->credits;
	if (err == OK && !is_lost)
		err = ledger_append(db, h->into, &h->taker, &move);
	return err == OK ? give_lot(db, h, lot, is_lost) : err;
}

/* Jobs that took all there was may still give some of it back. */
static enum err
give_empty_lots(struct db *db, const struct handover *h)
{
	static const char sql[] =
	    "UPDATE credit_lots SET user_id = ?2 WHERE user_id = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_uuid(stmt, 1, h->from);
	db_bind_uuid(stmt, 2, h->into);
	return db_run(stmt);
}

/* Debts went over with the lots that owe. */
static enum err
settle_both(struct db *db, struct handover *h)
{
	int64_t moved;
	enum err err;

	err = debts_settle(db, h->from, &moved);
	if (err == OK)
		err = debts_collect(db, h->into, &h->taker, h->now_ms);
	return err;
}

enum err
credits_move(struct db *db, const struct uuid *from, const struct uuid *into,
    bool counts_sandbox, int64_t now_ms)
{
	struct handover h = { .from = from, .into = into, .now_ms = now_ms };
	bool had_gift = false, is_lost = false, found = true;
	struct lot lot;
	enum err err;

	assert(db_in_transaction(db));
	assert(!uuid_equal(from, into));
	err = ledger_read_head(db, from, &h.giver);
	if (err == OK)
		err = ledger_read_head(db, into, &h.taker);
	if (err == OK)
		err = has_gift(db, into, &had_gift);
	if (err == OK && had_gift)
		err = end_gift(db, &h);
	if (err == OK && !counts_sandbox)
		err = end_sandbox(db, &h);
	while (err == OK) {
		err = next_lot(db, &h, &lot, &is_lost, &found);
		if (err != OK || !found)
			break;
		err = move_lot_over(db, &h, &lot, is_lost);
	}
	if (err == OK)
		err = give_empty_lots(db, &h);
	return err == OK ? settle_both(db, &h) : err;
}
