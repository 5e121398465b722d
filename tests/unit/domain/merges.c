/* SPDX-License-Identifier: MIT */
#include "domain/lookups.h"
#include "domain/merges.h"

#include "fixture.h"

static enum err
merge(struct db *db, void *arg)
{
	const struct fixture *f = arg;

	return merges_run(db, &f->ada, &f->bob, false, NOW);
}

static const char jobs_told[] =
    "SELECT COUNT(*) FROM events WHERE user_id = ?1 AND kind = 'job'";

static void
an_heir_is_told_of_the_jobs_that_came_and_of_no_others(void **state)
{
	struct fixture *f = *state;
	struct job_order order;
	struct job_receipt receipt;
	struct uuid shown, hidden;
	int64_t before;

	assert_int_equal(grant(f, &f->ada, 2 * JOB_COST), OK);
	assert_int_equal(grant(f, &f->bob, JOB_COST), OK);
	shown = submit(f, "shown");
	hidden = submit(f, "hidden");
	assert_int_equal(jobs_delete(f->db, &f->ada, &hidden, NOW), OK);
	order = order_of(f, &f->bob, "his own");
	assert_int_equal(jobs_submit(f->db, &order, NOW, &receipt), OK);
	before = number_of(f, jobs_told, &f->bob);

	assert_int_equal(db_transaction(f->db, merge, f), OK);
	assert_int_equal(number_of(f, jobs_told, &f->bob), before + 1);
	assert_int_equal(number_of(f,
			     "SELECT COUNT(*) FROM events e JOIN jobs j"
			     " ON j.id = e.job_id AND j.user_id = e.user_id"
			     " WHERE e.job_id = ?1",
			     &shown),
	    1);
}

static void
what_apple_is_asked_for_one_it_is_asked_for_the_heir(void **state)
{
	static const char lookups_of[] =
	    "SELECT COUNT(*) FROM purchase_lookups WHERE user_id = ?1";
	struct fixture *f = *state;
	const struct {
		const struct uuid *user_id;
		struct str transaction_id;
	} shown[] = { { &f->ada, STR("1000") }, { &f->ada, STR("1001") },
		{ &f->bob, STR("1001") } };

	for (size_t i = 0; i < COUNT_OF(shown); i++)
		assert_int_equal(lookups_begin(f->db, shown[i].user_id,
				     shown[i].transaction_id, NOW + MINUTE,
				     NOW),
		    OK);
	assert_int_equal(db_transaction(f->db, merge, f), OK);
	assert_int_equal(number_of(f, lookups_of, &f->bob), 2);
	assert_int_equal(number_of(f, lookups_of, &f->ada), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_heir_is_told_of_the_jobs_that_came_and_of_no_others),
		TEST(what_apple_is_asked_for_one_it_is_asked_for_the_heir),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
