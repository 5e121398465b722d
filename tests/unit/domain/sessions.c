/* SPDX-License-Identifier: MIT */
#include "fixture.h"

static enum session_verdict
check(const struct fixture *f, const struct session *session)
{
	enum session_verdict verdict = SESSION_ALIVE;
	enum lang lang;

	assert_int_equal(sessions_check(f->db, &session->id, &session->user_id,
			     &verdict, &lang),
	    OK);
	return verdict;
}

static enum refresh_verdict
refresh(const struct fixture *f, const struct session *session, int64_t counter,
    int64_t now_ms, int64_t *ret_counter)
{
	enum refresh_verdict verdict = REFRESH_GONE;
	struct session after;

	assert_int_equal(sessions_refresh(f->db, &session->id, counter, now_ms,
			     &verdict, &after),
	    OK);
	if (verdict == REFRESH_OK) {
		assert_true(uuid_equal(&after.id, &session->id));
		assert_true(uuid_equal(&after.user_id, &session->user_id));
		assert_memory_equal(after.refresh_salt, session->refresh_salt,
		    SESSION_SALT_BYTES);
		*ret_counter = after.refresh_counter;
	}
	return verdict;
}

/* A session at counter 3, refreshed last at NOW. */
static struct session
open_used(const struct fixture *f)
{
	const struct session s = open_session(f, &f->ada, NOW - 3 * HOUR);
	int64_t counter = 0;

	for (int64_t i = 0; i < 3; i++)
		assert_int_equal(refresh(f, &s, i, NOW - (2 - i) * HOUR,
				     &counter),
		    REFRESH_OK);
	assert_int_equal(counter, 3);
	return s;
}

static void
a_session_is_alive_until_it_ends(void **state)
{
	const struct fixture *f = *state;
	const struct session s = open_session(f, &f->ada, NOW);
	struct session other = s;
	enum session_verdict verdict;
	enum lang lang = LANG_EN;

	assert_int_equal(check(f, &s), SESSION_ALIVE);
	/* A session is good for its own user only. */
	other.user_id = f->bob;
	assert_int_equal(check(f, &other), SESSION_GONE);
	other.id = f->ada;
	assert_int_equal(check(f, &other), SESSION_GONE);
	other.user_id = s.id;
	assert_int_equal(check(f, &other), SESSION_NO_USER);
	/* The user's language comes along. */
	assert_int_equal(sessions_check(f->db, &s.id, &f->bob, &verdict, &lang),
	    OK);
	assert_int_equal(lang, LANG_TR);
}

static void
two_sessions_share_neither_id_nor_salt(void **state)
{
	const struct fixture *f = *state;
	const struct session one = open_session(f, &f->ada, NOW);
	const struct session two = open_session(f, &f->ada, NOW);
	struct session again;

	assert_false(uuid_equal(&one.id, &two.id));
	assert_memory_not_equal(one.refresh_salt, two.refresh_salt,
	    SESSION_SALT_BYTES);
	assert_int_equal(sessions_get(f->db, &two.id, &again), OK);
	assert_memory_equal(again.refresh_salt, two.refresh_salt,
	    SESSION_SALT_BYTES);
	assert_int_equal(again.refresh_counter, 0);
	assert_true(again.is_guest);
	assert_false(again.is_oauth);
	assert_int_equal(sessions_get(f->db, &f->ada, &again), ERR_NOT_FOUND);
}

static void
the_present_token_gives_the_next(void **state)
{
	const struct fixture *f = *state;
	const struct session s = open_session(f, &f->ada, NOW);
	int64_t counter = -1;

	assert_int_equal(refresh(f, &s, 0, NOW + 1, &counter), REFRESH_OK);
	assert_int_equal(counter, 1);
	assert_int_equal(refresh(f, &s, 1, NOW + HOUR, &counter), REFRESH_OK);
	assert_int_equal(counter, 2);
}

static void
racing_refreshes_converge_on_one_token(void **state)
{
	const struct fixture *f = *state;
	const struct session s = open_session(f, &f->ada, NOW);
	int64_t counter = -1;

	for (int i = 0; i < 5; i++) {
		assert_int_equal(refresh(f, &s, 0, NOW + i, &counter),
		    REFRESH_OK);
		assert_int_equal(counter, 1);
	}
}

static void
the_direct_parent_is_accepted_however_late(void **state)
{
	const struct fixture *f = *state;
	const struct session s = open_used(f);
	int64_t counter = -1;

	assert_int_equal(refresh(f, &s, 2, NOW + 90 * 24 * HOUR, &counter),
	    REFRESH_OK);
	assert_int_equal(counter, 3);
}

static void
an_older_token_is_accepted_for_ten_seconds(void **state)
{
	const struct fixture *f = *state;
	const struct session s = open_used(f);
	int64_t counter = -1;

	assert_int_equal(refresh(f, &s, 0, NOW + SESSION_REUSE_MS - 1,
			     &counter),
	    REFRESH_OK);
	assert_int_equal(counter, 3);
	assert_int_equal(check(f, &s), SESSION_ALIVE);
}

static void
an_older_token_after_that_ends_the_session_for_good(void **state)
{
	const struct fixture *f = *state;
	const struct session s = open_used(f);
	int64_t counter;

	assert_int_equal(refresh(f, &s, 1, NOW + SESSION_REUSE_MS, &counter),
	    REFRESH_REUSED);
	/* The end was committed, also for whoever has the newest token. */
	assert_int_equal(check(f, &s), SESSION_GONE);
	assert_int_equal(refresh(f, &s, 3, NOW + SESSION_REUSE_MS, &counter),
	    REFRESH_GONE);
	assert_int_equal(number_of(f,
			     "SELECT COUNT(*) FROM events"
			     " WHERE kind = 'session' AND user_id = ?1",
			     &f->ada),
	    1);
}

static void
a_token_that_was_never_given_out_changes_nothing(void **state)
{
	const struct fixture *f = *state;
	const struct session s = open_used(f);
	int64_t counter;

	assert_int_equal(refresh(f, &s, 4, NOW, &counter), REFRESH_MALFORMED);
	assert_int_equal(refresh(f, &s, INT64_MAX, NOW, &counter),
	    REFRESH_MALFORMED);
	assert_int_equal(check(f, &s), SESSION_ALIVE);
	assert_int_equal(refresh(f, &s, 3, NOW, &counter), REFRESH_OK);
}

static void
a_session_left_alone_for_too_long_is_over(void **state)
{
	const struct fixture *f = *state;
	const struct session kept = open_session(f, &f->ada, NOW);
	const struct session lost = open_session(f, &f->ada, NOW);
	int64_t counter;

	assert_int_equal(refresh(f, &kept, 0, NOW + SESSION_IDLE_MAX_MS,
			     &counter),
	    REFRESH_OK);
	assert_int_equal(refresh(f, &lost, 0, NOW + SESSION_IDLE_MAX_MS + 1,
			     &counter),
	    REFRESH_EXPIRED);
	assert_int_equal(check(f, &lost), SESSION_GONE);
}

static void
a_ban_bites_at_once_and_ends_all_sessions(void **state)
{
	const struct fixture *f = *state;
	const struct session s = open_session(f, &f->ada, NOW);
	const struct session bobs = open_session(f, &f->bob, NOW);
	int64_t counter;

	assert_int_equal(accounts_set_banned(f->db, &f->ada, true, NOW), OK);
	assert_int_equal(check(f, &s), SESSION_BANNED);
	assert_int_equal(refresh(f, &s, 0, NOW, &counter), REFRESH_BANNED);
	assert_int_equal(check(f, &bobs), SESSION_ALIVE);
	assert_int_equal(accounts_set_banned(f->db, &f->ada, false, NOW), OK);
	assert_int_equal(check(f, &s), SESSION_GONE);
	assert_int_equal(refresh(f, &s, 0, NOW, &counter), REFRESH_GONE);
}

static void
lifting_a_ban_that_there_is_not_ends_no_session(void **state)
{
	const struct fixture *f = *state;
	const struct session s = open_session(f, &f->ada, NOW);

	assert_int_equal(accounts_set_banned(f->db, &f->ada, false, NOW), OK);
	assert_int_equal(check(f, &s), SESSION_ALIVE);
}

static void
the_oldest_session_makes_room_for_the_eleventh(void **state)
{
	const struct fixture *f = *state;
	struct session sessions[SESSIONS_PER_USER_MAX + 1];
	const struct session bobs = open_session(f, &f->bob, NOW - HOUR);
	int64_t counter;

	for (int i = 0; i < SESSIONS_PER_USER_MAX; i++)
		sessions[i] = open_session(f, &f->ada, NOW + i);
	for (int i = 0; i < SESSIONS_PER_USER_MAX; i++)
		assert_int_equal(check(f, &sessions[i]), SESSION_ALIVE);
	/* What was refreshed is not the oldest any more. */
	assert_int_equal(refresh(f, &sessions[0], 0, NOW + MINUTE, &counter),
	    REFRESH_OK);
	sessions[SESSIONS_PER_USER_MAX] = open_session(f, &f->ada, NOW + HOUR);
	for (int i = 0; i <= SESSIONS_PER_USER_MAX; i++)
		assert_int_equal(check(f, &sessions[i]),
		    i == 1 ? SESSION_GONE : SESSION_ALIVE);
	assert_int_equal(check(f, &bobs), SESSION_ALIVE);
}

static void
idle_sessions_are_purged_a_few_at_a_time(void **state)
{
	const struct fixture *f = *state;
	const struct session old = open_session(f, &f->ada, NOW);
	const struct session new = open_session(f, &f->ada, NOW + 2);

	assert_int_equal(sessions_purge(f->db, NOW + SESSION_IDLE_MAX_MS, 9),
	    OK);
	assert_int_equal(check(f, &old), SESSION_ALIVE);
	assert_int_equal(sessions_purge(f->db, NOW + SESSION_IDLE_MAX_MS + 1,
			     0),
	    OK);
	assert_int_equal(check(f, &old), SESSION_ALIVE);
	assert_int_equal(sessions_purge(f->db, NOW + SESSION_IDLE_MAX_MS + 1,
			     9),
	    OK);
	assert_int_equal(check(f, &old), SESSION_GONE);
	assert_int_equal(check(f, &new), SESSION_ALIVE);
}

static void
a_user_ends_this_session_the_others_or_all(void **state)
{
	const struct fixture *f = *state;
	const struct session one = open_session(f, &f->ada, NOW);
	const struct session two = open_session(f, &f->ada, NOW + 1);
	const struct session three = open_session(f, &f->ada, NOW + 2);
	const struct session bobs = open_session(f, &f->bob, NOW);
	struct session_summary list[SESSIONS_PER_USER_MAX];
	size_t count = 0;

	assert_int_equal(sessions_list(f->db, &f->ada, list, &count), OK);
	assert_int_equal(count, 3);
	assert_true(uuid_equal(&list[0].id, &three.id));
	assert_string_equal(list[0].method, "anonymous");
	assert_int_equal(list[0].created_at_ms, NOW + 2);
	assert_int_equal(list[0].refreshes_count, 0);
	assert_int_equal(sessions_log_out(f->db, &f->ada, &one.id, SESSION_THIS,
			     NOW),
	    OK);
	assert_int_equal(check(f, &one), SESSION_GONE);
	assert_int_equal(check(f, &two), SESSION_ALIVE);
	assert_int_equal(sessions_log_out(f->db, &f->ada, &two.id,
			     SESSION_OTHERS, NOW),
	    OK);
	assert_int_equal(check(f, &two), SESSION_ALIVE);
	assert_int_equal(check(f, &three), SESSION_GONE);
	assert_int_equal(sessions_log_out(f->db, &f->ada, &two.id, SESSION_ALL,
			     NOW),
	    OK);
	assert_int_equal(check(f, &two), SESSION_GONE);
	assert_int_equal(check(f, &bobs), SESSION_ALIVE);
	assert_int_equal(sessions_list(f->db, &f->ada, list, &count), OK);
	assert_int_equal(count, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_session_is_alive_until_it_ends),
		TEST(two_sessions_share_neither_id_nor_salt),
		TEST(the_present_token_gives_the_next),
		TEST(racing_refreshes_converge_on_one_token),
		TEST(the_direct_parent_is_accepted_however_late),
		TEST(an_older_token_is_accepted_for_ten_seconds),
		TEST(an_older_token_after_that_ends_the_session_for_good),
		TEST(a_token_that_was_never_given_out_changes_nothing),
		TEST(a_session_left_alone_for_too_long_is_over),
		TEST(a_ban_bites_at_once_and_ends_all_sessions),
		TEST(lifting_a_ban_that_there_is_not_ends_no_session),
		TEST(the_oldest_session_makes_room_for_the_eleventh),
		TEST(idle_sessions_are_purged_a_few_at_a_time),
		TEST(a_user_ends_this_session_the_others_or_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
