/* SPDX-License-Identifier: MIT */
#ifndef STORE_DB_PRIVATE_H
#define STORE_DB_PRIVATE_H

#include "store/db.h"

#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/types.h>

/* What a connection is made of: for the files db*.c alone. */

/* Distinct statements of one program; a power of two, at most half full. */
#define DB_CACHE_SLOTS 256

/*
 * How long a writer waits for the others before it gives up.  Below the
 * router's read time-out, so that the client gets our 503 and not its 504.
 */
#define DB_WAIT_MAX_US INT64_C(5000000)

#define DB_PATH_BYTES_MAX 4096

struct db_stmt {
	struct db *db;
	const char *sql;
	sqlite3_stmt *handle;
	enum err err;
	bool is_busy;
	bool is_stepped;
};

/* What is told when the transaction is committed. */
struct db_news {
	db_tell *tell;
	_Alignas(8) uint8_t what[DB_NEWS_BYTES_MAX];
};

enum db_batch_state {
	DB_BATCH_NONE,
	DB_BATCH_READS, /* nobody has written yet: there is no transaction */
	DB_BATCH_WRITES, /* transactions are parts of one */
};

struct db {
	sqlite3 *handle;
	pid_t owner; /* a connection must not cross a fork */
	int turn_fd; /* -1 = it never writes */
	enum db_batch_state batch;
	bool is_writing;
	int64_t statements_run;
	int64_t wait_began_us;
	int64_t wait_max_us;
	uint32_t jitter;
	struct db_news *news;
	size_t news_count;
	size_t news_max;
	char log_path[DB_PATH_BYTES_MAX];
	struct stat index; /* rendio.db-shm; st_ino 0: not known yet */
	struct db_stmt cache[DB_CACHE_SLOTS];
};

/* Makes the connection known to the others, and notes by which file. */
void db_meet_others(struct db *db);

/* Tells what was noted for the commit, and forgets it. */
void db_tell_news(struct db *db);

/* Logs what went wrong and says what it is to the caller. */
enum err db_fail(struct db *db, const char *what, int rc, const char *sql);

#endif
