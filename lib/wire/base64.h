/* SPDX-License-Identifier: MIT */
#ifndef WIRE_BASE64_H
#define WIRE_BASE64_H

#include "base/buf.h"

/*
 * Base64 of RFC 4648 in its two alphabets, decoded strictly: no white space,
 * no foreign characters, unused trailing bits zero, so that one text stands
 * for one sequence of bytes and the other way round.
 *
 *	BASE64_STANDARD   + and /, padded with =     (x5c, device tokens)
 *	BASE64_URL        - and _, never padded      (JWT, JWS, our tokens)
 */
enum base64_alphabet { BASE64_STANDARD, BASE64_URL };

/* An upper bound for the bytes behind `length` characters. */
#define BASE64_DECODED_BYTES_MAX(length) ((length) / 4 * 3 + 3)

/* Characters, without a NUL, for n bytes; an upper bound for BASE64_URL. */
#define BASE64_ENCODED_LENGTH(n) (((n) + 2) / 3 * 4)

void base64_encode(enum base64_alphabet alphabet, const void *bytes, size_t n,
    struct buf *out);

/*
 * Decodes all of `text` into at most `size` bytes and says how many they were.
 * False, with the contents of `bytes` undefined, when the text is not
 * canonical or does not fit.
 */
bool base64_decode(enum base64_alphabet alphabet, struct str text, void *bytes,
    size_t size, size_t *ret_n);

#endif
