/* SPDX-License-Identifier: MIT */
/*
 * POST /functions/v1/stream-ticket -- lets a client that cannot set headers
 * open one stream.
 *
 *   {"user_id"?}
 *   200 {"ticket":"…","expires_in":30}
 *   400 invalid_request    there is another member in the body
 *   401 unauthorized       no valid bearer token
 *
 * The ticket goes into the query of job-events or user-events, once.
 */

#include "app/app.h"
#include "app/tickets.h"

static enum err
stream_ticket(struct app *app, const struct request *req, struct response *res)
{
	/* The door has compared it with the token's user. */
	static const struct json_field fields[] = {
		{ "user_id", JSON_ANY, 0, 0, JSON_OPTIONAL },
	};
	const struct json *user_id = NULL;
	struct access_claims claims;
	struct buf ticket;
	struct str bad;

	if (!json_read(req->json, fields, 1, JSON_REFUSE_UNKNOWN, &user_id,
		&bad))
		return ERR_INVALID_REQUEST;
	if (tokens_read_access(app, req->arena, req->bearer, req->now_ms,
		&claims) != TOKEN_OK)
		return ERR_UNAUTHORIZED;

	buf_init(&ticket, JWT_BYTES_MAX);
	tickets_write(&app->keys, &claims, req->now_ms, &ticket);
	json_begin_object(&res->json, NULL);
	json_str(&res->json, "ticket", buf_str(&ticket));
	json_int64(&res->json, "expires_in", TICKET_LIFE_MS / 1000);
	json_end_object(&res->json);
	buf_free(&ticket);
	return OK;
}

int
main(int argc, char **argv)
{
	static const struct endpoint endpoint = {
		.name = "stream-ticket",
		.path = "/functions/v1/stream-ticket",
		.methods = HTTP_POST,
		.auth = AUTH_USER,
		.body = BODY_JSON,
		.body_bytes_max = APP_JSON_BYTES_MAX,
		.processes = 1,
		.is_read_only = true,
		.handle = stream_ticket,
	};

	return app_serve(&endpoint, argc, argv);
}
