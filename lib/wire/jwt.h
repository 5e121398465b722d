/* SPDX-License-Identifier: MIT */
#ifndef WIRE_JWT_H
#define WIRE_JWT_H

#include "base/buf.h"

/*
 * JSON Web Tokens (RFC 7519) signed with HS256 (RFC 7515, RFC 7518 3.2) by
 * keys of our own.
 *
 * The algorithm is fixed here and never taken from a token: a token's header
 * must be, byte for byte, the header that we write for one of our keys.
 * That leaves no room for "none", for other algorithms, for jku or x5u, and
 * makes the kid a comparison, not a look-up.
 */

#define JWT_KEY_BYTES 32
#define JWT_KEYS_MAX 8
#define JWT_KID_BYTES_MAX 32

/* Longer tokens are refused unread; ours have about 600 bytes. */
#define JWT_BYTES_MAX ((size_t)4096)

struct jwt_key {
	char kid[JWT_KID_BYTES_MAX + 1]; /* [A-Za-z0-9_-]+ */
	uint8_t secret[JWT_KEY_BYTES];
};

/* The first key signs, all of them verify. */
struct jwt_keys {
	struct jwt_key key[JWT_KEYS_MAX];
	size_t count;
};

/* Appends the token with these claims (a JSON object) to `out`. */
void jwt_sign(const struct jwt_keys *keys, struct str claims, struct buf *out);

/*
 * Checks the signature only and appends the claims' bytes to `claims`: what
 * they say, time included, is for the caller to judge.  False when the token
 * is not one of ours.
 */
bool
jwt_verify(const struct jwt_keys *keys, struct str token, struct buf *claims);

#endif
