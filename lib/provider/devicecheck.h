/* SPDX-License-Identifier: MIT */
#ifndef PROVIDER_DEVICECHECK_H
#define PROVIDER_DEVICECHECK_H

#include "base/config.h"

/*
 * Apple DeviceCheck: two bits that Apple keeps for each pair of a device and
 * a developer team, whatever happens to the app on the device.
 *
 * In sandbox mode without RENDIO_DEVICECHECK_URL a stand-in keeps the bits in
 * files of its own below STATE_DIR/sandbox/devices; its tokens come from
 * devicecheck_sandbox_token().
 */

enum devicecheck_verdict {
	DEVICECHECK_OK,
	DEVICECHECK_BAD_TOKEN, /* the client's fault, final */
	DEVICECHECK_UNAVAILABLE, /* Apple's or ours; the cause is logged */
	DEVICECHECK_UNCERTAIN, /* of an update: it may have taken effect */
};

struct devicecheck_bits {
	bool bit0;
	bool bit1;
	bool ever_set; /* false: Apple has never stored bits for it */
};

/* A device token: base64 text as the app sends it, at most this long. */
#define DEVICECHECK_TOKEN_BYTES_MAX ((size_t)8192)

/*
 * `secret` (32 bytes) authenticates the stand-in's tokens and is not used
 * with Apple.  Both calls wait for the network, at most 5 seconds.  An update
 * that is UNCERTAIN may have set the bits; repeating it is harmless.
 */
enum devicecheck_verdict
devicecheck_query(const struct config *config, const uint8_t secret[32],
    struct str token, struct devicecheck_bits *ret_bits);
enum devicecheck_verdict devicecheck_update(const struct config *config,
    const uint8_t secret[32], struct str token, bool bit0, bool bit1);

#define DEVICECHECK_SANDBOX_NAME_BYTES_MAX ((size_t)64)

/*
 * Appends a token for the pretended phone `name` ([A-Za-z0-9._-]): the same
 * name is the same phone, each token is another.  False for another name.
 */
bool devicecheck_sandbox_token(const uint8_t secret[32], struct str name,
    struct buf *out);

#endif
