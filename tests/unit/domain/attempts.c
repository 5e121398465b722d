/* SPDX-License-Identifier: MIT */
#include "fixture.h"

#include "domain/breakers.h"
#include "domain/media.h"

static int
set_up_rich(void **state)
{
	const int result = set_up(state);
	const struct fixture *f = *state;

	if (result == 0)
		assert_int_equal(grant(f, &f->ada, 40), OK);
	return result;
}

static int64_t
events(const struct fixture *f)
{
	return number_of(f, "SELECT COUNT(*) FROM events WHERE kind = 'job'",
	    NULL);
}

static int64_t
due_of(const struct fixture *f, const struct uuid *job_id)
{
	return number_of(f, "SELECT due_at_ms FROM jobs WHERE id = ?1", job_id);
}

static int64_t
deadline_of(const struct fixture *f, const struct uuid *job_id)
{
	return number_of(f, "SELECT deadline_at_ms FROM jobs WHERE id = ?1",
	    job_id);
}

static size_t
lease_count(const struct fixture *f, int64_t now_ms)
{
	struct attempt_work *works;
	size_t ended;

	return lease_up_to(f, now_ms, 16, 16, &works, &ended);
}

/* Leases with nothing to hand out; gives the number of jobs that it ended. */
static size_t
ended_at(const struct fixture *f, int64_t now_ms)
{
	struct attempt_work *works;
	size_t ended;

	assert_int_equal(lease_up_to(f, now_ms, 16, 16, &works, &ended), 0);
	return ended;
}

static void
a_lease_tells_all_that_a_submission_needs(void **state)
{
	const struct fixture *f = *state;
	const struct uuid job_id = submit(f, "key");
	const struct attempt_work work = lease_one(f, NOW);

	assert_int_equal(work.action, ATTEMPT_SUBMIT);
	assert_true(uuid_equal(&work.job_id, &job_id));
	assert_true(uuid_equal(&work.user_id, &f->ada));
	assert_string_equal(work.company, "fal");
	assert_string_equal(work.endpoint, f->model.endpoint);
	assert_string_equal(work.image_field, f->model.image_field);
	assert_string_equal(work.duration_format, "%ds");
	assert_string_equal(work.prompt, "a quiet sea");
	assert_false(work.has_image);
	assert_int_equal(work.duration_s, 4);
	assert_string_equal(work.resolution, "720p");
	assert_string_equal(work.aspect_ratio, "9:16");
	assert_true(work.has_audio);
	assert_int_equal(work.calls_count, 0);
	assert_int_equal(work.sent_at_ms, NOW);
	assert_int_equal(state_of(f, &job_id), JOB_SUBMITTING);
}

static void
a_job_is_leased_to_one_worker_at_a_time(void **state)
{
	const struct fixture *f = *state;
	struct db *other;
	struct attempt_work *works;
	struct fixture g;
	size_t ended;

	(void)submit(f, "key");
	(void)lease_one(f, NOW);
	assert_int_equal(db_open(f->dir, DB_READ_WRITE, false, &other), OK);
	g = *f;
	g.db = other;
	assert_int_equal(lease_up_to(&g, NOW, 16, 16, &works, &ended), 0);
	assert_int_equal(lease_up_to(&g, NOW + ATTEMPT_LEASE_MS - 1, 16, 16,
			     &works, &ended),
	    0);
	assert_int_equal(lease_up_to(&g, NOW + ATTEMPT_LEASE_MS, 16, 16, &works,
			     &ended),
	    1);
	assert_int_equal(lease_count(f, NOW + ATTEMPT_LEASE_MS), 0);
	db_close(other);
}

static void
a_lease_lives_as_long_as_it_is_renewed(void **state)
{
	const struct fixture *f = *state;
	const struct uuid job_id = submit(f, "key");
	int64_t now_ms = NOW;

	(void)lease_one(f, NOW);
	for (int i = 0; i < 3; i++) {
		now_ms += ATTEMPT_LEASE_MS - 1;
		assert_int_equal(attempts_renew(f->db, &job_id, 1, now_ms), OK);
		assert_int_equal(lease_count(f, now_ms), 0);
	}
	assert_int_equal(lease_count(f, now_ms + ATTEMPT_LEASE_MS), 1);
}

static void
renewing_what_has_ended_changes_nothing(void **state)
{
	const struct fixture *f = *state;
	struct uuid job_id;
	const struct uuid id = accepted_attempt(f, &job_id);

	assert_int_equal(attempts_failed(f->db, &id, "failed", NOW), OK);
	assert_int_equal(attempts_renew(f->db, &job_id, 1, NOW), OK);
	assert_int_equal(state_of(f, &job_id), JOB_FAILED);
}

static void
a_job_is_not_due_before_its_time(void **state)
{
	const struct fixture *f = *state;
	const struct uuid job_id = submit(f, "key");

	assert_int_equal(lease_count(f, NOW - 1), 0);
	assert_int_equal(state_of(f, &job_id), JOB_QUEUED);
	assert_int_equal(lease_count(f, NOW), 1);
}

static void
a_submission_whose_worker_died_is_never_sent_again(void **state)
{
	const struct fixture *f = *state;
	const struct uuid job_id = submit(f, "key");
	int64_t now_ms = NOW;

	assert_int_equal(lease_one(f, now_ms).action, ATTEMPT_SUBMIT);
	/* However often workers die, they only ask what became of it. */
	for (int i = 0; i < 5; i++) {
		now_ms += ATTEMPT_LEASE_MS;
		assert_int_equal(lease_one(f, now_ms).action, ATTEMPT_FIND);
		assert_int_equal(state_of(f, &job_id), JOB_SUBMITTING);
	}
	assert_int_equal(number_of(f,
			     "SELECT COUNT(*) FROM attempts WHERE job_id = ?1"
			     " AND state = 'unknown'",
			     &job_id),
	    1);
}

static void
a_submission_of_unknown_fate_cannot_become_unsent(void **state)
{
	const struct fixture *f = *state;
	const struct uuid job_id = submit(f, "key");
	const struct attempt_work work = lease_one(f, NOW);

	assert_int_equal(attempts_unknown(f->db, &work.id, NOW + SECOND), OK);
	assert_int_equal(due_of(f, &job_id), NOW + SECOND);
	assert_int_equal(attempts_unsent(f->db, &work.id, NOW, NOW), OK);
	assert_int_equal(state_of(f, &job_id), JOB_SUBMITTING);
	assert_int_equal(lease_one(f, NOW + SECOND).action, ATTEMPT_FIND);
}

static void
what_was_found_again_goes_on(void **state)
{
	const struct fixture *f = *state;
	const struct uuid job_id = submit(f, "key");
	const struct attempt_work work = lease_one(f, NOW);

	assert_int_equal(attempts_unknown(f->db, &work.id, NOW), OK);
	assert_int_equal(attempts_accepted(f->db, &work.id, &handle,
			     NOW + MINUTE, NOW),
	    OK);
	assert_int_equal(state_of(f, &job_id), JOB_WAITING);
	assert_int_equal(lease_one(f, NOW + MINUTE).action, ATTEMPT_POLL);
}

static void
what_was_not_sent_is_queued_again_and_keeps_its_first_deadline(void **state)
{
	const struct fixture *f = *state;
	const struct uuid job_id = submit(f, "key");
	const struct attempt_work first = lease_one(f, NOW);
	struct attempt_work again;

	assert_int_equal(deadline_of(f, &job_id), NOW + LIFE);
	assert_int_equal(attempts_unsent(f->db, &first.id, NOW + SECOND, NOW),
	    OK);
	assert_int_equal(state_of(f, &job_id), JOB_QUEUED);
	assert_int_equal(deadline_of(f, &job_id), NOW + JOB_QUEUE_MAX_MS);
	assert_int_equal(balance_of(f, &f->ada), 40 - JOB_COST);
	assert_int_equal(lease_count(f, NOW + SECOND - 1), 0);
	again = lease_one(f, NOW + SECOND);
	assert_int_equal(again.action, ATTEMPT_SUBMIT);
	assert_true(uuid_equal(&again.id, &first.id));
	assert_int_equal(again.calls_count, 1);
	assert_int_equal(again.seed, first.seed);
}

static void
a_queued_job_past_its_deadline_ends_without_any_provider(void **state)
{
	const struct fixture *f = *state;
	const struct uuid job_id = submit(f, "key");
	const int64_t late = NOW + JOB_QUEUE_MAX_MS + 1;
	static struct attempt_work works[1];
	size_t count, ended;

	assert_int_equal(attempts_lease(f->db, NULL, 0, true, late - 1, works,
			     1, &count, &ended),
	    OK);
	assert_int_equal(ended, 0);
	assert_int_equal(attempts_lease(f->db, NULL, 0, true, late, works, 1,
			     &count, &ended),
	    OK);
	assert_int_equal(count, 0);
	assert_int_equal(ended, 1);
	assert_int_equal(state_of(f, &job_id), JOB_FAILED);
	assert_int_equal(balance_of(f, &f->ada), 40);
}

static void
what_was_deleted_meanwhile_is_not_sent_again(void **state)
{
	const struct fixture *f = *state;
	const struct uuid job_id = submit(f, "key");
	const struct attempt_work work = lease_one(f, NOW);

	assert_int_equal(jobs_delete(f->db, &f->ada, &job_id, NOW), OK);
	assert_int_equal(balance_of(f, &f->ada), 40 - JOB_COST);
	assert_int_equal(attempts_unsent(f->db, &work.id, NOW + SECOND, NOW),
	    OK);
	assert_int_equal(state_of(f, &job_id), JOB_CANCELLED);
	assert_int_equal(balance_of(f, &f->ada), 40);
	assert_int_equal(lease_count(f, NOW + MINUTE), 0);
}

static void
acceptance_is_told_once_and_gives_the_handle_to_polls(void **state)
{
	const struct fixture *f = *state;
	struct attempt_handle other = handle;
	struct uuid job_id;
	const struct uuid id = accepted_attempt(f, &job_id);
	struct attempt_work work;

	(void)snprintf(other.request_id, sizeof(other.request_id), "other");
	assert_int_equal(attempts_accepted(f->db, &id, &other, NOW + HOUR, NOW),
	    OK);
	work = lease_one(f, NOW + MINUTE);
	assert_int_equal(work.action, ATTEMPT_POLL);
	assert_string_equal(work.handle.request_id, handle.request_id);
	assert_string_equal(work.handle.status_url, handle.status_url);
	assert_string_equal(work.handle.result_url, handle.result_url);
	assert_string_equal(work.handle.cancel_url, handle.cancel_url);
}

static void
progress_is_an_event_only_when_there_is_news(void **state)
{
	const struct fixture *f = *state;
	struct uuid job_id;
	const struct uuid id = accepted_attempt(f, &job_id);
	int64_t before = events(f);

	/* Still waiting, no position: as it was. */
	assert_int_equal(attempts_progress(f->db, &id, false, -1, NOW, NOW),
	    OK);
	assert_int_equal(events(f), before);
	assert_int_equal(attempts_progress(f->db, &id, false, 3, NOW, NOW), OK);
	assert_int_equal(events(f), ++before);
	assert_int_equal(attempts_progress(f->db, &id, false, 3, NOW + 5, NOW),
	    OK);
	assert_int_equal(events(f), before);
	assert_int_equal(due_of(f, &job_id), NOW + 5);
	assert_int_equal(attempts_progress(f->db, &id, false, 0, NOW, NOW), OK);
	assert_int_equal(events(f), ++before);
	assert_int_equal(attempts_progress(f->db, &id, true, 9, NOW, NOW), OK);
	assert_int_equal(events(f), ++before);
	assert_int_equal(state_of(f, &job_id), JOB_RUNNING);
	assert_int_equal(attempts_progress(f->db, &id, true, -1, NOW, NOW), OK);
	assert_int_equal(events(f), before);
	assert_int_equal(number_of(f,
			     "SELECT calls_count FROM attempts WHERE id = ?1",
			     &id),
	    6);
}

static void
an_answer_that_taught_nothing_only_moves_the_next_look(void **state)
{
	const struct fixture *f = *state;
	struct uuid job_id;
	const struct uuid id = accepted_attempt(f, &job_id);
	const int64_t before = events(f);

	assert_int_equal(attempts_later(f->db, &id, NOW + HOUR), OK);
	assert_int_equal(due_of(f, &job_id), NOW + HOUR);
	assert_int_equal(state_of(f, &job_id), JOB_WAITING);
	assert_int_equal(events(f), before);
}

static void
what_was_made_is_fetched_stored_and_paid_once(void **state)
{
	const struct fixture *f = *state;
	struct uuid job_id;
	const struct uuid id = storing_attempt(f, &job_id);
	const struct attempt_work work = lease_one(f, NOW + MINUTE);
	static const char captures[] = "SELECT COUNT(*) FROM ledger_entries"
				       " WHERE kind = 'capture'"
				       " AND job_id = ?1";

	assert_int_equal(work.action, ATTEMPT_FETCH);
	assert_string_equal(work.video_url, "https://cdn.test/video.mp4");
	assert_int_equal(deadline_of(f, &job_id),
	    NOW + MINUTE + ATTEMPT_STORE_MAX_MS);
	assert_int_equal(number_of(f, captures, &job_id), 0);
	assert_int_equal(tell_stored(f->db, &id, 1000, sha256, NOW + HOUR), OK);
	assert_int_equal(state_of(f, &job_id), JOB_COMPLETED);
	assert_int_equal(number_of(f, captures, &job_id), 1);
	assert_int_equal(balance_of(f, &f->ada), 40 - JOB_COST);
	assert_int_equal(number_of(f,
			     "SELECT size_bytes FROM objects WHERE job_id = ?1"
			     " AND state = 'stored'",
			     &job_id),
	    1000);
	assert_int_equal(tell_stored(f->db, &id, 2000, sha256, NOW + HOUR), OK);
	assert_int_equal(number_of(f, captures, &job_id), 1);
	assert_int_equal(lease_count(f, NOW + 24 * HOUR), 0);
	assert_null(problem_of(f, &f->ada));
}

static void
a_completed_job_takes_no_late_news(void **state)
{
	const struct fixture *f = *state;
	struct uuid job_id;
	const struct uuid id = storing_attempt(f, &job_id);
	int64_t before;

	assert_int_equal(tell_stored(f->db, &id, 1, sha256, NOW + HOUR), OK);
	before = events(f);
	assert_int_equal(attempts_failed(f->db, &id, "failed", NOW + HOUR), OK);
	assert_int_equal(attempts_succeeded(f->db, &id, "https://x.test/", 0,
			     NOW + HOUR),
	    OK);
	assert_int_equal(attempts_progress(f->db, &id, true, -1, NOW, NOW), OK);
	assert_int_equal(attempts_accepted(f->db, &id, &handle, NOW, NOW), OK);
	assert_int_equal(attempts_unsent(f->db, &id, NOW, NOW), OK);
	assert_int_equal(attempts_unknown(f->db, &id, NOW), OK);
	assert_int_equal(attempts_later(f->db, &id, NOW), OK);
	assert_int_equal(state_of(f, &job_id), JOB_COMPLETED);
	assert_int_equal(number_of(f,
			     "SELECT COUNT(*) FROM attempts WHERE id = ?1"
			     " AND state = 'succeeded'",
			     &id),
	    1);
	assert_int_equal(events(f), before);
	assert_int_equal(balance_of(f, &f->ada), 40 - JOB_COST);
}

static void
a_job_that_failed_takes_no_late_success(void **state)
{
	const struct fixture *f = *state;
	struct uuid job_id;
	const struct uuid id = accepted_attempt(f, &job_id);

	assert_int_equal(attempts_failed(f->db, &id, "provider_failed", NOW),
	    OK);
	assert_int_equal(attempts_failed(f->db, &id, "provider_failed", NOW),
	    OK);
	assert_int_equal(attempts_succeeded(f->db, &id, "https://x.test/", 0,
			     NOW),
	    OK);
	assert_int_equal(tell_stored(f->db, &id, 1, sha256, NOW), ERR_CONFLICT);
	assert_int_equal(state_of(f, &job_id), JOB_FAILED);
	assert_int_equal(balance_of(f, &f->ada), 40);
	assert_int_equal(number_of(f,
			     "SELECT COUNT(*) FROM ledger_entries"
			     " WHERE job_id = ?1 AND kind = 'release'",
			     &job_id),
	    1);
	assert_null(problem_of(f, &f->ada));
}

static void
a_fetch_that_failed_for_good_gives_the_credits_back(void **state)
{
	const struct fixture *f = *state;
	struct uuid job_id;
	const struct uuid id = storing_attempt(f, &job_id);

	assert_int_equal(attempts_failed(f->db, &id, "result_gone", NOW), OK);
	assert_int_equal(state_of(f, &job_id), JOB_FAILED);
	assert_int_equal(balance_of(f, &f->ada), 40);
	/* What has arrived of the file is to be removed. */
	assert_int_equal(number_of(f,
			     "SELECT COUNT(*) FROM objects WHERE job_id = ?1"
			     " AND state = 'deleting'",
			     &job_id),
	    1);
}

static void
a_hidden_job_is_paid_and_its_file_deleted(void **state)
{
	const struct fixture *f = *state;
	struct uuid job_id;
	const struct uuid id = storing_attempt(f, &job_id);

	assert_int_equal(jobs_delete(f->db, &f->ada, &job_id, NOW), OK);
	/* It is still being fetched: its row must not go before its file. */
	assert_int_equal(number_of(f,
			     "SELECT COUNT(*) FROM objects WHERE job_id = ?1"
			     " AND state = 'storing'",
			     &job_id),
	    1);
	assert_int_equal(tell_stored(f->db, &id, 10, sha256, NOW), OK);
	assert_int_equal(state_of(f, &job_id), JOB_COMPLETED);
	assert_int_equal(balance_of(f, &f->ada), 40 - JOB_COST);
	assert_int_equal(number_of(f,
			     "SELECT COUNT(*) FROM objects WHERE job_id = ?1"
			     " AND state = 'deleting'",
			     &job_id),
	    1);
}

static void
a_job_that_waits_too_long_for_its_turn_fails_once(void **state)
{
	const struct fixture *f = *state;
	const struct uuid job_id = submit(f, "key");
	const int64_t deadline_ms = NOW + JOB_QUEUE_MAX_MS;

	assert_int_equal(ended_at(f, deadline_ms + 1), 1);
	assert_int_equal(state_of(f, &job_id), JOB_FAILED);
	assert_int_equal(balance_of(f, &f->ada), 40);
	assert_int_equal(ended_at(f, deadline_ms + 1), 0);
	assert_int_equal(balance_of(f, &f->ada), 40);
	assert_null(problem_of(f, &f->ada));
}

static void
a_job_at_its_deadline_still_gets_its_turn(void **state)
{
	const struct fixture *f = *state;

	(void)submit(f, "key");
	assert_int_equal(lease_one(f, NOW + JOB_QUEUE_MAX_MS).action,
	    ATTEMPT_SUBMIT);
}

static void
a_job_that_the_provider_never_finishes_is_lost_and_released_once(void **state)
{
	const struct fixture *f = *state;
	struct uuid job_id;
	const struct uuid id = accepted_attempt(f, &job_id);

	assert_int_equal(ended_at(f, NOW + LIFE + 1), 1);
	assert_int_equal(state_of(f, &job_id), JOB_LOST);
	assert_int_equal(balance_of(f, &f->ada), 40);
	assert_int_equal(ended_at(f, NOW + LIFE + HOUR), 0);
	/* The result comes too late: nothing is charged any more. */
	assert_int_equal(attempts_succeeded(f->db, &id, "https://x.test/", 0,
			     NOW + LIFE + HOUR),
	    OK);
	assert_int_equal(state_of(f, &job_id), JOB_LOST);
	assert_int_equal(balance_of(f, &f->ada), 40);
	assert_null(problem_of(f, &f->ada));
}

static void
a_submission_of_unknown_fate_is_lost_at_its_deadline(void **state)
{
	const struct fixture *f = *state;
	const struct uuid job_id = submit(f, "key");

	(void)lease_one(f, NOW);
	assert_int_equal(ended_at(f, NOW + LIFE + 1), 1);
	assert_int_equal(state_of(f, &job_id), JOB_LOST);
	assert_int_equal(balance_of(f, &f->ada), 40);
}

static void
a_result_that_cannot_be_fetched_in_time_fails(void **state)
{
	const struct fixture *f = *state;
	const int64_t deadline_ms = NOW + MINUTE + ATTEMPT_STORE_MAX_MS;
	struct uuid job_id;

	(void)storing_attempt(f, &job_id);
	assert_int_equal(lease_count(f, deadline_ms), 1);
	assert_int_equal(ended_at(f, deadline_ms + ATTEMPT_LEASE_MS), 1);
	assert_int_equal(state_of(f, &job_id), JOB_FAILED);
	assert_int_equal(balance_of(f, &f->ada), 40);
}

static void
no_more_is_submitted_than_there_are_slots(void **state)
{
	const struct fixture *f = *state;
	static const char *const keys[] = { "a", "b", "c", "d" };
	struct attempt_work *works;
	struct attempt_handle mine = handle;
	struct uuid first;
	size_t ended;

	for (size_t i = 0; i < COUNT_OF(keys); i++)
		(void)submit_at(f, keys[i], NOW - 4 + (int64_t)i);
	assert_int_equal(lease_up_to(f, NOW, 0, 16, &works, &ended), 0);
	assert_int_equal(lease_up_to(f, NOW, 2, 16, &works, &ended), 2);
	first = works[0].id;
	assert_int_equal(lease_up_to(f, NOW, 2, 16, &works, &ended), 0);
	/* Accepted is under way, too. */
	assert_int_equal(attempts_accepted(f->db, &first, &mine, NOW + HOUR,
			     NOW),
	    OK);
	assert_int_equal(lease_up_to(f, NOW, 2, 16, &works, &ended), 0);
	assert_int_equal(attempts_succeeded(f->db, &first, "https://x.test/", 0,
			     NOW),
	    OK);
	/* Fetching needs no slot: the result and one more submission. */
	assert_int_equal(lease_up_to(f, NOW, 2, 16, &works, &ended), 2);
	assert_int_equal(works[0].action, ATTEMPT_FETCH);
	assert_int_equal(works[1].action, ATTEMPT_SUBMIT);
}

static void
no_more_is_leased_than_was_asked_for(void **state)
{
	const struct fixture *f = *state;
	static const char *const keys[] = { "a", "b", "c" };
	struct attempt_work *works;
	size_t ended;

	for (size_t i = 0; i < COUNT_OF(keys); i++)
		(void)submit(f, keys[i]);
	assert_int_equal(lease_up_to(f, NOW, 16, 2, &works, &ended), 2);
	assert_int_equal(lease_up_to(f, NOW, 16, 2, &works, &ended), 1);
	assert_int_equal(lease_up_to(f, NOW, 16, 2, &works, &ended), 0);
	assert_int_equal(lease_up_to(f, NOW + ATTEMPT_LEASE_MS, 16, 2, &works,
			     &ended),
	    2);
}

static void
another_companys_jobs_are_left_alone(void **state)
{
	const struct fixture *f = *state;
	const struct attempt_policy policy = {
		.company = "other",
		.provider = "other",
		.life_ms = LIFE,
		.slots = 16,
	};
	struct attempt_work works[1];
	size_t count, ended;

	(void)submit(f, "key");
	assert_int_equal(attempts_lease(f->db, &policy, 1, true, NOW, works, 1,
			     &count, &ended),
	    OK);
	assert_int_equal(count, 0);
}

static void
the_schema_itself_refuses_two_open_attempts(void **state)
{
	const struct fixture *f = *state;

	(void)submit(f, "key");
	assert_int_not_equal(db_script(f->db,
				 "INSERT INTO attempts (id, job_id, number,"
				 " state, seed) SELECT randomblob(16), job_id,"
				 " 2, 'new', 0 FROM attempts"),
	    OK);
}

/* --- what stands against sending ------------------------------------------- */

static const char fallback[] = "Veo 3.1 Text";

static void
give_fallback(const struct fixture *f)
{
	damage(f,
	    "UPDATE models SET fallback_id ="
	    " (SELECT id FROM models WHERE name = '%s') WHERE id = %s",
	    fallback, literal_of(&f->model.id).text);
}

static int64_t
attempts_at_fallback(const struct fixture *f)
{
	return number_of(f,
	    "SELECT COUNT(*) FROM attempts WHERE model_id ="
	    " (SELECT id FROM models WHERE name = 'Veo 3.1 Text')",
	    NULL);
}

static void
a_job_of_a_blocked_model_waits_or_moves_to_its_fallback(void **state)
{
	const struct fixture *f = *state;
	const struct uuid job_id = submit(f, "key");
	struct attempt_work work;

	assert_int_equal(breakers_stop(f->db, "fal", f->model.endpoint, NOW),
	    OK);
	assert_int_equal(lease_count(f, NOW), 0);
	assert_true(due_of(f, &job_id) > NOW);
	give_fallback(f);
	/* A fallback that is blocked is none. */
	assert_int_equal(breakers_stop(f->db, "fal", "fal-ai/veo3.1", NOW), OK);
	assert_int_equal(lease_count(f, NOW + MINUTE), 0);
	assert_int_equal(attempts_at_fallback(f), 0);
	assert_int_equal(breakers_close(f->db, "fal", "fal-ai/veo3.1"), OK);
	assert_int_equal(lease_count(f, NOW + 2 * MINUTE), 0);
	assert_int_equal(attempts_at_fallback(f), 1);
	work = lease_one(f, NOW + 2 * MINUTE);
	assert_string_equal(work.endpoint, "fal-ai/veo3.1");
}

static size_t
lease_under(const struct fixture *f, int64_t cap_micro_usd, int64_t now_ms,
    struct attempt_work *works)
{
	const struct attempt_policy policy = {
		.company = "fal",
		.provider = "fal",
		.life_ms = LIFE,
		.slots = 16,
		.start_timeout_ms = LIFE,
		.spend_cap_micro_usd = cap_micro_usd,
		.credit_micro_usd = 150000,
	};
	size_t count = 0, ended;

	assert_int_equal(attempts_lease(f->db, &policy, 1, true, now_ms, works,
			     4, &count, &ended),
	    OK);
	return count;
}

static void
what_does_not_fit_under_the_cap_makes_room_for_what_does(void **state)
{
	const struct fixture *f = *state;
	const struct uuid dear = submit_at(f, "dear", NOW - 2);
	const struct uuid cheap = submit_at(f, "cheap", NOW - 1);
	struct attempt_work works[4];

	damage(f, "UPDATE jobs SET duration_s = 8 WHERE id = %s",
	    literal_of(&dear).text);
	/* Fifteen cents a second. */
	assert_int_equal(lease_under(f, 600000, NOW, works), 1);
	assert_true(uuid_equal(&works[0].job_id, &cheap));
	assert_int_equal(works[0].cost_micro_usd, 600000);
	assert_true(due_of(f, &dear) > NOW);
}

static void
a_model_of_unknown_cost_costs_what_its_user_pays(void **state)
{
	const struct fixture *f = *state;
	struct attempt_work works[4];

	(void)submit(f, "key");
	damage(f, "DELETE FROM model_prices");
	assert_int_equal(lease_under(f, 0, NOW, works), 1);
	assert_int_equal(works[0].cost_micro_usd, JOB_COST * 150000);
}

static bool
is_any(const void *arg, const char *company)
{
	(void)arg, (void)company;
	return true;
}

static enum err
end_with(const struct fixture *f, const struct uuid *id, int64_t attempts_max,
    bool keeps_charge)
{
	const struct attempt_failure failure = {
		.error_code = "provider_failed",
		.attempts_max = attempts_max,
		.keeps_charge = keeps_charge,
		.is_unbilled = !keeps_charge,
		.can_ask = is_any,
	};

	return attempts_end(f->db, id, &failure, NOW + MINUTE);
}

static int64_t
spent(const struct fixture *f)
{
	return number_of(f, "SELECT SUM(micro_usd) FROM provider_spend", NULL);
}

static void
what_came_to_nothing_is_tried_once_more_at_the_fallback(void **state)
{
	const struct fixture *f = *state;
	struct uuid job_id;
	const struct uuid id = accepted_attempt(f, &job_id);
	struct attempt_work work;

	give_fallback(f);
	assert_true(spent(f) > 0);
	assert_int_equal(end_with(f, &id, 2, false), OK);
	assert_int_equal(spent(f), 0);
	assert_int_equal(state_of(f, &job_id), JOB_QUEUED);
	assert_int_equal(attempts_at_fallback(f), 1);
	work = lease_one(f, NOW + MINUTE);
	assert_false(uuid_equal(&work.id, &id));
	/* Told again, the first is over and nothing changes. */
	assert_int_equal(end_with(f, &id, 2, false), OK);
	assert_int_equal(state_of(f, &job_id), JOB_SUBMITTING);
	assert_int_equal(end_with(f, &work.id, 2, false), OK);
	assert_int_equal(state_of(f, &job_id), JOB_FAILED);
	assert_int_equal(balance_of(f, &f->ada), 40);
	assert_null(problem_of(f, &f->ada));
}

static void
what_is_billed_for_a_breach_of_rules_is_paid(void **state)
{
	const struct fixture *f = *state;
	struct uuid job_id;
	const struct uuid id = accepted_attempt(f, &job_id);

	assert_int_equal(end_with(f, &id, 1, true), OK);
	assert_int_equal(state_of(f, &job_id), JOB_FAILED);
	assert_int_equal(balance_of(f, &f->ada), 40 - JOB_COST);
	assert_true(spent(f) > 0);
	assert_null(problem_of(f, &f->ada));
}

static void
a_refusal_that_came_late_ends_nothing(void **state)
{
	const struct fixture *f = *state;
	struct uuid job_id;
	const struct uuid id = accepted_attempt(f, &job_id);
	const struct attempt_failure refusal = { .error_code = "refused",
		.attempts_max = 1,
		.is_unbilled = true,
		.is_refusal = true };

	assert_int_equal(attempts_end(f->db, &id, &refusal, NOW), OK);
	assert_int_equal(state_of(f, &job_id), JOB_WAITING);
}

static void
nobody_tries_again_for_who_has_left(void **state)
{
	const struct fixture *f = *state;
	struct uuid job_id;
	const struct uuid id = accepted_attempt(f, &job_id);

	assert_int_equal(jobs_delete(f->db, &f->ada, &job_id, NOW), OK);
	assert_int_equal(end_with(f, &id, 2, false), OK);
	assert_int_equal(state_of(f, &job_id), JOB_FAILED);
	assert_int_equal(balance_of(f, &f->ada), 40);
}

static enum err
announce_poster(struct db *db, void *arg)
{
	return media_announce_poster(db, arg, NOW);
}

static void
a_poster_is_stored_with_its_video(void **state)
{
	const struct fixture *f = *state;
	struct uuid job_id;
	const struct uuid id = storing_attempt(f, &job_id);
	const struct uuid poster_id = media_poster_id(&id);
	const struct attempt_file video = { 99, { 7 } }, poster = { 9, { 8 } };
	bool stored = false;

	assert_int_equal(db_transaction(f->db, announce_poster,
			     (void *)(uintptr_t)&id),
	    OK);
	assert_int_equal(attempts_stored(f->db, &id, &video, &poster, NOW), OK);
	assert_int_equal(media_is_stored(f->db, &poster_id, &stored), OK);
	assert_true(stored);
	assert_int_equal(state_of(f, &job_id), JOB_COMPLETED);
}

#define RICH(function) \
	cmocka_unit_test_setup_teardown(function, set_up_rich, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RICH(a_lease_tells_all_that_a_submission_needs),
		RICH(a_job_is_leased_to_one_worker_at_a_time),
		RICH(a_lease_lives_as_long_as_it_is_renewed),
		RICH(renewing_what_has_ended_changes_nothing),
		RICH(a_job_is_not_due_before_its_time),
		RICH(a_submission_whose_worker_died_is_never_sent_again),
		RICH(a_submission_of_unknown_fate_cannot_become_unsent),
		RICH(what_was_found_again_goes_on),
		RICH(
		    what_was_not_sent_is_queued_again_and_keeps_its_first_deadline),
		RICH(a_queued_job_past_its_deadline_ends_without_any_provider),
		RICH(what_was_deleted_meanwhile_is_not_sent_again),
		RICH(acceptance_is_told_once_and_gives_the_handle_to_polls),
		RICH(progress_is_an_event_only_when_there_is_news),
		RICH(an_answer_that_taught_nothing_only_moves_the_next_look),
		RICH(what_was_made_is_fetched_stored_and_paid_once),
		RICH(a_completed_job_takes_no_late_news),
		RICH(a_job_that_failed_takes_no_late_success),
		RICH(a_fetch_that_failed_for_good_gives_the_credits_back),
		RICH(a_hidden_job_is_paid_and_its_file_deleted),
		RICH(a_job_that_waits_too_long_for_its_turn_fails_once),
		RICH(a_job_at_its_deadline_still_gets_its_turn),
		RICH(
		    a_job_that_the_provider_never_finishes_is_lost_and_released_once),
		RICH(a_submission_of_unknown_fate_is_lost_at_its_deadline),
		RICH(a_result_that_cannot_be_fetched_in_time_fails),
		RICH(no_more_is_submitted_than_there_are_slots),
		RICH(no_more_is_leased_than_was_asked_for),
		RICH(another_companys_jobs_are_left_alone),
		RICH(the_schema_itself_refuses_two_open_attempts),
		RICH(a_job_of_a_blocked_model_waits_or_moves_to_its_fallback),
		RICH(what_does_not_fit_under_the_cap_makes_room_for_what_does),
		RICH(a_model_of_unknown_cost_costs_what_its_user_pays),
		RICH(what_came_to_nothing_is_tried_once_more_at_the_fallback),
		RICH(what_is_billed_for_a_breach_of_rules_is_paid),
		RICH(a_refusal_that_came_late_ends_nothing),
		RICH(nobody_tries_again_for_who_has_left),
		RICH(a_poster_is_stored_with_its_video),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
