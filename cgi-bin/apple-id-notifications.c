/* SPDX-License-Identifier: MIT */
/*
 * POST /functions/v1/apple-id-notifications {"payload":JWT} -- Apple tells
 * what became of somebody's consent, Apple ID or mail address.
 *
 *   200 {"success":true}     taken note of, now or before
 *   400 invalid_request      not signed by Apple, not for us, or too old
 *   503 service_unavailable  Apple's keys cannot be had: send it again
 *
 * Register the address in the developer account, at the primary app's Sign in
 * with Apple settings.  What a notification does: domain/identities.h.
 */

#include <sodium.h>

#include "app/app.h"
#include "base/log.h"
#include "domain/identities.h"
#include "provider/appleid.h"

struct body {
	struct str payload;
};

/* It may come again, perhaps signed anew: its id is what it is known by. */
static void
hash_id(const struct appleid_notification *n, uint8_t hash[32])
{
	static const char kind[] = "notification";
	crypto_hash_sha256_state state;

	(void)crypto_hash_sha256_init(&state);
	(void)crypto_hash_sha256_update(&state, (const unsigned char *)kind,
	    sizeof(kind));
	(void)crypto_hash_sha256_update(&state, (const unsigned char *)n->id,
	    strlen(n->id));
	(void)crypto_hash_sha256_final(&state, hash);
}

static void
log_event(const struct request *req, const char *event)
{
	struct log log = log_begin(LOG_INFO, "apple_notification");

	log_str(&log, "request_id", req->request_id);
	log_text(&log, "kind", event);
	log_end(&log);
}

static enum err
take_note(struct app *app, const struct request *req,
    const struct appleid_notification *n)
{
	struct identity identity = {
		.sub = n->sub,
		.email = "",
		.expires_at_ms = n->expires_at_ms,
	};
	enum identity_news news = IDENTITY_EMAIL;

	hash_id(n, identity.hash);
	switch (n->event) {
	case APPLEID_OTHER_EVENT:
		log_event(req, "unknown");
		return OK;
	case APPLEID_EMAIL_ENABLED:
		log_event(req, "email-enabled");
		identity.email = n->email;
		break;
	case APPLEID_EMAIL_DISABLED:
		log_event(req, "email-disabled");
		break;
	case APPLEID_CONSENT_REVOKED:
		log_event(req, "consent-revoked");
		news = IDENTITY_SIGNED_OUT;
		break;
	case APPLEID_ACCOUNT_DELETED:
		log_event(req, "account-deleted");
		news = IDENTITY_GONE;
		break;
	}
	return identities_notify(app->db, &identity, news, req->now_ms);
}

static enum err
apple_id_notifications(struct app *app, const struct request *req,
    struct response *res)
{
	static const struct json_field fields[] = {
		{ "payload", JSON_STR, offsetof(struct body, payload), 0,
		    JSON_REQUIRED },
	};
	struct appleid_notification notification;
	enum appleid_verdict verdict;
	struct body body = { 0 };
	struct str bad_field;
	enum err err;

	if (!json_read(req->json, fields, sizeof(fields) / sizeof(fields[0]),
		JSON_IGNORE_UNKNOWN, &body, &bad_field))
		return ERR_INVALID_REQUEST;
	verdict = appleid_verify_notification(&app->config, req->arena,
	    body.payload, req->now_ms, &notification);
	if (verdict == APPLEID_UNAVAILABLE)
		return ERR_SERVICE_UNAVAILABLE;
	if (verdict != APPLEID_OK)
		return ERR_INVALID_REQUEST;
	err = take_note(app, req, &notification);
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
	static const struct endpoint endpoint = {
		.name = "apple-id-notifications",
		.path = "/functions/v1/apple-id-notifications",
		.methods = HTTP_POST,
		.auth = AUTH_NONE,
		.body = BODY_JSON,
		.body_bytes_max = APP_JSON_BYTES_MAX,
		.processes = 1,
		.read_timeout_s = 25,
		.handle = apple_id_notifications,
	};

	return app_serve(&endpoint, argc, argv);
}
