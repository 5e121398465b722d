/* SPDX-License-Identifier: MIT */
#ifndef DOMAIN_LEDGER_H
#define DOMAIN_LEDGER_H

#include "store/db.h"

/*
 * The ledger: one chain of entries a user, appended and never edited.
 *
 * Only domain/credits.h moves credits; this is how it writes them down.  Each
 * entry carries the hash of the one before it, and the user's row the hash of
 * the last, so that a changed, missing or cut-off entry is found.
 */

#define LEDGER_HASH_BYTES 32

/* The end of a chain; what the next entry is built on. */
struct ledger_head {
	int64_t balance;
	int64_t number;
	uint8_t hash[LEDGER_HASH_BYTES];
	size_t hash_len; /* 0 before the first entry */
};

/* What an entry says; job_id and lot_id may be NULL. */
struct ledger_move {
	const char *kind;
	int64_t amount;
	int64_t change; /* of the balance */
	const struct uuid *job_id;
	const struct uuid *lot_id;
	const char *reason; /* up to CREDITS_REASON_BYTES_MAX */
	int64_t now_ms;
};

/* Errors: ERR_USER_NOT_FOUND. */
enum err ledger_read_head(struct db *db, const struct uuid *user_id,
    struct ledger_head *ret_head);

/*
 * Appends an entry and moves the user's balance along; *head is brought up to
 * date.  The caller holds a write transaction, read the head in it, and makes
 * sure that the balance stays at or above zero.  Errors: ERR_CONFLICT past
 * the largest balance.
 */
enum err ledger_append(struct db *db, const struct uuid *user_id,
    struct ledger_head *head, const struct ledger_move *move);

/*
 * Walks a user's chain from its start, checks every hash, number and sum, and
 * tells where it ends; *ret_problem is NULL or a phrase.
 */
enum err ledger_walk(struct db *db, const struct uuid *user_id,
    struct ledger_head *ret_end, const char **ret_problem);

#endif
