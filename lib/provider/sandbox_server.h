/* SPDX-License-Identifier: MIT */
#ifndef PROVIDER_SANDBOX_SERVER_H
#define PROVIDER_SANDBOX_SERVER_H

#include "base/arena.h"
#include "base/config.h"
#include "base/err.h"
#include "base/uuid.h"
#include "provider/provider.h"
#include "provider/sandbox_video.h"

/*
 * The company that sandbox mode pretends: what it remembers of requests, and
 * how they come along in time.  Nothing runs in the background; the state of a
 * request follows from the time of its submission.
 *
 *	[slow:SECONDS] in a prompt makes the request run that much longer,
 *	[fail:content] ends it as against the content policy,
 *	[fail:provider] ends it as an error of the provider.
 *
 * STATE_DIR/sandbox/submissions.log has one line "ATTEMPT TIME_MS" for each
 * accepted submission: a test counts there what would have been paid.
 */

/* A body of POST requests; "" where nothing was given. */
struct sandbox_order {
	struct uuid attempt_id;
	struct str prompt;
	struct str aspect_ratio;
	struct str resolution;
	int64_t duration_s;
};

/* An accepted order.  The attempt's id is the request's id, too. */
struct sandbox_request {
	struct uuid id;
	int64_t submitted_at_ms;
	int64_t run_ms;
	struct str failure; /* a provider_code_name(); "" = will succeed */
	int64_t silent_until_ms; /* nothing is told about it before */
	struct sandbox_video video;
};

/*
 * Accepts an order, also one that was accepted before.
 * Errors: ERR_SERVICE_UNAVAILABLE (nothing happened), ERR_INTERNAL.
 */
enum err sandbox_submit(const struct config *config,
    const struct sandbox_order *order, int64_t now_ms);

/* Errors: ERR_NOT_FOUND. The request's text belongs to the arena. */
enum err sandbox_lookup(const struct config *config, struct arena *arena,
    const struct uuid *id, struct sandbox_request *ret_request);

enum provider_state
sandbox_state(const struct sandbox_request *request, int64_t now_ms);

/*
 * Takes a queued request out of the queue; from then on it has failed.
 * Errors: ERR_JOB_NOT_CANCELABLE when it is past that, ERR_SERVICE_UNAVAILABLE.
 */
enum err sandbox_cancel(const struct config *config,
    struct sandbox_request *request, int64_t now_ms);

/*
 * Ends a request that has not ended as an error of the provider.
 * Errors: ERR_CONFLICT when it has, ERR_SERVICE_UNAVAILABLE.
 */
enum err sandbox_fail(const struct config *config,
    struct sandbox_request *request, int64_t now_ms);

/* Whoever asks about it gets no answer until then; it goes on all the same. */
enum err sandbox_silence(const struct config *config,
    struct sandbox_request *request, int64_t until_ms);

#endif
