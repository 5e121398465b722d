/* SPDX-License-Identifier: MIT */
/*
 * POST /functions/v1/apple-server-notifications {"signedPayload":JWS} -- the
 * App Store tells what became of a purchase or a subscription.
 *
 *   200 {"success":true}     stored and acted on, now or before; or signed by
 *                            Apple but for another app or environment
 *   400 invalid_request      not signed by Apple: nothing was stored
 *   503 service_unavailable  the database or our configuration: send it again
 *
 * Register the address in App Store Connect, for production and the sandbox.
 * Apple repeats what was not answered with 200 for six days, in production
 * only; the worker asks for what got lost.
 */

#include "app/app.h"
#include "app/purchasing.h"
#include "base/log.h"

struct body {
	struct str signed_payload;
};

static void
log_outcome(const struct request *req, enum log_level level, const char *type,
    const char *outcome)
{
	struct log log = log_begin(level, "appstore_notification");

	log_str(&log, "request_id", req->request_id);
	log_text(&log, "kind", type);
	log_text(&log, "outcome", outcome);
	log_end(&log);
}

static enum err
receive(const struct app *app, const struct request *req,
    struct str signed_payload)
{
	struct notification n = { 0 };
	enum appstore_verdict verdict;
	bool is_new = false;
	enum err err = OK;

	verdict = purchasing_receive(&app->config, app->db, signed_payload,
	    req->now_ms, &n, &is_new, &err);
	switch (verdict) {
	case APPSTORE_OK:
		break;
	case APPSTORE_WRONG_APP:
	case APPSTORE_WRONG_ENVIRONMENT:
	case APPSTORE_BAD_PAYLOAD:
	case APPSTORE_INCOMPLETE:
		/* Apple's, but nothing that repeating would help. */
		log_outcome(req, LOG_WARNING, n.type,
		    appstore_verdict_name(verdict));
		return OK;
	case APPSTORE_UNAVAILABLE:
		return ERR_SERVICE_UNAVAILABLE;
	case APPSTORE_BAD_FORM:
	case APPSTORE_BAD_CHAIN_LENGTH:
	case APPSTORE_BAD_CERTIFICATE:
	case APPSTORE_BAD_CHAIN:
	case APPSTORE_DENIED_LEAF:
	case APPSTORE_BAD_SIGNATURE:
	case APPSTORE_BAD_DATE:
		log_outcome(req, LOG_WARNING, "",
		    appstore_verdict_name(verdict));
		return ERR_INVALID_REQUEST;
	case APPSTORE_BAD_NESTED:
		/* Apple has signed what holds it: nobody does that by chance. */
		log_outcome(req, LOG_ERROR, "", appstore_verdict_name(verdict));
		return ERR_INVALID_REQUEST;
	}
	log_outcome(req, err == OK ? LOG_INFO : LOG_ERROR, n.type,
	    err != OK  ? err_code(err) :
		is_new ? "new" :
			 "repeated");
	/* Apple repeats it: a conflict may be gone by then. */
	return err == OK ? OK : ERR_SERVICE_UNAVAILABLE;
}

static enum err
apple_server_notifications(struct app *app, const struct request *req,
    struct response *res)
{
	static const struct json_field fields[] = {
		{ "signedPayload", JSON_STR,
		    offsetof(struct body, signed_payload), 0, JSON_REQUIRED },
	};
	struct body body = { 0 };
	struct str bad_field;
	enum err err;

	if (!json_read(req->json, fields, sizeof(fields) / sizeof(fields[0]),
		JSON_IGNORE_UNKNOWN, &body, &bad_field))
		return ERR_INVALID_REQUEST;
	err = receive(app, req, body.signed_payload);
	if (err != OK)
		return err;

	json_begin_object(&res->json, NULL);
	json_bool(&res->json, "success", true);
	json_end_object(&res->json);
	return OK;
}

int
main(int argc, char **argv)
{
	static const int live_keys[] = { CONFIG_APPLE_BUNDLE_ID,
		CONFIG_APPLE_APP_ID, -1 };
	static const struct endpoint endpoint = {
		.name = "apple-server-notifications",
		.path = "/functions/v1/apple-server-notifications",
		.methods = HTTP_POST,
		.auth = AUTH_NONE,
		.body = BODY_JSON,
		.body_bytes_max = APPSTORE_JWS_BYTES_MAX + 1024,
		.processes = 1,
		.live_keys = live_keys,
		.handle = apple_server_notifications,
	};

	return app_serve(&endpoint, argc, argv);
}
