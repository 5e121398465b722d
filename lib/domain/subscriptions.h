/* SPDX-License-Identifier: MIT */
#ifndef DOMAIN_SUBSCRIPTIONS_H
#define DOMAIN_SUBSCRIPTIONS_H

#include "domain/purchases.h"

/*
 * Subscriptions: who is premium, and until when.
 *
 * A subscription is all transactions of one original.  It is active until the
 * end of its last period that was neither refunded nor upgraded, or of the
 * grace that Apple gives while it tries to collect.  So every step of its
 * life is told by two things: the transactions (domain/purchases.h) and the
 * newest renewal info.  A user is premium while one of theirs is active.
 */

/* What is to become of a subscription, as Apple signed it. */
struct renewal_fact {
	bool is_sandbox;
	char original_transaction_id[PURCHASE_ID_BYTES];
	char product_id[PURCHASE_PRODUCT_BYTES]; /* that it renews with */
	int64_t signed_at_ms;
	int64_t grace_until_ms; /* 0 = none */
	bool renews;
};

/*
 * Whose it is: the user's id, or *ret_found false.  An account that was
 * deleted owns nothing any more, but keeps it from others: *ret_is_deleted.
 */
enum err subscriptions_owner(struct db *db, const struct purchase_fact *fact,
    bool *ret_found, bool *ret_is_deleted, struct uuid *ret_user_id);

/*
 * Looks again at the subscription of this transaction after a fact was
 * stored; user_id is NULL while it is nobody's.  The caller holds a write
 * transaction.
 */
enum err subscriptions_follow(struct db *db, const struct purchase_fact *fact,
    const struct uuid *user_id, int64_t now_ms);

/* The same after renewal info, which is kept if it is the newest. */
enum err subscriptions_renew(struct db *db, const struct renewal_fact *fact,
    int64_t now_ms);

/* Ends up to `limit` that are over, each in a transaction of its own. */
enum err subscriptions_end(struct db *db, int64_t now_ms, int64_t limit);

/* Sets a user's tier by the subscriptions; the caller holds a transaction. */
enum err subscriptions_set_tier(struct db *db, const struct uuid *user_id,
    int64_t now_ms);

#endif
