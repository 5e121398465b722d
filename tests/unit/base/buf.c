/* SPDX-License-Identifier: MIT */
#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void
appended_pieces_stand_one_after_the_other(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 100);
	buf_append(&b, STR("one"));
	buf_append_char(&b, ' ');
	buf_append_int64(&b, INT64_MIN);
	buf_appendf(&b, " %s-%d", "two", 3);
	buf_append(&b, (struct str){ NULL, 0 });
	assert_string_equal(b.ptr, "one -9223372036854775808 two-3");
	assert_int_equal(b.len, strlen(b.ptr));
	assert_false(b.failed);
	buf_free(&b);
}

static void
exactly_the_ceiling_fits_and_one_byte_more_fails(void **state)
{
	static const char text[] = "0123456789";

	(void)state;
	for (size_t n = 9; n <= 11; n++) {
		struct buf by_piece, by_char, by_format, by_room;

		buf_init(&by_piece, 10);
		buf_init(&by_char, 10);
		buf_init(&by_format, 10);
		buf_init(&by_room, 10);
		buf_append(&by_piece, (struct str){ "0123456789x", n });
		for (size_t i = 0; i < n; i++)
			buf_append_char(&by_char, text[i % 10]);
		buf_appendf(&by_format, "%.*s", (int)n, "0123456789x");
		assert_int_equal(buf_reserve(&by_room, n) == NULL, n > 10);
		assert_int_equal(by_piece.failed, n > 10);
		assert_int_equal(by_char.failed, n > 10);
		assert_int_equal(by_format.failed, n > 10);
		assert_int_equal(by_room.failed, n > 10);
		buf_free(&by_piece);
		buf_free(&by_char);
		buf_free(&by_format);
		buf_free(&by_room);
	}
}

static void
a_failure_stays_until_the_buffer_is_cleared(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 4);
	buf_append(&b, STR("abc"));
	buf_append(&b, STR("defg"));
	assert_true(b.failed);
	buf_append_char(&b, 'x');
	assert_true(str_equal(buf_str(&b), STR("abc")));
	buf_clear(&b);
	assert_false(b.failed);
	buf_append(&b, STR("wxyz"));
	assert_true(str_equal(buf_str(&b), STR("wxyz")));
	buf_free(&b);
}

static void
growing_keeps_the_content_and_the_nul(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 10000);
	for (size_t i = 0; i < 10000; i++) {
		buf_append_char(&b, (char)('a' + i % 26));
		assert_int_equal(b.ptr[b.len], '\0');
	}
	assert_false(b.failed);
	for (size_t i = 0; i < 10000; i++)
		assert_int_equal(b.ptr[i], 'a' + i % 26);
	buf_free(&b);
}

static void
an_empty_buffer_is_an_empty_str(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 1);
	assert_int_equal(buf_str(&b).len, 0);
	buf_clear(&b);
	buf_free(&b);
	buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(appended_pieces_stand_one_after_the_other),
		cmocka_unit_test(
		    exactly_the_ceiling_fits_and_one_byte_more_fails),
		cmocka_unit_test(a_failure_stays_until_the_buffer_is_cleared),
		cmocka_unit_test(growing_keeps_the_content_and_the_nul),
		cmocka_unit_test(an_empty_buffer_is_an_empty_str),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
