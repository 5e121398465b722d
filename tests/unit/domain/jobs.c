/* SPDX-License-Identifier: MIT */
#include "fixture.h"

static int
set_up_rich(void **state)
{
	const int result = set_up(state);
	const struct fixture *f = *state;

	if (result == 0) {
		assert_int_equal(grant(f, &f->ada, 20), OK);
		assert_int_equal(grant(f, &f->bob, 20), OK);
	}
	return result;
}

static int64_t
events_of(const struct fixture *f, const struct uuid *job_id)
{
	return number_of(f,
	    "SELECT COUNT(*) FROM events WHERE kind = 'job' AND job_id = ?1",
	    job_id);
}

static int64_t
jobs_of(const struct fixture *f, const struct uuid *user_id)
{
	return number_of(f, "SELECT COUNT(*) FROM jobs WHERE user_id = ?1",
	    user_id);
}

static void
a_job_that_was_taken_on_is_charged_queued_and_told(void **state)
{
	const struct fixture *f = *state;
	const struct job_order order = order_of(f, &f->ada, "key");
	struct job_receipt receipt;

	assert_int_equal(jobs_submit(f->db, &order, NOW, &receipt), OK);
	assert_false(receipt.is_replay);
	assert_int_equal(receipt.credits_used, JOB_COST);
	assert_int_equal(receipt.credits_remaining, 20 - JOB_COST);
	assert_int_equal(balance_of(f, &f->ada), 20 - JOB_COST);
	assert_int_equal(state_of(f, &receipt.job_id), JOB_QUEUED);
	assert_int_equal(events_of(f, &receipt.job_id), 1);
	assert_int_equal(number_of(f,
			     "SELECT deadline_at_ms FROM jobs WHERE id = ?1",
			     &receipt.job_id),
	    NOW + JOB_QUEUE_MAX_MS);
	assert_int_equal(number_of(f,
			     "SELECT COUNT(*) FROM attempts WHERE job_id = ?1"
			     " AND state = 'new'",
			     &receipt.job_id),
	    1);
	assert_null(problem_of(f, &f->ada));
}

static void
the_same_key_makes_one_job_and_repeats_its_answer(void **state)
{
	const struct fixture *f = *state;
	const struct job_order order = order_of(f, &f->ada, "key");
	struct job_receipt first, again;

	assert_int_equal(jobs_submit(f->db, &order, NOW, &first), OK);
	/* What the balance is by now does not change the answer. */
	assert_int_equal(adjust(f, &f->ada, 5), OK);
	assert_int_equal(jobs_submit(f->db, &order, NOW + HOUR, &again), OK);
	assert_true(again.is_replay);
	assert_true(uuid_equal(&first.job_id, &again.job_id));
	assert_int_equal(again.credits_used, first.credits_used);
	assert_int_equal(again.credits_remaining, first.credits_remaining);
	assert_int_equal(jobs_of(f, &f->ada), 1);
	assert_int_equal(balance_of(f, &f->ada), 25 - JOB_COST);
}

static void
a_replay_is_found_before_anything_is_priced(void **state)
{
	const struct fixture *f = *state;
	const struct job_order order = order_of(f, &f->ada, "key");
	struct job_receipt receipt, again;
	bool found = true;

	assert_int_equal(jobs_look(f->db, &order, NOW, &found, &again), OK);
	assert_false(found);
	assert_int_equal(jobs_submit(f->db, &order, NOW, &receipt), OK);
	assert_int_equal(jobs_look(f->db, &order, NOW, &found, &again), OK);
	assert_true(found);
	assert_true(again.is_replay);
	assert_true(uuid_equal(&receipt.job_id, &again.job_id));
}

static void
a_look_refuses_what_a_submission_would(void **state)
{
	const struct fixture *f = *state;
	struct job_order order = order_of(f, &f->ada, "one");
	struct job_receipt receipt;
	bool found;

	order.guest_per_hour = 1;
	assert_int_equal(jobs_submit(f->db, &order, NOW, &receipt), OK);
	order.key = STR("two");
	assert_int_equal(jobs_look(f->db, &order, NOW, &found, &receipt),
	    ERR_RATE_LIMITED);
	assert_int_equal(receipt.limit.per_hour, 1);
	assert_int_equal(receipt.limit_state.retry_in_ms, HOUR);
	assert_int_equal(jobs_submit(f->db, &order, NOW, &receipt),
	    ERR_RATE_LIMITED);
	order.open_max_free = 1;
	assert_int_equal(jobs_look(f->db, &order, NOW, &found, &receipt),
	    ERR_TOO_MANY_JOBS);
	/* A repetition is no order, however many there are. */
	order.key = STR("one");
	assert_int_equal(jobs_look(f->db, &order, NOW, &found, &receipt), OK);
	assert_true(found);
}

static void
the_same_key_for_another_request_is_refused(void **state)
{
	const struct fixture *f = *state;
	struct job_order order = order_of(f, &f->ada, "key");
	struct job_receipt receipt;
	bool found;

	assert_int_equal(jobs_submit(f->db, &order, NOW, &receipt), OK);
	order.fingerprint[31] ^= 1;
	assert_int_equal(jobs_submit(f->db, &order, NOW, &receipt),
	    ERR_IDEMPOTENCY_KEY_REUSED);
	assert_int_equal(jobs_look(f->db, &order, NOW, &found, &receipt),
	    ERR_IDEMPOTENCY_KEY_REUSED);
	assert_int_equal(jobs_of(f, &f->ada), 1);
	assert_int_equal(balance_of(f, &f->ada), 20 - JOB_COST);
}

static void
a_key_belongs_to_its_user(void **state)
{
	const struct fixture *f = *state;
	struct job_order order = order_of(f, &f->ada, "key");
	struct job_receipt ada, bob;

	assert_int_equal(jobs_submit(f->db, &order, NOW, &ada), OK);
	order.user_id = f->bob;
	order.fingerprint[0] ^= 1;
	assert_int_equal(jobs_submit(f->db, &order, NOW, &bob), OK);
	assert_false(bob.is_replay);
	assert_false(uuid_equal(&ada.job_id, &bob.job_id));
}

static void
the_longest_key_is_kept(void **state)
{
	const struct fixture *f = *state;
	char key[JOB_KEY_BYTES_MAX + 1];

	memset(key, 'k', JOB_KEY_BYTES_MAX);
	key[JOB_KEY_BYTES_MAX] = '\0';
	(void)submit(f, key);
	(void)submit(f, key);
	assert_int_equal(jobs_of(f, &f->ada), 1);
	(void)submit(f, key + 1);
	assert_int_equal(jobs_of(f, &f->ada), 2);
}

static void
who_cannot_pay_is_told_what_is_needed_and_charged_nothing(void **state)
{
	const struct fixture *f = *state;
	struct job_order order = order_of(f, &f->ada, "key");
	struct job_receipt receipt;

	order.settings.cost_credits = 21;
	assert_int_equal(jobs_submit(f->db, &order, NOW, &receipt),
	    ERR_INSUFFICIENT_CREDITS);
	assert_int_equal(receipt.credits_used, 21);
	assert_int_equal(receipt.credits_remaining, 20);
	assert_int_equal(jobs_of(f, &f->ada), 0);
	assert_int_equal(balance_of(f, &f->ada), 20);
	/* The key was not used up by the refusal. */
	order.settings.cost_credits = 20;
	assert_int_equal(jobs_submit(f->db, &order, NOW, &receipt), OK);
	assert_int_equal(receipt.credits_remaining, 0);
	order.user_id = (struct uuid){ { 9 } };
	assert_int_equal(jobs_submit(f->db, &order, NOW, &receipt),
	    ERR_USER_NOT_FOUND);
}

struct seen {
	size_t count;
	struct job job[8];
	char prompt[64];
};

static enum err
see(void *arg, const struct job *job)
{
	struct seen *seen = arg;

	assert_true(seen->count < COUNT_OF(seen->job));
	(void)str_copy(job->prompt, seen->prompt, sizeof(seen->prompt));
	seen->job[seen->count++] = *job;
	return OK;
}

/* A page, from its beginning whenever it is read. */
static enum err
list(const struct fixture *f, const struct uuid *user_id,
    const struct uuid *before, int64_t offset, int64_t max, struct seen *seen)
{
	seen->count = 0;
	return jobs_list(f->db, user_id, before, offset, max, see, seen);
}

static void
a_job_is_shown_to_its_user_only(void **state)
{
	const struct fixture *f = *state;
	const struct uuid id = submit(f, "key");
	struct seen seen = { 0 };

	assert_int_equal(jobs_get(f->db, &f->ada, &id, see, &seen), OK);
	assert_int_equal(seen.count, 1);
	assert_true(uuid_equal(&seen.job[0].id, &id));
	assert_int_equal(seen.job[0].state, JOB_QUEUED);
	assert_int_equal(seen.job[0].cost_credits, JOB_COST);
	assert_int_equal(seen.job[0].refunded_credits, 0);
	assert_int_equal(seen.job[0].queue_position, 0);
	assert_int_equal(seen.job[0].completed_at_ms, -1);
	assert_int_equal(seen.job[0].created_at_ms, NOW);
	assert_int_equal(seen.job[0].video_name.len, 0);
	assert_string_equal(seen.job[0].model_name, f->model.name);
	assert_string_equal(seen.prompt, "a quiet sea");
	assert_int_equal(jobs_get(f->db, &f->bob, &id, see, &seen),
	    ERR_JOB_NOT_FOUND);
	assert_int_equal(jobs_get(f->db, &f->ada, &f->ada, see, &seen),
	    ERR_JOB_NOT_FOUND);
	assert_int_equal(seen.count, 1);
}

static void
jobs_are_listed_newest_first_page_by_page(void **state)
{
	const struct fixture *f = *state;
	struct uuid ids[4];
	struct seen seen = { 0 };

	for (int i = 0; i < 4; i++) {
		const char key[] = { 'k', (char)('0' + i), '\0' };

		ids[i] = submit_at(f, key, NOW + i * SECOND);
	}
	assert_int_equal(list(f, &f->ada, NULL, 0, JOBS_PAGE_MAX, &seen), OK);
	assert_int_equal(seen.count, 4);
	for (int i = 0; i < 4; i++)
		assert_true(uuid_equal(&seen.job[i].id, &ids[3 - i]));
	assert_int_equal(list(f, &f->ada, &ids[2], 0, 1, &seen), OK);
	assert_int_equal(seen.count, 1);
	assert_true(uuid_equal(&seen.job[0].id, &ids[1]));
	assert_int_equal(list(f, &f->ada, NULL, 3, 9, &seen), OK);
	assert_int_equal(seen.count, 1);
	assert_true(uuid_equal(&seen.job[0].id, &ids[0]));
	assert_int_equal(list(f, &f->bob, NULL, 0, 9, &seen), OK);
	assert_int_equal(seen.count, 0);
}

static void
deleting_an_unsent_job_cancels_it_and_gives_the_credits_back(void **state)
{
	const struct fixture *f = *state;
	const struct uuid id = submit(f, "key");
	struct attempt_work *works;
	struct seen seen = { 0 };
	size_t ended;

	assert_int_equal(jobs_delete(f->db, &f->bob, &id, NOW),
	    ERR_JOB_NOT_FOUND);
	assert_int_equal(jobs_delete(f->db, &f->ada, &id, NOW), OK);
	assert_int_equal(state_of(f, &id), JOB_CANCELLED);
	assert_int_equal(balance_of(f, &f->ada), 20);
	assert_int_equal(jobs_get(f->db, &f->ada, &id, see, &seen),
	    ERR_JOB_NOT_FOUND);
	assert_int_equal(list(f, &f->ada, NULL, 0, 9, &seen), OK);
	assert_int_equal(seen.count, 0);
	assert_int_equal(jobs_delete(f->db, &f->ada, &id, NOW),
	    ERR_JOB_NOT_FOUND);
	assert_int_equal(balance_of(f, &f->ada), 20);
	/* Nobody sends it any more. */
	assert_int_equal(lease_up_to(f, NOW, 16, 16, &works, &ended), 0);
	assert_null(problem_of(f, &f->ada));
}

static void
deleting_a_job_under_way_hides_it_and_it_is_still_settled(void **state)
{
	const struct fixture *f = *state;
	struct uuid job_id;
	const struct uuid id = accepted_attempt(f, &job_id);

	assert_int_equal(jobs_delete(f->db, &f->ada, &job_id, NOW), OK);
	assert_int_equal(state_of(f, &job_id), JOB_WAITING);
	assert_int_equal(balance_of(f, &f->ada), 20 - JOB_COST);
	assert_int_equal(attempts_failed(f->db, &id, "provider_failed", NOW),
	    OK);
	assert_int_equal(balance_of(f, &f->ada), 20);
}

static enum err
give_up(struct db *db, void *arg)
{
	return jobs_give_up(db, arg, JOB_CANCELLED, "canceled", NOW);
}

static void
giving_up_twice_releases_once(void **state)
{
	const struct fixture *f = *state;
	struct uuid id = submit(f, "key");
	struct seen seen = { 0 };

	assert_int_equal(db_transaction(f->db, give_up, &id), OK);
	assert_int_equal(balance_of(f, &f->ada), 20);
	assert_int_equal(events_of(f, &id), 2);
	assert_int_equal(db_transaction(f->db, give_up, &id), OK);
	assert_int_equal(balance_of(f, &f->ada), 20);
	assert_int_equal(events_of(f, &id), 2);
	assert_int_equal(jobs_get(f->db, &f->ada, &id, see, &seen), OK);
	assert_int_equal(seen.job[0].refunded_credits, JOB_COST);
	assert_int_equal(seen.job[0].completed_at_ms, NOW);
	assert_string_equal(seen.job[0].error_code, "canceled");
}

static void
every_state_has_a_word_and_a_status_that_apps_know(void **state)
{
	static const char *const statuses[] = { "pending", "processing",
		"completed", "failed" };

	(void)state;
	for (int i = 0; i < JOB_STATE_MAX; i++) {
		const char *status = job_public_status((enum job_state)i);
		bool known = false;

		assert_int_equal(job_state_parse(str_from(
				     job_state_name((enum job_state)i))),
		    i);
		for (size_t j = 0; j < COUNT_OF(statuses); j++)
			known = known || strcmp(status, statuses[j]) == 0;
		assert_true(known);
		assert_int_equal(job_is_over((enum job_state)i),
		    strcmp(status, "completed") == 0 ||
			strcmp(status, "failed") == 0);
	}
}

static enum err
cancel(const struct fixture *f, const struct uuid *job_id,
    struct job_cancellation *cancellation)
{
	return jobs_cancel(f->db, &f->ada, job_id, NOW, cancellation);
}

static void
a_job_is_cancelled_at_once_only_before_it_is_sent(void **state)
{
	const struct fixture *f = *state;
	struct job_cancellation c = { 0 };
	struct uuid unsent = submit(f, "other"), job_id, id;

	assert_int_equal(cancel(f, &f->ada, &c), ERR_JOB_NOT_FOUND);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(cancel(f, &unsent, &c), OK);
		assert_int_equal(c.state, JOB_CANCELLED);
		assert_int_equal(c.refunded_credits, JOB_COST);
	}
	assert_int_equal(balance_of(f, &f->ada), 20);
	id = accepted_attempt(f, &job_id);
	assert_int_equal(jobs_open_attempt(f->db, &f->ada, &job_id, &id), OK);
	assert_int_equal(jobs_open_attempt(f->db, &f->bob, &job_id, &id),
	    ERR_JOB_NOT_FOUND);
	assert_int_equal(jobs_open_attempt(f->db, &f->ada, &unsent, &id),
	    ERR_CONFLICT);
	/* The provider is asked, and that is not yet a yes. */
	assert_int_equal(cancel(f, &job_id, &c), OK);
	assert_int_equal(c.state, JOB_WAITING);
	assert_int_equal(c.refunded_credits, 0);
	assert_int_equal(attempts_cancel_told(f->db, &id, NOW + MINUTE), OK);
	assert_int_equal(attempts_failed(f->db, &id, "canceled", NOW), OK);
	assert_int_equal(cancel(f, &job_id, &c), OK);
	assert_int_equal(c.state, JOB_CANCELLED);
	assert_int_equal(c.refunded_credits, JOB_COST);
	assert_int_equal(balance_of(f, &f->ada), 20);
}

static void
what_runs_or_has_failed_cannot_be_cancelled(void **state)
{
	const struct fixture *f = *state;
	struct job_cancellation c = { 0 };
	struct uuid job_id;
	const struct uuid id = accepted_attempt(f, &job_id);

	assert_int_equal(attempts_progress(f->db, &id, true, -1, NOW, NOW), OK);
	assert_int_equal(cancel(f, &job_id, &c), ERR_JOB_NOT_CANCELABLE);
	assert_int_equal(attempts_failed(f->db, &id, "provider_failed", NOW),
	    OK);
	assert_int_equal(cancel(f, &job_id, &c), ERR_JOB_NOT_CANCELABLE);
}

static void
old_videos_are_hidden_with_their_jobs_and_told(void **state)
{
	const struct fixture *f = *state;
	struct uuid job_id;
	const struct uuid id = storing_attempt(f, &job_id);
	struct seen seen = { 0 };
	int64_t events;

	assert_int_equal(tell_stored(f->db, &id, 9, sha256, NOW), OK);
	events = events_of(f, &job_id);
	damage(f, "UPDATE objects SET created_at_ms = %lld", (long long)NOW);
	assert_int_equal(jobs_retire(f->db, NOW, 10, NOW), OK);
	assert_int_equal(jobs_get(f->db, &f->ada, &job_id, see, &seen), OK);
	assert_int_equal(jobs_retire(f->db, NOW + 1, 10, NOW), OK);
	assert_int_equal(jobs_get(f->db, &f->ada, &job_id, see, &seen),
	    ERR_JOB_NOT_FOUND);
	assert_int_equal(events_of(f, &job_id), events + 1);
	assert_int_equal(number_of(f,
			     "SELECT COUNT(*) FROM objects"
			     " WHERE job_id = ?1 AND state = 'deleting'",
			     &job_id),
	    1);
	/* Once. */
	assert_int_equal(jobs_retire(f->db, NOW + 1, 10, NOW), OK);
	assert_int_equal(events_of(f, &job_id), events + 1);
}

static void
nobody_has_more_open_jobs_than_the_tier_allows(void **state)
{
	const struct fixture *f = *state;
	struct job_order order = order_of(f, &f->ada, "one");
	struct job_receipt receipt;

	order.open_max_free = 1;
	order.open_max_premium = 2;
	assert_int_equal(jobs_submit(f->db, &order, NOW, &receipt), OK);
	order.key = STR("two");
	assert_int_equal(jobs_submit(f->db, &order, NOW, &receipt),
	    ERR_TOO_MANY_JOBS);
	damage(f,
	    "INSERT INTO subscriptions (original_transaction_id, environment,"
	    " user_id, product_id, active_until_ms, is_active, created_at_ms)"
	    " VALUES ('1', 'Production', %s, 'monthly', 9, 1, 1);"
	    "UPDATE users SET tier = 'premium' WHERE id = %s",
	    literal_of(&f->ada).text, literal_of(&f->ada).text);
	assert_int_equal(jobs_submit(f->db, &order, NOW, &receipt), OK);
	order.key = STR("three");
	assert_int_equal(jobs_submit(f->db, &order, NOW, &receipt),
	    ERR_TOO_MANY_JOBS);
}

#define RICH(function) \
	cmocka_unit_test_setup_teardown(function, set_up_rich, tear_down)

static void
an_order_whose_picture_is_gone_is_none(void **state)
{
	const struct fixture *f = *state;
	const struct uuid picture = uuid_random();
	struct job_order order = order_of(f, &f->ada, "key");
	struct job_receipt receipt;

	assert_int_equal(grant(f, &f->ada, JOB_COST), OK);
	damage(f,
	    "INSERT INTO objects (id, bucket, name, user_id, state,"
	    " content_type, size_bytes, sha256, created_at_ms) VALUES (%s,"
	    " 'thumbnails', 'a/b.jpg', %s, 'deleting', 'image/jpeg', 9,"
	    " zeroblob(32), 1)",
	    literal_of(&picture).text, literal_of(&f->ada).text);
	order.image_object_id = &picture;
	assert_int_equal(jobs_submit(f->db, &order, NOW, &receipt),
	    ERR_INVALID_IMAGE_URL);
	assert_int_equal(balance_of(f, &f->ada), JOB_COST);
	damage(f, "UPDATE objects SET state = 'stored' WHERE id = %s",
	    literal_of(&picture).text);
	assert_int_equal(jobs_submit(f->db, &order, NOW, &receipt), OK);
	assert_int_equal(balance_of(f, &f->ada), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RICH(a_job_that_was_taken_on_is_charged_queued_and_told),
		RICH(the_same_key_makes_one_job_and_repeats_its_answer),
		RICH(a_replay_is_found_before_anything_is_priced),
		RICH(a_look_refuses_what_a_submission_would),
		RICH(the_same_key_for_another_request_is_refused),
		RICH(a_key_belongs_to_its_user),
		RICH(the_longest_key_is_kept),
		RICH(who_cannot_pay_is_told_what_is_needed_and_charged_nothing),
		RICH(a_job_is_shown_to_its_user_only),
		RICH(jobs_are_listed_newest_first_page_by_page),
		RICH(
		    deleting_an_unsent_job_cancels_it_and_gives_the_credits_back),
		RICH(deleting_a_job_under_way_hides_it_and_it_is_still_settled),
		RICH(giving_up_twice_releases_once),
		RICH(every_state_has_a_word_and_a_status_that_apps_know),
		RICH(a_job_is_cancelled_at_once_only_before_it_is_sent),
		RICH(what_runs_or_has_failed_cannot_be_cancelled),
		RICH(old_videos_are_hidden_with_their_jobs_and_told),
		RICH(nobody_has_more_open_jobs_than_the_tier_allows),
		TEST(an_order_whose_picture_is_gone_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
