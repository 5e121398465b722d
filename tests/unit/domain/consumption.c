/* SPDX-License-Identifier: MIT */
#include "purchases.h"

#include "domain/consumption.h"
#include "domain/notifications.h"

#define LEASE MINUTE

static void
asked(const struct fixture *f, const struct purchase_fact *fact,
    const char *type, int64_t signed_at_ms)
{
	struct notification n = { .id = uuid_random(),
		.signed_at_ms = signed_at_ms,
		.has_purchase = true,
		.purchase = *fact };
	bool is_new = false;

	assert_true(str_copy(str_from(type), n.type, sizeof(n.type)));
	assert_int_equal(notifications_receive(f->db, &n, &policy, NOW,
			     &is_new),
	    OK);
	assert_true(is_new);
}

static void
consents(const struct fixture *f, bool is_given)
{
	struct consent consent = { .is_given = is_given,
		.text_version = "2026-11" };

	assert_int_equal(consents_set(f->db, &f->ada, &consent, NOW, &consent),
	    OK);
	assert_int_equal(consent.created_at_ms, NOW);
}

static bool
taken(const struct fixture *f, int64_t now_ms,
    struct consumption_answer *answer)
{
	bool found = true;

	assert_int_equal(consumption_take(f->db, now_ms, LEASE, &found, answer),
	    OK);
	return found;
}

static int64_t
count(const struct fixture *f, const char *state)
{
	static const char sql[] =
	    "SELECT COUNT(*) FROM consumption_requests WHERE state = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(f->db, sql);
	bool found;

	db_bind_text(stmt, 1, state);
	assert_int_equal(db_step(stmt, &found), OK);
	return db_column_int64(stmt, 0);
}

static void
without_a_consent_nothing_is_told(void **state)
{
	const struct fixture *f = *state;
	const struct purchase_fact fact = fact_of("1000", STARTER);
	struct consumption_answer answer;

	assert_int_equal(posted(f, &f->ada, &fact), 25);
	asked(f, &fact, "CONSUMPTION_REQUEST", NOW);
	assert_false(taken(f, NOW, &answer));
	assert_int_equal(count(f, "withheld"), 1);
	/* One that was withdrawn is none. */
	consents(f, true);
	consents(f, false);
	asked(f, &fact, "CONSUMPTION_REQUEST", NOW + CONSUMPTION_WAIT_MS + 1);
	assert_false(taken(f, NOW, &answer));
	assert_int_equal(count(f, "withheld"), 1);
}

static void
the_same_question_is_answered_once(void **state)
{
	const struct fixture *f = *state;
	const struct purchase_fact fact = fact_of("1000", STARTER);
	const struct consumption_outcome later_on = { .http_status = 503,
		.next_try_at_ms = NOW + HOUR };
	const struct consumption_outcome accepted = { .is_final = true,
		.is_accepted = true,
		.http_status = 202 };
	struct consumption_answer answer;
	struct uuid job;

	assert_int_equal(posted(f, &f->ada, &fact), 25);
	consents(f, true);
	job = job_for(f, &f->ada, "key", 10);
	end(f, &f->ada, &job, true);
	asked(f, &fact, "CONSUMPTION_REQUEST", NOW);
	asked(f, &fact, "CONSUMPTION_REQUEST", NOW + 1);
	assert_true(taken(f, NOW, &answer));
	assert_string_equal(answer.transaction_id, "1000");
	assert_true(answer.has_consumed);
	assert_true(answer.is_delivered);
	assert_int_equal(answer.consumed_millipercent, 40000);
	/* Whoever died with it is followed by another. */
	assert_false(taken(f, NOW + LEASE - 1, &answer));
	assert_true(taken(f, NOW + LEASE, &answer));
	assert_int_equal(answer.tries_count, 1);
	assert_int_equal(consumption_told(f->db, &answer, &later_on, NOW), OK);
	assert_false(taken(f, NOW + HOUR - 1, &answer));
	assert_true(taken(f, NOW + HOUR, &answer));
	assert_int_equal(consumption_told(f->db, &answer, &accepted, NOW), OK);
	asked(f, &fact, "CONSUMPTION_REQUEST", NOW + CONSUMPTION_WAIT_MS);
	assert_false(taken(f, NOW + HOUR, &answer));
	assert_int_equal(count(f, "answered"), 1);
	/* Another refund is another question. */
	asked(f, &fact, "CONSUMPTION_REQUEST", NOW + CONSUMPTION_WAIT_MS + 1);
	assert_true(taken(f, NOW + HOUR, &answer));
}

static void
what_is_decided_or_late_is_not_answered(void **state)
{
	const struct fixture *f = *state;
	const struct purchase_fact fact = fact_of("1000", STARTER);
	const struct purchase_fact other = fact_of("1001", STARTER);
	struct consumption_answer answer;

	assert_int_equal(posted(f, &f->ada, &fact), 25);
	assert_int_equal(posted(f, &f->ada, &other), 50);
	consents(f, true);
	asked(f, &fact, "CONSUMPTION_REQUEST", NOW);
	asked(f, &fact, "REFUND_DECLINED", NOW + 1);
	asked(f, &other, "CONSUMPTION_REQUEST", NOW);
	assert_int_equal(count(f, "closed"), 1);
	assert_false(taken(f, NOW + CONSUMPTION_WAIT_MS, &answer));
	assert_int_equal(count(f, "late"), 1);
}

static void
of_a_subscription_apple_knows_the_time(void **state)
{
	const struct fixture *f = *state;
	struct purchase_fact fact = fact_of("1000", MONTHLY);
	struct consumption_answer answer;

	fact.kind = PURCHASE_SUBSCRIPTION;
	fact.expires_at_ms = NOW + DAY;
	damage(f, "INSERT INTO subscription_products VALUES ('%s', 40)",
	    MONTHLY);
	assert_int_equal(posted(f, &f->ada, &fact), 40);
	consents(f, true);
	asked(f, &fact, "CONSUMPTION_REQUEST", NOW);
	assert_true(taken(f, NOW, &answer));
	assert_false(answer.has_consumed);
}

static void
a_consent_goes_along_with_a_merge(void **state)
{
	const struct fixture *f = *state;
	const struct purchase_fact fact = fact_of("1000", STARTER);
	struct consumption_answer answer;

	assert_int_equal(posted(f, &f->ada, &fact), 25);
	consents(f, true);
	consents(f, false);
	consents(f, true);
	merge(f, &f->ada, &f->bob);
	assert_int_equal(number_of(f,
			     "SELECT COUNT(*) FROM consents WHERE user_id = ?1",
			     &f->bob),
	    3);
	asked(f, &fact, "CONSUMPTION_REQUEST", NOW);
	assert_true(taken(f, NOW, &answer));
	assert_audit_clean(f);
}

static void
the_heirs_own_word_counts(void **state)
{
	const struct fixture *f = *state;
	struct consent consent = { .is_given = false, .text_version = "1" };

	consents(f, true);
	assert_int_equal(consents_set(f->db, &f->bob, &consent, NOW, &consent),
	    OK);
	merge(f, &f->ada, &f->bob);
	assert_int_equal(number_of(f, "SELECT SUM(is_given) FROM consents",
			     NULL),
	    0);
	assert_audit_clean(f);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(without_a_consent_nothing_is_told),
		TEST(the_same_question_is_answered_once),
		TEST(what_is_decided_or_late_is_not_answered),
		TEST(of_a_subscription_apple_knows_the_time),
		TEST(a_consent_goes_along_with_a_merge),
		TEST(the_heirs_own_word_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
