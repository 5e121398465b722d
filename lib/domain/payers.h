/* SPDX-License-Identifier: MIT */
#ifndef DOMAIN_PAYERS_H
#define DOMAIN_PAYERS_H

#include "domain/purchases.h"

/*
 * Payers: whose refunds Apple is asked about, in case a notification of one
 * never came.  A payer is an Apple account's use of this app; Apple is asked
 * by any of its transactions, and from the last revision on.
 */

/* Apple's opaque texts; provider/appstore_api.h says so too. */
#define PAYER_REVISION_BYTES 1025

struct payer {
	bool is_sandbox;
	char payer_id[PURCHASE_ID_BYTES];
	char transaction_id[PURCHASE_ID_BYTES];
	char revision[PAYER_REVISION_BYTES]; /* "" = from the beginning */
};

/* Notes who paid.  The caller holds a write transaction. */
enum err
payers_note(struct db *db, const struct purchase_fact *fact, int64_t now_ms);

/* The next one whose time has come. */
enum err payers_due(struct db *db, int64_t now_ms, bool *ret_found,
    struct payer *ret_payer);

/* Remembers how far it is known and when to ask again. */
enum err payers_checked(struct db *db, const struct payer *payer,
    int64_t next_check_at_ms);

/* Forgets up to `limit` who bought nothing since before_ms. */
enum err payers_purge(struct db *db, int64_t before_ms, int64_t limit);

#endif
