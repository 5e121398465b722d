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
};

/* One job brought one step forward. */
struct step {
	struct worker *worker;
	struct step *next;
	const struct provider *provider;
	struct attempt_work work;
	int result_fd; /* -1 unless a result is being fetched */
};

/* Periodic tasks; each does a bounded amount of work. */
void lease_jobs(struct worker *worker);
void renew_leases(struct worker *worker);
void checkpoint(struct worker *worker);
void delete_files(struct worker *worker);
void expire_credits(struct worker *worker);
void finish_deletions(struct worker *worker);
void purge(struct worker *worker);

/* What a leased job needs now; each ends with step_done(). */
void submit_job(struct step *step);
void find_job(struct step *step);
void poll_job(struct step *step);
void fetch_result(struct step *step);

/* The job as the provider's adapter wants to see it; borrows from `work`. */
struct provider_job step_provider_job(const struct attempt_work *work);

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
