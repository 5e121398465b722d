/* SPDX-License-Identifier: MIT */
#include "domain/consumption.h"
#include "domain/credits.h"

#include <assert.h>

static const char *
environment_name(const struct purchase_fact *fact)
{
	return fact->is_sandbox ? "Sandbox" : "Production";
}

/*
 * A question that was answered may be asked again when Apple no longer waits
 * for that answer: the customer asks for another refund.
 */
enum err
consumption_ask(struct db *db, const struct purchase_fact *fact,
    const char *reason, int64_t asked_at_ms, int64_t now_ms)
{
	static const char sql[] =
	    "INSERT INTO consumption_requests (purchase_id, state, reason,"
	    " asked_at_ms, deadline_at_ms, next_try_at_ms)"
	    " SELECT id, 'open', ?3, ?4, ?5, ?6 FROM purchases"
	    " WHERE environment = ?1 AND transaction_id = ?2"
	    " ON CONFLICT (purchase_id) DO UPDATE SET state = 'open',"
	    " reason = ?3, asked_at_ms = ?4, deadline_at_ms = ?5,"
	    " next_try_at_ms = ?6, tries_count = 0"
	    " WHERE consumption_requests.state <> 'open'"
	    " AND consumption_requests.deadline_at_ms < ?4";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	assert(db_in_transaction(db));
	db_bind_text(stmt, 1, environment_name(fact));
	db_bind_text(stmt, 2, fact->transaction_id);
	db_bind_text(stmt, 3, reason);
	db_bind_int64(stmt, 4, asked_at_ms);
	db_bind_int64(stmt, 5, asked_at_ms + CONSUMPTION_WAIT_MS);
	db_bind_int64(stmt, 6, now_ms);
	return db_run(stmt);
}

enum err
consumption_close(struct db *db, const struct purchase_fact *fact)
{
	static const char sql[] =
	    "UPDATE consumption_requests SET state = 'closed'"
	    " WHERE state = 'open' AND purchase_id = (SELECT id FROM purchases"
	    "  WHERE environment = ?1 AND transaction_id = ?2)";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	assert(db_in_transaction(db));
	db_bind_text(stmt, 1, environment_name(fact));
	db_bind_text(stmt, 2, fact->transaction_id);
	return db_run(stmt);
}

struct question {
	struct consumption_answer answer;
	bool is_late;
	bool is_consented;
};

static enum err
next_question(struct db *db, int64_t now_ms, struct question *q,
    bool *ret_found)
{
	static const char sql[] =
	    "SELECT r.purchase_id, r.deadline_at_ms <= ?1, r.tries_count,"
	    " p.environment = 'Sandbox', p.transaction_id,"
	    " p.waits_for IS NULL, p.kind = 'subscription',"
	    " COALESCE(u.grant_state = 'granted', 0),"
	    " COALESCE((SELECT c.is_given FROM consents c"
	    "  WHERE c.user_id = p.user_id ORDER BY c.number DESC LIMIT 1), 0),"
	    " p.credits FROM consumption_requests r"
	    " JOIN purchases p ON p.id = r.purchase_id"
	    " LEFT JOIN users u ON u.id = p.user_id"
	    " WHERE r.state = 'open' AND r.next_try_at_ms <= ?1"
	    " ORDER BY r.next_try_at_ms LIMIT 1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	enum err err;

	db_bind_int64(stmt, 1, now_ms);
	err = db_step(stmt, ret_found);
	if (err != OK || !*ret_found)
		return err;
	*q = (struct question){
		.answer = { .purchase_id = db_column_uuid(stmt, 0),
		    .tries_count = db_column_int64(stmt, 2),
		    .is_sandbox = db_column_bool(stmt, 3),
		    .is_delivered = db_column_bool(stmt, 5),
		    .had_sample = db_column_bool(stmt, 7),
		    .has_consumed = !db_column_bool(stmt, 6) },
		.is_late = db_column_bool(stmt, 1),
		.is_consented = db_column_bool(stmt, 8),
	};
	(void)str_copy(db_column_str(stmt, 4), q->answer.transaction_id,
	    sizeof(q->answer.transaction_id));
	if (q->answer.has_consumed && db_column_int64(stmt, 9) > 0)
		err = credits_consumed(db, &q->answer.purchase_id,
		    &q->answer.consumed_millipercent);
	return err;
}

static enum err
set_aside(struct db *db, const struct uuid *purchase_id, const char *state)
{
	static const char sql[] = "UPDATE consumption_requests SET state = ?2"
				  " WHERE purchase_id = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_uuid(stmt, 1, purchase_id);
	db_bind_text(stmt, 2, state);
	return db_run(stmt);
}

static enum err
lease(struct db *db, const struct consumption_answer *answer, int64_t until_ms)
{
	static const char sql[] =
	    "UPDATE consumption_requests SET next_try_at_ms = ?2,"
	    " tries_count = tries_count + 1, consumed_millipercent = ?3"
	    " WHERE purchase_id = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_uuid(stmt, 1, &answer->purchase_id);
	db_bind_int64(stmt, 2, until_ms);
	if (answer->has_consumed)
		db_bind_int64(stmt, 3, answer->consumed_millipercent);
	else
		db_bind_null(stmt, 3);
	return db_run(stmt);
}

struct taking {
	int64_t now_ms;
	int64_t lease_ms;
	bool found;
	struct consumption_answer answer;
};

static enum err
take(struct db *db, void *arg)
{
	struct taking *t = arg;
	struct question q;
	enum err err;

	for (;;) {
		err = next_question(db, t->now_ms, &q, &t->found);
		if (err != OK || !t->found)
			return err;
		if (!q.is_late && q.is_consented)
			break;
		err = set_aside(db, &q.answer.purchase_id,
		    q.is_late ? "late" : "withheld");
		if (err != OK)
			return err;
	}
	t->answer = q.answer;
	return lease(db, &t->answer, t->now_ms + t->lease_ms);
}

/* Most of the time there is none: a look that writes nothing. */
static enum err
is_any_due(struct db *db, int64_t now_ms, bool *ret_is_any)
{
	static const char sql[] =
	    "SELECT 1 FROM consumption_requests WHERE state = 'open'"
	    " AND next_try_at_ms <= ?1 LIMIT 1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_int64(stmt, 1, now_ms);
	return db_step(stmt, ret_is_any);
}

enum err
consumption_take(struct db *db, int64_t now_ms, int64_t lease_ms,
    bool *ret_found, struct consumption_answer *ret_answer)
{
	struct taking t = { .now_ms = now_ms, .lease_ms = lease_ms };
	enum err err;

	err = is_any_due(db, now_ms, &t.found);
	if (err == OK && t.found)
		err = db_transaction(db, take, &t);
	if (err != OK)
		return err;
	*ret_found = t.found;
	if (t.found)
		*ret_answer = t.answer;
	return OK;
}

struct telling {
	const struct consumption_answer *answer;
	const struct consumption_outcome *outcome;
	int64_t now_ms;
};

static enum err
note_told(struct db *db, void *arg)
{
	static const char sql[] =
	    "UPDATE consumption_requests SET state = ?2, http_status = ?3,"
	    " error_code = ?4, answered_at_ms = ?5, next_try_at_ms = ?6"
	    " WHERE purchase_id = ?1 AND state = 'open'";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	const struct telling *t = arg;
	const struct consumption_outcome *o = t->outcome;

	db_bind_uuid(stmt, 1, &t->answer->purchase_id);
	db_bind_text(stmt, 2,
	    !o->is_final       ? "open" :
		o->is_accepted ? "answered" :
				 "refused");
	db_bind_int64(stmt, 3, o->http_status);
	db_bind_int64(stmt, 4, o->error_code);
	if (o->is_final)
		db_bind_int64(stmt, 5, t->now_ms);
	else
		db_bind_null(stmt, 5);
	db_bind_int64(stmt, 6, o->is_final ? t->now_ms : o->next_try_at_ms);
	return db_run(stmt);
}

enum err
consumption_told(struct db *db, const struct consumption_answer *answer,
    const struct consumption_outcome *outcome, int64_t now_ms)
{
	struct telling t = { answer, outcome, now_ms };

	return db_transaction(db, note_told, &t);
}
