/* SPDX-License-Identifier: MIT */
#ifndef WIRE_ES256_H
#define WIRE_ES256_H

#include "base/buf.h"

/*
 * ES256 (RFC 7518, 3.4): ECDSA on P-256 with SHA-256, as Apple's interfaces
 * want our requests signed.  A signature is r and s, 32 bytes each, not DER.
 */

#define ES256_SIGNATURE_BYTES 64

/* A key file of Apple (.p8) has about 250 bytes. */
#define ES256_KEY_FILE_BYTES_MAX ((size_t)4096)

/*
 * Signs with a private key in PEM.  False when the key is not one for P-256,
 * or is encrypted.
 */
bool es256_sign(struct str key_pem, struct str message,
    uint8_t ret_signature[ES256_SIGNATURE_BYTES]);

/*
 * Appends a JSON Web Token with the header {"alg":"ES256","kid":KEY_ID,
 * "typ":"JWT"} and these claims (a JSON object).  False with nothing appended
 * as above.
 */
bool es256_jwt(struct str key_pem, const char *key_id, struct str claims,
    struct buf *out);

#endif
