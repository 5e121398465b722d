/* SPDX-License-Identifier: MIT */
#include "fixture.h"

#include "domain/events.h"
#include "domain/pushes.h"

/* A phone, by the first digit of its token. */
static struct push_token
phone(char digit)
{
	struct push_token token = { .is_sandbox = digit == 's' };

	memset(token.token, digit == 's' ? '0' : digit, PUSH_TOKEN_CHARS_MIN);
	return token;
}

static void
bring(const struct fixture *f, const struct session *session, char digit,
    int64_t now_ms)
{
	const struct push_token token = phone(digit);

	assert_int_equal(pushes_register(f->db, &session->user_id, &session->id,
			     &token, now_ms),
	    OK);
}

static void
make(const struct fixture *f, int64_t now_ms)
{
	bool has_more = true;

	while (has_more)
		assert_int_equal(pushes_make(f->db, now_ms, &has_more), OK);
}

static size_t
take(const struct fixture *f, int64_t now_ms, struct push pushes[4])
{
	size_t count = 99;

	assert_int_equal(pushes_take(f->db, now_ms, MINUTE, pushes, 4, &count),
	    OK);
	return count;
}

static int64_t
rows(const struct fixture *f)
{
	return number_of(f, "SELECT COUNT(*) FROM pushes", NULL);
}

static int64_t
phones(const struct fixture *f)
{
	return number_of(f, "SELECT COUNT(*) FROM push_tokens", NULL);
}

/* Ada has credits and a phone, and the events are read up to here. */
static struct session
ready(const struct fixture *f)
{
	const struct session session = open_session(f, &f->ada, NOW);

	assert_int_equal(grant(f, &f->ada, 40), OK);
	bring(f, &session, 'a', NOW);
	make(f, NOW);
	assert_int_equal(rows(f), 0);
	return session;
}

/* A job that ends well. */
static struct uuid
made(const struct fixture *f)
{
	struct uuid job_id;
	const struct uuid id = storing_attempt(f, &job_id);

	assert_int_equal(tell_stored(f->db, &id, 9, sha256, NOW + MINUTE), OK);
	return job_id;
}

static void
the_end_of_a_job_is_told_to_each_phone_once(void **state)
{
	const struct fixture *f = *state;
	const struct session session = ready(f);
	struct push pushes[4];
	struct uuid job_id;

	bring(f, &session, 's', NOW);
	/* Nobody hears of what is only under way, nor of another's. */
	(void)open_session(f, &f->bob, NOW);
	job_id = made(f);
	make(f, NOW + MINUTE);
	make(f, NOW + MINUTE);
	assert_int_equal(rows(f), 2);
	assert_int_equal(take(f, NOW + MINUTE - 1, pushes), 0);
	assert_int_equal(take(f, NOW + MINUTE, pushes), 2);
	for (size_t i = 0; i < 2; i++) {
		assert_true(uuid_equal(&pushes[i].job_id, &job_id));
		assert_true(pushes[i].is_completed);
		assert_false(pushes[i].is_charge_kept);
		assert_int_equal(pushes[i].lang, LANG_EN);
		assert_int_equal(pushes[i].tries_count, 0);
		assert_int_equal(pushes[i].created_at_ms, NOW + MINUTE);
		assert_string_equal(pushes[i].to.token,
		    phone(pushes[i].to.is_sandbox ? 's' : 'a').token);
	}
	assert_true(pushes[0].to.is_sandbox != pushes[1].to.is_sandbox);
	/* Another waits until the lease is over. */
	assert_int_equal(take(f, NOW + 2 * MINUTE - 1, pushes), 0);
	assert_int_equal(take(f, NOW + 2 * MINUTE, pushes), 2);
	assert_int_equal(pushes[0].tries_count, 1);
	assert_int_equal(pushes_done(f->db, &pushes[0]), OK);
	assert_int_equal(rows(f), 1);
	assert_int_equal(pushes_later(f->db, &pushes[1], NOW + HOUR), OK);
	assert_int_equal(take(f, NOW + HOUR - 1, pushes), 0);
	assert_int_equal(take(f, NOW + HOUR, pushes), 1);
	assert_int_equal(pushes[0].tries_count, 2);
}

static void
a_failure_is_told_and_what_the_user_cancelled_is_not(void **state)
{
	const struct fixture *f = *state;
	struct push pushes[4];
	struct uuid job_id, id, cancelled;
	struct job_cancellation cancellation;

	(void)ready(f);
	id = accepted_attempt(f, &job_id);
	assert_int_equal(attempts_failed(f->db, &id, "provider_failed",
			     NOW + MINUTE),
	    OK);
	cancelled = submit_at(f, "other", NOW + MINUTE);
	assert_int_equal(jobs_cancel(f->db, &f->ada, &cancelled, NOW + MINUTE,
			     &cancellation),
	    OK);
	make(f, NOW + MINUTE);
	assert_int_equal(take(f, NOW + MINUTE, pushes), 1);
	assert_true(uuid_equal(&pushes[0].job_id, &job_id));
	assert_false(pushes[0].is_completed);
}

static void
what_is_an_hour_old_is_told_to_nobody(void **state)
{
	const struct fixture *f = *state;

	(void)ready(f);
	(void)made(f);
	make(f, NOW + MINUTE + PUSH_LIFE_MS);
	assert_int_equal(rows(f), 0);
}

static void
it_begins_with_what_happens_from_then_on(void **state)
{
	const struct fixture *f = *state;
	const struct session session = open_session(f, &f->ada, NOW);

	assert_int_equal(grant(f, &f->ada, 40), OK);
	bring(f, &session, 'a', NOW);
	(void)made(f);
	make(f, NOW + MINUTE);
	assert_int_equal(rows(f), 0);
}

struct crowd {
	const struct fixture *f;
	int count;
};

static enum err
append_many(struct db *db, void *arg)
{
	const struct crowd *crowd = arg;
	enum err err = OK;

	for (int i = 0; err == OK && i < crowd->count; i++)
		err =
		    events_append(db, EVENT_BALANCE, &crowd->f->bob, NULL, NOW);
	return err;
}

static void
many_events_are_read_in_short_turns(void **state)
{
	const struct fixture *f = *state;
	struct crowd crowd = { f, 100 };
	bool has_more = false;

	(void)ready(f);
	/* Not assert_int_equal(): a hundred of the same statement. */
	assert_true(db_transaction(f->db, append_many, &crowd) == OK);
	(void)made(f);
	assert_int_equal(pushes_make(f->db, NOW + MINUTE, &has_more), OK);
	assert_true(has_more);
	assert_int_equal(rows(f), 0);
	assert_int_equal(pushes_make(f->db, NOW + MINUTE, &has_more), OK);
	assert_false(has_more);
	assert_int_equal(rows(f), 1);
}

static void
the_phones_registered_longest_ago_give_way(void **state)
{
	const struct fixture *f = *state;
	const struct session session = open_session(f, &f->ada, NOW);

	for (int i = 0; i <= PUSH_TOKENS_PER_USER_MAX; i++)
		bring(f, &session, (char)('a' + i), NOW + i);
	assert_int_equal(phones(f), PUSH_TOKENS_PER_USER_MAX);
	assert_int_equal(number_of(f,
			     "SELECT MIN(registered_at_ms) FROM push_tokens",
			     NULL),
	    NOW + 1);
}

static void
a_phone_belongs_to_who_registered_it_last(void **state)
{
	const struct fixture *f = *state;
	const struct session ada = open_session(f, &f->ada, NOW);
	const struct session bob = open_session(f, &f->bob, NOW);

	bring(f, &ada, 'a', NOW);
	bring(f, &bob, 'a', NOW + 1);
	assert_int_equal(phones(f), 1);
	assert_int_equal(number_of(f,
			     "SELECT COUNT(*) FROM push_tokens"
			     " WHERE session_id = ?1",
			     &bob.id),
	    1);
}

static enum err
forget(struct db *db, void *arg)
{
	return pushes_forget_user(db, arg);
}

static void
all_phones_of_a_user_are_forgotten_and_of_no_other(void **state)
{
	struct fixture *f = *state;
	const struct session ada = open_session(f, &f->ada, NOW);
	const struct session bob = open_session(f, &f->bob, NOW);

	bring(f, &ada, 'a', NOW);
	bring(f, &ada, 'b', NOW);
	bring(f, &bob, 'c', NOW);
	assert_int_equal(db_transaction(f->db, forget, &f->ada), OK);
	assert_int_equal(phones(f), 1);
}

static void
a_phone_that_is_gone_is_forgotten_unless_it_came_back(void **state)
{
	const struct fixture *f = *state;
	struct push pushes[4];

	(void)ready(f);
	(void)made(f);
	make(f, NOW + MINUTE);
	assert_int_equal(take(f, NOW + MINUTE, pushes), 1);
	/* Gone before it was registered: only this message is over. */
	assert_int_equal(pushes_token_dead(f->db, &pushes[0], NOW - 1), OK);
	assert_int_equal(rows(f), 0);
	assert_int_equal(phones(f), 1);
	assert_int_equal(pushes_token_dead(f->db, &pushes[0], NOW), OK);
	assert_int_equal(phones(f), 0);
}

static void
a_phone_that_is_gone_now_takes_all_its_messages_along(void **state)
{
	const struct fixture *f = *state;
	struct push pushes[4];
	struct uuid job_id;

	(void)ready(f);
	job_id = made(f);
	make(f, NOW + MINUTE);
	assert_int_equal(take(f, NOW + MINUTE, pushes), 1);
	damage(f,
	    "INSERT INTO pushes SELECT environment, token, %s, 0, 0, 0"
	    " FROM pushes WHERE job_id = %s",
	    literal_of(&f->ada).text, literal_of(&job_id).text);
	assert_int_equal(rows(f), 2);
	assert_int_equal(pushes_token_dead(f->db, &pushes[0], 0), OK);
	assert_int_equal(phones(f), 0);
	assert_int_equal(rows(f), 0);
}

static void
phones_without_a_session_and_old_messages_are_purged(void **state)
{
	const struct fixture *f = *state;
	const struct session session = ready(f);
	const int64_t made_at_ms = NOW + MINUTE;

	(void)made(f);
	make(f, made_at_ms);
	assert_int_equal(pushes_purge(f->db, made_at_ms + PUSH_LIFE_MS, 10),
	    OK);
	assert_int_equal(rows(f), 1);
	assert_int_equal(phones(f), 1);
	assert_int_equal(pushes_purge(f->db, made_at_ms + PUSH_LIFE_MS + 1, 10),
	    OK);
	assert_int_equal(rows(f), 0);
	assert_int_equal(sessions_log_out(f->db, &f->ada, &session.id,
			     SESSION_THIS, NOW),
	    OK);
	assert_int_equal(pushes_purge(f->db, NOW, 0), OK);
	assert_int_equal(phones(f), 1);
	assert_int_equal(pushes_purge(f->db, NOW, 10), OK);
	assert_int_equal(phones(f), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_end_of_a_job_is_told_to_each_phone_once),
		TEST(a_failure_is_told_and_what_the_user_cancelled_is_not),
		TEST(what_is_an_hour_old_is_told_to_nobody),
		TEST(it_begins_with_what_happens_from_then_on),
		TEST(many_events_are_read_in_short_turns),
		TEST(the_phones_registered_longest_ago_give_way),
		TEST(a_phone_belongs_to_who_registered_it_last),
		TEST(all_phones_of_a_user_are_forgotten_and_of_no_other),
		TEST(a_phone_that_is_gone_is_forgotten_unless_it_came_back),
		TEST(a_phone_that_is_gone_now_takes_all_its_messages_along),
		TEST(phones_without_a_session_and_old_messages_are_purged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
