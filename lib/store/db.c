/* SPDX-License-Identifier: MIT */
#include "store/db_private.h"
#include "store/turn.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"

#include <assert.h>
#include <errno.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * SQLite's own busy handler sleeps up to 100 ms and starves whoever lost a
 * few times.  Short jittered naps let every writer in: of two waiting for the
 * same moment one wakes first by chance, not by rank.
 */
#define DB_NAP_MIN_US 100
#define DB_NAP_SPREAD_US 900

/* Readers map it, as much as this SQLite can: docs/decisions/0019. */
#define DB_MAP_BYTES_MAX "2147418112"

enum err
db_fail(struct db *db, const char *what, int rc, const char *sql)
{
	const int primary = rc & 0xff;
	struct log log = log_begin(LOG_ERROR, "database");

	log_text(&log, "step", what);
	log_text(&log, "reason",
	    db == NULL || db->handle == NULL ? sqlite3_errstr(rc) :
					       sqlite3_errmsg(db->handle));
	log_int64(&log, "rc",
	    db == NULL || db->handle == NULL ?
		rc :
		sqlite3_extended_errcode(db->handle));
	if (sql != NULL)
		log_text(&log, "sql", sql);
	log_end(&log);
	switch (primary) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_FULL:
	case SQLITE_IOERR:
	case SQLITE_CANTOPEN:
	case SQLITE_READONLY:
	case SQLITE_PROTOCOL:
	/* So SQLite calls what the disk failed to read, too. */
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return ERR_SERVICE_UNAVAILABLE;
	default:
		return ERR_INTERNAL;
	}
}

static int
wait_for_others(void *arg, int times)
{
	struct db *db = arg;
	const int64_t now_us = clock_monotonic_us();
	struct timespec nap = { 0, 0 };

	if (times == 0)
		db->wait_began_us = now_us;
	else if (now_us - db->wait_began_us > db->wait_max_us)
		return 0;
	/* xorshift32: chance is all that is asked of it. */
	db->jitter ^= db->jitter << 13;
	db->jitter ^= db->jitter >> 17;
	db->jitter ^= db->jitter << 5;
	nap.tv_nsec = (DB_NAP_MIN_US + db->jitter % DB_NAP_SPREAD_US) * 1000L;
	(void)nanosleep(&nap, NULL);
	return 1;
}

/* Pragmas that only look. */
static bool
is_harmless(const char *pragma, const char *argument)
{
	if (argument == NULL)
		return strcmp(pragma, "user_version") == 0 ||
		    strcmp(pragma, "application_id") == 0 ||
		    strcmp(pragma, "foreign_key_check") == 0;
	return strcmp(pragma, "integrity_check") == 0;
}

/* What a read-only connection may do; anything else is refused at prepare. */
static int
allow_reads_only(void *arg, int action, const char *a, const char *b,
    const char *c, const char *d)
{
	(void)arg, (void)c, (void)d;
	switch (action) {
	case SQLITE_PRAGMA:
		return is_harmless(a, b) ? SQLITE_OK : SQLITE_DENY;
	case SQLITE_READ:
	case SQLITE_SELECT:
	case SQLITE_FUNCTION:
	case SQLITE_TRANSACTION:
	case SQLITE_RECURSIVE:
		return SQLITE_OK;
	default:
		return SQLITE_DENY;
	}
}

static int
configure(struct db *db, enum db_access access, bool create)
{
	static const int settings[][2] = {
		{ SQLITE_DBCONFIG_DQS_DDL, 0 },
		{ SQLITE_DBCONFIG_DQS_DML, 0 },
		{ SQLITE_DBCONFIG_DEFENSIVE, 1 },
		{ SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0 },
		{ SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1 },
		{ SQLITE_DBCONFIG_ENABLE_FKEY, 1 },
		{ SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0 },
	};
	int rc = SQLITE_OK;

	(void)sqlite3_extended_result_codes(db->handle, 1);
	(void)sqlite3_busy_handler(db->handle, wait_for_others, db);
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
		(void)sqlite3_db_config(db->handle, settings[i][0],
		    settings[i][1], NULL);
	/*
	 * FULL: an answered credit survives a power cut.  No automatic
	 * checkpoints: the worker is the only checkpointer.
	 */
	/* The engine does not wait here, though several may begin at once. */
	for (int times = 0; create; times++) {
		rc = sqlite3_exec(db->handle, "PRAGMA journal_mode = WAL", NULL,
		    NULL, NULL);
		if ((rc & 0xff) != SQLITE_BUSY || !wait_for_others(db, times))
			break;
	}
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(db->handle,
		    "PRAGMA synchronous = FULL;"
		    "PRAGMA wal_autocheckpoint = 0;"
		    "PRAGMA recursive_triggers = ON;"
		    "PRAGMA temp_store = MEMORY;"
		    "PRAGMA cache_size = -2048;",
		    NULL, NULL, NULL);
	if (rc == SQLITE_OK && access == DB_READ_ONLY)
		rc = sqlite3_exec(db->handle,
		    "PRAGMA mmap_size = " DB_MAP_BYTES_MAX, NULL, NULL, NULL);
	if (rc == SQLITE_OK && access == DB_READ_ONLY)
		rc = sqlite3_set_authorizer(db->handle, allow_reads_only, NULL);
	return rc;
}

enum err
db_open(const char *state_dir, enum db_access access, bool create,
    struct db **ret_db)
{
	char path[DB_PATH_BYTES_MAX], turn_path[DB_PATH_BYTES_MAX];
	struct db *db = calloc(1, sizeof(*db));
	enum err err;
	int rc;

	if (db == NULL)
		abort();
	if (snprintf(path, sizeof(path), "%s/rendio.db", state_dir) >=
		(int)sizeof(path) ||
	    snprintf(db->log_path, sizeof(db->log_path), "%s/rendio.db-wal",
		state_dir) >= (int)sizeof(db->log_path) ||
	    snprintf(turn_path, sizeof(turn_path), "%s/rendio.db-turn",
		state_dir) >= (int)sizeof(turn_path)) {
		free(db);
		return ERR_INTERNAL;
	}
	/*
	 * One thread, one connection: no locks inside, nothing counted.  It
	 * is refused, without harm, when an earlier connection started SQLite.
	 */
	(void)sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
	(void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	db->turn_fd = -1;
	db->owner = getpid();
	db->wait_max_us = DB_WAIT_MAX_US;
	random_bytes(&db->jitter, sizeof(db->jitter));
	db->jitter |= 1;
	rc = sqlite3_open_v2(path, &db->handle,
	    SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX |
		(create ? SQLITE_OPEN_CREATE : 0),
	    NULL);
	if (rc == SQLITE_OK)
		rc = configure(db, access, create);
	if (rc != SQLITE_OK) {
		err = db_fail(db, "open", rc, NULL);
		db_close(db);
		return err;
	}
	if (access == DB_READ_WRITE)
		db->turn_fd = turn_open(turn_path);
	db_meet_others(db);
	*ret_db = db;
	return OK;
}

void
db_close(struct db *db)
{
	if (db == NULL)
		return;
	for (size_t i = 0; i < DB_CACHE_SLOTS; i++)
		(void)sqlite3_finalize(db->cache[i].handle);
	(void)sqlite3_close_v2(db->handle);
	turn_close(db->turn_fd);
	free(db->news);
	free(db);
}

static size_t
slot_of(const char *sql)
{
	/* Fibonacci hashing of the literal's address. */
	return (size_t)(((uintptr_t)sql * UINT64_C(0x9e3779b97f4a7c15)) >> 56) %
	    DB_CACHE_SLOTS;
}

static struct db_stmt *
take_slot(struct db *db, const char *sql)
{
	for (size_t i = 0; i < DB_CACHE_SLOTS; i++) {
		struct db_stmt *stmt =
		    &db->cache[(slot_of(sql) + i) % DB_CACHE_SLOTS];

		if (stmt->sql == NULL || (stmt->sql == sql && !stmt->is_busy))
			return stmt;
	}
	assert(!"more statements than DB_CACHE_SLOTS");
	return NULL;
}

struct db_stmt *
db_prepare(struct db *db, const char *sql)
{
	struct db_stmt *stmt = take_slot(db, sql);
	int rc;

	/* What could not be prepared once (a full disk, say) is tried again. */
	if (stmt->handle == NULL) {
		*stmt = (struct db_stmt){ .db = db, .sql = sql };
		rc = sqlite3_prepare_v3(db->handle, sql, -1,
		    SQLITE_PREPARE_PERSISTENT, &stmt->handle, NULL);
		if (rc != SQLITE_OK)
			stmt->err = db_fail(db, "prepare", rc, sql);
	}
	stmt->is_busy = true;
	return stmt;
}

void
db_release(struct db_stmt **stmt_pointer)
{
	struct db_stmt *stmt = *stmt_pointer;

	if (stmt == NULL)
		return;
	if (stmt->handle != NULL) {
		(void)sqlite3_reset(stmt->handle);
		(void)sqlite3_clear_bindings(stmt->handle);
	}
	stmt->is_busy = false;
	stmt->is_stepped = false;
	stmt->err = OK;
	*stmt_pointer = NULL;
}

static void
bound(struct db_stmt *stmt, int rc)
{
	if (rc != SQLITE_OK && stmt->err == OK)
		stmt->err = db_fail(stmt->db, "bind", rc, stmt->sql);
}

void
db_bind_int64(struct db_stmt *stmt, int index, int64_t value)
{
	if (stmt->handle != NULL)
		bound(stmt, sqlite3_bind_int64(stmt->handle, index, value));
}

void
db_bind_bool(struct db_stmt *stmt, int index, bool value)
{
	db_bind_int64(stmt, index, value ? 1 : 0);
}

void
db_bind_null(struct db_stmt *stmt, int index)
{
	if (stmt->handle != NULL)
		bound(stmt, sqlite3_bind_null(stmt->handle, index));
}

void
db_bind_str(struct db_stmt *stmt, int index, struct str value)
{
	if (stmt->handle != NULL)
		bound(stmt,
		    sqlite3_bind_text64(stmt->handle, index,
			value.ptr == NULL ? "" : value.ptr, value.len,
			SQLITE_TRANSIENT, SQLITE_UTF8));
}

void
db_bind_text(struct db_stmt *stmt, int index, const char *value)
{
	if (value == NULL)
		db_bind_null(stmt, index);
	else
		db_bind_str(stmt, index, str_from(value));
}

void
db_bind_blob(struct db_stmt *stmt, int index, const void *bytes, size_t n)
{
	if (stmt->handle == NULL)
		return;
	if (bytes == NULL)
		db_bind_null(stmt, index);
	else
		bound(stmt,
		    sqlite3_bind_blob64(stmt->handle, index, bytes, n,
			SQLITE_TRANSIENT));
}

void
db_bind_uuid(struct db_stmt *stmt, int index, const struct uuid *value)
{
	db_bind_blob(stmt, index, value == NULL ? NULL : value->bytes,
	    UUID_BYTES);
}

enum err
db_step(struct db_stmt *stmt, bool *ret_row)
{
	int rc;

	if (stmt->err != OK)
		return stmt->err;
	/* After the engine ended a transaction it would be committed alone. */
	if (stmt->db->is_writing && sqlite3_get_autocommit(stmt->db->handle))
		return stmt->err = ERR_SERVICE_UNAVAILABLE;
	/* A write outside of a transaction would be half of something. */
	assert(stmt->db->is_writing || sqlite3_stmt_readonly(stmt->handle));
	if (!stmt->is_stepped) {
		stmt->is_stepped = true;
		stmt->db->statements_run++;
	}
	rc = sqlite3_step(stmt->handle);
	if (rc != SQLITE_ROW && rc != SQLITE_DONE) {
		stmt->err = db_fail(stmt->db, "step", rc, stmt->sql);
		return stmt->err;
	}
	*ret_row = rc == SQLITE_ROW;
	return OK;
}

enum err
db_run(struct db_stmt *stmt)
{
	bool row = false;
	enum err err;

	do
		err = db_step(stmt, &row);
	while (err == OK && row);
	return err;
}

enum err
db_run_changes(struct db_stmt *stmt, int64_t *ret_changes)
{
	const enum err err = db_run(stmt);

	if (err == OK)
		*ret_changes = sqlite3_changes64(stmt->db->handle);
	return err;
}

bool
db_column_is_null(struct db_stmt *stmt, int column)
{
	return sqlite3_column_type(stmt->handle, column) == SQLITE_NULL;
}

int64_t
db_column_int64(struct db_stmt *stmt, int column)
{
	return sqlite3_column_int64(stmt->handle, column);
}

bool
db_column_bool(struct db_stmt *stmt, int column)
{
	return db_column_int64(stmt, column) != 0;
}

struct str
db_column_str(struct db_stmt *stmt, int column)
{
	const unsigned char *text = sqlite3_column_text(stmt->handle, column);

	if (text == NULL)
		return STR("");
	return (struct str){ (const char *)text,
		(size_t)sqlite3_column_bytes(stmt->handle, column) };
}

struct str
db_column_blob(struct db_stmt *stmt, int column)
{
	const void *bytes = sqlite3_column_blob(stmt->handle, column);

	return (struct str){ bytes,
		(size_t)sqlite3_column_bytes(stmt->handle, column) };
}

struct uuid
db_column_uuid(struct db_stmt *stmt, int column)
{
	const struct str bytes = db_column_blob(stmt, column);
	struct uuid uuid = { { 0 } };

	if (bytes.len == UUID_BYTES)
		memcpy(uuid.bytes, bytes.ptr, UUID_BYTES);
	return uuid;
}

static enum err
control(struct db *db, const char *sql)
{
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	int rc;

	if (stmt->err != OK)
		return stmt->err;
	rc = sqlite3_step(stmt->handle);
	return rc == SQLITE_DONE ? OK : db_fail(db, "transaction", rc, sql);
}

static void
abandon(struct db *db)
{
	/* After a full disk the engine has rolled back by itself. */
	if (!sqlite3_get_autocommit(db->handle))
		(void)control(db, "ROLLBACK");
}

static enum err
begin(struct db *db)
{
	const int64_t began_us = clock_monotonic_us();
	enum err err;

	assert(db->owner == getpid());
	assert(sqlite3_get_autocommit(db->handle));
	assert(db->news_count == 0);
	if (!turn_take(db->turn_fd, DB_WAIT_MAX_US / 1000))
		return db_fail(db, "turn", SQLITE_BUSY, NULL);
	db_stay_with_others(db);
	err = control(db, "BEGIN IMMEDIATE");
	if (err != OK)
		turn_pass(db->turn_fd);
	else
		metric_observe(metrics_find(METRIC_WRITE_WAITS, ""),
		    clock_monotonic_us() - began_us);
	return err;
}

/* Commits what went well; returns what became of it. */
static enum err
end(struct db *db, enum err err)
{
	if (err == OK)
		err = control(db, "COMMIT");
	if (err != OK)
		abandon(db);
	/* If not, others may write over it: then it was never answered. */
	db_stay_with_others(db);
	turn_pass(db->turn_fd);
	assert(sqlite3_get_autocommit(db->handle));
	if (err == OK)
		db_tell_news(db);
	db->news_count = 0;
	return err;
}

static enum err
do_work(struct db *db, db_work *work, void *arg)
{
	const bool was_writing = db->is_writing;
	enum err err;

	db->is_writing = true;
	err = work(db, arg);
	db->is_writing = was_writing;
	return err;
}

/* A part of a batch or of another transaction, which fails alone. */
static enum err
run_part(struct db *db, db_work *work, void *arg)
{
	const size_t news_count = db->news_count;
	enum err err;

	/* After a full disk the engine has rolled back the whole. */
	if (sqlite3_get_autocommit(db->handle))
		return ERR_SERVICE_UNAVAILABLE;
	err = control(db, "SAVEPOINT part");
	if (err != OK)
		return err;
	err = do_work(db, work, arg);
	if (err != OK)
		db->news_count = news_count;
	if (sqlite3_get_autocommit(db->handle))
		return err == OK ? ERR_SERVICE_UNAVAILABLE : err;
	if ((err == OK || control(db, "ROLLBACK TO part") == OK) &&
	    control(db, "RELEASE part") == OK)
		return err;
	abandon(db);
	return err == OK ? ERR_SERVICE_UNAVAILABLE : err;
}

enum err
db_transaction(struct db *db, db_work *work, void *arg)
{
	enum err err;

	if (db->batch == DB_BATCH_WRITES || db->is_writing)
		return run_part(db, work, arg);
	err = begin(db);
	if (db->batch == DB_BATCH_READS) {
		/* Without a beginning no part, nor the whole, comes to be. */
		db->batch = DB_BATCH_WRITES;
		return err == OK ? run_part(db, work, arg) : err;
	}
	if (err != OK)
		return err;
	err = do_work(db, work, arg);
	/* An error that ended the transaction must not be committed over. */
	assert(err != OK || !sqlite3_get_autocommit(db->handle));
	return end(db, err);
}

enum err
db_batch(struct db *db, db_work *work, void *arg)
{
	bool has_written;
	enum err err;

	assert(db->batch == DB_BATCH_NONE);
	db->batch = DB_BATCH_READS;
	err = work(db, arg);
	has_written = db->batch == DB_BATCH_WRITES;
	db->batch = DB_BATCH_NONE;
	if (!has_written)
		return err;
	if (err == OK && sqlite3_get_autocommit(db->handle))
		err = ERR_SERVICE_UNAVAILABLE;
	return end(db, err);
}

enum err
db_snapshot(struct db *db, db_work *work, void *arg)
{
	enum err err;

	assert(db->owner == getpid());
	if (!sqlite3_get_autocommit(db->handle))
		return work(db, arg);
	db_stay_with_others(db);
	err = control(db, "BEGIN");
	if (err != OK)
		return err;
	err = work(db, arg);
	abandon(db);
	return err;
}

bool
db_in_transaction(const struct db *db)
{
	return db->is_writing;
}
