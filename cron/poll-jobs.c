/* SPDX-License-Identifier: MIT */
#include "worker.h"

#include "base/clock.h"

/* Polling: asking how an accepted request stands; it may always be repeated. */

static void
polled(void *arg, const struct fetch_response *response)
{
	struct step *step = arg;
	struct db *db = step->worker->state.db;
	const struct provider_times *times = &step->provider->times;
	const int64_t now_ms = clock_now_ms();
	struct provider_status status = { .queue_position = -1 };
	struct provider_error error = { 0 };

	if (step->provider->poll_answer(&step->worker->state.config, response,
		&status, &error) != PROVIDER_OK) {
		step_log(step, "poll_failed", provider_code_name(error.code));
		(void)attempts_later(db, &step->work.id,
		    step_retry_at_ms(step, &error));
		step_done(step);
		return;
	}
	switch (status.state) {
	case PROVIDER_QUEUED:
	case PROVIDER_RUNNING:
		(void)attempts_progress(db, &step->work.id,
		    status.state == PROVIDER_RUNNING, status.queue_position,
		    now_ms +
			step_backoff_ms(step, times->poll_first_ms,
			    times->poll_max_ms),
		    now_ms);
		break;
	case PROVIDER_DONE:
		(void)attempts_succeeded(db, &step->work.id, status.video_url,
		    now_ms);
		break;
	case PROVIDER_FAILED:
		step_log(step, "generation_failed",
		    provider_code_name(status.error.code));
		(void)attempts_failed(db, &step->work.id,
		    provider_code_name(status.error.code), now_ms);
		break;
	}
	step_done(step);
}

void
poll_job(struct step *step)
{
	struct provider_handle handle = { 0 };
	struct provider_call call;

	(void)str_copy(str_from(step->work.handle.request_id),
	    handle.request_id, sizeof(handle.request_id));
	(void)str_copy(str_from(step->work.handle.status_url),
	    handle.status_url, sizeof(handle.status_url));
	(void)str_copy(str_from(step->work.handle.result_url),
	    handle.result_url, sizeof(handle.result_url));
	(void)str_copy(str_from(step->work.handle.cancel_url),
	    handle.cancel_url, sizeof(handle.cancel_url));
	if (!step->provider->poll_call(&step->worker->state.config, &handle,
		&call)) {
		provider_call_free(&call);
		step_log(step, "poll_impossible", step->work.endpoint);
		(void)attempts_later(step->worker->state.db, &step->work.id,
		    clock_now_ms() + step->provider->times.poll_max_ms);
		step_done(step);
		return;
	}
	step_call(step, &call, -1, polled);
}
