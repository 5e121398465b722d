/* SPDX-License-Identifier: MIT */
#include "provider/appleid_token.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "provider/appleid_keys.h"
#include "wire/es256.h"
#include "wire/http.h"
#include "wire/json.h"
#include "wire/json_writer.h"

#include <assert.h>

/* A phone waits for the answer. */
#define CONNECT_TIMEOUT_MS 3000
#define TIMEOUT_MS 5000

/* An answer holds an identity token and two opaque ones. */
#define ANSWER_BYTES_MAX ((size_t)64 * 1024)

/* A secret of 500 bytes, a code or token, and what escaping adds. */
#define FORM_BYTES_MAX ((size_t)16 * 1024)

/* Apple would take half a year; a request needs one minute. */
#define SECRET_LIFE_S 300

#define SANDBOX_CLIENT_ID "app.rendio.sandbox"

static const char form_type[] =
    "Content-Type: application/x-www-form-urlencoded";

static const char *
base_url(const struct config *config)
{
	return config_is_set(config, CONFIG_APPLEID_URL) ?
	    config_text(config, CONFIG_APPLEID_URL) :
	    APPLEID_URL;
}

struct str
appleid_client_ids(const struct config *config)
{
	if (config_is_set(config, CONFIG_APPLEID_CLIENT_IDS))
		return str_from(config_text(config, CONFIG_APPLEID_CLIENT_IDS));
	/* A phone's app signs in under its bundle id. */
	if (config_is_set(config, CONFIG_APPLE_BUNDLE_ID))
		return str_from(config_text(config, CONFIG_APPLE_BUNDLE_ID));
	return appleid_is_stand_in(config) ? STR(SANDBOX_CLIENT_ID) : STR("");
}

static bool
write_secret(const struct config *config, const char *client_id, int64_t now_ms,
    struct buf *secret)
{
	CLEANUP(buf_free) struct buf key = { 0 };
	CLEANUP(buf_free) struct buf claims = { 0 };
	struct json_writer w;
	bool ok;

	buf_init(&key, ES256_KEY_FILE_BYTES_MAX);
	buf_init(&claims, 2048);
	w = json_writer(&claims);
	json_begin_object(&w, NULL);
	json_text(&w, "iss", config_text(config, CONFIG_APPLE_TEAM_ID));
	json_int64(&w, "iat", now_ms / 1000);
	json_int64(&w, "exp", now_ms / 1000 + SECRET_LIFE_S);
	json_text(&w, "aud", APPLEID_URL);
	json_text(&w, "sub", client_id);
	json_end_object(&w);
	ok = !claims.failed &&
	    config_read_file(config_text(config, CONFIG_APPLEID_KEY_FILE),
		false, &key) &&
	    es256_jwt(buf_str(&key), config_text(config, CONFIG_APPLEID_KEY_ID),
		buf_str(&claims), secret);
	if (key.len > 0)
		explicit_bzero(key.ptr, key.len);
	return ok;
}

static void
add_field(struct buf *form, const char *name, struct str value)
{
	if (form->len > 0)
		buf_append_char(form, '&');
	buf_append(form, str_from(name));
	buf_append_char(form, '=');
	http_percent_encode(value, form);
}

/* The form with what every call has; false without a key that signs. */
static bool
begin_form(const struct config *config, const char *client_id, int64_t now_ms,
    struct buf *form)
{
	CLEANUP(buf_free) struct buf secret = { 0 };

	buf_init(&secret, 4096);
	if (!write_secret(config, client_id, now_ms, &secret)) {
		log_line(LOG_ERROR, "appleid", "problem",
		    "RENDIO_APPLEID_KEY_FILE cannot be read or does not sign");
		return false;
	}
	add_field(form, "client_id", str_from(client_id));
	add_field(form, "client_secret", buf_str(&secret));
	return true;
}

static void
post(const struct config *config, const char *path, const struct buf *form,
    struct fetch_response *ret_response)
{
	char url[FETCH_URL_BYTES_MAX];
	const int n =
	    snprintf(url, sizeof(url), "%s%s", base_url(config), path);

	if (form->failed || n < 0 || (size_t)n >= sizeof(url))
		return;
	fetch(
	    &(const struct fetch_request){
		.method = "POST",
		.url = url,
		.headers = { form_type, "Accept: application/json" },
		.body = buf_str(form),
		.allow_private =
		    config_number(config, CONFIG_ALLOW_PRIVATE_UPSTREAMS) == 1,
		.connect_timeout_ms = CONNECT_TIMEOUT_MS,
		.timeout_ms = TIMEOUT_MS,
		.response_bytes_max = ANSWER_BYTES_MAX,
		.sink_fd = -1,
	    },
	    ret_response);
}

/* The verdict hides the reason, which the operator needs. */
static void
log_failure(const char *call, const struct fetch_response *response)
{
	struct log log = log_begin(LOG_WARNING, "appleid");

	log_text(&log, "call", call);
	log_int64(&log, "http_status", response->status);
	log_int64(&log, "curl_code", response->curl_code);
	log_end(&log);
}

static enum appleid_verdict
verdict_of(const struct fetch_response *response)
{
	if (response->phase != FETCH_ANSWERED)
		return APPLEID_UNAVAILABLE;
	if (response->status == 200)
		return APPLEID_OK;
	return response->status == 400 ? APPLEID_BAD_TOKEN :
					 APPLEID_UNAVAILABLE;
}

enum appleid_verdict
appleid_grant_answer(struct arena *arena, const struct fetch_response *response,
    struct appleid_grant *ret_grant)
{
	const enum appleid_verdict verdict = verdict_of(response);
	const struct json *answer;
	struct appleid_grant grant;

	if (verdict != APPLEID_OK)
		return verdict;
	answer = json_parse(arena, response->body);
	if (!json_to_str(json_member(answer, "refresh_token"),
		&grant.refresh_token) ||
	    grant.refresh_token.len == 0 ||
	    !json_to_str(json_member(answer, "id_token"), &grant.id_token))
		return APPLEID_UNAVAILABLE;
	*ret_grant = grant;
	return APPLEID_OK;
}

/* Shows a code; false without a key that signs. */
static bool
show_code(const struct config *config, const char *client_id, struct str code,
    int64_t now_ms, struct fetch_response *ret_response)
{
	CLEANUP(buf_free) struct buf form = { 0 };

	buf_init(&form, FORM_BYTES_MAX);
	if (!begin_form(config, client_id, now_ms, &form))
		return false;
	add_field(&form, "grant_type", STR("authorization_code"));
	add_field(&form, "code", code);
	post(config, "/auth/token", &form, ret_response);
	return true;
}

/* "invalid_client" is about our secret, "invalid_grant" about the code. */
static enum appleid_verdict
try_key(const struct config *config, struct arena *arena, const char *client_id,
    int64_t now_ms)
{
	CLEANUP(fetch_response_free) struct fetch_response response = { 0 };
	struct str error;

	if (!show_code(config, client_id, STR("none"), now_ms, &response) ||
	    response.phase != FETCH_ANSWERED || response.status != 400 ||
	    !json_to_str(json_member(json_parse(arena, response.body), "error"),
		&error))
		return APPLEID_UNAVAILABLE;
	return str_equal(error, STR("invalid_grant")) ? APPLEID_OK :
							APPLEID_BAD_TOKEN;
}

enum appleid_verdict
appleid_try_key(const struct config *config, struct arena *arena,
    int64_t now_ms, char ret_client_id[APPLEID_TEXT_BYTES])
{
	struct str id, ids = appleid_client_ids(config);
	enum appleid_verdict verdict = APPLEID_OK;

	while (verdict == APPLEID_OK && ids.len > 0) {
		(void)str_cut(ids, ',', &id, &ids);
		id = str_trim(id);
		if (id.len > 0 &&
		    str_copy(id, ret_client_id, APPLEID_TEXT_BYTES))
			verdict = try_key(config, arena, ret_client_id, now_ms);
	}
	return verdict;
}

enum appleid_verdict
appleid_request_grant(const struct config *config, struct arena *arena,
    const char *client_id, struct str code, int64_t now_ms,
    struct appleid_grant *ret_grant)
{
	CLEANUP(fetch_response_free) struct fetch_response response = { 0 };
	enum appleid_verdict verdict;

	if (!show_code(config, client_id, code, now_ms, &response))
		return APPLEID_UNAVAILABLE;
	verdict = appleid_grant_answer(arena, &response, ret_grant);
	if (verdict != APPLEID_OK)
		log_failure("token", &response);
	return verdict;
}

bool
appleid_revoke_call(const struct config *config, const char *client_id,
    struct str refresh_token, int64_t now_ms, struct provider_call *call)
{
	int n;

	assert(!appleid_is_stand_in(config));
	n = snprintf(call->url, sizeof(call->url), "%s/auth/revoke",
	    base_url(config));
	(void)snprintf(call->header[0], sizeof(call->header[0]), "%s",
	    form_type);
	if (n < 0 || (size_t)n >= sizeof(call->url) ||
	    !begin_form(config, client_id, now_ms, &call->body))
		return false;
	add_field(&call->body, "token", refresh_token);
	add_field(&call->body, "token_type_hint", STR("refresh_token"));
	return !call->body.failed;
}

enum appleid_verdict
appleid_revoke_answer(const struct fetch_response *response)
{
	const enum appleid_verdict verdict = verdict_of(response);

	if (verdict != APPLEID_OK)
		log_failure("revoke", response);
	return verdict;
}
