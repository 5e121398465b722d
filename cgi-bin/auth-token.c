/* SPDX-License-Identifier: MIT */
/*
 * POST /auth/v1/token?grant_type=refresh_token {"refresh_token":…} -- a new
 * access token, in GoTrue's form.
 *
 *   200 {"access_token":…,"refresh_token":…,"user":{…},…}
 *   400 validation_failed  the token is malformed
 *   400 refresh_token_not_found      its session is gone
 *   400 refresh_token_already_used   an old one: its session is now gone too
 *   400 session_expired, user_banned
 *   503 service_unavailable          try again: nothing was decided
 *
 * Racing refreshes get one and the same token, and the direct parent of the
 * present token is accepted again: an answer may have been lost on its way.
 */

#include "app/app.h"
#include "app/tokens.h"
#include "app/view.h"

struct body {
	struct str refresh_token;
};

static enum err
refuse(const struct app *app, const struct request *req, struct response *res,
    enum refresh_verdict verdict)
{
	switch (verdict) {
	case REFRESH_REUSED:
		return app_error(app, req, res, 400,
		    "refresh_token_already_used",
		    "Invalid Refresh Token: Already Used");
	case REFRESH_EXPIRED:
		return app_error(app, req, res, 400, "session_expired",
		    "Invalid Refresh Token: Session Expired");
	case REFRESH_BANNED:
		return app_error(app, req, res, 400, "user_banned",
		    "Invalid Refresh Token: User Banned");
	case REFRESH_MALFORMED:
		return app_error(app, req, res, 400, "validation_failed",
		    "Refresh token is not valid");
	case REFRESH_GONE:
	case REFRESH_OK:
		break;
	}
	return app_error(app, req, res, 400, "refresh_token_not_found",
	    "Invalid Refresh Token: Refresh Token Not Found");
}

static enum err
refresh_token(struct app *app, const struct request *req, struct response *res)
{
	static const struct json_field fields[] = {
		{ "refresh_token", JSON_STR,
		    offsetof(struct body, refresh_token), 0, JSON_REQUIRED },
	};
	struct body body = { 0 };
	struct refresh_claims claims;
	enum refresh_verdict verdict;
	struct session session;
	struct account account;
	struct str bad_field;
	enum err err;

	if (!json_read(req->json, fields, sizeof(fields) / sizeof(fields[0]),
		JSON_IGNORE_UNKNOWN, &body, &bad_field))
		return ERR_INVALID_REQUEST;
	if (!tokens_read_refresh(body.refresh_token, &claims))
		return refuse(app, req, res, REFRESH_MALFORMED);
	err = sessions_get(app->db, &claims.session_id, &session);
	if (err == ERR_NOT_FOUND)
		return refuse(app, req, res, REFRESH_GONE);
	if (err != OK)
		return err;
	if (!tokens_check_refresh(&app->keys, &session, &claims))
		return refuse(app, req, res, REFRESH_MALFORMED);
	err = sessions_refresh(app->db, &claims.session_id, claims.counter,
	    req->now_ms, &verdict, &session);
	if (err != OK)
		return err;
	if (verdict != REFRESH_OK)
		return refuse(app, req, res, verdict);
	err = accounts_get(app->db, &session.user_id, &account);
	if (err != OK)
		return err;

	json_begin_object(&res->json, NULL);
	tokens_write_session(app, &session, req->now_ms, &res->json);
	view_auth_user(&res->json, "user", &account);
	json_end_object(&res->json);
	return OK;
}

static enum err
auth_token(struct app *app, const struct request *req, struct response *res)
{
	struct str grant_type;

	if (http_query_get(&req->query, "grant_type", &grant_type) &&
	    str_equal(grant_type, STR("refresh_token")))
		return refresh_token(app, req, res);
	return app_error(app, req, res, 400, "invalid_credentials",
	    "unsupported_grant_type");
}

int
main(int argc, char **argv)
{
	static const struct endpoint endpoint = {
		.name = "auth-token",
		.path = "/auth/v1/token",
		.methods = HTTP_POST,
		.auth = AUTH_APIKEY,
		.dialect = DIALECT_AUTH,
		.body = BODY_JSON,
		.body_bytes_max = APP_JSON_BYTES_MAX,
		.handle = auth_token,
	};

	return app_serve(&endpoint, argc, argv);
}
