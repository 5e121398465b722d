/* SPDX-License-Identifier: MIT */
#include "domain/exports.h"

#define COLUMNS_MAX 20

/* The columns' names and types stand in the order of the statement's. */
static const struct section {
	const char *name;
	const char *sql;
	struct {
		const char *name;
		enum export_type type;
	} column[COLUMNS_MAX];
} sections[] = {
	{ "users",
	    "SELECT id, status, tier, is_guest, apple_sub, email,"
	    " user_metadata, language,"
	    " theme_preference, app_account_token, credits_remaining,"
	    " credits_total, debt_credits, grant_state, created_at_ms,"
	    " updated_at_ms FROM users WHERE id = ?1",
	    { { "id", EXPORT_ID }, { "status", EXPORT_TEXT },
		{ "tier", EXPORT_TEXT }, { "is_guest", EXPORT_FLAG },
		{ "apple_sub", EXPORT_TEXT }, { "email", EXPORT_TEXT },
		{ "user_metadata", EXPORT_TEXT }, { "language", EXPORT_TEXT },
		{ "theme_preference", EXPORT_TEXT },
		{ "app_account_token", EXPORT_ID },
		{ "credits_remaining", EXPORT_NUMBER },
		{ "credits_total", EXPORT_NUMBER },
		{ "debt_credits", EXPORT_NUMBER }, { "grant", EXPORT_TEXT },
		{ "created_at", EXPORT_TIME },
		{ "updated_at", EXPORT_TIME } } },
	{ "merged_accounts",
	    "SELECT id, created_at_ms, updated_at_ms FROM users"
	    " WHERE merged_into_id = ?1 ORDER BY id",
	    { { "id", EXPORT_ID }, { "created_at", EXPORT_TIME },
		{ "merged_at", EXPORT_TIME } } },
	{ "sessions",
	    "SELECT id, method, created_at_ms, refreshed_at_ms FROM sessions"
	    " WHERE user_id = ?1 ORDER BY refreshed_at_ms",
	    { { "id", EXPORT_ID }, { "method", EXPORT_TEXT },
		{ "created_at", EXPORT_TIME },
		{ "refreshed_at", EXPORT_TIME } } },
	{ "devices",
	    "SELECT granted_user_id IS NOT NULL, accounts_count,"
	    " bit_changes_count, rejections_count, created_at_ms, seen_at_ms"
	    " FROM devices WHERE user_id = ?1",
	    { { "free_credits_given", EXPORT_FLAG },
		{ "accounts_opened", EXPORT_NUMBER },
		{ "changes_seen", EXPORT_NUMBER },
		{ "rejections", EXPORT_NUMBER }, { "created_at", EXPORT_TIME },
		{ "seen_at", EXPORT_TIME } } },
	{ "apple_consents",
	    "SELECT client_id, created_at_ms FROM apple_tokens"
	    " WHERE user_id = ?1",
	    { { "client_id", EXPORT_TEXT }, { "created_at", EXPORT_TIME } } },
	{ "jobs",
	    "SELECT id, model_id, model_name, theme_id, company, prompt,"
	    " image_object_id, duration_s, resolution, aspect_ratio,"
	    " has_audio, cost_credits, state, error_code, is_hidden,"
	    " is_charge_kept, is_free, created_at_ms, completed_at_ms FROM "
	    "jobs WHERE "
	    "user_id = ?1"
	    " ORDER BY id",
	    { { "id", EXPORT_ID }, { "model_id", EXPORT_ID },
		{ "model_name", EXPORT_TEXT }, { "theme_id", EXPORT_ID },
		{ "company", EXPORT_TEXT }, { "prompt", EXPORT_TEXT },
		{ "image_object_id", EXPORT_ID },
		{ "duration_s", EXPORT_NUMBER }, { "resolution", EXPORT_TEXT },
		{ "aspect_ratio", EXPORT_TEXT }, { "has_audio", EXPORT_FLAG },
		{ "cost_credits", EXPORT_NUMBER }, { "state", EXPORT_TEXT },
		{ "error_code", EXPORT_TEXT }, { "is_deleted", EXPORT_FLAG },
		{ "is_charge_kept", EXPORT_FLAG }, { "is_free", EXPORT_FLAG },
		{ "created_at", EXPORT_TIME },
		{ "completed_at", EXPORT_TIME } } },
	{ "attempts",
	    "SELECT a.job_id, a.number, a.model_id, a.provider, a.state, "
	    "a.seed,"
	    " a.request_id,"
	    " a.sent_at_ms, a.ended_at_ms, a.error_code FROM jobs j"
	    " JOIN attempts a ON a.job_id = j.id WHERE j.user_id = ?1"
	    " ORDER BY j.id, a.number",
	    { { "job_id", EXPORT_ID }, { "number", EXPORT_NUMBER },
		{ "model_id", EXPORT_ID }, { "provider", EXPORT_TEXT },
		{ "state", EXPORT_TEXT }, { "seed", EXPORT_NUMBER },
		{ "request_id", EXPORT_TEXT }, { "sent_at", EXPORT_TIME },
		{ "ended_at", EXPORT_TIME }, { "error_code", EXPORT_TEXT } } },
	{ "requests",
	    "SELECT key, job_id, credits_used, created_at_ms"
	    " FROM idempotency_records WHERE user_id = ?1 ORDER BY key",
	    { { "idempotency_key", EXPORT_TEXT }, { "job_id", EXPORT_ID },
		{ "credits_used", EXPORT_NUMBER },
		{ "created_at", EXPORT_TIME } } },
	/* What happened before a merge stands under the account of then. */
	{ "ledger_entries",
	    "SELECT user_id, number, kind, amount_credits, change,"
	    " balance_after, job_id, lot_id, reason, created_at_ms"
	    " FROM ledger_entries WHERE user_id IN (SELECT ?1 UNION ALL"
	    "  SELECT id FROM users WHERE merged_into_id = ?1)"
	    " ORDER BY user_id, number",
	    { { "user_id", EXPORT_ID }, { "number", EXPORT_NUMBER },
		{ "kind", EXPORT_TEXT }, { "amount_credits", EXPORT_NUMBER },
		{ "change", EXPORT_NUMBER }, { "balance_after", EXPORT_NUMBER },
		{ "job_id", EXPORT_ID }, { "lot_id", EXPORT_ID },
		{ "reason", EXPORT_TEXT }, { "created_at", EXPORT_TIME } } },
	{ "credit_lots",
	    "SELECT id, source, credits, remaining_credits, expires_at_ms,"
	    " refunded_credits, owed_credits, paid_credits,"
	    " is_debt_forgiven, purchase_id, created_at_ms"
	    " FROM credit_lots WHERE user_id = ?1 ORDER BY id",
	    { { "id", EXPORT_ID }, { "source", EXPORT_TEXT },
		{ "credits", EXPORT_NUMBER },
		{ "remaining_credits", EXPORT_NUMBER },
		{ "expires_at", EXPORT_TIME },
		{ "refunded_credits", EXPORT_NUMBER },
		{ "owed_credits", EXPORT_NUMBER },
		{ "paid_credits", EXPORT_NUMBER },
		{ "is_debt_forgiven", EXPORT_FLAG },
		{ "purchase_id", EXPORT_ID }, { "created_at", EXPORT_TIME } } },
	{ "purchases",
	    "SELECT id, transaction_id, original_transaction_id, environment,"
	    " kind, product_id, quantity, price_milli, currency,"
	    " purchased_at_ms, expires_at_ms, refund_millipercent,"
	    " is_upgraded, waits_for, credits, added_credits, credited_at_ms,"
	    " created_at_ms, account_token FROM purchases WHERE user_id = ?1"
	    " ORDER BY id",
	    { { "id", EXPORT_ID }, { "transaction_id", EXPORT_TEXT },
		{ "original_transaction_id", EXPORT_TEXT },
		{ "environment", EXPORT_TEXT }, { "kind", EXPORT_TEXT },
		{ "product_id", EXPORT_TEXT }, { "quantity", EXPORT_NUMBER },
		{ "price_milli", EXPORT_NUMBER }, { "currency", EXPORT_TEXT },
		{ "purchased_at", EXPORT_TIME }, { "expires_at", EXPORT_TIME },
		{ "refund_millipercent", EXPORT_NUMBER },
		{ "is_upgraded", EXPORT_FLAG }, { "waits_for", EXPORT_TEXT },
		{ "credits", EXPORT_NUMBER },
		{ "added_credits", EXPORT_NUMBER },
		{ "credited_at", EXPORT_TIME }, { "created_at", EXPORT_TIME },
		{ "app_account_token", EXPORT_ID } } },
	{ "consumption_requests",
	    "SELECT r.purchase_id, r.state, r.reason, r.asked_at_ms,"
	    " r.deadline_at_ms, r.consumed_millipercent, r.answered_at_ms"
	    " FROM purchases p JOIN consumption_requests r"
	    " ON r.purchase_id = p.id WHERE p.user_id = ?1 ORDER BY p.id",
	    { { "purchase_id", EXPORT_ID }, { "state", EXPORT_TEXT },
		{ "reason", EXPORT_TEXT }, { "asked_at", EXPORT_TIME },
		{ "deadline_at", EXPORT_TIME },
		{ "consumed_millipercent", EXPORT_NUMBER },
		{ "answered_at", EXPORT_TIME } } },
	{ "limit_violations",
	    "SELECT kind, hour_at_ms, count, last_at_ms FROM limit_violations"
	    " WHERE subject = ?1 ORDER BY hour_at_ms, kind",
	    { { "kind", EXPORT_TEXT }, { "hour_at", EXPORT_TIME },
		{ "count", EXPORT_NUMBER }, { "last_at", EXPORT_TIME } } },
	{ "subscriptions",
	    "SELECT original_transaction_id, environment, product_id,"
	    " active_until_ms, is_active, grace_until_ms, renews,"
	    " created_at_ms FROM subscriptions WHERE user_id = ?1",
	    { { "original_transaction_id", EXPORT_TEXT },
		{ "environment", EXPORT_TEXT }, { "product_id", EXPORT_TEXT },
		{ "active_until", EXPORT_TIME }, { "is_active", EXPORT_FLAG },
		{ "grace_until", EXPORT_TIME }, { "renews", EXPORT_FLAG },
		{ "created_at", EXPORT_TIME } } },
	{ "purchase_lookups",
	    "SELECT transaction_id, state, tries_count, created_at_ms"
	    " FROM purchase_lookups WHERE user_id = ?1"
	    " ORDER BY transaction_id",
	    { { "transaction_id", EXPORT_TEXT }, { "state", EXPORT_TEXT },
		{ "tries_count", EXPORT_NUMBER },
		{ "created_at", EXPORT_TIME } } },
	{ "consents",
	    "SELECT number, is_given, text_version, created_at_ms"
	    " FROM consents WHERE user_id = ?1 ORDER BY number",
	    { { "number", EXPORT_NUMBER }, { "is_given", EXPORT_FLAG },
		{ "text_version", EXPORT_TEXT },
		{ "created_at", EXPORT_TIME } } },
	{ "push_tokens",
	    "SELECT t.token, t.environment, t.session_id, t.registered_at_ms"
	    " FROM sessions s JOIN push_tokens t ON t.session_id = s.id"
	    " WHERE s.user_id = ?1 ORDER BY t.registered_at_ms",
	    { { "phone", EXPORT_TEXT }, { "environment", EXPORT_TEXT },
		{ "session_id", EXPORT_ID },
		{ "registered_at", EXPORT_TIME } } },
	{ "objects",
	    "SELECT id, bucket, name, job_id, state, content_type,"
	    " size_bytes, created_at_ms FROM objects WHERE user_id = ?1"
	    " ORDER BY id",
	    { { "id", EXPORT_ID }, { "bucket", EXPORT_TEXT },
		{ "name", EXPORT_TEXT }, { "job_id", EXPORT_ID },
		{ "state", EXPORT_TEXT }, { "content_type", EXPORT_TEXT },
		{ "size_bytes", EXPORT_NUMBER },
		{ "created_at", EXPORT_TIME } } },
	{ "hold_lots",
	    "SELECT h.job_id, h.lot_id, h.credits FROM jobs j"
	    " JOIN hold_lots h ON h.job_id = j.id WHERE j.user_id = ?1"
	    " ORDER BY j.id, h.lot_id",
	    { { "job_id", EXPORT_ID }, { "lot_id", EXPORT_ID },
		{ "credits", EXPORT_NUMBER } } },
	{ "events",
	    "SELECT user_id, kind, job_id, created_at_ms FROM events"
	    " WHERE user_id IN (SELECT ?1 UNION ALL"
	    "  SELECT id FROM users WHERE merged_into_id = ?1)"
	    " ORDER BY user_id, id",
	    { { "user_id", EXPORT_ID }, { "kind", EXPORT_TEXT },
		{ "job_id", EXPORT_ID }, { "created_at", EXPORT_TIME } } },
};

static void
read_row(struct db_stmt *stmt, const struct section *section,
    const struct export_reader *reader)
{
	reader->begin_row(reader->arg);
	for (int i = 0; i < COLUMNS_MAX && section->column[i].name != NULL;
	     i++) {
		struct export_value value = {
			.name = section->column[i].name,
			.type = section->column[i].type,
			.is_null = db_column_is_null(stmt, i),
		};

		switch (value.type) {
		case EXPORT_TEXT:
			value.text = db_column_str(stmt, i);
			break;
		case EXPORT_ID:
			value.id = db_column_uuid(stmt, i);
			break;
		case EXPORT_NUMBER:
		case EXPORT_FLAG:
		case EXPORT_TIME:
			value.number = db_column_int64(stmt, i);
			break;
		}
		reader->value(reader->arg, &value);
	}
	reader->end_row(reader->arg);
}

static enum err
read_section(struct db *db, const struct uuid *user_id,
    const struct section *section, const struct export_reader *reader,
    size_t *ret_rows)
{
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, section->sql);
	size_t rows = 0;
	bool found;
	enum err err;

	reader->begin_section(reader->arg, section->name);
	db_bind_uuid(stmt, 1, user_id);
	for (; (err = db_step(stmt, &found)) == OK && found; rows++)
		read_row(stmt, section, reader);
	reader->end_section(reader->arg);
	if (err == OK)
		*ret_rows = rows;
	return err;
}

enum err
exports_read(struct db *db, const struct uuid *user_id,
    const struct export_reader *reader)
{
	size_t rows;
	enum err err;

	for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
		err = read_section(db, user_id, &sections[i], reader, &rows);
		if (err != OK)
			return err;
		if (i == 0 && rows == 0)
			return ERR_USER_NOT_FOUND;
	}
	return OK;
}
