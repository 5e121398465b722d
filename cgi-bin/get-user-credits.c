/* SPDX-License-Identifier: MIT */
/*
 * GET /functions/v1/get-user-credits -- how many credits a user has left.
 *
 *   200 {"credits_remaining":10}
 *   401 unauthorized       no valid bearer token
 *   403 forbidden          user_id names somebody else
 *
 * The token names the user; user_id stays because released apps send it, and
 * it must agree with the token.
 */

#include "app/app.h"
#include "domain/credits.h"

static enum err
get_user_credits(struct app *app, const struct request *req,
    struct response *res)
{
	int64_t credits;
	enum err err;

	err = credits_balance(app->db, &req->user_id, &credits);
	if (err != OK)
		return err;

	json_begin_object(&res->json, NULL);
	json_int64(&res->json, "credits_remaining", credits);
	json_end_object(&res->json);
	return OK;
}

int
main(int argc, char **argv)
{
	static const struct endpoint endpoint = {
		.name = "get-user-credits",
		.path = "/functions/v1/get-user-credits",
		.methods = HTTP_GET,
		.auth = AUTH_USER,
		.is_read_only = true,
		.handle = get_user_credits,
	};

	return app_serve(&endpoint, argc, argv);
}
