/* SPDX-License-Identifier: MIT */
#include "provider/telegram.h"
#include "wire/json.h"

#define TELEGRAM_URL "https://api.telegram.org"

/* An answer repeats the message that it took. */
#define ANSWER_ARENA_BYTES ((size_t)1024 * 1024)

/* Longer than any flood wait that makes sense to obey. */
#define WAIT_S_MAX (INT64_C(24) * 3600)

bool
telegram_is_on(const struct config *config)
{
	return config_is_set(config, CONFIG_TELEGRAM_BOT_TOKEN) &&
	    config_is_set(config, CONFIG_TELEGRAM_CHAT_ID);
}

static bool
make_url(const struct config *config, const char *method,
    struct provider_call *call)
{
	const char *token = config_text(config, CONFIG_TELEGRAM_BOT_TOKEN);
	char base[PROVIDER_URL_BYTES];

	return provider_base(config, CONFIG_TELEGRAM_URL, TELEGRAM_URL, base) &&
	    provider_is_plain(str_from(token), ":_-") &&
	    snprintf(call->url, sizeof(call->url), "%s/bot%s/%s", base, token,
		method) < (int)sizeof(call->url);
}

bool
telegram_call(const struct config *config, struct str text,
    struct provider_call *call)
{
	struct json_writer w = json_writer(&call->body);

	if (!make_url(config, "sendMessage", call))
		return false;
	json_begin_object(&w, NULL);
	json_text(&w, "chat_id", config_text(config, CONFIG_TELEGRAM_CHAT_ID));
	json_str(&w, "text", text);
	json_begin_object(&w, "link_preview_options");
	json_bool(&w, "is_disabled", true);
	json_end_object(&w);
	json_end_object(&w);
	return !call->body.failed &&
	    provider_call_header(call, "Content-Type", "application/json");
}

bool
telegram_chat_call(const struct config *config, struct provider_call *call)
{
	const char *chat = config_text(config, CONFIG_TELEGRAM_CHAT_ID);
	char method[128];

	return provider_is_plain(str_from(chat), "@_-") &&
	    snprintf(method, sizeof(method), "getChat?chat_id=%s", chat) <
	    (int)sizeof(method) &&
	    make_url(config, method, call);
}

/* {"ok":false,"error_code":429,"parameters":{"retry_after":5}} */
static int64_t
wait_in_body(struct str body)
{
	struct arena arena;
	const struct json *answer;
	int64_t wait_s = 0;

	arena_init(&arena, ANSWER_ARENA_BYTES);
	answer = json_parse(&arena, body);
	if (json_is_object(answer))
		(void)json_to_int64(json_member(json_member(answer,
						    "parameters"),
					"retry_after"),
		    0, WAIT_S_MAX, &wait_s);
	arena_free(&arena);
	return wait_s * 1000;
}

enum telegram_verdict
telegram_answer(const struct fetch_response *response, int64_t *ret_wait_ms)
{
	*ret_wait_ms = 0;
	if (response->phase == FETCH_NOT_SENT)
		return TELEGRAM_LATER;
	if (response->phase != FETCH_ANSWERED)
		return TELEGRAM_DOUBTFUL;
	if (response->status == 200)
		return TELEGRAM_SENT;
	if (response->status == 429) {
		*ret_wait_ms = wait_in_body(response->body);
		if (*ret_wait_ms == 0)
			*ret_wait_ms = provider_retry_after_ms(response);
		return TELEGRAM_LATER;
	}
	/* A gateway that gave up does not know what became of it. */
	return response->status >= 500 ? TELEGRAM_DOUBTFUL : TELEGRAM_REFUSED;
}
