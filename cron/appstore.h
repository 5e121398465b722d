/* SPDX-License-Identifier: MIT */
#ifndef CRON_APPSTORE_H
#define CRON_APPSTORE_H

#include "provider/appstore_api.h"
#include "worker.h"

/*
 * What the tasks that ask the App Store share.  Their calls are waited for,
 * so each turn makes few of them, and after one that Apple could not answer
 * none is made for a while: videos do not wait for Apple.
 */

/* A turn makes no further call after this long. */
#define APPSTORE_TURN_US (INT64_C(300) * 1000)

/* Longer than a call takes. */
#define APPSTORE_LEASE_MS (INT64_C(60) * 1000)

/* May Apple be called now? */
bool appstore_is_up(const struct worker *worker);

/* Notes what came of a call. */
void
appstore_heard(struct worker *worker, const struct appstore_answer *answer);

/* Apple does not answer now, or has told us to wait: not this call's fault. */
bool appstore_is_down(const struct appstore_answer *answer);

/* When the same is to be tried again; from 15 seconds up to an hour. */
int64_t appstore_retry_at_ms(const struct appstore_answer *answer,
    int64_t tries_count, int64_t now_ms);

#endif
