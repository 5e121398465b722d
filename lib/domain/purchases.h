/* SPDX-License-Identifier: MIT */
#ifndef DOMAIN_PURCHASES_H
#define DOMAIN_PURCHASES_H

#include "store/db.h"

/*
 * Purchases: what Apple sold, credited exactly once, refunds included.
 *
 * What comes in are facts: Apple's signed word on one transaction, verified
 * by the caller, by whatever way it came (the app, a notification, a lookup,
 * a repair).  A fact that Apple signed later replaces one that it signed
 * earlier; how they arrived, in which order and how often, makes no
 * difference to where the balance ends.
 *
 * A purchase belongs to the account that its token names; a token that no
 * account has is kept waiting and credited when one has.  Without a token it
 * is the first user's who posts it.  A subscription's later periods follow
 * the owner of its first, and wait when that account was deleted.  A row is
 * never deleted, so nothing is credited twice, not even after its account is
 * gone.
 *
 * What cannot be credited yet waits with its reason, and is tried again:
 * nothing that Apple sold is forgotten.
 */

#define PURCHASE_ID_BYTES 33 /* up to 32 digits, terminated */
#define PURCHASE_PRODUCT_BYTES 256
#define PURCHASE_CURRENCY_BYTES 4

/* Thousandths of a percent: all of it. */
#define PURCHASE_WHOLE INT64_C(100000)

/* More than ten pieces Apple does not sell at once. */
#define PURCHASE_QUANTITY_MAX 10

enum purchase_kind { PURCHASE_CONSUMABLE, PURCHASE_SUBSCRIPTION };

/*
 * A fact.  Dates are UNIX milliseconds; the ids are digits; 1 <= quantity <=
 * PURCHASE_QUANTITY_MAX.
 */
struct purchase_fact {
	bool is_sandbox; /* Apple's test environment: no money was paid */
	char transaction_id[PURCHASE_ID_BYTES];
	char original_transaction_id[PURCHASE_ID_BYTES];
	char payer_id[PURCHASE_ID_BYTES]; /* of the Apple account; "" = none */
	char product_id[PURCHASE_PRODUCT_BYTES];
	enum purchase_kind kind;
	int64_t quantity;
	bool has_account_token;
	struct uuid account_token;
	bool has_price;
	int64_t price_milli; /* thousandths of the currency's unit, in all */
	char currency[PURCHASE_CURRENCY_BYTES];
	int64_t purchased_at_ms;
	int64_t expires_at_ms; /* of a subscription's period; 0 = none */
	int64_t signed_at_ms; /* which fact is newer */
	int64_t notified_at_ms; /* if those are equal; 0 = not notified */
	int64_t refund_millipercent; /* 0 = none, PURCHASE_WHOLE = all */
	bool is_upgraded; /* a better subscription replaced it */
};

/* The operator's rules. */
struct purchase_policy {
	/* What sandbox purchases may bring an account, in all. */
	int64_t sandbox_credits_max;
	/* Spent and refunded: no debt. */
	bool forgives_debt;
};

struct purchase_receipt {
	int64_t added_credits;
	int64_t balance;
	bool is_repeat; /* it had been credited before */
};

/*
 * Takes a fact that a user shows, in a transaction of its own.  The fact is
 * kept whatever the answer is, except after the last two errors:
 *
 *	OK                  it is this user's, and credited (now or before)
 *	ERR_PURCHASE_BELONGS_TO_OTHER_ACCOUNT
 *	                    another's (who has been credited), or it names an
 *	                    account that we do not know, or it continues the
 *	                    subscription of an account that was deleted
 *	ERR_UNKNOWN_PRODUCT waits until the product is known
 *	ERR_FORBIDDEN       a sandbox purchase above the cap
 *	ERR_INVALID_TRANSACTION
 *	                    this very fact says that it was refunded in full
 *	ERR_UNAUTHORIZED    there is no such user (any more)
 *	ERR_CONFLICT        the balance would pass its largest value
 */
enum err purchases_post(struct db *db, const struct uuid *user_id,
    const struct purchase_fact *fact, const struct purchase_policy *policy,
    int64_t now_ms, struct purchase_receipt *ret_receipt);

/*
 * Is the transaction this user's, and credited?  Then asking Apple is not
 * necessary.  Needs no transaction.
 */
enum err purchases_find(struct db *db, const struct uuid *user_id,
    struct str transaction_id, bool *ret_found,
    struct purchase_receipt *ret_receipt);

/*
 * Takes a fact that nobody shows.  The caller holds a write transaction.
 * Errors: ERR_CONFLICT as above.
 */
enum err purchases_note(struct db *db, const struct purchase_fact *fact,
    const struct purchase_policy *policy, int64_t now_ms);

/* The same in a transaction of its own; tells whether it was news. */
enum err purchases_repair(struct db *db, const struct purchase_fact *fact,
    const struct purchase_policy *policy, int64_t now_ms, bool *ret_is_new);

/*
 * Tries again what waits for a product, an account or the cap: up to `limit`
 * of them, each in a transaction of its own.  One for which its account's
 * balance has no room is tried again after a day.
 */
enum err purchases_retry(struct db *db, const struct purchase_policy *policy,
    int64_t now_ms, int64_t limit, int64_t *ret_credited_count);

/* How many wait, for the operator. */
enum err purchases_waiting_count(struct db *db, int64_t *ret_count);

/*
 * What was paid for with real money, is known to us since before before_ms and
 * still waits: by what it wants, the id of a product, or an account and since
 * which day (or one that nobody can help would hide all later ones), how many
 * there are and since when the first; what waits longest last.
 */
typedef void purchases_overdue_each(void *arg, const char *wanted,
    int64_t count, int64_t first_at_ms);
enum err purchases_overdue(struct db *db, int64_t before_ms,
    purchases_overdue_each *each, void *arg);

#endif
