/* SPDX-License-Identifier: MIT */
#include "domain/reports.h"
#include "domain/events.h"
#include "domain/progress.h"

static const char *const outcomes[] = {
	[REPORT_DONE] = "done",
	[REPORT_FAILED] = "failed",
	[REPORT_LOOK] = "look",
};

struct addition {
	const struct report *report;
	const uint8_t *body_sha256;
	int64_t now_ms;
};

static enum err
add(struct db *db, void *arg)
{
	static const char sql[] =
	    "INSERT INTO provider_reports (id, provider, request_id,"
	    " attempt_id, body_sha256, outcome, video_url, error_code,"
	    " may_try_again, is_unbilled, received_at_ms, video_bytes)"
	    " SELECT ?1, ?2, ?3, id, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12"
	    " FROM attempts WHERE id = ?4"
	    " ON CONFLICT (provider, request_id, body_sha256) DO NOTHING";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	const struct addition *a = arg;
	const struct report *r = a->report;
	const struct uuid id = uuid_sortable(a->now_ms);

	db_bind_uuid(stmt, 1, &id);
	db_bind_text(stmt, 2, r->provider);
	db_bind_text(stmt, 3, r->request_id);
	db_bind_uuid(stmt, 4, &r->attempt_id);
	db_bind_blob(stmt, 5, a->body_sha256, 32);
	db_bind_text(stmt, 6, outcomes[r->outcome]);
	if (r->outcome == REPORT_DONE)
		db_bind_text(stmt, 7, r->video_url);
	if (r->outcome == REPORT_FAILED)
		db_bind_text(stmt, 8, r->error_code);
	db_bind_bool(stmt, 9, r->may_try_again);
	db_bind_bool(stmt, 10, r->is_unbilled);
	db_bind_int64(stmt, 11, a->now_ms);
	db_bind_int64(stmt, 12, r->video_bytes);
	return db_run(stmt);
}

enum err
reports_add(struct db *db, const struct report *report,
    const uint8_t body_sha256[32], int64_t now_ms)
{
	struct addition a = { report, body_sha256, now_ms };

	return db_transaction(db, add, &a);
}

static void
copy(struct db_stmt *stmt, int column, char *into, size_t size)
{
	if (!str_copy(db_column_str(stmt, column), into, size))
		into[0] = '\0';
}

static bool
is_one_of(struct str word, struct str a, struct str b)
{
	return str_equal(word, a) || str_equal(word, b);
}

static void
read_report(struct db_stmt *stmt, struct report *r)
{
	const struct str outcome = db_column_str(stmt, 4);
	const struct str state = db_column_str(stmt, 9);

	*r = (struct report){
		.id = db_column_uuid(stmt, 0),
		.attempt_id = db_column_uuid(stmt, 3),
		.outcome = REPORT_LOOK,
		.video_bytes = db_column_int64(stmt, 12),
		.may_try_again = db_column_bool(stmt, 7),
		.is_unbilled = db_column_bool(stmt, 8),
		.is_bound = !db_column_is_null(stmt, 10) ||
		    str_equal(state, STR("new")),
		.is_over = is_one_of(state, STR("failed"), STR("lost")) ||
		    str_equal(state, STR("cancelled")),
	};
	if (str_equal(outcome, str_from(outcomes[REPORT_DONE])))
		r->outcome = REPORT_DONE;
	else if (str_equal(outcome, str_from(outcomes[REPORT_FAILED])))
		r->outcome = REPORT_FAILED;
	copy(stmt, 1, r->provider, sizeof(r->provider));
	copy(stmt, 2, r->request_id, sizeof(r->request_id));
	copy(stmt, 5, r->video_url, sizeof(r->video_url));
	copy(stmt, 6, r->error_code, sizeof(r->error_code));
	copy(stmt, 10, r->bound_id, sizeof(r->bound_id));
	copy(stmt, 11, r->endpoint, sizeof(r->endpoint));
}

enum err
reports_next(struct db *db, bool *ret_found, struct report *ret_report)
{
	static const char sql[] =
	    "SELECT r.id, r.provider, r.request_id, r.attempt_id, r.outcome,"
	    " r.video_url, r.error_code, r.may_try_again, r.is_unbilled,"
	    " a.state, a.request_id, m.endpoint, r.video_bytes"
	    " FROM provider_reports r"
	    " JOIN attempts a ON a.id = r.attempt_id"
	    " JOIN models m ON m.id = a.model_id"
	    " WHERE r.handled_at_ms IS NULL ORDER BY r.received_at_ms LIMIT 1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	const enum err err = db_step(stmt, ret_found);

	if (err == OK && *ret_found)
		read_report(stmt, ret_report);
	return err;
}

struct reopening {
	const struct report *report;
	const struct attempt_handle *handle;
	int64_t now_ms;
	bool is_done;
};

static enum err
reopen_attempt(struct db *db, const struct reopening *r)
{
	static const char sql[] =
	    "UPDATE attempts SET state = 'accepted', calls_count = 0,"
	    " ended_at_ms = NULL, error_code = NULL,"
	    " request_id = COALESCE(request_id, ?2),"
	    " status_url = COALESCE(status_url, ?3),"
	    " result_url = COALESCE(result_url, ?4),"
	    " cancel_url = COALESCE(cancel_url, ?5)"
	    " WHERE id = ?1 AND state = 'lost'";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_uuid(stmt, 1, &r->report->attempt_id);
	db_bind_text(stmt, 2, r->handle->request_id);
	db_bind_text(stmt, 3, r->handle->status_url);
	db_bind_text(stmt, 4, r->handle->result_url);
	db_bind_text(stmt, 5, r->handle->cancel_url);
	return db_run(stmt);
}

static enum err
reopen(struct db *db, void *arg)
{
	static const char sql[] =
	    "UPDATE jobs SET state = 'waiting', is_free = 1, due_at_ms = ?2,"
	    " deadline_at_ms = ?3, completed_at_ms = NULL, error_code = NULL"
	    " WHERE state = 'lost' AND is_hidden = 0 AND id ="
	    " (SELECT job_id FROM attempts WHERE id = ?1 AND state = 'lost')"
	    " RETURNING user_id, id";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	struct reopening *r = arg;
	struct uuid user_id, job_id;
	enum err err;

	db_bind_uuid(stmt, 1, &r->report->attempt_id);
	db_bind_int64(stmt, 2, r->now_ms);
	db_bind_int64(stmt, 3, r->now_ms + ATTEMPT_STORE_MAX_MS);
	err = db_step(stmt, &r->is_done);
	if (err != OK || !r->is_done)
		return err;
	user_id = db_column_uuid(stmt, 0);
	job_id = db_column_uuid(stmt, 1);
	progress_job(db, &job_id, JOB_WAITING, "late");
	err = reopen_attempt(db, r);
	if (err == OK)
		err =
		    events_append(db, EVENT_JOB, &user_id, &job_id, r->now_ms);
	return err;
}

enum err
reports_reopen(struct db *db, const struct report *report,
    const struct attempt_handle *handle, int64_t now_ms, bool *ret_reopened)
{
	struct reopening r = { report, handle, now_ms, false };
	const enum err err = db_transaction(db, reopen, &r);

	if (err == OK)
		*ret_reopened = r.is_done;
	return err;
}

struct handling {
	const struct uuid *id;
	int64_t now_ms;
};

static enum err
handled(struct db *db, void *arg)
{
	static const char sql[] =
	    "UPDATE provider_reports SET handled_at_ms = ?2, video_url = NULL"
	    " WHERE id = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	const struct handling *h = arg;

	db_bind_uuid(stmt, 1, h->id);
	db_bind_int64(stmt, 2, h->now_ms);
	return db_run(stmt);
}

enum err
reports_handled(struct db *db, const struct uuid *id, int64_t now_ms)
{
	struct handling h = { id, now_ms };

	return db_transaction(db, handled, &h);
}

struct purge {
	int64_t before_ms;
	int64_t limit;
};

static enum err
purge(struct db *db, void *arg)
{
	static const char sql[] =
	    "DELETE FROM provider_reports WHERE id IN"
	    " (SELECT id FROM provider_reports WHERE handled_at_ms < ?1"
	    "  ORDER BY handled_at_ms LIMIT ?2)";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	const struct purge *what = arg;

	db_bind_int64(stmt, 1, what->before_ms);
	db_bind_int64(stmt, 2, what->limit);
	return db_run(stmt);
}

enum err
reports_purge(struct db *db, int64_t before_ms, int64_t limit)
{
	struct purge what = { before_ms, limit };

	return db_transaction(db, purge, &what);
}
