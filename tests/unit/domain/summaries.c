/* SPDX-License-Identifier: MIT */
#include "purchases.h"

#include "domain/notices.h"
#include "domain/spend.h"
#include "domain/summaries.h"
#include "domain/watches.h"

/* Noon of some day in UTC. */
#define DAY_BEGIN (NOW - NOW % DAY)
#define NOON (DAY_BEGIN + 12 * HOUR)

/* What waits to be told, one notice; "" for none. */
static const char *
told(const struct fixture *f, int64_t now_ms)
{
	static struct notice_batch batch;

	assert_int_equal(notices_take(f->db, now_ms, 1, &batch), OK);
	if (batch.count == 0)
		return "";
	assert_int_equal(batch.count, 1);
	assert_int_equal(notices_sent(f->db, &batch, now_ms, now_ms), OK);
	return batch.notice[0].text;
}

static void
a_sale_is_told_once_with_what_was_paid(void **state)
{
	const struct fixture *f = *state;
	struct purchase_fact fact = fact_of("1", STARTER);

	assert_int_equal(summaries_tell_sales(f->db, NOW), OK);
	assert_string_equal(told(f, NOW), "");
	fact.has_price = true;
	fact.price_milli = 4990;
	(void)str_copy(STR("USD"), fact.currency, sizeof(fact.currency));
	(void)posted(f, &f->ada, &fact);
	assert_int_equal(summaries_tell_sales(f->db, NOW), OK);
	assert_string_equal(told(f, NOW),
	    "💰 Sale: " STARTER ", 25 credits, 4.99 USD");
	assert_int_equal(summaries_tell_sales(f->db, NOW), OK);
	assert_string_equal(told(f, NOW), "");
}

static void
a_sale_of_the_sandbox_or_without_a_price_says_so(void **state)
{
	const struct fixture *f = *state;
	struct purchase_fact fact = fact_of("1", STARTER);

	fact.is_sandbox = true;
	(void)posted(f, &f->ada, &fact);
	assert_int_equal(summaries_tell_sales(f->db, NOW), OK);
	assert_string_equal(told(f, NOW),
	    "💰 Sale: " STARTER ", 25 credits (sandbox)");
}

static void
a_sale_of_more_than_an_hour_ago_is_left_to_the_summary(void **state)
{
	const struct fixture *f = *state;
	const struct purchase_fact fact = fact_of("1", STARTER);

	(void)posted(f, &f->ada, &fact);
	assert_int_equal(summaries_tell_sales(f->db, NOW + HOUR + 1), OK);
	assert_string_equal(told(f, NOW + HOUR + 1), "");
	assert_int_equal(summaries_tell_sales(f->db, NOW + HOUR), OK);
	assert_string_not_equal(told(f, NOW + HOUR), "");
}

static void
newcome(const struct fixture *f, int64_t now_ms)
{
	damage(f,
	    "INSERT INTO users (id, app_account_token, created_at_ms,"
	    " updated_at_ms) SELECT randomblob(16), randomblob(16), %lld, 1",
	    (long long)now_ms);
}

static void
who_came_is_told_together_after_the_interval(void **state)
{
	const struct fixture *f = *state;

	/* The first look begins; who came before is no news. */
	assert_int_equal(summaries_tell_users(f->db, HOUR, NOW + MINUTE), OK);
	newcome(f, NOW + MINUTE);
	assert_int_equal(summaries_tell_users(f->db, HOUR, NOW + HOUR), OK);
	assert_string_equal(told(f, NOW + HOUR), "");
	/* Ada and Bob came at the moment it begins with. */
	assert_int_equal(summaries_tell_users(f->db, HOUR, NOW + HOUR + MINUTE),
	    OK);
	assert_string_equal(told(f, NOW + HOUR), "👋 3 new users in 60 min");
	newcome(f, NOW + HOUR);
	assert_int_equal(summaries_tell_users(f->db, HOUR,
			     NOW + 2 * HOUR + MINUTE),
	    OK);
	assert_string_equal(told(f, NOW + 2 * HOUR), "👋 1 new user in 60 min");
	/* Nobody is no news. */
	assert_int_equal(summaries_tell_users(f->db, HOUR,
			     NOW + 3 * HOUR + MINUTE),
	    OK);
	assert_string_equal(told(f, NOW + 3 * HOUR), "");
}

static void
a_clock_that_was_set_back_begins_anew(void **state)
{
	const struct fixture *f = *state;
	int64_t at_ms = 0;

	assert_int_equal(watches_set(f->db, "users", NOW + HOUR), OK);
	assert_int_equal(summaries_tell_users(f->db, HOUR, NOW), OK);
	assert_string_equal(told(f, NOW), "");
	assert_int_equal(watches_read(f->db, "users", 0, &at_ms), OK);
	assert_int_equal(at_ms, NOW - MINUTE);
}

struct reserving {
	const struct fixture *f;
	struct uuid attempt_id;
};

static enum err
reserve(struct db *db, void *arg)
{
	const struct reserving *r = arg;
	bool fits;

	return spend_reserve(db, &r->attempt_id, &r->f->model.id, 1230000, 0,
	    NOON - DAY, &fits);
}

static void
the_day_is_summed_up_once_its_hour_has_come(void **state)
{
	const struct fixture *f = *state;
	struct purchase_fact fact = fact_of("1", STARTER);
	struct reserving r = { f, { { 1 } } };

	fact.has_price = true;
	fact.price_milli = 4990;
	(void)str_copy(STR("USD"), fact.currency, sizeof(fact.currency));
	(void)posted(f, &f->ada, &fact);
	(void)submit(f, "one");
	assert_int_equal(db_transaction(f->db, reserve, &r), OK);
	damage(f,
	    "UPDATE users SET created_at_ms = %lld;"
	    "UPDATE purchases SET credited_at_ms = %lld;"
	    "UPDATE jobs SET state = 'failed', due_at_ms = NULL,"
	    " completed_at_ms = %lld;"
	    "INSERT INTO alarms VALUES ('test', '', 1, 1, 0, '', 1, NULL,"
	    " NULL)",
	    (long long)(NOON - DAY), (long long)(NOON - DAY),
	    (long long)(NOON - DAY));
	/* At eleven it is first due at noon. */
	assert_int_equal(summaries_tell_day(f->db, 12, NOON - HOUR), OK);
	assert_int_equal(summaries_tell_day(f->db, 12, NOON - 1), OK);
	assert_string_equal(told(f, NOON), "");
	assert_int_equal(summaries_tell_day(f->db, 12, NOON), OK);
	assert_non_null(strstr(told(f, NOON),
	    ": new users: 2; videos: 1 failed; 1 sales of 25 credits for"
	    " 4.99 USD; providers cost at most 1.23 USD; open alarms: 1"));
	assert_int_equal(summaries_tell_day(f->db, 12, NOON + HOUR), OK);
	assert_string_equal(told(f, NOON + HOUR), "");
	/* The next is about a day on which nothing happened. */
	assert_int_equal(summaries_tell_day(f->db, 12, NOON + DAY), OK);
	assert_non_null(strstr(told(f, NOON + DAY),
	    ": new users: 0; providers cost at most 0.00 USD; open alarms: "
	    "1"));
}

static void
after_its_hour_the_first_summary_is_tomorrows(void **state)
{
	const struct fixture *f = *state;

	assert_int_equal(summaries_tell_day(f->db, 12, NOON), OK);
	assert_string_equal(told(f, NOON), "");
	assert_int_equal(summaries_tell_day(f->db, 12, NOON + DAY - 1), OK);
	assert_string_equal(told(f, NOON + DAY), "");
	assert_int_equal(summaries_tell_day(f->db, 12, NOON + DAY), OK);
	assert_string_not_equal(told(f, NOON + DAY), "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_sale_is_told_once_with_what_was_paid),
		TEST(a_sale_of_the_sandbox_or_without_a_price_says_so),
		TEST(a_sale_of_more_than_an_hour_ago_is_left_to_the_summary),
		TEST(who_came_is_told_together_after_the_interval),
		TEST(a_clock_that_was_set_back_begins_anew),
		TEST(the_day_is_summed_up_once_its_hour_has_come),
		TEST(after_its_hour_the_first_summary_is_tomorrows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
