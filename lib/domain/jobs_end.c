/* SPDX-License-Identifier: MIT */
#include "domain/attempts.h"
#include "domain/events.h"
#include "domain/jobs.h"
#include "domain/media.h"

#include <assert.h>

/*
 * Jobs that their users or time put an end to.
 */

enum err
jobs_cancel_unsent(struct db *db, const struct uuid *job_id, int64_t now_ms,
    bool *ret_cancelled)
{
	static const char sql[] =
	    "UPDATE attempts SET state = 'cancelled', ended_at_ms = ?2"
	    " WHERE job_id = ?1 AND state = 'new'";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	int64_t changes;
	enum err err;

	assert(db_in_transaction(db));
	db_bind_uuid(stmt, 1, job_id);
	db_bind_int64(stmt, 2, now_ms);
	err = db_run_changes(stmt, &changes);
	if (err != OK)
		return err;
	*ret_cancelled = changes == 1;
	if (changes == 0)
		return OK;
	return jobs_give_up(db, job_id, JOB_CANCELLED, "canceled", now_ms);
}

enum err
jobs_ask_cancel(struct db *db, const struct uuid *job_id, int64_t now_ms)
{
	/* One on its way is asked about as planned, and then cancelled. */
	static const char sql[] =
	    "UPDATE jobs SET wish = 'given_up', due_at_ms ="
	    " CASE state WHEN 'submitting' THEN due_at_ms ELSE ?2 END"
	    " WHERE id = ?1 AND wish = 'wanted'"
	    " AND state IN ('submitting', 'waiting', 'running')";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	assert(db_in_transaction(db));
	db_bind_uuid(stmt, 1, job_id);
	db_bind_int64(stmt, 2, now_ms);
	return db_run(stmt);
}

struct cancellation {
	const struct uuid *user_id;
	const struct uuid *job_id;
	int64_t now_ms;
	struct job_cancellation result;
};

static enum err
cancel(struct db *db, void *arg)
{
	static const char sql[] =
	    "SELECT state, cost_credits, error_code FROM jobs"
	    " WHERE id = ?1 AND user_id = ?2 AND is_hidden = 0";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	struct cancellation *c = arg;
	enum job_state state;
	int64_t cost_credits;
	bool found, cancelled;
	enum err err;

	db_bind_uuid(stmt, 1, c->job_id);
	db_bind_uuid(stmt, 2, c->user_id);
	err = db_step(stmt, &found);
	if (err != OK)
		return err;
	if (!found)
		return ERR_JOB_NOT_FOUND;
	state = job_state_parse(db_column_str(stmt, 0));
	cost_credits = db_column_int64(stmt, 1);
	/* The provider was asked, and did. */
	if (state == JOB_FAILED &&
	    str_equal(db_column_str(stmt, 2), STR("canceled")))
		state = JOB_CANCELLED;
	if (state == JOB_QUEUED) {
		err = jobs_cancel_unsent(db, c->job_id, c->now_ms, &cancelled);
		if (err != OK)
			return err;
		assert(cancelled);
		state = JOB_CANCELLED;
	} else if (state == JOB_SUBMITTING || state == JOB_WAITING) {
		err = jobs_ask_cancel(db, c->job_id, c->now_ms);
		if (err != OK)
			return err;
	} else if (state != JOB_CANCELLED)
		return ERR_JOB_NOT_CANCELABLE;
	c->result = (struct job_cancellation){
		.state = state,
		.refunded_credits = state == JOB_CANCELLED ? cost_credits : 0,
	};
	return OK;
}

enum err
jobs_cancel(struct db *db, const struct uuid *user_id,
    const struct uuid *job_id, int64_t now_ms,
    struct job_cancellation *ret_cancellation)
{
	struct cancellation c = { user_id, job_id, now_ms, { 0 } };
	const enum err err = db_transaction(db, cancel, &c);

	if (err == OK)
		*ret_cancellation = c.result;
	return err;
}

struct retirement {
	int64_t before_ms;
	int64_t limit;
	int64_t now_ms;
};

/* A job that was hidden already has no stored file any more. */
static enum err
retire(struct db *db, void *arg)
{
	static const char hide_sql[] =
	    "UPDATE jobs SET is_hidden = 1 WHERE id IN"
	    " (SELECT o.job_id FROM objects o WHERE o.bucket = 'videos'"
	    "  AND o.state = 'stored' AND o.created_at_ms < ?1"
	    "  ORDER BY o.created_at_ms LIMIT ?2)"
	    " AND due_at_ms IS NULL AND is_hidden = 0"
	    " RETURNING id, user_id";
	CLEANUP(db_release) struct db_stmt *hide = db_prepare(db, hide_sql);
	const struct retirement *what = arg;
	struct uuid ids[JOBS_RETIRED_MAX], users[JOBS_RETIRED_MAX];
	size_t count = 0;
	bool found;
	enum err err;

	db_bind_int64(hide, 1, what->before_ms);
	db_bind_int64(hide, 2, what->limit);
	while ((err = db_step(hide, &found)) == OK && found) {
		ids[count] = db_column_uuid(hide, 0);
		users[count] = db_column_uuid(hide, 1);
		count++;
	}
	for (size_t i = 0; err == OK && i < count; i++) {
		err = media_delete_stored_of_job(db, &ids[i]);
		if (err == OK)
			err = events_append(db, EVENT_JOB, &users[i], &ids[i],
			    what->now_ms);
	}
	return err;
}

enum err
jobs_retire(struct db *db, int64_t before_ms, int64_t limit, int64_t now_ms)
{
	struct retirement what = { before_ms, limit, now_ms };

	assert(limit <= JOBS_RETIRED_MAX);
	return db_transaction(db, retire, &what);
}

struct told {
	const struct uuid *attempt_id;
	int64_t due_at_ms;
};

static enum err
cancel_told(struct db *db, void *arg)
{
	static const char sql[] =
	    "UPDATE jobs SET wish = 'told', due_at_ms = ?2"
	    " WHERE due_at_ms IS NOT NULL"
	    " AND id = (SELECT job_id FROM attempts WHERE id = ?1)";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	const struct told *n = arg;

	db_bind_uuid(stmt, 1, n->attempt_id);
	db_bind_int64(stmt, 2, n->due_at_ms);
	return db_run(stmt);
}

enum err
attempts_cancel_told(struct db *db, const struct uuid *id, int64_t due_at_ms)
{
	struct told n = { id, due_at_ms };

	return db_transaction(db, cancel_told, &n);
}
