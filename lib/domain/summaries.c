/* SPDX-License-Identifier: MIT */
#include "domain/summaries.h"
#include "base/buf.h"
#include "base/clock.h"
#include "domain/notices.h"
#include "domain/watches.h"

#include <assert.h>
#include <stdio.h>

#define HOUR_MS (INT64_C(3600) * 1000)
#define DAY_MS (24 * HOUR_MS)

/* A longer silence of the worker is told of by the day's summary. */
#define SALES_LOOK_BACK_MS HOUR_MS

/* At once; the rest at the next turn. */
#define SALES_MAX 50

/*
 * Who came is written down with the time at which the request began, and it
 * may take this long until it can be seen.
 */
#define USERS_LAG_MS INT64_C(60000)

struct sale {
	char id[33];
	char product_id[128];
	char currency[8];
	int64_t credits;
	int64_t price_milli; /* -1 = not known */
	bool is_sandbox;
};

/* Those that no notice tells of yet. */
static enum err
read_sales(struct db *db, int64_t since_ms, struct sale sales[SALES_MAX],
    size_t *ret_count)
{
	static const char sql[] =
	    "SELECT lower(hex(id)), product_id, added_credits,"
	    " COALESCE(price_milli, -1), COALESCE(currency, ''),"
	    " environment = 'Sandbox' FROM purchases"
	    " WHERE credited_at_ms >= ?1 AND credited_at_ms IS NOT NULL"
	    " AND NOT EXISTS (SELECT 1 FROM notices"
	    "  WHERE dedupe_key = 'sale:' || lower(hex(purchases.id)))"
	    " ORDER BY credited_at_ms LIMIT ?2";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	size_t count = 0;
	bool found;
	enum err err;

	db_bind_int64(stmt, 1, since_ms);
	db_bind_int64(stmt, 2, SALES_MAX);
	while ((err = db_step(stmt, &found)) == OK && found) {
		struct sale *sale = &sales[count++];

		*sale = (struct sale){
			.credits = db_column_int64(stmt, 2),
			.price_milli = db_column_int64(stmt, 3),
			.is_sandbox = db_column_bool(stmt, 5),
		};
		(void)str_copy(db_column_str(stmt, 0), sale->id,
		    sizeof(sale->id));
		(void)str_copy(db_column_str(stmt, 1), sale->product_id,
		    sizeof(sale->product_id));
		(void)str_copy(db_column_str(stmt, 4), sale->currency,
		    sizeof(sale->currency));
	}
	if (err == OK)
		*ret_count = count;
	return err;
}

static void
write_money(struct buf *text, int64_t milli, const char *currency)
{
	buf_appendf(text, "%lld.%02lld %s", (long long)(milli / 1000),
	    (long long)(milli % 1000 / 10), currency);
}

static enum err
tell_sale(struct db *db, const struct sale *sale, int64_t now_ms)
{
	char key[64];
	CLEANUP(buf_free) struct buf text = { 0 };

	(void)snprintf(key, sizeof(key), "sale:%.32s", sale->id);
	buf_init(&text, NOTICE_BYTES_MAX);
	buf_appendf(&text, "💰 Sale: %s, %lld credits", sale->product_id,
	    (long long)sale->credits);
	if (sale->price_milli >= 0) {
		buf_append(&text, STR(", "));
		write_money(&text, sale->price_milli, sale->currency);
	}
	if (sale->is_sandbox)
		buf_append(&text, STR(" (sandbox)"));
	return notices_add(db, key, buf_str(&text), now_ms);
}

static enum err
tell_sales(struct db *db, void *arg)
{
	const int64_t now_ms = *(const int64_t *)arg;
	struct sale sales[SALES_MAX];
	size_t count = 0;
	enum err err;

	err = read_sales(db, now_ms - SALES_LOOK_BACK_MS, sales, &count);
	for (size_t i = 0; err == OK && i < count; i++)
		err = tell_sale(db, &sales[i], now_ms);
	return err;
}

enum err
summaries_tell_sales(struct db *db, int64_t now_ms)
{
	struct sale sales[SALES_MAX];
	size_t count = 0;
	enum err err;

	err = read_sales(db, now_ms - SALES_LOOK_BACK_MS, sales, &count);
	if (err != OK || count == 0)
		return err;
	return db_transaction(db, tell_sales, &now_ms);
}

static enum err
count_users(struct db *db, int64_t from_ms, int64_t until_ms,
    int64_t *ret_count)
{
	static const char sql[] = "SELECT COUNT(*) FROM users"
				  " WHERE created_at_ms >= ?1"
				  " AND created_at_ms < ?2";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool found;
	enum err err;

	db_bind_int64(stmt, 1, from_ms);
	db_bind_int64(stmt, 2, until_ms);
	err = db_step(stmt, &found);
	if (err == OK)
		*ret_count = db_column_int64(stmt, 0);
	return err;
}

struct period {
	const char *name;
	int64_t from_ms; /* of a watch */
	int64_t until_ms;
	int64_t next_ms; /* where the watch goes on */
	int64_t now_ms;
};

static enum err
tell_users(struct db *db, void *arg)
{
	const struct period *p = arg;
	char key[64];
	CLEANUP(buf_free) struct buf text = { 0 };
	int64_t count = 0;
	enum err err;

	err = count_users(db, p->from_ms, p->until_ms, &count);
	if (err == OK && count > 0) {
		(void)snprintf(key, sizeof(key), "users:%lld",
		    (long long)p->from_ms);
		buf_init(&text, NOTICE_BYTES_MAX);
		buf_appendf(&text, "👋 %lld new user%s in %lld min",
		    (long long)count, count == 1 ? "" : "s",
		    (long long)((p->until_ms - p->from_ms + 30000) / 60000));
		err = notices_add(db, key, buf_str(&text), p->now_ms);
	}
	return err == OK ? watches_put(db, p->name, p->next_ms) : err;
}

enum err
summaries_tell_users(struct db *db, int64_t interval_ms, int64_t now_ms)
{
	struct period p = { .name = "users",
		.until_ms = now_ms - USERS_LAG_MS,
		.next_ms = now_ms - USERS_LAG_MS,
		.now_ms = now_ms };
	enum err err;

	err = watches_read(db, p.name, now_ms - USERS_LAG_MS, &p.from_ms);
	if (err != OK)
		return err;
	/* A clock that was set back begins anew. */
	if (p.from_ms <= p.until_ms && p.until_ms - p.from_ms < interval_ms)
		return OK;
	if (p.from_ms > p.until_ms)
		p.from_ms = p.until_ms;
	return db_transaction(db, tell_users, &p);
}

/* --- the day -------------------------------------------------------------- */

static enum err
write_jobs(struct db *db, const struct period *p, struct buf *text)
{
	static const char sql[] =
	    "SELECT state, COUNT(*) FROM jobs WHERE completed_at_ms >= ?1"
	    " AND completed_at_ms < ?2 AND completed_at_ms IS NOT NULL"
	    " GROUP BY state ORDER BY state";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	const char *separator = "; videos: ";
	bool found;
	enum err err;

	db_bind_int64(stmt, 1, p->from_ms);
	db_bind_int64(stmt, 2, p->until_ms);
	while ((err = db_step(stmt, &found)) == OK && found) {
		buf_appendf(text, "%s%lld %s", separator,
		    (long long)db_column_int64(stmt, 1),
		    db_column_str(stmt, 0).ptr);
		separator = ", ";
	}
	return err;
}

/* What was paid in Apple's sandbox is no money. */
static enum err
write_sales(struct db *db, const struct period *p, struct buf *text)
{
	static const char sql[] =
	    "SELECT COUNT(*), SUM(added_credits),"
	    " COALESCE(SUM(price_milli), 0), COALESCE(currency, '')"
	    " FROM purchases WHERE credited_at_ms >= ?1"
	    " AND credited_at_ms < ?2 AND credited_at_ms IS NOT NULL"
	    " AND environment <> 'Sandbox' GROUP BY currency"
	    " ORDER BY COUNT(*) DESC";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool found;
	enum err err;

	db_bind_int64(stmt, 1, p->from_ms);
	db_bind_int64(stmt, 2, p->until_ms);
	while ((err = db_step(stmt, &found)) == OK && found) {
		buf_appendf(text, "; %lld sales of %lld credits for ",
		    (long long)db_column_int64(stmt, 0),
		    (long long)db_column_int64(stmt, 1));
		write_money(text, db_column_int64(stmt, 2),
		    db_column_str(stmt, 3).ptr);
	}
	return err;
}

static enum err
write_cost(struct db *db, const struct period *p, struct buf *text)
{
	static const char sql[] = "SELECT COALESCE(SUM(micro_usd), 0)"
				  " FROM provider_spend WHERE day = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool found;
	enum err err;

	db_bind_int64(stmt, 1, p->from_ms / DAY_MS);
	err = db_step(stmt, &found);
	if (err != OK)
		return err;
	buf_append(text, STR("; providers cost at most "));
	write_money(text, db_column_int64(stmt, 0) / 1000, "USD");
	return OK;
}

static enum err
write_alarms(struct db *db, struct buf *text)
{
	static const char sql[] =
	    "SELECT COUNT(*) FROM alarms WHERE is_raised = 1"
	    " AND raised_at_ms >= 0";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool found;
	const enum err err = db_step(stmt, &found);

	if (err == OK)
		buf_appendf(text, "; open alarms: %lld",
		    (long long)db_column_int64(stmt, 0));
	return err;
}

static enum err
tell_day(struct db *db, void *arg)
{
	const struct period *p = arg;
	char key[64], date[CLOCK_TEXT_BYTES];
	CLEANUP(buf_free) struct buf text = { 0 };
	int64_t users = 0;
	enum err err;

	clock_format(p->from_ms, date);
	(void)snprintf(key, sizeof(key), "day:%.10s", date);
	buf_init(&text, NOTICE_BYTES_MAX);
	err = count_users(db, p->from_ms, p->until_ms, &users);
	buf_appendf(&text, "📊 %.10s: new users: %lld", date, (long long)users);
	if (err == OK)
		err = write_jobs(db, p, &text);
	if (err == OK)
		err = write_sales(db, p, &text);
	if (err == OK)
		err = write_cost(db, p, &text);
	if (err == OK)
		err = write_alarms(db, &text);
	if (err == OK)
		err = notices_add(db, key, buf_str(&text), p->now_ms);
	return err == OK ? watches_put(db, p->name, p->next_ms) : err;
}

enum err
summaries_tell_day(struct db *db, int64_t hour, int64_t now_ms)
{
	const int64_t today_ms = now_ms - now_ms % DAY_MS;
	const int64_t hour_ms = today_ms + hour * HOUR_MS;
	const int64_t next_ms = now_ms < hour_ms ? hour_ms : hour_ms + DAY_MS;
	struct period p = { .name = "day",
		.from_ms = today_ms - DAY_MS,
		.until_ms = today_ms,
		.next_ms = next_ms,
		.now_ms = now_ms };
	bool due;
	enum err err;

	assert(hour >= 0);
	assert(hour < 24);
	err = watches_due(db, p.name, next_ms, now_ms, &due);
	if (err != OK || !due)
		return err;
	return db_transaction(db, tell_day, &p);
}
