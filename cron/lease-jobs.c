/* SPDX-License-Identifier: MIT */
#include "worker.h"

#include "app/hooks.h"
#include "base/clock.h"
#include "base/log.h"

/* Leased in one transaction; the rest is due at once again. */
#define LEASED_AT_ONCE_MAX 32

/* The companies that models may belong to. */
static const char *const companies[] = { "fal", "replicate" };

#define COMPANIES_COUNT (sizeof(companies) / sizeof(companies[0]))

static size_t
read_policies(const struct worker *worker,
    struct attempt_policy policies[COMPANIES_COUNT])
{
	const struct config *config = &worker->state.config;
	size_t count = 0;

	for (size_t i = 0; i < COMPANIES_COUNT; i++) {
		const struct provider *provider =
		    provider_for(config, companies[i]);

		struct provider_times times;

		if (provider == NULL)
			continue;
		times = provider_times(provider, config);
		policies[count++] = (struct attempt_policy){
			.company = companies[i],
			.provider = provider->name,
			.life_ms = times.start_timeout_ms +
			    times.run_timeout_ms + times.told_within_ms,
			.slots =
			    config_number(config, CONFIG_PROVIDER_CONCURRENCY),
			.start_timeout_ms = times.start_timeout_ms,
			.spend_cap_micro_usd =
			    config_number(config,
				CONFIG_PROVIDER_SPEND_CAP_USD_PER_DAY) *
			    1000000,
			.credit_micro_usd = config_number(config,
			    CONFIG_CREDIT_VALUE_MICRO_USD),
		};
	}
	return count;
}

/*
 * Our own lease may have run out while this process was stopped, but the step
 * is still under way and will tell.
 */
static bool
is_under_way(const struct worker *worker, const struct attempt_work *work)
{
	for (const struct step *s = worker->steps; s != NULL; s = s->next)
		if (uuid_equal(&s->work.id, &work->id) &&
		    s->work.action == work->action)
			return true;
	return false;
}

static void
begin(struct worker *worker, const struct attempt_work *work)
{
	struct step *step;

	if (is_under_way(worker, work))
		return;
	step = calloc(1, sizeof(*step));
	if (step == NULL)
		abort();
	step->worker = worker;
	step->work = *work;
	step->result_fd = -1;
	step->poster.fd = -1;
	step->poster.place_fd = -1;
	step->provider = provider_for(&worker->state.config, work->company);
	if (step->provider != NULL) {
		step->times =
		    provider_times(step->provider, &worker->state.config);
		hooks_write_url(&worker->state.config, &worker->state.keys,
		    step->provider->name, &work->id, step->webhook_url,
		    sizeof(step->webhook_url));
	}
	step->next = worker->steps;
	worker->steps = step;
	worker->steps_count++;
	/* Its provider was taken out of the configuration: the deadline acts. */
	if (step->provider == NULL) {
		step_done(step);
		return;
	}
	switch (work->action) {
	case ATTEMPT_SUBMIT:
		submit_job(step);
		break;
	case ATTEMPT_FIND:
		find_job(step);
		break;
	case ATTEMPT_POLL:
		poll_job(step);
		break;
	case ATTEMPT_CANCEL:
		cancel_job(step);
		break;
	case ATTEMPT_FETCH:
		fetch_result(step);
		break;
	}
}

static bool
may_fetch(const struct worker *worker)
{
	int count = 0;

	for (const struct step *s = worker->steps; s != NULL; s = s->next)
		count += s->work.action == ATTEMPT_FETCH;
	return count < WORKER_FETCHES_MAX;
}

void
lease_jobs(struct worker *worker)
{
	static struct attempt_work works[LEASED_AT_ONCE_MAX];
	struct attempt_policy policies[COMPANIES_COUNT];
	const size_t policies_count = read_policies(worker, policies);
	const size_t room = WORKER_STEPS_MAX - worker->steps_count;
	size_t count = 0, ended = 0;

	if (worker->is_draining || room == 0)
		return;
	/* A failure was logged; what is due stays due. */
	if (attempts_lease(worker->state.db, policies, policies_count,
		may_fetch(worker), clock_now_ms(), works,
		room < LEASED_AT_ONCE_MAX ? room : LEASED_AT_ONCE_MAX, &count,
		&ended) != OK)
		return;
	for (size_t i = 0; i < count; i++)
		begin(worker, &works[i]);
	if (ended > 0) {
		struct log log = log_begin(LOG_WARNING, "jobs_ended_late");

		log_int64(&log, "count", (int64_t)ended);
		log_end(&log);
	}
}

void
renew_leases(struct worker *worker)
{
	struct uuid ids[WORKER_STEPS_MAX];
	size_t count = 0;

	for (const struct step *s = worker->steps; s != NULL; s = s->next)
		ids[count++] = s->work.job_id;
	if (count > 0)
		(void)attempts_renew(worker->state.db, ids, count,
		    clock_now_ms());
}
