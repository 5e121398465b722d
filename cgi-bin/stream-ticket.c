/* SPDX-License-Identifier: MIT */
/*
 * POST /functions/v1/stream-ticket -- lets a client that cannot set headers
 * open one stream.
 *
 *   {}
 *   200 {"ticket":"…","expires_in":30}
 *   400 invalid_request    there is a member in the body
 *   401 unauthorized       no valid bearer token
 *
 * The ticket goes into the query of job-events or user-events, once.
 */

#include "app/app.h"
#include "app/tickets.h"

static enum err
stream_ticket(struct app *app, const struct request *req, struct response *res)
{
	struct access_claims claims;
	struct buf ticket;

	if (json_first(req->json) != NULL)
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
		.body_bytes_max = 1024,
		.is_read_only = true,
		.handle = stream_ticket,
	};

	return app_serve(&endpoint, argc, argv);
}
