/* SPDX-License-Identifier: MIT */
/*
 * GET, HEAD /auth/v1/.well-known/jwks.json -- the public keys for our access
 * tokens: none, because they are signed with a secret (HS256).  Clients then
 * ask /auth/v1/user instead of checking a token themselves.
 *
 *   200 {"keys":[]}
 */

#include "app/app.h"

static enum err
auth_jwks(struct app *app, const struct request *req, struct response *res)
{
	(void)app;
	(void)req;
	res->cache_control = "public, max-age=600";
	json_begin_object(&res->json, NULL);
	json_begin_array(&res->json, "keys");
	json_end_array(&res->json);
	json_end_object(&res->json);
	return OK;
}

int
main(int argc, char **argv)
{
	static const struct endpoint endpoint = {
		.name = "auth-jwks",
		.path = "/auth/v1/.well-known/jwks.json",
		.methods = HTTP_GET | HTTP_HEAD,
		.auth = AUTH_NONE,
		.dialect = DIALECT_AUTH,
		.processes = 1,
		.is_read_only = true,
		.handle = auth_jwks,
	};

	return app_serve(&endpoint, argc, argv);
}
