/* SPDX-License-Identifier: MIT */
#include "domain/ledger.h"
#include "domain/credits.h"
#include "domain/progress.h"

#include <assert.h>
#include <sodium.h>

_Static_assert(LEDGER_HASH_BYTES == crypto_hash_sha256_BYTES,
    "the chain is made of SHA-256");

enum err
ledger_read_head(struct db *db, const struct uuid *user_id,
    struct ledger_head *head)
{
	static const char sql[] =
	    "SELECT credits_remaining, ledger_number, ledger_hash"
	    " FROM users WHERE id = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	struct str hash;
	bool found;
	enum err err;

	db_bind_uuid(stmt, 1, user_id);
	err = db_step(stmt, &found);
	if (err != OK)
		return err;
	if (!found)
		return ERR_USER_NOT_FOUND;
	head->balance = db_column_int64(stmt, 0);
	head->number = db_column_int64(stmt, 1);
	hash = db_column_blob(stmt, 2);
	assert(hash.len <= LEDGER_HASH_BYTES);
	head->hash_len = hash.len;
	if (hash.len > 0)
		memcpy(head->hash, hash.ptr, hash.len);
	return OK;
}

static void
hash_field(crypto_hash_sha256_state *state, const void *bytes, size_t n)
{
	uint8_t length[8];

	/* A length in front of each field: no two entries hash the same. */
	for (size_t i = 0; i < sizeof(length); i++)
		length[i] = (uint8_t)((uint64_t)n >> (56 - 8 * i));
	(void)crypto_hash_sha256_update(state, length, sizeof(length));
	if (n > 0)
		(void)crypto_hash_sha256_update(state, bytes, n);
}

static void
hash_number(crypto_hash_sha256_state *state, int64_t value)
{
	uint8_t bytes[8];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)((uint64_t)value >> (56 - 8 * i));
	hash_field(state, bytes, sizeof(bytes));
}

static void
hash_entry(const struct uuid *user_id, const struct ledger_head *before,
    const struct ledger_move *entry, uint8_t hash[LEDGER_HASH_BYTES])
{
	crypto_hash_sha256_state state;

	(void)crypto_hash_sha256_init(&state);
	hash_field(&state, before->hash, before->hash_len);
	hash_field(&state, user_id->bytes, UUID_BYTES);
	hash_number(&state, before->number + 1);
	hash_field(&state, entry->kind, strlen(entry->kind));
	hash_number(&state, entry->amount);
	hash_number(&state, entry->change);
	hash_number(&state, before->balance + entry->change);
	hash_field(&state, entry->job_id, entry->job_id ? UUID_BYTES : 0);
	hash_field(&state, entry->lot_id, entry->lot_id ? UUID_BYTES : 0);
	hash_field(&state, entry->reason, strlen(entry->reason));
	hash_number(&state, entry->now_ms);
	(void)crypto_hash_sha256_final(&state, hash);
}

static enum err
insert_entry(struct db *db, const struct uuid *user_id,
    const struct ledger_head *before, const struct ledger_move *entry,
    const uint8_t hash[LEDGER_HASH_BYTES])
{
	static const char sql[] =
	    "INSERT INTO ledger_entries (user_id, number, kind,"
	    " amount_credits, change, balance_after, job_id, lot_id, reason,"
	    " previous_hash, hash, created_at_ms)"
	    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_uuid(stmt, 1, user_id);
	db_bind_int64(stmt, 2, before->number + 1);
	db_bind_text(stmt, 3, entry->kind);
	db_bind_int64(stmt, 4, entry->amount);
	db_bind_int64(stmt, 5, entry->change);
	db_bind_int64(stmt, 6, before->balance + entry->change);
	db_bind_uuid(stmt, 7, entry->job_id);
	db_bind_uuid(stmt, 8, entry->lot_id);
	db_bind_text(stmt, 9, entry->reason);
	db_bind_blob(stmt, 10, before->hash, before->hash_len);
	db_bind_blob(stmt, 11, hash, LEDGER_HASH_BYTES);
	db_bind_int64(stmt, 12, entry->now_ms);
	return db_run(stmt);
}

enum err
ledger_append(struct db *db, const struct uuid *user_id,
    struct ledger_head *head, const struct ledger_move *entry)
{
	static const char sql[] =
	    "UPDATE users SET credits_remaining = ?2, ledger_number = ?3,"
	    " ledger_hash = ?4, credits_total = credits_total + ?5,"
	    " updated_at_ms = ?6 WHERE id = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	const bool is_income = strcmp(entry->kind, "grant") == 0 ||
	    strcmp(entry->kind, "purchase") == 0 ||
	    (strcmp(entry->kind, "adjustment") == 0 && entry->change > 0);
	uint8_t hash[LEDGER_HASH_BYTES];
	enum err err;

	assert(db_in_transaction(db));
	assert(entry->amount > 0);
	assert(strlen(entry->reason) <= CREDITS_REASON_BYTES_MAX);
	assert(head->balance + entry->change >= 0);
	if (head->balance + entry->change > CREDITS_BALANCE_MAX)
		return ERR_CONFLICT;
	hash_entry(user_id, head, entry, hash);
	err = insert_entry(db, user_id, head, entry, hash);
	if (err != OK)
		return err;
	progress_credits(db, entry->kind, entry->amount);
	head->balance += entry->change;
	head->number++;
	head->hash_len = LEDGER_HASH_BYTES;
	memcpy(head->hash, hash, LEDGER_HASH_BYTES);

	db_bind_uuid(stmt, 1, user_id);
	db_bind_int64(stmt, 2, head->balance);
	db_bind_int64(stmt, 3, head->number);
	db_bind_blob(stmt, 4, head->hash, LEDGER_HASH_BYTES);
	db_bind_int64(stmt, 5, is_income ? entry->change : 0);
	db_bind_int64(stmt, 6, entry->now_ms);
	return db_run(stmt);
}

static const char *
check_entry(struct db_stmt *stmt, const struct uuid *user_id,
    struct ledger_head *walk)
{
	const struct uuid job_id = db_column_uuid(stmt, 5);
	const struct uuid lot_id = db_column_uuid(stmt, 6);
	char kind[20], reason[CREDITS_REASON_BYTES_MAX + 1];
	uint8_t hash[LEDGER_HASH_BYTES];
	struct ledger_move entry = {
		.amount = db_column_int64(stmt, 2),
		.change = db_column_int64(stmt, 3),
		.job_id = db_column_is_null(stmt, 5) ? NULL : &job_id,
		.lot_id = db_column_is_null(stmt, 6) ? NULL : &lot_id,
		.kind = kind,
		.reason = reason,
		.now_ms = db_column_int64(stmt, 10),
	};

	if (!str_copy(db_column_str(stmt, 1), kind, sizeof(kind)) ||
	    !str_copy(db_column_str(stmt, 7), reason, sizeof(reason)))
		return "an entry's text was changed";
	if (db_column_int64(stmt, 0) != walk->number + 1)
		return "an entry is missing";
	if (!str_equal(db_column_blob(stmt, 8),
		(struct str){ (const char *)walk->hash, walk->hash_len }))
		return "the hash chain is broken";
	hash_entry(user_id, walk, &entry, hash);
	if (!str_equal(db_column_blob(stmt, 9),
		(struct str){ (const char *)hash, LEDGER_HASH_BYTES }))
		return "an entry was changed";
	walk->balance += entry.change;
	walk->number++;
	walk->hash_len = LEDGER_HASH_BYTES;
	memcpy(walk->hash, hash, LEDGER_HASH_BYTES);
	if (db_column_int64(stmt, 4) != walk->balance)
		return "a balance_after is not the sum so far";
	return NULL;
}

enum err
ledger_walk(struct db *db, const struct uuid *user_id,
    struct ledger_head *ret_end, const char **ret_problem)
{
	static const char sql[] =
	    "SELECT number, kind, amount_credits, change, balance_after,"
	    " job_id, lot_id, reason, previous_hash, hash, created_at_ms"
	    " FROM ledger_entries WHERE user_id = ?1 ORDER BY number";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	struct ledger_head walk = { 0 };
	const char *problem = NULL;
	bool found;
	enum err err;

	db_bind_uuid(stmt, 1, user_id);
	for (;;) {
		err = db_step(stmt, &found);
		if (err != OK)
			return err;
		if (!found || problem != NULL)
			break;
		problem = check_entry(stmt, user_id, &walk);
	}
	*ret_end = walk;
	*ret_problem = problem;
	return OK;
}
