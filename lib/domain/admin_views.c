/* SPDX-License-Identifier: MIT */
#include "domain/admin_views.h"

#include <assert.h>

#define USER_COLUMNS \
	"SELECT u.id, u.status, u.is_guest, u.tier, u.email," \
	" u.credits_remaining, u.created_at_ms"

#define USER_SECTION(sql_text) \
	{ \
		"users", sql_text, \
		{ \
			{ "id", SECTION_ID }, { "status", SECTION_TEXT }, \
			    { "is_guest", SECTION_FLAG }, \
			    { "tier", SECTION_TEXT }, \
			    { "email", SECTION_TEXT }, \
			    { "credits_remaining", SECTION_NUMBER }, \
			    { "created_at", SECTION_TIME }, \
			{ \
				"found_by", SECTION_TEXT \
			} \
		} \
	}

#define JOB_COLUMNS \
	"SELECT j.id, j.user_id, j.state, j.model_name, j.company," \
	" j.error_code, j.cost_credits, j.wish, j.created_at_ms," \
	" j.completed_at_ms, j.due_at_ms, j.deadline_at_ms," \
	" j.is_hidden, j.is_charge_kept, j.is_free," \
	" (SELECT COUNT(*) FROM attempts a WHERE a.job_id = j.id)," \
	" (SELECT l.kind FROM ledger_entries l WHERE l.job_id = j.id" \
	"  AND l.kind IN ('capture', 'release'))," \
	" EXISTS (SELECT 1 FROM ledger_entries l WHERE l.job_id = j.id" \
	"  AND l.kind = 'adjustment' AND l.job_id IS NOT NULL)"

#define JOB_SECTION(name_text, sql_text) \
	{ \
		name_text, sql_text, \
		{ \
			{ "id", SECTION_ID }, { "user_id", SECTION_ID }, \
			    { "state", SECTION_TEXT }, \
			    { "model_name", SECTION_TEXT }, \
			    { "company", SECTION_TEXT }, \
			    { "error_code", SECTION_TEXT }, \
			    { "cost_credits", SECTION_NUMBER }, \
			    { "wish", SECTION_TEXT }, \
			    { "created_at", SECTION_TIME }, \
			    { "completed_at", SECTION_TIME }, \
			    { "due_at", SECTION_TIME }, \
			    { "deadline_at", SECTION_TIME }, \
			    { "is_hidden", SECTION_FLAG }, \
			    { "is_charge_kept", SECTION_FLAG }, \
			    { "is_free", SECTION_FLAG }, \
			    { "attempts_count", SECTION_NUMBER }, \
			    { "settlement", SECTION_TEXT }, \
			    { "is_refunded", SECTION_FLAG }, \
			    { "prompt", SECTION_TEXT }, \
			    { "duration_s", SECTION_NUMBER }, \
			    { "resolution", SECTION_TEXT }, \
			{ \
				"has_image", SECTION_FLAG \
			} \
		} \
	}

static const struct section views[ADMIN_VIEW_MAX] = {
	[ADMIN_VIEW_USERS_BY_ID] = USER_SECTION(USER_COLUMNS
	    ", 'user' FROM users u WHERE u.id = ?1"
	    " UNION ALL " USER_COLUMNS ", 'account token' FROM users u"
	    " WHERE u.app_account_token = ?1"
	    " UNION ALL " USER_COLUMNS ", 'job' FROM jobs j"
	    " JOIN users u ON u.id = j.user_id WHERE j.id = ?1"),
	[ADMIN_VIEW_USERS_BY_TRANSACTION] = USER_SECTION(USER_COLUMNS
	    ", 'transaction' FROM purchases p"
	    " JOIN users u ON u.id = p.user_id WHERE p.transaction_id = ?1"
	    " UNION " USER_COLUMNS ", 'transaction' FROM purchases p"
	    " JOIN users u ON u.id = p.user_id"
	    " WHERE p.environment IN ('Production', 'Sandbox')"
	    " AND p.original_transaction_id = ?1"),
	[ADMIN_VIEW_USERS_BY_EMAIL] = USER_SECTION(
	    USER_COLUMNS ", 'email' FROM users u WHERE u.email IS NOT NULL"
			 " AND lower(u.email) >= ?1 AND lower(u.email) < ?2"
			 " ORDER BY lower(u.email) LIMIT ?3"),
	[ADMIN_VIEW_USERS_NEWEST] = USER_SECTION(
	    USER_COLUMNS ", 'newest' FROM users u WHERE u.created_at_ms > 0"
			 " ORDER BY u.created_at_ms DESC LIMIT 20"),
	[ADMIN_VIEW_USER] = { "user",
	    "SELECT u.id, u.status, u.is_guest, u.tier, u.email, u.apple_sub,"
	    " u.language, u.app_account_token, u.credits_remaining,"
	    " u.credits_total, u.debt_credits, u.grant_state,"
	    " u.merged_into_id, u.created_at_ms, u.updated_at_ms,"
	    " (SELECT COUNT(*) FROM sessions s WHERE s.user_id = u.id),"
	    " (SELECT COUNT(*) FROM jobs j WHERE j.user_id = u.id),"
	    " (SELECT COUNT(*) FROM jobs j WHERE j.user_id = u.id"
	    "  AND j.due_at_ms IS NOT NULL),"
	    " (SELECT COUNT(*) FROM purchases p WHERE p.user_id = u.id)"
	    " FROM users u WHERE u.id = ?1",
	    { { "id", SECTION_ID }, { "status", SECTION_TEXT },
		{ "is_guest", SECTION_FLAG }, { "tier", SECTION_TEXT },
		{ "email", SECTION_TEXT }, { "apple_sub", SECTION_TEXT },
		{ "language", SECTION_TEXT },
		{ "app_account_token", SECTION_ID },
		{ "credits_remaining", SECTION_NUMBER },
		{ "credits_total", SECTION_NUMBER },
		{ "debt_credits", SECTION_NUMBER }, { "grant", SECTION_TEXT },
		{ "merged_into_id", SECTION_ID },
		{ "created_at", SECTION_TIME }, { "updated_at", SECTION_TIME },
		{ "sessions_count", SECTION_NUMBER },
		{ "jobs_count", SECTION_NUMBER },
		{ "jobs_open_count", SECTION_NUMBER },
		{ "purchases_count", SECTION_NUMBER } } },
	[ADMIN_VIEW_USER_PURCHASES] = { "purchases",
	    "SELECT id, environment, transaction_id, original_transaction_id,"
	    " product_id, quantity, price_milli, currency, purchased_at_ms,"
	    " refund_millipercent, waits_for, credits FROM purchases"
	    " WHERE user_id = ?1 ORDER BY id DESC LIMIT 100",
	    { { "id", SECTION_ID }, { "environment", SECTION_TEXT },
		{ "transaction_id", SECTION_TEXT },
		{ "original_transaction_id", SECTION_TEXT },
		{ "product_id", SECTION_TEXT }, { "quantity", SECTION_NUMBER },
		{ "price_milli", SECTION_NUMBER }, { "currency", SECTION_TEXT },
		{ "purchased_at", SECTION_TIME },
		{ "refund_millipercent", SECTION_NUMBER },
		{ "waits_for", SECTION_TEXT },
		{ "credits", SECTION_NUMBER } } },
	/* Everything that has a time, in one list. */
	[ADMIN_VIEW_USER_TIMELINE] = { "timeline",
	    "SELECT created_at_ms AS at_ms, 'account' AS kind,"
	    " 'created' AS what, NULL AS note, NULL AS subject_id,"
	    " NULL AS credits, NULL AS balance, NULL AS number"
	    " FROM users WHERE id = ?1"
	    " UNION ALL SELECT created_at_ms, 'ledger', kind, reason, job_id,"
	    " change, balance_after, number FROM ledger_entries"
	    " WHERE user_id = ?1"
	    " UNION ALL SELECT created_at_ms, 'job', 'ordered', model_name, id,"
	    " cost_credits, NULL, NULL FROM jobs WHERE user_id = ?1"
	    " UNION ALL SELECT completed_at_ms, 'job', state, error_code, id,"
	    " NULL, NULL, NULL FROM jobs WHERE user_id = ?1"
	    " AND completed_at_ms IS NOT NULL"
	    " UNION ALL SELECT a.sent_at_ms, 'provider', 'sent',"
	    " COALESCE(a.provider, '') || ' ' || COALESCE(a.request_id, ''),"
	    " j.id, NULL, NULL, a.number FROM jobs j"
	    " JOIN attempts a ON a.job_id = j.id WHERE j.user_id = ?1"
	    " AND a.sent_at_ms IS NOT NULL"
	    " UNION ALL SELECT a.ended_at_ms, 'provider', a.state,"
	    " a.error_code, j.id, NULL, NULL, a.number FROM jobs j"
	    " JOIN attempts a ON a.job_id = j.id WHERE j.user_id = ?1"
	    " AND a.ended_at_ms IS NOT NULL"
	    " UNION ALL SELECT r.received_at_ms, 'provider',"
	    " 'told ' || r.outcome, r.error_code, j.id, NULL, NULL, a.number"
	    " FROM jobs j JOIN attempts a ON a.job_id = j.id"
	    " JOIN provider_reports r ON r.attempt_id = a.id"
	    " WHERE j.user_id = ?1"
	    " UNION ALL SELECT purchased_at_ms, 'purchase', product_id,"
	    " transaction_id, id, credits, NULL, NULL FROM purchases"
	    " WHERE user_id = ?1"
	    " UNION ALL SELECT created_at_ms, 'device', 'first seen', NULL,"
	    " NULL, NULL, NULL, accounts_count FROM devices WHERE user_id = ?1"
	    " UNION ALL SELECT seen_at_ms, 'device', 'last seen', NULL, NULL,"
	    " NULL, NULL, NULL FROM devices WHERE user_id = ?1"
	    " UNION ALL SELECT created_at_ms, 'session', 'opened', method, id,"
	    " NULL, NULL, NULL FROM sessions WHERE user_id = ?1"
	    " UNION ALL SELECT refreshed_at_ms, 'session', 'last refreshed',"
	    " method, id, NULL, NULL, refresh_counter FROM sessions"
	    " WHERE user_id = ?1 AND refresh_counter > 0"
	    " UNION ALL SELECT created_at_ms, 'consent',"
	    " CASE is_given WHEN 1 THEN 'given' ELSE 'taken back' END,"
	    " text_version, NULL, NULL, NULL, number FROM consents"
	    " WHERE user_id = ?1"
	    " UNION ALL SELECT created_at_ms, 'admin', action,"
	    " actor || ': ' || reason, subject_id, credits, NULL, number"
	    " FROM admin_log WHERE user_id = ?1"
	    " ORDER BY at_ms DESC, kind, number DESC LIMIT ?2 OFFSET ?3",
	    { { "at", SECTION_TIME }, { "kind", SECTION_TEXT },
		{ "what", SECTION_TEXT }, { "note", SECTION_TEXT },
		{ "subject_id", SECTION_ID }, { "credits", SECTION_NUMBER },
		{ "balance", SECTION_NUMBER }, { "number", SECTION_NUMBER } } },
	[ADMIN_VIEW_USER_LEDGER] = { "ledger",
	    "SELECT number, kind, amount_credits, change, balance_after,"
	    " job_id, reason, created_at_ms FROM ledger_entries"
	    " WHERE user_id = ?1 ORDER BY number DESC LIMIT ?2 OFFSET ?3",
	    { { "number", SECTION_NUMBER }, { "kind", SECTION_TEXT },
		{ "amount_credits", SECTION_NUMBER },
		{ "change", SECTION_NUMBER },
		{ "balance_after", SECTION_NUMBER }, { "job_id", SECTION_ID },
		{ "reason", SECTION_TEXT }, { "created_at", SECTION_TIME } } },
	/* By the index of open jobs; the oldest first. */
	[ADMIN_VIEW_JOBS_OPEN] = JOB_SECTION("open",
	    JOB_COLUMNS " FROM jobs j WHERE j.due_at_ms IS NOT NULL"
			" ORDER BY j.created_at_ms LIMIT ?1"),
	[ADMIN_VIEW_JOBS_ENDED] = JOB_SECTION("ended",
	    JOB_COLUMNS " FROM jobs j WHERE j.completed_at_ms > 0"
			" ORDER BY j.completed_at_ms DESC LIMIT ?1 OFFSET ?2"),
	[ADMIN_VIEW_JOB] = JOB_SECTION("job",
	    JOB_COLUMNS ", j.prompt, j.duration_s, j.resolution,"
			" j.image_object_id IS NOT NULL"
			" FROM jobs j WHERE j.id = ?1"),
	[ADMIN_VIEW_JOB_ATTEMPTS] = { "attempts",
	    "SELECT a.number, a.state, a.provider, a.request_id, m.endpoint,"
	    " a.error_code, a.calls_count, a.cost_micro_usd, a.sent_at_ms,"
	    " a.ended_at_ms FROM attempts a"
	    " LEFT JOIN models m ON m.id = a.model_id"
	    " WHERE a.job_id = ?1 ORDER BY a.number",
	    { { "number", SECTION_NUMBER }, { "state", SECTION_TEXT },
		{ "provider", SECTION_TEXT }, { "request_id", SECTION_TEXT },
		{ "endpoint", SECTION_TEXT }, { "error_code", SECTION_TEXT },
		{ "calls_count", SECTION_NUMBER },
		{ "cost_micro_usd", SECTION_NUMBER },
		{ "sent_at", SECTION_TIME }, { "ended_at", SECTION_TIME } } },
	[ADMIN_VIEW_JOB_REPORTS] = { "reports",
	    "SELECT r.outcome, r.error_code, r.received_at_ms, r.handled_at_ms"
	    " FROM attempts a JOIN provider_reports r ON r.attempt_id = a.id"
	    " WHERE a.job_id = ?1 ORDER BY r.received_at_ms",
	    { { "outcome", SECTION_TEXT }, { "error_code", SECTION_TEXT },
		{ "received_at", SECTION_TIME },
		{ "handled_at", SECTION_TIME } } },
	/* By the three indexes that say what a job may have once. */
	[ADMIN_VIEW_JOB_LEDGER] = { "ledger",
	    "SELECT number, kind, change, balance_after, reason, created_at_ms"
	    " FROM ledger_entries WHERE job_id = ?1 AND kind = 'hold'"
	    " UNION ALL SELECT number, kind, change, balance_after, reason,"
	    " created_at_ms FROM ledger_entries"
	    " WHERE job_id = ?1 AND kind IN ('capture', 'release')"
	    " UNION ALL SELECT number, kind, change, balance_after, reason,"
	    " created_at_ms FROM ledger_entries WHERE job_id = ?1"
	    " AND kind = 'adjustment' AND job_id IS NOT NULL",
	    { { "number", SECTION_NUMBER }, { "kind", SECTION_TEXT },
		{ "change", SECTION_NUMBER },
		{ "balance_after", SECTION_NUMBER }, { "reason", SECTION_TEXT },
		{ "created_at", SECTION_TIME } } },
	[ADMIN_VIEW_MODELS] = { "models",
	    "SELECT id, name, company, endpoint, category, description,"
	    " thumbnail_url, state, is_active, is_featured, requires_image,"
	    " cost_per_generation, has_audio, omits, fallback_id,"
	    " spend_cap_micro_usd_per_day,"
	    " EXISTS (SELECT 1 FROM model_prices p WHERE p.model_id = "
	    "models.id)"
	    " FROM models ORDER BY position",
	    { { "id", SECTION_ID }, { "name", SECTION_TEXT },
		{ "company", SECTION_TEXT }, { "endpoint", SECTION_TEXT },
		{ "category", SECTION_TEXT }, { "description", SECTION_TEXT },
		{ "thumbnail_url", SECTION_TEXT }, { "state", SECTION_TEXT },
		{ "is_active", SECTION_FLAG }, { "is_featured", SECTION_FLAG },
		{ "requires_image", SECTION_FLAG },
		{ "cost_per_generation", SECTION_NUMBER },
		{ "has_audio", SECTION_FLAG }, { "omits", SECTION_TEXT },
		{ "fallback_id", SECTION_ID },
		{ "spend_cap_micro_usd_per_day", SECTION_NUMBER },
		{ "is_priced_by_second", SECTION_FLAG } } },
	[ADMIN_VIEW_MODEL_PRICES] = { "prices",
	    "SELECT model_id, resolution, has_audio, millicredits_per_second,"
	    " provider_micro_usd_per_second FROM model_prices"
	    " ORDER BY model_id, resolution, has_audio",
	    { { "model_id", SECTION_ID }, { "resolution", SECTION_TEXT },
		{ "has_audio", SECTION_FLAG },
		{ "millicredits_per_second", SECTION_NUMBER },
		{ "provider_micro_usd_per_second", SECTION_NUMBER } } },
	[ADMIN_VIEW_THEMES] = { "themes",
	    "SELECT id, name, description, thumbnail_url, prompt, is_featured,"
	    " is_available, default_duration_s, default_resolution,"
	    " default_aspect_ratio FROM themes"
	    " ORDER BY is_featured DESC, name",
	    { { "id", SECTION_ID }, { "name", SECTION_TEXT },
		{ "description", SECTION_TEXT },
		{ "thumbnail_url", SECTION_TEXT }, { "prompt", SECTION_TEXT },
		{ "is_featured", SECTION_FLAG },
		{ "is_available", SECTION_FLAG },
		{ "default_duration_s", SECTION_NUMBER },
		{ "default_resolution", SECTION_TEXT },
		{ "default_aspect_ratio", SECTION_TEXT } } },
	[ADMIN_VIEW_PRODUCTS] = { "products",
	    "SELECT id, credits, is_available FROM products ORDER BY credits",
	    { { "id", SECTION_TEXT }, { "credits", SECTION_NUMBER },
		{ "is_available", SECTION_FLAG } } },
	[ADMIN_VIEW_SWITCHES] = { "switches",
	    "SELECT name, is_on, changed_at_ms FROM switches"
	    " WHERE name = 'maintenance'",
	    { { "name", SECTION_TEXT }, { "is_on", SECTION_FLAG },
		{ "changed_at", SECTION_TIME } } },
	[ADMIN_VIEW_BREAKERS] = { "breakers",
	    "SELECT company, endpoint, reason, failures_count, opened_at_ms,"
	    " probe_at_ms FROM breakers WHERE company >= ''"
	    " ORDER BY company, endpoint",
	    { { "company", SECTION_TEXT }, { "endpoint", SECTION_TEXT },
		{ "reason", SECTION_TEXT }, { "failures", SECTION_NUMBER },
		{ "opened_at", SECTION_TIME },
		{ "next_try_at", SECTION_TIME } } },
	[ADMIN_VIEW_STORAGE] = { "storage",
	    "SELECT level, used_bytes, limit_bytes, measured_at_ms"
	    " FROM storage_level WHERE id = 1",
	    { { "level", SECTION_TEXT }, { "used_bytes", SECTION_NUMBER },
		{ "limit_bytes", SECTION_NUMBER },
		{ "measured_at", SECTION_TIME } } },
	[ADMIN_VIEW_ALARMS] = { "alarms",
	    "SELECT name, subject, detail, raised_at_ms FROM alarms"
	    " WHERE is_raised = 1 AND raised_at_ms > 0 ORDER BY raised_at_ms",
	    { { "name", SECTION_TEXT }, { "subject", SECTION_TEXT },
		{ "detail", SECTION_TEXT }, { "raised_at", SECTION_TIME } } },
	[ADMIN_VIEW_BACKUP] = { "backup",
	    "SELECT NULLIF(good_at_ms, 0), NULLIF(failed_at_ms, 0)"
	    " FROM backup_state WHERE id = 1",
	    { { "good_at", SECTION_TIME }, { "failed_at", SECTION_TIME } } },
	[ADMIN_VIEW_AUDIT] = { "audit",
	    "SELECT made_at_ms, violations_count, violated FROM audit_state"
	    " WHERE id = 1 AND made_at_ms > 0",
	    { { "made_at", SECTION_TIME }, { "violations", SECTION_NUMBER },
		{ "violated", SECTION_TEXT } } },
	[ADMIN_VIEW_QUEUE] = { "queue",
	    "SELECT state, COUNT(*), MIN(created_at_ms), SUM(cost_credits)"
	    " FROM jobs WHERE due_at_ms IS NOT NULL GROUP BY state",
	    { { "state", SECTION_TEXT }, { "jobs", SECTION_NUMBER },
		{ "oldest_at", SECTION_TIME },
		{ "credits", SECTION_NUMBER } } },
	[ADMIN_VIEW_LOG] = { "log",
	    "SELECT l.number, l.actor, l.address, l.action, l.user_id,"
	    " l.subject_id, l.field, l.old_value, l.new_value, l.credits,"
	    " l.reason, l.undoes_number, u.number, l.created_at_ms"
	    " FROM admin_log l"
	    " LEFT JOIN admin_log u ON u.undoes_number = l.number"
	    " WHERE l.number < ?1 ORDER BY l.number DESC LIMIT ?2",
	    { { "number", SECTION_NUMBER }, { "actor", SECTION_TEXT },
		{ "address", SECTION_TEXT }, { "action", SECTION_TEXT },
		{ "user_id", SECTION_ID }, { "subject_id", SECTION_ID },
		{ "field", SECTION_TEXT }, { "old_value", SECTION_TEXT },
		{ "new_value", SECTION_TEXT }, { "credits", SECTION_NUMBER },
		{ "reason", SECTION_TEXT }, { "undoes_number", SECTION_NUMBER },
		{ "undone_by_number", SECTION_NUMBER },
		{ "created_at", SECTION_TIME } } },
	[ADMIN_VIEW_ADMINS] = { "admins",
	    "SELECT name, is_disabled, signed_in_at_ms, created_at_ms"
	    " FROM admins ORDER BY name",
	    { { "name", SECTION_TEXT }, { "is_disabled", SECTION_FLAG },
		{ "signed_in_at", SECTION_TIME },
		{ "created_at", SECTION_TIME } } },
	[ADMIN_VIEW_DAYS_USERS] = { "days_users",
	    "SELECT created_at_ms / 86400000 * 86400000 AS day, COUNT(*),"
	    " SUM(CASE WHEN apple_sub IS NULL THEN 0 ELSE 1 END)"
	    " FROM users WHERE created_at_ms >= ?1"
	    " GROUP BY created_at_ms / 86400000 ORDER BY day",
	    { { "day", SECTION_TIME }, { "users", SECTION_NUMBER },
		{ "linked_to_apple", SECTION_NUMBER } } },
	[ADMIN_VIEW_DAYS_JOBS] = { "days_jobs",
	    "SELECT completed_at_ms / 86400000 * 86400000 AS day,"
	    " SUM(CASE state WHEN 'completed' THEN 1 ELSE 0 END),"
	    " SUM(CASE state WHEN 'cancelled' THEN 1 ELSE 0 END),"
	    " SUM(CASE WHEN state IN ('failed', 'lost') THEN 1 ELSE 0 END)"
	    " FROM jobs WHERE completed_at_ms >= ?1"
	    " GROUP BY completed_at_ms / 86400000 ORDER BY day",
	    { { "day", SECTION_TIME }, { "completed", SECTION_NUMBER },
		{ "cancelled", SECTION_NUMBER },
		{ "failed", SECTION_NUMBER } } },
	[ADMIN_VIEW_DAYS_REVENUE] = { "days_revenue",
	    "SELECT purchased_at_ms / 86400000 * 86400000 AS day, environment,"
	    " currency, COUNT(*), COALESCE(SUM(price_milli), 0),"
	    " COALESCE(SUM(price_milli * refund_millipercent / 100000), 0),"
	    " SUM(credits) FROM purchases WHERE purchased_at_ms >= ?1"
	    " GROUP BY purchased_at_ms / 86400000, environment, currency"
	    " ORDER BY day",
	    { { "day", SECTION_TIME }, { "environment", SECTION_TEXT },
		{ "currency", SECTION_TEXT }, { "purchases", SECTION_NUMBER },
		{ "price_milli", SECTION_NUMBER },
		{ "refunded_milli", SECTION_NUMBER },
		{ "credits", SECTION_NUMBER } } },
	/* What jobs brought, and the most that their attempts can cost. */
	[ADMIN_VIEW_DAYS_CREDITS] = { "days_credits",
	    "SELECT day, SUM(credits), SUM(credits) * ?2, SUM(cost),"
	    " SUM(credits) * ?2 - SUM(cost) FROM ("
	    "SELECT j.completed_at_ms / 86400000 * 86400000 AS day,"
	    " SUM(j.cost_credits) AS credits, 0 AS cost FROM jobs j"
	    " WHERE j.completed_at_ms >= ?1"
	    " AND (j.state = 'completed' AND j.is_free = 0"
	    "  OR j.is_charge_kept = 1)"
	    " AND NOT EXISTS (SELECT 1 FROM ledger_entries l"
	    "  WHERE l.job_id = j.id AND l.kind = 'adjustment'"
	    "  AND l.job_id IS NOT NULL)"
	    " GROUP BY j.completed_at_ms / 86400000"
	    " UNION ALL SELECT s.day * 86400000, 0, SUM(s.micro_usd)"
	    " FROM provider_spend s WHERE s.day >= ?1 / 86400000"
	    " GROUP BY s.day) AS parts GROUP BY day ORDER BY day",
	    { { "day", SECTION_TIME }, { "credits", SECTION_NUMBER },
		{ "value_micro_usd", SECTION_NUMBER },
		{ "cost_micro_usd", SECTION_NUMBER },
		{ "margin_micro_usd", SECTION_NUMBER } } },
	[ADMIN_VIEW_MODEL_MARGINS] = { "margins",
	    "SELECT m.id, m.name, m.endpoint, SUM(parts.completed),"
	    " SUM(parts.failed), SUM(parts.credits), SUM(parts.credits) * ?2,"
	    " SUM(parts.cost), SUM(parts.credits) * ?2 - SUM(parts.cost) FROM ("
	    "SELECT j.model_id AS model_id,"
	    " SUM(CASE j.state WHEN 'completed' THEN 1 ELSE 0 END)"
	    "  AS completed,"
	    " SUM(CASE WHEN j.state IN ('failed', 'lost') THEN 1 ELSE 0 END)"
	    "  AS failed,"
	    " SUM(CASE WHEN (j.state = 'completed' AND j.is_free = 0"
	    "   OR j.is_charge_kept = 1)"
	    "  AND NOT EXISTS (SELECT 1 FROM ledger_entries l"
	    "   WHERE l.job_id = j.id AND l.kind = 'adjustment'"
	    "   AND l.job_id IS NOT NULL)"
	    "  THEN j.cost_credits ELSE 0 END) AS credits, 0 AS cost"
	    " FROM jobs j WHERE j.completed_at_ms >= ?1 GROUP BY j.model_id"
	    " UNION ALL SELECT s.model_id, 0, 0, 0, SUM(s.micro_usd)"
	    " FROM provider_spend s WHERE s.day >= ?1 / 86400000"
	    " GROUP BY s.model_id) AS parts JOIN models m ON m.id = "
	    "parts.model_id"
	    " GROUP BY m.id, m.name, m.endpoint, m.position"
	    " ORDER BY m.position",
	    { { "model_id", SECTION_ID }, { "name", SECTION_TEXT },
		{ "endpoint", SECTION_TEXT }, { "completed", SECTION_NUMBER },
		{ "failed", SECTION_NUMBER }, { "credits", SECTION_NUMBER },
		{ "value_micro_usd", SECTION_NUMBER },
		{ "cost_micro_usd", SECTION_NUMBER },
		{ "margin_micro_usd", SECTION_NUMBER } } },
	/* By the index of lots that still hold something. */
	[ADMIN_VIEW_LIABILITY] = { "liability",
	    "SELECT source, SUM(remaining_credits),"
	    " SUM(remaining_credits) * ?1 FROM credit_lots"
	    " WHERE remaining_credits > 0 GROUP BY source",
	    { { "source", SECTION_TEXT }, { "credits", SECTION_NUMBER },
		{ "value_micro_usd", SECTION_NUMBER } } },
	[ADMIN_VIEW_TOTALS] = { "totals",
	    "SELECT (SELECT COUNT(*) FROM users WHERE created_at_ms > 0),"
	    " (SELECT COUNT(*) FROM jobs WHERE completed_at_ms > 0)",
	    { { "users", SECTION_NUMBER }, { "jobs_ended", SECTION_NUMBER } } },
};

struct reading {
	const struct admin_view_call *calls;
	size_t count;
	const struct section_reader *reader;
};

static enum err
read_all(struct db *db, void *arg)
{
	const struct reading *r = arg;

	for (size_t i = 0; i < r->count; i++) {
		const struct admin_view_call *call = &r->calls[i];
		size_t rows = 0;
		enum err err;

		assert(call->view < ADMIN_VIEW_MAX);
		assert(call->params_count <= ADMIN_VIEW_PARAMS_MAX);
		err = sections_read(db, &views[call->view], call->param,
		    call->params_count, r->reader, &rows);
		if (err != OK)
			return err;
		if (call->is_required && rows == 0)
			return ERR_NOT_FOUND;
	}
	return OK;
}

enum err
admin_views_read(struct db *db, const struct admin_view_call *calls,
    size_t count, const struct section_reader *reader)
{
	struct reading r = { calls, count, reader };

	return db_snapshot(db, read_all, &r);
}
