/* SPDX-License-Identifier: MIT */
#include "domain/accounts.h"
#include "domain/acts.h"
#include "domain/credits.h"

#include <assert.h>

#define DAY_MS (INT64_C(24) * 3600 * 1000)

/* Would this much more pass what an admin may give in a day? */
static enum err
check_cap(struct db *db, const struct admin_actor *actor, int64_t credits,
    int64_t cap_credits, int64_t now_ms)
{
	static const char sql[] =
	    "SELECT COALESCE(SUM(credits), 0) FROM admin_log"
	    " WHERE admin_id = ?1 AND created_at_ms > ?2 AND credits > 0";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool found;
	enum err err;

	if (actor->is_console || cap_credits == 0 || credits <= 0)
		return OK;
	db_bind_uuid(stmt, 1, &actor->id);
	db_bind_int64(stmt, 2, now_ms - DAY_MS);
	err = db_step(stmt, &found);
	if (err != OK)
		return err;
	return db_column_int64(stmt, 0) + credits > cap_credits ?
	    ERR_FORBIDDEN :
	    OK;
}

struct adjustment {
	const struct admin_actor *actor;
	const struct uuid *user_id;
	int64_t credits;
	const char *reason;
	int64_t cap_credits;
	int64_t now_ms;
	struct act_receipt receipt;
};

static enum err
adjust(struct db *db, void *arg)
{
	struct adjustment *a = arg;
	struct account account;
	enum err err;

	err = accounts_get(db, a->user_id, &account);
	if (err == OK && account.status == ACCOUNT_DELETED)
		err = ERR_USER_NOT_FOUND;
	if (err == OK)
		err = check_cap(db, a->actor, a->credits, a->cap_credits,
		    a->now_ms);
	if (err == OK)
		err = credits_adjust(db, a->user_id, a->credits, a->reason,
		    a->now_ms, &a->receipt.balance);
	if (err != OK)
		return err;
	return admin_log_append(db, a->actor,
	    &(const struct admin_act){ .action = "user_adjust",
		.user_id = a->user_id,
		.credits = a->credits,
		.reason = str_from(a->reason) },
	    a->now_ms, &a->receipt.number);
}

enum err
acts_adjust(struct db *db, const struct admin_actor *actor,
    const struct uuid *user_id, int64_t credits, const char *reason,
    int64_t cap_credits, int64_t now_ms, struct act_receipt *ret_receipt)
{
	struct adjustment a = { actor, user_id, credits, reason, cap_credits,
		now_ms, { 0 } };
	const enum err err = db_transaction(db, adjust, &a);

	if (err == OK)
		*ret_receipt = a.receipt;
	return err;
}

struct undoing {
	const struct admin_actor *actor;
	int64_t number;
	const char *reason;
	int64_t now_ms;
	struct act_receipt receipt;
};

/*
 * The account is the heir's, if it was merged.  Of a job nothing is undone:
 * what its status tells as refunded stays so, and is refunded once.
 */
static enum err
read_undoable(struct db *db, int64_t number, struct uuid *ret_user_id,
    int64_t *ret_credits)
{
	static const char sql[] =
	    "SELECT h.id, h.status = 'deleted', l.credits,"
	    " u.number IS NOT NULL FROM admin_log l"
	    " JOIN users a ON a.id = l.user_id"
	    " JOIN users h ON h.id = COALESCE(a.merged_into_id, a.id)"
	    " LEFT JOIN admin_log u ON u.undoes_number = l.number"
	    " WHERE l.number = ?1 AND l.action = 'user_adjust'";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool found;
	enum err err;

	db_bind_int64(stmt, 1, number);
	err = db_step(stmt, &found);
	if (err != OK)
		return err;
	if (!found)
		return ERR_NOT_FOUND;
	if (db_column_bool(stmt, 3))
		return ERR_CONFLICT;
	if (db_column_bool(stmt, 1))
		return ERR_USER_NOT_FOUND;
	*ret_user_id = db_column_uuid(stmt, 0);
	*ret_credits = db_column_int64(stmt, 2);
	return OK;
}

static enum err
undo(struct db *db, void *arg)
{
	struct undoing *u = arg;
	struct uuid user_id;
	int64_t credits;
	enum err err;

	err = read_undoable(db, u->number, &user_id, &credits);
	if (err == OK)
		err = credits_adjust(db, &user_id, -credits, u->reason,
		    u->now_ms, &u->receipt.balance);
	if (err != OK)
		return err;
	return admin_log_append(db, u->actor,
	    &(const struct admin_act){ .action = "undo",
		.user_id = &user_id,
		.credits = -credits,
		.reason = str_from(u->reason),
		.undoes_number = u->number },
	    u->now_ms, &u->receipt.number);
}

enum err
acts_undo(struct db *db, const struct admin_actor *actor, int64_t number,
    const char *reason, int64_t now_ms, struct act_receipt *ret_receipt)
{
	struct undoing u = { actor, number, reason, now_ms, { 0 } };
	const enum err err = db_transaction(db, undo, &u);

	if (err == OK)
		*ret_receipt = u.receipt;
	return err;
}

struct refunding {
	const struct admin_actor *actor;
	const struct uuid *job_id;
	const char *reason;
	int64_t cap_credits;
	int64_t now_ms;
	struct uuid user_id;
	int64_t cost_credits;
	struct act_refund result;
};

/* How a job ended that is to be refunded. */
enum settlement { HELD, CAPTURED, GIVEN_BACK };

static enum err
read_job(struct db *db, struct refunding *r, enum settlement *ret_settlement)
{
	/* What was released is back, and so is what was refunded before. */
	static const char sql[] =
	    "SELECT j.user_id, j.state, j.cost_credits,"
	    " (SELECT l.kind FROM ledger_entries l WHERE l.job_id = j.id"
	    "  AND l.kind IN ('capture', 'release')),"
	    " EXISTS (SELECT 1 FROM ledger_entries l WHERE l.job_id = j.id"
	    "  AND l.kind = 'adjustment' AND l.job_id IS NOT NULL)"
	    " FROM jobs j WHERE j.id = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool found;
	enum err err;

	db_bind_uuid(stmt, 1, r->job_id);
	err = db_step(stmt, &found);
	if (err != OK)
		return err;
	if (!found)
		return ERR_JOB_NOT_FOUND;
	r->user_id = db_column_uuid(stmt, 0);
	r->result.state = job_state_parse(db_column_str(stmt, 1));
	r->cost_credits = db_column_int64(stmt, 2);
	if (db_column_bool(stmt, 4) ||
	    str_equal(db_column_str(stmt, 3), STR("release")))
		*ret_settlement = GIVEN_BACK;
	else
		*ret_settlement = db_column_is_null(stmt, 3) ? HELD : CAPTURED;
	return OK;
}

/* It has not ended: it is ended, or its provider is asked to. */
static enum err
call_off(struct db *db, struct refunding *r)
{
	bool cancelled;
	enum err err;

	err = jobs_cancel_unsent(db, r->job_id, r->now_ms, &cancelled);
	if (err == OK && !cancelled)
		err = jobs_ask_cancel(db, r->job_id, r->now_ms);
	if (err == OK && cancelled) {
		r->result.state = JOB_CANCELLED;
		r->result.refunded_credits = r->cost_credits;
	}
	if (err == OK)
		err = credits_balance(db, &r->user_id,
		    &r->result.receipt.balance);
	return err;
}

static enum err
refund(struct db *db, void *arg)
{
	struct refunding *r = arg;
	struct admin_act act = { .subject_id = r->job_id,
		.user_id = &r->user_id,
		.reason = str_from(r->reason) };
	enum settlement settlement;
	enum err err;

	err = read_job(db, r, &settlement);
	if (err != OK)
		return err;
	if (settlement == GIVEN_BACK)
		return ERR_CONFLICT;
	if (settlement == HELD) {
		act.action = "job_cancel";
		err = call_off(db, r);
	} else {
		act.action = "job_refund";
		act.credits = r->cost_credits;
		err = check_cap(db, r->actor, r->cost_credits, r->cap_credits,
		    r->now_ms);
		if (err == OK)
			err = credits_refund_job(db, &r->user_id, r->job_id,
			    r->cost_credits, r->reason, r->now_ms,
			    &r->result.receipt.balance);
		r->result.refunded_credits = r->cost_credits;
	}
	if (err != OK)
		return err;
	return admin_log_append(db, r->actor, &act, r->now_ms,
	    &r->result.receipt.number);
}

enum err
acts_refund_job(struct db *db, const struct admin_actor *actor,
    const struct uuid *job_id, const char *reason, int64_t cap_credits,
    int64_t now_ms, struct act_refund *ret_refund)
{
	struct refunding r = { .actor = actor,
		.job_id = job_id,
		.reason = reason,
		.cap_credits = cap_credits,
		.now_ms = now_ms };
	const enum err err = db_transaction(db, refund, &r);

	if (err == OK)
		*ret_refund = r.result;
	return err;
}
