/* SPDX-License-Identifier: MIT */
#include "app/purchasing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define NOW INT64_C(1790000000000)

static struct appstore_transaction
sold(void)
{
	return (struct appstore_transaction){
		.environment = APPSTORE_PRODUCTION,
		.transaction_id = STR("1000"),
		.original_transaction_id = STR("1000"),
		.app_transaction_id = STR("704"),
		.product_id = STR("com.example.credits"),
		.type = APPSTORE_CONSUMABLE,
		.in_app_ownership_type = APPSTORE_PURCHASED,
		.quantity = 2,
		.purchase_date_ms = NOW,
		.signed_date_ms = NOW + 1,
		.revocation_percentage = APPSTORE_ABSENT,
		.has_price = true,
		.price_milliunits = 2990,
		.currency = STR("USD"),
	};
}

static struct appstore_transaction
revoked(enum appstore_revocation_type type, int64_t percentage)
{
	struct appstore_transaction t = sold();

	t.revocation_date_ms = NOW + 5;
	t.revocation_type = type;
	t.revocation_percentage = percentage;
	t.signed_date_ms = NOW + 10;
	return t;
}

static int64_t
refund_of(const struct appstore_transaction *t)
{
	struct purchase_fact fact;

	assert_true(purchasing_fact(t, &fact));
	return fact.refund_millipercent;
}

static void
a_transaction_says_what_was_sold(void **state)
{
	struct appstore_transaction t = sold();
	struct purchase_fact fact;

	(void)state;
	assert_true(purchasing_fact(&t, &fact));
	assert_false(fact.is_sandbox);
	assert_string_equal(fact.transaction_id, "1000");
	assert_string_equal(fact.payer_id, "704");
	assert_int_equal(fact.kind, PURCHASE_CONSUMABLE);
	assert_int_equal(fact.quantity, 2);
	assert_int_equal(fact.price_milli, 2990);
	assert_string_equal(fact.currency, "USD");
	assert_int_equal(fact.signed_at_ms, NOW + 1);
	assert_int_equal(fact.refund_millipercent, 0);
	t.environment = APPSTORE_SANDBOX;
	t.currency = STR("more than a currency");
	assert_true(purchasing_fact(&t, &fact));
	assert_true(fact.is_sandbox);
	assert_false(fact.has_price);
}

static void
what_we_do_not_sell_is_no_fact(void **state)
{
	struct appstore_transaction t = sold();
	struct purchase_fact fact = { .quantity = 77 };

	(void)state;
	t.in_app_ownership_type = APPSTORE_FAMILY_SHARED;
	assert_false(purchasing_fact(&t, &fact));
	t = sold();
	t.type = APPSTORE_NON_CONSUMABLE;
	assert_false(purchasing_fact(&t, &fact));
	t.type = APPSTORE_NON_RENEWING;
	assert_false(purchasing_fact(&t, &fact));
	assert_int_equal(fact.quantity, 77);
}

static void
a_refund_is_whole_unless_a_part_is_said(void **state)
{
	struct appstore_transaction t;

	(void)state;
	t = revoked(APPSTORE_REFUND_FULL, APPSTORE_ABSENT);
	assert_int_equal(refund_of(&t), PURCHASE_WHOLE);
	t = revoked(APPSTORE_NOT_REVOKED, APPSTORE_ABSENT);
	assert_int_equal(refund_of(&t), PURCHASE_WHOLE);
	t = revoked(APPSTORE_REFUND_PRORATED, APPSTORE_ABSENT);
	assert_int_equal(refund_of(&t), PURCHASE_WHOLE);
	t = revoked(APPSTORE_REFUND_PRORATED, 67932);
	assert_int_equal(refund_of(&t), 67932);
	t.type = APPSTORE_AUTO_RENEWABLE;
	assert_int_equal(refund_of(&t), PURCHASE_WHOLE);
}

static void
a_refund_out_of_the_history_is_as_old_as_it_is(void **state)
{
	struct appstore_transaction t =
	    revoked(APPSTORE_REFUND_FULL, APPSTORE_WHOLE);
	struct purchase_fact fact;

	(void)state;
	assert_true(purchasing_refund(&t, &fact));
	assert_int_equal(fact.signed_at_ms, NOW + 5);
	t = sold();
	assert_false(purchasing_refund(&t, &fact));
}

static struct appstore_notification
note(enum appstore_notification_type type,
    const struct appstore_transaction *transaction)
{
	struct appstore_notification n = {
		.type = type,
		.type_name = STR("A_TYPE"),
		.uuid = STR("002e14d5-51f5-4503-b5a8-c3a1af68eb20"),
		.signed_date_ms = NOW + 20,
	};

	if (transaction != NULL) {
		n.signed_transaction = STR("a.b.c");
		n.transaction = *transaction;
	}
	return n;
}

static void
the_type_of_a_notification_counts(void **state)
{
	struct appstore_transaction plain = sold();
	struct appstore_transaction back =
	    revoked(APPSTORE_REFUND_PRORATED, 40000);
	struct appstore_notification from;
	struct notification n;

	(void)state;
	from = note(APPSTORE_NOTE_REFUND, &plain);
	assert_true(purchasing_notification(&from, &n));
	assert_true(n.has_purchase);
	assert_int_equal(n.purchase.refund_millipercent, PURCHASE_WHOLE);
	assert_int_equal(n.purchase.notified_at_ms, NOW + 20);
	from = note(APPSTORE_NOTE_REFUND, &back);
	assert_true(purchasing_notification(&from, &n));
	assert_int_equal(n.purchase.refund_millipercent, 40000);
	from = note(APPSTORE_NOTE_REFUND_REVERSED, &back);
	assert_true(purchasing_notification(&from, &n));
	assert_int_equal(n.purchase.refund_millipercent, 0);
	from = note(APPSTORE_NOTE_TEST, NULL);
	assert_true(purchasing_notification(&from, &n));
	assert_false(n.has_purchase);
	from.uuid = STR("no id");
	assert_false(purchasing_notification(&from, &n));
}

static void
renewal_info_counts_beside_a_subscription_of_ours_only(void **state)
{
	struct appstore_transaction t = sold();
	struct appstore_notification from;
	struct notification n;

	(void)state;
	from = note(APPSTORE_NOTE_DID_RENEW, &t);
	from.signed_renewal = STR("a.b.c");
	from.renewal = (struct appstore_renewal){
		.original_transaction_id = STR("1000"),
		.product_id = STR("old"),
		.auto_renew_product_id = STR("new"),
		.grace_period_expires_date_ms = NOW + 9,
		.signed_date_ms = NOW + 8,
	};
	assert_true(purchasing_notification(&from, &n));
	assert_false(n.has_renewal);
	from.transaction.type = APPSTORE_AUTO_RENEWABLE;
	assert_true(purchasing_notification(&from, &n));
	assert_true(n.has_renewal);
	assert_string_equal(n.renewal.product_id, "new");
	assert_int_equal(n.renewal.grace_until_ms, NOW + 9);
	from.transaction.in_app_ownership_type = APPSTORE_FAMILY_SHARED;
	assert_true(purchasing_notification(&from, &n));
	assert_false(n.has_renewal);
}

static struct purchase_policy
policy_of(const char *file)
{
	struct purchase_policy policy;
	struct config config;
	struct buf problem;

	buf_init(&problem, 4096);
	assert_true(config_parse(&config, str_from(file), NULL, &problem));
	policy = purchasing_policy(&config);
	config_free(&config);
	buf_free(&problem);
	return policy;
}

static void
the_cap_is_the_operators_or_the_modes(void **state)
{
	(void)state;
	assert_int_equal(policy_of("").sandbox_credits_max, INT64_MAX);
	assert_int_equal(policy_of("RENDIO_MODE=live\n").sandbox_credits_max,
	    1000);
	assert_int_equal(policy_of("RENDIO_SANDBOX_CREDITS_MAX=0\n")
			     .sandbox_credits_max,
	    0);
	assert_false(policy_of("").forgives_debt);
	assert_true(policy_of("RENDIO_FORGIVE_REFUND_DEBT=1\n").forgives_debt);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_transaction_says_what_was_sold),
		cmocka_unit_test(what_we_do_not_sell_is_no_fact),
		cmocka_unit_test(a_refund_is_whole_unless_a_part_is_said),
		cmocka_unit_test(
		    a_refund_out_of_the_history_is_as_old_as_it_is),
		cmocka_unit_test(the_type_of_a_notification_counts),
		cmocka_unit_test(
		    renewal_info_counts_beside_a_subscription_of_ours_only),
		cmocka_unit_test(the_cap_is_the_operators_or_the_modes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
