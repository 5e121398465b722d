/* SPDX-License-Identifier: MIT */
/*
 * GET /functions/v1/admin-jobs?limit=1..200&offset=N -- jobs of all users:
 * those under way, the oldest first, and those that ended, the latest first.
 *
 *   200 {"open":[{…}],"ended":[{…}]}
 *
 * GET ?job_id=ID -- one job, with what its provider was asked and told, and
 * what became of its credits.
 *
 *   200 {"job":[{…}],"attempts":[…],"reports":[…],"ledger":[…]}
 *   404 job_not_found
 *
 * POST {"action":"refund","job_id":ID,"reason":TEXT} -- gives back what it
 * cost, once.
 *
 *   200 {"number":N,"state":…,"credits_refunded":N,"credits_remaining":N}
 *       credits_refunded is 0 while its provider is asked to cancel it
 *   400 invalid_request    a member is missing, unknown or not allowed
 *   401 unauthorized, 403 forbidden: not an admin, not from here
 *   403 credit_cap_reached  RENDIO_ADMIN_CREDITS_PER_DAY would be passed
 *   404 job_not_found
 *   409 conflict           its credits are back already
 */

#include "app/admin_pages.h"
#include "domain/acts.h"

#define LIMIT_MAX 200
#define LIMIT_STANDARD 50
#define OFFSET_MAX 1000000

static enum err
list(struct app *app, const struct request *req, struct response *res)
{
	int64_t limit = LIMIT_STANDARD, offset = 0;

	if (!query_int64(req, "limit", 1, LIMIT_MAX, &limit) ||
	    !query_int64(req, "offset", 0, OFFSET_MAX, &offset))
		return ERR_INVALID_REQUEST;
	return admin_page(app, res,
	    (const struct admin_view_call[]){
		{ ADMIN_VIEW_JOBS_OPEN, { { SECTION_NUMBER, .number = limit } },
		    1, false },
		{ ADMIN_VIEW_JOBS_ENDED,
		    { { SECTION_NUMBER, .number = limit },
			{ SECTION_NUMBER, .number = offset } },
		    2, false },
	    },
	    2);
}

static enum err
show(struct app *app, const struct request *req, struct response *res)
{
	const struct section_param param = { SECTION_ID,
		.id = &(struct uuid){ { 0 } } };
	struct admin_view_call calls[] = {
		{ .view = ADMIN_VIEW_JOB, .is_required = true },
		{ .view = ADMIN_VIEW_JOB_ATTEMPTS },
		{ .view = ADMIN_VIEW_JOB_REPORTS },
		{ .view = ADMIN_VIEW_JOB_LEDGER },
	};
	struct uuid id;
	enum err err;

	if (!query_uuid(req, "job_id", &id))
		return ERR_INVALID_REQUEST;
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		calls[i].param[0] = param;
		calls[i].param[0].id = &id;
		calls[i].params_count = 1;
	}
	err = admin_page(app, res, calls, sizeof(calls) / sizeof(calls[0]));
	return err == ERR_NOT_FOUND ? ERR_JOB_NOT_FOUND : err;
}

struct body {
	struct str action;
	struct uuid job_id;
	struct str reason;
};

static enum err
refund(struct app *app, const struct request *req, struct response *res)
{
	static const struct json_field fields[] = {
		{ "action", JSON_STR, offsetof(struct body, action), 0,
		    JSON_REQUIRED },
		{ "job_id", JSON_UUID, offsetof(struct body, job_id), 0,
		    JSON_REQUIRED },
		{ "reason", JSON_STR, offsetof(struct body, reason), 0,
		    JSON_REQUIRED },
	};
	char reason[ADMIN_REASON_BYTES_MAX + 1];
	struct act_refund result;
	struct body body = { 0 };
	struct str bad_field;
	enum err err;

	if (!json_read(req->json, fields, sizeof(fields) / sizeof(fields[0]),
		JSON_REFUSE_UNKNOWN, &body, &bad_field) ||
	    !str_equal(body.action, STR("refund")) || body.reason.len == 0 ||
	    !str_copy(body.reason, reason, sizeof(reason)))
		return ERR_INVALID_REQUEST;
	err = acts_refund_job(app->db, &req->admin, &body.job_id, reason,
	    admin_cap_credits(app), req->now_ms, &result);
	if (err == ERR_FORBIDDEN)
		return admin_refuse_cap(app, req, res);
	if (err != OK)
		return err;
	app_nudge(app);

	json_begin_object(&res->json, NULL);
	json_int64(&res->json, "number", result.receipt.number);
	json_text(&res->json, "state", job_state_name(result.state));
	json_int64(&res->json, "credits_refunded", result.refunded_credits);
	json_int64(&res->json, "credits_remaining", result.receipt.balance);
	json_end_object(&res->json);
	return OK;
}

static enum err
admin_jobs(struct app *app, const struct request *req, struct response *res)
{
	struct str text;

	if (req->method == HTTP_POST)
		return refund(app, req, res);
	return http_query_get(&req->query, "job_id", &text) ?
	    show(app, req, res) :
	    list(app, req, res);
}

int
main(int argc, char **argv)
{
	static const struct endpoint endpoint = {
		.name = "admin-jobs",
		.path = "/functions/v1/admin-jobs",
		.methods = HTTP_GET | HTTP_POST,
		.auth = AUTH_ADMIN,
		.body = BODY_JSON,
		.body_bytes_max = APP_JSON_BYTES_MAX,
		.processes = 1,
		.handle = admin_jobs,
	};

	return app_serve(&endpoint, argc, argv);
}
