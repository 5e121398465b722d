/* SPDX-License-Identifier: MIT */
#include "domain/attempts.h"
#include "domain/credits.h"
#include "domain/events.h"
#include "domain/breakers.h"
#include "domain/leases.h"
#include "domain/media.h"
#include "domain/progress.h"
#include "domain/spend.h"

#include <assert.h>

/* The job an attempt belongs to, if the attempt is in one of these states. */
static enum err
job_of(struct db *db, const struct uuid *id, const char *state,
    const char *or_state, struct uuid *ret_job_id, bool *ret_found)
{
	static const char sql[] =
	    "SELECT job_id FROM attempts WHERE id = ?1 AND state IN (?2, ?3)";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	enum err err;

	db_bind_uuid(stmt, 1, id);
	db_bind_text(stmt, 2, state);
	db_bind_text(stmt, 3, or_state);
	err = db_step(stmt, ret_found);
	if (err == OK && *ret_found)
		*ret_job_id = db_column_uuid(stmt, 0);
	return err;
}

/*
 * Moves an open job to another state and tells of it if anything changed
 * that its user can see.
 */
static enum err
set_job(struct db *db, const struct uuid *job_id, enum job_state state,
    int64_t queue_position, int64_t due_at_ms, int64_t now_ms)
{
	static const char read_sql[] =
	    "SELECT user_id, state, queue_position FROM jobs WHERE id = ?1";
	static const char write_sql[] =
	    "UPDATE jobs SET state = ?2, queue_position = ?3, due_at_ms = ?4"
	    " WHERE id = ?1 AND due_at_ms IS NOT NULL";
	CLEANUP(db_release) struct db_stmt *read = db_prepare(db, read_sql);
	CLEANUP(db_release) struct db_stmt *write = db_prepare(db, write_sql);
	struct uuid user_id;
	int64_t changes, old_position;
	bool found, is_moved, is_news;
	enum err err;

	db_bind_uuid(read, 1, job_id);
	err = db_step(read, &found);
	if (err != OK)
		return err;
	assert(found);
	user_id = db_column_uuid(read, 0);
	old_position =
	    db_column_is_null(read, 2) ? -1 : db_column_int64(read, 2);
	is_moved = job_state_parse(db_column_str(read, 1)) != state;
	is_news = is_moved || old_position != queue_position;
	db_bind_uuid(write, 1, job_id);
	db_bind_text(write, 2, job_state_name(state));
	if (queue_position >= 0)
		db_bind_int64(write, 3, queue_position);
	db_bind_int64(write, 4, due_at_ms);
	err = db_run_changes(write, &changes);
	if (err != OK || changes == 0 || !is_news)
		return err;
	if (is_moved)
		progress_job(db, job_id, state, NULL);
	return events_append(db, EVENT_JOB, &user_id, job_id, now_ms);
}

/* What was learnt of an attempt; one of the functions below knows what. */
struct news {
	const struct uuid *id;
	const struct attempt_handle *handle;
	bool is_running;
	int64_t queue_position;
	int64_t due_at_ms;
	int64_t now_ms;
	const char *text;
	int64_t video_bytes;
	const struct attempt_file *video;
	const struct attempt_file *poster;
	const struct attempt_failure *failure;
};

/* What was accepted proves that its company can be asked. */
static enum err
close_breakers(struct db *db, const struct uuid *id)
{
	static const char sql[] =
	    "SELECT m.company, m.endpoint FROM attempts a"
	    " JOIN models m ON m.id = a.model_id WHERE a.id = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool found;
	enum err err;

	db_bind_uuid(stmt, 1, id);
	err = db_step(stmt, &found);
	if (err != OK || !found)
		return err;
	return breakers_accepted(db, db_column_str(stmt, 0).ptr,
	    db_column_str(stmt, 1).ptr);
}

static enum err
accepted(struct db *db, void *arg)
{
	static const char sql[] =
	    "UPDATE attempts SET state = 'accepted', request_id = ?2,"
	    " status_url = ?3, result_url = ?4, cancel_url = ?5,"
	    " calls_count = 0 WHERE id = ?1 AND state IN ('sending', "
	    "'unknown')";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	const struct news *n = arg;
	struct uuid job_id;
	bool found;
	enum err err;

	err = job_of(db, n->id, "sending", "unknown", &job_id, &found);
	if (err != OK || !found)
		return err;
	db_bind_uuid(stmt, 1, n->id);
	db_bind_text(stmt, 2, n->handle->request_id);
	db_bind_text(stmt, 3, n->handle->status_url);
	db_bind_text(stmt, 4, n->handle->result_url);
	db_bind_text(stmt, 5, n->handle->cancel_url);
	err = db_run(stmt);
	if (err == OK)
		err = close_breakers(db, n->id);
	if (err != OK)
		return err;
	return set_job(db, &job_id, JOB_WAITING, -1, n->due_at_ms, n->now_ms);
}

enum err
attempts_accepted(struct db *db, const struct uuid *id,
    const struct attempt_handle *handle, int64_t due_at_ms, int64_t now_ms)
{
	struct news n = { .id = id,
		.handle = handle,
		.due_at_ms = due_at_ms,
		.now_ms = now_ms };

	return db_transaction(db, accepted, &n);
}

static enum err
unsent(struct db *db, void *arg)
{
	static const char attempt_sql[] =
	    "UPDATE attempts SET state = 'new', sent_at_ms = NULL,"
	    " provider = NULL, calls_count = calls_count + 1"
	    " WHERE id = ?1 AND state = 'sending'";
	/* The wait for a turn begins again, so the old deadline holds. */
	static const char job_sql[] =
	    "UPDATE jobs SET state = 'queued', due_at_ms = ?2,"
	    " deadline_at_ms = created_at_ms + ?3"
	    " WHERE id = ?1 AND state = 'submitting'"
	    " RETURNING is_hidden OR wish <> 'wanted'";
	CLEANUP(db_release)
	struct db_stmt *attempt = db_prepare(db, attempt_sql);
	CLEANUP(db_release) struct db_stmt *job = db_prepare(db, job_sql);
	const struct news *n = arg;
	struct uuid job_id;
	bool found;
	enum err err;

	err = job_of(db, n->id, "sending", "sending", &job_id, &found);
	if (err == OK && found)
		err = spend_give_back(db, n->id);
	if (err != OK || !found)
		return err;
	db_bind_uuid(attempt, 1, n->id);
	err = db_run(attempt);
	if (err != OK)
		return err;
	db_bind_uuid(job, 1, &job_id);
	db_bind_int64(job, 2, n->due_at_ms);
	db_bind_int64(job, 3, JOB_QUEUE_MAX_MS);
	err = db_step(job, &found);
	if (err == OK && found)
		progress_job(db, &job_id, JOB_QUEUED, "unsent");
	if (err != OK || !found || !db_column_bool(job, 0))
		return err;
	/* Its user gave it up meanwhile: nobody wants it sent any more. */
	err = leases_end_attempt(db, n->id, "cancelled", "canceled", n->now_ms);
	if (err != OK)
		return err;
	return jobs_give_up(db, &job_id, JOB_CANCELLED, "canceled", n->now_ms);
}

enum err
attempts_unsent(struct db *db, const struct uuid *id, int64_t due_at_ms,
    int64_t now_ms)
{
	struct news n = { .id = id, .due_at_ms = due_at_ms, .now_ms = now_ms };

	return db_transaction(db, unsent, &n);
}

static enum err
unknown(struct db *db, void *arg)
{
	const struct news *n = arg;
	struct uuid job_id;
	bool found;
	enum err err;

	err = job_of(db, n->id, "sending", "sending", &job_id, &found);
	if (err != OK || !found)
		return err;
	err = leases_mark_unknown(db, n->id);
	if (err != OK)
		return err;
	return leases_set_due(db, &job_id, n->due_at_ms);
}

enum err
attempts_unknown(struct db *db, const struct uuid *id, int64_t due_at_ms)
{
	struct news n = { .id = id, .due_at_ms = due_at_ms };

	return db_transaction(db, unknown, &n);
}

static enum err
count_call(struct db *db, const struct uuid *id)
{
	static const char sql[] = "UPDATE attempts SET calls_count ="
				  " calls_count + 1 WHERE id = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_uuid(stmt, 1, id);
	return db_run(stmt);
}

static enum err
progress(struct db *db, void *arg)
{
	const struct news *n = arg;
	struct uuid job_id;
	bool found;
	enum err err;

	err = job_of(db, n->id, "accepted", "accepted", &job_id, &found);
	if (err != OK || !found)
		return err;
	err = count_call(db, n->id);
	if (err != OK)
		return err;
	return set_job(db, &job_id, n->is_running ? JOB_RUNNING : JOB_WAITING,
	    n->is_running ? -1 : n->queue_position, n->due_at_ms, n->now_ms);
}

enum err
attempts_progress(struct db *db, const struct uuid *id, bool is_running,
    int64_t queue_position, int64_t due_at_ms, int64_t now_ms)
{
	struct news n = { .id = id,
		.is_running = is_running,
		.queue_position = queue_position,
		.due_at_ms = due_at_ms,
		.now_ms = now_ms };

	return db_transaction(db, progress, &n);
}

static enum err
later(struct db *db, void *arg)
{
	static const char sql[] =
	    "UPDATE jobs SET due_at_ms = ?2 WHERE due_at_ms IS NOT NULL AND"
	    " id = (SELECT job_id FROM attempts WHERE id = ?1)";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	const struct news *n = arg;
	enum err err;

	err = count_call(db, n->id);
	if (err != OK)
		return err;
	db_bind_uuid(stmt, 1, n->id);
	db_bind_int64(stmt, 2, n->due_at_ms);
	return db_run(stmt);
}

enum err
attempts_later(struct db *db, const struct uuid *id, int64_t due_at_ms)
{
	struct news n = { .id = id, .due_at_ms = due_at_ms };

	return db_transaction(db, later, &n);
}

static enum err
look(struct db *db, void *arg)
{
	const struct news *n = arg;
	struct uuid job_id;
	bool found;
	enum err err;

	err = job_of(db, n->id, "accepted", "accepted", &job_id, &found);
	if (err != OK || !found)
		return err;
	return leases_set_due(db, &job_id, n->due_at_ms);
}

enum err
attempts_look(struct db *db, const struct uuid *id, int64_t now_ms)
{
	struct news n = { .id = id, .due_at_ms = now_ms };

	return db_transaction(db, look, &n);
}

static enum err
ended(struct db *db, void *arg)
{
	/* The calls that count are those for the result. */
	static const char sql[] =
	    "UPDATE attempts SET calls_count = CASE is_ended WHEN 0 THEN 1"
	    " ELSE calls_count + 1 END, is_ended = 1"
	    " WHERE id = ?1 AND state = 'accepted'";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	const struct news *n = arg;
	struct uuid job_id;
	bool found;
	enum err err;

	err = job_of(db, n->id, "accepted", "accepted", &job_id, &found);
	if (err != OK || !found)
		return err;
	db_bind_uuid(stmt, 1, n->id);
	err = db_run(stmt);
	if (err != OK)
		return err;
	return leases_set_due(db, &job_id, n->due_at_ms);
}

enum err
attempts_ended(struct db *db, const struct uuid *id, int64_t due_at_ms)
{
	struct news n = { .id = id, .due_at_ms = due_at_ms };

	return db_transaction(db, ended, &n);
}

static enum err
set_deadline(struct db *db, const struct uuid *job_id, int64_t deadline_at_ms)
{
	static const char sql[] =
	    "UPDATE jobs SET deadline_at_ms = ?2 WHERE id = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_uuid(stmt, 1, job_id);
	db_bind_int64(stmt, 2, deadline_at_ms);
	return db_run(stmt);
}

static enum err
succeeded(struct db *db, void *arg)
{
	static const char sql[] =
	    "UPDATE attempts SET state = 'succeeded', video_url = ?2,"
	    " ended_at_ms = ?3, calls_count = 0, video_bytes = ?4"
	    " WHERE id = ?1 AND state = 'accepted'";
	static const char user_sql[] = "SELECT user_id FROM jobs WHERE id = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	CLEANUP(db_release) struct db_stmt *user = db_prepare(db, user_sql);
	const struct news *n = arg;
	struct uuid job_id, user_id;
	bool found;
	enum err err;

	err = job_of(db, n->id, "accepted", "accepted", &job_id, &found);
	if (err != OK || !found)
		return err;
	db_bind_uuid(user, 1, &job_id);
	err = db_step(user, &found);
	if (err != OK)
		return err;
	user_id = db_column_uuid(user, 0);
	db_bind_uuid(stmt, 1, n->id);
	db_bind_text(stmt, 2, n->text);
	db_bind_int64(stmt, 3, n->now_ms);
	db_bind_int64(stmt, 4, n->video_bytes);
	err = db_run(stmt);
	/* The file's row comes before the file. */
	if (err == OK)
		err = media_announce_video(db, n->id, &user_id, &job_id,
		    n->now_ms);
	if (err == OK)
		err =
		    set_deadline(db, &job_id, n->now_ms + ATTEMPT_STORE_MAX_MS);
	if (err == OK)
		err =
		    set_job(db, &job_id, JOB_STORING, -1, n->now_ms, n->now_ms);
	return err;
}

enum err
attempts_succeeded(struct db *db, const struct uuid *id, const char *video_url,
    int64_t video_bytes, int64_t now_ms)
{
	struct news n = { .id = id,
		.text = video_url,
		.video_bytes = video_bytes,
		.now_ms = now_ms };

	return db_transaction(db, succeeded, &n);
}

static enum err
failed(struct db *db, void *arg)
{
	static const char sql[] =
	    "SELECT a.job_id FROM attempts a JOIN jobs j ON j.id = a.job_id"
	    " AND j.due_at_ms IS NOT NULL WHERE a.id = ?1 AND a.state IN"
	    " ('sending', 'unknown', 'accepted', 'succeeded')";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	const struct news *n = arg;
	struct uuid job_id;
	bool found;
	enum err err;

	db_bind_uuid(stmt, 1, n->id);
	err = db_step(stmt, &found);
	if (err != OK || !found)
		return err;
	job_id = db_column_uuid(stmt, 0);
	err = jobs_give_up(db, &job_id, JOB_FAILED, n->text, n->now_ms);
	if (err != OK)
		return err;
	return leases_end_attempt(db, n->id, "failed", n->text, n->now_ms);
}

enum err
attempts_failed(struct db *db, const struct uuid *id, const char *error_code,
    int64_t now_ms)
{
	struct news n = { .id = id, .text = error_code, .now_ms = now_ms };

	return db_transaction(db, failed, &n);
}

/* Puts the job back into the queue with another attempt. */
static enum err
try_again(struct db *db, const struct uuid *job_id, const struct news *n)
{
	static const char sql[] =
	    "UPDATE jobs SET state = 'queued', due_at_ms = ?2,"
	    " queue_position = NULL, deadline_at_ms = created_at_ms + ?3"
	    " WHERE id = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	enum err err;

	db_bind_uuid(stmt, 1, job_id);
	db_bind_int64(stmt, 2, n->now_ms);
	db_bind_int64(stmt, 3, JOB_QUEUE_MAX_MS);
	err = db_run(stmt);
	if (err == OK)
		err = leases_add_attempt(db, job_id, n->id, n->failure,
		    n->now_ms);
	if (err == OK)
		progress_job(db, job_id, JOB_QUEUED, "again");
	return err;
}

static enum err
end(struct db *db, void *arg)
{
	static const char sql[] =
	    "SELECT a.job_id, a.number, j.is_hidden OR j.wish <> 'wanted'"
	    " OR j.is_free FROM attempts a"
	    " JOIN jobs j ON j.id = a.job_id AND j.due_at_ms IS NOT NULL"
	    " WHERE a.id = ?1 AND a.state IN ('sending', ?2, ?3)";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	const struct news *n = arg;
	const struct attempt_failure *f = n->failure;
	struct uuid job_id;
	bool found, is_last;
	enum err err;

	db_bind_uuid(stmt, 1, n->id);
	db_bind_text(stmt, 2, f->is_refusal ? "sending" : "unknown");
	db_bind_text(stmt, 3, f->is_refusal ? "sending" : "accepted");
	err = db_step(stmt, &found);
	if (err != OK || !found)
		return err;
	job_id = db_column_uuid(stmt, 0);
	is_last = db_column_int64(stmt, 1) >= f->attempts_max ||
	    db_column_bool(stmt, 2);
	if (f->is_unbilled)
		err = spend_give_back(db, n->id);
	if (err == OK)
		err = leases_end_attempt(db, n->id, "failed", f->error_code,
		    n->now_ms);
	if (err != OK)
		return err;
	if (!is_last)
		return try_again(db, &job_id, n);
	if (f->keeps_charge)
		return jobs_keep_charge(db, &job_id, f->error_code, n->now_ms);
	return jobs_give_up(db, &job_id, JOB_FAILED, f->error_code, n->now_ms);
}

enum err
attempts_end(struct db *db, const struct uuid *id,
    const struct attempt_failure *failure, int64_t now_ms)
{
	struct news n = { .id = id, .failure = failure, .now_ms = now_ms };

	return db_transaction(db, end, &n);
}

static enum err
store_poster(struct db *db, const struct news *n)
{
	const struct uuid id = media_poster_id(n->id);

	return media_stored(db, &id, n->poster->size_bytes, n->poster->sha256);
}

static enum err
stored(struct db *db, void *arg)
{
	static const char sql[] =
	    "UPDATE jobs SET state = 'completed', due_at_ms = NULL,"
	    " completed_at_ms = ?2 WHERE state = 'storing' AND"
	    " id = (SELECT job_id FROM attempts WHERE id = ?1)"
	    " RETURNING id, user_id, is_hidden, is_free";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	const struct news *n = arg;
	struct uuid job_id, user_id;
	bool found, is_hidden, is_free;
	enum err err;

	db_bind_uuid(stmt, 1, n->id);
	db_bind_int64(stmt, 2, n->now_ms);
	err = db_step(stmt, &found);
	if (err != OK)
		return err;
	if (!found) {
		/* Who cannot tell must not say that the file is not wanted. */
		err = media_is_stored(db, n->id, &found);
		if (err != OK)
			return err;
		return found ? OK : ERR_CONFLICT;
	}
	job_id = db_column_uuid(stmt, 0);
	progress_job(db, &job_id, JOB_COMPLETED, NULL);
	user_id = db_column_uuid(stmt, 1);
	is_hidden = db_column_bool(stmt, 2);
	is_free = db_column_bool(stmt, 3);
	err = media_stored(db, n->id, n->video->size_bytes, n->video->sha256);
	if (err == OK && n->poster != NULL)
		err = store_poster(db, n);
	if (err == OK)
		err = media_delete_unfinished_of_job(db, &job_id);
	if (err == OK && !is_free)
		err = credits_capture(db, &user_id, &job_id, n->now_ms);
	/* Its user deleted it while it was being made. */
	if (err == OK && is_hidden)
		err = media_delete_stored_of_job(db, &job_id);
	if (err == OK)
		err =
		    events_append(db, EVENT_JOB, &user_id, &job_id, n->now_ms);
	return err;
}

enum err
attempts_stored(struct db *db, const struct uuid *id,
    const struct attempt_file *video, const struct attempt_file *poster,
    int64_t now_ms)
{
	struct news n = { .id = id,
		.video = video,
		.poster = poster,
		.now_ms = now_ms };

	return db_transaction(db, stored, &n);
}
