/* SPDX-License-Identifier: MIT */
#include "domain/sessions.h"
#include "domain/events.h"

#include <assert.h>

static const char *const method_names[] = {
	[SESSION_ANONYMOUS] = "anonymous",
	[SESSION_OAUTH] = "oauth",
	[SESSION_OPERATOR] = "operator",
};

/* Keeps the newest sessions of a user, with room for one more. */
static enum err
trim(struct db *db, const struct uuid *user_id, int64_t now_ms)
{
	static const char sql[] =
	    "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions"
	    " WHERE user_id = ?1 ORDER BY refreshed_at_ms DESC"
	    " LIMIT ?3 OFFSET ?2)";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	int64_t changes;
	enum err err;

	db_bind_uuid(stmt, 1, user_id);
	db_bind_int64(stmt, 2, SESSIONS_PER_USER_MAX - 1);
	db_bind_int64(stmt, 3, SESSIONS_PER_USER_MAX);
	err = db_run_changes(stmt, &changes);
	if (err != OK || changes == 0)
		return err;
	return events_append(db, EVENT_SESSION, user_id, NULL, now_ms);
}

enum err
sessions_create(struct db *db, const struct uuid *user_id,
    enum session_method method, int64_t now_ms, struct session *ret_session)
{
	static const char sql[] =
	    "INSERT INTO sessions (id, user_id, refresh_salt, method,"
	    " created_at_ms, refreshed_at_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?5)";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	struct session session = {
		.id = uuid_random(),
		.user_id = *user_id,
		.created_at_ms = now_ms,
		.is_oauth = method == SESSION_OAUTH,
		.is_guest = method == SESSION_ANONYMOUS,
	};
	enum err err;

	assert(db_in_transaction(db));
	err = trim(db, user_id, now_ms);
	if (err != OK)
		return err;
	random_bytes(session.refresh_salt, sizeof(session.refresh_salt));
	db_bind_uuid(stmt, 1, &session.id);
	db_bind_uuid(stmt, 2, user_id);
	db_bind_blob(stmt, 3, session.refresh_salt,
	    sizeof(session.refresh_salt));
	db_bind_text(stmt, 4, method_names[method]);
	db_bind_int64(stmt, 5, now_ms);
	err = db_run(stmt);
	if (err == OK)
		*ret_session = session;
	return err;
}

enum err
sessions_check(struct db *db, const struct uuid *session_id,
    const struct uuid *user_id, enum session_verdict *ret_verdict,
    enum lang *ret_lang)
{
	static const char sql[] =
	    "SELECT u.status, u.language, s.id FROM users u"
	    " LEFT JOIN sessions s ON s.id = ?1 AND s.user_id = u.id"
	    " WHERE u.id = ?2";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	struct str status;
	bool found;
	enum err err;

	db_bind_uuid(stmt, 1, session_id);
	db_bind_uuid(stmt, 2, user_id);
	err = db_step(stmt, &found);
	if (err != OK)
		return err;
	status = found ? db_column_str(stmt, 0) : STR("deleted");
	if (str_equal(status, STR("deleted")))
		*ret_verdict = SESSION_NO_USER;
	else if (str_equal(status, STR("banned")))
		*ret_verdict = SESSION_BANNED;
	else if (db_column_is_null(stmt, 2))
		*ret_verdict = SESSION_GONE;
	else
		*ret_verdict = SESSION_ALIVE;
	if (found)
		(void)lang_parse(db_column_str(stmt, 1), ret_lang);
	return OK;
}

static void
read_session(struct db_stmt *stmt, struct session *session)
{
	const struct str salt = db_column_blob(stmt, 2);

	*session = (struct session){
		.id = db_column_uuid(stmt, 0),
		.user_id = db_column_uuid(stmt, 1),
		.refresh_counter = db_column_int64(stmt, 3),
		.is_oauth = str_equal(db_column_str(stmt, 4), STR("oauth")),
		.created_at_ms = db_column_int64(stmt, 5),
		.is_guest = db_column_bool(stmt, 7),
	};
	assert(salt.len == SESSION_SALT_BYTES);
	memcpy(session->refresh_salt, salt.ptr, SESSION_SALT_BYTES);
}

static enum err
read_one(struct db_stmt *stmt, struct session *ret_session)
{
	bool found;
	const enum err err = db_step(stmt, &found);

	if (err != OK)
		return err;
	if (!found)
		return ERR_NOT_FOUND;
	read_session(stmt, ret_session);
	return OK;
}

#define SESSION_COLUMNS \
	"SELECT s.id, s.user_id, s.refresh_salt," \
	" s.refresh_counter, s.method, s.created_at_ms," \
	" s.refreshed_at_ms, u.is_guest, u.status FROM sessions" \
	" s JOIN users u ON u.id = s.user_id"

enum err
sessions_get(struct db *db, const struct uuid *session_id,
    struct session *ret_session)
{
	static const char sql[] = SESSION_COLUMNS " WHERE s.id = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_uuid(stmt, 1, session_id);
	return read_one(stmt, ret_session);
}

enum err
sessions_newest(struct db *db, struct session *ret_session)
{
	static const char sql[] = SESSION_COLUMNS
	    " WHERE s.refreshed_at_ms > 0 AND u.status = 'active'"
	    " ORDER BY s.refreshed_at_ms DESC LIMIT 1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	return read_one(stmt, ret_session);
}

static enum err
end_one(struct db *db, const struct session *session, int64_t now_ms)
{
	static const char sql[] = "DELETE FROM sessions WHERE id = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	enum err err;

	db_bind_uuid(stmt, 1, &session->id);
	err = db_run(stmt);
	if (err != OK)
		return err;
	return events_append(db, EVENT_SESSION, &session->user_id, NULL,
	    now_ms);
}

static enum err
advance(struct db *db, struct session *session, int64_t now_ms)
{
	static const char sql[] =
	    "UPDATE sessions SET refresh_counter = refresh_counter + 1,"
	    " refreshed_at_ms = ?2 WHERE id = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	session->refresh_counter++;
	db_bind_uuid(stmt, 1, &session->id);
	db_bind_int64(stmt, 2, now_ms);
	return db_run(stmt);
}

struct refresh {
	const struct uuid *session_id;
	int64_t counter;
	int64_t now_ms;
	enum refresh_verdict verdict;
	struct session session;
};

static enum err
refresh(struct db *db, void *arg)
{
	static const char sql[] = SESSION_COLUMNS " WHERE s.id = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	struct refresh *r = arg;
	int64_t refreshed_at_ms, behind;
	bool found, is_active;
	enum err err;

	db_bind_uuid(stmt, 1, r->session_id);
	err = db_step(stmt, &found);
	if (err != OK)
		return err;
	if (!found) {
		r->verdict = REFRESH_GONE;
		return OK;
	}
	read_session(stmt, &r->session);
	refreshed_at_ms = db_column_int64(stmt, 6);
	is_active = str_equal(db_column_str(stmt, 8), STR("active"));
	behind = r->session.refresh_counter - r->counter;
	r->verdict = REFRESH_OK;
	if (!is_active) {
		r->verdict = REFRESH_BANNED;
	} else if (behind < 0) {
		r->verdict = REFRESH_MALFORMED;
	} else if (r->now_ms - refreshed_at_ms > SESSION_IDLE_MAX_MS) {
		r->verdict = REFRESH_EXPIRED;
		return end_one(db, &r->session, r->now_ms);
	} else if (behind == 0) {
		return advance(db, &r->session, r->now_ms);
	} else if (behind > 1 &&
	    r->now_ms - refreshed_at_ms >= SESSION_REUSE_MS) {
		r->verdict = REFRESH_REUSED;
		return end_one(db, &r->session, r->now_ms);
	}
	return OK;
}

enum err
sessions_refresh(struct db *db, const struct uuid *session_id, int64_t counter,
    int64_t now_ms, enum refresh_verdict *ret_verdict,
    struct session *ret_session)
{
	struct refresh r = {
		.session_id = session_id,
		.counter = counter,
		.now_ms = now_ms,
	};
	const enum err err = db_transaction(db, refresh, &r);

	if (err != OK)
		return err;
	*ret_verdict = r.verdict;
	*ret_session = r.session;
	return OK;
}

enum err
sessions_list(struct db *db, const struct uuid *user_id,
    struct session_summary ret_sessions[SESSIONS_PER_USER_MAX],
    size_t *ret_count)
{
	static const char sql[] =
	    "SELECT id, method, created_at_ms, refreshed_at_ms,"
	    " refresh_counter FROM sessions WHERE user_id = ?1"
	    " ORDER BY refreshed_at_ms DESC LIMIT ?2";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	size_t count = 0;
	bool found;
	enum err err;

	db_bind_uuid(stmt, 1, user_id);
	db_bind_int64(stmt, 2, SESSIONS_PER_USER_MAX);
	while ((err = db_step(stmt, &found)) == OK && found) {
		struct session_summary *session = &ret_sessions[count++];

		*session = (struct session_summary){
			.id = db_column_uuid(stmt, 0),
			.created_at_ms = db_column_int64(stmt, 2),
			.refreshed_at_ms = db_column_int64(stmt, 3),
			.refreshes_count = db_column_int64(stmt, 4),
		};
		(void)str_copy(db_column_str(stmt, 1), session->method,
		    sizeof(session->method));
	}
	if (err == OK)
		*ret_count = count;
	return err;
}

enum err
sessions_end_all(struct db *db, const struct uuid *user_id, int64_t now_ms)
{
	static const char sql[] = "DELETE FROM sessions WHERE user_id = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	enum err err;

	assert(db_in_transaction(db));
	db_bind_uuid(stmt, 1, user_id);
	err = db_run(stmt);
	if (err != OK)
		return err;
	return events_append(db, EVENT_SESSION, user_id, NULL, now_ms);
}

static enum err
end_others(struct db *db, const struct uuid *user_id,
    const struct uuid *session_id, int64_t now_ms)
{
	static const char sql[] =
	    "DELETE FROM sessions WHERE user_id = ?1 AND id <> ?2";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	enum err err;

	db_bind_uuid(stmt, 1, user_id);
	db_bind_uuid(stmt, 2, session_id);
	err = db_run(stmt);
	if (err != OK)
		return err;
	return events_append(db, EVENT_SESSION, user_id, NULL, now_ms);
}

struct log_out {
	struct session session; /* its id and user_id */
	enum session_scope scope;
	int64_t now_ms;
};

static enum err
log_out(struct db *db, void *arg)
{
	const struct log_out *what = arg;
	const struct session *session = &what->session;

	switch (what->scope) {
	case SESSION_THIS:
		return end_one(db, session, what->now_ms);
	case SESSION_OTHERS:
		return end_others(db, &session->user_id, &session->id,
		    what->now_ms);
	case SESSION_ALL:
		break;
	}
	return sessions_end_all(db, &session->user_id, what->now_ms);
}

enum err
sessions_log_out(struct db *db, const struct uuid *user_id,
    const struct uuid *session_id, enum session_scope scope, int64_t now_ms)
{
	struct log_out what = {
		.session = { .id = *session_id, .user_id = *user_id },
		.scope = scope,
		.now_ms = now_ms,
	};

	return db_transaction(db, log_out, &what);
}

struct purge {
	int64_t before_ms;
	int64_t limit;
};

static enum err
purge(struct db *db, void *arg)
{
	static const char sql[] =
	    "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions"
	    " WHERE refreshed_at_ms < ?1 ORDER BY refreshed_at_ms LIMIT ?2)";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	const struct purge *what = arg;

	db_bind_int64(stmt, 1, what->before_ms);
	db_bind_int64(stmt, 2, what->limit);
	return db_run(stmt);
}

enum err
sessions_purge(struct db *db, int64_t now_ms, int64_t limit)
{
	struct purge what = { now_ms - SESSION_IDLE_MAX_MS, limit };

	return db_transaction(db, purge, &what);
}
