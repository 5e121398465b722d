/* SPDX-License-Identifier: MIT */
#include "provider/sandbox.h"

#include "provider/provider.h"
#include "wire/json.h"
#include "wire/json_writer.h"

/* Our own answers are a few hundred bytes; others are not ours. */
#define ANSWER_BYTES_MAX ((size_t)16 * 1024)

/* More than JSON_VALUES_MAX values and ANSWER_BYTES_MAX of text can take. */
#define ANSWER_ARENA_BYTES ((size_t)1024 * 1024)

static enum provider_class
fail(struct provider_error *ret_error, enum provider_class class,
    enum provider_code code, const struct fetch_response *response)
{
	*ret_error = (struct provider_error){
		.class = class,
		.code = code,
		.http_status = response->status,
	};
	return class;
}

/* Points the call at a URL of the sandbox; false when that cannot be. */
static bool
route(const struct config *config, const char *url, struct provider_call *call)
{
	const int n = snprintf(call->unix_socket, sizeof(call->unix_socket),
	    "%s/run/sandbox-http.sock", config_text(config, CONFIG_STATE_DIR));

	return n > 0 && (size_t)n < sizeof(call->unix_socket) &&
	    str_starts_with(str_from(url), STR(SANDBOX_URL)) &&
	    str_copy(str_from(url), call->url, sizeof(call->url));
}

static bool
submit_call(const struct config *config, const struct provider_job *job,
    struct provider_call *call)
{
	struct json_writer w;

	provider_call_init(call, "POST");
	call->once = true;
	(void)str_copy(STR("Content-Type: application/json"), call->header[0],
	    sizeof(call->header[0]));
	w = json_writer(&call->body);
	json_begin_object(&w, NULL);
	json_uuid(&w, "attempt_id", &job->attempt_id);
	json_text(&w, "endpoint", job->endpoint);
	json_text(&w, "prompt", job->prompt);
	json_text(&w, "image_url", job->image_url);
	json_text(&w, "aspect_ratio", job->aspect_ratio);
	json_text(&w, "resolution", job->resolution);
	json_int64(&w, "duration_s", job->duration_s);
	json_bool(&w, "has_audio", job->has_audio);
	json_int64(&w, "seed", job->seed);
	json_end_object(&w);
	return !call->body.failed &&
	    route(config, SANDBOX_URL "requests", call);
}

static bool
poll_call(const struct config *config, const struct provider_handle *handle,
    struct provider_call *call)
{
	provider_call_init(call, "GET");
	return route(config, handle->status_url, call);
}

static bool
find_call(const struct config *config, const struct provider_job *job,
    struct provider_call *call)
{
	char url[sizeof(SANDBOX_URL SANDBOX_ATTEMPTS) + UUID_TEXT_BYTES];
	char id[UUID_TEXT_BYTES];

	uuid_format(&job->attempt_id, id);
	(void)snprintf(url, sizeof(url), SANDBOX_URL SANDBOX_ATTEMPTS "%s", id);
	provider_call_init(call, "GET");
	return route(config, url, call);
}

static bool
cancel_call(const struct config *config, const struct provider_handle *handle,
    struct provider_call *call)
{
	provider_call_init(call, "PUT");
	return route(config, handle->cancel_url, call);
}

static bool
download_call(const struct config *config, const char *video_url,
    struct provider_call *call)
{
	provider_call_init(call, "GET");
	return str_starts_with(str_from(video_url),
		   STR(SANDBOX_URL SANDBOX_FILES)) &&
	    route(config, video_url, call);
}

static const struct json *
parse_answer(struct arena *arena, const struct fetch_response *response)
{
	if (response->body.len > ANSWER_BYTES_MAX)
		return NULL;
	return json_parse(arena, response->body);
}

static bool
copy_member(const struct json *object, const char *name, char *to, size_t size)
{
	struct str value;

	return json_to_str(json_member(object, name), &value) &&
	    value.len > 0 && str_copy(value, to, size);
}

/* Both of a submission and of finding it again. */
static bool
read_handle(const struct fetch_response *response,
    struct provider_handle *ret_handle)
{
	struct provider_handle handle = { 0 };
	const struct json *answer;
	struct arena arena;
	bool ok;

	arena_init(&arena, ANSWER_ARENA_BYTES);
	answer = parse_answer(&arena, response);
	ok = copy_member(answer, "request_id", handle.request_id,
		 sizeof(handle.request_id)) &&
	    copy_member(answer, "status_url", handle.status_url,
		sizeof(handle.status_url)) &&
	    copy_member(answer, "cancel_url", handle.cancel_url,
		sizeof(handle.cancel_url));
	arena_free(&arena);
	if (ok)
		*ret_handle = handle;
	return ok;
}

static enum provider_class
submit_answer(const struct config *config, const struct provider_job *job,
    const struct fetch_response *response, struct provider_handle *ret_handle,
    struct provider_error *ret_error)
{
	const int status = response->status;

	(void)config;
	(void)job;
	if (response->phase == FETCH_NOT_SENT)
		return fail(ret_error, PROVIDER_RETRY_CALL,
		    PROVIDER_CODE_PROVIDER, response);
	if (response->phase == FETCH_MAYBE_SENT)
		return fail(ret_error, PROVIDER_UNKNOWN, PROVIDER_CODE_PROVIDER,
		    response);
	if (status / 100 == 2) {
		if (read_handle(response, ret_handle))
			return PROVIDER_OK;
		/* Accepted, but under a name that we did not understand. */
		return fail(ret_error, PROVIDER_UNKNOWN, PROVIDER_CODE_PROTOCOL,
		    response);
	}
	if (status == 429 || status == 503)
		return fail(ret_error, PROVIDER_RETRY_CALL, PROVIDER_CODE_BUSY,
		    response);
	if (status >= 500 || status == 408 || status == 425)
		return fail(ret_error, PROVIDER_UNKNOWN, PROVIDER_CODE_PROVIDER,
		    response);
	if (status == 401 || status == 403)
		return fail(ret_error, PROVIDER_FAIL_OPERATOR,
		    PROVIDER_CODE_AUTH, response);
	if (status == 400 || status == 413 || status == 422)
		return fail(ret_error, PROVIDER_FAIL_OPERATOR,
		    PROVIDER_CODE_INPUT, response);
	return fail(ret_error, PROVIDER_FAIL_OPERATOR, PROVIDER_CODE_PROTOCOL,
	    response);
}

/* What a request that ended badly means for its job. */
static struct provider_error
failure_of(const struct json *answer)
{
	static const struct {
		enum provider_code code;
		enum provider_class class;
	} failures[] = {
		{ PROVIDER_CODE_CONTENT, PROVIDER_FAIL_USER },
		{ PROVIDER_CODE_CANCELED, PROVIDER_FAIL_USER },
	};
	struct str code = { 0 };

	(void)json_to_str(json_member(answer, "code"), &code);
	for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++)
		if (str_equal(code,
			str_from(provider_code_name(failures[i].code))))
			return (struct provider_error){
				.class = failures[i].class,
				.code = failures[i].code,
			};
	return (struct provider_error){
		.class = PROVIDER_RETRY_ATTEMPT,
		.code = PROVIDER_CODE_PROVIDER,
	};
}

static bool
read_status(const struct json *answer, struct provider_status *ret_status)
{
	struct provider_status status = { .queue_position = -1 };
	struct str word;

	if (!json_to_str(json_member(answer, "status"), &word))
		return false;
	if (str_equal(word, STR(SANDBOX_STATUS_QUEUED))) {
		status.state = PROVIDER_QUEUED;
		(void)json_to_int64(json_member(answer, "queue_position"), 0,
		    JSON_INT_MAX, &status.queue_position);
	} else if (str_equal(word, STR(SANDBOX_STATUS_RUNNING))) {
		status.state = PROVIDER_RUNNING;
	} else if (str_equal(word, STR(SANDBOX_STATUS_DONE))) {
		status.state = PROVIDER_DONE;
		if (!copy_member(answer, "video_url", status.video_url,
			sizeof(status.video_url)))
			return false;
	} else if (str_equal(word, STR(SANDBOX_STATUS_FAILED))) {
		status.state = PROVIDER_FAILED;
		status.error = failure_of(answer);
	} else
		return false;
	*ret_status = status;
	return true;
}

/* Of calls that only ask: whatever went wrong, asking again does no harm. */
static enum provider_class
read_failure(const struct fetch_response *response,
    struct provider_error *ret_error)
{
	const int status = response->status;

	if (response->phase != FETCH_ANSWERED || status >= 500 ||
	    status == 408 || status == 425)
		return fail(ret_error, PROVIDER_RETRY_CALL,
		    PROVIDER_CODE_PROVIDER, response);
	if (status == 429)
		return fail(ret_error, PROVIDER_RETRY_CALL, PROVIDER_CODE_BUSY,
		    response);
	return fail(ret_error, PROVIDER_FAIL_OPERATOR, PROVIDER_CODE_PROTOCOL,
	    response);
}

static enum provider_class
poll_answer(const struct config *config, const struct fetch_response *response,
    struct provider_status *ret_status, struct provider_error *ret_error)
{
	struct arena arena;
	bool ok;

	(void)config;
	if (response->phase == FETCH_ANSWERED && response->status == 404)
		return fail(ret_error, PROVIDER_FAIL_OPERATOR,
		    PROVIDER_CODE_NOT_FOUND, response);
	if (response->phase != FETCH_ANSWERED || response->status != 200)
		return read_failure(response, ret_error);
	arena_init(&arena, ANSWER_ARENA_BYTES);
	ok = read_status(parse_answer(&arena, response), ret_status);
	arena_free(&arena);
	if (ok)
		return PROVIDER_OK;
	return fail(ret_error, PROVIDER_RETRY_CALL, PROVIDER_CODE_PROTOCOL,
	    response);
}

static enum provider_class
find_answer(const struct config *config, const struct provider_job *job,
    const struct fetch_response *response, char ret_page[PROVIDER_PAGE_BYTES],
    struct provider_handle *ret_handle, struct provider_status *ret_status,
    struct provider_error *ret_error)
{
	(void)config;
	(void)job;
	ret_page[0] = '\0';
	if (response->phase == FETCH_ANSWERED && response->status == 404)
		return fail(ret_error, PROVIDER_RETRY_CALL,
		    PROVIDER_CODE_NOT_FOUND, response);
	if (response->phase != FETCH_ANSWERED || response->status != 200)
		return read_failure(response, ret_error);
	if (read_handle(response, ret_handle)) {
		*ret_status = (struct provider_status){
			.state = PROVIDER_ENDED,
			.queue_position = -1,
		};
		return PROVIDER_OK;
	}
	return fail(ret_error, PROVIDER_RETRY_CALL, PROVIDER_CODE_PROTOCOL,
	    response);
}

const struct provider provider_sandbox = {
	.name = "sandbox",
	.times = {
		.start_timeout_ms = 60 * 1000,
		.run_timeout_ms = (SANDBOX_SLOW_S_MAX + 60) * 1000,
		.told_within_ms = 15 * 60 * 1000,
		.poll_first_ms = 500,
		.poll_max_ms = 2000,
		/* A request that waited 10 s is refused (app/serve.c). */
		.find_final_ms = 15 * 1000,
	},
	.submit_call = submit_call,
	.submit_answer = submit_answer,
	.poll_call = poll_call,
	.poll_answer = poll_answer,
	.find_call = find_call,
	.find_answer = find_answer,
	.cancel_call = cancel_call,
	.download_call = download_call,
};
