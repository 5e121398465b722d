/* SPDX-License-Identifier: MIT */
#include "domain/limits.h"

#include <assert.h>

#define MINUTE_MS (INT64_C(60) * 1000)
#define HOUR_MS (INT64_C(60) * MINUTE_MS)

static const char *const kind_names[LIMIT_KIND_MAX] = {
	[LIMIT_DEVICE] = "device",
	[LIMIT_ADDRESS] = "address",
	[LIMIT_FORGERY] = "forgery",
	[LIMIT_ADMIN] = "admin",
	[LIMIT_BACKSTAGE] = "backstage",
	[LIMIT_GENERATE] = "generate",
	[LIMIT_PURCHASE] = "purchase",
	[LIMIT_UPLOAD] = "upload",
	[LIMIT_REFRESH] = "refresh",
	[LIMIT_ACCOUNT] = "account",
};

const char *
limit_kind_name(enum limit_kind kind)
{
	assert(kind < LIMIT_KIND_MAX);
	return kind_names[kind];
}

struct limit
limit_of_user(enum limit_kind kind, const struct uuid *user_id,
    int64_t per_hour, int64_t per_minute)
{
	struct limit limit = {
		.kind = kind,
		.subject_bytes = UUID_BYTES,
		.per_hour = per_hour,
		.per_minute = per_minute,
	};

	memcpy(limit.subject, user_id->bytes, UUID_BYTES);
	return limit;
}

/*
 * Takes one use out of a bucket of `max` that fills up within `period_ms`.
 * *full_at_ms becomes when it is full again, unless there was none left.
 */
static bool
take(int64_t max, int64_t period_ms, int64_t now_ms, int64_t *full_at_ms,
    struct limit_state *ret_state)
{
	const int64_t interval_ms = (period_ms + max - 1) / max;
	const int64_t whole_ms = interval_ms * max;
	int64_t left_ms = *full_at_ms - now_ms;

	if (left_ms < 0)
		left_ms = 0;
	/* A clock that was set back, or a limit that was raised meanwhile,
	 * must not lock anybody out: a refusal is not written down, so one use
	 * is left, which is. */
	if (left_ms > whole_ms)
		left_ms = whole_ms - interval_ms;
	*ret_state = (struct limit_state){ .max = max };
	if (left_ms + interval_ms > whole_ms) {
		ret_state->retry_in_ms = left_ms + interval_ms - whole_ms;
		ret_state->full_in_ms = left_ms;
		return false;
	}
	left_ms += interval_ms;
	ret_state->remaining = (whole_ms - left_ms) / interval_ms;
	ret_state->full_in_ms = left_ms;
	*full_at_ms = now_ms + left_ms;
	return true;
}

struct bucket {
	int64_t hour_full_at_ms;
	int64_t minute_full_at_ms;
};

static enum err
read_bucket(struct db *db, const struct limit *limit, struct bucket *ret_bucket)
{
	static const char sql[] =
	    "SELECT hour_full_at_ms, minute_full_at_ms FROM rate_limits"
	    " WHERE kind = ?1 AND subject = ?2";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool found;
	enum err err;

	db_bind_text(stmt, 1, kind_names[limit->kind]);
	db_bind_blob(stmt, 2, limit->subject, limit->subject_bytes);
	err = db_step(stmt, &found);
	if (err != OK)
		return err;
	*ret_bucket = (struct bucket){ 0 };
	if (found) {
		ret_bucket->hour_full_at_ms = db_column_int64(stmt, 0);
		ret_bucket->minute_full_at_ms = db_column_int64(stmt, 1);
	}
	return OK;
}

static enum err
write_bucket(struct db *db, const struct limit *limit,
    const struct bucket *bucket)
{
	static const char sql[] =
	    "INSERT INTO rate_limits (kind, subject, hour_full_at_ms,"
	    " minute_full_at_ms) VALUES (?1, ?2, ?3, ?4)"
	    " ON CONFLICT (kind, subject) DO UPDATE"
	    " SET hour_full_at_ms = excluded.hour_full_at_ms,"
	    " minute_full_at_ms = excluded.minute_full_at_ms";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_text(stmt, 1, kind_names[limit->kind]);
	db_bind_blob(stmt, 2, limit->subject, limit->subject_bytes);
	db_bind_int64(stmt, 3, bucket->hour_full_at_ms);
	db_bind_int64(stmt, 4, bucket->minute_full_at_ms);
	return db_run(stmt);
}

/* Takes one use out of both buckets; false when one of them has none left. */
static bool
take_both(const struct limit *limit, int64_t now_ms, struct bucket *bucket,
    struct limit_state *ret_state)
{
	struct limit_state minute;
	bool may;

	assert(limit->per_hour > 0);
	may = take(limit->per_hour, HOUR_MS, now_ms, &bucket->hour_full_at_ms,
	    ret_state);
	if (limit->per_minute == 0)
		return may;
	may = take(limit->per_minute, MINUTE_MS, now_ms,
		  &bucket->minute_full_at_ms, &minute) &&
	    may;
	/* Who waits for the longer wait has waited for both. */
	if (minute.retry_in_ms > ret_state->retry_in_ms ||
	    (ret_state->retry_in_ms == 0 &&
		minute.remaining < ret_state->remaining))
		*ret_state = minute;
	return may;
}

enum err
limits_look(struct db *db, const struct limit *limit, int64_t now_ms,
    struct limit_state *ret_state)
{
	struct bucket bucket;

	if (read_bucket(db, limit, &bucket) != OK)
		return ERR_SERVICE_UNAVAILABLE;
	return take_both(limit, now_ms, &bucket, ret_state) ? OK :
							      ERR_RATE_LIMITED;
}

enum err
limits_take(struct db *db, const struct limit *limit, int64_t now_ms,
    struct limit_state *ret_state)
{
	struct bucket bucket;

	assert(db_in_transaction(db));
	if (read_bucket(db, limit, &bucket) != OK)
		return ERR_SERVICE_UNAVAILABLE;
	if (!take_both(limit, now_ms, &bucket, ret_state))
		return ERR_RATE_LIMITED;
	return write_bucket(db, limit, &bucket) == OK ? OK :
							ERR_SERVICE_UNAVAILABLE;
}

struct use {
	const struct limit *limits;
	size_t count;
	int64_t now_ms;
	struct limit_state state;
	size_t index;
	/* limits_look() or limits_take() */
	enum err (*ask)(struct db *db, const struct limit *limit,
	    int64_t now_ms, struct limit_state *ret_state);
};

static enum err
use(struct db *db, void *arg)
{
	struct use *u = arg;
	enum err err = OK;

	for (size_t i = 0; err == OK && i < u->count; i++) {
		struct limit_state state;

		err = u->ask(db, &u->limits[i], u->now_ms, &state);
		if (err != OK && err != ERR_RATE_LIMITED)
			return err;
		if (i == 0 || err == ERR_RATE_LIMITED ||
		    state.remaining < u->state.remaining) {
			u->state = state;
			u->index = i;
		}
	}
	return err;
}

enum err
limits_use(struct db *db, const struct limit *limits, size_t count,
    int64_t now_ms, struct limit_state *ret_state, size_t *ret_index)
{
	struct use u = { .limits = limits,
		.count = count,
		.now_ms = now_ms,
		.ask = limits_look };
	enum err err;

	/* Whoever is refused waits for no writer, and no writer for them. */
	err = use(db, &u);
	u.ask = limits_take;
	if (err == OK)
		err = db_transaction(db, use, &u);
	if (err == OK || err == ERR_RATE_LIMITED) {
		*ret_state = u.state;
		*ret_index = u.index;
	}
	return err;
}

struct limit_violation
limits_violation(const struct limit *limit, int64_t now_ms)
{
	struct limit_violation violation = {
		.subject_bytes = limit->subject_bytes,
		.hour_at_ms = now_ms - now_ms % HOUR_MS,
		.count = 1,
		.last_at_ms = now_ms,
	};

	memcpy(violation.subject, limit->subject, limit->subject_bytes);
	(void)str_copy(str_from(kind_names[limit->kind]), violation.kind,
	    sizeof(violation.kind));
	return violation;
}

bool
limits_violation_is_same(const struct limit_violation *a,
    const struct limit_violation *b)
{
	return a->hour_at_ms == b->hour_at_ms &&
	    a->subject_bytes == b->subject_bytes &&
	    memcmp(a->subject, b->subject, a->subject_bytes) == 0 &&
	    strcmp(a->kind, b->kind) == 0;
}

static enum err
note(struct db *db, const struct limit_violation *v, int64_t *ret_count)
{
	static const char sql[] =
	    "INSERT INTO limit_violations (hour_at_ms, kind, subject, count,"
	    " last_at_ms) VALUES (?1, ?2, ?3, ?4, ?5)"
	    " ON CONFLICT (hour_at_ms, kind, subject) DO UPDATE"
	    " SET count = limit_violations.count + excluded.count,"
	    " last_at_ms = excluded.last_at_ms RETURNING count";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool found;
	enum err err;

	db_bind_int64(stmt, 1, v->hour_at_ms);
	db_bind_text(stmt, 2, v->kind);
	db_bind_blob(stmt, 3, v->subject, v->subject_bytes);
	db_bind_int64(stmt, 4, v->count);
	db_bind_int64(stmt, 5, v->last_at_ms);
	err = db_step(stmt, &found);
	if (err != OK)
		return err;
	*ret_count = db_column_int64(stmt, 0);
	return db_run(stmt);
}

struct noting {
	const struct limit_violation *violations;
	size_t count;
	int64_t *counts;
};

static enum err
note_all(struct db *db, void *arg)
{
	const struct noting *n = arg;
	enum err err = OK;

	for (size_t i = 0; err == OK && i < n->count; i++)
		err = note(db, &n->violations[i], &n->counts[i]);
	return err;
}

enum err
limits_note_violations(struct db *db, const struct limit_violation *violations,
    size_t count, int64_t *ret_counts)
{
	struct noting n = { violations, count, ret_counts };

	return db_transaction(db, note_all, &n);
}

enum err
limits_violations(struct db *db, int64_t since_ms, int64_t min_count,
    limits_each *each, void *arg)
{
	static const char sql[] =
	    "SELECT kind, subject, hour_at_ms, count, last_at_ms"
	    " FROM limit_violations WHERE hour_at_ms > ?1 AND count >= ?2"
	    " AND last_at_ms >= ?3 ORDER BY kind, count DESC, subject";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool found;
	enum err err;

	/* The hour in which since_ms lies counts too. */
	db_bind_int64(stmt, 1, since_ms - HOUR_MS);
	db_bind_int64(stmt, 2, min_count);
	db_bind_int64(stmt, 3, since_ms);
	while ((err = db_step(stmt, &found)) == OK && found) {
		const struct str subject = db_column_blob(stmt, 1);
		struct limit_violation violation = {
			.subject_bytes = subject.len,
			.hour_at_ms = db_column_int64(stmt, 2),
			.count = db_column_int64(stmt, 3),
			.last_at_ms = db_column_int64(stmt, 4),
		};

		assert(subject.len <= LIMIT_SUBJECT_BYTES_MAX);
		memcpy(violation.subject, subject.ptr, subject.len);
		(void)str_copy(db_column_str(stmt, 0), violation.kind,
		    sizeof(violation.kind));
		each(arg, &violation);
	}
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
	    "DELETE FROM rate_limits WHERE (kind, subject) IN"
	    " (SELECT kind, subject FROM rate_limits"
	    "  WHERE hour_full_at_ms < ?1 ORDER BY hour_full_at_ms LIMIT ?2)";
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

static enum err
purge_violations(struct db *db, void *arg)
{
	static const char sql[] =
	    "DELETE FROM limit_violations WHERE (hour_at_ms, kind, subject) IN"
	    " (SELECT hour_at_ms, kind, subject FROM limit_violations"
	    "  WHERE hour_at_ms < ?1 ORDER BY hour_at_ms LIMIT ?2)";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	const struct purge *what = arg;

	db_bind_int64(stmt, 1, what->before_ms);
	db_bind_int64(stmt, 2, what->limit);
	return db_run(stmt);
}

enum err
limits_purge_violations(struct db *db, int64_t before_ms, int64_t limit)
{
	struct purge what = { before_ms, limit };

	return db_transaction(db, purge_violations, &what);
}
