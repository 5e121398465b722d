/* SPDX-License-Identifier: MIT */
#include "fixture.h"

#include "domain/events.h"

static const struct uuid job = { { 5 } };

struct append {
	enum event_kind kind;
	const struct uuid *user_id;
	int64_t now_ms;
	enum err result;
};

static enum err
append_one(struct db *db, void *arg)
{
	const struct append *a = arg;
	const enum err err = events_append(db, a->kind, a->user_id,
	    a->kind == EVENT_JOB ? &job : NULL, a->now_ms);

	return err != OK ? err : a->result;
}

static enum err
append(const struct fixture *f, enum event_kind kind, int64_t now_ms,
    enum err result)
{
	struct append a = { kind, &f->ada, now_ms, result };

	return db_transaction(f->db, append_one, &a);
}

static int64_t
count(const struct fixture *f)
{
	return number_of(f, "SELECT COUNT(*) FROM events", NULL);
}

static void
events_stand_in_the_order_in_which_they_happened(void **state)
{
	const struct fixture *f = *state;
	static const char sql[] = "SELECT kind FROM events ORDER BY id";
	static const char *const kinds[] = { "job", "balance", "session" };
	CLEANUP(db_release) struct db_stmt *stmt = NULL;
	bool found;

	/* The clock may step back; the order does not. */
	assert_int_equal(append(f, EVENT_JOB, NOW, OK), OK);
	assert_int_equal(append(f, EVENT_BALANCE, NOW - HOUR, OK), OK);
	assert_int_equal(append(f, EVENT_SESSION, NOW, OK), OK);
	stmt = db_prepare(f->db, sql);
	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		assert_int_equal(db_step(stmt, &found), OK);
		assert_true(found);
		assert_true(
		    str_equal(db_column_str(stmt, 0), str_from(kinds[i])));
	}
	assert_int_equal(db_step(stmt, &found), OK);
	assert_false(found);
}

static void
an_event_goes_with_the_change_it_tells_of(void **state)
{
	const struct fixture *f = *state;

	assert_int_equal(append(f, EVENT_JOB, NOW, ERR_CONFLICT), ERR_CONFLICT);
	assert_int_equal(count(f), 0);
}

static void
a_number_is_never_given_out_again(void **state)
{
	const struct fixture *f = *state;
	static const char sql[] = "SELECT MAX(id) FROM events";
	int64_t last;

	assert_int_equal(append(f, EVENT_JOB, NOW, OK), OK);
	assert_int_equal(append(f, EVENT_JOB, NOW, OK), OK);
	last = number_of(f, sql, NULL);
	assert_int_equal(events_purge(f->db, NOW + 1, 9), OK);
	assert_int_equal(count(f), 0);
	assert_int_equal(append(f, EVENT_JOB, NOW, OK), OK);
	assert_true(number_of(f, sql, NULL) > last);
}

static void
old_events_are_purged_a_few_at_a_time(void **state)
{
	const struct fixture *f = *state;

	for (int i = 0; i < 4; i++)
		assert_int_equal(append(f, EVENT_BALANCE, NOW + i, OK), OK);
	assert_int_equal(events_purge(f->db, NOW, 9), OK);
	assert_int_equal(count(f), 4);
	assert_int_equal(events_purge(f->db, NOW + 3, 2), OK);
	assert_int_equal(count(f), 2);
	assert_int_equal(events_purge(f->db, NOW + 3, 2), OK);
	assert_int_equal(count(f), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(events_stand_in_the_order_in_which_they_happened),
		TEST(an_event_goes_with_the_change_it_tells_of),
		TEST(a_number_is_never_given_out_again),
		TEST(old_events_are_purged_a_few_at_a_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
