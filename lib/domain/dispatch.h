/* SPDX-License-Identifier: MIT */
#ifndef DOMAIN_DISPATCH_H
#define DOMAIN_DISPATCH_H

#include "domain/catalog.h"

/*
 * May this be ordered now?  ERR_PROVIDER_UNAVAILABLE when the model's company,
 * and its fallback's, is not to be asked (domain/breakers.h), or when the
 * caps leave no room for what it can cost (domain/spend.h).  A fallback counts
 * if can_ask() says that its company can be asked.  A look before anything is
 * charged; what slips through waits in the queue.
 */
typedef bool dispatch_can_ask(const void *arg, const char *company);
enum err dispatch_check(struct db *db, const struct model *model,
    const struct settings *settings, dispatch_can_ask *can_ask, const void *arg,
    int64_t cap_micro_usd, int64_t now_ms);

#endif
