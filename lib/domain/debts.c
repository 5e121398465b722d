/* SPDX-License-Identifier: MIT */
#include "domain/debts.h"

#include <assert.h>

/* What is owed now, and what the user's row still says. */
static enum err
sum_debt(struct db *db, const struct uuid *user_id, int64_t *ret_debt,
    int64_t *ret_noted)
{
	static const char sql[] =
	    "SELECT COALESCE(SUM(owed_credits * (1 - is_debt_forgiven)"
	    " - paid_credits), 0),"
	    " (SELECT debt_credits FROM users WHERE id = ?1)"
	    " FROM credit_lots WHERE user_id = ?1"
	    " AND (owed_credits > 0 OR paid_credits > 0)";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool found;
	enum err err;

	db_bind_uuid(stmt, 1, user_id);
	err = db_step(stmt, &found);
	if (err != OK)
		return err;
	*ret_debt = db_column_int64(stmt, 0);
	*ret_noted = db_column_int64(stmt, 1);
	return OK;
}

/* A lot pays, or with a negative number has back what it paid. */
static enum err
pay(struct db *db, const struct uuid *lot_id, int64_t credits)
{
	static const char sql[] =
	    "UPDATE credit_lots SET remaining_credits = remaining_credits - ?2,"
	    " paid_credits = paid_credits + ?2 WHERE id = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_uuid(stmt, 1, lot_id);
	db_bind_int64(stmt, 2, credits);
	return db_run(stmt);
}

/* The next lot that can pay, in the order in which lots burn. */
static enum err
next_payer(struct db *db, const struct uuid *user_id, struct uuid *ret_lot_id,
    int64_t *ret_credits, bool *ret_found)
{
	static const char sql[] =
	    "SELECT id, remaining_credits FROM credit_lots"
	    " WHERE user_id = ?1 AND remaining_credits > 0"
	    " ORDER BY burn_rank, id LIMIT 1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	enum err err;

	db_bind_uuid(stmt, 1, user_id);
	err = db_step(stmt, ret_found);
	if (err == OK && *ret_found) {
		*ret_lot_id = db_column_uuid(stmt, 0);
		*ret_credits = db_column_int64(stmt, 1);
	}
	return err;
}

/* The next lot that paid; the one that burns last has it back first. */
static enum err
next_paid(struct db *db, const struct uuid *user_id, struct uuid *ret_lot_id,
    int64_t *ret_credits, bool *ret_found)
{
	static const char sql[] =
	    "SELECT id, paid_credits FROM credit_lots WHERE user_id = ?1"
	    " AND (owed_credits > 0 OR paid_credits > 0) AND paid_credits > 0"
	    " ORDER BY burn_rank DESC, id DESC LIMIT 1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	enum err err;

	db_bind_uuid(stmt, 1, user_id);
	err = db_step(stmt, ret_found);
	if (err == OK && *ret_found) {
		*ret_lot_id = db_column_uuid(stmt, 0);
		*ret_credits = db_column_int64(stmt, 1);
	}
	return err;
}

static enum err
note_debt(struct db *db, const struct uuid *user_id, int64_t debt)
{
	static const char sql[] =
	    "UPDATE users SET debt_credits = ?2 WHERE id = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_uuid(stmt, 1, user_id);
	db_bind_int64(stmt, 2, debt);
	return db_run(stmt);
}

enum err
debts_settle(struct db *db, const struct uuid *user_id, int64_t *ret_moved)
{
	int64_t debt, noted, moved = 0, part = 0;
	struct uuid lot_id;
	bool found = true;
	enum err err;

	assert(db_in_transaction(db));
	err = sum_debt(db, user_id, &debt, &noted);
	while (err == OK && debt != 0) {
		err = debt > 0 ?
		    next_payer(db, user_id, &lot_id, &part, &found) :
		    next_paid(db, user_id, &lot_id, &part, &found);
		if (err != OK || !found)
			break;
		if (debt > 0)
			part = part < debt ? part : debt;
		else
			part = part < -debt ? -part : debt;
		err = pay(db, &lot_id, part);
		debt -= part;
		moved -= part;
	}
	if (err == OK) {
		/* What was paid too much was paid by a lot. */
		assert(debt >= 0);
		if (debt != noted)
			err = note_debt(db, user_id, debt);
	}
	if (err == OK)
		*ret_moved = moved;
	return err;
}

enum err
debts_collect(struct db *db, const struct uuid *user_id,
    struct ledger_head *head, int64_t now_ms)
{
	int64_t moved;
	enum err err;

	err = debts_settle(db, user_id, &moved);
	if (err != OK || moved == 0)
		return err;
	assert(moved < 0);
	return ledger_append(db, user_id, head,
	    &(struct ledger_move){ .kind = "adjustment",
		.amount = -moved,
		.change = moved,
		.reason = "debt",
		.now_ms = now_ms });
}
