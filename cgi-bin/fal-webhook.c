/* SPDX-License-Identifier: MIT */
/*
 * POST /functions/v1/fal-webhook/ATTEMPT.MAC -- fal tells that a request has
 * ended.
 *
 *   200 {"success":true}     taken note of, now or before
 *   400 invalid_request      signed, but not about one request
 *   401 unauthorized         not signed by fal for our account, or too old
 *   404 not_found            no URL of ours
 *   503 service_unavailable  fal's keys cannot be had: send it again
 *
 * One row is written; the worker does the rest.  Whoever may read the URL can
 * still say nothing without fal's signature, and fal can only speak of the
 * attempt that the URL names.
 */

#include "app/app.h"
#include "app/hooks.h"
#include "base/cleanup.h"
#include "provider/fal.h"
#include "provider/keyset.h"

/* As fal recommends. */
#define KEYS_AGE_MAX_MS (INT64_C(24) * 3600 * 1000)

enum { REQUEST_ID, USER_ID, TIMESTAMP, SIGNATURE };

/*
 * A signature that no key of ours fits may be of a new key: then the keys are
 * fetched again.  Who cannot be asked about it is told to come again.
 */
static enum err
check_signature(struct app *app, const struct request *req,
    const struct fal_webhook *webhook)
{
	const struct config *config = &app->config;
	const struct keyset set = {
		.name = "fal",
		.urls = config_is_set(config, CONFIG_FAL_JWKS_URL) ?
		    config_text(config, CONFIG_FAL_JWKS_URL) :
		    FAL_JWKS_URL,
		.age_max_ms = KEYS_AGE_MAX_MS,
		.bytes_max = FAL_KEY_SET_BYTES_MAX,
		.is_good = fal_has_keys,
	};
	CLEANUP(buf_free) struct buf keys = { 0 };
	bool is_fresh = false;

	buf_init(&keys, FAL_KEY_SET_BYTES_MAX);
	for (int i = 0; i < 2; i++) {
		if (!keyset_get(config, req->arena, &set, i > 0, &keys,
			&is_fresh))
			return ERR_SERVICE_UNAVAILABLE;
		if (fal_webhook_is_signed(req->arena, webhook, buf_str(&keys),
			config_text(config, CONFIG_FAL_USER_ID),
			req->now_ms / 1000))
			return OK;
	}
	return is_fresh ? ERR_UNAUTHORIZED : ERR_SERVICE_UNAVAILABLE;
}

static enum err
fal_webhook(struct app *app, const struct request *req, struct response *res)
{
	const struct fal_webhook webhook = {
		.request_id = req->header[REQUEST_ID],
		.user_id = req->header[USER_ID],
		.timestamp = req->header[TIMESTAMP],
		.signature = req->header[SIGNATURE],
		.body = req->body,
	};
	struct provider_status status;
	struct uuid attempt_id;
	enum err err;

	if (!config_is_set(&app->config, CONFIG_FAL_KEY) ||
	    !hooks_check(&app->keys, "fal", req->tail, &attempt_id))
		return ERR_NOT_FOUND;
	if (webhook.signature.len == 0)
		return ERR_UNAUTHORIZED;
	err = check_signature(app, req, &webhook);
	if (err != OK)
		return err;
	if (!fal_webhook_read(req->arena, &webhook, &status))
		return ERR_INVALID_REQUEST;
	return hooks_report(app, req, res,
	    &(const struct hook){
		.provider = "fal",
		.attempt_id = attempt_id,
		.request_id = webhook.request_id,
		.status = &status,
	    });
}

int
main(int argc, char **argv)
{
	static const struct endpoint endpoint = {
		.name = "fal-webhook",
		.path = "/functions/v1/fal-webhook/",
		.methods = HTTP_POST,
		.auth = AUTH_NONE,
		.body = BODY_RAW,
		.body_bytes_max = 1024 * 1024,
		.header = {
			[REQUEST_ID] = "HTTP_X_FAL_WEBHOOK_REQUEST_ID",
			[USER_ID] = "HTTP_X_FAL_WEBHOOK_USER_ID",
			[TIMESTAMP] = "HTTP_X_FAL_WEBHOOK_TIMESTAMP",
			[SIGNATURE] = "HTTP_X_FAL_WEBHOOK_SIGNATURE",
		},
		.handle = fal_webhook,
	};

	return app_serve(&endpoint, argc, argv);
}
