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

#define RETRY_FIRST_MS INT64_C(1000)

/* What happens on this machine is looked at often. */
#define LOOK_AGAIN_MS (INT64_C(10) * 1000)

#define UNKNOWN_STEP_WAIT_MS (INT64_C(10) * 60 * 1000)

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

static const struct step_kind {
	const char *name;
	enum err (*run)(struct worker *worker, const struct uuid *user_id,
	    bool *ret_done);
	int64_t retry_max_ms;
} kinds[] = {
	{ "jobs", forget_jobs, LOOK_AGAIN_MS },
	{ "files", await_files, LOOK_AGAIN_MS },
};

static const struct step_kind *
find_kind(const char *name)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(kinds[i].name, name) == 0)
			return &kinds[i];
	return NULL;
}

static int64_t
wait_ms(const struct step_kind *kind, int64_t tries_count)
{
	int64_t ms = RETRY_FIRST_MS;

	for (int64_t i = 0; i < tries_count && ms < kind->retry_max_ms; i++)
		ms *= 2;
	return ms < kind->retry_max_ms ? ms : kind->retry_max_ms;
}

static void
try_step(struct worker *worker, const struct deletion_step *step)
{
	const struct step_kind *kind = find_kind(step->name);
	struct db *db = worker->state.db;
	bool is_done = false;

	if (kind == NULL) {
		/* A newer program's: it will do it when it is back. */
		log_line(LOG_ERROR, "deletion", "unknown_step", step->name);
		(void)deletions_step_later(db, step,
		    clock_now_ms() + UNKNOWN_STEP_WAIT_MS);
	} else if (kind->run(worker, &step->user_id, &is_done) == OK && is_done)
		(void)deletions_step_done(db, step, clock_now_ms());
	else
		(void)deletions_step_later(db, step,
		    clock_now_ms() + wait_ms(kind, step->tries_count));
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
	for (size_t i = 0; i < count; i++)
		try_step(worker, &due[i]);
}
