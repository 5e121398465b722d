/* SPDX-License-Identifier: MIT */
#include "domain/notices.h"

#include <assert.h>

#define WAIT_MAX_MS (INT64_C(3600) * 1000)

/* As many whole characters as fit. */
static struct str
cut(struct str text)
{
	size_t characters = 0;

	for (size_t i = 0; i < text.len; i++) {
		if (((unsigned char)text.ptr[i] & 0xc0) == 0x80)
			continue;
		if (characters == NOTICE_CHARS_MAX) {
			text.len = i;
			break;
		}
		characters++;
	}
	return text;
}

enum err
notices_add(struct db *db, const char *key, struct str text, int64_t now_ms)
{
	static const char sql[] =
	    "INSERT INTO notices (dedupe_key, text, created_at_ms)"
	    " VALUES (?1, ?2, ?3) ON CONFLICT (dedupe_key) DO NOTHING";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	assert(db_in_transaction(db));
	assert(text.len > 0);
	db_bind_text(stmt, 1, key);
	db_bind_str(stmt, 2, cut(text));
	db_bind_int64(stmt, 3, now_ms);
	return db_run(stmt);
}

/*
 * Nothing waits, or it is not the time: a look that writes nothing.  (Every id
 * is above 0: said, it lets the index of those that wait serve.)
 */
static enum err
is_any_due(struct db *db, int64_t now_ms, bool *ret_is_any)
{
	static const char sql[] =
	    "SELECT 1 FROM notice_channel WHERE id = 1"
	    " AND next_send_at_ms <= ?1 AND EXISTS (SELECT 1 FROM notices"
	    "  WHERE sent_at_ms IS NULL AND notices.id > 0)";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_int64(stmt, 1, now_ms);
	return db_step(stmt, ret_is_any);
}

static enum err
read_batch(struct db *db, struct notice_batch *batch)
{
	static const char sql[] =
	    "SELECT id, is_doubtful, text FROM notices"
	    " WHERE sent_at_ms IS NULL AND id > 0 ORDER BY id LIMIT ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	size_t bytes = 0;
	bool found;
	enum err err;

	batch->count = 0;
	db_bind_int64(stmt, 1, NOTICE_BATCH_MAX);
	while ((err = db_step(stmt, &found)) == OK && found) {
		const struct str text = db_column_str(stmt, 2);
		struct notice *notice = &batch->notice[batch->count];

		bytes += text.len;
		if (bytes > NOTICE_BATCH_BYTES_MAX && batch->count > 0)
			break;
		notice->id = db_column_int64(stmt, 0);
		notice->is_doubtful = db_column_bool(stmt, 1);
		(void)str_copy(text, notice->text, sizeof(notice->text));
		batch->count++;
	}
	return err;
}

static enum err
mark_one(struct db *db, int64_t id, bool is_doubtful)
{
	static const char sql[] =
	    "UPDATE notices SET is_doubtful = ?2 WHERE id = ?1"
	    " AND sent_at_ms IS NULL";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_int64(stmt, 1, id);
	db_bind_bool(stmt, 2, is_doubtful);
	return db_run(stmt);
}

/* What was in doubt before this try stays so. */
static enum err
mark_doubtful(struct db *db, const struct notice_batch *batch, bool is_doubtful)
{
	enum err err = OK;

	for (size_t i = 0; err == OK && i < batch->count; i++)
		err = mark_one(db, batch->notice[i].id,
		    is_doubtful || batch->notice[i].is_doubtful);
	return err;
}

static enum err
hold_channel(struct db *db, int64_t until_ms, bool has_failed)
{
	static const char sql[] =
	    "UPDATE notice_channel SET next_send_at_ms = ?1, failures_count ="
	    " CASE ?2 WHEN 1 THEN failures_count + 1 ELSE 0 END WHERE id = 1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_int64(stmt, 1, until_ms);
	db_bind_bool(stmt, 2, has_failed);
	return db_run(stmt);
}

struct taking {
	int64_t now_ms;
	int64_t lease_ms;
	struct notice_batch *batch;
};

static enum err
lease_channel(struct db *db, const struct taking *t)
{
	static const char sql[] =
	    "UPDATE notice_channel SET next_send_at_ms = ?1 WHERE id = 1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_int64(stmt, 1, t->now_ms + t->lease_ms);
	return db_run(stmt);
}

/* If we die now, the next one must take it for sent, perhaps. */
static enum err
take(struct db *db, void *arg)
{
	struct taking *t = arg;
	bool is_any = false;
	enum err err;

	t->batch->count = 0;
	err = is_any_due(db, t->now_ms, &is_any);
	if (err != OK || !is_any)
		return err;
	err = read_batch(db, t->batch);
	if (err == OK)
		err = mark_doubtful(db, t->batch, true);
	if (err == OK)
		err = lease_channel(db, t);
	return err;
}

enum err
notices_take(struct db *db, int64_t now_ms, int64_t lease_ms,
    struct notice_batch *ret_batch)
{
	struct taking t = { now_ms, lease_ms, ret_batch };
	bool is_any = false;
	enum err err;

	ret_batch->count = 0;
	err = is_any_due(db, now_ms, &is_any);
	if (err != OK || !is_any)
		return err;
	return db_transaction(db, take, &t);
}

struct outcome {
	const struct notice_batch *batch;
	int64_t now_ms;
	int64_t next_at_ms; /* sent */
	bool is_doubtful; /* not sent */
	int64_t wait_ms;
	int64_t not_before_ms;
};

/* Those that came meanwhile have larger ids. */
static enum err
note_sent(struct db *db, void *arg)
{
	static const char sql[] =
	    "UPDATE notices SET sent_at_ms = ?1"
	    " WHERE sent_at_ms IS NULL AND id BETWEEN ?2 AND ?3";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	const struct outcome *o = arg;
	enum err err;

	assert(o->batch->count > 0);
	db_bind_int64(stmt, 1, o->now_ms);
	db_bind_int64(stmt, 2, o->batch->notice[0].id);
	db_bind_int64(stmt, 3, o->batch->notice[o->batch->count - 1].id);
	err = db_run(stmt);
	return err == OK ? hold_channel(db, o->next_at_ms, false) : err;
}

enum err
notices_sent(struct db *db, const struct notice_batch *batch, int64_t now_ms,
    int64_t next_at_ms)
{
	struct outcome o = { .batch = batch,
		.now_ms = now_ms,
		.next_at_ms = next_at_ms };

	return db_transaction(db, note_sent, &o);
}

static enum err
count_failures(struct db *db, int64_t *ret_count)
{
	static const char sql[] =
	    "SELECT failures_count FROM notice_channel WHERE id = 1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool found;
	const enum err err = db_step(stmt, &found);

	if (err == OK)
		*ret_count = found ? db_column_int64(stmt, 0) : 0;
	return err;
}

static enum err
note_failed(struct db *db, void *arg)
{
	const struct outcome *o = arg;
	int64_t wait_ms = o->wait_ms, failures = 0, until_ms;
	enum err err;

	err = count_failures(db, &failures);
	if (err != OK)
		return err;
	for (; failures > 0 && wait_ms < WAIT_MAX_MS; failures--)
		wait_ms *= 2;
	until_ms = o->now_ms + (wait_ms < WAIT_MAX_MS ? wait_ms : WAIT_MAX_MS);
	if (o->not_before_ms > 0)
		until_ms = o->not_before_ms;
	err = mark_doubtful(db, o->batch, o->is_doubtful);
	return err == OK ? hold_channel(db, until_ms, true) : err;
}

enum err
notices_failed(struct db *db, const struct notice_batch *batch,
    bool is_doubtful, int64_t wait_ms, int64_t not_before_ms, int64_t now_ms)
{
	struct outcome o = { .batch = batch,
		.now_ms = now_ms,
		.is_doubtful = is_doubtful,
		.wait_ms = wait_ms,
		.not_before_ms = not_before_ms };

	assert(wait_ms > 0);
	return db_transaction(db, note_failed, &o);
}

enum err
notices_waiting_count(struct db *db, int64_t *ret_count)
{
	static const char sql[] =
	    "SELECT COUNT(*) FROM notices WHERE sent_at_ms IS NULL AND id > 0";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool found;
	const enum err err = db_step(stmt, &found);

	if (err == OK)
		*ret_count = db_column_int64(stmt, 0);
	return err;
}

struct purge {
	int64_t before_ms;
	int64_t limit;
};

static enum err
purge(struct db *db, void *arg)
{
	static const char old_sql[] =
	    "DELETE FROM notices WHERE id IN"
	    " (SELECT id FROM notices WHERE created_at_ms < ?1"
	    "  ORDER BY created_at_ms LIMIT ?2)";
	static const char many_sql[] =
	    "DELETE FROM notices WHERE sent_at_ms IS NULL AND id <="
	    " (SELECT id FROM notices WHERE sent_at_ms IS NULL AND id > 0"
	    "  ORDER BY id DESC LIMIT 1 OFFSET ?1)";
	CLEANUP(db_release) struct db_stmt *old = db_prepare(db, old_sql);
	CLEANUP(db_release) struct db_stmt *many = db_prepare(db, many_sql);
	const struct purge *what = arg;
	enum err err;

	db_bind_int64(old, 1, what->before_ms);
	db_bind_int64(old, 2, what->limit);
	err = db_run(old);
	db_bind_int64(many, 1, NOTICES_WAITING_MAX);
	return err == OK ? db_run(many) : err;
}

enum err
notices_purge(struct db *db, int64_t before_ms, int64_t limit)
{
	struct purge what = { before_ms, limit };

	return db_transaction(db, purge, &what);
}
