/* SPDX-License-Identifier: MIT */
#include "engine.h"

#include "base/log.h"
#include "socket.h"

#include <assert.h>

/* Routers and phone networks forget a connection that is silent. */
#define STREAM_HEARTBEAT_MS INT64_C(20000)

/* Bytes that nobody has taken for so long: the client is gone. */
#define CONN_STALL_MS INT64_C(30000)

void
conn_open(struct engine *engine, struct conn *conn, struct lws *wsi,
    enum conn_kind kind)
{
	conn->wsi = wsi;
	conn->kind = kind;
	conn->opened_ms = engine->now_monotonic_ms;
	conn->heard_ms = conn->opened_ms;
	buf_init(&conn->out, CONN_OUT_BYTES_MAX);
	conn->next = engine->conns;
	conn->link = &engine->conns;
	if (conn->next != NULL)
		conn->next->link = &conn->next;
	engine->conns = conn;
	engine->conns_count++;
}

static const char *
kind_name(enum conn_kind kind)
{
	switch (kind) {
	case CONN_JOB_STREAM:
		return "job-events";
	case CONN_USER_STREAM:
		return "user-events";
	case CONN_SOCKET:
		return "websocket";
	case CONN_NEW:
		break;
	}
	return "";
}

static void
log_conn(const struct engine *engine, const struct conn *conn)
{
	struct log log = log_begin(LOG_INFO, "stream");

	log_text(&log, "request_id", conn->request_id);
	log_text(&log, "kind", kind_name(conn->kind));
	log_int64(&log, "ms", engine->now_monotonic_ms - conn->opened_ms);
	if (conn->kind != CONN_SOCKET)
		log_uuid(&log, "user", &conn->watch.user_id);
	log_end(&log);
}

void
conn_close(struct engine *engine, struct conn *conn)
{
	address_leave(engine, conn);
	if (conn->link == NULL)
		return;
	if (conn->kind != CONN_NEW)
		log_conn(engine, conn);
	watch_stop(&conn->watch);
	if (conn->socket != NULL)
		socket_free(conn);
	*conn->link = conn->next;
	if (conn->next != NULL)
		conn->next->link = conn->link;
	conn->link = NULL;
	engine->conns_count--;
	buf_free(&conn->out);
}

/* Is there room in the line?  If not the client is too slow for us. */
static bool
make_room(struct conn *conn, size_t bytes)
{
	if (conn->is_ending)
		return false;
	if (conn->out.len - conn->sent - conn->opening_bytes >
		CONN_QUEUE_BYTES_MAX ||
	    bytes > CONN_MESSAGE_BYTES_MAX) {
		wire_kill(conn);
		return false;
	}
	/* What was sent makes room only when all was; it is little. */
	if (conn->sent > 0) {
		memmove(conn->out.ptr, conn->out.ptr + conn->sent,
		    conn->out.len - conn->sent);
		conn->out.len -= conn->sent;
		conn->sent = 0;
	}
	return true;
}

void
conn_send(struct conn *conn, struct str bytes)
{
	if (!make_room(conn, bytes.len))
		return;
	buf_append(&conn->out, bytes);
	assert(!conn->out.failed);
	wire_wake(conn);
}

void
conn_send_frame(struct conn *conn, struct str text)
{
	const uint32_t length = (uint32_t)text.len;

	if (!make_room(conn, sizeof(length) + text.len))
		return;
	buf_append(&conn->out,
	    (struct str){ (const char *)&length, sizeof(length) });
	buf_append(&conn->out, text);
	assert(!conn->out.failed);
	wire_wake(conn);
}

void
conn_end(struct conn *conn, int close_code)
{
	if (conn->is_ending)
		return;
	watch_stop(&conn->watch);
	conn->is_ending = true;
	conn->close_code = close_code;
	wire_wake(conn);
}

static void
tick_stream(struct engine *engine, struct conn *conn)
{
	if (conn->watch.link == NULL)
		return;
	if (conn->watch.expires_at_s <= engine->now_ms / 1000)
		stream_end(conn, WATCH_EXPIRED);
	else if (engine->now_monotonic_ms - conn->heard_ms >=
	    STREAM_HEARTBEAT_MS)
		stream_heartbeat(conn);
}

void
conns_tick(struct engine *engine)
{
	struct conn *next;

	for (struct conn *conn = engine->conns; conn != NULL; conn = next) {
		next = conn->next;
		if (conn->stalled_ms != 0 &&
		    engine->now_monotonic_ms - conn->stalled_ms >=
			CONN_STALL_MS)
			wire_kill(conn);
		else if (conn->kind == CONN_SOCKET)
			socket_tick(engine, conn);
		else
			tick_stream(engine, conn);
	}
	tickets_forget(engine);
}
