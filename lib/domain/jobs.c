/* SPDX-License-Identifier: MIT */
#include "domain/jobs.h"
#include "domain/credits.h"
#include "domain/events.h"
#include "domain/media.h"
#include "domain/progress.h"

#include <assert.h>

static const struct {
	const char *name;
	const char *status;
	bool is_over;
} states[JOB_STATE_MAX] = {
	[JOB_QUEUED] = { "queued", "pending", false },
	[JOB_SUBMITTING] = { "submitting", "pending", false },
	[JOB_WAITING] = { "waiting", "pending", false },
	[JOB_RUNNING] = { "running", "processing", false },
	[JOB_STORING] = { "storing", "processing", false },
	[JOB_COMPLETED] = { "completed", "completed", true },
	[JOB_FAILED] = { "failed", "failed", true },
	[JOB_CANCELLED] = { "cancelled", "failed", true },
	[JOB_LOST] = { "lost", "failed", true },
};

const char *
job_state_name(enum job_state state)
{
	return states[state].name;
}

enum job_state
job_state_parse(struct str name)
{
	for (int i = 0; i < JOB_STATE_MAX; i++)
		if (str_equal(name, str_from(states[i].name)))
			return (enum job_state)i;
	assert(!"a state that the schema does not allow");
	return JOB_FAILED;
}

const char *
job_public_status(enum job_state state)
{
	return states[state].status;
}

bool
job_is_over(enum job_state state)
{
	return states[state].is_over;
}

static enum err
read_replay(struct db_stmt *stmt, const struct job_order *order,
    struct job_receipt *ret_receipt)
{
	if (!str_equal(db_column_blob(stmt, 0),
		(struct str){ (const char *)order->fingerprint, 32 }))
		return ERR_IDEMPOTENCY_KEY_REUSED;
	*ret_receipt = (struct job_receipt){
		.job_id = db_column_uuid(stmt, 1),
		.credits_used = db_column_int64(stmt, 2),
		.credits_remaining = db_column_int64(stmt, 3),
		.is_replay = true,
	};
	return OK;
}

static enum err
insert_job(struct db *db, const struct job_order *order,
    const struct uuid *job_id, int64_t turn_at_ms, int64_t now_ms)
{
	static const char sql[] =
	    "INSERT INTO jobs (id, user_id, model_id, model_name, theme_id,"
	    " company, prompt, image_object_id, duration_s, resolution,"
	    " aspect_ratio, has_audio, cost_credits, due_at_ms,"
	    " deadline_at_ms, created_at_ms, turn_at_ms) SELECT ?1, id, ?3,"
	    " ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?14, ?16"
	    " FROM users"
	    " WHERE id = ?2 AND status = 'active'";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	int64_t changes;
	enum err err;

	db_bind_uuid(stmt, 1, job_id);
	db_bind_uuid(stmt, 2, &order->user_id);
	db_bind_uuid(stmt, 3, &order->model->id);
	db_bind_text(stmt, 4, order->model->name);
	db_bind_uuid(stmt, 5, order->theme == NULL ? NULL : &order->theme->id);
	db_bind_text(stmt, 6, order->model->company);
	db_bind_str(stmt, 7, order->prompt);
	db_bind_uuid(stmt, 8, order->image_object_id);
	db_bind_int64(stmt, 9, order->settings.duration_s);
	db_bind_text(stmt, 10, order->settings.resolution);
	db_bind_text(stmt, 11, order->settings.aspect_ratio);
	db_bind_bool(stmt, 12, order->settings.has_audio);
	db_bind_int64(stmt, 13, order->settings.cost_credits);
	db_bind_int64(stmt, 14, now_ms);
	db_bind_int64(stmt, 15, now_ms + JOB_QUEUE_MAX_MS);
	db_bind_int64(stmt, 16, turn_at_ms);
	err = db_run_changes(stmt, &changes);
	if (err != OK)
		return err;
	return changes == 1 ? OK : ERR_UNAUTHORIZED;
}

static enum err
insert_attempt(struct db *db, const struct uuid *job_id,
    const struct uuid *model_id, int64_t now_ms)
{
	static const char sql[] =
	    "INSERT INTO attempts (id, job_id, number, state, seed, model_id)"
	    " VALUES (?1, ?2, 1, 'new', ?3, ?4)";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	const struct uuid id = uuid_sortable(now_ms);
	uint32_t seed;

	random_bytes(&seed, sizeof(seed));
	db_bind_uuid(stmt, 1, &id);
	db_bind_uuid(stmt, 2, job_id);
	db_bind_int64(stmt, 3, seed >> 1);
	db_bind_uuid(stmt, 4, model_id);
	return db_run(stmt);
}

static enum err
insert_record(struct db *db, const struct job_order *order,
    const struct job_receipt *receipt, int64_t now_ms)
{
	static const char sql[] =
	    "INSERT INTO idempotency_records (user_id, key, fingerprint,"
	    " job_id, credits_used, credits_remaining, created_at_ms)"
	    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_uuid(stmt, 1, &order->user_id);
	db_bind_str(stmt, 2, order->key);
	db_bind_blob(stmt, 3, order->fingerprint, sizeof(order->fingerprint));
	db_bind_uuid(stmt, 4, &receipt->job_id);
	db_bind_int64(stmt, 5, receipt->credits_used);
	db_bind_int64(stmt, 6, receipt->credits_remaining);
	db_bind_int64(stmt, 7, now_ms);
	return db_run(stmt);
}

/*
 * Has this key been used?  If not: may this user have another job open, when is
 * its turn, and how many may be ordered in an hour?  Who has bought anything is
 * not a guest to us.
 */
static enum err
read_standing(struct db *db, const struct job_order *order, int64_t now_ms,
    bool *ret_found, struct job_receipt *ret_receipt, int64_t *ret_turn_at_ms)
{
	static const char sql[] =
	    "SELECT r.fingerprint, r.job_id, r.credits_used,"
	    " r.credits_remaining, u.tier = 'premium' AND (?2 OR EXISTS"
	    "  (SELECT 1 FROM subscriptions WHERE user_id = ?1"
	    "  AND is_active = 1 AND environment = 'Production')),"
	    " (SELECT COUNT(*) FROM jobs"
	    "  WHERE user_id = ?1 AND due_at_ms IS NOT NULL), u.is_guest,"
	    " EXISTS (SELECT 1 FROM purchases WHERE user_id = ?1"
	    "  AND credited_at_ms IS NOT NULL AND refund_millipercent = 0"
	    "  AND (?2 OR environment = 'Production'))"
	    " FROM users u LEFT JOIN idempotency_records r"
	    " ON r.user_id = u.id AND r.key = ?3 WHERE u.id = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	int64_t open_count, per_hour;
	bool found, is_premium;
	enum err err;

	db_bind_uuid(stmt, 1, &order->user_id);
	db_bind_bool(stmt, 2, order->counts_sandbox);
	db_bind_str(stmt, 3, order->key);
	err = db_step(stmt, &found);
	if (err != OK)
		return err;
	if (!found)
		return ERR_USER_NOT_FOUND;
	*ret_found = !db_column_is_null(stmt, 0);
	if (*ret_found)
		return read_replay(stmt, order, ret_receipt);
	is_premium = db_column_bool(stmt, 4);
	open_count = db_column_int64(stmt, 5);
	if (open_count >=
	    (is_premium ? order->open_max_premium : order->open_max_free))
		return ERR_TOO_MANY_JOBS;
	*ret_turn_at_ms = now_ms + open_count * JOB_TURN_PER_OPEN_MS -
	    (is_premium ? JOB_TURN_PREMIUM_MS : 0);
	if (is_premium || db_column_bool(stmt, 7))
		per_hour = order->premium_per_hour;
	else
		per_hour = db_column_bool(stmt, 6) ? order->guest_per_hour :
						     order->free_per_hour;
	*ret_receipt = (struct job_receipt){
		.limit = limit_of_user(LIMIT_GENERATE, &order->user_id,
		    per_hour, order->per_minute),
	};
	return OK;
}

enum err
jobs_look(struct db *db, const struct job_order *order, int64_t now_ms,
    bool *ret_found, struct job_receipt *ret_receipt)
{
	int64_t turn_at_ms;
	enum err err;

	err = read_standing(db, order, now_ms, ret_found, ret_receipt,
	    &turn_at_ms);
	if (err != OK || *ret_found)
		return err;
	return limits_look(db, &ret_receipt->limit, now_ms,
	    &ret_receipt->limit_state);
}

struct submission {
	const struct job_order *order;
	int64_t now_ms;
	struct job_receipt receipt;
};

static enum err
submit(struct db *db, void *arg)
{
	struct submission *s = arg;
	const struct job_order *order = s->order;
	struct job_receipt *receipt = &s->receipt;
	int64_t turn_at_ms;
	bool found;
	enum err err;

	/* Racing twins meet here: one makes the job, the rest repeat it. */
	err = read_standing(db, order, s->now_ms, &found, receipt, &turn_at_ms);
	if (err != OK || found)
		return err;
	/* Its picture may have been deleted since it was found. */
	if (order->image_object_id != NULL) {
		err = media_is_stored(db, order->image_object_id, &found);
		if (err != OK || !found)
			return err != OK ? err : ERR_INVALID_IMAGE_URL;
	}
	receipt->job_id = uuid_sortable(s->now_ms);
	receipt->credits_used = order->settings.cost_credits;
	err =
	    limits_take(db, &receipt->limit, s->now_ms, &receipt->limit_state);
	if (err != OK)
		return err;
	err = credits_hold(db, &order->user_id, &receipt->job_id,
	    receipt->credits_used, s->now_ms, &receipt->credits_remaining);
	if (err == OK)
		err = insert_job(db, order, &receipt->job_id, turn_at_ms,
		    s->now_ms);
	if (err == OK)
		err = insert_attempt(db, &receipt->job_id, &order->model->id,
		    s->now_ms);
	if (err == OK)
		err = insert_record(db, order, receipt, s->now_ms);
	if (err == OK)
		err = events_append(db, EVENT_JOB, &order->user_id,
		    &receipt->job_id, s->now_ms);
	if (err == OK)
		progress_job(db, &receipt->job_id, JOB_QUEUED, NULL);
	return err;
}

enum err
jobs_submit(struct db *db, const struct job_order *order, int64_t now_ms,
    struct job_receipt *ret_receipt)
{
	struct submission s = { .order = order, .now_ms = now_ms };
	const enum err err = db_transaction(db, submit, &s);

	if (err == OK || err == ERR_INSUFFICIENT_CREDITS ||
	    err == ERR_RATE_LIMITED)
		*ret_receipt = s.receipt;
	return err;
}

/* Nobody counts further ahead than this. */
#define POSITION_MAX 1000

#define JOB_COLUMNS \
	"SELECT id, user_id, state, model_name, error_code, queue_position," \
	" cost_credits, prompt, created_at_ms, completed_at_ms," \
	" is_charge_kept, is_free," \
	" (SELECT o.name FROM objects o WHERE o.job_id = jobs.id" \
	"  AND o.bucket = 'videos' AND o.state = 'stored')," \
	" (SELECT o.name FROM objects o WHERE o.job_id = jobs.id" \
	"  AND o.bucket = 'thumbnails' AND o.state = 'stored')," \
	" EXISTS (SELECT 1 FROM ledger_entries l WHERE l.job_id = jobs.id" \
	"  AND l.kind = 'adjustment' AND l.job_id IS NOT NULL) FROM jobs"

static void
read_job(struct db_stmt *stmt, struct job *job)
{
	*job = (struct job){
		.id = db_column_uuid(stmt, 0),
		.user_id = db_column_uuid(stmt, 1),
		.state = job_state_parse(db_column_str(stmt, 2)),
		.queue_position =
		    db_column_is_null(stmt, 5) ? -1 : db_column_int64(stmt, 5),
		.cost_credits = db_column_int64(stmt, 6),
		.prompt = db_column_str(stmt, 7),
		.created_at_ms = db_column_int64(stmt, 8),
		.completed_at_ms =
		    db_column_is_null(stmt, 9) ? -1 : db_column_int64(stmt, 9),
		.video_name = db_column_str(stmt, 12),
		.poster_name = db_column_str(stmt, 13),
	};
	(void)str_copy(db_column_str(stmt, 3), job->model_name,
	    sizeof(job->model_name));
	(void)str_copy(db_column_str(stmt, 4), job->error_code,
	    sizeof(job->error_code));
	/*
	 * A job that was not captured at its end was released in full, and one
	 * that was captured an operator may have given back.
	 */
	if ((job_is_over(job->state) && job->state != JOB_COMPLETED &&
		!db_column_bool(stmt, 10)) ||
	    db_column_bool(stmt, 11) || db_column_bool(stmt, 14))
		job->refunded_credits = job->cost_credits;
}

/* How many stand before it in our own queue. */
static enum err
read_position(struct db *db, struct job *job)
{
	static const char sql[] =
	    "SELECT COUNT(*) FROM (SELECT 1 FROM jobs j JOIN jobs q"
	    " ON q.company = j.company AND q.state = 'queued'"
	    " AND q.turn_at_ms < j.turn_at_ms WHERE j.id = ?1 LIMIT ?2)";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool found;
	enum err err;

	db_bind_uuid(stmt, 1, &job->id);
	db_bind_int64(stmt, 2, POSITION_MAX);
	err = db_step(stmt, &found);
	if (err == OK)
		job->queue_position = db_column_int64(stmt, 0);
	return err;
}

enum err
jobs_get(struct db *db, const struct uuid *user_id, const struct uuid *job_id,
    jobs_each *each, void *arg)
{
	static const char sql[] =
	    JOB_COLUMNS " WHERE id = ?1 AND user_id = ?2 AND is_hidden = 0";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	struct job job;
	bool found;
	enum err err;

	db_bind_uuid(stmt, 1, job_id);
	db_bind_uuid(stmt, 2, user_id);
	err = db_step(stmt, &found);
	if (err != OK)
		return err;
	if (!found)
		return ERR_JOB_NOT_FOUND;
	read_job(stmt, &job);
	if (job.state == JOB_QUEUED)
		err = read_position(db, &job);
	return err == OK ? each(arg, &job) : err;
}

enum err
jobs_list(struct db *db, const struct uuid *user_id, const struct uuid *before,
    int64_t offset, int64_t limit, jobs_each *each, void *arg)
{
	static const char sql[] =
	    JOB_COLUMNS " WHERE user_id = ?1 AND is_hidden = 0 AND id < ?2"
			" ORDER BY id DESC LIMIT ?3 OFFSET ?4";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	struct uuid last;
	struct job job;
	bool found;
	enum err err;

	assert(limit <= JOBS_PAGE_MAX);
	memset(last.bytes, 0xff, sizeof(last.bytes));
	db_bind_uuid(stmt, 1, user_id);
	db_bind_uuid(stmt, 2, before == NULL ? &last : before);
	db_bind_int64(stmt, 3, limit);
	db_bind_int64(stmt, 4, offset);
	for (;;) {
		err = db_step(stmt, &found);
		if (err != OK || !found)
			return err;
		read_job(stmt, &job);
		err = each(arg, &job);
		if (err != OK)
			return err;
	}
}

static enum err
end_job(struct db *db, const struct uuid *job_id, enum job_state end,
    const char *error_code, bool keeps_charge, int64_t now_ms)
{
	static const char sql[] =
	    "UPDATE jobs SET state = ?2, error_code = ?3, due_at_ms = NULL,"
	    " queue_position = NULL, completed_at_ms = ?4,"
	    " is_charge_kept = CASE is_free WHEN 1 THEN 0 ELSE ?5 END"
	    " WHERE id = ?1 AND due_at_ms IS NOT NULL"
	    " RETURNING user_id, is_free";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	struct uuid user_id;
	bool found, is_free;
	enum err err = OK;

	assert(db_in_transaction(db));
	assert(job_is_over(end) && end != JOB_COMPLETED);
	db_bind_uuid(stmt, 1, job_id);
	db_bind_text(stmt, 2, job_state_name(end));
	db_bind_text(stmt, 3, error_code);
	db_bind_int64(stmt, 4, now_ms);
	db_bind_bool(stmt, 5, keeps_charge);
	err = db_step(stmt, &found);
	if (err != OK || !found)
		return err;
	user_id = db_column_uuid(stmt, 0);
	is_free = db_column_bool(stmt, 1);
	progress_job(db, job_id, end, error_code);
	/* Its credits went back before. */
	if (!is_free && keeps_charge)
		err = credits_capture(db, &user_id, job_id, now_ms);
	else if (!is_free)
		err = credits_release(db, &user_id, job_id, error_code, now_ms);
	if (err == OK)
		err = media_delete_of_job(db, job_id);
	if (err == OK)
		err = events_append(db, EVENT_JOB, &user_id, job_id, now_ms);
	return err;
}

enum err
jobs_give_up(struct db *db, const struct uuid *job_id, enum job_state end,
    const char *error_code, int64_t now_ms)
{
	return end_job(db, job_id, end, error_code, false, now_ms);
}

enum err
jobs_keep_charge(struct db *db, const struct uuid *job_id,
    const char *error_code, int64_t now_ms)
{
	return end_job(db, job_id, JOB_FAILED, error_code, true, now_ms);
}

struct deletion {
	const struct uuid *user_id;
	const struct uuid *job_id;
	int64_t now_ms;
};

static enum err
delete_job(struct db *db, void *arg)
{
	static const char sql[] =
	    "UPDATE jobs SET is_hidden = 1"
	    " WHERE id = ?1 AND user_id = ?2 AND is_hidden = 0";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	const struct deletion *d = arg;
	int64_t changes;
	bool cancelled;
	enum err err;

	db_bind_uuid(stmt, 1, d->job_id);
	db_bind_uuid(stmt, 2, d->user_id);
	err = db_run_changes(stmt, &changes);
	if (err != OK)
		return err;
	if (changes == 0)
		return ERR_JOB_NOT_FOUND;
	err = jobs_cancel_unsent(db, d->job_id, d->now_ms, &cancelled);
	if (err == OK && !cancelled)
		err = jobs_ask_cancel(db, d->job_id, d->now_ms);
	/* What is still being stored is deleted when it has arrived. */
	if (err == OK)
		err = media_delete_stored_of_job(db, d->job_id);
	if (err == OK)
		err = events_append(db, EVENT_JOB, d->user_id, d->job_id,
		    d->now_ms);
	return err;
}

enum err
jobs_delete(struct db *db, const struct uuid *user_id,
    const struct uuid *job_id, int64_t now_ms)
{
	struct deletion d = { user_id, job_id, now_ms };

	return db_transaction(db, delete_job, &d);
}

/* The next job of a user that was never sent; false when there is none. */
static enum err
find_unsent(struct db *db, const struct uuid *user_id, struct uuid *ret_job_id,
    bool *ret_found)
{
	static const char sql[] =
	    "SELECT j.id FROM jobs j JOIN attempts a ON a.job_id = j.id"
	    " AND a.state = 'new'"
	    " WHERE j.user_id = ?1 AND j.due_at_ms IS NOT NULL LIMIT 1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	enum err err;

	db_bind_uuid(stmt, 1, user_id);
	err = db_step(stmt, ret_found);
	if (err == OK && *ret_found)
		*ret_job_id = db_column_uuid(stmt, 0);
	return err;
}

static enum err
forget_keys(struct db *db, const struct uuid *user_id)
{
	static const char sql[] =
	    "DELETE FROM idempotency_records WHERE user_id = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_uuid(stmt, 1, user_id);
	return db_run(stmt);
}

enum err
jobs_erase(struct db *db, const struct uuid *user_id, int64_t now_ms)
{
	static const char sql[] =
	    "UPDATE jobs SET is_hidden = 1, prompt = '', wish = CASE wish"
	    " WHEN 'wanted' THEN 'given_up' ELSE wish END"
	    " WHERE user_id = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	struct uuid job_id;
	bool found, cancelled;
	enum err err;

	assert(db_in_transaction(db));
	while (
	    (err = find_unsent(db, user_id, &job_id, &found)) == OK && found) {
		err = jobs_cancel_unsent(db, &job_id, now_ms, &cancelled);
		if (err != OK)
			return err;
		assert(cancelled);
	}
	if (err == OK)
		err = forget_keys(db, user_id);
	if (err != OK)
		return err;
	db_bind_uuid(stmt, 1, user_id);
	return db_run(stmt);
}

enum err
jobs_open_attempt(struct db *db, const struct uuid *user_id,
    const struct uuid *job_id, struct uuid *ret_attempt_id)
{
	static const char sql[] =
	    "SELECT a.id FROM jobs j LEFT JOIN attempts a ON a.job_id = j.id"
	    " AND a.state IN ('sending', 'unknown', 'accepted')"
	    " WHERE j.id = ?1 AND j.user_id = ?2 AND j.is_hidden = 0";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool found;
	enum err err;

	db_bind_uuid(stmt, 1, job_id);
	db_bind_uuid(stmt, 2, user_id);
	err = db_step(stmt, &found);
	if (err != OK)
		return err;
	if (!found)
		return ERR_JOB_NOT_FOUND;
	if (db_column_is_null(stmt, 0))
		return ERR_CONFLICT;
	*ret_attempt_id = db_column_uuid(stmt, 0);
	return OK;
}
