/* SPDX-License-Identifier: MIT */
#include "app/feed.h"
#include "app/view.h"
#include "domain/credits.h"
#include "store/db.h"

#include <assert.h>

#define FEED_EVENTS_MAX 512

struct page {
	struct app *app;
	const struct request *req;
	struct json_writer *w;
	bool with_user_id;
	bool is_over;
	int64_t open_count;
	struct uuid last_id; /* of the list */
	bool is_cut;
};

static enum err
write_members(void *arg, const struct job *job)
{
	struct page *page = arg;

	view_job(page->app, page->req, page->w, job, true);
	if (page->with_user_id)
		json_uuid(page->w, "user_id", &job->user_id);
	page->is_over = job_is_over(job->state);
	return OK;
}

enum err
feed_write_job(struct app *app, const struct request *req,
    const struct uuid *user_id, const struct uuid *job_id, struct feed_job with,
    struct buf *out, bool *ret_is_over)
{
	struct json_writer w = json_writer(out);
	struct page page = {
		.app = app,
		.req = req,
		.w = &w,
		.with_user_id = with.with_user_id,
	};
	int64_t credits;
	enum err err;

	json_begin_object(&w, NULL);
	err = jobs_get(app->db, user_id, job_id, write_members, &page);
	if (err == OK && with.with_balance) {
		err = credits_balance(app->db, user_id, &credits);
		if (err == OK)
			json_int64(&w, "credits_remaining", credits);
	}
	if (err != OK)
		return err;
	json_end_object(&w);
	*ret_is_over = page.is_over;
	return OK;
}

enum err
feed_write_balance(struct app *app, const struct uuid *user_id, struct buf *out)
{
	struct json_writer w = json_writer(out);
	int64_t credits;
	const enum err err = credits_balance(app->db, user_id, &credits);

	if (err != OK)
		return err;
	json_begin_object(&w, NULL);
	json_int64(&w, "credits_remaining", credits);
	json_end_object(&w);
	return OK;
}

void
feed_write_deleted(const struct uuid *job_id, struct buf *out)
{
	struct json_writer w = json_writer(out);

	json_begin_object(&w, NULL);
	json_uuid(&w, "job_id", job_id);
	json_end_object(&w);
}

static enum err
write_listed(void *arg, const struct job *job)
{
	struct page *page = arg;

	if (page->w->buf->len > FEED_SNAPSHOT_BYTES_MAX - FEED_JOB_BYTES_MAX)
		page->is_cut = true;
	if (page->is_cut)
		return OK;
	json_begin_object(page->w, NULL);
	view_job(page->app, page->req, page->w, job, true);
	json_end_object(page->w);
	page->open_count += !job_is_over(job->state);
	page->last_id = job->id;
	return OK;
}

/* All jobs, newest first, and the balance. */
static enum err
write_user(struct app *app, const struct request *req,
    const struct uuid *user_id, struct buf *out)
{
	struct json_writer w = json_writer(out);
	struct page page = { .app = app, .req = req, .w = &w };
	int64_t credits;
	enum err err;

	err = credits_balance(app->db, user_id, &credits);
	if (err != OK)
		return err;
	json_begin_object(&w, NULL);
	json_int64(&w, "credits_remaining", credits);
	json_begin_array(&w, "jobs");
	err = jobs_list(app->db, user_id, NULL, 0, JOBS_PAGE_MAX, write_listed,
	    &page);
	if (err != OK)
		return err;
	json_end_array(&w);
	if (page.is_cut)
		json_uuid(&w, "next_before", &page.last_id);
	else
		json_null(&w, "next_before");
	json_int64(&w, "poll_after_ms",
	    page.open_count > 0 ? FEED_POLL_IDLE_MS / 10 : FEED_POLL_IDLE_MS);
	json_end_object(&w);
	return OK;
}

struct opening {
	struct app *app;
	const struct request *req;
	const struct feed *feed;
	feed_each *each;
	void *arg;
	int64_t told_id;
	bool is_done;
	size_t told_bytes;
};

static enum err
tell(struct opening *o, enum feed_kind kind, int64_t id, bool is_over,
    const struct buf *text)
{
	const struct feed_message message = {
		.kind = kind,
		.id = id,
		.is_over = is_over,
		.json = buf_str(text),
	};

	/* The ceilings above leave room for whatever a job can be. */
	if (text->failed)
		return ERR_INTERNAL;
	o->each(o->arg, &message);
	o->told_bytes += text->len;
	return OK;
}

static enum err
tell_snapshot(struct opening *o)
{
	CLEANUP(buf_free) struct buf text = { 0 };
	const struct uuid *user_id = &o->feed->user_id;
	bool is_over = false;
	enum err err;

	buf_init(&text, FEED_SNAPSHOT_BYTES_MAX);
	if (o->feed->job_id == NULL)
		err = write_user(o->app, o->req, user_id, &text);
	else
		err = feed_write_job(o->app, o->req, user_id, o->feed->job_id,
		    (struct feed_job){ .with_balance = true }, &text, &is_over);
	if (err != OK)
		return err;
	return tell(o, FEED_SNAPSHOT, o->told_id, is_over, &text);
}

static enum err
tell_event(struct opening *o, const struct event *event)
{
	CLEANUP(buf_free) struct buf text = { 0 };
	const struct uuid *user_id = &o->feed->user_id;
	bool is_over = false;
	enum err err;

	buf_init(&text, FEED_JOB_BYTES_MAX);
	if (event->kind == EVENT_BALANCE) {
		err = feed_write_balance(o->app, user_id, &text);
		return err == OK ?
		    tell(o, FEED_BALANCE, event->id, false, &text) :
		    err;
	}
	err = feed_write_job(o->app, o->req, user_id, &event->job_id,
	    (struct feed_job){ .with_balance = true }, &text, &is_over);
	if (err == OK)
		return tell(o, FEED_JOB, event->id, is_over, &text);
	if (err != ERR_JOB_NOT_FOUND)
		return err;
	buf_clear(&text);
	feed_write_deleted(&event->job_id, &text);
	return tell(o, FEED_DELETED, event->id, true, &text);
}

/* Does a later event of the list tell the same, or more? */
static bool
is_told_again(const struct event *events, size_t i, size_t count)
{
	for (size_t later = i + 1; later < count; later++)
		if (events[later].kind == events[i].kind &&
		    uuid_equal(&events[later].job_id, &events[i].job_id))
			return true;
	return false;
}

static bool
belongs(const struct feed *feed, const struct event *event)
{
	if (event->kind == EVENT_SESSION)
		return false;
	return feed->job_id == NULL ||
	    (event->kind == EVENT_JOB &&
		uuid_equal(&event->job_id, feed->job_id));
}

struct ending {
	bool is_over;
};

static enum err
look_at_end(void *arg, const struct job *job)
{
	struct ending *ending = arg;

	ending->is_over = job_is_over(job->state);
	return OK;
}

/* Tells what was missed; false when that is not known any more or too much. */
static enum err
tell_missed(struct opening *o, bool *ret_told)
{
	struct event events[FEED_MISSED_MAX];
	struct ending ending = { false };
	size_t count, told = 0;
	bool can;
	enum err err;

	*ret_told = false;
	if (o->feed->told_id <= 0)
		return OK;
	err = events_can_resume(o->app->db, &o->feed->user_id, o->feed->told_id,
	    o->req->now_ms, &can);
	if (err != OK || !can)
		return err;
	err = events_after_of(o->app->db, &o->feed->user_id, o->feed->told_id,
	    FEED_MISSED_MAX, events, &count);
	if (err != OK || count == FEED_MISSED_MAX)
		return err;
	for (size_t i = 0; i < count; i++) {
		if (!belongs(o->feed, &events[i]) ||
		    is_told_again(events, i, count))
			continue;
		err = tell_event(o, &events[i]);
		if (err != OK || o->told_bytes > FEED_MISSED_BYTES_MAX)
			return err;
		told++;
	}
	*ret_told = true;
	if (o->feed->job_id == NULL || told > 0)
		return OK;
	/* A job that is over and was told of so has nothing left to tell. */
	err = jobs_get(o->app->db, &o->feed->user_id, o->feed->job_id,
	    look_at_end, &ending);
	o->is_done = ending.is_over;
	return err;
}

static enum err
open_feed(struct db *db, void *arg)
{
	struct opening *o = arg;
	bool told;
	enum err err;

	err = events_newest_of(db, &o->feed->user_id, &o->told_id);
	if (err == OK)
		err = tell_missed(o, &told);
	if (err == OK && !told)
		err = tell_snapshot(o);
	return err;
}

enum err
feed_open(struct app *app, const struct request *req, const struct feed *feed,
    feed_each *each, void *arg, int64_t *ret_told_id, bool *ret_is_done)
{
	struct opening o = { app, req, feed, each, arg, 0, false, 0 };
	const enum err err = db_snapshot(app->db, open_feed, &o);

	if (err != OK)
		return err;
	*ret_told_id = o.told_id;
	*ret_is_done = o.is_done;
	return OK;
}

struct reading {
	size_t max;
	feed_event *each;
	void *arg;
	int64_t cursor;
	size_t count;
};

static enum err
read_events(struct db *db, void *arg)
{
	struct event events[FEED_EVENTS_MAX];
	struct reading *r = arg;
	enum err err;

	err = events_after(db, r->cursor, r->max, events, &r->count);
	for (size_t i = 0; err == OK && i < r->count; i++) {
		err = r->each(r->arg, &events[i]);
		if (err == OK)
			r->cursor = events[i].id;
	}
	return err;
}

enum err
feed_read(struct app *app, size_t max, feed_event *each, void *arg,
    int64_t *cursor, size_t *ret_count)
{
	struct reading r = { max, each, arg, *cursor, 0 };
	enum err err;

	assert(max <= FEED_EVENTS_MAX);
	err = db_snapshot(app->db, read_events, &r);
	/* What was told before a failure is not told again. */
	*cursor = r.cursor;
	if (err == OK)
		*ret_count = r.count;
	return err;
}

enum err
feed_newest(struct app *app, int64_t *ret_id)
{
	return events_newest(app->db, ret_id);
}
