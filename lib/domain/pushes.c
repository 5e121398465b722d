/* SPDX-License-Identifier: MIT */
#include "domain/pushes.h"
#include "domain/events.h"
#include "domain/jobs.h"
#include "domain/watches.h"

#include <assert.h>

/* Read at once: short transactions. */
#define EVENTS_AT_ONCE 100

/* Where in the events we are: a watch whose time is an event's id. */
static const char watch_name[] = "push";

static const char *
environment_name(const struct push_token *token)
{
	return token->is_sandbox ? "sandbox" : "production";
}

struct registration {
	const struct uuid *user_id;
	const struct uuid *session_id;
	const struct push_token *token;
	int64_t now_ms;
};

static enum err
put_token(struct db *db, const struct registration *r)
{
	static const char sql[] =
	    "INSERT INTO push_tokens (environment, token, session_id,"
	    " registered_at_ms) VALUES (?1, ?2, ?3, ?4)"
	    " ON CONFLICT (environment, token) DO UPDATE SET"
	    " session_id = excluded.session_id,"
	    " registered_at_ms = excluded.registered_at_ms";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_text(stmt, 1, environment_name(r->token));
	db_bind_text(stmt, 2, r->token->token);
	db_bind_uuid(stmt, 3, r->session_id);
	db_bind_int64(stmt, 4, r->now_ms);
	return db_run(stmt);
}

static enum err
register_token(struct db *db, void *arg)
{
	static const char sql[] =
	    "DELETE FROM push_tokens WHERE (environment, token) IN"
	    " (SELECT t.environment, t.token FROM sessions s"
	    "  JOIN push_tokens t ON t.session_id = s.id WHERE s.user_id = ?1"
	    "  ORDER BY t.registered_at_ms DESC, t.token LIMIT 1000 OFFSET ?2)";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	const struct registration *r = arg;
	enum err err;

	err = put_token(db, r);
	if (err != OK)
		return err;
	db_bind_uuid(stmt, 1, r->user_id);
	db_bind_int64(stmt, 2, PUSH_TOKENS_PER_USER_MAX);
	return db_run(stmt);
}

enum err
pushes_register(struct db *db, const struct uuid *user_id,
    const struct uuid *session_id, const struct push_token *token,
    int64_t now_ms)
{
	struct registration r = { user_id, session_id, token, now_ms };

	return db_transaction(db, register_token, &r);
}

enum err
pushes_forget_user(struct db *db, const struct uuid *user_id)
{
	static const char sql[] =
	    "DELETE FROM push_tokens WHERE session_id IN"
	    " (SELECT id FROM sessions WHERE user_id = ?1)";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	assert(db_in_transaction(db));
	db_bind_uuid(stmt, 1, user_id);
	return db_run(stmt);
}

/* --- out of the events ---------------------------------------------------- */

/*
 * Only the event of the end itself: a job's row changes afterwards, too.  What
 * its user has cancelled or deleted he knows.
 */
static enum err
make_pushes(struct db *db, const struct event *event, int64_t now_ms)
{
	static const char sql[] =
	    "INSERT INTO pushes (environment, token, job_id, next_try_at_ms,"
	    " created_at_ms) SELECT t.environment, t.token, j.id, ?3, ?3"
	    " FROM jobs j JOIN sessions s ON s.user_id = j.user_id"
	    " JOIN push_tokens t ON t.session_id = s.id"
	    " WHERE j.id = ?1 AND j.completed_at_ms = ?2 AND j.is_hidden = 0"
	    " AND j.state IN ('completed', 'failed', 'lost')"
	    " AND COALESCE(j.error_code, '') <> 'canceled'"
	    " ON CONFLICT (environment, token, job_id) DO NOTHING";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_uuid(stmt, 1, &event->job_id);
	db_bind_int64(stmt, 2, event->created_at_ms);
	db_bind_int64(stmt, 3, now_ms);
	return db_run(stmt);
}

struct making {
	int64_t now_ms;
	int64_t newest; /* event there is */
	bool has_more;
};

static enum err
make(struct db *db, void *arg)
{
	struct event events[EVENTS_AT_ONCE];
	struct making *m = arg;
	int64_t cursor = m->newest;
	size_t count = 0;
	bool found;
	enum err err;

	err = watches_find(db, watch_name, &found, &cursor);
	if (err == OK)
		err = events_after(db, cursor, EVENTS_AT_ONCE, events, &count);
	for (size_t i = 0; err == OK && i < count; i++)
		if (events[i].kind == EVENT_JOB &&
		    m->now_ms - events[i].created_at_ms < PUSH_LIFE_MS)
			err = make_pushes(db, &events[i], m->now_ms);
	m->has_more = count == EVENTS_AT_ONCE;
	if (err == OK && count > 0)
		cursor = events[count - 1].id;
	return err == OK ? watches_put(db, watch_name, cursor) : err;
}

enum err
pushes_make(struct db *db, int64_t now_ms, bool *ret_more)
{
	struct making m = { .now_ms = now_ms };
	int64_t cursor = -1;
	bool found;
	enum err err;

	err = events_newest(db, &m.newest);
	if (err == OK)
		err = watches_find(db, watch_name, &found, &cursor);
	/* Most of the time nothing has happened: a look that writes nothing. */
	if (err == OK && cursor < m.newest)
		err = db_transaction(db, make, &m);
	if (err == OK)
		*ret_more = m.has_more;
	return err;
}

/* --- sending -------------------------------------------------------------- */

static bool
has_completed(struct str state)
{
	return job_state_parse(state) == JOB_COMPLETED;
}

struct taking {
	int64_t now_ms;
	int64_t lease_ms;
	struct push *pushes;
	size_t max;
	size_t count;
};

static enum err
read_due(struct db *db, struct taking *t)
{
	static const char sql[] =
	    "SELECT p.environment = 'sandbox', p.token, p.job_id,"
	    " p.tries_count, p.created_at_ms, u.language, j.state,"
	    " j.is_charge_kept FROM pushes p JOIN jobs j ON j.id = p.job_id"
	    " JOIN users u ON u.id = j.user_id"
	    " WHERE p.next_try_at_ms <= ?1 ORDER BY p.next_try_at_ms LIMIT ?2";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool found;
	enum err err;

	t->count = 0;
	db_bind_int64(stmt, 1, t->now_ms);
	db_bind_int64(stmt, 2, (int64_t)t->max);
	while ((err = db_step(stmt, &found)) == OK && found) {
		struct push *push = &t->pushes[t->count++];

		*push = (struct push){
			.to = { .is_sandbox = db_column_bool(stmt, 0) },
			.job_id = db_column_uuid(stmt, 2),
			.tries_count = db_column_int64(stmt, 3),
			.created_at_ms = db_column_int64(stmt, 4),
			.is_completed = has_completed(db_column_str(stmt, 6)),
			.is_charge_kept = db_column_bool(stmt, 7),
		};
		(void)str_copy(db_column_str(stmt, 1), push->to.token,
		    sizeof(push->to.token));
		(void)lang_parse(db_column_str(stmt, 5), &push->lang);
	}
	return err;
}

static enum err
move(struct db *db, const struct push *push, int64_t next_try_at_ms,
    int64_t tries_count)
{
	static const char sql[] =
	    "UPDATE pushes SET next_try_at_ms = ?4, tries_count = ?5"
	    " WHERE environment = ?1 AND token = ?2 AND job_id = ?3";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_text(stmt, 1, environment_name(&push->to));
	db_bind_text(stmt, 2, push->to.token);
	db_bind_uuid(stmt, 3, &push->job_id);
	db_bind_int64(stmt, 4, next_try_at_ms);
	db_bind_int64(stmt, 5, tries_count);
	return db_run(stmt);
}

static enum err
take(struct db *db, void *arg)
{
	struct taking *t = arg;
	enum err err;

	err = read_due(db, t);
	for (size_t i = 0; err == OK && i < t->count; i++)
		err = move(db, &t->pushes[i], t->now_ms + t->lease_ms,
		    t->pushes[i].tries_count + 1);
	return err;
}

enum err
pushes_take(struct db *db, int64_t now_ms, int64_t lease_ms,
    struct push *ret_pushes, size_t max, size_t *ret_count)
{
	struct taking t = { now_ms, lease_ms, ret_pushes, max, 0 };
	enum err err;

	err = read_due(db, &t);
	if (err == OK && t.count > 0)
		err = db_transaction(db, take, &t);
	if (err == OK)
		*ret_count = t.count;
	return err;
}

static enum err
end_push(struct db *db, void *arg)
{
	static const char sql[] =
	    "DELETE FROM pushes"
	    " WHERE environment = ?1 AND token = ?2 AND job_id = ?3";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	const struct push *push = arg;

	db_bind_text(stmt, 1, environment_name(&push->to));
	db_bind_text(stmt, 2, push->to.token);
	db_bind_uuid(stmt, 3, &push->job_id);
	return db_run(stmt);
}

enum err
pushes_done(struct db *db, const struct push *push)
{
	struct push copy = *push;

	return db_transaction(db, end_push, &copy);
}

struct delay {
	const struct push *push;
	int64_t next_try_at_ms;
};

static enum err
delay_push(struct db *db, void *arg)
{
	const struct delay *d = arg;

	return move(db, d->push, d->next_try_at_ms, d->push->tries_count + 1);
}

enum err
pushes_later(struct db *db, const struct push *push, int64_t next_try_at_ms)
{
	struct delay d = { push, next_try_at_ms };

	return db_transaction(db, delay_push, &d);
}

struct death {
	const struct push *push;
	int64_t since_ms; /* 0 = now */
};

static enum err
bury(struct db *db, void *arg)
{
	static const char token_sql[] =
	    "DELETE FROM push_tokens WHERE environment = ?1 AND token = ?2"
	    " AND (?3 = 0 OR registered_at_ms <= ?3)";
	static const char pushes_sql[] =
	    "DELETE FROM pushes WHERE environment = ?1 AND token = ?2"
	    " AND NOT EXISTS (SELECT 1 FROM push_tokens t"
	    "  WHERE t.environment = ?1 AND t.token = ?2)";
	CLEANUP(db_release) struct db_stmt *token = db_prepare(db, token_sql);
	CLEANUP(db_release) struct db_stmt *pushes = db_prepare(db, pushes_sql);
	const struct death *d = arg;
	struct push copy = *d->push;
	enum err err;

	db_bind_text(token, 1, environment_name(&copy.to));
	db_bind_text(token, 2, copy.to.token);
	db_bind_int64(token, 3, d->since_ms);
	db_bind_text(pushes, 1, environment_name(&copy.to));
	db_bind_text(pushes, 2, copy.to.token);
	err = db_run(token);
	if (err == OK)
		err = db_run(pushes);
	return err == OK ? end_push(db, &copy) : err;
}

enum err
pushes_token_dead(struct db *db, const struct push *push, int64_t since_ms)
{
	struct death d = { push, since_ms };

	return db_transaction(db, bury, &d);
}

struct purge {
	int64_t before_ms;
	int64_t limit;
};

static enum err
purge(struct db *db, void *arg)
{
	static const char tokens_sql[] =
	    "DELETE FROM push_tokens WHERE (environment, token) IN"
	    " (SELECT environment, token FROM push_tokens"
	    "  WHERE session_id > x'' AND NOT EXISTS (SELECT 1 FROM sessions"
	    "   WHERE sessions.id = push_tokens.session_id) LIMIT ?1)";
	static const char pushes_sql[] =
	    "DELETE FROM pushes WHERE next_try_at_ms > 0"
	    " AND created_at_ms < ?1";
	CLEANUP(db_release) struct db_stmt *tokens = db_prepare(db, tokens_sql);
	CLEANUP(db_release) struct db_stmt *pushes = db_prepare(db, pushes_sql);
	const struct purge *what = arg;
	enum err err;

	db_bind_int64(tokens, 1, what->limit);
	db_bind_int64(pushes, 1, what->before_ms);
	err = db_run(tokens);
	return err == OK ? db_run(pushes) : err;
}

enum err
pushes_purge(struct db *db, int64_t now_ms, int64_t limit)
{
	struct purge what = { now_ms - PUSH_LIFE_MS, limit };

	return db_transaction(db, purge, &what);
}
