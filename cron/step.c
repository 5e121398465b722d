/* SPDX-License-Identifier: MIT */
#include "worker.h"

#include "app/hooks.h"
#include "app/results.h"
#include "base/clock.h"
#include "base/log.h"
#include "domain/breakers.h"

#include <assert.h>
#include <unistd.h>

/*
 * A provider accepts within a second; a long wait costs nothing and avoids
 * submissions whose fate is unknown.
 */
#define CALL_CONNECT_TIMEOUT_MS 10000
#define CALL_ANSWER_BYTES_MAX ((size_t)4 * 1024 * 1024)

/* A result is large: slow is fine, stuck is not. */
#define DOWNLOAD_TIMEOUT_MS (15 * 60 * 1000)
#define DOWNLOAD_LOW_SPEED_BYTES_PER_S 10240

/*
 * Pages of a history that are read at one look, the newest first: of fal's
 * those are 384 requests, more than end between two looks.
 */
#define PAGES_MAX 8

#define RETRY_FIRST_MS 1000
#define RETRY_BUSY_FIRST_MS 5000
#define RETRY_MAX_MS (5 * 60 * 1000)

struct provider_job
step_provider_job(const struct step *step)
{
	const struct attempt_work *work = &step->work;

	return (struct provider_job){
		.attempt_id = work->id,
		.endpoint = work->endpoint,
		.prompt = work->prompt,
		.image_url = work->has_image ? step->image_url : NULL,
		.image_field = work->image_field,
		.aspect_ratio = work->aspect_ratio,
		.resolution = work->resolution,
		.duration_format = work->duration_format,
		.duration_s = work->duration_s,
		.has_audio = work->has_audio,
		.seed = work->seed,
		.omits = work->omits,
		.webhook_url = step->webhook_url,
		.sent_at_ms = work->sent_at_ms,
		.page = step->page[0] == '\0' ? NULL : step->page,
	};
}

bool
step_ask_history(struct step *step, fetch_done *done)
{
	const struct provider_job job = step_provider_job(step);
	struct provider_call call;

	provider_call_init(&call, "GET");
	if (step->provider->find_call == NULL ||
	    !step->provider->find_call(&step->worker->state.config, &job,
		&call)) {
		provider_call_free(&call);
		return false;
	}
	step->pages_count++;
	step_call(step, &call, -1, done);
	return true;
}

bool
step_has_page(const struct step *step)
{
	return step->page[0] != '\0' && step->pages_count < PAGES_MAX;
}

struct provider_handle
step_handle(const struct step *step)
{
	const struct attempt_handle *stored = &step->work.handle;
	struct provider_handle handle = { 0 };

	(void)str_copy(str_from(stored->request_id), handle.request_id,
	    sizeof(handle.request_id));
	(void)str_copy(str_from(stored->status_url), handle.status_url,
	    sizeof(handle.status_url));
	(void)str_copy(str_from(stored->result_url), handle.result_url,
	    sizeof(handle.result_url));
	(void)str_copy(str_from(stored->cancel_url), handle.cancel_url,
	    sizeof(handle.cancel_url));
	return handle;
}

static bool
can_ask(const void *config, const char *company)
{
	return provider_for(config, company) != NULL;
}

struct attempt_failure
worker_failure(const struct worker *worker, const char *code,
    bool may_try_again, bool is_unbilled)
{
	const struct config *config = &worker->state.config;

	return (struct attempt_failure){
		.error_code = code,
		.attempts_max = may_try_again ?
		    config_number(config, CONFIG_PROVIDER_ATTEMPTS_MAX) :
		    1,
		.keeps_charge =
		    provider_lists(config_text(config,
				       CONFIG_PROVIDER_KEEP_CHARGE_CODES),
			code),
		.is_unbilled = is_unbilled,
		.can_ask = can_ask,
		.can_ask_arg = config,
	};
}

void
worker_alert(struct worker *worker, const char *company, const char *endpoint,
    enum provider_code code)
{
	bool is_news = false;
	struct log log;

	if (code == PROVIDER_CODE_AUTH || code == PROVIDER_CODE_LOCKED)
		endpoint = "";
	else if (code != PROVIDER_CODE_MODEL_GONE)
		return;
	if (breakers_open(worker->state.db, company, endpoint,
		provider_code_name(code), clock_now_ms(), &is_news) != OK)
		return;
	log = log_begin(is_news ? LOG_ERROR : LOG_WARNING, "breaker_open");
	log_text(&log, "company", company);
	log_text(&log, "endpoint", endpoint);
	log_text(&log, "code", provider_code_name(code));
	log_end(&log);
}

void
step_fail(struct step *step, const struct provider_error *error,
    bool is_refusal)
{
	const char *code = provider_code_name(error->code);
	struct attempt_failure failure = worker_failure(step->worker, code,
	    error->class == PROVIDER_RETRY_ATTEMPT, error->is_unbilled);

	failure.is_refusal = is_refusal;
	step_log(step,
	    error->class == PROVIDER_FAIL_OPERATOR ? "operator_needed" :
		is_refusal                         ? "submission_refused" :
						     "generation_failed",
	    code);
	if (error->class == PROVIDER_FAIL_OPERATOR)
		worker_alert(step->worker, step->work.company,
		    step->work.endpoint, error->code);
	(void)attempts_end(step->worker->state.db, &step->work.id, &failure,
	    clock_now_ms());
}

void
step_tell(struct step *step, const struct provider_status *status)
{
	if (status->state == PROVIDER_DONE)
		(void)attempts_succeeded(step->worker->state.db, &step->work.id,
		    status->video_url, status->video_bytes, clock_now_ms());
	else
		step_fail(step, &status->error, false);
}

/* Results come from other hosts: only the company's own say how it is. */
static void
answered(void *arg, const struct fetch_response *response)
{
	struct step *step = arg;

	note_upstream(step->worker, step->provider->name, response,
	    clock_monotonic_us() - step->called_at_us);
	step->told(step, response);
}

void
step_call(struct step *step, struct provider_call *call, int sink_fd,
    fetch_done *done)
{
	const bool is_download = sink_fd >= 0;
	struct fetch_request request = {
		.method = call->method,
		.url = call->url,
		.unix_socket =
		    call->unix_socket[0] == '\0' ? NULL : call->unix_socket,
		.body = buf_str(&call->body),
		.once = call->once,
		.allow_private = config_number(&step->worker->state.config,
				     CONFIG_ALLOW_PRIVATE_UPSTREAMS) == 1,
		.connect_timeout_ms = CALL_CONNECT_TIMEOUT_MS,
		.timeout_ms = is_download ?
		    DOWNLOAD_TIMEOUT_MS :
		    config_number(&step->worker->state.config,
			CONFIG_PROVIDER_CALL_TIMEOUT_MS),
		.response_bytes_max =
		    is_download ? RESULT_BYTES_MAX : CALL_ANSWER_BYTES_MAX,
		.sink_fd = sink_fd,
		.resume_from = is_download ? step->download.bytes : 0,
		.low_speed_bytes_per_s =
		    is_download ? DOWNLOAD_LOW_SPEED_BYTES_PER_S : 0,
		.low_speed_s = config_number(&step->worker->state.config,
		    CONFIG_RESULT_STALL_S),
	};

	for (size_t i = 0; i + 1 < FETCH_HEADERS_MAX; i++)
		request.headers[i] =
		    call->header[i][0] == '\0' ? NULL : call->header[i];
	step->told = done;
	step->called_at_us = clock_monotonic_us();
	fetcher_start(step->worker->fetcher, &request,
	    is_download ? done : answered, step);
	provider_call_free(call);
}

void
step_done(struct step *step)
{
	struct step **at = &step->worker->steps;

	while (*at != step)
		at = &(*at)->next;
	*at = step->next;
	step->worker->steps_count--;
	if (step->result_fd >= 0)
		(void)close(step->result_fd);
	if (step->poster.fd >= 0)
		(void)close(step->poster.fd);
	if (step->poster.place_fd >= 0)
		(void)close(step->poster.place_fd);
	free(step);
}

int64_t
step_backoff_ms(const struct step *step, int64_t first_ms, int64_t max_ms)
{
	int64_t wait_ms = first_ms;
	uint16_t chance;

	assert(first_ms > 0);
	for (int64_t i = 0; i < step->work.calls_count && wait_ms < max_ms; i++)
		wait_ms += wait_ms / 2;
	if (wait_ms > max_ms)
		wait_ms = max_ms;
	random_bytes(&chance, sizeof(chance));
	return wait_ms - wait_ms / 10 + wait_ms * chance / 65535 / 5;
}

int64_t
step_retry_at_ms(const struct step *step, const struct provider_error *error)
{
	const int64_t wait_ms = error->retry_after_ms > 0 ?
	    error->retry_after_ms :
	    step_backoff_ms(step,
		error->code == PROVIDER_CODE_BUSY ? RETRY_BUSY_FIRST_MS :
						    RETRY_FIRST_MS,
		RETRY_MAX_MS);

	return clock_now_ms() +
	    (wait_ms > RETRY_MAX_MS ? RETRY_MAX_MS : wait_ms);
}

void
step_log(const struct step *step, const char *event, const char *code)
{
	struct log log = log_begin(LOG_WARNING, event);

	log_uuid(&log, "job", &step->work.job_id);
	log_uuid(&log, "attempt", &step->work.id);
	log_text(&log, "code", code);
	log_int64(&log, "calls", step->work.calls_count);
	log_end(&log);
}
