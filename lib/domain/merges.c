/* SPDX-License-Identifier: MIT */
#include "domain/merges.h"
#include "domain/credits.h"
#include "domain/events.h"
#include "domain/sessions.h"
#include "domain/subscriptions.h"

#include <assert.h>

/* A statement whose ?1 is the account that goes and ?2 the one that stays. */
static enum err
run(struct db *db, const char *sql, const struct uuid *from,
    const struct uuid *into)
{
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_uuid(stmt, 1, from);
	db_bind_uuid(stmt, 2, into);
	return db_run(stmt);
}

static enum err
move_rows(struct db *db, const struct uuid *from, const struct uuid *into)
{
	static const char shown_jobs[] =
	    "UPDATE jobs SET user_id = ?2 WHERE user_id = ?1 AND is_hidden = 0";
	static const char hidden_jobs[] =
	    "UPDATE jobs SET user_id = ?2 WHERE user_id = ?1 AND is_hidden = 1";
	static const char records[] =
	    "UPDATE idempotency_records SET user_id = ?2 WHERE user_id = ?1"
	    " AND NOT EXISTS (SELECT 1 FROM idempotency_records o"
	    "  WHERE o.user_id = ?2 AND o.key = idempotency_records.key)";
	/* Under such a key the heir's own request goes on being repeated. */
	static const char other_records[] =
	    "DELETE FROM idempotency_records WHERE user_id = ?1 AND ?2 = ?2";
	static const char files[] =
	    "UPDATE objects SET user_id = ?2 WHERE user_id = ?1";
	static const char devices[] =
	    "UPDATE devices SET user_id = ?2 WHERE user_id = ?1";
	static const char purchases[] =
	    "UPDATE purchases SET user_id = ?2 WHERE user_id = ?1";
	static const char subscriptions[] =
	    "UPDATE subscriptions SET user_id = ?2 WHERE user_id = ?1";
	static const char lookups[] =
	    "UPDATE purchase_lookups SET user_id = ?2 WHERE user_id = ?1"
	    " AND NOT EXISTS (SELECT 1 FROM purchase_lookups o"
	    "  WHERE o.user_id = ?2"
	    "  AND o.transaction_id = purchase_lookups.transaction_id)";
	static const char other_lookups[] =
	    "DELETE FROM purchase_lookups WHERE user_id = ?1 AND ?2 = ?2";
	/* What the heir has said of it counts, if it has said anything. */
	static const char consents[] =
	    "UPDATE consents SET user_id = ?2 WHERE user_id = ?1"
	    " AND NOT EXISTS (SELECT 1 FROM consents o WHERE o.user_id = ?2"
	    "  AND o.number = 1)";
	static const char other_consents[] =
	    "DELETE FROM consents WHERE user_id = ?1 AND ?2 = ?2";
	/* Who was merged into the one that goes is the heir's, too. */
	static const char tombstones[] =
	    "UPDATE users SET merged_into_id = ?2 WHERE merged_into_id = ?1";
	static const char *const all[] = { shown_jobs, hidden_jobs, records,
		other_records, files, devices, purchases, subscriptions,
		lookups, other_lookups, consents, other_consents, tombstones };
	enum err err = OK;

	for (size_t i = 0; err == OK && i < sizeof(all) / sizeof(all[0]); i++)
		err = run(db, all[i], from, into);
	return err;
}

/* Whoever watches the heir is told of the jobs that came. */
static enum err
tell_of_jobs(struct db *db, const struct uuid *from, const struct uuid *into,
    int64_t now_ms)
{
	static const char sql[] =
	    "INSERT INTO events (user_id, job_id, kind, created_at_ms)"
	    " SELECT ?2, id, 'job', ?3 FROM jobs"
	    " WHERE user_id = ?1 AND is_hidden = 0 ORDER BY id";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_uuid(stmt, 1, from);
	db_bind_uuid(stmt, 2, into);
	db_bind_int64(stmt, 3, now_ms);
	return db_run(stmt);
}

static enum err
bury(struct db *db, const struct uuid *from, const struct uuid *into,
    int64_t now_ms)
{
	static const char sql[] =
	    "UPDATE users SET status = 'deleted', merged_into_id = ?2,"
	    " apple_sub = NULL, email = NULL, user_metadata = '{}',"
	    " language = 'en', theme_preference = 'system',"
	    " grant_state = CASE grant_state WHEN 'pending' THEN 'withheld'"
	    "  ELSE grant_state END, updated_at_ms = ?3 WHERE id = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_uuid(stmt, 1, from);
	db_bind_uuid(stmt, 2, into);
	db_bind_int64(stmt, 3, now_ms);
	return db_run(stmt);
}

enum err
merges_run(struct db *db, const struct uuid *from, const struct uuid *into,
    bool counts_sandbox, int64_t now_ms)
{
	enum err err;

	assert(db_in_transaction(db));
	assert(!uuid_equal(from, into));
	err = credits_move(db, from, into, counts_sandbox, now_ms);
	if (err == OK)
		err = tell_of_jobs(db, from, into, now_ms);
	if (err == OK)
		err = move_rows(db, from, into);
	if (err == OK)
		err = sessions_end_all(db, from, now_ms);
	if (err == OK)
		err = bury(db, from, into, now_ms);
	if (err == OK)
		err = subscriptions_set_tier(db, from, now_ms);
	if (err == OK)
		err = subscriptions_set_tier(db, into, now_ms);
	if (err == OK)
		err = events_append(db, EVENT_BALANCE, into, NULL, now_ms);
	return err;
}
