/* SPDX-License-Identifier: MIT */
#include "provider/sentry.h"
#include "wire/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void
a_dsn_names_the_endpoint_and_the_key(void **state)
{
	struct sentry_dsn dsn;

	(void)state;
	assert_true(
	    sentry_dsn_parse(STR("https://0123abcd@o1.ingest.sentry.io/4507"),
		&dsn));
	assert_string_equal(dsn.url,
	    "https://o1.ingest.sentry.io/api/4507/envelope/");
	assert_string_equal(dsn.key, "0123abcd");
	assert_true(
	    sentry_dsn_parse(STR("http://key:secret@127.0.0.1:9000/a/b/7"),
		&dsn));
	assert_string_equal(dsn.url,
	    "http://127.0.0.1:9000/a/b/api/7/envelope/");
	assert_string_equal(dsn.key, "key");
}

static void
what_is_no_dsn_is_refused(void **state)
{
	static const char *const bad[] = { "", "https://", "https://host/1",
		"ftp://key@host/1", "https://key@/1", "https://key@host",
		"https://key@host/", "https://@host/1", "https://k\"ey@host/1",
		"https://key@ho st/1", "https://key@host/1?x", "key@host/1" };
	struct sentry_dsn dsn;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(sentry_dsn_parse(str_from(bad[i]), &dsn));
}

static void
assert_scrubbed(const char *text, const char *expected)
{
	struct buf out;

	buf_init(&out, 1024);
	sentry_scrub(str_from(text), &out);
	assert_string_equal(out.len == 0 ? "" : out.ptr, expected);
	buf_free(&out);
}

static void
what_may_be_a_secret_does_not_leave(void **state)
{
	(void)state;
	assert_scrubbed("", "");
	assert_scrubbed("database is locked (5), 3 tries",
	    "database is locked (5), 3 tries");
	assert_scrubbed("run/worker.sock: Connection refused",
	    "run/worker.sock: Connection refused");
	assert_scrubbed("fal-ai/kling-video/image-to-video",
	    "fal-ai/kling-video/image-to-video");
	assert_scrubbed("Bearer eyJhbGciOiJIUzI1NiIsImtpZCI6Ij.eyJzdWIiOiIxMjM0"
			"NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P",
	    "Bearer [Filtered].[Filtered].[Filtered]");
	assert_scrubbed("of ada.lovelace+x@example.co.uk now",
	    "of [Filtered] now");
	assert_scrubbed("id=3b241101-e2bb-4255-8caf-4136c566a962",
	    "[Filtered]");
	assert_scrubbed("device 3b241101-e2bb-4255-8caf-4136c566a962!",
	    "device [Filtered]!");
	assert_scrubbed("https://api.telegram.org/"
			"bot123456789:AAF-x9_y8w7v6u5t4s3r2"
			"/sendMessage",
	    "https://api.telegram.org/bot123456789:[Filtered]/sendMessage");
	assert_scrubbed("0123456789abcdef0123456789abcdef", "[Filtered]");
	assert_scrubbed("call +905321234567", "call +[Filtered]");
	assert_scrubbed("\"x\",'y'", "\"x\",'y'");
}

static enum sentry_verdict
answer(int status, const char *headers, int64_t *wait_ms)
{
	const struct fetch_response response = {
		.phase = FETCH_ANSWERED,
		.status = status,
		.headers = str_from(headers),
	};

	return sentry_answer(&response, wait_ms);
}

static void
limits_are_heeded_whatever_the_verdict(void **state)
{
	int64_t wait_ms;

	(void)state;
	assert_int_equal(answer(200, "", &wait_ms), SENTRY_TAKEN);
	assert_int_equal(wait_ms, 0);
	assert_int_equal(answer(200,
			     "X-Sentry-Rate-Limits: 60:transaction:key, "
			     "2700:default;error:organization\r\n",
			     &wait_ms),
	    SENTRY_TAKEN);
	assert_int_equal(wait_ms, 2700000);
	assert_int_equal(answer(429,
			     "Retry-After: 9\r\n"
			     "X-Sentry-Rate-Limits: 60::organization\r\n",
			     &wait_ms),
	    SENTRY_LATER);
	assert_int_equal(wait_ms, 60000);
	assert_int_equal(answer(200,
			     "X-Sentry-Rate-Limits: 60:transaction;session\r\n",
			     &wait_ms),
	    SENTRY_TAKEN);
	assert_int_equal(wait_ms, 0);
	assert_int_equal(answer(429, "Retry-After: 9\r\n", &wait_ms),
	    SENTRY_LATER);
	assert_int_equal(wait_ms, 9000);
	assert_int_equal(answer(429, "", &wait_ms), SENTRY_LATER);
	assert_int_equal(wait_ms, 60000);
	assert_int_equal(answer(503, "", &wait_ms), SENTRY_LATER);
	assert_int_equal(answer(400, "", &wait_ms), SENTRY_REFUSED);
	assert_int_equal(answer(413, "", &wait_ms), SENTRY_REFUSED);
}

static void
set_up_config(struct config *config, const char *file)
{
	struct buf problem;

	buf_init(&problem, 1024);
	assert_true(config_parse(config, str_from(file), NULL, &problem));
	buf_free(&problem);
}

static void
an_incident_becomes_an_envelope(void **state)
{
	static const char incident[] =
	    "{\"event_id\":\"00ff\",\"time_ms\":1790000000000,\"program\":"
	    "\"get-themes\",\"code\":\"internal\",\"request_id\":\"abc\","
	    "\"user\":\"\",\"lines\":[{\"event\":\"database\",\"n\":7,"
	    "\"problem\":\"a@b.c\"}]}";
	struct config config;
	struct provider_call call;
	struct arena arena;
	struct str header, item, event, rest;
	const struct json *json;
	int64_t length;

	(void)state;
	set_up_config(&config, "RENDIO_SENTRY_DSN=https://key@host/1\n");
	arena_init(&arena, 1024 * 1024);
	provider_call_init(&call, "POST");
	assert_true(sentry_call(&config, &arena, STR(incident), 1, &call));
	assert_string_equal(call.header[0],
	    "X-Sentry-Auth: Sentry sentry_version=7, "
	    "sentry_client=rendio-backend/1, sentry_key=key");
	assert_true(str_cut(buf_str(&call.body), '\n', &header, &rest));
	assert_true(str_cut(rest, '\n', &item, &rest));
	assert_true(str_cut(rest, '\n', &event, &rest));
	assert_int_equal(rest.len, 0);
	json = json_parse(&arena, item);
	assert_true(
	    json_to_int64(json_member(json, "length"), 0, 100000, &length));
	assert_int_equal(length, event.len);
	json = json_first(
	    json_member(json_member(json_parse(&arena, event), "exception"),
		"values"));
	assert_true(json_to_str(json_member(json, "value"), &rest));
	assert_true(str_equal(rest, STR("n=7 [Filtered]")));
	provider_call_free(&call);
	arena_free(&arena);
	config_free(&config);
}

static void
what_is_no_incident_makes_no_call(void **state)
{
	static const char *const bad[] = { "", "{}", "[]",
		"{\"event_id\":\"x\\\"\",\"time_ms\":1,\"program\":\"p\","
		"\"code\":\"c\",\"request_id\":\"\",\"user\":\"\","
		"\"lines\":[]}",
		"{\"event_id\":\"0\",\"time_ms\":1,\"program\":\"p\","
		"\"code\":\"c\",\"request_id\":\"\",\"user\":\"\","
		"\"lines\":{}}" };
	struct config config;
	struct provider_call call;
	struct arena arena;

	(void)state;
	set_up_config(&config, "RENDIO_SENTRY_DSN=https://key@host/1\n");
	arena_init(&arena, 1024 * 1024);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		provider_call_init(&call, "POST");
		assert_false(
		    sentry_call(&config, &arena, str_from(bad[i]), 1, &call));
		provider_call_free(&call);
	}
	arena_free(&arena);
	config_free(&config);
}

static void
a_sample_rate_lets_its_share_through(void **state)
{
	static const char *const files[] = { "RENDIO_SENTRY_SAMPLE_PERCENT=0\n",
		"RENDIO_SENTRY_SAMPLE_PERCENT=25\n",
		"RENDIO_SENTRY_SAMPLE_PERCENT=100\n" };
	static const int shares[] = { 0, 25, 100 };
	struct config config;

	(void)state;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		int through = 0;

		set_up_config(&config, files[i]);
		for (int n = 0; n < 65536; n += 64) {
			char id[16];

			(void)snprintf(id, sizeof(id), "%04x", n);
			through += sentry_is_sampled(&config, str_from(id));
		}
		assert_int_equal(through, 1024 * shares[i] / 100);
		config_free(&config);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_dsn_names_the_endpoint_and_the_key),
		cmocka_unit_test(what_is_no_dsn_is_refused),
		cmocka_unit_test(what_may_be_a_secret_does_not_leave),
		cmocka_unit_test(limits_are_heeded_whatever_the_verdict),
		cmocka_unit_test(an_incident_becomes_an_envelope),
		cmocka_unit_test(what_is_no_incident_makes_no_call),
		cmocka_unit_test(a_sample_rate_lets_its_share_through),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
