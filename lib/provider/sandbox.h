/* SPDX-License-Identifier: MIT */
#ifndef PROVIDER_SANDBOX_H
#define PROVIDER_SANDBOX_H

/*
 * What the sandbox's adapter (sandbox.c) and its server (sandbox_server.c)
 * say to each other: a queue in the manner of the real companies, over HTTP
 * on STATE_DIR/run/sandbox-http.sock, in JSON.
 *
 *	POST requests {attempt_id, prompt, duration_s, aspect_ratio?,
 *	    resolution?, ...}
 *		200 {request_id, status_url, cancel_url}
 *		503 not accepted, nothing happened
 *	GET requests/ID
 *		200 {status:"queued", queue_position}
 *		200 {status:"running"}
 *		200 {status:"done", video_url}
 *		200 {status:"failed", code}
 *	GET attempts/ID
 *		200 as of the POST: the attempt was accepted
 *	PUT requests/ID/cancel
 *		200 {status:"failed", code:"canceled"}
 *		409 it is running already
 *
 * An unknown ID is 404.  Submitting an attempt again is accepted, and would be
 * paid, again: the companies do not know our attempts either.
 *
 * `code` is a provider_code_name().
 */
#define SANDBOX_URL "http://sandbox/_sandbox/"
#define SANDBOX_REQUESTS "requests/"
#define SANDBOX_ATTEMPTS "attempts/"
#define SANDBOX_CANCEL "/cancel"
#define SANDBOX_FILES "files/"

#define SANDBOX_STATUS_QUEUED "queued"
#define SANDBOX_STATUS_RUNNING "running"
#define SANDBOX_STATUS_DONE "done"
#define SANDBOX_STATUS_FAILED "failed"

/* The longest [slow:SECONDS]. */
#define SANDBOX_SLOW_S_MAX 600

#endif
