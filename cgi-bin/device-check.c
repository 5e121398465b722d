/* SPDX-License-Identifier: MIT */
/*
 * POST /functions/v1/device-check {"device_id":…,"device_token":…} -- a phone
 * opens the app: a guest, a session, and once a device the free credits.
 *
 *   200 {"success":true,"user_id":…,"credits_remaining":10,"is_new":true,
 *        "access_token":…,"grant":"granted",…}
 *   400 invalid_request       device_id is not 1 to 128 of [A-Za-z0-9._-]
 *   400 invalid_device_token  the token is not base64
 *   403 device_rejected       Apple does not vouch for the phone
 *   403 user_banned
 *   503 service_unavailable   Apple cannot be asked just now
 *
 * The gift: the account is written down with it pending, then Apple's bit is
 * set, then the credits are given (domain/devices.h).  Apple offers no way to
 * test and set, so phones that look new pass one at a time.
 */

#include <sodium.h>

#include "app/app.h"
#include "app/tokens.h"
#include "base/cleanup.h"
#include "base/lockfile.h"
#include "domain/devices.h"
#include "provider/devicecheck.h"
#include "wire/base64.h"

#define DEVICE_ID_BYTES_MAX 128

/* How long a phone waits for others that look new, within the 5 seconds that
 * Apple may take for each question. */
#define TURN_WAIT_MS 4000

struct body {
	struct str device_id;
	struct str device_token;
};

struct visit {
	struct device_entry entry;
	bool bit1;
	bool given;
};

static bool
is_device_id(struct str id)
{
	for (size_t i = 0; i < id.len; i++) {
		const char c = id.ptr[i];

		if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
			(c >= '0' && c <= '9') || c == '.' || c == '_' ||
			c == '-'))
			return false;
	}
	return id.len > 0 && id.len <= DEVICE_ID_BYTES_MAX;
}

static bool
is_device_token(const struct request *req, struct str token)
{
	void *bytes = arena_alloc(req->arena, DEVICECHECK_TOKEN_BYTES_MAX);
	size_t n;

	return token.len > 0 && token.len <= DEVICECHECK_TOKEN_BYTES_MAX &&
	    base64_decode(BASE64_STANDARD, token, bytes,
		DEVICECHECK_TOKEN_BYTES_MAX, &n);
}

static void
identify(const struct app *app, const struct request *req, struct str device_id,
    struct device_entry *entry)
{
	struct uuid uuid;
	char lower[UUID_TEXT_BYTES];

	*entry =
	    (struct device_entry){ .lang = req->lang, .now_ms = req->now_ms };
	entry->is_secret =
	    uuid_parse(device_id, &uuid) && uuid_version(&uuid) == 4;
	if (entry->is_secret) {
		uuid_format(&uuid, lower);
		device_id = str_from(lower);
	}
	(void)crypto_auth_hmacsha256(entry->id_hash,
	    (const unsigned char *)device_id.ptr, device_id.len,
	    app->keys.device);
}

/* Asks Apple; a device that was banned there goes no further. */
static enum err
ask_apple(const struct app *app, struct str token, struct visit *visit)
{
	struct devicecheck_bits bits = { 0 };

	switch (
	    devicecheck_query(&app->config, app->keys.sandbox, token, &bits)) {
	case DEVICECHECK_BAD_TOKEN:
		return ERR_DEVICE_REJECTED;
	case DEVICECHECK_UNAVAILABLE:
	case DEVICECHECK_UNCERTAIN:
		visit->entry.is_verified = false;
		return OK;
	case DEVICECHECK_OK:
		break;
	}
	visit->entry.is_verified = true;
	visit->entry.had_gift = bits.bit0;
	visit->bit1 = bits.bit1;
	return bits.bit1 ? ERR_DEVICE_REJECTED : OK;
}

static enum err
enter(struct app *app, struct str token, struct visit *visit)
{
	struct device_entry *entry = &visit->entry;
	enum devicecheck_verdict update = DEVICECHECK_OK;
	enum err err;

	err = devices_enter(app->db, entry);
	if (err != OK || !entry->is_pending || !entry->is_verified)
		return err;
	if (!entry->had_gift)
		update = devicecheck_update(&app->config, app->keys.sandbox,
		    token, true, visit->bit1);
	/* Not given yet: the gift stays pending and the next visit goes on. */
	if (update == DEVICECHECK_UNCERTAIN)
		return OK;
	if (update != DEVICECHECK_OK)
		return devices_unmark(app->db, entry);
	return devices_grant(app->db, entry,
	    config_number(&app->config, CONFIG_GRANT_CREDITS), &visit->given,
	    &entry->credits_remaining);
}

static enum err
enter_in_turn(struct app *app, struct str token, struct visit *visit)
{
	CLEANUP(cleanup_fd) int turn = -1;
	char path[CONFIG_VALUE_BYTES_MAX + 32];
	enum err err;

	err = ask_apple(app, token, visit);
	if (err != OK)
		return err;
	if (visit->entry.is_verified && !visit->entry.had_gift) {
		(void)snprintf(path, sizeof(path), "%s/run/device-check.lock",
		    config_text(&app->config, CONFIG_STATE_DIR));
		if (!lockfile_take(path, TURN_WAIT_MS, &turn))
			return ERR_SERVICE_UNAVAILABLE;
		/* Whoever was before us may have been the same phone. */
		err = ask_apple(app, token, visit);
		if (err != OK)
			return err;
	}
	return enter(app, token, visit);
}

static enum err
device_check(struct app *app, const struct request *req, struct response *res)
{
	static const struct json_field fields[] = {
		{ "device_id", JSON_STR, offsetof(struct body, device_id), 0,
		    JSON_REQUIRED },
		{ "device_token", JSON_STR, offsetof(struct body, device_token),
		    0, JSON_REQUIRED },
	};
	struct json_writer *w = &res->json;
	struct body body = { 0 };
	struct visit visit = { 0 };
	struct str bad_field;
	enum err err;

	if (!json_read(req->json, fields, sizeof(fields) / sizeof(fields[0]),
		JSON_IGNORE_UNKNOWN, &body, &bad_field) ||
	    !is_device_id(body.device_id))
		return ERR_INVALID_REQUEST;
	if (!is_device_token(req, body.device_token))
		return ERR_INVALID_DEVICE_TOKEN;
	identify(app, req, body.device_id, &visit.entry);
	err = enter_in_turn(app, body.device_token, &visit);
	if (err != OK)
		return err;

	json_begin_object(w, NULL);
	json_bool(w, "success", true);
	json_uuid(w, "user_id", &visit.entry.session.user_id);
	json_int64(w, "credits_remaining", visit.entry.credits_remaining);
	json_bool(w, "is_new", visit.entry.is_new);
	tokens_write_session(app, &visit.entry.session, req->now_ms, w);
	json_text(w, "grant",
	    visit.given                ? "granted" :
		visit.entry.is_pending ? "pending" :
					 "already_claimed");
	json_end_object(w);
	return OK;
}

int
main(int argc, char **argv)
{
	static const int live_keys[] = {
		CONFIG_APPLE_TEAM_ID,
		CONFIG_DEVICECHECK_KEY_ID,
		CONFIG_DEVICECHECK_KEY_FILE,
		-1,
	};
	static const struct endpoint endpoint = {
		.name = "device-check",
		.path = "/functions/v1/device-check",
		.methods = HTTP_POST,
		.auth = AUTH_APIKEY,
		.body = BODY_JSON,
		.body_bytes_max = APP_JSON_BYTES_MAX,
		.processes = 8,
		.read_timeout_s = 25,
		.live_keys = live_keys,
		.handle = device_check,
	};

	return app_serve(&endpoint, argc, argv);
}
