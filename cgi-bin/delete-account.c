/* SPDX-License-Identifier: MIT */
/*
 * POST /functions/v1/delete-account {} -- deletes one's own account.
 *
 *   200 {"success":true}
 *   401 unauthorized       no valid bearer token; deleted already
 *   403 forbidden          user_id names somebody else
 *
 * When it is answered all sessions are over, the account is empty and nobody
 * comes back into it; queued videos are cancelled.  Files go, and what is
 * under way is settled, within moments (domain/deletions.h).
 */

#include "app/app.h"
#include "domain/deletions.h"

static enum err
delete_account(struct app *app, const struct request *req, struct response *res)
{
	const enum err err =
	    deletions_begin(app->db, &req->user_id, req->now_ms);

	if (err != OK)
		return err;
	app_nudge(app);

	json_begin_object(&res->json, NULL);
	json_bool(&res->json, "success", true);
	json_end_object(&res->json);
	return OK;
}

int
main(int argc, char **argv)
{
	static const struct endpoint endpoint = {
		.name = "delete-account",
		.path = "/functions/v1/delete-account",
		.methods = HTTP_POST,
		.auth = AUTH_USER,
		.body = BODY_JSON,
		.body_bytes_max = APP_JSON_BYTES_MAX,
		.processes = 1,
		.handle = delete_account,
	};

	return app_serve(&endpoint, argc, argv);
}
