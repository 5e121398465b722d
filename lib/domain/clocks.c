/* SPDX-License-Identifier: MIT */
#include "domain/clocks.h"

struct clock_change {
	int64_t now_ms;
	int64_t count;
};

static enum err
follow(struct db *db, void *arg)
{
	/* What waits in the queue has not passed its deadline. */
	static const char sql[] =
	    "UPDATE jobs SET due_at_ms = ?1,"
	    " deadline_at_ms = deadline_at_ms - (due_at_ms - ?1)"
	    " WHERE id IN (SELECT id FROM jobs WHERE due_at_ms > ?2"
	    "  AND state IN ('submitting', 'waiting', 'running', 'storing')"
	    " UNION ALL SELECT id FROM jobs WHERE state = 'queued'"
	    "  AND deadline_at_ms > ?2 AND due_at_ms > ?2)";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	struct clock_change *change = arg;

	db_bind_int64(stmt, 1, change->now_ms);
	db_bind_int64(stmt, 2, change->now_ms + CLOCKS_WAIT_MAX_MS);
	return db_run_changes(stmt, &change->count);
}

enum err
clocks_follow(struct db *db, int64_t now_ms, int64_t *ret_count)
{
	struct clock_change change = { .now_ms = now_ms };
	const enum err err = db_transaction(db, follow, &change);

	if (err == OK)
		*ret_count = change.count;
	return err;
}
