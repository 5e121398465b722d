/* SPDX-License-Identifier: MIT */
/*
 * GET /auth/v1/user -- who the bearer of this token is, in GoTrue's form.
 *
 *   200 {"id":…,"aud":"authenticated",…}
 *   401 no_authorization   no bearer token
 *   403 bad_jwt            signature, expiry or shape
 *   403 session_not_found  logged out
 *   403 user_not_found     deleted
 *   403 user_banned
 *
 * PUT /auth/v1/user {"data":{…}} -- what a client keeps with the account: the
 * members of data replace those of user_metadata, null takes one away.
 *
 *   200 as above
 *   400 validation_failed  data is no object
 *   422 validation_failed  email, phone or password, which nobody has here;
 *                          or more than 16,384 bytes would be kept
 */

#include "app/app.h"
#include "app/view.h"

/* Others write at the same time; a client repeats what takes longer. */
#define TRIES_MAX 8

/* Takes what `change` does not speak of, then all of `change` but nulls. */
static void
merge(struct json_writer *w, const struct json *kept, const struct json *change)
{
	const struct json *member;

	json_begin_object(w, NULL);
	for (member = json_first(kept); member != NULL;
	     member = json_next(member))
		if (json_member(change, json_name(member).ptr) == NULL)
			json_copy(w, json_name(member).ptr, member);
	for (member = json_first(change); member != NULL;
	     member = json_next(member))
		if (!json_is_null(member))
			json_copy(w, json_name(member).ptr, member);
	json_end_object(w);
}

static enum err
change_metadata(struct app *app, const struct request *req,
    const struct account *account, const struct json *change,
    bool *ret_is_too_long)
{
	struct json_writer w;
	struct buf text;
	enum err err = OK;

	buf_init(&text, ACCOUNT_METADATA_BYTES_MAX);
	w = json_writer(&text);
	merge(&w, json_parse(req->arena, str_from(account->user_metadata)),
	    change);
	*ret_is_too_long = text.failed;
	if (!text.failed)
		err = accounts_set_metadata(app->db, account, buf_str(&text),
		    req->now_ms);
	buf_free(&text);
	return err;
}

static bool
is_given(const struct request *req, const char *name)
{
	const struct json *member = json_member(req->json, name);

	return member != NULL && !json_is_null(member);
}

static enum err
update(struct app *app, const struct request *req, struct response *res)
{
	const struct json *change = json_member(req->json, "data");
	struct account account;
	bool is_too_long = false;
	enum err err = OK;

	if (is_given(req, "email") || is_given(req, "phone") ||
	    is_given(req, "password"))
		return app_error(app, req, res, 422, "validation_failed",
		    "Accounts have no email, phone or password to set");
	if (is_given(req, "data") && !json_is_object(change))
		return ERR_INVALID_REQUEST;
	for (int tries = 0; is_given(req, "data"); tries++) {
		err = accounts_get(app->db, &req->user_id, &account);
		if (err == OK)
			err = change_metadata(app, req, &account, change,
			    &is_too_long);
		if (err != ERR_CONFLICT || tries == TRIES_MAX)
			break;
	}
	if (is_too_long)
		return app_error(app, req, res, 422, "validation_failed",
		    "The user's metadata would be too long");
	return err == ERR_CONFLICT ? ERR_SERVICE_UNAVAILABLE : err;
}

static enum err
auth_user(struct app *app, const struct request *req, struct response *res)
{
	struct account account;
	enum err err;

	if (req->method == HTTP_PUT) {
		err = update(app, req, res);
		if (err != OK || res->status != 200)
			return err;
	}
	err = accounts_get(app->db, &req->user_id, &account);
	if (err != OK)
		return err;

	view_auth_user(&res->json, NULL, &account);
	return OK;
}

int
main(int argc, char **argv)
{
	static const struct endpoint endpoint = {
		.name = "auth-user",
		.path = "/auth/v1/user",
		.methods = HTTP_GET | HTTP_PUT,
		.auth = AUTH_USER,
		.dialect = DIALECT_AUTH,
		.body = BODY_JSON,
		.body_bytes_max = APP_JSON_BYTES_MAX,
		.handle = auth_user,
	};

	return app_serve(&endpoint, argc, argv);
}
