/* SPDX-License-Identifier: MIT */
#include "domain/lookups.h"

#define WINDOW_MS (INT64_C(3600) * 1000)

struct beginning {
	const struct uuid *user_id;
	struct str transaction_id;
	int64_t next_try_at_ms;
	int64_t now_ms;
};

static enum err
count_recent(struct db *db, const struct beginning *b, int64_t *ret_count)
{
	static const char sql[] =
	    "SELECT COUNT(*) FROM purchase_lookups WHERE user_id = ?1"
	    " AND created_at_ms > ?2 AND transaction_id <> ?3";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool found;
	enum err err;

	db_bind_uuid(stmt, 1, b->user_id);
	db_bind_int64(stmt, 2, b->now_ms - WINDOW_MS);
	db_bind_str(stmt, 3, b->transaction_id);
	err = db_step(stmt, &found);
	if (err == OK)
		*ret_count = db_column_int64(stmt, 0);
	return err;
}

/* What was given up is open again when it is shown again. */
static enum err
begin(struct db *db, void *arg)
{
	static const char sql[] =
	    "INSERT INTO purchase_lookups (user_id, transaction_id,"
	    " next_try_at_ms, created_at_ms) SELECT id, ?2, ?3, ?4 FROM users"
	    " WHERE id = ?1 AND status = 'active'"
	    " ON CONFLICT (user_id, transaction_id) DO UPDATE"
	    " SET state = 'open', next_try_at_ms = ?3";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	const struct beginning *b = arg;
	int64_t count, changes;
	enum err err;

	err = count_recent(db, b, &count);
	if (err != OK)
		return err;
	if (count >= LOOKUPS_PER_H_MAX)
		return ERR_RATE_LIMITED;
	db_bind_uuid(stmt, 1, b->user_id);
	db_bind_str(stmt, 2, b->transaction_id);
	db_bind_int64(stmt, 3, b->next_try_at_ms);
	db_bind_int64(stmt, 4, b->now_ms);
	err = db_run_changes(stmt, &changes);
	if (err != OK)
		return err;
	return changes == 1 ? OK : ERR_UNAUTHORIZED;
}

enum err
lookups_begin(struct db *db, const struct uuid *user_id,
    struct str transaction_id, int64_t next_try_at_ms, int64_t now_ms)
{
	struct beginning b = { user_id, transaction_id, next_try_at_ms,
		now_ms };

	return db_transaction(db, begin, &b);
}

struct taking {
	int64_t now_ms;
	int64_t lease_ms;
	bool found;
	struct lookup lookup;
};

static enum err
take(struct db *db, void *arg)
{
	static const char sql[] =
	    "UPDATE purchase_lookups SET next_try_at_ms = ?2,"
	    " tries_count = tries_count + 1 WHERE (user_id, transaction_id) ="
	    " (SELECT user_id, transaction_id FROM purchase_lookups"
	    "  WHERE state = 'open' AND next_try_at_ms <= ?1"
	    "  ORDER BY next_try_at_ms LIMIT 1)"
	    " RETURNING user_id, transaction_id, tries_count, created_at_ms";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	struct taking *t = arg;
	enum err err;

	db_bind_int64(stmt, 1, t->now_ms);
	db_bind_int64(stmt, 2, t->now_ms + t->lease_ms);
	err = db_step(stmt, &t->found);
	if (err != OK || !t->found)
		return err;
	t->lookup = (struct lookup){
		.user_id = db_column_uuid(stmt, 0),
		.tries_count = db_column_int64(stmt, 2),
		.created_at_ms = db_column_int64(stmt, 3),
	};
	(void)str_copy(db_column_str(stmt, 1), t->lookup.transaction_id,
	    sizeof(t->lookup.transaction_id));
	return OK;
}

/* Most of the time there is none: a look that writes nothing. */
static enum err
is_any_due(struct db *db, int64_t now_ms, bool *ret_is_any)
{
	static const char sql[] =
	    "SELECT 1 FROM purchase_lookups WHERE state = 'open'"
	    " AND next_try_at_ms <= ?1 LIMIT 1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_int64(stmt, 1, now_ms);
	return db_step(stmt, ret_is_any);
}

enum err
lookups_take(struct db *db, int64_t now_ms, int64_t lease_ms, bool *ret_found,
    struct lookup *ret_lookup)
{
	struct taking t = { .now_ms = now_ms, .lease_ms = lease_ms };
	enum err err;

	err = is_any_due(db, now_ms, &t.found);
	if (err == OK && t.found)
		err = db_transaction(db, take, &t);
	if (err != OK)
		return err;
	*ret_found = t.found;
	if (t.found)
		*ret_lookup = t.lookup;
	return OK;
}

struct ending {
	const struct uuid *user_id;
	struct str transaction_id;
	enum lookup_end end;
	int64_t next_try_at_ms;
};

static enum err
note_end(struct db *db, void *arg)
{
	static const char sql[] =
	    "UPDATE purchase_lookups SET state = ?3, next_try_at_ms = ?4"
	    " WHERE user_id = ?1 AND transaction_id = ?2";
	static const char *const states[] = {
		[LOOKUP_FOUND] = "found",
		[LOOKUP_UNKNOWN] = "unknown",
		[LOOKUP_LATER] = "open",
	};
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	const struct ending *e = arg;

	db_bind_uuid(stmt, 1, e->user_id);
	db_bind_str(stmt, 2, e->transaction_id);
	db_bind_text(stmt, 3, states[e->end]);
	db_bind_int64(stmt, 4, e->next_try_at_ms);
	return db_run(stmt);
}

enum err
lookups_end(struct db *db, const struct uuid *user_id,
    struct str transaction_id, enum lookup_end end, int64_t next_try_at_ms)
{
	struct ending e = { user_id, transaction_id, end, next_try_at_ms };

	return db_transaction(db, note_end, &e);
}

struct purge {
	int64_t before_ms;
	int64_t limit;
};

static enum err
purge(struct db *db, void *arg)
{
	static const char sql[] =
	    "DELETE FROM purchase_lookups WHERE (user_id, transaction_id) IN"
	    " (SELECT user_id, transaction_id FROM purchase_lookups"
	    "  WHERE state <> 'open' AND created_at_ms < ?1"
	    "  ORDER BY created_at_ms LIMIT ?2)";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	const struct purge *p = arg;

	db_bind_int64(stmt, 1, p->before_ms);
	db_bind_int64(stmt, 2, p->limit);
	return db_run(stmt);
}

enum err
lookups_purge(struct db *db, int64_t before_ms, int64_t limit)
{
	struct purge p = { before_ms, limit };

	return db_transaction(db, purge, &p);
}
