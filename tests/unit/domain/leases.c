/* SPDX-License-Identifier: MIT */
#include "domain/breakers.h"
#include "domain/dispatch.h"

#include "fixture.h"

static int
set_up_rich(void **state)
{
	const int result = set_up(state);
	const struct fixture *f = *state;

	if (result == 0)
		assert_int_equal(grant(f, &f->ada, 40), OK);
	return result;
}

#define RICH(function) \
	cmocka_unit_test_setup_teardown(function, set_up_rich, tear_down)

/* The model's fallback, at another company. */
static void
give_fallback(const struct fixture *f)
{
	damage(f,
	    "UPDATE models SET company = 'replicate', state = 'available'"
	    " WHERE id = (SELECT MAX(id) FROM models WHERE id <> %s);"
	    "UPDATE models SET fallback_id = (SELECT id FROM models"
	    " WHERE company = 'replicate') WHERE id = %s",
	    literal_of(&f->model.id).text, literal_of(&f->model.id).text);
}

/* Leases with these companies' keys; gives how many jobs are to be sent. */
static size_t
lease_with(const struct fixture *f, size_t companies_count, int64_t now_ms,
    size_t *ret_ended)
{
	static struct attempt_work works[16];
	const struct attempt_policy policies[] = {
		{ .company = "fal",
		    .provider = "fal",
		    .life_ms = LIFE,
		    .slots = 16,
		    .start_timeout_ms = LIFE },
		{ .company = "replicate",
		    .provider = "replicate",
		    .life_ms = LIFE,
		    .slots = 16,
		    .start_timeout_ms = LIFE },
	};
	size_t count = 0;

	assert_int_equal(attempts_lease(f->db, policies, companies_count, true,
			     now_ms, works, COUNT_OF(works), &count, ret_ended),
	    OK);
	return count;
}

static int64_t
is_at(const struct fixture *f, const struct uuid *job_id)
{
	return number_of(f,
	    "SELECT company = 'replicate' FROM jobs WHERE id = ?1", job_id);
}

static void
a_job_moves_to_a_fallback_that_can_be_asked(void **state)
{
	const struct fixture *f = *state;
	const struct uuid job_id = submit(f, "key");
	size_t ended;

	give_fallback(f);
	assert_int_equal(breakers_stop(f->db, "fal", "", NOW), OK);
	assert_int_equal(lease_with(f, 2, NOW, &ended), 1);
	assert_int_equal(ended, 0);
	assert_int_equal(is_at(f, &job_id), 1);
}

static void
a_job_waits_as_if_there_were_no_fallback_that_cannot_be_asked(void **state)
{
	const struct fixture *f = *state;
	const struct uuid job_id = submit(f, "key");
	size_t ended;

	give_fallback(f);
	assert_int_equal(breakers_stop(f->db, "fal", "", NOW), OK);
	assert_int_equal(lease_with(f, 1, NOW, &ended), 0);
	assert_int_equal(ended, 0);
	assert_int_equal(is_at(f, &job_id), 0);
	assert_int_equal(breakers_close(f->db, "fal", ""), OK);
	assert_int_equal(lease_with(f, 1, NOW + MINUTE, &ended), 1);
	assert_int_equal(ended, 0);
}

static bool
is_fal(const void *arg, const char *company)
{
	(void)arg;
	return strcmp(company, "fal") == 0;
}

static bool
is_any(const void *arg, const char *company)
{
	(void)arg, (void)company;
	return true;
}

static void
so_does_another_attempt(void **state)
{
	const struct fixture *f = *state;
	const struct attempt_failure failure = { .error_code = "provider_error",
		.attempts_max = 3,
		.can_ask = is_fal };
	struct uuid job_id;
	const struct uuid id = accepted_attempt(f, &job_id);
	struct attempt_work work;

	give_fallback(f);
	assert_int_equal(attempts_end(f->db, &id, &failure, NOW), OK);
	assert_int_equal(state_of(f, &job_id), JOB_QUEUED);
	assert_int_equal(is_at(f, &job_id), 0);
	work = lease_one(f, NOW);
	assert_int_equal(work.action, ATTEMPT_SUBMIT);
	assert_string_equal(work.company, "fal");
}

static void
another_attempt_is_made_at_a_fallback_that_can_be_asked(void **state)
{
	const struct fixture *f = *state;
	const struct attempt_failure failure = { .error_code = "provider_error",
		.attempts_max = 3,
		.can_ask = is_any };
	struct uuid job_id;
	const struct uuid id = accepted_attempt(f, &job_id);

	give_fallback(f);
	assert_int_equal(attempts_end(f->db, &id, &failure, NOW), OK);
	assert_int_equal(is_at(f, &job_id), 1);
}

static void
an_order_is_refused_when_only_such_a_fallback_is_left(void **state)
{
	const struct fixture *f = *state;
	const struct job_order order = order_of(f, &f->ada, "key");

	give_fallback(f);
	assert_int_equal(dispatch_check(f->db, &f->model, &order.settings,
			     is_fal, NULL, 0, NOW),
	    OK);
	assert_int_equal(breakers_stop(f->db, "fal", "", NOW), OK);
	assert_int_equal(dispatch_check(f->db, &f->model, &order.settings,
			     is_any, NULL, 0, NOW),
	    OK);
	assert_int_equal(dispatch_check(f->db, &f->model, &order.settings,
			     is_fal, NULL, 0, NOW),
	    ERR_PROVIDER_UNAVAILABLE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RICH(a_job_moves_to_a_fallback_that_can_be_asked),
		RICH(
		    a_job_waits_as_if_there_were_no_fallback_that_cannot_be_asked),
		RICH(so_does_another_attempt),
		RICH(another_attempt_is_made_at_a_fallback_that_can_be_asked),
		RICH(an_order_is_refused_when_only_such_a_fallback_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
