/* SPDX-License-Identifier: MIT */
#include "worker.h"

#include "app/results.h"
#include "base/clock.h"

/*
 * Fetching a result: onto our disk first, whole and forced, and only then
 * into the database, so that a user is never told of a file that is not there.
 *
 * A link may lead on, but each place must be one of the configured hosts; a
 * transfer that breaks goes on where it stopped.
 */

#define FETCH_FIRST_MS 1000
#define FETCH_MAX_MS (2 * 60 * 1000)

/* A link that was refused this often will not come back to life. */
#define FETCH_REFUSALS_MAX 5

/* facts: no CDN of a provider needs more. */
#define HOPS_MAX 3

/* Each brings the end nearer, but a peer that trickles must not keep us. */
#define RESUMES_MAX 16

static void ask(struct step *step);

static bool
is_gone(const struct fetch_response *response)
{
	return response->phase == FETCH_ANSWERED &&
	    (response->status == 403 || response->status == 404 ||
		response->status == 410);
}

/* It will hardly be answered otherwise: a redirect to nowhere, a refusal. */
static bool
is_refusal(const struct fetch_response *response)
{
	return response->phase == FETCH_ANSWERED && response->status >= 300 &&
	    response->status < 500 && response->status != 408 &&
	    response->status != 425 && response->status != 429;
}

static void
try_later(struct step *step, const char *code)
{
	step_log(step, "fetch_failed", code);
	(void)attempts_later(step->worker->state.db, &step->work.id,
	    clock_now_ms() +
		step_backoff_ms(step, FETCH_FIRST_MS, FETCH_MAX_MS));
	step_done(step);
}

static void
give_up(struct step *step, const char *event, enum provider_code code)
{
	step_log(step, event, provider_code_name(code));
	(void)attempts_failed(step->worker->state.db, &step->work.id,
	    provider_code_name(code), clock_now_ms());
	step_done(step);
}

/* Perhaps it is better later, but not for ever. */
static void
refused(struct step *step, const char *event, enum provider_code code)
{
	if (step->work.calls_count + 1 >= FETCH_REFUSALS_MAX)
		give_up(step, event, code);
	else
		try_later(step, event);
}

void
fetch_done_with_poster(struct step *step, const struct attempt_file *poster)
{
	/* Given up meanwhile: the files came too late. */
	if (attempts_stored(step->worker->state.db, &step->work.id,
		&step->video, poster, clock_now_ms()) == ERR_CONFLICT)
		(void)results_discard(&step->worker->state.config,
		    &step->work.id);
	step_done(step);
}

/* Another version of the file would not fit the bytes that are there. */
static void
note_etag(struct download *d, const struct fetch_response *response)
{
	struct str etag;

	d->etag[0] = '\0';
	if (fetch_header(response, "ETag", &etag) &&
	    str_starts_with(etag, STR("\"")))
		(void)str_copy(etag, d->etag, sizeof(d->etag));
}

/* A transfer broke: is it worth going on where it stopped? */
static bool
can_resume(struct step *step, const struct fetch_response *response)
{
	struct download *d = &step->download;
	const int64_t bytes = results_partial_bytes(step->result_fd);

	if (response->phase != FETCH_MAYBE_SENT || response->body_bytes == 0 ||
	    response->too_large || bytes <= d->bytes ||
	    d->resumes_count == RESUMES_MAX)
		return false;
	note_etag(d, response);
	d->bytes = bytes;
	return d->etag[0] != '\0';
}

/* Is the answer's body in the file, all of it and nothing else? */
static bool
is_whole(const struct step *step, const struct fetch_response *response)
{
	const int64_t bytes = results_partial_bytes(step->result_fd);

	if (response->phase != FETCH_ANSWERED)
		return false;
	if (response->status == 206)
		return step->download.bytes > 0 &&
		    bytes == step->download.bytes + response->body_bytes;
	return response->status == 200 && bytes == response->body_bytes;
}

static void
publish(struct step *step)
{
	const int64_t bytes = results_partial_bytes(step->result_fd);
	enum err err;

	if (step->work.video_bytes > 0 && bytes != step->work.video_bytes) {
		refused(step, "result_of_other_size", PROVIDER_CODE_PROTOCOL);
		return;
	}
	err = results_publish(&step->worker->state.config, &step->work.id,
	    step->result_fd, &step->video.size_bytes, step->video.sha256);
	if (err == ERR_INVALID_REQUEST)
		refused(step, "result_no_video", PROVIDER_CODE_PROTOCOL);
	else if (err != OK)
		try_later(step, err_code(err));
	else if (!poster_begin(step))
		fetch_done_with_poster(step, NULL);
}

static void
fetched(void *arg, const struct fetch_response *response)
{
	struct step *step = arg;
	struct download *d = &step->download;

	if (fetch_redirect(response, d->url, d->url)) {
		d->bytes = 0;
		if (++d->hops_count <= HOPS_MAX)
			ask(step);
		else
			refused(step, "result_moves", PROVIDER_CODE_PROTOCOL);
	} else if (is_gone(response))
		refused(step, "result_gone", PROVIDER_CODE_EXPIRED);
	else if (is_refusal(response))
		refused(step, "result_refused", PROVIDER_CODE_PROTOCOL);
	else if (response->too_large)
		give_up(step, "result_too_large", PROVIDER_CODE_PROTOCOL);
	else if (is_whole(step, response))
		publish(step);
	else if (can_resume(step, response)) {
		d->resumes_count++;
		step_log(step, "fetch_resumed", "cut_short");
		ask(step);
	} else
		try_later(step, "no_answer");
}

/* Asks at the present place, if it is one that may be asked. */
static void
ask(struct step *step)
{
	struct download *d = &step->download;
	struct provider_call call;

	if (!step->provider->download_call(&step->worker->state.config, d->url,
		&call) ||
	    (d->bytes > 0 &&
		!provider_call_header(&call, "If-Range", d->etag))) {
		provider_call_free(&call);
		give_up(step, "foreign_url", PROVIDER_CODE_PROTOCOL);
		return;
	}
	step_call(step, &call, step->result_fd, fetched);
}

void
fetch_result(struct step *step)
{
	(void)str_copy(str_from(step->work.video_url), step->download.url,
	    sizeof(step->download.url));
	if (results_open(&step->worker->state.config, &step->work.id,
		&step->result_fd) != OK) {
		try_later(step, "no_space");
		return;
	}
	ask(step);
}
