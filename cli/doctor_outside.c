/* SPDX-License-Identifier: MIT */
#include "doctor.h"

#include "base/cleanup.h"
#include "app/tickets.h"
#include "base/clock.h"
#include "provider/apns.h"
#include "provider/appleid.h"
#include "provider/appleid_keys.h"
#include "provider/appstore_api.h"
#include "provider/devicecheck.h"
#include "provider/sentry.h"
#include "provider/telegram.h"

#include <unistd.h>

#define DAY_S (INT64_C(24) * 3600)

#define CONNECT_TIMEOUT_MS 5000
#define TIMEOUT_MS 15000
#define ANSWER_BYTES_MAX ((size_t)256 * 1024)

/* Such an answer, parsed. */
#define ARENA_BYTES ((size_t)8 * 1024 * 1024)

/* Apple sends a test notification within seconds. */
#define TEST_WAIT_S 30

/* A stream begins with a snapshot; what takes longer is kept by somebody. */
#define STREAM_BEGINS_MS 5000
#define STREAM_TOKEN_S 60

/* Apple's tokens bear a minute or so of error. */
#define SKEW_S_MAX 30

struct look {
	struct doctor *d;
	const struct config *config;
	bool knows_skew;
	int64_t skew_s; /* the largest between a company's clock and ours */
};

static void
note_time(struct look *look, const struct fetch_response *response)
{
	int64_t theirs_s, skew_s;

	if (!provider_server_time(response, &theirs_s))
		return;
	skew_s = clock_now_ms() / 1000 - theirs_s;
	if (skew_s < 0)
		skew_s = -skew_s;
	if (skew_s > look->skew_s)
		look->skew_s = skew_s;
	look->knows_skew = true;
}

static struct fetch_request
request_of(const struct look *look, const struct provider_call *call)
{
	struct fetch_request request = {
		.method = call->method,
		.url = call->url,
		.body = buf_str(&call->body),
		.allow_private = config_number(look->config,
				     CONFIG_ALLOW_PRIVATE_UPSTREAMS) == 1,
		.connect_timeout_ms = CONNECT_TIMEOUT_MS,
		.timeout_ms = TIMEOUT_MS,
		.response_bytes_max = ANSWER_BYTES_MAX,
		.sink_fd = -1,
	};

	for (size_t i = 0; i < FETCH_HEADERS_MAX; i++)
		request.headers[i] =
		    call->header[i][0] == '\0' ? NULL : call->header[i];
	return request;
}

/* Asks a company. The caller frees the response. */
static void
ask(struct look *look, const struct provider_call *call, bool is_http2,
    struct fetch_response *ret_response)
{
	struct fetch_request request = request_of(look, call);

	request.is_http2 = is_http2;
	fetch(&request, ret_response);
	note_time(look, ret_response);
}

/* --- our own address ------------------------------------------------------ */

static const char *
why_not(const struct fetch_response *response)
{
	switch (response->curl_code) {
	case 6:
		return "its name is not known: no DNS record";
	case 7:
		return "nobody listens there: nginx, or a firewall";
	case 28:
		return "no answer in time: a firewall?";
	case 60:
		return "its certificate is not trusted: install the full chain";
	default:
		return "TLS or the connection failed";
	}
}

static void
init_call(const struct look *look, const char *method, const char *path,
    struct provider_call *call)
{
	provider_call_init(call, method);
	(void)snprintf(call->url, sizeof(call->url), "%s%s",
	    config_text(look->config, CONFIG_PUBLIC_URL), path);
}

/*
 * Through DNS, firewall, TLS and the router, as a client comes.  Of a stream
 * the first byte is enough.
 */
static void
send_to_us(struct look *look, const struct provider_call *call, bool is_stream,
    struct fetch_response *ret_response)
{
	const struct config *config = look->config;
	char certificate[DOCTOR_PATH_BYTES_MAX];
	struct fetch_request request = request_of(look, call);

	if (is_stream) {
		request.timeout_ms = STREAM_BEGINS_MS;
		request.response_bytes_max = 1;
	}
	request.allow_private = true;
	request.wants_certificates = true;
	/* The sandbox's certificate is signed by nobody. */
	if (config_is_sandbox(config) &&
	    doctor_path(look->d, "tls/cert.pem", certificate))
		request.ca_file = certificate;
	fetch(&request, ret_response);
}

static void
ask_us(struct look *look, const char *method, const char *path, struct str body,
    struct fetch_response *ret_response)
{
	struct provider_call call;

	init_call(look, method, path, &call);
	buf_append(&call.body, body);
	if (body.len > 0)
		(void)provider_call_header(&call, "Content-Type",
		    "application/json");
	send_to_us(look, &call, false, ret_response);
	provider_call_free(&call);
}

/* The file's may not be the one that nginx, or who stands before it, shows. */
static void
check_served(struct look *look, const struct fetch_response *response)
{
	const int64_t days =
	    (response->certificates_end_s - clock_now_ms() / 1000) / DAY_S;

	if (response->certificates_end_s > 0)
		doctor_note(look->d,
		    days < DOCTOR_CERTIFICATE_DAYS_MIN ? RED : GREEN,
		    "certificate",
		    "reload nginx if the file's is newer; see that certbot's"
		    " timer runs, or who ends TLS before us",
		    "what the public url shows is good for %lld days",
		    (long long)days);
}

static bool
check_public_url(struct look *look)
{
	const char *url = config_text(look->config, CONFIG_PUBLIC_URL);
	CLEANUP(fetch_response_free) struct fetch_response response;

	ask_us(look, "GET", "/health", (struct str){ NULL, 0 }, &response);
	check_served(look, &response);
	if (response.phase != FETCH_ANSWERED)
		doctor_note(look->d, RED, "public url",
		    "correct RENDIO_PUBLIC_URL, DNS, the firewall or the"
		    " certificate until curl -v of it answers",
		    "%s: %s (curl %d)", url, why_not(&response),
		    response.curl_code);
	else if (response.status != 200)
		doctor_note(look->d, RED, "public url",
		    "see that it leads to our nginx, and what its log says",
		    "%s/health answers %d", url, response.status);
	else
		doctor_note(look->d, GREEN, "public url", "",
		    "%s answers, with a certificate that is trusted", url);
	return response.phase == FETCH_ANSWERED && response.status == 200;
}

/* What is not signed must reach our endpoint, and be refused by it. */
static void
check_webhook(struct look *look, const char *path, struct str body, int status)
{
	CLEANUP(fetch_response_free) struct fetch_response response;
	struct str request_id;

	ask_us(look, "POST", path, body, &response);
	if (response.phase == FETCH_ANSWERED && response.status == status &&
	    fetch_header(&response, "X-Request-Id", &request_id))
		doctor_note(look->d, GREEN, "webhook", "",
		    "%s is ours, and refuses what is not signed", path);
	else
		doctor_note(look->d, RED, "webhook",
		    "see that no proxy before us answers, changes or blocks"
		    " POSTs to it",
		    "%s answers %d, not our %d", path, response.status, status);
}

/* Opens the newest session's own stream, and lets go at the first byte. */
static void
try_stream(struct look *look, const struct state *state,
    const struct session *session)
{
	static const char fix[] =
	    "see that rendio-realtime runs, and that no proxy before nginx"
	    " keeps an answer back until it is whole (buffering)";
	CLEANUP(fetch_response_free) struct fetch_response response = { 0 };
	const int64_t now_ms = clock_now_ms();
	const struct access_claims claims = {
		.user_id = session->user_id,
		.session_id = session->id,
		.expires_at_s = now_ms / 1000 + STREAM_TOKEN_S,
	};
	struct str type = { NULL, 0 };
	struct provider_call call;
	struct buf path;
	bool is_stream;

	buf_init(&path, FETCH_URL_BYTES_MAX);
	buf_append(&path, STR("/functions/v1/user-events?ticket="));
	tickets_write(&state->keys, &claims, now_ms, &path);
	init_call(look, "GET", path.ptr, &call);
	if (provider_call_header(&call, "apikey", state->keys.anon_key))
		send_to_us(look, &call, true, &response);
	provider_call_free(&call);
	buf_free(&path);
	is_stream = fetch_header(&response, "Content-Type", &type) &&
	    str_starts_with(type, STR("text/event-stream"));
	if (is_stream && response.too_large)
		doctor_note(look->d, GREEN, "streams", "",
		    "begin as soon as they are asked for");
	else
		doctor_note(look->d, RED, "streams", fix,
		    is_stream ? "nothing came within %d s" :
				"there are none (%d s, curl %d)",
		    STREAM_BEGINS_MS / 1000, response.curl_code);
}

static void
check_stream(struct look *look)
{
	struct session session;
	struct state state;
	struct buf problem;

	buf_init(&problem, 8192);
	if (state_open(&state, STATE_READ, &problem)) {
		if (sessions_newest(state.db, &session) == OK)
			try_stream(look, &state, &session);
		else
			doctor_note(look->d, GREEN, "streams", "",
			    "nobody is signed in who could open one: not"
			    " tried");
	}
	state_close(&state);
	buf_free(&problem);
}

/* --- companies ------------------------------------------------------------ */

static enum appstore_environment
environment_of(const struct config *config)
{
	return config_is_sandbox(config) ? APPSTORE_SANDBOX :
					   APPSTORE_PRODUCTION;
}

/* Apple signs one, sends it to the address it knows, and tells how it went. */
static void
await_test(struct look *look, struct arena *arena, struct str token)
{
	static const char fix[] =
	    "register PUBLIC_URL/functions/v1/apple-server-notifications in"
	    " App Store Connect; Apple's word says what kept it from us";
	struct str result = { NULL, 0 };

	for (int i = 0; i < TEST_WAIT_S && result.len == 0; i++) {
		(void)sleep(i == 0 ? 0 : 1);
		if (appstore_test_status(look->config, arena,
			environment_of(look->config), token, clock_now_ms(),
			&result)
			.outcome != APPSTORE_DONE)
			result.len = 0;
	}
	if (str_equal(result, STR("SUCCESS")))
		doctor_note(look->d, GREEN, "notifications", "",
		    "Apple sent a test notification and we took it");
	else if (result.len == 0)
		doctor_note(look->d, YELLOW, "notifications",
		    "ask again in a minute: rendio appstore test TOKEN",
		    "Apple has not told within %d s how its test notification"
		    " went",
		    TEST_WAIT_S);
	else
		doctor_note(look->d, RED, "notifications", fix,
		    "Apple's test notification: %.*s", (int)result.len,
		    result.ptr);
}

static void
check_appstore(struct look *look)
{
	struct appstore_answer answer;
	struct arena arena;
	struct str token;

	if (appstore_is_stand_in(look->config))
		return;
	arena_init(&arena, APPSTORE_ARENA_BYTES);
	answer = appstore_request_test(look->config, &arena,
	    environment_of(look->config), clock_now_ms(), &token);
	if (answer.outcome == APPSTORE_DONE) {
		doctor_note(look->d, GREEN, "app store", "", "takes our key");
		await_test(look, &arena, token);
	} else if (answer.outcome == APPSTORE_NOT_FOUND)
		doctor_note(look->d, RED, "notifications",
		    "register PUBLIC_URL/functions/v1/"
		    "apple-server-notifications in App Store Connect",
		    "Apple knows no address for this app");
	else
		doctor_note(look->d,
		    answer.outcome == APPSTORE_UNAUTHORIZED ? RED : YELLOW,
		    "app store",
		    "an In-App Purchase key of App Store Connect, its id and"
		    " issuer, RENDIO_APPLE_BUNDLE_ID, and the clock",
		    "%s (HTTP %d)", appstore_outcome_name(answer.outcome),
		    answer.http_status);
	arena_free(&arena);
}

/* Apple looks at our key before it looks at the phone's token. */
static void
check_devicecheck(struct look *look)
{
	const struct config *config = look->config;
	const uint8_t none[32] = { 0 };
	struct devicecheck_bits bits;

	if ((config_is_sandbox(config) &&
		!config_is_set(config, CONFIG_DEVICECHECK_URL)) ||
	    !config_is_set(config, CONFIG_DEVICECHECK_KEY_FILE))
		return;
	if (devicecheck_query(config, none, STR("cmVuZGlvIGRvY3Rvcg=="),
		&bits) == DEVICECHECK_UNAVAILABLE)
		doctor_note(look->d, RED, "devicecheck",
		    "the key (with DeviceCheck), its id, the team and the"
		    " clock; the line above in the log has Apple's status",
		    "Apple does not answer, or refuses our key");
	else
		doctor_note(look->d, GREEN, "devicecheck", "",
		    "Apple takes our key");
}

static void
check_appleid(struct look *look)
{
	const struct config *config = look->config;
	char client_id[APPLEID_TEXT_BYTES] = "";
	enum appleid_verdict verdict;
	struct arena arena;

	if (appleid_is_stand_in(config) ||
	    !config_is_set(config, CONFIG_APPLEID_KEY_FILE))
		return;
	arena_init(&arena, ARENA_BYTES);
	verdict = appleid_try_key(config, &arena, clock_now_ms(), client_id);
	arena_free(&arena);
	if (verdict == APPLEID_OK)
		doctor_note(look->d, GREEN, "apple id", "",
		    "Apple takes our key");
	else if (verdict == APPLEID_BAD_TOKEN)
		doctor_note(look->d, RED, "apple id",
		    "the key (with Sign in with Apple), its id, the team, the"
		    " app's id in RENDIO_APPLEID_CLIENT_IDS, and the clock",
		    "Apple refuses our key for %s", client_id);
	else
		doctor_note(look->d, YELLOW, "apple id",
		    "see Apple's status page; people cannot sign in meanwhile",
		    "Apple does not answer for %s", client_id);
}

/* Asks after a request that never was. */
static void
check_provider(struct look *look, const char *company, const char *endpoint)
{
	const struct provider *provider = provider_for(look->config, company);
	const struct provider_job job = { .attempt_id = uuid_random(),
		.endpoint = endpoint,
		.prompt = "",
		.webhook_url = "",
		.sent_at_ms = clock_now_ms() };
	CLEANUP(fetch_response_free) struct fetch_response response = { 0 };
	struct provider_handle handle = { 0 };
	struct provider_status status = { 0 };
	struct provider_error error = { 0 };
	char page[PROVIDER_PAGE_BYTES] = "";
	struct provider_call call;

	if (provider == NULL || provider == &provider_sandbox ||
	    provider->find_call == NULL)
		return;
	provider_call_init(&call, "GET");
	if (provider->find_call(look->config, &job, &call)) {
		ask(look, &call, false, &response);
		(void)provider->find_answer(look->config, &job, &response, page,
		    &handle, &status, &error);
	}
	provider_call_free(&call);
	if (error.code == PROVIDER_CODE_AUTH ||
	    error.code == PROVIDER_CODE_LOCKED)
		doctor_note(look->d, RED, company,
		    "a key of the account that pays, and its balance",
		    "it refuses us: %s", provider_code_name(error.code));
	else if (response.phase != FETCH_ANSWERED || response.status >= 500)
		doctor_note(look->d, YELLOW, company,
		    "see the company's status page; jobs wait meanwhile",
		    "it does not answer (HTTP %d, curl %d)", response.status,
		    response.curl_code);
	else
		doctor_note(look->d, GREEN, company, "", "takes our key");
}

/* A message to a phone that cannot be. */
static void
check_apns(struct look *look)
{
	static const char nobody[] =
	    "0000000000000000000000000000000000000000000000000000000000000000";
	struct apns_message message = { .token = nobody,
		.title = "",
		.body = "",
		.status = "",
		.expires_at_ms = clock_now_ms() };
	CLEANUP(fetch_response_free) struct fetch_response response = { 0 };
	CLEANUP(buf_free) struct buf bearer = { 0 };
	struct apns_answer answer;
	struct provider_call call;

	if (!apns_is_on(look->config))
		return;
	buf_init(&bearer, APNS_BEARER_BYTES - 1);
	provider_call_init(&call, "POST");
	if (apns_make_bearer(look->config, clock_now_ms(), &bearer)) {
		message.bearer = bearer.ptr;
		if (apns_call(look->config, &message, &call))
			ask(look, &call, true, &response);
	}
	provider_call_free(&call);
	answer = apns_answer(&response);
	if (answer.verdict == APNS_TOKEN_DEAD || answer.verdict == APNS_SENT)
		doctor_note(look->d, GREEN, "push", "", "Apple takes our key");
	else
		doctor_note(look->d,
		    answer.verdict == APNS_LATER ? YELLOW : RED, "push",
		    "a key for APNs (RENDIO_APNS_KEY_FILE, _KEY_ID), the team,"
		    " and the app's bundle id as RENDIO_APNS_TOPIC",
		    "%s (HTTP %d, curl %d)", answer.reason, response.status,
		    response.curl_code);
}

static void
check_telegram(struct look *look)
{
	CLEANUP(fetch_response_free) struct fetch_response response = { 0 };
	struct provider_call call;

	if (!telegram_is_on(look->config))
		return;
	provider_call_init(&call, "GET");
	if (telegram_chat_call(look->config, &call))
		ask(look, &call, false, &response);
	provider_call_free(&call);
	if (response.status == 200)
		doctor_note(look->d, GREEN, "telegram", "",
		    "the bot is in the chat");
	else
		doctor_note(look->d, response.status == 0 ? YELLOW : RED,
		    "telegram",
		    "401, 404: RENDIO_TELEGRAM_BOT_TOKEN; 400, 403:"
		    " RENDIO_TELEGRAM_CHAT_ID, and the bot must be in it",
		    "HTTP %d, curl %d", response.status, response.curl_code);
}

static void
check_sentry(struct look *look)
{
	CLEANUP(fetch_response_free) struct fetch_response response = { 0 };
	struct provider_call call;
	bool ok;

	if (!sentry_is_on(look->config))
		return;
	provider_call_init(&call, "POST");
	ok = sentry_empty_call(look->config, &call);
	if (ok)
		ask(look, &call, false, &response);
	provider_call_free(&call);
	if (ok && response.status / 100 == 2)
		doctor_note(look->d, GREEN, "sentry", "", "takes our key");
	else
		doctor_note(look->d,
		    !ok || response.status / 100 == 4 ? RED : YELLOW, "sentry",
		    "RENDIO_SENTRY_DSN, as the project's settings show it",
		    ok ? "HTTP %d, curl %d" : "no DSN (%d, %d)",
		    response.status, response.curl_code);
}

void
doctor_look_outside(struct doctor *d, const struct config *config)
{
	struct look look = { .d = d, .config = config };

	if (check_public_url(&look)) {
		check_webhook(&look, "/functions/v1/apple-server-notifications",
		    STR("{\"signedPayload\":\"doctor\"}"), 400);
		check_webhook(&look, "/functions/v1/apple-id-notifications",
		    STR("{\"payload\":\"doctor\"}"), 400);
		check_stream(&look);
	}
	check_appstore(&look);
	check_devicecheck(&look);
	check_appleid(&look);
	check_provider(&look, "fal", "fal-ai/veo3.1/fast");
	check_provider(&look, "replicate", "owner/name");
	check_apns(&look);
	check_telegram(&look);
	check_sentry(&look);
	if (look.knows_skew)
		doctor_note(d, look.skew_s > SKEW_S_MAX ? RED : GREEN, "time",
		    "timedatectl set-ntp true",
		    "%lld s from the clocks of others", (long long)look.skew_s);
}
