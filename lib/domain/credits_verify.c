/* SPDX-License-Identifier: MIT */
#include "domain/credits.h"
#include "domain/ledger.h"

struct lots_sum {
	int64_t remaining;
	int64_t debt;
	int64_t noted_debt;
};

static enum err
sum_lots(struct db *db, const struct uuid *user_id, struct lots_sum *sum)
{
	static const char sql[] =
	    "SELECT COALESCE(SUM(c.remaining_credits), 0),"
	    " COALESCE(SUM(c.owed_credits * (1 - c.is_debt_forgiven)"
	    "  - c.paid_credits), 0),"
	    " (SELECT debt_credits FROM users WHERE id = ?1)"
	    " FROM credit_lots c WHERE c.user_id = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool found;
	enum err err;

	db_bind_uuid(stmt, 1, user_id);
	err = db_step(stmt, &found);
	if (err != OK)
		return err;
	*sum = (struct lots_sum){
		.remaining = db_column_int64(stmt, 0),
		.debt = db_column_int64(stmt, 1),
		.noted_debt = db_column_int64(stmt, 2),
	};
	return OK;
}

static const char *
judge(const struct ledger_head *head, const struct ledger_head *walk,
    const struct lots_sum *sum)
{
	if (walk->balance != head->balance)
		return "the balance is not the sum of the ledger";
	if (walk->balance != sum->remaining)
		return "the balance is not the sum of the lots";
	if (sum->debt != sum->noted_debt)
		return "the debt is not what lots owe";
	if (sum->debt > 0 && sum->remaining > 0)
		return "there are credits beside a debt";
	if (walk->number != head->number || walk->hash_len != head->hash_len ||
	    memcmp(walk->hash, head->hash, walk->hash_len) != 0)
		return "the end of the ledger is missing";
	return NULL;
}

enum err
credits_verify(struct db *db, const struct uuid *user_id, bool *ret_ok,
    const char **ret_problem)
{
	struct ledger_head head, walk;
	struct lots_sum sum = { 0 };
	const char *problem;
	enum err err;

	err = ledger_read_head(db, user_id, &head);
	if (err == OK)
		err = ledger_walk(db, user_id, &walk, &problem);
	if (err == OK)
		err = sum_lots(db, user_id, &sum);
	if (err != OK)
		return err;
	if (problem == NULL)
		problem = judge(&head, &walk, &sum);

	*ret_problem = problem;
	*ret_ok = problem == NULL;
	return OK;
}

struct verifying {
	const struct uuid *user_id;
	bool ok;
	const char *problem;
};

static enum err
verify(struct db *db, void *arg)
{
	struct verifying *v = arg;

	return credits_verify(db, v->user_id, &v->ok, &v->problem);
}

enum err
credits_verify_now(struct db *db, const struct uuid *user_id, bool *ret_ok,
    const char **ret_problem)
{
	struct verifying v = { .user_id = user_id };
	const enum err err = db_snapshot(db, verify, &v);

	if (err == OK) {
		*ret_ok = v.ok;
		*ret_problem = v.problem;
	}
	return err;
}
