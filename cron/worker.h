/* SPDX-License-Identifier: MIT */
#ifndef CRON_WORKER_H
#define CRON_WORKER_H

#include "app/state.h"
#include "domain/attempts.h"
#include "provider/provider.h"
#include "wire/fetch.h"

/*
 * The worker: everything that must happen although no request comes.
 *
 * Its steps run side by side on one thread; each is a lease on a job, one
 * HTTP exchange, and one transaction that tells what came of it.  Whatever is
 * under way when the worker dies becomes due again when its lease ends.
 */

/* Steps under way at once: every slot at the provider, and as many fetches. */
#define WORKER_STEPS_MAX 128

/*
 * From this many on no further result is fetched: what is short must not wait
 * for what is long.
 */
#define WORKER_FETCHES_MAX 32

/* Of a result that is being fetched. */
struct download {
	char url[FETCH_URL_BYTES_MAX]; /* where it is, as far as we know */
	char etag[128]; /* "" = it cannot be resumed */
	int64_t bytes; /* there already */
	int hops_count;
	int resumes_count;
};

/* Of the frame that is taken out of it. */
enum poster_state { POSTER_NONE, POSTER_WANTED, POSTER_RUNNING };

struct poster {
	enum poster_state state;
	pid_t pid;
	int fd; /* -1, or the file that it grows in */
	int place_fd; /* -1, or its turn, see make-posters.c */
	int64_t until_us; /* monotonic: then it is given up */
};

struct worker {
	struct state state;
	struct fetcher *fetcher;
	int nudge_fd; /* wakes us */
	int teller_fd; /* with which we wake who tells of events */
	int64_t rows_told; /* of state_rows_changed() */
	struct step *steps; /* under way */
	size_t steps_count;
	bool is_draining; /* finish what is under way, begin nothing */
	int64_t checkpoint_after_us; /* monotonic; 0 = any time */
	int64_t appstore_after_us; /* the same, of calls to Apple's store */
	pid_t audit_pid; /* 0 = none is at work */
	bool is_reporting; /* an incident is on its way */
};

/* One job brought one step forward. */
struct step {
	struct worker *worker;
	struct step *next;
	const struct provider *provider;
	struct provider_times times;
	struct attempt_work work;
	char webhook_url[PROVIDER_URL_BYTES];
	char image_url[FETCH_URL_BYTES_MAX];
	char page[PROVIDER_PAGE_BYTES]; /* of the history; "" = the first */
	int pages_count; /* asked for so far */
	int64_t called_at_us; /* monotonic, of the call under way */
	int result_fd; /* -1 unless a result is being fetched */
	struct download download;
	struct attempt_file video; /* once it is published */
	struct poster poster;
	fetch_done *told; /* gets the answer of the call under way */
};

/* Periodic tasks; each does a bounded amount of work. */
void lease_jobs(struct worker *worker);
void renew_leases(struct worker *worker);
void checkpoint(struct worker *worker);
void delete_files(struct worker *worker);
void expire_credits(struct worker *worker);
void finish_deletions(struct worker *worker);
void purge(struct worker *worker);

/* Logs and counts what was taken away since rows_before, if anything. */
void report_purge(const struct worker *worker, const char *what,
    int64_t rows_before);
void retry_purchases(struct worker *worker);
void end_subscriptions(struct worker *worker);
void purge_purchases(struct worker *worker);

/* These ask the App Store, and wait for it: see appstore.h. */
void answer_consumption(struct worker *worker);
void resolve_lookups(struct worker *worker);
void repair_notifications(struct worker *worker);
void repair_refunds(struct worker *worker);
void retire_media(struct worker *worker);
void measure_storage(struct worker *worker);
void make_posters(struct worker *worker);
void take_reports(struct worker *worker);
void watch_alarms(struct worker *worker);
void watch_limits(struct worker *worker);
void tell_summaries(struct worker *worker);
void send_notices(struct worker *worker);
void send_pushes(struct worker *worker);
void take_incidents(struct worker *worker);
void send_incidents(struct worker *worker);
void run_audit(struct worker *worker);

/* The audit is a child with this argument: its exit status; is it at work? */
#define AUDIT_ARGUMENT "--audit"
int audit_main(void);
bool audit_is_running(struct worker *worker);

/* How a question to a company went, for those who watch it. */
void note_upstream(struct worker *worker, const char *provider,
    const struct fetch_response *response, int64_t took_us);

/* What a leased job needs now; each ends with step_done(). */
void submit_job(struct step *step);
void poll_job(struct step *step);
void cancel_job(struct step *step);
void fetch_result(struct step *step);

/* A poster is made of a published video, or none: goes on with the step. */
void
fetch_done_with_poster(struct step *step, const struct attempt_file *poster);

/* Begins to make a poster; false when there will be none. */
bool poster_begin(struct step *step);

/* The job as the provider's adapter wants to see it; borrows from the step. */
struct provider_job step_provider_job(const struct step *step);

/* How to speak of it, as it was stored. */
struct provider_handle step_handle(const struct step *step);

/*
 * Tells the outcome of a request that has ended, DONE or FAILED; the error
 * decides with the configured rules what becomes of the job.
 */
void step_tell(struct step *step, const struct provider_status *status);

/* It came to nothing: logs it, alerts, opens breakers, ends the attempt. */
void step_fail(struct step *step, const struct provider_error *error,
    bool is_refusal);

/* Our rules for a failure that is named by its code. */
struct attempt_failure worker_failure(const struct worker *worker,
    const char *code, bool may_try_again, bool is_unbilled);

/* Opens the breaker that this error calls for, if any. */
void worker_alert(struct worker *worker, const char *company,
    const char *endpoint, enum provider_code code);

/* Asks the provider's history after a request; see submit-jobs.c. */
void find_job(struct step *step);

/*
 * Asks for a page of the history, the first or the one that step->page names;
 * false when this provider has none.
 */
bool step_ask_history(struct step *step, fetch_done *done);

/* Is there another page, and may it be asked for? */
bool step_has_page(const struct step *step);

/* Tells that the provider took it, whatever it takes to tell that. */
void
step_accepted(const struct step *step, const struct provider_handle *handle);

/*
 * Sends a call of the step's provider and frees it; `done` gets the step.
 * A sink_fd of -1 keeps the answer in memory.
 */
void step_call(struct step *step, struct provider_call *call, int sink_fd,
    fetch_done *done);

/* Gives the step back, after its outcome was told. */
void step_done(struct step *step);

/*
 * A wait that grows with the number of calls made so far, from first_ms to
 * max_ms, with a fifth of jitter so that jobs do not march in step.
 */
int64_t
step_backoff_ms(const struct step *step, int64_t first_ms, int64_t max_ms);

/* The provider's own wish if it has one, else our backoff; from now on. */
int64_t
step_retry_at_ms(const struct step *step, const struct provider_error *error);

/* One line about a job that went another way than hoped. */
void step_log(const struct step *step, const char *event, const char *code);

#endif
