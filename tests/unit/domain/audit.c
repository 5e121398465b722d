/* SPDX-License-Identifier: MIT */
#include "fixture.h"

#include "domain/audit.h"
#include "domain/devices.h"
#include "domain/purchases.h"
#include "domain/sessions.h"
#include "domain/media.h"
#include "store/objects.h"

#include <sodium.h>
#include <sys/wait.h>

/* A small world in which every kind of job exists and all is well. */
struct world {
	struct fixture f;
	struct uuid completed, completed_object;
	struct uuid hidden, hidden_object;
	struct uuid failed, queued, submitting, waiting, storing, cancelled;
	struct uuid storing_attempt;
};

static const char bytes[] = "not quite a video";

static void
put_file(const struct fixture *f, const char *bucket, const struct uuid *id)
{
	int fd;

	assert_int_equal(objects_open_partial(f->dir, bucket, id, &fd), OK);
	assert_int_equal(write(fd, bytes, sizeof(bytes)), sizeof(bytes));
	assert_int_equal(objects_publish(f->dir, bucket, id, fd), OK);
	assert_int_equal(close(fd), 0);
}

/* Submits a job and has it accepted; gives its attempt. */
static struct uuid
accept_job(const struct fixture *f, const char *key, struct uuid *ret_job_id)
{
	struct attempt_handle mine = handle;
	struct attempt_work work;

	*ret_job_id = submit(f, key);
	work = lease_one(f, NOW);
	(void)snprintf(mine.request_id, sizeof(mine.request_id), "%s", key);
	assert_int_equal(attempts_accepted(f->db, &work.id, &mine, NOW + MINUTE,
			     NOW),
	    OK);
	return work.id;
}

static struct uuid
complete_job(const struct fixture *f, const char *key, bool is_hidden,
    struct uuid *ret_job_id)
{
	const struct uuid id = accept_job(f, key, ret_job_id);
	uint8_t hash[32];

	assert_int_equal(attempts_succeeded(f->db, &id, "https://cdn.test/", 0,
			     NOW),
	    OK);
	if (is_hidden)
		assert_int_equal(jobs_delete(f->db, &f->ada, ret_job_id, NOW),
		    OK);
	put_file(f, "videos", &id);
	(void)crypto_hash_sha256(hash, (const unsigned char *)bytes,
	    sizeof(bytes));
	assert_int_equal(tell_stored(f->db, &id, sizeof(bytes), hash, NOW), OK);
	return id;
}

static void
enter_with_gift(struct fixture *f)
{
	struct device_entry entry = { .id_hash = { 1 },
		.is_secret = true,
		.is_verified = true,
		.limits = { 5, 5, 5 },
		.now_ms = NOW };

	assert_int_equal(devices_enter(f->db, &entry), OK);
	assert_int_equal(devices_grant(f->db, &entry, 100), OK);
	f->ada = entry.session.user_id;
}

static void
buy(const struct fixture *f, const struct uuid *user_id)
{
	const struct purchase_policy policy = { 0 };
	const struct purchase_fact fact = { .transaction_id = "1000",
		.original_transaction_id = "1000",
		.product_id = "com.rendioai.credits.starter.25",
		.quantity = 1,
		.signed_at_ms = NOW };
	struct purchase_receipt receipt;

	assert_int_equal(purchases_post(f->db, user_id, &fact, &policy, NOW,
			     &receipt),
	    OK);
}

static int
set_up_world(void **state)
{
	static struct world world;
	struct world *w = &world;
	const struct fixture *f = &w->f;
	struct uuid id, buyer;

	if (set_up(state) != 0)
		return -1;
	w->f = *(const struct fixture *)*state;
	*state = w;
	buyer = w->f.ada;
	enter_with_gift(&w->f);
	w->completed_object =
	    complete_job(f, "completed", false, &w->completed);
	w->hidden_object = complete_job(f, "hidden", true, &w->hidden);
	id = accept_job(f, "failed", &w->failed);
	assert_int_equal(attempts_failed(f->db, &id, "failed", NOW), OK);
	w->storing_attempt = accept_job(f, "storing", &w->storing);
	assert_int_equal(attempts_succeeded(f->db, &w->storing_attempt,
			     "https://cdn.test/", 0, NOW + MINUTE),
	    OK);
	(void)accept_job(f, "waiting", &w->waiting);
	w->submitting = submit(f, "submitting");
	assert_int_equal(lease_one(f, NOW).action, ATTEMPT_SUBMIT);
	w->cancelled = submit(f, "cancelled");
	assert_int_equal(jobs_delete(f->db, &f->ada, &w->cancelled, NOW), OK);
	w->queued = submit(f, "queued");
	buy(f, &buyer);
	return 0;
}

static const struct audit *
audit_at(const struct world *w, int64_t now_ms)
{
	static struct audit audit;

	assert_int_equal(audit_run(w->f.db, w->f.dir, now_ms, true, &audit),
	    OK);
	return &audit;
}

static void
expect_clean(const struct world *w, int64_t now_ms)
{
	const struct audit *audit = audit_at(w, now_ms);

	for (int n = 1; n <= AUDIT_INVARIANT_MAX; n++)
		if (audit->invariant[n].violations_count > 0)
			fail_msg("%d: %s", n,
			    audit->invariant[n].violation[0].problem);
	assert_true(audit->is_whole);
	assert_true(audit_is_clean(audit));
}

/* The audit finds this, and names the row. */
static void
expect_at(const struct world *w, int64_t now_ms, int number,
    const char *problem, const struct uuid *id)
{
	const struct audit *audit = audit_at(w, now_ms);
	const struct audit_finding *finding = &audit->invariant[number];
	bool found = false;

	for (int64_t i = 0;
	     i < finding->violations_count && i < AUDIT_REPORTED_MAX; i++)
		found = found ||
		    (strcmp(finding->violation[i].problem, problem) == 0 &&
			uuid_equal(&finding->violation[i].id, id));
	if (!found)
		fail_msg("not found: %s", problem);
	assert_false(audit_is_clean(audit));
}

static void
expect(const struct world *w, int number, const char *problem,
    const struct uuid *id)
{
	expect_at(w, NOW, number, problem, id);
}

static void
a_healthy_world_is_clean_and_wholly_looked_at(void **state)
{
	const struct world *w = *state;
	const struct audit *audit;

	expect_clean(w, NOW);
	audit = audit_at(w, NOW);
	assert_int_equal(audit->invariant[1].checked_count, 3);
	assert_int_equal(audit->invariant[2].checked_count, 8);
	assert_int_equal(audit->invariant[3].checked_count, 4);
	assert_int_equal(audit->invariant[4].checked_count, 1);
	assert_int_equal(audit->invariant[5].checked_count, 1);
	assert_int_equal(audit->invariant[6].checked_count, 8);
	assert_int_equal(audit->invariant[7].checked_count, 8);
	assert_int_equal(audit->invariant[8].checked_count, 3);
	assert_int_equal(audit->invariant[9].checked_count, 3);
	for (int n = 1; n <= AUDIT_INVARIANT_MAX; n++)
		assert_int_equal(audit_title(n) == NULL,
		    audit->invariant[n].checked_count == 0);
}

static void
it_needs_no_more_than_to_read(void **state)
{
	struct world w = *(const struct world *)*state;
	struct db *db;

	assert_int_equal(db_open(w.f.dir, DB_READ_ONLY, false, &db), OK);
	w.f.db = db;
	expect_clean(&w, NOW);
	db_close(db);
}

static void
an_empty_database_is_clean(void **state)
{
	const struct world w = { .f = *(const struct fixture *)*state };

	expect_clean(&w, NOW);
}

static void
a_balance_that_was_changed_is_found(void **state)
{
	const struct world *w = *state;
	const struct uuid *ada = &w->f.ada;

	damage(&w->f, "UPDATE users SET credits_remaining = 1 WHERE id = %s",
	    literal_of(ada).text);
	expect(w, 1, "the balance is not the sum of the ledger", ada);
	expect(w, 1, "the balance is not the sum of the lots", ada);
	expect(w, 9, "the balance is not the sum of the ledger", ada);
}

static void
a_lot_that_was_changed_is_found(void **state)
{
	const struct world *w = *state;

	damage(&w->f, "UPDATE credit_lots SET remaining_credits = 1");
	expect(w, 1, "the balance is not the sum of the lots", &w->f.ada);
}

static void
a_total_that_was_changed_is_found(void **state)
{
	const struct world *w = *state;

	damage(&w->f, "UPDATE users SET credits_total = 1 WHERE id = %s",
	    literal_of(&w->f.bob).text);
	expect(w, 1, "the total is not the sum of what was received",
	    &w->f.bob);
}

static void
a_missing_or_wrong_hold_is_found(void **state)
{
	const struct world *w = *state;

	damage(&w->f,
	    "UPDATE ledger_entries SET amount_credits = 1"
	    " WHERE kind = 'hold' AND job_id = %s",
	    literal_of(&w->queued).text);
	expect(w, 2, "the job has no hold of its cost by its user", &w->queued);
	expect(w, 2, "the hold is not the sum of what it took out of lots",
	    &w->queued);
	damage(&w->f,
	    "DELETE FROM ledger_entries WHERE kind = 'hold'"
	    " AND job_id = %s",
	    literal_of(&w->completed).text);
	expect(w, 2, "the job has no hold of its cost by its user",
	    &w->completed);
	expect(w, 2, "the job was settled without a hold", &w->completed);
	expect(w, 2, "credits came out of a lot without a hold", &w->completed);
}

static void
a_missing_settlement_is_found(void **state)
{
	const struct world *w = *state;

	damage(&w->f,
	    "DELETE FROM ledger_entries"
	    " WHERE kind IN ('capture', 'release')");
	expect(w, 2, "the completed job has no capture of its cost",
	    &w->completed);
	expect(w, 2, "the completed job has no capture of its cost",
	    &w->hidden);
	expect(w, 2, "the job that failed has no release of its cost",
	    &w->failed);
	expect(w, 2, "the job that failed has no release of its cost",
	    &w->cancelled);
	/* Without the release, what came back is too much. */
	assert_int_equal(audit_at(w, NOW)->invariant[2].violations_count, 5);
}

static void
the_wrong_settlement_is_found(void **state)
{
	const struct world *w = *state;

	damage(&w->f,
	    "UPDATE ledger_entries SET kind ="
	    " CASE kind WHEN 'capture' THEN 'release'"
	    " ELSE 'capture' END WHERE kind IN"
	    " ('capture', 'release')");
	expect(w, 2, "the completed job has no capture of its cost",
	    &w->completed);
	expect(w, 2, "the job that failed has no release of its cost",
	    &w->failed);
}

static void
a_settlement_of_an_open_job_is_found(void **state)
{
	const struct world *w = *state;

	assert_int_equal(settle(&w->f, MOVE_RELEASE, &w->f.ada, &w->waiting),
	    OK);
	expect(w, 2, "the job is settled though it is open", &w->waiting);
}

static void
what_was_settled_or_held_twice_is_found(void **state)
{
	const struct world *w = *state;

	damage(&w->f,
	    "DROP INDEX ledger_one_settlement; DROP INDEX ledger_one_hold;"
	    "INSERT INTO ledger_entries SELECT user_id, 100, 'release', 4, 4,"
	    " 4, job_id, lot_id, reason, previous_hash, hash, 0"
	    " FROM ledger_entries WHERE kind = 'capture' AND job_id = %s;"
	    "INSERT INTO ledger_entries SELECT user_id, 101, 'hold', 4, -4,"
	    " 4, job_id, lot_id, reason, previous_hash, hash, 0"
	    " FROM ledger_entries WHERE kind = 'hold' AND job_id = %s",
	    literal_of(&w->completed).text, literal_of(&w->queued).text);
	expect(w, 2, "the job is settled twice", &w->completed);
	expect(w, 2, "the job holds twice", &w->queued);
}

static void
a_charge_whose_job_was_lost_is_found(void **state)
{
	const struct world *w = *state;

	damage(&w->f,
	    "DELETE FROM attempts WHERE job_id = %s;"
	    "DELETE FROM jobs WHERE id = %s",
	    literal_of(&w->queued).text, literal_of(&w->queued).text);
	expect(w, 2, "there is no such job, but it holds", &w->queued);
	expect(w, 6, "the key names a job of another user", &w->queued);
	/* The file itself is consistent, the references are not. */
	assert_false(audit_at(w, NOW)->is_whole);
}

static void
credits_that_came_back_to_another_lot_are_found(void **state)
{
	struct world *w = *state;
	static const char first_sql[] = "SELECT 1 FROM credit_lots"
					" WHERE credits = 100 AND id = ?1";
	struct uuid lot = { { 0x77 } };

	/* Two lots, and 4 credits put into the wrong one of them. */
	assert_int_equal(adjust(&w->f, &w->f.ada, 10), OK);
	damage(&w->f,
	    "UPDATE hold_lots SET lot_id = %s WHERE lot_id ="
	    "  (SELECT id FROM credit_lots WHERE credits = 10);"
	    "UPDATE hold_lots SET lot_id = %s WHERE lot_id ="
	    "  (SELECT id FROM credit_lots WHERE credits = 100);"
	    "UPDATE credit_lots SET id = %s WHERE credits = 100",
	    literal_of(&lot).text, literal_of(&lot).text,
	    literal_of(&lot).text);
	assert_int_equal(number_of(&w->f, first_sql, &lot), 1);
	damage(&w->f,
	    "UPDATE credit_lots SET remaining_credits ="
	    " CASE credits WHEN 10 THEN 6 WHEN 100 THEN"
	    " remaining_credits + 4 ELSE remaining_credits"
	    " END");
	expect(w, 2, "more is left in the lot than its holds allow", &lot);
	assert_int_equal(audit_at(w, NOW)->invariant[1].violations_count, 0);
}

static void
an_attempt_in_a_state_that_does_not_fit_is_found(void **state)
{
	const struct world *w = *state;
	static const char problem[] =
	    "the open job has no attempt that fits its state";
	const struct {
		const struct uuid *job_id;
		const char *attempt_state;
		const char *job_state;
		const char *wrong_job_state;
	} cases[] = {
		{ &w->queued, "new", "queued", "waiting" },
		{ &w->submitting, "sending", "submitting", "queued" },
		{ &w->waiting, "accepted", "waiting", "submitting" },
		{ &w->storing, "succeeded", "storing", "running" },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		const struct literal job = literal_of(cases[i].job_id);

		damage(&w->f,
		    "UPDATE attempts SET state = 'lost'"
		    " WHERE job_id = %s",
		    job.text);
		expect(w, 3, problem, cases[i].job_id);
		damage(&w->f,
		    "UPDATE attempts SET state = '%s' WHERE job_id = %s;"
		    "UPDATE jobs SET state = '%s' WHERE id = %s",
		    cases[i].attempt_state, job.text, cases[i].wrong_job_state,
		    job.text);
		expect(w, 3, problem, cases[i].job_id);
		damage(&w->f, "UPDATE jobs SET state = '%s' WHERE id = %s",
		    cases[i].job_state, job.text);
	}
	expect_clean(w, NOW);
}

static void
an_open_job_without_any_attempt_is_found(void **state)
{
	const struct world *w = *state;

	damage(&w->f, "DELETE FROM attempts WHERE job_id = %s",
	    literal_of(&w->queued).text);
	expect(w, 3, "the open job has no attempt that fits its state",
	    &w->queued);
}

static void
a_result_without_a_row_to_store_it_under_is_found(void **state)
{
	const struct world *w = *state;

	damage(&w->f, "DELETE FROM objects WHERE id = %s",
	    literal_of(&w->storing_attempt).text);
	expect(w, 3, "the result is being stored but was not announced",
	    &w->storing);
}

static void
work_that_nobody_does_is_found_after_a_quarter_of_an_hour(void **state)
{
	const struct world *w = *state;

	/* The first to be due is the one whose worker died. */
	expect_clean(w, NOW + ATTEMPT_LEASE_MS + AUDIT_OVERDUE_MS);
	expect_at(w, NOW + ATTEMPT_LEASE_MS + AUDIT_OVERDUE_MS + 1, 3,
	    "nobody has looked at the open job in time", &w->submitting);
	expect_at(w, NOW + MINUTE + AUDIT_OVERDUE_MS + 1, 3,
	    "nobody has looked at the open job in time", &w->storing);
}

static void
a_queued_job_may_wait_for_others_but_not_for_nobody(void **state)
{
	const struct world *w = *state;
	const int64_t late_ms = NOW + AUDIT_OVERDUE_MS + 1;

	/* Others are under way. */
	expect_clean(w, late_ms);
	damage(&w->f, "DELETE FROM attempts WHERE state <> 'new'");
	expect_at(w, late_ms, 3, "nobody submits the job", &w->queued);
}

static void
a_job_past_its_deadline_is_found(void **state)
{
	const struct world *w = *state;

	expect_at(w, NOW + JOB_QUEUE_MAX_MS + AUDIT_OVERDUE_MS + 1, 3,
	    "nobody has ended the job at its deadline", &w->queued);
}

static void
a_gift_without_its_device_is_found(void **state)
{
	const struct world *w = *state;

	assert_int_equal(grant(&w->f, &w->f.bob, 10), OK);
	expect(w, 5, "the account was given the gift without a device",
	    &w->f.bob);
	damage(&w->f, "UPDATE devices SET granted_user_id = NULL");
	expect(w, 5, "the account was given the gift without a device",
	    &w->f.ada);
}

static void
a_device_whose_gift_went_nowhere_is_found(void **state)
{
	const struct world *w = *state;

	damage(&w->f, "UPDATE devices SET granted_user_id = %s",
	    literal_of(&w->f.bob).text);
	expect(w, 5,
	    "the device gave its gift to an account that has not had"
	    " it",
	    &w->f.bob);
}

static void
a_second_gift_is_found(void **state)
{
	const struct world *w = *state;

	damage(&w->f,
	    "DROP INDEX ledger_one_grant; DROP INDEX devices_by_granted_user;"
	    "INSERT INTO ledger_entries SELECT user_id, 100, 'grant', 5, 5, 5,"
	    " NULL, lot_id, reason, previous_hash, hash, 0"
	    " FROM ledger_entries WHERE kind = 'grant';"
	    "INSERT INTO devices (id_hash, user_id, granted_user_id,"
	    " created_at_ms, seen_at_ms) SELECT zeroblob(32), user_id,"
	    " granted_user_id, 0, 0 FROM devices");
	expect(w, 5, "the account had two gifts", &w->f.ada);
	expect(w, 5, "two devices gave their gift to the account", &w->f.ada);
}

static void
a_key_that_names_anothers_job_is_found(void **state)
{
	const struct world *w = *state;

	damage(&w->f,
	    "UPDATE idempotency_records SET user_id = %s"
	    " WHERE key = 'queued'",
	    literal_of(&w->f.bob).text);
	expect(w, 6, "the key names a job of another user", &w->queued);
}

static void
a_key_that_was_answered_with_another_price_is_found(void **state)
{
	const struct world *w = *state;

	damage(&w->f,
	    "UPDATE idempotency_records SET credits_used = 1"
	    " WHERE key = 'queued'");
	expect(w, 6, "the key was answered with another price than the job's",
	    &w->queued);
}

static void
two_open_attempts_are_found(void **state)
{
	const struct world *w = *state;

	damage(&w->f,
	    "DROP INDEX attempts_one_open;"
	    "INSERT INTO attempts (id, job_id, number, state, seed)"
	    " VALUES (randomblob(16), %s, 2, 'new', 0)",
	    literal_of(&w->queued).text);
	expect(w, 7, "the job has two open attempts", &w->queued);
}

static void
an_open_attempt_of_a_job_that_is_over_is_found(void **state)
{
	const struct world *w = *state;

	damage(&w->f,
	    "UPDATE attempts SET state = 'accepted'"
	    " WHERE job_id = %s",
	    literal_of(&w->failed).text);
	expect(w, 7, "the job is over but an attempt is open", &w->failed);
}

static void
two_attempts_under_one_request_are_found(void **state)
{
	const struct world *w = *state;

	damage(&w->f,
	    "DROP INDEX attempts_by_request;"
	    "UPDATE attempts SET request_id = 'same'"
	    " WHERE job_id IN (%s, %s)",
	    literal_of(&w->waiting).text, literal_of(&w->failed).text);
	assert_int_equal(audit_at(w, NOW)->invariant[7].violations_count, 1);
	assert_string_equal(audit_at(w, NOW)->invariant[7].violation[0].problem,
	    "two attempts share one request at the provider");
}

static void
a_completed_job_without_its_row_is_found(void **state)
{
	const struct world *w = *state;

	damage(&w->f, "DELETE FROM objects WHERE id = %s",
	    literal_of(&w->completed_object).text);
	expect(w, 8, "the completed job has no stored video", &w->completed);
	expect(w, 8, "the file has no row", &w->completed_object);
}

static void
a_stored_video_that_nobody_may_see_is_found(void **state)
{
	const struct world *w = *state;

	damage(&w->f, "UPDATE objects SET state = 'stored' WHERE id = %s",
	    literal_of(&w->hidden_object).text);
	expect(w, 8, "the stored video belongs to no completed job of its user",
	    &w->hidden_object);
	damage(&w->f, "UPDATE objects SET user_id = %s WHERE id = %s",
	    literal_of(&w->f.bob).text, literal_of(&w->completed_object).text);
	expect(w, 8, "the stored video belongs to no completed job of its user",
	    &w->completed_object);
}

static void
a_missing_file_is_found(void **state)
{
	const struct world *w = *state;

	assert_int_equal(objects_remove(w->f.dir, "videos",
			     &w->completed_object),
	    OK);
	expect(w, 8, "the stored object has no file", &w->completed_object);
	/* Only that: the deleted one may have lost its file already. */
	assert_int_equal(objects_remove(w->f.dir, "videos", &w->hidden_object),
	    OK);
	assert_int_equal(audit_at(w, NOW)->invariant[8].violations_count, 1);
}

static void
a_file_of_another_size_is_found(void **state)
{
	const struct world *w = *state;

	damage(&w->f,
	    "UPDATE objects SET size_bytes = size_bytes + 1"
	    " WHERE id = %s",
	    literal_of(&w->completed_object).text);
	expect(w, 8, "the file has another size than its row",
	    &w->completed_object);
}

static void
a_file_of_other_bytes_is_found_if_files_are_read(void **state)
{
	const struct world *w = *state;
	static struct audit audit;

	damage(&w->f, "UPDATE objects SET sha256 = zeroblob(32) WHERE id = %s",
	    literal_of(&w->completed_object).text);
	expect(w, 8, "the file has other bytes than its row",
	    &w->completed_object);
	assert_int_equal(audit_run(w->f.db, w->f.dir, NOW, false, &audit), OK);
	assert_true(audit_is_clean(&audit));
}

static void
a_file_that_nobody_knows_is_found_in_every_bucket(void **state)
{
	const struct world *w = *state;
	const struct uuid stray = { { 0x33 } };

	put_file(&w->f, "thumbnails", &stray);
	expect(w, 8, "the file has no row", &stray);
	put_file(&w->f, "videos", &stray);
	assert_int_equal(audit_at(w, NOW)->invariant[8].violations_count, 2);
}

static void
a_file_that_is_still_growing_is_no_violation(void **state)
{
	const struct world *w = *state;
	int fd;

	assert_int_equal(objects_open_partial(w->f.dir, "videos",
			     &w->storing_attempt, &fd),
	    OK);
	expect_clean(w, NOW);
	assert_int_equal(objects_publish(w->f.dir, "videos",
			     &w->storing_attempt, fd),
	    OK);
	assert_int_equal(close(fd), 0);
	/* The file is there before the row says so. */
	expect_clean(w, NOW);
}

static void
a_gift_that_its_account_does_not_know_of_is_found(void **state)
{
	const struct world *w = *state;

	damage(&w->f, "UPDATE users SET grant_state = 'withheld' WHERE id = %s",
	    literal_of(&w->f.ada).text);
	expect(w, 5, "the account was given the gift but does not know it",
	    &w->f.ada);
}

static void
a_session_of_who_may_not_come_in_is_found(void **state)
{
	const struct world *w = *state;

	damage(&w->f, "UPDATE users SET status = 'deleted' WHERE id = %s",
	    literal_of(&w->f.ada).text);
	expect(w, 10, "somebody is signed in to an account that is deleted",
	    &w->f.ada);
}

static void
more_sessions_than_are_kept_are_found(void **state)
{
	const struct world *w = *state;

	damage(&w->f,
	    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
	    " WHERE i < %d) INSERT INTO sessions (id, user_id, refresh_salt,"
	    " method, created_at_ms, refreshed_at_ms) SELECT randomblob(16),"
	    " %s, randomblob(16), 'oauth', 0, 0 FROM n",
	    SESSIONS_PER_USER_MAX + 1, literal_of(&w->f.bob).text);
	expect(w, 10, "the user has more sessions than are kept", &w->f.bob);
}

static void
what_is_left_of_a_deleted_account_is_found(void **state)
{
	const struct world *w = *state;
	const struct literal ada = literal_of(&w->f.ada);

	/* As if nothing else of the deletion had happened. */
	damage(&w->f, "UPDATE users SET status = 'deleted' WHERE id = %s",
	    ada.text);
	expect(w, 11, "the deleted account has a name or a way back in",
	    &w->f.ada);
	expect(w, 11,
	    "the deleted account has a job that is seen or tells its prompt",
	    &w->queued);
	expect(w, 11, "the deleted account has keys of its requests",
	    &w->f.ada);
	expect(w, 11, "nobody finishes the account's deletion", &w->f.ada);
	damage(&w->f,
	    "INSERT INTO deletion_steps (user_id, step, next_try_at_ms,"
	    " created_at_ms) VALUES (%s, 'jobs', 0, 0)",
	    ada.text);
	expect_at(w, AUDIT_OVERDUE_MS + 1, 11,
	    "nobody has tried the step of the deletion in time", &w->f.ada);
	damage(&w->f, "UPDATE users SET status = 'active' WHERE id = %s",
	    ada.text);
	expect(w, 11, "the account is being deleted though it is there",
	    &w->f.ada);
}

static void
a_broken_chain_is_found(void **state)
{
	const struct world *w = *state;

	damage(&w->f,
	    "UPDATE ledger_entries SET reason = 'x'"
	    " WHERE number = 2");
	expect(w, 9, "an entry was changed", &w->f.ada);
	/* Sums do not see it. */
	assert_int_equal(audit_at(w, NOW)->invariant[1].violations_count, 0);
}

static void
all_violations_are_counted_and_the_first_hundred_reported(void **state)
{
	const struct world *w = *state;
	const struct audit *audit;

	for (int i = 0; i < 300; i++)
		damage(&w->f,
		    "INSERT INTO users (id, app_account_token, ledger_number,"
		    " created_at_ms, updated_at_ms)"
		    " VALUES (randomblob(16), randomblob(16), 1, 0, 0)");
	audit = audit_at(w, NOW);
	assert_int_equal(audit->invariant[9].checked_count, 303);
	assert_int_equal(audit->invariant[9].violations_count, 300);
	assert_string_equal(audit->invariant[9]
				.violation[AUDIT_REPORTED_MAX - 1]
				.problem,
	    "the end of the ledger is missing");
}

/* Makes, completes and deletes videos as fast as it can. */
static void
keep_busy(const struct world *w)
{
	struct fixture g = w->f;
	struct media media;

	assert_int_equal(db_open(g.dir, DB_READ_WRITE, false, &g.db), OK);
	for (int i = 0; i < 20; i++) {
		char key[16];
		struct uuid job_id;
		size_t count;

		(void)snprintf(key, sizeof(key), "busy%d", i);
		(void)complete_job(&g, key, false, &job_id);
		assert_int_equal(jobs_delete(g.db, &g.ada, &job_id, NOW), OK);
		assert_int_equal(media_to_delete(g.db, 1, &media, &count), OK);
		assert_int_equal(count, 1);
		assert_int_equal(objects_remove(g.dir, media.bucket, &media.id),
		    OK);
		assert_int_equal(media_forget(g.db, &media.id), OK);
	}
	db_close(g.db);
}

static void
it_raises_no_alarm_while_others_work(void **state)
{
	struct world *w = *state;
	pid_t child;
	int status = 0;

	/* Nothing else is due, so that the busy one leases its own job. */
	damage(&w->f,
	    "UPDATE jobs SET due_at_ms = %lld WHERE due_at_ms <= %lld",
	    (long long)NOW + HOUR, (long long)NOW);
	assert_int_equal(adjust(&w->f, &w->f.ada, 100), OK);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		keep_busy(w);
		_exit(0);
	}
	while (waitpid(child, &status, WNOHANG) == 0)
		expect_clean(w, NOW);
	assert_int_equal(status, 0);
	expect_clean(w, NOW);
}

#define WORLD(function) \
	cmocka_unit_test_setup_teardown(function, set_up_world, tear_down)

static void
a_guest_has_an_apple_id(void **state)
{
	const struct world *w = *state;

	damage(&w->f, "UPDATE users SET apple_sub = 's' WHERE id = %s;",
	    literal_of(&w->f.bob).text);
	expect(w, 10, "the guest has an Apple ID", &w->f.bob);
}

static void
an_account_is_neither_a_guests_nor_an_apple_ids(void **state)
{
	const struct world *w = *state;

	damage(&w->f, "UPDATE users SET is_guest = 0 WHERE id = %s;",
	    literal_of(&w->f.bob).text);
	expect(w, 10, "the account is nobody's guest, but has no Apple ID",
	    &w->f.bob);
	damage(&w->f,
	    "UPDATE users SET is_guest = 1 WHERE id = %s;"
	    "INSERT INTO apple_tokens (user_id, client_id, sealed,"
	    " created_at_ms) VALUES (%s, 'app', x'00', 0)",
	    literal_of(&w->f.bob).text, literal_of(&w->f.bob).text);
	expect(w, 10, "a consent is kept of who has no Apple ID", &w->f.bob);
}

static void
a_session_was_refreshed_without_a_token(void **state)
{
	const struct world *w = *state;
	const struct uuid id = uuid_random();

	damage(&w->f,
	    "INSERT INTO sessions (id, user_id, refresh_salt, method,"
	    " created_at_ms, refreshed_at_ms)"
	    " VALUES (%s, %s, randomblob(16), 'anonymous', 0, 1)",
	    literal_of(&id).text, literal_of(&w->f.bob).text);
	expect(w, 10, "the session was refreshed, but gave no other token out",
	    &id);
	damage(&w->f, "UPDATE sessions SET refresh_counter = 1 WHERE id = %s",
	    literal_of(&id).text);
	expect_clean(w, NOW);
}

/* What a tombstone may not have, one thing at a time. */
static void
a_merged_account_still_has_a_trace_of_its_person(void **state)
{
	static const char *const traces[] = {
		"email = 'a@b.c'",
		"user_metadata = '{\"a\":1}'",
		"grant_state = 'pending'",
	};
	const struct world *w = *state;
	const struct fixture *f = &w->f;

	damage(f,
	    "UPDATE users SET status = 'deleted', merged_into_id = %s,"
	    " grant_state = 'withheld' WHERE id = %s;",
	    literal_of(&f->ada).text, literal_of(&f->bob).text);
	expect_clean(w, NOW);
	for (size_t i = 0; i < COUNT_OF(traces); i++) {
		damage(f,
		    "UPDATE users SET email = NULL, user_metadata = '{}',"
		    " grant_state = 'withheld' WHERE id = %s;"
		    "UPDATE users SET %s WHERE id = %s;",
		    literal_of(&f->bob).text, traces[i],
		    literal_of(&f->bob).text);
		expect(w, 10, "the account was merged but still has something",
		    &f->bob);
	}
	damage(f,
	    "UPDATE users SET grant_state = 'withheld' WHERE id = %s;"
	    "UPDATE devices SET user_id = %s;",
	    literal_of(&f->bob).text, literal_of(&f->bob).text);
	expect(w, 10, "the account was merged but still has something",
	    &f->bob);
}

static void
a_merged_account_still_has_jobs(void **state)
{
	const struct world *w = *state;
	const struct fixture *f = &w->f;

	damage(f,
	    "UPDATE users SET status = 'deleted', merged_into_id = %s"
	    " WHERE id = %s;",
	    literal_of(&f->bob).text, literal_of(&f->ada).text);
	expect(w, 10, "the account was merged but still has something",
	    &f->ada);
}

static void
an_account_was_merged_into_a_merged_one(void **state)
{
	const struct world *w = *state;
	const struct fixture *f = &w->f;

	damage(f,
	    "UPDATE users SET status = 'deleted', merged_into_id = id"
	    " WHERE id = %s;",
	    literal_of(&f->bob).text);
	expect(w, 10, "the account was merged into one that was merged itself",
	    &f->bob);
}

static void
an_account_has_the_gifts_of_two(void **state)
{
	const struct world *w = *state;
	const struct fixture *f = &w->f;

	assert_int_equal(grant(f, &f->bob, 1), OK);
	damage(f,
	    "UPDATE credit_lots SET user_id = %s WHERE id IN (SELECT lot_id"
	    " FROM ledger_entries WHERE kind = 'grant');",
	    literal_of(&f->bob).text);
	expect(w, 10, "the account received the gifts of two devices", &f->bob);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD(a_healthy_world_is_clean_and_wholly_looked_at),
		WORLD(it_needs_no_more_than_to_read),
		TEST(an_empty_database_is_clean),
		WORLD(a_balance_that_was_changed_is_found),
		WORLD(a_lot_that_was_changed_is_found),
		WORLD(a_total_that_was_changed_is_found),
		WORLD(a_missing_or_wrong_hold_is_found),
		WORLD(a_missing_settlement_is_found),
		WORLD(the_wrong_settlement_is_found),
		WORLD(a_settlement_of_an_open_job_is_found),
		WORLD(what_was_settled_or_held_twice_is_found),
		WORLD(a_charge_whose_job_was_lost_is_found),
		WORLD(credits_that_came_back_to_another_lot_are_found),
		WORLD(an_attempt_in_a_state_that_does_not_fit_is_found),
		WORLD(an_open_job_without_any_attempt_is_found),
		WORLD(a_result_without_a_row_to_store_it_under_is_found),
		WORLD(
		    work_that_nobody_does_is_found_after_a_quarter_of_an_hour),
		WORLD(a_queued_job_may_wait_for_others_but_not_for_nobody),
		WORLD(a_job_past_its_deadline_is_found),
		WORLD(a_gift_without_its_device_is_found),
		WORLD(a_device_whose_gift_went_nowhere_is_found),
		WORLD(a_second_gift_is_found),
		WORLD(a_key_that_names_anothers_job_is_found),
		WORLD(a_key_that_was_answered_with_another_price_is_found),
		WORLD(two_open_attempts_are_found),
		WORLD(an_open_attempt_of_a_job_that_is_over_is_found),
		WORLD(two_attempts_under_one_request_are_found),
		WORLD(a_completed_job_without_its_row_is_found),
		WORLD(a_stored_video_that_nobody_may_see_is_found),
		WORLD(a_missing_file_is_found),
		WORLD(a_file_of_another_size_is_found),
		WORLD(a_file_of_other_bytes_is_found_if_files_are_read),
		WORLD(a_file_that_nobody_knows_is_found_in_every_bucket),
		WORLD(a_file_that_is_still_growing_is_no_violation),
		WORLD(a_gift_that_its_account_does_not_know_of_is_found),
		WORLD(a_session_of_who_may_not_come_in_is_found),
		WORLD(more_sessions_than_are_kept_are_found),
		WORLD(what_is_left_of_a_deleted_account_is_found),
		WORLD(a_broken_chain_is_found),
		WORLD(
		    all_violations_are_counted_and_the_first_hundred_reported),
		WORLD(it_raises_no_alarm_while_others_work),
		WORLD(a_guest_has_an_apple_id),
		WORLD(an_account_is_neither_a_guests_nor_an_apple_ids),
		WORLD(a_session_was_refreshed_without_a_token),
		WORLD(a_merged_account_still_has_a_trace_of_its_person),
		WORLD(a_merged_account_still_has_jobs),
		WORLD(an_account_was_merged_into_a_merged_one),
		WORLD(an_account_has_the_gifts_of_two),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
