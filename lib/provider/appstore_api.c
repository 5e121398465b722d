/* SPDX-License-Identifier: MIT */
#include "provider/appstore_api.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "provider/appstore_answer.h"
#include "provider/appstore_rate.h"
#include "provider/appstore_sandbox.h"
#include "wire/es256.h"
#include "wire/http.h"

#include <fcntl.h>
#include <unistd.h>

#define PRODUCTION_URL "https://api.storekit.apple.com"
#define SANDBOX_URL "https://api.storekit-sandbox.apple.com"

/* A phone may wait for the answer. */
#define CONNECT_TIMEOUT_MS 3000
#define TIMEOUT_MS 5000

#define BEARER_BYTES_MAX ((size_t)2048)
#define BODY_BYTES_MAX ((size_t)1024)

#define PATH_BYTES (CONFIG_VALUE_BYTES_MAX + 64)

struct call {
	enum appstore_environment environment;
	enum appstore_rate rate;
	const char *method;
	const struct buf *path; /* with its query, encoded */
	struct str body; /* JSON; "" = none */
};

bool
appstore_is_stand_in(const struct config *config)
{
	return config_is_sandbox(config) &&
	    !config_is_set(config, CONFIG_APPSTORE_KEY_FILE);
}

/* One for each call, as Apple advises: it costs less than the connection. */
static bool
write_bearer(const struct config *config, int64_t now_ms, struct buf *header)
{
	CLEANUP(buf_free) struct buf key = { 0 };
	CLEANUP(buf_free) struct buf claims = { 0 };
	bool ok;

	buf_init(&key, ES256_KEY_FILE_BYTES_MAX);
	buf_init(&claims, BEARER_BYTES_MAX);
	appstore_write_claims(config, now_ms, &claims);
	buf_append(header, STR("Authorization: Bearer "));
	ok = !claims.failed &&
	    config_read_file(config_text(config, CONFIG_APPSTORE_KEY_FILE),
		false, &key) &&
	    es256_jwt(buf_str(&key),
		config_text(config, CONFIG_APPSTORE_KEY_ID), buf_str(&claims),
		header);
	if (key.len > 0)
		explicit_bzero(key.ptr, key.len);
	return ok;
}

static const char *
host_of(const struct config *config, enum appstore_environment environment)
{
	const bool is_sandbox = environment == APPSTORE_SANDBOX;
	const enum config_key key =
	    is_sandbox ? CONFIG_APPSTORE_SANDBOX_URL : CONFIG_APPSTORE_URL;

	if (config_is_set(config, key))
		return config_text(config, key);
	return is_sandbox ? SANDBOX_URL : PRODUCTION_URL;
}

static void
log_answer(const struct call *call, const struct appstore_answer *answer,
    const struct fetch_response *response)
{
	struct log log;

	if (answer->outcome == APPSTORE_DONE ||
	    answer->outcome == APPSTORE_NOT_FOUND)
		return;
	log = log_begin(answer->outcome == APPSTORE_UNAUTHORIZED ||
		    answer->outcome == APPSTORE_REFUSED ?
		LOG_ERROR :
		LOG_WARNING,
	    "appstore");
	log_text(&log, "outcome", appstore_outcome_name(answer->outcome));
	log_text(&log, "environment",
	    appstore_environment_name(call->environment));
	log_text(&log, "method", call->method);
	log_int64(&log, "http_status", answer->http_status);
	log_int64(&log, "error_code", answer->error_code);
	log_int64(&log, "curl_code", response->curl_code);
	log_end(&log);
}

static struct appstore_answer
send_call(const struct config *config, struct arena *arena,
    const struct call *call, const char *url, const char *bearer,
    int64_t now_ms, const struct json **ret_body)
{
	CLEANUP(fetch_response_free) struct fetch_response response = { 0 };
	struct appstore_answer answer;

	fetch(
	    &(const struct fetch_request){
		.method = call->method,
		.url = url,
		.headers = { bearer, "Accept: application/json",
		    "User-Agent: rendio",
		    call->body.len > 0 ? "Content-Type: application/json" :
					 NULL },
		.body = call->body,
		.allow_private =
		    config_number(config, CONFIG_ALLOW_PRIVATE_UPSTREAMS) == 1,
		.connect_timeout_ms = CONNECT_TIMEOUT_MS,
		.timeout_ms = TIMEOUT_MS,
		.response_bytes_max = APPSTORE_ANSWER_BYTES_MAX,
		.sink_fd = -1,
	    },
	    &response);
	answer = appstore_read_answer(arena, &response, now_ms, ret_body);
	log_answer(call, &answer, &response);
	return answer;
}

static struct appstore_answer
ask(const struct config *config, struct arena *arena, const struct call *call,
    int64_t now_ms, const struct json **ret_body)
{
	CLEANUP(buf_free) struct buf bearer = { 0 };
	struct appstore_answer answer = { .outcome = APPSTORE_REFUSED };
	char url[FETCH_URL_BYTES_MAX];
	int n;

	*ret_body = NULL;
	if (call->path->failed)
		return answer;
	n = snprintf(url, sizeof(url), "%s%s",
	    host_of(config, call->environment), call->path->ptr);
	if (n < 0 || (size_t)n >= sizeof(url))
		return answer;
	buf_init(&bearer, BEARER_BYTES_MAX);
	if (!write_bearer(config, now_ms, &bearer)) {
		log_line(LOG_ERROR, "appstore", "problem",
		    "RENDIO_APPSTORE_KEY_FILE cannot be read or does not sign");
		answer.outcome = APPSTORE_UNAUTHORIZED;
		return answer;
	}
	if (!appstore_rate_take(config, call->environment, call->rate, now_ms,
		&answer.retry_at_ms)) {
		answer.outcome = APPSTORE_RATE_LIMITED;
		return answer;
	}
	return send_call(config, arena, call, url, bearer.ptr, now_ms,
	    ret_body);
}

/* A 2xx whose content is not what it should be: garbage, or a gateway's. */
static struct appstore_answer
garbage(struct appstore_answer answer)
{
	log_line(LOG_WARNING, "appstore", "problem",
	    "the answer is not of the App Store's form");
	answer.outcome = APPSTORE_TRY_LATER;
	return answer;
}

static bool
is_id(struct str id)
{
	for (size_t i = 0; i < id.len; i++)
		if (id.ptr[i] < '0' || id.ptr[i] > '9')
			return false;
	return id.len > 0 && id.len <= APPSTORE_ID_BYTES_MAX;
}

static struct appstore_answer
get_in(const struct config *config, struct arena *arena,
    enum appstore_environment environment, struct str transaction_id,
    int64_t now_ms, struct str *ret_jws)
{
	CLEANUP(buf_free) struct buf path = { 0 };
	const struct call call = { .environment = environment,
		.rate = APPSTORE_RATE_50,
		.method = "GET",
		.path = &path };
	struct appstore_answer answer;
	const struct json *body;

	buf_init(&path, FETCH_URL_BYTES_MAX);
	buf_append(&path, STR("/inApps/v1/transactions/"));
	buf_append(&path, transaction_id);
	answer = ask(config, arena, &call, now_ms, &body);
	if (answer.outcome == APPSTORE_DONE &&
	    !appstore_read_text(body, "signedTransactionInfo", ret_jws))
		return garbage(answer);
	return answer;
}

/*
 * Has production ever answered us?  Before an app's first release it says
 * 401 to a key that is right.
 */
static void
production_path(const struct config *config, char path[PATH_BYTES])
{
	(void)snprintf(path, PATH_BYTES, "%s/run/appstore-production",
	    config_text(config, CONFIG_STATE_DIR));
}

static bool
has_production(const struct config *config)
{
	char path[PATH_BYTES];

	production_path(config, path);
	return access(path, F_OK) == 0;
}

static void
note_production(const struct config *config)
{
	CLEANUP(cleanup_fd) int fd = -1;
	char path[PATH_BYTES];

	if (has_production(config))
		return;
	production_path(config, path);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		log_line(LOG_WARNING, "appstore", "problem",
		    "run/appstore-production cannot be written");
}

static struct appstore_answer
get_anywhere(const struct config *config, struct arena *arena, struct str id,
    int64_t now_ms, struct str *ret_jws,
    enum appstore_environment *ret_environment)
{
	struct appstore_answer answer, second;

	*ret_environment = APPSTORE_PRODUCTION;
	answer =
	    get_in(config, arena, APPSTORE_PRODUCTION, id, now_ms, ret_jws);
	if (answer.outcome == APPSTORE_DONE ||
	    answer.outcome == APPSTORE_NOT_FOUND)
		note_production(config);
	if (answer.outcome != APPSTORE_NOT_FOUND &&
	    (answer.outcome != APPSTORE_UNAUTHORIZED || has_production(config)))
		return answer;
	*ret_environment = APPSTORE_SANDBOX;
	second = get_in(config, arena, APPSTORE_SANDBOX, id, now_ms, ret_jws);
	/* The key is right, so this passes, or Apple's fault lasts. */
	if (answer.outcome == APPSTORE_NOT_FOUND &&
	    second.outcome == APPSTORE_UNAUTHORIZED)
		second.outcome = APPSTORE_TRY_LATER;
	return second;
}

static struct appstore_answer
get_sold(const struct config *config, struct arena *arena, struct str id,
    int64_t now_ms, struct str *ret_jws)
{
	CLEANUP(buf_free) struct buf jws = { 0 };

	buf_init(&jws, APPSTORE_JWS_BYTES_MAX);
	if (!appstore_sandbox_transaction(config, arena, id, now_ms, &jws))
		return (struct appstore_answer){ APPSTORE_NOT_FOUND, 404,
			4040010, 0 };
	*ret_jws = (struct str){ arena_strdup(arena, buf_str(&jws)), jws.len };
	return (struct appstore_answer){ APPSTORE_DONE, 200, 0, 0 };
}

struct appstore_answer
appstore_get_transaction(const struct config *config, struct arena *arena,
    struct str transaction_id, int64_t now_ms,
    struct str *ret_signed_transaction,
    struct appstore_transaction *ret_transaction)
{
	enum appstore_environment environment = APPSTORE_SANDBOX;
	struct appstore_transaction transaction;
	enum appstore_verdict verdict;
	struct appstore_answer answer;
	struct str jws;

	if (!is_id(transaction_id))
		return (struct appstore_answer){ .outcome = APPSTORE_REFUSED };
	answer = appstore_is_stand_in(config) ?
	    get_sold(config, arena, transaction_id, now_ms, &jws) :
	    get_anywhere(config, arena, transaction_id, now_ms, &jws,
		&environment);
	if (answer.outcome != APPSTORE_DONE)
		return answer;
	verdict = appstore_verify_transaction(config, arena, jws, now_ms,
	    &transaction);
	if (verdict != APPSTORE_OK || transaction.environment != environment ||
	    !str_equal(transaction.transaction_id, transaction_id)) {
		log_line(LOG_ERROR, "appstore", "unproven",
		    appstore_verdict_name(verdict));
		answer.outcome = APPSTORE_TRY_LATER;
		return answer;
	}
	*ret_signed_transaction = jws;
	*ret_transaction = transaction;
	return answer;
}

struct appstore_answer
appstore_send_consumption(const struct config *config,
    enum appstore_environment environment, struct str transaction_id,
    const struct appstore_consumption *consumption, int64_t now_ms)
{
	CLEANUP(buf_free) struct buf path = { 0 };
	CLEANUP(buf_free) struct buf body = { 0 };
	CLEANUP(arena_free) struct arena arena = { 0 };
	struct call call = { .environment = environment,
		.rate = APPSTORE_RATE_50,
		.method = "PUT",
		.path = &path };
	const struct json *unused;

	if (!is_id(transaction_id))
		return (struct appstore_answer){ .outcome = APPSTORE_REFUSED };
	buf_init(&body, BODY_BYTES_MAX);
	appstore_write_consumption(consumption, &body);
	if (appstore_is_stand_in(config))
		return (struct appstore_answer){ APPSTORE_DONE, 202, 0, 0 };
	buf_init(&path, FETCH_URL_BYTES_MAX);
	buf_append(&path, STR("/inApps/v2/transactions/consumption/"));
	buf_append(&path, transaction_id);
	call.body = buf_str(&body);
	arena_init(&arena, APPSTORE_ARENA_BYTES);
	return ask(config, &arena, &call, now_ms, &unused);
}

struct appstore_answer
appstore_notification_history(const struct config *config, struct arena *arena,
    const struct appstore_query *query, struct str cursor, int64_t now_ms,
    struct appstore_page *ret_page)
{
	CLEANUP(buf_free) struct buf path = { 0 };
	CLEANUP(buf_free) struct buf body = { 0 };
	struct call call = { .environment = query->environment,
		.rate = APPSTORE_RATE_50,
		.method = "POST",
		.path = &path };
	struct appstore_answer answer;
	const struct json *answer_body;

	if (appstore_is_stand_in(config)) {
		*ret_page = (struct appstore_page){ 0 };
		return (struct appstore_answer){ APPSTORE_DONE, 200, 0, 0 };
	}
	buf_init(&path, FETCH_URL_BYTES_MAX);
	buf_init(&body, BODY_BYTES_MAX);
	buf_append(&path, STR("/inApps/v1/notifications/history"));
	if (cursor.len > 0) {
		buf_append(&path, STR("?paginationToken="));
		http_percent_encode(cursor, &path);
	}
	appstore_write_query(query, &body);
	call.body = buf_str(&body);
	answer = ask(config, arena, &call, now_ms, &answer_body);
	if (answer.outcome == APPSTORE_DONE &&
	    !appstore_read_notifications(arena, answer_body, ret_page))
		return garbage(answer);
	return answer;
}

struct appstore_answer
appstore_refund_history(const struct config *config, struct arena *arena,
    enum appstore_environment environment, struct str transaction_id,
    struct str cursor, int64_t now_ms, struct appstore_page *ret_page)
{
	CLEANUP(buf_free) struct buf path = { 0 };
	const struct call call = { .environment = environment,
		.rate = APPSTORE_RATE_10,
		.method = "GET",
		.path = &path };
	struct appstore_answer answer;
	const struct json *body;

	if (!is_id(transaction_id))
		return (struct appstore_answer){ .outcome = APPSTORE_REFUSED };
	if (appstore_is_stand_in(config)) {
		*ret_page = (struct appstore_page){ 0 };
		return (struct appstore_answer){ APPSTORE_DONE, 200, 0, 0 };
	}
	buf_init(&path, FETCH_URL_BYTES_MAX);
	buf_append(&path, STR("/inApps/v2/refund/lookup/"));
	buf_append(&path, transaction_id);
	if (cursor.len > 0) {
		buf_append(&path, STR("?revision="));
		http_percent_encode(cursor, &path);
	}
	answer = ask(config, arena, &call, now_ms, &body);
	if (answer.outcome == APPSTORE_DONE &&
	    !appstore_read_refunds(arena, body, ret_page))
		return garbage(answer);
	return answer;
}

struct appstore_answer
appstore_request_test(const struct config *config, struct arena *arena,
    enum appstore_environment environment, int64_t now_ms,
    struct str *ret_token)
{
	CLEANUP(buf_free) struct buf path = { 0 };
	const struct call call = { .environment = environment,
		.rate = APPSTORE_RATE_1,
		.method = "POST",
		.path = &path };
	struct appstore_answer answer;
	const struct json *body;

	if (appstore_is_stand_in(config))
		return (struct appstore_answer){ APPSTORE_NOT_FOUND, 404,
			4040007, 0 };
	buf_init(&path, FETCH_URL_BYTES_MAX);
	buf_append(&path, STR("/inApps/v1/notifications/test"));
	answer = ask(config, arena, &call, now_ms, &body);
	if (answer.outcome == APPSTORE_DONE &&
	    !appstore_read_text(body, "testNotificationToken", ret_token))
		return garbage(answer);
	return answer;
}

struct appstore_answer
appstore_test_status(const struct config *config, struct arena *arena,
    enum appstore_environment environment, struct str token, int64_t now_ms,
    struct str *ret_result)
{
	CLEANUP(buf_free) struct buf path = { 0 };
	const struct call call = { .environment = environment,
		.rate = APPSTORE_RATE_1,
		.method = "GET",
		.path = &path };
	struct appstore_answer answer;
	const struct json *body;

	if (appstore_is_stand_in(config))
		return (struct appstore_answer){ APPSTORE_NOT_FOUND, 404,
			4040008, 0 };
	buf_init(&path, FETCH_URL_BYTES_MAX);
	buf_append(&path, STR("/inApps/v1/notifications/test/"));
	http_percent_encode(token, &path);
	answer = ask(config, arena, &call, now_ms, &body);
	if (answer.outcome == APPSTORE_DONE &&
	    !appstore_read_attempt(body, ret_result))
		return garbage(answer);
	return answer;
}
