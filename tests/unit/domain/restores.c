/* SPDX-License-Identifier: MIT */
#include "domain/restores.h"
#include "fixture.h"

/* The database is a copy; what became of it afterwards is not in it. */
static void
what_a_copy_had_in_its_queue_is_given_back_and_nothing_else(void **state)
{
	const struct fixture *f = *state;
	struct uuid sent, one, two;
	struct attempt_work work;
	int64_t balance, count;

	assert_int_equal(adjust(f, &f->ada, 40), OK);
	sent = submit(f, "sent");
	work = lease_one(f, NOW);
	one = submit(f, "one");
	two = submit(f, "two");
	balance = balance_of(f, &f->ada);
	assert_int_equal(restores_give_up_queued(f->db, NOW, &count), OK);
	assert_int_equal(count, 2);
	assert_int_equal(state_of(f, &one), JOB_FAILED);
	assert_int_equal(state_of(f, &two), JOB_FAILED);
	assert_int_equal(balance_of(f, &f->ada), balance + 8);
	assert_int_equal(state_of(f, &sent), JOB_SUBMITTING);
	assert_int_equal(restores_give_up_queued(f->db, NOW, &count), OK);
	assert_int_equal(count, 0);
	assert_int_equal(attempts_accepted(f->db, &work.id,
			     &(const struct attempt_handle){ .request_id = "r",
				 .status_url = "https://q.test/s" },
			     NOW, NOW),
	    OK);
	assert_int_equal(state_of(f, &sent), JOB_WAITING);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(
		    what_a_copy_had_in_its_queue_is_given_back_and_nothing_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
