/* SPDX-License-Identifier: MIT */
#ifndef DOMAIN_DEBTS_H
#define DOMAIN_DEBTS_H

#include "domain/ledger.h"

/*
 * Debts: what was refunded by Apple after it had been spent.
 *
 * A lot owes the part of its refund that was spent.  Nobody has a debt and
 * credits at the same time: any lot that has something left pays at once, and
 * remembers how much, so that it has it back when a lot owes less (the refund
 * was reversed, a job gave its credits back).  So
 *
 *	users.debt_credits = what lots owe (and was not forgiven) - what was paid
 *
 * and balance - debt depends on what was bought, refunded and spent, but not
 * on the order in which we heard of it.  Only domain/credits.h uses this.
 */

/*
 * Brings the debt of a user up to date after lots have changed: lots pay, or
 * have back what they paid.  Returns how many credits that put into lots (or,
 * below zero, took out of them), which the caller writes into the ledger.
 * The caller holds a write transaction.
 */
enum err
debts_settle(struct db *db, const struct uuid *user_id, int64_t *ret_moved);

/*
 * The same after something came into lots and the ledger knows it: what they
 * pay is an entry of its own, an adjustment "debt".
 */
enum err debts_collect(struct db *db, const struct uuid *user_id,
    struct ledger_head *head, int64_t now_ms);

#endif
