/* SPDX-License-Identifier: MIT */
/*
 * POST /functions/v1/replicate-webhook/ATTEMPT.MAC -- Replicate tells that a
 * prediction has ended.
 *
 *   200 {"success":true}     taken note of, now or before
 *   400 invalid_request      signed, but no prediction that has ended
 *   401 unauthorized         not signed with our secret, or too old
 *   404 not_found            no URL of ours
 *
 * As fal-webhook: one row is written; the worker does the rest.
 */

#include "app/app.h"
#include "app/hooks.h"
#include "provider/replicate.h"

enum { ID, TIMESTAMP, SIGNATURE };

static enum err
replicate_webhook(struct app *app, const struct request *req,
    struct response *res)
{
	const struct replicate_webhook webhook = {
		.id = req->header[ID],
		.timestamp = req->header[TIMESTAMP],
		.signature = req->header[SIGNATURE],
		.body = req->body,
	};
	struct provider_status status;
	struct uuid attempt_id;
	struct str request_id;

	if (!config_is_set(&app->config, CONFIG_REPLICATE_WEBHOOK_SECRET) ||
	    !hooks_check(&app->keys, "replicate", req->tail, &attempt_id))
		return ERR_NOT_FOUND;
	if (!replicate_webhook_is_signed(&webhook,
		config_text(&app->config, CONFIG_REPLICATE_WEBHOOK_SECRET),
		req->now_ms / 1000))
		return ERR_UNAUTHORIZED;
	if (!replicate_webhook_read(req->arena, req->body, &request_id,
		&status))
		return ERR_INVALID_REQUEST;
	return hooks_report(app, req, res,
	    &(const struct hook){
		.provider = "replicate",
		.attempt_id = attempt_id,
		.request_id = request_id,
		.status = &status,
	    });
}

int
main(int argc, char **argv)
{
	static const struct endpoint endpoint = {
		.name = "replicate-webhook",
		.path = "/functions/v1/replicate-webhook/",
		.methods = HTTP_POST,
		.auth = AUTH_NONE,
		.body = BODY_RAW,
		.body_bytes_max = REPLICATE_BODY_BYTES_MAX,
		.processes = 1,
		.header = {
			[ID] = "HTTP_WEBHOOK_ID",
			[TIMESTAMP] = "HTTP_WEBHOOK_TIMESTAMP",
			[SIGNATURE] = "HTTP_WEBHOOK_SIGNATURE",
		},
		.handle = replicate_webhook,
	};

	return app_serve(&endpoint, argc, argv);
}
