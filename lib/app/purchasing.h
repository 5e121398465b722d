/* SPDX-License-Identifier: MIT */
#ifndef APP_PURCHASING_H
#define APP_PURCHASING_H

#include "base/config.h"
#include "domain/lookups.h"
#include "domain/notifications.h"
#include "provider/appstore_api.h"

/*
 * Purchasing: from what the App Store signed to what the domain credits.
 */

/* The operator's rules. */
struct purchase_policy purchasing_policy(const struct config *config);

/*
 * What a verified transaction says.  False when it is nothing that we sell: a
 * kind of product we do not have, or one that somebody else paid for.
 */
bool purchasing_fact(const struct appstore_transaction *transaction,
    struct purchase_fact *ret_fact);

/*
 * What a transaction out of a refund history says.  It is signed at the time
 * of asking but speaks of the time of the refund: what Apple has signed since
 * then, of a reversal for example, is newer.
 */
bool purchasing_refund(const struct appstore_transaction *transaction,
    struct purchase_fact *ret_fact);

/* What a verified notification says.  False when its id is no id. */
bool purchasing_notification(const struct appstore_notification *notification,
    struct notification *ret_notification);

/*
 * Verifies a signed notification, stores it and acts, once; by whatever way
 * it came.  The verdict tells whether it is one; the error is that of
 * notifications_receive().
 */
enum appstore_verdict purchasing_receive(const struct config *config,
    struct db *db, struct str signed_payload, int64_t now_ms,
    struct notification *ret_notification, bool *ret_is_new, enum err *ret_err);

/*
 * Asks Apple about the bare id of a lookup that was begun or taken, credits
 * what it says, and notes what became of the lookup.  *ret_answer is what was
 * heard.  Errors: those of purchases_post(), for what was found;
 * ERR_INVALID_TRANSACTION when there is no such purchase;
 * ERR_SERVICE_UNAVAILABLE when it will be asked again.
 */
enum err purchasing_look_up(const struct config *config, struct db *db,
    const struct lookup *lookup, int64_t now_ms,
    struct appstore_answer *ret_answer, struct purchase_receipt *ret_receipt);

#endif
