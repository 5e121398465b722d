/* SPDX-License-Identifier: MIT */
#include "worker.h"

#include "base/clock.h"
#include "base/log.h"
#include "domain/reports.h"

/*
 * Taking in what providers told: it ends in the same functions as what we
 * asked for, so whoever is first decides and the other changes nothing.
 */

/* At one turn; the rest at the next. */
#define REPORTS_AT_ONCE 32

static void
log_report(const struct report *report, enum log_level level, const char *event)
{
	struct log log = log_begin(level, event);

	log_uuid(&log, "attempt", &report->attempt_id);
	log_text(&log, "provider", report->provider);
	log_end(&log);
}

/* How to speak of the request that it is about. */
static bool
know(const struct worker *worker, const struct report *report,
    struct attempt_handle *ret_handle)
{
	const struct provider *provider =
	    provider_for(&worker->state.config, report->provider);
	const struct provider_job job = { .endpoint = report->endpoint };
	struct provider_handle h;
	struct attempt_handle handle = { 0 };

	if (provider == NULL || provider->know == NULL ||
	    !provider->know(&worker->state.config, &job,
		str_from(report->request_id), &h))
		return false;
	(void)str_copy(str_from(h.request_id), handle.request_id,
	    sizeof(handle.request_id));
	(void)str_copy(str_from(h.status_url), handle.status_url,
	    sizeof(handle.status_url));
	(void)str_copy(str_from(h.result_url), handle.result_url,
	    sizeof(handle.result_url));
	(void)str_copy(str_from(h.cancel_url), handle.cancel_url,
	    sizeof(handle.cancel_url));
	*ret_handle = handle;
	return true;
}

/*
 * The submission got no answer (yet): the report is one.  ERR_INVALID_REQUEST
 * when it names nothing that the provider could have given.
 */
static enum err
bind(struct worker *worker, const struct report *report)
{
	struct attempt_handle handle;
	const int64_t now_ms = clock_now_ms();

	if (!know(worker, report, &handle))
		return ERR_INVALID_REQUEST;
	return attempts_accepted(worker->state.db, &report->attempt_id, &handle,
	    now_ms, now_ms);
}

static enum err
apply(struct worker *worker, const struct report *report)
{
	struct db *db = worker->state.db;
	const int64_t now_ms = clock_now_ms();
	struct attempt_failure failure;

	switch (report->outcome) {
	case REPORT_DONE:
		return attempts_succeeded(db, &report->attempt_id,
		    report->video_url, report->video_bytes, now_ms);
	case REPORT_FAILED:
		log_report(report, LOG_WARNING, "generation_failed");
		failure = worker_failure(worker, report->error_code,
		    report->may_try_again, report->is_unbilled);
		return attempts_end(db, &report->attempt_id, &failure, now_ms);
	case REPORT_LOOK:
		break;
	}
	return attempts_look(db, &report->attempt_id, now_ms);
}

/*
 * Its user has the credits back.  What was lost and comes after all is a
 * present; what failed for us, but not for them, is for a person to look at.
 */
static enum err
take_late(struct worker *worker, const struct report *report)
{
	struct attempt_handle handle;
	bool is_reopened = false;
	enum err err;

	if (report->outcome == REPORT_FAILED)
		return OK;
	if (know(worker, report, &handle)) {
		err = reports_reopen(worker->state.db, report, &handle,
		    clock_now_ms(), &is_reopened);
		if (err != OK)
			return err;
	}
	if (is_reopened) {
		log_report(report, LOG_WARNING, "late_result");
		return apply(worker, report);
	}
	if (report->outcome == REPORT_DONE)
		log_report(report, LOG_ERROR, "unwanted_result");
	return OK;
}

static enum err
take(struct worker *worker, const struct report *report)
{
	enum err err;

	if (report->is_bound &&
	    strcmp(report->bound_id, report->request_id) != 0) {
		log_report(report, LOG_ERROR, "report_of_other_request");
		return OK;
	}
	if (report->is_over)
		return take_late(worker, report);
	if (report->is_bound)
		return apply(worker, report);
	err = bind(worker, report);
	if (err == OK)
		return apply(worker, report);
	/* A database that is busy for a moment costs nobody a report. */
	if (err == ERR_SERVICE_UNAVAILABLE)
		return err;
	log_report(report, LOG_WARNING, "report_refused");
	return OK;
}

void
take_reports(struct worker *worker)
{
	struct report report;
	bool found;

	for (int i = 0; i < REPORTS_AT_ONCE; i++) {
		if (reports_next(worker->state.db, &found, &report) != OK ||
		    !found)
			return;
		/* What failed was logged and is taken in at the next turn. */
		if (take(worker, &report) != OK ||
		    reports_handled(worker->state.db, &report.id,
			clock_now_ms()) != OK)
			return;
	}
}
