/* SPDX-License-Identifier: MIT */
#ifndef DOMAIN_ACTS_H
#define DOMAIN_ACTS_H

#include "domain/admin_log.h"
#include "domain/jobs.h"
#include "domain/products.h"

/*
 * Acts: what an admin may do to users, jobs, the catalogue and the machine.
 * Each is one transaction with its entry in the admin log; an error leaves
 * neither.  The operator's tool and the admin API both end here.
 *
 * A reason is text of up to ADMIN_REASON_BYTES_MAX bytes.
 */

/* What an act on credits came to. */
struct act_receipt {
	int64_t number; /* of its entry in the log: what an undo names */
	int64_t balance; /* of the user */
};

/*
 * Gives or (negative) takes credits; the reason is in the ledger too.
 * 0 < |credits| <= CREDITS_AMOUNT_MAX.  cap_credits: what an admin may give
 * within 24 hours, in all; 0 = no cap; the console has none.  Errors:
 * ERR_USER_NOT_FOUND (deleted accounts too), ERR_INSUFFICIENT_CREDITS,
 * ERR_FORBIDDEN past the cap.
 */
enum err acts_adjust(struct db *db, const struct admin_actor *actor,
    const struct uuid *user_id, int64_t credits, const char *reason,
    int64_t cap_credits, int64_t now_ms, struct act_receipt *ret_receipt);

/*
 * Takes an adjustment back, once, by an entry of the opposite amount; of an
 * account that was merged, with its heir.  Nothing else can be undone.
 * Errors: ERR_NOT_FOUND when the number is no adjustment's, ERR_CONFLICT when
 * it was undone, ERR_USER_NOT_FOUND when the account was deleted,
 * ERR_INSUFFICIENT_CREDITS.
 */
enum err
acts_undo(struct db *db, const struct admin_actor *actor, int64_t number,
    const char *reason, int64_t now_ms, struct act_receipt *ret_receipt);

/* What became of a job whose credits an admin wants to give back. */
struct act_refund {
	enum job_state state;
	int64_t refunded_credits; /* now; 0 while the provider is asked */
	struct act_receipt receipt;
};

/*
 * Gives back what a job cost, once.  One that was not sent ends with its
 * release; of one under way the provider is asked to cancel it, and it is
 * settled by what comes of that; for one that was paid the credits come as an
 * adjustment of the same job.  Errors: ERR_JOB_NOT_FOUND, ERR_CONFLICT when
 * its credits are back already, ERR_FORBIDDEN past the cap.
 */
enum err acts_refund_job(struct db *db, const struct admin_actor *actor,
    const struct uuid *job_id, const char *reason, int64_t cap_credits,
    int64_t now_ms, struct act_refund *ret_refund);

/* Bans (and ends all sessions) or lifts a ban. Errors: ERR_USER_NOT_FOUND. */
enum err acts_set_banned(struct db *db, const struct admin_actor *actor,
    const struct uuid *user_id, bool is_banned, const char *reason,
    int64_t now_ms);

/* Ends all sessions of a user. Errors: ERR_USER_NOT_FOUND. */
enum err acts_log_out(struct db *db, const struct admin_actor *actor,
    const struct uuid *user_id, int64_t now_ms);

/*
 * Changes fields of a model or theme (domain/catalog.h), all or none.
 * *ret_bad is the index of the one that could not be.  Errors: as
 * catalog_set_model() and catalog_set_theme().
 */
struct act_field {
	struct str name;
	struct str value;
};

enum err acts_set_model(struct db *db, const struct admin_actor *actor,
    const struct uuid *id, const struct act_field *fields, size_t count,
    int64_t now_ms, size_t *ret_bad);
enum err acts_set_theme(struct db *db, const struct admin_actor *actor,
    const struct uuid *id, const struct act_field *fields, size_t count,
    int64_t now_ms, size_t *ret_bad);

/* Sells a product, or changes what it brings (domain/products.h). */
enum err acts_set_product(struct db *db, const struct admin_actor *actor,
    const struct product *product, int64_t now_ms);

/* Sells it no more.  Errors: ERR_NOT_FOUND. */
enum err acts_remove_product(struct db *db, const struct admin_actor *actor,
    struct str id, int64_t now_ms);

/* Turns maintenance on or off (domain/switches.h). */
enum err acts_set_maintenance(struct db *db, const struct admin_actor *actor,
    bool is_on, const char *reason, int64_t now_ms);

/*
 * Stops sending to a company, "" = all, or for one of its models, and starts
 * again (domain/breakers.h).  Errors: ERR_NOT_FOUND when it is not stopped.
 */
enum err acts_stop_provider(struct db *db, const struct admin_actor *actor,
    const char *company, const char *endpoint, const char *reason,
    int64_t now_ms);
enum err acts_start_provider(struct db *db, const struct admin_actor *actor,
    const char *company, const char *endpoint, const char *reason,
    int64_t now_ms);

#endif
