/* SPDX-License-Identifier: MIT */
#ifndef PURCHASES_TEST_H
#define PURCHASES_TEST_H

/* Short words for purchases: facts, and what becomes of a balance. */

#include "fixture.h"

#include "domain/audit.h"
#include "domain/merges.h"
#include "domain/purchases.h"
#include "domain/subscriptions.h"

#define STARTER "com.rendioai.credits.starter.25"
#define POPULAR "com.rendioai.credits.popular.60"
#define BEST "com.rendioai.credits.best.150"
#define MONTHLY "com.rendioai.premium.monthly"
#define DAY (24 * HOUR)

static const struct purchase_policy policy = { .sandbox_credits_max = 1000 };

static inline struct purchase_fact
fact_of(const char *transaction_id, const char *product_id)
{
	struct purchase_fact fact = {
		.kind = PURCHASE_CONSUMABLE,
		.quantity = 1,
		.purchased_at_ms = NOW,
		.signed_at_ms = NOW,
	};

	assert_true(str_copy(str_from(transaction_id), fact.transaction_id,
	    sizeof(fact.transaction_id)));
	assert_true(
	    str_copy(str_from(transaction_id), fact.original_transaction_id,
		sizeof(fact.original_transaction_id)));
	assert_true(str_copy(str_from(product_id), fact.product_id,
	    sizeof(fact.product_id)));
	return fact;
}

/* The same transaction, refunded so much, as Apple says it that much later. */
static inline struct purchase_fact
later(struct purchase_fact fact, int64_t refund_millipercent, int64_t after_ms)
{
	fact.refund_millipercent = refund_millipercent;
	fact.signed_at_ms += after_ms;
	return fact;
}

static inline struct uuid
token_of(const struct fixture *f, const struct uuid *user_id)
{
	struct account account;

	assert_int_equal(accounts_get(f->db, user_id, &account), OK);
	return account.app_account_token;
}

static inline struct purchase_fact
named_fact(const struct fixture *f, const char *transaction_id,
    const char *product_id, const struct uuid *user_id)
{
	struct purchase_fact fact = fact_of(transaction_id, product_id);

	fact.has_account_token = true;
	fact.account_token = token_of(f, user_id);
	return fact;
}

static inline enum err
post_by(const struct fixture *f, const struct uuid *user_id,
    const struct purchase_fact *fact, struct purchase_receipt *receipt)
{
	return purchases_post(f->db, user_id, fact, &policy, NOW, receipt);
}

/* Posts what must be credited, and returns the balance. */
static inline int64_t
posted(const struct fixture *f, const struct uuid *user_id,
    const struct purchase_fact *fact)
{
	struct purchase_receipt receipt;

	assert_int_equal(post_by(f, user_id, fact, &receipt), OK);
	return receipt.balance;
}

static inline bool
noted(const struct fixture *f, const struct purchase_fact *fact)
{
	bool is_new = false;

	assert_int_equal(purchases_repair(f->db, fact, &policy, NOW, &is_new),
	    OK);
	return is_new;
}

/* Adds up what all tries have credited: each keeps what it has done. */
static inline enum err
retry_waiting(const struct fixture *f, int64_t now_ms, int64_t *credited)
{
	int64_t count = 0;
	const enum err err =
	    purchases_retry(f->db, &policy, now_ms, 10, &count);

	*credited += count;
	return err;
}

static inline int64_t
debt_of(const struct fixture *f, const struct uuid *user_id)
{
	return number_of(f, "SELECT debt_credits FROM users WHERE id = ?1",
	    user_id);
}

static inline void
assert_audit_clean(const struct fixture *f)
{
	static struct audit audit;

	assert_int_equal(audit_run(f->db, f->dir, NOW, true, &audit), OK);
	for (int i = 1; i <= AUDIT_INVARIANT_MAX; i++)
		if (audit.invariant[i].violations_count > 0)
			fail_msg("invariant %d: %s", i,
			    audit.invariant[i].violation[0].problem);
	assert_true(audit_is_clean(&audit));
}

/* A job of so many credits. */
static inline struct uuid
job_for(const struct fixture *f, const struct uuid *user_id, const char *key,
    int64_t credits)
{
	struct job_order order = order_of(f, user_id, key);
	struct job_receipt receipt;

	order.settings.cost_credits = credits;
	assert_int_equal(jobs_submit(f->db, &order, NOW, &receipt), OK);
	return receipt.job_id;
}

struct ending {
	struct uuid user_id;
	struct uuid job_id;
	bool is_delivered;
};

static inline enum err
end_job(struct db *db, void *arg)
{
	const struct ending *ending = arg;

	return ending->is_delivered ?
	    credits_capture(db, &ending->user_id, &ending->job_id, NOW) :
	    jobs_give_up(db, &ending->job_id, JOB_FAILED, "failed", NOW);
}

/* Ends it; a video that was delivered is deleted at once. */
static inline void
end(const struct fixture *f, const struct uuid *user_id,
    const struct uuid *job_id, bool is_delivered)
{
	const struct ending ending = { *user_id, *job_id, is_delivered };
	char sql[512];

	(void)snprintf(sql, sizeof(sql),
	    "UPDATE attempts SET state = '%s', sent_at_ms = 1,"
	    " ended_at_ms = 1 WHERE job_id = %s",
	    is_delivered ? "succeeded" : "failed", literal_of(job_id).text);
	assert_int_equal(db_script(f->db, sql), OK);
	assert_int_equal(db_transaction(f->db, end_job,
			     (void *)(uintptr_t)&ending),
	    OK);
	if (!is_delivered)
		return;
	(void)snprintf(sql, sizeof(sql),
	    "UPDATE jobs SET state = 'completed', is_hidden = 1,"
	    " due_at_ms = NULL, completed_at_ms = 1 WHERE id = %s",
	    literal_of(job_id).text);
	assert_int_equal(db_script(f->db, sql), OK);
}

struct merging {
	struct uuid from, into;
	bool counts_sandbox;
};

static inline enum err
merge_them(struct db *db, void *arg)
{
	const struct merging *m = arg;

	return merges_run(db, &m->from, &m->into, m->counts_sandbox, NOW);
}

static inline void
merge(const struct fixture *f, const struct uuid *from, const struct uuid *into)
{
	struct merging m = { *from, *into, false };

	assert_int_equal(db_transaction(f->db, merge_them, &m), OK);
}

#endif
