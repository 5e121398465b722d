/* SPDX-License-Identifier: MIT */
#include "worker.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "domain/pushes.h"
#include "domain/upstreams.h"
#include "domain/watches.h"
#include "provider/apns.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * Pushes (domain/pushes.h): made out of the events and sent to Apple, many at
 * once over one connection.
 */

#define CONNECT_TIMEOUT_MS 5000
#define TIMEOUT_MS 15000
#define ANSWER_BYTES_MAX ((size_t)16 * 1024)

/* Longer than a try takes. */
#define LEASE_MS INT64_C(30000)
_Static_assert(LEASE_MS > TIMEOUT_MS, "one try at a time");

/* At once; Apple wants many over one connection, not many connections. */
#define AT_ONCE_MAX 32

#define RETRY_FIRST_MS INT64_C(2000)
#define RETRY_MAX_MS (INT64_C(5) * 60 * 1000)

/* Our token is refused: no message of ours will be taken. */
#define PAUSE_MS INT64_C(60000)

/* Until when Apple is left alone. */
static const char pause_name[] = "apns";

#define PATH_BYTES (CONFIG_VALUE_BYTES_MAX + 32)

/* --- what is said --------------------------------------------------------- */

struct words {
	const char *title;
	const char *body;
};

static const struct words completed_words[LANG_MAX] = {
	[LANG_EN] = { "Your video is ready", "Tap to watch it." },
	[LANG_TR] = { "Videonuz hazır", "İzlemek için dokunun." },
	[LANG_ES] = { "Tu vídeo está listo", "Toca para verlo." },
};

static const struct words failed_words[LANG_MAX] = {
	[LANG_EN] = { "Your video could not be made",
	    "Your credits were given back." },
	[LANG_TR] = { "Videonuz oluşturulamadı", "Kredileriniz iade edildi." },
	[LANG_ES] = { "No se pudo crear tu vídeo",
	    "Te hemos devuelto los créditos." },
};

static const struct words kept_words[LANG_MAX] = {
	[LANG_EN] = { "Your video could not be made", "Tap to see why." },
	[LANG_TR] = { "Videonuz oluşturulamadı",
	    "Nedenini görmek için dokunun." },
	[LANG_ES] = { "No se pudo crear tu vídeo", "Toca para ver por qué." },
};

static const struct words *
words_of(const struct push *push)
{
	if (push->is_completed)
		return &completed_words[push->lang];
	return push->is_charge_kept ? &kept_words[push->lang] :
				      &failed_words[push->lang];
}

/* --- our token ------------------------------------------------------------ */

/*
 * Apple refuses whoever makes tokens often, and a worker lives for a minute:
 * so the token is in a file, "KEY_ID MADE_AT_MS TOKEN".
 */

static bool
bearer_path(const struct worker *worker, char path[PATH_BYTES])
{
	return snprintf(path, PATH_BYTES, "%s/run/apns-token",
		   config_text(&worker->state.config, CONFIG_STATE_DIR)) <
	    (int)PATH_BYTES;
}

/* False when there is none, it is another key's, or it is too old. */
static bool
load_bearer(const struct worker *worker, const char *path, int64_t now_ms,
    char bearer[APNS_BEARER_BYTES], int64_t *ret_made_at_ms)
{
	CLEANUP(buf_free) struct buf file = { 0 };
	struct str key_id, made, token, rest;

	buf_init(&file, 1024);
	return config_read_file(path, true, &file) &&
	    str_cut(buf_str(&file), ' ', &key_id, &rest) &&
	    str_cut(rest, ' ', &made, &token) &&
	    str_equal(key_id,
		str_from(
		    config_text(&worker->state.config, CONFIG_APNS_KEY_ID))) &&
	    str_to_int64(made, now_ms - APNS_BEARER_AGE_MS_MAX, now_ms,
		ret_made_at_ms) &&
	    str_copy(token, bearer, APNS_BEARER_BYTES);
}

static void
save_bearer(const char *path, const struct buf *text)
{
	char part[PATH_BYTES + 8];
	CLEANUP(cleanup_fd) int fd = -1;

	(void)snprintf(part, sizeof(part), "%s.part", path);
	(void)unlink(part);
	fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, text->ptr, text->len) != (ssize_t)text->len ||
	    rename(part, path) != 0)
		log_line(LOG_ERROR, "apns", "token", strerror(errno));
}

static bool
have_bearer(const struct worker *worker, char bearer[APNS_BEARER_BYTES])
{
	const struct config *config = &worker->state.config;
	const int64_t now_ms = clock_now_ms();
	CLEANUP(buf_free) struct buf text = { 0 };
	char path[PATH_BYTES];
	int64_t made_at_ms;
	size_t head;

	if (!bearer_path(worker, path))
		return false;
	if (load_bearer(worker, path, now_ms, bearer, &made_at_ms))
		return true;
	buf_init(&text, 1024);
	buf_appendf(&text, "%s %lld ", config_text(config, CONFIG_APNS_KEY_ID),
	    (long long)now_ms);
	head = text.len;
	if (!apns_make_bearer(config, now_ms, &text) || text.failed ||
	    !str_copy((struct str){ text.ptr + head, text.len - head }, bearer,
		APNS_BEARER_BYTES))
		return false;
	save_bearer(path, &text);
	return true;
}

/* One that was refused is not shown again, but for how often Apple allows. */
static void
drop_bearer(const struct worker *worker)
{
	char path[PATH_BYTES], bearer[APNS_BEARER_BYTES];
	const int64_t now_ms = clock_now_ms();
	int64_t made_at_ms;

	if (bearer_path(worker, path) &&
	    load_bearer(worker, path, now_ms, bearer, &made_at_ms) &&
	    now_ms - made_at_ms >= APNS_BEARER_AGE_MS_MIN)
		(void)unlink(path);
}

/* --- sending -------------------------------------------------------------- */

struct sending {
	struct worker *worker;
	struct push push;
};

static void
log_trouble(const struct apns_answer *answer,
    const struct fetch_response *response)
{
	struct log log = log_begin(answer->verdict == APNS_BEARER_REFUSED ||
		    answer->verdict == APNS_REFUSED ?
		LOG_ERROR :
		LOG_WARNING,
	    "apns");

	log_text(&log, "reason", answer->reason);
	log_int64(&log, "http_status", response->status);
	log_int64(&log, "curl_code", response->curl_code);
	log_end(&log);
}

static int64_t
backoff_ms(const struct push *push)
{
	int64_t wait_ms = RETRY_FIRST_MS;

	for (int64_t i = 0; i < push->tries_count && wait_ms < RETRY_MAX_MS;
	     i++)
		wait_ms *= 2;
	return wait_ms < RETRY_MAX_MS ? wait_ms : RETRY_MAX_MS;
}

static void
note_apple(struct db *db, const struct fetch_response *response, int64_t now_ms)
{
	if (response->phase == FETCH_ANSWERED && response->status < 500 &&
	    response->status != 403)
		(void)upstreams_answered(db, UPSTREAM_APPLE, "apns");
	else
		(void)upstreams_failed(db, UPSTREAM_APPLE, "apns",
		    response->status == 403 ? "our key is refused" :
					      "no answer",
		    now_ms);
}

static void
sent(void *arg, const struct fetch_response *response)
{
	struct sending *s = arg;
	struct db *db = s->worker->state.db;
	const struct apns_answer answer = apns_answer(response);
	const int64_t now_ms = clock_now_ms();

	note_apple(db, response, now_ms);
	if (answer.verdict != APNS_SENT)
		log_trouble(&answer, response);
	switch (answer.verdict) {
	case APNS_SENT:
	case APNS_REFUSED:
		/* If this is lost it is sent again, and replaces itself. */
		(void)pushes_done(db, &s->push);
		break;
	case APNS_TOKEN_DEAD:
		(void)pushes_token_dead(db, &s->push, answer.dead_since_ms);
		break;
	case APNS_BEARER_REFUSED:
		drop_bearer(s->worker);
		(void)watches_set(db, pause_name, now_ms + PAUSE_MS);
		(void)pushes_later(db, &s->push, now_ms + PAUSE_MS);
		break;
	case APNS_LATER:
		(void)pushes_later(db, &s->push,
		    now_ms +
			(answer.wait_ms > 0 ? answer.wait_ms :
					      backoff_ms(&s->push)));
		break;
	}
	free(s);
}

static void
start(struct worker *worker, const struct push *push, const char *bearer)
{
	const struct config *config = &worker->state.config;
	const struct words *words = words_of(push);
	const struct apns_message message = {
		.is_sandbox = push->to.is_sandbox,
		.token = push->to.token,
		.bearer = bearer,
		.title = words->title,
		.body = words->body,
		.job_id = push->job_id,
		.status = push->is_completed ? "completed" : "failed",
		.expires_at_ms = push->created_at_ms + PUSH_LIFE_MS,
	};
	struct sending *s = calloc(1, sizeof(*s));
	struct provider_call call;

	if (s == NULL)
		abort();
	*s = (struct sending){ worker, *push };
	provider_call_init(&call, "POST");
	if (apns_call(config, &message, &call)) {
		struct fetch_request request = {
			.method = call.method,
			.url = call.url,
			.body = buf_str(&call.body),
			.is_http2 = true,
			.allow_private =
			    config_number(config,
				CONFIG_ALLOW_PRIVATE_UPSTREAMS) == 1,
			.connect_timeout_ms = CONNECT_TIMEOUT_MS,
			.timeout_ms = TIMEOUT_MS,
			.response_bytes_max = ANSWER_BYTES_MAX,
			.sink_fd = -1,
		};

		for (size_t i = 0;
		     i < FETCH_HEADERS_MAX && call.header[i][0] != '\0'; i++)
			request.headers[i] = call.header[i];
		fetcher_start(worker->fetcher, &request, sent, s);
	} else {
		log_line(LOG_ERROR, "apns", "problem", "no call can be made");
		(void)pushes_done(worker->state.db, push);
		free(s);
	}
	provider_call_free(&call);
}

static void
send_due(struct worker *worker)
{
	struct push pushes[AT_ONCE_MAX];
	const int64_t now_ms = clock_now_ms();
	char bearer[APNS_BEARER_BYTES];
	size_t count = 0;
	bool may;

	if (watches_due(worker->state.db, pause_name, now_ms, now_ms, &may) !=
		OK ||
	    !may ||
	    pushes_take(worker->state.db, now_ms, LEASE_MS, pushes, AT_ONCE_MAX,
		&count) != OK ||
	    count == 0)
		return;
	if (!have_bearer(worker, bearer)) {
		log_line(LOG_ERROR, "apns", "problem",
		    "RENDIO_APNS_KEY_FILE cannot be read or does not sign");
		(void)watches_set(worker->state.db, pause_name,
		    now_ms + PAUSE_MS);
		return;
	}
	for (size_t i = 0; i < count; i++)
		start(worker, &pushes[i], bearer);
	explicit_bzero(bearer, sizeof(bearer));
}

void
send_pushes(struct worker *worker)
{
	bool more = true;

	if (!apns_is_on(&worker->state.config))
		return;
	while (more)
		if (pushes_make(worker->state.db, clock_now_ms(), &more) != OK)
			return;
	send_due(worker);
}
