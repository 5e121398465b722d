/* SPDX-License-Identifier: MIT */
#include "worker.h"

#include "base/clock.h"

/*
 * Cancelling: telling the provider that nobody wants a request any more.  What
 * it answers decides nothing: it may cancel, or run on and be paid; polling
 * tells.
 */

#define POLL_SOON_MS 500

/* Asked in vain so often it runs on. */
#define CALLS_MAX 3

static void
told(void *arg, const struct fetch_response *response)
{
	struct step *step = arg;
	struct db *db = step->worker->state.db;

	if (response->phase == FETCH_ANSWERED ||
	    step->work.calls_count + 1 >= CALLS_MAX) {
		(void)attempts_cancel_told(db, &step->work.id,
		    clock_now_ms() + POLL_SOON_MS);
	} else {
		step_log(step, "cancel_failed", "no_answer");
		(void)attempts_later(db, &step->work.id,
		    clock_now_ms() + POLL_SOON_MS);
	}
	step_done(step);
}

void
cancel_job(struct step *step)
{
	const struct provider_handle handle = step_handle(step);
	struct provider_call call;

	provider_call_init(&call, "PUT");
	if (step->provider->cancel_call == NULL ||
	    !step->provider->cancel_call(&step->worker->state.config, &handle,
		&call)) {
		provider_call_free(&call);
		(void)attempts_cancel_told(step->worker->state.db,
		    &step->work.id, clock_now_ms() + POLL_SOON_MS);
		step_done(step);
		return;
	}
	step_call(step, &call, -1, told);
}
