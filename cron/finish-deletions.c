/* SPDX-License-Identifier: MIT */
#include "worker.h"

#include "base/clock.h"
#include "base/log.h"
#include "domain/deletions.h"

/*
 * Deletions: the steps that a deleted account still needs.  Each is tried
 * until it is done; what is done already does no harm when it is tried again.
 */

#define STEPS_AT_ONCE_MAX 32

/* The first steps end within seconds; a company may be down for long. */
#define RETRY_FIRST_MS INT64_C(1000)
#define RETRY_MAX_MS (INT64_C(10) * 60 * 1000)

static enum err
forget_jobs(struct worker *worker, const struct uuid *user_id, bool *ret_done)
{
	return deletions_forget_jobs(worker->state.db, user_id, ret_done);
}

static enum err
await_files(struct worker *worker, const struct uuid *user_id, bool *ret_done)
{
	return deletions_files_gone(worker->state.db, user_id, ret_done);
}

static const struct {
	const char *name;
	enum err (*run)(struct worker *worker, const struct uuid *user_id,
	    bool *ret_done);
} steps[] = {
	{ "jobs", forget_jobs },
	{ "files", await_files },
};

static bool
try_step(struct worker *worker, const struct deletion_step *step)
{
	bool is_done = false;

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		if (strcmp(steps[i].name, step->name) == 0)
			return steps[i].run(worker, &step->user_id, &is_done) ==
			    OK &&
			    is_done;
	log_line(LOG_ERROR, "deletion", "unknown_step", step->name);
	return false;
}

static int64_t
wait_ms(int64_t tries_count)
{
	int64_t ms = RETRY_FIRST_MS;

	for (int64_t i = 0; i < tries_count && ms < RETRY_MAX_MS; i++)
		ms *= 2;
	return ms < RETRY_MAX_MS ? ms : RETRY_MAX_MS;
}

void
finish_deletions(struct worker *worker)
{
	struct deletion_step due[STEPS_AT_ONCE_MAX];
	size_t count = 0;

	/* Failures were logged; what is due stays due. */
	if (deletions_due(worker->state.db, clock_now_ms(), due,
		STEPS_AT_ONCE_MAX, &count) != OK)
		return;
	for (size_t i = 0; i < count; i++) {
		if (try_step(worker, &due[i]))
			(void)deletions_step_done(worker->state.db, &due[i],
			    clock_now_ms());
		else
			(void)deletions_step_later(worker->state.db, &due[i],
			    clock_now_ms() + wait_ms(due[i].tries_count));
	}
}
