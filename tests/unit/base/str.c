/* SPDX-License-Identifier: MIT */
#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static const struct str none = { NULL, 0 };

static void
equality_is_by_length_and_bytes(void **state)
{
	(void)state;
	assert_true(str_equal(STR("a\0b"), STR("a\0b")));
	assert_false(str_equal(STR("a\0b"), STR("a\0c")));
	assert_false(str_equal(STR("ab"), STR("abc")));
	assert_true(str_equal(none, STR("")));
	assert_true(str_equal(str_from(NULL), none));
	assert_true(str_equal(str_from("abc"), STR("abc")));
}

static void
only_ascii_letters_fold(void **state)
{
	(void)state;
	assert_true(str_equal_nocase(STR("Content-TYPE"), STR("cONTENT-type")));
	assert_true(str_equal_nocase(none, STR("")));
	assert_false(str_equal_nocase(STR("a"), STR("ab")));
	/* '@' and '`', '[' and '{' differ by the bit that letters differ by. */
	assert_false(str_equal_nocase(STR("@["), STR("`{")));
	assert_false(str_equal_nocase(STR("\xc3\x9c"), STR("\xc3\xbc")));
}

static void
every_str_starts_and_ends_with_nothing(void **state)
{
	(void)state;
	assert_true(str_starts_with(none, none));
	assert_true(str_ends_with(none, none));
	assert_true(str_starts_with(STR("abc"), STR("")));
	assert_true(str_ends_with(STR("abc"), STR("")));
	assert_true(str_starts_with(STR("abc"), STR("ab")));
	assert_true(str_ends_with(STR("abc"), STR("bc")));
	assert_false(str_starts_with(STR("abc"), STR("abcd")));
	assert_false(str_ends_with(STR("abc"), STR("xabc")));
	assert_false(str_starts_with(STR("abc"), STR("bc")));
	assert_false(str_ends_with(STR("abc"), STR("ab")));
}

static void
trimming_takes_blanks_and_tabs_only(void **state)
{
	(void)state;
	assert_true(str_equal(str_trim(STR(" \t a b\t ")), STR("a b")));
	assert_true(str_equal(str_trim(STR("\na\r")), STR("\na\r")));
	assert_true(str_equal(str_trim(STR("  ")), none));
	assert_true(str_equal(str_trim(none), none));
}

static void
a_cut_is_at_the_first_separator(void **state)
{
	struct str head, rest;

	(void)state;
	assert_true(str_cut(STR("a=b=c"), '=', &head, &rest));
	assert_true(str_equal(head, STR("a")));
	assert_true(str_equal(rest, STR("b=c")));
	assert_true(str_cut(STR("="), '=', &head, &rest));
	assert_true(str_equal(head, none));
	assert_true(str_equal(rest, none));
	assert_false(str_cut(STR("abc"), '=', &head, &rest));
	assert_true(str_equal(head, STR("abc")));
	assert_true(str_equal(rest, none));
	assert_false(str_cut(none, '=', &head, &rest));
	assert_true(str_equal(head, none));
}

static void
only_canonical_integers_are_read(void **state)
{
	static const char *const bad[] = { "", "-", "+1", " 1", "1 ", "01",
		"-0", "-01", "1.0", "1e3", "0x1", "1a", "--1", "\xd9\xa1" };
	int64_t value = 42;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(str_to_int64(str_from(bad[i]), INT64_MIN,
		    INT64_MAX, &value));
	assert_false(str_to_int64(none, INT64_MIN, INT64_MAX, &value));
	assert_false(str_to_int64(STR("1\0"), INT64_MIN, INT64_MAX, &value));
	assert_int_equal(value, 42);
	assert_true(str_to_int64(STR("0"), INT64_MIN, INT64_MAX, &value));
	assert_int_equal(value, 0);
}

static void
integers_are_read_up_to_their_ends(void **state)
{
	int64_t value = 0;

	(void)state;
	assert_true(str_to_int64(STR("9223372036854775807"), INT64_MIN,
	    INT64_MAX, &value));
	assert_true(value == INT64_MAX);
	assert_true(str_to_int64(STR("-9223372036854775808"), INT64_MIN,
	    INT64_MAX, &value));
	assert_true(value == INT64_MIN);
	assert_false(str_to_int64(STR("9223372036854775808"), INT64_MIN,
	    INT64_MAX, &value));
	assert_false(str_to_int64(STR("-9223372036854775809"), INT64_MIN,
	    INT64_MAX, &value));
	assert_false(str_to_int64(STR("99999999999999999999999"), INT64_MIN,
	    INT64_MAX, &value));
	assert_true(str_to_int64(STR("1"), 1, 10, &value));
	assert_true(str_to_int64(STR("10"), 1, 10, &value));
	assert_false(str_to_int64(STR("0"), 1, 10, &value));
	assert_false(str_to_int64(STR("11"), 1, 10, &value));
	assert_int_equal(value, 10);
}

/* Writes the UTF-8 form of a code point without asking whether it may be. */
static size_t
put_utf8(unsigned code_point, char out[4])
{
	if (code_point < 0x80) {
		out[0] = (char)code_point;
		return 1;
	}
	if (code_point < 0x800) {
		out[0] = (char)(0xc0 | code_point >> 6);
		out[1] = (char)(0x80 | (code_point & 0x3f));
		return 2;
	}
	if (code_point < 0x10000) {
		out[0] = (char)(0xe0 | code_point >> 12);
		out[1] = (char)(0x80 | (code_point >> 6 & 0x3f));
		out[2] = (char)(0x80 | (code_point & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | code_point >> 18);
	out[1] = (char)(0x80 | (code_point >> 12 & 0x3f));
	out[2] = (char)(0x80 | (code_point >> 6 & 0x3f));
	out[3] = (char)(0x80 | (code_point & 0x3f));
	return 4;
}

static void
utf8_is_every_code_point_but_the_surrogates(void **state)
{
	char text[4];

	(void)state;
	for (unsigned c = 0; c < 0x1fffff; c++) {
		const size_t n = put_utf8(c, text);
		const bool wanted =
		    c <= 0x10ffff && !(c >= 0xd800 && c <= 0xdfff);

		assert_int_equal(str_is_utf8((struct str){ text, n }), wanted);
		/* A cut character is none. */
		if (n > 1)
			assert_false(str_is_utf8((struct str){ text, n - 1 }));
	}
}

static void
overlong_and_stray_bytes_are_not_utf8(void **state)
{
	static const char *const bad[] = { "\x80", "\xbf", "\xc0\x80",
		"\xc1\xbf", "\xe0\x80\x80", "\xe0\x9f\xbf", "\xf0\x80\x80\x80",
		"\xf0\x8f\xbf\xbf", "\xf5\x80\x80\x80", "\xfe", "\xff",
		"\xc3\x28", "\xe2\x82\x28", "\xf0\x9f\x98\x28", "a\xc3" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(str_is_utf8(str_from(bad[i])));
	assert_true(str_is_utf8(none));
	assert_true(str_is_utf8(STR("a\0b")));
}

static void
length_counts_code_points(void **state)
{
	(void)state;
	assert_int_equal(str_utf8_length(none), 0);
	assert_int_equal(str_utf8_length(STR("abc")), 3);
	assert_int_equal(str_utf8_length(STR("a\xc3\xbc\xe2\x82\xac"
					     "\xf0\x9f\x98\x80")),
	    4);
}

static void
a_copy_fits_with_its_nul_or_not_at_all(void **state)
{
	char buffer[4] = "old";

	(void)state;
	assert_false(str_copy(STR("abcd"), buffer, sizeof(buffer)));
	assert_false(str_copy(STR("a\0b"), buffer, sizeof(buffer)));
	assert_false(str_copy(STR(""), buffer, 0));
	assert_string_equal(buffer, "old");
	assert_true(str_copy(STR("abc"), buffer, sizeof(buffer)));
	assert_string_equal(buffer, "abc");
	assert_true(str_copy(none, buffer, 1));
	assert_string_equal(buffer, "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equality_is_by_length_and_bytes),
		cmocka_unit_test(only_ascii_letters_fold),
		cmocka_unit_test(every_str_starts_and_ends_with_nothing),
		cmocka_unit_test(trimming_takes_blanks_and_tabs_only),
		cmocka_unit_test(a_cut_is_at_the_first_separator),
		cmocka_unit_test(only_canonical_integers_are_read),
		cmocka_unit_test(integers_are_read_up_to_their_ends),
		cmocka_unit_test(utf8_is_every_code_point_but_the_surrogates),
		cmocka_unit_test(overlong_and_stray_bytes_are_not_utf8),
		cmocka_unit_test(length_counts_code_points),
		cmocka_unit_test(a_copy_fits_with_its_nul_or_not_at_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
