/* SPDX-License-Identifier: MIT */
#include "fixture.h"

#include "domain/gauges.h"
#include "domain/switches.h"
#include "domain/upstreams.h"
#include "domain/watches.h"

static void
a_watch_begins_where_it_is_first_looked_at(void **state)
{
	const struct fixture *f = *state;
	int64_t at_ms = -1;
	bool found = true, due = true;

	assert_int_equal(watches_find(f->db, "day", &found, &at_ms), OK);
	assert_false(found);
	assert_int_equal(at_ms, -1);
	assert_int_equal(watches_read(f->db, "day", NOW, &at_ms), OK);
	assert_int_equal(at_ms, NOW);
	/* It has begun: another first time changes nothing. */
	assert_int_equal(watches_read(f->db, "day", 0, &at_ms), OK);
	assert_int_equal(at_ms, NOW);
	assert_int_equal(watches_due(f->db, "day", 0, NOW - 1, &due), OK);
	assert_false(due);
	assert_int_equal(watches_due(f->db, "day", 0, NOW, &due), OK);
	assert_true(due);
	assert_int_equal(watches_set(f->db, "day", NOW + HOUR), OK);
	assert_int_equal(watches_due(f->db, "day", 0, NOW, &due), OK);
	assert_false(due);
	assert_int_equal(watches_find(f->db, "day", &found, &at_ms), OK);
	assert_true(found);
	assert_int_equal(at_ms, NOW + HOUR);
}

static int64_t
errors_since(const struct fixture *f, int64_t since_ms)
{
	int64_t count = -1;

	assert_int_equal(watches_errors_count(f->db, since_ms, &count), OK);
	return count;
}

static void
errors_are_counted_by_the_minute_and_forgotten(void **state)
{
	const struct fixture *f = *state;

	assert_int_equal(errors_since(f, 0), 0);
	assert_int_equal(watches_error(f->db, 0, NOW), OK);
	assert_int_equal(watches_error(f->db, 0, NOW), OK);
	assert_int_equal(watches_error(f->db, 0, NOW + MINUTE), OK);
	assert_int_equal(errors_since(f, NOW), 3);
	assert_int_equal(errors_since(f, NOW + MINUTE), 1);
	assert_int_equal(errors_since(f, NOW + 2 * MINUTE), 0);
	assert_int_equal(watches_error(f->db, NOW + MINUTE, NOW + MINUTE), OK);
	assert_int_equal(errors_since(f, 0), 2);
}

static void
a_backup_that_failed_does_not_hide_the_last_good_one(void **state)
{
	const struct fixture *f = *state;
	struct backup_state backup = { -1, -1 };

	assert_int_equal(watches_backup(f->db, &backup), OK);
	assert_int_equal(backup.good_at_ms, 0);
	assert_int_equal(backup.failed_at_ms, 0);
	assert_int_equal(watches_backup_done(f->db, true, NOW), OK);
	assert_int_equal(watches_backup_done(f->db, false, NOW + HOUR), OK);
	assert_int_equal(watches_backup(f->db, &backup), OK);
	assert_int_equal(backup.good_at_ms, NOW);
	assert_int_equal(backup.failed_at_ms, NOW + HOUR);
}

static void
what_the_last_audit_found_is_kept(void **state)
{
	const struct fixture *f = *state;
	const struct audit_state bad = { NOW, 3, "1, 9" };
	struct audit_state audit = { -1, -1, "?" };

	assert_int_equal(watches_audit(f->db, &audit), OK);
	assert_int_equal(audit.made_at_ms, 0);
	assert_int_equal(watches_audit_done(f->db, &bad), OK);
	assert_int_equal(watches_audit(f->db, &audit), OK);
	assert_int_equal(audit.made_at_ms, NOW);
	assert_int_equal(audit.violations_count, 3);
	assert_string_equal(audit.violated, "1, 9");
}

struct switching {
	bool is_on;
};

static enum err
switch_it(struct db *db, void *arg)
{
	const struct switching *s = arg;

	return switches_set_maintenance(db, s->is_on, NOW);
}

static void
maintenance_closes_until_it_is_over(void **state)
{
	const struct fixture *f = *state;
	struct switching on = { true }, off = { false };
	bool is_on = true;

	assert_int_equal(switches_maintenance(f->db, &is_on), OK);
	assert_false(is_on);
	assert_int_equal(switches_check_open(f->db), OK);
	assert_int_equal(db_transaction(f->db, switch_it, &on), OK);
	assert_int_equal(switches_maintenance(f->db, &is_on), OK);
	assert_true(is_on);
	assert_int_equal(switches_check_open(f->db), ERR_SERVICE_UNAVAILABLE);
	assert_int_equal(db_transaction(f->db, switch_it, &off), OK);
	assert_int_equal(switches_check_open(f->db), OK);
}

struct told {
	int count;
	int64_t failures_count;
	int64_t first_at_ms;
	char reason[16];
};

static void
tell(void *arg, const struct upstream *upstream)
{
	struct told *told = arg;

	assert_string_equal(upstream->name, "fal");
	told->count++;
	told->failures_count = upstream->failures_count;
	told->first_at_ms = upstream->first_at_ms;
	(void)str_copy(str_from(upstream->reason), told->reason,
	    sizeof(told->reason));
}

static enum err
read_failing(const struct fixture *f, int64_t failures_min, int64_t since_ms,
    struct told *told)
{
	told->count = 0;
	return upstreams_failing(f->db, UPSTREAM_PROVIDER, failures_min,
	    since_ms, tell, told);
}

static int
failing(const struct fixture *f, int64_t failures_min, int64_t since_ms,
    struct told *told)
{
	assert_int_equal(read_failing(f, failures_min, since_ms, told), OK);
	return told->count;
}

static void
failures_in_a_row_are_counted_until_an_answer(void **state)
{
	const struct fixture *f = *state;
	struct told told;

	for (int i = 0; i < 3; i++)
		assert_int_equal(upstreams_failed(f->db, UPSTREAM_PROVIDER,
				     "fal", i < 2 ? "timeout" : "refused",
				     NOW + i),
		    OK);
	assert_int_equal(upstreams_failed(f->db, UPSTREAM_APPLE, "fal",
			     "timeout", NOW),
	    OK);
	assert_int_equal(failing(f, 3, NOW + 2, &told), 1);
	assert_int_equal(told.failures_count, 3);
	assert_int_equal(told.first_at_ms, NOW);
	assert_string_equal(told.reason, "refused");
	assert_int_equal(failing(f, 4, 0, &told), 0);
	assert_int_equal(failing(f, 3, NOW + 3, &told), 0);
	assert_int_equal(upstreams_answered(f->db, UPSTREAM_PROVIDER, "fal"),
	    OK);
	assert_int_equal(failing(f, 1, 0, &told), 0);
	/* One that never failed is no news. */
	assert_int_equal(upstreams_answered(f->db, UPSTREAM_PROVIDER, "fal"),
	    OK);
	assert_int_equal(number_of(f, "SELECT COUNT(*) FROM upstreams", NULL),
	    1);
}

static void
gauge(void *arg, const struct gauge_jobs *jobs)
{
	int *count = arg;

	++*count;
	assert_int_equal(jobs->state, JOB_QUEUED);
	assert_int_equal(jobs->count, 2);
	assert_int_equal(jobs->oldest_at_ms, NOW);
}

static enum err
read_gauges(const struct fixture *f, int *count)
{
	*count = 0;
	return gauges_jobs(f->db, gauge, count);
}

static void
open_jobs_are_gauged_by_their_states(void **state)
{
	const struct fixture *f = *state;
	int count;

	assert_int_equal(read_gauges(f, &count), OK);
	assert_int_equal(count, 0);
	assert_int_equal(grant(f, &f->ada, 8), OK);
	(void)submit(f, "one");
	(void)submit_at(f, "two", NOW + 1);
	assert_int_equal(read_gauges(f, &count), OK);
	assert_int_equal(count, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_watch_begins_where_it_is_first_looked_at),
		TEST(errors_are_counted_by_the_minute_and_forgotten),
		TEST(a_backup_that_failed_does_not_hide_the_last_good_one),
		TEST(what_the_last_audit_found_is_kept),
		TEST(maintenance_closes_until_it_is_over),
		TEST(failures_in_a_row_are_counted_until_an_answer),
		TEST(open_jobs_are_gauged_by_their_states),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
