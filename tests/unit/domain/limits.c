/* SPDX-License-Identifier: MIT */
#include "domain/limits.h"

#include "fixture.h"

static const struct limit two_a_minute = { "device", { 1 }, 2, MINUTE };
static const struct limit three_an_hour = { "address", { 2 }, 3, HOUR };

static enum err
use_at(const struct fixture *f, const struct limit *limit, int64_t now_ms)
{
	struct limit_reached reached = { 0 };
	const enum err err = limits_use(f->db, limit, 1, now_ms, &reached);

	if (err == ERR_RATE_LIMITED) {
		assert_int_equal(reached.max, limit->max);
		assert_true(reached.ends_in_ms > 0);
		assert_true(reached.ends_in_ms <= limit->window_ms);
	}
	return err;
}

static void
a_window_lets_its_maximum_pass_and_no_more(void **state)
{
	const struct fixture *f = *state;

	assert_int_equal(use_at(f, &two_a_minute, NOW), OK);
	assert_int_equal(use_at(f, &two_a_minute, NOW + SECOND), OK);
	assert_int_equal(use_at(f, &two_a_minute, NOW + SECOND),
	    ERR_RATE_LIMITED);
}

static void
a_window_begins_with_its_first_use_and_then_ends(void **state)
{
	const struct fixture *f = *state;
	struct limit_reached reached;

	assert_int_equal(use_at(f, &two_a_minute, NOW), OK);
	assert_int_equal(use_at(f, &two_a_minute, NOW + MINUTE - 2), OK);
	assert_int_equal(limits_use(f->db, &two_a_minute, 1, NOW + MINUTE - 1,
			     &reached),
	    ERR_RATE_LIMITED);
	assert_int_equal(reached.ends_in_ms, 1);
	assert_int_equal(use_at(f, &two_a_minute, NOW + MINUTE), OK);
	assert_int_equal(use_at(f, &two_a_minute, NOW + MINUTE), OK);
	assert_int_equal(use_at(f, &two_a_minute, NOW + MINUTE),
	    ERR_RATE_LIMITED);
}

static void
what_one_limit_refuses_counts_in_none(void **state)
{
	const struct fixture *f = *state;
	const struct limit both[] = { three_an_hour, two_a_minute };
	struct limit_reached reached;

	for (int i = 0; i < 2; i++)
		assert_int_equal(limits_use(f->db, both, 2, NOW, &reached), OK);
	for (int i = 0; i < 9; i++)
		assert_int_equal(limits_use(f->db, both, 2, NOW, &reached),
		    ERR_RATE_LIMITED);
	assert_int_equal(reached.max, 2);
	assert_int_equal(use_at(f, &three_an_hour, NOW), OK);
	assert_int_equal(use_at(f, &three_an_hour, NOW), ERR_RATE_LIMITED);
}

static void
subjects_and_kinds_are_counted_apart(void **state)
{
	const struct fixture *f = *state;
	struct limit other = two_a_minute;

	for (int i = 0; i < 2; i++)
		assert_int_equal(use_at(f, &two_a_minute, NOW), OK);
	other.subject[31] = 1;
	assert_int_equal(use_at(f, &other, NOW), OK);
	other = two_a_minute;
	other.kind = "address";
	assert_int_equal(use_at(f, &other, NOW), OK);
}

static void
a_clock_that_was_set_back_locks_nobody_out(void **state)
{
	const struct fixture *f = *state;

	for (int i = 0; i < 2; i++)
		assert_int_equal(use_at(f, &two_a_minute, NOW), OK);
	assert_int_equal(use_at(f, &two_a_minute, NOW - HOUR), OK);
}

static void
old_windows_are_purged_a_few_at_a_time(void **state)
{
	static const char sql[] = "SELECT COUNT(*) FROM limit_windows";
	const struct fixture *f = *state;
	struct limit limit = two_a_minute;

	for (uint8_t i = 0; i < 5; i++) {
		limit.subject[0] = i;
		assert_int_equal(use_at(f, &limit, NOW + i), OK);
	}
	assert_int_equal(limits_purge(f->db, NOW + 4, 3), OK);
	assert_int_equal(number_of(f, sql, NULL), 2);
	assert_int_equal(limits_purge(f->db, NOW + 4, 3), OK);
	assert_int_equal(number_of(f, sql, NULL), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_window_lets_its_maximum_pass_and_no_more),
		TEST(a_window_begins_with_its_first_use_and_then_ends),
		TEST(what_one_limit_refuses_counts_in_none),
		TEST(subjects_and_kinds_are_counted_apart),
		TEST(a_clock_that_was_set_back_locks_nobody_out),
		TEST(old_windows_are_purged_a_few_at_a_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
