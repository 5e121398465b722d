/* SPDX-License-Identifier: MIT */
#include "wire/json.h"
#include "wire/json_writer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/wait.h>
#include <unistd.h>

static struct arena arena;
static struct buf text;

static int
setup(void **state)
{
	(void)state;
	arena_init(&arena, (size_t)4 * 1024 * 1024);
	buf_init(&text, (size_t)256 * 1024);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	arena_free(&arena);
	buf_free(&text);
	return 0;
}

/*
 * Parses a copy that ends where the text ends, so that a sanitiser sees any
 * byte read behind it.
 */
static const struct json *
parse(struct str s)
{
	const struct json *value;
	char *copy = malloc(s.len == 0 ? 1 : s.len);

	assert_non_null(copy);
	if (s.len > 0)
		memcpy(copy, s.ptr, s.len);
	arena_reset(&arena);
	value = json_parse(&arena, (struct str){ copy, s.len });
	free(copy);
	return value;
}

static void
what_the_rfc_allows_is_accepted(void **state)
{
	static const char *const good[] = { "{}", "[]", "null", "true", "false",
		"0", "-0", "1", "-1", "10", "1.5", "-0.0", "1e5", "1E+5",
		"1e-5", "0e0", "0.1e01", "123456789012345678901234567890",
		"1e-400", "\"\"", "\"a\"", "[1]", "[1,2]", "[[],{}]",
		"{\"a\":1}", "{\"a\":{\"a\":1}}", "{\"\":1}",
		" \t\r\n{ \"a\" : [ 1 , null ] } \n\r\t ", "[1] ",
		"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0001\"", "\"\\u00fC\"",
		"\"\\ud83d\\ude00\"", "\"\\uD83D\\uDE00\"",
		"\"\\udbff\\udfff\"", "\"\\ufffe\\uffff\"",
		"\"\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80\"", "\"\xef\xbb\xbf\"",
		"\"\x7f\"", "\"\xe2\x80\xa8\"", "\"{[:,]}\"", "[\"\\\\\"]",
		"[{\"a\":1},{\"a\":1}]", "{\"a\":1,\"A\":1}",
		"{\"a\":1,\"a \":1}" };

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (parse(str_from(good[i])) == NULL)
			fail_msg("refused: %s", good[i]);
}

static void
what_parsers_disagree_about_is_refused(void **state)
{
	static const char *const bad[] = {
		/* Nothing, or more than one value. */
		"", " ", "{} x", "{}{}", "1 2", "null,", "[]]", "{}\v", "{}#",
		"{}//", "{}/**/",
		/* A byte order mark. */
		"\xef\xbb\xbf{}", "\xff\xfe{",
		/* Control characters and other white space. */
		"\f{}", "[\v1]", "[1\x01]", "\x1f[]", "[]\x02", "\"\n\"",
		"\"\t\"", "\"a\x01\"", "\"\x1f\"", "\xc2\xa0[]",
		/* NUL in disguise, and what cJSON takes for it. */
		"\"\\u0000\"", "\"a\\u0000b\"", "{\"a\\u0000\":1}",
		"\"\\uZZZZ\"", "\"\\u00g0\"", "\"\\u 123\"", "\"\\u+123\"",
		"\"\\u123\"", "\"\\u123", "\"\\u\"", "\"\\U0041\"",
		/* Surrogates that are not a pair. */
		"\"\\ud800\"", "\"\\udc00\"", "\"\\ud800\\ud800\"",
		"\"\\udc00\\ud800\"", "\"\\ud83d\\u0041\"", "\"\\ud83dx\"",
		"\"\\ud83d\\n\"", "\"\\ud83d\\ude0\"", "\"\\ud83d\\\"",
		/* Invalid UTF-8. */
		"\"\xff\"", "\"\xc3\"", "\"\xc0\x80\"", "\"\xed\xa0\x80\"",
		"\"\xf4\x90\x80\x80\"", "{\"\x80\":1}",
		/* Numbers of other languages. */
		"01", "-01", "00", "1.", "-1.", ".1", "-.1", "-", "+1", "1e",
		"1e+", "1.e1", "1e1.5", "0x10", "1-1", "1+1", "--1", "1_000",
		"Infinity", "-Infinity", "NaN", "inf", "nan", "1e400", "-1e400",
		"[0,1e999]", "{\"a\":{\"b\":[1e400]}}", "1.2.3", "[1 000]",
		"0.", "1e5e5", "1f", "1d", "1L",
		/* Words, quotes and grammar of other languages. */
		"True", "TRUE", "nul", "nulll", "truefalse", "undefined", "'a'",
		"{'a':1}", "{a:1}", "{1:1}", "{null:1}", "\"a", "\"\\\"",
		"\"\\", "\"\\x41\"", "\"\\a\"", "\"\\'\"", "[1,]", "[,1]",
		"[1,,2]", "{\"a\":1,}", "{,\"a\":1}", "{\"a\"}", "{\"a\":}",
		"{\"a\",1}", "{\"a\":1:2}", "[1:2]", "{:1}", "[", "]", "{", "}",
		"[}", "{]", "[1", "{\"a\":1", "{\"a\":1]", "[1}", "[1 2]",
		"{\"a\":1 \"b\":2}", "[\"a\" \"b\"]", "\"a\":1", ":", ",",
		"{\"a\" 1}", "{\"a\"::1}", "{[]:1}"
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (parse(str_from(bad[i])) != NULL)
			fail_msg("accepted: %s", bad[i]);
	assert_null(parse(STR("\"a\0b\"")));
	assert_null(parse(STR("{\"a\0\":1}")));
	assert_null(parse(STR("{}\0")));
	assert_null(parse(STR("[1\0]")));
	assert_null(parse((struct str){ NULL, 0 }));
}

static void
an_unfinished_document_is_refused_wherever_it_ends(void **state)
{
	const struct str whole = STR(
	    "{\"a\":[1.5e+3,true,false,null,\"\\n\\ud83d\\ude00\xc3\xbc\"]}");

	(void)state;
	assert_non_null(parse(whole));
	for (size_t n = 0; n < whole.len; n++)
		assert_null(parse((struct str){ whole.ptr, n }));
}

static void
member_names_are_unique_after_decoding(void **state)
{
	(void)state;
	assert_null(parse(STR("{\"a\":1,\"a\":1}")));
	assert_null(parse(STR("{\"a\":1,\"b\":2,\"a\":3}")));
	assert_null(parse(STR("{\"a\":1,\"\\u0061\":2}")));
	assert_null(parse(STR("{\"\":1,\"\":2}")));
	assert_null(parse(STR("{\"\\/\":1,\"/\":2}")));
	assert_null(
	    parse(STR("{\"\\ud83d\\ude00\":1,\"\xf0\x9f\x98\x80\":2}")));
	assert_null(parse(STR("[[{\"x\":{\"a\":1,\"a\":null}}]]")));
}

static void
depth_is_bounded(void **state)
{
	(void)state;
	for (size_t depth = JSON_DEPTH_MAX - 1; depth <= JSON_DEPTH_MAX + 1;
	     depth++) {
		buf_clear(&text);
		for (size_t i = 0; i < depth; i++)
			buf_append(&text,
			    i % 2 == 0 ? STR("[") : STR("{\"a\":"));
		buf_append_char(&text, '0');
		for (size_t i = depth; i-- > 0;)
			buf_append_char(&text, i % 2 == 0 ? ']' : '}');
		assert_int_equal(parse(buf_str(&text)) != NULL,
		    depth <= JSON_DEPTH_MAX);
	}
	/* Width is not depth, and closing is not forgotten. */
	assert_non_null(
	    parse(STR("[[],[],[],[],[],[],[],[],[],[],[],[],[],[],"
		      "[],[],[],[],[],[],[],[],[],[],[],[],[],[],"
		      "[],[],[],[],[],[],[],[],[],[],[],[],[],[]]")));
	buf_clear(&text);
	for (size_t i = 0; i < 100000; i++)
		buf_append_char(&text, '[');
	assert_null(parse(buf_str(&text)));
}

static void
the_number_of_values_is_bounded(void **state)
{
	(void)state;
	/* The array or object is a value too; a member's name is none. */
	for (size_t n = JSON_VALUES_MAX - 2; n <= JSON_VALUES_MAX; n++) {
		buf_clear(&text);
		for (size_t i = 0; i < n; i++)
			buf_append(&text, i == 0 ? STR("[0") : STR(",0"));
		buf_append_char(&text, ']');
		assert_int_equal(parse(buf_str(&text)) != NULL,
		    n + 1 <= JSON_VALUES_MAX);

		buf_clear(&text);
		for (size_t i = 0; i < n; i++)
			buf_appendf(&text, "%c\"%zu\":\"\"", i == 0 ? '{' : ',',
			    i);
		buf_append_char(&text, '}');
		assert_int_equal(parse(buf_str(&text)) != NULL,
		    n + 1 <= JSON_VALUES_MAX);
	}
}

static void
a_repeated_name_is_found_among_many(void **state)
{
	(void)state;
	for (size_t twin = 0; twin < JSON_VALUES_MAX - 2; twin += 97) {
		buf_clear(&text);
		for (size_t i = 0; i < JSON_VALUES_MAX - 2; i++)
			buf_appendf(&text, "%c\"%zu\":0", i == 0 ? '{' : ',',
			    i * 7919);
		buf_appendf(&text, ",\"%zu\":0}", twin * 7919);
		assert_null(parse(buf_str(&text)));
	}
}

static void
the_length_of_a_number_is_bounded(void **state)
{
	static const char zeros[] = "0000000000000000000000000000000000000000"
				    "0000000000000000000000000";

	(void)state;
	for (int n = 62; n <= 64; n++) {
		buf_clear(&text);
		buf_appendf(&text, "[1.%.*s]", n - 2, zeros);
		assert_int_equal(parse(buf_str(&text)) != NULL, n <= 63);
	}
}

static void
a_document_lives_in_its_arena(void **state)
{
	const struct json *root = parse(STR("{\"name\":[\"value\"]}"));
	const struct json *array = json_first(root);
	struct str value;

	(void)state;
	assert_true(json_to_str(json_first(array), &value));
	assert_in_range((uintptr_t)root, (uintptr_t)arena.base,
	    (uintptr_t)arena.base + arena.used_bytes);
	assert_in_range((uintptr_t)json_name(array).ptr, (uintptr_t)arena.base,
	    (uintptr_t)arena.base + arena.used_bytes);
	assert_in_range((uintptr_t)value.ptr, (uintptr_t)arena.base,
	    (uintptr_t)arena.base + arena.used_bytes);
}

static void
documents_are_walked_in_order(void **state)
{
	const struct json *root =
	    parse(STR("{\"b\":1,\"a\":[true,null],\"B\":{}}"));
	const struct json *m = json_first(root);

	(void)state;
	assert_true(json_is_object(root));
	assert_false(json_is_array(root));
	assert_true(str_equal(json_name(m), STR("b")));
	m = json_next(m);
	assert_true(str_equal(json_name(m), STR("a")));
	assert_true(json_is_array(m));
	assert_int_equal(json_name(json_first(m)).len, 0);
	assert_true(json_is_null(json_next(json_first(m))));
	assert_null(json_next(json_next(json_first(m))));
	m = json_next(m);
	assert_ptr_equal(json_member(root, "B"), m);
	assert_null(json_first(m));
	assert_null(json_next(m));
	assert_null(json_member(root, "A"));
	assert_null(json_member(root, ""));
}

static void
nothing_has_no_type_and_no_members(void **state)
{
	struct str string;
	struct uuid uuid;
	int64_t integer;
	double number;
	bool boolean;

	(void)state;
	assert_false(json_is_object(NULL));
	assert_false(json_is_array(NULL));
	assert_false(json_is_null(NULL));
	assert_null(json_member(NULL, "a"));
	assert_null(json_member(parse(STR("[1]")), "a"));
	assert_null(json_member(parse(STR("\"a\"")), "a"));
	assert_null(json_first(NULL));
	assert_null(json_first(parse(STR("1"))));
	assert_null(json_next(NULL));
	assert_int_equal(json_name(NULL).len, 0);
	assert_false(json_to_str(NULL, &string));
	assert_false(json_to_bool(NULL, &boolean));
	assert_false(json_to_int64(NULL, 0, 1, &integer));
	assert_false(json_to_double(NULL, &number));
	assert_false(json_to_uuid(NULL, &uuid));
}

static void
a_read_of_another_type_writes_nothing(void **state)
{
	static const char *const others[] = { "null", "{}", "[]", "[1]" };
	struct str string = STR("before");
	int64_t integer = 42;
	double number = 4.2;
	bool boolean = true;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		const struct json *v = parse(str_from(others[i]));

		assert_false(json_to_str(v, &string));
		assert_false(json_to_bool(v, &boolean));
		assert_false(json_to_int64(v, INT64_MIN, INT64_MAX, &integer));
		assert_false(json_to_double(v, &number));
	}
	assert_false(json_to_str(parse(STR("1")), &string));
	assert_false(json_to_bool(parse(STR("0")), &boolean));
	assert_false(json_to_bool(parse(STR("\"true\"")), &boolean));
	assert_false(json_to_int64(parse(STR("\"1\"")), 0, 9, &integer));
	assert_false(json_to_int64(parse(STR("true")), 0, 9, &integer));
	assert_false(json_to_double(parse(STR("\"1\"")), &number));
	assert_true(str_equal(string, STR("before")));
	assert_int_equal(integer, 42);
	assert_true(number == 4.2);
	assert_true(boolean);
	assert_true(json_to_bool(parse(STR("false")), &boolean));
	assert_false(boolean);
}

static void
strings_are_decoded(void **state)
{
	struct str value;

	(void)state;
	assert_true(
	    json_to_str(parse(STR("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00fc\\u20AC"
				  "\\ud83d\\ude00\xc3\xbc\"")),
		&value));
	assert_true(str_equal(value,
	    STR("\"\\/\b\f\n\r\t\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80"
		"\xc3\xbc")));
}

static bool
is_integer(const char *number, int64_t min, int64_t max, int64_t wanted)
{
	int64_t value = 42;
	const bool ok =
	    json_to_int64(parse(str_from(number)), min, max, &value);

	assert_true(ok ? value == wanted : value == 42);
	return ok;
}

static void
integers_are_exact_or_refused(void **state)
{
	const int64_t least = INT64_MIN, most = INT64_MAX;

	(void)state;
	assert_true(is_integer("0", least, most, 0));
	assert_true(is_integer("-0", least, most, 0));
	assert_true(is_integer("1.0", least, most, 1));
	assert_true(is_integer("1.5e1", least, most, 15));
	assert_false(is_integer("1.5", least, most, 0));
	assert_false(is_integer("1e-1", least, most, 0));
	assert_true(
	    is_integer("9007199254740990", least, most, JSON_INT_MAX - 1));
	assert_true(is_integer("9007199254740991", least, most, JSON_INT_MAX));
	assert_false(is_integer("9007199254740992", least, most, 0));
	assert_false(is_integer("9007199254740993", least, most, 0));
	assert_true(
	    is_integer("-9007199254740991", least, most, -JSON_INT_MAX));
	assert_false(is_integer("-9007199254740992", least, most, 0));
	assert_false(is_integer("9223372036854775807", least, most, 0));
	assert_false(is_integer("1e308", least, most, 0));
	assert_false(is_integer("-1e308", least, most, 0));
	/* Past what cJSON keeps in its own int. */
	assert_true(is_integer("2147483648", least, most, 2147483648));
}

static void
integers_keep_their_bounds(void **state)
{
	(void)state;
	assert_false(is_integer("0", 1, 100, 0));
	assert_true(is_integer("1", 1, 100, 1));
	assert_true(is_integer("2", 1, 100, 2));
	assert_true(is_integer("99", 1, 100, 99));
	assert_true(is_integer("100", 1, 100, 100));
	assert_false(is_integer("101", 1, 100, 0));
}

struct body {
	struct uuid job_id;
	struct str prompt;
	int64_t limit;
	bool featured;
	bool has_limit;
	const struct json *settings;
};

static const struct json_field body_fields[] = {
	{ "job_id", JSON_UUID, offsetof(struct body, job_id), 0,
	    JSON_REQUIRED },
	{ "prompt", JSON_STR, offsetof(struct body, prompt), 0, JSON_OPTIONAL },
	{ "limit", JSON_INT64, offsetof(struct body, limit),
	    offsetof(struct body, has_limit), JSON_OPTIONAL },
	{ "featured", JSON_BOOL, offsetof(struct body, featured), 0,
	    JSON_OPTIONAL },
	{ "settings", JSON_ANY, offsetof(struct body, settings), 0,
	    JSON_OPTIONAL },
};

static bool
reads(const char *json, enum json_unknown unknown, struct body *body,
    struct str *bad_field)
{
	return json_read(parse(str_from(json)), body_fields,
	    sizeof(body_fields) / sizeof(body_fields[0]), unknown, body,
	    bad_field);
}

#define JOB "\"job_id\":\"00112233-4455-6677-8899-aabbccddeeff\""

static void
a_body_fills_its_struct(void **state)
{
	struct body body = { .limit = 20 };
	struct str bad_field = STR("untouched");

	(void)state;
	assert_true(reads("{" JOB ",\"prompt\":\"p\",\"limit\":3,"
			  "\"featured\":true,\"settings\":{\"a\":1}}",
	    JSON_REFUSE_UNKNOWN, &body, &bad_field));
	assert_int_equal(body.job_id.bytes[15], 0xff);
	assert_true(str_equal(body.prompt, STR("p")));
	assert_int_equal(body.limit, 3);
	assert_true(body.has_limit);
	assert_true(body.featured);
	assert_non_null(json_member(body.settings, "a"));
	assert_true(str_equal(bad_field, STR("untouched")));
}

static void
absent_and_null_leave_a_field_as_it_was(void **state)
{
	struct body body = { .limit = 20, .prompt = STR("default") };
	struct str bad_field;

	(void)state;
	assert_true(reads("{" JOB ",\"limit\":null,\"settings\":null}",
	    JSON_REFUSE_UNKNOWN, &body, &bad_field));
	assert_int_equal(body.limit, 20);
	assert_false(body.has_limit);
	assert_true(str_equal(body.prompt, STR("default")));
	assert_null(body.settings);
}

static void
the_member_at_fault_is_named(void **state)
{
	static const struct {
		const char *json;
		enum json_unknown unknown;
		const char *bad_field;
	} cases[] = {
		{ "{}", JSON_IGNORE_UNKNOWN, "job_id" },
		{ "{\"job_id\":null}", JSON_IGNORE_UNKNOWN, "job_id" },
		{ "{\"job_id\":\"x\"}", JSON_IGNORE_UNKNOWN, "job_id" },
		{ "{\"JOB_ID\":1}", JSON_IGNORE_UNKNOWN, "job_id" },
		{ "{" JOB ",\"limit\":\"3\"}", JSON_IGNORE_UNKNOWN, "limit" },
		{ "{" JOB ",\"limit\":1.5}", JSON_IGNORE_UNKNOWN, "limit" },
		{ "{" JOB ",\"featured\":1}", JSON_IGNORE_UNKNOWN, "featured" },
		{ "{" JOB ",\"prompt\":{}}", JSON_IGNORE_UNKNOWN, "prompt" },
		{ "{\"x\":1," JOB "}", JSON_REFUSE_UNKNOWN, "x" },
		{ "[]", JSON_IGNORE_UNKNOWN, "" },
		{ "null", JSON_IGNORE_UNKNOWN, "" },
		{ "not json", JSON_IGNORE_UNKNOWN, "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct body body = { 0 };
		struct str bad_field = STR("unset");

		assert_false(
		    reads(cases[i].json, cases[i].unknown, &body, &bad_field));
		assert_true(str_equal(bad_field, str_from(cases[i].bad_field)));
	}
}

static void
unknown_members_may_be_ignored(void **state)
{
	struct body body = { 0 };
	struct str bad_field;

	(void)state;
	assert_true(
	    reads("{\"x\":1," JOB "}", JSON_IGNORE_UNKNOWN, &body, &bad_field));
}

static void
a_writer_knows_where_commas_belong(void **state)
{
	static const struct uuid uuid = { { 0xab } };
	struct json_writer w = json_writer(&text);

	(void)state;
	buf_clear(&text);
	json_begin_object(&w, NULL);
	json_int64(&w, "int", INT64_MIN);
	json_begin_array(&w, "list");
	json_begin_array(&w, NULL);
	json_end_array(&w);
	json_begin_object(&w, NULL);
	json_end_object(&w);
	json_bool(&w, NULL, true);
	json_bool(&w, NULL, false);
	json_null(&w, NULL);
	json_int64(&w, NULL, JSON_INT_MAX);
	json_end_array(&w);
	json_text(&w, "text", "a");
	json_text(&w, "no text", NULL);
	json_str(&w, "na\"me", (struct str){ NULL, 0 });
	json_uuid(&w, "uuid", &uuid);
	json_time(&w, "time", 0);
	json_time(&w, "never", -1);
	json_raw(&w, "raw", STR("[1]"));
	json_end_object(&w);
	assert_string_equal(text.ptr,
	    "{\"int\":-9223372036854775808,"
	    "\"list\":[[],{},true,false,null,9007199254740991],"
	    "\"text\":\"a\",\"no text\":null,\"na\\\"me\":\"\","
	    "\"uuid\":\"ab000000-0000-0000-0000-000000000000\","
	    "\"time\":\"1970-01-01T00:00:00.000Z\",\"never\":null,"
	    "\"raw\":[1]}");
}

static void
text_is_escaped_and_made_valid(void **state)
{
	static const struct {
		struct str value;
		const char *json;
	} cases[] = {
		{ STR(""), "\"\"" },
		{ STR("\"\\/"), "\"\\\"\\\\/\"" },
		{ STR("\n\r\t\b\f\x01\x1f\x7f"),
		    "\"\\n\\r\\t\\u0008\\u000c\\u0001\\u001f\x7f\"" },
		{ STR("a\0b"), "\"a\\u0000b\"" },
		{ STR("<\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80>"),
		    "\"<\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80>\"" },
		{ STR("a\xff\x80z"), "\"a\xef\xbf\xbd\xef\xbf\xbdz\"" },
		{ STR("\xc3"), "\"\xef\xbf\xbd\"" },
		{ STR("\xc3\""), "\"\xef\xbf\xbd\\\"\"" },
		{ STR("\xe2\x82"), "\"\xef\xbf\xbd\xef\xbf\xbd\"" },
		{ STR("\xed\xa0\x80"),
		    "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct json_writer w = json_writer(&text);

		buf_clear(&text);
		json_str(&w, NULL, cases[i].value);
		assert_string_equal(text.ptr, cases[i].json);
		assert_true(str_is_utf8(buf_str(&text)));
	}
}

static void
every_text_without_nul_comes_back(void **state)
{
	char all[127];
	struct json_writer w = json_writer(&text);
	struct str value;

	(void)state;
	for (int c = 1; c < 128; c++)
		all[c - 1] = (char)c;
	buf_clear(&text);
	json_str(&w, NULL, (struct str){ all, sizeof(all) });
	assert_true(json_to_str(parse(buf_str(&text)), &value));
	assert_true(str_equal(value, (struct str){ all, sizeof(all) }));
}

static void
what_is_written_to_the_deepest_can_be_read(void **state)
{
	struct json_writer w = json_writer(&text);

	(void)state;
	buf_clear(&text);
	for (int i = 0; i < JSON_DEPTH_MAX; i++)
		json_begin_array(&w, NULL);
	for (int i = 0; i < JSON_DEPTH_MAX; i++)
		json_end_array(&w);
	assert_int_equal(w.depth, 0);
	assert_non_null(parse(buf_str(&text)));
}

static void
a_full_buffer_fails_quietly(void **state)
{
	struct buf small;
	struct json_writer w;

	(void)state;
	buf_init(&small, 5);
	w = json_writer(&small);
	json_begin_object(&w, NULL);
	json_text(&w, "name", "value");
	json_end_object(&w);
	assert_true(small.failed);
	buf_free(&small);
}

static void
end_of_another_kind(struct json_writer *w)
{
	json_begin_object(w, NULL);
	json_end_array(w);
}

static void
end_without_beginning(struct json_writer *w)
{
	json_end_object(w);
}

static void
member_without_a_name(struct json_writer *w)
{
	json_begin_object(w, NULL);
	json_null(w, NULL);
}

static void
element_with_a_name(struct json_writer *w)
{
	json_begin_array(w, NULL);
	json_null(w, "name");
}

static void
name_at_the_top(struct json_writer *w)
{
	json_null(w, "name");
}

static void
one_level_too_deep(struct json_writer *w)
{
	for (int i = 0; i <= JSON_DEPTH_MAX; i++)
		json_begin_array(w, NULL);
}

static void
a_wrong_nesting_ends_the_process(void **state)
{
	static void (*const mistakes[])(struct json_writer *) = {
		end_of_another_kind,
		end_without_beginning,
		member_without_a_name,
		element_with_a_name,
		name_at_the_top,
		one_level_too_deep,
	};

	(void)state;
	for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
		const pid_t child = fork();
		int status;

		if (child == 0) {
			struct json_writer w = json_writer(&text);

			/* The message of assert() is not wanted here. */
			(void)close(STDERR_FILENO);
			mistakes[i](&w);
			_exit(0);
		}
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), SIGABRT);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_the_rfc_allows_is_accepted),
		cmocka_unit_test(what_parsers_disagree_about_is_refused),
		cmocka_unit_test(
		    an_unfinished_document_is_refused_wherever_it_ends),
		cmocka_unit_test(member_names_are_unique_after_decoding),
		cmocka_unit_test(depth_is_bounded),
		cmocka_unit_test(the_number_of_values_is_bounded),
		cmocka_unit_test(a_repeated_name_is_found_among_many),
		cmocka_unit_test(the_length_of_a_number_is_bounded),
		cmocka_unit_test(a_document_lives_in_its_arena),
		cmocka_unit_test(documents_are_walked_in_order),
		cmocka_unit_test(nothing_has_no_type_and_no_members),
		cmocka_unit_test(a_read_of_another_type_writes_nothing),
		cmocka_unit_test(strings_are_decoded),
		cmocka_unit_test(integers_are_exact_or_refused),
		cmocka_unit_test(integers_keep_their_bounds),
		cmocka_unit_test(a_body_fills_its_struct),
		cmocka_unit_test(absent_and_null_leave_a_field_as_it_was),
		cmocka_unit_test(the_member_at_fault_is_named),
		cmocka_unit_test(unknown_members_may_be_ignored),
		cmocka_unit_test(a_writer_knows_where_commas_belong),
		cmocka_unit_test(text_is_escaped_and_made_valid),
		cmocka_unit_test(every_text_without_nul_comes_back),
		cmocka_unit_test(what_is_written_to_the_deepest_can_be_read),
		cmocka_unit_test(a_full_buffer_fails_quietly),
		cmocka_unit_test(a_wrong_nesting_ends_the_process),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
