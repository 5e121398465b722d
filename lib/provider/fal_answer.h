/* SPDX-License-Identifier: MIT */
#ifndef PROVIDER_FAL_ANSWER_H
#define PROVIDER_FAL_ANSWER_H

#include "provider/provider.h"
#include "wire/json.h"

/*
 * What fal says: outputs and errors, in answers, webhooks and the history.
 *
 * Errors have four shapes (a list of details, a text with an error_type, a
 * text, a gateway's); what decides is their type, never their message, and
 * nothing of them is kept but our own word for it: they echo prompts.
 */

/* The largest body that is read, and the memory that its values may take. */
#define FAL_BODY_BYTES_MAX ((size_t)4 * 1024 * 1024)
#define FAL_ARENA_BYTES ((size_t)16 * 1024 * 1024)

/* What stands beside a body. */
struct fal_context {
	int http_status; /* 0 = not known */
	struct str error_type; /* X-Fal-Error-Type; "" = none */
	bool is_final; /* X-Fal-Retryable: false */
	bool is_retryable; /* X-Fal-Retryable: true */
};

/* Takes output.video's url and size over; false when there is no url. */
bool fal_read_video(const struct json *output, struct provider_status *status);

/*
 * Why a request failed, out of an error body.  False when the body says
 * nothing that we understand.
 */
bool fal_read_error(const struct json *body, const struct fal_context *context,
    struct provider_error *ret_error);

#endif
