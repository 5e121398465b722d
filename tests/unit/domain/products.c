/* SPDX-License-Identifier: MIT */
#include "domain/acts.h"
#include "domain/products.h"

#include "purchases.h"

#define GOLD "com.rendioai.gold"

static const struct product pack = { GOLD, PURCHASE_CONSUMABLE, 5 };
static const struct product monthly = { GOLD, PURCHASE_SUBSCRIPTION, 0 };

/* What one brings as this kind; -1 = it is not sold so. */
static int64_t
brings(const struct fixture *f, enum purchase_kind kind)
{
	int64_t credits = -1;
	bool found = false;

	assert_int_equal(products_find(f->db, STR(GOLD), kind, &found,
			     &credits),
	    OK);
	return found ? credits : -1;
}

static enum err
set(const struct fixture *f, const struct product *product)
{
	return acts_set_product(f->db, &admin_console, product, NOW);
}

static enum err
removed(const struct fixture *f)
{
	return acts_remove_product(f->db, &admin_console, STR(GOLD), NOW);
}

/* A period of it, until in thirty days. */
static struct purchase_fact
period_of(const char *transaction_id)
{
	struct purchase_fact fact = fact_of(transaction_id, GOLD);

	fact.kind = PURCHASE_SUBSCRIPTION;
	fact.expires_at_ms = NOW + 30 * DAY;
	return fact;
}

static int64_t
credited_at(const struct fixture *f, int64_t now_ms)
{
	int64_t credited = 0;

	assert_int_equal(retry_waiting(f, now_ms, &credited), OK);
	return credited;
}

static int golds;

static enum err
count_gold(void *arg, const struct product *product)
{
	(void)arg;
	golds += strcmp(product->id, GOLD) == 0;
	return OK;
}

static enum err
list(const struct fixture *f)
{
	golds = 0;
	return products_list(f->db, count_gold, NULL);
}

static enum err
stop(void *arg, const struct product *product)
{
	(void)arg, (void)product;
	return ERR_CONFLICT;
}

static void
a_product_is_of_one_kind_until_it_is_removed(void **state)
{
	const struct fixture *f = *state;

	assert_int_equal(set(f, &pack), OK);
	assert_int_equal(brings(f, PURCHASE_CONSUMABLE), 5);
	assert_int_equal(set(f, &monthly), ERR_CONFLICT);
	assert_int_equal(brings(f, PURCHASE_SUBSCRIPTION), -1);
	assert_int_equal(removed(f), OK);
	assert_int_equal(removed(f), ERR_NOT_FOUND);
	assert_int_equal(set(f, &monthly), OK);
	assert_int_equal(set(f, &pack), ERR_CONFLICT);
	assert_int_equal(brings(f, PURCHASE_SUBSCRIPTION), 0);
	assert_int_equal(brings(f, PURCHASE_CONSUMABLE), -1);
	assert_int_equal(list(f), OK);
	assert_int_equal(golds, 1);
	assert_int_equal(products_list(f->db, stop, NULL), ERR_CONFLICT);
}

static void
a_subscription_is_removed_and_what_was_paid_stays(void **state)
{
	const struct fixture *f = *state;
	const struct product sold = { GOLD, PURCHASE_SUBSCRIPTION, 40 };
	const struct purchase_fact kept = period_of("1"), late = period_of("2");
	struct purchase_receipt receipt;

	assert_int_equal(set(f, &sold), OK);
	assert_int_equal(posted(f, &f->ada, &kept), 40);
	assert_int_equal(removed(f), OK);
	assert_int_equal(removed(f), ERR_NOT_FOUND);
	assert_int_equal(brings(f, PURCHASE_SUBSCRIPTION), -1);
	assert_int_equal(list(f), OK);
	assert_int_equal(golds, 0);
	assert_int_equal(balance_of(f, &f->ada), 40);
	/* What Apple still sells waits until it is one of ours again. */
	assert_int_equal(post_by(f, &f->bob, &late, &receipt),
	    ERR_UNKNOWN_PRODUCT);
	assert_int_equal(credited_at(f, NOW + DAY), 0);
	assert_int_equal(set(f, &sold), OK);
	assert_int_equal(credited_at(f, NOW + DAY), 1);
	assert_int_equal(balance_of(f, &f->bob), 40);
	assert_audit_clean(f);
}

/* Entered as `wrong`, bought as what it is. */
static void
assert_found_by_its_kind(const struct fixture *f, const struct product *wrong,
    const struct product *right, const struct purchase_fact *fact)
{
	const int64_t before = balance_of(f, &f->ada);
	struct purchase_receipt receipt;

	assert_int_equal(set(f, wrong), OK);
	assert_int_equal(post_by(f, &f->ada, fact, &receipt),
	    ERR_UNKNOWN_PRODUCT);
	assert_int_equal(set(f, right), ERR_CONFLICT);
	assert_int_equal(removed(f), OK);
	assert_int_equal(credited_at(f, NOW + DAY), 0);
	assert_int_equal(balance_of(f, &f->ada), before);
	/* At once, though it was to be tried in a day. */
	assert_int_equal(set(f, right), OK);
	assert_int_equal(credited_at(f, NOW), 1);
	assert_int_equal(balance_of(f, &f->ada), before + right->credits);
	assert_int_equal(credited_at(f, NOW + 9 * DAY), 0);
	assert_int_equal(post_by(f, &f->ada, fact, &receipt), OK);
	assert_true(receipt.is_repeat);
	assert_int_equal(receipt.added_credits, right->credits);
	assert_int_equal(balance_of(f, &f->ada), before + right->credits);
	assert_int_equal(removed(f), OK);
	assert_audit_clean(f);
}

static void
what_waits_under_the_wrong_kind_is_credited_under_the_right_one(void **state)
{
	const struct fixture *f = *state;
	const struct product sold = { GOLD, PURCHASE_SUBSCRIPTION, 40 };
	const struct purchase_fact piece = fact_of("1", GOLD),
				   period = period_of("2");

	assert_found_by_its_kind(f, &pack, &sold, &period);
	assert_found_by_its_kind(f, &monthly, &pack, &piece);
}

static void
what_was_credited_repeats_and_is_refunded_without_its_product(void **state)
{
	const struct fixture *f = *state;
	const struct purchase_fact fact = fact_of("1", GOLD);
	const struct purchase_fact half = later(fact, PURCHASE_WHOLE / 2, 1),
				   whole = later(fact, PURCHASE_WHOLE, 2),
				   reversed = later(fact, 0, 3);
	struct product dearer = pack;
	struct purchase_receipt receipt;

	assert_int_equal(set(f, &pack), OK);
	assert_int_equal(posted(f, &f->ada, &fact), 5);
	assert_int_equal(removed(f), OK);
	assert_int_equal(post_by(f, &f->ada, &fact, &receipt), OK);
	assert_true(receipt.is_repeat);
	assert_int_equal(receipt.added_credits, 5);
	assert_int_equal(receipt.balance, 5);
	assert_int_equal(post_by(f, &f->bob, &fact, &receipt),
	    ERR_PURCHASE_BELONGS_TO_OTHER_ACCOUNT);
	assert_true(noted(f, &half));
	assert_int_equal(balance_of(f, &f->ada), 3);
	assert_true(noted(f, &whole));
	assert_int_equal(balance_of(f, &f->ada), 0);
	assert_int_equal(debt_of(f, &f->ada), 0);
	assert_audit_clean(f);
	/* Nor does it matter what it brings when it is there again. */
	dearer.credits = 500;
	assert_int_equal(set(f, &dearer), OK);
	assert_true(noted(f, &reversed));
	assert_int_equal(balance_of(f, &f->ada), 5);
	assert_int_equal(balance_of(f, &f->bob), 0);
	assert_audit_clean(f);
}

static void
each_change_is_in_the_log_with_what_was(void **state)
{
	const struct fixture *f = *state;
	struct product dearer = pack;

	dearer.credits = 6;
	assert_int_equal(set(f, &pack), OK);
	assert_int_equal(set(f, &dearer), OK);
	assert_int_equal(brings(f, PURCHASE_CONSUMABLE), 6);
	assert_int_equal(removed(f), OK);
	assert_int_equal(number_of(f,
			     "SELECT COUNT(*) FROM admin_log"
			     " WHERE action = 'product_set' AND field = '" GOLD
			     "' AND (old_value, new_value) IN"
			     " (VALUES ('', '5'), ('5', '6'))",
			     NULL),
	    2);
	assert_int_equal(number_of(f,
			     "SELECT COUNT(*) FROM admin_log"
			     " WHERE action = 'product_remove'"
			     " AND (field, old_value) = ('" GOLD "', '6')",
			     NULL),
	    1);
}

static void
an_id_is_one_that_apple_would_take(void **state)
{
	char longest[PRODUCT_ID_BYTES_MAX + 1];

	(void)state;
	memset(longest, 'a', sizeof(longest));
	assert_true(products_id_ok(STR("com.Rendio_AI-1.credits")));
	assert_true(
	    products_id_ok((struct str){ longest, PRODUCT_ID_BYTES_MAX }));
	assert_false(products_id_ok((struct str){ longest, sizeof(longest) }));
	assert_false(products_id_ok(STR("")));
	assert_false(products_id_ok(STR("a b")));
	assert_false(products_id_ok(STR("a/b")));
	assert_false(products_id_ok(STR("\xc3\xa4")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_product_is_of_one_kind_until_it_is_removed),
		TEST(a_subscription_is_removed_and_what_was_paid_stays),
		TEST(
		    what_waits_under_the_wrong_kind_is_credited_under_the_right_one),
		TEST(
		    what_was_credited_repeats_and_is_refunded_without_its_product),
		TEST(each_change_is_in_the_log_with_what_was),
		TEST(an_id_is_one_that_apple_would_take),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
