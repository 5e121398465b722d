/* SPDX-License-Identifier: MIT */
#ifndef DOMAIN_ATTEMPTS_H
#define DOMAIN_ATTEMPTS_H

#include "domain/dispatch.h"
#include "domain/jobs.h"

/*
 * Attempts: bringing open jobs forward, step by step.
 *
 * Every open job has a time at which somebody must act on it.  A worker
 * leases what is due: in one transaction it learns what to do and moves that
 * time into the future, so that no other worker does it too, and so that it
 * becomes due again if the worker dies.  What came of the step is then told
 * by one of the functions below, each a transaction of its own that only
 * moves an attempt out of the state it must be in: telling it twice, or late,
 * changes nothing.
 *
 * A submission costs money.  It is written down as being sent before a byte
 * leaves; whoever finds it in that state afterwards never sends it again but
 * asks the provider what became of it.
 *
 *	new -> sending -> accepted -> succeeded
 *	          |  \       |
 *	          |   unknown  (accepted | failed | lost)
 *	          new            (it is certain that nothing was sent)
 */

enum attempt_action {
	ATTEMPT_SUBMIT,
	ATTEMPT_FIND, /* a submission's fate is unknown */
	ATTEMPT_POLL,
	ATTEMPT_CANCEL, /* nobody wants it any more: tell the provider */
	ATTEMPT_FETCH, /* the result is ready to be stored */
};

#define ATTEMPT_ID_BYTES 128
#define ATTEMPT_URL_BYTES 512
#define ATTEMPT_VIDEO_URL_BYTES 2048

struct attempt_handle {
	char request_id[ATTEMPT_ID_BYTES];
	char status_url[ATTEMPT_URL_BYTES];
	char result_url[ATTEMPT_URL_BYTES];
	char cancel_url[ATTEMPT_URL_BYTES];
};

struct attempt_work {
	enum attempt_action action;
	struct uuid id;
	struct uuid job_id;
	struct uuid user_id;
	char company[CATALOG_TEXT_BYTES];
	char endpoint[CATALOG_TEXT_BYTES];
	char image_field[64];
	char duration_format[8];
	char omits[CATALOG_TEXT_BYTES];
	struct uuid model_id;
	int64_t cost_micro_usd; /* the most that a submission can cost */
	bool is_ended; /* the provider is done, its result was not understood */
	char prompt[JOB_PROMPT_BYTES_MAX + 1];
	bool has_image;
	struct uuid image_object_id;
	int64_t duration_s;
	char resolution[CATALOG_VALUE_BYTES];
	char aspect_ratio[CATALOG_VALUE_BYTES];
	bool has_audio;
	int64_t seed;
	int64_t calls_count; /* calls made in the present state */
	int64_t sent_at_ms;
	struct attempt_handle handle;
	char video_url[ATTEMPT_VIDEO_URL_BYTES];
	int64_t video_bytes; /* that its file must have; 0 = not told */
};

/* What the worker knows of the provider that serves a company's models. */
struct attempt_policy {
	const char *company;
	const char *provider; /* its name, stored with the attempt */
	int64_t life_ms; /* after sending: to start, run and be told */
	int64_t slots; /* attempts that may be under way at once */
	/* An attempt of unknown fate takes a slot for this long. */
	int64_t start_timeout_ms;
	int64_t spend_cap_micro_usd; /* a day; 0 = none */
	int64_t credit_micro_usd; /* for models whose cost is not known */
};

/* A lease lives this long unless it is renewed. */
#define ATTEMPT_LEASE_MS INT64_C(15000)

/* How long fetching a result may be tried, in all. */
#define ATTEMPT_STORE_MAX_MS (INT64_C(2) * 3600 * 1000)

/*
 * Leases up to `max` due jobs: first those under way, then, as far as the
 * policy has free slots, those to be submitted.  Jobs past their deadline are
 * ended here, with a release.  *ret_ended counts those.  may_fetch: results
 * may be fetched too; else they wait, and what is short goes on.
 */
enum err attempts_lease(struct db *db, const struct attempt_policy *policies,
    size_t policies_count, bool may_fetch, int64_t now_ms,
    struct attempt_work *works, size_t max, size_t *ret_count,
    size_t *ret_ended);

/* Keeps a lease for another ATTEMPT_LEASE_MS. */
enum err attempts_renew(struct db *db, const struct uuid *job_ids, size_t count,
    int64_t now_ms);

/* The provider took it: this is how to speak of it. */
enum err attempts_accepted(struct db *db, const struct uuid *id,
    const struct attempt_handle *handle, int64_t due_at_ms, int64_t now_ms);

/*
 * Certainly nothing was sent, or it was refused for now: try again later,
 * unless its user deleted the job meanwhile; then it is cancelled.
 */
enum err attempts_unsent(struct db *db, const struct uuid *id,
    int64_t due_at_ms, int64_t now_ms);

/* Perhaps it was sent: find out, beginning at due_at_ms. */
enum err
attempts_unknown(struct db *db, const struct uuid *id, int64_t due_at_ms);

/* It waits or runs at the provider; queue_position -1 = not told. */
enum err attempts_progress(struct db *db, const struct uuid *id,
    bool is_running, int64_t queue_position, int64_t due_at_ms, int64_t now_ms);

/* Nothing was learnt, ask again at due_at_ms. */
enum err
attempts_later(struct db *db, const struct uuid *id, int64_t due_at_ms);

/* It is over, we were told: asking is due now. */
enum err attempts_look(struct db *db, const struct uuid *id, int64_t now_ms);

/* It is made and can be fetched; a video_bytes of 0 = not told. */
enum err attempts_succeeded(struct db *db, const struct uuid *id,
    const char *video_url, int64_t video_bytes, int64_t now_ms);

/* The provider is done with it; what came of it could not be read yet. */
enum err
attempts_ended(struct db *db, const struct uuid *id, int64_t due_at_ms);

/* How an attempt came to nothing, and what our rules make of that. */
struct attempt_failure {
	const char *error_code;
	/* The job goes on with another attempt while it had fewer than this. */
	int64_t attempts_max;
	bool keeps_charge;
	bool is_unbilled; /* it is certain that it costs nothing */
	bool is_refusal; /* an answer to a submission: stale once it is known */
	/* May another attempt go to this company?  NULL = to no other one. */
	dispatch_can_ask *can_ask;
	const void *can_ask_arg;
};

/*
 * It came to nothing: the job ends and the credits go back, or another
 * attempt is made, at the model's fallback if it has one that can be asked.
 */
enum err attempts_end(struct db *db, const struct uuid *id,
    const struct attempt_failure *failure, int64_t now_ms);

/* Its result cannot be had: the job ends and the credits go back. */
enum err attempts_failed(struct db *db, const struct uuid *id,
    const char *error_code, int64_t now_ms);

/* A file that is whole on our disk. */
struct attempt_file {
	int64_t size_bytes;
	uint8_t sha256[32];
};

/*
 * The video is there, and perhaps its poster (NULL = none): the job is
 * completed and paid, unless its credits went back before.  Errors: ERR_CONFLICT when nobody wants the files any
 * more; the caller removes them.
 */
enum err attempts_stored(struct db *db, const struct uuid *id,
    const struct attempt_file *video, const struct attempt_file *poster,
    int64_t now_ms);

/* The provider has heard that nobody wants it any more. */
enum err
attempts_cancel_told(struct db *db, const struct uuid *id, int64_t due_at_ms);

#endif
