/* SPDX-License-Identifier: MIT */
#include "domain/acts.h"
#include "domain/admins.h"
#include "domain/breakers.h"
#include "domain/deletions.h"
#include "domain/merges.h"
#include "domain/switches.h"

#include "fixture.h"

/* An admin of the database, who acts in these tests. */
static struct admin_actor
admin_of(const struct fixture *f)
{
	struct admin admin = { .name = "root",
		.password_hash = "hash",
		.sealed_bytes = 1 };
	struct admin_actor actor = { .name = "root", .address = "192.0.2.1" };

	assert_int_equal(admins_add(f->db, &admin_console, &admin, NOW), OK);
	assert_int_equal(admins_find(f->db, STR("root"), &admin), OK);
	actor.id = admin.id;
	return actor;
}

static int64_t
entries_of(const struct fixture *f, const char *action)
{
	static const char sql[] =
	    "SELECT COUNT(*) FROM admin_log WHERE action = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(f->db, sql);
	bool found;

	db_bind_text(stmt, 1, action);
	assert_int_equal(db_step(stmt, &found), OK);
	return db_column_int64(stmt, 0);
}

static void
an_adjustment_is_in_the_ledger_and_in_the_log_or_in_neither(void **state)
{
	const struct fixture *f = *state;
	const struct admin_actor admin = admin_of(f);
	struct act_receipt receipt = { 0 };
	const struct uuid nobody = uuid_random();

	assert_int_equal(acts_adjust(f->db, &admin, &f->ada, 5, "sorry", 0, NOW,
			     &receipt),
	    OK);
	assert_int_equal(receipt.balance, 5);
	assert_int_equal(entries_of(f, "user_adjust"), 1);
	assert_int_equal(acts_adjust(f->db, &admin, &f->ada, -6, "x", 0, NOW,
			     &receipt),
	    ERR_INSUFFICIENT_CREDITS);
	assert_int_equal(acts_adjust(f->db, &admin, &nobody, 1, "x", 0, NOW,
			     &receipt),
	    ERR_USER_NOT_FOUND);
	assert_int_equal(entries_of(f, "user_adjust"), 1);
	assert_int_equal(balance_of(f, &f->ada), 5);
	assert_null(problem_of(f, &f->ada));
}

static void
an_admin_gives_up_to_the_cap_in_a_day_and_the_console_any(void **state)
{
	const struct fixture *f = *state;
	const struct admin_actor admin = admin_of(f);
	struct act_receipt receipt;
	const int64_t day = 24 * HOUR;

	assert_int_equal(acts_adjust(f->db, &admin, &f->ada, 6, "x", 10, NOW,
			     &receipt),
	    OK);
	assert_int_equal(acts_adjust(f->db, &admin, &f->bob, 5, "x", 10,
			     NOW + 1, &receipt),
	    ERR_FORBIDDEN);
	assert_int_equal(acts_adjust(f->db, &admin, &f->bob, 4, "x", 10,
			     NOW + 1, &receipt),
	    OK);
	/* Taking is not giving. */
	assert_int_equal(acts_adjust(f->db, &admin, &f->bob, -4, "x", 10,
			     NOW + 2, &receipt),
	    OK);
	assert_int_equal(acts_adjust(f->db, &admin_console, &f->bob, 1000, "x",
			     10, NOW + 3, &receipt),
	    OK);
	assert_int_equal(acts_adjust(f->db, &admin, &f->bob, 10, "x", 10,
			     NOW + 1 + day, &receipt),
	    OK);
}

static void
an_act_is_undone_once_by_the_opposite_entry(void **state)
{
	const struct fixture *f = *state;
	const struct admin_actor admin = admin_of(f);
	struct act_receipt given, undone;

	assert_int_equal(acts_adjust(f->db, &admin, &f->ada, 5, "x", 0, NOW,
			     &given),
	    OK);
	assert_int_equal(acts_undo(f->db, &admin, given.number, "mistake", NOW,
			     &undone),
	    OK);
	assert_int_equal(undone.balance, 0);
	assert_int_equal(acts_undo(f->db, &admin, given.number, "x", NOW,
			     &undone),
	    ERR_CONFLICT);
	/* An undoing is final, and nothing else can be undone. */
	assert_int_equal(acts_undo(f->db, &admin, undone.number, "x", NOW,
			     &undone),
	    ERR_NOT_FOUND);
	assert_int_equal(acts_undo(f->db, &admin, 1, "x", NOW, &undone),
	    ERR_NOT_FOUND);
	assert_int_equal(balance_of(f, &f->ada), 0);
	assert_null(problem_of(f, &f->ada));
}

static enum err
merge_ada_into_bob(struct db *db, void *arg)
{
	const struct fixture *f = arg;

	return merges_run(db, &f->ada, &f->bob, false, NOW);
}

static void
what_a_merged_account_was_given_is_taken_from_its_heir(void **state)
{
	struct fixture *f = *state;
	const struct admin_actor admin = admin_of(f);
	struct act_receipt given, taken, undone;

	assert_int_equal(acts_adjust(f->db, &admin, &f->ada, 5, "x", 0, NOW,
			     &given),
	    OK);
	assert_int_equal(acts_adjust(f->db, &admin, &f->ada, -2, "x", 0, NOW,
			     &taken),
	    OK);
	assert_int_equal(db_transaction(f->db, merge_ada_into_bob, f), OK);
	assert_int_equal(balance_of(f, &f->bob), 3);
	assert_int_equal(acts_undo(f->db, &admin, taken.number, "x", NOW,
			     &undone),
	    OK);
	assert_int_equal(undone.balance, 5);
	assert_int_equal(acts_undo(f->db, &admin, given.number, "x", NOW,
			     &undone),
	    OK);
	assert_int_equal(balance_of(f, &f->ada), 0);
	assert_int_equal(balance_of(f, &f->bob), 0);
	assert_null(problem_of(f, &f->bob));
}

static void
nothing_of_a_deleted_account_is_undone(void **state)
{
	const struct fixture *f = *state;
	const struct admin_actor admin = admin_of(f);
	struct act_receipt given, undone;

	assert_int_equal(acts_adjust(f->db, &admin, &f->ada, 5, "x", 0, NOW,
			     &given),
	    OK);
	assert_int_equal(deletions_begin(f->db, &f->ada, NOW), OK);
	assert_int_equal(acts_undo(f->db, &admin, given.number, "x", NOW,
			     &undone),
	    ERR_USER_NOT_FOUND);
	assert_int_equal(balance_of(f, &f->ada), 5);
	assert_int_equal(entries_of(f, "undo"), 0);
}

static void
what_was_spent_cannot_be_taken_back(void **state)
{
	const struct fixture *f = *state;
	const struct admin_actor admin = admin_of(f);
	struct act_receipt receipt;

	assert_int_equal(acts_adjust(f->db, &admin, &f->ada, JOB_COST, "x", 0,
			     NOW, &receipt),
	    OK);
	(void)submit(f, "key");
	assert_int_equal(acts_undo(f->db, &admin, receipt.number, "x", NOW,
			     &receipt),
	    ERR_INSUFFICIENT_CREDITS);
	assert_int_equal(entries_of(f, "undo"), 0);
}

static void
a_job_that_was_paid_is_given_back_once(void **state)
{
	const struct fixture *f = *state;
	const struct admin_actor admin = admin_of(f);
	struct act_refund refund = { 0 };
	struct act_receipt receipt;
	struct uuid job_id, id;

	assert_int_equal(grant(f, &f->ada, JOB_COST), OK);
	id = storing_attempt(f, &job_id);
	assert_int_equal(tell_stored(f->db, &id, 1, sha256, NOW), OK);
	assert_int_equal(acts_refund_job(f->db, &admin, &job_id, "bad video", 0,
			     NOW, &refund),
	    OK);
	assert_int_equal(refund.refunded_credits, JOB_COST);
	assert_int_equal(refund.receipt.balance, JOB_COST);
	assert_int_equal(acts_refund_job(f->db, &admin, &job_id, "again", 0,
			     NOW, &refund),
	    ERR_CONFLICT);
	/* What the job tells as refunded stays so. */
	assert_int_equal(acts_undo(f->db, &admin, refund.receipt.number, "x",
			     NOW, &receipt),
	    ERR_NOT_FOUND);
	assert_int_equal(balance_of(f, &f->ada), JOB_COST);
	assert_int_equal(entries_of(f, "job_refund"), 1);
	assert_null(problem_of(f, &f->ada));
}

static void
a_job_that_was_not_sent_ends_with_its_release(void **state)
{
	const struct fixture *f = *state;
	const struct admin_actor admin = admin_of(f);
	struct act_refund refund = { 0 };
	struct uuid job_id;

	assert_int_equal(grant(f, &f->ada, JOB_COST), OK);
	job_id = submit(f, "key");
	assert_int_equal(acts_refund_job(f->db, &admin, &job_id, "x", 0, NOW,
			     &refund),
	    OK);
	assert_int_equal(refund.state, JOB_CANCELLED);
	assert_int_equal(refund.receipt.balance, JOB_COST);
	assert_int_equal(acts_refund_job(f->db, &admin, &job_id, "x", 0, NOW,
			     &refund),
	    ERR_CONFLICT);
	assert_int_equal(balance_of(f, &f->ada), JOB_COST);
	assert_null(problem_of(f, &f->ada));
}

static void
a_job_under_way_is_called_off_at_its_provider_first(void **state)
{
	const struct fixture *f = *state;
	const struct admin_actor admin = admin_of(f);
	struct act_refund refund = { 0 };
	struct uuid job_id;

	assert_int_equal(grant(f, &f->ada, JOB_COST), OK);
	(void)accepted_attempt(f, &job_id);
	assert_int_equal(acts_refund_job(f->db, &admin, &job_id, "x", 0, NOW,
			     &refund),
	    OK);
	assert_int_equal(refund.refunded_credits, 0);
	assert_int_equal(balance_of(f, &f->ada), 0);
	assert_int_equal(lease_one(f, NOW).action, ATTEMPT_CANCEL);
}

static void
fields_are_set_all_or_none_and_their_old_values_kept(void **state)
{
	const struct fixture *f = *state;
	const struct act_field good[] = { { STR("name"), STR("Swift") },
		{ STR("state"), STR("disabled") } };
	const struct act_field bad[] = { { STR("name"), STR("Slow") },
		{ STR("state"), STR("broken") } };
	char value[CATALOG_LONG_TEXT_BYTES];
	size_t at = 9;

	assert_int_equal(acts_set_model(f->db, &admin_console, &f->model.id,
			     bad, 2, NOW, &at),
	    ERR_INVALID_REQUEST);
	assert_int_equal(at, 1);
	assert_int_equal(entries_of(f, "model_set"), 0);
	assert_int_equal(catalog_model_field(f->db, &f->model.id, STR("name"),
			     value),
	    OK);
	assert_string_equal(value, f->model.name);

	assert_int_equal(acts_set_model(f->db, &admin_console, &f->model.id,
			     good, 2, NOW, &at),
	    OK);
	assert_int_equal(number_of(f,
			     "SELECT COUNT(*) FROM admin_log"
			     " WHERE subject_id = ?1 AND field = 'state'"
			     " AND old_value = 'available'"
			     " AND new_value = 'disabled'",
			     &f->model.id),
	    1);
}

static void
every_field_that_can_be_set_can_be_read(void **state)
{
	static const char *const fields[] = { "name", "description",
		"thumbnail_url", "is_featured", "cost_per_generation", "omits",
		"fallback_id", "spend_cap_micro_usd_per_day", "state",
		"is_active", "price.720p.audio", "cost.720p.silent" };
	const struct fixture *f = *state;
	char value[CATALOG_LONG_TEXT_BYTES];

	for (size_t i = 0; i < COUNT_OF(fields); i++)
		assert_int_equal(catalog_model_field(f->db, &f->model.id,
				     str_from(fields[i]), value),
		    OK);
	assert_int_equal(catalog_model_field(f->db, &f->model.id, STR("id"),
			     value),
	    ERR_INVALID_REQUEST);
	assert_int_equal(catalog_model_field(f->db, &f->ada, STR("name"),
			     value),
	    ERR_MODEL_NOT_FOUND);
	assert_int_equal(catalog_theme_field(f->db, &f->ada, STR("name"),
			     value),
	    ERR_THEME_NOT_FOUND);
}

static void
maintenance_closes_until_it_is_over(void **state)
{
	const struct fixture *f = *state;

	assert_int_equal(switches_check_open(f->db), OK);
	assert_int_equal(acts_set_maintenance(f->db, &admin_console, true,
			     "disk", NOW),
	    OK);
	assert_int_equal(switches_check_open(f->db), ERR_SERVICE_UNAVAILABLE);
	assert_int_equal(acts_set_maintenance(f->db, &admin_console, false, "",
			     NOW),
	    OK);
	assert_int_equal(switches_check_open(f->db), OK);
	assert_int_equal(entries_of(f, "switch_set"), 2);
}

static void
a_ban_and_its_end_are_in_the_log_with_their_reasons(void **state)
{
	const struct fixture *f = *state;
	struct account account;

	assert_int_equal(acts_set_banned(f->db, &admin_console, &f->ada, true,
			     "fraud", NOW),
	    OK);
	assert_int_equal(accounts_get(f->db, &f->ada, &account), OK);
	assert_int_equal(account.status, ACCOUNT_BANNED);
	assert_int_equal(acts_set_banned(f->db, &admin_console, &f->ada, false,
			     "a mistake", NOW),
	    OK);
	assert_int_equal(accounts_get(f->db, &f->ada, &account), OK);
	assert_int_equal(account.status, ACCOUNT_ACTIVE);
	assert_int_equal(entries_of(f, "user_ban"), 1);
	assert_int_equal(entries_of(f, "user_unban"), 1);
	assert_int_equal(acts_set_banned(f->db, &admin_console, &f->model.id,
			     true, "", NOW),
	    ERR_USER_NOT_FOUND);
	assert_int_equal(entries_of(f, "user_ban"), 1);
}

static void
an_admin_signs_a_user_out_everywhere(void **state)
{
	const struct fixture *f = *state;

	(void)open_session(f, &f->ada, NOW);
	(void)open_session(f, &f->ada, NOW);
	assert_int_equal(acts_log_out(f->db, &admin_console, &f->ada, NOW), OK);
	assert_int_equal(number_of(f,
			     "SELECT COUNT(*) FROM sessions"
			     " WHERE user_id = ?1",
			     &f->ada),
	    0);
	assert_int_equal(entries_of(f, "user_logout"), 1);
	assert_int_equal(acts_log_out(f->db, &admin_console, &f->model.id, NOW),
	    ERR_USER_NOT_FOUND);
}

static void
a_provider_is_stopped_and_started_by_hand(void **state)
{
	const struct fixture *f = *state;
	bool blocked = false;

	assert_int_equal(acts_start_provider(f->db, &admin_console, "", "", "",
			     NOW),
	    ERR_NOT_FOUND);
	assert_int_equal(acts_stop_provider(f->db, &admin_console, "", "",
			     "costs", NOW),
	    OK);
	assert_int_equal(breakers_block(f->db, "fal", f->model.endpoint, NOW,
			     &blocked),
	    OK);
	assert_true(blocked);
	assert_int_equal(acts_start_provider(f->db, &admin_console, "", "", "",
			     NOW),
	    OK);
	assert_int_equal(acts_stop_provider(f->db, &admin_console, "fal", "",
			     "", NOW),
	    OK);
	assert_int_equal(number_of(f,
			     "SELECT COUNT(*) FROM admin_log"
			     " WHERE action = 'provider_stop'"
			     " AND field IN ('all', 'fal')",
			     NULL),
	    2);
	assert_int_equal(entries_of(f, "provider_start"), 1);
}

static enum err
set_model(const struct fixture *f, const char *name, const char *value)
{
	const struct act_field field = { str_from(name), str_from(value) };
	size_t at;

	return acts_set_model(f->db, &admin_console, &f->model.id, &field, 1,
	    NOW, &at);
}

static void
a_field_takes_only_values_of_its_kind(void **state)
{
	const struct fixture *f = *state;
	char other[UUID_TEXT_BYTES], value[CATALOG_LONG_TEXT_BYTES];
	struct model active;

	assert_int_equal(catalog_active_model(f->db, &active), OK);
	uuid_format(&active.id, other);
	assert_int_equal(set_model(f, "fallback_id", other), OK);
	assert_int_equal(catalog_model_field(f->db, &f->model.id,
			     STR("fallback_id"), value),
	    OK);
	assert_string_equal(value, other);
	assert_int_equal(set_model(f, "fallback_id", "veo"),
	    ERR_INVALID_REQUEST);
	assert_int_equal(set_model(f, "fallback_id", ""), OK);
	assert_int_equal(catalog_model_field(f->db, &f->model.id,
			     STR("fallback_id"), value),
	    OK);
	assert_string_equal(value, "");
	assert_int_equal(set_model(f, "spend_cap_micro_usd_per_day", "5000"),
	    OK);
	assert_int_equal(set_model(f, "spend_cap_micro_usd_per_day", "-1"),
	    ERR_INVALID_REQUEST);
	assert_int_equal(set_model(f, "spend_cap_micro_usd_per_day", ""), OK);
	assert_int_equal(set_model(f, "is_featured", "2"), ERR_INVALID_REQUEST);
	assert_int_equal(set_model(f, "is_featured", "0"), OK);
	assert_int_equal(set_model(f, "is_featured", "1"), OK);
	assert_int_equal(set_model(f, "price.720p.audio", "2000"), OK);
	assert_int_equal(set_model(f, "price.720p.audio", "0"),
	    ERR_INVALID_REQUEST);
	assert_int_equal(set_model(f, "price.720p.loud", "1"),
	    ERR_INVALID_REQUEST);
	assert_int_equal(set_model(f, "price.8k.audio", "1"),
	    ERR_INVALID_REQUEST);
	assert_int_equal(set_model(f, "cost.720p.audio", "7"), OK);
	assert_int_equal(set_model(f, "cost_per_generation", "7"),
	    ERR_CONFLICT);
	assert_int_equal(set_model(f, "name", ""), ERR_INVALID_REQUEST);
	assert_int_equal(set_model(f, "colour", "red"), ERR_INVALID_REQUEST);
}

static struct uuid
a_theme(const struct fixture *f)
{
	static const char sql[] = "SELECT id FROM themes LIMIT 1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(f->db, sql);
	bool found;

	assert_int_equal(db_step(stmt, &found), OK);
	return db_column_uuid(stmt, 0);
}

static void
a_theme_is_changed_like_a_model(void **state)
{
	const struct fixture *f = *state;
	const struct uuid id = a_theme(f);
	const struct act_field good = { STR("name"), STR("Dawn") };
	const struct act_field bad = { STR("colour"), STR("red") };
	char value[CATALOG_LONG_TEXT_BYTES];
	size_t at = 9;

	assert_int_equal(acts_set_theme(f->db, &admin_console, &id, &good, 1,
			     NOW, &at),
	    OK);
	assert_int_equal(catalog_theme_field(f->db, &id, STR("name"), value),
	    OK);
	assert_string_equal(value, "Dawn");
	assert_int_equal(acts_set_theme(f->db, &admin_console, &id, &bad, 1,
			     NOW, &at),
	    ERR_INVALID_REQUEST);
	assert_int_equal(at, 0);
	assert_int_equal(acts_set_theme(f->db, &admin_console, &f->ada, &good,
			     1, NOW, &at),
	    ERR_THEME_NOT_FOUND);
	assert_int_equal(entries_of(f, "theme_set"), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(
		    an_adjustment_is_in_the_ledger_and_in_the_log_or_in_neither),
		TEST(an_admin_gives_up_to_the_cap_in_a_day_and_the_console_any),
		TEST(an_act_is_undone_once_by_the_opposite_entry),
		TEST(what_a_merged_account_was_given_is_taken_from_its_heir),
		TEST(nothing_of_a_deleted_account_is_undone),
		TEST(what_was_spent_cannot_be_taken_back),
		TEST(a_job_that_was_paid_is_given_back_once),
		TEST(a_job_that_was_not_sent_ends_with_its_release),
		TEST(a_job_under_way_is_called_off_at_its_provider_first),
		TEST(fields_are_set_all_or_none_and_their_old_values_kept),
		TEST(every_field_that_can_be_set_can_be_read),
		TEST(maintenance_closes_until_it_is_over),
		TEST(a_ban_and_its_end_are_in_the_log_with_their_reasons),
		TEST(an_admin_signs_a_user_out_everywhere),
		TEST(a_provider_is_stopped_and_started_by_hand),
		TEST(a_field_takes_only_values_of_its_kind),
		TEST(a_theme_is_changed_like_a_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
