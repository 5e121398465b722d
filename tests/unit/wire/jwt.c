/* SPDX-License-Identifier: MIT */
#include "wire/jwt.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* Two keys; the secret of the first is 00 01 02 … 1f. */
static struct jwt_keys keys;

/*
 * {"sub":"ada"} under the first key, computed by another implementation of
 * HMAC (Python's hmac module).
 */
#define HEADER "eyJhbGciOiJIUzI1NiIsImtpZCI6IjIwMjYtYSIsInR5cCI6IkpXVCJ9"
#define CLAIMS "eyJzdWIiOiJhZGEifQ"
#define MAC "W13-gfXF5Y7ZEZkEoNGwjgkhXqzV3em2hvFOkei-dUk"
#define TOKEN HEADER "." CLAIMS "." MAC

static int
setup(void **state)
{
	(void)state;
	keys = (struct jwt_keys){ .count = 2 };
	memcpy(keys.key[0].kid, "2026-a", 7);
	memcpy(keys.key[1].kid, "2025-b", 7);
	for (size_t i = 0; i < JWT_KEY_BYTES; i++) {
		keys.key[0].secret[i] = (uint8_t)i;
		keys.key[1].secret[i] = (uint8_t)(0xff - i);
	}
	return 0;
}

static bool
verifies(struct str token)
{
	struct buf claims;
	bool ok;

	buf_init(&claims, JWT_BYTES_MAX);
	ok = jwt_verify(&keys, token, &claims);
	assert_true(ok || claims.len == 0);
	buf_free(&claims);
	return ok;
}

static void
a_token_is_the_one_others_would_make(void **state)
{
	struct buf token;

	(void)state;
	buf_init(&token, JWT_BYTES_MAX);
	buf_append(&token, STR("Bearer "));
	jwt_sign(&keys, STR("{\"sub\":\"ada\"}"), &token);
	assert_string_equal(token.ptr, "Bearer " TOKEN);
	buf_free(&token);
}

static void
verifying_gives_the_claims_back(void **state)
{
	struct buf claims;

	(void)state;
	buf_init(&claims, 100);
	assert_true(jwt_verify(&keys, STR(TOKEN), &claims));
	assert_string_equal(claims.ptr, "{\"sub\":\"ada\"}");
	buf_free(&claims);
}

static void
every_key_verifies_but_only_the_first_signs(void **state)
{
	const struct jwt_key first = keys.key[0];
	struct buf token;

	(void)state;
	/* The keys rotate: the first becomes the second. */
	keys.key[0] = keys.key[1];
	keys.key[1] = first;
	assert_true(verifies(STR(TOKEN)));
	buf_init(&token, JWT_BYTES_MAX);
	jwt_sign(&keys, STR("{\"sub\":\"ada\"}"), &token);
	assert_string_not_equal(token.ptr, TOKEN);
	assert_true(verifies(buf_str(&token)));
	buf_free(&token);
	/* A key that has gone takes its tokens along. */
	keys.count = 1;
	assert_false(verifies(STR(TOKEN)));
}

static void
two_keys_of_one_name_are_both_tried(void **state)
{
	(void)state;
	memcpy(keys.key[1].kid, "2026-a", 7);
	assert_true(verifies(STR(TOKEN)));
	memcpy(keys.key[1].secret, keys.key[0].secret, JWT_KEY_BYTES);
	keys.key[0].secret[0] ^= 1;
	assert_true(verifies(STR(TOKEN)));
}

static void
the_kid_decides_which_key_counts(void **state)
{
	struct jwt_key swapped = keys.key[0];

	(void)state;
	/* The right secret under the other name is not this token's key. */
	memcpy(keys.key[0].kid, keys.key[1].kid, sizeof(swapped.kid));
	memcpy(keys.key[1].kid, swapped.kid, sizeof(swapped.kid));
	assert_false(verifies(STR(TOKEN)));
}

static void
no_bit_of_a_token_may_differ(void **state)
{
	char token[] = TOKEN;

	(void)state;
	for (size_t i = 0; i < sizeof(token) - 1; i++) {
		for (int bit = 0; bit < 8; bit++) {
			token[i] ^= (char)(1 << bit);
			assert_false(
			    verifies((struct str){ token, sizeof(token) - 1 }));
			token[i] ^= (char)(1 << bit);
		}
	}
	assert_true(verifies((struct str){ token, sizeof(token) - 1 }));
}

/* Each bit of what they mean is in one of them, those that none may use, too. */
static void
no_letter_of_a_whole_token_may_be_another(void **state)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "abcdefghijklmnopqrstuvwxyz0123456789-_";
	struct buf token;

	(void)state;
	buf_init(&token, JWT_BYTES_MAX);
	jwt_sign(&keys,
	    STR("{\"iss\":\"https://api.example.com/auth/v1\","
		"\"sub\":\"6932bc6f-b6d6-4fb3-a760-e156ddb5a613\","
		"\"aud\":\"authenticated\",\"exp\":1900003600,"
		"\"iat\":1900000000,\"role\":\"authenticated\","
		"\"aal\":\"aal1\",\"session_id\":"
		"\"92cd7d7e-9fbc-4273-b3a0-2d01e95011a9\","
		"\"is_anonymous\":true}"),
	    &token);
	for (size_t i = 0; i < token.len; i++) {
		const char good = token.ptr[i];

		for (const char *c = letters; *c != '\0'; c++) {
			token.ptr[i] = *c;
			assert_int_equal(verifies(buf_str(&token)), *c == good);
		}
		token.ptr[i] = good;
	}
	buf_free(&token);
}

static void
no_part_may_be_missing_added_or_dressed_up(void **state)
{
	static const char *const bad[] = {
		"",
		".",
		"..",
		"...",
		HEADER,
		HEADER "." CLAIMS,
		HEADER "." CLAIMS ".",
		HEADER ".." MAC,
		"." CLAIMS "." MAC,
		TOKEN ".",
		TOKEN "." MAC,
		"." TOKEN,
		TOKEN "=",
		HEADER "." CLAIMS "==." MAC,
		TOKEN " ",
		" " TOKEN,
		TOKEN "\n",
		/* {"alg":"none"}, with a MAC and without. */
		"eyJhbGciOiJub25lIn0." CLAIMS "." MAC,
		"eyJhbGciOiJub25lIn0." CLAIMS ".",
		/* {"alg":"HS256","typ":"JWT"}: no kid. */
		"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9." CLAIMS "." MAC,
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(verifies(str_from(bad[i])));
	assert_false(verifies(STR(TOKEN "\0")));
	assert_false(verifies((struct str){ TOKEN, sizeof(TOKEN) - 2 }));
	assert_false(verifies((struct str){ NULL, 0 }));
}

static void
without_keys_no_token_is_ours(void **state)
{
	(void)state;
	keys.count = 0;
	assert_false(verifies(STR(TOKEN)));
}

static void
tokens_are_read_up_to_their_limit(void **state)
{
	static char claims[JWT_BYTES_MAX];
	bool limit_was_met = false;
	struct buf token;

	(void)state;
	memset(claims, 'x', sizeof(claims));
	buf_init(&token, 2 * JWT_BYTES_MAX);
	for (size_t n = 2980; token.len < JWT_BYTES_MAX; n++) {
		buf_clear(&token);
		jwt_sign(&keys, (struct str){ claims, n }, &token);
		assert_true(verifies(buf_str(&token)));
		limit_was_met = token.len == JWT_BYTES_MAX;
	}
	assert_true(limit_was_met);
	buf_append_char(&token, 'A');
	assert_false(verifies(buf_str(&token)));
	buf_free(&token);
}

static void
a_buffer_that_is_too_small_fails_and_nothing_more(void **state)
{
	struct buf small;

	(void)state;
	for (size_t max = 1; max < sizeof(TOKEN) - 1; max++) {
		buf_init(&small, max);
		jwt_sign(&keys, STR("{\"sub\":\"ada\"}"), &small);
		assert_true(small.failed);
		buf_free(&small);
	}
	buf_init(&small, sizeof(TOKEN) - 1);
	jwt_sign(&keys, STR("{\"sub\":\"ada\"}"), &small);
	assert_false(small.failed);
	buf_free(&small);
	for (size_t max = 12; max <= 14; max++) {
		buf_init(&small, max);
		assert_int_equal(jwt_verify(&keys, STR(TOKEN), &small),
		    max >= 13);
		buf_free(&small);
	}
}

static void
a_kid_may_have_its_full_length(void **state)
{
	struct buf token;

	(void)state;
	memset(keys.key[0].kid, 'k', JWT_KID_BYTES_MAX);
	buf_init(&token, JWT_BYTES_MAX);
	jwt_sign(&keys, STR("{}"), &token);
	assert_true(verifies(buf_str(&token)));
	buf_free(&token);
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_token_is_the_one_others_would_make),
		TEST(verifying_gives_the_claims_back),
		TEST(every_key_verifies_but_only_the_first_signs),
		TEST(two_keys_of_one_name_are_both_tried),
		TEST(the_kid_decides_which_key_counts),
		TEST(no_bit_of_a_token_may_differ),
		TEST(no_letter_of_a_whole_token_may_be_another),
		TEST(no_part_may_be_missing_added_or_dressed_up),
		TEST(without_keys_no_token_is_ours),
		TEST(tokens_are_read_up_to_their_limit),
		TEST(a_buffer_that_is_too_small_fails_and_nothing_more),
		TEST(a_kid_may_have_its_full_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
