/* SPDX-License-Identifier: MIT */
#include "domain/limits.h"

#include <assert.h>

struct use {
	const struct limit *limits;
	size_t count;
	int64_t now_ms;
	struct limit_reached reached;
};

/* The window that is open now; began_at_ms is now when none is. */
static enum err
read_window(struct db *db, const struct limit *limit, int64_t now_ms,
    int64_t *ret_began_at_ms, int64_t *ret_count)
{
	static const char sql[] = "SELECT began_at_ms, count FROM limit_windows"
				  " WHERE kind = ?1 AND subject = ?2";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	int64_t age_ms;
	bool found;
	enum err err;

	db_bind_text(stmt, 1, limit->kind);
	db_bind_blob(stmt, 2, limit->subject, LIMIT_SUBJECT_BYTES);
	err = db_step(stmt, &found);
	if (err != OK)
		return err;
	*ret_began_at_ms = now_ms;
	*ret_count = 0;
	if (!found)
		return OK;
	/* A clock that was set back must not lock anybody out. */
	age_ms = now_ms - db_column_int64(stmt, 0);
	if (age_ms >= 0 && age_ms < limit->window_ms) {
		*ret_began_at_ms = now_ms - age_ms;
		*ret_count = db_column_int64(stmt, 1);
	}
	return OK;
}

static enum err
write_window(struct db *db, const struct limit *limit, int64_t began_at_ms,
    int64_t count)
{
	static const char sql[] =
	    "INSERT INTO limit_windows (kind, subject, began_at_ms, count)"
	    " VALUES (?1, ?2, ?3, ?4) ON CONFLICT (kind, subject) DO UPDATE"
	    " SET began_at_ms = excluded.began_at_ms, count = excluded.count";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_text(stmt, 1, limit->kind);
	db_bind_blob(stmt, 2, limit->subject, LIMIT_SUBJECT_BYTES);
	db_bind_int64(stmt, 3, began_at_ms);
	db_bind_int64(stmt, 4, count);
	return db_run(stmt);
}

static enum err
use(struct db *db, void *arg)
{
	struct use *u = arg;

	for (size_t i = 0; i < u->count; i++) {
		const struct limit *limit = &u->limits[i];
		int64_t began_at_ms, count;
		enum err err;

		assert(limit->max > 0);
		err = read_window(db, limit, u->now_ms, &began_at_ms, &count);
		if (err != OK)
			return err;
		if (count >= limit->max) {
			u->reached = (struct limit_reached){
				.max = limit->max,
				.ends_in_ms =
				    began_at_ms + limit->window_ms - u->now_ms,
			};
			return ERR_RATE_LIMITED;
		}
		err = write_window(db, limit, began_at_ms, count + 1);
		if (err != OK)
			return err;
	}
	return OK;
}

enum err
limits_use(struct db *db, const struct limit *limits, size_t count,
    int64_t now_ms, struct limit_reached *ret_reached)
{
	struct use u = { limits, count, now_ms, { 0 } };
	const enum err err = db_transaction(db, use, &u);

	if (err == ERR_RATE_LIMITED)
		*ret_reached = u.reached;
	return err;
}

struct purge {
	int64_t before_ms;
	int64_t limit;
};

static enum err
purge(struct db *db, void *arg)
{
	static const char sql[] =
	    "DELETE FROM limit_windows WHERE (kind, subject) IN"
	    " (SELECT kind, subject FROM limit_windows"
	    "  WHERE began_at_ms < ?1 ORDER BY began_at_ms LIMIT ?2)";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	const struct purge *what = arg;

	db_bind_int64(stmt, 1, what->before_ms);
	db_bind_int64(stmt, 2, what->limit);
	return db_run(stmt);
}

enum err
limits_purge(struct db *db, int64_t before_ms, int64_t limit)
{
	struct purge what = { before_ms, limit };

	return db_transaction(db, purge, &what);
}
