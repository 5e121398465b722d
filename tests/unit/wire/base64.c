/* SPDX-License-Identifier: MIT */
#include "wire/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void
encodes(enum base64_alphabet alphabet, struct str bytes, const char *text)
{
	struct buf out;
	uint8_t decoded[64];
	size_t n;

	buf_init(&out, 100);
	buf_append_char(&out, '>');
	base64_encode(alphabet, bytes.ptr, bytes.len, &out);
	assert_false(out.failed);
	assert_string_equal(out.ptr + 1, text);
	assert_int_equal(out.len - 1, strlen(text));
	assert_true(out.len - 1 <= BASE64_ENCODED_LENGTH(bytes.len));
	buf_free(&out);

	assert_true(base64_decode(alphabet, str_from(text), decoded,
	    sizeof(decoded), &n));
	assert_int_equal(n, bytes.len);
	assert_true(n <= BASE64_DECODED_BYTES_MAX(strlen(text)));
	assert_true(n == 0 || memcmp(decoded, bytes.ptr, n) == 0);
}

static bool
decodes(enum base64_alphabet alphabet, struct str text)
{
	uint8_t bytes[64];
	size_t n;

	return base64_decode(alphabet, text, bytes, sizeof(bytes), &n);
}

static void
the_vectors_of_rfc_4648_hold_both_ways(void **state)
{
	(void)state;
	encodes(BASE64_STANDARD, STR(""), "");
	encodes(BASE64_STANDARD, STR("f"), "Zg==");
	encodes(BASE64_STANDARD, STR("fo"), "Zm8=");
	encodes(BASE64_STANDARD, STR("foo"), "Zm9v");
	encodes(BASE64_STANDARD, STR("foob"), "Zm9vYg==");
	encodes(BASE64_STANDARD, STR("fooba"), "Zm9vYmE=");
	encodes(BASE64_STANDARD, STR("foobar"), "Zm9vYmFy");
	encodes(BASE64_URL, STR(""), "");
	encodes(BASE64_URL, STR("f"), "Zg");
	encodes(BASE64_URL, STR("fo"), "Zm8");
	encodes(BASE64_URL, STR("foobar"), "Zm9vYmFy");
	encodes(BASE64_STANDARD, STR("\xfb\xff\xbf\0"), "+/+/AA==");
	encodes(BASE64_URL, STR("\xfb\xff\xbf\0"), "-_-_AA");
}

static void
each_alphabet_refuses_the_other_and_everything_else(void **state)
{
	static const char both[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "abcdefghijklmnopqrstuvwxyz0123456789";

	(void)state;
	for (int c = 0; c < 256; c++) {
		const bool shared = c != 0 && strchr(both, c) != NULL;

		for (size_t place = 0; place < 4; place++) {
			char text[] = "AAAA";

			text[place] = (char)c;
			assert_int_equal(decodes(BASE64_URL,
					     (struct str){ text, 4 }),
			    shared || c == '-' || c == '_');
			/* "AAA=" is two bytes and its padding. */
			assert_int_equal(decodes(BASE64_STANDARD,
					     (struct str){ text, 4 }),
			    shared || c == '+' || c == '/' ||
				(c == '=' && place == 3));
		}
	}
}

static void
padding_is_exact_or_absent(void **state)
{
	static const char *const not_standard[] = { "Zg", "Zg=", "Zg===", "Zm8",
		"Zm8==", "Zm9v=", "Zm9v==", "Zm9v====", "=",
		"==", "====", "Z===", "Zg==Zg==", "Zg=g", "=Zg=", "Zg==\n" };
	static const char *const not_url[] = { "Zg==", "Zm8=", "Zm9v=", "=",
		"Zg==Zg" };

	(void)state;
	for (size_t i = 0; i < sizeof(not_standard) / sizeof(char *); i++)
		assert_false(
		    decodes(BASE64_STANDARD, str_from(not_standard[i])));
	for (size_t i = 0; i < sizeof(not_url) / sizeof(char *); i++)
		assert_false(decodes(BASE64_URL, str_from(not_url[i])));
}

static void
one_text_stands_for_one_sequence_of_bytes(void **state)
{
	(void)state;
	/* Unused bits that are set, and a length that no bytes have. */
	assert_false(decodes(BASE64_URL, STR("Zh")));
	assert_false(decodes(BASE64_URL, STR("Zm9")));
	assert_false(decodes(BASE64_STANDARD, STR("Zh==")));
	assert_false(decodes(BASE64_STANDARD, STR("Zm9=")));
	assert_false(decodes(BASE64_URL, STR("Z")));
	assert_false(decodes(BASE64_URL, STR("Zm9vY")));
	/* White space. */
	assert_false(decodes(BASE64_URL, STR("Zm 9v")));
	assert_false(decodes(BASE64_URL, STR("Zm9v\n")));
	assert_false(decodes(BASE64_STANDARD, STR("Zm9v\0")));
}

static void
what_does_not_fit_is_refused(void **state)
{
	uint8_t bytes[4];
	size_t n = 42;
	struct buf out;

	(void)state;
	assert_false(base64_decode(BASE64_URL, STR("Zm9vYmE"), bytes, 4, &n));
	assert_int_equal(n, 42);
	assert_true(base64_decode(BASE64_URL, STR("Zm9vYg"), bytes, 4, &n));
	assert_int_equal(n, 4);
	assert_true(base64_decode(BASE64_URL, STR("Zm9v"), bytes, 4, &n));
	assert_int_equal(n, 3);
	assert_true(
	    base64_decode(BASE64_URL, (struct str){ NULL, 0 }, bytes, 0, &n));
	assert_int_equal(n, 0);

	for (size_t max = 7; max <= 9; max++) {
		buf_init(&out, max);
		base64_encode(BASE64_STANDARD, "fooba", 5, &out);
		assert_int_equal(out.failed, max < 8);
		buf_free(&out);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_vectors_of_rfc_4648_hold_both_ways),
		cmocka_unit_test(
		    each_alphabet_refuses_the_other_and_everything_else),
		cmocka_unit_test(padding_is_exact_or_absent),
		cmocka_unit_test(one_text_stands_for_one_sequence_of_bytes),
		cmocka_unit_test(what_does_not_fit_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
