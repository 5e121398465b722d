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
 *   429 over_request_rate_limit      too many forged ones of this address
 *   503 service_unavailable          try again: nothing was decided; also
 *                                    when a user refreshes far too often
 *
 * Racing refreshes get one and the same token, and the direct parent of the
 * present token is accepted again: an answer may have been lost on its way.
 *
 * POST /auth/v1/token?grant_type=id_token {"provider":"apple","id_token":…,
 * "nonce"?:RAW,"link_identity"?:true,"authorization_code"?:…} -- signs in by
 * an identity token of Apple.
 *
 *   200 as above
 *   400 {"error":"invalid request","error_description":…}   the token
 *   400 validation_failed  it is not Apple's at all
 *   400 provider_disabled  no such provider, or it is not configured
 *   401 no_authorization, 403 bad_jwt, session_not_found …  link_identity
 *                          without a good token of the user
 *   403 bad_jwt            the bearer has expired, its session lives: what is
 *                          the guest's would be left behind
 *   403 user_banned
 *   422 identity_already_exists      link_identity, and the Apple ID has an
 *                          account, or the account an Apple ID
 *   503 service_unavailable          Apple's keys cannot be had
 *
 * A known Apple ID is signed in to its account.  An unknown one becomes that
 * of the guest whose bearer token came along, in place; without one an
 * account is made, without a gift.  With link_identity it is the guest's or
 * nothing.  A token with a nonce is taken once.  The code is redeemed at Apple
 * if that succeeds; the sign-in does not depend on it.
 */

#include "app/apple.h"
#include "app/auth.h"
#include "app/rates.h"
#include "app/tokens.h"
#include "app/view.h"

struct refresh_body {
	struct str refresh_token;
};

struct identity_body {
	struct str provider;
	struct str id_token;
	struct str nonce;
	struct str code;
	bool wants_link;
};

static enum err
answer_session(const struct app *app, const struct request *req,
    struct response *res, const struct session *session)
{
	struct account account;
	enum err err;

	err = accounts_get(app->db, &session->user_id, &account);
	if (err != OK)
		return err;

	json_begin_object(&res->json, NULL);
	tokens_write_session(app, session, req->now_ms, &res->json);
	view_auth_user(&res->json, "user", &account);
	json_end_object(&res->json);
	return OK;
}

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

/*
 * A good token is never refused for want of a limiter, and never with a 429,
 * at which the official clients sign their user out.
 */
static enum err
count_refresh(struct app *app, const struct request *req, struct response *res,
    const struct uuid *user_id)
{
	struct request known = *req;

	known.user_id = *user_id;
	known.has_user = true;
	return rates_use(app, &known, res, LIMIT_REFRESH) == ERR_RATE_LIMITED ?
	    ERR_SERVICE_UNAVAILABLE :
	    OK;
}

/* One that nobody was ever given: whoever guesses is held up. */
static enum err
refuse_forgery(struct app *app, const struct request *req, struct response *res)
{
	const enum err err = rates_use_address(app, req, res, LIMIT_FORGERY);

	return err == ERR_RATE_LIMITED ?
	    err :
	    refuse(app, req, res, REFRESH_MALFORMED);
}

static enum err
refresh_token(struct app *app, const struct request *req, struct response *res)
{
	static const struct json_field fields[] = {
		{ "refresh_token", JSON_STR,
		    offsetof(struct refresh_body, refresh_token), 0,
		    JSON_REQUIRED },
	};
	struct refresh_body body = { 0 };
	struct refresh_claims claims;
	enum refresh_verdict verdict;
	struct session session;
	struct str bad_field;
	enum err err;

	if (!json_read(req->json, fields, sizeof(fields) / sizeof(fields[0]),
		JSON_IGNORE_UNKNOWN, &body, &bad_field))
		return ERR_INVALID_REQUEST;
	if (!tokens_read_refresh(body.refresh_token, &claims))
		return refuse_forgery(app, req, res);
	err = sessions_get(app->db, &claims.session_id, &session);
	if (err == ERR_NOT_FOUND)
		return refuse(app, req, res, REFRESH_GONE);
	if (err != OK)
		return err;
	if (!tokens_check_refresh(&app->keys, &session, &claims))
		return refuse_forgery(app, req, res);
	err = count_refresh(app, req, res, &session.user_id);
	if (err != OK)
		return err;
	err = sessions_refresh(app->db, &claims.session_id, claims.counter,
	    req->now_ms, &verdict, &session);
	if (err != OK)
		return err;
	if (verdict != REFRESH_OK)
		return refuse(app, req, res, verdict);
	return answer_session(app, req, res, &session);
}

/* OAuth's body, which only this grant has; the clients show its text. */
static enum err
refuse_identity(struct response *res, const char *why)
{
	res->status = 400;
	res->code = "invalid_identity_token";
	res->has_auth_version = true;
	json_begin_object(&res->json, NULL);
	json_text(&res->json, "error", "invalid request");
	json_text(&res->json, "error_description", why);
	json_end_object(&res->json);
	return OK;
}

static enum err
refuse_person(const struct app *app, const struct request *req,
    struct response *res, enum appleid_verdict verdict)
{
	switch (verdict) {
	case APPLEID_WRONG_ISSUER:
		return app_error(app, req, res, 400, "validation_failed",
		    "The issuer of the ID token is not Apple");
	case APPLEID_WRONG_AUDIENCE:
		return refuse_identity(res,
		    "Unacceptable audience in id_token");
	case APPLEID_BAD_NONCE:
		return refuse_identity(res, "invalid nonce");
	case APPLEID_UNAVAILABLE:
		return ERR_SERVICE_UNAVAILABLE;
	case APPLEID_BAD_TOKEN:
	case APPLEID_OK:
		break;
	}
	return refuse_identity(res, "Bad ID token");
}

static enum err
enter(struct app *app, const struct request *req, struct response *res,
    const struct identity_body *body, const struct identity *identity,
    const struct appleid_identity *person)
{
	struct identity_entry entry = {
		.identity = identity,
		.user_id = req->has_user ? &req->user_id : NULL,
		.lang = req->lang,
		.now_ms = req->now_ms,
	};
	const enum err err = body->wants_link ?
	    identities_link(app->db, &entry) :
	    identities_sign_in(app->db, &entry);

	if (err != OK)
		return err;
	switch (entry.verdict) {
	case IDENTITY_OK:
		break;
	case IDENTITY_REPLAYED:
		return refuse_identity(res, "ID token was used before");
	case IDENTITY_TAKEN:
		return app_error(app, req, res, 422, "identity_already_exists",
		    "Identity is already linked");
	}
	apple_keep_consent(app, req, &entry.session.user_id, person,
	    body->code);
	return answer_session(app, req, res, &entry.session);
}

static enum err
id_token(struct app *app, const struct request *req, struct response *res)
{
	static const struct json_field fields[] = {
		{ "provider", JSON_STR,
		    offsetof(struct identity_body, provider), 0,
		    JSON_OPTIONAL },
		{ "id_token", JSON_STR,
		    offsetof(struct identity_body, id_token), 0,
		    JSON_OPTIONAL },
		{ "nonce", JSON_STR, offsetof(struct identity_body, nonce), 0,
		    JSON_OPTIONAL },
		{ "authorization_code", JSON_STR,
		    offsetof(struct identity_body, code), 0, JSON_OPTIONAL },
		{ "link_identity", JSON_BOOL,
		    offsetof(struct identity_body, wants_link), 0,
		    JSON_OPTIONAL },
	};
	struct request known = *req;
	struct identity_body body = { 0 };
	struct appleid_identity person;
	enum appleid_verdict verdict;
	struct identity identity;
	struct str bad_field;
	bool answered = false;
	enum err err;

	if (!json_read(req->json, fields, sizeof(fields) / sizeof(fields[0]),
		JSON_IGNORE_UNKNOWN, &body, &bad_field) ||
	    body.nonce.len > APPLE_NONCE_BYTES_MAX)
		return ERR_INVALID_REQUEST;
	if (body.id_token.len == 0)
		return refuse_identity(res, "id_token required");
	if (!str_equal(body.provider, STR("apple")) ||
	    !appleid_is_configured(&app->config))
		return app_error(app, req, res, 400, "provider_disabled",
		    "The provider is not enabled");
	err = body.wants_link ? auth_demand(app, &known, res, &answered) :
				auth_recognise(app, &known);
	if (err != OK || answered)
		return err;
	verdict = apple_check(app, req, body.id_token, body.nonce, &person,
	    &identity);
	if (verdict != APPLEID_OK)
		return refuse_person(app, req, res, verdict);
	return enter(app, &known, res, &body, &identity, &person);
}

static enum err
auth_token(struct app *app, const struct request *req, struct response *res)
{
	struct str grant_type = STR("");

	(void)http_query_get(&req->query, "grant_type", &grant_type);
	if (str_equal(grant_type, STR("refresh_token")))
		return refresh_token(app, req, res);
	if (str_equal(grant_type, STR("id_token")))
		return id_token(app, req, res);
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
		/* Some may wait for Apple; refreshes go on beside them. */
		.processes = 4,
		.read_timeout_s = 25,
		.handle = auth_token,
	};

	return app_serve(&endpoint, argc, argv);
}
