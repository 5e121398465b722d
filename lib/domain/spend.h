/* SPDX-License-Identifier: MIT */
#ifndef DOMAIN_SPEND_H
#define DOMAIN_SPEND_H

#include "store/db.h"

/*
 * Spending: what attempts can cost us, in millionths of a US dollar, by day
 * (UTC) and model.  The most that an attempt can cost is reserved before it
 * is sent and given back only when it is certain that nothing is billed.
 *
 * A cap of 0 for all models means none; a model's own is in its row.
 */

#define SPEND_DAY_MS (INT64_C(24) * 3600 * 1000)

/* Would this cost still fit under the caps of today? */
enum err
spend_fits(struct db *db, const struct uuid *model_id, int64_t cost_micro_usd,
    int64_t cap_micro_usd, int64_t now_ms, bool *ret_fits);

/*
 * Reserves it if it fits, and writes it down with the attempt.  The caller
 * holds a write transaction.
 */
enum err spend_reserve(struct db *db, const struct uuid *attempt_id,
    const struct uuid *model_id, int64_t cost_micro_usd, int64_t cap_micro_usd,
    int64_t now_ms, bool *ret_fits);

/* Nothing is billed for it. The caller holds a write transaction. */
enum err spend_give_back(struct db *db, const struct uuid *attempt_id);

/*
 * How many attempts were given up since since_ms without knowing whether they
 * are billed, and how many videos came after all and were given for nothing.
 */
enum err spend_count_lost(struct db *db, int64_t since_ms, int64_t *ret_lost,
    int64_t *ret_late);

/* Calls `each` for the days from `first_day_ms` on, newest first. */
typedef void spend_each(void *arg, int64_t day_ms, const char *endpoint,
    int64_t micro_usd, int64_t cap_micro_usd);
enum err
spend_list(struct db *db, int64_t first_day_ms, spend_each *each, void *arg);

#endif
