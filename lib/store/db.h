/* SPDX-License-Identifier: MIT */
#ifndef STORE_DB_H
#define STORE_DB_H

#include "base/cleanup.h"
#include "base/err.h"
#include "base/uuid.h"

/*
 * The database: statements, parameters ?1 ?2 …, rows and transactions.
 *
 * Nothing here names the engine behind it.  SQL stays in the subset that
 * SQLite and PostgreSQL share; times are integer milliseconds; ids are 16
 * bytes.  A statement's text is a literal and only binds.
 *
 * Errors: ERR_SERVICE_UNAVAILABLE when the database cannot just now (locked
 * past the deadline, disk full, I/O error); ERR_INTERNAL for a mistake of ours
 * (bad SQL, a constraint that the caller should have kept).  Both are logged
 * where they happen, without values.
 */

struct db;
struct db_stmt;

enum db_access { DB_READ_WRITE, DB_READ_ONLY };

/*
 * Opens the database of this state directory.  It must exist, unless `create`.
 * A DB_READ_ONLY connection refuses every statement that writes.
 */
enum err db_open(const char *state_dir, enum db_access access, bool create,
    struct db **ret_db);
void db_close(struct db *db);

/*
 * Runs `work` inside one write transaction: it commits when work returns OK
 * and leaves nothing otherwise.  Work may be run again after a conflict, so
 * all it does is read and write the database and fill *arg.  It never waits.
 * Within another transaction it is a part of that one: what fails leaves
 * nothing of the part, what goes well is committed with the whole.
 */
typedef enum err db_work(struct db *db, void *arg);
enum err db_transaction(struct db *db, db_work *work, void *arg);

/*
 * Several transactions that are committed together: `work` runs them, each
 * with db_transaction(), which leaves nothing when it fails and does not stop
 * the others.  The first of them begins the whole: what is read before that
 * holds up nobody who writes.  On an error, ERR_SERVICE_UNAVAILABLE above all,
 * nothing of any of them is left, whatever they said: nobody may be told before
 * this returns.
 */
enum err db_batch(struct db *db, db_work *work, void *arg);

/*
 * Runs several reads that must see one moment.  Within another snapshot or a
 * transaction it is that one's moment.
 */
enum err db_snapshot(struct db *db, db_work *work, void *arg);

/*
 * Calls `tell` with a copy of these bytes, at most DB_NEWS_BYTES_MAX, when the
 * transaction is committed, in order; never when it is rolled back.  A process
 * that dies right after the commit tells nothing.  The caller holds a write
 * transaction; `tell` must not touch the database.
 */
#define DB_NEWS_BYTES_MAX 72
typedef void db_tell(const void *what);
void db_on_commit(struct db *db, db_tell *tell, const void *what, size_t n);

/* Is a write transaction open?  For assertions of what the caller must hold. */
bool db_in_transaction(const struct db *db);

/*
 * Takes a prepared statement out of the cache, which is keyed on the address
 * of the literal; CLEANUP(db_release) puts it back, reset and without values.
 * Bind and step errors are sticky: the step returns them.
 */
struct db_stmt *db_prepare(struct db *db, const char *sql);
void db_release(struct db_stmt **stmt);

void db_bind_int64(struct db_stmt *stmt, int index, int64_t value);
void db_bind_bool(struct db_stmt *stmt, int index, bool value);
void db_bind_text(struct db_stmt *stmt, int index, const char *value);
void db_bind_str(struct db_stmt *stmt, int index, struct str value);
void db_bind_blob(struct db_stmt *stmt, int index, const void *bytes, size_t n);
void db_bind_uuid(struct db_stmt *stmt, int index, const struct uuid *value);
/* NULL pointers bind SQL's NULL; so does this. */
void db_bind_null(struct db_stmt *stmt, int index);

/* Goes to the next row; *ret_row tells whether there is one. */
enum err db_step(struct db_stmt *stmt, bool *ret_row);

/* Runs to the end; rows are not expected. */
enum err db_run(struct db_stmt *stmt);

/* The same, and how many rows it changed. */
enum err db_run_changes(struct db_stmt *stmt, int64_t *ret_changes);

/* Columns of the present row, from 0.  Borrowed until the next step. */
bool db_column_is_null(struct db_stmt *stmt, int column);
int64_t db_column_int64(struct db_stmt *stmt, int column);
bool db_column_bool(struct db_stmt *stmt, int column);
/* Terminated; "" for NULL. */
struct str db_column_str(struct db_stmt *stmt, int column);
struct str db_column_blob(struct db_stmt *stmt, int column);
/* All zero for NULL or anything that is not 16 bytes. */
struct uuid db_column_uuid(struct db_stmt *stmt, int column);

/* Statements stepped to an end since db_open(): what a request cost. */
int64_t db_statements_run(const struct db *db);

/* Rows inserted, changed and deleted since db_open(). */
int64_t db_rows_changed(const struct db *db);

/* Runs text that is not a literal of ours: migrations and seeds only. */
enum err db_script(struct db *db, const char *sql);

/* The number of the newest migration that ran; 0 for an empty database. */
enum err db_version(struct db *db, int64_t *ret_version);
enum err db_set_version(struct db *db, int64_t version);

/* A mark in the file that says it is ours and holds its first rows. */
enum err db_is_marked(struct db *db, bool *ret_is_marked);
enum err db_mark(struct db *db);

/*
 * Folds the write-ahead log back into the database and empties it.  For the
 * worker, and for who has the file to himself: with the engine's old versions
 * several checkpointers corrupt it.  ERR_CONFLICT when a reader is in the way.
 */
enum err db_checkpoint(struct db *db);

/*
 * Copies the database as it is at one moment into a new file, beside all who
 * read and write it.  The log grows meanwhile, because its end is being read.
 */
enum err db_copy(struct db *db, const char *path);

/*
 * Ends the process when rendio.db-shm is not the file any more by which this
 * connection knows of others and they of it: who comes later has another, and
 * both would write over what the other committed.  Transactions, snapshots and
 * checkpoints look by themselves, a transaction before it is answered as well.
 */
void db_stay_with_others(struct db *db);

/* Bytes that wait in the write-ahead log. */
int64_t db_log_bytes(const struct db *db);

/* Name and version of the engine, for people. */
const char *db_engine(void);

/* Does the engine's own check find the file whole? */
enum err db_integrity(struct db *db, bool *ret_ok);

#endif
