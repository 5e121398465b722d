/* SPDX-License-Identifier: MIT */
#ifndef DOMAIN_CREDITS_H
#define DOMAIN_CREDITS_H

#include "store/db.h"

/*
 * Credits: what a user may still spend on generations.
 *
 * An amount is a count of whole credits, never money and never a fraction.
 * Credits come in lots (a gift, a purchase) that remember what is left of
 * them.  The ledger says how the balance came to be: entries are appended,
 * never edited, and each carries the hash of the one before it.
 *
 *	balance = sum of the entries' changes = sum of what remains in the lots
 *
 * A job holds its cost: the credits leave the balance at once.  It then ends
 * with one capture (they are spent) or one release (the same credits go back
 * to the same lots), never both.  A balance never falls below zero; what Apple
 * refunds after it was spent is a debt (domain/debts.h).
 *
 * Lots burn in this order: what expires first, what was free, what was bought.
 *
 * Unless said otherwise the caller holds a write transaction and rolls back
 * on error.  Functions write their ret_ arguments only on OK.
 */

/* The largest single entry, in credits: far above our largest product. */
#define CREDITS_AMOUNT_MAX INT64_C(10000)

/* The largest balance; the schema says so too. */
#define CREDITS_BALANCE_MAX INT64_C(1000000000)

/* A reason is at most this long: a word of ours or an operator's sentence. */
#define CREDITS_REASON_BYTES_MAX ((size_t)255)

/* Reads the balance; needs no transaction. Errors: ERR_USER_NOT_FOUND. */
enum err credits_balance(struct db *db, const struct uuid *user_id,
    int64_t *ret_balance);

/*
 * Gives the free credits of a new device, once a user.  Errors: ERR_CONFLICT
 * if this user has had them.  0 < amount <= CREDITS_AMOUNT_MAX.
 */
enum err credits_grant(struct db *db, const struct uuid *user_id,
    int64_t amount_credits, int64_t now_ms);

/*
 * Adds (or with a negative amount takes) credits by an operator's decision.
 * The reason is kept in the ledger.  Errors: ERR_USER_NOT_FOUND,
 * ERR_INSUFFICIENT_CREDITS when more would be taken than there is.
 */
enum err credits_adjust(struct db *db, const struct uuid *user_id,
    int64_t amount_credits, const char *reason, int64_t now_ms,
    int64_t *ret_balance);

/*
 * Gives back what was paid for a job, by an operator's decision: an adjustment
 * that names the job.  Once a job: the schema says so.
 */
enum err credits_refund_job(struct db *db, const struct uuid *user_id,
    const struct uuid *job_id, int64_t amount_credits, const char *reason,
    int64_t now_ms, int64_t *ret_balance);

/*
 * Takes `amount` credits for a job and returns the balance left.  A job holds
 * once.  Errors: ERR_USER_NOT_FOUND, ERR_INSUFFICIENT_CREDITS (then
 * *ret_balance is the balance there is, too).
 */
enum err credits_hold(struct db *db, const struct uuid *user_id,
    const struct uuid *job_id, int64_t amount_credits, int64_t now_ms,
    int64_t *ret_balance);

/* Ends a job's hold: its credits are spent. */
enum err credits_capture(struct db *db, const struct uuid *user_id,
    const struct uuid *job_id, int64_t now_ms);

/* Ends a job's hold: its credits go back to the lots they came from. */
enum err credits_release(struct db *db, const struct uuid *user_id,
    const struct uuid *job_id, const char *reason, int64_t now_ms);

/* Ten pieces of the largest product; the schema says so too. */
#define CREDITS_PURCHASE_MAX (10 * CREDITS_AMOUNT_MAX)

struct credits_bought {
	struct uuid purchase_id; /* of domain/purchases.h */
	int64_t credits; /* 0 < credits <= CREDITS_PURCHASE_MAX */
	int64_t expires_at_ms; /* 0 = never */
};

/*
 * Adds what was bought, as a lot that remembers its purchase; a debt is paid
 * out of it at once.  Once a purchase: the schema says so.  Errors:
 * ERR_USER_NOT_FOUND, ERR_CONFLICT past the largest balance.
 */
enum err credits_purchase(struct db *db, const struct uuid *user_id,
    const struct credits_bought *bought, int64_t now_ms);

/*
 * Makes `credits` of a purchase's lot refunded: takes them back, or, when
 * fewer are refunded than before, gives them again.  What had been spent
 * becomes a debt (domain/debts.h), or is forgiven; what had expired unused is
 * no debt.  The same number again
 * changes nothing.  Errors: ERR_INTERNAL when the purchase has no lot.
 */
enum err credits_refund(struct db *db, const struct uuid *purchase_id,
    int64_t credits, bool forgives_debt, int64_t now_ms);

/* What is left of a purchase's lot ends later than we knew. */
enum err credits_extend(struct db *db, const struct uuid *purchase_id,
    int64_t expires_at_ms);

/*
 * What is left of a purchase's lot, which would have expired some time, cannot
 * be spent from now on: Apple pays back what a better subscription replaced.
 * credits_expire() takes it, and what jobs still give back to it.
 */
enum err
credits_end(struct db *db, const struct uuid *purchase_id, int64_t now_ms);

/*
 * Which part of a purchase's lot is not there any more, in thousandths of a
 * percent; needs no transaction.  Errors: ERR_INTERNAL without a lot.
 */
enum err credits_consumed(struct db *db, const struct uuid *purchase_id,
    int64_t *ret_millipercent);

/*
 * Gives all that a user has to another: what is left of each lot, and the
 * lots themselves, so that jobs under way go back there.  Both ledgers tell it
 * as adjustments, "merged".  A user keeps one device's gift at most: when
 * `into` has had one, what is left of the gift of `from` is lost, now and when
 * a job gives some of it back.  So is what Apple's sandbox brought, where it
 * does not count: nobody gathers it from many accounts.  Errors:
 * ERR_USER_NOT_FOUND, ERR_CONFLICT past the largest balance.
 */
enum err credits_move(struct db *db, const struct uuid *from,
    const struct uuid *into, bool counts_sandbox, int64_t now_ms);

/*
 * Takes what is left of lots that have expired, up to `limit` of them, each in
 * a transaction of its own.
 */
enum err credits_expire(struct db *db, int64_t now_ms, int64_t limit);

/*
 * An entry as its user may see it.  The id is made from the entry's number,
 * so that it can serve as a cursor without an index of its own.
 */
struct ledger_entry {
	struct uuid id;
	char kind[20];
	int64_t change_credits;
	int64_t balance_after_credits;
	bool has_job;
	struct uuid job_id;
	int64_t created_at_ms;
};

#define CREDITS_HISTORY_MAX 100

/*
 * The newest entries of a user that changed the balance, before the entry
 * `before` (NULL = from the newest), at most `limit`.  Needs no transaction.
 * Errors: ERR_INVALID_REQUEST when `before` is no entry id of this user.
 */
enum err credits_history(struct db *db, const struct uuid *user_id,
    const struct uuid *before, int64_t limit,
    struct ledger_entry entries[CREDITS_HISTORY_MAX], size_t *ret_count);

/*
 * Walks the whole chain of a user: hashes, numbers, sums, head, lots.  False
 * in *ret_ok and a phrase in `problem` when something does not fit.  Needs a
 * snapshot or a transaction.
 */
enum err credits_verify(struct db *db, const struct uuid *user_id, bool *ret_ok,
    const char **ret_problem);

/* The same in a snapshot of its own. */
enum err credits_verify_now(struct db *db, const struct uuid *user_id,
    bool *ret_ok, const char **ret_problem);

#endif
