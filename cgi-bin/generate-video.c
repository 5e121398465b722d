/* SPDX-License-Identifier: MIT */
/*
 * POST /functions/v1/generate-video, header Idempotency-Key -- orders a video.
 *
 *   {"prompt":…,"theme_id"?,"model_id"?,"image_url"?,
 *    "settings"?:{"duration","resolution","aspect_ratio"}}
 *
 *   200 {"job_id":…,"status":"pending","credits_used":4,
 *        "credits_remaining":6}; repeated for the same key, then with the
 *        header X-Idempotent-Replay: true
 *   400 idempotency_key_required, idempotency_key_invalid, invalid_prompt,
 *       invalid_settings, invalid_image_url, invalid_request
 *   401 unauthorized       no valid bearer token
 *   402 insufficient_credits, with credits_remaining and credits_required
 *   403 forbidden          user_id names somebody else
 *   404 theme_not_found, model_not_found
 *   422 idempotency_key_reused   the key belongs to another request
 *   429 too_many_jobs      so many are under way already
 *   429 rate_limited       so many were ordered in this hour, or minute
 *   502 provider_unavailable     nothing was charged
 *   503 service_unavailable      the disk is full: nothing was charged
 *
 * The charge, the job and the key are one transaction; the provider is called
 * by the worker afterwards, never from here.
 */

#include <sodium.h>

#include "app/app.h"
#include "app/links.h"
#include "app/rates.h"
#include "domain/dispatch.h"
#include "domain/jobs.h"
#include "domain/media.h"
#include "domain/storage.h"
#include "domain/switches.h"
#include "provider/provider.h"

struct body {
	struct str prompt;
	struct uuid theme_id;
	bool has_theme;
	struct uuid model_id;
	bool has_model;
	struct str image_url;
	bool has_image;
	const struct json *settings;
	struct settings_wish wish;
};

static enum err
read_key(const struct request *req, char key[JOB_KEY_BYTES_MAX + 1])
{
	struct str text = req->idempotency_key;
	struct uuid uuid;

	if (text.len == 0)
		return ERR_IDEMPOTENCY_KEY_REQUIRED;
	/* draft-ietf-httpapi-idempotency-key-header sends it in quotes. */
	if (text.len > 2 && text.ptr[0] == '"' && text.ptr[text.len - 1] == '"')
		text = (struct str){ text.ptr + 1, text.len - 2 };
	if (!http_token_ok(text, JOB_KEY_BYTES_MAX) ||
	    !str_copy(text, key, JOB_KEY_BYTES_MAX + 1))
		return ERR_IDEMPOTENCY_KEY_INVALID;
	/* Swift writes UUIDs in upper case; a retry need not. */
	if (uuid_parse(text, &uuid))
		uuid_format(&uuid, key);
	return OK;
}

static bool
read_text(const struct json *object, const char *name,
    char text[CATALOG_VALUE_BYTES])
{
	const struct json *member = json_member(object, name);
	struct str value;

	if (member == NULL || json_is_null(member))
		return true;
	return json_to_str(member, &value) && value.len > 0 &&
	    str_copy(value, text, CATALOG_VALUE_BYTES);
}

static bool
read_wish(const struct json *settings, struct settings_wish *wish)
{
	const struct json *duration;

	if (settings == NULL || json_is_null(settings))
		return true;
	if (!json_is_object(settings))
		return false;
	/* However long it is: catalog_settle() rounds to what there is. */
	duration = json_member(settings, "duration");
	if (duration != NULL && !json_is_null(duration) &&
	    !json_to_int64(duration, 1, JSON_INT_MAX, &wish->duration_s))
		return false;
	return read_text(settings, "resolution", wish->resolution) &&
	    read_text(settings, "aspect_ratio", wish->aspect_ratio);
}

static bool
is_prompt(struct str prompt)
{
	const size_t characters = str_utf8_length(prompt);
	bool has_ink = false;

	for (size_t i = 0; i < prompt.len; i++)
		has_ink = has_ink || (unsigned char)prompt.ptr[i] > ' ';
	return has_ink && characters <= JOB_PROMPT_CHARACTERS_MAX;
}

static enum err
read_body(const struct request *req, struct body *body)
{
	static const struct json_field fields[] = {
		{ "prompt", JSON_STR, offsetof(struct body, prompt), 0, 0 },
		{ "theme_id", JSON_UUID, offsetof(struct body, theme_id),
		    offsetof(struct body, has_theme), 0 },
		{ "model_id", JSON_UUID, offsetof(struct body, model_id),
		    offsetof(struct body, has_model), 0 },
		{ "image_url", JSON_STR, offsetof(struct body, image_url),
		    offsetof(struct body, has_image), 0 },
		{ "settings", JSON_ANY, offsetof(struct body, settings), 0, 0 },
	};
	struct str bad_field;

	if (!json_read(req->json, fields, sizeof(fields) / sizeof(fields[0]),
		JSON_IGNORE_UNKNOWN, body, &bad_field)) {
		if (str_equal(bad_field, STR("prompt")))
			return ERR_INVALID_PROMPT;
		if (str_equal(bad_field, STR("image_url")))
			return ERR_INVALID_IMAGE_URL;
		return ERR_INVALID_REQUEST;
	}
	if (!is_prompt(body->prompt))
		return ERR_INVALID_PROMPT;
	if (!read_wish(body->settings, &body->wish))
		return ERR_INVALID_SETTINGS;
	return OK;
}

static void
add(crypto_hash_sha256_state *state, const void *bytes, size_t n)
{
	const uint64_t length = n;

	(void)crypto_hash_sha256_update(state, (const unsigned char *)&length,
	    sizeof(length));
	if (n > 0)
		(void)crypto_hash_sha256_update(state, bytes, n);
}

/* The request as it was understood: order and blanks do not matter. */
static void
take_fingerprint(const struct body *body, uint8_t fingerprint[32])
{
	const struct settings_wish *wish = &body->wish;
	crypto_hash_sha256_state state;

	(void)crypto_hash_sha256_init(&state);
	add(&state, body->prompt.ptr, body->prompt.len);
	add(&state, body->theme_id.bytes, body->has_theme ? UUID_BYTES : 0);
	add(&state, body->model_id.bytes, body->has_model ? UUID_BYTES : 0);
	add(&state, body->image_url.ptr,
	    body->has_image ? body->image_url.len : 0);
	add(&state, &wish->duration_s, sizeof(wish->duration_s));
	add(&state, wish->resolution, strlen(wish->resolution));
	add(&state, wish->aspect_ratio, strlen(wish->aspect_ratio));
	(void)crypto_hash_sha256_final(&state, fingerprint);
}

static enum err
choose_model(struct db *db, const struct body *body, struct model *model)
{
	enum err err;

	err = body->has_model ? catalog_model(db, &body->model_id, model) :
				catalog_active_model(db, model);
	if (err != OK)
		return err;
	/* Nobody chose a model that wants a picture: use its sibling. */
	if (model->requires_image && !body->has_image && !body->has_model &&
	    model->has_text_sibling)
		return catalog_model(db, &model->text_sibling_id, model);
	return model->requires_image == body->has_image ? OK :
							  ERR_INVALID_IMAGE_URL;
}

static enum err
find_image(struct app *app, const struct request *req, const struct body *body,
    struct media *image)
{
	struct str name;
	enum err err;

	if (!links_own_object(app, req->arena, body->image_url, "thumbnails",
		&req->user_id, &name))
		return ERR_INVALID_IMAGE_URL;
	err = media_find(app->db, STR("thumbnails"), name, image);
	return err == ERR_NOT_FOUND ? ERR_INVALID_IMAGE_URL : err;
}

static bool
can_ask(const void *config, const char *company)
{
	return provider_for(config, company) != NULL;
}

static void
set_numbers(const struct config *config, struct job_order *order)
{
	order->counts_sandbox = config_is_sandbox(config);
	order->open_max_free = config_number(config, CONFIG_JOBS_OPEN_MAX_FREE);
	order->open_max_premium =
	    config_number(config, CONFIG_JOBS_OPEN_MAX_PREMIUM);
	order->guest_per_hour =
	    config_number(config, CONFIG_LIMIT_GENERATE_GUEST_PER_H);
	order->free_per_hour =
	    config_number(config, CONFIG_LIMIT_GENERATE_FREE_PER_H);
	order->premium_per_hour =
	    config_number(config, CONFIG_LIMIT_GENERATE_PREMIUM_PER_H);
	order->per_minute =
	    config_number(config, CONFIG_LIMIT_GENERATE_PER_MIN);
}

static enum err
place_order(struct app *app, const struct request *req, const struct body *body,
    const struct job_order *asked, struct job_receipt *receipt)
{
	struct job_order order = *asked;
	struct model model;
	struct theme theme;
	struct media image;
	enum err err;

	/* What could not be kept is not begun: before anything is charged. */
	err = switches_check_open(app->db);
	if (err == OK)
		err = storage_check_room(app->db);
	if (err == OK)
		err = choose_model(app->db, body, &model);
	if (err == OK && body->has_theme)
		err = catalog_theme(app->db, &body->theme_id, &theme);
	if (err == OK && body->has_image)
		err = find_image(app, req, body, &image);
	order.model = &model;
	order.theme = body->has_theme ? &theme : NULL;
	order.image_object_id = body->has_image ? &image.id : NULL;
	if (err == OK && !can_ask(&app->config, model.company))
		err = ERR_PROVIDER_UNAVAILABLE;
	if (err == OK)
		err = catalog_settle(app->db, &model, order.theme, &body->wish,
		    &order.settings);
	/* Said before anything is charged. */
	if (err == OK)
		err = dispatch_check(app->db, &model, &order.settings, can_ask,
		    &app->config,
		    config_number(&app->config,
			CONFIG_PROVIDER_SPEND_CAP_USD_PER_DAY) *
			1000000,
		    req->now_ms);
	if (err == OK)
		err = jobs_submit(app->db, &order, req->now_ms, receipt);
	return err;
}

static enum err
generate_video(struct app *app, const struct request *req, struct response *res)
{
	struct body body = { 0 };
	struct job_order order = { .user_id = req->user_id };
	struct job_receipt receipt;
	char key[JOB_KEY_BYTES_MAX + 1];
	bool found;
	enum err err;

	err = read_key(req, key);
	if (err == OK)
		err = read_body(req, &body);
	if (err != OK)
		return err;
	order.key = str_from(key);
	order.prompt = body.prompt;
	set_numbers(&app->config, &order);
	take_fingerprint(&body, order.fingerprint);
	/*
	 * A replay stands whatever became of the model or the theme since.  No
	 * twin comes in between: one process takes the orders.
	 */
	err = jobs_look(app->db, &order, req->now_ms, &found, &receipt);
	if (err == OK && !found)
		err = place_order(app, req, &body, &order, &receipt);
	if (err == ERR_INSUFFICIENT_CREDITS) {
		res->has_shortfall = true;
		res->credits_required = receipt.credits_used;
		res->credits_remaining = receipt.credits_remaining;
	}
	if (err == ERR_RATE_LIMITED || (err == OK && !receipt.is_replay))
		rates_tell(app, req, res, &receipt.limit, &receipt.limit_state,
		    err);
	if (err != OK)
		return err;
	if (!receipt.is_replay)
		app_nudge(app);

	res->is_replay = receipt.is_replay;
	json_begin_object(&res->json, NULL);
	json_uuid(&res->json, "job_id", &receipt.job_id);
	json_text(&res->json, "status", job_public_status(JOB_QUEUED));
	json_int64(&res->json, "credits_used", receipt.credits_used);
	json_int64(&res->json, "credits_remaining", receipt.credits_remaining);
	json_end_object(&res->json);
	return OK;
}

int
main(int argc, char **argv)
{
	static const int live_keys[] = { CONFIG_FAL_KEY, -1 };
	static const struct endpoint endpoint = {
		.name = "generate-video",
		.path = "/functions/v1/generate-video",
		.methods = HTTP_POST,
		.auth = AUTH_USER,
		.body = BODY_JSON,
		.body_bytes_max = APP_JSON_BYTES_MAX,
		.processes = 1,
		.is_batched = true,
		.live_keys = live_keys,
		.handle = generate_video,
	};

	return app_serve(&endpoint, argc, argv);
}
