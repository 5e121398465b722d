/* SPDX-License-Identifier: MIT */
/*
 * POST /auth/v1/signup -- refused: the door for new accounts is device-check,
 * which knows one phone from another.
 *
 *   422 anonymous_provider_disabled
 */

#include "app/app.h"

static enum err
auth_signup(struct app *app, const struct request *req, struct response *res)
{
	return app_error(app, req, res, 422, "anonymous_provider_disabled",
	    "Anonymous sign-ins are disabled");
}

int
main(int argc, char **argv)
{
	static const struct endpoint endpoint = {
		.name = "auth-signup",
		.path = "/auth/v1/signup",
		.methods = HTTP_POST,
		.auth = AUTH_APIKEY,
		.dialect = DIALECT_AUTH,
		.body = BODY_RAW,
		.body_bytes_max = APP_JSON_BYTES_MAX,
		.processes = 1,
		.is_read_only = true,
		.handle = auth_signup,
	};

	return app_serve(&endpoint, argc, argv);
}
