/* SPDX-License-Identifier: MIT */
/*
 * GET /metrics -- what is counted, for Prometheus: for this machine only, the
 * router shows it to nobody else.
 *
 *   200 text/plain; version=0.0.4
 *   503 service_unavailable
 */

#include "app/app.h"
#include "app/exposition.h"

static enum err
metrics(struct app *app, const struct request *req, struct response *res)
{
	res->content_type = EXPOSITION_TYPE;
	return exposition_write(app, req->now_ms, &res->body) == OK ?
	    OK :
	    ERR_SERVICE_UNAVAILABLE;
}

int
main(int argc, char **argv)
{
	static const struct endpoint endpoint = {
		.name = "metrics",
		.path = "/metrics",
		.methods = HTTP_GET | HTTP_HEAD,
		.auth = AUTH_NONE,
		.processes = 1,
		.is_read_only = true,
		.handle = metrics,
	};

	return app_serve(&endpoint, argc, argv);
}
