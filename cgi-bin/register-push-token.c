/* SPDX-License-Identifier: MIT */
/*
 * POST /functions/v1/register-push-token {"token":"…","environment":
 * "production"|"sandbox"} -- this phone may be told that a video is ready.
 *
 *   200 {"success":true}
 *   400 invalid_request    a member is missing, mistyped or unknown; the token
 *                          is not 64 to 200 hexadecimal digits; another
 *                          environment
 *   401 unauthorized       no valid bearer token
 *   403 forbidden          user_id names somebody else
 *
 * "sandbox" is what builds run from Xcode have.  The phone belongs to the
 * session that registered it last and goes with it: an app registers at every
 * start, as Apple advises.
 */

#include "app/app.h"
#include "domain/pushes.h"

struct body {
	struct uuid user_id; /* compared with the token's by now */
	struct str token;
	struct str environment;
};

static bool
read_token(struct str text, struct push_token *token)
{
	if (text.len < PUSH_TOKEN_CHARS_MIN ||
	    !str_copy(text, token->token, sizeof(token->token)))
		return false;
	for (char *c = token->token; *c != '\0'; c++) {
		if (*c >= 'A' && *c <= 'F')
			*c = (char)(*c - 'A' + 'a');
		if (!((*c >= '0' && *c <= '9') || (*c >= 'a' && *c <= 'f')))
			return false;
	}
	return true;
}

static bool
read_environment(struct str text, struct push_token *token)
{
	token->is_sandbox = str_equal(text, STR("sandbox"));
	return token->is_sandbox || str_equal(text, STR("production"));
}

static enum err
register_push_token(struct app *app, const struct request *req,
    struct response *res)
{
	static const struct json_field fields[] = {
		{ "token", JSON_STR, offsetof(struct body, token), 0,
		    JSON_REQUIRED },
		{ "environment", JSON_STR, offsetof(struct body, environment),
		    0, JSON_REQUIRED },
		{ "user_id", JSON_UUID, offsetof(struct body, user_id), 0,
		    JSON_OPTIONAL },
	};
	struct push_token token;
	struct body body = { 0 };
	struct str bad_field;
	enum err err;

	if (!json_read(req->json, fields, sizeof(fields) / sizeof(fields[0]),
		JSON_REFUSE_UNKNOWN, &body, &bad_field) ||
	    !read_token(body.token, &token) ||
	    !read_environment(body.environment, &token))
		return ERR_INVALID_REQUEST;
	err = pushes_register(app->db, &req->user_id, &req->session_id, &token,
	    req->now_ms);
	if (err != OK)
		return err;

	json_begin_object(&res->json, NULL);
	json_bool(&res->json, "success", true);
	json_end_object(&res->json);
	return OK;
}

int
main(int argc, char **argv)
{
	static const struct endpoint endpoint = {
		.name = "register-push-token",
		.path = "/functions/v1/register-push-token",
		.methods = HTTP_POST,
		.auth = AUTH_USER,
		.body = BODY_JSON,
		.body_bytes_max = APP_JSON_BYTES_MAX,
		.processes = 1,
		.handle = register_push_token,
	};

	return app_serve(&endpoint, argc, argv);
}
