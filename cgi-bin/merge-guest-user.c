/* SPDX-License-Identifier: MIT */
/*
 * POST /functions/v1/merge-guest-user {"identity_token":…,"nonce"?:RAW,
 * "authorization_code"?:…} -- a guest signs in with Apple and keeps what is
 * theirs.
 *
 *   200 {"success":true,"user":{…},"access_token":…,"refresh_token":…,…}
 *   400 invalid_request      no identity_token, or apple_sub is another's
 *   401 unauthorized         no live session, or the identity token is not
 *                            good, not for us, or was used before
 *   403 user_banned          the guest, or the account of the Apple ID
 *   409 conflict             who asks is no guest, or was merged meanwhile
 *   429 rate_limited         too often within an hour
 *   503 service_unavailable  Apple's keys cannot be had
 *
 * An unknown Apple ID becomes the guest's own: the id stays.  A known one has
 * an account, which receives the guest's videos and credits; then the answer
 * speaks of that account, and the guest's tokens are dead.
 */

#include "app/apple.h"
#include "app/rates.h"
#include "app/tokens.h"
#include "app/view.h"

struct body {
	struct str identity_token;
	struct str nonce;
	struct str code;
	struct str apple_sub;
};

static enum err
check_person(const struct app *app, const struct request *req,
    const struct body *body, struct appleid_identity *person,
    struct identity *identity)
{
	switch (apple_check(app, req, body->identity_token, body->nonce, person,
	    identity)) {
	case APPLEID_OK:
		break;
	case APPLEID_UNAVAILABLE:
		return ERR_SERVICE_UNAVAILABLE;
	case APPLEID_WRONG_ISSUER:
	case APPLEID_BAD_TOKEN:
	case APPLEID_WRONG_AUDIENCE:
	case APPLEID_BAD_NONCE:
		return ERR_UNAUTHORIZED;
	}
	/* Released apps name the person too; only the token is believed. */
	if (body->apple_sub.len > 0 &&
	    !str_equal(body->apple_sub, str_from(person->sub)))
		return ERR_INVALID_REQUEST;
	return OK;
}

static enum err
answer(const struct app *app, const struct request *req, struct response *res,
    const struct session *session)
{
	struct json_writer *w = &res->json;
	struct account account;
	enum err err;

	err = accounts_get(app->db, &session->user_id, &account);
	if (err != OK)
		return err;

	json_begin_object(w, NULL);
	json_bool(w, "success", true);
	view_profile(w, "user", &account);
	tokens_write_session(app, session, req->now_ms, w);
	json_end_object(w);
	return OK;
}

static enum err
merge_guest_user(struct app *app, const struct request *req,
    struct response *res)
{
	static const struct json_field fields[] = {
		{ "identity_token", JSON_STR,
		    offsetof(struct body, identity_token), 0, JSON_REQUIRED },
		{ "nonce", JSON_STR, offsetof(struct body, nonce), 0,
		    JSON_OPTIONAL },
		{ "authorization_code", JSON_STR, offsetof(struct body, code),
		    0, JSON_OPTIONAL },
		{ "apple_sub", JSON_STR, offsetof(struct body, apple_sub), 0,
		    JSON_OPTIONAL },
	};
	struct body body = { 0 };
	struct appleid_identity person;
	struct identity identity;
	struct identity_entry entry = {
		.identity = &identity,
		.user_id = &req->user_id,
		.lang = req->lang,
		.counts_sandbox = config_is_sandbox(&app->config),
		.now_ms = req->now_ms,
	};
	struct str bad_field;
	enum err err;

	if (!json_read(req->json, fields, sizeof(fields) / sizeof(fields[0]),
		JSON_IGNORE_UNKNOWN, &body, &bad_field) ||
	    body.nonce.len > APPLE_NONCE_BYTES_MAX)
		return ERR_INVALID_REQUEST;
	err = rates_use(app, req, res, LIMIT_ACCOUNT);
	if (err == OK)
		err = check_person(app, req, &body, &person, &identity);
	if (err == OK)
		err = identities_merge(app->db, &entry);
	if (err != OK)
		return err;
	if (entry.verdict != IDENTITY_OK)
		return ERR_UNAUTHORIZED;
	apple_keep_consent(app, req, &entry.session.user_id, &person,
	    body.code);
	return answer(app, req, res, &entry.session);
}

int
main(int argc, char **argv)
{
	static const int live_keys[] = { CONFIG_APPLE_TEAM_ID,
		CONFIG_APPLEID_KEY_ID, CONFIG_APPLEID_KEY_FILE, -1 };
	static const struct endpoint endpoint = {
		.name = "merge-guest-user",
		.path = "/functions/v1/merge-guest-user",
		.methods = HTTP_POST,
		.auth = AUTH_USER,
		.body = BODY_JSON,
		.body_bytes_max = APP_JSON_BYTES_MAX,
		.read_timeout_s = 25,
		.live_keys = live_keys,
		.handle = merge_guest_user,
	};

	return app_serve(&endpoint, argc, argv);
}
