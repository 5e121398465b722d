/* SPDX-License-Identifier: MIT */
#include "purchases.h"

/* A period of thirty days, the n-th of the subscription 5000. */
static struct purchase_fact
period(int64_t n)
{
	char id[PURCHASE_ID_BYTES];
	struct purchase_fact fact;

	(void)snprintf(id, sizeof(id), "%lld", (long long)(5000 + n));
	fact = fact_of(id, MONTHLY);
	fact.kind = PURCHASE_SUBSCRIPTION;
	(void)str_copy(STR("5000"), fact.original_transaction_id,
	    sizeof(fact.original_transaction_id));
	fact.purchased_at_ms += n * 30 * DAY;
	fact.signed_at_ms += n * 30 * DAY;
	fact.expires_at_ms = fact.purchased_at_ms + 30 * DAY;
	return fact;
}

static void
sell_monthly(const struct fixture *f, int64_t credits)
{
	damage(f, "INSERT INTO subscription_products VALUES ('%s', %lld)",
	    MONTHLY, (long long)credits);
}

static bool
is_premium(const struct fixture *f, const struct uuid *user_id)
{
	struct account account;

	assert_int_equal(accounts_get(f->db, user_id, &account), OK);
	return account.is_premium;
}

static bool
noted_at(const struct fixture *f, const struct purchase_fact *fact,
    int64_t now_ms)
{
	bool is_new = false;

	assert_int_equal(purchases_repair(f->db, fact, &policy, now_ms,
			     &is_new),
	    OK);
	return is_new;
}

struct renewing {
	struct renewal_fact fact;
	int64_t now_ms;
};

static enum err
renew_it(struct db *db, void *arg)
{
	const struct renewing *r = arg;

	return subscriptions_renew(db, &r->fact, r->now_ms);
}

static void
renewed(const struct fixture *f, int64_t signed_at_ms, int64_t grace_until_ms,
    int64_t now_ms)
{
	struct renewing r = { .fact = { .original_transaction_id = "5000",
				  .product_id = MONTHLY,
				  .signed_at_ms = signed_at_ms,
				  .grace_until_ms = grace_until_ms },
		.now_ms = now_ms };

	assert_int_equal(db_transaction(f->db, renew_it, &r), OK);
}

static void
it_lasts_until_its_last_period_ends(void **state)
{
	const struct fixture *f = *state;
	const struct purchase_fact first = period(0), second = period(1);

	sell_monthly(f, 0);
	assert_int_equal(posted(f, &f->ada, &first), 0);
	assert_true(is_premium(f, &f->ada));
	assert_int_equal(subscriptions_end(f->db, NOW + 30 * DAY - 1, 9), OK);
	assert_true(is_premium(f, &f->ada));
	assert_int_equal(subscriptions_end(f->db, NOW + 30 * DAY, 9), OK);
	assert_false(is_premium(f, &f->ada));
	assert_true(noted_at(f, &second, NOW + 30 * DAY + 1));
	assert_true(is_premium(f, &f->ada));
	/* The renewal followed its owner, and brought nothing by itself. */
	assert_int_equal(balance_of(f, &f->ada), 0);
	assert_audit_clean(f);
}

static void
a_renewal_heard_of_before_its_beginning_finds_its_owner(void **state)
{
	const struct fixture *f = *state;
	const struct purchase_fact first = period(0), second = period(1);
	int64_t credited;

	sell_monthly(f, 40);
	assert_true(noted_at(f, &second, NOW));
	assert_false(is_premium(f, &f->ada));
	assert_int_equal(posted(f, &f->ada, &first), 40);
	credited = 0;
	assert_int_equal(retry_waiting(f, NOW, &credited), OK);
	assert_int_equal(credited, 1);
	assert_int_equal(balance_of(f, &f->ada), 80);
	assert_true(is_premium(f, &f->ada));
	assert_audit_clean(f);
}

static void
anothers_subscription_cannot_be_claimed(void **state)
{
	const struct fixture *f = *state;
	const struct purchase_fact first = period(0), second = period(1);
	struct purchase_receipt receipt;

	sell_monthly(f, 40);
	assert_int_equal(posted(f, &f->ada, &first), 40);
	assert_int_equal(post_by(f, &f->bob, &second, &receipt),
	    ERR_PURCHASE_BELONGS_TO_OTHER_ACCOUNT);
	assert_int_equal(balance_of(f, &f->ada), 80);
	assert_false(is_premium(f, &f->bob));
	assert_audit_clean(f);
}

static void
grace_keeps_access_and_its_end_takes_it(void **state)
{
	const struct fixture *f = *state;
	const struct purchase_fact first = period(0);
	const int64_t end_ms = first.expires_at_ms;

	sell_monthly(f, 0);
	assert_int_equal(posted(f, &f->ada, &first), 0);
	renewed(f, NOW + 2, end_ms + 6 * DAY, NOW);
	assert_int_equal(subscriptions_end(f->db, end_ms + 6 * DAY - 1, 9), OK);
	assert_true(is_premium(f, &f->ada));
	/* What was signed before that says nothing any more. */
	renewed(f, NOW + 1, 0, end_ms + DAY);
	assert_true(is_premium(f, &f->ada));
	renewed(f, NOW + 3, 0, end_ms + DAY);
	assert_false(is_premium(f, &f->ada));
	assert_audit_clean(f);
}

static void
refund_upgrade_and_extension_move_its_end(void **state)
{
	const struct fixture *f = *state;
	struct purchase_fact fact = period(0);
	const struct purchase_fact refund = later(fact, PURCHASE_WHOLE, 1);
	const struct purchase_fact reversal = later(fact, 0, 2);

	sell_monthly(f, 40);
	assert_int_equal(posted(f, &f->ada, &fact), 40);
	renewed(f, NOW + 1, NOW + 90 * DAY, NOW);
	assert_true(noted(f, &refund));
	/* There is no grace for what was paid back. */
	assert_false(is_premium(f, &f->ada));
	assert_int_equal(balance_of(f, &f->ada), 0);
	assert_true(noted(f, &reversal));
	assert_true(is_premium(f, &f->ada));
	assert_int_equal(balance_of(f, &f->ada), 40);
	fact = reversal;
	fact.signed_at_ms++;
	fact.is_upgraded = true;
	assert_true(noted(f, &fact));
	assert_false(is_premium(f, &f->ada));
	fact.signed_at_ms++;
	fact.is_upgraded = false;
	fact.expires_at_ms += 5 * DAY;
	assert_true(noted(f, &fact));
	assert_true(is_premium(f, &f->ada));
	/* Its credits last as long. */
	assert_int_equal(number_of(f, "SELECT expires_at_ms FROM credit_lots",
			     NULL),
	    fact.expires_at_ms);
	assert_audit_clean(f);
}

static void
credits_of_a_period_end_with_it(void **state)
{
	const struct fixture *f = *state;
	const struct purchase_fact fact = period(0);

	sell_monthly(f, 40);
	assert_int_equal(posted(f, &f->ada, &fact), 40);
	assert_int_equal(credits_expire(f->db, fact.expires_at_ms - 1, 9), OK);
	assert_int_equal(balance_of(f, &f->ada), 40);
	assert_int_equal(credits_expire(f->db, fact.expires_at_ms, 9), OK);
	assert_int_equal(balance_of(f, &f->ada), 0);
	assert_null(problem_of(f, &f->ada));
}

static void
what_expired_unused_is_no_debt_when_it_is_refunded(void **state)
{
	const struct fixture *f = *state;
	const struct purchase_fact fact = period(0);
	const struct purchase_fact part = later(fact, 75000, 1);
	const struct purchase_fact whole = later(fact, PURCHASE_WHOLE, 2);
	const struct purchase_fact reversal = later(fact, 0, 3);
	const struct purchase_fact again = later(fact, PURCHASE_WHOLE, 4);
	struct uuid job_id;

	sell_monthly(f, 40);
	assert_int_equal(posted(f, &f->ada, &fact), 40);
	job_id = job_for(f, &f->ada, "key", 10);
	end(f, &f->ada, &job_id, true);
	assert_int_equal(credits_expire(f->db, fact.expires_at_ms, 9), OK);
	assert_true(noted(f, &part));
	assert_int_equal(debt_of(f, &f->ada), 0);
	/* Ten were spent, and thirty were not. */
	assert_true(noted(f, &whole));
	assert_int_equal(debt_of(f, &f->ada), 10);
	assert_true(noted(f, &reversal));
	assert_int_equal(debt_of(f, &f->ada), 0);
	assert_int_equal(credits_expire(f->db, fact.expires_at_ms, 9), OK);
	assert_int_equal(balance_of(f, &f->ada), 0);
	assert_true(noted(f, &again));
	assert_int_equal(debt_of(f, &f->ada), 10);
	assert_int_equal(balance_of(f, &f->ada), 0);
	assert_audit_clean(f);
}

static void
what_a_merge_dropped_is_no_debt_when_it_is_refunded(void **state)
{
	const struct fixture *f = *state;
	/* Its period ends now. */
	const struct purchase_fact fact = period(-1);
	const struct purchase_fact refund = later(fact, PURCHASE_WHOLE, 1);

	sell_monthly(f, 40);
	assert_int_equal(posted(f, &f->ada, &fact), 40);
	merge(f, &f->ada, &f->bob);
	assert_int_equal(balance_of(f, &f->bob), 0);
	assert_true(noted(f, &refund));
	assert_int_equal(debt_of(f, &f->bob), 0);
	assert_audit_clean(f);
}

static void
count_overdue(void *arg, const char *wanted, int64_t count, int64_t first_at_ms)
{
	(void)wanted, (void)first_at_ms;
	*(int64_t *)arg += count;
}

static void
a_deleted_accounts_renewals_wait_and_nobody_can_claim_them(void **state)
{
	const struct fixture *f = *state;
	const struct purchase_fact first = period(0), second = period(1);
	struct purchase_fact third = period(2);
	struct purchase_receipt receipt;
	int64_t waiting = 0, overdue = 0;

	third.has_account_token = true;
	third.account_token = token_of(f, &f->bob);
	sell_monthly(f, 40);
	assert_int_equal(posted(f, &f->ada, &first), 40);
	damage(f, "UPDATE users SET status = 'deleted' WHERE id = %s",
	    literal_of(&f->ada).text);
	assert_true(noted(f, &second));
	assert_int_equal(balance_of(f, &f->ada), 40);
	assert_int_equal(post_by(f, &f->bob, &second, &receipt),
	    ERR_PURCHASE_BELONGS_TO_OTHER_ACCOUNT);
	/* Its periods stay together, whomever one of them names. */
	assert_int_equal(post_by(f, &f->bob, &third, &receipt),
	    ERR_PURCHASE_BELONGS_TO_OTHER_ACCOUNT);
	assert_int_equal(balance_of(f, &f->ada), 40);
	assert_int_equal(balance_of(f, &f->bob), 0);
	assert_int_equal(purchases_waiting_count(f->db, &waiting), OK);
	assert_int_equal(waiting, 2);
	/* Nor can the operator do anything about them. */
	assert_int_equal(purchases_overdue(f->db, NOW + DAY, count_overdue,
			     &overdue),
	    OK);
	assert_int_equal(overdue, 0);
	assert_int_equal(number_of(f,
			     "SELECT COUNT(*) FROM purchases p"
			     " JOIN subscriptions s"
			     " ON s.original_transaction_id ="
			     "  p.original_transaction_id"
			     " WHERE p.user_id IS NOT NULL"
			     " AND p.user_id <> s.user_id",
			     NULL),
	    0);
	assert_null(problem_of(f, &f->ada));
}

static void
an_upgrade_ends_the_credits_of_the_period_it_replaces(void **state)
{
	const struct fixture *f = *state;
	struct purchase_fact fact = period(0);
	const struct purchase_fact before = fact;
	struct uuid job_id;

	sell_monthly(f, 40);
	assert_int_equal(posted(f, &f->ada, &fact), 40);
	job_id = job_for(f, &f->ada, "key", 10);
	fact.is_upgraded = true;
	fact.signed_at_ms++;
	assert_true(noted(f, &fact));
	/* Heard of late, what was said before changes nothing. */
	assert_false(noted(f, &before));
	assert_int_equal(hold(f, &f->ada, &f->bob, 1),
	    ERR_INSUFFICIENT_CREDITS);
	assert_int_equal(credits_expire(f->db, NOW, 9), OK);
	assert_int_equal(balance_of(f, &f->ada), 0);
	/* What a job gives back ends, too. */
	end(f, &f->ada, &job_id, false);
	assert_int_equal(credits_expire(f->db, NOW, 9), OK);
	assert_int_equal(balance_of(f, &f->ada), 0);
	assert_audit_clean(f);
}

static void
it_goes_along_with_a_merge(void **state)
{
	const struct fixture *f = *state;
	const struct purchase_fact first = period(0), second = period(1);

	sell_monthly(f, 40);
	assert_int_equal(posted(f, &f->ada, &first), 40);
	merge(f, &f->ada, &f->bob);
	assert_true(is_premium(f, &f->bob));
	assert_false(is_premium(f, &f->ada));
	assert_true(noted(f, &second));
	assert_int_equal(balance_of(f, &f->bob), 80);
	assert_audit_clean(f);
}

static void
where_the_sandbox_counts_so_do_its_credits(void **state)
{
	const struct fixture *f = *state;
	struct merging merging = { f->ada, f->bob, true };
	struct purchase_fact fact = period(0);

	sell_monthly(f, 40);
	fact.is_sandbox = true;
	assert_int_equal(posted(f, &f->ada, &fact), 40);
	assert_int_equal(db_transaction(f->db, merge_them, &merging), OK);
	assert_int_equal(balance_of(f, &f->bob), 40);
	assert_audit_clean(f);
}

/* Orders within an hour that ada may make now. */
static int64_t
rate_of_ada(const struct fixture *f, const char *key, bool counts_sandbox)
{
	struct job_order order = order_of(f, &f->ada, key);
	struct job_receipt receipt;

	order.guest_per_hour = 500;
	order.free_per_hour = 500;
	order.counts_sandbox = counts_sandbox;
	assert_int_equal(jobs_submit(f->db, &order, NOW, &receipt), OK);
	return receipt.limit.per_hour;
}

static void
what_cost_nothing_lifts_no_limit(void **state)
{
	const struct fixture *f = *state;
	struct purchase_fact fact = period(0);

	sell_monthly(f, 40);
	fact.is_sandbox = true;
	assert_int_equal(posted(f, &f->ada, &fact), 40);
	/* App Review sees what it bought. */
	assert_true(is_premium(f, &f->ada));
	assert_int_equal(rate_of_ada(f, "live", false), 500);
	assert_int_equal(rate_of_ada(f, "sandbox", true), 1000);
	fact = period(1);
	(void)str_copy(STR("6000"), fact.original_transaction_id,
	    sizeof(fact.original_transaction_id));
	assert_int_equal(posted(f, &f->ada, &fact), 80 - 2 * JOB_COST);
	assert_int_equal(rate_of_ada(f, "paid", false), 1000);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(it_lasts_until_its_last_period_ends),
		TEST(a_renewal_heard_of_before_its_beginning_finds_its_owner),
		TEST(anothers_subscription_cannot_be_claimed),
		TEST(grace_keeps_access_and_its_end_takes_it),
		TEST(refund_upgrade_and_extension_move_its_end),
		TEST(credits_of_a_period_end_with_it),
		TEST(what_expired_unused_is_no_debt_when_it_is_refunded),
		TEST(what_a_merge_dropped_is_no_debt_when_it_is_refunded),
		TEST(
		    a_deleted_accounts_renewals_wait_and_nobody_can_claim_them),
		TEST(an_upgrade_ends_the_credits_of_the_period_it_replaces),
		TEST(it_goes_along_with_a_merge),
		TEST(where_the_sandbox_counts_so_do_its_credits),
		TEST(what_cost_nothing_lifts_no_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
