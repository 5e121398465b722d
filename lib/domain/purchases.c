/* SPDX-License-Identifier: MIT */
#include "domain/purchases.h"
#include "domain/credits.h"
#include "domain/payers.h"
#include "domain/products.h"
#include "domain/progress.h"
#include "domain/subscriptions.h"

#include <assert.h>

/* What waits is tried again after as long as it has waited, within these. */
#define RETRY_MIN_MS (INT64_C(60) * 1000)
#define RETRY_MAX_MS (INT64_C(24) * 3600 * 1000)

enum waiting {
	WAITS_NOT,
	WAITS_OWNER,
	WAITS_ACCOUNT,
	WAITS_PRODUCT,
	WAITS_CAP
};

static const char *const waiting_names[] = {
	[WAITS_OWNER] = "owner",
	[WAITS_ACCOUNT] = "account",
	[WAITS_PRODUCT] = "product",
	[WAITS_CAP] = "cap",
};

/* A purchase as it is stored, after the newest fact. */
struct purchase {
	struct uuid id;
	bool has_owner;
	struct uuid user_id;
	bool has_account_token;
	struct uuid account_token;
	enum waiting waits_for;
	int64_t credits;
	int64_t added_credits;
	int64_t refund_millipercent;
	bool is_upgraded;
	int64_t expires_at_ms;
	int64_t created_at_ms;
};

static const char *
environment_name(const struct purchase_fact *fact)
{
	return fact->is_sandbox ? "Sandbox" : "Production";
}

static enum waiting
waiting_parse(struct str name)
{
	for (int i = WAITS_OWNER; i <= WAITS_CAP; i++)
		if (str_equal(name, str_from(waiting_names[i])))
			return (enum waiting)i;
	return WAITS_NOT;
}

static enum err
read_purchase(struct db *db, const struct purchase_fact *fact,
    struct purchase *p)
{
	static const char sql[] =
	    "SELECT id, user_id, account_token, waits_for, credits,"
	    " added_credits, refund_millipercent, expires_at_ms,"
	    " created_at_ms, is_upgraded FROM purchases"
	    " WHERE environment = ?1 AND transaction_id = ?2";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool found;
	enum err err;

	db_bind_text(stmt, 1, environment_name(fact));
	db_bind_text(stmt, 2, fact->transaction_id);
	err = db_step(stmt, &found);
	if (err != OK)
		return err;
	if (!found)
		return ERR_INTERNAL;
	*p = (struct purchase){
		.id = db_column_uuid(stmt, 0),
		.has_owner = !db_column_is_null(stmt, 1),
		.user_id = db_column_uuid(stmt, 1),
		.has_account_token = !db_column_is_null(stmt, 2),
		.account_token = db_column_uuid(stmt, 2),
		.waits_for = waiting_parse(db_column_str(stmt, 3)),
		.credits = db_column_int64(stmt, 4),
		.added_credits = db_column_int64(stmt, 5),
		.refund_millipercent = db_column_int64(stmt, 6),
		.expires_at_ms = db_column_int64(stmt, 7),
		.created_at_ms = db_column_int64(stmt, 8),
		.is_upgraded = db_column_bool(stmt, 9),
	};
	return OK;
}

static void
bind_fact(struct db_stmt *stmt, const struct purchase_fact *fact)
{
	db_bind_text(stmt, 1, environment_name(fact));
	db_bind_text(stmt, 2, fact->transaction_id);
	db_bind_int64(stmt, 3, fact->signed_at_ms);
	db_bind_int64(stmt, 4, fact->notified_at_ms);
	db_bind_int64(stmt, 5, fact->refund_millipercent);
	db_bind_bool(stmt, 6, fact->is_upgraded);
	if (fact->expires_at_ms > 0)
		db_bind_int64(stmt, 7, fact->expires_at_ms);
	else
		db_bind_null(stmt, 7);
	db_bind_uuid(stmt, 8,
	    fact->has_account_token ? &fact->account_token : NULL);
}

static enum err
insert_fact(struct db *db, const struct purchase_fact *fact, int64_t now_ms,
    bool *ret_inserted)
{
	static const char sql[] =
	    "INSERT INTO purchases (environment, transaction_id, signed_at_ms,"
	    " notified_at_ms, refund_millipercent, is_upgraded, expires_at_ms,"
	    " account_token, id, original_transaction_id, kind, product_id,"
	    " quantity, price_milli, currency, purchased_at_ms, created_at_ms,"
	    " waits_for) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11,"
	    " ?12, ?13, ?14, ?15, ?16, ?17, 'owner')"
	    " ON CONFLICT (environment, transaction_id) DO NOTHING";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	const struct uuid id = uuid_sortable(now_ms);
	int64_t changes;
	enum err err;

	bind_fact(stmt, fact);
	db_bind_uuid(stmt, 9, &id);
	db_bind_text(stmt, 10, fact->original_transaction_id);
	db_bind_text(stmt, 11,
	    fact->kind == PURCHASE_SUBSCRIPTION ? "subscription" :
						  "consumable");
	db_bind_text(stmt, 12, fact->product_id);
	db_bind_int64(stmt, 13, fact->quantity);
	if (fact->has_price) {
		db_bind_int64(stmt, 14, fact->price_milli);
		db_bind_text(stmt, 15, fact->currency);
	} else {
		db_bind_null(stmt, 14);
		db_bind_null(stmt, 15);
	}
	db_bind_int64(stmt, 16, fact->purchased_at_ms);
	db_bind_int64(stmt, 17, now_ms);
	err = db_run_changes(stmt, &changes);
	if (err == OK)
		*ret_inserted = changes == 1;
	return err;
}

/*
 * Replaces what the row says if the fact is newer.  Of two that Apple signed
 * in the same millisecond the one that takes more back counts, whichever came
 * first.
 */
static enum err
update_fact(struct db *db, const struct purchase_fact *fact, bool *ret_is_new)
{
	static const char sql[] =
	    "UPDATE purchases SET signed_at_ms = ?3, notified_at_ms = ?4,"
	    " refund_millipercent = ?5, is_upgraded = ?6, expires_at_ms = ?7,"
	    " account_token = COALESCE(?8, account_token)"
	    " WHERE environment = ?1 AND transaction_id = ?2"
	    " AND (signed_at_ms, notified_at_ms, refund_millipercent)"
	    "  < (?3, ?4, ?5)";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	int64_t changes;
	enum err err;

	bind_fact(stmt, fact);
	err = db_run_changes(stmt, &changes);
	if (err == OK)
		*ret_is_new = changes == 1;
	return err;
}

/*
 * The account that a token names, or its heir: by the token that we gave out,
 * or by its id, which apps have used for it, too.  A deleted account can be
 * given nothing: it counts as unknown.
 */
static enum err
find_account(struct db *db, const struct uuid *token, bool *ret_found,
    struct uuid *ret_user_id)
{
	static const char sql[] =
	    "SELECT h.id FROM users u"
	    " JOIN users h ON h.id = COALESCE(u.merged_into_id, u.id)"
	    " WHERE (u.app_account_token = ?1 OR u.id = ?1)"
	    " AND h.status <> 'deleted'";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool found;
	enum err err;

	db_bind_uuid(stmt, 1, token);
	err = db_step(stmt, &found);
	if (err != OK)
		return err;
	*ret_found = found;
	if (found)
		*ret_user_id = db_column_uuid(stmt, 0);
	return OK;
}

/*
 * Whose it is; poster may be NULL.  Otherwise says what it waits for.  Periods
 * of one subscription have one owner: after that one's account was deleted
 * they wait, whoever posts them.
 */
static enum err
find_owner(struct db *db, const struct purchase_fact *fact,
    const struct uuid *poster, struct purchase *p)
{
	bool found = false, is_deleted = false;
	enum err err = OK;

	if (p->has_owner)
		return OK;
	if (fact->kind == PURCHASE_SUBSCRIPTION)
		err = subscriptions_owner(db, fact, &found, &is_deleted,
		    &p->user_id);
	if (err == OK && is_deleted) {
		p->waits_for = WAITS_ACCOUNT;
	} else if (err == OK && !found && p->has_account_token) {
		err = find_account(db, &p->account_token, &found, &p->user_id);
		p->waits_for = WAITS_ACCOUNT;
	} else if (err == OK && !found && poster != NULL) {
		p->user_id = *poster;
		found = true;
	} else if (!found) {
		p->waits_for = WAITS_OWNER;
	}
	p->has_owner = found;
	return err;
}

static enum err
is_above_cap(struct db *db, const struct purchase_fact *fact,
    const struct purchase *p, const struct purchase_policy *policy,
    bool *ret_is_above)
{
	static const char sql[] =
	    "SELECT COALESCE(SUM(credits), 0) FROM purchases"
	    " WHERE user_id = ?1 AND environment = 'Sandbox'";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool found;
	enum err err = OK;

	*ret_is_above = false;
	if (!fact->is_sandbox)
		return OK;
	db_bind_uuid(stmt, 1, &p->user_id);
	err = db_step(stmt, &found);
	if (err == OK)
		*ret_is_above = db_column_int64(stmt, 0) + p->credits >
		    policy->sandbox_credits_max;
	return err;
}

/* May it be credited, and what? Otherwise says what it waits for. */
static enum err
price(struct db *db, const struct purchase_fact *fact,
    const struct purchase_policy *policy, struct purchase *p)
{
	int64_t credits = 0;
	bool known, above;
	enum err err;

	err = products_find(db, str_from(fact->product_id), fact->kind, &known,
	    &credits);
	if (err != OK)
		return err;
	p->credits = credits * fact->quantity;
	err = is_above_cap(db, fact, p, policy, &above);
	if (err != OK)
		return err;
	p->waits_for = !known ? WAITS_PRODUCT : above ? WAITS_CAP : WAITS_NOT;
	return OK;
}

static int64_t
refunded_credits(const struct purchase *p)
{
	/* Of a part of a credit that is in doubt the customer has the good. */
	return p->credits * p->refund_millipercent / PURCHASE_WHOLE;
}

static enum err
note_credited(struct db *db, const struct purchase *p, int64_t now_ms)
{
	static const char sql[] =
	    "UPDATE purchases SET user_id = ?2, waits_for = NULL,"
	    " next_try_at_ms = NULL, credits = ?3, added_credits = ?4,"
	    " credited_at_ms = ?5 WHERE id = ?1 AND waits_for IS NOT NULL";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_uuid(stmt, 1, &p->id);
	db_bind_uuid(stmt, 2, &p->user_id);
	db_bind_int64(stmt, 3, p->credits);
	db_bind_int64(stmt, 4, p->added_credits);
	db_bind_int64(stmt, 5, now_ms);
	return db_run(stmt);
}

/* Without an owner to come by himself it is tried again some time. */
static enum err
note_waiting(struct db *db, const struct purchase *p, int64_t now_ms)
{
	static const char sql[] =
	    "UPDATE purchases SET user_id = ?2, waits_for = ?3,"
	    " next_try_at_ms = ?4 WHERE id = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	int64_t wait_ms = now_ms - p->created_at_ms;

	if (wait_ms < RETRY_MIN_MS)
		wait_ms = RETRY_MIN_MS;
	if (wait_ms > RETRY_MAX_MS)
		wait_ms = RETRY_MAX_MS;
	db_bind_uuid(stmt, 1, &p->id);
	db_bind_uuid(stmt, 2, p->has_owner ? &p->user_id : NULL);
	db_bind_text(stmt, 3, waiting_names[p->waits_for]);
	if (p->waits_for == WAITS_OWNER)
		db_bind_null(stmt, 4);
	else
		db_bind_int64(stmt, 4, now_ms + wait_ms);
	return db_run(stmt);
}

/* Credits a purchase that has not been, if that is possible now. */
static enum err
credit(struct db *db, const struct purchase_fact *fact,
    const struct uuid *poster, const struct purchase_policy *policy,
    int64_t now_ms, struct purchase *p)
{
	struct credits_bought bought = { .purchase_id = p->id,
		.expires_at_ms = p->expires_at_ms };
	enum err err;

	err = find_owner(db, fact, poster, p);
	if (err == OK && p->has_owner)
		err = price(db, fact, policy, p);
	if (err != OK)
		return err;
	if (p->waits_for != WAITS_NOT) {
		p->credits = 0;
		return note_waiting(db, p, now_ms);
	}
	p->added_credits = p->credits - refunded_credits(p);
	err = note_credited(db, p, now_ms);
	if (err == OK && !fact->is_sandbox)
		progress_revenue(db, fact->currency, fact->price_milli);
	bought.credits = p->credits;
	if (err == OK && p->credits > 0)
		err = credits_purchase(db, &p->user_id, &bought, now_ms);
	return err;
}

/*
 * The one way in: stores the fact if it is news, credits what was not, and
 * makes as much of it refunded as the newest fact says.
 */
static enum err
apply(struct db *db, const struct purchase_fact *fact,
    const struct uuid *poster, const struct purchase_policy *policy,
    int64_t now_ms, struct purchase *p, bool *ret_was_credited,
    bool *ret_is_new)
{
	enum err err;

	assert(db_in_transaction(db));
	assert(fact->quantity >= 1);
	assert(fact->quantity <= PURCHASE_QUANTITY_MAX);
	err = insert_fact(db, fact, now_ms, ret_is_new);
	if (err == OK && !*ret_is_new)
		err = update_fact(db, fact, ret_is_new);
	if (err == OK)
		err = read_purchase(db, fact, p);
	if (err == OK && *ret_is_new)
		err = payers_note(db, fact, now_ms);
	if (err != OK)
		return err;
	*ret_was_credited = p->waits_for == WAITS_NOT;
	if (!*ret_was_credited)
		err = credit(db, fact, poster, policy, now_ms, p);
	if (err == OK && p->credits > 0)
		err = credits_refund(db, &p->id, refunded_credits(p),
		    policy->forgives_debt, now_ms);
	if (err == OK && p->credits > 0 && p->expires_at_ms > 0)
		err = p->is_upgraded ?
		    credits_end(db, &p->id, now_ms) :
		    credits_extend(db, &p->id, p->expires_at_ms);
	if (err == OK && fact->kind == PURCHASE_SUBSCRIPTION)
		err = subscriptions_follow(db, fact,
		    p->has_owner ? &p->user_id : NULL, now_ms);
	return err;
}

struct posting {
	const struct uuid *user_id;
	const struct purchase_fact *fact;
	const struct purchase_policy *policy;
	int64_t now_ms;
	enum err verdict; /* what to answer, though the fact is kept */
	struct purchase_receipt receipt;
	bool is_new;
};

static enum err
is_active(struct db *db, const struct uuid *user_id, bool *ret_is_active)
{
	static const char sql[] =
	    "SELECT 1 FROM users WHERE id = ?1 AND status = 'active'";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_uuid(stmt, 1, user_id);
	return db_step(stmt, ret_is_active);
}

static enum err
judge(const struct posting *posting, const struct purchase *p,
    bool was_credited)
{
	switch (p->waits_for) {
	case WAITS_OWNER:
		return ERR_INVALID_TRANSACTION;
	case WAITS_ACCOUNT:
		return ERR_PURCHASE_BELONGS_TO_OTHER_ACCOUNT;
	case WAITS_PRODUCT:
	case WAITS_CAP:
	case WAITS_NOT:
		break;
	}
	if (!uuid_equal(&p->user_id, posting->user_id))
		return ERR_PURCHASE_BELONGS_TO_OTHER_ACCOUNT;
	if (p->waits_for == WAITS_PRODUCT)
		return ERR_UNKNOWN_PRODUCT;
	if (p->waits_for == WAITS_CAP)
		return ERR_FORBIDDEN;
	if (!was_credited &&
	    posting->fact->refund_millipercent == PURCHASE_WHOLE)
		return ERR_INVALID_TRANSACTION;
	return OK;
}

static enum err
post(struct db *db, void *arg)
{
	struct posting *posting = arg;
	/* Who shows what was refunded does not become its owner by that. */
	const bool claims = posting->fact->refund_millipercent < PURCHASE_WHOLE;
	bool active, was_credited, is_new;
	struct purchase p;
	enum err err;

	err = is_active(db, posting->user_id, &active);
	if (err == OK && !active)
		err = ERR_UNAUTHORIZED;
	if (err == OK)
		err = apply(db, posting->fact, claims ? posting->user_id : NULL,
		    posting->policy, posting->now_ms, &p, &was_credited,
		    &is_new);
	if (err != OK)
		return err;
	posting->verdict = judge(posting, &p, was_credited);
	if (posting->verdict != OK)
		return OK;
	posting->receipt = (struct purchase_receipt){
		.added_credits = p.added_credits,
		.is_repeat = was_credited,
	};
	return credits_balance(db, posting->user_id, &posting->receipt.balance);
}

enum err
purchases_post(struct db *db, const struct uuid *user_id,
    const struct purchase_fact *fact, const struct purchase_policy *policy,
    int64_t now_ms, struct purchase_receipt *ret_receipt)
{
	struct posting posting = { .user_id = user_id,
		.fact = fact,
		.policy = policy,
		.now_ms = now_ms };
	enum err err = db_transaction(db, post, &posting);

	if (err == OK)
		err = posting.verdict;
	if (err == OK)
		*ret_receipt = posting.receipt;
	return err;
}

enum err
purchases_find(struct db *db, const struct uuid *user_id,
    struct str transaction_id, bool *ret_found,
    struct purchase_receipt *ret_receipt)
{
	static const char sql[] =
	    "SELECT p.added_credits, u.credits_remaining FROM purchases p"
	    " JOIN users u ON u.id = p.user_id WHERE p.transaction_id = ?1"
	    " AND p.user_id = ?2 AND p.waits_for IS NULL LIMIT 1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool found;
	enum err err;

	db_bind_str(stmt, 1, transaction_id);
	db_bind_uuid(stmt, 2, user_id);
	err = db_step(stmt, &found);
	if (err != OK)
		return err;
	*ret_found = found;
	if (found)
		*ret_receipt = (struct purchase_receipt){
			.added_credits = db_column_int64(stmt, 0),
			.balance = db_column_int64(stmt, 1),
			.is_repeat = true,
		};
	return OK;
}

enum err
purchases_note(struct db *db, const struct purchase_fact *fact,
    const struct purchase_policy *policy, int64_t now_ms)
{
	struct purchase p;
	bool was_credited, is_new;

	return apply(db, fact, NULL, policy, now_ms, &p, &was_credited,
	    &is_new);
}

static enum err
repair(struct db *db, void *arg)
{
	struct posting *posting = arg;
	struct purchase p;
	bool was_credited;

	return apply(db, posting->fact, NULL, posting->policy, posting->now_ms,
	    &p, &was_credited, &posting->is_new);
}

enum err
purchases_repair(struct db *db, const struct purchase_fact *fact,
    const struct purchase_policy *policy, int64_t now_ms, bool *ret_is_new)
{
	struct posting posting = { .fact = fact,
		.policy = policy,
		.now_ms = now_ms };
	const enum err err = db_transaction(db, repair, &posting);

	if (err == OK)
		*ret_is_new = posting.is_new;
	return err;
}
