/* SPDX-License-Identifier: MIT */
/*
 * GET /health -- the router, a process and the database answer.
 *
 *   200 {"status":"ok"}
 *   503 service_unavailable
 */

#include "app/app.h"
#include "domain/catalog.h"

static enum err
health(struct app *app, const struct request *req, struct response *res)
{
	struct model model;
	const enum err err = catalog_active_model(app->db, &model);

	(void)req;
	/* No active model is for the owner to mend, the machine is well. */
	if (err != OK && err != ERR_MODEL_NOT_FOUND)
		return ERR_SERVICE_UNAVAILABLE;

	json_begin_object(&res->json, NULL);
	json_text(&res->json, "status", "ok");
	json_end_object(&res->json);
	return OK;
}

int
main(int argc, char **argv)
{
	static const struct endpoint endpoint = {
		.name = "health",
		.path = "/health",
		.methods = HTTP_GET | HTTP_HEAD,
		.auth = AUTH_NONE,
		.processes = 1,
		.is_read_only = true,
		.handle = health,
	};

	return app_serve(&endpoint, argc, argv);
}
