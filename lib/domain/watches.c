/* SPDX-License-Identifier: MIT */
#include "domain/watches.h"

#include <assert.h>

enum err
watches_find(struct db *db, const char *name, bool *ret_found,
    int64_t *ret_at_ms)
{
	static const char sql[] = "SELECT at_ms FROM watches WHERE name = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	enum err err;

	db_bind_text(stmt, 1, name);
	err = db_step(stmt, ret_found);
	if (err == OK && *ret_found)
		*ret_at_ms = db_column_int64(stmt, 0);
	return err;
}

enum err
watches_put(struct db *db, const char *name, int64_t at_ms)
{
	static const char sql[] =
	    "INSERT INTO watches (name, at_ms) VALUES (?1, ?2)"
	    " ON CONFLICT (name) DO UPDATE SET at_ms = excluded.at_ms";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	assert(db_in_transaction(db));
	db_bind_text(stmt, 1, name);
	db_bind_int64(stmt, 2, at_ms);
	return db_run(stmt);
}

struct watch {
	const char *name;
	int64_t at_ms;
};

static enum err
set(struct db *db, void *arg)
{
	const struct watch *w = arg;

	return watches_put(db, w->name, w->at_ms);
}

enum err
watches_set(struct db *db, const char *name, int64_t at_ms)
{
	struct watch w = { name, at_ms };

	return db_transaction(db, set, &w);
}

enum err
watches_read(struct db *db, const char *name, int64_t first_ms,
    int64_t *ret_at_ms)
{
	int64_t at_ms = first_ms;
	bool found = false;
	enum err err;

	err = watches_find(db, name, &found, &at_ms);
	if (err == OK && !found)
		err = watches_set(db, name, first_ms);
	if (err == OK)
		*ret_at_ms = at_ms;
	return err;
}

enum err
watches_due(struct db *db, const char *name, int64_t first_ms, int64_t now_ms,
    bool *ret_due)
{
	int64_t at_ms;
	const enum err err = watches_read(db, name, first_ms, &at_ms);

	if (err == OK)
		*ret_due = at_ms <= now_ms;
	return err;
}

#define MINUTE_MS INT64_C(60000)

struct error_time {
	int64_t keep_since_ms;
	int64_t now_ms;
};

static enum err
count_error(struct db *db, void *arg)
{
	static const char count_sql[] =
	    "INSERT INTO error_minutes (minute, count) VALUES (?1, 1)"
	    " ON CONFLICT (minute) DO UPDATE SET count = count + 1";
	static const char forget_sql[] =
	    "DELETE FROM error_minutes WHERE minute < ?1";
	CLEANUP(db_release) struct db_stmt *count = db_prepare(db, count_sql);
	CLEANUP(db_release) struct db_stmt *forget = db_prepare(db, forget_sql);
	const struct error_time *time = arg;
	enum err err;

	db_bind_int64(count, 1, time->now_ms / MINUTE_MS);
	db_bind_int64(forget, 1, time->keep_since_ms / MINUTE_MS);
	err = db_run(count);
	return err == OK ? db_run(forget) : err;
}

enum err
watches_error(struct db *db, int64_t keep_since_ms, int64_t now_ms)
{
	struct error_time time = { keep_since_ms, now_ms };

	return db_transaction(db, count_error, &time);
}

enum err
watches_errors_count(struct db *db, int64_t since_ms, int64_t *ret_count)
{
	static const char sql[] = "SELECT COALESCE(SUM(count), 0)"
				  " FROM error_minutes WHERE minute >= ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool found;
	enum err err;

	db_bind_int64(stmt, 1, since_ms / MINUTE_MS);
	err = db_step(stmt, &found);
	if (err == OK)
		*ret_count = db_column_int64(stmt, 0);
	return err;
}

enum err
watches_backup(struct db *db, struct backup_state *ret_state)
{
	static const char sql[] =
	    "SELECT good_at_ms, failed_at_ms FROM backup_state WHERE id = 1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool found;
	const enum err err = db_step(stmt, &found);

	if (err == OK)
		*ret_state = (struct backup_state){ db_column_int64(stmt, 0),
			db_column_int64(stmt, 1) };
	return err;
}

struct backup {
	bool is_good;
	int64_t made_at_ms;
};

static enum err
note_backup(struct db *db, void *arg)
{
	static const char sql[] =
	    "UPDATE backup_state SET"
	    " good_at_ms = CASE ?1 WHEN 1 THEN ?2 ELSE good_at_ms END,"
	    " failed_at_ms = CASE ?1 WHEN 1 THEN failed_at_ms ELSE ?2 END"
	    " WHERE id = 1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	const struct backup *backup = arg;

	db_bind_bool(stmt, 1, backup->is_good);
	db_bind_int64(stmt, 2, backup->made_at_ms);
	return db_run(stmt);
}

enum err
watches_backup_done(struct db *db, bool is_good, int64_t made_at_ms)
{
	struct backup backup = { is_good, made_at_ms };

	return db_transaction(db, note_backup, &backup);
}

enum err
watches_audit(struct db *db, struct audit_state *ret_state)
{
	static const char sql[] =
	    "SELECT made_at_ms, violations_count, violated FROM audit_state"
	    " WHERE id = 1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool found;
	const enum err err = db_step(stmt, &found);

	if (err != OK)
		return err;
	ret_state->made_at_ms = db_column_int64(stmt, 0);
	ret_state->violations_count = db_column_int64(stmt, 1);
	(void)str_copy(db_column_str(stmt, 2), ret_state->violated,
	    sizeof(ret_state->violated));
	return OK;
}

static enum err
note_audit(struct db *db, void *arg)
{
	static const char sql[] =
	    "UPDATE audit_state SET made_at_ms = ?1, violations_count = ?2,"
	    " violated = ?3 WHERE id = 1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	const struct audit_state *state = arg;

	db_bind_int64(stmt, 1, state->made_at_ms);
	db_bind_int64(stmt, 2, state->violations_count);
	db_bind_text(stmt, 3, state->violated);
	return db_run(stmt);
}

enum err
watches_audit_done(struct db *db, const struct audit_state *state)
{
	struct audit_state copy = *state;

	return db_transaction(db, note_audit, &copy);
}
