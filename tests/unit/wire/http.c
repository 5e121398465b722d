/* SPDX-License-Identifier: MIT */
#include "wire/http.h"

#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static struct arena arena;

static int
setup(void **state)
{
	(void)state;
	arena_init(&arena, (size_t)1024 * 1024);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

static void
methods_are_read_exactly(void **state)
{
	static const char *const names[] = { "GET", "HEAD", "POST", "PUT",
		"PATCH", "DELETE", "OPTIONS" };
	enum http_method method;

	(void)state;
	for (unsigned i = 0; i < 7; i++) {
		assert_true(http_method_parse(str_from(names[i]), &method));
		assert_int_equal(method, 1U << i);
	}
	assert_false(http_method_parse(STR("get"), &method));
	assert_false(http_method_parse(STR("GET "), &method));
	assert_false(http_method_parse(STR("GE"), &method));
	assert_false(http_method_parse(STR("TRACE"), &method));
	assert_false(http_method_parse(STR(""), &method));
	assert_int_equal(method, HTTP_OPTIONS);
}

static void
a_set_of_methods_is_a_list(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 100);
	http_methods_format(0, &out);
	assert_int_equal(out.len, 0);
	http_methods_format(HTTP_POST, &out);
	assert_string_equal(out.ptr, "POST");
	buf_clear(&out);
	http_methods_format(HTTP_OPTIONS | HTTP_GET | HTTP_POST, &out);
	assert_string_equal(out.ptr, "GET, POST, OPTIONS");
	buf_free(&out);
}

static bool
parses(struct str text)
{
	struct http_query query;

	arena_reset(&arena);
	return http_query_parse(&arena, text, &query);
}

static void
query_fields_are_decoded(void **state)
{
	struct http_query query;
	struct str value = { NULL, 0 };

	(void)state;
	assert_true(http_query_parse(&arena,
	    STR("&a=1&b%20c=x+y%2bz&&empty=&bare&u=%C3%bc&e==&"), &query));
	assert_int_equal(query.count, 6);
	assert_true(http_query_get(&query, "a", &value));
	assert_true(str_equal(value, STR("1")));
	assert_true(http_query_get(&query, "b c", &value));
	assert_true(str_equal(value, STR("x y+z")));
	assert_true(http_query_get(&query, "empty", &value));
	assert_int_equal(value.len, 0);
	assert_true(http_query_get(&query, "bare", &value));
	assert_int_equal(value.len, 0);
	assert_true(http_query_get(&query, "u", &value));
	assert_true(str_equal(value, STR("\xc3\xbc")));
	assert_true(http_query_get(&query, "e", &value));
	assert_true(str_equal(value, STR("=")));
	assert_false(http_query_get(&query, "A", &value));
	assert_false(http_query_get(&query, "", &value));
	assert_true(str_equal(value, STR("=")));
	assert_true(http_query_parse(&arena, STR(""), &query));
	assert_int_equal(query.count, 0);
}

static void
a_name_may_occur_once_however_it_is_written(void **state)
{
	(void)state;
	assert_false(parses(STR("a=1&a=1")));
	assert_false(parses(STR("a=1&%61=2")));
	assert_false(parses(STR("a+b=1&a%20b=2")));
	assert_false(parses(STR("a&a")));
	assert_true(parses(STR("a=1&A=1")));
}

static void
malformed_queries_are_refused(void **state)
{
	static const char *const bad[] = { "=", "=x", "a=%", "a=%4", "a=%4g",
		"a=%g4", "%=1", "a=%%41", "a=%00", "a=%0a", "a=%0D", "a=%1f",
		"a=%7F", "a=%ff", "a=%c0%80", "a=%ed%a0%80", "a=\n", "a=\x7f",
		"a=\xff", "a%00=1", "a=%+1", "a=%-1", "a=% 1", "a=%c3&b=%bc" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(parses(str_from(bad[i])));
	assert_false(parses(STR("a=\0")));
}

static void
the_number_of_fields_is_bounded(void **state)
{
	struct buf text;

	(void)state;
	buf_init(&text, 1000);
	for (size_t n = 1; n <= HTTP_QUERY_FIELDS_MAX + 1; n++) {
		buf_appendf(&text, "&%zu=", n);
		assert_int_equal(parses(buf_str(&text)),
		    n <= HTTP_QUERY_FIELDS_MAX);
	}
	buf_free(&text);
}

static void
plus_is_a_space_only_in_forms(void **state)
{
	struct str decoded;

	(void)state;
	assert_true(
	    http_percent_decode(&arena, STR("a+b%2B"), false, &decoded));
	assert_true(str_equal(decoded, STR("a+b+")));
	assert_true(http_percent_decode(&arena, STR("a+b%2B"), true, &decoded));
	assert_true(str_equal(decoded, STR("a b+")));
	assert_int_equal(decoded.ptr[decoded.len], '\0');
}

static void
encoding_leaves_the_unreserved_alone(void **state)
{
	static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
					 "abcdefghijklmnopqrstuvwxyz"
					 "0123456789-._~";
	struct buf out;

	(void)state;
	buf_init(&out, 200);
	http_percent_encode(STR("a b/\xc3\xbc+%\n"), &out);
	assert_string_equal(out.ptr, "a%20b%2F%C3%BC%2B%25%0A");
	for (int c = 0; c < 256; c++) {
		const char one = (char)c;

		buf_clear(&out);
		http_percent_encode((struct str){ &one, 1 }, &out);
		assert_int_equal(out.len,
		    c != 0 && strchr(unreserved, c) ? 1 : 3);
	}
	buf_free(&out);
}

static void
header_values_are_printable_ascii(void **state)
{
	(void)state;
	for (int c = 0; c < 256; c++) {
		char text[] = { 'a', (char)c, 'b' };

		assert_int_equal(http_header_value_ok((struct str){ text, 3 }),
		    c >= 0x20 && c <= 0x7e);
		assert_int_equal(http_token_ok((struct str){ text, 3 }, 3),
		    c > 0x20 && c <= 0x7e);
	}
	assert_true(http_header_value_ok(STR("")));
}

static void
tokens_have_one_to_max_characters(void **state)
{
	(void)state;
	assert_false(http_token_ok(STR(""), 3));
	assert_false(http_token_ok((struct str){ NULL, 0 }, 3));
	assert_true(http_token_ok(STR("a"), 3));
	assert_true(http_token_ok(STR("abc"), 3));
	assert_false(http_token_ok(STR("abcd"), 3));
}

static void
a_bearer_token_is_found(void **state)
{
	static const char *const good[] = { "Bearer abc", "bearer abc",
		"BEARER  abc", " Bearer abc\t" };
	static const char *const bad[] = { "", "Bearer", "Bearer ", "Bearer  ",
		"Basic abc", "Bearerabc", "Bearer a b", "Bearer a,b",
		"Bearer =", "Bearer a=b", "Bearer \"abc\"", "abc",
		"Bearer a\tb", "Bearer \xc3\xbc", "Bearer\tabc",
		"Bear er abc" };
	struct str token = { NULL, 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_true(http_bearer(str_from(good[i]), &token));
		assert_true(str_equal(token, STR("abc")));
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(http_bearer(str_from(bad[i]), &token));
	assert_true(str_equal(token, STR("abc")));
	assert_true(http_bearer(STR("Bearer aZ0-._~+/=="), &token));
	assert_true(str_equal(token, STR("aZ0-._~+/==")));
}

static void
content_types_ignore_case_and_parameters(void **state)
{
	const struct str json = STR("application/json");

	(void)state;
	assert_true(http_content_type_is(STR("application/json"), json));
	assert_true(
	    http_content_type_is(STR("Application/JSON ; charset=utf-8"),
		json));
	assert_true(http_content_type_is(STR("application/json;"), json));
	assert_false(http_content_type_is(STR("application/json2"), json));
	assert_false(http_content_type_is(STR("application/json, x"), json));
	assert_false(http_content_type_is(STR("text/application/json"), json));
	assert_false(http_content_type_is(STR(""), json));
}

static void
a_charset_is_utf8_if_it_is_not_said(void **state)
{
	static const char *const good[] = { "", "application/json",
		"application/json;", "application/json; charset=utf-8",
		"application/json;CHARSET=\"UTF-8\"", "a/b; x=utf-16; y",
		"application/json; x=1 ; charset=us-ascii",
		"a/b; charset=utf8" };
	static const char *const bad[] = { "application/json; charset=utf-16",
		"application/json;charset=", "a/b; charset", "a/b; charset=\"",
		"a/b; x=1; charset=iso-8859-1", "a/b; charset=utf-8x" };

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(http_charset_is_utf8(str_from(good[i])));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(http_charset_is_utf8(str_from(bad[i])));
}

static void
an_entity_tag_is_found_in_its_list(void **state)
{
	static const char *const good[] = { "\"abc\"", "W/\"abc\"", "*", " * ",
		"\"x\", \"abc\"", "\"x\",\"abc\"", "W/\"x\" , W/\"abc\"",
		",, \"abc\"", "\"a,b\", \"abc\"", "\"\", \"abc\", \"x\"" };
	static const char *const bad[] = { "", "abc", "\"ab\"", "\"abcd\"",
		"\"ABC\"", "w/\"abc\"", "\"abc", "W/abc", "**", "*, \"x\"",
		"\"x, \"abc\"", "x \"abc\"", "\"", "W/", "W/W/\"abc\"", "," };

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_true(
		    http_etag_matches(str_from(good[i]), STR("\"abc\"")));
		assert_true(
		    http_etag_matches(str_from(good[i]), STR("W/\"abc\"")));
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(
		    http_etag_matches(str_from(bad[i]), STR("\"abc\"")));
	/* A comma inside a tag does not end it. */
	assert_true(http_etag_matches(STR("\"x\", \"a,b\""), STR("\"a,b\"")));
	assert_false(http_etag_matches(STR("\"x,\"abc\",y\""), STR("\"abc\"")));
}

static void
every_status_that_is_sent_has_its_phrase(void **state)
{
	static const int others[] = { 200, 201, 204, 206, 304, 406 };

	(void)state;
	for (int err = 0; err < ERR_MAX; err++)
		assert_string_not_equal(http_reason(err_status((enum err)err)),
		    "Other");
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_string_not_equal(http_reason(others[i]), "Other");
	assert_string_equal(http_reason(299), "Other");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(methods_are_read_exactly),
		cmocka_unit_test(a_set_of_methods_is_a_list),
		cmocka_unit_test(query_fields_are_decoded),
		cmocka_unit_test(a_name_may_occur_once_however_it_is_written),
		cmocka_unit_test(malformed_queries_are_refused),
		cmocka_unit_test(the_number_of_fields_is_bounded),
		cmocka_unit_test(plus_is_a_space_only_in_forms),
		cmocka_unit_test(encoding_leaves_the_unreserved_alone),
		cmocka_unit_test(header_values_are_printable_ascii),
		cmocka_unit_test(tokens_have_one_to_max_characters),
		cmocka_unit_test(a_bearer_token_is_found),
		cmocka_unit_test(content_types_ignore_case_and_parameters),
		cmocka_unit_test(a_charset_is_utf8_if_it_is_not_said),
		cmocka_unit_test(an_entity_tag_is_found_in_its_list),
		cmocka_unit_test(every_status_that_is_sent_has_its_phrase),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
