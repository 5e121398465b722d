/* SPDX-License-Identifier: MIT */
/*
 * POST /functions/v1/update-consumption-consent {"consent":true,
 * "text_version":"2026-11"} -- whether Apple may be told how much of a
 * purchase was used, when its customer asks for the money back.
 *
 *   200 {"success":true,"consent":true,"text_version":…,"updated_at":…}
 *   400 invalid_request    a member is missing, mistyped or none of the two;
 *                          text_version is not 1 to 64 visible ASCII letters
 *   401 unauthorized       no valid bearer token
 *   403 forbidden          user_id names somebody else
 *
 * The time and the version of the words are kept; false withdraws.  Without a
 * consent nothing is sent, whatever Apple asks.
 */

#include "app/app.h"
#include "domain/consumption.h"

struct body {
	struct uuid user_id; /* compared with the token's by now */
	struct str text_version;
	bool consent;
};

static bool
version_ok(struct str version)
{
	for (size_t i = 0; i < version.len; i++)
		if (version.ptr[i] <= ' ' || version.ptr[i] > '~')
			return false;
	return version.len >= 1 && version.len < CONSENT_VERSION_BYTES;
}

static enum err
update_consumption_consent(struct app *app, const struct request *req,
    struct response *res)
{
	static const struct json_field fields[] = {
		{ "consent", JSON_BOOL, offsetof(struct body, consent), 0,
		    JSON_REQUIRED },
		{ "text_version", JSON_STR, offsetof(struct body, text_version),
		    0, JSON_REQUIRED },
		{ "user_id", JSON_UUID, offsetof(struct body, user_id), 0,
		    JSON_OPTIONAL },
	};
	struct consent consent = { 0 };
	struct body body = { 0 };
	struct str bad_field;
	enum err err;

	if (!json_read(req->json, fields, sizeof(fields) / sizeof(fields[0]),
		JSON_REFUSE_UNKNOWN, &body, &bad_field) ||
	    !version_ok(body.text_version))
		return ERR_INVALID_REQUEST;
	consent.is_given = body.consent;
	(void)str_copy(body.text_version, consent.text_version,
	    sizeof(consent.text_version));
	err = consents_set(app->db, &req->user_id, &consent, req->now_ms,
	    &consent);
	if (err != OK)
		return err;

	json_begin_object(&res->json, NULL);
	json_bool(&res->json, "success", true);
	json_bool(&res->json, "consent", consent.is_given);
	json_text(&res->json, "text_version", consent.text_version);
	json_time(&res->json, "updated_at", consent.created_at_ms);
	json_end_object(&res->json);
	return OK;
}

int
main(int argc, char **argv)
{
	static const struct endpoint endpoint = {
		.name = "update-consumption-consent",
		.path = "/functions/v1/update-consumption-consent",
		.methods = HTTP_POST,
		.auth = AUTH_USER,
		.body = BODY_JSON,
		.body_bytes_max = APP_JSON_BYTES_MAX,
		.processes = 1,
		.handle = update_consumption_consent,
	};

	return app_serve(&endpoint, argc, argv);
}
