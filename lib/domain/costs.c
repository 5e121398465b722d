/* SPDX-License-Identifier: MIT */
#include "domain/costs.h"

/* A thousand dollars for a second is a mistake. */
#define COST_MAX_MICRO_USD INT64_C(1000000000)

struct change {
	const struct uuid *model_id;
	struct str resolution;
	bool has_audio;
	int64_t micro_usd;
};

static enum err
set(struct db *db, void *arg)
{
	static const char sql[] =
	    "UPDATE model_prices SET provider_micro_usd_per_second = ?4"
	    " WHERE model_id = ?1 AND resolution = ?2 AND has_audio = ?3";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	const struct change *change = arg;
	int64_t changes;
	enum err err;

	db_bind_uuid(stmt, 1, change->model_id);
	db_bind_str(stmt, 2, change->resolution);
	db_bind_bool(stmt, 3, change->has_audio);
	db_bind_int64(stmt, 4, change->micro_usd);
	err = db_run_changes(stmt, &changes);
	if (err != OK)
		return err;
	return changes == 1 ? OK : ERR_INVALID_REQUEST;
}

enum err
costs_set(struct db *db, const struct uuid *model_id, struct str field,
    struct str value)
{
	struct change change = { .model_id = model_id };
	struct str word, rest, sound;

	(void)str_cut(field, '.', &word, &rest);
	(void)str_cut(rest, '.', &change.resolution, &sound);
	change.has_audio = str_equal(sound, STR("audio"));
	if ((!change.has_audio && !str_equal(sound, STR("silent"))) ||
	    !str_to_int64(value, 0, COST_MAX_MICRO_USD, &change.micro_usd))
		return ERR_INVALID_REQUEST;
	return db_transaction(db, set, &change);
}

enum err
costs_losses(struct db *db, int64_t credit_micro_usd, costs_each *each,
    void *arg)
{
	static const char sql[] =
	    "SELECT models.endpoint, p.resolution, p.has_audio,"
	    " p.millicredits_per_second * ?1 / 1000,"
	    " p.provider_micro_usd_per_second FROM models"
	    " JOIN model_prices p ON p.model_id = models.id"
	    " WHERE models.state = 'available'"
	    " AND p.millicredits_per_second * ?1 <"
	    "  p.provider_micro_usd_per_second * 1000"
	    " ORDER BY models.position";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool found;
	enum err err;

	db_bind_int64(stmt, 1, credit_micro_usd);
	while ((err = db_step(stmt, &found)) == OK && found)
		each(arg, db_column_str(stmt, 0).ptr,
		    db_column_str(stmt, 1).ptr, db_column_bool(stmt, 2),
		    db_column_int64(stmt, 3), db_column_int64(stmt, 4));
	return err;
}
