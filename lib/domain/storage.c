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

static enum err
note(struct db *db, void *arg)
{
	static const char sql[] =
	    "UPDATE storage_level SET used_bytes = ?2, limit_bytes = ?3,"
	    " measured_at_ms = ?4, changed_at_ms = CASE level WHEN ?1"
	    "  THEN changed_at_ms ELSE ?4 END, level = ?1 WHERE id = 1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	const struct storage_use *use = arg;

	db_bind_text(stmt, 1, names[use->level]);
	db_bind_int64(stmt, 2, use->used_bytes);
	db_bind_int64(stmt, 3, use->limit_bytes);
	db_bind_int64(stmt, 4, use->measured_at_ms);
	return db_run(stmt);
}

enum err
storage_measure(struct db *db, int64_t quota_bytes, int64_t free_bytes,
    int64_t reserve_bytes, int64_t now_ms, struct storage_use *ret_use,
    bool *ret_is_news)
{
	struct storage_use use = { .measured_at_ms = now_ms };
	struct storage_use before;
	enum err err;

	err = storage_read(db, &before);
	if (err == OK)
		err = add_up(db, &use.used_bytes);
	if (err != OK)
		return err;
	use.limit_bytes = use.used_bytes + free_bytes - reserve_bytes;
	if (use.limit_bytes < 0)
		use.limit_bytes = 0;
	if (quota_bytes > 0 && quota_bytes < use.limit_bytes)
		use.limit_bytes = quota_bytes;
	use.level = level_of(use.used_bytes, use.limit_bytes);
	err = db_transaction(db, note, &use);
	if (err != OK)
		return err;

	*ret_use = use;
	*ret_is_news = use.level != before.level ||
	    (use.level != STORAGE_OK &&
		now_ms / STORAGE_REMIND_MS !=
		    before.measured_at_ms / STORAGE_REMIND_MS);
	return OK;
}

enum err
storage_read(struct db *db, struct storage_use *ret_use)
{
	static const char sql[] =
	    "SELECT level, used_bytes, limit_bytes, measured_at_ms"
	    " FROM storage_level WHERE id = 1";
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
		.measured_at_ms = db_column_int64(stmt, 3),
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
