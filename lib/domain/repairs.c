/* SPDX-License-Identifier: MIT */
#include "domain/repairs.h"

struct taking {
	const char *name;
	int64_t from_ms;
	int64_t now_ms;
	bool found;
	struct repair repair;
};

static enum err
begin_first(struct db *db, const struct taking *t)
{
	static const char sql[] =
	    "INSERT INTO repairs (name, from_ms, until_ms, next_run_at_ms)"
	    " VALUES (?1, ?2, ?3, ?3) ON CONFLICT (name) DO NOTHING";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_text(stmt, 1, t->name);
	db_bind_int64(stmt, 2, t->from_ms);
	db_bind_int64(stmt, 3, t->now_ms);
	return db_run(stmt);
}

/* Only a walk that has not begun yet has its end moved to now. */
static enum err
set_out(struct db *db, const struct taking *t)
{
	static const char sql[] =
	    "UPDATE repairs SET until_ms = ?2 WHERE name = ?1"
	    " AND cursor = '' AND seen_count = 0 AND next_run_at_ms <= ?2";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_text(stmt, 1, t->name);
	db_bind_int64(stmt, 2, t->now_ms);
	return db_run(stmt);
}

static enum err
take(struct db *db, void *arg)
{
	static const char sql[] =
	    "SELECT cursor, from_ms, until_ms, seen_count, new_count"
	    " FROM repairs WHERE name = ?1 AND next_run_at_ms <= ?2";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	struct taking *t = arg;
	enum err err;

	err = begin_first(db, t);
	if (err == OK)
		err = set_out(db, t);
	if (err != OK)
		return err;
	db_bind_text(stmt, 1, t->name);
	db_bind_int64(stmt, 2, t->now_ms);
	err = db_step(stmt, &t->found);
	if (err != OK || !t->found)
		return err;
	t->repair = (struct repair){
		.from_ms = db_column_int64(stmt, 1),
		.until_ms = db_column_int64(stmt, 2),
		.seen_count = db_column_int64(stmt, 3),
		.new_count = db_column_int64(stmt, 4),
	};
	(void)str_copy(str_from(t->name), t->repair.name,
	    sizeof(t->repair.name));
	(void)str_copy(db_column_str(stmt, 0), t->repair.cursor,
	    sizeof(t->repair.cursor));
	return OK;
}

/* Most of the time there is nothing to do: a look that writes nothing. */
static enum err
is_resting(struct db *db, const char *name, int64_t now_ms,
    bool *ret_is_resting)
{
	static const char sql[] =
	    "SELECT 1 FROM repairs WHERE name = ?1 AND next_run_at_ms > ?2";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_text(stmt, 1, name);
	db_bind_int64(stmt, 2, now_ms);
	return db_step(stmt, ret_is_resting);
}

enum err
repairs_take(struct db *db, const char *name, int64_t from_ms, int64_t now_ms,
    bool *ret_found, struct repair *ret_repair)
{
	struct taking t = { .name = name,
		.from_ms = from_ms,
		.now_ms = now_ms };
	enum err err;

	err = is_resting(db, name, now_ms, &t.found);
	if (err != OK)
		return err;
	t.found = !t.found;
	if (t.found)
		err = db_transaction(db, take, &t);
	if (err != OK)
		return err;
	*ret_found = t.found;
	if (t.found)
		*ret_repair = t.repair;
	return OK;
}

struct step {
	const struct repair *repair;
	int64_t next_run_at_ms;
};

static enum err
note_page(struct db *db, void *arg)
{
	static const char sql[] =
	    "UPDATE repairs SET cursor = ?2, next_run_at_ms = ?3,"
	    " seen_count = ?4, new_count = ?5 WHERE name = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	const struct step *s = arg;

	db_bind_text(stmt, 1, s->repair->name);
	db_bind_text(stmt, 2, s->repair->cursor);
	db_bind_int64(stmt, 3, s->next_run_at_ms);
	db_bind_int64(stmt, 4, s->repair->seen_count);
	db_bind_int64(stmt, 5, s->repair->new_count);
	return db_run(stmt);
}

enum err
repairs_go_on(struct db *db, const struct repair *repair,
    int64_t next_run_at_ms)
{
	struct step s = { repair, next_run_at_ms };

	return db_transaction(db, note_page, &s);
}

static enum err
note_end(struct db *db, void *arg)
{
	static const char sql[] =
	    "UPDATE repairs SET cursor = '', seen_count = 0, new_count = 0,"
	    " from_ms = ?2, next_run_at_ms = ?3 WHERE name = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	const struct step *s = arg;

	db_bind_text(stmt, 1, s->repair->name);
	db_bind_int64(stmt, 2, s->repair->until_ms);
	db_bind_int64(stmt, 3, s->next_run_at_ms);
	return db_run(stmt);
}

enum err
repairs_finish(struct db *db, const struct repair *repair,
    int64_t next_run_at_ms)
{
	struct step s = { repair, next_run_at_ms };

	return db_transaction(db, note_end, &s);
}
