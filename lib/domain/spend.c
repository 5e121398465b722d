/* SPDX-License-Identifier: MIT */
#include "domain/spend.h"
#include "domain/progress.h"

#include <assert.h>

static enum err
spent_today(struct db *db, int64_t now_ms, int64_t *ret_micro_usd)
{
	static const char sql[] = "SELECT COALESCE(SUM(micro_usd), 0)"
				  " FROM provider_spend WHERE day = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool found;
	enum err err;

	db_bind_int64(stmt, 1, now_ms / SPEND_DAY_MS);
	err = db_step(stmt, &found);
	if (err == OK)
		*ret_micro_usd = db_column_int64(stmt, 0);
	return err;
}

enum err
spend_fits(struct db *db, const struct uuid *model_id, int64_t cost_micro_usd,
    int64_t cap_micro_usd, int64_t now_ms, bool *ret_fits)
{
	/* No row when the model has no cap. */
	static const char sql[] =
	    "SELECT m.spend_cap_micro_usd_per_day, COALESCE("
	    " (SELECT micro_usd FROM provider_spend"
	    "  WHERE day = ?2 AND model_id = m.id), 0) FROM models m"
	    " WHERE m.id = ?1 AND m.spend_cap_micro_usd_per_day IS NOT NULL";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	int64_t spent = 0;
	bool found;
	enum err err;

	db_bind_uuid(stmt, 1, model_id);
	db_bind_int64(stmt, 2, now_ms / SPEND_DAY_MS);
	err = db_step(stmt, &found);
	if (err != OK)
		return err;
	if (found &&
	    db_column_int64(stmt, 1) + cost_micro_usd >
		db_column_int64(stmt, 0)) {
		*ret_fits = false;
		return OK;
	}
	if (cap_micro_usd > 0)
		err = spent_today(db, now_ms, &spent);
	if (err == OK)
		*ret_fits = cap_micro_usd == 0 ||
		    spent + cost_micro_usd <= cap_micro_usd;
	return err;
}

static enum err
add(struct db *db, const struct uuid *model_id, int64_t cost_micro_usd,
    int64_t now_ms)
{
	static const char sql[] =
	    "INSERT INTO provider_spend (day, model_id, micro_usd)"
	    " VALUES (?1, ?2, ?3) ON CONFLICT (day, model_id) DO UPDATE"
	    " SET micro_usd = micro_usd + excluded.micro_usd";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	progress_cost(db, cost_micro_usd);
	db_bind_int64(stmt, 1, now_ms / SPEND_DAY_MS);
	db_bind_uuid(stmt, 2, model_id);
	db_bind_int64(stmt, 3, cost_micro_usd);
	return db_run(stmt);
}

enum err
spend_reserve(struct db *db, const struct uuid *attempt_id,
    const struct uuid *model_id, int64_t cost_micro_usd, int64_t cap_micro_usd,
    int64_t now_ms, bool *ret_fits)
{
	static const char sql[] =
	    "UPDATE attempts SET cost_micro_usd = ?2 WHERE id = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool fits = false;
	enum err err;

	assert(db_in_transaction(db));
	assert(cost_micro_usd >= 0);
	err = spend_fits(db, model_id, cost_micro_usd, cap_micro_usd, now_ms,
	    &fits);
	if (err != OK)
		return err;
	*ret_fits = fits;
	if (!fits || cost_micro_usd == 0)
		return OK;
	db_bind_uuid(stmt, 1, attempt_id);
	db_bind_int64(stmt, 2, cost_micro_usd);
	err = db_run(stmt);
	if (err == OK)
		err = add(db, model_id, cost_micro_usd, now_ms);
	return err;
}

enum err
spend_give_back(struct db *db, const struct uuid *attempt_id)
{
	static const char read_sql[] =
	    "SELECT model_id, sent_at_ms, cost_micro_usd FROM attempts"
	    " WHERE id = ?1 AND cost_micro_usd > 0";
	static const char day_sql[] =
	    "UPDATE provider_spend SET micro_usd = micro_usd - ?3"
	    " WHERE day = ?1 AND model_id = ?2";
	static const char write_sql[] =
	    "UPDATE attempts SET cost_micro_usd = 0 WHERE id = ?1";
	CLEANUP(db_release) struct db_stmt *read = db_prepare(db, read_sql);
	CLEANUP(db_release) struct db_stmt *day = db_prepare(db, day_sql);
	CLEANUP(db_release) struct db_stmt *write = db_prepare(db, write_sql);
	struct uuid model_id;
	bool found;
	enum err err;

	assert(db_in_transaction(db));
	db_bind_uuid(read, 1, attempt_id);
	err = db_step(read, &found);
	if (err != OK || !found)
		return err;
	model_id = db_column_uuid(read, 0);
	db_bind_int64(day, 1, db_column_int64(read, 1) / SPEND_DAY_MS);
	db_bind_uuid(day, 2, &model_id);
	db_bind_int64(day, 3, db_column_int64(read, 2));
	err = db_run(day);
	if (err != OK)
		return err;
	progress_cost(db, -db_column_int64(read, 2));
	db_bind_uuid(write, 1, attempt_id);
	return db_run(write);
}

enum err
spend_count_lost(struct db *db, int64_t since_ms, int64_t *ret_lost,
    int64_t *ret_late)
{
	static const char sql[] =
	    "SELECT (SELECT COUNT(*) FROM attempts WHERE state = 'lost'"
	    "  AND ended_at_ms >= ?1),"
	    " (SELECT COUNT(*) FROM jobs WHERE is_free = 1"
	    "  AND state = 'completed' AND completed_at_ms >= ?1)";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool found;
	enum err err;

	db_bind_int64(stmt, 1, since_ms);
	err = db_step(stmt, &found);
	if (err != OK)
		return err;
	*ret_lost = db_column_int64(stmt, 0);
	*ret_late = db_column_int64(stmt, 1);
	return OK;
}

enum err
spend_list(struct db *db, int64_t first_day_ms, spend_each *each, void *arg)
{
	static const char sql[] =
	    "SELECT s.day, m.endpoint, s.micro_usd,"
	    " m.spend_cap_micro_usd_per_day FROM provider_spend s"
	    " JOIN models m ON m.id = s.model_id WHERE s.day >= ?1"
	    " ORDER BY s.day DESC, m.endpoint";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool found;
	enum err err;

	db_bind_int64(stmt, 1, first_day_ms / SPEND_DAY_MS);
	while ((err = db_step(stmt, &found)) == OK && found)
		each(arg, db_column_int64(stmt, 0) * SPEND_DAY_MS,
		    db_column_str(stmt, 1).ptr, db_column_int64(stmt, 2),
		    db_column_is_null(stmt, 3) ? -1 : db_column_int64(stmt, 3));
	return err;
}
