/* SPDX-License-Identifier: MIT */
/* So many rows, looked at as a whole: purchases.c breaks the same calls. */
#define UNBROKEN
#include "purchases.h"

#include "domain/notifications.h"

/*
 * A month at Apple's: 20,000 notifications, of which some never arrive, some
 * twice, and all in any order.  After the repair, which brings what did not
 * arrive, the ledger is Apple's list.
 */

#define USERS 200
#if defined(__clang__) || defined(__SANITIZE_ADDRESS__)
#define NOTES 4000 /* several times as slow */
#else
#define NOTES 20000
#endif
#define SALES (NOTES / 2)

/* Of a hundred. */
#define DROPPED 5
#define DOUBLED 5

struct sale {
	struct purchase_fact fact; /* the newest */
	int64_t credits;
	size_t user;
};

static struct {
	struct uuid user[USERS];
	struct sale sale[SALES];
	size_t sales_count;
	struct notification note[NOTES];
	size_t order[NOTES + NOTES / 10];
	size_t order_count;
	size_t missed[NOTES];
	size_t missed_count;
} month;

static uint64_t random_state = 20261122;

static size_t
draw(size_t below)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return (size_t)(random_state * UINT64_C(2685821657736338717) >> 33) %
	    below;
}

static enum err
make_all(struct db *db, void *arg)
{
	enum err err = OK;

	(void)arg;
	for (size_t i = 0; i < USERS && err == OK; i++)
		err = accounts_create_guest(db, LANG_EN, NOW, &month.user[i]);
	return err;
}

static struct sale *
sell(const struct fixture *f)
{
	static const struct {
		const char *product_id;
		int64_t credits;
	} products[] = { { STARTER, 25 }, { POPULAR, 60 }, { BEST, 150 } };
	struct sale *sale = &month.sale[month.sales_count];
	const size_t product = draw(3);
	char id[32];

	(void)snprintf(id, sizeof(id), "%zu", 1000000 + month.sales_count++);
	sale->user = draw(USERS);
	sale->fact = named_fact(f, id, products[product].product_id,
	    &month.user[sale->user]);
	sale->fact.quantity = 1 + (int64_t)draw(2);
	sale->credits = products[product].credits * sale->fact.quantity;
	return sale;
}

static void
write_note(struct notification *n, const struct sale *sale, const char *type)
{
	*n = (struct notification){
		.id = uuid_random(),
		.signed_at_ms = sale->fact.signed_at_ms,
		.has_purchase = true,
		.purchase = sale->fact,
	};
	assert_true(str_copy(str_from(type), n->type, sizeof(n->type)));
	n->purchase.notified_at_ms = n->signed_at_ms;
}

/* What Apple sold in the month, and what it refunded and gave again. */
static void
live_through_it(const struct fixture *f)
{
	for (size_t i = 0; i < NOTES; i++) {
		struct sale *sale;
		const char *type = "ONE_TIME_CHARGE";

		if (month.sales_count < SALES && (i == 0 || draw(2) == 0)) {
			sale = sell(f);
		} else {
			sale = &month.sale[draw(month.sales_count)];
			type = sale->fact.refund_millipercent == 0 ?
			    "REFUND" :
			    "REFUND_REVERSED";
			sale->fact = later(sale->fact,
			    sale->fact.refund_millipercent != 0 ? 0 :
				draw(4) == 0                    ? 50000 :
								  PURCHASE_WHOLE,
			    1000);
		}
		write_note(&month.note[i], sale, type);
	}
}

static void
lose_some(void)
{
	for (size_t i = 0; i < NOTES; i++) {
		const size_t fate = draw(100);

		if (fate < DROPPED)
			month.missed[month.missed_count++] = i;
		else
			month.order[month.order_count++] = i;
		if (fate >= 100 - DOUBLED)
			month.order[month.order_count++] = i;
	}
	for (size_t i = month.order_count; i > 1; i--) {
		const size_t j = draw(i), note = month.order[i - 1];

		month.order[i - 1] = month.order[j];
		month.order[j] = note;
	}
}

static bool
receive(const struct fixture *f, size_t note)
{
	bool is_new = false;

	assert_int_equal(notifications_receive(f->db, &month.note[note],
			     &policy, NOW, &is_new),
	    OK);
	return is_new;
}

static void
after_the_repair_the_ledger_is_apples_list(void **state)
{
	const struct fixture *f = *state;
	static int64_t expected[USERS];
	size_t new_count = 0;

	assert_int_equal(db_script(f->db, "PRAGMA synchronous = OFF"), OK);
	assert_int_equal(db_transaction(f->db, make_all, NULL), OK);
	live_through_it(f);
	lose_some();
	for (size_t i = 0; i < month.order_count; i++)
		(void)receive(f, month.order[i]);
	/* The history tells of some that had arrived after all, too. */
	for (size_t i = 0; i < month.missed_count; i++) {
		(void)receive(f, month.order[draw(month.order_count)]);
		if (receive(f, month.missed[i]))
			new_count++;
	}
	assert_int_equal(new_count, month.missed_count);
	assert_true(new_count > NOTES / 50);

	for (size_t i = 0; i < month.sales_count; i++)
		expected[month.sale[i].user] += month.sale[i].credits -
		    month.sale[i].credits *
			month.sale[i].fact.refund_millipercent / PURCHASE_WHOLE;
	for (size_t i = 0; i < USERS; i++) {
		assert_int_equal(balance_of(f, &month.user[i]), expected[i]);
		assert_int_equal(debt_of(f, &month.user[i]), 0);
	}
	assert_int_equal(number_of(f, "SELECT COUNT(*) FROM purchases", NULL),
	    (int64_t)month.sales_count);
	assert_audit_clean(f);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(after_the_repair_the_ledger_is_apples_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
