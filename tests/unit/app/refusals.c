/* SPDX-License-Identifier: MIT */
#include "app/refusals.h"

#include "../domain/fixture.h"

#define NEVER_REPORT 1000000

#define WRITTEN(f, what) \
	number_of(f, "SELECT COALESCE(" what ", 0) FROM limit_violations", NULL)

static struct limit
limit_of(uint8_t number)
{
	struct limit limit = { .kind = LIMIT_UPLOAD,
		.subject_bytes = UUID_BYTES,
		.per_hour = 1 };

	limit.subject[0] = number;
	return limit;
}

static void
refusals_are_written_down_together(void **state)
{
	static struct refusals refusals;
	const struct fixture *f = *state;
	const struct limit limits[] = { limit_of(1), limit_of(2) };

	refusals = (struct refusals){ 0 };
	assert_false(refusals_write(&refusals, f->db, NEVER_REPORT));
	for (int i = 0; i < 1000; i++)
		refusals_note(&refusals, &limits[i % 2], STR("r"), NOW + i);
	/* The next hour is counted apart. */
	refusals_note(&refusals, &limits[0], STR("r"), NOW + HOUR);
	assert_int_equal(WRITTEN(f, "COUNT(*)"), 0);
	assert_true(refusals_write(&refusals, f->db, NEVER_REPORT));
	assert_int_equal(WRITTEN(f, "COUNT(*)"), 3);
	assert_int_equal(WRITTEN(f, "SUM(count)"), 1001);
	assert_int_equal(WRITTEN(f, "MIN(last_at_ms)"), NOW + 998);
	assert_false(refusals_write(&refusals, f->db, NEVER_REPORT));
	refusals_note(&refusals, &limits[0], STR("r"), NOW);
	assert_true(refusals_write(&refusals, f->db, NEVER_REPORT));
	assert_int_equal(WRITTEN(f, "SUM(count)"), 1002);
}

static void
they_wait_for_a_second_at_most(void **state)
{
	static struct refusals refusals;
	const struct limit limit = limit_of(1);

	(void)state;
	refusals = (struct refusals){ 0 };
	assert_int_equal(refusals_wait_ms(&refusals, -1), -1);
	assert_int_equal(refusals_wait_ms(&refusals, 30000), 30000);
	assert_false(refusals_are_due(&refusals));
	refusals_note(&refusals, &limit, STR("r"), NOW);
	assert_in_range(refusals_wait_ms(&refusals, -1), 0, REFUSALS_DELAY_MS);
	assert_in_range(refusals_wait_ms(&refusals, 30000), 0,
	    REFUSALS_DELAY_MS);
	assert_int_equal(refusals_wait_ms(&refusals, 0), 0);
	refusals.began_us -= REFUSALS_DELAY_MS * INT64_C(1000);
	assert_int_equal(refusals_wait_ms(&refusals, -1), 0);
	assert_true(refusals_are_due(&refusals));
}

static void
those_of_many_are_due_at_once_and_one_too_many_is_not_counted(void **state)
{
	static struct refusals refusals;
	const struct fixture *f = *state;

	refusals = (struct refusals){ 0 };
	for (int i = 0; i < REFUSALS_MAX + 5; i++) {
		const struct limit limit = limit_of((uint8_t)i);

		refusals_note(&refusals, &limit, STR("r"), NOW);
	}
	assert_true(refusals_are_due(&refusals));
	assert_true(refusals_write(&refusals, f->db, NEVER_REPORT));
	assert_int_equal(WRITTEN(f, "SUM(count)"), REFUSALS_MAX);
}

static void
what_cannot_be_written_down_is_forgotten(void **state)
{
	static struct refusals refusals;
	const struct fixture *f = *state;
	const struct limit limit = limit_of(1);

	damage(f, "DROP TABLE limit_violations");
	refusals = (struct refusals){ 0 };
	refusals_note(&refusals, &limit, STR("r"), NOW);
	assert_true(refusals_write(&refusals, f->db, NEVER_REPORT));
	assert_false(refusals_write(&refusals, f->db, NEVER_REPORT));
	assert_int_equal(refusals_wait_ms(&refusals, -1), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(refusals_are_written_down_together),
		TEST(they_wait_for_a_second_at_most),
		TEST(
		    those_of_many_are_due_at_once_and_one_too_many_is_not_counted),
		TEST(what_cannot_be_written_down_is_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
