/* SPDX-License-Identifier: MIT */
#include "store/db_private.h"

#include <sys/stat.h>

/*
 * How long a checkpoint waits for readers, who are short: while it waits it
 * keeps writers out, so behind a long reader it must give up soon.
 */
#define DB_CHECKPOINT_WAIT_MAX_US INT64_C(100000)

const char *
db_engine(void)
{
	static char name[32];

	/* The one that runs, which the header need not be of. */
	(void)snprintf(name, sizeof(name), "SQLite %s", sqlite3_libversion());
	return name;
}

enum err
db_script(struct db *db, const char *sql)
{
	const int rc = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK ? OK : db_fail(db, "script", rc, NULL);
}

enum err
db_version(struct db *db, int64_t *ret_version)
{
	CLEANUP(db_release)
	struct db_stmt *stmt = db_prepare(db, "PRAGMA user_version");
	bool row;
	enum err err;

	err = db_step(stmt, &row);
	if (err == OK)
		*ret_version = db_column_int64(stmt, 0);
	return err;
}

enum err
db_set_version(struct db *db, int64_t version)
{
	char sql[64];

	/* A pragma takes no parameters; the number is our own. */
	(void)snprintf(sql, sizeof(sql), "PRAGMA user_version = %lld",
	    (long long)version);
	return db_script(db, sql);
}

/* "REND", in the field of the file's header that tells applications apart. */
#define DB_APPLICATION_ID "1380273732"

enum err
db_is_marked(struct db *db, bool *ret_is_marked)
{
	CLEANUP(db_release)
	struct db_stmt *stmt = db_prepare(db, "PRAGMA application_id");
	bool row;
	enum err err;

	err = db_step(stmt, &row);
	if (err == OK)
		*ret_is_marked = db_column_int64(stmt, 0) != 0;
	return err;
}

enum err
db_mark(struct db *db)
{
	return db_script(db, "PRAGMA application_id = " DB_APPLICATION_ID);
}

enum err
db_checkpoint(struct db *db)
{
	int rc;

	db_stay_with_others(db);
	db->wait_max_us = DB_CHECKPOINT_WAIT_MAX_US;
	rc = sqlite3_wal_checkpoint_v2(db->handle, NULL,
	    SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	db->wait_max_us = DB_WAIT_MAX_US;
	if (rc == SQLITE_BUSY)
		return ERR_CONFLICT;
	return rc == SQLITE_OK ? OK : db_fail(db, "checkpoint", rc, NULL);
}

static int
copy_to(struct db *db, sqlite3 *copy)
{
	sqlite3_backup *backup =
	    sqlite3_backup_init(copy, "main", db->handle, "main");
	int rc;

	if (backup == NULL)
		return sqlite3_errcode(copy);
	/* In one step: in several, every write would make it begin again. */
	rc = sqlite3_backup_step(backup, -1);
	(void)sqlite3_backup_finish(backup);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

enum err
db_copy(struct db *db, const char *path)
{
	sqlite3 *copy = NULL;
	int rc;

	rc = sqlite3_open_v2(path, &copy,
	    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
	    NULL);
	if (rc == SQLITE_OK)
		rc = copy_to(db, copy);
	if (rc == SQLITE_OK)
		rc = sqlite3_close(copy);
	else
		(void)sqlite3_close_v2(copy);
	return rc == SQLITE_OK ? OK : db_fail(db, "copy", rc, NULL);
}

int64_t
db_log_bytes(const struct db *db)
{
	struct stat st;

	/* The file is looked at, never opened: closing it would drop locks. */
	return stat(db->log_path, &st) == 0 ? (int64_t)st.st_size : 0;
}

enum err
db_integrity(struct db *db, bool *ret_ok)
{
	CLEANUP(db_release)
	struct db_stmt *check = db_prepare(db, "PRAGMA integrity_check(1)");
	CLEANUP(db_release)
	struct db_stmt *orphans = db_prepare(db, "PRAGMA foreign_key_check");
	bool row;
	enum err err;

	err = db_step(check, &row);
	if (err != OK)
		return err;
	*ret_ok = row && str_equal(db_column_str(check, 0), STR("ok"));
	err = db_step(orphans, &row);
	if (err != OK)
		return err;
	*ret_ok = *ret_ok && !row;
	return OK;
}

int64_t
db_statements_run(const struct db *db)
{
	return db->statements_run;
}

int64_t
db_rows_changed(const struct db *db)
{
	return sqlite3_total_changes64(db->handle);
}
