/* SPDX-License-Identifier: MIT */
#include "domain/exports.h"

/* The columns' names and types stand in the order of the statement's. */
static const struct section sections[] = {
	{ "users",
	    "SELECT id, status, tier, is_guest, apple_sub, email,"
	    " user_metadata, language,"
	    " theme_preference, app_account_token, credits_remaining,"
	    " credits_total, debt_credits, grant_state, created_at_ms,"
	    " updated_at_ms FROM users WHERE id = ?1",
	    { { "id", SECTION_ID }, { "status", SECTION_TEXT },
		{ "tier", SECTION_TEXT }, { "is_guest", SECTION_FLAG },
		{ "apple_sub", SECTION_TEXT }, { "email", SECTION_TEXT },
		{ "user_metadata", SECTION_TEXT }, { "language", SECTION_TEXT },
		{ "theme_preference", SECTION_TEXT },
		{ "app_account_token", SECTION_ID },
		{ "credits_remaining", SECTION_NUMBER },
		{ "credits_total", SECTION_NUMBER },
		{ "debt_credits", SECTION_NUMBER }, { "grant", SECTION_TEXT },
		{ "created_at", SECTION_TIME },
		{ "updated_at", SECTION_TIME } } },
	{ "merged_accounts",
	    "SELECT id, created_at_ms, updated_at_ms FROM users"
	    " WHERE merged_into_id = ?1 ORDER BY id",
	    { { "id", SECTION_ID }, { "created_at", SECTION_TIME },
		{ "merged_at", SECTION_TIME } } },
	{ "sessions",
	    "SELECT id, method, created_at_ms, refreshed_at_ms FROM sessions"
	    " WHERE user_id = ?1 ORDER BY refreshed_at_ms",
	    { { "id", SECTION_ID }, { "method", SECTION_TEXT },
		{ "created_at", SECTION_TIME },
		{ "refreshed_at", SECTION_TIME } } },
	{ "devices",
	    "SELECT granted_user_id IS NOT NULL, accounts_count,"
	    " bit_changes_count, rejections_count, created_at_ms, seen_at_ms"
	    " FROM devices WHERE user_id = ?1",
	    { { "free_credits_given", SECTION_FLAG },
		{ "accounts_opened", SECTION_NUMBER },
		{ "changes_seen", SECTION_NUMBER },
		{ "rejections", SECTION_NUMBER },
		{ "created_at", SECTION_TIME }, { "seen_at", SECTION_TIME } } },
	{ "apple_consents",
	    "SELECT client_id, created_at_ms FROM apple_tokens"
	    " WHERE user_id = ?1",
	    { { "client_id", SECTION_TEXT }, { "created_at", SECTION_TIME } } },
	{ "jobs",
	    "SELECT id, model_id, model_name, theme_id, company, prompt,"
	    " image_object_id, duration_s, resolution, aspect_ratio,"
	    " has_audio, cost_credits, state, error_code, is_hidden,"
	    " is_charge_kept, is_free, created_at_ms, completed_at_ms FROM "
	    "jobs WHERE "
	    "user_id = ?1"
	    " ORDER BY id",
	    { { "id", SECTION_ID }, { "model_id", SECTION_ID },
		{ "model_name", SECTION_TEXT }, { "theme_id", SECTION_ID },
		{ "company", SECTION_TEXT }, { "prompt", SECTION_TEXT },
		{ "image_object_id", SECTION_ID },
		{ "duration_s", SECTION_NUMBER },
		{ "resolution", SECTION_TEXT },
		{ "aspect_ratio", SECTION_TEXT }, { "has_audio", SECTION_FLAG },
		{ "cost_credits", SECTION_NUMBER }, { "state", SECTION_TEXT },
		{ "error_code", SECTION_TEXT }, { "is_deleted", SECTION_FLAG },
		{ "is_charge_kept", SECTION_FLAG }, { "is_free", SECTION_FLAG },
		{ "created_at", SECTION_TIME },
		{ "completed_at", SECTION_TIME } } },
	{ "attempts",
	    "SELECT a.job_id, a.number, a.model_id, a.provider, a.state, "
	    "a.seed,"
	    " a.request_id,"
	    " a.sent_at_ms, a.ended_at_ms, a.error_code FROM jobs j"
	    " JOIN attempts a ON a.job_id = j.id WHERE j.user_id = ?1"
	    " ORDER BY j.id, a.number",
	    { { "job_id", SECTION_ID }, { "number", SECTION_NUMBER },
		{ "model_id", SECTION_ID }, { "provider", SECTION_TEXT },
		{ "state", SECTION_TEXT }, { "seed", SECTION_NUMBER },
		{ "request_id", SECTION_TEXT }, { "sent_at", SECTION_TIME },
		{ "ended_at", SECTION_TIME },
		{ "error_code", SECTION_TEXT } } },
	{ "requests",
	    "SELECT key, job_id, credits_used, created_at_ms"
	    " FROM idempotency_records WHERE user_id = ?1 ORDER BY key",
	    { { "idempotency_key", SECTION_TEXT }, { "job_id", SECTION_ID },
		{ "credits_used", SECTION_NUMBER },
		{ "created_at", SECTION_TIME } } },
	/* What happened before a merge stands under the account of then. */
	{ "ledger_entries",
	    "SELECT user_id, number, kind, amount_credits, change,"
	    " balance_after, job_id, lot_id, reason, created_at_ms"
	    " FROM ledger_entries WHERE user_id IN (SELECT ?1 UNION ALL"
	    "  SELECT id FROM users WHERE merged_into_id = ?1)"
	    " ORDER BY user_id, number",
	    { { "user_id", SECTION_ID }, { "number", SECTION_NUMBER },
		{ "kind", SECTION_TEXT }, { "amount_credits", SECTION_NUMBER },
		{ "change", SECTION_NUMBER },
		{ "balance_after", SECTION_NUMBER }, { "job_id", SECTION_ID },
		{ "lot_id", SECTION_ID }, { "reason", SECTION_TEXT },
		{ "created_at", SECTION_TIME } } },
	{ "credit_lots",
	    "SELECT id, source, credits, remaining_credits, expires_at_ms,"
	    " expired_credits, refunded_credits, owed_credits, paid_credits,"
	    " is_debt_forgiven, purchase_id, created_at_ms"
	    " FROM credit_lots WHERE user_id = ?1 ORDER BY id",
	    { { "id", SECTION_ID }, { "source", SECTION_TEXT },
		{ "credits", SECTION_NUMBER },
		{ "remaining_credits", SECTION_NUMBER },
		{ "expires_at", SECTION_TIME },
		{ "expired_credits", SECTION_NUMBER },
		{ "refunded_credits", SECTION_NUMBER },
		{ "owed_credits", SECTION_NUMBER },
		{ "paid_credits", SECTION_NUMBER },
		{ "is_debt_forgiven", SECTION_FLAG },
		{ "purchase_id", SECTION_ID },
		{ "created_at", SECTION_TIME } } },
	{ "purchases",
	    "SELECT id, transaction_id, original_transaction_id, environment,"
	    " kind, product_id, quantity, price_milli, currency,"
	    " purchased_at_ms, expires_at_ms, refund_millipercent,"
	    " is_upgraded, waits_for, credits, added_credits, credited_at_ms,"
	    " created_at_ms, account_token FROM purchases WHERE user_id = ?1"
	    " ORDER BY id",
	    { { "id", SECTION_ID }, { "transaction_id", SECTION_TEXT },
		{ "original_transaction_id", SECTION_TEXT },
		{ "environment", SECTION_TEXT }, { "kind", SECTION_TEXT },
		{ "product_id", SECTION_TEXT }, { "quantity", SECTION_NUMBER },
		{ "price_milli", SECTION_NUMBER }, { "currency", SECTION_TEXT },
		{ "purchased_at", SECTION_TIME },
		{ "expires_at", SECTION_TIME },
		{ "refund_millipercent", SECTION_NUMBER },
		{ "is_upgraded", SECTION_FLAG }, { "waits_for", SECTION_TEXT },
		{ "credits", SECTION_NUMBER },
		{ "added_credits", SECTION_NUMBER },
		{ "credited_at", SECTION_TIME }, { "created_at", SECTION_TIME },
		{ "app_account_token", SECTION_ID } } },
	{ "consumption_requests",
	    "SELECT r.purchase_id, r.state, r.reason, r.asked_at_ms,"
	    " r.deadline_at_ms, r.consumed_millipercent, r.answered_at_ms"
	    " FROM purchases p JOIN consumption_requests r"
	    " ON r.purchase_id = p.id WHERE p.user_id = ?1 ORDER BY p.id",
	    { { "purchase_id", SECTION_ID }, { "state", SECTION_TEXT },
		{ "reason", SECTION_TEXT }, { "asked_at", SECTION_TIME },
		{ "deadline_at", SECTION_TIME },
		{ "consumed_millipercent", SECTION_NUMBER },
		{ "answered_at", SECTION_TIME } } },
	{ "limit_violations",
	    "SELECT kind, hour_at_ms, count, last_at_ms FROM limit_violations"
	    " WHERE subject = ?1 ORDER BY hour_at_ms, kind",
	    { { "kind", SECTION_TEXT }, { "hour_at", SECTION_TIME },
		{ "count", SECTION_NUMBER }, { "last_at", SECTION_TIME } } },
	{ "subscriptions",
	    "SELECT original_transaction_id, environment, product_id,"
	    " active_until_ms, is_active, grace_until_ms, renews,"
	    " created_at_ms FROM subscriptions WHERE user_id = ?1",
	    { { "original_transaction_id", SECTION_TEXT },
		{ "environment", SECTION_TEXT }, { "product_id", SECTION_TEXT },
		{ "active_until", SECTION_TIME }, { "is_active", SECTION_FLAG },
		{ "grace_until", SECTION_TIME }, { "renews", SECTION_FLAG },
		{ "created_at", SECTION_TIME } } },
	{ "purchase_lookups",
	    "SELECT transaction_id, state, tries_count, created_at_ms"
	    " FROM purchase_lookups WHERE user_id = ?1"
	    " ORDER BY transaction_id",
	    { { "transaction_id", SECTION_TEXT }, { "state", SECTION_TEXT },
		{ "tries_count", SECTION_NUMBER },
		{ "created_at", SECTION_TIME } } },
	{ "consents",
	    "SELECT number, is_given, text_version, created_at_ms"
	    " FROM consents WHERE user_id = ?1 ORDER BY number",
	    { { "number", SECTION_NUMBER }, { "is_given", SECTION_FLAG },
		{ "text_version", SECTION_TEXT },
		{ "created_at", SECTION_TIME } } },
	{ "push_tokens",
	    "SELECT t.token, t.environment, t.session_id, t.registered_at_ms"
	    " FROM sessions s JOIN push_tokens t ON t.session_id = s.id"
	    " WHERE s.user_id = ?1 ORDER BY t.registered_at_ms",
	    { { "phone", SECTION_TEXT }, { "environment", SECTION_TEXT },
		{ "session_id", SECTION_ID },
		{ "registered_at", SECTION_TIME } } },
	/* What those who run this did to the account. */
	{ "admin_acts",
	    "SELECT action, subject_id, credits, reason, created_at_ms"
	    " FROM admin_log WHERE user_id = ?1 ORDER BY number",
	    { { "action", SECTION_TEXT }, { "subject_id", SECTION_ID },
		{ "credits", SECTION_NUMBER }, { "reason", SECTION_TEXT },
		{ "created_at", SECTION_TIME } } },
	{ "objects",
	    "SELECT id, bucket, name, job_id, state, content_type,"
	    " size_bytes, created_at_ms FROM objects WHERE user_id = ?1"
	    " ORDER BY id",
	    { { "id", SECTION_ID }, { "bucket", SECTION_TEXT },
		{ "name", SECTION_TEXT }, { "job_id", SECTION_ID },
		{ "state", SECTION_TEXT }, { "content_type", SECTION_TEXT },
		{ "size_bytes", SECTION_NUMBER },
		{ "created_at", SECTION_TIME } } },
	{ "hold_lots",
	    "SELECT h.job_id, h.lot_id, h.credits FROM jobs j"
	    " JOIN hold_lots h ON h.job_id = j.id WHERE j.user_id = ?1"
	    " ORDER BY j.id, h.lot_id",
	    { { "job_id", SECTION_ID }, { "lot_id", SECTION_ID },
		{ "credits", SECTION_NUMBER } } },
	{ "events",
	    "SELECT user_id, kind, job_id, created_at_ms FROM events"
	    " WHERE user_id IN (SELECT ?1 UNION ALL"
	    "  SELECT id FROM users WHERE merged_into_id = ?1)"
	    " ORDER BY user_id, id",
	    { { "user_id", SECTION_ID }, { "kind", SECTION_TEXT },
		{ "job_id", SECTION_ID }, { "created_at", SECTION_TIME } } },
};

enum err
exports_read(struct db *db, const struct uuid *user_id,
    const struct section_reader *reader)
{
	const struct section_param param = { .type = SECTION_ID,
		.id = user_id };
	size_t rows;
	enum err err;

	for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
		err = sections_read(db, &sections[i], &param, 1, reader, &rows);
		if (err != OK)
			return err;
		if (i == 0 && rows == 0)
			return ERR_USER_NOT_FOUND;
	}
	return OK;
}
