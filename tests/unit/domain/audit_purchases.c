/* SPDX-License-Identifier: MIT */
#include "purchases.h"

/* The audit finds this. */
static void
expect(const struct fixture *f, int number, const char *problem)
{
	static struct audit audit;
	const struct audit_finding *finding = &audit.invariant[number];
	bool found = false;

	assert_int_equal(audit_run(f->db, f->dir, NOW, true, &audit), OK);
	for (int64_t i = 0;
	     i < finding->violations_count && i < AUDIT_REPORTED_MAX; i++)
		found = found ||
		    strcmp(finding->violation[i].problem, problem) == 0;
	if (!found)
		fail_msg("not found: %s", problem);
}

/* Ada has bought twice; one is refunded, with a debt of 10. */
static void
buy_and_refund(const struct fixture *f)
{
	const struct purchase_fact fact = fact_of("1000", STARTER);
	const struct purchase_fact other = fact_of("1001", POPULAR);
	const struct purchase_fact refund = later(fact, PURCHASE_WHOLE, 1);
	struct uuid job;

	assert_int_equal(posted(f, &f->ada, &fact), 25);
	job = job_for(f, &f->ada, "key", 10);
	end(f, &f->ada, &job, true);
	assert_true(noted(f, &refund));
	assert_int_equal(posted(f, &f->bob, &other), 60);
	assert_audit_clean(f);
}

static const struct {
	int number;
	const char *problem;
	const char *damage;
} damages[] = {
	{ 1, "the debt is not what lots owe and have not been paid",
	    "UPDATE users SET debt_credits = 9 WHERE debt_credits = 10" },
	{ 1, "there are credits beside a debt",
	    "UPDATE users SET debt_credits = 1 WHERE credits_remaining = 60" },
	{ 2, "more is left in the lot than its holds allow",
	    "UPDATE credit_lots SET owed_credits = 9 WHERE owed_credits = 10" },
	{ 4, "the purchase was not credited exactly once",
	    "UPDATE ledger_entries SET kind = 'adjustment'"
	    " WHERE kind = 'purchase' AND amount_credits = 60" },
	{ 4, "the purchase was not credited exactly once",
	    "UPDATE purchases SET credits = 61 WHERE credits = 60" },
	{ 4, "the purchase waits but was credited",
	    "UPDATE purchases SET waits_for = 'cap', credits = 0,"
	    " credited_at_ms = NULL WHERE credits = 60" },
	{ 4, "the purchase's credits are another's",
	    "UPDATE purchases SET user_id = (SELECT user_id FROM purchases"
	    " WHERE credits = 25) WHERE credits = 60" },
	{ 4, "not as much was taken back as was refunded",
	    "UPDATE purchases SET refund_millipercent = 50000"
	    " WHERE credits = 60" },
	{ 4, "the refund is not in the ledger exactly once",
	    "UPDATE credit_lots SET refunded_credits = 24"
	    " WHERE refunded_credits = 25" },
	{ 4, "the refund is not in the ledger exactly once",
	    "UPDATE ledger_entries SET kind = 'adjustment'"
	    " WHERE kind = 'refund'" },
	{ 4, "the ledger tells of a purchase that is not there",
	    "UPDATE credit_lots SET purchase_id = NULL WHERE credits = 60" },
	{ 4, "the user is premium without a subscription, or has one in vain",
	    "UPDATE users SET tier = 'premium' WHERE debt_credits = 10" },
	{ 10, "the account was merged but still owns purchases or owes",
	    "UPDATE users SET status = 'deleted', merged_into_id ="
	    " (SELECT id FROM users WHERE debt_credits = 10)"
	    " WHERE credits_remaining = 60" },
	{ 11, "the deleted account still consents or asks",
	    "INSERT INTO consents SELECT id, 1, 1, 'x', 1 FROM users;"
	    "UPDATE users SET status = 'deleted'" },
};

static void
what_is_wrong_with_purchases_is_found(void **state)
{
	for (size_t i = 0; i < COUNT_OF(damages); i++) {
		const struct fixture *f;

		if (i > 0) {
			assert_int_equal(tear_down(state), 0);
			assert_int_equal(set_up(state), 0);
		}
		f = *state;
		buy_and_refund(f);
		damage(f, "%s", damages[i].damage);
		expect(f, damages[i].number, damages[i].problem);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(what_is_wrong_with_purchases_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
