/* SPDX-License-Identifier: MIT */
#include "domain/subscriptions.h"
#include "domain/events.h"

#include <assert.h>

static const char *
environment_name(bool is_sandbox)
{
	return is_sandbox ? "Sandbox" : "Production";
}

enum err
subscriptions_owner(struct db *db, const struct purchase_fact *fact,
    bool *ret_found, bool *ret_is_deleted, struct uuid *ret_user_id)
{
	static const char sql[] =
	    "SELECT u.id, u.status = 'deleted' FROM subscriptions s"
	    " JOIN users u ON u.id = s.user_id WHERE s.environment = ?1"
	    " AND s.original_transaction_id = ?2";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool found;
	enum err err;

	db_bind_text(stmt, 1, environment_name(fact->is_sandbox));
	db_bind_text(stmt, 2, fact->original_transaction_id);
	err = db_step(stmt, &found);
	if (err != OK)
		return err;
	*ret_is_deleted = found && db_column_bool(stmt, 1);
	*ret_found = found && !*ret_is_deleted;
	if (*ret_found)
		*ret_user_id = db_column_uuid(stmt, 0);
	return OK;
}

/* Grace only follows upon a period that was paid for and kept. */
static enum err
end_of_access(struct db *db, bool is_sandbox, const char *original,
    int64_t *ret_until_ms)
{
	static const char sql[] =
	    "SELECT MAX(p.expires_at_ms), (SELECT s.grace_until_ms"
	    "  FROM subscriptions s WHERE s.environment = ?1"
	    "  AND s.original_transaction_id = ?2) FROM purchases p"
	    " WHERE p.environment = ?1 AND p.original_transaction_id = ?2"
	    " AND p.refund_millipercent = 0 AND p.is_upgraded = 0";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	int64_t paid_ms, grace_ms;
	bool found;
	enum err err;

	db_bind_text(stmt, 1, environment_name(is_sandbox));
	db_bind_text(stmt, 2, original);
	err = db_step(stmt, &found);
	if (err != OK)
		return err;
	paid_ms = db_column_int64(stmt, 0);
	grace_ms = paid_ms > 0 ? db_column_int64(stmt, 1) : 0;
	*ret_until_ms = paid_ms > grace_ms ? paid_ms : grace_ms;
	return OK;
}

static enum err
recompute(struct db *db, bool is_sandbox, const char *original, int64_t now_ms)
{
	static const char sql[] =
	    "UPDATE subscriptions SET active_until_ms = ?3, is_active = ?4"
	    " WHERE environment = ?1 AND original_transaction_id = ?2"
	    " RETURNING user_id";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	struct uuid user_id;
	int64_t until_ms;
	bool found;
	enum err err;

	err = end_of_access(db, is_sandbox, original, &until_ms);
	if (err != OK)
		return err;
	db_bind_text(stmt, 1, environment_name(is_sandbox));
	db_bind_text(stmt, 2, original);
	db_bind_int64(stmt, 3, until_ms);
	db_bind_bool(stmt, 4, until_ms > now_ms);
	err = db_step(stmt, &found);
	if (err != OK || !found || db_column_is_null(stmt, 0))
		return err;
	user_id = db_column_uuid(stmt, 0);
	return subscriptions_set_tier(db, &user_id, now_ms);
}

/* Periods that nobody could be credited for have an owner now. */
static enum err
wake_periods(struct db *db, const struct purchase_fact *fact, int64_t now_ms)
{
	static const char sql[] =
	    "UPDATE purchases SET next_try_at_ms = ?3 WHERE environment = ?1"
	    " AND original_transaction_id = ?2 AND waits_for IS NOT NULL"
	    " AND user_id IS NULL";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_text(stmt, 1, environment_name(fact->is_sandbox));
	db_bind_text(stmt, 2, fact->original_transaction_id);
	db_bind_int64(stmt, 3, now_ms);
	return db_run(stmt);
}

enum err
subscriptions_follow(struct db *db, const struct purchase_fact *fact,
    const struct uuid *user_id, int64_t now_ms)
{
	static const char sql[] =
	    "INSERT INTO subscriptions (environment, original_transaction_id,"
	    " user_id, product_id, created_at_ms) VALUES (?1, ?2, ?3, ?4, ?5)"
	    " ON CONFLICT (environment, original_transaction_id) DO UPDATE"
	    " SET user_id = COALESCE(subscriptions.user_id, ?3)";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	enum err err;

	assert(db_in_transaction(db));
	db_bind_text(stmt, 1, environment_name(fact->is_sandbox));
	db_bind_text(stmt, 2, fact->original_transaction_id);
	db_bind_uuid(stmt, 3, user_id);
	db_bind_text(stmt, 4, fact->product_id);
	db_bind_int64(stmt, 5, now_ms);
	err = db_run(stmt);
	if (err == OK && user_id != NULL)
		err = wake_periods(db, fact, now_ms);
	if (err == OK)
		err = recompute(db, fact->is_sandbox,
		    fact->original_transaction_id, now_ms);
	return err;
}

enum err
subscriptions_renew(struct db *db, const struct renewal_fact *fact,
    int64_t now_ms)
{
	static const char sql[] =
	    "INSERT INTO subscriptions (environment, original_transaction_id,"
	    " product_id, renewal_signed_at_ms, grace_until_ms, renews,"
	    " created_at_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"
	    " ON CONFLICT (environment, original_transaction_id) DO UPDATE"
	    " SET product_id = ?3, renewal_signed_at_ms = ?4,"
	    " grace_until_ms = ?5, renews = ?6"
	    " WHERE subscriptions.renewal_signed_at_ms < ?4";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	enum err err;

	assert(db_in_transaction(db));
	db_bind_text(stmt, 1, environment_name(fact->is_sandbox));
	db_bind_text(stmt, 2, fact->original_transaction_id);
	db_bind_text(stmt, 3, fact->product_id);
	db_bind_int64(stmt, 4, fact->signed_at_ms);
	db_bind_int64(stmt, 5, fact->grace_until_ms);
	db_bind_bool(stmt, 6, fact->renews);
	db_bind_int64(stmt, 7, now_ms);
	err = db_run(stmt);
	if (err == OK)
		err = recompute(db, fact->is_sandbox,
		    fact->original_transaction_id, now_ms);
	return err;
}

static enum err
is_premium(struct db *db, const struct uuid *user_id, bool *ret_is_premium)
{
	static const char sql[] = "SELECT 1 FROM subscriptions"
				  " WHERE user_id = ?1 AND is_active = 1"
				  " LIMIT 1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_uuid(stmt, 1, user_id);
	return db_step(stmt, ret_is_premium);
}

enum err
subscriptions_set_tier(struct db *db, const struct uuid *user_id,
    int64_t now_ms)
{
	static const char sql[] =
	    "UPDATE users SET tier = ?2, updated_at_ms = ?3"
	    " WHERE id = ?1 AND tier <> ?2";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool premium;
	int64_t changes;
	enum err err;

	err = is_premium(db, user_id, &premium);
	if (err != OK)
		return err;
	db_bind_uuid(stmt, 1, user_id);
	db_bind_text(stmt, 2, premium ? "premium" : "free");
	db_bind_int64(stmt, 3, now_ms);
	err = db_run_changes(stmt, &changes);
	if (err == OK && changes > 0)
		err = events_append(db, EVENT_BALANCE, user_id, NULL, now_ms);
	return err;
}

struct ending {
	int64_t now_ms;
	bool is_done;
};

static enum err
end_one(struct db *db, void *arg)
{
	static const char sql[] =
	    "SELECT environment = 'Sandbox', original_transaction_id"
	    " FROM subscriptions WHERE is_active = 1 AND active_until_ms <= ?1"
	    " ORDER BY active_until_ms LIMIT 1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	struct ending *ending = arg;
	char original[PURCHASE_ID_BYTES];
	bool found;
	enum err err;

	db_bind_int64(stmt, 1, ending->now_ms);
	err = db_step(stmt, &found);
	if (err != OK)
		return err;
	ending->is_done = !found;
	if (!found)
		return OK;
	(void)str_copy(db_column_str(stmt, 1), original, sizeof(original));
	return recompute(db, db_column_bool(stmt, 0), original, ending->now_ms);
}

enum err
subscriptions_end(struct db *db, int64_t now_ms, int64_t limit)
{
	struct ending ending = { .now_ms = now_ms };
	enum err err = OK;

	while (err == OK && !ending.is_done && limit-- > 0)
		err = db_transaction(db, end_one, &ending);
	return err;
}
