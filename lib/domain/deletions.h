/* SPDX-License-Identifier: MIT */
#ifndef DOMAIN_DELETIONS_H
#define DOMAIN_DELETIONS_H

#include "store/db.h"

/*
 * Deletions: the end of an account.
 *
 * One transaction ends it: whoever looks afterwards finds no session, no
 * prompt, no name and no way back in.  What takes longer, because a provider
 * works on it, files must go or a company must be told, is a step: a row that
 * is tried until it is done, whatever is down meanwhile.
 *
 * What stays: the ledger, whose entries name nobody any more, so that a later
 * refund finds its purchase; and that the device has had its gift.
 */

#define DELETION_STEP_BYTES 32

struct deletion_step {
	struct uuid user_id;
	char name[DELETION_STEP_BYTES];
	int64_t tries_count;
};

/*
 * Deletes the account in a transaction of its own; queued jobs are cancelled
 * and their credits go back, jobs under way are hidden and still settled.
 * Errors: ERR_UNAUTHORIZED when there is no such account (any more).
 */
enum err
deletions_begin(struct db *db, const struct uuid *user_id, int64_t now_ms);

/* Up to `max` steps that are to be tried now. */
enum err deletions_due(struct db *db, int64_t now_ms,
    struct deletion_step *ret_steps, size_t max, size_t *ret_count);

/* The step is done, or is to be tried again then. */
enum err deletions_step_done(struct db *db, const struct deletion_step *step,
    int64_t now_ms);
enum err deletions_step_later(struct db *db, const struct deletion_step *step,
    int64_t next_try_at_ms);

/*
 * The step "jobs": when the last job is settled, forgets where the provider
 * keeps what it made of them.
 */
enum err deletions_forget_jobs(struct db *db, const struct uuid *user_id,
    bool *ret_done);

/* The step "files": is the last one gone? */
enum err
deletions_files_gone(struct db *db, const struct uuid *user_id, bool *ret_done);

/*
 * The step "apple" is done: the consent was taken back at Apple, and what we
 * kept of it (domain/identities.h) is forgotten.
 */
enum err deletions_consent_gone(struct db *db, const struct deletion_step *step,
    int64_t now_ms);

/*
 * Lets the step "apple" be done, again if need be, for a consent that was kept
 * when the account was deleted already.  Nothing for an account that is there.
 * The caller holds a write transaction.
 */
enum err deletions_owe_consent(struct db *db, const struct uuid *user_id,
    int64_t now_ms);

/* Steps that have been open for longer than that. */
enum err
deletions_stuck_count(struct db *db, int64_t before_ms, int64_t *ret_count);

#endif
