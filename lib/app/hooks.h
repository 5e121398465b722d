/* SPDX-License-Identifier: MIT */
#ifndef APP_HOOKS_H
#define APP_HOOKS_H

#include "app/app.h"
#include "provider/provider.h"

/*
 * The URLs at which providers tell us the end of a request.  Each names the
 * attempt, so that one whose submission got no answer is known by it, and
 * carries a MAC, so that nobody else can make one up:
 *
 *	PUBLIC_URL/functions/v1/PROVIDER-webhook/ATTEMPT.MAC
 */

void hooks_write_url(const struct config *config, const struct keys *keys,
    const char *provider, const struct uuid *attempt_id, char *url,
    size_t size);

/* The attempt of a URL's last part; false when it is not ours. */
bool hooks_check(const struct keys *keys, const char *provider, struct str tail,
    struct uuid *ret_attempt_id);

/* What a provider's webhook tells, after its signature was checked. */
struct hook {
	const char *provider;
	struct uuid attempt_id;
	struct str request_id;
	const struct provider_status *status; /* DONE, FAILED, else: ask */
};

/* Writes it down for the worker, and answers that it was. */
enum err hooks_report(struct app *app, const struct request *req,
    struct response *res, const struct hook *hook);

#endif
