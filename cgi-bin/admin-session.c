/* SPDX-License-Identifier: MIT */
/*
 * POST /functions/v1/admin-session {"name":…,"password":…,"code":"123456"} --
 * an admin signs in.
 *
 *   200 {"token":…,"name":…,"idle_timeout_s":900,"ends_at":…}
 *       token goes into Authorization: Bearer of the other calls
 *   400 invalid_request    a member is missing or not text
 *   401 unauthorized       name, password or code: which is not told
 *   403 forbidden          from an address that is not allowed
 *   429 rate_limited       too many tries from this address or for this name
 *
 * GET -- who is signed in: 200 as above without the token, 401, 403.
 * DELETE {} -- signs out: 200 {"success":true}, 401, 403.
 *
 * No apikey; a user's token opens nothing here.
 */

#include "app/admin_auth.h"

struct body {
	struct str name;
	struct str password;
	struct str code;
};

static void
write_session(struct response *res, const char *token, const char *name,
    int64_t ends_at_ms)
{
	struct json_writer *w = &res->json;

	json_begin_object(w, NULL);
	if (token != NULL)
		json_text(w, "token", token);
	json_text(w, "name", name);
	json_int64(w, "idle_timeout_s", ADMIN_SESSION_IDLE_MS / 1000);
	json_time(w, "ends_at", ends_at_ms);
	json_end_object(w);
}

static enum err
sign_in(struct app *app, const struct request *req, struct response *res)
{
	static const struct json_field fields[] = {
		{ "name", JSON_STR, offsetof(struct body, name), 0,
		    JSON_REQUIRED },
		{ "password", JSON_STR, offsetof(struct body, password), 0,
		    JSON_REQUIRED },
		{ "code", JSON_STR, offsetof(struct body, code), 0,
		    JSON_REQUIRED },
	};
	char name[ADMIN_NAME_BYTES], token[ADMIN_TOKEN_BYTES];
	struct body body;
	struct str bad_field;
	enum err err;

	if (!json_read(req->json, fields, sizeof(fields) / sizeof(fields[0]),
		JSON_REFUSE_UNKNOWN, &body, &bad_field) ||
	    body.password.len > ADMIN_PASSWORD_BYTES_MAX ||
	    !str_copy(body.name, name, sizeof(name)))
		return ERR_INVALID_REQUEST;
	err = admin_auth_sign_in(app, req, res, body.name, body.password,
	    body.code, token);
	if (err != OK)
		return err;

	write_session(res, token, name, req->now_ms + ADMIN_SESSION_LIFE_MS);
	return OK;
}

static enum err
sign_out(struct app *app, const struct request *req, struct response *res)
{
	const enum err err = admin_auth_sign_out(app, req);

	if (err != OK)
		return err;

	json_begin_object(&res->json, NULL);
	json_bool(&res->json, "success", true);
	json_end_object(&res->json);
	return OK;
}

static enum err
admin_session(struct app *app, const struct request *req, struct response *res)
{
	if (req->method == HTTP_POST)
		return sign_in(app, req, res);
	if (req->method == HTTP_DELETE)
		return sign_out(app, req, res);
	write_session(res, NULL, req->admin.name, req->admin_ends_at_ms);
	return OK;
}

int
main(int argc, char **argv)
{
	static const struct endpoint endpoint = {
		.name = "admin-session",
		.path = "/functions/v1/admin-session",
		.methods = HTTP_GET | HTTP_POST | HTTP_DELETE,
		.auth = AUTH_ADMIN,
		.open_methods = HTTP_POST,
		.body = BODY_JSON,
		.body_bytes_max = APP_JSON_BYTES_MAX,
		.processes = 1,
		.handle = admin_session,
	};

	return app_serve(&endpoint, argc, argv);
}
