/* SPDX-License-Identifier: MIT */
#include "socket.h"

#include "app/auth.h"

#include <assert.h>

/* Clients send a heartbeat every 25 to 30 seconds. */
#define SOCKET_SILENCE_MS INT64_C(75000)

/* Joining all channels with three messages each, twice. */
#define SOCKET_RATE_FRAMES 200
#define SOCKET_RATE_MS INT64_C(10000)

#define TOPIC_PREFIX "realtime:"

struct channel {
	struct watch watch; /* not in the table without a user */
	struct channel *next;
	struct conn *conn;
	char topic[PHOENIX_TOPIC_BYTES_MAX + 1];
	char join_ref[PHOENIX_REF_BYTES_MAX + 1];
	bool has_join_ref;
	size_t wishes_count;
	struct phoenix_wish wish[PHOENIX_WISHES_MAX];
};

struct socket {
	enum phoenix_version version;
	struct channel *channels;
	size_t channels_count;
	struct buf frame; /* what came of the present message */
	int64_t rate_began_ms;
	int rate_frames;
};

void
socket_open(struct conn *conn, enum phoenix_version version)
{
	struct socket *socket = calloc(1, sizeof(*socket));

	if (socket == NULL)
		abort();
	socket->version = version;
	buf_init(&socket->frame, SOCKET_FRAME_BYTES_MAX);
	conn->socket = socket;
}

static void
free_channel(struct channel *channel)
{
	struct socket *socket = channel->conn->socket;
	struct channel **link = &socket->channels;

	while (*link != channel)
		link = &(*link)->next;
	*link = channel->next;
	socket->channels_count--;
	watch_stop(&channel->watch);
	free(channel);
}

void
socket_free(struct conn *conn)
{
	while (conn->socket->channels != NULL)
		free_channel(conn->socket->channels);
	buf_free(&conn->socket->frame);
	free(conn->socket);
	conn->socket = NULL;
}

/* --- what is said ------------------------------------------------------------ */

static void
say(struct conn *conn, const struct phoenix_message *message,
    struct str payload)
{
	struct buf text;

	buf_init(&text, CONN_MESSAGE_BYTES_MAX);
	phoenix_write(conn->socket->version, message, payload, &text);
	assert(!text.failed);
	conn_send_frame(conn, buf_str(&text));
	buf_free(&text);
}

static void
reply(struct conn *conn, const struct phoenix_message *to, const char *status,
    struct str response)
{
	struct phoenix_message message = *to;
	struct json_writer w;
	struct buf payload;

	message.event = STR("phx_reply");
	buf_init(&payload, CONN_MESSAGE_BYTES_MAX / 2);
	w = json_writer(&payload);
	json_begin_object(&w, NULL);
	json_text(&w, "status", status);
	json_raw(&w, "response", response);
	json_end_object(&w);
	say(conn, &message, buf_str(&payload));
	buf_free(&payload);
}

static void
refuse(struct conn *conn, const struct phoenix_message *to, const char *reason)
{
	struct json_writer w;
	struct buf response;

	buf_init(&response, 512);
	w = json_writer(&response);
	json_begin_object(&w, NULL);
	json_text(&w, "reason", reason);
	json_end_object(&w);
	reply(conn, to, "error", buf_str(&response));
	buf_free(&response);
}

static struct phoenix_message
of_channel(const struct channel *channel, struct str event)
{
	return (struct phoenix_message){
		.topic = str_from(channel->topic),
		.event = event,
		.join_ref = channel->has_join_ref ?
		    str_from(channel->join_ref) :
		    (struct str){ NULL, 0 },
	};
}

static void
say_system(const struct channel *channel, const char *extension,
    const char *status, const char *text)
{
	const struct phoenix_message message =
	    of_channel(channel, STR("system"));
	struct json_writer w;
	struct buf payload;

	buf_init(&payload, 4096);
	w = json_writer(&payload);
	json_begin_object(&w, NULL);
	json_text(&w, "extension", extension);
	json_text(&w, "status", status);
	json_text(&w, "message", text);
	json_text(&w, "channel", channel->topic + strlen(TOPIC_PREFIX));
	json_end_object(&w);
	say(channel->conn, &message, buf_str(&payload));
	buf_free(&payload);
}

/* Without this supabase-swift never frees the channel. */
static void
close_channel(struct channel *channel)
{
	struct phoenix_message message = of_channel(channel, STR("phx_close"));

	message.ref = message.join_ref;
	say(channel->conn, &message, STR("{}"));
	free_channel(channel);
}

static struct channel *
channel_of(struct watch *watch)
{
	static_assert(offsetof(struct channel, watch) == 0,
	    "a channel begins with its watch");
	return (struct channel *)watch;
}

void
socket_end_watch(struct watch *watch, const char *message)
{
	struct channel *channel = channel_of(watch);

	say_system(channel, "system", "error", message);
	close_channel(channel);
}

void
socket_drop(struct conn *conn)
{
	for (struct channel *c = conn->socket->channels; c != NULL; c = c->next)
		watch_stop(&c->watch);
	conn_end(conn, CLOSE_POLICY);
}

/* --- what is told of a row --------------------------------------------------- */

static const char columns[] =
    "[{\"name\":\"job_id\",\"type\":\"uuid\"},"
    "{\"name\":\"user_id\",\"type\":\"uuid\"},"
    "{\"name\":\"status\",\"type\":\"text\"},"
    "{\"name\":\"prompt\",\"type\":\"text\"},"
    "{\"name\":\"model_name\",\"type\":\"text\"},"
    "{\"name\":\"credits_used\",\"type\":\"int4\"},"
    "{\"name\":\"credits_refunded\",\"type\":\"int4\"},"
    "{\"name\":\"video_url\",\"type\":\"text\"},"
    "{\"name\":\"thumbnail_url\",\"type\":\"text\"},"
    "{\"name\":\"error_code\",\"type\":\"text\"},"
    "{\"name\":\"error_message\",\"type\":\"text\"},"
    "{\"name\":\"queue_position\",\"type\":\"int4\"},"
    "{\"name\":\"poll_after_ms\",\"type\":\"int4\"},"
    "{\"name\":\"created_at\",\"type\":\"timestamptz\"},"
    "{\"name\":\"completed_at\",\"type\":\"timestamptz\"}]";

static bool
wants(const struct channel *channel, size_t i, const struct event *event)
{
	const struct phoenix_wish *wish = &channel->wish[i];

	switch (wish->filter) {
	case PHOENIX_ALL_ROWS:
		return true;
	case PHOENIX_JOB:
		return uuid_equal(&wish->id, &event->job_id);
	case PHOENIX_USER:
		return uuid_equal(&wish->id, &event->user_id);
	case PHOENIX_NOTHING:
		break;
	}
	return false;
}

static void
write_change(struct json_writer *w, const struct channel *channel,
    const struct event *event, struct str record)
{
	json_begin_object(w, NULL);
	json_begin_array(w, "ids");
	for (size_t i = 0; i < channel->wishes_count; i++)
		if (wants(channel, i, event))
			json_int64(w, NULL, (int64_t)i + 1);
	json_end_array(w);
	json_begin_object(w, "data");
	json_text(w, "schema", "public");
	json_text(w, "table", "video_jobs");
	json_text(w, "type", "UPDATE");
	json_time(w, "commit_timestamp", event->created_at_ms);
	json_null(w, "errors");
	json_raw(w, "columns", str_from(columns));
	json_raw(w, "record", record);
	json_begin_object(w, "old_record");
	json_uuid(w, "job_id", &event->job_id);
	json_end_object(w);
	json_end_object(w);
	json_end_object(w);
}

void
socket_tell(struct watch *watch, struct news *news)
{
	const struct channel *channel = channel_of(watch);
	const struct event *event = news->event;
	struct phoenix_message message;
	struct json_writer w;
	struct buf payload;
	struct str record;
	bool is_wanted = false;

	for (size_t i = 0; i < channel->wishes_count; i++)
		is_wanted = is_wanted || wants(channel, i, event);
	/* The token was good when it came; it may have expired since. */
	if (!is_wanted || watch->expires_at_s <= news->now_ms / 1000)
		return;
	record = news_for_socket(news, watch);
	if (record.len == 0 || news->is_gone)
		return;
	buf_init(&payload, CONN_MESSAGE_BYTES_MAX / 2);
	w = json_writer(&payload);
	write_change(&w, channel, event, record);
	message = of_channel(channel, STR("postgres_changes"));
	say(channel->conn, &message, buf_str(&payload));
	buf_free(&payload);
}

/* --- what is heard ------------------------------------------------------------ */

static struct channel *
find(const struct conn *conn, struct str topic)
{
	struct channel *channel = conn->socket->channels;

	while (channel != NULL && !str_equal(str_from(channel->topic), topic))
		channel = channel->next;
	return channel;
}

/* The words that follow are those of Supabase's server. */
static const char *
token_reason(enum err err)
{
	switch ((int)err) {
	case ERR_TOKEN_EXPIRED:
		return "InvalidJWTToken: Token has expired";
	case ERR_USER_BANNED:
		return "Unauthorized: User is banned";
	case ERR_UNAUTHORIZED:
		return "InvalidJWTToken: Token is not valid or its session "
		       "has ended";
	default:
		return "ServiceUnavailable: Please try again";
	}
}

static struct channel *
add_channel(struct conn *conn, const struct phoenix_message *m,
    const struct phoenix_join *join)
{
	struct channel *channel = calloc(1, sizeof(*channel));

	if (channel == NULL)
		abort();
	channel->conn = conn;
	(void)str_copy(m->topic, channel->topic, sizeof(channel->topic));
	/* Version 1 of the envelope may leave it to the ref. */
	channel->has_join_ref =
	    str_copy(m->join_ref.ptr != NULL ? m->join_ref : m->ref,
		channel->join_ref, sizeof(channel->join_ref));
	channel->wishes_count = join->wishes_count;
	memcpy(channel->wish, join->wish, sizeof(channel->wish));
	channel->next = conn->socket->channels;
	conn->socket->channels = channel;
	conn->socket->channels_count++;
	return channel;
}

static void
confirm(struct channel *channel, const struct phoenix_message *m,
    const struct phoenix_join *join)
{
	bool is_served = true;
	struct json_writer w;
	struct buf response;

	buf_init(&response, CONN_MESSAGE_BYTES_MAX / 4);
	w = json_writer(&response);
	json_begin_object(&w, NULL);
	phoenix_write_changes(&w, join);
	json_end_object(&w);
	reply(channel->conn, m, "ok", buf_str(&response));
	buf_free(&response);
	for (size_t i = 0; i < join->wishes_count; i++)
		is_served =
		    is_served && join->wish[i].filter != PHOENIX_NOTHING;
	if (!is_served)
		say_system(channel, "postgres_changes", "error",
		    "Only UPDATE of public.video_jobs is served, with no "
		    "filter, job_id=eq.UUID or user_id=eq.UUID");
	else if (join->wishes_count > 0)
		say_system(channel, "postgres_changes", "ok",
		    "Subscribed to PostgreSQL");
}

static const char too_many_reason[] =
    "ConnectionRateLimitReached: Too many connected clients";

/* May this connection watch the user, too? */
static bool
has_room(struct engine *engine, const struct watch *watch,
    const struct conn *conn)
{
	struct conn *oldest;

	return watches_conns(engine, &watch->user_id, conn, &oldest) <
	    USER_CONNS_MAX;
}

static bool
has_user(const struct engine *engine, struct str token)
{
	return token.len > 0 && !auth_is_anon_key(&engine->app, token);
}

static void
join(struct engine *engine, struct conn *conn, const struct phoenix_message *m)
{
	struct channel *channel = find(conn, m->topic);
	struct phoenix_join asked;
	struct watch watch = { 0 };
	enum err err;

	/* The last one counts. */
	if (channel != NULL)
		free_channel(channel);
	if (!str_starts_with(m->topic, STR(TOPIC_PREFIX)) ||
	    m->topic.len == strlen(TOPIC_PREFIX)) {
		refuse(conn, m, "unmatched topic");
		return;
	}
	if (conn->socket->channels_count == SOCKET_CHANNELS_MAX) {
		refuse(conn, m, "ChannelRateLimitReached: Too many channels");
		return;
	}
	if (!phoenix_join_read(m->payload, &asked)) {
		refuse(conn, m, "InvalidPayload: Not a list of changes");
		return;
	}
	if (asked.is_private) {
		refuse(conn, m, "Unauthorized: There are no private channels");
		return;
	}
	if (has_user(engine, asked.access_token)) {
		err = watch_authorise(engine, asked.access_token, &watch);
		if (err != OK) {
			refuse(conn, m, token_reason(err));
			return;
		}
		if (!has_room(engine, &watch, conn)) {
			refuse(conn, m, too_many_reason);
			return;
		}
	}
	channel = add_channel(conn, m, &asked);
	if (watch.expires_at_s > 0) {
		channel->watch = watch;
		watch_begin(engine, &channel->watch, conn);
	}
	confirm(channel, m, &asked);
}

/* A new token takes the old one's place; null says nothing. */
static void
replace_token(struct engine *engine, struct channel *channel,
    const struct json *payload)
{
	struct watch watch = { 0 };
	struct str token;
	enum err err;

	if (!json_to_str(json_member(payload, "access_token"), &token))
		return;
	if (!has_user(engine, token)) {
		watch_stop(&channel->watch);
		return;
	}
	err = watch_authorise(engine, token, &watch);
	if (err == ERR_UNAUTHORIZED || err == ERR_TOKEN_EXPIRED ||
	    err == ERR_USER_BANNED) {
		socket_end_watch(&channel->watch, token_reason(err));
		return;
	}
	/* When the database does not say, the old token goes on. */
	if (err != OK)
		return;
	if (!has_room(engine, &watch, channel->conn)) {
		socket_end_watch(&channel->watch, too_many_reason);
		return;
	}
	watch_stop(&channel->watch);
	channel->watch = watch;
	watch_begin(engine, &channel->watch, channel->conn);
}

static void
leave(struct conn *conn, const struct phoenix_message *m)
{
	struct channel *channel = find(conn, m->topic);

	reply(conn, m, "ok", STR("{}"));
	if (channel != NULL)
		close_channel(channel);
}

static void
hear(struct engine *engine, struct conn *conn, const struct phoenix_message *m)
{
	struct channel *channel;

	if (str_equal(m->topic, STR("phoenix"))) {
		if (str_equal(m->event, STR("heartbeat")))
			reply(conn, m, "ok", STR("{}"));
		else
			refuse(conn, m, "unmatched topic");
		return;
	}
	if (str_equal(m->event, STR("phx_join"))) {
		join(engine, conn, m);
		return;
	}
	if (str_equal(m->event, STR("phx_leave"))) {
		leave(conn, m);
		return;
	}
	channel = find(conn, m->topic);
	if (channel == NULL)
		refuse(conn, m, "unmatched topic");
	else if (str_equal(m->event, STR("access_token")))
		replace_token(engine, channel, m->payload);
	else if (str_equal(m->event, STR("presence")) ||
	    str_equal(m->event, STR("broadcast")))
		reply(conn, m, "ok", STR("{}"));
	else
		refuse(conn, m, "unknown event");
}

static bool
is_too_fast(const struct engine *engine, struct socket *socket)
{
	if (engine->now_monotonic_ms - socket->rate_began_ms > SOCKET_RATE_MS) {
		socket->rate_began_ms = engine->now_monotonic_ms;
		socket->rate_frames = 0;
	}
	return ++socket->rate_frames > SOCKET_RATE_FRAMES;
}

void
socket_receive(struct engine *engine, struct conn *conn, struct str part,
    bool is_binary, bool is_last)
{
	struct socket *socket = conn->socket;
	struct phoenix_message message;

	conn->heard_ms = engine->now_monotonic_ms;
	if (conn->is_ending)
		return;
	if (is_binary) {
		conn_end(conn, CLOSE_UNSUPPORTED);
		return;
	}
	buf_append(&socket->frame, part);
	if (socket->frame.failed) {
		conn_end(conn, CLOSE_TOO_BIG);
		return;
	}
	if (!is_last)
		return;
	if (is_too_fast(engine, socket))
		conn_end(conn, CLOSE_POLICY);
	else if (phoenix_parse(&engine->arena, socket->version,
		     buf_str(&socket->frame), &message))
		hear(engine, conn, &message);
	else
		conn_end(conn, CLOSE_INVALID);
	/* An idle socket keeps no memory for its next message. */
	buf_free(&socket->frame);
	buf_init(&socket->frame, SOCKET_FRAME_BYTES_MAX);
}

void
socket_tick(struct engine *engine, struct conn *conn)
{
	struct channel *next;

	if (engine->now_monotonic_ms - conn->heard_ms > SOCKET_SILENCE_MS)
		conn_end(conn, CLOSE_GOING_AWAY);
	for (struct channel *c = conn->socket->channels; c != NULL; c = next) {
		next = c->next;
		if (c->watch.link != NULL &&
		    c->watch.expires_at_s <= engine->now_ms / 1000)
			socket_end_watch(&c->watch, "Access token has expired");
	}
}
