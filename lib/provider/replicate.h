/* SPDX-License-Identifier: MIT */
#ifndef PROVIDER_REPLICATE_H
#define PROVIDER_REPLICATE_H

#include "base/arena.h"
#include "provider/provider.h"

/*
 * Replicate's webhooks: signed with HMAC-SHA-256 as Standard Webhooks are,
 * over the webhook's id, the time and the body.
 */

#define REPLICATE_URL "https://api.replicate.com/v1"
#define REPLICATE_WEBHOOK_TOLERANCE_S INT64_C(300)
#define REPLICATE_BODY_BYTES_MAX ((size_t)256 * 1024)

struct replicate_webhook {
	/* Of the headers webhook-…; "" = missing. */
	struct str id;
	struct str timestamp;
	struct str signature;
	struct str body; /* byte for byte */
};

/* Signed with this secret ("whsec_…"), within the tolerance of now_s? */
bool replicate_webhook_is_signed(const struct replicate_webhook *webhook,
    const char *secret, int64_t now_s);

/*
 * The prediction in a signed webhook: its id and how it stands.  False when
 * it is none, or has not ended.
 */
bool replicate_webhook_read(struct arena *arena, struct str body,
    struct str *ret_request_id, struct provider_status *ret_status);

#endif
