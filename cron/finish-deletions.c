/* SPDX-License-Identifier: MIT */
#include "worker.h"

#include "app/apple.h"
#include "base/clock.h"
#include "domain/deletions.h"

/*
 * Deletions: the steps that a deleted account still needs.  Each is tried
 * until it is done; what is done already does no harm when it is tried again.
 */

#define STEPS_AT_ONCE_MAX 32

#define RETRY_FIRST_MS INT64_C(1000)

/* What happens on this machine is looked at often; Apple may be down. */
#define LOOK_AGAIN_MS (INT64_C(10) * 1000)
#define ASK_AGAIN_MS (INT64_C(10) * 60 * 1000)

static bool
forget_jobs(struct worker *worker, const struct deletion_step *step)
{
	struct db *db = worker->state.db;
	bool is_done = false;

	return deletions_forget_jobs(db, &step->user_id, &is_done) == OK &&
	    is_done && deletions_step_done(db, step, clock_now_ms()) == OK;
}

static bool
await_files(struct worker *worker, const struct deletion_step *step)
{
	struct db *db = worker->state.db;
	bool is_done = false;

	return deletions_files_gone(db, &step->user_id, &is_done) == OK &&
	    is_done && deletions_step_done(db, step, clock_now_ms()) == OK;
}

/*
 * The one call of the worker that is waited for: it is rare, and shorter than
 * a lease.
 */
static bool
revoke_consent(struct worker *worker, const struct deletion_step *step)
{
	const struct state *state = &worker->state;
	struct identity_consent consent;
	struct buf token;
	enum err err;
	bool ok;

	buf_init(&token, IDENTITY_SEALED_BYTES_MAX);
	err = apple_open_consent(&state->keys, state->db, &step->user_id,
	    &consent, &token);
	ok = err == ERR_NOT_FOUND ||
	    (err == OK &&
		appleid_revoke(&state->config, consent.client_id,
		    buf_str(&token), clock_now_ms()) == APPLEID_OK);
	if (token.len > 0)
		explicit_bzero(token.ptr, token.len);
	buf_free(&token);
	return ok &&
	    deletions_consent_gone(state->db, step, clock_now_ms()) == OK;
}

/* Each answers whether its step is done now. */
static const struct step_kind {
	const char *name;
	bool (*run)(struct worker *worker, const struct deletion_step *step);
	int64_t retry_max_ms;
	bool waits; /* for the network: one such step a turn */
} kinds[] = {
	{ "jobs", forget_jobs, LOOK_AGAIN_MS, false },
	{ "files", await_files, LOOK_AGAIN_MS, false },
	{ "apple", revoke_consent, ASK_AGAIN_MS, true },
};

static int64_t
wait_ms(const struct step_kind *kind, int64_t tries_count)
{
	int64_t ms = RETRY_FIRST_MS;

	for (int64_t i = 0; i < tries_count && ms < kind->retry_max_ms; i++)
		ms *= 2;
	return ms < kind->retry_max_ms ? ms : kind->retry_max_ms;
}

/* Did it wait for the network? */
static bool
try_step(struct worker *worker, const struct deletion_step *step)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const struct step_kind *kind = &kinds[i];

		if (strcmp(kind->name, step->name) != 0)
			continue;
		if (!kind->run(worker, step))
			(void)deletions_step_later(worker->state.db, step,
			    clock_now_ms() + wait_ms(kind, step->tries_count));
		return kind->waits;
	}
	/* A newer program's: it will do it when it is back. */
	(void)deletions_step_later(worker->state.db, step,
	    clock_now_ms() + ASK_AGAIN_MS);
	return false;
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
	for (size_t i = 0; i < count && !try_step(worker, &due[i]); i++)
		continue;
}
