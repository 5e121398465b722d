/* SPDX-License-Identifier: MIT */
#include "provider/replicate.h"

#include "wire/base64.h"

#include <sodium.h>

/* Theirs has 24 bytes; the standard allows up to 64. */
#define SECRET_BYTES_MAX 64

static bool
read_secret(const char *secret, uint8_t bytes[SECRET_BYTES_MAX], size_t *ret_n)
{
	static const struct str prefix = { "whsec_", 6 };
	struct str text = str_from(secret);

	if (str_starts_with(text, prefix)) {
		text.ptr += prefix.len;
		text.len -= prefix.len;
	}
	return base64_decode(BASE64_STANDARD, text, bytes, SECRET_BYTES_MAX,
		   ret_n) &&
	    *ret_n > 0;
}

static void
add(crypto_auth_hmacsha256_state *state, struct str part)
{
	(void)crypto_auth_hmacsha256_update(state,
	    (const unsigned char *)part.ptr, part.len);
}

/* Is one of "v1,MAC v1,MAC" this? */
static bool
lists_mac(struct str list, const uint8_t mac[crypto_auth_hmacsha256_BYTES])
{
	bool found = false;

	while (list.len > 0) {
		uint8_t given[crypto_auth_hmacsha256_BYTES];
		struct str item, version, text;
		size_t n;

		(void)str_cut(list, ' ', &item, &list);
		if (str_cut(item, ',', &version, &text) &&
		    str_equal(version, STR("v1")) &&
		    base64_decode(BASE64_STANDARD, text, given, sizeof(given),
			&n) &&
		    n == sizeof(given) &&
		    sodium_memcmp(given, mac, sizeof(given)) == 0)
			found = true;
	}
	return found;
}

bool
replicate_webhook_is_signed(const struct replicate_webhook *webhook,
    const char *secret, int64_t now_s)
{
	uint8_t mac[crypto_auth_hmacsha256_BYTES];
	uint8_t key[SECRET_BYTES_MAX];
	crypto_auth_hmacsha256_state state;
	int64_t then_s;
	size_t n;

	if (webhook->id.len == 0 ||
	    !str_to_int64(webhook->timestamp, 0, INT32_MAX * INT64_C(4),
		&then_s) ||
	    then_s - now_s > REPLICATE_WEBHOOK_TOLERANCE_S ||
	    now_s - then_s > REPLICATE_WEBHOOK_TOLERANCE_S ||
	    !read_secret(secret, key, &n))
		return false;
	(void)crypto_auth_hmacsha256_init(&state, key, n);
	add(&state, webhook->id);
	add(&state, STR("."));
	add(&state, webhook->timestamp);
	add(&state, STR("."));
	add(&state, webhook->body);
	(void)crypto_auth_hmacsha256_final(&state, mac);
	explicit_bzero(key, sizeof(key));
	return lists_mac(webhook->signature, mac);
}
