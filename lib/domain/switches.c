/* SPDX-License-Identifier: MIT */
#include "domain/switches.h"

#include <assert.h>

enum err
switches_maintenance(struct db *db, bool *ret_is_on)
{
	static const char sql[] = "SELECT is_on FROM switches"
				  " WHERE name = 'maintenance'";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool found;
	enum err err;

	err = db_step(stmt, &found);
	if (err == OK)
		*ret_is_on = found && db_column_bool(stmt, 0);
	return err;
}

enum err
switches_set_maintenance(struct db *db, bool is_on, int64_t now_ms)
{
	static const char sql[] =
	    "INSERT INTO switches (name, is_on, changed_at_ms)"
	    " VALUES ('maintenance', ?1, ?2) ON CONFLICT (name) DO UPDATE"
	    " SET is_on = excluded.is_on,"
	    " changed_at_ms = excluded.changed_at_ms";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	assert(db_in_transaction(db));
	db_bind_bool(stmt, 1, is_on);
	db_bind_int64(stmt, 2, now_ms);
	return db_run(stmt);
}

enum err
switches_check_open(struct db *db)
{
	bool is_on = false;
	const enum err err = switches_maintenance(db, &is_on);

	if (err != OK)
		return err;
	return is_on ? ERR_SERVICE_UNAVAILABLE : OK;
}
