/* SPDX-License-Identifier: MIT */
#include "domain/limits.h"

#include "fixture.h"

static const struct limit three_an_hour = { .kind = LIMIT_DEVICE,
	.subject = { 1 },
	.subject_bytes = 32,
	.per_hour = 3 };

static const struct limit nine_but_two_a_minute = { .kind = LIMIT_ADDRESS,
	.subject = { 2 },
	.subject_bytes = 32,
	.per_hour = 9,
	.per_minute = 2 };

static enum err
use(const struct fixture *f, const struct limit *limit, int64_t now_ms,
    struct limit_state *state)
{
	size_t index;

	*state = (struct limit_state){ 0 };
	return limits_use(f->db, limit, 1, now_ms, state, &index);
}

static enum err
use_at(const struct fixture *f, const struct limit *limit, int64_t now_ms)
{
	struct limit_state state;

	return use(f, limit, now_ms, &state);
}

static void
a_bucket_gives_what_it_holds_and_no_more(void **state)
{
	const struct fixture *f = *state;
	struct limit_state how;

	for (int64_t left = 2; left >= 0; left--) {
		assert_int_equal(use(f, &three_an_hour, NOW, &how), OK);
		assert_int_equal(how.max, 3);
		assert_int_equal(how.remaining, left);
		assert_int_equal(how.full_in_ms, (3 - left) * 20 * MINUTE);
		assert_int_equal(how.retry_in_ms, 0);
	}
	for (int i = 0; i < 100; i++) {
		assert_int_equal(use(f, &three_an_hour, NOW, &how),
		    ERR_RATE_LIMITED);
		assert_int_equal(how.max, 3);
		assert_int_equal(how.remaining, 0);
		assert_int_equal(how.full_in_ms, HOUR);
		assert_int_equal(how.retry_in_ms, 20 * MINUTE);
	}
}

static void
it_fills_up_evenly_and_to_the_millisecond(void **state)
{
	const struct fixture *f = *state;
	struct limit_state how;

	for (int i = 0; i < 3; i++)
		assert_int_equal(use_at(f, &three_an_hour, NOW), OK);
	assert_int_equal(use(f, &three_an_hour, NOW + 20 * MINUTE - 1, &how),
	    ERR_RATE_LIMITED);
	assert_int_equal(how.retry_in_ms, 1);
	assert_int_equal(use_at(f, &three_an_hour, NOW + 20 * MINUTE), OK);
	assert_int_equal(use_at(f, &three_an_hour, NOW + 20 * MINUTE),
	    ERR_RATE_LIMITED);
	/* It holds no more than it holds, however long nobody came. */
	for (int i = 0; i < 3; i++)
		assert_int_equal(use_at(f, &three_an_hour, NOW + 9 * HOUR), OK);
	assert_int_equal(use_at(f, &three_an_hour, NOW + 9 * HOUR),
	    ERR_RATE_LIMITED);
}

static void
a_burst_is_held_down_and_the_nearer_limit_is_told(void **state)
{
	const struct fixture *f = *state;
	struct limit_state how;
	int64_t now_ms = NOW;

	assert_int_equal(use(f, &nine_but_two_a_minute, now_ms, &how), OK);
	assert_int_equal(how.max, 2);
	assert_int_equal(how.remaining, 1);
	assert_int_equal(use_at(f, &nine_but_two_a_minute, now_ms), OK);
	assert_int_equal(use(f, &nine_but_two_a_minute, now_ms, &how),
	    ERR_RATE_LIMITED);
	assert_int_equal(how.max, 2);
	assert_int_equal(how.retry_in_ms, 30 * SECOND);

	for (int i = 0; i < 7; i++) {
		now_ms += MINUTE;
		assert_int_equal(use(f, &nine_but_two_a_minute, now_ms, &how),
		    OK);
	}
	/* Seven minutes gave a ninth of an hour back, and one more is there. */
	assert_int_equal(how.max, 9);
	assert_int_equal(how.remaining, 1);
}

static void
what_one_limit_refuses_takes_nothing_of_any(void **state)
{
	const struct fixture *f = *state;
	const struct limit both[] = { nine_but_two_a_minute, three_an_hour };
	struct limit_state how;
	size_t index;

	for (int i = 0; i < 2; i++)
		assert_int_equal(limits_use(f->db, both, 2, NOW, &how, &index),
		    OK);
	for (int i = 0; i < 9; i++)
		assert_int_equal(limits_use(f->db, both, 2, NOW, &how, &index),
		    ERR_RATE_LIMITED);
	assert_int_equal(index, 0);
	assert_int_equal(how.max, 2);
	assert_int_equal(use_at(f, &three_an_hour, NOW), OK);
	assert_int_equal(use_at(f, &three_an_hour, NOW), ERR_RATE_LIMITED);
}

static void
subjects_and_kinds_are_counted_apart(void **state)
{
	const struct fixture *f = *state;
	struct limit other = three_an_hour;

	for (int i = 0; i < 3; i++)
		assert_int_equal(use_at(f, &three_an_hour, NOW), OK);
	other.subject[31] = 1;
	assert_int_equal(use_at(f, &other, NOW), OK);
	other = three_an_hour;
	other.kind = LIMIT_ADDRESS;
	assert_int_equal(use_at(f, &other, NOW), OK);
	other = limit_of_user(LIMIT_GENERATE, &f->ada, 1, 0);
	assert_int_equal(use_at(f, &other, NOW), OK);
	assert_int_equal(use_at(f, &other, NOW), ERR_RATE_LIMITED);
	other = limit_of_user(LIMIT_GENERATE, &f->bob, 1, 0);
	assert_int_equal(use_at(f, &other, NOW), OK);
}

static void
neither_a_clock_set_back_nor_a_raised_limit_locks_anybody_out(void **state)
{
	const struct fixture *f = *state;
	struct limit raised = three_an_hour;
	struct limit_state how;

	for (int i = 0; i < 3; i++)
		assert_int_equal(use_at(f, &three_an_hour, NOW), OK);
	raised.per_hour = 3600;
	assert_int_equal(use(f, &raised, NOW, &how), ERR_RATE_LIMITED);
	assert_int_equal(how.retry_in_ms, SECOND);
	/* Two days ago: one use, and the next when one is there again. */
	assert_int_equal(use_at(f, &three_an_hour, NOW - 50 * HOUR), OK);
	assert_int_equal(use(f, &three_an_hour, NOW - 50 * HOUR, &how),
	    ERR_RATE_LIMITED);
	assert_int_equal(how.retry_in_ms, 20 * MINUTE);
	assert_int_equal(use_at(f, &three_an_hour,
			     NOW - 50 * HOUR + 20 * MINUTE),
	    OK);
}

static void
an_uneven_limit_still_gives_all_that_it_holds(void **state)
{
	const struct fixture *f = *state;
	struct limit uneven = three_an_hour;

	uneven.per_hour = 7;
	for (int i = 0; i < 7; i++)
		assert_int_equal(use_at(f, &uneven, NOW), OK);
	assert_int_equal(use_at(f, &uneven, NOW), ERR_RATE_LIMITED);
	uneven.per_hour = 1000000;
	uneven.subject[0]++;
	assert_int_equal(use_at(f, &uneven, NOW), OK);
}

static void
buckets_that_are_full_are_purged_a_few_at_a_time(void **state)
{
	static const char sql[] = "SELECT COUNT(*) FROM rate_limits";
	const struct fixture *f = *state;
	struct limit limit = three_an_hour;

	for (uint8_t i = 0; i < 5; i++) {
		limit.subject[0] = i;
		assert_int_equal(use_at(f, &limit, NOW + i), OK);
	}
	assert_int_equal(limits_purge(f->db, NOW + 20 * MINUTE + 4, 3), OK);
	assert_int_equal(number_of(f, sql, NULL), 2);
	assert_int_equal(limits_purge(f->db, NOW + 20 * MINUTE + 4, 3), OK);
	assert_int_equal(number_of(f, sql, NULL), 1);
}

static void
without_its_table_a_limit_is_unavailable(void **state)
{
	const struct fixture *f = *state;

	damage(f, "DROP TABLE rate_limits");
	assert_int_equal(use_at(f, &three_an_hour, NOW),
	    ERR_SERVICE_UNAVAILABLE);
}

static void
a_look_takes_nothing_and_says_what_a_use_would(void **state)
{
	const struct fixture *f = *state;
	struct limit_state looked, used;

	for (int i = 0; i < 9; i++)
		assert_int_equal(limits_look(f->db, &three_an_hour, NOW,
				     &looked),
		    OK);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(limits_look(f->db, &three_an_hour, NOW,
				     &looked),
		    OK);
		assert_int_equal(use(f, &three_an_hour, NOW, &used), OK);
		assert_memory_equal(&looked, &used, sizeof(used));
	}
	assert_int_equal(limits_look(f->db, &three_an_hour, NOW, &looked),
	    ERR_RATE_LIMITED);
	assert_int_equal(use(f, &three_an_hour, NOW, &used), ERR_RATE_LIMITED);
	assert_memory_equal(&looked, &used, sizeof(used));
}

/* From another connection, while this one holds the write lock. */
static enum err
use_beside(struct db *db, void *arg)
{
	(void)db;
	return use_at(arg, &three_an_hour, NOW);
}

static void
a_refusal_waits_for_no_writer(void **state)
{
	const struct fixture *f = *state;
	struct fixture other = *f;

	for (int i = 0; i < 3; i++)
		assert_int_equal(use_at(f, &three_an_hour, NOW), OK);
	assert_int_equal(db_open(f->dir, DB_READ_WRITE, false, &other.db), OK);
	assert_int_equal(db_transaction(f->db, use_beside, &other),
	    ERR_RATE_LIMITED);
	db_close(other.db);
}

static void
keep(void *arg, const struct limit_violation *violation)
{
	*(struct limit_violation *)arg = *violation;
}

static int64_t
note(const struct fixture *f, int64_t now_ms, int64_t times)
{
	struct limit_violation violation =
	    limits_violation(&three_an_hour, now_ms);
	int64_t count = 0;

	violation.count = times;
	assert_int_equal(limits_note_violations(f->db, &violation, 1, &count),
	    OK);
	return count;
}

static void
violations_are_counted_by_the_hour_and_found(void **state)
{
	const struct fixture *f = *state;
	const int64_t hour_ms = NOW - NOW % HOUR;
	struct limit_violation found = { 0 };

	assert_int_equal(note(f, hour_ms + 1, 1), 1);
	assert_int_equal(note(f, hour_ms + 3, 2), 3);
	assert_int_equal(note(f, hour_ms + 4, 1), 4);
	assert_int_equal(note(f, hour_ms + HOUR, 1), 1);

	assert_int_equal(limits_violations(f->db, hour_ms + 2, 5, keep, &found),
	    OK);
	assert_int_equal(found.count, 0);
	assert_int_equal(limits_violations(f->db, hour_ms + 5, 4, keep, &found),
	    OK);
	assert_int_equal(found.count, 0);
	assert_int_equal(limits_violations(f->db, hour_ms + 2, 4, keep, &found),
	    OK);
	assert_string_equal(found.kind, "device");
	assert_int_equal(found.subject_bytes, 32);
	assert_int_equal(found.subject[0], 1);
	assert_int_equal(found.hour_at_ms, hour_ms);
	assert_int_equal(found.count, 4);
	assert_int_equal(found.last_at_ms, hour_ms + 4);

	assert_int_equal(limits_purge_violations(f->db, hour_ms + 1, 10), OK);
	assert_int_equal(number_of(f, "SELECT COUNT(*) FROM limit_violations",
			     NULL),
	    1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_bucket_gives_what_it_holds_and_no_more),
		TEST(it_fills_up_evenly_and_to_the_millisecond),
		TEST(a_burst_is_held_down_and_the_nearer_limit_is_told),
		TEST(what_one_limit_refuses_takes_nothing_of_any),
		TEST(subjects_and_kinds_are_counted_apart),
		TEST(
		    neither_a_clock_set_back_nor_a_raised_limit_locks_anybody_out),
		TEST(an_uneven_limit_still_gives_all_that_it_holds),
		TEST(buckets_that_are_full_are_purged_a_few_at_a_time),
		TEST(without_its_table_a_limit_is_unavailable),
		TEST(a_look_takes_nothing_and_says_what_a_use_would),
		TEST(a_refusal_waits_for_no_writer),
		TEST(violations_are_counted_by_the_hour_and_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
