/* SPDX-License-Identifier: MIT */
#include "domain/upstreams.h"

static const char *const kind_names[] = {
	[UPSTREAM_PROVIDER] = "provider",
	[UPSTREAM_APPLE] = "apple",
};

struct upstream_key {
	enum upstream_kind kind;
	const char *name;
	const char *reason;
	int64_t now_ms;
};

static enum err
forget(struct db *db, void *arg)
{
	static const char sql[] =
	    "DELETE FROM upstreams WHERE kind = ?1 AND name = ?2";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	const struct upstream_key *key = arg;

	db_bind_text(stmt, 1, kind_names[key->kind]);
	db_bind_text(stmt, 2, key->name);
	return db_run(stmt);
}

enum err
upstreams_answered(struct db *db, enum upstream_kind kind, const char *name)
{
	static const char sql[] =
	    "SELECT 1 FROM upstreams WHERE kind = ?1 AND name = ?2";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	struct upstream_key key = { .kind = kind, .name = name };
	bool found;
	enum err err;

	db_bind_text(stmt, 1, kind_names[kind]);
	db_bind_text(stmt, 2, name);
	err = db_step(stmt, &found);
	if (err != OK || !found)
		return err;
	return db_transaction(db, forget, &key);
}

static enum err
count(struct db *db, void *arg)
{
	static const char sql[] =
	    "INSERT INTO upstreams (kind, name, failures_count, reason,"
	    " first_at_ms, last_at_ms) VALUES (?1, ?2, 1, ?3, ?4, ?4)"
	    " ON CONFLICT (kind, name) DO UPDATE SET"
	    " failures_count = failures_count + 1, reason = excluded.reason,"
	    " last_at_ms = excluded.last_at_ms";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	const struct upstream_key *key = arg;

	db_bind_text(stmt, 1, kind_names[key->kind]);
	db_bind_text(stmt, 2, key->name);
	db_bind_text(stmt, 3, key->reason);
	db_bind_int64(stmt, 4, key->now_ms);
	return db_run(stmt);
}

enum err
upstreams_failed(struct db *db, enum upstream_kind kind, const char *name,
    const char *reason, int64_t now_ms)
{
	struct upstream_key key = { kind, name, reason, now_ms };

	return db_transaction(db, count, &key);
}

enum err
upstreams_failing(struct db *db, enum upstream_kind kind, int64_t failures_min,
    int64_t since_ms, upstreams_each *each, void *arg)
{
	static const char sql[] =
	    "SELECT name, reason, failures_count, first_at_ms FROM upstreams"
	    " WHERE kind = ?1 AND failures_count >= ?2 AND last_at_ms >= ?3";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool found;
	enum err err;

	db_bind_text(stmt, 1, kind_names[kind]);
	db_bind_int64(stmt, 2, failures_min);
	db_bind_int64(stmt, 3, since_ms);
	while ((err = db_step(stmt, &found)) == OK && found)
		each(arg,
		    &(const struct upstream){
			.name = db_column_str(stmt, 0).ptr,
			.reason = db_column_str(stmt, 1).ptr,
			.failures_count = db_column_int64(stmt, 2),
			.first_at_ms = db_column_int64(stmt, 3),
		    });
	return err;
}
