/* SPDX-License-Identifier: MIT */
#include "purchases.h"

#include "domain/lookups.h"
#include "domain/payers.h"
#include "domain/repairs.h"

#define LEASE MINUTE

static bool
taken(const struct fixture *f, int64_t now_ms, struct repair *repair)
{
	bool found = true;

	assert_int_equal(repairs_take(f->db, "walk", NOW - DAY, now_ms, &found,
			     repair),
	    OK);
	return found;
}

static void
a_walk_goes_on_where_it_stopped_and_the_next_begins_at_its_end(void **state)
{
	const struct fixture *f = *state;
	struct repair repair;

	assert_true(taken(f, NOW, &repair));
	assert_int_equal(repair.from_ms, NOW - DAY);
	assert_int_equal(repair.until_ms, NOW);
	assert_string_equal(repair.cursor, "");
	(void)str_copy(STR("page 2"), repair.cursor, sizeof(repair.cursor));
	repair.seen_count = 20;
	assert_int_equal(repairs_go_on(f->db, &repair, NOW + 5), OK);
	assert_false(taken(f, NOW + 4, &repair));
	/* Its end stays, so that the pages stay the same. */
	assert_true(taken(f, NOW + HOUR, &repair));
	assert_string_equal(repair.cursor, "page 2");
	assert_int_equal(repair.until_ms, NOW);
	assert_int_equal(repair.seen_count, 20);
	assert_int_equal(repairs_finish(f->db, &repair, NOW + 2 * HOUR), OK);
	assert_false(taken(f, NOW + 2 * HOUR - 1, &repair));
	assert_true(taken(f, NOW + 2 * HOUR, &repair));
	assert_string_equal(repair.cursor, "");
	assert_int_equal(repair.from_ms, NOW);
	assert_int_equal(repair.until_ms, NOW + 2 * HOUR);
	assert_int_equal(repair.seen_count, 0);
}

static void
a_lookup_is_asked_again_until_it_ends(void **state)
{
	const struct fixture *f = *state;
	const struct uuid nobody = { { 0xff } };
	struct lookup lookup;
	bool found;

	assert_int_equal(lookups_begin(f->db, &nobody, STR("1"), NOW, NOW),
	    ERR_UNAUTHORIZED);
	assert_int_equal(lookups_begin(f->db, &f->ada, STR("1"), NOW + LEASE,
			     NOW),
	    OK);
	assert_int_equal(lookups_take(f->db, NOW + LEASE - 1, LEASE, &found,
			     &lookup),
	    OK);
	assert_false(found);
	assert_int_equal(lookups_take(f->db, NOW + LEASE, LEASE, &found,
			     &lookup),
	    OK);
	assert_true(found);
	assert_true(uuid_equal(&lookup.user_id, &f->ada));
	assert_string_equal(lookup.transaction_id, "1");
	assert_int_equal(lookup.tries_count, 1);
	assert_int_equal(lookup.created_at_ms, NOW);
	assert_int_equal(lookups_end(f->db, &f->ada, STR("1"), LOOKUP_LATER,
			     NOW + HOUR),
	    OK);
	assert_int_equal(lookups_take(f->db, NOW + HOUR, LEASE, &found,
			     &lookup),
	    OK);
	assert_true(found);
	assert_int_equal(lookup.tries_count, 2);
	assert_int_equal(lookups_end(f->db, &f->ada, STR("1"), LOOKUP_UNKNOWN,
			     NOW),
	    OK);
	assert_int_equal(lookups_take(f->db, NOW + DAY, LEASE, &found, &lookup),
	    OK);
	assert_false(found);
	/* Shown again, it is asked again. */
	assert_int_equal(lookups_begin(f->db, &f->ada, STR("1"), NOW + DAY,
			     NOW),
	    OK);
	assert_int_equal(lookups_take(f->db, NOW + DAY, LEASE, &found, &lookup),
	    OK);
	assert_true(found);
}

static void
a_user_shows_a_limited_number_of_ids(void **state)
{
	const struct fixture *f = *state;
	char id[PURCHASE_ID_BYTES];

	for (int i = 0; i < LOOKUPS_PER_H_MAX; i++) {
		(void)snprintf(id, sizeof(id), "%d", i);
		assert_int_equal(lookups_begin(f->db, &f->ada, str_from(id),
				     NOW, NOW),
		    OK);
	}
	assert_int_equal(lookups_begin(f->db, &f->ada, STR("x"), NOW, NOW),
	    ERR_RATE_LIMITED);
	/* What he has shown before he may show again. */
	assert_int_equal(lookups_begin(f->db, &f->ada, STR("0"), NOW, NOW), OK);
	assert_int_equal(lookups_begin(f->db, &f->bob, STR("x"), NOW, NOW), OK);
	assert_int_equal(lookups_begin(f->db, &f->ada, STR("x"), NOW,
			     NOW + HOUR),
	    OK);
}

static void
what_is_over_is_forgotten(void **state)
{
	const struct fixture *f = *state;

	assert_int_equal(lookups_begin(f->db, &f->ada, STR("1"), NOW, NOW), OK);
	assert_int_equal(lookups_begin(f->db, &f->ada, STR("2"), NOW, NOW), OK);
	assert_int_equal(lookups_end(f->db, &f->ada, STR("1"), LOOKUP_FOUND,
			     NOW),
	    OK);
	assert_int_equal(lookups_purge(f->db, NOW, 9), OK);
	assert_int_equal(number_of(f, "SELECT COUNT(*) FROM purchase_lookups",
			     NULL),
	    2);
	assert_int_equal(lookups_purge(f->db, NOW + 1, 9), OK);
	assert_int_equal(number_of(f, "SELECT COUNT(*) FROM purchase_lookups",
			     NULL),
	    1);
}

static void
a_payer_is_asked_about_once_in_a_while(void **state)
{
	const struct fixture *f = *state;
	struct purchase_fact one = fact_of("1000", STARTER);
	struct purchase_fact two = fact_of("1001", STARTER);
	struct payer payer;
	bool found;

	(void)str_copy(STR("7"), one.payer_id, sizeof(one.payer_id));
	(void)str_copy(STR("7"), two.payer_id, sizeof(two.payer_id));
	assert_int_equal(posted(f, &f->ada, &one), 25);
	assert_int_equal(posted(f, &f->ada, &two), 50);
	assert_int_equal(payers_due(f->db, NOW + DAY - 1, &found, &payer), OK);
	assert_false(found);
	assert_int_equal(payers_due(f->db, NOW + DAY, &found, &payer), OK);
	assert_true(found);
	assert_string_equal(payer.payer_id, "7");
	assert_string_equal(payer.transaction_id, "1000");
	assert_string_equal(payer.revision, "");
	(void)str_copy(STR("r1"), payer.revision, sizeof(payer.revision));
	assert_int_equal(payers_checked(f->db, &payer, NOW + 7 * DAY), OK);
	assert_int_equal(payers_due(f->db, NOW + 7 * DAY - 1, &found, &payer),
	    OK);
	assert_false(found);
	assert_int_equal(payers_due(f->db, NOW + 7 * DAY, &found, &payer), OK);
	assert_true(found);
	assert_string_equal(payer.revision, "r1");
	assert_int_equal(payers_purge(f->db, NOW + 1, 9), OK);
	assert_int_equal(payers_due(f->db, NOW + 7 * DAY, &found, &payer), OK);
	assert_false(found);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(
		    a_walk_goes_on_where_it_stopped_and_the_next_begins_at_its_end),
		TEST(a_lookup_is_asked_again_until_it_ends),
		TEST(a_user_shows_a_limited_number_of_ids),
		TEST(what_is_over_is_forgotten),
		TEST(a_payer_is_asked_about_once_in_a_while),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
