/* SPDX-License-Identifier: MIT */
#include "domain/dispatch.h"
#include "domain/breakers.h"
#include "domain/spend.h"

/* The model's cost for a second, and where it fails over to. */
static enum err
read_cost(struct db *db, const struct model *model,
    const struct settings *settings, int64_t *ret_cost_micro_usd,
    char company[CATALOG_TEXT_BYTES], char endpoint[CATALOG_TEXT_BYTES])
{
	static const char sql[] =
	    "SELECT (SELECT p.provider_micro_usd_per_second"
	    "  FROM model_prices p WHERE p.model_id = m.id"
	    "  AND p.resolution = ?2 AND p.has_audio = ?3),"
	    " f.company, f.endpoint FROM models m LEFT JOIN models f"
	    " ON f.id = m.fallback_id AND f.state <> 'retired'"
	    " WHERE m.id = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool found;
	enum err err;

	db_bind_uuid(stmt, 1, &model->id);
	db_bind_text(stmt, 2, settings->resolution);
	db_bind_bool(stmt, 3, settings->has_audio);
	err = db_step(stmt, &found);
	if (err != OK)
		return err;
	if (!found ||
	    !str_copy(db_column_str(stmt, 1), company, CATALOG_TEXT_BYTES) ||
	    !str_copy(db_column_str(stmt, 2), endpoint, CATALOG_TEXT_BYTES))
		return ERR_MODEL_NOT_FOUND;
	*ret_cost_micro_usd = db_column_int64(stmt, 0) * settings->duration_s;
	return OK;
}

enum err
dispatch_check(struct db *db, const struct model *model,
    const struct settings *settings, dispatch_can_ask *can_ask, const void *arg,
    int64_t cap_micro_usd, int64_t now_ms)
{
	char company[CATALOG_TEXT_BYTES], endpoint[CATALOG_TEXT_BYTES];
	int64_t cost_micro_usd;
	bool is_blocked, fits;
	enum err err;

	err =
	    read_cost(db, model, settings, &cost_micro_usd, company, endpoint);
	if (err == OK)
		err = breakers_block(db, model->company, model->endpoint,
		    now_ms, &is_blocked);
	if (err == OK && is_blocked && company[0] != '\0' &&
	    can_ask(arg, company))
		err =
		    breakers_block(db, company, endpoint, now_ms, &is_blocked);
	if (err == OK && is_blocked)
		return ERR_PROVIDER_UNAVAILABLE;
	if (err == OK)
		err = spend_fits(db, &model->id, cost_micro_usd, cap_micro_usd,
		    now_ms, &fits);
	if (err != OK)
		return err;
	return fits ? OK : ERR_PROVIDER_UNAVAILABLE;
}
