/* SPDX-License-Identifier: MIT */
#ifndef DOMAIN_COSTS_H
#define DOMAIN_COSTS_H

#include "store/db.h"

/*
 * Costs: what a second of video costs us at its provider, beside what its
 * user pays for it.
 */

/*
 * Sets "cost.RESOLUTION.audio" or ".silent" of a model, in millionths of a US
 * dollar a second, in a transaction of its own.  Errors: ERR_INVALID_REQUEST
 * when there is no such price or the value is none.
 */
enum err costs_set(struct db *db, const struct uuid *model_id, struct str field,
    struct str value);

/*
 * Calls `each` for the prices of available models that bring less than they
 * cost, when a credit is worth credit_micro_usd.
 */
typedef void costs_each(void *arg, const char *endpoint, const char *resolution,
    bool has_audio, int64_t price_micro_usd, int64_t cost_micro_usd);
enum err costs_losses(struct db *db, int64_t credit_micro_usd, costs_each *each,
    void *arg);

#endif
