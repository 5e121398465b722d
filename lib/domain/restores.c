/* SPDX-License-Identifier: MIT */
#include "domain/restores.h"
#include "domain/jobs.h"
#include "domain/leases.h"

static enum err
next_queued(struct db *db, struct uuid *ret_id, struct uuid *ret_job_id,
    bool *ret_found)
{
	static const char sql[] =
	    "SELECT a.id, j.id FROM jobs j JOIN attempts a ON a.job_id = j.id"
	    " AND a.state = 'new' WHERE j.state = 'queued'"
	    " AND j.deadline_at_ms >= 0 ORDER BY j.deadline_at_ms LIMIT 1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	const enum err err = db_step(stmt, ret_found);

	if (err == OK && *ret_found) {
		*ret_id = db_column_uuid(stmt, 0);
		*ret_job_id = db_column_uuid(stmt, 1);
	}
	return err;
}

struct giving_up {
	int64_t now_ms;
	int64_t count;
};

static enum err
give_up_queued(struct db *db, void *arg)
{
	static const char code[] = "submission_lost";
	struct giving_up *g = arg;
	struct uuid id, job_id;
	bool found;
	enum err err;

	while ((err = next_queued(db, &id, &job_id, &found)) == OK && found) {
		err = leases_end_attempt(db, &id, "failed", code, g->now_ms);
		if (err == OK)
			err = jobs_give_up(db, &job_id, JOB_FAILED, code,
			    g->now_ms);
		if (err != OK)
			return err;
		g->count++;
	}
	return err;
}

enum err
restores_give_up_queued(struct db *db, int64_t now_ms, int64_t *ret_count)
{
	struct giving_up g = { .now_ms = now_ms };
	const enum err err = db_transaction(db, give_up_queued, &g);

	if (err == OK)
		*ret_count = g.count;
	return err;
}
