/* SPDX-License-Identifier: MIT */
#include "purchases.h"

static const struct uuid stranger = { { 0xee } };

static void
a_purchase_is_credited_once(void **state)
{
	const struct fixture *f = *state;
	const struct purchase_fact fact = fact_of("1000", STARTER);
	struct purchase_receipt receipt;

	assert_int_equal(post_by(f, &f->ada, &fact, &receipt), OK);
	assert_int_equal(receipt.added_credits, 25);
	assert_int_equal(receipt.balance, 25);
	assert_false(receipt.is_repeat);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(post_by(f, &f->ada, &fact, &receipt), OK);
		assert_int_equal(receipt.added_credits, 25);
		assert_int_equal(receipt.balance, 25);
		assert_true(receipt.is_repeat);
	}
	assert_false(noted(f, &fact));
	assert_audit_clean(f);
}

static void
the_quantity_multiplies(void **state)
{
	const struct fixture *f = *state;
	struct purchase_fact fact = fact_of("1000", BEST);

	fact.quantity = PURCHASE_QUANTITY_MAX;
	assert_int_equal(posted(f, &f->ada, &fact), 1500);
	assert_audit_clean(f);
}

static void
environments_are_worlds_apart(void **state)
{
	const struct fixture *f = *state;
	struct purchase_fact fact = fact_of("1000", STARTER);

	assert_int_equal(posted(f, &f->ada, &fact), 25);
	fact.is_sandbox = true;
	assert_int_equal(posted(f, &f->ada, &fact), 50);
	assert_audit_clean(f);
}

static void
the_first_who_posts_it_has_it(void **state)
{
	const struct fixture *f = *state;
	const struct purchase_fact fact = fact_of("1000", STARTER);
	struct purchase_receipt receipt = { .balance = 77 };

	/* A notification alone does not say whose it is. */
	assert_true(noted(f, &fact));
	assert_int_equal(posted(f, &f->ada, &fact), 25);
	assert_int_equal(post_by(f, &f->bob, &fact, &receipt),
	    ERR_PURCHASE_BELONGS_TO_OTHER_ACCOUNT);
	assert_int_equal(receipt.balance, 77);
	assert_int_equal(balance_of(f, &f->bob), 0);
	assert_int_equal(post_by(f, &stranger, &fact, &receipt),
	    ERR_UNAUTHORIZED);
	assert_audit_clean(f);
}

static void
whom_it_names_has_it_whoever_posts_it(void **state)
{
	const struct fixture *f = *state;
	const struct purchase_fact by_bob =
	    named_fact(f, "1000", STARTER, &f->ada);
	const struct purchase_fact by_nobody =
	    named_fact(f, "1001", POPULAR, &f->ada);
	struct purchase_receipt receipt;

	assert_int_equal(post_by(f, &f->bob, &by_bob, &receipt),
	    ERR_PURCHASE_BELONGS_TO_OTHER_ACCOUNT);
	assert_int_equal(balance_of(f, &f->ada), 25);
	assert_true(noted(f, &by_nobody));
	assert_int_equal(balance_of(f, &f->ada), 85);
	assert_int_equal(post_by(f, &f->ada, &by_nobody, &receipt), OK);
	assert_true(receipt.is_repeat);
	assert_int_equal(receipt.added_credits, 60);
	assert_int_equal(balance_of(f, &f->bob), 0);
	assert_audit_clean(f);
}

static void
a_token_of_nobody_waits_until_somebody_has_it(void **state)
{
	const struct fixture *f = *state;
	struct purchase_fact fact = fact_of("1000", STARTER);
	struct purchase_receipt receipt;
	int64_t credited = 0;

	fact.has_account_token = true;
	fact.account_token = stranger;
	assert_int_equal(post_by(f, &f->bob, &fact, &receipt),
	    ERR_PURCHASE_BELONGS_TO_OTHER_ACCOUNT);
	credited = 0;
	assert_int_equal(retry_waiting(f, NOW + HOUR, &credited), OK);
	assert_int_equal(credited, 0);
	/* Not at every turn: it waits for as long as it has waited. */
	assert_int_equal(number_of(f,
			     "SELECT MIN(next_try_at_ms) FROM purchases", NULL),
	    NOW + 2 * HOUR);
	damage(f, "UPDATE users SET app_account_token = %s WHERE id = %s",
	    literal_of(&stranger).text, literal_of(&f->ada).text);
	credited = 0;
	assert_int_equal(retry_waiting(f, NOW + DAY, &credited), OK);
	assert_int_equal(credited, 1);
	assert_int_equal(balance_of(f, &f->ada), 25);
	assert_int_equal(balance_of(f, &f->bob), 0);
	assert_audit_clean(f);
}

static void
what_names_a_merged_account_is_its_heirs(void **state)
{
	const struct fixture *f = *state;
	const struct purchase_fact before =
	    named_fact(f, "1000", STARTER, &f->ada);
	const struct purchase_fact after =
	    named_fact(f, "1001", POPULAR, &f->ada);
	const struct purchase_fact refund = later(before, PURCHASE_WHOLE, 1);
	struct purchase_receipt receipt;

	assert_int_equal(posted(f, &f->ada, &before), 25);
	merge(f, &f->ada, &f->bob);
	assert_true(noted(f, &after));
	assert_int_equal(balance_of(f, &f->bob), 85);
	assert_int_equal(post_by(f, &f->bob, &before, &receipt), OK);
	assert_true(receipt.is_repeat);
	assert_true(noted(f, &refund));
	assert_int_equal(balance_of(f, &f->bob), 60);
	assert_audit_clean(f);
}

static void
debts_go_along_with_a_merge(void **state)
{
	const struct fixture *f = *state;
	const struct purchase_fact adas = fact_of("1000", STARTER);
	const struct purchase_fact bobs = fact_of("1001", POPULAR);
	const struct purchase_fact refund = later(adas, PURCHASE_WHOLE, 1);
	struct uuid job;

	assert_int_equal(posted(f, &f->ada, &adas), 25);
	assert_int_equal(posted(f, &f->bob, &bobs), 60);
	job = job_for(f, &f->ada, "key", 20);
	end(f, &f->ada, &job, true);
	assert_true(noted(f, &refund));
	assert_int_equal(debt_of(f, &f->ada), 20);
	merge(f, &f->ada, &f->bob);
	assert_int_equal(balance_of(f, &f->bob), 40);
	assert_int_equal(debt_of(f, &f->bob), 0);
	assert_int_equal(debt_of(f, &f->ada), 0);
	assert_audit_clean(f);
}

static void
nothing_is_given_to_a_deleted_account(void **state)
{
	const struct fixture *f = *state;
	const struct purchase_fact before =
	    named_fact(f, "1000", STARTER, &f->ada);
	const struct purchase_fact after =
	    named_fact(f, "1001", POPULAR, &f->ada);
	const struct purchase_fact refund = later(before, PURCHASE_WHOLE, 1);
	struct purchase_receipt receipt;

	assert_int_equal(posted(f, &f->ada, &before), 25);
	damage(f, "UPDATE users SET status = 'deleted' WHERE id = %s",
	    literal_of(&f->ada).text);
	/* What it had bought is not sold a second time. */
	assert_int_equal(post_by(f, &f->bob, &before, &receipt),
	    ERR_PURCHASE_BELONGS_TO_OTHER_ACCOUNT);
	assert_int_equal(post_by(f, &f->bob, &after, &receipt),
	    ERR_PURCHASE_BELONGS_TO_OTHER_ACCOUNT);
	assert_int_equal(balance_of(f, &f->ada), 25);
	/* A refund still finds it. */
	assert_true(noted(f, &refund));
	assert_int_equal(balance_of(f, &f->ada), 0);
	assert_null(problem_of(f, &f->ada));
}

static void
a_product_that_is_not_known_yet_waits(void **state)
{
	const struct fixture *f = *state;
	const struct purchase_fact fact = fact_of("1000", "com.rendioai.new");
	struct purchase_fact odd = fact_of("1001", "constructor");
	struct purchase_receipt receipt;
	int64_t credited;

	assert_int_equal(post_by(f, &f->ada, &fact, &receipt),
	    ERR_UNKNOWN_PRODUCT);
	assert_int_equal(post_by(f, &f->ada, &odd, &receipt),
	    ERR_UNKNOWN_PRODUCT);
	assert_int_equal(post_by(f, &f->bob, &fact, &receipt),
	    ERR_PURCHASE_BELONGS_TO_OTHER_ACCOUNT);
	/* Sold as something else than what it is. */
	odd = fact_of("1002", STARTER);
	odd.kind = PURCHASE_SUBSCRIPTION;
	assert_int_equal(post_by(f, &f->ada, &odd, &receipt),
	    ERR_UNKNOWN_PRODUCT);
	damage(f,
	    "INSERT INTO products (id, credits)"
	    " VALUES ('com.rendioai.new', 7)");
	credited = 0;
	assert_int_equal(retry_waiting(f, NOW + DAY, &credited), OK);
	assert_int_equal(credited, 1);
	assert_int_equal(balance_of(f, &f->ada), 7);
	assert_int_equal(purchases_waiting_count(f->db, &credited), OK);
	assert_int_equal(credited, 2);
	assert_audit_clean(f);
}

static char overdue[256];

static void
list_overdue(void *arg, const char *wanted, int64_t count, int64_t first_at_ms)
{
	const size_t n = strlen(overdue);

	(void)arg;
	(void)snprintf(overdue + n, sizeof(overdue) - n, "%s %lld %lld\n",
	    wanted, (long long)count, (long long)(first_at_ms - NOW));
}

static enum err
read_overdue(const struct fixture *f, int64_t before_ms)
{
	overdue[0] = '\0';
	return purchases_overdue(f->db, before_ms, list_overdue, NULL);
}

static void
assert_overdue(const struct fixture *f, int64_t before_ms, const char *expected)
{
	assert_int_equal(read_overdue(f, before_ms), OK);
	assert_string_equal(overdue, expected);
}

static void
what_was_paid_for_and_waits_is_overdue_after_a_while(void **state)
{
	const struct fixture *f = *state;
	struct purchase_fact fact = fact_of("1000", "com.rendioai.new");
	const struct purchase_fact second = fact_of("1001", "com.rendioai.new");
	struct purchase_fact nobodys = fact_of("1002", STARTER);
	struct purchase_receipt receipt;
	int64_t credited;

	nobodys.has_account_token = true;
	memset(nobodys.account_token.bytes, 7, UUID_BYTES);
	assert_int_equal(post_by(f, &f->ada, &fact, &receipt),
	    ERR_UNKNOWN_PRODUCT);
	assert_int_equal(post_by(f, &f->bob, &second, &receipt),
	    ERR_UNKNOWN_PRODUCT);
	assert_true(noted(f, &nobodys));
	/* Nobody paid for it, or waits for us. */
	fact = fact_of("1003", "com.rendioai.new");
	fact.is_sandbox = true;
	assert_int_equal(post_by(f, &f->ada, &fact, &receipt),
	    ERR_UNKNOWN_PRODUCT);
	assert_overdue(f, NOW, "");
	assert_overdue(f, NOW + 1,
	    "account since 2026-09-21 1 0\ncom.rendioai.new 2 0\n");
	/* One that nobody can help hides none of another day. */
	damage(f,
	    "UPDATE purchases SET created_at_ms = created_at_ms - %lld"
	    " WHERE transaction_id = '1002'",
	    (long long)DAY);
	fact = nobodys;
	(void)str_copy(STR("1004"), fact.transaction_id,
	    sizeof(fact.transaction_id));
	assert_true(noted(f, &fact));
	assert_overdue(f, NOW + 1,
	    "account since 2026-09-21 1 0\ncom.rendioai.new 2 0\n"
	    "account since 2026-09-20 1 -86400000\n");
	fact = later(fact, PURCHASE_WHOLE, 1);
	assert_true(noted(f, &fact));

	/* Apple gave the money back; the product is there. */
	nobodys = later(nobodys, PURCHASE_WHOLE, 1);
	assert_true(noted(f, &nobodys));
	damage(f,
	    "INSERT INTO products (id, credits)"
	    " VALUES ('com.rendioai.new', 7)");
	credited = 0;
	assert_int_equal(retry_waiting(f, NOW + DAY, &credited), OK);
	assert_overdue(f, NOW + 1, "");
}

static void
sandbox_purchases_have_a_cap(void **state)
{
	const struct fixture *f = *state;
	const struct purchase_policy small = { .sandbox_credits_max = 50 };
	struct purchase_fact fact = fact_of("1000", STARTER);
	struct purchase_receipt receipt;

	fact.is_sandbox = true;
	assert_int_equal(purchases_post(f->db, &f->ada, &fact, &small, NOW,
			     &receipt),
	    OK);
	fact = fact_of("1001", STARTER);
	fact.is_sandbox = true;
	assert_int_equal(purchases_post(f->db, &f->ada, &fact, &small, NOW,
			     &receipt),
	    OK);
	assert_int_equal(receipt.balance, 50);
	fact = fact_of("1002", STARTER);
	fact.is_sandbox = true;
	assert_int_equal(purchases_post(f->db, &f->ada, &fact, &small, NOW,
			     &receipt),
	    ERR_FORBIDDEN);
	/* Real money has none. */
	fact = fact_of("1003", BEST);
	assert_int_equal(purchases_post(f->db, &f->ada, &fact, &small, NOW,
			     &receipt),
	    OK);
	assert_int_equal(receipt.balance, 200);
	assert_audit_clean(f);
}

static void
sandbox_purchases_are_not_gathered_by_merges(void **state)
{
	const struct fixture *f = *state;
	const struct purchase_fact real = fact_of("1000", POPULAR);
	struct purchase_fact adas = fact_of("1001", STARTER);
	struct purchase_fact bobs = fact_of("1002", BEST);
	struct uuid job;

	adas.is_sandbox = bobs.is_sandbox = true;
	(void)posted(f, &f->ada, &adas);
	job = job_for(f, &f->ada, "key", 10);
	assert_int_equal(posted(f, &f->ada, &real), 75);
	assert_int_equal(posted(f, &f->bob, &bobs), 150);
	merge(f, &f->ada, &f->bob);
	assert_int_equal(balance_of(f, &f->bob), 210);
	assert_audit_clean(f);
	/* What comes back later is lost, too. */
	end(f, &f->bob, &job, false);
	assert_int_equal(credits_expire(f->db, NOW, 100), OK);
	assert_int_equal(balance_of(f, &f->bob), 210);
	assert_audit_clean(f);
}

static void
a_refund_takes_back_what_was_not_spent(void **state)
{
	const struct fixture *f = *state;
	const struct purchase_fact fact = fact_of("1000", STARTER);
	const struct purchase_fact other = fact_of("1001", POPULAR);
	const struct purchase_fact refund = later(fact, PURCHASE_WHOLE, 1);

	assert_int_equal(posted(f, &f->ada, &fact), 25);
	assert_int_equal(posted(f, &f->ada, &other), 85);
	for (int i = 0; i < 3; i++)
		assert_int_equal(noted(f, &refund), i == 0);
	assert_int_equal(balance_of(f, &f->ada), 60);
	assert_int_equal(debt_of(f, &f->ada), 0);
	/* The old word is old news, whoever brings it. */
	assert_int_equal(posted(f, &f->ada, &fact), 60);
	assert_audit_clean(f);
}

static void
what_was_spent_becomes_a_debt_that_purchases_pay(void **state)
{
	const struct fixture *f = *state;
	const struct purchase_fact fact = fact_of("1000", STARTER);
	const struct purchase_fact other = fact_of("1001", STARTER);
	const struct purchase_fact refund = later(fact, PURCHASE_WHOLE, 1);
	const struct purchase_fact reversal = later(fact, 0, 2);
	struct job_order order = order_of(f, &f->ada, "other");
	struct job_receipt receipt;
	struct uuid job;

	assert_int_equal(posted(f, &f->ada, &fact), 25);
	job = job_for(f, &f->ada, "key", 15);
	end(f, &f->ada, &job, true);
	assert_true(noted(f, &refund));
	assert_int_equal(balance_of(f, &f->ada), 0);
	assert_int_equal(debt_of(f, &f->ada), 15);
	assert_int_equal(jobs_submit(f->db, &order, NOW, &receipt),
	    ERR_INSUFFICIENT_CREDITS);
	assert_audit_clean(f);

	assert_int_equal(posted(f, &f->ada, &other), 10);
	assert_int_equal(debt_of(f, &f->ada), 0);
	assert_audit_clean(f);

	/* Then the payer has back what it paid. */
	assert_true(noted(f, &reversal));
	assert_int_equal(balance_of(f, &f->ada), 35);
	assert_int_equal(debt_of(f, &f->ada), 0);
	assert_audit_clean(f);
}

static void
a_gift_and_an_operators_credits_pay_too(void **state)
{
	const struct fixture *f = *state;
	const struct purchase_fact fact = fact_of("1000", STARTER);
	const struct purchase_fact refund = later(fact, PURCHASE_WHOLE, 1);
	struct uuid job;

	assert_int_equal(posted(f, &f->ada, &fact), 25);
	job = job_for(f, &f->ada, "key", 25);
	end(f, &f->ada, &job, true);
	assert_true(noted(f, &refund));
	assert_int_equal(grant(f, &f->ada, 10), OK);
	assert_int_equal(debt_of(f, &f->ada), 15);
	assert_int_equal(adjust(f, &f->ada, 20), OK);
	assert_int_equal(debt_of(f, &f->ada), 0);
	assert_int_equal(balance_of(f, &f->ada), 5);
	assert_null(problem_of(f, &f->ada));
}

static void
a_debt_can_be_forgiven(void **state)
{
	const struct fixture *f = *state;
	const struct purchase_policy kind = { .sandbox_credits_max = 1000,
		.forgives_debt = true };
	const struct purchase_fact fact = fact_of("1000", STARTER);
	const struct purchase_fact other = fact_of("1001", STARTER);
	const struct purchase_fact refund = later(fact, PURCHASE_WHOLE, 1);
	const struct purchase_fact reversal = later(fact, 0, 2);
	struct uuid job;
	bool is_new;

	assert_int_equal(posted(f, &f->ada, &fact), 25);
	job = job_for(f, &f->ada, "key", 15);
	end(f, &f->ada, &job, true);
	assert_int_equal(purchases_repair(f->db, &refund, &kind, NOW, &is_new),
	    OK);
	assert_int_equal(balance_of(f, &f->ada), 0);
	assert_int_equal(debt_of(f, &f->ada), 0);
	assert_int_equal(posted(f, &f->ada, &other), 25);
	assert_audit_clean(f);
	/* Of what was given again the spent part is not given twice. */
	assert_int_equal(purchases_repair(f->db, &reversal, &kind, NOW,
			     &is_new),
	    OK);
	assert_int_equal(balance_of(f, &f->ada), 35);
	assert_audit_clean(f);
}

static void
part_of_a_refund_takes_part_back(void **state)
{
	const struct fixture *f = *state;
	const struct purchase_fact fact = fact_of("1000", POPULAR);
	const struct purchase_fact half = later(fact, 50000, 1);
	const struct purchase_fact more = later(fact, 75001, 2);
	const struct purchase_fact tiny = later(fact, 1666, 3);
	const struct purchase_fact one = later(fact, 1667, 4);

	assert_int_equal(posted(f, &f->ada, &fact), 60);
	assert_true(noted(f, &half));
	assert_int_equal(balance_of(f, &f->ada), 30);
	assert_true(noted(f, &more));
	assert_int_equal(balance_of(f, &f->ada), 15);
	assert_true(noted(f, &tiny));
	assert_int_equal(balance_of(f, &f->ada), 60);
	assert_true(noted(f, &one));
	assert_int_equal(balance_of(f, &f->ada), 59);
	assert_audit_clean(f);
}

static void
a_job_that_fails_after_the_refund_ends_the_debt(void **state)
{
	const struct fixture *f = *state;
	const struct purchase_fact fact = fact_of("1000", STARTER);
	const struct purchase_fact refund = later(fact, PURCHASE_WHOLE, 1);
	struct uuid job;

	assert_int_equal(posted(f, &f->ada, &fact), 25);
	job = job_for(f, &f->ada, "key", 15);
	assert_true(noted(f, &refund));
	assert_int_equal(debt_of(f, &f->ada), 15);
	assert_audit_clean(f);
	end(f, &f->ada, &job, false);
	assert_int_equal(debt_of(f, &f->ada), 0);
	assert_int_equal(balance_of(f, &f->ada), 0);
	assert_audit_clean(f);
}

static void
a_job_that_fails_gives_the_payer_its_credits_back(void **state)
{
	const struct fixture *f = *state;
	const struct purchase_fact fact = fact_of("1000", STARTER);
	const struct purchase_fact other = fact_of("1001", STARTER);
	const struct purchase_fact refund = later(fact, PURCHASE_WHOLE, 1);
	struct uuid job;

	assert_int_equal(posted(f, &f->ada, &fact), 25);
	job = job_for(f, &f->ada, "key", 15);
	assert_true(noted(f, &refund));
	assert_int_equal(posted(f, &f->ada, &other), 10);
	end(f, &f->ada, &job, false);
	assert_int_equal(balance_of(f, &f->ada), 25);
	assert_int_equal(debt_of(f, &f->ada), 0);
	assert_audit_clean(f);
}

static void
a_refund_known_before_its_purchase_nets_nothing(void **state)
{
	const struct fixture *f = *state;
	const struct purchase_fact fact = fact_of("1000", STARTER);
	const struct purchase_fact refund = later(fact, PURCHASE_WHOLE, 1);
	const struct purchase_fact reversal = later(fact, 0, 2);
	struct purchase_receipt receipt;

	assert_true(noted(f, &refund));
	/* Who shows what was refunded does not become its owner. */
	assert_int_equal(post_by(f, &f->bob, &refund, &receipt),
	    ERR_INVALID_TRANSACTION);
	assert_int_equal(post_by(f, &f->ada, &fact, &receipt), OK);
	assert_int_equal(receipt.added_credits, 0);
	assert_int_equal(receipt.balance, 0);
	assert_audit_clean(f);
	assert_true(noted(f, &reversal));
	assert_int_equal(balance_of(f, &f->ada), 25);
	assert_audit_clean(f);
}

static void
of_two_facts_of_one_moment_the_same_wins_in_any_order(void **state)
{
	const struct fixture *f = *state;
	struct purchase_fact fact = fact_of("1000", STARTER);
	struct purchase_fact refund = later(fact, PURCHASE_WHOLE, 0);

	assert_int_equal(posted(f, &f->ada, &fact), 25);
	assert_true(noted(f, &refund));
	assert_int_equal(balance_of(f, &f->ada), 0);
	assert_false(noted(f, &fact));
	/* The moment of the notification decides before that. */
	fact.notified_at_ms = NOW + 1;
	assert_true(noted(f, &fact));
	refund.notified_at_ms = NOW;
	assert_false(noted(f, &refund));
	assert_int_equal(balance_of(f, &f->ada), 25);
	assert_audit_clean(f);
}

static void
the_largest_balance_is_kept(void **state)
{
	const struct fixture *f = *state;
	const struct purchase_fact fact = fact_of("1000", STARTER);
	struct purchase_receipt receipt;

	assert_int_equal(adjust(f, &f->ada, 1), OK);
	damage(f, "UPDATE users SET credits_remaining = %lld",
	    (long long)(CREDITS_BALANCE_MAX - 24));
	assert_int_equal(post_by(f, &f->ada, &fact, &receipt), ERR_CONFLICT);
	damage(f, "UPDATE users SET credits_remaining = %lld",
	    (long long)(CREDITS_BALANCE_MAX - 25));
	assert_int_equal(post_by(f, &f->ada, &fact, &receipt), OK);
	assert_int_equal(receipt.balance, CREDITS_BALANCE_MAX);
}

static void
a_purchase_without_room_in_the_balance_holds_up_no_other(void **state)
{
	const struct fixture *f = *state;
	const struct purchase_fact first = fact_of("1000", "com.rendioai.new");
	const struct purchase_fact second = fact_of("1001", "com.rendioai.new");
	struct purchase_receipt receipt;
	int64_t credited = 0;

	assert_int_equal(post_by(f, &f->ada, &first, &receipt),
	    ERR_UNKNOWN_PRODUCT);
	assert_int_equal(post_by(f, &f->bob, &second, &receipt),
	    ERR_UNKNOWN_PRODUCT);
	damage(f,
	    "UPDATE purchases SET next_try_at_ms = next_try_at_ms - 1"
	    " WHERE transaction_id = '1000'");
	damage(f,
	    "INSERT INTO products (id, credits)"
	    " VALUES ('com.rendioai.new', 7)");
	assert_int_equal(adjust(f, &f->ada, 1), OK);
	damage(f,
	    "UPDATE users SET credits_remaining = %lld"
	    " WHERE credits_remaining = 1",
	    (long long)(CREDITS_BALANCE_MAX - 6));
	assert_int_equal(retry_waiting(f, NOW + HOUR, &credited), OK);
	assert_int_equal(credited, 1);
	assert_int_equal(balance_of(f, &f->bob), 7);
	/* It is tried again, for its balance may have room by then. */
	damage(f,
	    "UPDATE users SET credits_remaining = %lld"
	    " WHERE credits_remaining > 7",
	    (long long)(CREDITS_BALANCE_MAX - 7));
	credited = 0;
	assert_int_equal(retry_waiting(f, NOW + HOUR + DAY, &credited), OK);
	assert_int_equal(credited, 1);
	assert_int_equal(balance_of(f, &f->ada), CREDITS_BALANCE_MAX);
}

static void
what_was_credited_is_found_by_its_owner_only(void **state)
{
	const struct fixture *f = *state;
	const struct purchase_fact fact = fact_of("1000", STARTER);
	struct purchase_receipt receipt;
	bool found = true;

	assert_int_equal(purchases_find(f->db, &f->ada, STR("1000"), &found,
			     &receipt),
	    OK);
	assert_false(found);
	assert_int_equal(posted(f, &f->ada, &fact), 25);
	assert_int_equal(purchases_find(f->db, &f->ada, STR("1000"), &found,
			     &receipt),
	    OK);
	assert_true(found);
	assert_int_equal(receipt.added_credits, 25);
	assert_int_equal(purchases_find(f->db, &f->bob, STR("1000"), &found,
			     &receipt),
	    OK);
	assert_false(found);
}

static void
how_much_was_used_is_told_of_that_very_lot(void **state)
{
	const struct fixture *f = *state;
	const struct purchase_fact fact = fact_of("1000", STARTER);
	const struct purchase_fact other = fact_of("1001", POPULAR);
	struct purchase_receipt receipt;
	int64_t used = 0;
	struct uuid job, id;

	assert_int_equal(posted(f, &f->ada, &fact), 25);
	/* Later, so that it burns later. */
	assert_int_equal(purchases_post(f->db, &f->ada, &other, &policy,
			     NOW + 1, &receipt),
	    OK);
	job = job_for(f, &f->ada, "key", 17);
	end(f, &f->ada, &job, true);
	for (int i = 0; i < 2; i++) {
		static const char sql[] =
		    "SELECT id FROM purchases WHERE transaction_id = ?1";
		CLEANUP(db_release)
		struct db_stmt *stmt = db_prepare(f->db, sql);
		bool found;

		db_bind_text(stmt, 1, i == 0 ? "1000" : "1001");
		assert_int_equal(db_step(stmt, &found), OK);
		id = db_column_uuid(stmt, 0);
		assert_int_equal(credits_consumed(f->db, &id, &used), OK);
		assert_int_equal(used, i == 0 ? 68000 : 0);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(a_purchase_is_credited_once),
		TEST(the_quantity_multiplies),
		TEST(environments_are_worlds_apart),
		TEST(the_first_who_posts_it_has_it),
		TEST(whom_it_names_has_it_whoever_posts_it),
		TEST(a_token_of_nobody_waits_until_somebody_has_it),
		TEST(what_names_a_merged_account_is_its_heirs),
		TEST(debts_go_along_with_a_merge),
		TEST(nothing_is_given_to_a_deleted_account),
		TEST(a_product_that_is_not_known_yet_waits),
		TEST(what_was_paid_for_and_waits_is_overdue_after_a_while),
		TEST(sandbox_purchases_have_a_cap),
		TEST(sandbox_purchases_are_not_gathered_by_merges),
		TEST(a_refund_takes_back_what_was_not_spent),
		TEST(what_was_spent_becomes_a_debt_that_purchases_pay),
		TEST(a_gift_and_an_operators_credits_pay_too),
		TEST(a_debt_can_be_forgiven),
		TEST(part_of_a_refund_takes_part_back),
		TEST(a_job_that_fails_after_the_refund_ends_the_debt),
		TEST(a_job_that_fails_gives_the_payer_its_credits_back),
		TEST(a_refund_known_before_its_purchase_nets_nothing),
		TEST(of_two_facts_of_one_moment_the_same_wins_in_any_order),
		TEST(the_largest_balance_is_kept),
		TEST(a_purchase_without_room_in_the_balance_holds_up_no_other),
		TEST(what_was_credited_is_found_by_its_owner_only),
		TEST(how_much_was_used_is_told_of_that_very_lot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
