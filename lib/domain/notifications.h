/* SPDX-License-Identifier: MIT */
#ifndef DOMAIN_NOTIFICATIONS_H
#define DOMAIN_NOTIFICATIONS_H

#include "domain/subscriptions.h"

/*
 * Notifications of the App Store, verified by the caller.  Each takes effect
 * once, by its id; what it says of a transaction is a fact like any other
 * (domain/purchases.h), so a second effect would be none.
 */

#define NOTIFICATION_WORD_BYTES 64

struct notification {
	struct uuid id;
	char type[NOTIFICATION_WORD_BYTES]; /* as Apple writes it */
	char subtype[NOTIFICATION_WORD_BYTES]; /* "" = none */
	char reason[NOTIFICATION_WORD_BYTES]; /* of a CONSUMPTION_REQUEST */
	int64_t signed_at_ms;
	bool is_sandbox;
	bool has_purchase;
	struct purchase_fact purchase;
	bool has_renewal;
	struct renewal_fact renewal;
};

/*
 * Stores it and acts, in one transaction.  *ret_is_new is false when it had
 * been received before.  Errors: those of purchases_note().
 */
enum err notifications_receive(struct db *db, const struct notification *n,
    const struct purchase_policy *policy, int64_t now_ms, bool *ret_is_new);

/* Forgets up to `limit` that were received before before_ms. */
enum err notifications_purge(struct db *db, int64_t before_ms, int64_t limit);

#endif
