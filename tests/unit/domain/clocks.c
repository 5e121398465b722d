/* SPDX-License-Identifier: MIT */
#include "fixture.h"
#include "domain/clocks.h"

static int
set_up_rich(void **state)
{
	const int failed = set_up(state);
	const struct fixture *f = *state;

	return failed || grant(f, &f->ada, 100) != OK;
}

#define RICH(function) \
	cmocka_unit_test_setup_teardown(function, set_up_rich, tear_down)

static int64_t
follow(const struct fixture *f, int64_t now_ms)
{
	int64_t count = -1;

	assert_int_equal(clocks_follow(f->db, now_ms, &count), OK);
	return count;
}

static const char due_sql[] = "SELECT due_at_ms FROM jobs WHERE id = ?1";
static const char deadline_sql[] =
    "SELECT deadline_at_ms FROM jobs WHERE id = ?1";

static void
what_a_clock_that_was_ahead_left_behind_is_due_now(void **state)
{
	const struct fixture *f = *state;
	const struct uuid queued = submit_at(f, "queued", NOW + 50 * HOUR);
	const int64_t deadline_ms = number_of(f, deadline_sql, &queued);
	struct uuid accepted;

	(void)accepted_attempt(f, &accepted);
	damage(f,
	    "UPDATE jobs SET due_at_ms = %lld, deadline_at_ms = %lld"
	    " WHERE id = %s",
	    (long long)(NOW + 60 * HOUR), (long long)(NOW + 61 * HOUR),
	    literal_of(&accepted).text);
	assert_int_equal(follow(f, NOW), 2);
	assert_int_equal(number_of(f, due_sql, &queued), NOW);
	assert_int_equal(number_of(f, deadline_sql, &queued),
	    deadline_ms - 50 * HOUR);
	assert_int_equal(number_of(f, due_sql, &accepted), NOW);
	assert_int_equal(number_of(f, deadline_sql, &accepted), NOW + HOUR);
	assert_int_equal(follow(f, NOW), 0);
}

static void
what_waits_as_long_as_we_ever_wait_is_left_alone(void **state)
{
	const struct fixture *f = *state;
	const struct uuid job = submit(f, "key");

	(void)lease_one(f, NOW);
	assert_int_equal(follow(f, NOW + ATTEMPT_LEASE_MS - 10 * MINUTE), 0);
	assert_int_equal(number_of(f, due_sql, &job), NOW + ATTEMPT_LEASE_MS);
	assert_int_equal(follow(f, NOW + ATTEMPT_LEASE_MS - 10 * MINUTE - 1),
	    1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RICH(what_a_clock_that_was_ahead_left_behind_is_due_now),
		RICH(what_waits_as_long_as_we_ever_wait_is_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
