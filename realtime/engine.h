/* SPDX-License-Identifier: MIT */
#ifndef REALTIME_ENGINE_H
#define REALTIME_ENGINE_H

#include "app/feed.h"

/*
 * The realtime engine: one process behind the router that holds every long
 * connection, streams (SSE) and Supabase's websocket alike.
 *
 * The events table is the truth, not this memory.  The engine reads what is
 * newer than its cursor whenever it is nudged and at every tick, finds who
 * watches the users concerned, and tells them the present state.  So a lost
 * nudge costs a moment and a restart costs nothing: whoever returns is told
 * the present state, or all that is newer than the last id they name.
 *
 * HTTP and RFC 6455 are libwebsockets' business; main.c and
 * reply.c speak to it.
 */

struct lws;
struct conn;

/* One look at the database, as long as it lasts: see jobs_get(). */
#define ENGINE_ARENA_BYTES ((size_t)8 * 1024 * 1024)

/* Lost nudges are made good this often; heartbeats and ends keep this time. */
#define ENGINE_TICK_MS INT64_C(500)

/*
 * What may wait for a slow client behind a stream's beginning.  That may be
 * longer; while it moves, its length is not held against the client.  Past this
 * it is dropped and resumes when it returns; a phone that reads at all is never
 * this far behind.
 */
#define CONN_QUEUE_BYTES_MAX ((size_t)64 * 1024)

/* The opening, the queue, one more message (a long prompt, escaped)… */
#define CONN_MESSAGE_BYTES_MAX ((size_t)128 * 1024)
#define CONN_OUT_BYTES_MAX (CONN_QUEUE_BYTES_MAX + 2 * CONN_MESSAGE_BYTES_MAX)

/* Phones, tablets and tabs of one person; then the oldest one goes. */
#define USER_CONNS_MAX 8

/*
 * A watch: somebody who is told what happens to a user, as long as the token
 * that he showed is good.
 */
struct watch {
	struct watch *next; /* of the same bucket */
	struct watch **link; /* what points at us; NULL = not in the table */
	struct conn *conn;
	struct uuid user_id;
	struct uuid session_id;
	int64_t expires_at_s;
	enum lang lang;
};

/* Why a watch ends; the word that the client is told. */
enum watch_end {
	WATCH_JOB_OVER,
	WATCH_SIGNED_OUT,
	WATCH_EXPIRED,
	WATCH_REPLACED,
};

/* One event, put into words for those who watch; see publish.c. */
struct news {
	struct engine *engine;
	const struct event *event;
	int64_t now_ms;
	enum lang lang;
	bool has_stream_text, has_record_text;
	bool is_gone; /* the job was deleted */
	bool is_over; /* the job has ended, or is gone */
	struct buf stream_text; /* the data of a stream's message */
	struct buf record_text; /* the row for Supabase's clients */
};

enum conn_kind {
	CONN_NEW, /* not decided yet, or refused */
	CONN_JOB_STREAM,
	CONN_USER_STREAM,
	CONN_SOCKET,
};

/* One connection; libwebsockets owns the memory. */
struct conn {
	struct lws *wsi;
	enum conn_kind kind;
	struct conn *next;
	struct conn **link;
	struct address *address;
	struct buf out; /* what waits to be sent */
	size_t sent; /* of it */
	size_t opening_bytes; /* of a stream's beginning, not yet sent */
	bool is_ending; /* closed when `out` is empty */
	int close_code; /* of a socket that is ending */
	int64_t opened_ms; /* these two are monotonic */
	int64_t heard_ms; /* a socket's last frame; a stream's last bytes */
	int64_t
	    stalled_ms; /* since when `out` has not moved; 0 = it is empty */
	char request_id[48];
	/* Streams. */
	struct watch watch;
	struct uuid job_id;
	int64_t told_id; /* the newest event that was told */
	/* Sockets. */
	struct socket *socket;
};

/* How many connections an address has. */
struct address {
	struct address *next;
	size_t conns_count;
	char name[];
};

#define ENGINE_BUCKETS 16384 /* a power of two: users and addresses */
#define TICKET_BUCKETS 256

struct used_ticket {
	struct used_ticket *next;
	struct uuid id;
	int64_t expires_at_ms;
};

struct engine {
	struct app app;
	struct arena arena; /* until the present callback returns */
	struct buf text; /* a message in the making */
	int64_t now_ms; /* of the present callback */
	int64_t now_monotonic_ms;
	struct conn *conns;
	size_t conns_count;
	struct watch *watches[ENGINE_BUCKETS];
	struct address *addresses[ENGINE_BUCKETS];
	struct used_ticket *tickets[TICKET_BUCKETS];
	int hangup_fd; /* of epoll(7): streams whose client goes */
	int64_t cursor; /* the newest event that was read */
	int64_t started_ms;
	bool is_closed; /* nobody comes in any more */
};

/* --- watches.c: who watches whom ------------------------------------------ */

/*
 * Reads an access token into the watch (not its lists).  Errors:
 * ERR_UNAUTHORIZED, ERR_TOKEN_EXPIRED, ERR_USER_BANNED and the database's.
 */
enum err
watch_authorise(struct engine *engine, struct str token, struct watch *watch);

/* The same by a ticket, which is used up. */
enum err watch_authorise_ticket(struct engine *engine, struct str ticket,
    struct watch *watch);

/* Is the session alive and its user welcome?  OK or one of the above. */
enum err watch_check(struct engine *engine, struct watch *watch);

void watch_begin(struct engine *engine, struct watch *watch, struct conn *conn);
void watch_stop(struct watch *watch);

/* The bucket in which a user's watches are, among others'. */
struct watch **watches_of(struct engine *engine, const struct uuid *user_id);

/* Other connections that watch this user, and the oldest of them. */
size_t watches_conns(struct engine *engine, const struct uuid *user_id,
    const struct conn *but, struct conn **ret_oldest);

/* Is there room for another connection of this address? */
bool address_has_room(struct engine *engine, struct str name);

/* The same; if so it counts. */
bool address_enter(struct engine *engine, struct str name, struct conn *conn);
void address_leave(struct engine *engine, struct conn *conn);

/* Forgets the tickets that are too old to be shown again. */
void tickets_forget(struct engine *engine);

/* --- publish.c: from the log of events to who watches ------------------------ */

/* Sets the cursor at the end of the log. */
enum err publish_begin(struct engine *engine);

/* Tells all that is newer than the cursor. */
void publish(struct engine *engine);

/* A log that is shorter than our cursor is another one: all begin anew. */
void publish_check(struct engine *engine);

/* The words, made when first asked for, in the language of the watch. */
struct str news_for_stream(struct news *news, const struct watch *watch);
struct str news_for_socket(struct news *news, const struct watch *watch);

/* --- conn.c: what all connections have in common ----------------------------- */

void conn_open(struct engine *engine, struct conn *conn, struct lws *wsi,
    enum conn_kind kind);
void conn_close(struct engine *engine, struct conn *conn);

/* Appends bytes to be sent; a client that is too far behind is dropped. */
void conn_send(struct conn *conn, struct str bytes);

/*
 * The same for a frame of a socket: a line of them is kept, each behind its
 * length, an uint32_t.
 */
void conn_send_frame(struct conn *conn, struct str text);

/* Closes when everything is sent. */
void conn_end(struct conn *conn, int close_code);

/* Heartbeats, expired tokens, silent sockets: twice a second. */
void conns_tick(struct engine *engine);

/* --- stream.c: Server-Sent Events --------------------------------------------- */

/* What is asked for, as the router hands it over. */
struct stream_request {
	struct request req;
	struct str apikey;
	struct str authorization;
	struct str last_event_id;
};

/*
 * Decides on a stream: OK, and the first message waits in conn->out; or an
 * error, and nothing was begun.  *ret_is_done: the job's end was told before,
 * there is nothing more to come.
 */
enum err stream_begin(struct engine *engine, struct conn *conn,
    enum conn_kind kind, struct stream_request *asked, bool *ret_is_done);

void stream_tell(struct conn *conn, struct news *news);
void stream_end(struct conn *conn, enum watch_end why);
void stream_heartbeat(struct conn *conn);

/* --- main.c: what libwebsockets is asked for ----------------------------------- */

/* Sends soon what waits in conn->out, or closes when it ends. */
void wire_wake(struct conn *conn);

/* Closes at the next turn, whatever waits. */
void wire_kill(struct conn *conn);

#endif
