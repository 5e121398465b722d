/* SPDX-License-Identifier: MIT */
#include "provider/sandbox.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "provider/provider.h"
#include "provider/sandbox_file.h"
#include "provider/sandbox_server.h"
#include "wire/json.h"

#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define NOW INT64_C(1800000000000)
#define ID "11111111-2222-4333-8444-555555555555"

static char state_dir[] = "/tmp/rendio-sandbox-XXXXXX";
static struct config config;
static struct arena arena;
static const struct provider *const p = &provider_sandbox;

static void
parse_config(struct config *c, const char *line)
{
	char text[128];
	char *environment[] = { text, NULL };
	struct buf problem;

	(void)snprintf(text, sizeof(text), "RENDIO_STATE_DIR=%s", state_dir);
	buf_init(&problem, 512);
	assert_true(config_parse(c, str_from(line), environment, &problem));
	buf_free(&problem);
}

static int
set_up(void **state)
{
	(void)state;
	if (mkdtemp(state_dir) == NULL)
		return -1;
	parse_config(&config, "");
	arena_init(&arena, (size_t)1024 * 1024);
	return 0;
}

static int
remove_one(const char *path, const struct stat *info, int type,
    struct FTW *place)
{
	(void)info;
	(void)type;
	(void)place;
	return remove(path);
}

static int
tear_down(void **state)
{
	(void)state;
	arena_free(&arena);
	config_free(&config);
	return nftw(state_dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static struct provider_job
job(void)
{
	struct provider_job j = {
		.endpoint = "fal-ai/veo3.1/fast",
		.prompt = "a \"red\" kite",
		.aspect_ratio = "9:16",
		.resolution = "720p",
		.duration_s = 8,
		.seed = 5,
	};

	assert_true(uuid_parse(STR(ID), &j.attempt_id));
	return j;
}

static struct fetch_response
answered(int status, const char *body)
{
	return (struct fetch_response){
		.phase = FETCH_ANSWERED,
		.status = status,
		.body = str_from(body),
	};
}

static void
a_submission_says_the_job_once_through_the_socket(void **state)
{
	const struct provider_job j = job();
	CLEANUP(provider_call_free) struct provider_call call;
	const struct json *body;
	struct str text;
	char socket[128];

	(void)state;
	assert_true(p->submit_call(&config, &j, &call));
	assert_string_equal(call.method, "POST");
	assert_true(call.once);
	assert_string_equal(call.url, "http://sandbox/_sandbox/requests");
	(void)snprintf(socket, sizeof(socket), "%s/run/sandbox-http.sock",
	    state_dir);
	assert_string_equal(call.unix_socket, socket);
	assert_string_equal(call.header[0], "Content-Type: application/json");
	body = json_parse(&arena, buf_str(&call.body));
	assert_true(json_to_str(json_member(body, "attempt_id"), &text));
	assert_true(str_equal(text, STR(ID)));
	assert_true(json_to_str(json_member(body, "prompt"), &text));
	assert_true(str_equal(text, STR("a \"red\" kite")));
	assert_true(json_is_null(json_member(body, "image_url")));
}

static void
the_longest_prompt_fits_into_a_submission(void **state)
{
	static char prompt[5000 * 4 + 1];
	struct provider_job j = job();
	CLEANUP(provider_call_free) struct provider_call call;

	(void)state;
	for (size_t i = 0; i < sizeof(prompt) - 1; i++)
		prompt[i] = "\xf0\x9f\x8e\xac"[i % 4];
	j.prompt = prompt;
	assert_true(p->submit_call(&config, &j, &call));
	assert_true(call.body.len > sizeof(prompt));
}

static void
a_state_directory_too_long_for_a_socket_makes_no_call(void **state)
{
	const struct provider_job j = job();

	/* A socket's path has at most 107 bytes. */
	const size_t longest = 107 - strlen("/run/sandbox-http.sock");

	(void)state;
	for (size_t n = longest - 1; n <= longest + 1; n++) {
		CLEANUP(config_free) struct config c;
		CLEANUP(provider_call_free) struct provider_call call;
		char line[128] = "RENDIO_STATE_DIR=";
		struct buf problem;

		memset(line + strlen(line), 'd', n);
		buf_init(&problem, 512);
		assert_true(config_parse(&c, str_from(line), NULL, &problem));
		buf_free(&problem);
		assert_int_equal(p->submit_call(&c, &j, &call), n <= longest);
	}
}

static void
calls_go_to_the_sandbox_and_nowhere_else(void **state)
{
	static const struct provider_handle good = {
		.status_url = SANDBOX_URL "requests/" ID,
		.cancel_url = SANDBOX_URL "requests/" ID "/cancel",
	};
	static const struct provider_handle bad = {
		.status_url = "http://169.254.169.254/",
		.cancel_url = "",
	};
	CLEANUP(provider_call_free) struct provider_call call;

	(void)state;
	assert_true(p->poll_call(&config, &good, &call));
	assert_string_equal(call.method, "GET");
	assert_string_equal(call.url, good.status_url);
	assert_true(p->cancel_call(&config, &good, &call));
	assert_string_equal(call.method, "PUT");
	assert_string_equal(call.url, good.cancel_url);
	assert_false(p->poll_call(&config, &bad, &call));
	assert_false(p->cancel_call(&config, &bad, &call));
	assert_true(
	    p->download_call(&config, SANDBOX_URL "files/a.mp4", &call));
	assert_false(
	    p->download_call(&config, SANDBOX_URL "requests/" ID, &call));
	assert_false(p->download_call(&config, "https://example.com/", &call));
}

static void
an_answer_to_a_submission_has_one_meaning(void **state)
{
	static const struct {
		enum fetch_phase phase;
		int status;
		enum provider_class class;
		enum provider_code code;
	} cases[] = {
		{ FETCH_NOT_SENT, 0, PROVIDER_RETRY_CALL,
		    PROVIDER_CODE_PROVIDER },
		{ FETCH_MAYBE_SENT, 0, PROVIDER_UNKNOWN,
		    PROVIDER_CODE_PROVIDER },
		{ FETCH_ANSWERED, 200, PROVIDER_UNKNOWN,
		    PROVIDER_CODE_PROTOCOL },
		{ FETCH_ANSWERED, 302, PROVIDER_FAIL_OPERATOR,
		    PROVIDER_CODE_PROTOCOL },
		{ FETCH_ANSWERED, 400, PROVIDER_FAIL_OPERATOR,
		    PROVIDER_CODE_INPUT },
		{ FETCH_ANSWERED, 401, PROVIDER_FAIL_OPERATOR,
		    PROVIDER_CODE_AUTH },
		{ FETCH_ANSWERED, 404, PROVIDER_FAIL_OPERATOR,
		    PROVIDER_CODE_PROTOCOL },
		{ FETCH_ANSWERED, 408, PROVIDER_UNKNOWN,
		    PROVIDER_CODE_PROVIDER },
		{ FETCH_ANSWERED, 413, PROVIDER_FAIL_OPERATOR,
		    PROVIDER_CODE_INPUT },
		{ FETCH_ANSWERED, 429, PROVIDER_RETRY_CALL,
		    PROVIDER_CODE_BUSY },
		{ FETCH_ANSWERED, 500, PROVIDER_UNKNOWN,
		    PROVIDER_CODE_PROVIDER },
		{ FETCH_ANSWERED, 502, PROVIDER_UNKNOWN,
		    PROVIDER_CODE_PROVIDER },
		{ FETCH_ANSWERED, 503, PROVIDER_RETRY_CALL,
		    PROVIDER_CODE_BUSY },
	};
	const struct provider_job j = job();

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fetch_response response =
		    answered(cases[i].status, "{}");
		struct provider_handle handle = { .request_id = "untouched" };
		struct provider_error error;

		response.phase = cases[i].phase;
		assert_int_equal(p->submit_answer(&config, &j, &response,
				     &handle, &error),
		    cases[i].class);
		assert_int_equal(error.class, cases[i].class);
		assert_int_equal(error.code, cases[i].code);
		assert_int_equal(error.http_status, cases[i].status);
		assert_string_equal(handle.request_id, "untouched");
	}
}

#define ACCEPTED \
	"{\"request_id\":\"" ID "\",\"status_url\":\"" SANDBOX_URL \
	"requests/" ID "\",\"cancel_url\":\"" SANDBOX_URL "requests/" ID \
	"/cancel\"}"

static void
an_accepted_submission_yields_its_handle(void **state)
{
	const struct fetch_response response = answered(200, ACCEPTED);
	const struct provider_job j = job();
	struct provider_handle handle;
	struct provider_error error;

	(void)state;
	assert_int_equal(p->submit_answer(&config, &j, &response, &handle,
			     &error),
	    PROVIDER_OK);
	assert_string_equal(handle.request_id, ID);
	assert_string_equal(handle.status_url, SANDBOX_URL "requests/" ID);
}

static void
a_lost_submission_is_found_or_not_known_yet(void **state)
{
	const struct provider_job j = job();
	struct fetch_response response = answered(200, ACCEPTED);
	CLEANUP(provider_call_free) struct provider_call call;
	char page[PROVIDER_PAGE_BYTES];
	struct provider_handle handle = { 0 };
	struct provider_status status;
	struct provider_error error;

	(void)state;
	assert_true(p->find_call(&config, &j, &call));
	assert_string_equal(call.url, SANDBOX_URL "attempts/" ID);
	assert_int_equal(p->find_answer(&config, &j, &response, page, &handle,
			     &status, &error),
	    PROVIDER_OK);
	assert_string_equal(handle.request_id, ID);
	response = answered(404, "{}");
	assert_int_equal(p->find_answer(&config, &j, &response, page, &handle,
			     &status, &error),
	    PROVIDER_RETRY_CALL);
	assert_int_equal(error.code, PROVIDER_CODE_NOT_FOUND);
}

static void
a_poll_tells_the_state(void **state)
{
	static const struct {
		const char *body;
		enum provider_state state;
		enum provider_class class;
		enum provider_code code;
	} cases[] = {
		{ "{\"status\":\"queued\",\"queue_position\":3}",
		    PROVIDER_QUEUED, PROVIDER_OK, PROVIDER_CODE_NONE },
		{ "{\"status\":\"running\"}", PROVIDER_RUNNING, PROVIDER_OK,
		    PROVIDER_CODE_NONE },
		{ "{\"status\":\"done\",\"video_url\":\"u\"}", PROVIDER_DONE,
		    PROVIDER_OK, PROVIDER_CODE_NONE },
		{ "{\"status\":\"failed\",\"code\":\"content_policy\"}",
		    PROVIDER_FAILED, PROVIDER_FAIL_USER,
		    PROVIDER_CODE_CONTENT },
		{ "{\"status\":\"failed\",\"code\":\"canceled\"}",
		    PROVIDER_FAILED, PROVIDER_FAIL_USER,
		    PROVIDER_CODE_CANCELED },
		{ "{\"status\":\"failed\",\"code\":\"provider_error\"}",
		    PROVIDER_FAILED, PROVIDER_RETRY_ATTEMPT,
		    PROVIDER_CODE_PROVIDER },
		{ "{\"status\":\"failed\"}", PROVIDER_FAILED,
		    PROVIDER_RETRY_ATTEMPT, PROVIDER_CODE_PROVIDER },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct fetch_response response =
		    answered(200, cases[i].body);
		struct provider_status status;
		struct provider_error error;

		assert_int_equal(p->poll_answer(&config, &response, &status,
				     &error),
		    PROVIDER_OK);
		assert_int_equal(status.state, cases[i].state);
		assert_int_equal(status.queue_position, i == 0 ? 3 : -1);
		assert_string_equal(status.video_url,
		    status.state == PROVIDER_DONE ? "u" : "");
		assert_int_equal(status.error.class, cases[i].class);
		assert_int_equal(status.error.code, cases[i].code);
	}
}

static void
a_poll_that_is_not_understood_is_repeated(void **state)
{
	static const char *const bodies[] = { "", "{}", "[]",
		"{\"status\":\"odd\"}", "{\"status\":\"done\"}",
		"{\"status\":\"done\",\"video_url\":\"\"}", "<html>" };
	struct provider_status status = { .queue_position = 77 };
	struct provider_error error;
	struct fetch_response response;

	(void)state;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		response = answered(200, bodies[i]);
		assert_int_equal(p->poll_answer(&config, &response, &status,
				     &error),
		    PROVIDER_RETRY_CALL);
		assert_int_equal(error.code, PROVIDER_CODE_PROTOCOL);
	}
	response = answered(502, "");
	assert_int_equal(p->poll_answer(&config, &response, &status, &error),
	    PROVIDER_RETRY_CALL);
	response.phase = FETCH_MAYBE_SENT;
	assert_int_equal(p->poll_answer(&config, &response, &status, &error),
	    PROVIDER_RETRY_CALL);
	assert_int_equal(status.queue_position, 77);
	response = answered(404, "{}");
	assert_int_equal(p->poll_answer(&config, &response, &status, &error),
	    PROVIDER_FAIL_OPERATOR);
	assert_int_equal(error.code, PROVIDER_CODE_NOT_FOUND);
}

static void
the_sandbox_stands_in_until_a_key_is_configured(void **state)
{
	CLEANUP(config_free) struct config with_key = { 0 };
	CLEANUP(config_free) struct config live = { 0 };

	(void)state;
	parse_config(&with_key, "RENDIO_FAL_KEY=k\n");
	parse_config(&live, "RENDIO_MODE=live\n");
	assert_ptr_equal(provider_for(&config, "fal"), &provider_sandbox);
	assert_ptr_not_equal(provider_for(&with_key, "fal"), &provider_sandbox);
	assert_ptr_not_equal(provider_for(&live, "fal"), &provider_sandbox);
}

static void
every_code_has_a_name_of_its_own(void **state)
{
	(void)state;
	for (int i = 0; i < PROVIDER_CODE_MAX; i++)
		for (int j = 0; j < i; j++)
			assert_string_not_equal(provider_code_name(
						    (enum provider_code)i),
			    provider_code_name((enum provider_code)j));
}

/* The server's side. */

/* An id whose submission does not sweep the folder. */
static struct uuid
quiet_id(void)
{
	struct uuid id = uuid_random();

	id.bytes[UUID_BYTES - 1] = 1;
	return id;
}

static struct sandbox_request
submit(const char *prompt)
{
	const struct sandbox_order order = {
		.attempt_id = quiet_id(),
		.prompt = str_from(prompt),
		.aspect_ratio = STR("16:9"),
		.resolution = STR("720p"),
		.duration_s = 4,
	};
	struct sandbox_request request;

	assert_int_equal(sandbox_submit(&config, &order, NOW), OK);
	assert_int_equal(sandbox_lookup(&config, &arena, &order.attempt_id,
			     &request),
	    OK);
	assert_true(uuid_equal(&request.id, &order.attempt_id));
	return request;
}

static void
a_request_is_queued_then_runs_then_is_done(void **state)
{
	const struct sandbox_request request = submit("a kite");

	(void)state;
	assert_int_equal(sandbox_state(&request, NOW), PROVIDER_QUEUED);
	assert_int_equal(sandbox_state(&request, NOW + 299), PROVIDER_QUEUED);
	assert_int_equal(sandbox_state(&request, NOW + 300), PROVIDER_RUNNING);
	assert_int_equal(sandbox_state(&request, NOW + 1299), PROVIDER_RUNNING);
	assert_int_equal(sandbox_state(&request, NOW + 1300), PROVIDER_DONE);
}

static void
a_prompt_can_slow_its_request_down(void **state)
{
	static const struct {
		const char *prompt;
		int64_t run_ms;
	} cases[] = { { "a [slow:3] kite", 4000 }, { "[slow:0]", 1000 },
		{ "[slow:600]", 601000 }, { "[slow:601]", 1000 },
		{ "[slow:-1]", 1000 }, { "[slow:", 1000 }, { "[slow:5", 1000 },
		{ "[slow:x]", 1000 } };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(submit(cases[i].prompt).run_ms,
		    cases[i].run_ms);
}

static void
a_prompt_can_make_its_request_fail(void **state)
{
	const struct sandbox_request content = submit("x [fail:content]");
	const struct sandbox_request provider = submit("[fail:provider] x");

	(void)state;
	assert_int_equal(sandbox_state(&content, NOW + 1299), PROVIDER_RUNNING);
	assert_int_equal(sandbox_state(&content, NOW + 1300), PROVIDER_FAILED);
	assert_true(str_equal(content.failure, STR("content_policy")));
	assert_int_equal(sandbox_state(&provider, NOW + 1300), PROVIDER_FAILED);
	assert_true(str_equal(provider.failure, STR("provider_error")));
}

static void
a_request_can_be_cancelled_while_it_is_queued(void **state)
{
	struct sandbox_request request = submit("a kite");
	struct sandbox_request late = submit("a kite");
	struct sandbox_request again;

	(void)state;
	assert_int_equal(sandbox_cancel(&config, &request, NOW + 299), OK);
	assert_int_equal(sandbox_lookup(&config, &arena, &request.id, &again),
	    OK);
	assert_int_equal(sandbox_state(&again, NOW), PROVIDER_FAILED);
	assert_true(str_equal(again.failure, STR("canceled")));
	assert_int_equal(sandbox_cancel(&config, &late, NOW + 300),
	    ERR_JOB_NOT_CANCELABLE);
	assert_int_equal(sandbox_lookup(&config, &arena, &late.id, &again), OK);
	assert_int_equal(sandbox_state(&again, NOW + 1300), PROVIDER_DONE);
}

static void
an_unknown_request_is_not_found(void **state)
{
	const struct uuid id = uuid_random();
	struct sandbox_request request;

	(void)state;
	assert_int_equal(sandbox_lookup(&config, &arena, &id, &request),
	    ERR_NOT_FOUND);
}

static void
every_submission_is_counted_also_a_repeated_one(void **state)
{
	const struct sandbox_order order = {
		.attempt_id = quiet_id(),
		.prompt = STR("twice"),
		.duration_s = 4,
	};
	char path[SANDBOX_PATH_BYTES];
	char id[UUID_TEXT_BYTES];
	struct buf log;
	const char *first;

	(void)state;
	assert_int_equal(sandbox_submit(&config, &order, NOW), OK);
	assert_int_equal(sandbox_submit(&config, &order, NOW), OK);
	buf_init(&log, 65536);
	sandbox_path(&config, "", "submissions.log", path);
	assert_true(config_read_file(path, false, &log));
	uuid_format(&order.attempt_id, id);
	first = strstr(log.ptr, id);
	assert_non_null(first);
	assert_non_null(strstr(first + 1, id));
	assert_true(str_ends_with(buf_str(&log), STR(" 1800000000000\n")));
	buf_free(&log);
}

static void
yesterdays_requests_are_forgotten(void **state)
{
	struct sandbox_order order = {
		.attempt_id = uuid_random(),
		.prompt = STR("a kite"),
		.duration_s = 4,
	};
	struct sandbox_request old;
	struct sandbox_request request;

	(void)state;
	old = submit("old");
	/* This one comes two days later, and sweeps. */
	order.attempt_id.bytes[UUID_BYTES - 1] = 0;
	assert_int_equal(sandbox_submit(&config, &order,
			     INT64_C(4000000000000)),
	    OK);
	assert_int_equal(sandbox_lookup(&config, &arena, &old.id, &request),
	    ERR_NOT_FOUND);
}

/* Videos. */

/* Puts a program named ffmpeg, or none, in front of the real one. */
static void
set_ffmpeg(const char *script)
{
	char path[128];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/bin", state_dir);
	(void)mkdir(path, 0755);
	assert_int_equal(setenv("PATH", path, 1), 0);
	(void)snprintf(path, sizeof(path), "%s/bin/ffmpeg", state_dir);
	(void)unlink(path);
	if (script == NULL)
		return;
	fd = open(path, O_WRONLY | O_CREAT, 0755);
	assert_int_equal(write(fd, script, strlen(script)), strlen(script));
	(void)close(fd);
}

static void
a_request_is_failed_once_and_only_before_it_has_ended(void **state)
{
	const struct sandbox_order order = {
		.attempt_id = quiet_id(),
		.prompt = STR("a kite [slow:60]"),
		.duration_s = 4,
	};
	struct sandbox_request request;

	(void)state;
	assert_int_equal(sandbox_submit(&config, &order, NOW), OK);
	assert_int_equal(sandbox_lookup(&config, &arena, &order.attempt_id,
			     &request),
	    OK);
	assert_int_equal(sandbox_state(&request, NOW + 5000), PROVIDER_RUNNING);
	assert_int_equal(sandbox_fail(&config, &request, NOW + 5000), OK);
	assert_int_equal(sandbox_lookup(&config, &arena, &order.attempt_id,
			     &request),
	    OK);
	assert_int_equal(sandbox_state(&request, NOW + 5000), PROVIDER_FAILED);
	assert_string_equal(request.failure.ptr, "provider_error");
	assert_int_equal(sandbox_fail(&config, &request, NOW + 5001),
	    ERR_CONFLICT);
}

static void
silence_is_kept_with_a_request_and_does_not_stop_it(void **state)
{
	const struct sandbox_order order = {
		.attempt_id = quiet_id(),
		.prompt = STR("a kite"),
		.duration_s = 4,
	};
	struct sandbox_request request;

	(void)state;
	assert_int_equal(sandbox_submit(&config, &order, NOW), OK);
	assert_int_equal(sandbox_lookup(&config, &arena, &order.attempt_id,
			     &request),
	    OK);
	assert_int_equal(request.silent_until_ms, 0);
	assert_int_equal(sandbox_silence(&config, &request, NOW + 9000), OK);
	assert_int_equal(sandbox_lookup(&config, &arena, &order.attempt_id,
			     &request),
	    OK);
	assert_int_equal(request.silent_until_ms, NOW + 9000);
	assert_int_equal(sandbox_state(&request, NOW + 5000), PROVIDER_DONE);
}

static void
read_video(const struct sandbox_video *video, struct buf *content)
{
	char name[SANDBOX_VIDEO_NAME_BYTES];
	char path[SANDBOX_PATH_BYTES];

	sandbox_video_name(video, name);
	sandbox_path(&config, "files", name, path);
	buf_init(content, (size_t)4 * 1024 * 1024);
	assert_true(config_read_file(path, false, content));
}

/* An MP4 whose index comes before its pictures, so that it can stream. */
static void
assert_is_mp4(const struct buf *content)
{
	const char *moov, *mdat;

	assert_true(content->len > 100);
	assert_memory_equal(content->ptr + 4, "ftyp", 4);
	moov = memmem(content->ptr, content->len, "moov", 4);
	mdat = memmem(content->ptr, content->len, "mdat", 4);
	assert_non_null(moov);
	assert_non_null(mdat);
	assert_true(moov < mdat);
}

static void
a_job_chooses_one_of_few_videos(void **state)
{
	static const struct {
		const char *aspect_ratio, *resolution;
		int64_t duration_s;
		struct sandbox_video video;
	} cases[] = {
		{ "16:9", "720p", 8, { 0, 8, 480, 270 } },
		{ "9:16", "720p", 8, { 0, 8, 270, 480 } },
		{ "9:16", "1080p", 8, { 0, 8, 360, 640 } },
		{ "1:1", "4k", 5, { 0, 5, 360, 360 } },
		{ "auto", "", 0, { 0, 1, 480, 270 } },
		{ "", "", -5, { 0, 1, 480, 270 } },
		{ "", "", 1, { 0, 1, 480, 270 } },
		{ "", "", 19, { 0, 19, 480, 270 } },
		{ "", "", 20, { 0, 20, 480, 270 } },
		{ "", "", 21, { 0, 20, 480, 270 } },
		{ "", "", INT64_MAX, { 0, 20, 480, 270 } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct sandbox_video video =
		    sandbox_video_choose(STR("a kite"),
			str_from(cases[i].aspect_ratio),
			str_from(cases[i].resolution), cases[i].duration_s);

		assert_in_range(video.hue, 0, 11);
		assert_int_equal(video.seconds, cases[i].video.seconds);
		assert_int_equal(video.width, cases[i].video.width);
		assert_int_equal(video.height, cases[i].video.height);
	}
}

static void
a_video_is_an_mp4_with_or_without_ffmpeg(void **state)
{
	const struct sandbox_video video = { 0, 1, 480, 270 };
	struct buf content;

	(void)state;
	assert_true(sandbox_video_make(&config, &video));
	read_video(&video, &content);
	assert_is_mp4(&content);
	buf_free(&content);
}

static void
without_ffmpeg_the_bundled_clip_stands_in(void **state)
{
	/* Not there; fails; leaves half a file and dies of a signal. */
	static const char *const scripts[] = { NULL, "#!/bin/sh\nexit 1\n",
		"#!/bin/sh\neval out=\\${$#}\necho half > $out\nkill -9 $$\n" };

	(void)state;
	for (int i = 0; i < 3; i++) {
		const struct sandbox_video video = { i, 2, 480, 270 };
		struct buf content;

		set_ffmpeg(scripts[i]);
		assert_true(sandbox_video_make(&config, &video));
		read_video(&video, &content);
		assert_int_equal(content.len, sandbox_clip_bytes);
		assert_memory_equal(content.ptr, sandbox_clip,
		    sandbox_clip_bytes);
		assert_is_mp4(&content);
		buf_free(&content);
	}
}

static void
twenty_who_ask_at_once_start_ffmpeg_once(void **state)
{
	const struct sandbox_video video = { 3, 3, 480, 270 };
	char script[512];
	char path[128];
	struct buf content;

	(void)state;
	(void)snprintf(script, sizeof(script),
	    "#!/bin/sh\neval out=\\${$#}\necho run >> %s/runs\n"
	    "/bin/sleep 0.2\necho video > $out\n",
	    state_dir);
	set_ffmpeg(script);
	for (int i = 0; i < 20; i++)
		if (fork() == 0)
			_exit(sandbox_video_make(&config, &video) ? 0 : 1);
	for (int i = 0; i < 20; i++) {
		int status;

		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	read_video(&video, &content);
	assert_string_equal(content.ptr, "video\n");
	buf_free(&content);
	(void)snprintf(path, sizeof(path), "%s/runs", state_dir);
	buf_init(&content, 512);
	assert_true(config_read_file(path, false, &content));
	assert_string_equal(content.ptr, "run\n");
	buf_free(&content);
}

static void
ffmpeg_is_given_a_video_that_was_asked_for(void **state)
{
	const struct sandbox_video video = { 11, 8, 360, 640 };
	char script[512];
	char path[128];
	struct buf content;

	(void)state;
	(void)snprintf(script, sizeof(script),
	    "#!/bin/sh\necho \"$*\" > %s/arguments\nexit 1\n", state_dir);
	set_ffmpeg(script);
	assert_true(sandbox_video_make(&config, &video));
	(void)snprintf(path, sizeof(path), "%s/arguments", state_dir);
	buf_init(&content, 2048);
	assert_true(config_read_file(path, false, &content));
	assert_non_null(strstr(content.ptr, "duration=8:"));
	assert_non_null(strstr(content.ptr, "scale=360:640,"));
	assert_non_null(strstr(content.ptr, "+faststart"));
	buf_free(&content);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    a_submission_says_the_job_once_through_the_socket),
		cmocka_unit_test(the_longest_prompt_fits_into_a_submission),
		cmocka_unit_test(
		    a_state_directory_too_long_for_a_socket_makes_no_call),
		cmocka_unit_test(calls_go_to_the_sandbox_and_nowhere_else),
		cmocka_unit_test(
		    a_request_is_failed_once_and_only_before_it_has_ended),
		cmocka_unit_test(
		    silence_is_kept_with_a_request_and_does_not_stop_it),
		cmocka_unit_test(an_answer_to_a_submission_has_one_meaning),
		cmocka_unit_test(an_accepted_submission_yields_its_handle),
		cmocka_unit_test(a_lost_submission_is_found_or_not_known_yet),
		cmocka_unit_test(a_poll_tells_the_state),
		cmocka_unit_test(a_poll_that_is_not_understood_is_repeated),
		cmocka_unit_test(
		    the_sandbox_stands_in_until_a_key_is_configured),
		cmocka_unit_test(every_code_has_a_name_of_its_own),
		cmocka_unit_test(a_request_is_queued_then_runs_then_is_done),
		cmocka_unit_test(a_prompt_can_slow_its_request_down),
		cmocka_unit_test(a_prompt_can_make_its_request_fail),
		cmocka_unit_test(a_request_can_be_cancelled_while_it_is_queued),
		cmocka_unit_test(an_unknown_request_is_not_found),
		cmocka_unit_test(
		    every_submission_is_counted_also_a_repeated_one),
		cmocka_unit_test(yesterdays_requests_are_forgotten),
		cmocka_unit_test(a_job_chooses_one_of_few_videos),
		cmocka_unit_test(a_video_is_an_mp4_with_or_without_ffmpeg),
		/* From here on there is no real ffmpeg. */
		cmocka_unit_test(without_ffmpeg_the_bundled_clip_stands_in),
		cmocka_unit_test(twenty_who_ask_at_once_start_ffmpeg_once),
		cmocka_unit_test(ffmpeg_is_given_a_video_that_was_asked_for),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
