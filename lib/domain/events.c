/* SPDX-License-Identifier: MIT */
#include "domain/events.h"

#include <assert.h>

static const char *const kind_names[] = {
	[EVENT_JOB] = "job",
	[EVENT_BALANCE] = "balance",
	[EVENT_SESSION] = "session",
};

enum err
events_append(struct db *db, enum event_kind kind, const struct uuid *user_id,
    const struct uuid *job_id, int64_t now_ms)
{
	static const char sql[] =
	    "INSERT INTO events (user_id, job_id, kind, created_at_ms)"
	    " VALUES (?1, ?2, ?3, ?4)";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	assert(db_in_transaction(db));
	assert((kind == EVENT_JOB) == (job_id != NULL));
	db_bind_uuid(stmt, 1, user_id);
	db_bind_uuid(stmt, 2, job_id);
	db_bind_text(stmt, 3, kind_names[kind]);
	db_bind_int64(stmt, 4, now_ms);
	return db_run(stmt);
}

/* Of no rows the maximum is NULL, which reads as 0. */
static enum err
read_id(struct db_stmt *stmt, int64_t *ret_id)
{
	bool found;
	const enum err err = db_step(stmt, &found);

	if (err == OK)
		*ret_id = found ? db_column_int64(stmt, 0) : 0;
	return err;
}

enum err
events_newest(struct db *db, int64_t *ret_id)
{
	static const char sql[] = "SELECT max(id) FROM events";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	return read_id(stmt, ret_id);
}

enum err
events_newest_of(struct db *db, const struct uuid *user_id, int64_t *ret_id)
{
	static const char sql[] =
	    "SELECT max(id) FROM events WHERE user_id = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_uuid(stmt, 1, user_id);
	return read_id(stmt, ret_id);
}

static enum event_kind
parse_kind(struct str name)
{
	enum event_kind kind = EVENT_JOB;

	while (!str_equal(name, str_from(kind_names[kind]))) {
		assert(kind < EVENT_SESSION);
		kind++;
	}
	return kind;
}

static enum err
read_events(struct db_stmt *stmt, struct event *ret_events, size_t *ret_count)
{
	size_t count = 0;
	bool found;
	enum err err;

	while ((err = db_step(stmt, &found)) == OK && found)
		ret_events[count++] = (struct event){
			.id = db_column_int64(stmt, 0),
			.kind = parse_kind(db_column_str(stmt, 1)),
			.user_id = db_column_uuid(stmt, 2),
			.job_id = db_column_uuid(stmt, 3),
			.created_at_ms = db_column_int64(stmt, 4),
		};
	if (err == OK)
		*ret_count = count;
	return err;
}

enum err
events_after(struct db *db, int64_t after, size_t max, struct event *ret_events,
    size_t *ret_count)
{
	static const char sql[] =
	    "SELECT id, kind, user_id, job_id, created_at_ms FROM events"
	    " WHERE id > ?1 ORDER BY id LIMIT ?2";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_int64(stmt, 1, after);
	db_bind_int64(stmt, 2, (int64_t)max);
	return read_events(stmt, ret_events, ret_count);
}

enum err
events_after_of(struct db *db, const struct uuid *user_id, int64_t after,
    size_t max, struct event *ret_events, size_t *ret_count)
{
	static const char sql[] =
	    "SELECT id, kind, user_id, job_id, created_at_ms FROM events"
	    " WHERE user_id = ?1 AND id > ?2 ORDER BY id LIMIT ?3";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_uuid(stmt, 1, user_id);
	db_bind_int64(stmt, 2, after);
	db_bind_int64(stmt, 3, (int64_t)max);
	return read_events(stmt, ret_events, ret_count);
}

enum err
events_can_resume(struct db *db, const struct uuid *user_id, int64_t id,
    int64_t now_ms, bool *ret_can)
{
	static const char sql[] =
	    "SELECT 1 FROM events WHERE id = ?1 AND user_id = ?2"
	    " AND created_at_ms > ?3";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_int64(stmt, 1, id);
	db_bind_uuid(stmt, 2, user_id);
	db_bind_int64(stmt, 3, now_ms - EVENT_RESUME_MS);
	return db_step(stmt, ret_can);
}

struct purge {
	int64_t before_ms;
	int64_t limit;
};

static enum err
purge(struct db *db, void *arg)
{
	static const char sql[] =
	    "DELETE FROM events WHERE id IN"
	    " (SELECT id FROM events WHERE created_at_ms < ?1"
	    " ORDER BY created_at_ms LIMIT ?2)";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	const struct purge *what = arg;

	db_bind_int64(stmt, 1, what->before_ms);
	db_bind_int64(stmt, 2, what->limit);
	return db_run(stmt);
}

enum err
events_purge(struct db *db, int64_t before_ms, int64_t limit)
{
	struct purge what = { before_ms, limit };

	return db_transaction(db, purge, &what);
}
