/* SPDX-License-Identifier: MIT */
#include "fixture.h"

static const struct uuid nobody = { { 0xff } };

static void
a_guest_has_nothing_and_waits_for_its_gift(void **state)
{
	const struct fixture *f = *state;
	struct account account;

	assert_int_equal(accounts_get(f->db, &f->bob, &account), OK);
	assert_true(uuid_equal(&account.id, &f->bob));
	assert_int_equal(account.status, ACCOUNT_ACTIVE);
	assert_true(account.is_guest);
	assert_false(account.is_premium);
	assert_string_equal(account.email, "");
	assert_string_equal(account.apple_sub, "");
	assert_string_equal(account.language, "tr");
	assert_string_equal(account.theme_preference, "system");
	assert_string_equal(account.grant_state, "pending");
	assert_int_equal(account.credits_remaining, 0);
	assert_int_equal(account.credits_total, 0);
	assert_int_equal(account.created_at_ms, NOW);
	assert_int_equal(account.updated_at_ms, NOW);
}

static void
what_the_app_names_in_a_purchase_does_not_tell_the_user(void **state)
{
	const struct fixture *f = *state;
	struct account ada, bob;

	assert_int_equal(accounts_get(f->db, &f->ada, &ada), OK);
	assert_int_equal(accounts_get(f->db, &f->bob, &bob), OK);
	assert_false(uuid_equal(&ada.app_account_token, &ada.id));
	assert_false(
	    uuid_equal(&ada.app_account_token, &bob.app_account_token));
	assert_int_equal(uuid_version(&ada.id), 4);
	assert_int_equal(uuid_version(&ada.app_account_token), 4);
}

static void
who_is_not_there_is_not_found_and_nothing_is_written(void **state)
{
	const struct fixture *f = *state;
	struct account account = { .credits_total = 77 };

	assert_int_equal(accounts_get(f->db, &nobody, &account),
	    ERR_USER_NOT_FOUND);
	assert_int_equal(account.credits_total, 77);
	assert_int_equal(accounts_set_banned(f->db, &nobody, true, NOW),
	    ERR_USER_NOT_FOUND);
}

static void
a_ban_can_be_lifted_and_repeated(void **state)
{
	const struct fixture *f = *state;
	static const bool bans[] = { true, true, false, false, true };
	struct account account;

	for (size_t i = 0; i < COUNT_OF(bans); i++) {
		assert_int_equal(accounts_set_banned(f->db, &f->ada, bans[i],
				     NOW + 5),
		    OK);
		assert_int_equal(accounts_get(f->db, &f->ada, &account), OK);
		assert_int_equal(account.status,
		    bans[i] ? ACCOUNT_BANNED : ACCOUNT_ACTIVE);
		assert_int_equal(account.updated_at_ms, NOW + 5);
	}
	assert_int_equal(accounts_get(f->db, &f->bob, &account), OK);
	assert_int_equal(account.status, ACCOUNT_ACTIVE);
}

static void
a_deleted_account_cannot_be_brought_back_by_lifting_a_ban(void **state)
{
	const struct fixture *f = *state;
	struct account account;

	damage(f, "UPDATE users SET status = 'deleted' WHERE id = %s",
	    literal_of(&f->ada).text);
	assert_int_equal(accounts_set_banned(f->db, &f->ada, false, NOW),
	    ERR_USER_NOT_FOUND);
	assert_int_equal(accounts_get(f->db, &f->ada, &account), OK);
	assert_int_equal(account.status, ACCOUNT_DELETED);
}

static void
a_setting_that_is_not_given_stays_as_it_is(void **state)
{
	const struct fixture *f = *state;
	const struct account_settings language = { "es", "" };
	const struct account_settings theme = { "", "dark" };
	struct account account;

	assert_int_equal(accounts_change_settings(f->db, &f->ada, &language,
			     NOW + 1, &account),
	    OK);
	assert_string_equal(account.language, "es");
	assert_string_equal(account.theme_preference, "system");
	assert_int_equal(accounts_change_settings(f->db, &f->ada, &theme,
			     NOW + 2, &account),
	    OK);
	assert_string_equal(account.language, "es");
	assert_string_equal(account.theme_preference, "dark");
	assert_int_equal(account.updated_at_ms, NOW + 2);
	assert_int_equal(accounts_set_banned(f->db, &f->ada, true, NOW), OK);
	assert_int_equal(accounts_change_settings(f->db, &f->ada, &theme, NOW,
			     &account),
	    ERR_UNAUTHORIZED);
}

static void
settings_have_few_values(void **state)
{
	(void)state;
	assert_true(accounts_language_ok(STR("tr")));
	assert_false(accounts_language_ok(STR("de")));
	assert_true(accounts_theme_preference_ok(STR("system")));
	assert_true(accounts_theme_preference_ok(STR("light")));
	assert_true(accounts_theme_preference_ok(STR("dark")));
	assert_false(accounts_theme_preference_ok(STR("blue")));
}

static void
metadata_is_changed_by_who_has_read_it(void **state)
{
	const struct fixture *f = *state;
	struct account account;

	assert_int_equal(accounts_get(f->db, &f->ada, &account), OK);
	assert_int_equal(accounts_set_metadata(f->db, &account,
			     STR("{\"a\":1}"), NOW),
	    OK);
	/* What was read is not there any more. */
	assert_int_equal(accounts_set_metadata(f->db, &account, STR("{}"), NOW),
	    ERR_CONFLICT);
	assert_int_equal(accounts_get(f->db, &f->ada, &account), OK);
	assert_string_equal(account.user_metadata, "{\"a\":1}");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_guest_has_nothing_and_waits_for_its_gift),
		TEST(what_the_app_names_in_a_purchase_does_not_tell_the_user),
		TEST(who_is_not_there_is_not_found_and_nothing_is_written),
		TEST(a_ban_can_be_lifted_and_repeated),
		TEST(a_deleted_account_cannot_be_brought_back_by_lifting_a_ban),
		TEST(a_setting_that_is_not_given_stays_as_it_is),
		TEST(settings_have_few_values),
		TEST(metadata_is_changed_by_who_has_read_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
