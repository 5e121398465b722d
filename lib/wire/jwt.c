/* SPDX-License-Identifier: MIT */
#include "wire/jwt.h"
#include "wire/base64.h"

#include <assert.h>
#include <sodium.h>

static_assert(JWT_KEY_BYTES == crypto_auth_hmacsha256_KEYBYTES,
    "a key of ours is a key of HMAC-SHA256");

#define HEADER_FORMAT "{\"alg\":\"HS256\",\"kid\":\"%s\",\"typ\":\"JWT\"}"
#define HEADER_BYTES_MAX (sizeof(HEADER_FORMAT) + JWT_KID_BYTES_MAX)

static struct str
format_header(const struct jwt_key *key, char text[HEADER_BYTES_MAX])
{
	const int n = snprintf(text, HEADER_BYTES_MAX, HEADER_FORMAT, key->kid);

	assert(n > 0);
	assert((size_t)n < HEADER_BYTES_MAX);
	return (struct str){ text, (size_t)n };
}

void
jwt_sign(const struct jwt_keys *keys, struct str claims, struct buf *out)
{
	const size_t start = out->len;
	uint8_t mac[crypto_auth_hmacsha256_BYTES];
	char text[HEADER_BYTES_MAX];
	struct str header;

	assert(keys->count > 0);
	header = format_header(&keys->key[0], text);
	base64_encode(BASE64_URL, header.ptr, header.len, out);
	buf_append_char(out, '.');
	base64_encode(BASE64_URL, claims.ptr, claims.len, out);
	if (out->failed)
		return;
	(void)crypto_auth_hmacsha256(mac, (uint8_t *)out->ptr + start,
	    out->len - start, keys->key[0].secret);
	buf_append_char(out, '.');
	base64_encode(BASE64_URL, mac, sizeof(mac), out);
	/* What we sign, we must be able to verify. */
	assert(out->failed || out->len - start <= JWT_BYTES_MAX);
}

/* Did one of our keys sign `text` under this header? */
static bool
is_signed(const struct jwt_keys *keys, struct str header, struct str text,
    const uint8_t mac[crypto_auth_hmacsha256_BYTES])
{
	char expected[HEADER_BYTES_MAX];

	for (size_t i = 0; i < keys->count; i++) {
		const struct jwt_key *key = &keys->key[i];

		if (str_equal(header, format_header(key, expected)) &&
		    crypto_auth_hmacsha256_verify(mac,
			(const uint8_t *)text.ptr, text.len, key->secret) == 0)
			return true;
	}
	return false;
}

bool
jwt_verify(const struct jwt_keys *keys, struct str token, struct buf *claims)
{
	struct str parts[3], rest;
	uint8_t mac[crypto_auth_hmacsha256_BYTES];
	char header[HEADER_BYTES_MAX], payload[JWT_BYTES_MAX];
	size_t header_bytes, payload_bytes, mac_bytes;

	if (token.len > JWT_BYTES_MAX ||
	    !str_cut(token, '.', &parts[0], &rest) ||
	    !str_cut(rest, '.', &parts[1], &parts[2]))
		return false;
	/*
	 * Decoding is canonical, so equal bytes mean equal texts.  A third dot
	 * is not of the alphabet and fails here.
	 */
	if (!base64_decode(BASE64_URL, parts[0], header, sizeof(header),
		&header_bytes) ||
	    !base64_decode(BASE64_URL, parts[2], mac, sizeof(mac),
		&mac_bytes) ||
	    mac_bytes != sizeof(mac))
		return false;
	if (!is_signed(keys, (struct str){ header, header_bytes },
		(struct str){ token.ptr, parts[0].len + 1 + parts[1].len },
		mac))
		return false;
	if (!base64_decode(BASE64_URL, parts[1], payload, sizeof(payload),
		&payload_bytes))
		return false;

	buf_append(claims, (struct str){ payload, payload_bytes });
	return !claims->failed;
}
