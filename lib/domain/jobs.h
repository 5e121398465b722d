/* SPDX-License-Identifier: MIT */
#ifndef DOMAIN_JOBS_H
#define DOMAIN_JOBS_H

#include "domain/catalog.h"
#include "domain/limits.h"

/*
 * Jobs: generations as their users see them.
 *
 * A job begins with the hold of its cost and ends with its capture
 * (completed) or its release (failed, cancelled, lost); between the two the
 * worker brings it forward (domain/attempts.h).  A video that comes after its
 * job was lost is delivered for nothing: there is the release, and no capture.
 */

enum job_state {
	JOB_QUEUED,
	JOB_SUBMITTING,
	JOB_WAITING,
	JOB_RUNNING,
	JOB_STORING,
	JOB_COMPLETED,
	JOB_FAILED,
	JOB_CANCELLED,
	JOB_LOST,
	JOB_STATE_MAX,
};

/* The word in the database. */
const char *job_state_name(enum job_state state);
enum job_state job_state_parse(struct str name);

/* pending, processing, completed or failed: all that released apps know. */
const char *job_public_status(enum job_state state);

bool job_is_over(enum job_state state);

#define JOB_PROMPT_CHARACTERS_MAX 5000
#define JOB_PROMPT_BYTES_MAX (JOB_PROMPT_CHARACTERS_MAX * 4)
#define JOB_KEY_BYTES_MAX 255

/*
 * How long a job may wait for its turn before it is given up and its credits
 * go back: long enough for an outage of the provider, short enough to matter.
 */
#define JOB_QUEUE_MAX_MS (INT64_C(6) * 3600 * 1000)

/*
 * Whose turn it is: who waits longest, where each job that its user has open
 * already counts as having come later, and paying as having come earlier.
 * Both are bounded, so everybody's turn comes.
 */
#define JOB_TURN_PER_OPEN_MS INT64_C(30000)
#define JOB_TURN_PREMIUM_MS INT64_C(120000)

struct job_order {
	struct uuid user_id;
	struct str key; /* the Idempotency-Key */
	const struct model *model;
	const struct theme *theme; /* NULL = none */
	struct settings settings;
	struct str prompt;
	const struct uuid *image_object_id; /* NULL = none */
	/*
	 * SHA-256 of the request as it was understood, so that a replay is
	 * told from another request under the same key.
	 */
	uint8_t fingerprint[32];
	/* Jobs that a user may have open at once, by tier. */
	int64_t open_max_free;
	int64_t open_max_premium;
	/*
	 * Orders within an hour: of a guest, of who signed in with Apple, and
	 * of who has paid; and within a minute.
	 */
	int64_t guest_per_hour;
	int64_t free_per_hour;
	int64_t premium_per_hour;
	int64_t per_minute;
	/* Do purchases in Apple's sandbox, which cost nothing, lift these? */
	bool counts_sandbox;
};

struct job_receipt {
	struct uuid job_id;
	int64_t credits_used;
	int64_t credits_remaining;
	bool is_replay;
	/* The limit it counted against, and how it stands; not of a replay. */
	struct limit limit;
	struct limit_state limit_state;
};

/*
 * Has this key been used?  Fills *ret_receipt and sets *ret_found if so; a
 * different fingerprint is ERR_IDEMPOTENCY_KEY_REUSED.  If not, may this user
 * order another one?  ERR_RATE_LIMITED (with the receipt's limit),
 * ERR_TOO_MANY_JOBS, ERR_USER_NOT_FOUND.  A look, which needs no transaction,
 * before the price is known: of the order model, theme, settings and picture
 * are not read.  jobs_submit() asks again inside its transaction.  A key is
 * remembered as long as its job: however late a retry comes, it is not
 * another order.
 */
enum err jobs_look(struct db *db, const struct job_order *order, int64_t now_ms,
    bool *ret_found, struct job_receipt *ret_receipt);

/*
 * Takes the job on: hold, job, attempt, idempotency record and event in one
 * transaction.  Errors: ERR_INSUFFICIENT_CREDITS (credits_used and
 * credits_remaining of the receipt are then what is needed and what there
 * is), ERR_RATE_LIMITED (with the receipt's limit), ERR_TOO_MANY_JOBS,
 * ERR_IDEMPOTENCY_KEY_REUSED, ERR_USER_NOT_FOUND, ERR_UNAUTHORIZED when the
 * account was banned or deleted meanwhile, ERR_INVALID_IMAGE_URL when the
 * picture was.
 */
enum err jobs_submit(struct db *db, const struct job_order *order,
    int64_t now_ms, struct job_receipt *ret_receipt);

struct job {
	struct uuid id;
	struct uuid user_id;
	enum job_state state;
	char model_name[CATALOG_TEXT_BYTES];
	char error_code[32]; /* "" = none */
	int64_t queue_position; /* ours or the provider's; -1 = not known */
	int64_t cost_credits;
	int64_t refunded_credits;
	int64_t created_at_ms;
	int64_t completed_at_ms; /* -1 while it is open */
	/* In the row: they live for the call. */
	struct str prompt;
	struct str video_name; /* of the stored object; "" = none */
	struct str poster_name; /* likewise */
};

/* A job of this user that was not deleted. Errors: ERR_JOB_NOT_FOUND. */
typedef enum err jobs_each(void *arg, const struct job *job);
enum err jobs_get(struct db *db, const struct uuid *user_id,
    const struct uuid *job_id, jobs_each *each, void *arg);

/*
 * The attempt of a user's job that is, or may be, under way at a provider.
 * Errors: ERR_JOB_NOT_FOUND; ERR_CONFLICT when there is none, any more or yet.
 */
enum err jobs_open_attempt(struct db *db, const struct uuid *user_id,
    const struct uuid *job_id, struct uuid *ret_attempt_id);

#define JOBS_PAGE_MAX 100

/*
 * Calls `each` for the user's jobs, newest first: those older than `before`
 * (NULL = all), `offset` of them skipped, at most `limit`.
 */
enum err
jobs_list(struct db *db, const struct uuid *user_id, const struct uuid *before,
    int64_t offset, int64_t limit, jobs_each *each, void *arg);

/*
 * Deletes a job from the user's sight, its files with it.  A job that was not
 * yet sent to the provider is cancelled and its credits go back; of one that
 * is under way the provider is told to cancel it, and it is settled by what
 * comes of that.  Errors: ERR_JOB_NOT_FOUND.
 */
enum err jobs_delete(struct db *db, const struct uuid *user_id,
    const struct uuid *job_id, int64_t now_ms);

struct job_cancellation {
	enum job_state state; /* what the job is in now */
	int64_t refunded_credits;
};

/*
 * Cancels a job for its user.  What was not yet sent ends now; what waits at
 * the provider ends when that agrees, so it is still open then.  Repeating it
 * tells the same.  Errors: ERR_JOB_NOT_FOUND, ERR_JOB_NOT_CANCELABLE.
 */
enum err jobs_cancel(struct db *db, const struct uuid *user_id,
    const struct uuid *job_id, int64_t now_ms,
    struct job_cancellation *ret_cancellation);

/*
 * Ends a job whose attempt was never sent; *ret_cancelled is false when it
 * was.  The caller holds a write transaction.
 */
enum err jobs_cancel_unsent(struct db *db, const struct uuid *job_id,
    int64_t now_ms, bool *ret_cancelled);

/*
 * The provider is to be told that nobody wants this job any more, if it is
 * there.  The caller holds a write transaction.
 */
enum err
jobs_ask_cancel(struct db *db, const struct uuid *job_id, int64_t now_ms);

/*
 * Deletes all jobs of a user in the same way, and forgets their prompts and
 * keys.  The caller holds a write transaction and sees to the files.
 */
enum err jobs_erase(struct db *db, const struct uuid *user_id, int64_t now_ms);

/* Ends a job as failed, but with a capture: by the operator's own rule. */
enum err jobs_keep_charge(struct db *db, const struct uuid *job_id,
    const char *error_code, int64_t now_ms);

/*
 * Takes up to `limit` results that were stored before before_ms out of their
 * users' sight, files and jobs together.
 */
#define JOBS_RETIRED_MAX 100
enum err
jobs_retire(struct db *db, int64_t before_ms, int64_t limit, int64_t now_ms);

/*
 * Ends a job with a release: for the worker and for cancellation.  A job that
 * has ended already is left alone.  The caller holds a write transaction.
 */
enum err jobs_give_up(struct db *db, const struct uuid *job_id,
    enum job_state end, const char *error_code, int64_t now_ms);

#endif
