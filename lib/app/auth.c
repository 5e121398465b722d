/* SPDX-License-Identifier: MIT */
#include "app/auth.h"
#include "app/admin_auth.h"
#include "app/answer.h"
#include "app/tokens.h"
#include "domain/sessions.h"

#include <sodium.h>

bool
auth_is_anon_key(const struct app *app, struct str text)
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

/*
 * What a token is worth, and its session, if we have signed it; who its user is,
 * when both are good.
 */
static enum err
look(struct app *app, struct request *req, enum token_verdict *ret_token,
    enum session_verdict *ret_session)
{
	struct access_claims claims;
	enum err err;

	*ret_token = tokens_read_access(app, req->arena, req->bearer,
	    req->now_ms, &claims);
	if (*ret_token == TOKEN_BAD)
		return OK;
	err = sessions_check(app->db, &claims.session_id, &claims.user_id,
	    ret_session, &req->lang);
	if (err != OK || *ret_token != TOKEN_OK ||
	    *ret_session != SESSION_ALIVE)
		return err;

	req->has_user = true;
	req->user_id = claims.user_id;
	req->session_id = claims.session_id;
	return OK;
}

static enum err
check_token(struct app *app, struct request *req, struct response *res,
    bool *ret_answered)
{
	enum session_verdict session = SESSION_GONE;
	enum token_verdict token;
	enum err err;

	err = look(app, req, &token, &session);
	if (err != OK)
		return err;
	switch (token) {
	case TOKEN_OK:
		break;
	case TOKEN_EXPIRED:
		return ERR_TOKEN_EXPIRED;
	case TOKEN_BAD:
		return ERR_UNAUTHORIZED;
	}
	return session == SESSION_ALIVE ?
	    OK :
	    refuse(app, req, res, session, ret_answered);
}

static bool
has_token(const struct app *app, const struct request *req)
{
	return req->bearer.len > 0 && !auth_is_anon_key(app, req->bearer);
}

static enum err
refuse_nobody(const struct app *app, const struct request *req,
    struct response *res, bool *ret_answered)
{
	if (app->endpoint->dialect != DIALECT_AUTH)
		return ERR_UNAUTHORIZED;
	*ret_answered = true;
	return app_error(app, req, res, 401, "no_authorization",
	    "This endpoint requires a valid Bearer token");
}

enum err
auth_apply(struct app *app, struct request *req, struct str apikey,
    struct str authorization, struct response *res, bool *ret_answered)
{
	const enum auth auth = app->endpoint->auth;
	bool is_bearer;

	*ret_answered = false;
	if (auth == AUTH_ADMIN)
		return admin_auth_apply(app, req, authorization);
	if (auth == AUTH_NONE || (app->endpoint->open_methods & req->method))
		return OK;
	if (!auth_is_anon_key(app, apikey))
		return ERR_INVALID_API_KEY;
	is_bearer = http_bearer(authorization, &req->bearer);
	if (auth == AUTH_APIKEY)
		return OK;
	if (authorization.len > 0 && !is_bearer)
		return ERR_UNAUTHORIZED;
	if (has_token(app, req))
		return check_token(app, req, res, ret_answered);
	if (auth == AUTH_OPTIONAL)
		return OK;
	return refuse_nobody(app, req, res, ret_answered);
}

enum err
auth_demand(struct app *app, struct request *req, struct response *res,
    bool *ret_answered)
{
	*ret_answered = false;
	if (has_token(app, req))
		return check_token(app, req, res, ret_answered);
	return refuse_nobody(app, req, res, ret_answered);
}

enum err
auth_recognise(struct app *app, struct request *req)
{
	enum session_verdict session = SESSION_GONE;
	enum token_verdict token;
	enum err err;

	if (!has_token(app, req))
		return OK;
	err = look(app, req, &token, &session);
	if (err == OK && token == TOKEN_EXPIRED && session == SESSION_ALIVE)
		return ERR_TOKEN_EXPIRED;
	return err;
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
