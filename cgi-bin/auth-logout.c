/* SPDX-License-Identifier: MIT */
/*
 * POST /auth/v1/logout?scope=global|local|others -- ends all sessions of the
 * user (the default), this one, or all but this one.
 *
 *   204
 *   400 validation_failed  another scope
 *   401 no_authorization, 403 bad_jwt, session_not_found …
 *
 * What has ended is out at once, in every area.
 */

#include "app/app.h"
#include "domain/sessions.h"

static bool
parse_scope(const struct request *req, enum session_scope *ret_scope)
{
	static const struct {
		const char *name;
		enum session_scope scope;
	} scopes[] = {
		{ "global", SESSION_ALL },
		{ "local", SESSION_THIS },
		{ "others", SESSION_OTHERS },
	};
	struct str name = STR("global");

	(void)http_query_get(&req->query, "scope", &name);
	for (size_t i = 0; i < sizeof(scopes) / sizeof(scopes[0]); i++)
		if (str_equal(name, str_from(scopes[i].name))) {
			*ret_scope = scopes[i].scope;
			return true;
		}
	return false;
}

static enum err
auth_logout(struct app *app, const struct request *req, struct response *res)
{
	enum session_scope scope;
	enum err err;

	if (!parse_scope(req, &scope))
		return ERR_INVALID_REQUEST;
	err = sessions_log_out(app->db, &req->user_id, &req->session_id, scope,
	    req->now_ms);
	if (err == OK)
		res->status = 204;
	return err;
}

int
main(int argc, char **argv)
{
	static const struct endpoint endpoint = {
		.name = "auth-logout",
		.path = "/auth/v1/logout",
		.methods = HTTP_POST,
		.auth = AUTH_USER,
		.dialect = DIALECT_AUTH,
		/* Clients send none, or an empty object; it says nothing. */
		.body = BODY_RAW,
		.body_bytes_max = APP_JSON_BYTES_MAX,
		.processes = 1,
		.handle = auth_logout,
	};

	return app_serve(&endpoint, argc, argv);
}
