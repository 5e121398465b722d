/* SPDX-License-Identifier: MIT */
#include "wire/jws.h"

#include "base/config.h"
#include "wire/base64.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define GOOD_HEADER "{\"alg\":\"ES256\",\"x5c\":[\"a\",\"b\",\"c\"]}"
#define GOOD_PAYLOAD "{\"a\":1}"

struct fixture {
	struct arena arena;
	struct buf text;
};

static int
set_up(void **state)
{
	static struct fixture fixture;

	arena_init(&fixture.arena, (size_t)4 * 1024 * 1024);
	buf_init(&fixture.text, JWS_BYTES_MAX + 1024);
	*state = &fixture;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;

	arena_free(&f->arena);
	buf_free(&f->text);
	return 0;
}

static void
write_token(struct fixture *f, struct str header, struct str payload,
    size_t signature_bytes)
{
	static const uint8_t signature[128];

	buf_clear(&f->text);
	base64_encode(BASE64_URL, header.ptr, header.len, &f->text);
	buf_append_char(&f->text, '.');
	base64_encode(BASE64_URL, payload.ptr, payload.len, &f->text);
	buf_append_char(&f->text, '.');
	base64_encode(BASE64_URL, signature, signature_bytes, &f->text);
	assert_false(f->text.failed);
}

static enum jws_verdict
parse(struct fixture *f, struct str text)
{
	struct jws jws = { .payload_text = STR("untouched") };
	const enum jws_verdict verdict = jws_parse(&f->arena, text, &jws);

	if (verdict != JWS_OK)
		assert_true(str_equal(jws.payload_text, STR("untouched")));
	arena_reset(&f->arena);
	return verdict;
}

static enum jws_verdict
parse_header(struct fixture *f, const char *header)
{
	write_token(f, str_from(header), STR(GOOD_PAYLOAD), 64);
	return parse(f, buf_str(&f->text));
}

static void
a_token_is_taken_apart(void **state)
{
	struct fixture *f = *state;
	struct jws jws;

	write_token(f, STR(GOOD_HEADER), STR(GOOD_PAYLOAD), 64);
	assert_int_equal(jws_parse(&f->arena, buf_str(&f->text), &jws), JWS_OK);
	assert_true(str_equal(jws.payload_text, STR(GOOD_PAYLOAD)));
	assert_true(str_equal(jws.x5c[0], STR("a")));
	assert_true(str_equal(jws.x5c[2], STR("c")));
	assert_ptr_equal(jws.signed_text.ptr, f->text.ptr);
	assert_int_equal(f->text.ptr[jws.signed_text.len], '.');
	assert_non_null(json_member(jws.payload, "a"));
}

static void
only_es256_with_headers_that_are_understood_is_taken(void **state)
{
	static const char *const bad[] = {
		"{\"alg\":\"none\",\"x5c\":[\"a\",\"b\",\"c\"]}",
		"{\"alg\":\"es256\",\"x5c\":[\"a\",\"b\",\"c\"]}",
		"{\"alg\":\"ES256 \",\"x5c\":[\"a\",\"b\",\"c\"]}",
		"{\"alg\":[\"ES256\"],\"x5c\":[\"a\",\"b\",\"c\"]}",
		"{\"Alg\":\"ES256\",\"x5c\":[\"a\",\"b\",\"c\"]}",
		"{\"x5c\":[\"a\",\"b\",\"c\"]}",
		"{\"alg\":\"ES256\",\"crit\":[],\"x5c\":[\"a\",\"b\",\"c\"]}",
		"{\"alg\":\"ES256\",\"crit\":null,\"x5c\":[\"a\",\"b\",\"c\"]}",
		"{\"alg\":\"ES256\",\"b64\":true,\"x5c\":[\"a\",\"b\",\"c\"]}",
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(parse_header(f, bad[i]), JWS_BAD_ALGORITHM);
	assert_int_equal(parse_header(f,
			     "{\"kid\":7,\"alg\":\"ES256\",\"typ\":\"x\","
			     "\"jku\":\"y\",\"x5c\":[\"a\",\"b\",\"c\"]}"),
	    JWS_OK);
}

static void
a_chain_has_three_texts(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(parse_header(f, "{\"alg\":\"ES256\"}"), JWS_BAD_FORM);
	assert_int_equal(parse_header(f, "{\"alg\":\"ES256\",\"x5c\":\"a\"}"),
	    JWS_BAD_FORM);
	assert_int_equal(parse_header(f,
			     "{\"alg\":\"ES256\",\"x5c\":[\"a\",1,\"c\"]}"),
	    JWS_BAD_FORM);
	assert_int_equal(parse_header(f, "{\"alg\":\"ES256\",\"x5c\":[]}"),
	    JWS_BAD_CHAIN_LENGTH);
	assert_int_equal(parse_header(f,
			     "{\"alg\":\"ES256\",\"x5c\":[\"a\",\"b\"]}"),
	    JWS_BAD_CHAIN_LENGTH);
	assert_int_equal(parse_header(f,
			     "{\"alg\":\"ES256\","
			     "\"x5c\":[\"a\",\"b\",\"c\",\"d\"]}"),
	    JWS_BAD_CHAIN_LENGTH);
}

static void
a_header_is_one_json_object(void **state)
{
	static const char *const bad[] = { "", "[]", "null", "x",
		GOOD_HEADER "x", GOOD_HEADER GOOD_HEADER,
		"{\"alg\":\"ES256\",\"alg\":\"ES256\",\"x5c\":[]}" };
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(parse_header(f, bad[i]), JWS_BAD_FORM);
		write_token(f, STR(GOOD_HEADER), str_from(bad[i]), 64);
		if (i < 5)
			assert_int_equal(parse(f, buf_str(&f->text)),
			    JWS_BAD_FORM);
	}
}

static void
a_signature_has_sixty_four_bytes(void **state)
{
	struct fixture *f = *state;

	for (size_t n = 63; n <= 65; n++) {
		write_token(f, STR(GOOD_HEADER), STR(GOOD_PAYLOAD), n);
		assert_int_equal(parse(f, buf_str(&f->text)),
		    n == 64 ? JWS_OK : JWS_BAD_FORM);
	}
	write_token(f, STR(GOOD_HEADER), STR(GOOD_PAYLOAD), 0);
	assert_int_equal(parse(f, buf_str(&f->text)), JWS_BAD_FORM);
}

static void
there_are_three_parts_of_canonical_base64url(void **state)
{
	static const char *const bad[] = { "", ".", "..", "...", "a.b.c",
		"a.b.c.d" };
	struct fixture *f = *state;
	size_t length;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(parse(f, str_from(bad[i])), JWS_BAD_FORM);
	write_token(f, STR(GOOD_HEADER), STR(GOOD_PAYLOAD), 64);
	length = f->text.len;
	for (size_t i = 0; i < length; i++) {
		const char old = f->text.ptr[i];

		for (const char *c = "=+/ \n\x80"; *c != '\0'; c++) {
			f->text.ptr[i] = *c;
			assert_int_not_equal(parse(f, buf_str(&f->text)),
			    JWS_OK);
		}
		f->text.ptr[i] = old;
		assert_int_not_equal(parse(f, (struct str){ f->text.ptr, i }),
		    JWS_OK);
	}
	/* The last letter carries two bits; the others must be zero. */
	assert_int_equal(f->text.ptr[length - 1], 'A');
	f->text.ptr[length - 1] = 'B';
	assert_int_equal(parse(f, buf_str(&f->text)), JWS_BAD_FORM);
	f->text.ptr[length - 1] = 'Q';
	assert_int_equal(parse(f, buf_str(&f->text)), JWS_OK);
	buf_append_char(&f->text, '.');
	assert_int_equal(parse(f, buf_str(&f->text)), JWS_BAD_FORM);
}

static void
a_token_past_the_limit_is_refused_unread(void **state)
{
	struct fixture *f = *state;
	struct buf payload;

	buf_init(&payload, JWS_BYTES_MAX);
	buf_append(&payload, STR("{}"));
	while (payload.len < 196400)
		buf_append_char(&payload, ' ');
	for (;;) {
		write_token(f, STR(GOOD_HEADER), buf_str(&payload), 64);
		if (f->text.len > JWS_BYTES_MAX)
			break;
		assert_int_equal(parse(f, buf_str(&f->text)), JWS_OK);
		buf_append_char(&payload, ' ');
	}
	assert_true(f->text.len <= JWS_BYTES_MAX + 2);
	assert_int_equal(parse(f, buf_str(&f->text)), JWS_BAD_FORM);
	buf_free(&payload);
}

#define TEST(function) \
	cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_token_is_taken_apart),
		TEST(only_es256_with_headers_that_are_understood_is_taken),
		TEST(a_chain_has_three_texts),
		TEST(a_header_is_one_json_object),
		TEST(a_signature_has_sixty_four_bytes),
		TEST(there_are_three_parts_of_canonical_base64url),
		TEST(a_token_past_the_limit_is_refused_unread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
