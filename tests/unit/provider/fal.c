/* SPDX-License-Identifier: MIT */
#include "provider/fal.h"

#include "base/cleanup.h"
#include "wire/base64.h"
#include "wire/json.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define BASE "https://queue.example"
#define HOOK "https://a.example/hook?x=1"
#define VECTORS "tests/vectors/fal-webhook-vectors.json"

static struct config config;
static struct arena arena;
static const struct provider *const p = &provider_fal;

static const struct provider_job job = {
	.endpoint = "fal-ai/veo3.1/fast/image-to-video",
	.prompt = "A \"sea\"",
	.image_url = "https://a.example/p.jpg",
	.image_field = "start_image_url",
	.aspect_ratio = "9:16",
	.resolution = "720p",
	.duration_format = "%ds",
	.duration_s = 8,
	.has_audio = true,
	.seed = 7,
	.omits = "resolution, cfg_scale",
	.webhook_url = HOOK,
	.sent_at_ms = INT64_C(1790000000000),
};

static int
set_up(void **state)
{
	CLEANUP(buf_free) struct buf problem = { 0 };

	(void)state;
	buf_init(&problem, 512);
	arena_init(&arena, (size_t)16 * 1024 * 1024);
	return config_parse(&config,
		   STR("RENDIO_FAL_KEY=id:secret\n"
		       "RENDIO_FAL_QUEUE_URL=" BASE "/\n"
		       "RENDIO_PROVIDER_START_TIMEOUT_S=77\n"),
		   NULL, &problem) ?
	    0 :
	    -1;
}

static int
tear_down(void **state)
{
	(void)state;
	arena_free(&arena);
	config_free(&config);
	return 0;
}

static struct fetch_response
answer(int status, const char *body)
{
	return (struct fetch_response){
		.phase = FETCH_ANSWERED,
		.status = status,
		.body = str_from(body),
	};
}

static struct fetch_response
answer_with(int status, const char *headers, const char *body)
{
	struct fetch_response response = answer(status, body);

	response.headers = str_from(headers);
	return response;
}

static bool
has_header(const struct provider_call *call, const char *line)
{
	for (size_t i = 0; i < FETCH_HEADERS_MAX; i++)
		if (strcmp(call->header[i], line) == 0)
			return true;
	return false;
}

static void
a_submission_says_all_that_finds_it_again(void **state)
{
	struct provider_call call;

	(void)state;
	assert_true(p->submit_call(&config, &job, &call));
	assert_true(call.once);
	assert_string_equal(call.method, "POST");
	assert_string_equal(call.url,
	    BASE "/fal-ai/veo3.1/fast/image-to-video?fal_webhook="
		 "https%3A%2F%2Fa.example%2Fhook%3Fx%3D1");
	assert_string_equal(call.body.ptr,
	    "{\"prompt\":\"A \\\"sea\\\"\","
	    "\"start_image_url\":\"https://a.example/p.jpg\","
	    "\"duration\":\"8s\",\"aspect_ratio\":\"9:16\","
	    "\"generate_audio\":true,\"seed\":7}");
	assert_true(has_header(&call, "Authorization: Key id:secret"));
	assert_true(has_header(&call, "X-Fal-Request-Timeout: 77"));
	assert_true(has_header(&call,
	    "X-Fal-Object-Lifecycle-Preference: "
	    "{\"expiration_duration_seconds\":604800}"));
	provider_call_free(&call);
}

static void
a_duration_is_spelt_as_the_model_wants_it(void **state)
{
	static const struct {
		const char *format;
		const char *text;
	} forms[] = {
		{ "%ds", "\"duration\":\"8s\"" },
		{ "%d", "\"duration\":\"8\"" },
		{ "", "\"duration\":8," },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		struct provider_job other = job;
		struct provider_call call;

		other.duration_format = forms[i].format;
		assert_true(p->submit_call(&config, &other, &call));
		assert_non_null(strstr(call.body.ptr, forms[i].text));
		provider_call_free(&call);
	}
}

static enum provider_class
submit(const struct fetch_response *response, enum provider_code *ret_code)
{
	struct provider_handle handle;
	struct provider_error error = { 0 };
	const enum provider_class class =
	    p->submit_answer(&config, &job, response, &handle, &error);

	*ret_code = error.code;
	return class;
}

static void
an_answer_to_a_submission_is_classified(void **state)
{
	static const struct {
		int status;
		const char *body;
		enum provider_class class;
		enum provider_code code;
	} answers[] = {
		{ 200, "{\"request_id\":\"a-1\"}", PROVIDER_OK, 0 },
		{ 201, "{\"request_id\":\"a-1\"}", PROVIDER_OK, 0 },
		{ 200, "{\"status\":\"IN_QUEUE\"}", PROVIDER_UNKNOWN,
		    PROVIDER_CODE_PROTOCOL },
		{ 200, "{\"request_id\":\"\"}", PROVIDER_UNKNOWN,
		    PROVIDER_CODE_PROTOCOL },
		{ 200, "{\"request_id\":\"a/../b\"}", PROVIDER_UNKNOWN,
		    PROVIDER_CODE_PROTOCOL },
		{ 200, "<html>", PROVIDER_UNKNOWN, PROVIDER_CODE_PROTOCOL },
		{ 302, "", PROVIDER_FAIL_OPERATOR, PROVIDER_CODE_PROTOCOL },
		{ 307, "", PROVIDER_FAIL_OPERATOR, PROVIDER_CODE_PROTOCOL },
		{ 400, "", PROVIDER_FAIL_OPERATOR, PROVIDER_CODE_INPUT },
		{ 401, "", PROVIDER_FAIL_OPERATOR, PROVIDER_CODE_AUTH },
		{ 402, "", PROVIDER_FAIL_OPERATOR, PROVIDER_CODE_AUTH },
		{ 403, "{\"detail\":\"User is locked. Reason: TOP_UP\"}",
		    PROVIDER_FAIL_OPERATOR, PROVIDER_CODE_LOCKED },
		{ 403, "{\"detail\":\"no\"}", PROVIDER_FAIL_OPERATOR,
		    PROVIDER_CODE_AUTH },
		{ 404, "", PROVIDER_FAIL_OPERATOR, PROVIDER_CODE_MODEL_GONE },
		{ 405, "", PROVIDER_FAIL_OPERATOR, PROVIDER_CODE_PROTOCOL },
		{ 408, "", PROVIDER_UNKNOWN, PROVIDER_CODE_PROVIDER },
		{ 413, "", PROVIDER_FAIL_OPERATOR, PROVIDER_CODE_INPUT },
		{ 422, "{\"detail\":[{\"type\":\"content_policy_violation\"}]}",
		    PROVIDER_FAIL_USER, PROVIDER_CODE_CONTENT },
		{ 422, "{\"detail\":[{\"type\":\"missing\"}]}",
		    PROVIDER_FAIL_OPERATOR, PROVIDER_CODE_INPUT },
		{ 425, "", PROVIDER_UNKNOWN, PROVIDER_CODE_PROVIDER },
		{ 429, "", PROVIDER_RETRY_CALL, PROVIDER_CODE_BUSY },
		{ 500, "", PROVIDER_UNKNOWN, PROVIDER_CODE_PROVIDER },
		{ 502, "", PROVIDER_UNKNOWN, PROVIDER_CODE_PROVIDER },
		{ 503, "", PROVIDER_UNKNOWN, PROVIDER_CODE_PROVIDER },
		{ 504, "", PROVIDER_UNKNOWN, PROVIDER_CODE_PROVIDER },
	};
	struct fetch_response none = { .phase = FETCH_NOT_SENT };
	enum provider_code code;

	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		const struct fetch_response response =
		    answer(answers[i].status, answers[i].body);

		assert_int_equal(submit(&response, &code), answers[i].class);
		assert_int_equal(code, answers[i].code);
	}
	assert_int_equal(submit(&none, &code), PROVIDER_RETRY_CALL);
	none.phase = FETCH_MAYBE_SENT;
	assert_int_equal(submit(&none, &code), PROVIDER_UNKNOWN);
}

static void
a_wait_that_is_asked_for_is_kept(void **state)
{
	struct fetch_response response =
	    answer_with(429, "HTTP/1.1 429 x\r\nRetry-After: 30\r\n", "");
	struct provider_handle handle;
	struct provider_error error;

	(void)state;
	(void)p->submit_answer(&config, &job, &response, &handle, &error);
	assert_int_equal(error.retry_after_ms, 30000);
	response.headers =
	    STR("HTTP/1.1 429 x\r\nDate: Sun, 22 Nov 2026 10:00:00 GMT\r\n"
		"Retry-After: Sun, 22 Nov 2026 10:00:07 GMT\r\n");
	(void)p->submit_answer(&config, &job, &response, &handle, &error);
	assert_int_equal(error.retry_after_ms, 7000);
	response.headers = STR("HTTP/1.1 429 x\r\nRetry-After: soon\r\n");
	(void)p->submit_answer(&config, &job, &response, &handle, &error);
	assert_int_equal(error.retry_after_ms, 0);
}

static void
urls_of_an_answer_count_only_on_the_configured_host(void **state)
{
	static const char own[] = BASE "/fal-ai/veo3.1/requests/a-1";
	static const char *const foreign[] = {
		"https://evil.example/x/status",
		BASE ".evil.example/x",
		"http://queue.example/x",
		BASE "@evil.example/x",
		BASE "/x?y=http://evil.example",
		BASE,
	};
	struct provider_handle handle;
	struct provider_error error;
	struct provider_call call;
	char body[512];

	(void)state;
	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
		struct fetch_response response;

		(void)snprintf(body, sizeof(body),
		    "{\"request_id\":\"a-1\",\"status_url\":\"%s\"}",
		    foreign[i]);
		response = answer(200, body);
		assert_int_equal(p->submit_answer(&config, &job, &response,
				     &handle, &error),
		    PROVIDER_OK);
		assert_string_equal(handle.result_url, own);
		assert_memory_equal(handle.status_url, own, sizeof(own) - 1);
		assert_string_equal(handle.status_url + sizeof(own) - 1,
		    "/status");
		(void)str_copy(str_from(foreign[i]), handle.cancel_url,
		    sizeof(handle.cancel_url));
		if (strcmp(foreign[i], BASE "/x?y=http://evil.example") != 0)
			assert_false(p->cancel_call(&config, &handle, &call));
		else
			assert_true(p->cancel_call(&config, &handle, &call));
		provider_call_free(&call);
	}
	{
		const struct fetch_response response = answer(200,
		    "{\"request_id\":\"a-1\",\"status_url\":\"" BASE
		    "/fal-ai/new/id/requests/a-1/status\"}");

		assert_int_equal(p->submit_answer(&config, &job, &response,
				     &handle, &error),
		    PROVIDER_OK);
		assert_string_equal(handle.status_url,
		    BASE "/fal-ai/new/id/requests/a-1/status");
	}
}

static void
a_status_says_how_it_stands(void **state)
{
	static const struct {
		int status;
		const char *body;
		enum provider_state state;
		int64_t position;
	} answers[] = {
		{ 202, "{\"status\":\"IN_QUEUE\",\"queue_position\":3}",
		    PROVIDER_QUEUED, 3 },
		{ 202, "{\"status\":\"IN_QUEUE\"}", PROVIDER_QUEUED, -1 },
		{ 202, "{\"status\":\"IN_PROGRESS\",\"logs\":null}",
		    PROVIDER_RUNNING, -1 },
		{ 200, "{\"status\":\"COMPLETED\",\"error\":\"x\"}",
		    PROVIDER_ENDED, -1 },
		{ 200, "{\"status\":\"CANCELLED\"}", PROVIDER_FAILED, -1 },
	};
	struct provider_status status;
	struct provider_error error;

	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		const struct fetch_response response =
		    answer(answers[i].status, answers[i].body);

		assert_int_equal(p->poll_answer(&config, &response, &status,
				     &error),
		    PROVIDER_OK);
		assert_int_equal(status.state, answers[i].state);
		assert_int_equal(status.queue_position, answers[i].position);
	}
	{
		const struct fetch_response gone = answer(404, "{}");
		const struct fetch_response bad = answer(200, "[]");
		const struct fetch_response down = answer(502, "<html>");

		assert_int_equal(p->poll_answer(&config, &gone, &status,
				     &error),
		    PROVIDER_RETRY_CALL);
		assert_int_equal(error.code, PROVIDER_CODE_NOT_FOUND);
		assert_int_equal(p->poll_answer(&config, &bad, &status, &error),
		    PROVIDER_RETRY_CALL);
		assert_int_equal(p->poll_answer(&config, &down, &status,
				     &error),
		    PROVIDER_RETRY_CALL);
	}
}

static void
a_result_tells_how_it_ended(void **state)
{
#define DETAIL(type) "{\"detail\":[{\"type\":\"" type "\"}]}"
	static const struct {
		int status;
		const char *headers;
		const char *body;
		enum provider_class class;
		enum provider_code code;
	} failures[] = {
		{ 422, "", DETAIL("content_policy_violation"),
		    PROVIDER_FAIL_USER, PROVIDER_CODE_CONTENT },
		{ 422, "", DETAIL("no_media_generated"), PROVIDER_RETRY_ATTEMPT,
		    PROVIDER_CODE_CONTENT },
		{ 422, "", DETAIL("image_too_small"), PROVIDER_FAIL_USER,
		    PROVIDER_CODE_IMAGE },
		{ 422, "", DETAIL("video_duration_too_long"),
		    PROVIDER_FAIL_USER, PROVIDER_CODE_IMAGE },
		{ 422, "", DETAIL("file_download_error"),
		    PROVIDER_FAIL_OPERATOR, PROVIDER_CODE_IMAGE },
		{ 422, "", DETAIL("missing"), PROVIDER_FAIL_OPERATOR,
		    PROVIDER_CODE_INPUT },
		{ 422, "",
		    "{\"detail\":[{\"type\":\"sequence_too_long\","
		    "\"loc\":[\"body\",\"prompt\"]}]}",
		    PROVIDER_FAIL_USER, PROVIDER_CODE_INPUT },
		{ 422, "", "{\"detail\":\"no\"}", PROVIDER_FAIL_OPERATOR,
		    PROVIDER_CODE_INPUT },
		{ 500, "", DETAIL("internal_server_error"),
		    PROVIDER_RETRY_ATTEMPT, PROVIDER_CODE_PROVIDER },
		{ 500, "X-Fal-Retryable: false\r\n",
		    DETAIL("internal_server_error"), PROVIDER_FAIL_OPERATOR,
		    PROVIDER_CODE_PROVIDER },
		{ 500, "", DETAIL("something_new"), PROVIDER_RETRY_ATTEMPT,
		    PROVIDER_CODE_PROVIDER },
		{ 504, "", DETAIL("generation_timeout"), PROVIDER_RETRY_ATTEMPT,
		    PROVIDER_CODE_TIMEOUT },
		{ 400, "X-Fal-Retryable: true\r\n",
		    DETAIL("downstream_service_error"), PROVIDER_RETRY_ATTEMPT,
		    PROVIDER_CODE_PROVIDER },
		{ 400, "", DETAIL("downstream_service_error"),
		    PROVIDER_FAIL_USER, PROVIDER_CODE_INPUT },
		{ 504, "X-Fal-Error-Type: request_timeout\r\n",
		    "{\"detail\":\"x\"}", PROVIDER_RETRY_ATTEMPT,
		    PROVIDER_CODE_TIMEOUT },
		{ 503, "",
		    "{\"detail\":\"x\",\"error_type\":\"runner_disconnected\"}",
		    PROVIDER_RETRY_ATTEMPT, PROVIDER_CODE_PROVIDER },
		{ 499, "",
		    "{\"detail\":\"x\",\"error_type\":\"client_cancelled\"}",
		    PROVIDER_FAIL_USER, PROVIDER_CODE_CANCELED },
		{ 200, "",
		    "{\"error\":\"x\",\"error_type\":\"internal_error\"}",
		    PROVIDER_RETRY_ATTEMPT, PROVIDER_CODE_PROVIDER },
	};
#undef DETAIL
	struct provider_status status;
	struct provider_error error;

	(void)state;
	for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++) {
		const struct fetch_response response =
		    answer_with(failures[i].status, failures[i].headers,
			failures[i].body);

		assert_int_equal(p->result_answer(&config, &response, &status,
				     &error),
		    PROVIDER_OK);
		assert_int_equal(status.state, PROVIDER_FAILED);
		assert_int_equal(status.error.class, failures[i].class);
		assert_int_equal(status.error.code, failures[i].code);
		assert_int_equal(status.error.is_unbilled,
		    failures[i].status >= 500);
	}
}

static void
a_result_is_a_video_or_is_asked_for_again(void **state)
{
	static const char *const videos[] = {
		"{\"video\":{\"url\":\"https://v/1\"},"
		"\"seed\":17454220438242315174}",
		"{\"status\":\"COMPLETED\",\"logs\":\"\","
		"\"response\":{\"video\":{\"url\":\"https://v/1\"}}}",
		"{\"error\":null,\"video\":{\"url\":\"https://v/1\"}}",
	};
	static const struct {
		int status;
		const char *body;
		enum provider_code code;
	} others[] = {
		{ 200, "{\"video\":{\"url\":\"\"}}", PROVIDER_CODE_PROTOCOL },
		{ 200, "{\"video\":{}}", PROVIDER_CODE_PROTOCOL },
		{ 200, "{}", PROVIDER_CODE_PROTOCOL },
		{ 200, "", PROVIDER_CODE_PROTOCOL },
		{ 404, "{}", PROVIDER_CODE_EXPIRED },
		{ 410, "", PROVIDER_CODE_EXPIRED },
		{ 429, "", PROVIDER_CODE_BUSY },
		{ 401, "", PROVIDER_CODE_AUTH },
		{ 502, "<html>", PROVIDER_CODE_PROVIDER },
		{ 500, "{\"detail\":\"Internal Server Error\"}",
		    PROVIDER_CODE_PROVIDER },
	};
	struct provider_status status;
	struct provider_error error;

	(void)state;
	for (size_t i = 0; i < sizeof(videos) / sizeof(videos[0]); i++) {
		const struct fetch_response response = answer(200, videos[i]);

		assert_int_equal(p->result_answer(&config, &response, &status,
				     &error),
		    PROVIDER_OK);
		assert_int_equal(status.state, PROVIDER_DONE);
		assert_string_equal(status.video_url, "https://v/1");
	}
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		const struct fetch_response response =
		    answer(others[i].status, others[i].body);

		assert_int_equal(p->result_answer(&config, &response, &status,
				     &error),
		    PROVIDER_RETRY_CALL);
		assert_int_equal(error.code, others[i].code);
	}
	{
		const struct fetch_response early = answer(400,
		    "{\"detail\":\"Request is still in progress\"}");

		assert_int_equal(p->result_answer(&config, &early, &status,
				     &error),
		    PROVIDER_OK);
		assert_int_equal(status.state, PROVIDER_RUNNING);
	}
}

static void
the_history_is_searched_by_seed_and_prompt(void **state)
{
	static const char items[] =
	    "{\"items\":["
	    "{\"request_id\":\"other\",\"json_input\":"
	    " {\"prompt\":\"A \\\"sea\\\"\",\"seed\":8}},"
	    "{\"request_id\":\"big\",\"json_input\":"
	    " {\"prompt\":\"A \\\"sea\\\"\",\"seed\":17454220438242315174}},"
	    "{\"request_id\":\"none\",\"json_input\":{\"prompt\":\"x\","
	    " \"seed\":7}},"
	    "{\"request_id\":\"ours\",\"status_code\":200,\"json_input\":"
	    " {\"prompt\":\"A \\\"sea\\\"\",\"seed\":7},\"json_output\":"
	    " {\"video\":{\"url\":\"https://v/1\"}}}]}";
	const struct fetch_response found = answer(200, items);
	const struct fetch_response none = answer(200, "{\"items\":[]}");
	const struct fetch_response more =
	    answer(200, "{\"items\":[],\"next_cursor\":\"a&b\"}");
	const struct fetch_response down = answer(500, "");
	struct provider_job next = job;
	char page[PROVIDER_PAGE_BYTES];
	struct provider_handle handle;
	struct provider_status status;
	struct provider_error error;
	struct provider_call call;

	(void)state;
	assert_true(p->find_call(&config, &job, &call));
	assert_string_equal(call.url,
	    "https://api.fal.ai/v1/models/requests/by-endpoint?endpoint_id="
	    "fal-ai%2Fveo3.1%2Ffast%2Fimage-to-video"
	    "&start=2026-09-21T14:12:20.000Z&expand=payloads&limit=48");
	provider_call_free(&call);
	assert_int_equal(p->find_answer(&config, &job, &found, page, &handle,
			     &status, &error),
	    PROVIDER_OK);
	assert_string_equal(handle.request_id, "ours");
	assert_string_equal(handle.result_url,
	    BASE "/fal-ai/veo3.1/requests/ours");
	assert_int_equal(status.state, PROVIDER_DONE);
	assert_string_equal(status.video_url, "https://v/1");
	assert_int_equal(p->find_answer(&config, &job, &none, page, &handle,
			     &status, &error),
	    PROVIDER_RETRY_CALL);
	assert_string_equal(page, "");
	assert_int_equal(p->find_answer(&config, &job, &down, page, &handle,
			     &status, &error),
	    PROVIDER_RETRY_CALL);
	assert_int_equal(p->find_answer(&config, &job, &more, page, &handle,
			     &status, &error),
	    PROVIDER_RETRY_CALL);
	assert_string_equal(page, "a&b");
	next.page = page;
	assert_true(p->find_call(&config, &next, &call));
	assert_non_null(strstr(call.url, "&limit=48&cursor=a%26b"));
	provider_call_free(&call);
}

static struct str
member(const struct json *object, const char *name)
{
	struct str text = { 0 };

	(void)json_to_str(json_member(object, name), &text);
	return text;
}

static void
all_webhook_vectors_are_judged_as_they_say(void **state)
{
	CLEANUP(buf_free) struct buf file = { 0 };
	CLEANUP(buf_free) struct buf keys = { 0 };
	const struct json *vectors;
	struct json_writer w;
	int64_t now_s;
	int count = 0;

	(void)state;
	buf_init(&file, (size_t)1024 * 1024);
	buf_init(&keys, FAL_KEY_SET_BYTES_MAX);
	assert_true(config_read_file(VECTORS, false, &file));
	vectors = json_parse(&arena, buf_str(&file));
	assert_true(
	    json_to_int64(json_member(vectors, "now"), 0, INT64_MAX, &now_s));
	w = json_writer(&keys);
	json_copy(&w, NULL, json_member(vectors, "jwks"));
	assert_true(fal_has_keys(&arena, buf_str(&keys)));
	for (const struct json *c = json_first(json_member(vectors, "cases"));
	     c != NULL; c = json_next(c), count++) {
		const struct json *headers = json_member(c, "headers");
		const struct str encoded = member(c, "body_base64");
		char *body = arena_alloc(&arena, encoded.len + 4);
		struct fal_webhook webhook = {
			.request_id =
			    member(headers, "X-Fal-Webhook-Request-Id"),
			.user_id = member(headers, "X-Fal-Webhook-User-Id"),
			.timestamp = member(headers, "X-Fal-Webhook-Timestamp"),
			.signature = member(headers, "X-Fal-Webhook-Signature"),
		};
		bool is_valid;
		size_t n;

		assert_true(base64_decode(BASE64_STANDARD, encoded, body,
		    encoded.len + 4, &n));
		webhook.body = (struct str){ body, n };
		assert_true(json_to_bool(json_member(c, "valid"), &is_valid));
		if (fal_webhook_is_signed(&arena, &webhook, buf_str(&keys), "",
			now_s) != is_valid)
			fail_msg("%s", member(c, "name").ptr);
		assert_false(fal_webhook_is_signed(&arena, &webhook,
		    buf_str(&keys), "another", now_s));
	}
	assert_int_equal(count, 25);
}

static void
a_webhook_tells_the_end(void **state)
{
#define ID "\"request_id\":\"a-1\""
	static const struct {
		const char *body;
		enum provider_state state;
	} bodies[] = {
		{ "{" ID ",\"status\":\"OK\",\"error\":null,\"payload\":"
		  "{\"video\":{\"url\":\"https://v/1\"}}}",
		    PROVIDER_DONE },
		{ "{" ID ",\"status\":\"OK\",\"payload\":null,"
		  "\"payload_error\":\"x\"}",
		    PROVIDER_ENDED },
		{ "{" ID ",\"status\":\"ERROR\",\"payload\":null}",
		    PROVIDER_ENDED },
		{ "{" ID ",\"status\":\"SOMETHING\"}", PROVIDER_ENDED },
		{ "{" ID ",\"status\":\"ERROR\","
		  "\"error\":\"Invalid status code: 500\",\"payload\":"
		  "{\"detail\":[{\"type\":\"internal_server_error\"}]}}",
		    PROVIDER_FAILED },
	};
	static const char *const others[] = {
		"",
		"[]",
		"{" ID "}",
		"{\"status\":\"OK\"}",
		"{\"request_id\":\"a-2\",\"status\":\"OK\"}",
	};
	struct fal_webhook webhook = { .request_id = STR("a-1") };
	struct provider_status status;

	(void)state;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		webhook.body = str_from(bodies[i].body);
		assert_true(fal_webhook_read(&arena, &webhook, &status));
		assert_int_equal(status.state, bodies[i].state);
	}
	assert_true(status.error.is_unbilled);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		webhook.body = str_from(others[i]);
		assert_false(fal_webhook_read(&arena, &webhook, &status));
	}
#undef ID
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_submission_says_all_that_finds_it_again),
		cmocka_unit_test(a_duration_is_spelt_as_the_model_wants_it),
		cmocka_unit_test(an_answer_to_a_submission_is_classified),
		cmocka_unit_test(a_wait_that_is_asked_for_is_kept),
		cmocka_unit_test(
		    urls_of_an_answer_count_only_on_the_configured_host),
		cmocka_unit_test(a_status_says_how_it_stands),
		cmocka_unit_test(a_result_tells_how_it_ended),
		cmocka_unit_test(a_result_is_a_video_or_is_asked_for_again),
		cmocka_unit_test(the_history_is_searched_by_seed_and_prompt),
		cmocka_unit_test(all_webhook_vectors_are_judged_as_they_say),
		cmocka_unit_test(a_webhook_tells_the_end),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
