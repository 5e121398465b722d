/* SPDX-License-Identifier: MIT */
#include "fixture.h"

#include "domain/deletions.h"

static void
begin(const struct fixture *f, enum err expected)
{
	assert_int_equal(deletions_begin(f->db, &f->ada, NOW), expected);
}

static size_t
due_at(const struct fixture *f, int64_t now_ms, struct deletion_step steps[8])
{
	size_t count = 0;

	assert_int_equal(deletions_due(f->db, now_ms, steps, 8, &count), OK);
	return count;
}

static void
nothing_of_a_person_is_left(void **state)
{
	struct fixture *f = *state;
	struct account account;

	(void)open_session(f, &f->ada, NOW);
	damage(f,
	    "UPDATE users SET email = 'a@b.c', apple_sub = 'sub',"
	    " language = 'tr', theme_preference = 'dark' WHERE id = %s;"
	    "INSERT INTO devices (id_hash, user_id, granted_user_id,"
	    " created_at_ms, seen_at_ms) VALUES (zeroblob(32), %s, %s, 0, 0)",
	    literal_of(&f->ada).text, literal_of(&f->ada).text,
	    literal_of(&f->ada).text);
	begin(f, OK);

	assert_int_equal(accounts_get(f->db, &f->ada, &account), OK);
	assert_int_equal(account.status, ACCOUNT_DELETED);
	assert_string_equal(account.email, "");
	assert_string_equal(account.apple_sub, "");
	assert_string_equal(account.language, "en");
	assert_string_equal(account.theme_preference, "system");
	assert_string_equal(account.grant_state, "withheld");
	assert_int_equal(number_of(f, "SELECT COUNT(*) FROM sessions", NULL),
	    0);
	/* The device knows its gift still. */
	assert_int_equal(number_of(f,
			     "SELECT user_id IS NULL AND granted_user_id = ?1"
			     " FROM devices",
			     &f->ada),
	    1);
}

static void
an_account_is_deleted_once(void **state)
{
	struct fixture *f = *state;
	struct deletion_step steps[8];

	begin(f, OK);
	begin(f, ERR_UNAUTHORIZED);
	assert_int_equal(due_at(f, NOW, steps), 2);
	f->ada = uuid_random();
	begin(f, ERR_UNAUTHORIZED);
}

static void
queued_jobs_are_cancelled_and_given_back(void **state)
{
	const struct fixture *f = *state;
	struct uuid jobs[3];

	assert_int_equal(grant(f, &f->ada, 100), OK);
	for (size_t i = 0; i < COUNT_OF(jobs); i++) {
		char key[2] = { (char)('a' + i), '\0' };

		jobs[i] = submit(f, key);
	}
	begin(f, OK);
	for (size_t i = 0; i < COUNT_OF(jobs); i++)
		assert_int_equal(state_of(f, &jobs[i]), JOB_CANCELLED);
	assert_int_equal(balance_of(f, &f->ada), 100);
	assert_null(problem_of(f, &f->ada));
	assert_int_equal(number_of(f,
			     "SELECT COUNT(*) FROM jobs WHERE user_id = ?1"
			     " AND (is_hidden = 0 OR prompt <> '')",
			     &f->ada),
	    0);
	assert_int_equal(number_of(f,
			     "SELECT COUNT(*) FROM idempotency_records", NULL),
	    0);
}

static void
a_job_under_way_is_settled_and_its_file_goes(void **state)
{
	const struct fixture *f = *state;
	struct uuid job, attempt;
	bool done;

	assert_int_equal(grant(f, &f->ada, 100), OK);
	attempt = storing_attempt(f, &job);
	begin(f, OK);
	assert_int_equal(state_of(f, &job), JOB_STORING);
	assert_int_equal(deletions_forget_jobs(f->db, &f->ada, &done), OK);
	assert_false(done);

	assert_int_equal(tell_stored(f->db, &attempt, 10, sha256, NOW + HOUR),
	    OK);
	assert_int_equal(state_of(f, &job), JOB_COMPLETED);
	assert_int_equal(balance_of(f, &f->ada), 100 - JOB_COST);
	assert_int_equal(number_of(f,
			     "SELECT COUNT(*) FROM objects"
			     " WHERE state = 'deleting'",
			     NULL),
	    1);
	assert_int_equal(deletions_files_gone(f->db, &f->ada, &done), OK);
	assert_false(done);
	assert_int_equal(deletions_forget_jobs(f->db, &f->ada, &done), OK);
	assert_true(done);
	assert_int_equal(number_of(f,
			     "SELECT COUNT(*) FROM attempts WHERE video_url"
			     " IS NOT NULL OR status_url IS NOT NULL",
			     NULL),
	    0);
}

static void
who_was_deleted_or_banned_orders_nothing(void **state)
{
	const struct fixture *f = *state;
	const struct job_order order = order_of(f, &f->ada, "key");
	struct job_receipt receipt;

	assert_int_equal(grant(f, &f->ada, 100), OK);
	assert_int_equal(accounts_set_banned(f->db, &f->ada, true, NOW), OK);
	assert_int_equal(jobs_submit(f->db, &order, NOW, &receipt),
	    ERR_UNAUTHORIZED);
	assert_int_equal(accounts_set_banned(f->db, &f->ada, false, NOW), OK);
	begin(f, OK);
	assert_int_equal(jobs_submit(f->db, &order, NOW, &receipt),
	    ERR_UNAUTHORIZED);
	assert_int_equal(balance_of(f, &f->ada), 100);
	assert_null(problem_of(f, &f->ada));
}

static void
a_step_is_tried_until_it_is_done(void **state)
{
	const struct fixture *f = *state;
	struct deletion_step steps[8];
	int64_t stuck;

	begin(f, OK);
	assert_int_equal(due_at(f, NOW - 1, steps), 0);
	assert_int_equal(due_at(f, NOW, steps), 2);
	assert_true(uuid_equal(&steps[0].user_id, &f->ada));
	assert_int_equal(deletions_step_later(f->db, &steps[0], NOW + MINUTE),
	    OK);
	assert_int_equal(deletions_step_done(f->db, &steps[1], NOW), OK);
	assert_int_equal(due_at(f, NOW + MINUTE - 1, steps), 0);
	assert_int_equal(due_at(f, NOW + MINUTE, steps), 1);
	assert_int_equal(steps[0].tries_count, 1);

	assert_int_equal(deletions_stuck_count(f->db, NOW, &stuck), OK);
	assert_int_equal(stuck, 0);
	assert_int_equal(deletions_stuck_count(f->db, NOW + 1, &stuck), OK);
	assert_int_equal(stuck, 1);

	assert_int_equal(deletions_step_done(f->db, &steps[0], NOW), OK);
	/* Told too late that it is not done yet: it is. */
	assert_int_equal(deletions_step_later(f->db, &steps[0], NOW), OK);
	assert_int_equal(due_at(f, NOW + HOUR, steps), 0);
	assert_int_equal(deletions_stuck_count(f->db, NOW + HOUR, &stuck), OK);
	assert_int_equal(stuck, 0);
}

static void
another_users_things_stay(void **state)
{
	const struct fixture *f = *state;
	struct uuid job, attempt;

	assert_int_equal(grant(f, &f->ada, 100), OK);
	attempt = storing_attempt(f, &job);
	assert_int_equal(tell_stored(f->db, &attempt, 10, sha256, NOW), OK);
	assert_int_equal(deletions_begin(f->db, &f->bob, NOW), OK);
	assert_int_equal(number_of(f,
			     "SELECT COUNT(*) FROM jobs j JOIN objects o"
			     " ON o.job_id = j.id AND o.state = 'stored'"
			     " WHERE j.is_hidden = 0 AND j.prompt <> ''",
			     NULL),
	    1);
	assert_int_equal(number_of(f,
			     "SELECT COUNT(*) FROM idempotency_records", NULL),
	    1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nothing_of_a_person_is_left),
		TEST(an_account_is_deleted_once),
		TEST(queued_jobs_are_cancelled_and_given_back),
		TEST(a_job_under_way_is_settled_and_its_file_goes),
		TEST(who_was_deleted_or_banned_orders_nothing),
		TEST(a_step_is_tried_until_it_is_done),
		TEST(another_users_things_stay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
