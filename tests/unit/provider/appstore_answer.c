/* SPDX-License-Identifier: MIT */
#include "provider/appstore_answer.h"

#include "provider/appstore_rate.h"

#include <ftw.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define MODELS "tests/vectors/apple/models/"
#define NOW_MS INT64_C(1790000000000)

static struct arena arena;

static struct fetch_response
answered(int status, const char *body)
{
	return (struct fetch_response){
		.phase = FETCH_ANSWERED,
		.status = status,
		.body = str_from(body),
	};
}

static struct str
read_model(const char *name)
{
	struct buf text;
	char path[128];
	struct str model;

	buf_init(&text, 65536);
	(void)snprintf(path, sizeof(path), MODELS "%s", name);
	assert_true(config_read_file(path, false, &text));
	model = (struct str){ arena_strdup(&arena, buf_str(&text)), text.len };
	buf_free(&text);
	return model;
}

static const struct json *
parse_model(const char *name)
{
	const struct json *body = json_parse(&arena, read_model(name));

	assert_non_null(body);
	return body;
}

static struct appstore_answer
answer_of(const struct fetch_response *response)
{
	const struct json *body;

	return appstore_read_answer(&arena, response, NOW_MS, &body);
}

static void
apples_codes_decide_and_the_status_where_there_is_none(void **state)
{
	static const struct {
		int status;
		const char *body;
		enum appstore_outcome outcome;
		int64_t error_code;
	} cases[] = {
		{ 200, "{}", APPSTORE_DONE, 0 },
		{ 202, "", APPSTORE_DONE, 0 },
		{ 200, "<html>", APPSTORE_DONE, 0 },
		{ 302, "", APPSTORE_TRY_LATER, 0 },
		{ 400, "", APPSTORE_REFUSED, 0 },
		{ 400, "{\"errorCode\":4000006}", APPSTORE_REFUSED, 4000006 },
		{ 400, "{\"errorCode\":9990000}", APPSTORE_REFUSED, 9990000 },
		{ 401, "", APPSTORE_UNAUTHORIZED, 0 },
		{ 401, "Unauthenticated\n\nRequest ID: x",
		    APPSTORE_UNAUTHORIZED, 0 },
		{ 403, "", APPSTORE_REFUSED, 0 },
		{ 404, "", APPSTORE_NOT_FOUND, 0 },
		{ 404, "{\"errorCode\":4040010}", APPSTORE_NOT_FOUND, 4040010 },
		{ 404, "{\"errorCode\":4040005}", APPSTORE_NOT_FOUND, 4040005 },
		{ 404, "{\"errorCode\":4040001}", APPSTORE_NOT_FOUND, 4040001 },
		{ 404, "{\"errorCode\":4040002}", APPSTORE_TRY_LATER, 4040002 },
		{ 404, "{\"errorCode\":4040004}", APPSTORE_TRY_LATER, 4040004 },
		{ 404, "{\"errorCode\":4040006}", APPSTORE_TRY_LATER, 4040006 },
		{ 408, "", APPSTORE_TRY_LATER, 0 },
		{ 429, "", APPSTORE_RATE_LIMITED, 0 },
		{ 429, "{\"errorCode\":4290000}", APPSTORE_RATE_LIMITED,
		    4290000 },
		{ 500, "{\"errorCode\":5000000}", APPSTORE_TRY_LATER, 5000000 },
		{ 500, "{\"errorCode\":5000001}", APPSTORE_TRY_LATER, 5000001 },
		{ 502, "<html>", APPSTORE_TRY_LATER, 0 },
		{ 503, "", APPSTORE_TRY_LATER, 0 },
		{ 500, "{\"errorCode\":\"x\"}", APPSTORE_TRY_LATER, 0 },
		{ 500, "{\"errorCode\":-5}", APPSTORE_TRY_LATER, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct fetch_response response =
		    answered(cases[i].status, cases[i].body);
		const struct appstore_answer answer = answer_of(&response);

		assert_int_equal(answer.outcome, cases[i].outcome);
		assert_int_equal(answer.error_code, cases[i].error_code);
		assert_int_equal(answer.http_status, cases[i].status);
	}
}

static void
apples_own_examples_are_classified(void **state)
{
	static const struct {
		int status;
		const char *model;
		enum appstore_outcome outcome;
		int64_t error_code;
	} cases[] = {
		{ 500, "apiException.json", APPSTORE_TRY_LATER, 5000000 },
		{ 429, "apiTooManyRequestsException.json",
		    APPSTORE_RATE_LIMITED, 4290000 },
		{ 400, "apiUnknownError.json", APPSTORE_REFUSED, 9990000 },
		{ 400, "invalidTransactionIdError.json", APPSTORE_REFUSED,
		    4000006 },
		{ 404, "transactionIdNotFoundError.json", APPSTORE_NOT_FOUND,
		    4040010 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct fetch_response response =
		    answered(cases[i].status, read_model(cases[i].model).ptr);
		const struct appstore_answer answer = answer_of(&response);

		assert_int_equal(answer.outcome, cases[i].outcome);
		assert_int_equal(answer.error_code, cases[i].error_code);
	}
}

static void
without_a_whole_answer_we_try_later(void **state)
{
	struct fetch_response response = { .phase = FETCH_NOT_SENT };

	(void)state;
	assert_int_equal(answer_of(&response).outcome, APPSTORE_TRY_LATER);
	response.phase = FETCH_MAYBE_SENT;
	assert_int_equal(answer_of(&response).outcome, APPSTORE_TRY_LATER);
	assert_int_equal(answer_of(&response).http_status, 0);
}

static int64_t
retry_at(const char *header)
{
	struct fetch_response response = answered(429, "");

	response.headers = str_from(header);
	return answer_of(&response).retry_at_ms;
}

static void
retry_after_is_a_date_in_milliseconds(void **state)
{
	(void)state;
	assert_int_equal(retry_at("Retry-After: 1790000005000\r\n"),
	    NOW_MS + 5000);
	/* As everybody else has it. */
	assert_int_equal(retry_at("Retry-After: 30\r\n"), NOW_MS + 30000);
	/* Absent, past, nonsense and never: within a second to an hour. */
	assert_int_equal(retry_at(""), NOW_MS + 60000);
	assert_int_equal(retry_at("Retry-After: soon\r\n"), NOW_MS + 60000);
	assert_int_equal(retry_at("Retry-After: 1689999999999\r\n"),
	    NOW_MS + 1000);
	assert_int_equal(retry_at("Retry-After: 1790003600000\r\n"),
	    NOW_MS + 3600000);
	assert_int_equal(retry_at("Retry-After: 1790003600001\r\n"),
	    NOW_MS + 3600000);
	assert_int_equal(retry_at("Retry-After: 9223372036854775807\r\n"),
	    NOW_MS + 60000);
}

static void
apples_pages_are_read(void **state)
{
	struct appstore_page page;
	struct str text;

	(void)state;
	assert_true(appstore_read_notifications(&arena,
	    parse_model("getNotificationHistoryResponse.json"), &page));
	assert_int_equal(page.count, 2);
	assert_true(page.has_more);
	assert_true(str_equal(page.item[0], STR("signed_payload_one")));
	assert_true(str_equal(page.cursor,
	    STR("57715481-805a-4283-8499-1c19b5d6b20a")));

	assert_true(appstore_read_refunds(&arena,
	    parse_model("getRefundHistoryResponse.json"), &page));
	assert_int_equal(page.count, 2);
	assert_true(page.has_more);
	assert_true(str_equal(page.item[1], STR("signed_transaction_two")));
	assert_true(str_equal(page.cursor, STR("revision_output")));

	assert_true(
	    appstore_read_text(parse_model("transactionInfoResponse.json"),
		"signedTransactionInfo", &text));
	assert_true(str_equal(text, STR("signed_transaction_info_value")));
	assert_true(
	    appstore_read_text(parse_model(
				   "requestTestNotificationResponse.json"),
		"testNotificationToken", &text));
	assert_true(
	    str_equal(text, STR("ce3af791-365e-4c60-841b-1674b43c1609")));
	assert_true(
	    appstore_read_attempt(parse_model(
				      "getTestNotificationStatusResponse.json"),
		&text));
	assert_true(text.len > 0);
}

static void
what_is_no_page_is_refused_whole(void **state)
{
	static const char *const bad[] = {
		"[]",
		"{\"signedTransactions\":{},\"hasMore\":false}",
		"{\"signedTransactions\":[1],\"hasMore\":false}",
		"{\"signedTransactions\":[],\"hasMore\":1}",
		"{\"signedTransactions\":[],\"revision\":7}",
		/* More, but not from where. */
		"{\"signedTransactions\":[],\"hasMore\":true}",
		"{\"hasMore\":true,\"revision\":\"\"}",
	};
	struct appstore_page page = { .count = 7 };
	struct str text;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(appstore_read_refunds(&arena,
		    json_parse(&arena, str_from(bad[i])), &page));
	assert_false(appstore_read_refunds(&arena, NULL, &page));
	/* Apple's own example of wrong types. */
	assert_false(appstore_read_refunds(&arena,
	    parse_model("transactionHistoryResponseWithMalformed"
			"AppAppleId.json"),
	    &page));
	assert_false(appstore_read_notifications(&arena,
	    json_parse(&arena, STR("{\"notificationHistory\":[\"x\"]}")),
	    &page));
	assert_int_equal(page.count, 7);
	assert_false(appstore_read_text(NULL, "x", &text));
	assert_false(appstore_read_text(json_parse(&arena, STR("{\"x\":\"\"}")),
	    "x", &text));
	assert_false(appstore_read_attempt(NULL, &text));
	/* Nothing to tell is an answer too. */
	assert_true(appstore_read_refunds(&arena,
	    json_parse(&arena, STR("{\"hasMore\":false}")), &page));
	assert_int_equal(page.count, 0);
	assert_true(
	    appstore_read_attempt(json_parse(&arena, STR("{}")), &text));
	assert_int_equal(text.len, 0);
}

static void
bodies_have_apples_form(void **state)
{
	struct appstore_consumption consumption = { APPSTORE_DELIVERED, false,
		50000, APPSTORE_GRANT_FULL };
	struct appstore_query query = { APPSTORE_PRODUCTION, 5, 6, true,
		STR("77") };
	struct buf body;

	(void)state;
	buf_init(&body, 1024);
	appstore_write_consumption(&consumption, &body);
	assert_string_equal(body.ptr,
	    "{\"customerConsented\":true,\"deliveryStatus\":\"DELIVERED\","
	    "\"sampleContentProvided\":false,\"consumptionPercentage\":50000,"
	    "\"refundPreference\":\"GRANT_FULL\"}");
	buf_clear(&body);
	consumption =
	    (struct appstore_consumption){ APPSTORE_UNDELIVERED_QUALITY_ISSUE,
		    true, APPSTORE_ABSENT, APPSTORE_NO_PREFERENCE };
	appstore_write_consumption(&consumption, &body);
	assert_string_equal(body.ptr,
	    "{\"customerConsented\":true,"
	    "\"deliveryStatus\":\"UNDELIVERED_QUALITY_ISSUE\","
	    "\"sampleContentProvided\":true}");
	buf_clear(&body);
	appstore_write_query(&query, &body);
	assert_string_equal(body.ptr,
	    "{\"startDate\":5,\"endDate\":6,\"onlyFailures\":true,"
	    "\"transactionId\":\"77\"}");
	buf_clear(&body);
	query.only_failures = false;
	query.transaction_id = STR("");
	appstore_write_query(&query, &body);
	assert_string_equal(body.ptr, "{\"startDate\":5,\"endDate\":6}");
	buf_free(&body);
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

/* How many pass when somebody asks each millisecond for ten seconds. */
static int
passing(const struct config *config, enum appstore_environment environment,
    enum appstore_rate rate)
{
	int64_t retry_at_ms;
	int count = 0;

	for (int64_t ms = 0; ms < 10000; ms++)
		if (appstore_rate_take(config, environment, rate, NOW_MS + ms,
			&retry_at_ms))
			count++;
	return count;
}

static void
all_processes_keep_to_half_of_apples_rates(void **state)
{
	char state_dir[] = "/tmp/rendio-rate-XXXXXX";
	char text[128], run[64];
	char *environment[] = { text, NULL };
	int64_t retry_at_ms = 0;
	struct config config;
	struct buf problem;

	(void)state;
	assert_non_null(mkdtemp(state_dir));
	(void)snprintf(text, sizeof(text), "RENDIO_STATE_DIR=%s", state_dir);
	(void)snprintf(run, sizeof(run), "%s/run", state_dir);
	buf_init(&problem, 512);
	assert_true(config_parse(&config, STR(""), environment, &problem));
	buf_free(&problem);

	/* Without the directory nothing is counted, and nothing stops. */
	assert_true(appstore_rate_take(&config, APPSTORE_SANDBOX,
	    APPSTORE_RATE_1, NOW_MS, &retry_at_ms));
	assert_true(appstore_rate_take(&config, APPSTORE_SANDBOX,
	    APPSTORE_RATE_1, NOW_MS, &retry_at_ms));
	assert_int_equal(mkdir(run, 0700), 0);

	/* 25, 5 and 0.5 a second, and what a pause has saved up. */
	assert_in_range(passing(&config, APPSTORE_PRODUCTION, APPSTORE_RATE_50),
	    250, 276);
	assert_in_range(passing(&config, APPSTORE_PRODUCTION, APPSTORE_RATE_10),
	    50, 56);
	assert_in_range(passing(&config, APPSTORE_PRODUCTION, APPSTORE_RATE_1),
	    5, 5);
	assert_in_range(passing(&config, APPSTORE_SANDBOX, APPSTORE_RATE_50),
	    25, 27);
	assert_in_range(passing(&config, APPSTORE_SANDBOX, APPSTORE_RATE_10), 5,
	    6);

	/* One in twenty seconds; the answer says when, and then it passes. */
	assert_true(appstore_rate_take(&config, APPSTORE_SANDBOX,
	    APPSTORE_RATE_1, NOW_MS, &retry_at_ms));
	assert_false(appstore_rate_take(&config, APPSTORE_SANDBOX,
	    APPSTORE_RATE_1, NOW_MS, &retry_at_ms));
	assert_int_equal(retry_at_ms, NOW_MS + 20000);
	assert_false(appstore_rate_take(&config, APPSTORE_SANDBOX,
	    APPSTORE_RATE_1, NOW_MS + 19999, &retry_at_ms));
	assert_true(appstore_rate_take(&config, APPSTORE_SANDBOX,
	    APPSTORE_RATE_1, NOW_MS + 20000, &retry_at_ms));
	/* A clock that went back an hour does not lock us out for one. */
	assert_true(appstore_rate_take(&config, APPSTORE_SANDBOX,
	    APPSTORE_RATE_1, NOW_MS - 3600000, &retry_at_ms));
	config_free(&config);
	assert_int_equal(nftw(state_dir, remove_one, 8, FTW_DEPTH | FTW_PHYS),
	    0);
}

static int
set_up(void **state)
{
	(void)state;
	arena_init(&arena, APPSTORE_ARENA_BYTES);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    apples_codes_decide_and_the_status_where_there_is_none),
		cmocka_unit_test(apples_own_examples_are_classified),
		cmocka_unit_test(without_a_whole_answer_we_try_later),
		cmocka_unit_test(retry_after_is_a_date_in_milliseconds),
		cmocka_unit_test(apples_pages_are_read),
		cmocka_unit_test(what_is_no_page_is_refused_whole),
		cmocka_unit_test(bodies_have_apples_form),
		cmocka_unit_test(all_processes_keep_to_half_of_apples_rates),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
