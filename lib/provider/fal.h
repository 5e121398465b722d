/* SPDX-License-Identifier: MIT */
#ifndef PROVIDER_FAL_H
#define PROVIDER_FAL_H

#include "base/arena.h"
#include "provider/provider.h"

/*
 * fal's webhooks: signed with Ed25519 over the request's id, the account's id,
 * the time and the hash of the body as it came.
 */

#define FAL_QUEUE_URL "https://queue.fal.run"
#define FAL_PLATFORM_URL "https://api.fal.ai/v1"
#define FAL_JWKS_URL "https://rest.fal.ai/.well-known/jwks.json"

/* How far a webhook's time may be from ours. */
#define FAL_WEBHOOK_TOLERANCE_S INT64_C(300)

#define FAL_KEY_SET_BYTES_MAX ((size_t)64 * 1024)

struct fal_webhook {
	/* Of the headers X-Fal-Webhook-…; "" = missing. */
	struct str request_id;
	struct str user_id;
	struct str timestamp;
	struct str signature;
	struct str body; /* byte for byte */
};

/*
 * Has one of the key set's keys signed this, within the tolerance of now_s,
 * for the account `user_id` ("" = any)?
 */
bool
fal_webhook_is_signed(struct arena *arena, const struct fal_webhook *webhook,
    struct str key_set, const char *user_id, int64_t now_s);

/* Is this a key set with a key that can sign? */
bool fal_has_keys(struct arena *arena, struct str key_set);

/*
 * What a signed webhook says: DONE, FAILED, or ENDED when the result must be
 * asked for.  False when it is none of this request.
 */
bool fal_webhook_read(struct arena *arena, const struct fal_webhook *webhook,
    struct provider_status *ret_status);

#endif
