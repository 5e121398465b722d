/* SPDX-License-Identifier: MIT */
/*
 * fal.ai's queue.  A failed request is COMPLETED there: how it ended, only
 * its result tells.  There is no idempotency key; a lost submission is found
 * again by the webhook, whose URL names the attempt, or by its seed in the
 * platform's history.
 */
#include "provider/fal.h"

#include "base/clock.h"
#include "provider/fal_answer.h"
#include "wire/http.h"

/* Results stay there this long: we fetch them at once. */
#define RESULT_LIFE "{\"expiration_duration_seconds\":604800}"

/*
 * Requests at once: with the longest prompts, 60 KB each, they fit what is
 * read of an answer, and with all their members JSON_VALUES_MAX.
 */
#define HISTORY_PAGE "48"

/* Their clock may go before ours. */
#define HISTORY_BEFORE_MS (INT64_C(60) * 1000)

static bool
base_url(const struct config *config, char base[PROVIDER_URL_BYTES])
{
	return provider_base(config, CONFIG_FAL_QUEUE_URL, FAL_QUEUE_URL, base);
}

/* The key goes to configured hosts only: whoever calls this has seen to it. */
static bool
authorize(const struct config *config, struct provider_call *call)
{
	char value[PROVIDER_URL_BYTES];
	const int n = snprintf(value, sizeof(value), "Key %s",
	    config_text(config, CONFIG_FAL_KEY));

	return n > 0 && (size_t)n < sizeof(value) &&
	    provider_call_header(call, "Authorization", value);
}

static bool
submit_url(const struct config *config, const struct provider_job *job,
    char url[FETCH_URL_BYTES_MAX])
{
	char base[PROVIDER_URL_BYTES];
	struct buf hook;
	int n = 0;

	buf_init(&hook, FETCH_URL_BYTES_MAX);
	http_percent_encode(str_from(job->webhook_url), &hook);
	if (!hook.failed && hook.len > 0 && base_url(config, base))
		n = snprintf(url, FETCH_URL_BYTES_MAX, "%s/%s?fal_webhook=%s",
		    base, job->endpoint, hook.ptr);
	buf_free(&hook);
	return n > 0 && n < FETCH_URL_BYTES_MAX;
}

static bool
submit_call(const struct config *config, const struct provider_job *job,
    struct provider_call *call)
{
	struct json_writer w;
	char start_s[24];

	provider_call_init(call, "POST");
	call->once = true;
	(void)snprintf(start_s, sizeof(start_s), "%lld",
	    (long long)config_number(config, CONFIG_PROVIDER_START_TIMEOUT_S));
	w = json_writer(&call->body);
	provider_write_input(&w, NULL, job);
	return !call->body.failed &&
	    provider_is_plain(str_from(job->endpoint), "-_./") &&
	    submit_url(config, job, call->url) && authorize(config, call) &&
	    provider_call_header(call, "Content-Type", "application/json") &&
	    provider_call_header(call, "X-Fal-Request-Timeout", start_s) &&
	    provider_call_header(call, "X-Fal-Object-Lifecycle-Preference",
		RESULT_LIFE);
}

/* The part of an endpoint that its requests' URLs have: two segments. */
static struct str
base_of(const char *endpoint)
{
	struct str path = str_from(endpoint);
	int slashes = 2;

	if (str_starts_with(path, STR("workflows/")) ||
	    str_starts_with(path, STR("comfy/")))
		slashes = 3;
	for (size_t i = 0; i < path.len; i++)
		if (path.ptr[i] == '/' && --slashes == 0)
			path.len = i;
	return path;
}

/* Theirs if it is on the host that we trust, else the one it should be. */
static bool
take_url(const struct json *answer, const char *name, const char *base,
    const struct provider_job *job, const char *request_id, const char *tail,
    char url[PROVIDER_URL_BYTES])
{
	const size_t base_len = strlen(base);
	const struct str path = base_of(job->endpoint);
	struct str text;
	int n;

	if (json_to_str(json_member(answer, name), &text) &&
	    str_starts_with(text, str_from(base)) && text.len > base_len &&
	    text.ptr[base_len] == '/' &&
	    provider_is_plain((struct str){ text.ptr + base_len,
				  text.len - base_len },
		"-_./") &&
	    str_copy(text, url, PROVIDER_URL_BYTES))
		return true;
	n = snprintf(url, PROVIDER_URL_BYTES, "%s/%.*s/requests/%s%s", base,
	    (int)path.len, path.ptr, request_id, tail);
	return n > 0 && n < PROVIDER_URL_BYTES;
}

static bool
know(const struct config *config, const struct provider_job *job,
    struct str request_id, struct provider_handle *ret_handle)
{
	struct provider_handle h = { 0 };
	char base[PROVIDER_URL_BYTES];

	if (!base_url(config, base) || !provider_is_plain(request_id, "-_") ||
	    !str_copy(request_id, h.request_id, sizeof(h.request_id)) ||
	    !take_url(NULL, "", base, job, h.request_id, "/status",
		h.status_url) ||
	    !take_url(NULL, "", base, job, h.request_id, "", h.result_url) ||
	    !take_url(NULL, "", base, job, h.request_id, "/cancel",
		h.cancel_url))
		return false;
	*ret_handle = h;
	return true;
}

static bool
read_handle(const struct config *config, const struct provider_job *job,
    const struct json *answer, struct provider_handle *ret_handle)
{
	struct provider_handle h;
	char base[PROVIDER_URL_BYTES];
	struct str id;

	if (!json_to_str(json_member(answer, "request_id"), &id) ||
	    !know(config, job, id, &h) || !base_url(config, base) ||
	    !take_url(answer, "status_url", base, job, h.request_id, "/status",
		h.status_url) ||
	    !take_url(answer, "response_url", base, job, h.request_id, "",
		h.result_url) ||
	    !take_url(answer, "cancel_url", base, job, h.request_id, "/cancel",
		h.cancel_url))
		return false;
	*ret_handle = h;
	return true;
}

static const struct json *
parse(struct arena *arena, const struct fetch_response *response)
{
	if (response->body.len > FAL_BODY_BYTES_MAX)
		return NULL;
	return json_parse(arena, response->body);
}

static struct fal_context
context_of(const struct fetch_response *response)
{
	struct fal_context context = { .http_status = response->status };
	struct str word;

	(void)fetch_header(response, "X-Fal-Error-Type", &context.error_type);
	if (fetch_header(response, "X-Fal-Retryable", &word)) {
		context.is_final = str_equal_nocase(word, STR("false"));
		context.is_retryable = str_equal_nocase(word, STR("true"));
	}
	return context;
}

/* A submission that was turned away by fal itself. */
static enum provider_class
refusal(const struct json *answer, const struct fetch_response *response,
    struct provider_error *ret_error)
{
	const struct fal_context context = context_of(response);
	enum provider_class class = PROVIDER_FAIL_OPERATOR;
	enum provider_code code = PROVIDER_CODE_INPUT;
	struct str text;

	if (response->status == 404)
		code = PROVIDER_CODE_MODEL_GONE;
	else if (response->status == 403)
		code = json_to_str(json_member(answer, "detail"), &text) &&
			str_starts_with(text, STR("User is locked")) ?
		    PROVIDER_CODE_LOCKED :
		    PROVIDER_CODE_AUTH;
	else if (fal_read_error(answer, &context, ret_error)) {
		class = ret_error->class;
		code = ret_error->code;
	}
	(void)provider_fail(ret_error, class, code, response);
	ret_error->is_unbilled = true;
	return class;
}

static enum provider_class
submit_answer(const struct config *config, const struct provider_job *job,
    const struct fetch_response *response, struct provider_handle *ret_handle,
    struct provider_error *ret_error)
{
	enum provider_class class = PROVIDER_OK;
	const struct json *answer;
	struct arena arena;

	if (provider_submit_failed(response, ret_error))
		return ret_error->class;
	arena_init(&arena, FAL_ARENA_BYTES);
	answer = parse(&arena, response);
	if (response->status / 100 != 2)
		class = refusal(answer, response, ret_error);
	else if (!read_handle(config, job, answer, ret_handle))
		/* Accepted, but under a name that we did not understand. */
		class = provider_fail(ret_error, PROVIDER_UNKNOWN,
		    PROVIDER_CODE_PROTOCOL, response);
	arena_free(&arena);
	return class;
}

/* A call to a URL that was stored with the request. */
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
result_call(const struct config *config, const struct provider_handle *handle,
    struct provider_call *call)
{
	return request_call(config, "GET", handle->result_url, call);
}

static bool
cancel_call(const struct config *config, const struct provider_handle *handle,
    struct provider_call *call)
{
	return request_call(config, "PUT", handle->cancel_url, call);
}

static enum provider_class
poll_answer(const struct config *config, const struct fetch_response *response,
    struct provider_status *ret_status, struct provider_error *ret_error)
{
	struct provider_status status = { .queue_position = -1 };
	const struct json *answer;
	struct arena arena;
	struct str word;
	bool ok;

	(void)config;
	if (provider_read_failed(response, ret_error))
		return ret_error->class;
	if (response->status / 100 != 2)
		return provider_fail(ret_error, PROVIDER_RETRY_CALL,
		    response->status == 404 ? PROVIDER_CODE_NOT_FOUND :
					      PROVIDER_CODE_PROVIDER,
		    response);
	arena_init(&arena, FAL_ARENA_BYTES);
	answer = parse(&arena, response);
	ok = json_to_str(json_member(answer, "status"), &word);
	/* A state that we do not know may be an end: the result tells. */
	status.state = PROVIDER_ENDED;
	if (ok && str_equal(word, STR("IN_QUEUE"))) {
		status.state = PROVIDER_QUEUED;
		(void)json_to_int64(json_member(answer, "queue_position"), 0,
		    JSON_INT_MAX, &status.queue_position);
	} else if (ok && str_equal(word, STR("IN_PROGRESS")))
		status.state = PROVIDER_RUNNING;
	else if (ok &&
	    (str_equal(word, STR("CANCELLED")) ||
		str_equal(word, STR("CANCELED")))) {
		/* Not documented, but seen: such a one has no result. */
		status.state = PROVIDER_FAILED;
		status.error = (struct provider_error){
			.class = PROVIDER_FAIL_USER,
			.code = PROVIDER_CODE_CANCELED,
			.is_unbilled = true,
		};
	}
	arena_free(&arena);
	if (!ok)
		return provider_fail(ret_error, PROVIDER_RETRY_CALL,
		    PROVIDER_CODE_PROTOCOL, response);
	*ret_status = status;
	return PROVIDER_OK;
}

static bool
is_error(const struct json *body)
{
	struct str text;

	return (json_to_str(json_member(body, "error"), &text) &&
		   text.len > 0) ||
	    (json_to_str(json_member(body, "error_type"), &text) &&
		text.len > 0);
}

/* The result of a 2xx: the model's own output, or in an old page's wrapper. */
static bool
read_output(const struct json *body, const struct fetch_response *response,
    struct provider_status *status)
{
	const struct fal_context context = context_of(response);
	const struct json *inner = json_member(body, "response");

	if (json_is_object(inner))
		body = inner;
	if (is_error(body)) {
		status->state = PROVIDER_FAILED;
		return fal_read_error(body, &context, &status->error);
	}
	status->state = PROVIDER_DONE;
	return fal_read_video(body, status);
}

static bool
read_result(const struct json *body, const struct fetch_response *response,
    struct provider_status *status)
{
	const struct fal_context context = context_of(response);
	struct str text;

	if (response->status / 100 == 2)
		return read_output(body, response, status);
	if (response->status == 400 &&
	    json_to_str(json_member(body, "detail"), &text) &&
	    str_starts_with(text, STR("Request is still in progress"))) {
		status->state = PROVIDER_RUNNING;
		return true;
	}
	status->state = PROVIDER_FAILED;
	return fal_read_error(body, &context, &status->error);
}

static enum provider_class
result_answer(const struct config *config,
    const struct fetch_response *response, struct provider_status *ret_status,
    struct provider_error *ret_error)
{
	struct provider_status status = { .queue_position = -1 };
	struct arena arena;
	bool ok;

	(void)config;
	if (provider_read_failed(response, ret_error))
		return ret_error->class;
	if (response->status == 404 || response->status == 410)
		return provider_fail(ret_error, PROVIDER_RETRY_CALL,
		    PROVIDER_CODE_EXPIRED, response);
	arena_init(&arena, FAL_ARENA_BYTES);
	ok = read_result(parse(&arena, response), response, &status);
	arena_free(&arena);
	if (!ok)
		return provider_fail(ret_error, PROVIDER_RETRY_CALL,
		    response->status >= 500 ? PROVIDER_CODE_PROVIDER :
					      PROVIDER_CODE_PROTOCOL,
		    response);
	*ret_status = status;
	return PROVIDER_OK;
}

static bool
find_call(const struct config *config, const struct provider_job *job,
    struct provider_call *call)
{
	char base[PROVIDER_URL_BYTES], start[CLOCK_TEXT_BYTES];
	struct buf query;
	int n = 0;

	provider_call_init(call, "GET");
	clock_format(job->sent_at_ms - HISTORY_BEFORE_MS, start);
	buf_init(&query, FETCH_URL_BYTES_MAX);
	http_percent_encode(str_from(job->endpoint), &query);
	buf_appendf(&query, "&start=%s&expand=payloads&limit=" HISTORY_PAGE,
	    start);
	if (job->page != NULL) {
		buf_append(&query, STR("&cursor="));
		http_percent_encode(str_from(job->page), &query);
	}
	if (!query.failed &&
	    provider_base(config, CONFIG_FAL_PLATFORM_URL, FAL_PLATFORM_URL,
		base))
		n = snprintf(call->url, sizeof(call->url),
		    "%s/models/requests/by-endpoint?endpoint_id=%s", base,
		    query.ptr);
	buf_free(&query);
	return n > 0 && (size_t)n < sizeof(call->url) &&
	    authorize(config, call);
}

/* Is this line of the history about the attempt? */
static bool
is_ours(const struct json *item, const struct provider_job *job)
{
	const struct json *input = json_member(item, "json_input");
	struct str prompt;
	int64_t seed;

	/* The seed is the correlator; where there is none, nothing is. */
	return json_to_str(json_member(input, "prompt"), &prompt) &&
	    str_equal(prompt, str_from(job->prompt)) &&
	    json_to_int64(json_member(input, "seed"), 0, INT32_MAX, &seed) &&
	    seed == job->seed;
}

static void
read_item(const struct json *item, struct provider_status *status)
{
	const struct json *output = json_member(item, "json_output");
	struct fal_context context = { 0 };
	int64_t code;

	*status = (struct provider_status){
		.state = PROVIDER_ENDED,
		.queue_position = -1,
	};
	if (fal_read_video(output, status)) {
		status->state = PROVIDER_DONE;
		return;
	}
	if (json_to_int64(json_member(item, "status_code"), 100, 599, &code))
		context.http_status = (int)code;
	if (context.http_status >= 400 &&
	    fal_read_error(output, &context, &status->error))
		status->state = PROVIDER_FAILED;
}

static enum provider_class
find_answer(const struct config *config, const struct provider_job *job,
    const struct fetch_response *response, char ret_page[PROVIDER_PAGE_BYTES],
    struct provider_handle *ret_handle, struct provider_status *ret_status,
    struct provider_error *ret_error)
{
	enum provider_class class = PROVIDER_RETRY_CALL;
	const struct json *list;
	struct arena arena;
	struct str page;

	ret_page[0] = '\0';
	if (provider_read_failed(response, ret_error))
		return ret_error->class;
	(void)provider_fail(ret_error, PROVIDER_RETRY_CALL,
	    PROVIDER_CODE_NOT_FOUND, response);
	if (response->status / 100 != 2)
		return class;
	arena_init(&arena, FAL_ARENA_BYTES);
	list = parse(&arena, response);
	if (json_to_str(json_member(list, "next_cursor"), &page) &&
	    !str_copy(page, ret_page, PROVIDER_PAGE_BYTES))
		ret_page[0] = '\0';
	if (json_is_object(list))
		list = json_member(list, "items");
	for (const struct json *item = json_first(list); item != NULL;
	     item = json_next(item)) {
		if (!is_ours(item, job) ||
		    !read_handle(config, job, item, ret_handle))
			continue;
		read_item(item, ret_status);
		class = PROVIDER_OK;
		break;
	}
	arena_free(&arena);
	return class;
}

const struct provider provider_fal = {
	.name = "fal",
	.submit_call = submit_call,
	.submit_answer = submit_answer,
	.poll_call = poll_call,
	.poll_answer = poll_answer,
	.result_call = result_call,
	.result_answer = result_answer,
	.find_call = find_call,
	.find_answer = find_answer,
	.know = know,
	.cancel_call = cancel_call,
	.download_call = provider_download_call,
};
