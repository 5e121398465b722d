/* SPDX-License-Identifier: MIT */
#include "worker.h"

#include "app/apple.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "domain/deletions.h"
#include "provider/appleid_keys.h"

/*
 * Deletions: the steps that a deleted account still needs.  Each is tried
 * until it is done; what is done already does no harm when it is tried again.
 */

#define STEPS_AT_ONCE_MAX 32

/* What happens on this machine is looked at often ... */
#define LOOK_FIRST_MS INT64_C(1000)
#define LOOK_MAX_MS (INT64_C(10) * 1000)

/* ... but Apple may be down, and is not asked again before it has answered. */
#define ASK_FIRST_MS (INT64_C(20) * 1000)
#define ASK_MAX_MS (INT64_C(10) * 60 * 1000)
#define ASK_CONNECT_TIMEOUT_MS 5000
#define ASK_TIMEOUT_MS 15000
#define ASK_ANSWER_BYTES_MAX ((size_t)64 * 1024)

_Static_assert(ASK_FIRST_MS > ASK_TIMEOUT_MS, "one question at a time");

/* From first_ms to max_ms, growing with each try. */
static int64_t
wait_ms(const struct deletion_step *step, int64_t first_ms, int64_t max_ms)
{
	int64_t ms = first_ms;

	for (int64_t i = 0; i < step->tries_count && ms < max_ms; i++)
		ms *= 2;
	return ms < max_ms ? ms : max_ms;
}

static void
log_trouble(const struct deletion_step *step, const char *problem)
{
	struct log log = log_begin(LOG_WARNING, "deletion");

	log_uuid(&log, "user", &step->user_id);
	log_text(&log, "step", step->name);
	log_text(&log, "problem", problem);
	log_int64(&log, "tries", step->tries_count);
	log_end(&log);
}

/* Failures of the database were logged; what is due stays due. */
static void
look_again(struct worker *worker, const struct deletion_step *step,
    bool is_done)
{
	const int64_t now_ms = clock_now_ms();

	if (is_done)
		(void)deletions_step_done(worker->state.db, step, now_ms);
	else
		(void)deletions_step_later(worker->state.db, step,
		    now_ms + wait_ms(step, LOOK_FIRST_MS, LOOK_MAX_MS));
}

static void
forget_jobs(struct worker *worker, const struct deletion_step *step)
{
	bool is_done = false;

	if (deletions_forget_jobs(worker->state.db, &step->user_id, &is_done) ==
	    OK)
		look_again(worker, step, is_done);
}

static void
await_files(struct worker *worker, const struct deletion_step *step)
{
	bool is_done = false;

	if (deletions_files_gone(worker->state.db, &step->user_id, &is_done) ==
	    OK)
		look_again(worker, step, is_done);
}

/* A question to Apple under way. */
struct revocation {
	struct worker *worker;
	struct deletion_step step;
};

static void
revoked(void *arg, const struct fetch_response *response)
{
	struct revocation *revocation = arg;
	struct db *db = revocation->worker->state.db;

	if (appleid_revoke_answer(response) == APPLEID_OK)
		(void)deletions_consent_gone(db, &revocation->step,
		    clock_now_ms());
	else
		log_trouble(&revocation->step, "Apple did not take it back");
	free(revocation);
}

static void
send_question(struct worker *worker, const struct deletion_step *step,
    const struct provider_call *call)
{
	struct revocation *revocation = calloc(1, sizeof(*revocation));

	if (revocation == NULL)
		abort();
	*revocation = (struct revocation){ worker, *step };
	fetcher_start(worker->fetcher,
	    &(const struct fetch_request){
		.method = call->method,
		.url = call->url,
		.headers = { call->header[0] },
		.body = buf_str(&call->body),
		.allow_private = config_number(&worker->state.config,
				     CONFIG_ALLOW_PRIVATE_UPSTREAMS) == 1,
		.connect_timeout_ms = ASK_CONNECT_TIMEOUT_MS,
		.timeout_ms = ASK_TIMEOUT_MS,
		.response_bytes_max = ASK_ANSWER_BYTES_MAX,
		.sink_fd = -1,
	    },
	    revoked, revocation);
}

/* False when no key signs the question, which is logged. */
static bool
ask_apple(struct worker *worker, const struct deletion_step *step,
    const struct identity_consent *consent, struct str token)
{
	struct provider_call call;
	bool ok;

	provider_call_init(&call, "POST");
	ok = appleid_revoke_call(&worker->state.config, consent->client_id,
	    token, clock_now_ms(), &call);
	if (ok)
		send_question(worker, step, &call);
	provider_call_free(&call);
	return ok;
}

/*
 * The next try is noted before this one begins: then neither Apple's refusal
 * nor our own death needs to be told.
 */
static void
revoke_consent(struct worker *worker, const struct deletion_step *step)
{
	const struct state *state = &worker->state;
	struct identity_consent consent;
	CLEANUP(buf_free) struct buf token = { 0 };
	enum err err;

	buf_init(&token, IDENTITY_SEALED_BYTES_MAX);
	if (deletions_step_later(state->db, step,
		clock_now_ms() + wait_ms(step, ASK_FIRST_MS, ASK_MAX_MS)) != OK)
		return;
	err = apple_open_consent(&state->keys, state->db, &step->user_id,
	    &consent, &token);
	if (err == ERR_NOT_FOUND ||
	    (err == OK && appleid_is_stand_in(&state->config)))
		(void)deletions_consent_gone(state->db, step, clock_now_ms());
	else if (err == ERR_INTERNAL)
		log_trouble(step, "keys/apple does not open the consent");
	else if (err == OK &&
	    !ask_apple(worker, step, &consent, buf_str(&token)))
		log_trouble(step, "Apple cannot be asked");
	if (token.len > 0)
		explicit_bzero(token.ptr, token.len);
}

static const struct step_kind {
	const char *name;
	void (*run)(struct worker *worker, const struct deletion_step *step);
} kinds[] = {
	{ "jobs", forget_jobs },
	{ "files", await_files },
	{ "apple", revoke_consent },
};

static void
try_step(struct worker *worker, const struct deletion_step *step)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(kinds[i].name, step->name) == 0) {
			kinds[i].run(worker, step);
			return;
		}
	}
	/* A newer program's: it will do it when it is back. */
	(void)deletions_step_later(worker->state.db, step,
	    clock_now_ms() + ASK_MAX_MS);
}

void
finish_deletions(struct worker *worker)
{
	struct deletion_step due[STEPS_AT_ONCE_MAX];
	size_t count = 0;

	if (deletions_due(worker->state.db, clock_now_ms(), due,
		STEPS_AT_ONCE_MAX, &count) != OK)
		return;
	for (size_t i = 0; i < count; i++)
		try_step(worker, &due[i]);
}
