/* SPDX-License-Identifier: MIT */
#include "domain/products.h"
#include "domain/credits.h"

#include <assert.h>

static enum err
list_kind(struct db_stmt *stmt, enum purchase_kind kind, products_each *each,
    void *arg)
{
	bool found;
	enum err err;

	while ((err = db_step(stmt, &found)) == OK && found) {
		struct product product = { .kind = kind,
			.credits = db_column_int64(stmt, 1) };

		(void)str_copy(db_column_str(stmt, 0), product.id,
		    sizeof(product.id));
		err = each(arg, &product);
		if (err != OK)
			break;
	}
	return err;
}

enum err
products_list(struct db *db, products_each *each, void *arg)
{
	static const char consumables_sql[] =
	    "SELECT id, credits FROM products ORDER BY id";
	static const char subscriptions_sql[] =
	    "SELECT id, credits_per_period FROM subscription_products"
	    " ORDER BY id";
	CLEANUP(db_release)
	struct db_stmt *consumables = db_prepare(db, consumables_sql);
	CLEANUP(db_release)
	struct db_stmt *subscriptions = db_prepare(db, subscriptions_sql);
	enum err err;

	err = list_kind(consumables, PURCHASE_CONSUMABLE, each, arg);
	return err != OK ?
	    err :
	    list_kind(subscriptions, PURCHASE_SUBSCRIPTION, each, arg);
}

bool
products_id_ok(struct str id)
{
	for (size_t i = 0; i < id.len; i++) {
		const char c = id.ptr[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			(c >= '0' && c <= '9') || c == '.' || c == '_' ||
			c == '-'))
			return false;
	}
	return id.len > 0 && id.len <= PRODUCT_ID_BYTES_MAX;
}

enum err
products_find(struct db *db, struct str id, enum purchase_kind kind,
    bool *ret_found, int64_t *ret_credits)
{
	static const char consumable_sql[] =
	    "SELECT credits FROM products WHERE id = ?1";
	static const char subscription_sql[] =
	    "SELECT credits_per_period FROM subscription_products"
	    " WHERE id = ?1";
	CLEANUP(db_release)
	struct db_stmt *consumable = db_prepare(db, consumable_sql);
	CLEANUP(db_release)
	struct db_stmt *subscription = db_prepare(db, subscription_sql);
	struct db_stmt *stmt =
	    kind == PURCHASE_SUBSCRIPTION ? subscription : consumable;
	bool found;
	enum err err;

	db_bind_str(stmt, 1, id);
	err = db_step(stmt, &found);
	if (err != OK)
		return err;
	*ret_found = found;
	if (found)
		*ret_credits = db_column_int64(stmt, 0);
	return OK;
}

/* A time that is always met lets the index of what waits serve. */
static enum err
wake_purchases(struct db *db, const struct product *product, int64_t now_ms)
{
	static const char sql[] =
	    "UPDATE purchases SET next_try_at_ms = ?2"
	    " WHERE next_try_at_ms > ?2 AND waits_for = 'product'"
	    " AND product_id = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_text(stmt, 1, product->id);
	db_bind_int64(stmt, 2, now_ms);
	return db_run(stmt);
}

enum err
products_set(struct db *db, const struct product *product, int64_t now_ms)
{
	static const char consumable_sql[] =
	    "INSERT INTO products (id, credits) VALUES (?1, ?2)"
	    " ON CONFLICT (id) DO UPDATE SET credits = excluded.credits";
	static const char subscription_sql[] =
	    "INSERT INTO subscription_products (id, credits_per_period)"
	    " VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE"
	    " SET credits_per_period = excluded.credits_per_period";
	CLEANUP(db_release)
	struct db_stmt *consumable = db_prepare(db, consumable_sql);
	CLEANUP(db_release)
	struct db_stmt *subscription = db_prepare(db, subscription_sql);
	const bool is_period = product->kind == PURCHASE_SUBSCRIPTION;
	struct db_stmt *stmt = is_period ? subscription : consumable;
	int64_t credits;
	bool is_other;
	enum err err;

	assert(db_in_transaction(db));
	assert(product->credits >= (is_period ? 0 : 1));
	assert(product->credits <= CREDITS_AMOUNT_MAX);
	err = products_find(db, str_from(product->id),
	    is_period ? PURCHASE_CONSUMABLE : PURCHASE_SUBSCRIPTION, &is_other,
	    &credits);
	if (err != OK || is_other)
		return err != OK ? err : ERR_CONFLICT;
	db_bind_text(stmt, 1, product->id);
	db_bind_int64(stmt, 2, product->credits);
	err = db_run(stmt);
	return err != OK ? err : wake_purchases(db, product, now_ms);
}

enum err
products_remove(struct db *db, struct str id, struct product *ret_was)
{
	static const char consumable_sql[] =
	    "DELETE FROM products WHERE id = ?1 RETURNING credits";
	static const char subscription_sql[] =
	    "DELETE FROM subscription_products WHERE id = ?1"
	    " RETURNING credits_per_period";
	CLEANUP(db_release)
	struct db_stmt *consumable = db_prepare(db, consumable_sql);
	CLEANUP(db_release)
	struct db_stmt *subscription = db_prepare(db, subscription_sql);
	struct db_stmt *stmt = consumable;
	bool found;
	enum err err;

	assert(db_in_transaction(db));
	db_bind_str(consumable, 1, id);
	db_bind_str(subscription, 1, id);
	/* An id is of one kind. */
	err = db_step(stmt, &found);
	if (err == OK && !found) {
		stmt = subscription;
		err = db_step(stmt, &found);
	}
	if (err != OK || !found)
		return err != OK ? err : ERR_NOT_FOUND;
	*ret_was = (struct product){
		.kind = stmt == subscription ? PURCHASE_SUBSCRIPTION :
					       PURCHASE_CONSUMABLE,
		.credits = db_column_int64(stmt, 0),
	};
	(void)str_copy(id, ret_was->id, sizeof(ret_was->id));
	return OK;
}
