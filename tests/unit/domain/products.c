/* SPDX-License-Identifier: MIT */
#include "domain/acts.h"
#include "domain/products.h"

#include "fixture.h"

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
	assert_int_equal(acts_remove_product(f->db, &admin_console, STR(GOLD),
			     NOW),
	    OK);
	assert_int_equal(acts_remove_product(f->db, &admin_console, STR(GOLD),
			     NOW),
	    ERR_NOT_FOUND);
	assert_int_equal(set(f, &monthly), OK);
	assert_int_equal(set(f, &pack), ERR_CONFLICT);
	assert_int_equal(brings(f, PURCHASE_SUBSCRIPTION), 0);
	assert_int_equal(brings(f, PURCHASE_CONSUMABLE), -1);
	assert_int_equal(list(f), OK);
	assert_int_equal(golds, 1);
	assert_int_equal(products_list(f->db, stop, NULL), ERR_CONFLICT);
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
	assert_int_equal(acts_remove_product(f->db, &admin_console, STR(GOLD),
			     NOW),
	    OK);
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
		TEST(each_change_is_in_the_log_with_what_was),
		TEST(an_id_is_one_that_apple_would_take),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
