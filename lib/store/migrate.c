/* SPDX-License-Identifier: MIT */
#include "store/migrate.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* The migration that made the table in which compatibility is written. */
#define SCHEMA_STATE_NUMBER 15

struct migration_step {
	int64_t from;
	bool is_done;
};

/* Once: what the owner edits or retires afterwards must not come back. */
static enum err
seed(struct db *db)
{
	bool is_marked;
	enum err err;

	err = db_is_marked(db, &is_marked);
	if (err != OK || is_marked)
		return err;
	err = db_script(db, seed_sql);
	return err == OK ? db_mark(db) : err;
}

/* A release may be older than several migrations: the strictest of them counts. */
static enum err
note_compatible(struct db *db, const struct migration *migration)
{
	static const char sql[] = "UPDATE schema_state"
				  " SET compatible_from = ?1"
				  " WHERE id = 1 AND compatible_from < ?1";
	CLEANUP(db_release) struct db_stmt *stmt = NULL;

	if (migration->number <= SCHEMA_STATE_NUMBER)
		return OK;
	stmt = db_prepare(db, sql);
	db_bind_int64(stmt, 1, migration->compatible_from);
	return db_run(stmt);
}

/* One migration a transaction: another process may have done it meanwhile. */
static enum err
run_next(struct db *db, void *arg)
{
	struct migration_step *step = arg;
	enum err err;

	err = db_version(db, &step->from);
	if (err != OK)
		return err;
	if (step->from > (int64_t)migrations_count)
		return ERR_CONFLICT;
	step->is_done = step->from == (int64_t)migrations_count;
	if (step->is_done)
		return seed(db);
	err = db_script(db, migrations[step->from].sql);
	if (err == OK)
		err = note_compatible(db, &migrations[step->from]);
	if (err == OK)
		err = db_set_version(db, step->from + 1);
	return err;
}

enum err
migrate(struct db *db, int64_t *ret_from, int64_t *ret_to)
{
	struct migration_step step = { 0 };
	int64_t first = -1;
	enum err err;

	do {
		err = db_transaction(db, run_next, &step);
		if (err != OK)
			return err;
		if (first < 0)
			first = step.from;
	} while (!step.is_done);

	*ret_from = first;
	*ret_to = (int64_t)migrations_count;
	return OK;
}

static enum err
read_compatible(struct db *db, int64_t *ret_from)
{
	static const char sql[] =
	    "SELECT compatible_from FROM schema_state WHERE id = 1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool found;
	enum err err;

	err = db_step(stmt, &found);
	if (err == OK)
		*ret_from = found ? db_column_int64(stmt, 0) : INT64_MAX;
	return err;
}

enum err
migrate_check(struct db *db)
{
	int64_t version, compatible_from;
	enum err err;

	err = db_version(db, &version);
	if (err != OK || version == (int64_t)migrations_count)
		return err;
	if (version < (int64_t)migrations_count)
		return ERR_CONFLICT;
	err = read_compatible(db, &compatible_from);
	if (err != OK)
		return err;
	return compatible_from <= (int64_t)migrations_count ? OK : ERR_CONFLICT;
}

/* --- who is at work --------------------------------------------------------- */

static int
open_lock(const char *state_dir)
{
	char path[4096];

	if (snprintf(path, sizeof(path), "%s/run/schema.lock", state_dir) >=
	    (int)sizeof(path))
		return -1;
	return open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
}

/* Bytes first … last of the file, one a schema. */
static enum err
lock(int fd, short type, int64_t first, int64_t last, int64_t *ret_schema)
{
	struct flock range = { .l_type = type,
		.l_whence = SEEK_SET,
		.l_start = first,
		.l_len = last - first + 1 };

	if (fcntl(fd, F_OFD_SETLK, &range) == 0)
		return OK;
	*ret_schema = 0;
	if (fcntl(fd, F_OFD_GETLK, &range) == 0 && range.l_type == F_RDLCK)
		*ret_schema = range.l_start;
	return ERR_CONFLICT;
}

enum err
migrate_enter(const char *state_dir, int *ret_fd, int64_t *ret_schema)
{
	const int64_t ours = (int64_t)migrations_count;
	const int fd = open_lock(state_dir);

	if (fd < 0)
		return ERR_SERVICE_UNAVAILABLE;
	if (lock(fd, F_RDLCK, ours, ours, ret_schema) != OK) {
		(void)close(fd);
		return ERR_CONFLICT;
	}
	*ret_fd = fd;
	return OK;
}

enum err
migrate_alone(struct db *db, const char *state_dir, int *ret_fd,
    int64_t *ret_schema)
{
	int64_t from, strictest = 0;
	enum err err;
	int fd;

	err = db_version(db, &from);
	if (err != OK)
		return err;
	for (int64_t i = from; i < (int64_t)migrations_count; i++)
		if (migrations[i].compatible_from > strictest)
			strictest = migrations[i].compatible_from;
	fd = open_lock(state_dir);
	*ret_schema = 0;
	if (fd < 0 && errno == ENOENT) {
		/* Nobody can be at work without the directory. */
		*ret_fd = -1;
		return OK;
	}
	if (fd < 0)
		return ERR_SERVICE_UNAVAILABLE;
	if (strictest > 1)
		err = lock(fd, F_WRLCK, 1, strictest - 1, ret_schema);
	if (err != OK) {
		(void)close(fd);
		return err;
	}
	*ret_fd = fd;
	return OK;
}
