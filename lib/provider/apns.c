/* SPDX-License-Identifier: MIT */
#include "provider/apns.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "wire/es256.h"
#include "wire/json.h"

#define APNS_URL "https://api.push.apple.com"
#define APNS_SANDBOX_URL "https://api.sandbox.push.apple.com"

/* Apple takes no larger message. */
#define PAYLOAD_BYTES_MAX ((size_t)4096)

#define ANSWER_ARENA_BYTES ((size_t)256 * 1024)

bool
apns_is_on(const struct config *config)
{
	return config_is_set(config, CONFIG_APNS_KEY_ID) &&
	    config_is_set(config, CONFIG_APNS_KEY_FILE) &&
	    config_is_set(config, CONFIG_APNS_TOPIC) &&
	    config_is_set(config, CONFIG_APPLE_TEAM_ID);
}

bool
apns_make_bearer(const struct config *config, int64_t now_ms, struct buf *out)
{
	CLEANUP(buf_free) struct buf key = { 0 };
	CLEANUP(buf_free) struct buf claims = { 0 };
	struct json_writer w;
	bool ok;

	buf_init(&key, ES256_KEY_FILE_BYTES_MAX);
	buf_init(&claims, 512);
	w = json_writer(&claims);
	json_begin_object(&w, NULL);
	json_text(&w, "iss", config_text(config, CONFIG_APPLE_TEAM_ID));
	json_int64(&w, "iat", now_ms / 1000);
	json_end_object(&w);
	ok = !claims.failed &&
	    config_read_file(config_text(config, CONFIG_APNS_KEY_FILE), false,
		&key) &&
	    es256_jwt(buf_str(&key), config_text(config, CONFIG_APNS_KEY_ID),
		buf_str(&claims), out);
	if (key.len > 0)
		explicit_bzero(key.ptr, key.len);
	return ok;
}

static void
write_payload(const struct apns_message *message, struct buf *out)
{
	struct json_writer w = json_writer(out);

	json_begin_object(&w, NULL);
	json_begin_object(&w, "aps");
	json_begin_object(&w, "alert");
	json_text(&w, "title", message->title);
	json_text(&w, "body", message->body);
	json_end_object(&w);
	json_text(&w, "sound", "default");
	json_end_object(&w);
	json_uuid(&w, "job_id", &message->job_id);
	json_text(&w, "status", message->status);
	json_end_object(&w);
}

bool
apns_call(const struct config *config, const struct apns_message *message,
    struct provider_call *call)
{
	char base[PROVIDER_URL_BYTES], job[UUID_TEXT_BYTES], expires[24];
	char bearer[APNS_BEARER_BYTES + 8];

	if (!provider_base(config, CONFIG_APNS_URL,
		message->is_sandbox ? APNS_SANDBOX_URL : APNS_URL, base) ||
	    !provider_is_plain(str_from(message->token), "") ||
	    snprintf(call->url, sizeof(call->url), "%s/3/device/%s", base,
		message->token) >= (int)sizeof(call->url))
		return false;
	uuid_format(&message->job_id, job);
	(void)snprintf(bearer, sizeof(bearer), "bearer %s", message->bearer);
	(void)snprintf(expires, sizeof(expires), "%lld",
	    (long long)(message->expires_at_ms / 1000));
	write_payload(message, &call->body);
	return !call->body.failed && call->body.len <= PAYLOAD_BYTES_MAX &&
	    provider_call_header(call, "authorization", bearer) &&
	    provider_call_header(call, "apns-topic",
		config_text(config, CONFIG_APNS_TOPIC)) &&
	    provider_call_header(call, "apns-push-type", "alert") &&
	    provider_call_header(call, "apns-priority", "10") &&
	    provider_call_header(call, "apns-expiration", expires) &&
	    provider_call_header(call, "apns-collapse-id", job);
}

/* {"reason":"Unregistered","timestamp":1790000000000} */
static void
read_reason(struct str body, struct apns_answer *answer)
{
	const struct json *json;
	struct arena arena;
	struct str reason;

	arena_init(&arena, ANSWER_ARENA_BYTES);
	json = json_parse(&arena, body);
	if (json_to_str(json_member(json, "reason"), &reason) &&
	    provider_is_plain(reason, ""))
		(void)str_copy(reason, answer->reason, sizeof(answer->reason));
	(void)json_to_int64(json_member(json, "timestamp"), 0, CLOCK_MS_MAX,
	    &answer->dead_since_ms);
	arena_free(&arena);
}

static bool
is_one_of(const char *reason, const char *const *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(reason, list[i]) == 0)
			return true;
	return false;
}

struct apns_answer
apns_answer(const struct fetch_response *response)
{
	static const char *const dead[] = { "BadDeviceToken", "Unregistered",
		"DeviceTokenNotForTopic", "ExpiredToken" };
	static const char *const bearer[] = { "ExpiredProviderToken",
		"InvalidProviderToken", "MissingProviderToken",
		"TooManyProviderTokenUpdates" };
	struct apns_answer answer = { .verdict = APNS_LATER };

	if (response->phase != FETCH_ANSWERED)
		return answer;
	if (response->status == 200) {
		answer.verdict = APNS_SENT;
		return answer;
	}
	read_reason(response->body, &answer);
	answer.wait_ms = provider_retry_after_ms(response);
	if (response->status == 410 ||
	    is_one_of(answer.reason, dead, sizeof(dead) / sizeof(dead[0])))
		answer.verdict = APNS_TOKEN_DEAD;
	else if (response->status == 403 ||
	    is_one_of(answer.reason, bearer,
		sizeof(bearer) / sizeof(bearer[0])))
		answer.verdict = APNS_BEARER_REFUSED;
	else if (response->status != 429 && response->status < 500)
		answer.verdict = APNS_REFUSED;
	return answer;
}
