/* SPDX-License-Identifier: MIT */
#include "fixture.h"

#include "domain/ledger.h"

static const struct uuid job_1 = { { 1 } };
static const struct uuid job_2 = { { 2 } };
static const struct uuid nobody = { { 0xff } };

static int64_t
entries_of(const struct fixture *f, const struct uuid *user_id)
{
	return number_of(f,
	    "SELECT COUNT(*) FROM ledger_entries WHERE user_id = ?1", user_id);
}

static int64_t
left_in_bought(const struct fixture *f)
{
	return number_of(f,
	    "SELECT COALESCE(SUM(remaining_credits), 0) FROM credit_lots"
	    " WHERE source = 'bought'",
	    NULL);
}

static int64_t
left_in_expiring(const struct fixture *f)
{
	return number_of(f,
	    "SELECT COALESCE(SUM(remaining_credits), 0) FROM credit_lots"
	    " WHERE expires_at_ms IS NOT NULL",
	    NULL);
}

/*
 * Ada gets three lots of five: bought, free until the given time, and free;
 * made in an order that is not the one in which they burn.
 */
static void
give_three_lots(const struct fixture *f, int64_t expires_at_ms)
{
	assert_int_equal(adjust(f, &f->ada, 5), OK);
	damage(f,
	    "UPDATE credit_lots SET source = 'bought',"
	    " burn_rank = 9100000000000000");
	assert_int_equal(adjust(f, &f->ada, 5), OK);
	damage(f,
	    "UPDATE credit_lots SET expires_at_ms = %lld, burn_rank = %lld"
	    " WHERE source = 'free'",
	    (long long)expires_at_ms, (long long)expires_at_ms);
	assert_int_equal(adjust(f, &f->ada, 5), OK);
	assert_int_equal(balance_of(f, &f->ada), 15);
	assert_null(problem_of(f, &f->ada));
}

static void
a_new_user_has_nothing(void **state)
{
	const struct fixture *f = *state;
	int64_t balance = 77;

	assert_int_equal(balance_of(f, &f->ada), 0);
	assert_null(problem_of(f, &f->ada));
	assert_int_equal(credits_balance(f->db, &nobody, &balance),
	    ERR_USER_NOT_FOUND);
	assert_int_equal(balance, 77);
}

static void
the_gift_is_given_once(void **state)
{
	const struct fixture *f = *state;

	assert_int_equal(grant(f, &f->ada, 10), OK);
	assert_int_equal(grant(f, &f->ada, 10), ERR_CONFLICT);
	assert_int_equal(balance_of(f, &f->ada), 10);
	assert_int_equal(entries_of(f, &f->ada), 1);
	assert_int_equal(grant(f, &f->bob, CREDITS_AMOUNT_MAX), OK);
	assert_int_equal(balance_of(f, &f->bob), CREDITS_AMOUNT_MAX);
	assert_null(problem_of(f, &f->ada));
	assert_int_equal(number_of(f,
			     "SELECT credits_total FROM users WHERE id = ?1",
			     &f->ada),
	    10);
}

static void
a_hold_takes_the_credits_at_once(void **state)
{
	const struct fixture *f = *state;

	assert_int_equal(grant(f, &f->ada, 10), OK);
	assert_int_equal(hold(f, &f->ada, &job_1, 4), OK);
	assert_int_equal(balance_of(f, &f->ada), 6);
	assert_null(problem_of(f, &f->ada));
}

static void
a_job_holds_once(void **state)
{
	const struct fixture *f = *state;

	assert_int_equal(grant(f, &f->ada, 10), OK);
	assert_int_equal(hold(f, &f->ada, &job_1, 4), OK);
	assert_int_not_equal(hold(f, &f->ada, &job_1, 4), OK);
	assert_int_equal(balance_of(f, &f->ada), 6);
	assert_null(problem_of(f, &f->ada));
}

static void
a_hold_of_all_there_is_leaves_nothing_and_of_more_takes_nothing(void **state)
{
	const struct fixture *f = *state;
	struct move m = { .kind = MOVE_HOLD,
		.user_id = &f->ada,
		.job_id = &job_1,
		.amount = 11,
		.now_ms = NOW };

	assert_int_equal(grant(f, &f->ada, 10), OK);
	assert_int_equal(db_transaction(f->db, make_move, &m),
	    ERR_INSUFFICIENT_CREDITS);
	/* What there is is told. */
	assert_int_equal(m.balance, 10);
	assert_int_equal(entries_of(f, &f->ada), 1);
	assert_int_equal(hold(f, &f->ada, &job_1, 10), OK);
	assert_int_equal(balance_of(f, &f->ada), 0);
	assert_int_equal(hold(f, &f->ada, &job_2, 1), ERR_INSUFFICIENT_CREDITS);
	assert_int_equal(hold(f, &nobody, &job_2, 1), ERR_USER_NOT_FOUND);
	assert_null(problem_of(f, &f->ada));
}

static void
what_expires_first_burns_first_then_free_then_bought(void **state)
{
	const struct fixture *f = *state;

	give_three_lots(f, NOW + HOUR);
	assert_int_equal(hold(f, &f->ada, &job_1, 4), OK);
	assert_int_equal(left_in_expiring(f), 1);
	assert_int_equal(left_in_bought(f), 5);
	assert_int_equal(hold(f, &f->ada, &job_2, 7), OK);
	assert_int_equal(left_in_expiring(f), 0);
	assert_int_equal(left_in_bought(f), 4);
	assert_int_equal(balance_of(f, &f->ada), 4);
	assert_null(problem_of(f, &f->ada));
}

static void
a_release_gives_back_to_the_same_lots(void **state)
{
	const struct fixture *f = *state;

	give_three_lots(f, NOW + HOUR);
	assert_int_equal(hold(f, &f->ada, &job_1, 3), OK);
	assert_int_equal(hold(f, &f->ada, &job_2, 9), OK);
	assert_int_equal(left_in_expiring(f), 0);
	assert_int_equal(left_in_bought(f), 3);
	assert_int_equal(settle(f, MOVE_RELEASE, &f->ada, &job_2), OK);
	assert_int_equal(left_in_expiring(f), 2);
	assert_int_equal(left_in_bought(f), 5);
	assert_int_equal(settle(f, MOVE_RELEASE, &f->ada, &job_1), OK);
	assert_int_equal(left_in_expiring(f), 5);
	assert_int_equal(balance_of(f, &f->ada), 15);
	assert_null(problem_of(f, &f->ada));
}

static void
a_capture_changes_no_balance(void **state)
{
	const struct fixture *f = *state;

	assert_int_equal(grant(f, &f->ada, 10), OK);
	assert_int_equal(hold(f, &f->ada, &job_1, 4), OK);
	assert_int_equal(settle(f, MOVE_CAPTURE, &f->ada, &job_1), OK);
	assert_int_equal(balance_of(f, &f->ada), 6);
	assert_int_equal(entries_of(f, &f->ada), 3);
	assert_null(problem_of(f, &f->ada));
}

static void
a_hold_is_captured_or_released_never_both_or_twice(void **state)
{
	const struct fixture *f = *state;
	static const enum move_kind kinds[] = { MOVE_CAPTURE, MOVE_RELEASE };
	const struct uuid *const jobs[] = { &job_1, &job_2 };

	assert_int_equal(grant(f, &f->ada, 10), OK);
	for (size_t i = 0; i < 2; i++) {
		int64_t balance;

		assert_int_equal(hold(f, &f->ada, jobs[i], 3), OK);
		assert_int_equal(settle(f, kinds[i], &f->ada, jobs[i]), OK);
		balance = balance_of(f, &f->ada);
		for (size_t again = 0; again < 2; again++) {
			assert_int_not_equal(settle(f, kinds[again], &f->ada,
						 jobs[i]),
			    OK);
			assert_int_equal(balance_of(f, &f->ada), balance);
		}
	}
	assert_int_equal(balance_of(f, &f->ada), 7);
	assert_null(problem_of(f, &f->ada));
}

static void
what_was_never_held_cannot_be_settled(void **state)
{
	const struct fixture *f = *state;

	assert_int_equal(grant(f, &f->ada, 10), OK);
	assert_int_not_equal(settle(f, MOVE_CAPTURE, &f->ada, &job_1), OK);
	assert_int_not_equal(settle(f, MOVE_RELEASE, &f->ada, &job_1), OK);
	assert_int_equal(entries_of(f, &f->ada), 1);
}

static void
the_schema_itself_refuses_a_second_settlement_and_a_debt(void **state)
{
	const struct fixture *f = *state;

	assert_int_equal(grant(f, &f->ada, 10), OK);
	assert_int_equal(hold(f, &f->ada, &job_1, 4), OK);
	assert_int_equal(settle(f, MOVE_CAPTURE, &f->ada, &job_1), OK);
	assert_int_not_equal(
	    db_script(f->db,
		"INSERT INTO ledger_entries SELECT user_id, number + 1,"
		" 'release', 4, 4, balance_after + 4, job_id, NULL, 'x', hash,"
		" hash, 0 FROM ledger_entries WHERE kind = 'capture'"),
	    OK);
	assert_int_not_equal(db_script(f->db,
				 "UPDATE users SET credits_remaining = -1"),
	    OK);
	assert_int_not_equal(db_script(f->db,
				 "UPDATE credit_lots SET remaining_credits ="
				 " credits + 1"),
	    OK);
	assert_null(problem_of(f, &f->ada));
}

static void
the_schema_itself_refuses_to_change_the_past(void **state)
{
	const struct fixture *f = *state;

	assert_int_equal(grant(f, &f->ada, 10), OK);
	assert_int_not_equal(db_script(f->db,
				 "UPDATE ledger_entries SET reason = 'y'"),
	    OK);
	assert_int_not_equal(db_script(f->db, "DELETE FROM ledger_entries"),
	    OK);
	assert_int_not_equal(db_script(f->db,
				 "INSERT OR REPLACE INTO ledger_entries"
				 " SELECT user_id, number, kind,"
				 " amount_credits, change, balance_after,"
				 " job_id, lot_id, 'y', previous_hash, hash,"
				 " created_at_ms FROM ledger_entries"),
	    OK);
	assert_null(problem_of(f, &f->ada));
}

static void
an_operator_gives_and_takes_but_not_more_than_there_is(void **state)
{
	const struct fixture *f = *state;

	assert_int_equal(adjust(f, &f->ada, 5), OK);
	assert_int_equal(adjust(f, &f->ada, -6), ERR_INSUFFICIENT_CREDITS);
	assert_int_equal(adjust(f, &f->ada, -5), OK);
	assert_int_equal(balance_of(f, &f->ada), 0);
	assert_int_equal(adjust(f, &f->ada, CREDITS_AMOUNT_MAX), OK);
	assert_int_equal(adjust(f, &nobody, 1), ERR_USER_NOT_FOUND);
	assert_int_equal(number_of(f,
			     "SELECT credits_total FROM users WHERE id = ?1",
			     &f->ada),
	    5 + CREDITS_AMOUNT_MAX);
	assert_null(problem_of(f, &f->ada));
}

static enum err
adjust_with_reason(struct db *db, void *arg)
{
	const struct fixture *f = arg;
	char reason[CREDITS_REASON_BYTES_MAX + 1];
	int64_t balance;

	memset(reason, 'r', CREDITS_REASON_BYTES_MAX);
	reason[CREDITS_REASON_BYTES_MAX] = '\0';
	return credits_adjust(db, &f->ada, 1, reason, NOW, &balance);
}

static void
the_longest_reason_is_kept_whole(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(db_transaction(f->db, adjust_with_reason, f), OK);
	assert_int_equal(number_of(f,
			     "SELECT length(reason) FROM ledger_entries"
			     " WHERE user_id = ?1",
			     &f->ada),
	    CREDITS_REASON_BYTES_MAX);
	assert_null(problem_of(f, &f->ada));
}

static void
a_balance_never_passes_its_ceiling(void **state)
{
	const struct fixture *f = *state;

	assert_int_equal(adjust(f, &f->ada, 1), OK);
	damage(f, "UPDATE users SET credits_remaining = %lld",
	    (long long)CREDITS_BALANCE_MAX - 1);
	assert_int_equal(adjust(f, &f->ada, 2), ERR_CONFLICT);
	assert_int_equal(adjust(f, &f->ada, 1), OK);
	assert_int_equal(balance_of(f, &f->ada), CREDITS_BALANCE_MAX);
	assert_int_equal(adjust(f, &f->ada, 1), ERR_CONFLICT);
}

static void
expired_credits_cannot_be_spent_and_are_taken_once(void **state)
{
	const struct fixture *f = *state;

	give_three_lots(f, NOW);
	/* At its time a lot has expired. */
	assert_int_equal(hold(f, &f->ada, &job_1, 11),
	    ERR_INSUFFICIENT_CREDITS);
	assert_int_equal(credits_expire(f->db, NOW - 1, 10), OK);
	assert_int_equal(balance_of(f, &f->ada), 15);
	assert_int_equal(credits_expire(f->db, NOW, 10), OK);
	assert_int_equal(balance_of(f, &f->ada), 10);
	assert_int_equal(credits_expire(f->db, NOW, 10), OK);
	assert_int_equal(balance_of(f, &f->ada), 10);
	assert_int_equal(hold(f, &f->ada, &job_1, 10), OK);
	assert_null(problem_of(f, &f->ada));
}

static void
what_comes_back_to_an_expired_lot_expires_again(void **state)
{
	const struct fixture *f = *state;

	give_three_lots(f, NOW + HOUR);
	assert_int_equal(hold(f, &f->ada, &job_1, 5), OK);
	assert_int_equal(credits_expire(f->db, NOW + HOUR, 10), OK);
	assert_int_equal(balance_of(f, &f->ada), 10);
	assert_int_equal(settle(f, MOVE_RELEASE, &f->ada, &job_1), OK);
	assert_int_equal(balance_of(f, &f->ada), 15);
	assert_int_equal(credits_expire(f->db, NOW + HOUR, 10), OK);
	assert_int_equal(balance_of(f, &f->ada), 10);
	assert_null(problem_of(f, &f->ada));
}

static void
expiry_does_as_much_as_it_is_asked_to(void **state)
{
	const struct fixture *f = *state;

	for (int i = 0; i < 3; i++)
		assert_int_equal(adjust(f, &f->ada, 1), OK);
	damage(f, "UPDATE credit_lots SET expires_at_ms = 5, burn_rank = 5");
	/* Not broken: it would be asked more than once. */
	assert_true(credits_expire(f->db, NOW, 2) == OK);
	assert_int_equal(balance_of(f, &f->ada), 1);
}

/* Ada's ledger has a gift, a hold, a capture, and one adjustment. */
static void
write_chain(const struct fixture *f)
{
	assert_int_equal(grant(f, &f->ada, 10), OK);
	assert_int_equal(hold(f, &f->ada, &job_1, 4), OK);
	assert_int_equal(settle(f, MOVE_CAPTURE, &f->ada, &job_1), OK);
	assert_int_equal(adjust(f, &f->ada, 2), OK);
	assert_null(problem_of(f, &f->ada));
}

static void
a_changed_entry_is_found_whatever_was_changed(void **state)
{
	static const char *const changes[] = {
		"reason = 'other'",
		"created_at_ms = created_at_ms + 1",
		"amount_credits = amount_credits + 1",
		"job_id = x'00000000000000000000000000000009'",
		"lot_id = NULL",
		"kind = 'purchase'",
		"change = change + 1",
		"balance_after = balance_after + 1",
		"hash = zeroblob(32)",
		"previous_hash = zeroblob(32)",
	};
	const struct fixture *f = *state;

	write_chain(f);
	for (size_t i = 0; i < COUNT_OF(changes); i++) {
		damage(f,
		    "SAVEPOINT before;"
		    "UPDATE ledger_entries SET %s WHERE number = 1",
		    changes[i]);
		assert_non_null(problem_of(f, &f->ada));
		damage(f, "ROLLBACK TO before; RELEASE before");
		assert_null(problem_of(f, &f->ada));
	}
}

static void
a_missing_entry_is_found(void **state)
{
	const struct fixture *f = *state;

	write_chain(f);
	damage(f, "DELETE FROM ledger_entries WHERE number = 3");
	assert_string_equal(problem_of(f, &f->ada), "an entry is missing");
}

static void
an_entry_cut_out_and_closed_up_is_found(void **state)
{
	const struct fixture *f = *state;

	/* The capture changes no balance: only the chain can tell. */
	write_chain(f);
	damage(f,
	    "DELETE FROM ledger_entries WHERE number = 3;"
	    "UPDATE ledger_entries SET number = 3 WHERE number = 4");
	assert_string_equal(problem_of(f, &f->ada), "the hash chain is broken");
}

static void
a_cut_off_end_is_found(void **state)
{
	const struct fixture *f = *state;

	write_chain(f);
	/* Balance and lots are made to fit what is left. */
	damage(f,
	    "DELETE FROM ledger_entries WHERE number = 4;"
	    "DELETE FROM credit_lots WHERE credits = 2;"
	    "UPDATE users SET credits_remaining = 6 WHERE ledger_number = 4");
	assert_string_equal(problem_of(f, &f->ada),
	    "the end of the ledger is missing");
}

static void
a_balance_or_lot_that_was_touched_is_found(void **state)
{
	const struct fixture *f = *state;

	write_chain(f);
	damage(f,
	    "UPDATE users SET credits_remaining = credits_remaining + 1"
	    " WHERE ledger_number = 4");
	assert_string_equal(problem_of(f, &f->ada),
	    "the balance is not the sum of the ledger");
	damage(f,
	    "UPDATE users SET credits_remaining = credits_remaining - 1"
	    " WHERE ledger_number = 4;"
	    "UPDATE credit_lots SET remaining_credits = 1"
	    " WHERE credits = 2");
	assert_string_equal(problem_of(f, &f->ada),
	    "the balance is not the sum of the lots");
	assert_null(problem_of(f, &f->bob));
}

static void
the_history_is_newest_first_and_shows_what_moved_the_balance(void **state)
{
	const struct fixture *f = *state;
	struct ledger_entry entries[CREDITS_HISTORY_MAX];
	size_t count;

	write_chain(f);
	assert_int_equal(credits_history(f->db, &f->ada, NULL,
			     CREDITS_HISTORY_MAX, entries, &count),
	    OK);
	assert_int_equal(count, 3);
	assert_string_equal(entries[0].kind, "adjustment");
	assert_int_equal(entries[0].change_credits, 2);
	assert_int_equal(entries[0].balance_after_credits, 8);
	assert_false(entries[0].has_job);
	assert_string_equal(entries[1].kind, "hold");
	assert_int_equal(entries[1].change_credits, -4);
	assert_true(entries[1].has_job);
	assert_true(uuid_equal(&entries[1].job_id, &job_1));
	assert_string_equal(entries[2].kind, "grant");
	assert_int_equal(entries[2].created_at_ms, NOW);
}

static void
the_history_goes_on_behind_an_entry(void **state)
{
	const struct fixture *f = *state;
	struct ledger_entry entries[CREDITS_HISTORY_MAX];
	struct uuid before;
	size_t count;

	write_chain(f);
	assert_int_equal(credits_history(f->db, &f->ada, NULL, 1, entries,
			     &count),
	    OK);
	assert_int_equal(count, 1);
	before = entries[0].id;
	assert_int_equal(credits_history(f->db, &f->ada, &before, 1, entries,
			     &count),
	    OK);
	assert_int_equal(count, 1);
	assert_string_equal(entries[0].kind, "hold");
	before = entries[0].id;
	assert_int_equal(credits_history(f->db, &f->ada, &before, 9, entries,
			     &count),
	    OK);
	assert_int_equal(count, 1);
	before = entries[0].id;
	assert_int_equal(credits_history(f->db, &f->ada, &before, 9, entries,
			     &count),
	    OK);
	assert_int_equal(count, 0);
	/* Nobody pages through another's ledger. */
	assert_int_equal(credits_history(f->db, &f->bob, &before, 9, entries,
			     &count),
	    ERR_INVALID_REQUEST);
	assert_int_equal(credits_history(f->db, &f->ada, &nobody, 9, entries,
			     &count),
	    ERR_INVALID_REQUEST);
}

static void
credits_that_come_without_a_job_are_an_event(void **state)
{
	const struct fixture *f = *state;
	static const char sql[] = "SELECT COUNT(*) FROM events"
				  " WHERE kind = 'balance' AND user_id = ?1";

	assert_int_equal(grant(f, &f->ada, 10), OK);
	assert_int_equal(number_of(f, sql, &f->ada), 1);
	assert_int_equal(adjust(f, &f->ada, -1), OK);
	assert_int_equal(number_of(f, sql, &f->ada), 2);
	assert_int_equal(number_of(f, sql, &f->bob), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_new_user_has_nothing),
		TEST(the_gift_is_given_once),
		TEST(a_hold_takes_the_credits_at_once),
		TEST(a_job_holds_once),
		TEST(
		    a_hold_of_all_there_is_leaves_nothing_and_of_more_takes_nothing),
		TEST(what_expires_first_burns_first_then_free_then_bought),
		TEST(a_release_gives_back_to_the_same_lots),
		TEST(a_capture_changes_no_balance),
		TEST(a_hold_is_captured_or_released_never_both_or_twice),
		TEST(what_was_never_held_cannot_be_settled),
		TEST(the_schema_itself_refuses_a_second_settlement_and_a_debt),
		TEST(the_schema_itself_refuses_to_change_the_past),
		TEST(an_operator_gives_and_takes_but_not_more_than_there_is),
		TEST(the_longest_reason_is_kept_whole),
		TEST(a_balance_never_passes_its_ceiling),
		TEST(expired_credits_cannot_be_spent_and_are_taken_once),
		TEST(what_comes_back_to_an_expired_lot_expires_again),
		TEST(expiry_does_as_much_as_it_is_asked_to),
		TEST(a_changed_entry_is_found_whatever_was_changed),
		TEST(a_missing_entry_is_found),
		TEST(an_entry_cut_out_and_closed_up_is_found),
		TEST(a_cut_off_end_is_found),
		TEST(a_balance_or_lot_that_was_touched_is_found),
		TEST(
		    the_history_is_newest_first_and_shows_what_moved_the_balance),
		TEST(the_history_goes_on_behind_an_entry),
		TEST(credits_that_come_without_a_job_are_an_event),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
