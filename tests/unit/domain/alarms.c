/* SPDX-License-Identifier: MIT */
#include "domain/alarms.h"
#include "domain/notices.h"

#include "fixture.h"

static const struct alarm_rules telling = { MINUTE, true };
static const struct alarm_rules silent = { MINUTE, false };
static const struct alarm_finding full = { "", "disk 91 %" };

static void
watch_at(const struct fixture *f, size_t count, const struct alarm_rules *rules,
    int64_t now_ms)
{
	assert_int_equal(alarms_watch(f->db, ALARM_DISK_90, &full, count, rules,
			     now_ms),
	    OK);
}

static int64_t
waiting(const struct fixture *f)
{
	int64_t count;

	assert_int_equal(notices_waiting_count(f->db, &count), OK);
	return count;
}

static void
an_alarm_is_told_once_when_it_begins_and_once_when_it_is_over(void **state)
{
	const struct fixture *f = *state;
	struct notice_batch batch;

	for (int i = 0; i < 5; i++)
		watch_at(f, 1, &telling, NOW + i * SECOND);
	assert_int_equal(waiting(f), 1);
	for (int i = 0; i < 200; i++)
		watch_at(f, 0, &telling, NOW + MINUTE + i * SECOND);
	assert_int_equal(waiting(f), 2);
	assert_int_equal(notices_take(f->db, NOW, 1, &batch), OK);
	assert_int_equal(batch.count, 2);
	assert_string_equal(batch.notice[0].text,
	    "\xf0\x9f\x94\xb4 Storage over 90 % (disk 91 %)");
	assert_string_equal(batch.notice[1].text,
	    "\xe2\x9c\x85 Storage over 90 % - over after 2 min (disk 91 %)");
}

static void
a_condition_that_flaps_is_one_alarm(void **state)
{
	const struct fixture *f = *state;

	for (int i = 0; i < 100; i++)
		watch_at(f, (size_t)(i % 2), &telling, NOW + i * SECOND);
	assert_int_equal(waiting(f), 1);
}

static void
each_episode_is_told_of(void **state)
{
	const struct fixture *f = *state;

	for (int i = 0; i < 3; i++) {
		watch_at(f, 1, &telling, NOW + i * HOUR);
		watch_at(f, 0, &telling, NOW + i * HOUR + MINUTE);
		watch_at(f, 0, &telling, NOW + i * HOUR + 2 * MINUTE);
	}
	assert_int_equal(waiting(f), 6);
}

static void
what_nobody_could_be_told_of_is_told_when_somebody_can(void **state)
{
	const struct fixture *f = *state;

	watch_at(f, 1, &silent, NOW);
	assert_int_equal(waiting(f), 0);
	watch_at(f, 1, &telling, NOW + SECOND);
	assert_int_equal(waiting(f), 1);
	watch_at(f, 0, &silent, NOW + MINUTE);
	watch_at(f, 0, &silent, NOW + HOUR);
	assert_int_equal(waiting(f), 1);
	/* The next episode is one of its own. */
	watch_at(f, 1, &silent, NOW + 2 * HOUR);
	watch_at(f, 0, &telling, NOW + 3 * HOUR);
	watch_at(f, 0, &telling, NOW + 4 * HOUR);
	assert_int_equal(waiting(f), 1);
}

static void
subjects_are_alarms_of_their_own(void **state)
{
	const struct fixture *f = *state;
	const struct alarm_finding both[] = { { "fal", "x" },
		{ "replicate", "y" } };
	bool is_raised;

	assert_int_equal(alarms_watch(f->db, ALARM_BREAKER_OPEN, both, 2,
			     &telling, NOW),
	    OK);
	assert_int_equal(waiting(f), 2);
	assert_int_equal(alarms_watch(f->db, ALARM_BREAKER_OPEN, &both[1], 1,
			     &telling, NOW + MINUTE),
	    OK);
	assert_int_equal(alarms_watch(f->db, ALARM_BREAKER_OPEN, &both[1], 1,
			     &telling, NOW + 2 * MINUTE),
	    OK);
	assert_int_equal(waiting(f), 3);
	assert_int_equal(alarms_is_raised(f->db, ALARM_BREAKER_OPEN, "fal",
			     &is_raised),
	    OK);
	assert_false(is_raised);
	assert_int_equal(alarms_is_raised(f->db, ALARM_BREAKER_OPEN,
			     "replicate", &is_raised),
	    OK);
	assert_true(is_raised);
}

static void
what_a_full_list_leaves_out_is_not_over(void **state)
{
	const struct fixture *f = *state;
	/* Newest first, one more at each look. */
	static struct alarm_finding days[ALARM_FINDINGS_MAX + 8];
	const size_t all = sizeof(days) / sizeof(days[0]);
	int64_t now_ms = NOW;

	for (size_t i = 0; i < all; i++)
		(void)snprintf(days[i].subject, sizeof(days[i].subject),
		    "day %03d", (int)(all - i));
	for (size_t count = 1; count <= all; count++) {
		const size_t seen =
		    count < ALARM_FINDINGS_MAX ? count : ALARM_FINDINGS_MAX;

		now_ms += 2 * MINUTE;
		assert_int_equal(alarms_watch(f->db, ALARM_PURCHASE_WAITS,
				     &days[all - count], seen, &telling,
				     now_ms),
		    OK);
	}
	assert_int_equal(waiting(f), all);
	for (int i = 1; i <= 2; i++)
		assert_int_equal(alarms_watch(f->db, ALARM_PURCHASE_WAITS, NULL,
				     0, &telling, now_ms + i * 2 * MINUTE),
		    OK);
	assert_int_equal(waiting(f), 2 * all);
}

static void
watching_without_news_writes_nothing(void **state)
{
	const struct fixture *f = *state;
	int64_t rows;

	watch_at(f, 1, &telling, NOW);
	rows = db_rows_changed(f->db);
	watch_at(f, 1, &telling, NOW + SECOND);
	assert_int_equal(alarms_watch(f->db, ALARM_DISK_80, NULL, 0, &telling,
			     NOW),
	    OK);
	assert_int_equal(db_rows_changed(f->db), rows);
}

static void
a_clock_that_was_set_back_ends_an_alarm_all_the_same(void **state)
{
	const struct fixture *f = *state;

	watch_at(f, 1, &telling, NOW);
	watch_at(f, 0, &telling, NOW);
	watch_at(f, 0, &telling, NOW - HOUR);
	assert_int_equal(waiting(f), 2);
}

static void
cleared_alarms_go_when_they_are_old(void **state)
{
	const struct fixture *f = *state;

	watch_at(f, 1, &telling, NOW);
	watch_at(f, 0, &telling, NOW);
	watch_at(f, 0, &telling, NOW + MINUTE);
	assert_int_equal(alarms_purge(f->db, NOW + MINUTE, 10), OK);
	/* The row is there: the next episode is the second. */
	watch_at(f, 1, &telling, NOW + HOUR);
	assert_int_equal(waiting(f), 3);
	assert_int_equal(alarms_purge(f->db, NOW + 2 * HOUR, 10), OK);
	watch_at(f, 1, &telling, NOW + 2 * HOUR);
	assert_int_equal(waiting(f), 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(
		    an_alarm_is_told_once_when_it_begins_and_once_when_it_is_over),
		TEST(a_condition_that_flaps_is_one_alarm),
		TEST(each_episode_is_told_of),
		TEST(what_nobody_could_be_told_of_is_told_when_somebody_can),
		TEST(subjects_are_alarms_of_their_own),
		TEST(what_a_full_list_leaves_out_is_not_over),
		TEST(watching_without_news_writes_nothing),
		TEST(a_clock_that_was_set_back_ends_an_alarm_all_the_same),
		TEST(cleared_alarms_go_when_they_are_old),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
