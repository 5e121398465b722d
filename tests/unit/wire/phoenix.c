/* SPDX-License-Identifier: MIT */
#include "wire/phoenix.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define JOB "23cdccff-ea75-48cf-a9e8-5fd86de7e691"

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

static bool
parses(enum phoenix_version version, const char *text)
{
	struct phoenix_message message;

	arena_reset(&arena);
	return phoenix_parse(&arena, version, str_from(text), &message);
}

static void
both_envelopes_say_the_same(void **state)
{
	static const char *const texts[] = {
		[PHOENIX_1] = "{\"topic\":\"t\",\"event\":\"e\","
			      "\"payload\":{},\"ref\":\"2\",\"join_ref\":"
			      "\"1\"}",
		[PHOENIX_2] = "[\"1\",\"2\",\"t\",\"e\",{}]",
	};

	(void)state;
	for (enum phoenix_version v = PHOENIX_1; v <= PHOENIX_2; v++) {
		struct phoenix_message m;

		assert_true(phoenix_parse(&arena, v, str_from(texts[v]), &m));
		assert_true(str_equal(m.join_ref, STR("1")));
		assert_true(str_equal(m.ref, STR("2")));
		assert_true(str_equal(m.topic, STR("t")));
		assert_true(str_equal(m.event, STR("e")));
		assert_true(json_is_object(m.payload));
	}
}

static void
a_ref_may_be_absent_but_not_a_number(void **state)
{
	(void)state;
	assert_true(parses(PHOENIX_2, "[null,null,\"t\",\"e\",{}]"));
	assert_true(parses(PHOENIX_1,
	    "{\"topic\":\"t\",\"event\":\"e\",\"payload\":{}}"));
	assert_false(parses(PHOENIX_2, "[null,2,\"t\",\"e\",{}]"));
	assert_false(parses(PHOENIX_2, "[1,null,\"t\",\"e\",{}]"));
}

static void
anything_else_is_no_message(void **state)
{
	(void)state;
	assert_false(parses(PHOENIX_1, "[\"1\",\"2\",\"t\",\"e\",{}]"));
	assert_false(parses(PHOENIX_2, "[\"1\",\"2\",\"t\",\"e\"]"));
	assert_false(parses(PHOENIX_2, "[\"1\",\"2\",\"t\",\"e\",{},1]"));
	assert_false(parses(PHOENIX_2, "[\"1\",\"2\",\"t\",\"e\",null]"));
	assert_false(parses(PHOENIX_2, "[\"1\",\"2\",\"t\",1,{}]"));
	assert_false(parses(PHOENIX_2, ""));
}

static void
a_topic_and_a_ref_are_bounded(void **state)
{
	struct phoenix_message message;
	char text[512];

	(void)state;
	for (int over = -1; over <= 1; over++) {
		(void)snprintf(text, sizeof(text),
		    "[null,null,\"%0*d\",\"e\",{}]",
		    PHOENIX_TOPIC_BYTES_MAX + over, 0);
		assert_int_equal(phoenix_parse(&arena, PHOENIX_2,
				     str_from(text), &message),
		    over <= 0);
		(void)snprintf(text, sizeof(text),
		    "[null,\"%0*d\",\"t\",\"e\",{}]",
		    PHOENIX_REF_BYTES_MAX + over, 0);
		assert_int_equal(phoenix_parse(&arena, PHOENIX_2,
				     str_from(text), &message),
		    over <= 0);
	}
}

static enum phoenix_filter
filter_of(const char *change)
{
	struct phoenix_join join;
	char text[512];

	arena_reset(&arena);
	(void)snprintf(text, sizeof(text),
	    "{\"config\":{\"postgres_changes\":[%s]}}", change);
	assert_true(
	    phoenix_join_read(json_parse(&arena, str_from(text)), &join));
	assert_int_equal(join.wishes_count, 1);
	return join.wish[0].filter;
}

#define CHANGE(event, table, rest) \
	"{\"event\":\"" event "\",\"schema\":\"public\",\"table\":\"" table \
	"\"" rest "}"

static void
updates_of_jobs_are_served_and_nothing_else(void **state)
{
	(void)state;
	assert_int_equal(filter_of(CHANGE("UPDATE", "video_jobs", "")),
	    PHOENIX_ALL_ROWS);
	assert_int_equal(filter_of(CHANGE("*", "video_jobs",
			     ",\"filter\":\"job_id=eq." JOB "\"")),
	    PHOENIX_JOB);
	assert_int_equal(filter_of(CHANGE("UPDATE", "video_jobs",
			     ",\"filter\":\"user_id=eq." JOB "\"")),
	    PHOENIX_USER);
	assert_int_equal(filter_of(CHANGE("INSERT", "video_jobs", "")),
	    PHOENIX_NOTHING);
	assert_int_equal(filter_of(CHANGE("UPDATE", "users", "")),
	    PHOENIX_NOTHING);
	assert_int_equal(filter_of(CHANGE("UPDATE", "video_jobs",
			     ",\"filter\":\"job_id=neq." JOB "\"")),
	    PHOENIX_NOTHING);
	assert_int_equal(filter_of(CHANGE("UPDATE", "video_jobs",
			     ",\"filter\":\"status=eq." JOB "\"")),
	    PHOENIX_NOTHING);
	assert_int_equal(filter_of(CHANGE("UPDATE", "video_jobs",
			     ",\"filter\":\"\"")),
	    PHOENIX_NOTHING);
}

static void
wishes_come_back_as_they_were_with_ids_from_one(void **state)
{
	static const char payload[] =
	    "{\"config\":{\"postgres_changes\":["
	    "{\"event\":\"*\",\"schema\":\"s\",\"table\":\"t\"},"
	    "{\"event\":\"UPDATE\",\"schema\":\"public\",\"table\":"
	    "\"video_jobs\",\"filter\":\"x\"}]}}";
	struct phoenix_join join;
	struct json_writer w;
	struct buf out;

	(void)state;
	assert_true(phoenix_join_read(json_parse(&arena, STR(payload)), &join));
	buf_init(&out, 4096);
	w = json_writer(&out);
	json_begin_object(&w, NULL);
	phoenix_write_changes(&w, &join);
	json_end_object(&w);
	assert_string_equal(out.ptr,
	    "{\"postgres_changes\":["
	    "{\"id\":1,\"event\":\"*\",\"schema\":\"s\",\"table\":\"t\"},"
	    "{\"id\":2,\"event\":\"UPDATE\",\"schema\":\"public\",\"table\":"
	    "\"video_jobs\",\"filter\":\"x\"}]}");
	buf_free(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_envelopes_say_the_same),
		cmocka_unit_test(a_ref_may_be_absent_but_not_a_number),
		cmocka_unit_test(anything_else_is_no_message),
		cmocka_unit_test(a_topic_and_a_ref_are_bounded),
		cmocka_unit_test(updates_of_jobs_are_served_and_nothing_else),
		cmocka_unit_test(
		    wishes_come_back_as_they_were_with_ids_from_one),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
