/* SPDX-License-Identifier: MIT */
#ifndef APP_RATES_H
#define APP_RATES_H

#include "app/app.h"
#include "domain/limits.h"

/*
 * Rates: an endpoint's limits by the configuration, and what its answer says
 * of them.
 */

/*
 * Takes one use of the user's limit, in a transaction of its own: for work
 * that is not one transaction itself, so that it is limited before it begins.
 * Sets the headers.  Errors: ERR_RATE_LIMITED, ERR_SERVICE_UNAVAILABLE.
 */
enum err rates_use(struct app *app, const struct request *req,
    struct response *res, enum limit_kind kind);

/* The same of the network a request came from; this machine has no limit. */
enum err rates_use_address(struct app *app, const struct request *req,
    struct response *res, enum limit_kind kind);

/* The subject of the network a request came from. False: no address. */
bool rates_address(const struct app *app, const struct request *req,
    struct limit *limit);

/* The hourly maximum of a kind, by the configuration. */
int64_t rates_per_hour(const struct app *app, enum limit_kind kind);

/*
 * Puts the state of a limit into the answer's headers.  On ERR_RATE_LIMITED
 * also notes the refusal (app/refusals.h).
 */
void
rates_tell(struct app *app, const struct request *req, struct response *res,
    const struct limit *limit, const struct limit_state *state, enum err err);

#endif
