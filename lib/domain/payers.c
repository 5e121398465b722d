/* SPDX-License-Identifier: MIT */
#include "domain/payers.h"

/* The first time soon, because a purchase that is new may be refunded. */
#define FIRST_CHECK_MS (INT64_C(24) * 3600 * 1000)

static const char *
environment_name(bool is_sandbox)
{
	return is_sandbox ? "Sandbox" : "Production";
}

enum err
payers_note(struct db *db, const struct purchase_fact *fact, int64_t now_ms)
{
	static const char sql[] =
	    "INSERT INTO payers (environment, payer_id, transaction_id,"
	    " last_purchase_at_ms, next_check_at_ms)"
	    " VALUES (?1, ?2, ?3, ?4, ?5)"
	    " ON CONFLICT (environment, payer_id) DO UPDATE"
	    " SET last_purchase_at_ms = ?4"
	    " WHERE payers.last_purchase_at_ms < ?4";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_text(stmt, 1, environment_name(fact->is_sandbox));
	db_bind_text(stmt, 2,
	    fact->payer_id[0] != '\0' ? fact->payer_id :
					fact->original_transaction_id);
	db_bind_text(stmt, 3, fact->transaction_id);
	db_bind_int64(stmt, 4, fact->purchased_at_ms);
	db_bind_int64(stmt, 5, now_ms + FIRST_CHECK_MS);
	return db_run(stmt);
}

enum err
payers_due(struct db *db, int64_t now_ms, bool *ret_found,
    struct payer *ret_payer)
{
	static const char sql[] =
	    "SELECT environment = 'Sandbox', payer_id, transaction_id, revision"
	    " FROM payers WHERE next_check_at_ms <= ?1"
	    " ORDER BY next_check_at_ms LIMIT 1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool found;
	enum err err;

	db_bind_int64(stmt, 1, now_ms);
	err = db_step(stmt, &found);
	if (err != OK)
		return err;
	*ret_found = found;
	if (!found)
		return OK;
	ret_payer->is_sandbox = db_column_bool(stmt, 0);
	(void)str_copy(db_column_str(stmt, 1), ret_payer->payer_id,
	    sizeof(ret_payer->payer_id));
	(void)str_copy(db_column_str(stmt, 2), ret_payer->transaction_id,
	    sizeof(ret_payer->transaction_id));
	(void)str_copy(db_column_str(stmt, 3), ret_payer->revision,
	    sizeof(ret_payer->revision));
	return OK;
}

struct check {
	const struct payer *payer;
	int64_t next_check_at_ms;
};

static enum err
note_check(struct db *db, void *arg)
{
	static const char sql[] =
	    "UPDATE payers SET revision = ?3, next_check_at_ms = ?4"
	    " WHERE environment = ?1 AND payer_id = ?2";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	const struct check *check = arg;

	db_bind_text(stmt, 1, environment_name(check->payer->is_sandbox));
	db_bind_text(stmt, 2, check->payer->payer_id);
	db_bind_text(stmt, 3, check->payer->revision);
	db_bind_int64(stmt, 4, check->next_check_at_ms);
	return db_run(stmt);
}

enum err
payers_checked(struct db *db, const struct payer *payer,
    int64_t next_check_at_ms)
{
	struct check check = { payer, next_check_at_ms };

	return db_transaction(db, note_check, &check);
}

struct purge {
	int64_t before_ms;
	int64_t limit;
};

static enum err
purge(struct db *db, void *arg)
{
	static const char sql[] =
	    "DELETE FROM payers WHERE (environment, payer_id) IN"
	    " (SELECT environment, payer_id FROM payers"
	    "  WHERE last_purchase_at_ms < ?1"
	    "  ORDER BY last_purchase_at_ms LIMIT ?2)";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	const struct purge *p = arg;

	db_bind_int64(stmt, 1, p->before_ms);
	db_bind_int64(stmt, 2, p->limit);
	return db_run(stmt);
}

enum err
payers_purge(struct db *db, int64_t before_ms, int64_t limit)
{
	struct purge p = { before_ms, limit };

	return db_transaction(db, purge, &p);
}
