/* SPDX-License-Identifier: MIT */
#include "worker.h"

#include "base/clock.h"

/*
 * Polling: asking how an accepted request stands; it may always be repeated.
 * Where the answer only says that it has ended, the result is asked for at
 * once, and where that is gone, the provider's history.
 */

/* A result that could not be read this often never will be. */
#define RESULT_TRIES_MAX 12

static bool
has_ended(const struct provider_status *status)
{
	return status->state == PROVIDER_DONE ||
	    status->state == PROVIDER_FAILED;
}

/* It has ended, but how, nobody could tell us. */
static void
result_unread(struct step *step, const struct provider_error *error)
{
	if (step->work.is_ended && step->work.calls_count >= RESULT_TRIES_MAX) {
		step_fail(step,
		    &(const struct provider_error){
			.class = PROVIDER_FAIL_OPERATOR,
			.code = error->code == PROVIDER_CODE_AUTH ?
			    PROVIDER_CODE_PROTOCOL :
			    error->code,
		    },
		    false);
	} else {
		step_log(step, "result_unread",
		    provider_code_name(error->code));
		(void)attempts_ended(step->worker->state.db, &step->work.id,
		    step_retry_at_ms(step, error));
	}
	step_done(step);
}

static void
looked_up(void *arg, const struct fetch_response *response)
{
	struct step *step = arg;
	const struct provider_job job = step_provider_job(step);
	struct provider_handle handle = { 0 };
	struct provider_status status = { 0 };
	struct provider_error error = { .code = PROVIDER_CODE_EXPIRED };

	const enum provider_class class =
	    step->provider->find_answer(&step->worker->state.config, &job,
		response, step->page, &handle, &status, &error);

	if (class != PROVIDER_OK && step_has_page(step) &&
	    step_ask_history(step, looked_up))
		return;
	if (class != PROVIDER_OK || !has_ended(&status) ||
	    strcmp(handle.request_id, step->work.handle.request_id) != 0) {
		error.code = PROVIDER_CODE_EXPIRED;
		result_unread(step, &error);
		return;
	}
	step_tell(step, &status);
	step_done(step);
}

/* The result is there no more: perhaps the history has kept it. */
static void
look_up(struct step *step, const struct provider_error *error)
{
	if (!step_ask_history(step, looked_up))
		result_unread(step, error);
}

/* Nothing was learnt about a request that may be under way. */
static void
ask_later(struct step *step, const char *event,
    const struct provider_error *error)
{
	step_log(step, event, provider_code_name(error->code));
	if (error->code == PROVIDER_CODE_AUTH)
		worker_alert(step->worker, step->work.company,
		    step->work.endpoint, error->code);
	(void)attempts_later(step->worker->state.db, &step->work.id,
	    step_retry_at_ms(step, error));
	step_done(step);
}

static void
still_open(struct step *step, const struct provider_status *status)
{
	const int64_t now_ms = clock_now_ms();

	(void)attempts_progress(step->worker->state.db, &step->work.id,
	    status->state == PROVIDER_RUNNING, status->queue_position,
	    now_ms +
		step_backoff_ms(step, step->times.poll_first_ms,
		    step->times.poll_max_ms),
	    now_ms);
	step_done(step);
}

static void
read_result(void *arg, const struct fetch_response *response)
{
	struct step *step = arg;
	struct provider_status status = { .queue_position = -1 };
	struct provider_error error = { 0 };

	if (step->provider->result_answer(&step->worker->state.config, response,
		&status, &error) != PROVIDER_OK) {
		if (error.code == PROVIDER_CODE_EXPIRED)
			look_up(step, &error);
		else
			result_unread(step, &error);
		return;
	}
	if (has_ended(&status)) {
		step_tell(step, &status);
		step_done(step);
	} else
		still_open(step, &status);
}

static void
ask_result(struct step *step)
{
	const struct provider_handle handle = step_handle(step);
	const struct provider_error impossible = {
		.code = PROVIDER_CODE_PROTOCOL,
	};
	struct provider_call call;

	provider_call_init(&call, "GET");
	if (step->provider->result_call == NULL ||
	    !step->provider->result_call(&step->worker->state.config, &handle,
		&call)) {
		provider_call_free(&call);
		result_unread(step, &impossible);
		return;
	}
	step_call(step, &call, -1, read_result);
}

static void
polled(void *arg, const struct fetch_response *response)
{
	struct step *step = arg;
	struct provider_status status = { .queue_position = -1 };
	struct provider_error error = { 0 };

	if (step->provider->poll_answer(&step->worker->state.config, response,
		&status, &error) != PROVIDER_OK) {
		if (error.code == PROVIDER_CODE_NOT_FOUND)
			look_up(step, &error);
		else
			ask_later(step, "poll_failed", &error);
		return;
	}
	if (has_ended(&status)) {
		step_tell(step, &status);
		step_done(step);
	} else if (status.state == PROVIDER_ENDED)
		ask_result(step);
	else
		still_open(step, &status);
}

void
poll_job(struct step *step)
{
	const struct provider_handle handle = step_handle(step);
	const struct provider_error impossible = {
		.code = PROVIDER_CODE_PROTOCOL,
	};
	struct provider_call call;

	provider_call_init(&call, "GET");
	if (!step->provider->poll_call(&step->worker->state.config, &handle,
		&call)) {
		provider_call_free(&call);
		ask_later(step, "poll_impossible", &impossible);
		return;
	}
	step_call(step, &call, -1, polled);
}
