/* SPDX-License-Identifier: MIT */
#include "app/auth.h"
#include "app/answer.h"
#include "app/tokens.h"
#include "domain/sessions.h"

#include <sodium.h>

static bool
is_anon_key(const struct app *app, struct str text)
{
	const size_t n = strlen(app->keys.anon_key);

	return text.len == n &&
	    sodium_memcmp(text.ptr, app->keys.anon_key, n) == 0;
}

/* The area of accounts tells more of its reasons than the others do. */
static enum err
refuse(struct app *app, const struct request *req, struct response *res,
    enum session_verdict verdict, bool *ret_answered)
{
	if (verdict == SESSION_BANNED)
		return ERR_USER_BANNED;
	if (app->endpoint->dialect != DIALECT_AUTH)
		return ERR_UNAUTHORIZED;
	*ret_answered = true;
	if (verdict == SESSION_NO_USER)
		return app_error(app, req, res, 403, "user_not_found",
		    "User from sub claim in JWT does not exist");
	return app_error(app, req, res, 403, "session_not_found",
	    "Session from session_id claim in JWT does not exist");
}

static enum err
check_token(struct app *app, struct request *req, struct response *res,
    bool *ret_answered)
{
	struct access_claims claims;
	enum session_verdict session;
	enum err err;

	switch (tokens_read_access(app, req->arena, req->bearer, req->now_ms,
	    &claims)) {
	case TOKEN_OK:
		break;
	case TOKEN_EXPIRED:
		return ERR_TOKEN_EXPIRED;
	case TOKEN_BAD:
		return ERR_UNAUTHORIZED;
	}
	err = sessions_check(app->db, &claims.session_id, &claims.user_id,
	    &session, &req->lang);
	if (err != OK)
		return err;
	if (session != SESSION_ALIVE)
		return refuse(app, req, res, session, ret_answered);

	req->has_user = true;
	req->user_id = claims.user_id;
	req->session_id = claims.session_id;
	return OK;
}

enum err
auth_apply(struct app *app, struct request *req, struct str apikey,
    struct str authorization, struct response *res, bool *ret_answered)
{
	const enum auth auth = app->endpoint->auth;

	*ret_answered = false;
	if (auth == AUTH_NONE)
		return OK;
	if (!is_anon_key(app, apikey))
		return ERR_INVALID_API_KEY;
	if (auth == AUTH_APIKEY)
		return OK;
	if (authorization.len > 0 && !http_bearer(authorization, &req->bearer))
		return ERR_UNAUTHORIZED;
	if (req->bearer.len > 0 && !is_anon_key(app, req->bearer))
		return check_token(app, req, res, ret_answered);
	if (auth == AUTH_OPTIONAL)
		return OK;
	if (app->endpoint->dialect != DIALECT_AUTH)
		return ERR_UNAUTHORIZED;
	*ret_answered = true;
	return app_error(app, req, res, 401, "no_authorization",
	    "This endpoint requires a valid Bearer token");
}

enum err
auth_check_claimed_user(const struct request *req)
{
	const struct json *member = json_member(req->json, "user_id");
	struct uuid claimed;
	struct str text;

	if (http_query_get(&req->query, "user_id", &text) &&
	    (!uuid_parse(text, &claimed) ||
		!uuid_equal(&claimed, &req->user_id)))
		return ERR_FORBIDDEN;
	if (member != NULL && !json_is_null(member) &&
	    (!json_to_uuid(member, &claimed) ||
		!uuid_equal(&claimed, &req->user_id)))
		return ERR_FORBIDDEN;
	return OK;
}
