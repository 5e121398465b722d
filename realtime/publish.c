/* SPDX-License-Identifier: MIT */
#include "engine.h"

#include "base/log.h"
#include "socket.h"

/* Events of one look: it holds the database's log back while it lasts. */
#define PUBLISH_EVENTS_MAX 256

enum err
publish_begin(struct engine *engine)
{
	return feed_newest(&engine->app, &engine->cursor);
}

static void
forget_words(struct news *news, enum lang lang)
{
	news->lang = lang;
	news->has_stream_text = false;
	news->has_record_text = false;
}

/* False when there are no words for it; then a reader sees it when he asks. */
static bool
write_job(struct news *news, const struct watch *watch, struct feed_job with,
    struct buf *out)
{
	const struct request req = {
		.now_ms = news->now_ms,
		.lang = watch->lang,
	};
	enum err err;

	buf_clear(out);
	err = feed_write_job(&news->engine->app, &req, &watch->user_id,
	    &news->event->job_id, with, out, &news->is_over);
	if (err == ERR_JOB_NOT_FOUND) {
		buf_clear(out);
		feed_write_deleted(&news->event->job_id, out);
		news->is_gone = true;
		news->is_over = true;
		err = OK;
	}
	return err == OK && !out->failed;
}

struct str
news_for_stream(struct news *news, const struct watch *watch)
{
	const struct feed_job with = { .with_balance = true };
	bool ok = true;

	if (watch->lang != news->lang)
		forget_words(news, watch->lang);
	if (!news->has_stream_text && news->event->kind == EVENT_JOB) {
		ok = write_job(news, watch, with, &news->stream_text);
	} else if (!news->has_stream_text) {
		buf_clear(&news->stream_text);
		ok = feed_write_balance(&news->engine->app, &watch->user_id,
			 &news->stream_text) == OK;
	}
	news->has_stream_text = ok;
	return ok ? buf_str(&news->stream_text) : STR("");
}

struct str
news_for_socket(struct news *news, const struct watch *watch)
{
	const struct feed_job with = { .with_user_id = true };

	if (watch->lang != news->lang)
		forget_words(news, watch->lang);
	if (!news->has_record_text)
		news->has_record_text =
		    write_job(news, watch, with, &news->record_text);
	return news->has_record_text ? buf_str(&news->record_text) : STR("");
}

static void
tell_watch(struct engine *engine, struct watch *watch, struct news *news)
{
	struct conn *conn = watch->conn;

	if (news->event->kind == EVENT_SESSION) {
		const enum err err = watch_check(engine, watch);

		/* When the database does not say, the token's end will. */
		if (err != ERR_UNAUTHORIZED && err != ERR_USER_BANNED)
			return;
		if (conn->kind == CONN_SOCKET)
			socket_end_watch(watch, "Session has ended");
		else
			stream_end(conn, WATCH_SIGNED_OUT);
	} else if (conn->kind != CONN_SOCKET) {
		stream_tell(conn, news);
	} else if (news->event->kind == EVENT_JOB) {
		socket_tell(watch, news);
	}
}

static enum err
tell_event(void *arg, const struct event *event)
{
	struct engine *engine = arg;
	struct news news = {
		.engine = engine,
		.event = event,
		.now_ms = engine->now_ms,
	};
	struct watch *next;

	buf_init(&news.stream_text, FEED_JOB_BYTES_MAX);
	buf_init(&news.record_text, FEED_JOB_BYTES_MAX);
	for (struct watch *watch = *watches_of(engine, &event->user_id);
	     watch != NULL; watch = next) {
		next = watch->next;
		if (uuid_equal(&watch->user_id, &event->user_id))
			tell_watch(engine, watch, &news);
	}
	buf_free(&news.stream_text);
	buf_free(&news.record_text);
	return OK;
}

void
publish(struct engine *engine)
{
	size_t count;

	do {
		/* The next tick tries again; what went wrong was logged. */
		if (feed_read(&engine->app, PUBLISH_EVENTS_MAX, tell_event,
			engine, &engine->cursor, &count) != OK)
			return;
	} while (count == PUBLISH_EVENTS_MAX);
}

void
publish_check(struct engine *engine)
{
	struct conn *next;
	int64_t newest;

	if (feed_newest(&engine->app, &newest) != OK ||
	    newest >= engine->cursor)
		return;
	log_line(LOG_WARNING, "events_went_back", "then",
	    "all streams begin anew");
	engine->cursor = newest;
	for (struct conn *conn = engine->conns; conn != NULL; conn = next) {
		next = conn->next;
		wire_kill(conn);
	}
}
