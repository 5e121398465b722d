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
		.limits = { 5, 5, 5 },
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
give(const struct fixture *f, struct device_entry *entry,
    int64_t expected_balance)
{
	assert_int_equal(devices_grant(f->db, entry, GIFT), OK);
	assert_int_equal(entry->credits_remaining, expected_balance);
	assert_int_equal(balance_of(f, &entry->session.user_id),
	    expected_balance);
	return entry->gift == GIFT_GRANTED;
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
	assert_int_equal(entry.gift, GIFT_PENDING);
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
	assert_int_equal(again.gift, GIFT_ALREADY_CLAIMED);
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
	assert_int_equal(again.gift, GIFT_ALREADY_CLAIMED);
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
	assert_int_equal(again.gift, GIFT_ALREADY_CLAIMED);
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
	assert_int_equal(before.gift, GIFT_PENDING);
	/* Died after it: the bit was set for this gift. */
	after.had_gift = true;
	enter(f, &after);
	assert_int_equal(after.gift, GIFT_PENDING);
	assert_true(give(f, &after, GIFT));
	assert_false(give(f, &first, GIFT));
	enter(f, &after);
	assert_int_equal(after.gift, GIFT_ALREADY_CLAIMED);
}

static void
a_phone_whose_bit_is_set_gets_no_second_gift(void **state)
{
	const struct fixture *f = *state;
	struct device_entry entry = phone(1);

	entry.had_gift = true;
	enter(f, &entry);
	assert_true(entry.is_new);
	assert_int_equal(entry.gift, GIFT_ALREADY_CLAIMED);
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
	assert_int_equal(away.gift, GIFT_PENDING);
	away.is_verified = away.had_gift = true;
	enter(f, &away);
	assert_int_equal(away.gift, GIFT_ALREADY_CLAIMED);

	/* Apple was asked to set it, and certainly did not. */
	enter(f, &failed);
	assert_int_equal(failed.gift, GIFT_PENDING);
	assert_int_equal(devices_unmark(f->db, &failed), OK);
	failed.had_gift = true;
	enter(f, &failed);
	assert_int_equal(failed.gift, GIFT_ALREADY_CLAIMED);
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
	assert_int_equal(one.gift, GIFT_PENDING);
	assert_int_equal(two.gift, GIFT_PENDING);
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

	enter(f, &entry);
	assert_int_equal(devices_grant(f->db, &entry, 0), OK);
	assert_int_equal(entry.gift, GIFT_GRANTED);
	assert_int_equal(entry.credits_remaining, 0);
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

static void
only_who_saw_the_bit_clear_is_told_to_set_it(void **state)
{
	const struct fixture *f = *state;
	struct device_entry clear = phone(1), set = phone(2), away = phone(3);

	enter(f, &clear);
	assert_true(clear.must_set_bit);
	set.had_gift = true;
	enter(f, &set);
	assert_false(set.must_set_bit);
	away.is_verified = false;
	enter(f, &away);
	assert_false(away.must_set_bit);
	/* Once marked, the bit may be set already. */
	clear.had_gift = true;
	enter(f, &clear);
	assert_int_equal(clear.gift, GIFT_PENDING);
	assert_false(clear.must_set_bit);
}

static void
the_guest_that_replaces_another_has_the_gift_to_come(void **state)
{
	const struct fixture *f = *state;
	struct device_entry one = phone(1), two = phone(1);
	int64_t pending;

	one.is_secret = two.is_secret = false;
	enter(f, &one);
	enter(f, &two);
	assert_string_equal(grant_state_of(f, &one.session.user_id),
	    "already_claimed");
	assert_string_equal(grant_state_of(f, &two.session.user_id), "pending");
	/* Of the two guests of the fixture nobody has decided either. */
	assert_int_equal(devices_pending_count(f->db, &pending), OK);
	assert_int_equal(pending, 3);
}

static void
a_device_that_opened_too_many_accounts_gets_no_gift(void **state)
{
	const struct fixture *f = *state;
	struct device_entry entry;

	for (int i = 0; i < 3; i++) {
		entry = phone(1);
		entry.is_secret = false;
		entry.limits.accounts_max = 2;
		enter(f, &entry);
		assert_int_equal(entry.gift,
		    i < 2 ? GIFT_PENDING : GIFT_WITHHELD);
		assert_int_equal(entry.must_set_bit, i < 2);
	}
	assert_string_equal(grant_state_of(f, &entry.session.user_id),
	    "withheld");
	assert_false(give(f, &entry, 0));
	/* A secret id finds its account as it was. */
	entry.is_secret = true;
	entry.limits.accounts_max = 100;
	enter(f, &entry);
	assert_false(entry.is_new);
	assert_int_equal(entry.gift, GIFT_WITHHELD);
}

static void
a_device_that_is_suspect_gets_no_gift(void **state)
{
	static const char *const signals[] = { "rejections_count",
		"bit_changes_count" };
	const struct fixture *f = *state;
	struct device_entry entry;

	for (uint8_t i = 0; i < COUNT_OF(signals); i++) {
		for (int n = 4; n <= 6; n++) {
			const uint8_t number = (uint8_t)(10 * (i + 1) + n);

			entry = phone(number);
			entry.must_wait = true;
			enter(f, &entry);
			assert_int_equal(entry.gift, GIFT_PENDING);
			damage(f,
			    "UPDATE devices SET %s = %d WHERE user_id = %s",
			    signals[i], n,
			    literal_of(&entry.session.user_id).text);
			entry = phone(number);
			enter(f, &entry);
			assert_int_equal(entry.gift,
			    n <= 5 ? GIFT_PENDING : GIFT_WITHHELD);
			assert_int_equal(entry.must_set_bit, n <= 5);
		}
	}
	assert_string_equal(grant_state_of(f, &entry.session.user_id),
	    "withheld");
}

static void
a_gift_is_not_given_to_who_was_deleted_or_banned_meanwhile(void **state)
{
	static const char *const status[] = { "deleted", "banned" };
	const struct fixture *f = *state;

	for (uint8_t i = 0; i < COUNT_OF(status); i++) {
		struct device_entry entry = phone(i);

		enter(f, &entry);
		damage(f, "UPDATE users SET status = '%s' WHERE id = %s",
		    status[i], literal_of(&entry.session.user_id).text);
		assert_false(give(f, &entry, 0));
	}
}

static void
what_is_strange_about_a_device_is_counted(void **state)
{
	static const char changes_sql[] =
	    "SELECT bit_changes_count FROM devices WHERE user_id = ?1";
	static const char rejections_sql[] =
	    "SELECT rejections_count FROM devices WHERE user_id = ?1";
	const struct fixture *f = *state;
	struct device_entry entry = phone(1);
	const struct device_entry stranger = phone(9);
	const struct uuid *user_id = &entry.session.user_id;

	enter(f, &entry);
	assert_true(give(f, &entry, GIFT));
	entry.had_gift = true;
	enter(f, &entry);
	assert_int_equal(number_of(f, changes_sql, user_id), 0);
	entry.had_gift = false;
	enter(f, &entry);
	enter(f, &entry);
	assert_int_equal(number_of(f, changes_sql, user_id), 1);

	for (int i = 0; i < 2; i++)
		assert_int_equal(devices_note_rejection(f->db, entry.id_hash,
				     NOW),
		    OK);
	assert_int_equal(devices_note_rejection(f->db, stranger.id_hash, NOW),
	    OK);
	assert_int_equal(number_of(f, rejections_sql, user_id), 2);
	assert_int_equal(number_of(f, "SELECT COUNT(*) FROM devices", NULL), 1);
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
		TEST(only_who_saw_the_bit_clear_is_told_to_set_it),
		TEST(the_guest_that_replaces_another_has_the_gift_to_come),
		TEST(a_device_that_opened_too_many_accounts_gets_no_gift),
		TEST(a_device_that_is_suspect_gets_no_gift),
		TEST(
		    a_gift_is_not_given_to_who_was_deleted_or_banned_meanwhile),
		TEST(what_is_strange_about_a_device_is_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
