/* SPDX-License-Identifier: MIT */
#include "fixture.h"

#include "domain/devices.h"

#define GIFT 10

/* A phone with a secret id, vouched for, without Apple's bit. */
static struct device_entry
phone(uint8_t number)
{
	return (struct device_entry){
		.id_hash = { number },
		.is_secret = true,
		.is_verified = true,
		.lang = LANG_ES,
		.now_ms = NOW,
	};
}

static void
enter(const struct fixture *f, struct device_entry *entry)
{
	assert_int_equal(devices_enter(f->db, entry), OK);
}

/* Gives the gift; says whether it was given, and checks the balance. */
static bool
give(const struct fixture *f, const struct device_entry *entry,
    int64_t expected_balance)
{
	bool given = false;
	int64_t balance = -1;

	assert_int_equal(devices_grant(f->db, entry, GIFT, &given, &balance),
	    OK);
	assert_int_equal(balance, expected_balance);
	assert_int_equal(balance_of(f, &entry->session.user_id), balance);
	return given;
}

static const char *
grant_state_of(const struct fixture *f, const struct uuid *user_id)
{
	static struct account account;

	assert_int_equal(accounts_get(f->db, user_id, &account), OK);
	return account.grant_state;
}

static void
a_new_phone_gets_a_guest_a_session_and_a_pending_gift(void **state)
{
	const struct fixture *f = *state;
	struct device_entry entry = phone(1);
	enum session_verdict verdict;
	enum lang lang = LANG_EN;

	enter(f, &entry);
	assert_true(entry.is_new);
	assert_true(entry.is_pending);
	assert_int_equal(entry.credits_remaining, 0);
	assert_int_equal(sessions_check(f->db, &entry.session.id,
			     &entry.session.user_id, &verdict, &lang),
	    OK);
	assert_int_equal(verdict, SESSION_ALIVE);
	assert_int_equal(lang, LANG_ES);
	assert_true(entry.session.is_guest);
	assert_string_equal(grant_state_of(f, &entry.session.user_id),
	    "pending");
}

static void
the_same_phone_comes_back_to_its_account(void **state)
{
	const struct fixture *f = *state;
	struct device_entry first = phone(1), again = phone(1);

	enter(f, &first);
	assert_true(give(f, &first, GIFT));
	enter(f, &again);
	assert_false(again.is_new);
	assert_false(again.is_pending);
	assert_int_equal(again.credits_remaining, GIFT);
	assert_true(uuid_equal(&again.session.user_id, &first.session.user_id));
	assert_false(uuid_equal(&again.session.id, &first.session.id));
	assert_string_equal(grant_state_of(f, &again.session.user_id),
	    "granted");
}

static void
another_phone_gets_another_account(void **state)
{
	const struct fixture *f = *state;
	struct device_entry one = phone(1), two = phone(2);

	enter(f, &one);
	enter(f, &two);
	assert_false(uuid_equal(&one.session.user_id, &two.session.user_id));
	assert_true(give(f, &one, GIFT));
	assert_true(give(f, &two, GIFT));
}

static void
an_id_that_is_no_secret_opens_no_account_again(void **state)
{
	const struct fixture *f = *state;
	struct device_entry first = phone(1), again = phone(1);

	first.is_secret = again.is_secret = false;
	enter(f, &first);
	assert_true(give(f, &first, GIFT));
	enter(f, &again);
	assert_true(again.is_new);
	assert_false(
	    uuid_equal(&again.session.user_id, &first.session.user_id));
	/* The new guest has no second gift. */
	assert_false(again.is_pending);
	assert_false(give(f, &again, 0));
	assert_string_equal(grant_state_of(f, &again.session.user_id),
	    "already_claimed");
}

static void
an_unverified_phone_may_begin_but_not_come_back(void **state)
{
	const struct fixture *f = *state;
	struct device_entry first = phone(1), again = phone(1);

	first.is_verified = again.is_verified = false;
	enter(f, &first);
	assert_true(first.is_new);
	assert_int_equal(devices_enter(f->db, &again), ERR_SERVICE_UNAVAILABLE);
	again.is_verified = true;
	enter(f, &again);
	assert_false(again.is_new);
}

static void
a_linked_account_is_not_entered_by_its_phone(void **state)
{
	const struct fixture *f = *state;
	struct device_entry first = phone(1), again = phone(1);

	enter(f, &first);
	assert_true(give(f, &first, GIFT));
	damage(f,
	    "UPDATE users SET is_guest = 0, apple_sub = 'a' WHERE id = %s",
	    literal_of(&first.session.user_id).text);
	enter(f, &again);
	assert_true(again.is_new);
	assert_false(again.is_pending);
	assert_false(
	    uuid_equal(&again.session.user_id, &first.session.user_id));
}

static void
a_deleted_account_is_not_entered_again(void **state)
{
	const struct fixture *f = *state;
	struct device_entry first = phone(1), again = phone(1);

	enter(f, &first);
	damage(f, "UPDATE users SET status = 'deleted' WHERE id = %s",
	    literal_of(&first.session.user_id).text);
	enter(f, &again);
	assert_true(again.is_new);
}

static void
a_banned_account_turns_its_phone_away(void **state)
{
	const struct fixture *f = *state;
	struct device_entry first = phone(1), again = phone(1);

	enter(f, &first);
	assert_int_equal(accounts_set_banned(f->db, &first.session.user_id,
			     true, NOW),
	    OK);
	assert_int_equal(devices_enter(f->db, &again), ERR_USER_BANNED);
	assert_int_equal(accounts_set_banned(f->db, &first.session.user_id,
			     false, NOW),
	    OK);
	enter(f, &again);
	assert_false(again.is_new);
}

static void
a_gift_that_is_pending_survives_a_crash_at_either_side_of_the_bit(void **state)
{
	const struct fixture *f = *state;
	struct device_entry first = phone(1), before = phone(1),
			    after = phone(1);

	enter(f, &first);
	/* Died before Apple's bit was set. */
	enter(f, &before);
	assert_true(before.is_pending);
	/* Died after it: the bit was set for this gift. */
	after.had_gift = true;
	enter(f, &after);
	assert_true(after.is_pending);
	assert_true(give(f, &after, GIFT));
	assert_false(give(f, &first, GIFT));
	enter(f, &after);
	assert_false(after.is_pending);
}

static void
a_phone_whose_bit_is_set_gets_no_second_gift(void **state)
{
	const struct fixture *f = *state;
	struct device_entry entry = phone(1);

	entry.had_gift = true;
	enter(f, &entry);
	assert_true(entry.is_new);
	assert_false(entry.is_pending);
	assert_false(give(f, &entry, 0));
	assert_string_equal(grant_state_of(f, &entry.session.user_id),
	    "already_claimed");
}

static void
a_bit_that_somebody_else_set_is_not_taken_for_ours(void **state)
{
	const struct fixture *f = *state;
	struct device_entry away = phone(1), failed = phone(2);

	/* Apple could not be asked, so nothing was about to be set. */
	away.is_verified = false;
	enter(f, &away);
	assert_true(away.is_pending);
	away.is_verified = away.had_gift = true;
	enter(f, &away);
	assert_false(away.is_pending);

	/* Apple was asked to set it, and certainly did not. */
	enter(f, &failed);
	assert_true(failed.is_pending);
	assert_int_equal(devices_unmark(f->db, &failed), OK);
	failed.had_gift = true;
	enter(f, &failed);
	assert_false(failed.is_pending);
	assert_string_equal(grant_state_of(f, &failed.session.user_id),
	    "already_claimed");
}

static void
two_guests_of_one_device_share_one_gift(void **state)
{
	const struct fixture *f = *state;
	struct device_entry one = phone(1), two = phone(1);

	one.is_secret = two.is_secret = false;
	enter(f, &one);
	enter(f, &two);
	assert_true(one.is_pending);
	assert_true(two.is_pending);
	assert_true(give(f, &two, GIFT));
	assert_false(give(f, &one, 0));
	assert_string_equal(grant_state_of(f, &one.session.user_id),
	    "already_claimed");
}

static void
a_gift_is_given_once_however_often_it_is_asked_for(void **state)
{
	const struct fixture *f = *state;
	struct device_entry entry = phone(1);

	enter(f, &entry);
	assert_true(give(f, &entry, GIFT));
	for (int i = 0; i < 3; i++)
		assert_false(give(f, &entry, GIFT));
	assert_null(problem_of(f, &entry.session.user_id));
}

static void
a_gift_of_nothing_uses_up_the_right_to_one(void **state)
{
	const struct fixture *f = *state;
	struct device_entry entry = phone(1);
	int64_t balance;
	bool given;

	enter(f, &entry);
	assert_int_equal(devices_grant(f->db, &entry, 0, &given, &balance), OK);
	assert_true(given);
	assert_int_equal(balance, 0);
	assert_false(give(f, &entry, 0));
}

static void
the_device_remembers_how_many_accounts_it_had(void **state)
{
	const struct fixture *f = *state;
	static const char sql[] = "SELECT accounts_count FROM devices"
				  " WHERE user_id = ?1";
	struct device_entry entry = phone(1);

	enter(f, &entry);
	assert_int_equal(number_of(f, sql, &entry.session.user_id), 1);
	enter(f, &entry);
	assert_int_equal(number_of(f, sql, &entry.session.user_id), 1);
	entry.is_secret = false;
	enter(f, &entry);
	assert_int_equal(number_of(f, sql, &entry.session.user_id), 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_new_phone_gets_a_guest_a_session_and_a_pending_gift),
		TEST(the_same_phone_comes_back_to_its_account),
		TEST(another_phone_gets_another_account),
		TEST(an_id_that_is_no_secret_opens_no_account_again),
		TEST(an_unverified_phone_may_begin_but_not_come_back),
		TEST(a_linked_account_is_not_entered_by_its_phone),
		TEST(a_deleted_account_is_not_entered_again),
		TEST(a_banned_account_turns_its_phone_away),
		TEST(
		    a_gift_that_is_pending_survives_a_crash_at_either_side_of_the_bit),
		TEST(a_phone_whose_bit_is_set_gets_no_second_gift),
		TEST(a_bit_that_somebody_else_set_is_not_taken_for_ours),
		TEST(two_guests_of_one_device_share_one_gift),
		TEST(a_gift_is_given_once_however_often_it_is_asked_for),
		TEST(a_gift_of_nothing_uses_up_the_right_to_one),
		TEST(the_device_remembers_how_many_accounts_it_had),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
