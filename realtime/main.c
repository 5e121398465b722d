/* SPDX-License-Identifier: MIT */
/*
 * rendio-realtime -- tells phones what happens, while it happens.
 *
 * The router hands over, on the socket that is our standard input and in
 * headers of its own, what begins as /job-events, /user-events or /websocket.
 * Nothing here writes to the database, and whoever kills this process only
 * makes clients come back.
 */

#include "engine.h"

#include "app/auth.h"
#include "app/nudge.h"
#include "app/state.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "power.h"
#include "reply.h"
#include "socket.h"
#include "watchdog.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <libwebsockets.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* Bytes that are handed to the kernel at once. */
#define CHUNK_BYTES_MAX ((size_t)16 * 1024)

/* What the kernel may keep of a client that does not read. */
#define SEND_BUFFER_BYTES 16384

/* The router's headers: a token, a query, and what it adds. */
#define HEAD_BYTES_MAX 20480

/* Requests whose headers are being read at the same time. */
#define HEADS_MAX 256

/* Supervisors restart at once; one that cannot start must not spin. */
#define RESTART_DELAY_S 1

/* How long who came in before we were asked to leave has for its request. */
#define LEAVE_MS 300

/* A message with the room that the library wants before it. */
static unsigned char scratch[LWS_PRE + CONN_MESSAGE_BYTES_MAX];

static struct engine *
engine_of(struct lws *wsi)
{
	struct engine *engine = lws_context_user(lws_get_context(wsi));

	engine->now_ms = clock_now_ms();
	engine->now_monotonic_ms = clock_monotonic_us() / 1000;
	arena_reset(&engine->arena);
	return engine;
}

void
wire_wake(struct conn *conn)
{
	if (conn->stalled_ms == 0)
		conn->stalled_ms = clock_monotonic_us() / 1000;
	(void)lws_callback_on_writable(conn->wsi);
}

void
wire_kill(struct conn *conn)
{
	lws_set_timeout(conn->wsi, PENDING_TIMEOUT_USER_REASON_BASE,
	    LWS_TO_KILL_ASYNC);
}

/* --- what the router says of a request --------------------------------------- */

static struct str
header(struct engine *engine, struct lws *wsi, const char *name)
{
	const int name_length = (int)strlen(name);
	const int n = lws_hdr_custom_length(wsi, name, name_length);
	char *value;

	if (n <= 0)
		return STR("");
	value = arena_alloc(&engine->arena, (size_t)n + 1);
	if (lws_hdr_custom_copy(wsi, value, n + 1, name, name_length) < 0)
		return STR("");
	return (struct str){ value, (size_t)n };
}

static bool
read_request(struct engine *engine, struct lws *wsi,
    struct stream_request *asked)
{
	*asked = (struct stream_request){
		.req = {
			.arena = &engine->arena,
			.method = HTTP_GET,
			.now_ms = engine->now_ms,
			.lang = lang_negotiate(
			    header(engine, wsi, "x-rendio-language:")),
			.request_id = header(engine, wsi,
			    "x-rendio-request-id:"),
			.remote_address = header(engine, wsi,
			    "x-rendio-address:"),
		},
		.apikey = header(engine, wsi, "x-rendio-apikey:"),
		.authorization = header(engine, wsi, "x-rendio-authorization:"),
		.last_event_id = header(engine, wsi, "x-rendio-last-event-id:"),
	};
	return http_query_parse(&engine->arena,
	    header(engine, wsi, "x-rendio-query:"), &asked->req.query);
}

/* --- streams --------------------------------------------------------------------- */

/* A router that does not read is noticed early. */
static void
bound_kernel_memory(struct lws *wsi)
{
	const int bytes = SEND_BUFFER_BYTES;

	(void)setsockopt(lws_get_socket_fd(wsi), SOL_SOCKET, SO_SNDBUF, &bytes,
	    sizeof(bytes));
}

/*
 * Once an answer has begun this version of the library does not look at its
 * client any more, and would never find out that it has gone.
 */
static void
watch_hangup(struct engine *engine, struct conn *conn)
{
	struct epoll_event event = {
		.events = EPOLLRDHUP | EPOLLONESHOT,
		.data.ptr = conn,
	};

	(void)epoll_ctl(engine->hangup_fd, EPOLL_CTL_ADD,
	    lws_get_socket_fd(conn->wsi), &event);
}

static int
open_stream(struct engine *engine, struct lws *wsi, struct conn *conn,
    struct str path)
{
	struct stream_request asked;
	struct reply_head head;
	enum conn_kind kind;
	bool is_done = false;
	enum err err;

	if (!read_request(engine, wsi, &asked))
		return reply_refuse(engine, wsi, &asked.req,
		    ERR_INVALID_REQUEST);
	if (str_equal(path, STR("/job-events")))
		kind = CONN_JOB_STREAM;
	else if (str_equal(path, STR("/user-events")))
		kind = CONN_USER_STREAM;
	else /* a websocket's path, but no upgrade */
		return reply_refuse(engine, wsi, &asked.req,
		    ERR_INVALID_REQUEST);
	if (!address_enter(engine, asked.req.remote_address, conn))
		return reply_refuse(engine, wsi, &asked.req, ERR_RATE_LIMITED);
	conn_open(engine, conn, wsi, CONN_NEW);
	(void)str_copy(asked.req.request_id, conn->request_id,
	    sizeof(conn->request_id));
	err = stream_begin(engine, conn, kind, &asked, &is_done);
	if (err != OK)
		return reply_refuse(engine, wsi, &asked.req, err);
	if (is_done) {
		/* This status alone makes an EventSource give up for good. */
		reply_begin(&head, wsi, 204, NULL, 0);
		(void)reply_send(&head);
		return -1;
	}
	reply_begin(&head, wsi, 200, "text/event-stream",
	    LWS_ILLEGAL_HTTP_CONTENT_LEN);
	if (!reply_send(&head))
		return -1;
	bound_kernel_memory(wsi);
	/* Its headers' memory goes back, and no timer ends it. */
	(void)lws_http_headers_detach(wsi);
	lws_set_timeout(wsi, NO_PENDING_TIMEOUT, 0);
	watch_hangup(engine, conn);
	wire_wake(conn);
	return 0;
}

static void
sent(struct engine *engine, struct conn *conn, size_t n)
{
	conn->sent += n;
	conn->opening_bytes -=
	    n < conn->opening_bytes ? n : conn->opening_bytes;
	conn->stalled_ms = engine->now_monotonic_ms;
	if (conn->kind != CONN_SOCKET)
		conn->heard_ms = engine->now_monotonic_ms;
	if (conn->sent < conn->out.len) {
		(void)lws_callback_on_writable(conn->wsi);
		return;
	}
	/* Most connections are idle: they keep no memory for it. */
	buf_free(&conn->out);
	buf_init(&conn->out, CONN_OUT_BYTES_MAX);
	conn->sent = 0;
	conn->stalled_ms = 0;
}

static int
flush_stream(struct engine *engine, struct conn *conn)
{
	const size_t left = conn->out.len - conn->sent;
	const size_t n = left < CHUNK_BYTES_MAX ? left : CHUNK_BYTES_MAX;

	if (n > 0) {
		memcpy(scratch + LWS_PRE, conn->out.ptr + conn->sent, n);
		if (lws_write(conn->wsi, scratch + LWS_PRE, n, LWS_WRITE_HTTP) <
		    0)
			return -1;
		sent(engine, conn, n);
	}
	return conn->is_ending && conn->out.len == 0 ? -1 : 0;
}

/* --- sockets ---------------------------------------------------------------------- */

/* Before the upgrade: what is wrong is answered in plain HTTP. */
static int
check_socket(struct engine *engine, struct lws *wsi)
{
	struct stream_request asked;
	enum phoenix_version version;
	struct str key = STR(""), text = STR("");

	if (!read_request(engine, wsi, &asked))
		return reply_refuse(engine, wsi, &asked.req,
		    ERR_INVALID_REQUEST);
	(void)http_query_get(&asked.req.query, "apikey", &key);
	if (key.len == 0)
		key = asked.apikey;
	if (!auth_is_anon_key(&engine->app, key))
		return reply_refuse(engine, wsi, &asked.req,
		    ERR_INVALID_API_KEY);
	(void)http_query_get(&asked.req.query, "vsn", &text);
	if (!phoenix_version_parse(text, &version))
		return reply_refuse(engine, wsi, &asked.req,
		    ERR_INVALID_REQUEST);
	if (!address_has_room(engine, asked.req.remote_address))
		return reply_refuse(engine, wsi, &asked.req, ERR_RATE_LIMITED);
	return 0;
}

static int
open_socket(struct engine *engine, struct lws *wsi, struct conn *conn)
{
	enum phoenix_version version = PHOENIX_1;
	struct stream_request asked;
	struct str text = STR("");

	*conn = (struct conn){ 0 };
	if (!read_request(engine, wsi, &asked) ||
	    !address_enter(engine, asked.req.remote_address, conn))
		return -1;
	(void)http_query_get(&asked.req.query, "vsn", &text);
	(void)phoenix_version_parse(text, &version);
	conn_open(engine, conn, wsi, CONN_SOCKET);
	(void)str_copy(asked.req.request_id, conn->request_id,
	    sizeof(conn->request_id));
	socket_open(conn, version);
	bound_kernel_memory(wsi);
	return 0;
}

static int
flush_socket(struct engine *engine, struct conn *conn)
{
	uint32_t n;

	if (conn->out.len > 0) {
		memcpy(&n, conn->out.ptr + conn->sent, sizeof(n));
		memcpy(scratch + LWS_PRE,
		    conn->out.ptr + conn->sent + sizeof(n), n);
		if (lws_write(conn->wsi, scratch + LWS_PRE, n, LWS_WRITE_TEXT) <
		    (int)n)
			return -1;
		sent(engine, conn, sizeof(n) + n);
	}
	if (!conn->is_ending || conn->out.len > 0)
		return 0;
	lws_close_reason(conn->wsi, (enum lws_close_status)conn->close_code,
	    NULL, 0);
	return -1;
}

/* --- what libwebsockets calls ------------------------------------------------------ */

static int
on_connection(struct lws *wsi, enum lws_callback_reasons reason, void *user,
    void *in, size_t length)
{
	struct conn *conn = user;

	switch ((int)reason) {
	case LWS_CALLBACK_HTTP:
		return open_stream(engine_of(wsi), wsi, conn,
		    (struct str){ in, length });
	case LWS_CALLBACK_HTTP_WRITEABLE:
		return flush_stream(engine_of(wsi), conn);
	case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION:
		return check_socket(engine_of(wsi), wsi);
	case LWS_CALLBACK_ESTABLISHED:
		return open_socket(engine_of(wsi), wsi, conn);
	case LWS_CALLBACK_RECEIVE:
		socket_receive(engine_of(wsi), conn, (struct str){ in, length },
		    lws_frame_is_binary(wsi),
		    lws_is_final_fragment(wsi) &&
			lws_remaining_packet_payload(wsi) == 0);
		return 0;
	case LWS_CALLBACK_SERVER_WRITEABLE:
		return flush_socket(engine_of(wsi), conn);
	case LWS_CALLBACK_CLOSED:
	case LWS_CALLBACK_CLOSED_HTTP:
	case LWS_CALLBACK_HTTP_DROP_PROTOCOL:
	case LWS_CALLBACK_WS_SERVER_DROP_PROTOCOL:
		if (conn != NULL)
			conn_close(engine_of(wsi), conn);
		return 0;
	default:
		return 0;
	}
}

static int
on_nudge(struct lws *wsi, enum lws_callback_reasons reason, void *user,
    void *in, size_t length)
{
	(void)user, (void)in, (void)length;
	if (reason == LWS_CALLBACK_RAW_RX_FILE) {
		nudge_swallow(lws_get_socket_fd(wsi));
		publish(engine_of(wsi));
	}
	return 0;
}

static int
on_hangup(struct lws *wsi, enum lws_callback_reasons reason, void *user,
    void *in, size_t length)
{
	struct epoll_event events[64];
	int n;

	(void)user, (void)in, (void)length;
	if (reason != LWS_CALLBACK_RAW_RX_FILE)
		return 0;
	/* A connection that was closed is not in the set any more. */
	n = epoll_wait(lws_get_socket_fd(wsi), events, 64, 0);
	/* At once: until then it would wake the loop again and again. */
	for (int i = 0; i < n; i++) {
		const struct conn *conn = events[i].data.ptr;

		lws_set_timeout(conn->wsi, PENDING_TIMEOUT_USER_REASON_BASE,
		    LWS_TO_KILL_SYNC);
	}
	return 0;
}

/* The socket that came as our standard input, which outlives us. */
static int
on_door(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
    size_t length)
{
	int fd;

	(void)user, (void)in, (void)length;
	if (reason != LWS_CALLBACK_RAW_RX_FILE)
		return 0;
	if (engine_of(wsi)->is_closed)
		return -1;
	while ((fd = accept4(STDIN_FILENO, NULL, NULL,
		    SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
		if (lws_adopt_socket_vhost(lws_get_vhost(wsi), fd) == NULL)
			(void)close(fd);
	return 0;
}

static void
leave(lws_sorted_usec_list_t *timer)
{
	(void)timer;
	exit(0);
}

static int
on_signal(struct lws *wsi, enum lws_callback_reasons reason, void *user,
    void *in, size_t length)
{
	static lws_sorted_usec_list_t timer;

	(void)user, (void)in, (void)length;
	if (reason != LWS_CALLBACK_RAW_RX_FILE)
		return 0;
	/*
	 * Streams need not be brought to an end, their clients come back; but
	 * who has just come in gets an answer.  Others wait at the door for
	 * the next of us.
	 */
	engine_of(wsi)->is_closed = true;
	lws_sul_schedule(lws_get_context(wsi), 0, &timer, leave,
	    LEAVE_MS * LWS_US_PER_MS);
	return -1;
}

static const struct lws_protocols protocols[] = {
	{ "realtime", on_connection, sizeof(struct conn), 4096, 0, NULL, 0 },
	{ "nudge", on_nudge, 0, 0, 0, NULL, 0 },
	{ "hangup", on_hangup, 0, 0, 0, NULL, 0 },
	{ "signal", on_signal, 0, 0, 0, NULL, 0 },
	{ "door", on_door, 0, 0, 0, NULL, 0 },
	{ NULL, NULL, 0, 0, 0, NULL, 0 },
};

struct ticker {
	lws_sorted_usec_list_t timer;
	struct lws_context *context;
	int watchdog_fd;
};

static void
on_tick(lws_sorted_usec_list_t *timer)
{
	struct ticker *ticker = (struct ticker *)timer;
	struct engine *engine = lws_context_user(ticker->context);

	static_assert(offsetof(struct ticker, timer) == 0,
	    "a ticker begins with its timer");
	engine->now_ms = clock_now_ms();
	engine->now_monotonic_ms = clock_monotonic_us() / 1000;
	arena_reset(&engine->arena);
	publish_check(engine);
	publish(engine);
	conns_tick(engine);
	metric_set(metrics_find(METRIC_CONNECTIONS, ""), 0,
	    (int64_t)engine->conns_count);
	metric_set(metrics_find(METRIC_HEARTBEATS, "realtime"), 0,
	    engine->now_ms);
	watchdog_feed(ticker->watchdog_fd);
	lws_sul_schedule(ticker->context, 0, &ticker->timer, on_tick,
	    ENGINE_TICK_MS * 1000);
}

static void
log_library(int level, const char *line)
{
	(void)level;
	log_line(LOG_ERROR, "libwebsockets", "problem", line);
}

/* --- start ------------------------------------------------------------------------- */

static struct lws_context *
make_context(struct engine *engine)
{
	struct lws_context_creation_info info = {
		.port = CONTEXT_PORT_NO_LISTEN_SERVER,
		.protocols = protocols,
		.options =
		    LWS_SERVER_OPTION_LIBEV | LWS_SERVER_OPTION_DISABLE_IPV6,
		.max_http_header_data = HEAD_BYTES_MAX,
		.max_http_header_pool = HEADS_MAX,
		.user = engine,
		.timeout_secs = 15,
	};

	lws_set_log_level(LLL_ERR, log_library);
	return lws_create_context(&info);
}

static bool
watch_file(struct lws_context *context, int fd, const char *protocol)
{
	const lws_sock_file_fd_type file = {
		.filefd = (lws_filefd_type)(long long)fd,
	};

	return fd >= 0 &&
	    lws_adopt_descriptor_vhost(lws_get_vhost_by_name(context,
					   "default"),
		LWS_ADOPT_RAW_FILE_DESC, file, protocol, NULL) != NULL;
}

/* Until a signal; it returns only when it cannot. */
static void
serve(struct engine *engine, sigset_t *signals)
{
	struct ticker ticker = { .watchdog_fd = watchdog_open() };

	ticker.context = make_context(engine);
	engine->hangup_fd = epoll_create1(EPOLL_CLOEXEC);
	if (ticker.context == NULL ||
	    fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK) != 0 ||
	    !watch_file(ticker.context, STDIN_FILENO, "door") ||
	    !watch_file(ticker.context, engine->hangup_fd, "hangup") ||
	    !watch_file(ticker.context,
		nudge_receiver(&engine->app.config, NUDGE_REALTIME), "nudge") ||
	    !watch_file(ticker.context,
		signalfd(-1, signals, SFD_CLOEXEC | SFD_NONBLOCK), "signal")) {
		log_line(LOG_ERROR, "start", "problem", strerror(errno));
		return;
	}
	lws_sul_schedule(ticker.context, 0, &ticker.timer, on_tick, 1);
	while (lws_service(ticker.context, 0) >= 0)
		continue;
}

int
main(void)
{
	static struct engine engine;
	struct state state;
	struct buf problem;
	sigset_t signals;

	log_program("realtime");
	power_give_up();
	(void)signal(SIGPIPE, SIG_IGN);
	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGTERM);
	(void)sigaddset(&signals, SIGINT);
	(void)sigprocmask(SIG_BLOCK, &signals, NULL);
	buf_init(&problem, 8192);
	if (!state_open(&state, STATE_STREAMS, &problem)) {
		log_line(LOG_ERROR, "start", "problem", problem.ptr);
		(void)sleep(RESTART_DELAY_S);
		return 1;
	}
	engine.app = (struct app){
		.endpoint = reply_endpoint(),
		.config = state.config,
		.keys = state.keys,
		.db = state.db,
		.nudge_fd = -1,
	};
	engine.started_ms = clock_now_ms();
	arena_init(&engine.arena, ENGINE_ARENA_BYTES);
	buf_init(&engine.text, CONN_MESSAGE_BYTES_MAX);
	state_open_metrics(&state.config);
	if (publish_begin(&engine) == OK)
		serve(&engine, &signals);
	(void)sleep(RESTART_DELAY_S);
	return 1;
}
