/* SPDX-License-Identifier: MIT */
/*
 * Replicate's predictions.  An answer is the whole prediction, output
 * included; everything is deleted there after an hour.
 */
#include "provider/replicate.h"

#include "wire/json.h"

/* A page of the list has 100 predictions with all their input. */
#define LIST_BYTES_MAX ((size_t)1024 * 1024)
#define ARENA_BYTES ((size_t)16 * 1024 * 1024)

static bool
base_url(const struct config *config, char base[PROVIDER_URL_BYTES])
{
	return provider_base(config, CONFIG_REPLICATE_URL, REPLICATE_URL, base);
}

static bool
authorize(const struct config *config, struct provider_call *call)
{
	char value[PROVIDER_URL_BYTES];
	const int n = snprintf(value, sizeof(value), "Bearer %s",
	    config_text(config, CONFIG_REPLICATE_TOKEN));

	return n > 0 && (size_t)n < sizeof(value) &&
	    provider_call_header(call, "Authorization", value);
}

static bool
submit_call(const struct config *config, const struct provider_job *job,
    struct provider_call *call)
{
	char base[PROVIDER_URL_BYTES], life[24];
	struct json_writer w;
	int n = 0;

	provider_call_init(call, "POST");
	call->once = true;
	w = json_writer(&call->body);
	json_begin_object(&w, NULL);
	provider_write_input(&w, "input", job);
	json_text(&w, "webhook", job->webhook_url);
	json_begin_array(&w, "webhook_events_filter");
	json_text(&w, NULL, "completed");
	json_end_array(&w);
	json_end_object(&w);
	/* Nothing goes on there that we have given up. */
	(void)snprintf(life, sizeof(life), "%llds",
	    (long long)(config_number(config, CONFIG_PROVIDER_START_TIMEOUT_S) +
		config_number(config, CONFIG_PROVIDER_RUN_TIMEOUT_S)));
	if (base_url(config, base))
		n = snprintf(call->url, sizeof(call->url),
		    "%s/models/%s/predictions", base, job->endpoint);
	return n > 0 && (size_t)n < sizeof(call->url) && !call->body.failed &&
	    provider_is_plain(str_from(job->endpoint), "-_./") &&
	    authorize(config, call) &&
	    provider_call_header(call, "Content-Type", "application/json") &&
	    provider_call_header(call, "Cancel-After", life);
}

static bool
know(const struct config *config, const struct provider_job *job,
    struct str request_id, struct provider_handle *ret_handle)
{
	struct provider_handle h = { 0 };
	char base[PROVIDER_URL_BYTES];
	int n;

	(void)job;
	if (!base_url(config, base) || !provider_is_plain(request_id, "-_") ||
	    !str_copy(request_id, h.request_id, sizeof(h.request_id)))
		return false;
	n = snprintf(h.status_url, sizeof(h.status_url), "%s/predictions/%s",
	    base, h.request_id);
	if (n < 0 || (size_t)n >= sizeof(h.status_url))
		return false;
	n = snprintf(h.cancel_url, sizeof(h.cancel_url), "%s/cancel",
	    h.status_url);
	if (n < 0 || (size_t)n >= sizeof(h.cancel_url))
		return false;
	*ret_handle = h;
	return true;
}

static bool
request_call(const struct config *config, const char *method, const char *url,
    struct provider_call *call)
{
	char base[PROVIDER_URL_BYTES];
	size_t base_len;

	provider_call_init(call, method);
	if (!base_url(config, base))
		return false;
	base_len = strlen(base);
	return strncmp(url, base, base_len) == 0 && url[base_len] == '/' &&
	    str_copy(str_from(url), call->url, sizeof(call->url)) &&
	    authorize(config, call);
}

static bool
poll_call(const struct config *config, const struct provider_handle *handle,
    struct provider_call *call)
{
	return request_call(config, "GET", handle->status_url, call);
}

static bool
cancel_call(const struct config *config, const struct provider_handle *handle,
    struct provider_call *call)
{
	return request_call(config, "POST", handle->cancel_url, call);
}

static const struct json *
parse(struct arena *arena, const struct fetch_response *response)
{
	if (response->body.len > LIST_BYTES_MAX)
		return NULL;
	return json_parse(arena, response->body);
}

static enum provider_class
submit_answer(const struct config *config, const struct provider_job *job,
    const struct fetch_response *response, struct provider_handle *ret_handle,
    struct provider_error *ret_error)
{
	enum provider_class class = PROVIDER_OK;
	enum provider_code code = PROVIDER_CODE_INPUT;
	struct arena arena;
	struct str id;

	if (provider_submit_failed(response, ret_error))
		return ret_error->class;
	if (response->status / 100 != 2) {
		if (response->status == 403)
			code = PROVIDER_CODE_AUTH;
		else if (response->status == 404)
			code = PROVIDER_CODE_MODEL_GONE;
		class = provider_fail(ret_error, PROVIDER_FAIL_OPERATOR, code,
		    response);
		ret_error->is_unbilled = true;
		return class;
	}
	arena_init(&arena, ARENA_BYTES);
	if (!json_to_str(json_member(parse(&arena, response), "id"), &id) ||
	    !know(config, job, id, ret_handle))
		class = provider_fail(ret_error, PROVIDER_UNKNOWN,
		    PROVIDER_CODE_PROTOCOL, response);
	arena_free(&arena);
	return class;
}

/* They refuse contents in words only. */
static bool
is_refusal(struct str text)
{
	static const char *const words[] = { "sensitive", "NSFW", "safety",
		"moderation", "flagged" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (text.len > 0 &&
		    memmem(text.ptr, text.len, words[i], strlen(words[i])) !=
			NULL)
			return true;
	return false;
}

static void
read_failure(const struct json *prediction, struct str word,
    struct provider_status *status)
{
	struct str text = { 0 };

	(void)json_to_str(json_member(prediction, "error"), &text);
	status->state = PROVIDER_FAILED;
	status->error = (struct provider_error){
		.class = PROVIDER_RETRY_ATTEMPT,
		.code = PROVIDER_CODE_PROVIDER,
	};
	if (str_equal(word, STR("canceled"))) {
		status->error.class = PROVIDER_FAIL_USER;
		status->error.code = PROVIDER_CODE_CANCELED;
	} else if (str_equal(word, STR("aborted"))) {
		/* It did not start in time: nothing ran. */
		status->error.code = PROVIDER_CODE_TIMEOUT;
		status->error.is_unbilled = true;
	} else if (is_refusal(text)) {
		status->error.class = PROVIDER_FAIL_USER;
		status->error.code = PROVIDER_CODE_CONTENT;
	}
}

static bool
read_prediction(const struct json *prediction, struct provider_status *status)
{
	const struct json *output = json_member(prediction, "output");
	struct str word, url;

	*status = (struct provider_status){ .queue_position = -1 };
	if (!json_to_str(json_member(prediction, "status"), &word))
		return false;
	if (str_equal(word, STR("starting"))) {
		status->state = PROVIDER_QUEUED;
	} else if (str_equal(word, STR("succeeded"))) {
		if (json_is_array(output))
			output = json_first(output);
		status->state = PROVIDER_DONE;
		return json_to_str(output, &url) && url.len > 0 &&
		    str_copy(url, status->video_url, sizeof(status->video_url));
	} else if (str_equal(word, STR("failed")) ||
	    str_equal(word, STR("canceled")) || str_equal(word, STR("aborted")))
		read_failure(prediction, word, status);
	else
		/* "processing", or a word that we shall learn. */
		status->state = PROVIDER_RUNNING;
	return true;
}

static enum provider_class
poll_answer(const struct config *config, const struct fetch_response *response,
    struct provider_status *ret_status, struct provider_error *ret_error)
{
	struct provider_status status;
	struct arena arena;
	bool ok;

	(void)config;
	if (provider_read_failed(response, ret_error))
		return ret_error->class;
	if (response->status / 100 != 2)
		return provider_fail(ret_error, PROVIDER_RETRY_CALL,
		    response->status == 404 ? PROVIDER_CODE_NOT_FOUND :
					      PROVIDER_CODE_PROVIDER,
		    response);
	arena_init(&arena, ARENA_BYTES);
	ok = read_prediction(parse(&arena, response), &status);
	arena_free(&arena);
	if (!ok)
		return provider_fail(ret_error, PROVIDER_RETRY_CALL,
		    PROVIDER_CODE_PROTOCOL, response);
	*ret_status = status;
	return PROVIDER_OK;
}

static bool
find_call(const struct config *config, const struct provider_job *job,
    struct provider_call *call)
{
	char base[PROVIDER_URL_BYTES];
	int n = 0;

	provider_call_init(call, "GET");
	if (base_url(config, base))
		n = snprintf(call->url, sizeof(call->url), "%s/predictions%s%s",
		    base, job->page == NULL ? "" : "?cursor=",
		    job->page == NULL ? "" : job->page);
	return n > 0 && (size_t)n < sizeof(call->url) &&
	    authorize(config, call);
}

static bool
is_ours(const struct json *prediction, const struct provider_job *job)
{
	const struct json *input = json_member(prediction, "input");
	struct str prompt;
	int64_t seed;

	return json_to_str(json_member(input, "prompt"), &prompt) &&
	    str_equal(prompt, str_from(job->prompt)) &&
	    json_to_int64(json_member(input, "seed"), 0, INT32_MAX, &seed) &&
	    seed == job->seed;
}

/* Out of "next", a whole URL: what follows "cursor=", as it stands there. */
static void
read_page(const struct json *answer, char page[PROVIDER_PAGE_BYTES])
{
	struct str url, cursor;

	page[0] = '\0';
	if (json_to_str(json_member(answer, "next"), &url) &&
	    str_cut(url, '?', &url, &cursor) &&
	    str_starts_with(cursor, STR("cursor="))) {
		cursor.ptr += sizeof("cursor=") - 1;
		cursor.len -= sizeof("cursor=") - 1;
		if (!provider_is_plain(cursor, "-_.~%=") ||
		    !str_copy(cursor, page, PROVIDER_PAGE_BYTES))
			page[0] = '\0';
	}
}

static enum provider_class
find_answer(const struct config *config, const struct provider_job *job,
    const struct fetch_response *response, char ret_page[PROVIDER_PAGE_BYTES],
    struct provider_handle *ret_handle, struct provider_status *ret_status,
    struct provider_error *ret_error)
{
	enum provider_class class = PROVIDER_RETRY_CALL;
	const struct json *answer, *list;
	struct arena arena;
	struct str id;

	ret_page[0] = '\0';
	if (provider_read_failed(response, ret_error))
		return ret_error->class;
	(void)provider_fail(ret_error, PROVIDER_RETRY_CALL,
	    PROVIDER_CODE_NOT_FOUND, response);
	if (response->status / 100 != 2)
		return class;
	arena_init(&arena, ARENA_BYTES);
	answer = parse(&arena, response);
	read_page(answer, ret_page);
	list = json_member(answer, "results");
	for (const struct json *p = json_first(list); p != NULL;
	     p = json_next(p)) {
		if (!is_ours(p, job) ||
		    !json_to_str(json_member(p, "id"), &id) ||
		    !know(config, job, id, ret_handle))
			continue;
		if (!read_prediction(p, ret_status))
			ret_status->state = PROVIDER_ENDED;
		class = PROVIDER_OK;
		break;
	}
	arena_free(&arena);
	return class;
}

const struct provider provider_replicate = {
	.name = "replicate",
	.submit_call = submit_call,
	.submit_answer = submit_answer,
	.poll_call = poll_call,
	.poll_answer = poll_answer,
	.find_call = find_call,
	.find_answer = find_answer,
	.know = know,
	.cancel_call = cancel_call,
	.download_call = provider_download_call,
};

bool
replicate_webhook_read(struct arena *arena, struct str body,
    struct str *ret_request_id, struct provider_status *ret_status)
{
	const struct json *prediction;

	if (body.len > REPLICATE_BODY_BYTES_MAX)
		return false;
	prediction = json_parse(arena, body);
	if (!json_to_str(json_member(prediction, "id"), ret_request_id))
		return false;
	if (read_prediction(prediction, ret_status))
		return ret_status->state == PROVIDER_DONE ||
		    ret_status->state == PROVIDER_FAILED;
	/* An end that we did not understand: asking may tell. */
	ret_status->state = PROVIDER_ENDED;
	return true;
}
