/* SPDX-License-Identifier: MIT */
#ifndef PROVIDER_APPSTORE_RATE_H
#define PROVIDER_APPSTORE_RATE_H

#include "provider/appstore.h"

/*
 * Our own limit on calls to the App Store Server API, for all processes
 * together: half of what Apple allows an app a second, and a tenth of that in
 * its sandbox, where Apple allows a tenth.
 */

/* Apple's groups of calls, by what it allows a second in production. */
enum appstore_rate { APPSTORE_RATE_50, APPSTORE_RATE_10, APPSTORE_RATE_1 };

/*
 * May one more be sent now?  If so it is counted; if not, *ret_retry_at_ms
 * says from when.  Waits a moment for other processes; a state directory that
 * cannot be written to limits nothing.
 */
bool appstore_rate_take(const struct config *config,
    enum appstore_environment environment, enum appstore_rate rate,
    int64_t now_ms, int64_t *ret_retry_at_ms);

#endif
