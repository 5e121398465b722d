/* SPDX-License-Identifier: MIT */
#include "wire/rest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

struct boat {
	struct uuid id;
	char name[16];
	char harbour[16];
	bool is_afloat;
	int64_t length_mm;
};

enum {
	ID = 1,
	NAME = 2,
	HARBOUR = 4,
	AFLOAT = 8,
	LENGTH = 16,
	PLAN = 32,
	ALL = 63
};

static const struct rest_column columns[] = {
	{ "id", REST_UUID, offsetof(struct boat, id), ID },
	{ "name", REST_TEXT, offsetof(struct boat, name), NAME },
	{ "harbour", REST_TEXT, offsetof(struct boat, harbour), HARBOUR },
	{ "is_afloat", REST_BOOL, offsetof(struct boat, is_afloat), AFLOAT },
	{ "length_mm", REST_INT64, offsetof(struct boat, length_mm), LENGTH },
	{ "plan", REST_JSON, 0, PLAN },
};

static const struct rest_table boats = { "boats", columns,
	sizeof(columns) / sizeof(columns[0]) };

static const struct boat ada = { { { 1 } }, "Ada", "Bergen", true, 9000 };
static const struct boat bea = { { { 2 } }, "Bea", "", true, 12000 };
static const struct boat cleo = { { { 3 } }, "Cleo", "Bergen", false, 9000 };

static struct arena arena;
static struct rest_query query;
static struct str bad;

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

static enum rest_verdict
parse(const char *text)
{
	struct http_query parameters;

	assert_true(http_query_parse(&arena, str_from(text), &parameters));
	return rest_parse(&boats, &parameters, &query, &bad);
}

static void
assert_refused(const char *text, enum rest_verdict wanted, const char *at_fault)
{
	query.members = 12345;
	assert_int_equal(parse(text), wanted);
	assert_true(str_equal(bad, str_from(at_fault)));
	assert_int_equal(query.members, 12345);
}

/* The first letters of the boats' names in the order that was asked for. */
static const char *
sorted(const char *text)
{
	static char letters[4];
	const void *rows[] = { &cleo, &ada, &bea };

	assert_int_equal(parse(text), REST_OK);
	rest_sort(&query, rows, 3);
	for (size_t i = 0; i < 3; i++)
		letters[i] = ((const struct boat *)rows[i])->name[0];
	return letters;
}

static const char *
found(const char *text)
{
	static char letters[4];
	const struct boat *const rows[] = { &ada, &bea, &cleo };
	size_t n = 0;

	assert_int_equal(parse(text), REST_OK);
	for (size_t i = 0; i < 3; i++)
		if (rest_matches(&query, rows[i]))
			letters[n++] = rows[i]->name[0];
	letters[n] = '\0';
	return letters;
}

static void
without_parameters_everything_is_wanted(void **state)
{
	(void)state;
	assert_int_equal(parse(""), REST_OK);
	assert_int_equal(query.members, ALL);
	assert_int_equal(query.filters, 0);
	assert_int_equal(query.orders, 0);
	assert_true(query.offset == 0);
	assert_true(query.limit == INT64_MAX);
	assert_string_equal(found(""), "ABC");
	assert_string_equal(sorted(""), "CAB");
}

static void
select_names_columns(void **state)
{
	(void)state;
	assert_int_equal(parse("select=id"), REST_OK);
	assert_int_equal(query.members, ID);
	assert_int_equal(parse("select=plan,name%2Cis_afloat"), REST_OK);
	assert_int_equal(query.members, PLAN | NAME | AFLOAT);
	assert_int_equal(parse("select=id,+name,id"), REST_OK);
	assert_int_equal(query.members, ID | NAME);
	assert_int_equal(parse("select=*"), REST_OK);
	assert_int_equal(query.members, ALL);
	assert_int_equal(parse("select=id,*"), REST_OK);
	assert_int_equal(query.members, ALL);
}

static void
select_knows_no_other_columns(void **state)
{
	(void)state;
	assert_refused("select=id,nope", REST_UNKNOWN_COLUMN, "nope");
	assert_refused("select=ID", REST_UNKNOWN_COLUMN, "ID");
	assert_refused("select=i", REST_UNKNOWN_COLUMN, "i");
	assert_refused("select=", REST_UNREADABLE, "");
	assert_refused("select=id,", REST_UNREADABLE, "");
	assert_refused("select=,id", REST_UNREADABLE, "");
	assert_refused("select=n:name", REST_UNREADABLE, "n:name");
	assert_refused("select=id::text", REST_UNREADABLE, "id::text");
	assert_refused("select=crew(name)", REST_UNREADABLE, "crew(name)");
	assert_refused("select=plan->>x", REST_UNREADABLE, "plan->>x");
	assert_refused("select=**", REST_UNREADABLE, "**");
	assert_refused("select=n%C3%BC", REST_UNREADABLE, "n\xc3\xbc");
}

static void
rows_are_found_by_equality(void **state)
{
	(void)state;
	assert_string_equal(found("name=eq.Ada"), "A");
	assert_string_equal(found("name=eq.ada"), "");
	assert_string_equal(found("name=eq.Ad"), "");
	assert_string_equal(found("is_afloat=eq.true"), "AB");
	assert_string_equal(found("is_afloat=eq.FALSE"), "C");
	assert_string_equal(found("id=eq.02000000-0000-0000-0000-000000000000"),
	    "B");
	assert_string_equal(found("id=eq.AA000000-0000-0000-0000-000000000000"),
	    "");
	assert_string_equal(found("harbour=eq.Bergen"), "AC");
	assert_string_equal(found("harbour=eq.Bergen&is_afloat=eq.true"), "A");
	assert_string_equal(found("name=eq.eq.Ada"), "");
}

static void
nothing_equals_what_is_absent(void **state)
{
	(void)state;
	assert_string_equal(found("harbour=eq."), "");
}

static void
filters_are_typed(void **state)
{
	(void)state;
	assert_refused("is_afloat=eq.1", REST_BAD_VALUE, "1");
	assert_refused("is_afloat=eq.", REST_BAD_VALUE, "");
	assert_refused("is_afloat=eq.true%20", REST_BAD_VALUE, "true ");
	assert_refused("id=eq.7", REST_BAD_VALUE, "7");
	assert_refused("id=eq.", REST_BAD_VALUE, "");
}

static void
filters_know_one_operator_and_the_columns(void **state)
{
	(void)state;
	assert_refused("nope=eq.1", REST_UNKNOWN_COLUMN, "nope");
	assert_refused("apikey=abc", REST_UNKNOWN_COLUMN, "apikey");
	assert_refused("or=(name.eq.Ada)", REST_UNKNOWN_COLUMN, "or");
	assert_refused("not.and=(x)", REST_UNREADABLE, "not.and");
	assert_refused("name=Ada", REST_UNREADABLE, "Ada");
	assert_refused("name=", REST_UNREADABLE, "");
	assert_refused("name=eq", REST_UNREADABLE, "eq");
	assert_refused("name=EQ.Ada", REST_UNREADABLE, "EQ.Ada");
	assert_refused("name=neq.Ada", REST_UNREADABLE, "neq.Ada");
	assert_refused("name=not.eq.Ada", REST_UNREADABLE, "not.eq.Ada");
	assert_refused("name=is.null", REST_UNREADABLE, "is.null");
	assert_refused("length_mm=eq.9000", REST_UNREADABLE, "eq.9000");
	assert_refused("plan=eq.{}", REST_UNREADABLE, "eq.{}");
}

static void
rows_are_ordered_by_each_type(void **state)
{
	(void)state;
	assert_string_equal(sorted("order=name.asc"), "ABC");
	assert_string_equal(sorted("order=name"), "ABC");
	assert_string_equal(sorted("order=name.desc"), "CBA");
	assert_string_equal(sorted("order=id.desc"), "CBA");
	assert_string_equal(sorted("order=is_afloat.asc,id.asc"), "CAB");
	assert_string_equal(sorted("order=length_mm.desc,name.asc"), "BAC");
	assert_string_equal(sorted(
				"order=is_afloat.desc,length_mm.desc,name.asc"),
	    "BAC");
}

static void
rows_alike_stay_as_they_stood(void **state)
{
	(void)state;
	assert_string_equal(sorted("order=length_mm.asc"), "CAB");
	assert_string_equal(sorted("order=is_afloat.desc"), "ABC");
}

static void
absent_values_have_a_place(void **state)
{
	(void)state;
	assert_string_equal(sorted("order=harbour.asc,id.asc"), "ACB");
	assert_string_equal(sorted("order=harbour.desc,id.asc"), "BAC");
	assert_string_equal(sorted("order=harbour.asc.nullslast,id"), "ACB");
	assert_string_equal(sorted("order=harbour.asc.nullsfirst,id"), "BAC");
	assert_string_equal(sorted("order=harbour.desc.nullslast,id"), "ACB");
	assert_string_equal(sorted("order=harbour.nullsfirst,id"), "BAC");
}

static void
an_order_is_read_exactly(void **state)
{
	(void)state;
	assert_refused("order=nope.asc", REST_UNKNOWN_COLUMN, "nope");
	assert_refused("order=", REST_UNREADABLE, "");
	assert_refused("order=name,", REST_UNREADABLE, "");
	assert_refused("order=name.", REST_UNREADABLE, "name.");
	assert_refused("order=name.up", REST_UNREADABLE, "name.up");
	assert_refused("order=name.ASC", REST_UNREADABLE, "name.ASC");
	assert_refused("order=name.asc.", REST_UNREADABLE, "name.asc.");
	assert_refused("order=name.asc.desc", REST_UNREADABLE, "name.asc.desc");
	assert_refused("order=name.nullslast.asc", REST_UNREADABLE,
	    "name.nullslast.asc");
	assert_refused("order=name.asc.nullslast.x", REST_UNREADABLE,
	    "name.asc.nullslast.x");
	assert_refused("order=plan.asc", REST_UNREADABLE, "plan.asc");
	assert_refused("order=plan->x.asc", REST_UNREADABLE, "plan->x.asc");
}

static void
the_number_of_keys_is_bounded(void **state)
{
	struct buf text;

	(void)state;
	buf_init(&text, 1000);
	buf_append(&text, STR("order=id"));
	for (size_t n = 1; n <= REST_ORDERS_MAX + 1; n++) {
		assert_int_equal(parse(text.ptr),
		    n <= REST_ORDERS_MAX ? REST_OK : REST_UNREADABLE);
		buf_append(&text, STR(",id"));
	}
	buf_free(&text);
}

static void
limit_and_offset_are_counts(void **state)
{
	(void)state;
	assert_int_equal(parse("limit=0&offset=7"), REST_OK);
	assert_true(query.limit == 0);
	assert_true(query.offset == 7);
	assert_int_equal(parse("limit=9223372036854775807"), REST_OK);
	assert_true(query.limit == INT64_MAX);
	assert_refused("limit=-1", REST_UNREADABLE, "-1");
	assert_refused("offset=-1", REST_UNREADABLE, "-1");
	assert_refused("limit=", REST_UNREADABLE, "");
	assert_refused("limit=1.5", REST_UNREADABLE, "1.5");
	assert_refused("offset=9223372036854775808", REST_UNREADABLE,
	    "9223372036854775808");
}

static void
as_many_filters_as_parameters_fit(void **state)
{
	static struct rest_column many[HTTP_QUERY_FIELDS_MAX];
	static char names[HTTP_QUERY_FIELDS_MAX][4];
	const struct rest_table table = { "many", many, HTTP_QUERY_FIELDS_MAX };
	struct http_query parameters = { .count = HTTP_QUERY_FIELDS_MAX };

	(void)state;
	for (size_t i = 0; i < HTTP_QUERY_FIELDS_MAX; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "c%zu", i);
		many[i] = (struct rest_column){ names[i], REST_BOOL,
			offsetof(struct boat, is_afloat), 1U << i };
		parameters.field[i].name = str_from(names[i]);
		parameters.field[i].value = STR("eq.true");
	}
	assert_int_equal(rest_parse(&table, &parameters, &query, &bad),
	    REST_OK);
	assert_int_equal(query.filters, HTTP_QUERY_FIELDS_MAX);
	assert_true(query.members == UINT32_MAX);
	assert_true(rest_matches(&query, &ada));
	assert_false(rest_matches(&query, &cleo));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_parameters_everything_is_wanted),
		cmocka_unit_test(select_names_columns),
		cmocka_unit_test(select_knows_no_other_columns),
		cmocka_unit_test(rows_are_found_by_equality),
		cmocka_unit_test(nothing_equals_what_is_absent),
		cmocka_unit_test(filters_are_typed),
		cmocka_unit_test(filters_know_one_operator_and_the_columns),
		cmocka_unit_test(rows_are_ordered_by_each_type),
		cmocka_unit_test(rows_alike_stay_as_they_stood),
		cmocka_unit_test(absent_values_have_a_place),
		cmocka_unit_test(an_order_is_read_exactly),
		cmocka_unit_test(the_number_of_keys_is_bounded),
		cmocka_unit_test(limit_and_offset_are_counts),
		cmocka_unit_test(as_many_filters_as_parameters_fit),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
