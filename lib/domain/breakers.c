/* SPDX-License-Identifier: MIT */
#include "domain/breakers.h"

#include <assert.h>

/* The first try after this, each further one after twice as long. */
#define PROBE_FIRST_MS INT64_C(60000)
#define PROBE_MAX_MS (INT64_C(3600) * 1000)

/* How long the outcome of a try is waited for. */
#define PROBE_WAIT_MS INT64_C(90000)

enum err
breakers_block(struct db *db, const char *company, const char *endpoint,
    int64_t now_ms, bool *ret_blocked)
{
	/* Later than any wait of ours: of a clock that was ahead. */
	static const char sql[] =
	    "SELECT 1 FROM breakers WHERE company IN ('', ?1)"
	    " AND endpoint IN ('', ?2)"
	    " AND (probe_at_ms IS NULL OR probe_at_ms BETWEEN ?3 + 1 AND ?4)"
	    " LIMIT 1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_text(stmt, 1, company);
	db_bind_text(stmt, 2, endpoint);
	db_bind_int64(stmt, 3, now_ms);
	db_bind_int64(stmt, 4, now_ms + PROBE_MAX_MS);
	return db_step(stmt, ret_blocked);
}

struct opening {
	const char *company;
	const char *endpoint;
	const char *reason;
	int64_t now_ms;
	bool is_manual;
	bool is_news;
};

static enum err
count_failures(struct db *db, const struct opening *o, int64_t *ret_count)
{
	static const char sql[] = "SELECT failures_count FROM breakers"
				  " WHERE company = ?1 AND endpoint = ?2";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool found;
	enum err err;

	db_bind_text(stmt, 1, o->company);
	db_bind_text(stmt, 2, o->endpoint);
	err = db_step(stmt, &found);
	if (err == OK)
		*ret_count = found ? db_column_int64(stmt, 0) : 0;
	return err;
}

static enum err
open_breaker(struct db *db, void *arg)
{
	/* What was stopped by hand stays so. */
	static const char sql[] =
	    "INSERT INTO breakers (company, endpoint, reason, failures_count,"
	    " opened_at_ms, probe_at_ms) VALUES (?1, ?2, ?3, 1, ?4, ?5)"
	    " ON CONFLICT (company, endpoint) DO UPDATE SET"
	    " failures_count = failures_count + 1,"
	    " reason = CASE WHEN probe_at_ms IS NULL THEN reason"
	    "  ELSE excluded.reason END,"
	    " probe_at_ms = CASE WHEN probe_at_ms IS NULL THEN NULL"
	    "  ELSE excluded.probe_at_ms END";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	struct opening *o = arg;
	int64_t wait_ms = PROBE_FIRST_MS;
	int64_t failures;
	enum err err;

	err = count_failures(db, o, &failures);
	if (err != OK)
		return err;
	o->is_news = failures == 0;
	for (; failures > 0 && wait_ms < PROBE_MAX_MS; failures--)
		wait_ms *= 2;
	if (wait_ms > PROBE_MAX_MS)
		wait_ms = PROBE_MAX_MS;
	db_bind_text(stmt, 1, o->company);
	db_bind_text(stmt, 2, o->endpoint);
	db_bind_text(stmt, 3, o->reason);
	db_bind_int64(stmt, 4, o->now_ms);
	if (o->is_manual)
		db_bind_null(stmt, 5);
	else
		db_bind_int64(stmt, 5, o->now_ms + wait_ms);
	return db_run(stmt);
}

enum err
breakers_open(struct db *db, const char *company, const char *endpoint,
    const char *reason, int64_t now_ms, bool *ret_is_news)
{
	struct opening o = { company, endpoint, reason, now_ms, false, false };
	const enum err err = db_transaction(db, open_breaker, &o);

	if (err == OK)
		*ret_is_news = o.is_news;
	return err;
}

enum err
breakers_try(struct db *db, const char *company, const char *endpoint,
    int64_t now_ms)
{
	static const char sql[] = "UPDATE breakers SET probe_at_ms = ?3"
				  " WHERE company IN ('', ?1)"
				  " AND endpoint IN ('', ?2)"
				  " AND probe_at_ms IS NOT NULL";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	assert(db_in_transaction(db));
	db_bind_text(stmt, 1, company);
	db_bind_text(stmt, 2, endpoint);
	db_bind_int64(stmt, 3, now_ms + PROBE_WAIT_MS);
	return db_run(stmt);
}

enum err
breakers_accepted(struct db *db, const char *company, const char *endpoint)
{
	static const char sql[] = "DELETE FROM breakers WHERE company = ?1"
				  " AND endpoint IN ('', ?2)"
				  " AND probe_at_ms IS NOT NULL";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	assert(db_in_transaction(db));
	db_bind_text(stmt, 1, company);
	db_bind_text(stmt, 2, endpoint);
	return db_run(stmt);
}

static enum err
stop(struct db *db, void *arg)
{
	static const char sql[] =
	    "UPDATE breakers SET probe_at_ms = NULL, reason = ?3"
	    " WHERE company = ?1 AND endpoint = ?2";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	struct opening *o = arg;
	enum err err;

	err = open_breaker(db, o);
	if (err != OK)
		return err;
	db_bind_text(stmt, 1, o->company);
	db_bind_text(stmt, 2, o->endpoint);
	db_bind_text(stmt, 3, o->reason);
	return db_run(stmt);
}

enum err
breakers_stop(struct db *db, const char *company, const char *endpoint,
    int64_t now_ms)
{
	struct opening o = { company, endpoint, "operator", now_ms, true,
		false };

	return db_transaction(db, stop, &o);
}

static enum err
close_breaker(struct db *db, void *arg)
{
	static const char sql[] =
	    "DELETE FROM breakers WHERE company = ?1 AND endpoint = ?2";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	const struct opening *o = arg;
	int64_t changes;
	enum err err;

	db_bind_text(stmt, 1, o->company);
	db_bind_text(stmt, 2, o->endpoint);
	err = db_run_changes(stmt, &changes);
	if (err != OK)
		return err;
	return changes == 1 ? OK : ERR_NOT_FOUND;
}

enum err
breakers_close(struct db *db, const char *company, const char *endpoint)
{
	struct opening o = { .company = company, .endpoint = endpoint };

	return db_transaction(db, close_breaker, &o);
}

enum err
breakers_list(struct db *db, breakers_each *each, void *arg)
{
	static const char sql[] =
	    "SELECT company, endpoint, reason, failures_count, opened_at_ms,"
	    " probe_at_ms FROM breakers WHERE company >= '' ORDER BY company,"
	    " endpoint";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool found;
	enum err err;

	while ((err = db_step(stmt, &found)) == OK && found)
		each(arg,
		    &(const struct breaker){
			.company = db_column_str(stmt, 0).ptr,
			.endpoint = db_column_str(stmt, 1).ptr,
			.reason = db_column_str(stmt, 2).ptr,
			.failures_count = db_column_int64(stmt, 3),
			.opened_at_ms = db_column_int64(stmt, 4),
			.probe_at_ms = db_column_is_null(stmt, 5) ?
			    -1 :
			    db_column_int64(stmt, 5),
		    });
	return err;
}
