/* SPDX-License-Identifier: MIT */
#ifndef WIRE_JWS_H
#define WIRE_JWS_H

#include "base/arena.h"
#include "wire/json.h"
#include "wire/x509.h"

/*
 * JSON Web Signatures (RFC 7515) in compact form that carry the chain of
 * their key: ES256 and x5c, and nothing else.  The algorithm is fixed here
 * and never taken from a token; kid, jku, x5u and jwk are not looked at;
 * headers with crit or b64 are refused.
 */

/* A notification with all it nests has 10 to 25 kB. */
#define JWS_BYTES_MAX ((size_t)256 * 1024)

enum jws_verdict {
	JWS_OK,
	JWS_BAD_FORM, /* not three parts of canonical base64url, ... */
	JWS_BAD_ALGORITHM, /* not ES256, or a header we do not know */
	JWS_BAD_CHAIN_LENGTH,
};

/* A token that was taken apart and nobody has checked. */
struct jws {
	struct str signed_text; /* header and payload as received */
	struct str x5c[X509_CHAIN_LENGTH];
	uint8_t signature[X509_SIGNATURE_BYTES];
	struct str payload_text;
	const struct json *payload; /* an object */
};

/*
 * Takes a token apart.  The parts live in the arena and in `text`, and are
 * written only on JWS_OK.
 */
enum jws_verdict
jws_parse(struct arena *arena, struct str text, struct jws *ret_jws);

#endif
