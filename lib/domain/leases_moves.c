/* SPDX-License-Identifier: MIT */
#include "domain/leases.h"

enum err
leases_set_due(struct db *db, const struct uuid *job_id, int64_t due_at_ms)
{
	static const char sql[] = "UPDATE jobs SET due_at_ms = ?2"
				  " WHERE id = ?1 AND due_at_ms IS NOT NULL";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_uuid(stmt, 1, job_id);
	db_bind_int64(stmt, 2, due_at_ms);
	return db_run(stmt);
}

enum err
leases_end_attempt(struct db *db, const struct uuid *id, const char *state,
    const char *error_code, int64_t now_ms)
{
	static const char sql[] =
	    "UPDATE attempts SET state = ?2, error_code = ?3, ended_at_ms = ?4"
	    " WHERE id = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_uuid(stmt, 1, id);
	db_bind_text(stmt, 2, state);
	db_bind_text(stmt, 3, error_code);
	db_bind_int64(stmt, 4, now_ms);
	return db_run(stmt);
}

enum err
leases_mark_unknown(struct db *db, const struct uuid *id)
{
	static const char sql[] =
	    "UPDATE attempts SET state = 'unknown', calls_count = 0"
	    " WHERE id = ?1 AND state = 'sending'";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_uuid(stmt, 1, id);
	return db_run(stmt);
}
