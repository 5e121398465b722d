/* SPDX-License-Identifier: MIT */
#include "wire/rs256.h"

#include "base/config.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define VECTORS "tests/vectors/rs256/"
#define CLAIMS "{\"sub\":\"001234.abc\"}"

struct fixture {
	struct arena arena;
	struct buf key_set;
	struct buf token;
};

static void
read_into(struct buf *buf, const char *name)
{
	char path[128];

	(void)snprintf(path, sizeof(path), VECTORS "%s", name);
	buf_clear(buf);
	assert_true(config_read_file(path, true, buf));
}

static int
set_up(void **state)
{
	static struct fixture fixture;

	arena_init(&fixture.arena, (size_t)8 * 1024 * 1024);
	buf_init(&fixture.key_set, RS256_KEY_SET_BYTES_MAX + 16);
	buf_init(&fixture.token, RS256_TOKEN_BYTES_MAX + 16);
	read_into(&fixture.key_set, "key-set.json");
	*state = &fixture;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;

	arena_free(&f->arena);
	buf_free(&f->key_set);
	buf_free(&f->token);
	return 0;
}

static enum rs256_verdict
verify_text(struct fixture *f, struct str token)
{
	struct str claims = STR("untouched");
	const enum rs256_verdict verdict =
	    rs256_verify(&f->arena, buf_str(&f->key_set), token, &claims);

	if (verdict != RS256_OK)
		assert_true(str_equal(claims, STR("untouched")));
	return verdict;
}

static enum rs256_verdict
verify_file(struct fixture *f, const char *name)
{
	read_into(&f->token, name);
	return verify_text(f, buf_str(&f->token));
}

static void
a_token_of_somebody_elses_making_is_verified_by_its_kid(void **state)
{
	struct fixture *f = *state;
	struct str claims;

	read_into(&f->token, "good.jwt");
	assert_int_equal(rs256_verify(&f->arena, buf_str(&f->key_set),
			     buf_str(&f->token), &claims),
	    RS256_OK);
	assert_true(str_starts_with(claims,
	    STR("{\"iss\":\"https://appleid.apple.com\"")));
	assert_true(rs256_peek(&f->arena, buf_str(&f->token), &claims));
	assert_true(str_ends_with(claims, STR("\"iat\":1790000000}")));
}

static void
another_algorithm_key_or_header_is_refused(void **state)
{
	static const char *const bad[] = { "other-key.jwt", "no-kid.jwt",
		"none.jwt", "rs512.jwt", "rs256-says-rs512.jwt",
		"sha512-says-rs256.jwt", "crit.jwt",
		"hs256-with-the-modulus.jwt" };
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(verify_file(f, bad[i]), RS256_BAD);
	assert_int_equal(verify_file(f, "unknown-kid.jwt"), RS256_UNKNOWN_KEY);
}

static void
a_changed_or_cut_token_is_refused(void **state)
{
	struct fixture *f = *state;
	size_t length;

	read_into(&f->token, "good.jwt");
	length = f->token.len;
	/* The first dozen letters hold the kid: then the key is unknown. */
	for (size_t i = 0; i < length; i += 7) {
		const char old = f->token.ptr[i];

		f->token.ptr[i] = old == 'A' ? 'B' : 'A';
		assert_int_not_equal(verify_text(f, buf_str(&f->token)),
		    RS256_OK);
		f->token.ptr[i] = old;
		assert_int_not_equal(verify_text(f,
					 (struct str){ f->token.ptr, i }),
		    RS256_OK);
	}
	assert_int_equal(verify_text(f, buf_str(&f->token)), RS256_OK);
	buf_append(&f->token, STR("."));
	assert_int_equal(verify_text(f, buf_str(&f->token)), RS256_BAD);
	assert_int_equal(verify_text(f, STR("")), RS256_BAD);
	assert_int_equal(verify_text(f, STR("..")), RS256_BAD);
}

static void
a_modulus_of_2047_bits_is_refused_though_it_signed(void **state)
{
	struct fixture *f = *state;

	read_into(&f->key_set, "small-key-set.json");
	assert_int_equal(verify_file(f, "small.jwt"), RS256_BAD);
	assert_false(rs256_has_keys(&f->arena, buf_str(&f->key_set)));
}

static void
what_is_no_key_set_has_no_keys(void **state)
{
	static const char *const sets[] = { "", "[]", "{}", "{\"keys\":{}}",
		"{\"keys\":[]}", "{\"keys\":[1,null,\"x\",{}]}",
		"{\"keys\":[{\"kty\":\"EC\",\"kid\":\"second\"}]}",
		"{\"keys\":[{\"kty\":\"RSA\",\"kid\":\"x\"}]}",
		"{\"keys\":[{\"kty\":\"RSA\",\"kid\":7}]}" };
	struct fixture *f = *state;

	assert_true(rs256_has_keys(&f->arena, buf_str(&f->key_set)));
	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
		buf_clear(&f->key_set);
		buf_append(&f->key_set, str_from(sets[i]));
		assert_int_equal(verify_file(f, "good.jwt"), RS256_UNKNOWN_KEY);
		assert_false(rs256_has_keys(&f->arena, buf_str(&f->key_set)));
	}
}

static void
a_key_for_something_else_is_passed_over(void **state)
{
	static const char *const words[][2] = {
		{ "\"use\":\"sig\"", "\"use\":\"enc\"" },
		{ "\"alg\":\"RS256\"", "\"alg\":\"RS512\"" },
		{ "\"kty\":\"RSA\"", "\"kty\":\"OKP\"" },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		char *at;

		read_into(&f->key_set, "key-set.json");
		at = f->key_set.ptr;
		while ((at = strstr(at, words[i][0])) != NULL)
			memcpy(at, words[i][1], strlen(words[i][1]));
		assert_int_equal(verify_file(f, "good.jwt"), RS256_UNKNOWN_KEY);
	}
}

static void
what_we_sign_our_own_set_verifies(void **state)
{
	struct fixture *f = *state;
	struct str claims;
	struct buf pem;

	buf_init(&pem, RS256_KEY_FILE_BYTES_MAX);
	assert_true(rs256_generate(&pem));
	buf_clear(&f->key_set);
	assert_true(rs256_write_key_set(buf_str(&pem), "new", &f->key_set));
	buf_clear(&f->token);
	assert_true(rs256_sign(buf_str(&pem), "new", STR(CLAIMS), &f->token));
	assert_int_equal(rs256_verify(&f->arena, buf_str(&f->key_set),
			     buf_str(&f->token), &claims),
	    RS256_OK);
	assert_true(str_equal(claims, STR(CLAIMS)));

	/* Another key of the same name is another key. */
	read_into(&pem, "key.pem");
	buf_clear(&f->key_set);
	assert_true(rs256_write_key_set(buf_str(&pem), "new", &f->key_set));
	assert_int_equal(verify_text(f, buf_str(&f->token)), RS256_BAD);
	buf_free(&pem);
}

static void
a_known_key_makes_the_set_that_node_made(void **state)
{
	struct fixture *f = *state;
	struct buf pem, set;

	buf_init(&pem, RS256_KEY_FILE_BYTES_MAX);
	buf_init(&set, RS256_KEY_SET_BYTES_MAX);
	read_into(&pem, "key.pem");
	assert_true(rs256_write_key_set(buf_str(&pem), "first", &set));
	/* The same modulus, whatever the order of the members. */
	assert_non_null(strstr(set.ptr, "\"e\":\"AQAB\""));
	*strstr(set.ptr, "\",\"e\"") = '\0';
	assert_non_null(strstr(f->key_set.ptr, strstr(set.ptr, "\"n\":\"")));
	buf_free(&pem);
	buf_free(&set);
}

static void
what_is_no_rsa_key_signs_nothing(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 64);
	assert_false(rs256_sign(STR(""), "k", STR("{}"), &out));
	assert_false(rs256_sign(STR("not a key"), "k", STR("{}"), &out));
	assert_false(rs256_write_key_set(STR("not a key"), "k", &out));
	buf_free(&out);
}

static void
a_token_past_the_limit_is_refused_unread(void **state)
{
	struct fixture *f = *state;
	struct buf pem, claims;
	struct str ignored;

	buf_init(&pem, RS256_KEY_FILE_BYTES_MAX);
	buf_init(&claims, RS256_TOKEN_BYTES_MAX);
	buf_free(&f->token);
	buf_init(&f->token, 2 * RS256_TOKEN_BYTES_MAX);
	read_into(&pem, "key.pem");
	/* "{"kid":"first","alg":"RS256"}" and a signature of 256 bytes. */
	for (int i = 0; f->token.len <= RS256_TOKEN_BYTES_MAX; i++) {
		if (i > 0)
			assert_int_equal(verify_text(f, buf_str(&f->token)),
			    RS256_OK);
		while (claims.len < 5700 + (size_t)i * 20)
			buf_append_char(&claims, ' ');
		buf_clear(&f->token);
		assert_true(rs256_sign(buf_str(&pem), "first", buf_str(&claims),
		    &f->token));
	}
	assert_int_equal(verify_text(f, buf_str(&f->token)), RS256_BAD);
	assert_false(rs256_peek(&f->arena, buf_str(&f->token), &ignored));
	buf_free(&pem);
	buf_free(&claims);
}

#define TEST(function) \
	cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_token_of_somebody_elses_making_is_verified_by_its_kid),
		TEST(another_algorithm_key_or_header_is_refused),
		TEST(a_changed_or_cut_token_is_refused),
		TEST(a_modulus_of_2047_bits_is_refused_though_it_signed),
		TEST(what_is_no_key_set_has_no_keys),
		TEST(a_key_for_something_else_is_passed_over),
		TEST(what_we_sign_our_own_set_verifies),
		TEST(a_known_key_makes_the_set_that_node_made),
		TEST(what_is_no_rsa_key_signs_nothing),
		TEST(a_token_past_the_limit_is_refused_unread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
