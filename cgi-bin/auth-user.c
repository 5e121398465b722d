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
 */

#include "app/app.h"
#include "app/view.h"

static enum err
auth_user(struct app *app, const struct request *req, struct response *res)
{
	struct account account;
	enum err err;

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
		.methods = HTTP_GET,
		.auth = AUTH_USER,
		.dialect = DIALECT_AUTH,
		.is_read_only = true,
		.handle = auth_user,
	};

	return app_serve(&endpoint, argc, argv);
}
