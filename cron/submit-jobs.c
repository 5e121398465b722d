/* SPDX-License-Identifier: MIT */
#include "worker.h"

#include "app/links.h"
#include "base/clock.h"

/*
 * Submitting: the step that costs money.  The attempt was marked as being
 * sent, and that was committed, before a byte leaves; the request goes out
 * once, on a connection of its own.  Whatever comes back decides between
 * accepted, certainly not sent, failed, and unknown; an unknown one is never
 * sent again but asked for.
 */

#define FIND_FIRST_MS 500
#define FIND_MAX_MS (10 * 60 * 1000)

/* What the adapter hands over fits what is stored. */
_Static_assert(PROVIDER_ID_BYTES <= ATTEMPT_ID_BYTES, "request id");
_Static_assert(PROVIDER_URL_BYTES <= ATTEMPT_URL_BYTES, "handle");
_Static_assert(FETCH_URL_BYTES_MAX <= ATTEMPT_VIDEO_URL_BYTES, "result");

/*
 * The provider's word for a job that was paid for must not be lost to a
 * locked database or a full disk: nothing else can be done meanwhile anyway.
 */
#define TELL_TRIES 40
#define TELL_NAP_NS 500000000L

void
step_accepted(const struct step *step, const struct provider_handle *h)
{
	const struct timespec nap = { 0, TELL_NAP_NS };
	struct attempt_handle handle = { 0 };
	const int64_t now_ms = clock_now_ms();

	(void)str_copy(str_from(h->request_id), handle.request_id,
	    sizeof(handle.request_id));
	(void)str_copy(str_from(h->status_url), handle.status_url,
	    sizeof(handle.status_url));
	(void)str_copy(str_from(h->result_url), handle.result_url,
	    sizeof(handle.result_url));
	(void)str_copy(str_from(h->cancel_url), handle.cancel_url,
	    sizeof(handle.cancel_url));
	for (int i = 0; i < TELL_TRIES; i++) {
		if (attempts_accepted(step->worker->state.db, &step->work.id,
			&handle, now_ms + step->times.poll_first_ms,
			now_ms) == OK)
			return;
		(void)nanosleep(&nap, NULL);
	}
	step_log(step, "acceptance_lost", h->request_id);
}

static void
submitted(void *arg, const struct fetch_response *response)
{
	struct step *step = arg;
	struct db *db = step->worker->state.db;
	const struct provider_job job = step_provider_job(step);
	struct provider_handle handle = { 0 };
	struct provider_error error = { 0 };
	const enum provider_class class =
	    step->provider->submit_answer(&step->worker->state.config, &job,
		response, &handle, &error);

	switch (class) {
	case PROVIDER_OK:
		step_accepted(step, &handle);
		break;
	case PROVIDER_RETRY_CALL:
		step_log(step, "submission_delayed",
		    provider_code_name(error.code));
		(void)attempts_unsent(db, &step->work.id,
		    step_retry_at_ms(step, &error), clock_now_ms());
		break;
	case PROVIDER_UNKNOWN:
		step_log(step, "submission_unknown",
		    provider_code_name(error.code));
		(void)attempts_unknown(db, &step->work.id,
		    clock_now_ms() + FIND_FIRST_MS);
		break;
	case PROVIDER_RETRY_ATTEMPT:
	case PROVIDER_FAIL_USER:
	case PROVIDER_FAIL_OPERATOR:
		step_fail(step, &error, true);
		break;
	}
	step_done(step);
}

/*
 * The provider fetches the picture when it starts, and perhaps again when it
 * tries again; then the link has done its work.
 */
#define IMAGE_LIFE_AFTER_MS (INT64_C(3600) * 1000)

static void
write_image_url(struct step *step)
{
	struct buf url;

	if (!step->work.has_image)
		return;
	buf_init(&url, sizeof(step->image_url) - 1);
	links_write_picture(&step->worker->state.config,
	    &step->worker->state.keys, &step->work.image_object_id,
	    clock_now_ms() + step->times.start_timeout_ms +
		step->times.run_timeout_ms + IMAGE_LIFE_AFTER_MS,
	    &url);
	(void)str_copy(buf_str(&url), step->image_url, sizeof(step->image_url));
	buf_free(&url);
}

void
submit_job(struct step *step)
{
	struct provider_job job;
	struct provider_call call;

	write_image_url(step);
	job = step_provider_job(step);
	provider_call_init(&call, "POST");
	if (!step->provider->submit_call(&step->worker->state.config, &job,
		&call)) {
		provider_call_free(&call);
		step_fail(step,
		    &(const struct provider_error){
			.class = PROVIDER_FAIL_OPERATOR,
			.code = PROVIDER_CODE_INPUT,
			.is_unbilled = true,
		    },
		    true);
		step_done(step);
		return;
	}
	step_call(step, &call, -1, submitted);
}

/* It was never accepted, and this provider's word on that is final. */
static bool
is_proof(const struct step *step, const struct provider_error *error)
{
	const int64_t final_ms = step->provider->times.find_final_ms;

	return error->code == PROVIDER_CODE_NOT_FOUND && final_ms > 0 &&
	    clock_now_ms() - step->work.sent_at_ms > final_ms;
}

static void
found(void *arg, const struct fetch_response *response)
{
	struct step *step = arg;
	struct db *db = step->worker->state.db;
	const struct provider_job job = step_provider_job(step);
	struct provider_handle handle = { 0 };
	struct provider_status status = { 0 };
	struct provider_error error = { 0 };

	if (step->provider->find_answer(&step->worker->state.config, &job,
		response, step->page, &handle, &status,
		&error) == PROVIDER_OK) {
		step_accepted(step, &handle);
		if (status.state == PROVIDER_DONE ||
		    status.state == PROVIDER_FAILED)
			step_tell(step, &status);
	} else if (step_has_page(step) && step_ask_history(step, found)) {
		return;
	} else if (is_proof(step, &error)) {
		step_log(step, "submission_lost",
		    provider_code_name(error.code));
		(void)attempts_failed(db, &step->work.id, "submission_lost",
		    clock_now_ms());
	} else {
		(void)attempts_later(db, &step->work.id,
		    clock_now_ms() +
			step_backoff_ms(step, FIND_FIRST_MS, FIND_MAX_MS));
	}
	step_done(step);
}

void
find_job(struct step *step)
{
	if (step_ask_history(step, found))
		return;
	(void)attempts_later(step->worker->state.db, &step->work.id,
	    clock_now_ms() + FIND_MAX_MS);
	step_done(step);
}
