/* SPDX-License-Identifier: MIT */
#include "store/db_private.h"
#include "base/log.h"

#include <unistd.h>

/* Beside rendio.db-wal. */
static bool
look_at_index(const struct db *db, struct stat *ret_st)
{
	char path[DB_PATH_BYTES_MAX];
	const size_t stem = strlen(db->log_path) - strlen("wal");

	return snprintf(path, sizeof(path), "%.*sshm", (int)stem,
		   db->log_path) < (int)sizeof(path) &&
	    stat(path, ret_st) == 0;
}

void
db_meet_others(struct db *db)
{
	/* Whatever is wrong with the database is said by who reads it. */
	(void)sqlite3_exec(db->handle, "SELECT 1 FROM sqlite_schema LIMIT 1",
	    NULL, NULL, NULL);
	if (!look_at_index(db, &db->index))
		db->index.st_ino = 0;
}

void
db_stay_with_others(struct db *db)
{
	struct stat now;
	const bool is_there = look_at_index(db, &now);

	if (db->index.st_ino == 0 && is_there)
		db->index = now;
	if (db->index.st_ino == 0 ||
	    (is_there && now.st_ino == db->index.st_ino &&
		now.st_dev == db->index.st_dev))
		return;
	log_line(LOG_ERROR, "database", "problem",
	    "rendio.db-shm was removed or replaced beneath us");
	_exit(EXIT_FAILURE);
}
