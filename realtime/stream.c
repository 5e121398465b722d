/* SPDX-License-Identifier: MIT */
#include "engine.h"

#include "app/auth.h"
#include "socket.h"

#include <assert.h>

/*
 * After a restart all phones come back: each a little later than the other.
 * Five seconds are less than anybody would notice on a screen that waits.
 */
#define RETRY_MIN_MS 2000
#define RETRY_SPREAD_MS 3000

/* "9223372036854775807" and no more. */
#define EVENT_ID_BYTES_MAX 19

static const char *const message_names[] = {
	[FEED_SNAPSHOT] = "snapshot",
	[FEED_JOB] = "job",
	[FEED_DELETED] = "deleted",
	[FEED_BALANCE] = "balance",
};

/* What a message has around its JSON. */
#define FRAME_BYTES_MAX 64

/* The JSON has no line breaks: our writer escapes them. */
static void
send_message(struct conn *conn, const char *name, int64_t id, struct str json)
{
	struct buf text;

	buf_init(&text, CONN_MESSAGE_BYTES_MAX);
	if (id > 0)
		buf_appendf(&text, "id: %lld\n", (long long)id);
	buf_appendf(&text, "event: %s\ndata: ", name);
	buf_append(&text, json);
	buf_append(&text, STR("\n\n"));
	assert(!text.failed);
	conn_send(conn, buf_str(&text));
	buf_free(&text);
}

void
stream_heartbeat(struct conn *conn)
{
	conn_send(conn, STR(":\n\n"));
}

void
stream_end(struct conn *conn, enum watch_end why)
{
	static const char *const reasons[] = {
		[WATCH_JOB_OVER] = "{\"reason\":\"job_over\"}",
		[WATCH_SIGNED_OUT] = "{\"reason\":\"signed_out\"}",
		[WATCH_EXPIRED] = "{\"reason\":\"token_expired\"}",
		[WATCH_REPLACED] = "{\"reason\":\"replaced\"}",
	};

	send_message(conn, "end", 0, str_from(reasons[why]));
	conn_end(conn, 0);
}

static enum err
authorise(struct engine *engine, const struct stream_request *asked,
    struct watch *watch)
{
	struct str key = asked->apikey, ticket, token;

	if (key.len == 0)
		(void)http_query_get(&asked->req.query, "apikey", &key);
	if (!auth_is_anon_key(&engine->app, key))
		return ERR_INVALID_API_KEY;
	if (asked->authorization.len > 0) {
		if (!http_bearer(asked->authorization, &token))
			return ERR_UNAUTHORIZED;
		if (!auth_is_anon_key(&engine->app, token))
			return watch_authorise(engine, token, watch);
	}
	if (!http_query_get(&asked->req.query, "ticket", &ticket))
		return ERR_UNAUTHORIZED;
	return watch_authorise_ticket(engine, ticket, watch);
}

/* A new EventSource cannot set the header: it may say so in the query. */
static int64_t
last_id(const struct stream_request *asked)
{
	struct str text = asked->last_event_id;
	int64_t id;

	if (text.len == 0)
		(void)http_query_get(&asked->req.query, "last_event_id", &text);
	/* Anything else is nothing that we said: it begins with a snapshot. */
	return text.len <= EVENT_ID_BYTES_MAX &&
		str_to_int64(text, 1, INT64_MAX, &id) ?
	    id :
	    0;
}

static void
send_retry(struct conn *conn)
{
	uint32_t chance;
	struct buf text;

	random_bytes(&chance, sizeof(chance));
	buf_init(&text, 64);
	buf_appendf(&text, "retry: %u\n\n",
	    RETRY_MIN_MS + chance % RETRY_SPREAD_MS);
	conn_send(conn, buf_str(&text));
	buf_free(&text);
}

static void
send_first(void *arg, const struct feed_message *message)
{
	struct conn *conn = arg;

	static_assert(FEED_MISSED_BYTES_MAX +
		    FEED_MISSED_MAX * FRAME_BYTES_MAX <=
		CONN_QUEUE_BYTES_MAX,
	    "there is room in the line for the last that was missed");
	if (message->kind == FEED_SNAPSHOT) {
		buf_clear(&conn->out);
		send_retry(conn);
	}
	send_message(conn, message_names[message->kind], message->id,
	    message->json);
	if (message->is_over && conn->kind == CONN_JOB_STREAM)
		stream_end(conn, WATCH_JOB_OVER);
}

/* The newest ones stay: the oldest may be of a network that was left. */
static void
make_room(struct engine *engine, const struct conn *conn)
{
	struct conn *oldest;

	while (watches_conns(engine, &conn->watch.user_id, conn, &oldest) >=
	    USER_CONNS_MAX) {
		if (oldest->kind == CONN_SOCKET)
			socket_drop(oldest);
		else
			stream_end(oldest, WATCH_REPLACED);
	}
}

enum err
stream_begin(struct engine *engine, struct conn *conn, enum conn_kind kind,
    struct stream_request *asked, bool *ret_is_done)
{
	struct feed feed = { 0 };
	enum err err;

	conn->watch.lang = asked->req.lang;
	err = authorise(engine, asked, &conn->watch);
	asked->req.lang = conn->watch.lang;
	if (err != OK)
		return err;
	if (kind == CONN_JOB_STREAM) {
		if (!query_uuid(&asked->req, "job_id", &conn->job_id))
			return ERR_INVALID_REQUEST;
		feed.job_id = &conn->job_id;
	}
	feed.user_id = conn->watch.user_id;
	feed.told_id = last_id(asked);
	watch_begin(engine, &conn->watch, conn);
	conn->kind = kind;
	send_retry(conn);
	err = feed_open(&engine->app, &asked->req, &feed, send_first, conn,
	    &conn->told_id, ret_is_done);
	if (err != OK) {
		watch_stop(&conn->watch);
		conn->kind = CONN_NEW;
		buf_clear(&conn->out);
		return err;
	}
	conn->opening_bytes = conn->out.len;
	make_room(engine, conn);
	return OK;
}

void
stream_tell(struct conn *conn, struct news *news)
{
	const struct event *event = news->event;
	enum feed_kind kind = FEED_BALANCE;
	struct str json;

	/* The snapshot may be ahead of the publisher. */
	if (event->id <= conn->told_id)
		return;
	if (conn->kind == CONN_JOB_STREAM &&
	    (event->kind != EVENT_JOB ||
		!uuid_equal(&event->job_id, &conn->job_id)))
		return;
	json = news_for_stream(news, &conn->watch);
	if (json.len == 0)
		return;
	if (event->kind == EVENT_JOB)
		kind = news->is_gone ? FEED_DELETED : FEED_JOB;
	conn->told_id = event->id;
	send_message(conn, message_names[kind], event->id, json);
	if (conn->kind == CONN_JOB_STREAM && news->is_over)
		stream_end(conn, WATCH_JOB_OVER);
}
