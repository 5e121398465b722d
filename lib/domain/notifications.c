/* SPDX-License-Identifier: MIT */
#include "domain/notifications.h"
#include "domain/consumption.h"

struct receiving {
	const struct notification *n;
	const struct purchase_policy *policy;
	int64_t now_ms;
	bool is_new;
};

static enum err
store(struct db *db, struct receiving *r)
{
	static const char sql[] =
	    "INSERT INTO apple_notifications (id, type, subtype, environment,"
	    " transaction_id, signed_at_ms, received_at_ms)"
	    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (id) DO NOTHING";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	const struct notification *n = r->n;
	int64_t changes;
	enum err err;

	db_bind_uuid(stmt, 1, &n->id);
	db_bind_text(stmt, 2, n->type);
	db_bind_text(stmt, 3, n->subtype);
	db_bind_text(stmt, 4, n->is_sandbox ? "Sandbox" : "Production");
	if (n->has_purchase)
		db_bind_text(stmt, 5, n->purchase.transaction_id);
	else
		db_bind_null(stmt, 5);
	db_bind_int64(stmt, 6, n->signed_at_ms);
	db_bind_int64(stmt, 7, r->now_ms);
	err = db_run_changes(stmt, &changes);
	if (err == OK)
		r->is_new = changes == 1;
	return err;
}

static bool
is_type(const struct notification *n, const char *type)
{
	return strcmp(n->type, type) == 0;
}

static enum err
act(struct db *db, const struct receiving *r)
{
	const struct notification *n = r->n;
	enum err err = OK;

	if (n->has_purchase)
		err = purchases_note(db, &n->purchase, r->policy, r->now_ms);
	if (err == OK && n->has_renewal)
		err = subscriptions_renew(db, &n->renewal, r->now_ms);
	if (err != OK || !n->has_purchase)
		return err;
	if (is_type(n, "CONSUMPTION_REQUEST"))
		return consumption_ask(db, &n->purchase, n->reason,
		    n->signed_at_ms, r->now_ms);
	if (is_type(n, "REFUND") || is_type(n, "REFUND_DECLINED"))
		return consumption_close(db, &n->purchase);
	return OK;
}

static enum err
receive(struct db *db, void *arg)
{
	struct receiving *r = arg;
	const enum err err = store(db, r);

	return err == OK && r->is_new ? act(db, r) : err;
}

enum err
notifications_receive(struct db *db, const struct notification *n,
    const struct purchase_policy *policy, int64_t now_ms, bool *ret_is_new)
{
	struct receiving r = { .n = n, .policy = policy, .now_ms = now_ms };
	const enum err err = db_transaction(db, receive, &r);

	if (err == OK)
		*ret_is_new = r.is_new;
	return err;
}

struct purge {
	int64_t before_ms;
	int64_t limit;
};

static enum err
purge(struct db *db, void *arg)
{
	static const char sql[] =
	    "DELETE FROM apple_notifications WHERE id IN (SELECT id"
	    " FROM apple_notifications WHERE received_at_ms < ?1"
	    " ORDER BY received_at_ms LIMIT ?2)";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	const struct purge *p = arg;

	db_bind_int64(stmt, 1, p->before_ms);
	db_bind_int64(stmt, 2, p->limit);
	return db_run(stmt);
}

enum err
notifications_purge(struct db *db, int64_t before_ms, int64_t limit)
{
	struct purge p = { before_ms, limit };

	return db_transaction(db, purge, &p);
}
