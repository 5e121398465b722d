/* SPDX-License-Identifier: MIT */
#include "worker.h"

#include "app/results.h"
#include "base/clock.h"

/*
 * Fetching a result: onto our disk first, whole and forced, and only then
 * into the database, so that a user is never told of a file that is not there.
 */

#define FETCH_FIRST_MS 1000
#define FETCH_MAX_MS (2 * 60 * 1000)

/* A link that was refused this often will not come back to life. */
#define FETCH_REFUSALS_MAX 5

static bool
is_gone(const struct fetch_response *response)
{
	return response->phase == FETCH_ANSWERED &&
	    (response->status == 403 || response->status == 404 ||
		response->status == 410);
}

static void
try_later(struct step *step, const char *code)
{
	step_log(step, "fetch_failed", code);
	(void)attempts_later(step->worker->state.db, &step->work.id,
	    clock_now_ms() +
		step_backoff_ms(step, FETCH_FIRST_MS, FETCH_MAX_MS));
}

static void
tell_stored(const struct step *step, int64_t size_bytes,
    const uint8_t sha256[32])
{
	/* Given up meanwhile: the file came too late. */
	if (attempts_stored(step->worker->state.db, &step->work.id, size_bytes,
		sha256, clock_now_ms()) == ERR_CONFLICT)
		(void)results_discard(&step->worker->state.config,
		    &step->work.id);
}

static void
fetched(void *arg, const struct fetch_response *response)
{
	struct step *step = arg;
	struct db *db = step->worker->state.db;
	const bool is_last = step->work.calls_count + 1 >= FETCH_REFUSALS_MAX;
	uint8_t sha256[32];
	int64_t size_bytes;
	enum err err;

	if (is_gone(response) && is_last) {
		step_log(step, "result_gone", "result_expired");
		(void)attempts_failed(db, &step->work.id,
		    provider_code_name(PROVIDER_CODE_EXPIRED), clock_now_ms());
	} else if (response->phase != FETCH_ANSWERED ||
	    response->status != 200 || response->too_large) {
		try_later(step, "no_answer");
	} else {
		err = results_publish(&step->worker->state.config,
		    &step->work.id, step->result_fd, &size_bytes, sha256);
		if (err == OK)
			tell_stored(step, size_bytes, sha256);
		else if (err == ERR_INVALID_REQUEST && is_last)
			(void)attempts_failed(db, &step->work.id,
			    provider_code_name(PROVIDER_CODE_PROTOCOL),
			    clock_now_ms());
		else
			try_later(step, err_code(err));
	}
	step_done(step);
}

void
fetch_result(struct step *step)
{
	struct provider_call call;

	if (!step->provider->download_call(&step->worker->state.config,
		step->work.video_url, &call)) {
		provider_call_free(&call);
		step_log(step, "fetch_refused", "foreign_url");
		(void)attempts_failed(step->worker->state.db, &step->work.id,
		    provider_code_name(PROVIDER_CODE_PROTOCOL), clock_now_ms());
		step_done(step);
		return;
	}
	if (results_open(&step->worker->state.config, &step->work.id,
		&step->result_fd) != OK) {
		provider_call_free(&call);
		try_later(step, "no_space");
		step_done(step);
		return;
	}
	step_call(step, &call, step->result_fd, fetched);
}
