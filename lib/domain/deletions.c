/* SPDX-License-Identifier: MIT */
#include "domain/deletions.h"
#include "domain/jobs.h"
#include "domain/media.h"
#include "domain/pushes.h"
#include "domain/sessions.h"

#include <assert.h>

static const char step_jobs[] = "jobs";
static const char step_files[] = "files";
static const char step_apple[] = "apple";

struct deletion {
	const struct uuid *user_id;
	int64_t now_ms;
};

/* A gift that is still pending is nobody's now. */
static enum err
erase_user(struct db *db, const struct deletion *d)
{
	static const char sql[] =
	    "UPDATE users SET status = 'deleted', email = NULL,"
	    " apple_sub = NULL, user_metadata = '{}', language = 'en',"
	    " theme_preference = 'system',"
	    " grant_state = CASE grant_state WHEN 'pending' THEN 'withheld'"
	    "  ELSE grant_state END, updated_at_ms = ?2"
	    " WHERE id = ?1 AND status <> 'deleted'";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	int64_t changes;
	enum err err;

	db_bind_uuid(stmt, 1, d->user_id);
	db_bind_int64(stmt, 2, d->now_ms);
	err = db_run_changes(stmt, &changes);
	if (err != OK)
		return err;
	return changes == 1 ? OK : ERR_UNAUTHORIZED;
}

/* The device's row stays: it knows that the gift was given. */
static enum err
release_devices(struct db *db, const struct uuid *user_id)
{
	static const char sql[] =
	    "UPDATE devices SET user_id = NULL WHERE user_id = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_uuid(stmt, 1, user_id);
	return db_run(stmt);
}

/* Who is gone consents to nothing, and nobody asks for them. */
static enum err
forget_wishes(struct db *db, const struct uuid *user_id)
{
	static const char consents_sql[] =
	    "DELETE FROM consents WHERE user_id = ?1";
	static const char lookups_sql[] =
	    "DELETE FROM purchase_lookups WHERE user_id = ?1";
	CLEANUP(db_release)
	struct db_stmt *consents = db_prepare(db, consents_sql);
	CLEANUP(db_release)
	struct db_stmt *lookups = db_prepare(db, lookups_sql);
	enum err err;

	db_bind_uuid(consents, 1, user_id);
	db_bind_uuid(lookups, 1, user_id);
	err = db_run(consents);
	return err == OK ? db_run(lookups) : err;
}

static enum err
add_step(struct db *db, const struct deletion *d, const char *name)
{
	static const char sql[] =
	    "INSERT INTO deletion_steps (user_id, step, next_try_at_ms,"
	    " created_at_ms) VALUES (?1, ?2, ?3, ?3)";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_uuid(stmt, 1, d->user_id);
	db_bind_text(stmt, 2, name);
	db_bind_int64(stmt, 3, d->now_ms);
	return db_run(stmt);
}

static enum err
has_consent(struct db *db, const struct uuid *user_id, bool *ret_has)
{
	static const char sql[] =
	    "SELECT 1 FROM apple_tokens WHERE user_id = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_uuid(stmt, 1, user_id);
	return db_step(stmt, ret_has);
}

static enum err
begin(struct db *db, void *arg)
{
	const struct deletion *d = arg;
	bool is_apples;
	enum err err;

	err = erase_user(db, d);
	/* A phone is found by its session. */
	if (err == OK)
		err = pushes_forget_user(db, d->user_id);
	if (err == OK)
		err = sessions_end_all(db, d->user_id, d->now_ms);
	if (err == OK)
		err = release_devices(db, d->user_id);
	if (err == OK)
		err = forget_wishes(db, d->user_id);
	if (err == OK)
		err = jobs_erase(db, d->user_id, d->now_ms);
	if (err == OK)
		err = media_delete_of_user(db, d->user_id);
	if (err == OK)
		err = add_step(db, d, step_jobs);
	if (err == OK)
		err = add_step(db, d, step_files);
	if (err == OK)
		err = has_consent(db, d->user_id, &is_apples);
	if (err == OK && is_apples)
		err = add_step(db, d, step_apple);
	return err;
}

enum err
deletions_begin(struct db *db, const struct uuid *user_id, int64_t now_ms)
{
	struct deletion d = { user_id, now_ms };

	return db_transaction(db, begin, &d);
}

enum err
deletions_due(struct db *db, int64_t now_ms, struct deletion_step *ret_steps,
    size_t max, size_t *ret_count)
{
	static const char sql[] =
	    "SELECT user_id, step, tries_count FROM deletion_steps"
	    " WHERE state = 'open' AND next_try_at_ms <= ?1"
	    " ORDER BY next_try_at_ms LIMIT ?2";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	size_t count = 0;
	bool found;
	enum err err;

	db_bind_int64(stmt, 1, now_ms);
	db_bind_int64(stmt, 2, (int64_t)max);
	while ((err = db_step(stmt, &found)) == OK && found) {
		struct deletion_step *step = &ret_steps[count++];

		*step = (struct deletion_step){
			.user_id = db_column_uuid(stmt, 0),
			.tries_count = db_column_int64(stmt, 2),
		};
		(void)str_copy(db_column_str(stmt, 1), step->name,
		    sizeof(step->name));
	}
	if (err == OK)
		*ret_count = count;
	return err;
}

struct outcome {
	const struct deletion_step *step;
	bool is_done;
	int64_t at_ms;
};

static enum err
note_outcome(struct db *db, void *arg)
{
	static const char sql[] =
	    "UPDATE deletion_steps SET state = ?3, next_try_at_ms = ?4,"
	    " tries_count = tries_count + 1"
	    " WHERE user_id = ?1 AND step = ?2 AND state = 'open'";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	const struct outcome *outcome = arg;

	db_bind_uuid(stmt, 1, &outcome->step->user_id);
	db_bind_text(stmt, 2, outcome->step->name);
	db_bind_text(stmt, 3, outcome->is_done ? "done" : "open");
	db_bind_int64(stmt, 4, outcome->at_ms);
	return db_run(stmt);
}

enum err
deletions_step_done(struct db *db, const struct deletion_step *step,
    int64_t now_ms)
{
	struct outcome outcome = { step, true, now_ms };

	return db_transaction(db, note_outcome, &outcome);
}

enum err
deletions_step_later(struct db *db, const struct deletion_step *step,
    int64_t next_try_at_ms)
{
	struct outcome outcome = { step, false, next_try_at_ms };

	return db_transaction(db, note_outcome, &outcome);
}

struct look {
	const struct uuid *user_id;
	bool is_done;
};

static enum err
forget_jobs(struct db *db, void *arg)
{
	static const char open_sql[] =
	    "SELECT 1 FROM jobs"
	    " WHERE user_id = ?1 AND due_at_ms IS NOT NULL LIMIT 1";
	static const char forget_sql[] =
	    "UPDATE attempts SET status_url = NULL, result_url = NULL,"
	    " cancel_url = NULL, video_url = NULL"
	    " WHERE job_id IN (SELECT id FROM jobs WHERE user_id = ?1)";
	CLEANUP(db_release) struct db_stmt *open = db_prepare(db, open_sql);
	CLEANUP(db_release) struct db_stmt *forget = db_prepare(db, forget_sql);
	struct look *look = arg;
	bool found;
	enum err err;

	db_bind_uuid(open, 1, look->user_id);
	err = db_step(open, &found);
	if (err != OK)
		return err;
	look->is_done = !found;
	if (found)
		return OK;
	db_bind_uuid(forget, 1, look->user_id);
	return db_run(forget);
}

enum err
deletions_forget_jobs(struct db *db, const struct uuid *user_id, bool *ret_done)
{
	struct look look = { .user_id = user_id };
	const enum err err = db_transaction(db, forget_jobs, &look);

	if (err == OK)
		*ret_done = look.is_done;
	return err;
}

enum err
deletions_files_gone(struct db *db, const struct uuid *user_id, bool *ret_done)
{
	static const char sql[] =
	    "SELECT 1 FROM objects WHERE user_id = ?1 LIMIT 1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool found;
	enum err err;

	db_bind_uuid(stmt, 1, user_id);
	err = db_step(stmt, &found);
	if (err == OK)
		*ret_done = !found;
	return err;
}

static enum err
forget_consent(struct db *db, void *arg)
{
	static const char sql[] = "DELETE FROM apple_tokens WHERE user_id = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	const struct outcome *outcome = arg;
	enum err err;

	db_bind_uuid(stmt, 1, &outcome->step->user_id);
	err = db_run(stmt);
	return err != OK ? err : note_outcome(db, arg);
}

enum err
deletions_consent_gone(struct db *db, const struct deletion_step *step,
    int64_t now_ms)
{
	struct outcome outcome = { step, true, now_ms };

	return db_transaction(db, forget_consent, &outcome);
}

enum err
deletions_owe_consent(struct db *db, const struct uuid *user_id, int64_t now_ms)
{
	static const char sql[] =
	    "INSERT INTO deletion_steps (user_id, step, next_try_at_ms,"
	    " created_at_ms) SELECT id, ?2, ?3, ?3 FROM users WHERE id = ?1"
	    " AND status = 'deleted' AND merged_into_id IS NULL"
	    " ON CONFLICT (user_id, step) DO UPDATE SET state = 'open',"
	    " next_try_at_ms = excluded.next_try_at_ms";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	assert(db_in_transaction(db));
	db_bind_uuid(stmt, 1, user_id);
	db_bind_text(stmt, 2, step_apple);
	db_bind_int64(stmt, 3, now_ms);
	return db_run(stmt);
}

/* A time that is always met lets the index of open steps serve. */
enum err
deletions_stuck_count(struct db *db, int64_t before_ms, int64_t *ret_count)
{
	static const char sql[] =
	    "SELECT COUNT(*) FROM deletion_steps WHERE state = 'open'"
	    " AND next_try_at_ms >= 0 AND created_at_ms < ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool found;
	enum err err;

	db_bind_int64(stmt, 1, before_ms);
	err = db_step(stmt, &found);
	if (err == OK)
		*ret_count = db_column_int64(stmt, 0);
	return err;
}
