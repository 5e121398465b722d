/* SPDX-License-Identifier: MIT */
#include "domain/gauges.h"

enum err
gauges_jobs(struct db *db, gauges_each *each, void *arg)
{
	static const char sql[] =
	    "SELECT state, COUNT(*), MIN(created_at_ms) FROM jobs"
	    " WHERE due_at_ms IS NOT NULL GROUP BY state";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool found;
	enum err err;

	while ((err = db_step(stmt, &found)) == OK && found) {
		const struct gauge_jobs jobs = {
			.state = job_state_parse(db_column_str(stmt, 0)),
			.count = db_column_int64(stmt, 1),
			.oldest_at_ms = db_column_int64(stmt, 2),
		};

		each(arg, &jobs);
	}
	return err;
}
