/* SPDX-License-Identifier: MIT */
/*
 * GET /functions/v1/get-user-profile -- the User object of the app.
 *
 *   200 {"id":…,"credits_remaining":10,…}
 *   401 unauthorized       no valid bearer token
 *   403 forbidden          user_id names somebody else
 */

#include "app/app.h"
#include "app/view.h"

static enum err
get_user_profile(struct app *app, const struct request *req,
    struct response *res)
{
	struct account account;
	enum err err;

	err = accounts_get(app->db, &req->user_id, &account);
	if (err != OK)
		return err;

	view_profile(&res->json, NULL, &account);
	return OK;
}

int
main(int argc, char **argv)
{
	static const struct endpoint endpoint = {
		.name = "get-user-profile",
		.path = "/functions/v1/get-user-profile",
		.methods = HTTP_GET,
		.auth = AUTH_USER,
		.is_read_only = true,
		.handle = get_user_profile,
	};

	return app_serve(&endpoint, argc, argv);
}
