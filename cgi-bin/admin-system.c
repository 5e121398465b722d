/* SPDX-License-Identifier: MIT */
/*
 * GET /functions/v1/admin-system -- how the machine is.
 *
 *   200 {"mode":…,"switches":[…],"breakers":[…],"storage":[…],"alarms":[…],
 *        "backup":[…],"audit":[…],"queue":[…],"admins":[…]}
 *
 * GET ?log_before=N&limit=1..200 -- the admin log, newest first; N = 0: all.
 *
 *   200 {"log":[…]}
 *
 * GET ?days=1..366 -- numbers by day (UTC), today's last.
 *
 *   200 {"since":…,"credit_value_micro_usd":N,"days_users":[…],
 *        "days_jobs":[…],"days_revenue":[…],"days_credits":[…],
 *        "margins":[…],"liability":[…],"totals":[…]}
 *
 * POST {"action":…,"is_on":B,"company":C,"endpoint":E,"reason":TEXT}:
 *
 *   maintenance   is_on: no orders and no uploads are taken (503)
 *   provider_stop, provider_start   company or "all", endpoint or none
 *   verify        proves all invariants, as `rendio audit`
 *
 *   200 {"success":true}; of verify what `rendio audit --json` prints
 *   400 invalid_request    a member is missing, unknown or not allowed
 *   401 unauthorized, 403 forbidden: not an admin, not from here
 *   404 not_found          it is not stopped
 */

#include "app/admin_pages.h"
#include "app/audit_view.h"
#include "domain/acts.h"

#define LIMIT_MAX 200
#define LIMIT_STANDARD 100
#define DAYS_MAX 366
#define DAY_MS (INT64_C(24) * 3600 * 1000)

/* As long as the catalogue's own. */
#define NAME_BYTES_MAX 255

static enum err
show_machine(struct app *app, struct response *res)
{
	static const struct admin_view_call calls[] = {
		{ .view = ADMIN_VIEW_SWITCHES },
		{ .view = ADMIN_VIEW_BREAKERS },
		{ .view = ADMIN_VIEW_STORAGE },
		{ .view = ADMIN_VIEW_ALARMS },
		{ .view = ADMIN_VIEW_BACKUP },
		{ .view = ADMIN_VIEW_AUDIT },
		{ .view = ADMIN_VIEW_QUEUE },
		{ .view = ADMIN_VIEW_ADMINS },
	};
	enum err err;

	json_begin_object(&res->json, NULL);
	json_text(&res->json, "mode", config_text(&app->config, CONFIG_MODE));
	err = admin_write(app, res, calls, sizeof(calls) / sizeof(calls[0]));
	json_end_object(&res->json);
	return err;
}

static enum err
show_log(struct app *app, const struct request *req, struct response *res)
{
	int64_t before = 0, limit = LIMIT_STANDARD;

	if (!query_int64(req, "log_before", 0, INT64_MAX, &before) ||
	    !query_int64(req, "limit", 1, LIMIT_MAX, &limit))
		return ERR_INVALID_REQUEST;
	return admin_page(app, res,
	    &(const struct admin_view_call){ ADMIN_VIEW_LOG,
		{ { SECTION_NUMBER,
		      .number = before == 0 ? INT64_MAX : before },
		    { SECTION_NUMBER, .number = limit } },
		2, false },
	    1);
}

static enum err
show_numbers(struct app *app, const struct request *req, struct response *res)
{
	const int64_t value =
	    config_number(&app->config, CONFIG_CREDIT_VALUE_MICRO_USD);
	struct admin_view_call calls[] = {
		{ .view = ADMIN_VIEW_DAYS_USERS, .params_count = 1 },
		{ .view = ADMIN_VIEW_DAYS_JOBS, .params_count = 1 },
		{ .view = ADMIN_VIEW_DAYS_REVENUE, .params_count = 1 },
		{ .view = ADMIN_VIEW_DAYS_CREDITS, .params_count = 2 },
		{ .view = ADMIN_VIEW_MODEL_MARGINS, .params_count = 2 },
		{ .view = ADMIN_VIEW_LIABILITY, .params_count = 1 },
		{ .view = ADMIN_VIEW_TOTALS },
	};
	int64_t days = 30, since;
	enum err err;

	if (!query_int64(req, "days", 1, DAYS_MAX, &days))
		return ERR_INVALID_REQUEST;
	since = (req->now_ms / DAY_MS - days + 1) * DAY_MS;
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		calls[i].param[0] = (struct section_param){ SECTION_NUMBER,
			.number = calls[i].view == ADMIN_VIEW_LIABILITY ?
			    value :
			    since };
		calls[i].param[1] =
		    (struct section_param){ SECTION_NUMBER, .number = value };
	}
	json_begin_object(&res->json, NULL);
	json_time(&res->json, "since", since);
	json_int64(&res->json, "credit_value_micro_usd", value);
	err = admin_write(app, res, calls, sizeof(calls) / sizeof(calls[0]));
	json_end_object(&res->json);
	return err;
}

static enum err
verify(struct app *app, const struct request *req, struct response *res)
{
	static struct audit audit;
	const enum err err =
	    audit_run(app->db, config_text(&app->config, CONFIG_STATE_DIR),
		req->now_ms, false, &audit);

	if (err == OK)
		view_audit(&res->json, &audit);
	return err;
}

struct body {
	struct str action;
	bool is_on;
	bool has_is_on;
	struct str company;
	struct str endpoint;
	struct str reason;
};

static enum err
switch_provider(struct app *app, const struct request *req,
    const struct body *body, const char *reason)
{
	char company[NAME_BYTES_MAX + 1], endpoint[NAME_BYTES_MAX + 1];

	if (!str_copy(body->company, company, sizeof(company)) ||
	    !str_copy(body->endpoint, endpoint, sizeof(endpoint)) ||
	    company[0] == '\0')
		return ERR_INVALID_REQUEST;
	if (strcmp(company, "all") == 0) {
		/* All companies have no one model. */
		if (endpoint[0] != '\0')
			return ERR_INVALID_REQUEST;
		company[0] = '\0';
	}
	return str_equal(body->action, STR("provider_stop")) ?
	    acts_stop_provider(app->db, &req->admin, company, endpoint, reason,
		req->now_ms) :
	    acts_start_provider(app->db, &req->admin, company, endpoint, reason,
		req->now_ms);
}

static enum err
act(struct app *app, const struct request *req, struct response *res)
{
	static const struct json_field fields[] = {
		{ "action", JSON_STR, offsetof(struct body, action), 0,
		    JSON_REQUIRED },
		{ "is_on", JSON_BOOL, offsetof(struct body, is_on),
		    offsetof(struct body, has_is_on), 0 },
		{ "company", JSON_STR, offsetof(struct body, company), 0, 0 },
		{ "endpoint", JSON_STR, offsetof(struct body, endpoint), 0, 0 },
		{ "reason", JSON_STR, offsetof(struct body, reason), 0, 0 },
	};
	char reason[ADMIN_REASON_BYTES_MAX + 1];
	struct body body = { 0 };
	struct str bad_field;
	enum err err = ERR_INVALID_REQUEST;

	if (!json_read(req->json, fields, sizeof(fields) / sizeof(fields[0]),
		JSON_REFUSE_UNKNOWN, &body, &bad_field) ||
	    !str_copy(body.reason, reason, sizeof(reason)))
		return ERR_INVALID_REQUEST;
	if (str_equal(body.action, STR("verify")))
		return verify(app, req, res);
	if (str_equal(body.action, STR("maintenance")) && body.has_is_on)
		err = acts_set_maintenance(app->db, &req->admin, body.is_on,
		    reason, req->now_ms);
	else if (str_equal(body.action, STR("provider_stop")) ||
	    str_equal(body.action, STR("provider_start")))
		err = switch_provider(app, req, &body, reason);
	if (err != OK)
		return err;
	/* Jobs that waited may go on. */
	app_nudge(app);
	return admin_done(res);
}

static enum err
admin_system(struct app *app, const struct request *req, struct response *res)
{
	struct str text;

	if (req->method == HTTP_POST)
		return act(app, req, res);
	if (http_query_get(&req->query, "days", &text))
		return show_numbers(app, req, res);
	if (http_query_get(&req->query, "log_before", &text))
		return show_log(app, req, res);
	return show_machine(app, res);
}

int
main(int argc, char **argv)
{
	static const struct endpoint endpoint = {
		.name = "admin-system",
		.path = "/functions/v1/admin-system",
		.methods = HTTP_GET | HTTP_POST,
		.auth = AUTH_ADMIN,
		.body = BODY_JSON,
		.body_bytes_max = APP_JSON_BYTES_MAX,
		.processes = 1,
		/* A database of years is read whole by verify. */
		.read_timeout_s = 120,
		.handle = admin_system,
	};

	return app_serve(&endpoint, argc, argv);
}
