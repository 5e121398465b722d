/* SPDX-License-Identifier: MIT */
/*
 * rendio appstore -- asks the App Store Server API as the endpoints and the
 * worker do: to look a purchase up for support, and to see whether key, app
 * and notification URL are right.  Nothing is changed by the answers.
 */

#include "cli.h"

#include "base/clock.h"
#include "provider/appstore_api.h"

/* Notifications older than that are not kept by Apple. */
#define HISTORY_MS (INT64_C(180) * 24 * 3600 * 1000)

/* What every command has: where it asks, and what is printed. */
struct question {
	struct state state;
	struct arena arena;
	struct buf out;
	struct json_writer w;
	enum appstore_environment environment;
	int64_t now_ms;
};

static bool
begin(struct question *q, const struct args *args)
{
	q->environment = APPSTORE_PRODUCTION;
	if (args->environment != NULL &&
	    strcmp(args->environment, "Sandbox") == 0)
		q->environment = APPSTORE_SANDBOX;
	else if (args->environment != NULL &&
	    strcmp(args->environment, "Production") != 0) {
		(void)cli_misuse("--environment is Production or Sandbox",
		    args->environment);
		return false;
	}
	cli_open(&q->state, STATE_READ);
	arena_init(&q->arena, APPSTORE_ARENA_BYTES);
	buf_init(&q->out, CLI_OUTPUT_BYTES_MAX);
	q->w = json_writer(&q->out);
	q->now_ms = clock_now_ms();
	json_begin_object(&q->w, NULL);
	return true;
}

static int
end(struct question *q, const struct appstore_answer *answer)
{
	int status;

	json_text(&q->w, "outcome", appstore_outcome_name(answer->outcome));
	json_int64(&q->w, "http_status", answer->http_status);
	json_int64(&q->w, "error_code", answer->error_code);
	if (answer->outcome == APPSTORE_RATE_LIMITED)
		json_time(&q->w, "retry_at", answer->retry_at_ms);
	json_end_object(&q->w);
	status = cli_print(&q->out);
	arena_free(&q->arena);
	state_close(&q->state);
	if (status == CLI_OK && answer->outcome != APPSTORE_DONE)
		return CLI_NEGATIVE;
	return status;
}

int
appstore_transaction_command(const struct args *args)
{
	struct appstore_transaction t;
	struct appstore_answer answer;
	struct question q;
	struct str jws;

	if (!begin(&q, args))
		return CLI_USAGE;
	answer = appstore_get_transaction(&q.state.config, &q.arena,
	    str_from(args->arg[0]), q.now_ms, &jws, &t);
	if (answer.outcome == APPSTORE_DONE) {
		json_str(&q.w, "transaction_id", t.transaction_id);
		json_text(&q.w, "environment",
		    appstore_environment_name(t.environment));
		json_str(&q.w, "product_id", t.product_id);
		json_int64(&q.w, "quantity", t.quantity);
		if (t.has_app_account_token)
			json_uuid(&q.w, "app_account_token",
			    &t.app_account_token);
		json_time(&q.w, "purchased_at", t.purchase_date_ms);
		if (t.revocation_date_ms != 0)
			json_time(&q.w, "revoked_at", t.revocation_date_ms);
		json_str(&q.w, "signed_transaction", jws);
	}
	return end(&q, &answer);
}

static void
write_page(struct json_writer *w, const struct appstore_page *page)
{
	json_begin_array(w, "items");
	for (size_t i = 0; i < page->count; i++)
		json_str(w, NULL, page->item[i]);
	json_end_array(w);
	json_bool(w, "has_more", page->has_more);
	json_str(w, "cursor", page->cursor);
}

int
appstore_refunds_command(const struct args *args)
{
	struct appstore_answer answer;
	struct appstore_page page;
	struct question q;

	if (!begin(&q, args))
		return CLI_USAGE;
	answer = appstore_refund_history(&q.state.config, &q.arena,
	    q.environment, str_from(args->arg[0]), str_from(args->cursor),
	    q.now_ms, &page);
	if (answer.outcome == APPSTORE_DONE)
		write_page(&q.w, &page);
	return end(&q, &answer);
}

int
appstore_notifications_command(const struct args *args)
{
	struct appstore_query query = { .only_failures = true };
	struct appstore_answer answer;
	struct appstore_page page;
	struct question q;

	if (!begin(&q, args))
		return CLI_USAGE;
	/* In whole days, so that a second page asks what the first one did. */
	query.end_ms = q.now_ms - q.now_ms % (HISTORY_MS / 180);
	query.start_ms = query.end_ms - HISTORY_MS + HISTORY_MS / 180;
	query.end_ms += HISTORY_MS / 180;
	query.environment = q.environment;
	answer = appstore_notification_history(&q.state.config, &q.arena,
	    &query, str_from(args->cursor), q.now_ms, &page);
	if (answer.outcome == APPSTORE_DONE)
		write_page(&q.w, &page);
	return end(&q, &answer);
}

int
appstore_test_command(const struct args *args)
{
	struct appstore_answer answer;
	struct question q;
	struct str text;

	if (!begin(&q, args))
		return CLI_USAGE;
	answer = args->count == 0 ?
	    appstore_request_test(&q.state.config, &q.arena, q.environment,
		q.now_ms, &text) :
	    appstore_test_status(&q.state.config, &q.arena, q.environment,
		str_from(args->arg[0]), q.now_ms, &text);
	if (answer.outcome == APPSTORE_DONE)
		json_str(&q.w, args->count == 0 ? "token" : "result", text);
	return end(&q, &answer);
}
