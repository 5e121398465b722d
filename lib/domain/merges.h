/* SPDX-License-Identifier: MIT */
#ifndef DOMAIN_MERGES_H
#define DOMAIN_MERGES_H

#include "store/db.h"

/*
 * Merges: an account becomes part of another.
 *
 * Jobs, credits, purchases, subscriptions, idempotency records, files and
 * devices change hands; what is left is a tombstone that names its heir.  Its ledger stays where it is and
 * ends at zero, because entries are never edited; a job that is under way
 * settles on the heir's ledger, into the lots that it took from, which are the
 * heir's now.  Files keep their names, and so the links that are out.
 *
 * The caller holds a write transaction and has made sure that both accounts
 * are active and not the same.  For counts_sandbox see credits_move().
 */
enum err merges_run(struct db *db, const struct uuid *from,
    const struct uuid *into, bool counts_sandbox, int64_t now_ms);

#endif
