/* SPDX-License-Identifier: MIT */
#include "domain/credits.h"
#include "domain/debts.h"
#include "domain/events.h"
#include "domain/ledger.h"

#include <assert.h>

/*
 * More lots than a hold can touch: a user collects a lot a purchase, and the
 * oldest are used up first.
 */
#define CREDITS_LOTS_MAX 256

/* Later than any date: lots that do not expire burn after those that do. */
#define BURN_RANK_FREE INT64_C(9000000000000000)

struct taking {
	struct uuid lot_id;
	int64_t credits;
};

enum err
credits_balance(struct db *db, const struct uuid *user_id, int64_t *ret_balance)
{
	static const char sql[] =
	    "SELECT credits_remaining FROM users WHERE id = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool found;
	enum err err;

	db_bind_uuid(stmt, 1, user_id);
	err = db_step(stmt, &found);
	if (err != OK)
		return err;
	if (!found)
		return ERR_USER_NOT_FOUND;

	*ret_balance = db_column_int64(stmt, 0);
	return OK;
}

static enum err
add_free_lot(struct db *db, const struct uuid *user_id, int64_t amount,
    int64_t now_ms, struct uuid *ret_lot_id)
{
	static const char sql[] =
	    "INSERT INTO credit_lots (id, user_id, source, credits,"
	    " remaining_credits, burn_rank, created_at_ms)"
	    " VALUES (?1, ?2, 'free', ?3, ?3, ?4, ?5)";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	const struct uuid id = uuid_sortable(now_ms);
	enum err err;

	db_bind_uuid(stmt, 1, &id);
	db_bind_uuid(stmt, 2, user_id);
	db_bind_int64(stmt, 3, amount);
	db_bind_int64(stmt, 4, BURN_RANK_FREE);
	db_bind_int64(stmt, 5, now_ms);
	err = db_run(stmt);
	if (err == OK)
		*ret_lot_id = id;
	return err;
}

/* Chooses in burn order what to take where; false if there is not enough. */
static enum err
choose_lots(struct db *db, const struct uuid *user_id, int64_t amount,
    int64_t now_ms, struct taking taking[CREDITS_LOTS_MAX], size_t *ret_count,
    bool *ret_enough)
{
	static const char sql[] =
	    "SELECT id, remaining_credits FROM credit_lots"
	    " WHERE user_id = ?1 AND remaining_credits > 0 AND burn_rank > ?2"
	    " ORDER BY burn_rank, id";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	size_t count = 0;
	bool found;
	enum err err;

	/* The rank of a lot that expires is that time: the past is skipped. */
	db_bind_uuid(stmt, 1, user_id);
	db_bind_int64(stmt, 2, now_ms);
	while (amount > 0 && count < CREDITS_LOTS_MAX) {
		int64_t part;

		err = db_step(stmt, &found);
		if (err != OK)
			return err;
		if (!found)
			break;
		part = db_column_int64(stmt, 1);
		if (part > amount)
			part = amount;
		taking[count].lot_id = db_column_uuid(stmt, 0);
		taking[count].credits = part;
		count++;
		amount -= part;
	}
	*ret_count = count;
	*ret_enough = amount == 0;
	return OK;
}

/* Adds `credits` (which may be negative) to what remains in a lot. */
static enum err
move_lot(struct db *db, const struct uuid *lot_id, int64_t credits)
{
	static const char sql[] =
	    "UPDATE credit_lots SET remaining_credits = remaining_credits + ?2"
	    " WHERE id = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_uuid(stmt, 1, lot_id);
	db_bind_int64(stmt, 2, credits);
	return db_run(stmt);
}

static enum err
note_hold(struct db *db, const struct uuid *job_id, const struct taking *taking)
{
	static const char sql[] =
	    "INSERT INTO hold_lots (job_id, lot_id, credits)"
	    " VALUES (?1, ?2, ?3)";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_uuid(stmt, 1, job_id);
	db_bind_uuid(stmt, 2, &taking->lot_id);
	db_bind_int64(stmt, 3, taking->credits);
	return db_run(stmt);
}

enum err
credits_grant(struct db *db, const struct uuid *user_id, int64_t amount_credits,
    int64_t now_ms)
{
	static const char sql[] = "SELECT 1 FROM ledger_entries"
				  " WHERE user_id = ?1 AND kind = 'grant'";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	struct ledger_head head;
	struct uuid lot_id;
	bool found;
	enum err err;

	assert(amount_credits > 0);
	assert(amount_credits <= CREDITS_AMOUNT_MAX);
	db_bind_uuid(stmt, 1, user_id);
	err = db_step(stmt, &found);
	if (err != OK)
		return err;
	if (found)
		return ERR_CONFLICT;
	err = ledger_read_head(db, user_id, &head);
	if (err != OK)
		return err;
	err = add_free_lot(db, user_id, amount_credits, now_ms, &lot_id);
	if (err != OK)
		return err;
	err = ledger_append(db, user_id, &head,
	    &(struct ledger_move){ .kind = "grant",
		.amount = amount_credits,
		.change = amount_credits,
		.lot_id = &lot_id,
		.reason = "new_device",
		.now_ms = now_ms });
	if (err == OK)
		err = debts_collect(db, user_id, &head, now_ms);
	if (err != OK)
		return err;
	return events_append(db, EVENT_BALANCE, user_id, NULL, now_ms);
}

static enum err
take(struct db *db, const struct uuid *user_id, int64_t amount, int64_t now_ms,
    const struct uuid *job_id)
{
	struct taking taking[CREDITS_LOTS_MAX];
	size_t count;
	bool is_enough;
	enum err err;

	err = choose_lots(db, user_id, amount, now_ms, taking, &count,
	    &is_enough);
	if (err != OK)
		return err;
	if (!is_enough)
		return ERR_INSUFFICIENT_CREDITS;
	for (size_t i = 0; i < count; i++) {
		err = move_lot(db, &taking[i].lot_id, -taking[i].credits);
		if (err == OK && job_id != NULL)
			err = note_hold(db, job_id, &taking[i]);
		if (err != OK)
			return err;
	}
	return OK;
}

static enum err
adjust(struct db *db, const struct uuid *user_id, const struct uuid *job_id,
    int64_t amount_credits, const char *reason, int64_t now_ms,
    int64_t *ret_balance)
{
	struct ledger_head head;
	struct uuid lot_id;
	enum err err;

	assert(amount_credits != 0);
	assert(amount_credits <= CREDITS_AMOUNT_MAX);
	assert(amount_credits >= -CREDITS_AMOUNT_MAX);
	err = ledger_read_head(db, user_id, &head);
	if (err != OK)
		return err;
	if (head.balance + amount_credits < 0)
		return ERR_INSUFFICIENT_CREDITS;
	if (amount_credits > 0)
		err =
		    add_free_lot(db, user_id, amount_credits, now_ms, &lot_id);
	else
		err = take(db, user_id, -amount_credits, now_ms, NULL);
	if (err != OK)
		return err;
	err = ledger_append(db, user_id, &head,
	    &(struct ledger_move){ .kind = "adjustment",
		.amount = amount_credits < 0 ? -amount_credits : amount_credits,
		.change = amount_credits,
		.job_id = job_id,
		.lot_id = amount_credits > 0 ? &lot_id : NULL,
		.reason = reason,
		.now_ms = now_ms });
	if (err == OK && amount_credits > 0)
		err = debts_collect(db, user_id, &head, now_ms);
	if (err == OK)
		err = events_append(db, EVENT_BALANCE, user_id, NULL, now_ms);
	if (err == OK)
		*ret_balance = head.balance;
	return err;
}

enum err
credits_adjust(struct db *db, const struct uuid *user_id,
    int64_t amount_credits, const char *reason, int64_t now_ms,
    int64_t *ret_balance)
{
	return adjust(db, user_id, NULL, amount_credits, reason, now_ms,
	    ret_balance);
}

enum err
credits_refund_job(struct db *db, const struct uuid *user_id,
    const struct uuid *job_id, int64_t amount_credits, const char *reason,
    int64_t now_ms, int64_t *ret_balance)
{
	assert(amount_credits > 0);
	return adjust(db, user_id, job_id, amount_credits, reason, now_ms,
	    ret_balance);
}

enum err
credits_hold(struct db *db, const struct uuid *user_id,
    const struct uuid *job_id, int64_t amount_credits, int64_t now_ms,
    int64_t *ret_balance)
{
	struct ledger_head head;
	enum err err;

	assert(amount_credits > 0);
	assert(amount_credits <= CREDITS_AMOUNT_MAX);
	err = ledger_read_head(db, user_id, &head);
	if (err != OK)
		return err;
	*ret_balance = head.balance;
	if (head.balance < amount_credits)
		return ERR_INSUFFICIENT_CREDITS;
	err = take(db, user_id, amount_credits, now_ms, job_id);
	if (err != OK)
		return err;
	err = ledger_append(db, user_id, &head,
	    &(struct ledger_move){ .kind = "hold",
		.amount = amount_credits,
		.change = -amount_credits,
		.job_id = job_id,
		.reason = "generation",
		.now_ms = now_ms });
	if (err == OK)
		*ret_balance = head.balance;
	return err;
}

/* The amount a job holds; it has not been settled (the index says so). */
static enum err
held_amount(struct db *db, const struct uuid *job_id, int64_t *ret_amount)
{
	static const char sql[] = "SELECT amount_credits FROM ledger_entries"
				  " WHERE job_id = ?1 AND kind = 'hold'";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool found;
	enum err err;

	db_bind_uuid(stmt, 1, job_id);
	err = db_step(stmt, &found);
	if (err != OK)
		return err;
	if (!found)
		return ERR_INTERNAL;

	*ret_amount = db_column_int64(stmt, 0);
	return OK;
}

enum err
credits_capture(struct db *db, const struct uuid *user_id,
    const struct uuid *job_id, int64_t now_ms)
{
	struct ledger_head head;
	int64_t amount;
	enum err err;

	err = held_amount(db, job_id, &amount);
	if (err != OK)
		return err;
	err = ledger_read_head(db, user_id, &head);
	if (err != OK)
		return err;
	return ledger_append(db, user_id, &head,
	    &(struct ledger_move){ .kind = "capture",
		.amount = amount,
		.change = 0,
		.job_id = job_id,
		.reason = "delivered",
		.now_ms = now_ms });
}

/* How much of a job's hold lots owe, because they were refunded meanwhile. */
static enum err
owed_of_hold(struct db *db, const struct uuid *job_id, int64_t *ret_owed)
{
	static const char sql[] =
	    "SELECT COALESCE(SUM(CASE WHEN c.owed_credits < h.credits"
	    " THEN c.owed_credits ELSE h.credits END), 0) FROM hold_lots h"
	    " JOIN credit_lots c ON c.id = h.lot_id WHERE h.job_id = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool found;
	enum err err;

	db_bind_uuid(stmt, 1, job_id);
	err = db_step(stmt, &found);
	if (err == OK)
		*ret_owed = db_column_int64(stmt, 0);
	return err;
}

static enum err
give_back(struct db *db, const struct uuid *job_id)
{
	static const char sql[] =
	    "UPDATE credit_lots SET remaining_credits = remaining_credits +"
	    " (SELECT CASE WHEN credit_lots.owed_credits < h.credits"
	    "   THEN h.credits - credit_lots.owed_credits ELSE 0 END"
	    "  FROM hold_lots h"
	    "  WHERE h.job_id = ?1 AND h.lot_id = credit_lots.id),"
	    " owed_credits ="
	    " (SELECT CASE WHEN credit_lots.owed_credits < h.credits"
	    "   THEN 0 ELSE credit_lots.owed_credits - h.credits END"
	    "  FROM hold_lots h"
	    "  WHERE h.job_id = ?1 AND h.lot_id = credit_lots.id)"
	    " WHERE id IN (SELECT lot_id FROM hold_lots WHERE job_id = ?1)";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_uuid(stmt, 1, job_id);
	return db_run(stmt);
}

/* What was given back pays what is owed, by its own lots first. */
static enum err
give_back_settled(struct db *db, const struct uuid *user_id,
    const struct uuid *job_id, int64_t *ret_paid)
{
	int64_t owed, moved;
	enum err err;

	err = owed_of_hold(db, job_id, &owed);
	if (err == OK)
		err = give_back(db, job_id);
	if (err == OK)
		err = debts_settle(db, user_id, &moved);
	if (err == OK)
		*ret_paid = owed - moved;
	return err;
}

enum err
credits_release(struct db *db, const struct uuid *user_id,
    const struct uuid *job_id, const char *reason, int64_t now_ms)
{
	struct ledger_head head;
	int64_t amount, paid;
	enum err err;

	err = held_amount(db, job_id, &amount);
	if (err != OK)
		return err;
	err = ledger_read_head(db, user_id, &head);
	if (err != OK)
		return err;
	err = give_back_settled(db, user_id, job_id, &paid);
	if (err != OK)
		return err;
	err = ledger_append(db, user_id, &head,
	    &(struct ledger_move){ .kind = "release",
		.amount = amount,
		.change = amount,
		.job_id = job_id,
		.reason = reason,
		.now_ms = now_ms });
	if (err != OK || paid == 0)
		return err;
	assert(paid > 0);
	return ledger_append(db, user_id, &head,
	    &(struct ledger_move){ .kind = "adjustment",
		.amount = paid,
		.change = -paid,
		.reason = "debt",
		.now_ms = now_ms });
}

/* Nothing is left of a lot; what was, nobody has spent. */
static enum err
empty_lot(struct db *db, const struct uuid *lot_id)
{
	static const char sql[] =
	    "UPDATE credit_lots SET remaining_credits = 0,"
	    " expired_credits = expired_credits + remaining_credits"
	    " WHERE id = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_uuid(stmt, 1, lot_id);
	return db_run(stmt);
}

struct expiry {
	int64_t now_ms;
	bool is_done;
};

static enum err
expire_one(struct db *db, void *arg)
{
	static const char sql[] =
	    "SELECT id, user_id, remaining_credits FROM credit_lots"
	    " WHERE expires_at_ms <= ?1 AND remaining_credits > 0"
	    " ORDER BY expires_at_ms LIMIT 1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	struct expiry *expiry = arg;
	struct uuid lot_id, user_id;
	struct ledger_head head;
	int64_t left;
	bool found;
	enum err err;

	db_bind_int64(stmt, 1, expiry->now_ms);
	err = db_step(stmt, &found);
	if (err != OK)
		return err;
	expiry->is_done = !found;
	if (!found)
		return OK;
	lot_id = db_column_uuid(stmt, 0);
	user_id = db_column_uuid(stmt, 1);
	left = db_column_int64(stmt, 2);
	err = ledger_read_head(db, &user_id, &head);
	if (err == OK)
		err = empty_lot(db, &lot_id);
	if (err == OK)
		err = ledger_append(db, &user_id, &head,
		    &(struct ledger_move){ .kind = "adjustment",
			.amount = left,
			.change = -left,
			.lot_id = &lot_id,
			.reason = "expired",
			.now_ms = expiry->now_ms });
	if (err == OK)
		err = events_append(db, EVENT_BALANCE, &user_id, NULL,
		    expiry->now_ms);
	return err;
}

enum err
credits_expire(struct db *db, int64_t now_ms, int64_t limit)
{
	struct expiry expiry = { .now_ms = now_ms };
	enum err err = OK;

	while (err == OK && !expiry.is_done && limit-- > 0)
		err = db_transaction(db, expire_one, &expiry);
	return err;
}

/* RFC 9562 version 8: the user's first bytes, then the entry's number. */
static struct uuid
entry_id(const struct uuid *user_id, int64_t number)
{
	struct uuid id = *user_id;

	id.bytes[6] = (uint8_t)((id.bytes[6] & 0x0f) | 0x80);
	id.bytes[8] = (uint8_t)((id.bytes[8] & 0x3f) | 0x80);
	for (size_t i = 0; i < 6; i++)
		id.bytes[10 + i] = (uint8_t)((uint64_t)number >> (40 - 8 * i));
	return id;
}

static bool
entry_number(const struct uuid *user_id, const struct uuid *id,
    int64_t *ret_number)
{
	int64_t number = 0;
	struct uuid again;

	for (size_t i = 0; i < 6; i++)
		number = number << 8 | id->bytes[10 + i];
	again = entry_id(user_id, number);
	if (!uuid_equal(&again, id))
		return false;
	*ret_number = number;
	return true;
}

enum err
credits_history(struct db *db, const struct uuid *user_id,
    const struct uuid *before, int64_t limit,
    struct ledger_entry entries[CREDITS_HISTORY_MAX], size_t *ret_count)
{
	static const char sql[] =
	    "SELECT number, kind, change, balance_after, job_id, created_at_ms"
	    " FROM ledger_entries WHERE user_id = ?1 AND number < ?2"
	    " AND change <> 0 ORDER BY number DESC LIMIT ?3";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	int64_t number = INT64_MAX;
	size_t count = 0;
	bool found;
	enum err err;

	assert(limit <= CREDITS_HISTORY_MAX);
	if (before != NULL && !entry_number(user_id, before, &number))
		return ERR_INVALID_REQUEST;
	db_bind_uuid(stmt, 1, user_id);
	db_bind_int64(stmt, 2, number);
	db_bind_int64(stmt, 3, limit);
	for (;; count++) {
		struct ledger_entry *entry = &entries[count];

		err = db_step(stmt, &found);
		if (err != OK)
			return err;
		if (!found)
			break;
		entry->id = entry_id(user_id, db_column_int64(stmt, 0));
		(void)str_copy(db_column_str(stmt, 1), entry->kind,
		    sizeof(entry->kind));
		entry->change_credits = db_column_int64(stmt, 2);
		entry->balance_after_credits = db_column_int64(stmt, 3);
		entry->has_job = !db_column_is_null(stmt, 4);
		entry->job_id = db_column_uuid(stmt, 4);
		entry->created_at_ms = db_column_int64(stmt, 5);
	}
	*ret_count = count;
	return OK;
}
