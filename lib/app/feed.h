/* SPDX-License-Identifier: MIT */
#ifndef APP_FEED_H
#define APP_FEED_H

#include "app/app.h"
#include "domain/events.h"

/*
 * Feeds: what is told to those who watch a user, or one job of a user.
 *
 * A feed begins with the present state, or with what the reader missed since
 * the last event he was told.  Each later message carries the whole present
 * state of what it is about, so one that is told twice does no harm.
 *
 * A request of the reader gives the time, the language and the arena.
 */

/* More than this is missed by nobody who would not rather see it all. */
#define FEED_MISSED_MAX 200

/* Nor more bytes of JSON: a snapshot says it all in about as many. */
#define FEED_MISSED_BYTES_MAX ((size_t)48 * 1024)

/* A snapshot lists jobs up to this size; the client pages through the rest. */
#define FEED_SNAPSHOT_BYTES_MAX ((size_t)100 * 1024)

/* A job with a prompt of 5,000 characters, each escaped, and its link. */
#define FEED_JOB_BYTES_MAX ((size_t)36 * 1024)

/* When to poll without a feed, while nothing is being made. */
#define FEED_POLL_IDLE_MS INT64_C(30000)

enum feed_kind {
	FEED_SNAPSHOT,
	FEED_JOB,
	FEED_DELETED, /* a job went away */
	FEED_BALANCE,
};

struct feed_message {
	enum feed_kind kind;
	int64_t id; /* of the event; 0 = nothing happened yet */
	bool is_over; /* the one job of the feed has ended or is gone */
	struct str json; /* until the callback returns */
};

typedef void feed_each(void *arg, const struct feed_message *message);

struct feed {
	struct uuid user_id;
	const struct uuid *job_id; /* NULL = all jobs and the balance */
	int64_t told_id; /* the last event that the reader knows; 0 = none */
};

/*
 * The beginning of a feed: a snapshot, or what was missed.  When that turns out
 * to be too much a snapshot comes after all, in the place of what was told.
 * *ret_told_id is the newest event in it.  *ret_is_done: the reader has been
 * told that his job ended, and nothing more will come.  Errors:
 * ERR_JOB_NOT_FOUND.
 */
enum err
feed_open(struct app *app, const struct request *req, const struct feed *feed,
    feed_each *each, void *arg, int64_t *ret_told_id, bool *ret_is_done);

/*
 * Calls `each` for every event after *cursor, which it moves; all of them see
 * the same moment.  At most `max` at once; *ret_count says how many.
 */
typedef enum err feed_event(void *arg, const struct event *event);
enum err feed_read(struct app *app, size_t max, feed_event *each, void *arg,
    int64_t *cursor, size_t *ret_count);

/* The newest event of all: where a cursor starts. */
enum err feed_newest(struct app *app, int64_t *ret_id);

/*
 * Appends the present state of a job, an object as get-video-status answers
 * it, with the members wished for besides.  Errors: ERR_JOB_NOT_FOUND.
 */
struct feed_job {
	bool with_balance;
	bool with_user_id;
};

enum err feed_write_job(struct app *app, const struct request *req,
    const struct uuid *user_id, const struct uuid *job_id, struct feed_job with,
    struct buf *out, bool *ret_is_over);

/* {"credits_remaining":N} */
enum err feed_write_balance(struct app *app, const struct uuid *user_id,
    struct buf *out);

/* {"job_id":"…"}, of a job that went away. */
void feed_write_deleted(const struct uuid *job_id, struct buf *out);

#endif
