/* SPDX-License-Identifier: MIT */
#include "provider/devicecheck_apple.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/uuid.h"
#include "wire/es256.h"
#include "wire/json.h"
#include "wire/json_writer.h"

#define APPLE_URL "https://api.devicecheck.apple.com"

/* A phone waits for the answer. */
#define TIMEOUT_MS 5000
#define CONNECT_TIMEOUT_MS 3000

/* Apple's answers are a line; a gateway's error page may be a screen. */
#define ANSWER_BYTES_MAX ((size_t)16 * 1024)

/* More than JSON_VALUES_MAX values and ANSWER_BYTES_MAX of text can take. */
#define ANSWER_ARENA_BYTES ((size_t)1024 * 1024)

/* Well under the hour for which Apple takes a token. */
#define BEARER_AGE_US_MAX (INT64_C(20) * 60 * 1000000)
#define BEARER_BYTES_MAX ((size_t)1024)

/* The last token made: a process has one key, and signing reads a file. */
static struct {
	char header[BEARER_BYTES_MAX]; /* "" = none */
	int64_t made_at_us;
} bearer;

static bool
make_bearer(const struct config *config)
{
	struct buf key, claims, header;
	struct json_writer w;
	bool ok;

	buf_init(&key, ES256_KEY_FILE_BYTES_MAX);
	buf_init(&claims, 256);
	buf_init(&header, BEARER_BYTES_MAX - 1);
	w = json_writer(&claims);
	json_begin_object(&w, NULL);
	json_text(&w, "iss", config_text(config, CONFIG_APPLE_TEAM_ID));
	json_int64(&w, "iat", clock_now_ms() / 1000);
	json_end_object(&w);
	buf_append(&header, STR("Authorization: Bearer "));
	ok = !claims.failed &&
	    config_read_file(config_text(config, CONFIG_DEVICECHECK_KEY_FILE),
		false, &key) &&
	    es256_jwt(buf_str(&key),
		config_text(config, CONFIG_DEVICECHECK_KEY_ID),
		buf_str(&claims), &header);
	if (ok) {
		(void)str_copy(buf_str(&header), bearer.header,
		    sizeof(bearer.header));
		bearer.made_at_us = clock_monotonic_us();
	}
	if (key.len > 0)
		explicit_bzero(key.ptr, key.len);
	buf_free(&key);
	buf_free(&claims);
	buf_free(&header);
	return ok;
}

static bool
have_bearer(const struct config *config)
{
	if (bearer.header[0] != '\0' &&
	    clock_monotonic_us() - bearer.made_at_us < BEARER_AGE_US_MAX)
		return true;
	return make_bearer(config);
}

static bool
contains_nocase(struct str text, struct str part)
{
	for (size_t i = 0; i + part.len <= text.len; i++)
		if (str_equal_nocase((struct str){ text.ptr + i, part.len },
			part))
			return true;
	return false;
}

/* What both calls have in common: everything but a 200. */
static enum devicecheck_verdict
verdict_of(const struct fetch_response *response)
{
	if (response->phase != FETCH_ANSWERED)
		return DEVICECHECK_UNAVAILABLE;
	if (response->status == 200)
		return DEVICECHECK_OK;
	/* "Missing or incorrectly formatted device token payload" */
	if (response->status == 400 &&
	    contains_nocase(response->body, STR("device token")))
		return DEVICECHECK_BAD_TOKEN;
	return DEVICECHECK_UNAVAILABLE;
}

static bool
read_bits(struct str body, struct devicecheck_bits *ret_bits)
{
	struct devicecheck_bits bits = { .ever_set = true };
	const struct json *answer;
	struct arena arena;
	bool ok;

	arena_init(&arena, ANSWER_ARENA_BYTES);
	answer = json_parse(&arena, body);
	if (json_is_object(answer))
		ok = json_to_bool(json_member(answer, "bit0"), &bits.bit0) &&
		    json_to_bool(json_member(answer, "bit1"), &bits.bit1);
	else {
		/* "Failed to find bit state", "Bit State Not Found" */
		ok = contains_nocase(body, STR("bit state"));
		bits.ever_set = false;
	}
	arena_free(&arena);
	if (ok)
		*ret_bits = bits;
	return ok;
}

enum devicecheck_verdict
devicecheck_apple_query_answer(const struct fetch_response *response,
    struct devicecheck_bits *ret_bits)
{
	const enum devicecheck_verdict verdict = verdict_of(response);

	if (verdict == DEVICECHECK_OK &&
	    (response->body.len > ANSWER_BYTES_MAX ||
		!read_bits(response->body, ret_bits)))
		return DEVICECHECK_UNAVAILABLE;
	return verdict;
}

enum devicecheck_verdict
devicecheck_apple_update_answer(const struct fetch_response *response)
{
	/* An answer that is not 200 says that no bits were stored. */
	if (response->phase == FETCH_MAYBE_SENT)
		return DEVICECHECK_UNCERTAIN;
	return verdict_of(response);
}

/* The members that both calls send; the caller adds its own and the end. */
static struct json_writer
begin_body(struct buf *body, struct str token)
{
	struct json_writer w = json_writer(body);
	const struct uuid transaction_id = uuid_random();

	json_begin_object(&w, NULL);
	json_str(&w, "device_token", token);
	json_uuid(&w, "transaction_id", &transaction_id);
	json_int64(&w, "timestamp", clock_now_ms());
	return w;
}

static void
ask(const struct config *config, const char *path, const struct buf *body,
    struct fetch_response *ret_response)
{
	const char *base = config_is_set(config, CONFIG_DEVICECHECK_URL) ?
	    config_text(config, CONFIG_DEVICECHECK_URL) :
	    APPLE_URL;
	char url[FETCH_URL_BYTES_MAX];
	const int n = snprintf(url, sizeof(url), "%s%s", base, path);

	*ret_response = (struct fetch_response){ .phase = FETCH_NOT_SENT };
	if (body->failed || n < 0 || (size_t)n >= sizeof(url))
		return;
	if (!have_bearer(config)) {
		log_line(LOG_ERROR, "devicecheck", "problem",
		    "the key cannot be read or does not sign");
		return;
	}
	fetch(
	    &(const struct fetch_request){
		.method = "POST",
		.url = url,
		.headers = { bearer.header, "Content-Type: application/json" },
		.body = buf_str(body),
		.allow_private =
		    config_number(config, CONFIG_ALLOW_PRIVATE_UPSTREAMS) == 1,
		.connect_timeout_ms = CONNECT_TIMEOUT_MS,
		.timeout_ms = TIMEOUT_MS,
		.response_bytes_max = ANSWER_BYTES_MAX,
		.sink_fd = -1,
	    },
	    ret_response);
	/* A refused token is not shown again. */
	if (ret_response->status == 401)
		bearer.header[0] = '\0';
}

/*
 * The verdict hides the reason, which the operator needs.  What Apple refuses
 * to us (a key, a clock, a form) does not go away by itself.
 */
static void
log_unavailable(const struct fetch_response *response)
{
	const bool is_ours = response->status >= 400 &&
	    response->status < 500 && response->status != 429;
	struct log log =
	    log_begin(is_ours ? LOG_ERROR : LOG_WARNING, "devicecheck");

	log_text(&log, "problem", "unavailable");
	log_int64(&log, "http_status", response->status);
	log_int64(&log, "curl_code", response->curl_code);
	log_end(&log);
}

enum devicecheck_verdict
devicecheck_apple_query(const struct config *config, struct str token,
    struct devicecheck_bits *ret_bits)
{
	CLEANUP(fetch_response_free) struct fetch_response response;
	CLEANUP(buf_free) struct buf body = { 0 };
	enum devicecheck_verdict verdict;
	struct json_writer w;

	buf_init(&body, DEVICECHECK_TOKEN_BYTES_MAX + 512);
	w = begin_body(&body, token);
	json_end_object(&w);
	ask(config, "/v1/query_two_bits", &body, &response);
	verdict = devicecheck_apple_query_answer(&response, ret_bits);
	if (verdict == DEVICECHECK_UNAVAILABLE)
		log_unavailable(&response);
	return verdict;
}

enum devicecheck_verdict
devicecheck_apple_update(const struct config *config, struct str token,
    bool bit0, bool bit1)
{
	CLEANUP(fetch_response_free) struct fetch_response response;
	CLEANUP(buf_free) struct buf body = { 0 };
	enum devicecheck_verdict verdict;
	struct json_writer w;

	buf_init(&body, DEVICECHECK_TOKEN_BYTES_MAX + 512);
	w = begin_body(&body, token);
	json_bool(&w, "bit0", bit0);
	json_bool(&w, "bit1", bit1);
	json_end_object(&w);
	ask(config, "/v1/update_two_bits", &body, &response);
	verdict = devicecheck_apple_update_answer(&response);
	if (verdict == DEVICECHECK_UNAVAILABLE ||
	    verdict == DEVICECHECK_UNCERTAIN)
		log_unavailable(&response);
	return verdict;
}
