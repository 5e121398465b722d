/* SPDX-License-Identifier: MIT */
#ifndef WIRE_RS256_H
#define WIRE_RS256_H

#include "base/arena.h"
#include "base/buf.h"

/*
 * RS256 (RFC 7518, 3.3): JSON Web Tokens that others signed with RSA, by the
 * keys of a JWK set (RFC 7517).
 *
 * The algorithm is fixed here and never taken from a token.  A token names
 * its key by kid and nothing else: jku, x5u, x5c and jwk are not looked at,
 * and a header with crit is refused.
 */

/* Longer tokens are refused unread; Apple's have about 1,000 bytes. */
#define RS256_TOKEN_BYTES_MAX ((size_t)8192)

/* Apple's set of keys has about 3,000 bytes. */
#define RS256_KEY_SET_BYTES_MAX ((size_t)64 * 1024)

/* A smaller modulus is forged with money, a larger one only costs time. */
#define RS256_MODULUS_BITS_MIN 2048
#define RS256_MODULUS_BITS_MAX 8192

enum rs256_verdict {
	RS256_OK,
	RS256_UNKNOWN_KEY, /* well formed, but no key has its kid */
	RS256_BAD,
};

/*
 * Checks the signature only and gives the claims' bytes, which live in the
 * arena: what they say, time included, is for the caller to judge.  A set
 * that is not one has no key.
 */
enum rs256_verdict rs256_verify(struct arena *arena, struct str key_set,
    struct str token, struct str *ret_claims);

/*
 * The claims of a token nobody has checked: to choose who should check it.
 * False when it has not the form of a token.
 */
bool rs256_peek(struct arena *arena, struct str token, struct str *ret_claims);

/* Is there at least one key in this set that tokens could be checked with? */
bool rs256_has_keys(struct arena *arena, struct str key_set);

/*
 * The other side, for the stand-in of sandbox mode.  A private key is PEM.
 */
#define RS256_KEY_FILE_BYTES_MAX ((size_t)8192)

/* Appends a new key of 2,048 bits. */
bool rs256_generate(struct buf *key_pem);

/* Appends the set with the public half; false when the key is not RSA. */
bool rs256_write_key_set(struct str key_pem, const char *kid, struct buf *out);

/* Appends a token with these claims (a JSON object). */
bool rs256_sign(struct str key_pem, const char *kid, struct str claims,
    struct buf *out);

#endif
