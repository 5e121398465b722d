/* SPDX-License-Identifier: MIT */
#include "worker.h"

#include "base/clock.h"
#include "base/log.h"
#include "domain/notices.h"
#include "domain/summaries.h"
#include "provider/telegram.h"

/*
 * Notices: what waits is sent to the operator's chat, all of it in one message
 * and one message at a time, so that a bad hour is a digest and not a flood.
 */

#define CONNECT_TIMEOUT_MS 5000
#define TIMEOUT_MS 15000
#define ANSWER_BYTES_MAX ((size_t)64 * 1024)

/* Longer than a try takes. */
#define LEASE_MS INT64_C(30000)
_Static_assert(LEASE_MS > TIMEOUT_MS, "one message at a time");

/* Telegram allows a message a second in a chat, and twenty a minute. */
#define PAUSE_MS INT64_C(3000)

#define RETRY_FIRST_MS INT64_C(2000)

/* The one message under way. */
struct sending {
	struct worker *worker;
	struct notice_batch batch;
};

static void
log_trouble(const struct fetch_response *response, const char *problem)
{
	struct log log = log_begin(LOG_ERROR, "telegram");

	log_text(&log, "problem", problem);
	log_int64(&log, "http_status", response->status);
	log_int64(&log, "curl_code", response->curl_code);
	log_end(&log);
}

static void
sent(void *arg, const struct fetch_response *response)
{
	struct sending *s = arg;
	struct db *db = s->worker->state.db;
	const int64_t now_ms = clock_now_ms();
	int64_t wait_ms;
	const enum telegram_verdict verdict =
	    telegram_answer(response, &wait_ms);

	if (verdict == TELEGRAM_SENT) {
		/* If this is lost, the next one says that it may repeat. */
		(void)notices_sent(db, &s->batch, now_ms, now_ms + PAUSE_MS);
	} else {
		log_trouble(response,
		    verdict == TELEGRAM_REFUSED ?
			"refused: the token, or the chat" :
			"not sent");
		(void)notices_failed(db, &s->batch,
		    verdict == TELEGRAM_DOUBTFUL, RETRY_FIRST_MS,
		    wait_ms > 0 ? now_ms + wait_ms : 0, now_ms);
	}
	free(s);
}

/* Which server speaks: an owner may have several. */
static struct str
our_name(const struct config *config)
{
	struct str url = str_from(config_text(config, CONFIG_PUBLIC_URL));
	struct str scheme, rest;

	return str_cut(url, ':', &scheme, &rest) &&
		str_starts_with(rest, STR("//")) ?
	    (struct str){ rest.ptr + 2, rest.len - 2 } :
	    url;
}

static void
write_message(const struct config *config, const struct notice_batch *batch,
    struct buf *text)
{
	buf_append(text, our_name(config));
	for (size_t i = 0; i < batch->count; i++) {
		buf_append(text, STR("\n"));
		buf_append(text, str_from(batch->notice[i].text));
		if (batch->notice[i].is_doubtful)
			buf_append(text, STR(" [perhaps repeated]"));
	}
}

static bool
start(struct sending *s)
{
	const struct config *config = &s->worker->state.config;
	struct provider_call call;
	struct buf text;
	bool ok;

	buf_init(&text, PROVIDER_BODY_BYTES_MAX);
	write_message(config, &s->batch, &text);
	provider_call_init(&call, "POST");
	ok = telegram_call(config, buf_str(&text), &call);
	if (ok)
		fetcher_start(s->worker->fetcher,
		    &(const struct fetch_request){
			.method = call.method,
			.url = call.url,
			.headers = { call.header[0] },
			.body = buf_str(&call.body),
			.once = true,
			.allow_private =
			    config_number(config,
				CONFIG_ALLOW_PRIVATE_UPSTREAMS) == 1,
			.connect_timeout_ms = CONNECT_TIMEOUT_MS,
			.timeout_ms = TIMEOUT_MS,
			.response_bytes_max = ANSWER_BYTES_MAX,
			.sink_fd = -1,
		    },
		    sent, s);
	provider_call_free(&call);
	buf_free(&text);
	return ok;
}

void
send_notices(struct worker *worker)
{
	struct db *db = worker->state.db;
	struct sending *s;

	if (!telegram_is_on(&worker->state.config))
		return;
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		abort();
	s->worker = worker;
	if (notices_take(db, clock_now_ms(), LEASE_MS, &s->batch) != OK ||
	    s->batch.count == 0) {
		free(s);
		return;
	}
	if (start(s))
		return;
	log_line(LOG_ERROR, "telegram", "problem",
	    "RENDIO_TELEGRAM_URL and _BOT_TOKEN make no address");
	(void)notices_failed(db, &s->batch, false, RETRY_FIRST_MS, 0,
	    clock_now_ms());
	free(s);
}

void
tell_summaries(struct worker *worker)
{
	const struct config *config = &worker->state.config;
	const int64_t now_ms = clock_now_ms();

	if (!telegram_is_on(config))
		return;
	/* Failures were logged; the next turn tries again. */
	(void)summaries_tell_sales(worker->state.db, now_ms);
	(void)summaries_tell_users(worker->state.db,
	    config_number(config, CONFIG_NEW_USERS_INTERVAL_S) * 1000, now_ms);
	if (config_number(config, CONFIG_SUMMARY_HOUR_UTC) >= 0)
		(void)summaries_tell_day(worker->state.db,
		    config_number(config, CONFIG_SUMMARY_HOUR_UTC), now_ms);
}
