/* SPDX-License-Identifier: MIT */
/*
 * GET /functions/v1/admin-users?q=TEXT -- looks for users: by the id of a
 * user, of a job or of an account token, by a transaction of Apple, or by how
 * an e-mail address begins; without q the newest.
 *
 *   200 {"users":[{"id","status",…,"found_by"}]}   20 at most
 *
 * GET ?user_id=ID&limit=1..200&offset=N -- one user: all that happened, newest
 * first, with purchases and ledger.
 *
 *   200 {"user":[{…}],"purchases":[…],"timeline":[…],"ledger":[…]}
 *   404 user_not_found
 *
 * POST {"action":…,"user_id":ID,"credits":N,"number":N,"reason":TEXT}:
 *
 *   adjust   gives or (negative) takes credits
 *            200 {"number":N,"credits_remaining":N}
 *   undo     takes back the adjustment of entry `number` of the admin log; no
 *            user_id
 *            200 likewise
 *   ban, unban, logout   200 {"success":true}
 *   verify   walks the user's ledger   200 {"ok":true,"problem":null}
 *
 *   400 invalid_request    a member is missing, unknown or not allowed
 *   401 unauthorized, 403 forbidden: not an admin, not from here
 *   402 insufficient_credits   more would be taken than there is
 *   403 credit_cap_reached  RENDIO_ADMIN_CREDITS_PER_DAY would be passed
 *   404 user_not_found, not_found (no adjustment to undo)
 *   409 conflict           it was undone before
 */

#include "app/admin_pages.h"
#include "domain/acts.h"
#include "domain/credits.h"

/* A page of a timeline, and how far back pages go. */
#define LIMIT_MAX 200
#define LIMIT_STANDARD 100
#define OFFSET_MAX 1000000

#define FOUND_MAX 20

/* An e-mail address has no more, nor has anything else that is looked for. */
#define TEXT_BYTES_MAX 254

/* After all that begin with a text: the last code point there is. */
#define AFTER_ALL "\xf4\x8f\xbf\xbf"

static bool
is_digits(struct str text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return false;
	return text.len > 0;
}

static enum err
search(struct app *app, struct response *res, struct str text)
{
	char from[TEXT_BYTES_MAX + 1],
	    below[TEXT_BYTES_MAX + sizeof(AFTER_ALL)];
	struct admin_view_call call = { .view = ADMIN_VIEW_USERS_NEWEST };
	struct uuid id;

	text = str_trim(text);
	if (!str_copy(text, from, sizeof(from)))
		return ERR_INVALID_REQUEST;
	for (char *c = from; *c != '\0'; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c - 'A' + 'a');
	if (uuid_parse(text, &id)) {
		call.view = ADMIN_VIEW_USERS_BY_ID;
		call.param[0] = (struct section_param){ SECTION_ID, .id = &id };
		call.params_count = 1;
	} else if (is_digits(text)) {
		call.view = ADMIN_VIEW_USERS_BY_TRANSACTION;
		call.param[0] =
		    (struct section_param){ SECTION_TEXT, .text = text };
		call.params_count = 1;
	} else if (text.len > 0) {
		(void)snprintf(below, sizeof(below), "%s%s", from, AFTER_ALL);
		call.view = ADMIN_VIEW_USERS_BY_EMAIL;
		call.param[0] = (struct section_param){ SECTION_TEXT,
			.text = str_from(from) };
		call.param[1] = (struct section_param){ SECTION_TEXT,
			.text = str_from(below) };
		call.param[2] = (struct section_param){ SECTION_NUMBER,
			.number = FOUND_MAX };
		call.params_count = 3;
	}
	return admin_page(app, res, &call, 1);
}

static enum err
show(struct app *app, const struct request *req, struct response *res)
{
	struct section_param params[ADMIN_VIEW_PARAMS_MAX] = {
		{ .type = SECTION_ID },
		{ .type = SECTION_NUMBER, .number = LIMIT_STANDARD },
		{ .type = SECTION_NUMBER },
	};
	struct admin_view_call calls[] = {
		{ .view = ADMIN_VIEW_USER,
		    .params_count = 1,
		    .is_required = true },
		{ .view = ADMIN_VIEW_USER_PURCHASES, .params_count = 1 },
		{ .view = ADMIN_VIEW_USER_TIMELINE, .params_count = 3 },
		{ .view = ADMIN_VIEW_USER_LEDGER, .params_count = 3 },
	};
	struct uuid id;
	enum err err;

	if (!query_uuid(req, "user_id", &id) ||
	    !query_int64(req, "limit", 1, LIMIT_MAX, &params[1].number) ||
	    !query_int64(req, "offset", 0, OFFSET_MAX, &params[2].number))
		return ERR_INVALID_REQUEST;
	params[0].id = &id;
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		memcpy(calls[i].param, params, sizeof(params));
	err = admin_page(app, res, calls, sizeof(calls) / sizeof(calls[0]));
	return err == ERR_NOT_FOUND ? ERR_USER_NOT_FOUND : err;
}

struct body {
	struct str action;
	struct uuid user_id;
	bool has_user;
	int64_t credits;
	int64_t number;
	struct str reason;
};

static void
write_receipt(struct response *res, const struct act_receipt *receipt)
{
	json_begin_object(&res->json, NULL);
	json_int64(&res->json, "number", receipt->number);
	json_int64(&res->json, "credits_remaining", receipt->balance);
	json_end_object(&res->json);
}

static enum err
adjust(struct app *app, const struct request *req, struct response *res,
    const struct body *body)
{
	struct act_receipt receipt;
	char reason[ADMIN_REASON_BYTES_MAX + 1];
	enum err err;

	if (body->credits == 0 || body->credits > CREDITS_AMOUNT_MAX ||
	    body->credits < -CREDITS_AMOUNT_MAX || body->reason.len == 0 ||
	    !str_copy(body->reason, reason, sizeof(reason)))
		return ERR_INVALID_REQUEST;
	err = acts_adjust(app->db, &req->admin, &body->user_id, body->credits,
	    reason, admin_cap_credits(app), req->now_ms, &receipt);
	if (err == ERR_FORBIDDEN)
		return admin_refuse_cap(app, req, res);
	if (err == OK)
		write_receipt(res, &receipt);
	return err;
}

static enum err
undo(struct app *app, const struct request *req, struct response *res,
    const struct body *body)
{
	struct act_receipt receipt;
	char reason[ADMIN_REASON_BYTES_MAX + 1];
	enum err err;

	if (body->number < 1 || body->reason.len == 0 ||
	    !str_copy(body->reason, reason, sizeof(reason)))
		return ERR_INVALID_REQUEST;
	err = acts_undo(app->db, &req->admin, body->number, reason, req->now_ms,
	    &receipt);
	if (err == OK)
		write_receipt(res, &receipt);
	return err;
}

static enum err
set_banned(struct app *app, const struct request *req, struct response *res,
    const struct body *body)
{
	char reason[ADMIN_REASON_BYTES_MAX + 1];
	enum err err;

	if (!str_copy(body->reason, reason, sizeof(reason)))
		return ERR_INVALID_REQUEST;
	err = acts_set_banned(app->db, &req->admin, &body->user_id,
	    str_equal(body->action, STR("ban")), reason, req->now_ms);
	return err == OK ? admin_done(res) : err;
}

static enum err
log_out(struct app *app, const struct request *req, struct response *res,
    const struct body *body)
{
	const enum err err =
	    acts_log_out(app->db, &req->admin, &body->user_id, req->now_ms);

	return err == OK ? admin_done(res) : err;
}

static enum err
verify(struct app *app, const struct request *req, struct response *res,
    const struct body *body)
{
	const char *problem = NULL;
	int64_t balance;
	bool ok = false;
	enum err err;

	(void)req;
	err = credits_balance(app->db, &body->user_id, &balance);
	if (err == OK)
		err =
		    credits_verify_now(app->db, &body->user_id, &ok, &problem);
	if (err != OK)
		return err;

	json_begin_object(&res->json, NULL);
	json_bool(&res->json, "ok", ok);
	json_text(&res->json, "problem", problem);
	json_end_object(&res->json);
	return OK;
}

static const struct {
	const char *name;
	bool needs_user;
	enum err (*run)(struct app *app, const struct request *req,
	    struct response *res, const struct body *body);
} actions[] = {
	{ "adjust", true, adjust },
	{ "undo", false, undo },
	{ "ban", true, set_banned },
	{ "unban", true, set_banned },
	{ "logout", true, log_out },
	{ "verify", true, verify },
};

static enum err
act(struct app *app, const struct request *req, struct response *res)
{
	static const struct json_field fields[] = {
		{ "action", JSON_STR, offsetof(struct body, action), 0,
		    JSON_REQUIRED },
		{ "user_id", JSON_UUID, offsetof(struct body, user_id),
		    offsetof(struct body, has_user), 0 },
		{ "credits", JSON_INT64, offsetof(struct body, credits), 0, 0 },
		{ "number", JSON_INT64, offsetof(struct body, number), 0, 0 },
		{ "reason", JSON_STR, offsetof(struct body, reason), 0, 0 },
	};
	struct body body = { 0 };
	struct str bad_field;

	if (!json_read(req->json, fields, sizeof(fields) / sizeof(fields[0]),
		JSON_REFUSE_UNKNOWN, &body, &bad_field))
		return ERR_INVALID_REQUEST;
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
		if (str_equal(body.action, str_from(actions[i].name)))
			return body.has_user == actions[i].needs_user ?
			    actions[i].run(app, req, res, &body) :
			    ERR_INVALID_REQUEST;
	return ERR_INVALID_REQUEST;
}

static enum err
admin_users(struct app *app, const struct request *req, struct response *res)
{
	struct str text = STR("");

	if (req->method == HTTP_POST)
		return act(app, req, res);
	if (http_query_get(&req->query, "user_id", &text))
		return show(app, req, res);
	(void)http_query_get(&req->query, "q", &text);
	return search(app, res, text);
}

int
main(int argc, char **argv)
{
	static const struct endpoint endpoint = {
		.name = "admin-users",
		.path = "/functions/v1/admin-users",
		.methods = HTTP_GET | HTTP_POST,
		.auth = AUTH_ADMIN,
		.body = BODY_JSON,
		.body_bytes_max = APP_JSON_BYTES_MAX,
		.processes = 1,
		.handle = admin_users,
	};

	return app_serve(&endpoint, argc, argv);
}
