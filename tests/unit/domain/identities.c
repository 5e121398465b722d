/* SPDX-License-Identifier: MIT */
#include "domain/audit.h"
#include "domain/deletions.h"
#include "domain/identities.h"
#include "fixture.h"

/* Carol, who signs in with Apple; each token of hers is another. */
static struct identity
carol(uint8_t token)
{
	return (struct identity){
		.sub = "001.carol",
		.email = "carol@example.com",
		.is_single_use = true,
		.hash = { token },
		.expires_at_ms = NOW + MINUTE,
	};
}

static struct identity_entry
entry_of(const struct identity *identity, const struct uuid *user_id)
{
	return (struct identity_entry){
		.identity = identity,
		.user_id = user_id,
		.lang = LANG_ES,
		.now_ms = NOW,
	};
}

static struct account
account_of(const struct fixture *f, const struct uuid *user_id)
{
	struct account account;

	assert_int_equal(accounts_get(f->db, user_id, &account), OK);
	return account;
}

/* Carol's account, made by her token 1. */
static struct uuid
carols_account(const struct fixture *f)
{
	const struct identity identity = carol(1);
	struct identity_entry entry = entry_of(&identity, NULL);

	assert_int_equal(identities_sign_in(f->db, &entry), OK);
	assert_int_equal(entry.verdict, IDENTITY_OK);
	return entry.session.user_id;
}

static enum err
merge_into_carol(const struct fixture *f, const struct uuid *guest,
    uint8_t token)
{
	const struct identity identity = carol(token);
	struct identity_entry entry = entry_of(&identity, guest);

	return identities_merge(f->db, &entry);
}

static void
assert_clean(const struct fixture *f)
{
	static struct audit audit;

	assert_int_equal(audit_run(f->db, f->dir, NOW, false, &audit), OK);
	for (int n = 1; n <= AUDIT_INVARIANT_MAX; n++)
		if (audit.invariant[n].violations_count > 0)
			fail_msg("%d: %s", n,
			    audit.invariant[n].violation[0].problem);
}

/* A gift needs a device; here it is. */
static void
give_gift(const struct fixture *f, const struct uuid *user_id, int64_t credits)
{
	char sql[512];

	assert_int_equal(grant(f, user_id, credits), OK);
	(void)snprintf(sql, sizeof(sql),
	    "INSERT INTO devices (id_hash, user_id, granted_user_id,"
	    " created_at_ms, seen_at_ms)"
	    " VALUES (randomblob(32), %s, %s, 0, 0);"
	    "UPDATE users SET grant_state = 'granted' WHERE id = %s;",
	    literal_of(user_id).text, literal_of(user_id).text,
	    literal_of(user_id).text);
	assert_int_equal(db_script(f->db, sql), OK);
}

static void
an_unknown_identity_gets_an_account_without_a_gift(void **state)
{
	const struct fixture *f = *state;
	const struct uuid id = carols_account(f);
	const struct account account = account_of(f, &id);

	assert_false(account.is_guest);
	assert_string_equal(account.apple_sub, "001.carol");
	assert_string_equal(account.email, "carol@example.com");
	assert_string_equal(account.language, "es");
	assert_string_equal(account.grant_state, "withheld");
	assert_int_equal(account.credits_remaining, 0);
	assert_clean(f);
}

static void
a_token_is_taken_once(void **state)
{
	const struct fixture *f = *state;
	struct identity identity = carol(1);
	struct identity_entry entry = entry_of(&identity, NULL);

	(void)carols_account(f);
	assert_int_equal(identities_sign_in(f->db, &entry), OK);
	assert_int_equal(entry.verdict, IDENTITY_REPLAYED);
	identity.is_single_use = false;
	assert_int_equal(identities_sign_in(f->db, &entry), OK);
	assert_int_equal(entry.verdict, IDENTITY_OK);
	/* It is forgotten when it has expired by itself, and no sooner. */
	assert_int_equal(identities_purge(f->db, identity.expires_at_ms - 1,
			     10),
	    OK);
	assert_int_equal(number_of(f,
			     "SELECT COUNT(*) FROM used_identity_tokens", NULL),
	    1);
	assert_int_equal(identities_purge(f->db, identity.expires_at_ms, 10),
	    OK);
	assert_int_equal(number_of(f,
			     "SELECT COUNT(*) FROM used_identity_tokens", NULL),
	    0);
}

static void
a_guest_is_upgraded_in_place_and_keeps_its_id(void **state)
{
	const struct fixture *f = *state;
	const struct identity identity = carol(1);
	struct identity_entry entry = entry_of(&identity, &f->ada);

	give_gift(f, &f->ada, 10);
	assert_int_equal(identities_merge(f->db, &entry), OK);
	assert_true(uuid_equal(&entry.session.user_id, &f->ada));
	assert_false(entry.session.is_guest);
	assert_true(entry.session.is_oauth);
	assert_int_equal(balance_of(f, &f->ada), 10);
	/* Who is no guest is merged into nobody. */
	assert_int_equal(merge_into_carol(f, &f->ada, 2), ERR_CONFLICT);
	assert_clean(f);
}

static void
a_link_to_what_is_taken_leaves_the_token_unused(void **state)
{
	const struct fixture *f = *state;
	const struct identity identity = carol(2);
	struct identity_entry entry = entry_of(&identity, &f->ada);

	(void)carols_account(f);
	assert_int_equal(identities_link(f->db, &entry), OK);
	assert_int_equal(entry.verdict, IDENTITY_TAKEN);
	assert_true(account_of(f, &f->ada).is_guest);
	assert_int_equal(identities_merge(f->db, &entry), OK);
	assert_int_equal(entry.verdict, IDENTITY_OK);
}

static void
a_merge_moves_every_credit_and_both_chains_tell_it(void **state)
{
	const struct fixture *f = *state;
	const struct uuid owner = carols_account(f);
	struct account heir;

	give_gift(f, &f->ada, 10);
	assert_int_equal(adjust(f, &f->ada, 25), OK);
	assert_int_equal(adjust(f, &f->ada, -3), OK);
	assert_int_equal(adjust(f, &owner, 5), OK);
	assert_int_equal(merge_into_carol(f, &f->ada, 2), OK);
	assert_int_equal(balance_of(f, &owner), 37);
	assert_int_equal(balance_of(f, &f->ada), 0);
	assert_null(problem_of(f, &owner));
	assert_null(problem_of(f, &f->ada));
	heir = account_of(f, &owner);
	assert_int_equal(heir.credits_total, 37);
	assert_int_equal(account_of(f, &f->ada).status, ACCOUNT_DELETED);
	assert_int_equal(merge_into_carol(f, &f->ada, 3), ERR_CONFLICT);
	assert_clean(f);
}

static void
a_second_gift_is_lost_also_what_a_job_gives_back(void **state)
{
	const struct fixture *f = *state;
	const struct uuid owner = carols_account(f);
	struct uuid job;
	int64_t left;

	give_gift(f, &f->bob, 10);
	assert_int_equal(merge_into_carol(f, &f->bob, 2), OK);
	assert_int_equal(balance_of(f, &owner), 10);
	give_gift(f, &f->ada, 10);
	job = submit(f, "key");
	assert_int_equal(merge_into_carol(f, &f->ada, 3), OK);
	assert_int_equal(balance_of(f, &owner), 10);
	assert_clean(f);
	/* The hold ends on the heir, into the gift that has expired. */
	assert_int_equal(jobs_delete(f->db, &owner, &job, NOW), OK);
	assert_int_equal(balance_of(f, &owner), 10 + JOB_COST);
	assert_clean(f);
	assert_int_equal(credits_expire(f->db, NOW, 10), OK);
	assert_int_equal(credits_balance(f->db, &owner, &left), OK);
	assert_int_equal(left, 10);
	assert_clean(f);
}

static void
a_job_under_way_is_captured_on_the_heir(void **state)
{
	const struct fixture *f = *state;
	const struct uuid owner = carols_account(f);
	struct uuid job, attempt;

	assert_int_equal(adjust(f, &f->ada, 10), OK);
	attempt = storing_attempt(f, &job);
	assert_int_equal(merge_into_carol(f, &f->ada, 2), OK);
	assert_int_equal(tell_stored(f->db, &attempt, 7, sha256, NOW), OK);
	assert_int_equal(state_of(f, &job), JOB_COMPLETED);
	assert_int_equal(balance_of(f, &owner), 10 - JOB_COST);
	assert_null(problem_of(f, &owner));
	assert_null(problem_of(f, &f->ada));
}

static void
a_key_that_both_used_stays_the_heirs(void **state)
{
	const struct fixture *f = *state;
	const struct uuid owner = carols_account(f);
	struct job_receipt mine, receipt;
	struct job_order order;
	bool found;

	assert_int_equal(adjust(f, &f->ada, 10), OK);
	assert_int_equal(adjust(f, &owner, 10), OK);
	(void)submit(f, "both");
	(void)submit(f, "hers");
	order = order_of(f, &owner, "both");
	assert_int_equal(jobs_submit(f->db, &order, NOW, &mine), OK);
	assert_int_equal(merge_into_carol(f, &f->ada, 2), OK);
	assert_int_equal(jobs_look(f->db, &order, NOW, &found, &receipt), OK);
	assert_true(found);
	assert_true(uuid_equal(&receipt.job_id, &mine.job_id));
	order.key = STR("hers");
	assert_int_equal(jobs_look(f->db, &order, NOW, &found, &receipt), OK);
	assert_true(found);
	assert_clean(f);
}

static void
an_heir_that_is_merged_hands_its_tombstones_on(void **state)
{
	const struct fixture *f = *state;
	const struct uuid first = carols_account(f);
	const struct identity gone = carol(9);
	struct uuid second;

	assert_int_equal(adjust(f, &f->ada, 10), OK);
	(void)submit(f, "key");
	assert_int_equal(merge_into_carol(f, &f->ada, 2), OK);
	assert_int_equal(identities_notify(f->db, &gone, IDENTITY_GONE, NOW),
	    OK);
	assert_true(account_of(f, &first).is_guest);
	second = f->bob;
	assert_int_equal(merge_into_carol(f, &second, 3), OK);
	assert_int_equal(merge_into_carol(f, &first, 4), OK);
	assert_int_equal(balance_of(f, &second), 10 - JOB_COST);
	assert_int_equal(number_of(f,
			     "SELECT COUNT(*) FROM users"
			     " WHERE merged_into_id = ?1",
			     &second),
	    2);
	assert_clean(f);
}

static void
news_are_taken_note_of_once(void **state)
{
	const struct fixture *f = *state;
	const struct uuid owner = carols_account(f);
	struct identity news = carol(7);
	struct identity_consent consent = { .client_id = "app",
		.sealed = { 1, 2, 3 },
		.sealed_bytes = 3 };

	assert_int_equal(identities_keep_consent(f->db, &owner, &consent, NOW),
	    OK);
	news.email = "";
	assert_int_equal(identities_notify(f->db, &news, IDENTITY_EMAIL, NOW),
	    OK);
	assert_string_equal(account_of(f, &owner).email, "");
	/* The same again says nothing, whatever it says. */
	assert_int_equal(identities_notify(f->db, &news, IDENTITY_GONE, NOW),
	    OK);
	assert_string_equal(account_of(f, &owner).apple_sub, "001.carol");
	assert_int_equal(identities_get_consent(f->db, &owner, &consent), OK);
	news.hash[0] = 8;
	assert_int_equal(identities_notify(f->db, &news, IDENTITY_SIGNED_OUT,
			     NOW),
	    OK);
	assert_int_equal(number_of(f,
			     "SELECT COUNT(*) FROM sessions"
			     " WHERE user_id = ?1",
			     &owner),
	    0);
	assert_int_equal(identities_get_consent(f->db, &owner, &consent),
	    ERR_NOT_FOUND);
	assert_string_equal(account_of(f, &owner).apple_sub, "001.carol");
}

static void
a_consent_is_kept_only_of_who_has_an_identity(void **state)
{
	const struct fixture *f = *state;
	const struct uuid owner = carols_account(f);
	struct identity_consent read,
	    consent = { .client_id = "app",
		    .sealed_bytes = IDENTITY_SEALED_BYTES_MAX };

	memset(consent.sealed, 5, sizeof(consent.sealed));
	assert_int_equal(identities_keep_consent(f->db, &f->ada, &consent, NOW),
	    OK);
	assert_int_equal(identities_get_consent(f->db, &f->ada, &read),
	    ERR_NOT_FOUND);
	assert_int_equal(identities_keep_consent(f->db, &owner, &consent, NOW),
	    OK);
	assert_int_equal(identities_get_consent(f->db, &owner, &read), OK);
	assert_string_equal(read.client_id, "app");
	assert_int_equal(read.sealed_bytes, IDENTITY_SEALED_BYTES_MAX);
	assert_memory_equal(read.sealed, consent.sealed,
	    IDENTITY_SEALED_BYTES_MAX);
}

/* The account was deleted while Apple was asked for it. */
static void
a_consent_that_came_too_late_is_taken_back(void **state)
{
	const struct fixture *f = *state;
	const struct uuid owner = carols_account(f);
	const struct identity_consent consent = { .client_id = "app",
		.sealed_bytes = 100 };
	struct deletion_step steps[8];
	size_t count = 0;

	assert_int_equal(deletions_begin(f->db, &owner, NOW), OK);
	assert_int_equal(deletions_due(f->db, NOW, steps, 8, &count), OK);
	assert_int_equal(count, 2);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(identities_keep_consent(f->db, &owner,
				     &consent, NOW),
		    OK);
		assert_int_equal(deletions_due(f->db, NOW, steps, 8, &count),
		    OK);
		assert_int_equal(count, 3);
		for (size_t j = 0; j < count; j++)
			if (strcmp(steps[j].name, "apple") == 0)
				assert_int_equal(deletions_consent_gone(f->db,
						     &steps[j], NOW),
				    OK);
		assert_int_equal(number_of(f,
				     "SELECT COUNT(*) FROM apple_tokens", NULL),
		    0);
	}
	assert_clean(f);
}

static void
a_suspended_account_takes_nobody_in(void **state)
{
	const struct fixture *f = *state;
	const struct uuid owner = carols_account(f);
	const struct identity identity = carol(2);
	struct identity_entry entry = entry_of(&identity, NULL);

	assert_int_equal(accounts_set_banned(f->db, &owner, true, NOW), OK);
	assert_int_equal(identities_sign_in(f->db, &entry), ERR_USER_BANNED);
	assert_int_equal(merge_into_carol(f, &f->ada, 2), ERR_USER_BANNED);
	assert_int_equal(account_of(f, &f->ada).status, ACCOUNT_ACTIVE);
	/* What was refused is as if it had not been. */
	assert_int_equal(accounts_set_banned(f->db, &owner, false, NOW), OK);
	assert_int_equal(merge_into_carol(f, &f->ada, 2), OK);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_unknown_identity_gets_an_account_without_a_gift),
		TEST(a_token_is_taken_once),
		TEST(a_guest_is_upgraded_in_place_and_keeps_its_id),
		TEST(a_link_to_what_is_taken_leaves_the_token_unused),
		TEST(a_merge_moves_every_credit_and_both_chains_tell_it),
		TEST(a_second_gift_is_lost_also_what_a_job_gives_back),
		TEST(a_job_under_way_is_captured_on_the_heir),
		TEST(a_key_that_both_used_stays_the_heirs),
		TEST(an_heir_that_is_merged_hands_its_tombstones_on),
		TEST(news_are_taken_note_of_once),
		TEST(a_consent_is_kept_only_of_who_has_an_identity),
		TEST(a_consent_that_came_too_late_is_taken_back),
		TEST(a_suspended_account_takes_nobody_in),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
