/* SPDX-License-Identifier: MIT */
#include "domain/storage.h"

#include <assert.h>

static const char *const names[STORAGE_LEVEL_MAX] = {
	[STORAGE_OK] = "ok",
	[STORAGE_WARNING] = "warning",
	[STORAGE_ALARM] = "alarm",
	[STORAGE_FULL] = "full",
};

const char *
storage_level_name(enum storage_level level)
{
	assert(level < STORAGE_LEVEL_MAX);
	return names[level];
}

static enum storage_level
parse_level(struct str name)
{
	for (int i = 0; i < STORAGE_LEVEL_MAX; i++)
		if (str_equal(name, str_from(names[i])))
			return (enum storage_level)i;
	assert(!"a level that the schema does not allow");
	return STORAGE_FULL;
}

static enum storage_level
level_of(int64_t used_bytes, int64_t limit_bytes)
{
	if (used_bytes >= limit_bytes)
		return STORAGE_FULL;
	if (used_bytes >= limit_bytes / 10 * 9)
		return STORAGE_ALARM;
	return used_bytes >= limit_bytes / 10 * 8 ? STORAGE_WARNING :
						    STORAGE_OK;
}

static enum err
add_up(struct db *db, int64_t *ret_bytes)
{
	/* All of an index, and nothing but the index. */
	static const char sql[] =
	    "SELECT COALESCE(SUM(size_bytes), 0) FROM objects"
	    " WHERE size_bytes > 0";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool found;
	enum err err;

	err = db_step(stmt, &found);
	if (err == OK)
		*ret_bytes = db_column_int64(stmt, 0);
	return err;
}

struct measurement {
	struct storage_use use;
	int64_t now_ms;
};

static enum err
note(struct db *db, void *arg)
{
	static const char sql[] =
	    "UPDATE storage_level SET used_bytes = ?2, limit_bytes = ?3,"
	    " measured_at_ms = ?4, changed_at_ms = CASE level WHEN ?1"
	    "  THEN changed_at_ms ELSE ?4 END, level = ?1 WHERE id = 1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	const struct measurement *m = arg;

	db_bind_text(stmt, 1, names[m->use.level]);
	db_bind_int64(stmt, 2, m->use.used_bytes);
	db_bind_int64(stmt, 3, m->use.limit_bytes);
	db_bind_int64(stmt, 4, m->now_ms);
	return db_run(stmt);
}

enum err
storage_measure(struct db *db, int64_t quota_bytes, int64_t free_bytes,
    int64_t reserve_bytes, int64_t now_ms, struct storage_use *ret_use,
    bool *ret_changed)
{
	struct measurement m = { .now_ms = now_ms };
	struct storage_use before;
	enum err err;

	err = storage_read(db, &before);
	if (err == OK)
		err = add_up(db, &m.use.used_bytes);
	if (err != OK)
		return err;
	m.use.limit_bytes = m.use.used_bytes + free_bytes - reserve_bytes;
	if (m.use.limit_bytes < 0)
		m.use.limit_bytes = 0;
	if (quota_bytes > 0 && quota_bytes < m.use.limit_bytes)
		m.use.limit_bytes = quota_bytes;
	m.use.level = level_of(m.use.used_bytes, m.use.limit_bytes);
	err = db_transaction(db, note, &m);
	if (err != OK)
		return err;

	*ret_use = m.use;
	*ret_changed = m.use.level != before.level;
	return OK;
}

enum err
storage_read(struct db *db, struct storage_use *ret_use)
{
	static const char sql[] =
	    "SELECT level, used_bytes, limit_bytes FROM storage_level"
	    " WHERE id = 1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool found;
	enum err err;

	err = db_step(stmt, &found);
	if (err != OK)
		return err;
	assert(found);
	*ret_use = (struct storage_use){
		.level = parse_level(db_column_str(stmt, 0)),
		.used_bytes = db_column_int64(stmt, 1),
		.limit_bytes = db_column_int64(stmt, 2),
	};
	return OK;
}

enum err
storage_check_room(struct db *db)
{
	struct storage_use use;
	const enum err err = storage_read(db, &use);

	if (err != OK)
		return err;
	return use.level == STORAGE_FULL ? ERR_SERVICE_UNAVAILABLE : OK;
}
