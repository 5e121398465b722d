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
 *   429 rate_limited          too often by this device id or address
 *   503 service_unavailable   Apple cannot be asked just now, and this device
 *                             id has an account
 *
 * grant is "granted" (just now), "already_claimed", "pending" (Apple could not
 * be asked or told, or too many new phones came at once: the next visit goes
 * on) or "withheld" (the device id has opened too many accounts, was refused
 * by Apple too often, or Apple's bit of it does not stay as it is left).
 *
 * The gift: the account is written down with it pending, then Apple's bit is
 * set, then the credits are given (domain/devices.h).  Apple offers no way to
 * test and set, and nothing but its answer tells two phones apart, so phones
 * that look new pass one at a time.  Whose turn does not come soon goes in
 * without the gift.
 */

#include <sodium.h>

#include "app/rates.h"
#include "app/tokens.h"
#include "base/cleanup.h"
#include "base/lockfile.h"
#include "domain/devices.h"
#include "domain/upstreams.h"
#include "provider/devicecheck.h"
#include "wire/address.h"
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
	struct str token;
	struct devicecheck_bits bits;
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

	*entry = (struct device_entry){ .lang = req->lang,
		.now_ms = req->now_ms,
		.limits = {
		    .accounts_max =
			config_number(&app->config, CONFIG_DEVICE_ACCOUNTS_MAX),
		    .rejections_max = config_number(&app->config,
			CONFIG_DEVICE_REJECTIONS_MAX),
		    .bit_changes_max = config_number(&app->config,
			CONFIG_DEVICE_BIT_CHANGES_MAX),
		} };
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

/* Before Apple is asked: a question costs us time and Apple's patience. */
static enum err
count_visit(struct app *app, const struct request *req, struct response *res,
    const struct device_entry *entry)
{
	struct limit limits[] = {
		{ .kind = LIMIT_DEVICE,
		    .subject_bytes = DEVICE_HASH_BYTES,
		    .per_hour = rates_per_hour(app, LIMIT_DEVICE) },
		{ .kind = LIMIT_ADDRESS,
		    .per_hour = rates_per_hour(app, LIMIT_ADDRESS) },
	};
	struct limit_state state = { 0 };
	size_t index = 0;
	enum err err;

	/* This machine itself is not limited, as in nginx/limits.conf. */
	if (address_is_local(req->remote_address))
		return OK;
	if (!rates_address(app, req, &limits[1]))
		return ERR_INTERNAL;
	memcpy(limits[0].subject, entry->id_hash, DEVICE_HASH_BYTES);
	err = limits_use(app->db, limits, sizeof(limits) / sizeof(limits[0]),
	    req->now_ms, &state, &index);
	rates_tell(app, req, res, &limits[index], &state, err);
	return err;
}

static bool
bit_is_set(const struct app *app, const struct devicecheck_bits *bits,
    enum config_key which)
{
	const int64_t number = config_number(&app->config, which);

	return (number == 0 && bits->bit0) || (number == 1 && bits->bit1);
}

/* Asks Apple; a device that was banned there goes no further. */
static enum err
ask_apple(struct app *app, struct visit *visit)
{
	struct device_entry *entry = &visit->entry;
	const enum devicecheck_verdict verdict = devicecheck_query(&app->config,
	    app->keys.sandbox, visit->token, &visit->bits);

	/* That nobody hears of it is no reason to turn the phone away. */
	if (verdict == DEVICECHECK_UNAVAILABLE)
		(void)upstreams_failed(app->db, UPSTREAM_APPLE, "devicecheck",
		    "no answer, or our key is refused", entry->now_ms);
	else
		(void)upstreams_answered(app->db, UPSTREAM_APPLE,
		    "devicecheck");
	switch (verdict) {
	case DEVICECHECK_BAD_TOKEN:
		(void)devices_note_rejection(app->db, entry->id_hash,
		    entry->now_ms);
		return ERR_DEVICE_REJECTED;
	case DEVICECHECK_UNAVAILABLE:
	case DEVICECHECK_UNCERTAIN:
		entry->is_verified = false;
		entry->had_gift = false;
		return OK;
	case DEVICECHECK_OK:
		break;
	}
	entry->is_verified = true;
	entry->had_gift =
	    bit_is_set(app, &visit->bits, CONFIG_DEVICECHECK_GRANT_BIT);
	return bit_is_set(app, &visit->bits, CONFIG_DEVICECHECK_BAN_BIT) ?
	    ERR_DEVICE_REJECTED :
	    OK;
}

/* False when the bit is not known to be set: the gift stays pending. */
static enum err
set_bit(struct app *app, struct visit *visit, bool *ret_set)
{
	const bool is_bit0 =
	    config_number(&app->config, CONFIG_DEVICECHECK_GRANT_BIT) == 0;
	const enum devicecheck_verdict verdict =
	    devicecheck_update(&app->config, app->keys.sandbox, visit->token,
		is_bit0 || visit->bits.bit0, !is_bit0 || visit->bits.bit1);

	*ret_set = verdict == DEVICECHECK_OK;
	if (verdict == DEVICECHECK_OK || verdict == DEVICECHECK_UNCERTAIN)
		return OK;
	return devices_unmark(app->db, &visit->entry);
}

static enum err
enter(struct app *app, struct visit *visit)
{
	struct device_entry *entry = &visit->entry;
	bool is_set = true;
	enum err err;

	err = devices_enter(app->db, entry);
	if (err == OK && entry->must_set_bit)
		err = set_bit(app, visit, &is_set);
	if (err != OK || !is_set || !entry->is_verified || entry->must_wait ||
	    entry->gift != GIFT_PENDING)
		return err;
	return devices_grant(app->db, entry,
	    config_number(&app->config, CONFIG_GRANT_CREDITS));
}

static enum err
enter_in_turn(struct app *app, struct visit *visit)
{
	CLEANUP(cleanup_fd) int turn = -1;
	char path[CONFIG_VALUE_BYTES_MAX + 32];
	enum err err;

	err = ask_apple(app, visit);
	if (err != OK)
		return err;
	if (visit->entry.is_verified && !visit->entry.had_gift) {
		(void)snprintf(path, sizeof(path), "%s/run/device-check.lock",
		    config_text(&app->config, CONFIG_STATE_DIR));
		visit->entry.must_wait =
		    !lockfile_take(path, TURN_WAIT_MS, &turn);
		/* Whoever was before us may have been the same phone. */
		if (!visit->entry.must_wait)
			err = ask_apple(app, visit);
		if (err != OK)
			return err;
	}
	return enter(app, visit);
}

static enum err
device_check(struct app *app, const struct request *req, struct response *res)
{
	static const char *const grants[] = {
		[GIFT_PENDING] = "pending",
		[GIFT_GRANTED] = "granted",
		[GIFT_ALREADY_CLAIMED] = "already_claimed",
		[GIFT_WITHHELD] = "withheld",
	};
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
	visit.token = body.device_token;
	err = count_visit(app, req, res, &visit.entry);
	if (err == OK)
		err = enter_in_turn(app, &visit);
	if (err != OK)
		return err;

	json_begin_object(w, NULL);
	json_bool(w, "success", true);
	json_uuid(w, "user_id", &visit.entry.session.user_id);
	json_int64(w, "credits_remaining", visit.entry.credits_remaining);
	json_bool(w, "is_new", visit.entry.is_new);
	tokens_write_session(app, &visit.entry.session, req->now_ms, w);
	json_text(w, "grant", grants[visit.entry.gift]);
	json_end_object(w);
	return OK;
}

int
main(int argc, char **argv)
{
	static const int live_keys[] = { CONFIG_APPLE_TEAM_ID,
		CONFIG_DEVICECHECK_KEY_ID, CONFIG_DEVICECHECK_KEY_FILE, -1 };
	static const struct endpoint endpoint = {
		.name = "device-check",
		.path = "/functions/v1/device-check",
		.methods = HTTP_POST,
		.auth = AUTH_APIKEY,
		.body = BODY_JSON,
		.body_bytes_max = APP_JSON_BYTES_MAX,
		.processes = 4,
		.read_timeout_s = 25,
		.live_keys = live_keys,
		.handle = device_check,
	};

	return app_serve(&endpoint, argc, argv);
}
