/* SPDX-License-Identifier: MIT */
#include "wire/jwt.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct jwt_keys keys = {
	.key = { { .kid = "2026-a", .secret = { 1, 2, 3 } },
	    { .kid = "2025-b", .secret = { 4, 5, 6 } } },
	.count = 2,
};

/* What verifies is what one of our keys would have signed. */
static void
check_token(struct str token)
{
	struct buf claims, again;
	bool ours = false;

	buf_init(&claims, JWT_BYTES_MAX);
	buf_init(&again, JWT_BYTES_MAX);
	if (jwt_verify(&keys, token, &claims)) {
		for (size_t i = 0; i < keys.count; i++) {
			const struct jwt_keys one = { .key = { keys.key[i] },
				.count = 1 };

			buf_clear(&again);
			jwt_sign(&one, buf_str(&claims), &again);
			ours = ours || str_equal(buf_str(&again), token);
		}
		assert(ours);
	} else
		assert(claims.len == 0);
	buf_free(&claims);
	buf_free(&again);
}

/* What we sign we verify, and no longer once any bit of it has changed. */
static void
check_claims(struct str claims, size_t bit)
{
	struct buf token, again;

	buf_init(&token, JWT_BYTES_MAX);
	buf_init(&again, JWT_BYTES_MAX);
	jwt_sign(&keys, claims, &token);
	assert(!token.failed);
	assert(jwt_verify(&keys, buf_str(&token), &again));
	assert(str_equal(buf_str(&again), claims));
	bit %= token.len * 8;
	token.ptr[bit / 8] ^= (char)(1 << bit % 8);
	assert(!jwt_verify(&keys, buf_str(&token), &again));
	buf_free(&token);
	buf_free(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct str text = { (const char *)data, size };

	check_token(text);
	/* 2,900 bytes of claims make a token below the limit. */
	if (size >= 2 && size <= 2900)
		check_claims(text, (size_t)data[0] << 8 | data[1]);
	return 0;
}
