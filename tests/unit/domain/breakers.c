/* SPDX-License-Identifier: MIT */
#include "fixture.h"
#include "domain/breakers.h"

static bool
is_blocked(const struct fixture *f, const char *company, const char *endpoint,
    int64_t now_ms)
{
	bool blocked = false;

	assert_int_equal(breakers_block(f->db, company, endpoint, now_ms,
			     &blocked),
	    OK);
	return blocked;
}

static bool
open_at(const struct fixture *f, const char *endpoint, int64_t now_ms)
{
	bool is_news = false;

	assert_int_equal(breakers_open(f->db, "fal", endpoint, "drill", now_ms,
			     &is_news),
	    OK);
	return is_news;
}

static void
an_open_breaker_blocks_its_endpoint_alone_until_it_is_tried(void **state)
{
	const struct fixture *f = *state;

	assert_false(is_blocked(f, "fal", "veo", NOW));
	assert_true(open_at(f, "veo", NOW));
	assert_true(is_blocked(f, "fal", "veo", NOW));
	assert_false(is_blocked(f, "fal", "kling", NOW));
	assert_false(is_blocked(f, "replicate", "veo", NOW));
	assert_true(is_blocked(f, "fal", "veo", NOW + MINUTE - 1));
	assert_false(is_blocked(f, "fal", "veo", NOW + MINUTE));
}

static void
one_of_a_company_blocks_all_of_its_endpoints(void **state)
{
	const struct fixture *f = *state;

	assert_true(open_at(f, "", NOW));
	assert_true(is_blocked(f, "fal", "veo", NOW));
	assert_true(is_blocked(f, "fal", "kling", NOW));
	assert_false(is_blocked(f, "replicate", "veo", NOW));
}

static void
each_failure_doubles_the_wait_up_to_an_hour(void **state)
{
	const struct fixture *f = *state;
	int64_t wait_ms = MINUTE;

	for (int i = 0; i < 12; i++) {
		assert_int_equal(open_at(f, "veo", NOW), i == 0);
		assert_true(is_blocked(f, "fal", "veo", NOW + wait_ms - 1));
		assert_false(is_blocked(f, "fal", "veo", NOW + wait_ms));
		wait_ms = wait_ms * 2 < HOUR ? wait_ms * 2 : HOUR;
	}
}

static void
a_clock_that_was_set_back_blocks_nothing_for_longer(void **state)
{
	const struct fixture *f = *state;

	assert_true(open_at(f, "veo", NOW));
	assert_false(is_blocked(f, "fal", "veo", NOW - 2 * HOUR));
}

static void
what_was_stopped_by_hand_stays_so_until_it_is_closed(void **state)
{
	const struct fixture *f = *state;

	assert_int_equal(breakers_stop(f->db, "fal", "", NOW), OK);
	assert_true(is_blocked(f, "fal", "veo", NOW + 500 * HOUR));
	(void)open_at(f, "", NOW);
	assert_true(is_blocked(f, "fal", "veo", NOW + 500 * HOUR));
	assert_int_equal(breakers_close(f->db, "fal", ""), OK);
	assert_false(is_blocked(f, "fal", "veo", NOW));
	assert_int_equal(breakers_close(f->db, "fal", ""), ERR_NOT_FOUND);
}

struct listing {
	int count;
	int64_t probe_at_ms;
};

static void
note_breaker(void *arg, const struct breaker *breaker)
{
	struct listing *listing = arg;

	assert_string_equal(breaker->company, "fal");
	assert_string_equal(breaker->endpoint, "veo");
	assert_int_equal(breaker->opened_at_ms, NOW);
	listing->count++;
	listing->probe_at_ms = breaker->probe_at_ms;
}

static enum err
list(const struct fixture *f, struct listing *listing)
{
	listing->count = 0;
	return breakers_list(f->db, note_breaker, listing);
}

static void
breakers_are_listed_with_the_time_of_their_trial(void **state)
{
	const struct fixture *f = *state;
	struct listing listing;

	assert_int_equal(list(f, &listing), OK);
	assert_int_equal(listing.count, 0);
	assert_true(open_at(f, "veo", NOW));
	assert_int_equal(list(f, &listing), OK);
	assert_int_equal(listing.count, 1);
	assert_true(listing.probe_at_ms > NOW);
	/* What a person has stopped nothing tries. */
	assert_int_equal(breakers_close(f->db, "fal", "veo"), OK);
	assert_int_equal(breakers_stop(f->db, "fal", "veo", NOW), OK);
	assert_int_equal(list(f, &listing), OK);
	assert_int_equal(listing.count, 1);
	assert_int_equal(listing.probe_at_ms, -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(
		    an_open_breaker_blocks_its_endpoint_alone_until_it_is_tried),
		TEST(one_of_a_company_blocks_all_of_its_endpoints),
		TEST(each_failure_doubles_the_wait_up_to_an_hour),
		TEST(a_clock_that_was_set_back_blocks_nothing_for_longer),
		TEST(what_was_stopped_by_hand_stays_so_until_it_is_closed),
		TEST(breakers_are_listed_with_the_time_of_their_trial),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
