/* SPDX-License-Identifier: MIT */
#include "domain/events.h"

#include <assert.h>

enum err
events_append(struct db *db, enum event_kind kind, const struct uuid *user_id,
    const struct uuid *job_id, int64_t now_ms)
{
	static const char *const names[] = {
		[EVENT_JOB] = "job",
		[EVENT_BALANCE] = "balance",
		[EVENT_SESSION] = "session",
	};
	static const char sql[] =
	    "INSERT INTO events (user_id, job_id, kind, created_at_ms)"
	    " VALUES (?1, ?2, ?3, ?4)";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	assert(db_in_transaction(db));
	assert((kind == EVENT_JOB) == (job_id != NULL));
	db_bind_uuid(stmt, 1, user_id);
	db_bind_uuid(stmt, 2, job_id);
	db_bind_text(stmt, 3, names[kind]);
	db_bind_int64(stmt, 4, now_ms);
	return db_run(stmt);
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
