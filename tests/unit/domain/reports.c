/* SPDX-License-Identifier: MIT */
/* What providers tell of attempts that were given up already. */
#include "fixture.h"

#include "domain/reports.h"
#include "domain/spend.h"

#define LATE (NOW + LIFE + HOUR)

static int
set_up_rich(void **state)
{
	const int result = set_up(state);
	const struct fixture *f = *state;

	if (result == 0)
		assert_int_equal(grant(f, &f->ada, 40), OK);
	return result;
}

/* Ends what is past its deadline. */
static void
lose(const struct fixture *f)
{
	struct attempt_work *works;
	size_t ended;

	assert_int_equal(lease_up_to(f, NOW + LIFE + 1, 16, 16, &works, &ended),
	    0);
	assert_int_equal(ended, 1);
}

/* What a provider tells, as the worker finds it. */
static struct report
told(const struct fixture *f, const struct uuid *attempt_id,
    enum report_outcome outcome)
{
	static uint8_t body_sha256[32];
	struct report report = { .attempt_id = *attempt_id,
		.provider = "sandbox",
		.request_id = "request-1",
		.outcome = outcome,
		.video_url = "https://x.test/" };
	bool found;

	body_sha256[0]++;
	assert_int_equal(reports_add(f->db, &report, body_sha256, LATE), OK);
	assert_int_equal(reports_next(f->db, &found, &report), OK);
	assert_true(found);
	assert_int_equal(reports_handled(f->db, &report.id, LATE), OK);
	return report;
}

static bool
reopens(const struct fixture *f, const struct report *report)
{
	bool is_reopened;

	assert_int_equal(reports_reopen(f->db, report, &handle, LATE,
			     &is_reopened),
	    OK);
	return is_reopened;
}

static void
expect_counts(const struct fixture *f, int64_t lost, int64_t late)
{
	int64_t lost_count, late_count;

	assert_int_equal(spend_count_lost(f->db, NOW, &lost_count, &late_count),
	    OK);
	assert_int_equal(lost_count, lost);
	assert_int_equal(late_count, late);
}

static void
a_video_that_comes_after_it_was_lost_is_given_for_nothing(void **state)
{
	const struct fixture *f = *state;
	const struct uuid job_id = submit(f, "key");
	const struct uuid id = lease_one(f, NOW).id;
	struct report report;

	lose(f);
	assert_int_equal(balance_of(f, &f->ada), 40);
	expect_counts(f, 1, 0);
	report = told(f, &id, REPORT_DONE);
	assert_true(report.is_over);
	assert_false(report.is_bound);
	assert_true(reopens(f, &report));
	assert_false(reopens(f, &report));
	assert_null(problem_of(f, &f->ada));
	/* Now it is one like any other. */
	report = told(f, &id, REPORT_DONE);
	assert_false(report.is_over);
	assert_true(report.is_bound);
	assert_string_equal(report.bound_id, "request-1");
	assert_int_equal(attempts_succeeded(f->db, &id, "https://x.test/", 0,
			     LATE),
	    OK);
	assert_int_equal(tell_stored(f->db, &id, 1, sha256, LATE), OK);
	assert_int_equal(state_of(f, &job_id), JOB_COMPLETED);
	assert_int_equal(balance_of(f, &f->ada), 40);
	expect_counts(f, 0, 1);
	assert_null(problem_of(f, &f->ada));
}

static void
what_was_given_back_is_not_paid_for_again_and_not_given_back_again(void **state)
{
	const struct fixture *f = *state;
	struct uuid job_id;
	const struct uuid id = accepted_attempt(f, &job_id);
	const struct attempt_failure failure = { .error_code = "provider_error",
		.attempts_max = 9,
		.keeps_charge = true };
	struct report report;

	lose(f);
	report = told(f, &id, REPORT_LOOK);
	assert_true(report.is_bound);
	assert_true(reopens(f, &report));
	/* Two rules that would cost somebody something. */
	assert_int_equal(attempts_end(f->db, &id, &failure, LATE), OK);
	assert_int_equal(state_of(f, &job_id), JOB_FAILED);
	assert_int_equal(balance_of(f, &f->ada), 40);
	assert_null(problem_of(f, &f->ada));
	report = told(f, &id, REPORT_DONE);
	assert_false(reopens(f, &report));
}

static void
a_late_video_that_cannot_be_had_is_lost_again(void **state)
{
	const struct fixture *f = *state;
	struct uuid job_id;
	const struct uuid id = accepted_attempt(f, &job_id);
	struct attempt_work *works;
	struct report report;
	size_t ended;

	lose(f);
	report = told(f, &id, REPORT_LOOK);
	assert_true(reopens(f, &report));
	assert_int_equal(lease_up_to(f, LATE + ATTEMPT_STORE_MAX_MS + 1, 16, 16,
			     &works, &ended),
	    0);
	assert_int_equal(ended, 1);
	assert_int_equal(state_of(f, &job_id), JOB_LOST);
	assert_int_equal(balance_of(f, &f->ada), 40);
	assert_null(problem_of(f, &f->ada));
}

static void
the_late_video_of_a_deleted_job_is_nobodys(void **state)
{
	const struct fixture *f = *state;
	struct uuid job_id;
	const struct uuid id = accepted_attempt(f, &job_id);
	struct report report;

	lose(f);
	assert_int_equal(jobs_delete(f->db, &f->ada, &job_id, LATE), OK);
	report = told(f, &id, REPORT_DONE);
	assert_false(reopens(f, &report));
	assert_int_equal(state_of(f, &job_id), JOB_LOST);
	assert_null(problem_of(f, &f->ada));
}

#define RICH(function) \
	cmocka_unit_test_setup_teardown(function, set_up_rich, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RICH(a_video_that_comes_after_it_was_lost_is_given_for_nothing),
		RICH(
		    what_was_given_back_is_not_paid_for_again_and_not_given_back_again),
		RICH(a_late_video_that_cannot_be_had_is_lost_again),
		RICH(the_late_video_of_a_deleted_job_is_nobodys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
